// SPDX-License-Identifier: Apache-2.0
//
// test/unit/test_executor_fake.c — the fake executor does what every executor must, and what is asked of it
// beyond that: faults by script, many tasks, the same run from the same seed.
#include "reconciler/agent/executor_fake.h"

#include <stdio.h>

#include "base/assert.h"
#include "base/mem.h"
#include "test/lib/check.h"
#include "test/lib/executor_suite.h"

static const struct fake_profile profiles[] = {
    {.image = "forever", .prepare_ms = 30, .start_ms = 5, .stop_ms = 10, .exit_code = 3, .remove_ms = 5},
    {.image = "deaf", .prepare_ms = 30, .start_ms = 5, .stop_ms = -1, .remove_ms = 5},
    {.image = "exit-7", .prepare_ms = 30, .start_ms = 5, .run_ms = 20, .exit_code = 7, .remove_ms = 5},
    {.image = "exit-0", .prepare_ms = 30, .start_ms = 5, .run_ms = 20, .remove_ms = 5},
    {.image = "crash", .prepare_ms = 30, .start_ms = 5, .run_ms = 20, .crash_permille = 1000},
    {.image = "well", .prepare_ms = 30, .start_ms = 5, .stop_ms = 10, .health_ms = 20, .remove_ms = 5},
    {.image = "sick",
     .prepare_ms = 30,
     .start_ms = 5,
     .stop_ms = 10,
     .exit_code = 3,
     .health_ms = 20,
     .sick_permille = 1000,
     .remove_ms = 5},
    {.image = "missing", .prepare_ms = 30, .reject_permille = 1000},
    {.image = "print", .prepare_ms = 30, .start_ms = 5, .run_ms = 20, .remove_ms = 5},
};
static const struct fake_options options = {.seed = 1,
                                            .now_unix_ms = 1000,
                                            .profile_count = sizeof profiles / sizeof *profiles,
                                            .profiles = profiles};

static struct executor *fake_open(void *context, executor_event_fn on_event, void *event_context) {
    return executor_fake_new(context, on_event, event_context);
}

static void fake_turn(void *context) {
    int64_t next_ms = fake_machine_next_ms(context);
    ASSERT(next_ms != INT64_MAX); // something is awaited that will never come
    fake_machine_advance(context, next_ms);
}

static void fake_shape(void *context, enum suite_program program, struct assignment *assignment,
                       struct arena *arena) {
    (void)context, (void)arena;
    assignment->spec.image = suite_program_names[program];
}

// --- beyond the suite ---

struct record {
    size_t count;
    uint32_t digest;
    enum executor_event_kind last;
    int64_t last_unix_ms;
    int64_t reason;
};

static void on_event(void *context, const struct executor_event *event) {
    struct record *record = context;
    record->count++;
    record->last_unix_ms = event->time_unix_ms;
    record->digest = record->digest * 31 + (uint32_t)event->kind * 7 + (uint32_t)event->time_unix_ms +
                     (uint8_t)event->task_id.text[0];
    record->last = event->kind;
    record->reason = event->reason;
}

static struct assignment assignment_of(struct prng *prng, const char *image) {
    struct assignment assignment;
    schema_init(&assignment_schema, &assignment);
    assignment.task.meta.id = id_from_prng(prng);
    assignment.spec.image = image;
    return assignment;
}

static void run_dry(struct fake_machine *machine) {
    while (fake_machine_next_ms(machine) != INT64_MAX) {
        fake_machine_advance(machine, fake_machine_next_ms(machine));
    }
}

static void faults_follow_their_script(void **state) {
    (void)state;
    struct prng prng;
    struct record record = {0};
    struct fake_machine *machine = fake_machine_new(&options);
    struct executor *executor = executor_fake_new(machine, on_event, &record);
    prng_seed(&prng, 1);
    struct assignment assignment = assignment_of(&prng, "forever");
    fake_machine_fault(machine, &(struct fake_fault){.kind = FAULT_RETRY_PREPARE, .count = 3});
    fake_machine_fault(machine, &(struct fake_fault){.kind = FAULT_FAIL_PREPARE, .count = 1, .phase = 1});
    executor->ops->prepare(executor, &assignment);
    run_dry(machine);
    assert_int_equal(record.count, 5); // pulling, three retries, failed
    assert_int_equal(record.last, EXECUTOR_FAILED);
    assert_int_equal(record.reason, REASON_IMAGE_INVALID);
    assert_true(fake_machine_now_ms(machine) >= 1000 + 3000);

    struct fake_fault lose = {.kind = FAULT_LOSE_EVENT, .count = 1, .event = EXECUTOR_PREPARED};
    fake_machine_fault(machine, &lose);
    assignment = assignment_of(&prng, "forever");
    record = (struct record){0};
    executor->ops->prepare(executor, &assignment);
    run_dry(machine);
    assert_int_equal(record.count, 1); // pulling
    executor->ops->prepare(executor, &assignment);
    run_dry(machine);
    assert_int_equal(record.last, EXECUTOR_PREPARED);
    executor->ops->free(executor);
    fake_machine_free(machine);
}

