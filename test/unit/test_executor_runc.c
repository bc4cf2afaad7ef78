// SPDX-License-Identifier: Apache-2.0
//
// test/unit/test_executor_runc.c — containers of a real runc do what every executor must, and survive what
// may happen around them. Needs root.
//
// The image is a root file system with busybox alone, made here as a tar.
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

#include "base/assert.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/str.h"
#include "reconciler/agent/supervisor.h"
#include "reconciler/agent/task_log.h"
#include "reconciler/agent/health_probe.h"
#include "reconciler/agent/unpack.h"
#include "test/lib/check.h"
#include "test/lib/executor_suite.h"
#include "test/lib/scratch.h"

static uv_loop_t loop;
static char dir[64], shim[4096], self[4096], image[128], symlink_image[128];
static const char *runc = "runc";
static int64_t runc_timeout_ms;

static struct executor *runc_open(void *context, executor_event_fn on_event, void *event_context) {
    struct executor *executor;
    struct error err = {0};
    char text[512];
    AUTO_FREE char *state = xasprintf("%s/state", dir);
    AUTO_FREE char *run = xasprintf("%s/run", dir);
    (void)context;
    struct executor_options options = {.loop = &loop,
                                       .state_dir = state,
                                       .run_dir = run,
                                       .self_path = self,
                                       .shim_path = shim,
                                       .runc_path = runc,
                                       .runc_timeout_ms = runc_timeout_ms,
                                       .on_event = on_event,
                                       .context = event_context};
    if (executor_runc_new(&options, &executor, &err) < 0) {
        print_error("%s\n", error_text(&err, text, sizeof text));
        return NULL;
    }
    return executor;
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
    static const char *const crash[] = {"/bin/crash"};
    suite_shape_shell(program, assignment, arena);
    assignment->spec.image = image;
    if (program == PROGRAM_CRASH) { // the first process of a pid namespace cannot send itself a signal
        assignment->spec.entrypoint.count = 1;
        assignment->spec.entrypoint.items = arena_copy(arena, crash, sizeof crash);
    }
}

// --- beyond the suite ---

static struct {
    struct executor *executor;
    struct executor_event last;
    char message[1024], progress[1024];
    int64_t progress_reason;
    int64_t pid;
    int prepared, failed, exited, removed, progressed;
    enum executor_presence presence;
    int listed;
    bool holds; // PREPARED does not start
} here;

static void on_event(void *context, const struct executor_event *event) {
    (void)context;
    if (event->kind == EXECUTOR_PROGRESS) {
        here.progressed++;
        here.progress_reason = event->reason;
        snprintf(here.progress, sizeof here.progress, "%s", event->message);
        return;
    }
    here.last = *event;
    snprintf(here.message, sizeof here.message, "%s", event->message);
    here.pid = event->kind == EXECUTOR_RUNNING ? event->pid : here.pid;
    here.prepared += event->kind == EXECUTOR_PREPARED;
    here.failed += event->kind == EXECUTOR_FAILED;
    here.exited += event->kind == EXECUTOR_EXITED;
    here.removed += event->kind == EXECUTOR_REMOVED;
    if (event->kind == EXECUTOR_PREPARED && !here.holds) {
        here.executor->ops->start(here.executor, &event->task_id);
    }
}

static void on_listed(void *context, const struct id *id, enum executor_presence presence) {
    (void)context, (void)id;
    here.listed++;
    here.presence = presence;
}

static void list(void) {
    struct error err = {0};
    here.listed = 0;
    assert_int_equal(here.executor->ops->list(here.executor, on_listed, NULL, &err), 0);
}

static struct assignment assignment_of(const char *script, struct arena *arena) {
    struct assignment assignment;
    const char *argv[] = {"/bin/sh", "-c", script};
    schema_init(&assignment_schema, &assignment);
    assignment.task.meta.id = id_random();
    assignment.spec.name = assignment.service_name = "web";
    assignment.spec.image = image;
    assignment.spec.entrypoint.count = script == NULL ? 0 : 3;
    assignment.spec.entrypoint.items = arena_copy(arena, argv, sizeof argv);
    return assignment;
}

