// SPDX-License-Identifier: Apache-2.0
//
// test/unit/test_agent.c — an agent on a fake machine: reports, recovery, damage, a full disk, and random
// lives that must come to rest in what was wanted.
//
// The manager here is a table of tasks: what it wants, what it was told. It acknowledges, or does not.
#include "reconciler/agent/agent.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <uv.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/str.h"
#include "reconciler/agent/agent_file.h"
#include "reconciler/agent/executor_fake.h"
#include "test/lib/check.h"
#include "test/lib/scratch.h"

#define TASKS_MAX 6000
#define DAY_MS (24 * 3600 * INT64_C(1000))

static const struct fake_profile profiles[] = {
    {.image = "forever", .prepare_ms = 30, .start_ms = 5, .stop_ms = 10, .exit_code = 3, .remove_ms = 5},
    {.image = "deaf", .prepare_ms = 300, .start_ms = 50, .stop_ms = -1, .remove_ms = 500},
    {.image = "short", .prepare_ms = 30, .start_ms = 5, .run_ms = 2000, .crash_permille = 300, .stop_ms = 5},
    {.image = "bad", .prepare_ms = 30, .reject_permille = 500, .start_ms = 5, .run_ms = 9000, .stop_ms = 5},
};

struct wanted {
    struct id id;
    const char *image;
    int64_t desired;
    bool is_assigned;
    struct task_status told; // of the highest state
    int64_t exit_code;
    char error[256];
};

static struct {
    char dir[SCRATCH_BYTES];
    struct fake_machine *machine;
    struct executor *executor;
    struct agent *agent;
    struct prng prng;
    struct wanted *tasks;
    size_t count;
    struct map by_id;
    int64_t deaf_permille; // of the manager: reports that it does not acknowledge
    size_t reports, batches;
} sim;

static int64_t sim_now(void *context) {
    (void)context;
    return fake_machine_now_ms(sim.machine);
}

static void on_report(const struct task_report *report) {
    struct wanted *task = map_get(&sim.by_id, report->task_id.text);
    assert_non_null(task);
    const struct task_status *status = &report->status;
    if (task_state_is_over(task->told.state)) { // an end is told as it was told before, or not at all
        assert_true(status->state <= task->told.state);
    }
    if (task_state_is_over(status->state) && task_state_is_over(task->told.state)) {
        assert_int_equal(status->state, task->told.state);
        assert_int_equal(status->exit.code, task->exit_code);
        assert_string_equal(status->error, task->error);
    }
    if (status->state >= task->told.state) {
        task->told = *status;
        task->exit_code = status->exit.code;
        snprintf(task->error, sizeof task->error, "%s", status->error);
    }
    if ((int64_t)prng_below(&sim.prng, 1000) >= sim.deaf_permille) {
        agent_reported(sim.agent, &task->id, task->told.state);
    }
}

static void on_reports(void *context, const struct reports *reports) {
    (void)context;
    assert_true(reports->count > 0);
    sim.batches++;
    sim.reports += reports->count;
    for (size_t i = 0; i < reports->count; i++) {
        on_report(&reports->items[i]);
    }
}

static void forward(void *context, const struct executor_event *event) {
    (void)context;
    agent_on_event(sim.agent, event);
}

// A daemon begins, with an agent that recovers.
static void live(void) {
    struct error err = {0};
    sim.executor = executor_fake_new(sim.machine, forward, NULL);
    struct agent_options options = {
        .state_dir = sim.dir, .now_unix_ms = sim_now, .executor = sim.executor, .on_reports = on_reports};
    assert_int_equal(agent_new(&options, &sim.agent, &err), 0);
    assert_int_equal(agent_recover(sim.agent, &err), 0);
}

static void die(void) {
    sim.executor->ops->free(sim.executor);
    agent_free(sim.agent);
    sim.agent = NULL;
}

