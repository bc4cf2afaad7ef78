// SPDX-License-Identifier: Apache-2.0
//
// test/unit/test_agent_taskrun.c — one task step by step: the words users see, and what no order of events
// can bring about.
#include "reconciler/agent/taskrun.h"

#include <signal.h>
#include <string.h>

#include "base/assert.h"
#include "base/prng.h"
#include "test/lib/check.h"

static struct arena arena;
static struct taskrun run;
static struct taskrun_effects effects;
static int64_t now = 1000;

static unsigned step(const struct taskrun_event *event) {
    struct taskrun before = run;
    taskrun_step(&before, event, ++now, &arena, &run, &effects);
    return effects.mask & ~(unsigned)EFFECT_REPORT;
}

static unsigned wish(int64_t desired) {
    return step(&(struct taskrun_event){.kind = TASKRUN_ON_WISH,
                                        .wish = {.desired = desired, .signal = SIGINT, .grace_ms = 77}});
}

static unsigned kept(void) {
    return step(&(struct taskrun_event){.kind = TASKRUN_ON_KEPT});
}

static unsigned release(void) {
    return step(&(struct taskrun_event){.kind = TASKRUN_ON_RELEASE});
}

static unsigned listed(enum executor_presence presence) {
    return step(&(struct taskrun_event){.kind = TASKRUN_ON_LIST, .is_present = true, .presence = presence});
}

static unsigned not_listed(void) {
    return step(&(struct taskrun_event){.kind = TASKRUN_ON_LIST});
}

static unsigned seen(struct executor_event event) {
    event.message = event.message == NULL ? "" : event.message;
    return step(&(struct taskrun_event){.kind = TASKRUN_ON_EXECUTOR, .executor = &event});
}

static unsigned seen_kind(enum executor_event_kind kind) {
    return seen((struct executor_event){.kind = kind});
}

static unsigned exited(enum exit_kind kind, int64_t code, int64_t signal_number, bool oom) {
    return seen((struct executor_event){
        .kind = EXECUTOR_EXITED, .exit = {.kind = kind, .code = code, .signal = signal_number, .oom = oom}});
}

static unsigned failed(enum executor_class class_, const char *message) {
    return seen((struct executor_event){.kind = EXECUTOR_FAILED, .class_ = class_, .message = message});
}

static void begin(int64_t known) {
    run = taskrun_new(&(struct task_status){.state = known, .message = "", .error = ""});
}

static void begin_running(void) {
    begin(TASK_ASSIGNED);
    wish(TASK_RUNNING);
    kept();
    seen_kind(EXECUTOR_PREPARED);
    seen((struct executor_event){.kind = EXECUTOR_RUNNING, .pid = 42});
    assert_int_equal(run.status.state, TASK_RUNNING);
}

static void says(int64_t state, int64_t reason, const char *message, const char *error) {
    assert_string_equal(task_state_name(run.status.state), task_state_name(state));
    assert_int_equal(run.status.reason, reason);
    assert_string_equal(run.status.message, message);
    assert_string_equal(run.status.error, error);
}

static int clean(void **state) {
    (void)state;
    arena_free(&arena);
    return 0;
}

// --- a life ---

static void a_task_goes_all_the_way(void **state) {
    (void)state;
    begin(TASK_ASSIGNED);
    assert_int_equal(wish(TASK_RUNNING), EFFECT_KEEP);
    says(TASK_ACCEPTED, REASON_NONE, "accepted", "");
    assert_int_equal(kept(), EFFECT_PREPARE);
    says(TASK_PREPARING, REASON_NONE, "preparing", "");
    assert_int_equal(seen((struct executor_event){.kind = EXECUTOR_PROGRESS,
                                                  .reason = REASON_IMAGE_PULLING,
                                                  .message = "pulling busybox"}),
                     0);
    assert_true((effects.mask & EFFECT_REPORT) != 0);
    says(TASK_PREPARING, REASON_IMAGE_PULLING, "preparing: pulling busybox", "");
    assert_int_equal(seen_kind(EXECUTOR_PREPARED), EFFECT_KEEP | EFFECT_START);
    says(TASK_STARTING, REASON_NONE, "starting", "");
    assert_int_equal(seen((struct executor_event){.kind = EXECUTOR_RUNNING, .pid = 42, .time_unix_ms = 5}),
                     0);
    says(TASK_RUNNING, REASON_NONE, "started", "");
    assert_int_equal(run.status.pid, 42);
    assert_int_equal(run.status.since_unix_ms, 5);
    assert_int_equal(exited(EXIT_CODE, 0, 0, false), EFFECT_KEEP);
    says(TASK_COMPLETE, REASON_NONE, "finished", "");
    assert_int_equal(run.status.pid, 0);
    assert_int_equal(release(), EFFECT_REMOVE);
    assert_int_equal(seen_kind(EXECUTOR_REMOVED), EFFECT_FORGET);
}