static int set_up(void **state) {
    (void)state;
    memset(&here, 0, sizeof here);
    runc = "runc";
    runc_timeout_ms = 0;
    here.executor = runc_open(NULL, on_event, NULL);
    return here.executor == NULL;
}

static int tear_down(void **state) {
    (void)state;
    here.executor->ops->free(here.executor);
    return 0;
}

// The daemon dies and another one begins: what was in memory is gone.
static void restart(void) {
    here.executor->ops->free(here.executor);
    uv_run(&loop, UV_RUN_DEFAULT); // threads at work die with a daemon; here they end first
    here.executor = runc_open(NULL, on_event, NULL);
    assert_non_null(here.executor);
}

static void wait_for(const int *counter) {
    while (*counter == 0) {
        turn(NULL);
    }
}

static void prepare(const struct assignment *assignment) {
    here.executor->ops->prepare(here.executor, assignment);
}

static void remove_and_wait(const struct assignment *assignment) {
    here.executor->ops->remove(here.executor, &assignment->task.meta.id);
    wait_for(&here.removed);
    here.removed = 0;
}

static void expect_log(const struct assignment *assignment, const char *const *lines, size_t count) {
    AUTO_ARENA arena = {0};
    struct task_log *log;
    struct error err = {0};
    struct task_log_line line;
    struct task_log_options options = {
        .path = here.executor->ops->log_path(here.executor, &assignment->task.meta.id, &arena), .tail = -1};
    assert_int_equal(task_log_open(&options, &log, &err), 0);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(task_log_next(log, &line, &err), 0);
        AUTO_FREE char *text = xasprintf("%.*s", (int)line.text.len, (const char *)line.text.data);
        assert_string_equal(text, lines[i]);
    }
    assert_int_equal(task_log_next(log, &line, &err), TASK_LOG_END);
    task_log_close(log);
}

static void the_spec_reaches_the_process(void **state) {
    (void)state;
    AUTO_ARENA arena = {0};
    struct assignment assignment =
        assignment_of("echo $COLOUR $(pwd) $(hostname) $(id -u):$(id -g); echo $(cat /sys/fs/cgroup/x 2>&1 | "
                      "head -c0)$(ls /proc/self/ns | "
                      "grep -c net); touch /nothing 2>/dev/null || echo read-only; touch /tmp/x && echo tmp; "
                      "grep -c . /etc/hosts >/dev/null && echo hosts; ip -o link | grep -c LOOPBACK; grep "
                      "NoNewPrivs /proc/self/status | tr -d '\\t'",
                      &arena);
    struct pair pair = {"COLOUR", "red"};
    const char *tmpfs = "/tmp";
    assignment.spec.environment = (struct pairs){1, &pair};
    assignment.spec.working_dir = "/srv";
    assignment.spec.hostname = "box";
    assignment.spec.user = "7:8";
    assignment.spec.read_only = true;
    assignment.spec.tmpfs = (struct strings){1, &tmpfs};
    prepare(&assignment);
    while (here.exited == 0 && here.failed == 0) {
        turn(NULL);
    }
    assert_string_equal(here.message, "");
    const char *lines[] = {"red /srv box 7:8", "1", "read-only", "tmp", "hosts", "1", "NoNewPrivs:1"};
    expect_log(&assignment, lines, sizeof lines / sizeof *lines);
    remove_and_wait(&assignment);
}

static void running_out_of_memory_is_told(void **state) {
    (void)state;
    AUTO_ARENA arena = {0};
    struct assignment assignment = assignment_of("exec tail /dev/zero", &arena);
    assignment.spec.deploy.resources.limits.memory_bytes = 8 << 20;
    prepare(&assignment);
    wait_for(&here.exited);
    assert_int_equal(here.last.exit.kind, EXIT_SIGNAL);
    assert_int_equal(here.last.exit.signal, SIGKILL);
    assert_true(here.last.exit.oom);
    assert_int_equal(here.last.reason, REASON_OUT_OF_MEMORY);
    remove_and_wait(&assignment);
}

