// SPDX-License-Identifier: Apache-2.0
//
// test/bench/bench_start.c — how fast containers come up, against bare runc on the same bundles; what a
// running one costs beside its workload.
//
// One JSON line a figure. Each round makes fifty containers of `sleep` twice: by `runc create` and `runc
// start` alone, with everything prepared before the clock starts, and by the executor from prepare to
// running, with the same parallelism. The median of the rounds' ratios counts: the machine's mood changes,
// but within a round it is the same for both.
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "reconciler/agent/bundle.h"
#include "reconciler/agent/capabilities.h"
#include "reconciler/agent/rootfs.h"
#include "reconciler/agent/runc_place.h"
#include "reconciler/agent/runc_task.h"
#include "reconciler/agent/seccomp.h"
#include "test/lib/directory_images.h"
#include "test/lib/runc_fixture.h"

#define TASKS 50
#define ROUNDS 4

static struct runc_fixture fixture;
static int parallel;

static void require(bool is_so, const char *what) {
    if (!is_so) {
        fprintf(stderr, "bench_start: %s\n", what);
        exit(1);
    }
}

static struct assignment *assignment_of(const struct id *id, struct arena *arena) {
    static const char *argv[] = {"/bin/sleep", "1000"};
    struct assignment *assignment = ARENA_NEW(arena, struct assignment);
    schema_init(&assignment_schema, assignment);
    assignment->task.meta.id = *id;
    assignment->service_name = assignment->spec.name = "bench";
    assignment->node_hostname = "node";
    assignment->spec.image = "busybox";
    assignment->spec.command = (struct strings){2, argv};
    return assignment;
}

// --- bare ---

struct bare {
    struct id id;
    struct runc_path bundle;
    pid_t pid; // of the runc that is under way
    bool is_created;
};

static void make_bundle(const struct runc_place *place, const struct bundle_host *host, const char *seccomp,
                        struct bare *bare, struct arena *arena) {
    const struct assignment *assignment = assignment_of(&bare->id, arena);
    const char *id = bare->id.text;
    const char *layer[] = {runc_fixture_path("images/busybox")};
    struct image_config config = {.user = "", .working_dir = "", .stop_signal = ""};
    struct error err = {0};
    char text[512];
    int64_t reason = 0;
    uint64_t missing;
    bare->bundle = runc_place_path(place, id, RUNC_RUN, "");
    const char *rootfs = arena_printf(arena, "%s/rootfs", bare->bundle.text);
    const char *state = arena_strdup(arena, runc_place_path(place, id, RUNC_STATE, "").text);
    int rc = fs_make_dirs(rootfs, 0755, &err);
    rc = rc == 0 ? fs_make_dirs(state, 0700, &err) : rc;
    rc = rc == 0 ? rootfs_mount(&(struct rootfs_options){.layers = {1, layer},
                                                         .upper = arena_printf(arena, "%s/upper", state),
                                                         .work = arena_printf(arena, "%s/work", state),
                                                         .target = rootfs},
                                &err)
                 : rc;
    AUTO_CLOSE int root_fd = open(rootfs, O_PATH | O_DIRECTORY | O_CLOEXEC);
    struct runc_path group = runc_place_path(place, id, RUNC_GROUP, "");
    rc = rc == 0 ? bundle_write(&(struct bundle_options){.assignment = assignment,
                                                         .image_reference = "busybox",
                                                         .image = &config,
                                                         .host = host,
                                                         .directory = bare->bundle.text,
                                                         .root_fd = root_fd,
                                                         .task_dir = state,
                                                         .volumes_dir = place->volumes_dir,
                                                         .group = group.text,
                                                         .seccomp = seccomp,
                                                         .capabilities = capabilities_of(
                                                             &assignment->spec, host->capabilities, &missing),
                                                         .shim_path = fixture.options.shim_path},
                                &reason, arena, &err)
                 : rc;
    require(rc == 0, error_text(&err, text, sizeof text));
}

