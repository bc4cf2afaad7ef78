// SPDX-License-Identifier: Apache-2.0
//
// test/lib/executor_suite.c — what every executor must do, as one list of tests.
//
// Each task has a record of its events; waiting is for a condition on that record. That nothing happens
// inside a call is checked at every event, and so is the order: RUNNING after PREPARED, nothing but a
// repetition behind an end.
#include "test/lib/executor_suite.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/str.h"
#include "reconciler/agent/task_log.h"
#include "specs/health.h"
#include "test/lib/check.h"

#define DEADLINE_MS 60000 // for a machine under load; nothing waits for it to pass
#define HOUR_MS 3600000
#define TASKS_MAX 16

const char *const suite_program_names[PROGRAM_COUNT] = {
#define X(name, image, script) image,
    SUITE_PROGRAM_LIST(X)
#undef X
};
static const char *const scripts[PROGRAM_COUNT] = {
#define X(name, image, script) script,
    SUITE_PROGRAM_LIST(X)
#undef X
};

void suite_shape_shell(enum suite_program program, struct assignment *assignment, struct arena *arena) {
    const char *argv[] = {"/bin/sh", "-c", scripts[program]};
    size_t count = 3;
    if (program == PROGRAM_MISSING) {
        argv[0] = "/no/such/program";
        count = 1;
    }
    assignment->spec.entrypoint.count = count;
    assignment->spec.entrypoint.items = arena_copy(arena, argv, count * sizeof *argv);
}

bool suite_find_shim(char *out, size_t out_bytes) {
    const char *given = getenv("SHIM");
    char self[4000];
    ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
    ASSERT(len > 0);
    self[len] = '\0';
    char *test = strstr(self, "/test/"); // BUILD/test/FLAVOUR/…; the shim is the same in every flavour
    if (given == NULL && test != NULL) {
        *test = '\0';
    }
    snprintf(out, out_bytes, "%s%s", given != NULL ? given : self, given != NULL ? "" : "/muster-shim");
    return access(out, X_OK) == 0;
}

struct seen {
    struct id id;
    int prepared, running, exited, failed, removed;
    int64_t pid;
    struct task_exit exit;
    int64_t reason;
    char message[256];
    int healthy, unhealthy; // events that say so
    bool is_checked;
    bool is_listed;
    enum executor_presence presence;
};

static const struct executor_suite *suite;
static struct executor *executor;
static struct arena arena;
static struct seen seen[TASKS_MAX];
static size_t seen_count;
static bool is_in_call;

static struct seen *find(const struct id *id) {
    for (size_t i = 0; i < seen_count; i++) {
        if (id_equal(&seen[i].id, id)) {
            return &seen[i];
        }
    }
    return NULL;
}

static void on_end(struct seen *task, const struct executor_event *event) {
    bool is_first = task->exited + task->failed == 0;
    if (event->kind == EXECUTOR_EXITED) {
        assert_int_equal(task->failed, 0);
        assert_true(is_first || (task->exit.kind == event->exit.kind && task->exit.code == event->exit.code));
        task->exited++;
        task->exit = event->exit;
    } else {
        assert_int_equal(task->exited, 0);
        task->failed++;
    }
    task->reason = event->reason;
    snprintf(task->message, sizeof task->message, "%s", event->message);
}

static void on_event(void *context, const struct executor_event *event) {
    (void)context;
    struct seen *task = find(&event->task_id);
    assert_false(is_in_call);
    assert_non_null(event->message);
    assert_true(event->kind == EXECUTOR_PROGRESS || event->time_unix_ms > 0);
    if (task == NULL) {
        return; // of an earlier test, being removed
    }
    if (event->kind != EXECUTOR_REMOVED) {
        assert_int_equal(task->removed, 0);
    }
    switch (event->kind) {
    case EXECUTOR_PROGRESS:
        assert_int_equal(task->running + task->exited + task->failed, 0);
        break;
    case EXECUTOR_PREPARED:
        assert_int_equal(task->running + task->exited + task->failed, 0);
        task->prepared++;
        break;
    case EXECUTOR_RUNNING:
        assert_true(task->prepared > 0 || task->is_listed);
        assert_int_equal(task->exited + task->failed, 0);
        assert_true(event->pid > 0 && (task->pid == 0 || task->pid == event->pid));
        task->pid = event->pid;
        task->running++;
        assert_int_equal(event->health != HEALTH_NONE, task->is_checked);
        task->healthy += event->health == HEALTH_HEALTHY;
        task->unhealthy += event->health == HEALTH_UNHEALTHY;
        break;
    case EXECUTOR_EXITED:
    case EXECUTOR_FAILED:
        on_end(task, event);
        break;
    case EXECUTOR_REMOVED:
        task->removed++;
        break;
    }
}