// An ended child of ours that nobody has asked for.
static bool has_zombie(void) {
    siginfo_t info = {0};
    return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid != 0;
}

static void a_shim_that_ended_is_reaped(void **state) {
    (void)state;
    while (waitpid(-1, NULL, WNOHANG) > 0) {
        // those of daemons that have died before: they would be nobody's children now
    }
    AUTO_ARENA arena = {0};
    for (int i = 0; i < 3; i++) {
        struct assignment assignment = assignment_of("exit 0", &arena);
        here.exited = 0;
        prepare(&assignment);
        wait_for(&here.exited);
        remove_and_wait(&assignment);
    }
    int turns = 0;
    for (; turns < 100 && has_zombie(); turns++) {
        turn(NULL);
    }
    assert_true(turns < 100);
}

static void fails_with(const struct assignment *assignment, int64_t reason, const char *part) {
    here.failed = 0;
    prepare(assignment);
    wait_for(&here.failed);
    if (strstr(here.message, part) == NULL || here.last.reason != reason) {
        print_error("said: %s (%s)\n", here.message, task_reason_text(here.last.reason));
    }
    assert_non_null(strstr(here.message, part));
    assert_int_equal(here.last.reason, reason);
    remove_and_wait(assignment);
}

static void what_cannot_be_run_is_said(void **state) {
    (void)state;
    AUTO_ARENA arena = {0};
    struct assignment assignment = assignment_of("exit 0", &arena);
    const char *nothing = "no-such-program";
    assignment.spec.entrypoint = (struct strings){1, &nothing};
    fails_with(&assignment, REASON_CREATE_FAILED, "executable file not found in $PATH");
    assert_int_equal(here.last.kind, EXECUTOR_REMOVED);
    assignment = assignment_of("exit 0", &arena);
    struct mount mount = {.type = MOUNT_BIND, .source = "/no/such/directory", .target = "/mnt"};
    assignment.spec.volumes.count = 1;
    assignment.spec.volumes.items = &mount;
    fails_with(&assignment, REASON_MOUNT_INVALID, "/no/such/directory");
    assignment = assignment_of("exit 0", &arena);
    assignment.spec.image = symlink_image;
    fails_with(&assignment, REASON_IMAGE_INVALID, "/dev");
    assignment = assignment_of("exit 0", &arena);
    assignment.spec.user = "stranger";
    fails_with(&assignment, REASON_CREATE_FAILED, "stranger");
    assignment = assignment_of("exit 0", &arena);
    assignment.spec.image = arena_printf(&arena, "tar:%s/no-such.tar", dir);
    fails_with(&assignment, REASON_IMAGE_NOT_FOUND, "no-such.tar");
}

static void write_script(const char *path, const char *text) {
    assert_int_equal(fs_replace(AT_FDCWD, path, text, strlen(text), 0755, /*sync=*/false, NULL), 0);
}

static void a_runc_that_is_missing_or_hangs_is_said(void **state) {
    (void)state;
    AUTO_ARENA arena = {0};
    AUTO_FREE char *slow = xasprintf("%s/slow-runc", dir);
    struct assignment assignment = assignment_of("exit 0", &arena);
    runc = "/no/such/runc";
    restart();
    fails_with(&assignment, REASON_RUNTIME_MISSING, "/no/such/runc");
    write_script(slow, "#!/bin/sh\nexec sleep 1000\n");
    runc = slow;
    runc_timeout_ms = 300;
    restart();
    assignment = assignment_of("exit 0", &arena);
    fails_with(&assignment, REASON_RUNTIME_MISSING, "did not answer");
}