// --- health ---

static unsigned checked(enum health_state health, const char *why) {
    static struct health_result results[] = {{.exit_code = 1, .output = "no"}};
    static const struct health_results list = {1, results};
    return seen((struct executor_event){
        .kind = EXECUTOR_RUNNING, .pid = 42, .health = health, .health_results = &list, .message = why});
}

static void begin_checked(void) {
    begin(TASK_ASSIGNED);
    wish(TASK_RUNNING);
    kept();
    seen_kind(EXECUTOR_PREPARED);
    assert_int_equal(checked(HEALTH_STARTING, ""), 0);
    says(TASK_STARTING, REASON_NONE, "health: starting", "");
}

static void a_checked_task_starts_until_it_is_well(void **state) {
    (void)state;
    begin_checked();
    assert_int_equal(run.status.pid, 42);
    assert_int_equal(checked(HEALTH_STARTING, "exit 1: no"), 0);
    says(TASK_STARTING, REASON_NONE, "health: starting: exit 1: no", "");
    assert_int_equal(run.status.health, HEALTH_STARTING);
    assert_int_equal(checked(HEALTH_HEALTHY, ""), EFFECT_KEEP);
    says(TASK_RUNNING, REASON_NONE, "started", "");
    assert_int_equal(run.status.health, HEALTH_HEALTHY);
    exited(EXIT_CODE, 1, 0, false);
    says(TASK_FAILED, REASON_EXIT_NONZERO, "failed", "task: non-zero exit (1)");
}

static void an_unhealthy_task_is_stopped_and_fails(void **state) {
    (void)state;
    for (int is_starting = 0; is_starting < 2; is_starting++) {
        begin_checked();
        if (!is_starting) {
            checked(HEALTH_HEALTHY, "");
        }
        assert_int_equal(checked(HEALTH_UNHEALTHY, "exit 1: no"), EFFECT_KEEP | EFFECT_STOP);
        assert_int_equal(effects.signal, SIGINT);
        assert_int_equal(effects.grace_ms, 77);
        says(is_starting ? TASK_STARTING : TASK_RUNNING, REASON_UNHEALTHY, "health: unhealthy, stopping",
             "task: unhealthy container: exit 1: no");
        assert_int_equal(run.status.health_results.count, 1);
        assert_int_equal(checked(HEALTH_UNHEALTHY, "exit 1: no"), 0);
        exited(EXIT_CODE, 0, 0, false); // it ended well, but not by itself
        says(TASK_FAILED, REASON_UNHEALTHY, "failed", "task: unhealthy container: exit 1: no");
    }
}

static void what_was_unhealthy_stays_so_for_the_next_daemon(void **state) {
    (void)state;
    begin_checked();
    checked(HEALTH_HEALTHY, "");
    checked(HEALTH_UNHEALTHY, "exit 1");
    run = taskrun_recovered(&run.status, &(struct taskrun_wish){.desired = TASK_RUNNING, .grace_ms = 5});
    assert_int_equal(listed(PRESENCE_RUNNING), EFFECT_STOP);
    assert_int_equal(checked(HEALTH_STARTING, ""), 0);
    exited(EXIT_SIGNAL, 143, SIGTERM, false);
    says(TASK_FAILED, REASON_UNHEALTHY, "failed", "task: unhealthy container: exit 1");
}