// --- calls ---

static void prepare(struct seen *task, enum suite_program program) {
    struct assignment assignment;
    schema_init(&assignment_schema, &assignment);
    assignment.task.meta.id = task->id;
    assignment.task.service_id = task->id;
    assignment.task.slot = 1;
    assignment.task.desired = TASK_RUNNING;
    assignment.service_name = assignment.spec.name = "suite";
    assignment.node_hostname = "node";
    static const char *const tests[] = {"exit 0", "echo no; exit 1"};
    static struct health_check check = {.interval_ns = 10 * NS_PER_MS, .retries = 2};
    task->is_checked = program == PROGRAM_WELL || program == PROGRAM_SICK;
    if (task->is_checked) {
        check.test = health_test_from_text(tests[program == PROGRAM_SICK], &arena);
        assignment.spec.healthcheck = &check;
    }
    suite->shape(suite->context, program, &assignment, &arena);
    is_in_call = true;
    executor->ops->prepare(executor, &assignment);
    is_in_call = false;
}

static void start(struct seen *task) {
    is_in_call = true;
    executor->ops->start(executor, &task->id);
    is_in_call = false;
}

static void stop(struct seen *task, int signal_number, int64_t grace_ms) {
    is_in_call = true;
    executor->ops->stop(executor, &task->id, signal_number, grace_ms);
    is_in_call = false;
}

static void remove_it(struct seen *task) {
    is_in_call = true;
    executor->ops->remove(executor, &task->id);
    is_in_call = false;
}

static void on_listed(void *context, const struct id *id, enum executor_presence presence) {
    struct seen *task = find(id);
    (void)context;
    if (task != NULL) {
        task->is_listed = true;
        task->presence = presence;
    }
}

static void list(void) {
    struct error err = {0};
    for (size_t i = 0; i < seen_count; i++) {
        seen[i].is_listed = false;
    }
    is_in_call = true;
    assert_int_equal(executor->ops->list(executor, on_listed, NULL, &err), 0);
    is_in_call = false;
}

