// SPDX-License-Identifier: Apache-2.0
//
// test/unit/test_cli_progress.c — convergence told from watch events: what is seen, what is said, when it
// is over.
//
// Each scenario feeds events and writes down verdict, notes and block after every look; the transcripts are
// goldens.
#include "cli/progress.h"

#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "test/lib/check.h"
#include "test/lib/golden.h"

struct feed {
    struct arena arena;
    struct progress *progress;
    struct service service; // the one under work
    struct buf out;
    int64_t now_mono_ms;
    int64_t revision; // of the store
    bool in_snapshot;
    int columns, lines;
};

static struct id id_of(char kind, int64_t number) {
    struct id id;
    snprintf(id.text, sizeof id.text, "%c%024lld", kind, (long long)number);
    return id;
}

static void feed_begin(struct feed *f, int64_t monitor_ns) {
    memset(f, 0, sizeof *f);
    f->progress = progress_new(monitor_ns);
    f->now_mono_ms = 1000;
    f->revision = 100;
    f->in_snapshot = true;
    f->columns = 100;
    f->lines = 60;
}

static void feed_end(struct feed *f, const char *name) {
    char path[128];
    snprintf(path, sizeof path, "test/golden/cli/progress-%s.txt", name);
    golden_check(path, buf_text(&f->out));
    progress_free(f->progress);
    buf_free(&f->out);
    arena_free(&f->arena);
}

static void send(struct feed *f, enum object_kind kind, const struct id *id, const void *object) {
    AUTO_BUF bytes = {0};
    struct event event;
    struct error err = {0};
    schema_init(&event_schema, &event);
    event.kind = kind;
    event.id = *id;
    event.revision = ++f->revision;
    event.snapshot = f->in_snapshot;
    event.op = object != NULL ? CHANGE_UPDATE : CHANGE_DELETE;
    if (object != NULL) {
        wire_encode(object_schema(kind), object, &bytes);
        event.to = buf_bytes(&bytes);
    }
    assert_int_equal(progress_event(f->progress, &event, &err), 0);
}

static void node(struct feed *f, int64_t number, enum node_state state, enum node_availability availability) {
    struct node node;
    schema_init(&node_schema, &node);
    node.meta.id = id_of('n', number);
    node.spec.name = node.meta.name = arena_printf(&f->arena, "w%lld", (long long)number);
    node.description.hostname = node.spec.name;
    node.spec.availability = availability;
    node.status.state = state;
    send(f, KIND_NODE, &node.meta.id, &node);
}

// A service to wait for at the revision; send it with service_is.
static void target(struct feed *f, int64_t number, const char *name, int64_t revision) {
    progress_add(f->progress,
                 &(struct progress_target){
                     .service = id_of('s', number), .name = name, .revision = revision, .since = 90});
    schema_init(&service_schema, &f->service);
    f->service.meta.id = id_of('s', number);
    f->service.spec.name = f->service.meta.name = name;
    f->service.revision = f->service.restart_revision = revision;
}

static void service_is(struct feed *f, int64_t replicas) {
    f->service.spec.deploy.replicas = replicas;
    send(f, KIND_SERVICE, &f->service.meta.id, &f->service);
}

struct shape {
    int64_t slot, revision, state, desired, node, created, attempt, iteration, reason;
    const char *error;
};

static void task(struct feed *f, int64_t number, struct shape shape) {
    struct task task;
    schema_init(&task_schema, &task);
    task.meta.id = id_of('t', number);
    task.meta.created = shape.created > 0 ? shape.created : 100 + number;
    task.service_id = f->service.meta.id;
    task.slot = shape.slot;
    task.revision = shape.revision;
    task.desired = shape.desired > 0 ? shape.desired : TASK_RUNNING;
    task.attempt = shape.attempt;
    task.job_iteration = shape.iteration;
    task.desired_reason = shape.reason;
    task.status.state = shape.state;
    task.status.error = shape.error != NULL ? shape.error : "";
    task.node_id = shape.state > TASK_PENDING ? id_of('n', shape.node > 0 ? shape.node : 1) : task.node_id;
    send(f, KIND_TASK, &task.meta.id, &task);
}