static void what_was_wanted_to_stop_is_no_failure(void **state) {
    (void)state;
    begin_checked();
    checked(HEALTH_UNHEALTHY, "exit 1");
    wish(TASK_SHUTDOWN);
    exited(EXIT_CODE, 0, 0, false);
    says(TASK_SHUTDOWN, REASON_NONE, "shutdown", "");
}

static void health_begins_anew_with_the_daemon_and_the_state_stays(void **state) {
    (void)state;
    begin_checked();
    checked(HEALTH_HEALTHY, "");
    run = taskrun_recovered(&run.status, &(struct taskrun_wish){.desired = TASK_RUNNING});
    assert_int_equal(listed(PRESENCE_STARTING), 0);
    assert_int_equal(checked(HEALTH_STARTING, ""), 0);
    says(TASK_RUNNING, REASON_NONE, "started", "");
    assert_int_equal(checked(HEALTH_STARTING, "exit 1"), 0);
    says(TASK_RUNNING, REASON_NONE, "started", "");
    begin_checked();
    run = taskrun_recovered(&run.status, &(struct taskrun_wish){.desired = TASK_RUNNING});
    assert_int_equal(listed(PRESENCE_STARTING), EFFECT_START); // to be told its health
    assert_int_equal(run.status.state, TASK_STARTING);
    checked(HEALTH_HEALTHY, "");
    says(TASK_RUNNING, REASON_NONE, "started", "");
    begin(TASK_ASSIGNED); // whose start could not be kept
    wish(TASK_RUNNING);
    kept();
    run = taskrun_recovered(&run.status, &(struct taskrun_wish){.desired = TASK_RUNNING});
    assert_int_equal(listed(PRESENCE_STARTING) & EFFECT_START, EFFECT_START);
    checked(HEALTH_STARTING, "");
    says(TASK_STARTING, REASON_NONE, "health: starting", "");
}

// --- the drain delay ---

static unsigned wish_draining(int64_t desired) {
    return step(&(struct taskrun_event){.kind = TASKRUN_ON_WISH,
                                        .wish = {.desired = desired, .signal = SIGINT, .drain_ms = 5000}});
}

static unsigned time_passes(int64_t ms) {
    now += ms;
    return step(&(struct taskrun_event){.kind = TASKRUN_ON_TIME});
}

static void it_serves_on_before_it_stops(void **state) {
    (void)state;
    begin_running();
    assert_int_equal(wish_draining(TASK_SHUTDOWN), EFFECT_KEEP);
    says(TASK_RUNNING, REASON_NONE, "started, draining before it stops", "");
    assert_int_equal(time_passes(4000), 0);
    assert_int_equal(listed(PRESENCE_RUNNING), 0);
    assert_int_equal(time_passes(1000), EFFECT_STOP);
    assert_int_equal(effects.signal, SIGINT);
    assert_int_equal(time_passes(5000), 0); // once
    exited(EXIT_CODE, 0, 0, false);
    says(TASK_SHUTDOWN, REASON_NONE, "shutdown", "");
}

static void a_second_order_ends_the_delay(void **state) {
    (void)state;
    begin_running();
    wish_draining(TASK_SHUTDOWN);
    assert_int_equal(wish_draining(TASK_SHUTDOWN), 0); // the same one is none
    assert_int_equal(wish_draining(TASK_REMOVE), EFFECT_KEEP | EFFECT_STOP);
    assert_int_equal(run.drain_until_unix_ms, 0);
    begin_running();
    wish_draining(TASK_REMOVE);
    assert_int_equal(release(), EFFECT_STOP);
    begin_running(); // what is not well serves nobody
    wish_draining(TASK_SHUTDOWN);
    assert_int_equal(checked(HEALTH_UNHEALTHY, ""), EFFECT_KEEP | EFFECT_STOP);
}