// Until one of the counters (or their sum) is above what it was.
#define AWAIT(condition)                                                                                     \
    do {                                                                                                     \
        int64_t until_ms_ = clock_mono_ms() + DEADLINE_MS;                                                   \
        while (!(condition)) {                                                                               \
            if (clock_mono_ms() > until_ms_) {                                                               \
                fail_msg("never came true: %s", #condition);                                                 \
            }                                                                                                \
            suite->turn(suite->context);                                                                     \
        }                                                                                                    \
    } while (0)

static struct seen *task_new(void) {
    ASSERT(seen_count < TASKS_MAX);
    struct seen *task = &seen[seen_count++];
    *task = (struct seen){.id = id_random()};
    return task;
}

static struct seen *task_prepared(enum suite_program program) {
    struct seen *task = task_new();
    prepare(task, program);
    AWAIT(task->prepared > 0 || task->failed > 0);
    assert_string_equal(task->message, "");
    assert_int_equal(task->failed, 0);
    return task;
}

static struct seen *task_running(enum suite_program program) {
    struct seen *task = task_prepared(program);
    start(task);
    AWAIT(task->running > 0 || task->failed > 0);
    assert_string_equal(task->message, "");
    assert_int_equal(task->failed, 0);
    return task;
}

static struct seen *task_ended(enum suite_program program) {
    struct seen *task = task_running(program);
    AWAIT(task->exited > 0);
    return task;
}

// Lines of the log whose text begins so.
static size_t log_count(const struct seen *task, const char *text, bool is_stderr) {
    const char *path = executor->ops->log_path(executor, &task->id, &arena);
    struct task_log *log = NULL;
    struct task_log_line line;
    struct error err = {0};
    size_t count = 0;
    assert_non_null(path);
    assert_int_equal(task_log_open(&(struct task_log_options){.path = path, .tail = -1}, &log, &err), 0);
    while (task_log_next(log, &line, &err) == 0) {
        count += line.is_stderr == is_stderr && line.text.len >= strlen(text) &&
                 memcmp(line.text.data, text, strlen(text)) == 0;
    }
    task_log_close(log);
    return count;
}

// So that a signal finds its trap set.
static void await_ready(const struct seen *task) {
    if (suite->has_logs) {
        AWAIT(log_count(task, "ready", false) > 0);
    }
}

static void reopen(void) {
    executor->ops->free(executor);
    executor = suite->open(suite->context, on_event, NULL);
    assert_non_null(executor);
}

static int set_up(void **state) {
    (void)state;
    executor = suite->open(suite->context, on_event, NULL);
    return executor == NULL;
}

static int tear_down(void **state) {
    (void)state;
    for (size_t i = 0; i < seen_count; i++) {
        seen[i].removed = 0;
        remove_it(&seen[i]);
        AWAIT(seen[i].removed > 0);
    }
    list();
    for (size_t i = 0; i < seen_count; i++) {
        if (seen[i].is_listed) {
            return 1;
        }
    }
    seen_count = 0;
    executor->ops->free(executor);
    arena_free(&arena);
    return 0;
}

// --- what a task does ---

static void an_exit_code_arrives(void **state) {
    (void)state;
    struct seen *task = task_ended(PROGRAM_EXIT_7);
    assert_int_equal(task->exit.kind, EXIT_CODE);
    assert_int_equal(task->exit.code, 7);
    assert_false(task->exit.oom);
    assert_true(task->exit.time_unix_ms > 0);
    task = task_ended(PROGRAM_EXIT_0);
    assert_int_equal(task->exit.kind, EXIT_CODE);
    assert_int_equal(task->exit.code, 0);
}

static bool has_zombie(void) {
    siginfo_t info = {0};
    return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid != 0;
}

// Runs first: a shim that an earlier life of the executor started is nobody's to wait for.
static void no_zombie_is_left_of_what_ended(void **state) {
    (void)state;
    (void)task_ended(PROGRAM_EXIT_0);
    (void)task_ended(PROGRAM_EXIT_7);
    AWAIT(!has_zombie());
}

static void what_ended_is_listed_until_it_is_removed(void **state) {
    (void)state;
    list(); // as a daemon begins: what is there now is found, what comes is known
    struct seen *ended = task_ended(PROGRAM_EXIT_7), *missing = task_new();
    prepare(missing, PROGRAM_MISSING);
    AWAIT(missing->prepared > 0 || missing->failed > 0);
    for (int i = 0; i < 2; i++) { // once more when what running needed is undone
        list();
        assert_true(ended->is_listed && missing->is_listed);
        assert_int_equal(ended->presence, PRESENCE_EXITED);
        (void)task_ended(PROGRAM_EXIT_0);
    }
    remove_it(ended);
    AWAIT(ended->removed > 0);
    list();
    assert_false(ended->is_listed);
}

static void a_signal_that_ended_it_arrives(void **state) {
    (void)state;
    struct seen *task = task_ended(PROGRAM_CRASH);
    assert_int_equal(task->exit.kind, EXIT_SIGNAL);
    assert_int_equal(task->exit.signal, SIGSEGV);
    assert_int_equal(task->exit.code, 128 + SIGSEGV);
}

static void nothing_runs_before_start(void **state) {
    (void)state;
    struct seen *task = task_prepared(PROGRAM_PRINT);
    struct seen *other = task_ended(PROGRAM_EXIT_0); // in its time the first one would have run
    assert_int_equal(other->exited, 1);
    assert_int_equal(task->running, 0);
    list();
    assert_true(task->is_listed);
    assert_int_equal(task->presence, PRESENCE_PREPARED);
}

static void a_missing_program_is_told(void **state) {
    (void)state;
    struct seen *task = task_new();
    prepare(task, PROGRAM_MISSING);
    AWAIT(task->prepared > 0 || task->failed > 0);
    if (task->failed == 0) {
        start(task);
        AWAIT(task->failed > 0);
    }
    assert_true(task->message[0] != '\0');
    assert_int_equal(task->running, 0);
}

static void calls_may_be_repeated(void **state) {
    (void)state;
    struct seen *task = task_new();
    prepare(task, PROGRAM_FOREVER);
    prepare(task, PROGRAM_FOREVER);
    AWAIT(task->prepared > 0);
    prepare(task, PROGRAM_FOREVER);
    start(task);
    start(task);
    AWAIT(task->running > 0);
    start(task);
    AWAIT(task->running > 1);
    await_ready(task);
    if (suite->has_logs) {
        assert_int_equal(log_count(task, "ready", false), 1);
    }
    stop(task, SIGTERM, HOUR_MS);
    stop(task, SIGTERM, HOUR_MS);
    AWAIT(task->exited > 0);
    assert_int_equal(task->exit.kind, EXIT_CODE);
    assert_int_equal(task->exit.code, 3);
}

static void what_is_so_is_told_again(void **state) {
    (void)state;
    struct seen *task = task_prepared(PROGRAM_EXIT_7);
    prepare(task, PROGRAM_EXIT_7);
    AWAIT(task->prepared > 1);
    start(task);
    AWAIT(task->exited > 0);
    int told = task->exited;
    stop(task, SIGTERM, 0);
    AWAIT(task->exited > told);
    told = task->exited;
    start(task);
    AWAIT(task->exited > told); // and no second run: on_event sees to it
    told = task->exited;
    prepare(task, PROGRAM_EXIT_7);
    AWAIT(task->exited > told);
    assert_int_equal(task->exit.code, 7);
}

// --- stopping ---

static void stop_gives_the_signal(void **state) {
    (void)state;
    struct seen *task = task_running(PROGRAM_FOREVER);
    await_ready(task);
    stop(task, /* signal: SIGTERM unless the image says otherwise */ 0, HOUR_MS);
    AWAIT(task->exited > 0);
    assert_int_equal(task->exit.kind, EXIT_CODE);
    assert_int_equal(task->exit.code, 3);
}

static void the_deaf_are_killed_after_the_grace(void **state) {
    (void)state;
    struct seen *task = task_running(PROGRAM_DEAF);
    await_ready(task);
    stop(task, SIGTERM, 200);
    AWAIT(task->exited > 0);
    assert_int_equal(task->exit.kind, EXIT_SIGNAL);
    assert_int_equal(task->exit.signal, SIGKILL);
}

static void a_grace_may_be_shortened(void **state) {
    (void)state;
    struct seen *task = task_running(PROGRAM_DEAF);
    await_ready(task);
    stop(task, SIGTERM, HOUR_MS);
    stop(task, SIGTERM, 0);
    AWAIT(task->exited > 0);
    assert_int_equal(task->exit.signal, SIGKILL);
}

static void what_was_not_started_is_given_up(void **state) {
    (void)state;
    struct seen *task = task_prepared(PROGRAM_FOREVER);
    stop(task, SIGTERM, HOUR_MS);
    AWAIT(task->exited > 0);
    int told = task->exited;
    start(task);
    AWAIT(task->exited > told);
    struct seen *preparing = task_new();
    prepare(preparing, PROGRAM_FOREVER);
    stop(preparing, SIGTERM, HOUR_MS);
    AWAIT(preparing->exited > 0);
    struct seen *unknown = task_new();
    stop(unknown, SIGTERM, HOUR_MS);
    AWAIT(unknown->exited > 0);
    assert_int_equal(unknown->exit.kind, EXIT_NONE);
}

// --- removing ---

static void remove_works_in_any_state(void **state) {
    (void)state;
    struct seen *unknown = task_new(), *preparing = task_new();
    struct seen *prepared = task_prepared(PROGRAM_FOREVER), *running = task_running(PROGRAM_DEAF);
    struct seen *ended = task_ended(PROGRAM_EXIT_7);
    struct seen *all[] = {unknown, preparing, prepared, running, ended};
    prepare(preparing, PROGRAM_FOREVER);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        remove_it(all[i]);
        remove_it(all[i]);
        AWAIT(all[i]->removed > 0);
    }
    list();
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        assert_false(all[i]->is_listed);
        int told = all[i]->removed;
        remove_it(all[i]);
        AWAIT(all[i]->removed > told);
    }
    if (suite->has_logs) {
        assert_true(running->pid > 0 && (kill((pid_t)running->pid, 0) != 0));
    }
}