static enum progress_verdict look(struct feed *f, const char *title) {
    static const char *const verdicts[] = {"going", "converged", "stopped", "rolled back", "gone"};
    int64_t wake = 0;
    AUTO_BUF reasons = {0};
    enum progress_verdict verdict = progress_look(f->progress, f->now_mono_ms, &wake);
    buf_addf(&f->out, "==== %s: %s", title, verdicts[verdict]);
    if (wake > 0) {
        buf_addf(&f->out, ", look again after %lld ms", (long long)(wake - f->now_mono_ms));
    }
    buf_addc(&f->out, '\n');
    AUTO_BUF notes = {0};
    progress_notes(f->progress, /* only_failures= */ false, &notes);
    for (const char *p = buf_text(&notes); *p != '\0';) {
        size_t len = strcspn(p, "\n");
        buf_addf(&f->out, "note  %.*s\n", (int)len, p);
        p += len + (p[len] == '\n');
    }
    progress_block(f->progress, f->columns, f->lines, /* color= */ false, f->now_mono_ms, &f->out);
    progress_reasons(f->progress, &reasons);
    if (reasons.len > 0) {
        buf_addf(&f->out, "reason  %s\n", buf_text(&reasons));
    }
    f->in_snapshot = false;
    return verdict;
}

static void a_first_start_is_over_when_all_run(void **state) {
    (void)state;
    struct feed f;
    feed_begin(&f, -1);
    node(&f, 1, NODE_READY, AVAILABILITY_ACTIVE);
    target(&f, 1, "web", 1);
    service_is(&f, 3);
    look(&f, "stored, nothing planned yet");
    task(&f, 1, (struct shape){.slot = 1, .revision = 1, .state = TASK_ASSIGNED});
    task(&f, 2,
         (struct shape){.slot = 2,
                        .revision = 1,
                        .state = TASK_PENDING,
                        .error = "no suitable node (insufficient memory on 1 node)"});
    task(&f, 3, (struct shape){.slot = 3, .revision = 1, .state = TASK_PREPARING});
    look(&f, "tasks are there, one finds no node");
    task(&f, 1, (struct shape){.slot = 1, .revision = 1, .state = TASK_RUNNING});
    task(&f, 3, (struct shape){.slot = 3, .revision = 1, .state = TASK_RUNNING});
    look(&f, "two run");
    task(&f, 2, (struct shape){.slot = 2, .revision = 1, .state = TASK_RUNNING});
    assert_int_equal(look(&f, "all run"), PROGRESS_CONVERGED);
    feed_end(&f, "start");
}

static void a_replacement_must_hold_for_the_monitor_time(void **state) {
    (void)state;
    struct feed f;
    feed_begin(&f, -1);
    node(&f, 1, NODE_READY, AVAILABILITY_ACTIVE);
    target(&f, 1, "web", 2);
    service_is(&f, 2);
    task(&f, 1, (struct shape){.slot = 1, .revision = 1, .state = TASK_RUNNING, .created = 10});
    task(&f, 2, (struct shape){.slot = 2, .revision = 1, .state = TASK_RUNNING, .created = 11});
    look(&f, "both run the old revision");
    task(&f, 1,
         (struct shape){
             .slot = 1, .revision = 1, .state = TASK_SHUTDOWN, .desired = TASK_SHUTDOWN, .created = 10});
    task(&f, 3, (struct shape){.slot = 1, .revision = 2, .state = TASK_RUNNING});
    look(&f, "one is replaced");
    task(&f, 2,
         (struct shape){
             .slot = 2, .revision = 1, .state = TASK_SHUTDOWN, .desired = TASK_SHUTDOWN, .created = 11});
    task(&f, 4, (struct shape){.slot = 2, .revision = 2, .state = TASK_RUNNING});
    look(&f, "both are replaced");
    f.now_mono_ms += 2000;
    task(&f, 4,
         (struct shape){.slot = 2, .revision = 2, .state = TASK_FAILED, .error = "task: non-zero exit (1)"});
    task(&f, 5, (struct shape){.slot = 2, .revision = 2, .state = TASK_READY, .attempt = 1});
    assert_int_equal(look(&f, "one failed within the time"), PROGRESS_GOING);
    task(&f, 5, (struct shape){.slot = 2, .revision = 2, .state = TASK_RUNNING, .attempt = 1});
    look(&f, "and runs again");
    f.now_mono_ms += 4999;
    assert_int_equal(look(&f, "a millisecond before the time is over"), PROGRESS_GOING);
    f.now_mono_ms += 1;
    assert_int_equal(look(&f, "the time is over"), PROGRESS_CONVERGED);
    feed_end(&f, "replace");
}