static void only_what_serves_is_drained(void **state) {
    (void)state;
    begin_checked();
    assert_int_equal(wish_draining(TASK_SHUTDOWN), EFFECT_KEEP | EFFECT_STOP);
    wish_draining(TASK_REMOVE);
    assert_int_equal(run.drain_until_unix_ms, 0); // nothing to look at, for ever
    begin_running();
    wish_draining(TASK_SHUTDOWN);
    now -= 100000; // the clock was set: the delay gets no longer than it is
    assert_int_equal(time_passes(0), 0);
    assert_int_equal(time_passes(5000), EFFECT_STOP);
    now += 100000;
    begin_running();
    wish_draining(TASK_SHUTDOWN);
    exited(EXIT_CODE, 7, 0, false); // by itself meanwhile
    says(TASK_SHUTDOWN, REASON_NONE, "shutdown", "");
    assert_int_equal(run.status.exit.code, 7);
}

// --- its ends ---

static void how_it_ended_is_said_as_users_know_it(void **state) {
    (void)state;
    begin_running();
    exited(EXIT_CODE, 1, 0, false);
    says(TASK_FAILED, REASON_EXIT_NONZERO, "failed", "task: non-zero exit (1)");
    assert_int_equal(run.status.exit.code, 1);
    begin_running();
    exited(EXIT_SIGNAL, 137, SIGKILL, true);
    says(TASK_FAILED, REASON_OUT_OF_MEMORY, "failed", "task: out of memory (exit 137)");
    begin_running();
    exited(EXIT_SIGNAL, 137, SIGKILL, false);
    says(TASK_FAILED, REASON_EXIT_SIGNAL, "failed", "task: non-zero exit (137): killed by SIGKILL");
    begin_running();
    exited(EXIT_CODE, 0, 0, true); // a process of it ran out of memory, but not the first one
    says(TASK_COMPLETE, REASON_NONE, "finished", "");
    begin_running();
    exited(EXIT_UNKNOWN, 0, 0, false);
    says(TASK_FAILED, REASON_SUPERVISOR_LOST, "failed", "task: exit status unknown: supervisor lost");
    begin_running();
    seen((struct executor_event){.kind = EXECUTOR_EXITED,
                                 .exit = {.kind = EXIT_UNKNOWN},
                                 .reason = REASON_NODE_REBOOTED,
                                 .message = "boot 2"});
    says(TASK_FAILED, REASON_NODE_REBOOTED, "failed", "task: exit status unknown: node rebooted: boot 2");
}

static void what_cannot_be_run_is_rejected_or_fails(void **state) {
    (void)state;
    begin(TASK_ASSIGNED);
    wish(TASK_RUNNING);
    kept();
    assert_int_equal(failed(CLASS_REJECT, "No such image: x"), EFFECT_KEEP);
    says(TASK_REJECTED, REASON_CREATE_FAILED, "rejected", "No such image: x");
    begin(TASK_ASSIGNED);
    wish(TASK_RUNNING);
    kept();
    failed(CLASS_INTERNAL, "");
    says(TASK_FAILED, REASON_INTERNAL, "failed", "internal error");
    begin(TASK_ASSIGNED);
    wish(TASK_RUNNING);
    kept();
    seen_kind(EXECUTOR_PREPARED);
    failed(CLASS_REJECT, "exec: no such file");
    says(TASK_FAILED, REASON_START_FAILED, "failed", "starting container failed: exec: no such file");
}

static void ready_waits_for_running(void **state) {
    (void)state;
    begin(TASK_ASSIGNED);
    wish(TASK_READY);
    kept();
    assert_int_equal(seen_kind(EXECUTOR_PREPARED), 0);
    says(TASK_READY, REASON_NONE, "prepared", "");
    assert_int_equal(wish(TASK_READY), 0);
    assert_int_equal(wish(TASK_RUNNING), EFFECT_KEEP | EFFECT_START);
}

static void what_is_not_kept_is_not_begun(void **state) {
    (void)state;
    begin(TASK_ASSIGNED);
    wish(TASK_RUNNING);
    struct taskrun_event event = {.kind = TASKRUN_ON_NOT_KEPT, .text = "No space left on device"};
    assert_int_equal(step(&event), 0);
    says(TASK_ACCEPTED, REASON_NO_SPACE, "accepted: the assignment cannot be kept on the node",
         "No space left on device");
    step(&event);
    assert_int_equal(effects.mask, 0); // nothing new to report
    assert_int_equal(kept(), EFFECT_PREPARE);
    says(TASK_PREPARING, REASON_NONE, "preparing", "");
}

