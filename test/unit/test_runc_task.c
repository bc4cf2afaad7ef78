// SPDX-License-Identifier: Apache-2.0
//
// test/unit/test_runc_task.c — real containers: what is inside, how they end, and what becomes of them when
// shim, runc or the daemon are killed, missing, hanging, or without disk.
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "reconciler/agent/runc_place.h"
#include "reconciler/agent/task_log.h"
#include "test/lib/check.h"
#include "test/lib/directory_images.h"
#include "test/lib/runc_fixture.h"

#define DEADLINE_MS 60000
#define HOUR_MS 3600000

struct seen {
    int progress, prepared, running, exited, failed, removed;
    int64_t pid, reason, progress_reason;
    enum executor_class class_;
    struct task_exit exit;
    char message[512];
};

static struct runc_fixture fixture;
static struct executor_options defaults;
static struct executor *executor;
static struct arena arena;
static struct assignment assignment;
static struct seen seen;
static struct id id;

static void on_event(void *context, const struct executor_event *event) {
    (void)context;
    if (!id_equal(&event->task_id, &id)) {
        return;
    }
    seen.progress += event->kind == EXECUTOR_PROGRESS;
    seen.prepared += event->kind == EXECUTOR_PREPARED;
    seen.running += event->kind == EXECUTOR_RUNNING;
    seen.exited += event->kind == EXECUTOR_EXITED;
    seen.failed += event->kind == EXECUTOR_FAILED;
    seen.removed += event->kind == EXECUTOR_REMOVED;
    seen.pid = event->kind == EXECUTOR_RUNNING ? event->pid : seen.pid;
    if (event->kind == EXECUTOR_PROGRESS) {
        seen.progress_reason = event->reason;
    } else if (event->kind == EXECUTOR_EXITED || event->kind == EXECUTOR_FAILED) {
        seen.exit = event->exit;
        seen.reason = event->reason;
        seen.class_ = event->class_;
        snprintf(seen.message, sizeof seen.message, "%s", event->message);
    }
}