static void less_replicas_wait_for_the_surplus_to_stop(void **state) {
    (void)state;
    struct feed f;
    feed_begin(&f, -1);
    node(&f, 1, NODE_READY, AVAILABILITY_ACTIVE);
    node(&f, 2, NODE_DOWN, AVAILABILITY_ACTIVE);
    target(&f, 1, "web", 2);
    f.service.restart_revision = 1;
    service_is(&f, 1);
    task(&f, 1, (struct shape){.slot = 1, .revision = 1, .state = TASK_RUNNING, .created = 10});
    task(&f, 2,
         (struct shape){
             .slot = 2, .revision = 1, .state = TASK_RUNNING, .desired = TASK_REMOVE, .created = 11});
    task(&f, 3,
         (struct shape){.slot = 3,
                        .revision = 1,
                        .state = TASK_RUNNING,
                        .desired = TASK_REMOVE,
                        .created = 12,
                        .node = 2});
    assert_int_equal(look(&f, "one stops; one more is on a node that is down"), PROGRESS_GOING);
    struct id gone = id_of('t', 2);
    send(&f, KIND_TASK, &gone, NULL);
    assert_int_equal(look(&f, "it is gone"), PROGRESS_CONVERGED);
    feed_end(&f, "shrink");
}

static void what_is_on_a_drained_node_has_to_leave(void **state) {
    (void)state;
    struct feed f;
    feed_begin(&f, -1);
    node(&f, 1, NODE_READY, AVAILABILITY_ACTIVE);
    node(&f, 2, NODE_READY, AVAILABILITY_DRAIN);
    target(&f, 1, "web", 1);
    service_is(&f, 2);
    task(&f, 1, (struct shape){.slot = 1, .revision = 1, .state = TASK_RUNNING, .created = 10});
    task(&f, 2, (struct shape){.slot = 2, .revision = 1, .state = TASK_RUNNING, .created = 11, .node = 2});
    assert_int_equal(look(&f, "the planner has not acted yet"), PROGRESS_GOING);
    task(&f, 3, (struct shape){.slot = 2, .revision = 1, .state = TASK_RUNNING});
    assert_int_equal(look(&f, "its successor runs, it still does"), PROGRESS_GOING);
    task(&f, 2,
         (struct shape){.slot = 2,
                        .revision = 1,
                        .state = TASK_SHUTDOWN,
                        .desired = TASK_SHUTDOWN,
                        .created = 11,
                        .node = 2});
    assert_int_equal(look(&f, "it has stopped"), PROGRESS_CONVERGED);
    feed_end(&f, "drain");
}

static void a_slot_without_tries_left_stops_the_service(void **state) {
    (void)state;
    struct feed f;
    feed_begin(&f, -1);
    node(&f, 1, NODE_READY, AVAILABILITY_ACTIVE);
    target(&f, 1, "job", 1);
    f.service.spec.deploy.restart_policy.condition = RESTART_ON_FAILURE;
    f.service.spec.deploy.restart_policy.max_attempts = 1;
    service_is(&f, 2);
    task(&f, 1, (struct shape){.slot = 1, .revision = 1, .state = TASK_COMPLETE});
    task(&f, 2,
         (struct shape){.slot = 2, .revision = 1, .state = TASK_FAILED, .error = "task: non-zero exit (3)"});
    assert_int_equal(look(&f, "one is done, one failed and has a try left"), PROGRESS_GOING);
    task(&f, 3, (struct shape){.slot = 2, .revision = 1, .state = TASK_RUNNING, .attempt = 1});
    look(&f, "the second try runs");
    task(&f, 3,
         (struct shape){.slot = 2,
                        .revision = 1,
                        .state = TASK_FAILED,
                        .attempt = 1,
                        .error = "task: non-zero exit (3)"});
    assert_int_equal(look(&f, "it failed too"), PROGRESS_STOPPED);
    feed_end(&f, "spent");
}

