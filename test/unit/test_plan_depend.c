// SPDX-License-Identifier: Apache-2.0
//
// test/unit/test_plan_depend.c — services that wait for others, as a transcript; and how far a service is.
#include "reconciler/plan/depend.h"

#include "test/lib/check.h"
#include "test/lib/scenario.h"

static void services_wait_for_what_they_depend_on(void **state) {
    (void)state;
    scenario_check("depend");
}

enum { TASKS_MAX = 3 };
struct given {
    const char *name;
    enum service_mode mode;
    int64_t replicas;
    int64_t states[TASKS_MAX]; // 0 = no such task; negative: of an old revision
    struct dependency_state wanted;
};

static const struct given rows[] = {
    {"nothing is there yet", MODE_REPLICATED, 1, {0}, {false, false, false, true}},
    {"nothing is wanted", MODE_REPLICATED, 0, {0}, {true, true, true, true}},
    {"one of two runs", MODE_REPLICATED, 2, {TASK_RUNNING, TASK_READY}, {false, false, false, true}},
    {"started, not healthy", MODE_REPLICATED, 2, {TASK_RUNNING, TASK_STARTING}, {true, false, false, true}},
    {"all run", MODE_REPLICATED, 2, {TASK_RUNNING, TASK_RUNNING}, {true, true, false, true}},
    {"one failed", MODE_REPLICATED, 2, {TASK_RUNNING, TASK_FAILED}, {false, false, false, true}},
    {"all ended well", MODE_REPLICATED, 2, {TASK_COMPLETE, TASK_COMPLETE}, {true, true, true, true}},
    {"one is old", MODE_REPLICATED, 2, {TASK_RUNNING, -TASK_RUNNING}, {false, false, false, false}},
    {"an old one is over", MODE_REPLICATED, 1, {TASK_RUNNING, -TASK_COMPLETE}, {true, true, false, true}},
    {"global, nowhere", MODE_GLOBAL, 1, {0}, {false, false, false, true}},
    {"global, everywhere", MODE_GLOBAL, 1, {TASK_RUNNING, TASK_RUNNING}, {true, true, false, true}},
    {"global, not everywhere", MODE_GLOBAL, 1, {TASK_RUNNING, TASK_READY}, {false, false, false, true}},
    {"a job, half", MODE_REPLICATED_JOB, 2, {TASK_COMPLETE, TASK_RUNNING}, {true, true, false, true}},
    {"a job, done", MODE_REPLICATED_JOB, 2, {TASK_COMPLETE, TASK_COMPLETE}, {true, true, true, true}},
    {"a global job, done", MODE_GLOBAL_JOB, 1, {TASK_COMPLETE, TASK_COMPLETE}, {true, true, true, true}},
};

static void a_service_is_as_far_as_its_tasks(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct service service = {.revision = 2, .restart_revision = 2};
        struct task tasks[TASKS_MAX];
        const struct task *pointers[TASKS_MAX];
        size_t count = 0;
        service.spec.deploy.mode = rows[i].mode;
        service.spec.deploy.replicas = rows[i].replicas;
        for (; count < TASKS_MAX && rows[i].states[count] != 0; count++) {
            int64_t at = rows[i].states[count];
            tasks[count] = (struct task){
                .revision = at < 0 ? 1 : 2, .desired = TASK_RUNNING, .status.state = at < 0 ? -at : at};
            pointers[count] = &tasks[count];
        }
        struct dependency_state found = depend_state(&service, pointers, count);
        if (found.is_started != rows[i].wanted.is_started || found.is_running != rows[i].wanted.is_running ||
            found.is_completed != rows[i].wanted.is_completed ||
            found.is_updated != rows[i].wanted.is_updated) {
            fail_msg("%s: started %d, running %d, completed %d, updated %d", rows[i].name, found.is_started,
                     found.is_running, found.is_completed, found.is_updated);
        }
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(services_wait_for_what_they_depend_on),
    cmocka_unit_test(a_service_is_as_far_as_its_tasks),
};

CHECK_MAIN(tests)
