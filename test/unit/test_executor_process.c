// SPDX-License-Identifier: Apache-2.0
//
// test/unit/test_executor_process.c — plain processes under a real muster-shim do what every executor must,
// and survive what may happen around them.
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "base/assert.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/str.h"
#include "reconciler/agent/supervisor.h"
#include "test/lib/check.h"
#include "test/lib/executor_suite.h"
#include "test/lib/scratch.h"

static uv_loop_t loop;
static char dir[64], shim[4096];

static struct executor *process_open(void *context, executor_event_fn on_event, void *event_context) {
    struct executor *executor;
    struct error err = {0};
    (void)context;
    struct executor_options options = {
        .loop = &loop, .state_dir = dir, .shim_path = shim, .on_event = on_event, .context = event_context};
    return executor_process_new(&options, &executor, &err) == 0 ? executor : NULL;
}

static void on_nothing(uv_timer_t *timer) {
    (void)timer;
}

static void turn(void *context) {
    static uv_timer_t timer; // so that a turn ends when nothing happens
    (void)context;
    if (timer.loop == NULL) {
        uv_timer_init(&loop, &timer);
    }
    uv_timer_start(&timer, on_nothing, 100, 0);
    uv_run(&loop, UV_RUN_ONCE);
}

static void shape(void *context, enum suite_program program, struct assignment *assignment,
                  struct arena *arena) {
    (void)context;
    suite_shape_shell(program, assignment, arena);
}

// --- beyond the suite ---

static struct {
    struct executor *executor;
    struct executor_event last;
    char message[512];
    int64_t pid;
    int failed, exited, removed;
} here;

static void on_event(void *context, const struct executor_event *event) {
    (void)context;
    here.last = *event;
    snprintf(here.message, sizeof here.message, "%s", event->message);
    here.pid = event->kind == EXECUTOR_RUNNING ? event->pid : here.pid;
    here.failed += event->kind == EXECUTOR_FAILED;
    here.exited += event->kind == EXECUTOR_EXITED;
    here.removed += event->kind == EXECUTOR_REMOVED;
    if (event->kind == EXECUTOR_PREPARED) {
        here.executor->ops->start(here.executor, &event->task_id);
    }
}

static struct assignment assignment_of(const char *script, struct arena *arena) {
    struct assignment assignment;
    const char *argv[] = {"sh", "-c", script};
    schema_init(&assignment_schema, &assignment);
    assignment.task.meta.id = id_random();
    assignment.spec.command.count = script == NULL ? 0 : 3;
    assignment.spec.command.items = arena_copy(arena, argv, sizeof argv);
    return assignment;
}

static void on_listed(void *context, const struct id *id, enum executor_presence presence) {
    (void)context, (void)id, (void)presence;
}

static int set_up(void **state) {
    (void)state;
    memset(&here, 0, sizeof here);
    here.executor = process_open(NULL, on_event, NULL);
    return here.executor == NULL;
}

static int tear_down(void **state) {
    (void)state;
    here.executor->ops->free(here.executor);
    return 0;
}

static void remove_and_wait(const struct id *id) {
    here.executor->ops->remove(here.executor, id);
    while (here.removed == 0) {
        turn(NULL);
    }
    here.removed = 0;
}

static void what_cannot_be_run_here_is_said(void **state) {
    (void)state;
    AUTO_ARENA arena = {0};
    struct assignment assignment = assignment_of(NULL, &arena);
    here.executor->ops->prepare(here.executor, &assignment);
    while (here.failed == 0) {
        turn(NULL);
    }
    assert_int_equal(here.last.class_, CLASS_REJECT);
    assert_true(str_starts(here.message, "no command: "));
    remove_and_wait(&assignment.task.meta.id);
    assignment = assignment_of("exit 0", &arena);
    assignment.spec.user = "nobody-of-this-name";
    here.failed = 0;
    here.executor->ops->prepare(here.executor, &assignment);
    while (here.failed == 0 && here.exited == 0) {
        turn(NULL);
    }
    assert_true(geteuid() != 0 || strcmp(here.message, "no user nobody-of-this-name on this machine") == 0);
    remove_and_wait(&assignment.task.meta.id);
}

static void a_missing_shim_is_said(void **state) {
    (void)state;
    AUTO_ARENA arena = {0};
    struct assignment assignment = assignment_of("exit 0", &arena);
    char right[sizeof shim];
    tear_down(NULL);
    memcpy(right, shim, sizeof shim);
    snprintf(shim, sizeof shim, "/no/such/shim");
    set_up(NULL);
    here.executor->ops->prepare(here.executor, &assignment);
    while (here.failed == 0) {
        turn(NULL);
    }
    assert_int_equal(here.last.reason, REASON_RUNTIME_MISSING);
    assert_string_equal(here.message, "no program /no/such/shim");
    remove_and_wait(&assignment.task.meta.id);
    memcpy(shim, right, sizeof shim);
}