static void job(struct feed *f, enum service_mode mode, int64_t replicas, int64_t at_once) {
    target(f, 1, "job", 4);
    f->service.spec.deploy.mode = mode;
    f->service.spec.deploy.max_concurrent = at_once;
    f->service.spec.deploy.restart_policy.condition = RESTART_ON_FAILURE;
    f->service.spec.deploy.restart_policy.max_attempts = 1;
    f->service.job_iteration = 2;
    service_is(f, replicas);
}
#define RUN .revision = 4, .iteration = 2

static void a_job_is_over_when_all_slots_are_done(void **state) {
    (void)state;
    struct feed f;
    feed_begin(&f, -1);
    node(&f, 1, NODE_READY, AVAILABILITY_ACTIVE);
    node(&f, 2, NODE_READY, AVAILABILITY_ACTIVE);
    job(&f, MODE_REPLICATED_JOB, 3, 1);
    task(&f, 1,
         (struct shape){.slot = 1, .revision = 3, .iteration = 1, .state = TASK_COMPLETE, .created = 10});
    task(&f, 2, (struct shape){.slot = 1, RUN, .state = TASK_RUNNING});
    assert_int_equal(look(&f, "the first of three runs; a run before is no news"), PROGRESS_GOING);
    task(&f, 2, (struct shape){.slot = 1, RUN, .state = TASK_COMPLETE});
    assert_int_equal(look(&f, "it is done, and the next is not there yet"), PROGRESS_GOING);
    task(&f, 2, (struct shape){.slot = 1, RUN, .state = TASK_COMPLETE, .desired = TASK_SHUTDOWN});
    task(&f, 3, (struct shape){.slot = 2, RUN, .state = TASK_RUNNING, .node = 2});
    look(&f, "the second");
    task(&f, 3,
         (struct shape){
             .slot = 2, RUN, .state = TASK_COMPLETE, .desired = TASK_SHUTDOWN, .reason = REASON_NODE_LOST});
    task(&f, 4, (struct shape){.slot = 2, RUN, .state = TASK_READY});
    task(&f, 5, (struct shape){.slot = 3, RUN, .state = TASK_RUNNING});
    look(&f, "it was thought lost, and is done all the same");
    task(&f, 5, (struct shape){.slot = 3, RUN, .state = TASK_COMPLETE});
    assert_int_equal(look(&f, "all are done"), PROGRESS_CONVERGED);
    feed_end(&f, "job");
}

static void a_job_has_failed_when_the_rest_had_its_turn(void **state) {
    (void)state;
    struct feed f;
    feed_begin(&f, -1);
    node(&f, 1, NODE_READY, AVAILABILITY_ACTIVE);
    job(&f, MODE_REPLICATED_JOB, 2, 1);
    task(&f, 1,
         (struct shape){
             .slot = 1, RUN, .state = TASK_FAILED, .attempt = 1, .error = "task: non-zero exit (3)"});
    assert_int_equal(look(&f, "one is given up, the other not begun"), PROGRESS_GOING);
    task(&f, 2, (struct shape){.slot = 2, RUN, .state = TASK_RUNNING});
    assert_int_equal(look(&f, "the other runs"), PROGRESS_GOING);
    task(&f, 1,
         (struct shape){.slot = 1,
                        RUN,
                        .state = TASK_FAILED,
                        .attempt = 1,
                        .desired = TASK_SHUTDOWN,
                        .error = "task: non-zero exit (3)"});
    task(&f, 2, (struct shape){.slot = 2, RUN, .state = TASK_COMPLETE});
    assert_int_equal(look(&f, "the other is done"), PROGRESS_STOPPED);
    feed_end(&f, "job-failed");
}