static void begin(uint64_t seed) {
    sim.machine = fake_machine_new(&(struct fake_options){.seed = seed,
                                                          .now_unix_ms = 1000,
                                                          .profile_count = sizeof profiles / sizeof *profiles,
                                                          .profiles = profiles});
    prng_seed(&sim.prng, seed);
    sim.tasks = xcalloc(TASKS_MAX, sizeof *sim.tasks);
    sim.count = sim.reports = sim.batches = 0;
    sim.deaf_permille = 0;
    live();
}

static int set_up(void **state) {
    (void)state;
    scratch_name(sim.dir, sizeof sim.dir, "agent");
    return mkdtemp(sim.dir) == NULL;
}

static void finish(void) {
    if (sim.machine != NULL) {
        die();
        fake_machine_free(sim.machine);
    }
    map_free(&sim.by_id);
    xfree(sim.tasks);
    sim.machine = NULL;
    sim.tasks = NULL;
}

static int tear_down(void **state) {
    (void)state;
    finish();
    return fs_remove_tree(AT_FDCWD, sim.dir, NULL);
}

static struct wanted *want(const char *image, int64_t desired) {
    struct wanted *task = &sim.tasks[sim.count++];
    *task = (struct wanted){.id = id_from_prng(&sim.prng),
                            .image = image,
                            .desired = desired,
                            .is_assigned = true,
                            .told = {.state = TASK_ASSIGNED, .message = "", .error = ""}};
    map_put(&sim.by_id, task->id.text, task);
    return task;
}

static struct assignment assignment_of(const struct wanted *task) {
    struct assignment assignment;
    schema_init(&assignment_schema, &assignment);
    assignment.task.meta.id = task->id;
    assignment.task.desired = task->desired;
    assignment.task.status = task->told;
    assignment.task.status.message = assignment.task.status.error = "";
    assignment.task.status.exit = (struct task_exit){0};
    assignment.spec.image = task->image;
    return assignment;
}

static void assign_all(void) {
    struct assignment *items = xcalloc(sim.count + 1, sizeof *items);
    struct assignments set = {.items = items};
    for (size_t i = 0; i < sim.count; i++) {
        if (sim.tasks[i].is_assigned) {
            items[set.count++] = assignment_of(&sim.tasks[i]);
        }
    }
    agent_assign(sim.agent, &set);
    xfree(items);
}

static void assign_one(const struct wanted *task) {
    struct assignment item = assignment_of(task);
    agent_assign_update(sim.agent, &(struct assignments){.count = 1, .items = &item}, NULL, 0);
}

static void release_one(struct wanted *task) {
    task->is_assigned = false;
    agent_assign_update(sim.agent, &(struct assignments){0}, &task->id, 1);
}

// Seconds of the machine's time, turn by turn.
static void pass(int64_t ms) {
    int64_t until_ms = fake_machine_now_ms(sim.machine) + ms;
    int64_t tick_ms = fake_machine_now_ms(sim.machine);
    agent_flush(sim.agent);
    while (fake_machine_now_ms(sim.machine) < until_ms) {
        int64_t next_ms = fake_machine_next_ms(sim.machine);
        tick_ms += 1000;
        while (next_ms < tick_ms && next_ms <= until_ms) {
            fake_machine_advance(sim.machine, next_ms);
            agent_flush(sim.agent);
            next_ms = fake_machine_next_ms(sim.machine);
        }
        fake_machine_advance(sim.machine, tick_ms < until_ms ? tick_ms : until_ms);
        agent_tick(sim.agent);
        agent_flush(sim.agent);
    }
}

static size_t files_kept(void) {
    char path[96];
    size_t count = 0;
    snprintf(path, sizeof path, "%s/assignments", sim.dir);
    DIR *dir = opendir(path);
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        count += entry->d_name[0] != '.';
    }
    closedir(dir);
    return count;
}

// --- one by one ---