static void a_restart_loses_neither_task_nor_exit_nor_log(void **state) {
    (void)state;
    AUTO_ARENA arena = {0};
    AUTO_FREE char *flag = xasprintf("%s/flag", dir);
    struct mount mount = {.type = MOUNT_BIND, .source = dir, .target = "/mnt"};
    struct assignment assignment =
        assignment_of("echo one; while [ ! -e /mnt/flag ]; do sleep 0.02; done; echo two; exit 5", &arena);
    assignment.spec.volumes.count = 1;
    assignment.spec.volumes.items = &mount;
    prepare(&assignment);
    while (here.pid == 0) {
        turn(NULL);
    }
    int64_t pid = here.pid;
    restart();
    list();
    assert_int_equal(here.listed, 1);
    assert_int_equal(here.presence, PRESENCE_RUNNING);
    here.executor->ops->free(here.executor); // it ends while nobody is there
    write_script(flag, "");
    while (kill((pid_t)pid, 0) == 0) {
        turn(NULL);
    }
    here.executor = runc_open(NULL, on_event, NULL);
    list();
    assert_int_equal(here.listed, 1);
    wait_for(&here.exited);
    assert_int_equal(here.last.exit.code, 5);
    const char *lines[] = {"one", "two"};
    expect_log(&assignment, lines, 2);
    unlink(flag);
    remove_and_wait(&assignment);
}