#define AWAIT(condition)                                                                                     \
    do {                                                                                                     \
        int64_t until_ms_ = clock_mono_ms() + DEADLINE_MS;                                                   \
        while (!(condition)) {                                                                               \
            if (clock_mono_ms() > until_ms_) {                                                               \
                fail_msg("never came true: %s (%s)", #condition, seen.message);                              \
            }                                                                                                \
            runc_fixture_turn(&fixture);                                                                     \
        }                                                                                                    \
    } while (0)

static void open_it(void) {
    executor = runc_fixture_open(&fixture, on_event, NULL);
    assert_non_null(executor);
}

static int set_up(void **state) {
    (void)state;
    fixture.options = defaults;
    seen = (struct seen){0};
    id = id_random();
    schema_init(&assignment_schema, &assignment);
    assignment.task.meta.id = id;
    assignment.service_name = assignment.spec.name = "test";
    assignment.node_hostname = "node1";
    assignment.spec.image = "busybox";
    open_it();
    return 0;
}

static void remove_it(void) {
    int told = seen.removed;
    executor->ops->remove(executor, &id);
    AWAIT(seen.removed > told);
}

// Nothing is left: no directory, no mount, no control group.
static void check_gone(void) {
    AUTO_BUF mounts = {0};
    struct runc_place place = {0};
    struct cgroups cgroups;
    struct error err = {0};
    assert_false(fs_exists(runc_fixture_path("run/tasks/%s", id.text)));
    assert_false(fs_exists(runc_fixture_path("run/runc/%s", id.text)));
    assert_false(fs_exists(runc_fixture_path("state/tasks/%s", id.text)));
    assert_int_equal(fs_read(AT_FDCWD, "/proc/self/mountinfo", 1 << 24, &mounts, &err), 0);
    assert_null(strstr(buf_text(&mounts), id.text));
    assert_int_equal(runc_place_init(&place, fixture.state_dir, fixture.run_dir, &err), 0);
    assert_int_equal(cgroups_read("/proc/self/mountinfo", &cgroups, &err), 0);
    struct runc_path group = runc_place_path(&place, id.text, RUNC_GROUP, "");
    for (int i = 0; i < cgroups.mount_count; i++) {
        assert_false(fs_exists(arena_printf(&arena, "%s%s", cgroups.mounts[i], group.text)));
    }
    runc_place_deinit(&place);
}

static int tear_down(void **state) {
    (void)state;
    remove_it();
    check_gone();
    executor->ops->free(executor);
    arena_free(&arena);
    return 0;
}

static void script_is(const char *script) {
    const char *argv[] = {"/bin/sh", "-c", script};
    assignment.spec.command = (struct strings){3, arena_copy(&arena, argv, sizeof argv)};
}

static void prepare(void) {
    executor->ops->prepare(executor, &assignment);
}

static void start(void) {
    prepare();
    AWAIT(seen.prepared + seen.failed > 0);
    assert_string_equal(seen.message, "");
    executor->ops->start(executor, &id);
    AWAIT(seen.running + seen.failed > 0);
    assert_string_equal(seen.message, "");
}

static const char *log_text(void) {
    AUTO_BUF out = {0};
    struct task_log *log = NULL;
    struct task_log_line line;
    struct error err = {0};
    const char *path = executor->ops->log_path(executor, &id, &arena);
    assert_int_equal(task_log_open(&(struct task_log_options){.path = path, .tail = -1}, &log, &err), 0);
    while (task_log_next(log, &line, &err) == 0) {
        buf_add(&out, line.text.data, line.text.len);
        buf_addc(&out, '\n');
    }
    task_log_close(log);
    return arena_strdup(&arena, buf_text(&out));
}

static void runs_to(const char *script, const char *log) {
    script_is(script);
    start();
    AWAIT(seen.exited > 0);
    if (log != NULL) {
        assert_string_equal(log_text(), log);
    }
}

static void fails_with(int64_t reason, enum executor_class class_, const char *part) {
    prepare();
    AWAIT(seen.prepared + seen.failed > 0);
    if (seen.failed == 0 || seen.reason != reason || seen.class_ != class_ ||
        strstr(seen.message, part) == NULL) {
        fail_msg("reason %d, class %d: %s", (int)seen.reason, (int)seen.class_, seen.message);
    }
}

// --- inside ---

static void user_directory_environment_and_name(void **state) {
    (void)state;
    assignment.spec.user = "web";
    assignment.spec.working_dir = "/tmp";
    assignment.spec.hostname = "inside";
    assignment.spec.environment = pairs_set(&arena, &assignment.spec.environment, "A", "b c");
    runs_to(
        "id; pwd; hostname=$(cat /etc/hostname); echo $hostname $HOSTNAME $A; cat /proc/self/status | grep "
        "-E '^(NoNewPrivs|Seccomp|CapEff):'; kill -0 1 && ls /sys/class/net",
        "uid=1000(web) gid=1001(web) groups=2000(extra)\n/tmp\ninside inside b c\n"
        "CapEff:\t0000000000000000\nNoNewPrivs:\t1\nSeccomp:\t2\nlo\n");
}

static void a_read_only_root_with_places_to_write(void **state) {
    (void)state;
    const char *tmpfs[] = {"/tmp"};
    assignment.spec.read_only = true;
    assignment.spec.tmpfs = (struct strings){1, tmpfs};
    runs_to("touch /x 2>/dev/null || echo refused; touch /tmp/x && echo written; "
            "(echo 1 >/proc/sys/kernel/panic) 2>/dev/null || echo kernel is safe",
            "refused\nwritten\nkernel is safe\n");
}

static void binds_volumes_and_their_rights(void **state) {
    (void)state;
    struct mount mounts[2];
    schema_init(&mount_schema, &mounts[0]);
    schema_init(&mount_schema, &mounts[1]);
    mounts[0].type = MOUNT_BIND;
    mounts[0].source = runc_fixture_path("images/busybox/etc");
    mounts[0].target = "/mnt/etc";
    mounts[0].read_only = true;
    mounts[1].type = MOUNT_VOLUME;
    mounts[1].source = "data";
    mounts[1].target = "/data";
    assignment.spec.volumes.count = 2;
    assignment.spec.volumes.items = mounts;
    assignment.spec.user = "web";
    runs_to("touch /mnt/etc/x 2>/dev/null || echo refused; head -n 1 /mnt/etc/passwd; cat /data/from-image; "
            "echo mine >/data/mine && echo written",
            "refused\nroot:x:0:0:root:/root:/bin/sh\nhere\nwritten\n");
    assert_true(fs_exists(runc_fixture_path("state/volumes/data/mine")));
}

static void an_init_reaps_and_hands_on_signals(void **state) {
    (void)state;
    assignment.spec.init = true;
    script_is("trap 'exit 9' USR1; echo $$; (sleep 0.01 &) ; echo ready; while :; do sleep 0.05; done");
    start();
    AWAIT(strstr(log_text(), "ready") != NULL);
    assert_string_not_equal(log_text(), "1\nready\n");
    executor->ops->stop(executor, &id, SIGUSR1, HOUR_MS);
    AWAIT(seen.exited > 0);
    assert_int_equal(seen.exit.code, 9);
}

static void the_images_stop_signal_is_used(void **state) {
    (void)state;
    assignment.spec.image = "quit";
    start();
    AWAIT(strstr(log_text(), "ready") != NULL);
    executor->ops->stop(executor, &id, 0, HOUR_MS);
    AWAIT(seen.exited > 0);
    assert_int_equal(seen.exit.code, 5);
}

static void limits_hold(void **state) {
    (void)state;
    assignment.spec.deploy.resources.limits.pids = 5;
    assignment.spec.deploy.resources.limits.cpus_nano = 500000000;
    runs_to("for i in 1 2 3 4 5 6 7 8; do sleep 5 & done 2>/dev/null; echo end", NULL);
    assert_null(strstr(log_text(), "end")); // the shell gives up when it cannot fork
}

static void memory_that_runs_out_is_told(void **state) {
    (void)state;
    assignment.spec.deploy.resources.limits.memory_bytes = 16 << 20;
    runs_to("exec dd if=/dev/zero of=/dev/null bs=64M count=1", NULL);
    assert_int_equal(seen.exit.code, 137);
    assert_true(seen.exit.oom);
    assert_int_equal(seen.reason, REASON_OUT_OF_MEMORY);
}

static void a_kill_is_not_taken_for_lack_of_memory(void **state) {
    (void)state;
    script_is("while :; do sleep 0.05; done");
    start();
    executor->ops->stop(executor, &id, SIGKILL, HOUR_MS);
    AWAIT(seen.exited > 0);
    assert_int_equal(seen.exit.signal, SIGKILL);
    assert_false(seen.exit.oom);
}

// --- what is refused ---

static void a_dev_that_is_a_symlink(void **state) {
    (void)state;
    assignment.spec.image = "dev-link";
    script_is("true");
    fails_with(REASON_IMAGE_INVALID, CLASS_REJECT, "/dev of the image is a symbolic link, not a directory");
}

static void an_image_that_does_not_exist(void **state) {
    (void)state;
    assignment.spec.image = "absent";
    fails_with(REASON_IMAGE_NOT_FOUND, CLASS_REJECT, "no image absent");
}

static void a_command_that_does_not_exist(void **state) {
    (void)state;
    const char *argv[] = {"nosuchcommand"};
    assignment.spec.command = (struct strings){1, argv};
    fails_with(REASON_CREATE_FAILED, CLASS_REJECT,
               "exec: \"nosuchcommand\": executable file not found in $PATH");
    assert_true(seen.message[0] == 'e'); // without runc's introductions
}

static void a_bind_without_a_source(void **state) {
    (void)state;
    struct mount mount;
    schema_init(&mount_schema, &mount);
    mount.type = MOUNT_BIND;
    mount.source = "/nonexistent/dir";
    mount.target = "/x";
    assignment.spec.volumes.count = 1;
    assignment.spec.volumes.items = &mount;
    script_is("true");
    fails_with(REASON_MOUNT_INVALID, CLASS_REJECT, "/nonexistent/dir does not exist on node node1");
}

static void reopen(void) {
    executor->ops->free(executor);
    open_it();
}

static void a_runc_that_is_missing(void **state) {
    (void)state;
    fixture.options.runc_path = "/nonexistent/runc";
    reopen();
    script_is("true");
    fails_with(REASON_RUNTIME_MISSING, CLASS_INTERNAL, "no program '/nonexistent/runc'");
}

static void a_runc_that_hangs(void **state) {
    (void)state;
    const char *runc = runc_fixture_path("hanging-runc");
    static const char script[] = "#!/bin/sh\nexec sleep 1000\n";
    assert_int_equal(fs_replace(AT_FDCWD, runc, script, sizeof script - 1, 0755, false, NULL), 0);
    fixture.options.runc_path = arena_strdup(&arena, runc);
    fixture.options.runc_timeout_ms = 300;
    reopen();
    script_is("true");
    fails_with(REASON_RUNTIME_MISSING, CLASS_INTERNAL, "runc create did not answer within 300 ms");
}

static void a_seccomp_profile_that_cannot_be_read(void **state) {
    (void)state;
    fixture.options.seccomp_path = "/nonexistent/seccomp.json";
    reopen();
    script_is("true");
    fails_with(REASON_UNSUPPORTED, CLASS_INTERNAL, "/nonexistent/seccomp.json: no such file");
}

static void a_full_disk_is_waited_for(void **state) {
    (void)state;
    const char *run_tasks = arena_strdup(&arena, runc_fixture_path("run/tasks"));
    const char *filler = arena_printf(&arena, "%s/filler", run_tasks);
    assert_int_equal(mount("tmpfs", run_tasks, "tmpfs", 0, "size=256k,mode=711"), 0);
    int fd = open(filler, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    char block[4096] = {0};
    while (write(fd, block, sizeof block) > 0) {
    }
    close(fd);
    script_is("exit 4");
    prepare();
    AWAIT(seen.progress > 0);
    assert_int_equal(seen.progress_reason, REASON_NO_SPACE);
    assert_int_equal(seen.failed, 0);
    assert_int_equal(unlink(filler), 0);
    AWAIT(seen.prepared > 0);
    executor->ops->start(executor, &id);
    AWAIT(seen.exited > 0);
    assert_int_equal(seen.exit.code, 4);
    remove_it();
    assert_int_equal(umount2(run_tasks, MNT_DETACH), 0);
}

// --- who is killed ---

static pid_t shim_pid(void) {
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    AUTO_CLOSE int fd = open(runc_fixture_path("run/tasks/%s/shim/lock", id.text), O_RDONLY | O_CLOEXEC);
    return fd >= 0 && fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type == F_WRLCK ? lock.l_pid : 0;
}

static bool is_alive(int64_t pid) {
    AUTO_BUF text = {0};
    return fs_read(AT_FDCWD, arena_printf(&arena, "/proc/%lld/status", (long long)pid), 65536, &text, NULL) ==
               0 &&
           strstr(buf_text(&text), "\nState:\tZ") == NULL;
}

static void a_shim_that_is_killed_takes_its_container_along(void **state) {
    (void)state;
    script_is("while :; do sleep 0.05; done");
    start();
    assert_int_equal(kill(shim_pid(), SIGKILL), 0);
    AWAIT(seen.exited > 0);
    assert_int_equal(seen.exit.kind, EXIT_UNKNOWN);
    assert_int_equal(seen.reason, REASON_SUPERVISOR_LOST);
    assert_false(is_alive(seen.pid));
}

static void a_shim_that_is_killed_before_the_start(void **state) {
    (void)state;
    script_is("while :; do sleep 0.05; done");
    prepare();
    AWAIT(seen.prepared > 0);
    assert_int_equal(kill(shim_pid(), SIGKILL), 0);
    AWAIT(seen.exited > 0);
    assert_int_equal(seen.exit.kind, EXIT_UNKNOWN);
}

// Is there a process with this argument?
static bool runs_for(const char *argument) {
    DIR *dir = opendir("/proc");
    bool is_found = false;
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        AUTO_BUF text = {0};
        const char *path = arena_printf(&arena, "/proc/%s/cmdline", entry->d_name);
        if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9' &&
            fs_read(AT_FDCWD, path, 65536, &text, NULL) == 0 &&
            memmem(text.data, text.len, argument, strlen(argument)) != NULL) {
            is_found = true;
        }
    }
    closedir(dir);
    return is_found;
}