static pid_t spawn_runc(const struct runc_place *place, const char *runc, struct bare *bare) {
    char *const create[] = {xstrdup(runc),       xstrdup("--root"), place->runc_root, xstrdup("create"),
                            xstrdup("--bundle"), bare->bundle.text, bare->id.text,    NULL};
    char *const start[] = {create[0], create[1], place->runc_root, xstrdup("start"), bare->id.text, NULL};
    char *const environment[] = {NULL};
    posix_spawn_file_actions_t actions;
    pid_t pid = 0;
    posix_spawn_file_actions_init(&actions);
    for (int fd = 0; fd < 3; fd++) {
        posix_spawn_file_actions_addopen(&actions, fd, "/dev/null", O_RDWR, 0);
    }
    require(posix_spawn(&pid, runc, &actions, NULL, bare->is_created ? start : create, environment) == 0,
            "runc cannot be started");
    posix_spawn_file_actions_destroy(&actions);
    xfree(create[0]);
    xfree(create[1]);
    xfree(create[3]);
    xfree(create[4]);
    xfree(start[3]);
    return pid;
}

static double run_bare(const struct runc_place *place, const char *runc, struct bare *all) {
    int next = 0;
    int under_way = 0;
    int64_t begin = clock_mono_ns();
    while (next < TASKS || under_way > 0) {
        while (next < TASKS && under_way < parallel) {
            all[next].pid = spawn_runc(place, runc, &all[next]);
            next++;
            under_way++;
        }
        int status;
        pid_t pid = waitpid(-1, &status, 0);
        for (int i = 0; i < next; i++) {
            if (all[i].pid == pid) {
                require(status == 0, "runc failed");
                under_way -= all[i].is_created;
                all[i].pid =
                    all[i].is_created ? 0 : (all[i].is_created = true, spawn_runc(place, runc, &all[i]));
                break;
            }
        }
    }
    return TASKS * 1e9 / (double)(clock_mono_ns() - begin);
}

// Starts per second of runc alone.
static double bench_bare(const char *runc) {
    static struct bare all[TASKS];
    AUTO_ARENA arena = arena_make(0);
    struct runc_place place = {0};
    struct bundle_host host = {0};
    struct error err = {0};
    const char *seccomp = NULL;
    uint64_t missing;
    bundle_host_read(&host);
    require(cgroups_read("/proc/self/mountinfo", &host.cgroups, &err) == 0, "no control groups");
    require(runc_place_init(&place, fixture.state_dir, fixture.run_dir, &err) == 0, "no directories");
    struct seccomp *profile = seccomp_new(NULL);
    uint64_t capabilities =
        capabilities_of(&assignment_of(&(struct id){""}, &arena)->spec, host.capabilities, &missing);
    require(seccomp_get(profile, capabilities, &seccomp, &err) == 0, "no seccomp profile");
    for (int i = 0; i < TASKS; i++) {
        all[i] = (struct bare){.id = id_random()};
        make_bundle(&place, &host, seccomp, &all[i], &arena);
    }
    double rate = run_bare(&place, runc, all);
    for (int i = 0; i < TASKS; i++) {
        int rc;
        do {
            rc = runc_place_remove(&place, &host.cgroups, all[i].id.text, &err);
        } while (rc == -ERR_BUSY);
        require(rc == 0, "a container cannot be removed");
    }
    seccomp_free(profile);
    runc_place_deinit(&place);
    return rate;
}

// --- ours ---

struct ours {
    struct executor *executor;
    int running, failed, removed;
};

static void on_event(void *context, const struct executor_event *event) {
    struct ours *ours = context;
    if (event->kind == EXECUTOR_PREPARED) {
        ours->executor->ops->start(ours->executor, &event->task_id);
    } else if (event->kind == EXECUTOR_FAILED) {
        fprintf(stderr, "bench_start: %s\n", event->message);
    }
    ours->running += event->kind == EXECUTOR_RUNNING;
    ours->removed += event->kind == EXECUTOR_REMOVED;
    ours->failed += event->kind == EXECUTOR_FAILED;
}