static void a_global_job_reaches_every_node(void **state) {
    (void)state;
    struct feed f;
    feed_begin(&f, -1);
    node(&f, 1, NODE_READY, AVAILABILITY_DRAIN);
    node(&f, 2, NODE_READY, AVAILABILITY_ACTIVE);
    job(&f, MODE_GLOBAL_JOB, 1, 0);
    task(&f, 1, (struct shape){RUN, .state = TASK_COMPLETE, .node = 1});
    task(&f, 2, (struct shape){RUN, .state = TASK_RUNNING, .node = 2});
    assert_int_equal(look(&f, "what a drained node did before does not stand in for another"),
                     PROGRESS_GOING);
    task(&f, 2, (struct shape){RUN, .state = TASK_COMPLETE, .node = 2});
    assert_int_equal(look(&f, "done"), PROGRESS_CONVERGED);
    feed_end(&f, "job-global");
}

static void a_paused_update_stops_but_an_old_pause_says_nothing(void **state) {
    (void)state;
    struct feed f;
    feed_begin(&f, -1);
    node(&f, 1, NODE_READY, AVAILABILITY_ACTIVE);
    target(&f, 1, "web", 3);
    f.service.update_status.state = UPDATE_PAUSED;
    f.service.update_status.started_unix_ms = 5;
    service_is(&f, 1);
    task(&f, 1, (struct shape){.slot = 1, .revision = 3, .state = TASK_STARTING});
    assert_int_equal(look(&f, "an earlier update was paused"), PROGRESS_GOING);
    f.service.update_status.started_unix_ms = 6;
    f.service.update_status.message = "update paused due to failure or early termination of task t1";
    service_is(&f, 1);
    assert_int_equal(look(&f, "this one is paused"), PROGRESS_STOPPED);
    f.service.update_status.state = UPDATE_ROLLBACK_COMPLETED;
    f.service.update_status.message = "rollback completed";
    service_is(&f, 1);
    assert_int_equal(look(&f, "it was rolled back"), PROGRESS_ROLLED_BACK);
    feed_end(&f, "paused");
}

static void a_rollout_is_believed(void **state) {
    (void)state;
    struct feed f;
    feed_begin(&f, -1);
    node(&f, 1, NODE_READY, AVAILABILITY_ACTIVE);
    target(&f, 1, "web", 1);
    f.service.update_status.state = UPDATE_UPDATING;
    f.service.update_status.started_unix_ms = 6;
    f.service.update_status.message = "no room: nothing is stopped until a node can take it";
    service_is(&f, 1);
    task(&f, 1, (struct shape){.slot = 1, .revision = 1, .state = TASK_RUNNING});
    assert_int_equal(look(&f, "all runs, but it goes on"), PROGRESS_GOING);
    f.service.update_status.message = "update in progress";
    service_is(&f, 1);
    assert_int_equal(look(&f, "there is room"), PROGRESS_GOING);
    f.service.update_status.state = UPDATE_COMPLETED;
    service_is(&f, 1);
    assert_int_equal(look(&f, "it is done: nothing is left to watch"), PROGRESS_CONVERGED);
    feed_end(&f, "rollout");
}

static void a_global_service_wants_every_eligible_node(void **state) {
    (void)state;
    static const char *constraint = "node.hostname != w4";
    struct feed f;
    feed_begin(&f, 0);
    node(&f, 1, NODE_READY, AVAILABILITY_ACTIVE);
    node(&f, 2, NODE_READY, AVAILABILITY_ACTIVE);
    node(&f, 3, NODE_READY, AVAILABILITY_DRAIN);
    node(&f, 4, NODE_READY, AVAILABILITY_ACTIVE);
    target(&f, 1, "agent", 1);
    f.service.spec.deploy.mode = MODE_GLOBAL;
    f.service.spec.deploy.placement.constraints = (struct strings){1, &constraint};
    service_is(&f, 1);
    assert_int_equal(look(&f, "two of four nodes are eligible"), PROGRESS_GOING);
    task(&f, 1, (struct shape){.revision = 1, .state = TASK_RUNNING, .node = 1});
    task(&f, 2, (struct shape){.revision = 1, .state = TASK_PREPARING, .node = 2});
    look(&f, "one runs");
    task(&f, 2, (struct shape){.revision = 1, .state = TASK_RUNNING, .node = 2});
    assert_int_equal(look(&f, "both run"), PROGRESS_CONVERGED);
    node(&f, 3, NODE_READY, AVAILABILITY_ACTIVE);
    assert_int_equal(look(&f, "a third became eligible"), PROGRESS_GOING);
    feed_end(&f, "global");
}