static void a_shim_that_is_killed_while_runc_creates(void **state) {
    (void)state;
    const char *runc = runc_fixture_path("slow-runc");
    static const char script[] = "#!/bin/sh\nkill -STOP $$\n";
    assert_int_equal(fs_replace(AT_FDCWD, runc, script, sizeof script - 1, 0755, false, NULL), 0);
    fixture.options.runc_path = arena_strdup(&arena, runc);
    reopen();
    script_is("true");
    prepare();
    AWAIT(shim_pid() > 0);
    assert_int_equal(kill(shim_pid(), SIGKILL), 0);
    AWAIT(seen.failed > 0);
    assert_int_equal(seen.reason, REASON_SUPERVISOR_LOST);
    AWAIT(!runs_for(id.text)); // the runc that it left behind is killed
}

static enum executor_presence found;
static void on_listed(void *context, const struct id *task_id, enum executor_presence presence) {
    (void)context;
    if (id_equal(task_id, &id)) {
        found = presence;
    }
}

// What the agent does with a task whose end nobody knows.
static void is_lost(void) {
    struct error err = {0};
    open_it();
    assert_int_equal(executor->ops->list(executor, on_listed, NULL, &err), 0);
    assert_int_equal(found, PRESENCE_LOST);
    executor->ops->stop(executor, &id, 0, 0);
    AWAIT(seen.exited > 0);
    assert_int_equal(seen.exit.kind, EXIT_UNKNOWN);
}