// --- the daemon's death ---

static void a_new_daemon_finds_all(void **state) {
    (void)state;
    struct seen *prepared = task_prepared(PROGRAM_FOREVER);
    struct seen *running = task_running(PROGRAM_FOREVER);
    struct seen *ended = task_ended(PROGRAM_EXIT_7);
    struct seen *ending = task_running(PROGRAM_EXIT_7);
    await_ready(running);
    running->running = ended->exited = ending->exited = ending->running = 0;
    reopen();
    list();
    assert_true(prepared->is_listed && running->is_listed && ended->is_listed && ending->is_listed);
    assert_int_equal(prepared->presence, PRESENCE_PREPARED);
    assert_int_equal(running->presence, PRESENCE_RUNNING);
    assert_int_equal(ended->presence, PRESENCE_EXITED);
    AWAIT(ended->exited > 0 && ending->exited > 0);
    assert_int_equal(ended->exit.code, 7);
    assert_int_equal(ending->exit.code, 7);
    start(prepared);
    AWAIT(prepared->running > 0);
    await_ready(prepared);
    stop(running, SIGTERM, HOUR_MS);
    stop(prepared, SIGTERM, HOUR_MS);
    AWAIT(running->exited > 0 && prepared->exited > 0);
    assert_int_equal(running->exit.code, 3);
    assert_int_equal(prepared->exit.code, 3);
}