// --- stopping and removing ---

static void stop_is_asked_for_once_with_signal_and_grace(void **state) {
    (void)state;
    begin_running();
    assert_int_equal(wish(TASK_SHUTDOWN), EFFECT_KEEP | EFFECT_STOP);
    assert_int_equal(effects.signal, SIGINT);
    assert_int_equal(effects.grace_ms, 77);
    assert_int_equal(wish(TASK_SHUTDOWN), 0);
    assert_int_equal(wish(TASK_RUNNING), 0); // an older word
    exited(EXIT_SIGNAL, 130, SIGINT, false);
    says(TASK_SHUTDOWN, REASON_NONE, "shutdown", "");
    assert_int_equal(run.status.exit.code, 130);
    assert_int_equal(wish(TASK_REMOVE), EFFECT_KEEP | EFFECT_REMOVE);
    assert_int_equal(seen_kind(EXECUTOR_REMOVED), 0); // until it is not assigned any more
    assert_int_equal(release(), EFFECT_FORGET);
}

static void what_was_never_begun_is_shut_down_at_once(void **state) {
    (void)state;
    begin(TASK_ASSIGNED);
    assert_int_equal(wish(TASK_SHUTDOWN), EFFECT_KEEP);
    says(TASK_SHUTDOWN, REASON_NONE, "shutdown", "");
    assert_int_equal(kept(), 0);
    assert_int_equal(release(), EFFECT_FORGET);
}

static void what_is_released_is_stopped_then_removed(void **state) {
    (void)state;
    begin_running();
    assert_int_equal(release(), EFFECT_STOP);
    assert_int_equal(exited(EXIT_CODE, 0, 0, false), EFFECT_KEEP | EFFECT_REMOVE);
    assert_int_equal(seen_kind(EXECUTOR_REMOVED), EFFECT_FORGET);
}

static void given_up_before_its_start_it_has_no_exit(void **state) {
    (void)state;
    begin(TASK_ASSIGNED);
    wish(TASK_READY);
    kept();
    seen_kind(EXECUTOR_PREPARED);
    assert_int_equal(wish(TASK_SHUTDOWN), EFFECT_KEEP | EFFECT_STOP);
    exited(EXIT_SIGNAL, 137, SIGKILL, false);
    says(TASK_SHUTDOWN, REASON_NONE, "shutdown", "");
    assert_int_equal(run.status.exit.kind, EXIT_NONE);
}

// --- never twice ---

static void what_the_manager_saw_started_is_not_started_here(void **state) {
    (void)state;
    begin(TASK_RUNNING);
    assert_int_equal(wish(TASK_RUNNING), EFFECT_KEEP);
    says(TASK_FAILED, REASON_SUPERVISOR_LOST, "failed",
         "task: exit status unknown: this node has no record of it");
    assert_int_equal(kept(), 0);
    begin(TASK_COMPLETE);
    assert_int_equal(wish(TASK_RUNNING), EFFECT_KEEP);
    assert_int_equal(kept(), 0);
    assert_int_equal(run.status.state, TASK_COMPLETE);
}

static void recover(int64_t state, int64_t desired) {
    run = taskrun_recovered(&(struct task_status){.state = state, .message = "", .error = ""},
                            &(struct taskrun_wish){.desired = desired});
}