static void a_shim_that_is_killed_while_no_daemon_looks(void **state) {
    (void)state;
    script_is("while :; do sleep 0.05; done");
    start();
    pid_t shim = shim_pid();
    executor->ops->free(executor);
    assert_int_equal(kill(shim, SIGKILL), 0);
    while (shim_pid() > 0) {
        poll(NULL, 0, 1);
    }
    is_lost();
    assert_false(is_alive(seen.pid));
}

static void a_machine_that_was_started_anew(void **state) {
    (void)state;
    AUTO_BUF record = {0};
    script_is("while :; do sleep 0.05; done");
    start();
    executor->ops->free(executor);
    assert_int_equal(kill(shim_pid(), SIGKILL), 0);
    const char *path = runc_fixture_path("state/tasks/%s/executor", id.text);
    assert_int_equal(fs_read(AT_FDCWD, path, 1 << 20, &record, NULL), 0);
    char *boot = strstr(record.data, "boot=") + 5;
    boot[0] = boot[0] == 'f' ? 'e' : 'f';
    assert_int_equal(fs_replace(AT_FDCWD, path, record.data, record.len, 0600, false, NULL), 0);
    while (shim_pid() > 0) {
        poll(NULL, 0, 1);
    }
    is_lost();
    assert_int_equal(seen.reason, REASON_NODE_REBOOTED);
}