static bool shell_says_yes(const char *script) {
    pid_t pid;
    int status;
    char *copy = xstrdup(script);
    char *const argv[] = {(char[]){"sh"}, (char[]){"-c"}, copy, NULL};
    ASSERT(posix_spawn(&pid, "/bin/sh", NULL, NULL, argv, environ) == 0);
    ASSERT(waitpid(pid, &status, 0) == pid);
    xfree(copy);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void a_killed_shim_takes_its_container_along(void **state) {
    (void)state;
    AUTO_ARENA arena = {0};
    struct assignment assignment = assignment_of("sleep 1000", &arena);
    prepare(&assignment);
    while (here.pid == 0) {
        turn(NULL);
    }
    AUTO_FREE char *shim_dir = xasprintf("%s/run/tasks/%s/shim", dir, assignment.task.meta.id.text);
    struct supervisor_view view = supervisor_look(shim_dir);
    assert_true(view.is_alive);
    kill((pid_t)view.shim_pid, SIGKILL);
    wait_for(&here.exited);
    assert_int_equal(here.last.reason, REASON_SUPERVISOR_LOST);
    assert_int_equal(here.last.exit.kind, EXIT_UNKNOWN);
    AUTO_FREE char *command =
        xasprintf("! grep -q '^State:.[RSD]' /proc/%lld/status 2>/dev/null", (long long)here.pid);
    assert_true(shell_says_yes(command));
    remove_and_wait(&assignment);
}

// The daemon dies at any moment of making a container: the next one makes it, once.
static void a_container_half_made_is_made_by_the_next_daemon(void **state) {
    (void)state;
    AUTO_ARENA arena = {0};
    for (int turns = 0; turns < 14; turns++) {
        struct assignment assignment = assignment_of("exit 9", &arena);
        here.prepared = here.exited = 0;
        here.holds = true;
        prepare(&assignment);
        for (int i = 0; i < turns && here.prepared == 0; i++) {
            turn(NULL);
        }
        restart();
        list();
        here.prepared = here.prepared > 0 && here.presence == PRESENCE_PREPARED;
        if (here.prepared == 0) {
            prepare(&assignment);
            wait_for(&here.prepared);
        }
        here.executor->ops->start(here.executor, &assignment.task.meta.id);
        wait_for(&here.exited);
        assert_int_equal(here.last.exit.code, 9);
        remove_and_wait(&assignment);
    }
}

// The daemon was killed before the record was in its place, or after it had gone.
static void what_was_cut_off_around_its_record_is_cleared(void **state) {
    (void)state;
    AUTO_FREE char *before = xasprintf("%s/state/tasks/%025d", dir, 1);
    AUTO_FREE char *after = xasprintf("%s/state/tasks/%025d", dir, 2);
    AUTO_FREE char *half = xasprintf("%s/executor.tmp", before);
    assert_int_equal(mkdir(before, 0700), 0);
    assert_int_equal(mkdir(after, 0700), 0);
    write_script(half, "half");
    restart();
    list();
    assert_int_equal(here.listed, 0);
    assert_false(fs_exists(before));
    assert_false(fs_exists(after));
}

static void nothing_is_left_behind(void **state) {
    (void)state;
    AUTO_FREE char *mounts = xasprintf("! grep -q '%s/run' /proc/self/mountinfo", dir);
    AUTO_FREE char *files =
        xasprintf("cd %s && test -z \"$(ls -A run/tasks run/runc state/tasks | grep -v ':$')\"", dir);
    AUTO_FREE char *shims = xasprintf("! pgrep -f 'muster-shim.*[-]-dir %s'", dir);
    list();
    assert_int_equal(here.listed, 0);
    assert_true(shell_says_yes(mounts));
    assert_true(shell_says_yes(files));
    assert_true(shell_says_yes(shims));
}

// --- the image ---

static void make_images(void) {
    AUTO_FREE char *script = xasprintf(
        "set -e; cd %s; mkdir -p root/bin root/dev root/proc root/sys root/etc root/srv root/tmp root/mnt; "
        "cp /bin/busybox root/bin/; for a in sh sleep echo cat touch id hostname grep ls head tail tr ip "
        "true; do "
        "ln -sf busybox root/bin/$a; done; echo root:x:0:0::/:/bin/sh >root/etc/passwd; "
        "chmod 1777 root/tmp; cp /bin/busybox root/bin/crash; head -c 8 /dev/zero | dd of=root/bin/crash "
        "bs=1 seek=24 "
        "conv=notrunc 2>/dev/null; tar -C root -cf root.tar .; rm -rf root/dev; ln -s /etc root/dev; tar -C "
        "root -cf linked.tar .",
        dir);
    ASSERT(shell_says_yes(script));
    snprintf(image, sizeof image, "tar:%s/root.tar", dir);
    snprintf(symlink_image, sizeof symlink_image, "tar:%s/linked.tar", dir);
}

static int clean(void **state) {
    struct error err = {0};
    char text[512];
    (void)state;
    for (int i = 0; i < 100 && uv_run(&loop, UV_RUN_NOWAIT) != 0; i++) {
    }
    if (fs_remove_tree(AT_FDCWD, dir, &err) < 0) {
        print_error("%s\n", error_text(&err, text, sizeof text));
        return 1;
    }
    return 0;
}

int main(int argc, char **argv) {
    if (argc > 1 && str_equal(argv[1], "unpack")) {
        return unpack_main(argc - 1, argv + 1);
    }
    if (argc > 1 && str_equal(argv[1], "probe")) {
        return health_probe_main(argc - 1, argv + 1);
    }
    static const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(the_spec_reaches_the_process),
        TEST(running_out_of_memory_is_told),
        TEST(a_shim_that_ended_is_reaped),
        TEST(what_cannot_be_run_is_said),
        TEST(a_runc_that_is_missing_or_hangs_is_said),
        TEST(a_restart_loses_neither_task_nor_exit_nor_log),
        TEST(a_killed_shim_takes_its_container_along),
        TEST(a_container_half_made_is_made_by_the_next_daemon),
        TEST(what_was_cut_off_around_its_record_is_cleared),
        TEST(nothing_is_left_behind),
#undef TEST
    };
    struct executor_suite suite = {
        .name = "runc", .has_logs = true, .open = runc_open, .turn = turn, .shape = shape};
    ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
    ASSERT(len > 0);
    self[len] = '\0';
    scratch_name(dir, sizeof dir, "runc");
    ASSERT(mkdtemp(dir) != NULL && suite_find_shim(shim, sizeof shim) && uv_loop_init(&loop) == 0);
    make_images();
    int failed = executor_suite_main(&suite);
    failed += cmocka_run_group_tests_name(__FILE__, tests, NULL, clean);
    return failed;
}