static void many_tasks_and_many_services_are_folded(void **state) {
    (void)state;
    struct feed f;
    feed_begin(&f, -1);
    f.columns = 60;
    f.lines = 16;
    node(&f, 1, NODE_READY, AVAILABILITY_ACTIVE);
    target(&f, 1, "big", 1);
    service_is(&f, 50);
    for (int i = 1; i <= 50; i++) {
        int64_t at = i <= 30 ? TASK_RUNNING : i <= 40 ? TASK_PREPARING : TASK_PENDING;
        task(&f, i,
             (struct shape){.slot = i,
                            .revision = 1,
                            .state = at,
                            .error = at == TASK_PENDING
                                         ? "no suitable node (a reason that is longer than the line)"
                                         : NULL});
    }
    look(&f, "fifty tasks");
    for (int s = 2; s <= 12; s++) {
        target(&f, s, arena_printf(&f.arena, "svc%d", s), 1);
        service_is(&f, 1);
        task(&f, 100 + s,
             (struct shape){.slot = 1, .revision = 1, .state = s % 2 == 0 ? TASK_RUNNING : TASK_STARTING});
    }
    look(&f, "a dozen services");
    feed_end(&f, "many");
}

static void a_removed_service_is_gone(void **state) {
    (void)state;
    struct feed f;
    feed_begin(&f, -1);
    node(&f, 1, NODE_READY, AVAILABILITY_ACTIVE);
    target(&f, 1, "web", 1);
    service_is(&f, 1);
    look(&f, "there");
    send(&f, KIND_SERVICE, &f.service.meta.id, NULL);
    assert_int_equal(look(&f, "gone"), PROGRESS_GONE);
    feed_end(&f, "gone");
}

static void damaged_objects_are_refused(void **state) {
    (void)state;
    struct feed f;
    feed_begin(&f, -1);
    target(&f, 1, "web", 1);
    static const enum object_kind kinds[] = {KIND_SERVICE, KIND_TASK, KIND_NODE};
    for (size_t i = 0; i < 3; i++) {
        struct event event;
        struct error err = {0};
        schema_init(&event_schema, &event);
        event.kind = kinds[i];
        event.id = f.service.meta.id;
        event.to = (struct bytes){(const uint8_t *)"\xff\xff\xff", 3};
        assert_int_equal(progress_event(f.progress, &event, &err), -ERR_CORRUPT);
    }
    progress_free(f.progress);
    arena_free(&f.arena);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_first_start_is_over_when_all_run),
        cmocka_unit_test(a_replacement_must_hold_for_the_monitor_time),
        cmocka_unit_test(less_replicas_wait_for_the_surplus_to_stop),
        cmocka_unit_test(what_is_on_a_drained_node_has_to_leave),
        cmocka_unit_test(a_slot_without_tries_left_stops_the_service),
        cmocka_unit_test(a_job_is_over_when_all_slots_are_done),
        cmocka_unit_test(a_job_has_failed_when_the_rest_had_its_turn),
        cmocka_unit_test(a_global_job_reaches_every_node),
        cmocka_unit_test(a_paused_update_stops_but_an_old_pause_says_nothing),
        cmocka_unit_test(a_rollout_is_believed),
    cmocka_unit_test(a_global_service_wants_every_eligible_node),
        cmocka_unit_test(many_tasks_and_many_services_are_folded),
        cmocka_unit_test(a_removed_service_is_gone),
        cmocka_unit_test(damaged_objects_are_refused),
    };
    return cmocka_run_group_tests_name(__FILE__, tests, NULL, NULL);
}