// The daemon, as far as this file needs one: prepares and starts the task, until it is killed.
static _Noreturn void be_daemon(void) {
    static uv_loop_t loop;
    uv_loop_init(&loop);
    fixture.options.loop = &loop;
    open_it();
    prepare();
    for (bool is_started = false;;) {
        uv_run(&loop, UV_RUN_ONCE);
        if (seen.prepared > 0 && !is_started) {
            is_started = true;
            executor->ops->start(executor, &id);
        }
    }
}

static void a_daemon_killed_at(const char *root, const char *file) {
    struct error err = {0};
    executor->ops->free(executor);
    pid_t daemon = fork();
    if (daemon == 0) {
        be_daemon();
    }
    const char *path = arena_strdup(&arena, runc_fixture_path("%s/tasks/%s/%s", root, id.text, file));
    while (!fs_exists(path)) {
        poll(NULL, 0, 1);
    }
    kill(daemon, SIGKILL);
    waitpid(daemon, NULL, 0);
    open_it();
    found = PRESENCE_LOST;
    assert_int_equal(executor->ops->list(executor, on_listed, NULL, &err), 0);
    assert_int_not_equal(found, PRESENCE_LOST);
    prepare();
    AWAIT(seen.prepared + seen.running + seen.failed > 0);
    assert_string_equal(seen.message, "");
    executor->ops->start(executor, &id);
    AWAIT(seen.running > 0);
    executor->ops->stop(executor, &id, SIGKILL, HOUR_MS);
    AWAIT(seen.exited > 0);
    assert_int_equal(seen.exit.signal, SIGKILL);
}