static void its_directory_environment_and_user_are_its_own(void **state) {
    (void)state;
    AUTO_ARENA arena = {0};
    struct assignment assignment = assignment_of(
        "test \"$A\" = 'b c' && test \"$(basename $(pwd))\" = work && test $(id -u) = $WANT && echo > mine",
        &arena);
    struct pairs environment = {0};
    environment = pairs_set(&arena, &environment, "A", "b c");
    environment = pairs_set(&arena, &environment, "WANT",
                            geteuid() == 0 ? "65534" : arena_printf(&arena, "%u", (unsigned)geteuid()));
    assignment.spec.environment = environment;
    assignment.spec.user = geteuid() == 0 ? "65534:65534" : "";
    here.executor->ops->prepare(here.executor, &assignment);
    while (here.exited + here.failed == 0) {
        turn(NULL);
    }
    assert_string_equal(here.message, "");
    assert_int_equal(here.last.exit.code, 0);
    remove_and_wait(&assignment.task.meta.id);
}

// kill -9 of the shim: the end is noticed, what ran is killed, and the status is told as unknown.
static void a_killed_shim_is_noticed(void **state) {
    (void)state;
    AUTO_ARENA arena = {0};
    for (int adopted = 0; adopted < 2; adopted++) {
        struct assignment assignment = assignment_of("while :; do sleep 1; done", &arena);
        here.executor->ops->prepare(here.executor, &assignment);
        here.pid = here.exited = 0;
        while (here.pid == 0) {
            turn(NULL);
        }
        int64_t pid = here.pid;
        if (adopted != 0) {
            struct error err = {0};
            tear_down(NULL);
            set_up(NULL);
            here.executor->ops->list(here.executor, on_listed, NULL, &err);
            here.pid = 0;
            while (here.pid == 0) {
                turn(NULL);
            }
            assert_int_equal(here.pid, pid);
        }
        char *task_dir = arena_printf(&arena, "%s/process/%s/shim", dir, assignment.task.meta.id.text);
        struct supervisor_view view = supervisor_look(task_dir);
        assert_true(view.is_alive && view.is_running && view.shim_pid > 1);
        kill((pid_t)view.shim_pid, SIGKILL);
        while (here.exited == 0) {
            turn(NULL);
        }
        assert_int_equal(here.last.exit.kind, EXIT_UNKNOWN);
        assert_int_equal(here.last.reason, REASON_SUPERVISOR_LOST);
        char proc[64], status[512];
        snprintf(proc, sizeof proc, "/proc/%lld/stat", (long long)pid);
        for (;;) { // until the kernel is done with it
            AUTO_BUF text = {0};
            if (fs_read(AT_FDCWD, proc, sizeof status, &text, NULL) != 0 || strstr(buf_text(&text), ") Z ")) {
                break;
            }
        }
        remove_and_wait(&assignment.task.meta.id);
    }
}

// With the first process everything that it started goes, even what left its group.
static void nothing_is_left_behind(void **state) {
    (void)state;
    AUTO_ARENA arena = {0};
    struct assignment assignment = assignment_of(
        "setsid sh -c 'echo $$ > pid; exec sleep 1000' & while [ ! -s pid ]; do :; done", &arena);
    here.executor->ops->prepare(here.executor, &assignment);
    while (here.exited + here.failed == 0) {
        turn(NULL);
    }
    assert_string_equal(here.message, "");
    assert_int_equal(here.last.exit.code, 0);
    AUTO_BUF text = {0};
    char *path = arena_printf(&arena, "%s/process/%s/%s/pid", dir, assignment.task.meta.id.text, "work");
    assert_int_equal(fs_read(AT_FDCWD, path, 100, &text, NULL), 0);
    int64_t pid;
    text.data[strcspn(text.data, "\n")] = '\0';
    assert_true(str_to_int(text.data, &pid) && pid > 1);
    assert_int_equal(kill((pid_t)pid, 0), -1);
    remove_and_wait(&assignment.task.meta.id);
}

static int clean(void **state) {
    (void)state;
    return fs_remove_tree(AT_FDCWD, dir, NULL);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(what_cannot_be_run_here_is_said),
        TEST(a_missing_shim_is_said),
        TEST(its_directory_environment_and_user_are_its_own),
        TEST(a_killed_shim_is_noticed),
        TEST(nothing_is_left_behind),
#undef TEST
    };
    struct executor_suite process = {
        .name = "process", .has_logs = true, .open = process_open, .turn = turn, .shape = shape};
    scratch_name(dir, sizeof dir, "process");
    ASSERT(suite_find_shim(shim, sizeof shim) && mkdtemp(dir) != NULL);
    uv_loop_init(&loop);
    int failed = executor_suite_main(&process);
    failed += cmocka_run_group_tests_name(__FILE__, tests, NULL, clean);
    return failed;
}