// Nothing happened for an hour: what is asked then happens then.
static void what_is_asked_late_happens_late(void **state) {
    (void)state;
    struct prng prng;
    struct record record = {0};
    struct fake_machine *machine = fake_machine_new(&options);
    struct executor *executor = executor_fake_new(machine, on_event, &record);
    prng_seed(&prng, 1);
    struct assignment assignment = assignment_of(&prng, "forever");
    fake_machine_set_now(machine, 3600000);
    executor->ops->prepare(executor, &assignment);
    int64_t due_ms = fake_machine_next_ms(machine);
    assert_in_range(due_ms, 3600000, 3600000 + 100);
    fake_machine_set_now(machine, 7200000); // no further than to what is due
    assert_int_equal(fake_machine_now_ms(machine), due_ms);
    assert_int_equal(record.count, 0);
    fake_machine_set_now(machine, 1000); // and never back
    assert_int_equal(fake_machine_now_ms(machine), due_ms);
    run_dry(machine);
    assert_int_equal(record.last, EXECUTOR_PREPARED);
    assert_in_range(record.last_unix_ms, due_ms, due_ms + 100);
    executor->ops->free(executor);
    fake_machine_free(machine);
}

// A hundred thousand tasks are prepared, started, run and removed.
static uint32_t run_many(uint64_t seed, size_t count) {
    struct prng prng;
    struct record record = {0};
    struct fake_options many = options;
    many.seed = seed;
    struct fake_machine *machine = fake_machine_new(&many);
    struct executor *executor = executor_fake_new(machine, on_event, &record);
    struct id *ids = xcalloc(count, sizeof *ids);
    prng_seed(&prng, 1);
    for (size_t i = 0; i < count; i++) {
        struct assignment assignment = assignment_of(&prng, "exit-0");
        ids[i] = assignment.task.meta.id;
        executor->ops->prepare(executor, &assignment);
    }
    run_dry(machine);
    assert_int_equal(fake_machine_counts(machine).prepared, count);
    for (size_t i = 0; i < count; i++) {
        executor->ops->start(executor, &ids[i]);
    }
    run_dry(machine);
    assert_int_equal(fake_machine_counts(machine).over, count);
    for (size_t i = 0; i < count; i++) {
        executor->ops->remove(executor, &ids[i]);
    }
    run_dry(machine);
    assert_int_equal(fake_machine_counts(machine).present, 0);
    assert_int_equal(record.count, 5 * count);
    executor->ops->free(executor);
    fake_machine_free(machine);
    xfree(ids);
    return record.digest;
}

static void a_hundred_thousand_tasks_fit(void **state) {
    (void)state;
    assert_in_range(fake_machine_task_bytes(), 1, 300 - 2 * 24); // and two slots of the index
    run_many(1, 100000);
}

static void the_seed_decides_everything(void **state) {
    (void)state;
    assert_int_equal(run_many(5, 300), run_many(5, 300));
    assert_int_not_equal(run_many(5, 300), run_many(6, 300));
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(faults_follow_their_script),
        cmocka_unit_test(what_is_asked_late_happens_late),
        cmocka_unit_test(a_hundred_thousand_tasks_fit),
        cmocka_unit_test(the_seed_decides_everything),
    };
    struct fake_machine *machine = fake_machine_new(&options);
    struct executor_suite fake = {
        .name = "fake", .context = machine, .open = fake_open, .turn = fake_turn, .shape = fake_shape};
    int failed = executor_suite_main(&fake);
    fake_machine_free(machine);
    return failed + cmocka_run_group_tests_name(__FILE__, tests, NULL, NULL);
}