static void a_daemon_killed_at_any_step(void **state) {
    static const char *const steps[][2] = {{"state", "executor"},   {"run", "rootfs"},
                                           {"run", "config.json"},  {"run", "shim/lock"},
                                           {"run", "shim/created"}, {"run", "shim/running"}};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        script_is("while :; do sleep 0.05; done");
        a_daemon_killed_at(steps[i][0], steps[i][1]);
        if (i + 1 < sizeof steps / sizeof *steps) {
            assert_int_equal(tear_down(state), 0);
            assert_int_equal(set_up(state), 0);
        }
    }
}

static void a_list_that_comes_late_changes_nothing(void **state) {
    (void)state;
    struct error err = {0};
    script_is("exit 3");
    start(); // before the first list of this executor
    assert_int_equal(executor->ops->list(executor, on_listed, NULL, &err), 0);
    AWAIT(seen.exited > 0);
    assert_int_equal(seen.exit.code, 3);
}

static void strays_are_removed(void **state) {
    (void)state;
    struct id stray = id_random();
    struct error err = {0};
    const char *rootfs = arena_strdup(&arena, runc_fixture_path("run/tasks/%s/rootfs", stray.text));
    assert_int_equal(fs_make_dirs(rootfs, 0755, NULL), 0);
    assert_int_equal(fs_make_dirs(runc_fixture_path("run/runc/%s", stray.text), 0755, NULL), 0);
    assert_int_equal(mount("tmpfs", rootfs, "tmpfs", 0, "size=4k"), 0);
    assert_int_equal(executor->ops->list(executor, on_listed, NULL, &err), 0);
    AWAIT(!fs_exists(runc_fixture_path("run/tasks/%s", stray.text)));
    AWAIT(!fs_exists(runc_fixture_path("run/runc/%s", stray.text)));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
static const struct CMUnitTest tests[] = {
    TEST(user_directory_environment_and_name),
    TEST(a_read_only_root_with_places_to_write),
    TEST(binds_volumes_and_their_rights),
    TEST(an_init_reaps_and_hands_on_signals),
    TEST(the_images_stop_signal_is_used),
    TEST(limits_hold),
    TEST(memory_that_runs_out_is_told),
    TEST(a_kill_is_not_taken_for_lack_of_memory),
    TEST(a_dev_that_is_a_symlink),
    TEST(an_image_that_does_not_exist),
    TEST(a_command_that_does_not_exist),
    TEST(a_bind_without_a_source),
    TEST(a_runc_that_is_missing),
    TEST(a_runc_that_hangs),
    TEST(a_seccomp_profile_that_cannot_be_read),
    TEST(a_full_disk_is_waited_for),
    TEST(a_shim_that_is_killed_takes_its_container_along),
    TEST(a_shim_that_is_killed_before_the_start),
    TEST(a_shim_that_is_killed_while_runc_creates),
    TEST(a_shim_that_is_killed_while_no_daemon_looks),
    TEST(a_machine_that_was_started_anew),
    TEST(a_daemon_killed_at_any_step),
    TEST(a_list_that_comes_late_changes_nothing),
    TEST(strays_are_removed),
};

int main(void) {
    runc_fixture_init(&fixture);
    defaults = fixture.options;
    int failed = cmocka_run_group_tests_name(__FILE__, tests, NULL, NULL);
    runc_fixture_deinit(&fixture);
    return failed;
}