static void tasks_run_and_are_reported_in_one_batch_a_turn(void **state) {
    (void)state;
    begin(1);
    for (int i = 0; i < 10; i++) {
        want("forever", TASK_RUNNING);
    }
    assign_all();
    assert_int_equal(sim.batches, 0); // nothing within the call
    agent_flush(sim.agent);
    assert_int_equal(sim.batches, 1);
    assert_int_equal(sim.reports, 10);
    assert_int_equal(sim.tasks[9].told.state, TASK_PREPARING);
    pass(5000);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(sim.tasks[i].told.state, TASK_RUNNING);
        assert_true(sim.tasks[i].told.pid > 0);
    }
    assign_all(); // the same set again changes nothing
    size_t before = sim.reports;
    pass(DAY_MS / 24);
    assert_int_equal(sim.reports, before);
    assert_int_equal(fake_machine_counts(sim.machine).starts, 10);
}

static void what_is_not_acknowledged_is_sent_again(void **state) {
    (void)state;
    begin(2);
    sim.deaf_permille = 1000;
    struct wanted *task = want("forever", TASK_RUNNING);
    assign_all();
    pass(3000);
    size_t before = sim.reports;
    pass(30000);
    assert_in_range(sim.reports - before, 4, 7);
    agent_reported(sim.agent, &task->id, TASK_STARTING); // of an older state
    before = sim.reports;
    pass(10000);
    assert_in_range(sim.reports - before, 1, 3);
    agent_reported(sim.agent, &task->id, TASK_RUNNING);
    before = sim.reports;
    pass(60000);
    assert_int_equal(sim.reports, before);
}

static void all_that_is_not_acknowledged_is_sent_again_at_a_word(void **state) {
    (void)state;
    begin(2);
    sim.deaf_permille = 1000;
    want("forever", TASK_RUNNING);
    struct wanted *known = want("forever", TASK_RUNNING);
    assign_all();
    pass(3000);
    agent_reported(sim.agent, &known->id, TASK_RUNNING);
    size_t before = sim.reports;
    agent_resend(sim.agent);
    agent_flush(sim.agent);
    assert_int_equal(sim.reports, before + 1);
}

static void what_is_not_in_the_set_goes(void **state) {
    (void)state;
    begin(3);
    struct wanted *stays = want("forever", TASK_RUNNING), *goes = want("forever", TASK_RUNNING);
    assign_all();
    pass(5000);
    assert_int_equal(files_kept(), 2);
    goes->is_assigned = false;
    assign_all();
    pass(60000);
    assert_int_equal(agent_task_count(sim.agent), 1);
    assert_int_equal(fake_machine_counts(sim.machine).present, 1);
    assert_int_equal(files_kept(), 1);
    assert_int_equal(stays->told.state, TASK_RUNNING);
    release_one(stays);
    pass(60000);
    assert_int_equal(agent_task_count(sim.agent), 0);
    assert_int_equal(files_kept(), 0);
}

static void a_restart_loses_no_task_and_no_exit(void **state) {
    (void)state;
    begin(4);
    struct wanted *forever = want("forever", TASK_RUNNING), *ends = want("short", TASK_RUNNING);
    struct wanted *waits = want("forever", TASK_READY);
    assign_all();
    pass(1000);
    assert_int_equal(ends->told.state, TASK_RUNNING);
    die();
    fake_machine_advance(sim.machine, fake_machine_now_ms(sim.machine) + 60000); // it ends unseen
    live();
    pass(1000);
    assert_int_equal(forever->told.state, TASK_RUNNING);
    assert_true(task_state_is_over(ends->told.state));
    assert_true(ends->told.since_unix_ms < 10000); // when it ended, not when that was found
    assert_int_equal(waits->told.state, TASK_READY);
    assert_int_equal(fake_machine_counts(sim.machine).starts, 2);
    die();
    live();
    waits->desired = TASK_RUNNING; // the first word of a manager comes after the recovery
    assign_all();
    pass(1000);
    assert_int_equal(waits->told.state, TASK_RUNNING);
    assert_int_equal(fake_machine_counts(sim.machine).starts, 3);
    assert_int_equal(fake_machine_counts(sim.machine).second_starts, 0);
}