static void a_new_daemon_goes_on_where_it_was(void **state) {
    (void)state;
    recover(TASK_ACCEPTED, TASK_RUNNING);
    assert_int_equal(listed(PRESENCE_PREPARING), EFFECT_PREPARE);
    recover(TASK_ACCEPTED, TASK_RUNNING);
    assert_int_equal(not_listed(), EFFECT_PREPARE);
    recover(TASK_ACCEPTED, TASK_RUNNING);
    assert_int_equal(listed(PRESENCE_PREPARED), EFFECT_KEEP | EFFECT_START);
    recover(TASK_ACCEPTED, TASK_READY);
    assert_int_equal(listed(PRESENCE_PREPARED), 0);
    recover(TASK_STARTING, TASK_RUNNING);
    assert_int_equal(listed(PRESENCE_PREPARED), EFFECT_START); // the executor never heard of the start
    assert_int_equal(listed(PRESENCE_PREPARED), 0);
    recover(TASK_STARTING, TASK_RUNNING);
    assert_int_equal(listed(PRESENCE_RUNNING), 0);
    says(TASK_RUNNING, REASON_NONE, "started", "");
    seen((struct executor_event){.kind = EXECUTOR_RUNNING, .pid = 42, .time_unix_ms = 7});
    assert_int_equal(run.status.since_unix_ms, 7); // not since it was found
    recover(TASK_STARTING, TASK_RUNNING);
    assert_int_equal(listed(PRESENCE_EXITED), EFFECT_STOP);
    assert_int_equal(exited(EXIT_CODE, 3, 0, false), EFFECT_KEEP);
    says(TASK_FAILED, REASON_EXIT_NONZERO, "failed", "task: non-zero exit (3)");
    recover(TASK_STARTING, TASK_RUNNING);
    assert_int_equal(not_listed(), EFFECT_KEEP);
    assert_int_equal(run.status.reason, REASON_SUPERVISOR_LOST);
    recover(TASK_STARTING, TASK_SHUTDOWN);
    assert_int_equal(listed(PRESENCE_RUNNING), EFFECT_STOP);
    recover(TASK_FAILED, TASK_RUNNING);
    assert_int_equal(listed(PRESENCE_EXITED), 0);
    recover(TASK_SHUTDOWN, TASK_REMOVE);
    assert_int_equal(listed(PRESENCE_EXITED), EFFECT_REMOVE);
}

static void damage_ends_and_removes_it(void **state) {
    (void)state;
    begin(TASK_ASSIGNED);
    assert_int_equal(
        step(&(struct taskrun_event){.kind = TASKRUN_ON_DAMAGE, .text = "the checksum is wrong"}),
        EFFECT_REMOVE);
    says(TASK_FAILED, REASON_INTERNAL, "failed",
         "task: what was kept of it on the node is damaged: the checksum is wrong");
    assert_int_equal(wish(TASK_RUNNING), 0);
    seen_kind(EXECUTOR_REMOVED);
    assert_int_equal(release(), EFFECT_FORGET);
}

// --- any order of events ---

static const int64_t desires[] = {TASK_READY,    TASK_RUNNING,  TASK_RUNNING, TASK_RUNNING,
                                  TASK_COMPLETE, TASK_SHUTDOWN, TASK_REMOVE};

static struct taskrun_event random_event(struct prng *prng, struct executor_event *executor) {
    struct taskrun_event event = {.kind = (enum taskrun_event_kind)prng_below(prng, TASKRUN_ON_DAMAGE + 1),
                                  .executor = executor,
                                  .text = "text"};
    if (prng_below(prng, 2) == 0) {
        event.kind = TASKRUN_ON_EXECUTOR;
    }
    event.wish.drain_ms = prng_below(prng, 2) == 0 ? 0 : 100;
    event.wish.desired = desires[prng_below(prng, sizeof desires / sizeof *desires)];
    event.is_present = prng_below(prng, 4) != 0;
    event.presence = (enum executor_presence)prng_below(prng, PRESENCE_LOST + 1);
    *executor =
        (struct executor_event){.kind = (enum executor_event_kind)prng_below(prng, EXECUTOR_REMOVED + 1),
                                .class_ = (enum executor_class)prng_below(prng, 3),
                                .pid = (int64_t)prng_below(prng, 3),
                                .exit = {.kind = (enum exit_kind)prng_below(prng, 4),
                                         .code = (int64_t)prng_below(prng, 3),
                                         .signal = (int64_t)prng_below(prng, 200)},
                                .reason = (int64_t)prng_below(prng, 27),
                                .health = (enum health_state)prng_below(prng, 4),
                                .message = prng_below(prng, 2) == 0 ? "" : "message"};
    return event;
}