// Of /proc/PID/smaps_rollup.
static int64_t field_kib(const char *pid, const char *key) {
    AUTO_BUF text = {0};
    long long kib = 0;
    AUTO_FREE char *path = xasprintf("/proc/%s/smaps_rollup", pid);
    require(fs_read(AT_FDCWD, path, 65536, &text, NULL) == 0, "no smaps_rollup");
    const char *at = strstr(buf_text(&text), key);
    require(at != NULL && sscanf(at + strlen(key), " %lld", &kib) == 1, "no such field");
    return kib;
}

static double shims_kib(const struct id *ids) {
    double sum = 0;
    for (int i = 0; i < TASKS; i++) {
        struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
        AUTO_CLOSE int fd =
            open(runc_fixture_path("run/tasks/%s/shim/lock", ids[i].text), O_RDONLY | O_CLOEXEC);
        require(fd >= 0 && fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type == F_WRLCK, "a shim does not live");
        AUTO_FREE char *pid = xasprintf("%d", (int)lock.l_pid);
        sum += (double)field_kib(pid, "\nPss:");
    }
    return sum;
}

// Starts per second, and KiB per task of shims and executor.
static double bench_ours(double *out_kib) {
    struct ours ours = {0};
    AUTO_ARENA arena = arena_make(0);
    static struct id ids[TASKS];
    ours.executor = runc_fixture_open(&fixture, on_event, &ours);
    require(ours.executor != NULL, "no executor");
    int64_t before_kib = field_kib("self", "\nPrivate_Dirty:");
    int64_t begin = clock_mono_ns();
    for (int i = 0; i < TASKS; i++) {
        ids[i] = id_random();
        ours.executor->ops->prepare(ours.executor, assignment_of(&ids[i], &arena));
    }
    while (ours.running < TASKS) {
        runc_fixture_turn(&fixture);
        require(ours.failed == 0, "a task failed");
    }
    double rate = TASKS * 1e9 / (double)(clock_mono_ns() - begin);
    *out_kib = (shims_kib(ids) + (double)(field_kib("self", "\nPrivate_Dirty:") - before_kib)) / TASKS;
    for (int i = 0; i < TASKS; i++) {
        ours.executor->ops->remove(ours.executor, &ids[i]);
    }
    while (ours.removed < TASKS) {
        runc_fixture_turn(&fixture);
    }
    ours.executor->ops->free(ours.executor);
    return rate;
}

static int compare(const void *a, const void *b) {
    double left = *(const double *)a;
    double right = *(const double *)b;
    return (left > right) - (left < right);
}

static void report(const char *figure, double value, const char *unit, const char *more) {
    printf("{\"bench\":\"start\",\"figure\":\"%s\",\"value\":%.2f,\"unit\":\"%s\",\"parallel\":%d%s}\n",
           figure, value, unit, parallel, more);
}

int main(void) {
    AUTO_FREE char *runc = runc_find_program("runc");
    double bare[ROUNDS];
    double ours[ROUNDS];
    double ratio[ROUNDS];
    double kib[ROUNDS];
    require(runc != NULL, "no runc");
    runc_fixture_init(&fixture);
    parallel = (int)sysconf(_SC_NPROCESSORS_ONLN) + 1;
    for (int i = 0; i < ROUNDS; i++) {
        // In turns: the kernel takes network namespaces down behind whoever comes next.
        if (i % 2 == 0) {
            bare[i] = bench_bare(runc);
        }
        ours[i] = bench_ours(&kib[i]);
        if (i % 2 != 0) {
            bare[i] = bench_bare(runc);
        }
        ratio[i] = ours[i] / bare[i];
    }
    qsort(bare, ROUNDS, sizeof *bare, compare);
    qsort(ours, ROUNDS, sizeof *ours, compare);
    qsort(ratio, ROUNDS, sizeof *ratio, compare);
    qsort(kib, ROUNDS, sizeof *kib, compare);
    report("bare runc create+start", bare[ROUNDS / 2], "1/s", "");
    report("executor prepare+start", ours[ROUNDS / 2], "1/s", "");
    report("executor / bare runc", ratio[ROUNDS / 2], "ratio", ",\"goal\":0.7");
    report("memory per running task, shim included", kib[ROUNDS / 2], "KiB", ",\"goal\":512");
    runc_fixture_deinit(&fixture);
    return 0;
}