static void what_nobody_assigned_is_removed(void **state) {
    (void)state;
    begin(5);
    want("forever", TASK_RUNNING);
    assign_all();
    pass(1000);
    die();
    char path[112];
    snprintf(path, sizeof path, "%s/assignments", sim.dir);
    assert_int_equal(fs_remove_tree(AT_FDCWD, path, NULL), 0);
    live();
    pass(1000);
    assert_int_equal(fake_machine_counts(sim.machine).present, 0);
    assign_all(); // the manager saw it running
    pass(1000);
    assert_int_equal(sim.tasks[0].told.state, TASK_FAILED);
    assert_int_equal(sim.tasks[0].told.reason, REASON_SUPERVISOR_LOST);
    assert_int_equal(fake_machine_counts(sim.machine).starts, 1);
}

static void a_reboot_fails_what_ran(void **state) {
    (void)state;
    begin(6);
    struct wanted *task = want("forever", TASK_RUNNING);
    assign_all();
    pass(1000);
    die();
    fake_machine_reboot(sim.machine);
    live();
    pass(1000);
    assert_int_equal(task->told.state, TASK_FAILED);
    assert_int_equal(task->told.reason, REASON_NODE_REBOOTED);
    assert_string_equal(task->error, "task: exit status unknown: node rebooted");
}

static void told_nobody(void *context, const struct reports *reports) {
    (void)context;
    (void)reports;
}

// Until it is told otherwise the agent is where nobody hears it.
static void reboot_alone(void) {
    struct error err = {0};
    die();
    fake_machine_reboot(sim.machine);
    sim.executor = executor_fake_new(sim.machine, forward, NULL);
    struct agent_options options = {
        .state_dir = sim.dir, .now_unix_ms = sim_now, .executor = sim.executor, .on_reports = told_nobody};
    assert_int_equal(agent_new(&options, &sim.agent, &err), 0);
    assert_int_equal(agent_recover(sim.agent, &err), 0);
    pass(1000);
}

static void after_a_reboot_without_managers_the_last_known_set_begins_anew(void **state) {
    (void)state;
    begin(15);
    want("forever", TASK_RUNNING);
    struct wanted *stopped = want("forever", TASK_RUNNING);
    assign_all();
    pass(1000);
    stopped->desired = TASK_SHUTDOWN;
    assign_all();
    pass(1000);
    for (int round = 1; round <= 2; round++) { // also what began anew itself
        reboot_alone();
        assert_int_equal(fake_machine_counts(sim.machine).running, 0);
        assert_int_equal(agent_start_again(sim.agent), 1);
        assert_int_equal(agent_start_again(sim.agent), 0);
        pass(1000);
        assert_int_equal(fake_machine_counts(sim.machine).running, 1);
        assert_int_equal(agent_start_again(sim.agent), 0);
        assert_int_equal(fake_machine_counts(sim.machine).starts, 2 + round);
    }
    assign_all(); // a manager is back, and knows them
    pass(1000);
    assert_int_equal(fake_machine_counts(sim.machine).running, 1);
    die();
    live();
    pass(1000);
    assert_int_equal(fake_machine_counts(sim.machine).running, 1);
    assert_int_equal(sim.tasks[0].told.state, TASK_RUNNING);
}

static void what_a_manager_has_assigned_since_a_reboot_does_not_begin_anew(void **state) {
    (void)state;
    begin(16);
    want("forever", TASK_RUNNING);
    assign_all();
    pass(1000);
    reboot_alone();
    assign_all();
    assert_int_equal(agent_start_again(sim.agent), 0);
    reboot_alone(); // it is known to have ended, and maybe replaced
    assert_int_equal(agent_start_again(sim.agent), 0);
}