static void a_new_daemon_starts_nothing_twice(void **state) {
    (void)state;
    struct seen *task = task_running(PROGRAM_FOREVER);
    int64_t pid = task->pid;
    reopen();
    list();
    prepare(task, PROGRAM_FOREVER);
    start(task);
    task->running = 0;
    AWAIT(task->running > 0);
    assert_int_equal(task->pid, pid);
    reopen();
    list();
    stop(task, SIGKILL, 0);
    AWAIT(task->exited > 0);
    assert_int_equal(task->exit.signal, SIGKILL);
    reopen();
    list();
    start(task);
    int told = task->exited;
    AWAIT(task->exited > told);
    assert_int_equal(task->exit.signal, SIGKILL);
}

static void a_preparation_that_was_cut_off_goes_on(void **state) {
    (void)state;
    struct seen *task = task_new();
    prepare(task, PROGRAM_EXIT_7);
    reopen();
    list();
    prepare(task, PROGRAM_EXIT_7);
    AWAIT(task->prepared > 0);
    start(task);
    AWAIT(task->exited > 0);
    assert_int_equal(task->exit.code, 7);
}

// --- health ---

static void a_checked_task_is_starting_until_it_is_well(void **state) {
    (void)state;
    struct seen *task = task_running(PROGRAM_WELL);
    AWAIT(task->healthy > 0);
    list();
    assert_int_equal(task->presence, PRESENCE_RUNNING);
    task->healthy = 0;
    start(task); // what is so is told again
    AWAIT(task->healthy > 0);
    struct seen *other = task_running(PROGRAM_FOREVER);
    assert_int_equal(other->healthy + other->unhealthy, 0);
}

static void a_sick_task_is_told_once_and_runs_until_it_is_stopped(void **state) {
    (void)state;
    struct seen *task = task_running(PROGRAM_SICK);
    AWAIT(task->unhealthy > 0);
    list();
    assert_int_equal(task->presence, PRESENCE_STARTING);
    await_ready(task);
    assert_int_equal(task->healthy + task->exited, 0);
    assert_int_equal(task->unhealthy, 1);
    stop(task, 0, HOUR_MS);
    AWAIT(task->exited > 0);
    assert_int_equal(task->exit.code, 3);
}

static void a_new_daemon_checks_anew(void **state) {
    (void)state;
    struct seen *task = task_running(PROGRAM_WELL);
    AWAIT(task->healthy > 0);
    reopen();
    task->healthy = 0;
    list();
    assert_true(task->is_listed);
    start(task);
    AWAIT(task->healthy > 0);
    list();
    assert_int_equal(task->presence, PRESENCE_RUNNING);
}

// --- logs ---

static void what_it_prints_is_logged(void **state) {
    (void)state;
    if (!suite->has_logs) {
        return;
    }
    struct seen *task = task_ended(PROGRAM_PRINT);
    assert_int_equal(log_count(task, "one", false), 1);
    assert_int_equal(log_count(task, "two", false), 1);
    assert_int_equal(log_count(task, "three", true), 1);
    assert_int_equal(log_count(task, "no newline", false), 1);
    assert_int_equal(log_count(task, "", false), 3);
}

static const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    TEST(no_zombie_is_left_of_what_ended),
    TEST(an_exit_code_arrives),
    TEST(what_ended_is_listed_until_it_is_removed),
    TEST(a_signal_that_ended_it_arrives),
    TEST(nothing_runs_before_start),
    TEST(a_missing_program_is_told),
    TEST(calls_may_be_repeated),
    TEST(what_is_so_is_told_again),
    TEST(stop_gives_the_signal),
    TEST(the_deaf_are_killed_after_the_grace),
    TEST(a_grace_may_be_shortened),
    TEST(what_was_not_started_is_given_up),
    TEST(remove_works_in_any_state),
    TEST(a_new_daemon_finds_all),
    TEST(a_new_daemon_starts_nothing_twice),
    TEST(a_preparation_that_was_cut_off_goes_on),
    TEST(a_checked_task_is_starting_until_it_is_well),
    TEST(a_sick_task_is_told_once_and_runs_until_it_is_stopped),
    TEST(a_new_daemon_checks_anew),
    TEST(what_it_prints_is_logged),
#undef TEST
};

int executor_suite_main(const struct executor_suite *with) {
    suite = with;
    return cmocka_run_group_tests_name(with->name, tests, NULL, NULL);
}