static void check_step(const struct taskrun *before, const struct taskrun_event *event) {
    const struct task_status *was = &before->status, *is = &run.status;
    assert_true(is->state >= was->state);
    assert_true(IMPLIES(task_state_is_over(was->state), is->state == was->state));
    assert_true(IMPLIES(is->state != was->state, (effects.mask & EFFECT_REPORT) != 0));
    assert_true(
        IMPLIES(task_state_is_over(was->state), (effects.mask & (EFFECT_PREPARE | EFFECT_START)) == 0));
    assert_true(IMPLIES((effects.mask & EFFECT_PREPARE) != 0, is->state == TASK_PREPARING));
    assert_true(IMPLIES((effects.mask & EFFECT_START) != 0,
                        is->state == TASK_STARTING && run.wish.desired < TASK_SHUTDOWN));
    assert_true(IMPLIES((effects.mask & EFFECT_FORGET) != 0, run.is_released));
    // The list alone may bring a call back, for it says that the call was not heard.
    bool may_repeat = event->kind == TASKRUN_ON_LIST;
    assert_true(IMPLIES(before->is_prepare_asked, may_repeat || (effects.mask & EFFECT_PREPARE) == 0));
    assert_true(IMPLIES(before->is_start_asked, may_repeat || (effects.mask & EFFECT_START) == 0));
    assert_true(IMPLIES(before->is_remove_asked, may_repeat || (effects.mask & EFFECT_REMOVE) == 0));
    assert_non_null(is->message);
    assert_non_null(is->error);
}

static void no_order_of_events_takes_a_state_back(void **state) {
    (void)state;
    static const int64_t known[] = {TASK_ASSIGNED, TASK_ASSIGNED, TASK_READY, TASK_RUNNING, TASK_FAILED};
    size_t ends = 0;
    for (uint64_t seed = 1; seed <= 20000; seed++) {
        struct prng prng;
        prng_seed(&prng, seed);
        if (prng_below(&prng, 3) == 0) {
            recover(known[prng_below(&prng, 5)], desires[prng_below(&prng, 7)]);
        } else {
            begin(known[prng_below(&prng, 5)]);
            wish(desires[prng_below(&prng, 7)]);
        }
        for (int i = 0; i < 20; i++) {
            struct executor_event executor;
            struct taskrun_event event = random_event(&prng, &executor);
            struct taskrun before = run;
            step(&event);
            check_step(&before, &event);
            if ((effects.mask & EFFECT_FORGET) != 0) {
                ends++;
                break;
            }
            bool moved = event.kind == TASKRUN_ON_LIST || run.machine.state != before.machine.state;
            before = run;
            step(&event); // the same again brings nothing new
            check_step(&before, &event);
            assert_true(moved || (effects.mask & ~(unsigned)EFFECT_FORGET) == 0);
        }
        arena_clear(&arena);
    }
    assert_in_range(ends, 1000, 20000); // the walks go somewhere
}

int main(void) {
    static const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_teardown(name, clean)
        TEST(a_task_goes_all_the_way),
        TEST(a_checked_task_starts_until_it_is_well),
        TEST(an_unhealthy_task_is_stopped_and_fails),
        TEST(what_was_unhealthy_stays_so_for_the_next_daemon),
        TEST(what_was_wanted_to_stop_is_no_failure),
        TEST(health_begins_anew_with_the_daemon_and_the_state_stays),
        TEST(it_serves_on_before_it_stops),
        TEST(a_second_order_ends_the_delay),
        TEST(only_what_serves_is_drained),
        TEST(how_it_ended_is_said_as_users_know_it),
        TEST(what_cannot_be_run_is_rejected_or_fails),
        TEST(ready_waits_for_running),
        TEST(what_is_not_kept_is_not_begun),
        TEST(stop_is_asked_for_once_with_signal_and_grace),
        TEST(what_was_never_begun_is_shut_down_at_once),
        TEST(what_is_released_is_stopped_then_removed),
        TEST(given_up_before_its_start_it_has_no_exit),
        TEST(what_the_manager_saw_started_is_not_started_here),
        TEST(a_new_daemon_goes_on_where_it_was),
        TEST(damage_ends_and_removes_it),
        TEST(no_order_of_events_takes_a_state_back),
#undef TEST
    };
    return cmocka_run_group_tests_name(__FILE__, tests, NULL, NULL);
}