static void each_damaged_file_fails_its_task_only(void **state) {
    (void)state;
    for (unsigned kind = 0; kind < 4; kind++) {
        begin(7 + kind);
        struct wanted *good = want("forever", TASK_RUNNING), *hurt = want("forever", TASK_RUNNING);
        assign_all();
        pass(1000);
        die();
        char path[128];
        AUTO_BUF bytes = {0};
        snprintf(path, sizeof path, "%s/assignments/%s", sim.dir, hurt->id.text);
        assert_int_equal(fs_read(AT_FDCWD, path, 100000, &bytes, NULL), 0);
        bytes.data[kind == 1 ? 8 : bytes.len / 2] ^= 1; // the version, or anything
        size_t len = kind == 2 ? 0 : kind == 3 ? bytes.len - 1 : bytes.len;
        assert_int_equal(fs_replace(AT_FDCWD, path, bytes.data, len, 0600, false, NULL), 0);
        live();
        pass(1000);
        assert_int_equal(good->told.state, TASK_RUNNING);
        assert_int_equal(hurt->told.state, TASK_FAILED);
        assert_int_equal(hurt->told.reason, REASON_INTERNAL);
        assert_true(str_starts(hurt->error, "task: what was kept of it on the node is damaged: "));
        assert_int_equal(fake_machine_counts(sim.machine).present, 1);
        assign_all();
        pass(1000);
        assert_int_equal(fake_machine_counts(sim.machine).starts, 2);
        release_one(hurt);
        release_one(good);
        pass(60000);
        assert_int_equal(files_kept(), 0);
        finish();
    }
}

static void on_a_full_disk_nothing_begins(void **state) {
    (void)state;
    begin(11);
    struct rlimit before, none;
    getrlimit(RLIMIT_FSIZE, &before);
    none = before;
    none.rlim_cur = 0;
    signal(SIGXFSZ, SIG_IGN);
    struct wanted *task = want("forever", TASK_RUNNING);
    setrlimit(RLIMIT_FSIZE, &none);
    assign_all();
    pass(10000);
    setrlimit(RLIMIT_FSIZE, &before);
    assert_int_equal(task->told.state, TASK_ACCEPTED);
    assert_int_equal(task->told.reason, REASON_NO_SPACE);
    assert_true(strstr(task->error, "File too large") != NULL);
    assert_int_equal(fake_machine_counts(sim.machine).present, 0);
    pass(10000);
    assert_int_equal(task->told.state, TASK_RUNNING);
}

static void what_programs_say_becomes_a_clean_text(void **state) {
    (void)state;
    begin(12);
    struct wanted *task = want("forever", TASK_RUNNING);
    AUTO_BUF long_text = {0};
    assign_all();
    pass(10);
    buf_adds(&long_text, "\xff bell\a ");
    buf_pad(&long_text, 'x', 5000);
    agent_on_event(sim.agent, &(struct executor_event){.kind = EXECUTOR_FAILED,
                                                       .task_id = task->id,
                                                       .class_ = CLASS_REJECT,
                                                       .message = buf_text(&long_text)});
    agent_flush(sim.agent);
    assert_int_equal(task->told.state, TASK_REJECTED);
    assert_true(str_starts(task->error, "\\xFF bell\\x07 x"));
    assert_in_range(strlen(task->told.error), 1000, 1100);
}

// --- many ---

static void two_thousand_tasks_in_one_set(void **state) {
    (void)state;
    begin(13);
    for (int i = 0; i < 2000; i++) {
        want("forever", TASK_RUNNING);
    }
    assign_all();
    pass(5000);
    assert_int_equal(fake_machine_counts(sim.machine).running, 2000);
    die();
    live();
    assign_all();
    pass(120000); // audits
    assert_int_equal(fake_machine_counts(sim.machine).running, 2000);
    assert_int_equal(fake_machine_counts(sim.machine).starts, 2000);
    for (size_t i = 0; i < sim.count; i++) {
        sim.tasks[i].is_assigned = false;
    }
    assign_all();
    pass(60000);
    assert_int_equal(files_kept(), 0);
}

// --- random lives ---

static struct wanted *any(void) {
    return &sim.tasks[prng_below(&sim.prng, sim.count)];
}

static void act_at_random(void) {
    static const int64_t rises[] = {TASK_RUNNING, TASK_RUNNING, TASK_SHUTDOWN, TASK_REMOVE};
    struct wanted *task;
    switch (prng_below(&sim.prng, 8)) {
    case 0:
    case 1:
        task = want(profiles[prng_below(&sim.prng, 4)].image,
                    prng_below(&sim.prng, 3) == 0 ? TASK_READY : TASK_RUNNING);
        assign_one(task);
        break;
    case 2:
    case 3:
        task = any();
        int64_t desired = rises[prng_below(&sim.prng, 4)];
        if (task->is_assigned && desired > task->desired) {
            task->desired = desired;
            assign_one(task);
        }
        break;
    case 4:
        task = any();
        if (prng_below(&sim.prng, 4) == 0 && task->is_assigned) {
            release_one(task);
        }
        break;
    case 5:
        assign_all();
        break;
    case 6:
        if (prng_below(&sim.prng, 6) == 0) {
            die();
            int64_t away_ms = (int64_t)prng_below(&sim.prng, 4000);
            fake_machine_advance(sim.machine, fake_machine_now_ms(sim.machine) + away_ms);
            live();
        }
        break;
    default:
        break;
    }
    pass((int64_t)prng_below(&sim.prng, 400));
}

static void check_rest(uint64_t seed) {
    size_t assigned = 0;
    for (size_t i = 0; i < sim.count; i++) {
        const struct wanted *task = &sim.tasks[i];
        int64_t is = task->told.state;
        bool lasts = str_equal(task->image, "forever") || str_equal(task->image, "deaf");
        bool is_good = !task->is_assigned || task_state_is_over(is) ||
                       (lasts && is == (task->desired == TASK_READY ? TASK_READY : TASK_RUNNING)) ||
                       (task->desired == TASK_READY && is == TASK_READY);
        is_good = is_good && (!task->is_assigned || task->desired < TASK_SHUTDOWN || task_state_is_over(is));
        if (lasts && task->desired <= TASK_RUNNING && task->is_assigned && task_state_is_over(is)) {
            is_good = false; // nothing ended it
        }
        if (!is_good) {
            fail_msg("seed %llu: task %zu (%s) is %s, wanted %s: %s", (unsigned long long)seed, i,
                     task->image, task_state_name(is), task_state_name(task->desired), task->error);
        }
        assigned += task->is_assigned;
    }
    struct fake_counts counts = fake_machine_counts(sim.machine);
    assert_int_equal(counts.second_starts, 0);
    assert_int_equal(agent_task_count(sim.agent), assigned);
    assert_int_equal(files_kept(), assigned);
    assert_true(counts.present <= assigned);
}

static void random_lives_come_to_rest(void **state) {
    (void)state;
    for (uint64_t seed = 100; seed < 160; seed++) {
        begin(seed);
        fake_machine_set_faults(sim.machine, 50, 50);
        sim.deaf_permille = 200;
        want("forever", TASK_RUNNING);
        for (int i = 0; i < 150; i++) {
            act_at_random();
        }
        fake_machine_set_faults(sim.machine, 0, 0);
        sim.deaf_permille = 0;
        assign_all();
        pass(180000);
        check_rest(seed);
        size_t reports = sim.reports;
        uint64_t events = fake_machine_counts(sim.machine).events;
        assign_all();
        pass(180000);
        assert_int_equal(sim.reports, reports); // a quiet node is quiet
        assert_int_equal(fake_machine_counts(sim.machine).events, events);
        check_rest(seed);
        for (size_t i = 0; i < sim.count; i++) {
            sim.tasks[i].is_assigned = false;
        }
        assign_all();
        pass(180000);
        assert_int_equal(agent_task_count(sim.agent), 0);
        assert_int_equal(fake_machine_counts(sim.machine).present, 0);
        finish();
    }
}

// --- on a loop ---

static void on_loop_reports(void *context, const struct reports *reports) {
    assert_int_equal(reports->count, 2);
    ++*(int *)context;
}

static void the_loop_flushes_at_the_end_of_a_turn(void **state) {
    (void)state;
    struct error err = {0};
    int calls = 0;
    uv_loop_t loop;
    begin(14);
    die();
    uv_loop_init(&loop);
    sim.executor = executor_fake_new(sim.machine, forward, NULL);
    struct agent_options options = {.loop = &loop,
                                    .state_dir = sim.dir,
                                    .executor = sim.executor,
                                    .on_reports = on_loop_reports,
                                    .context = &calls};
    assert_int_equal(agent_new(&options, &sim.agent, &err), 0);
    assert_int_equal(agent_recover(sim.agent, &err), 0);
    want("forever", TASK_RUNNING);
    want("forever", TASK_RUNNING);
    assign_all();
    assert_int_equal(calls, 0);
    uv_run(&loop, UV_RUN_ONCE);
    assert_int_equal(calls, 1);
    uv_run(&loop, UV_RUN_DEFAULT); // does not hang on an idle agent
    assert_int_equal(calls, 1);
    finish();
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
}

// --- the format ---

static void the_file_is_as_the_golden_one(void **state) {
    (void)state;
    static const char golden[] = "test/golden/format/v1/agent-assignment";
    struct wanted task = {.image = "busybox", .desired = TASK_RUNNING};
    id_parse("0123456789abcdefghijklmno", &task.id);
    task.told = (struct task_status){.state = TASK_STARTING, .message = "starting", .error = ""};
    struct assignment assignment = assignment_of(&task);
    assignment.service_name = "web";
    AUTO_BUF encoded = {0}, file = {0}, kept = {0};
    AUTO_ARENA arena = {0};
    wire_encode(&assignment_schema, &assignment, &encoded);
    agent_file_encode(&(struct agent_file){buf_bytes(&encoded), task.told}, &file);
    if (getenv("UPDATE_GOLDEN") != NULL) {
        assert_int_equal(fs_replace(AT_FDCWD, golden, file.data, file.len, 0644, false, NULL), 0);
    }
    assert_int_equal(fs_read(AT_FDCWD, golden, 100000, &kept, NULL), 0);
    assert_int_equal(kept.len, file.len);
    assert_memory_equal(kept.data, file.data, file.len);
    struct agent_file out;
    struct error err = {0};
    assert_int_equal(agent_file_decode(buf_bytes(&kept), &task.id, &out, &assignment, &arena, &err), 0);
    assert_string_equal(assignment.spec.image, "busybox");
    assert_int_equal(out.status.state, TASK_STARTING);
    task.id.text[0] = 'z';
    assert_int_equal(agent_file_decode(buf_bytes(&kept), &task.id, &out, &assignment, &arena, &err),
                     -ERR_CORRUPT);
}

// --- secrets ---

static struct file_reference wanted_secret = {
    .source = "key", .target = "", .uid = "0", .gid = "0", .signal = ""};
static const struct bytes value = {(const uint8_t *)"canary-of-the-agent", 19};

// Assigns the task with a secret, which comes along or not.
static void assign_secret(const struct wanted *task, struct assigned_file file, bool has_value) {
    struct assignment item = assignment_of(task);
    struct assigned_content content = {.id = file.content, .data = value};
    item.spec.secrets.count = item.files.count = 1;
    item.spec.secrets.items = &wanted_secret;
    item.files.items = &file;
    agent_assign_update(
        sim.agent,
        &(struct assignments){
            .count = 1, .items = &item, .content_count = has_value ? 1 : 0, .contents = &content},
        NULL, 0);
}

static struct assigned_file file_of(const char *trouble) {
    return (struct assigned_file){
        .kind = KIND_SECRET, .name = "key", .content = id_from_prng(&sim.prng), .trouble = trouble};
}

static bool is_on_shelf(const struct id *content) {
    struct shelf_item *item = shelf_use(sim.executor->shelf, content);
    shelf_leave(item);
    return item != NULL;
}

static void a_task_with_a_secret_has_it_until_it_ends(void **state) {
    (void)state;
    begin(1);
    struct wanted *task = want("forever", TASK_RUNNING);
    struct assigned_file file = file_of("");
    assign_secret(task, file, true);
    assert_true(is_on_shelf(&file.content));
    pass(1000);
    assert_int_equal(task->told.state, TASK_RUNNING);
    AUTO_BUF kept = {0};
    char path[128];
    snprintf(path, sizeof path, "%s/assignments/%s", sim.dir, task->id.text);
    assert_int_equal(fs_read(AT_FDCWD, path, 1 << 20, &kept, NULL), 0);
    assert_null(memmem(buf_text(&kept), kept.len, value.data, value.len));
    assert_non_null(memmem(buf_text(&kept), kept.len, file.content.text, ID_LEN));
    task->desired = TASK_SHUTDOWN;
    assign_secret(task, file, true);
    pass(1000);
    assert_true(task_state_is_over(task->told.state));
    assert_false(is_on_shelf(&file.content));
}

static void a_task_waits_for_a_secret_that_is_not_there(void **state) {
    (void)state;
    begin(1);
    struct wanted *task = want("forever", TASK_RUNNING);
    struct assigned_file file = file_of("the leader has no key");
    assign_secret(task, file, false);
    pass(1000);
    assert_int_equal(task->told.state, TASK_PREPARING);
    assert_int_equal(task->told.reason, REASON_CONTENT_AWAITED);
    die(); // what was kept has no value in it
    live();
    pass(40000); // longer than it takes to compare with the executor
    assert_int_equal(task->told.state, TASK_PREPARING);
    file.trouble = "";
    assign_secret(task, file, true);
    pass(1000);
    assert_int_equal(task->told.state, TASK_RUNNING);
}

static void one_that_waits_can_be_stopped(void **state) {
    (void)state;
    begin(1);
    struct wanted *task = want("forever", TASK_RUNNING);
    struct assigned_file file = file_of("");
    assign_secret(task, file, false);
    pass(1000);
    task->desired = TASK_SHUTDOWN;
    assign_secret(task, file, true); // too late
    pass(1000);
    assert_true(task_state_is_over(task->told.state));
    assert_false(is_on_shelf(&file.content));
}

static void a_secret_that_does_not_exist_is_a_reason_to_reject(void **state) {
    (void)state;
    begin(1);
    struct wanted *task = want("forever", TASK_RUNNING);
    struct assigned_file file = file_of("");
    file.content = (struct id){{0}};
    file.is_missing = true;
    assign_secret(task, file, false);
    pass(1000);
    assert_int_equal(task->told.state, TASK_REJECTED);
    assert_int_equal(task->told.reason, REASON_CONTENT_NOT_FOUND);
    assert_non_null(strstr(task->error, "secret 'key' not found"));
}

int main(void) {
    static const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(a_task_with_a_secret_has_it_until_it_ends),
        TEST(a_task_waits_for_a_secret_that_is_not_there),
        TEST(one_that_waits_can_be_stopped),
        TEST(a_secret_that_does_not_exist_is_a_reason_to_reject),
        TEST(tasks_run_and_are_reported_in_one_batch_a_turn),
        TEST(what_is_not_acknowledged_is_sent_again),
        TEST(all_that_is_not_acknowledged_is_sent_again_at_a_word),
        TEST(what_is_not_in_the_set_goes),
        TEST(a_restart_loses_no_task_and_no_exit),
        TEST(what_nobody_assigned_is_removed),
        TEST(a_reboot_fails_what_ran),
        TEST(after_a_reboot_without_managers_the_last_known_set_begins_anew),
        TEST(what_a_manager_has_assigned_since_a_reboot_does_not_begin_anew),
        TEST(each_damaged_file_fails_its_task_only),
        TEST(on_a_full_disk_nothing_begins),
        TEST(what_programs_say_becomes_a_clean_text),
        TEST(two_thousand_tasks_in_one_set),
        TEST(random_lives_come_to_rest),
        TEST(the_loop_flushes_at_the_end_of_a_turn),
        TEST(the_file_is_as_the_golden_one),
#undef TEST
    };
    log_configure(&(struct log_options){.level = LOG_ERROR, .fd = -1});
    return cmocka_run_group_tests_name(__FILE__, tests, NULL, NULL);
}
