// SPDX-License-Identifier: Apache-2.0
//
// reconciler/agent/runc_work.c — what takes time, done on libuv's threads: making a container's files,
// undoing them.
//
// A piece of work has everything it needs in itself or in constants of the executor; it never looks at the
// task.
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "base/mem.h"
#include "reconciler/agent/capabilities.h"
#include "reconciler/agent/rootfs.h"
#include "reconciler/agent/runc_task.h"
#include "specs/signal_name.h"

struct work {
    uv_work_t request;
    struct runc_task *task;
    struct runc_executor *executor;
    enum runc_work kind;
    struct id id;
    bool is_half_made, was_lost;
    const struct assignment *assignment; // in the task's arena, which is not touched meanwhile
    const struct image *image;
    struct shelf_items contents; // likewise
    char *seccomp;
    uint64_t capabilities;
    int rc;
    int64_t reason;
    struct error err;
};

// --- making ---

static int make_directories(const struct work *work, struct error *err) {
    static const struct {
        enum runc_place_root root;
        const char *name;
        mode_t mode;
    } rows[] = {{RUNC_STATE, "", 0711}, {RUNC_STATE, "upper", 0755}, {RUNC_STATE, "work", 0700},
                {RUNC_RUN, "", 0711},   {RUNC_RUN, "rootfs", 0755},  {RUNC_SHIM, "", 0700}};
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < sizeof rows / sizeof *rows; i++) {
        struct runc_path path =
            runc_place_path(&work->executor->place, work->id.text, rows[i].root, rows[i].name);
        rc = fs_make_dirs(path.text, rows[i].mode, err);
    }
    return rc;
}

static int mount_root(struct work *work, struct arena *arena, struct error *err) {
    const struct runc_place *place = &work->executor->place;
    struct rootfs_options options = {
        .layers = work->image->layers,
        .upper = arena_strdup(arena, runc_place_path(place, work->id.text, RUNC_STATE, "upper").text),
        .work = arena_strdup(arena, runc_place_path(place, work->id.text, RUNC_STATE, "work").text),
        .target = arena_strdup(arena, runc_place_path(place, work->id.text, RUNC_RUN, "rootfs").text),
    };
    int rc = rootfs_mount(&options, err);
    if (rc < 0) {
        work->reason = rc == -ERR_INVALID    ? REASON_IMAGE_INVALID
                       : rc == -ERR_NO_SPACE ? REASON_NO_SPACE
                                             : REASON_CREATE_FAILED;
        rc = error_wrap(err, rc, "root file system of image %s", work->assignment->spec.image);
    }
    return rc;
}

static int write_bundle(struct work *work, struct arena *arena, struct error *err) {
    struct runc_executor *executor = work->executor;
    const struct runc_place *place = &executor->place;
    const char *id = work->id.text;
    const char *root = arena_strdup(arena, runc_place_path(place, id, RUNC_RUN, "rootfs").text);
    AUTO_CLOSE int root_fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (root_fd < 0) {
        return error_sys(err, errno, "open %s", root);
    }
    struct bundle_options options = {
        .assignment = work->assignment,
        .image_reference = work->assignment->spec.image,
        .image = &work->image->config,
        .host = &executor->host,
        .directory = arena_strdup(arena, runc_place_path(place, id, RUNC_RUN, "").text),
        .root_fd = root_fd,
        .task_dir = arena_strdup(arena, runc_place_path(place, id, RUNC_STATE, "").text),
        .volumes_dir = place->volumes_dir,
        .group = arena_strdup(arena, runc_place_path(place, id, RUNC_GROUP, "").text),
        .seccomp = work->seccomp,
        .capabilities = work->capabilities,
        .shim_path = executor->shim_path,
        .allow_bind = executor->allow_bind,
        .contents = &work->contents,
    };
    return bundle_write(&options, &work->reason, arena, err);
}

static int make(struct work *work, struct error *err) {
    AUTO_ARENA arena = {0};
    const struct runc_place *place = &work->executor->place;
    work->reason = REASON_CREATE_FAILED;
    int rc = 0;
    if (work->is_half_made) {
        runc_place_kill_runc(place, work->id.text);
        rc = runc_place_wipe(place, &work->executor->cgroups, work->id.text, err);
    }
    rc = rc == 0 ? runc_place_record(place, work->assignment, err) : rc;
    rc = rc == 0 ? make_directories(work, err) : rc;
    if (rc == -ERR_NO_SPACE) {
        work->reason = REASON_NO_SPACE;
    }
    rc = rc == 0 ? mount_root(work, &arena, err) : rc;
    return rc == 0 ? write_bundle(work, &arena, err) : rc;
}

// --- the thread's side and the loop's ---

static void on_thread(uv_work_t *request) {
    struct work *work = request->data;
    const struct runc_executor *executor = work->executor;
    const char *id = work->id.text;
    switch (work->kind) {
    case RUNC_WORK_MAKE:
        work->rc = make(work, &work->err);
        break;
    case RUNC_WORK_END:
        if (work->was_lost) { // its shim's runc may still be at work
            runc_place_kill_runc(&executor->place, id);
        }
        work->rc = runc_place_end(&executor->place, &executor->cgroups, id, &work->err);
        break;
    case RUNC_WORK_REMOVE:
        work->rc = runc_place_remove(&executor->place, &executor->cgroups, id, &work->err);
        break;
    case RUNC_WORK_NONE:
        break;
    }
}

static void on_done(uv_work_t *request, int status) {
    struct work *work = request->data;
    struct runc_task *task = work->task;
    (void)status;
    task->work = RUNC_WORK_NONE;
    if (task->is_freed) {
        shelf_items_leave(&task->contents);
        arena_free(&task->arena);
        xfree(task);
    } else if (work->kind == RUNC_WORK_MAKE) {
        runc_made(task, work->rc, work->reason, &work->err);
    } else {
        runc_undone(task, work->kind, work->rc, &work->err);
    }
    runc_executor_unref(work->executor);
    xfree(work->seccomp);
    xfree(work);
}

static void queue(struct work *work, struct runc_task *task, enum runc_work kind) {
    struct runc_executor *executor = task->executor;
    work->task = task;
    work->executor = executor;
    work->kind = task->work = kind;
    work->id = task->id;
    work->request.data = work;
    executor->references++;
    uv_queue_work(executor->loop, &work->request, on_thread, on_done);
}

// What would be left out silently otherwise.
static int refuse_capabilities(uint64_t missing, struct error *err) {
    AUTO_BUF names = {0};
    for (int number = 0; number < CAPABILITY_COUNT; number++) {
        if ((missing >> number & 1) != 0) {
            buf_addf(&names, " %s", capability_name(number));
        }
    }
    return error_set(err, ERR_UNSUPPORTED, "cap_add: the daemon on this node may not give%s",
                     buf_text(&names));
}

int runc_work_make(struct runc_task *task, struct error *err) {
    struct runc_executor *executor = task->executor;
    uint64_t missing;
    const char *seccomp;
    uint64_t capabilities = capabilities_of(&task->assignment->spec, executor->host.capabilities, &missing);
    int rc = missing != 0 ? refuse_capabilities(missing, err)
                          : seccomp_get(executor->seccomp, capabilities, &seccomp, err);
    if (rc < 0) {
        return rc;
    }
    struct work *work = NEW(struct work);
    work->assignment = task->assignment;
    work->image = task->image;
    work->contents = task->contents;
    work->seccomp = xstrdup(seccomp);
    work->capabilities = capabilities;
    work->is_half_made = task->is_half_made;
    task->is_half_made = false;
    queue(work, task, RUNC_WORK_MAKE);
    return 0;
}

void runc_work_undo(struct runc_task *task, enum runc_work kind) {
    struct work *work = NEW(struct work);
    work->was_lost = task->reason == REASON_SUPERVISOR_LOST;
    queue(work, task, kind);
}

// --- the shim's command line ---

const char *const *runc_work_shim_argv(const struct runc_task *task, const char *runc, struct arena *arena) {
    const struct runc_executor *executor = task->executor;
    const struct runc_place *place = &executor->place;
    const char *id = task->id.text;
    struct strings argv = {0};
    int64_t log_bytes;
    int64_t log_files;
    bundle_log_limits(&task->assignment->spec, &log_bytes, &log_files);
    const char *events =
        cgroups_memory_events(&executor->cgroups, runc_place_path(place, id, RUNC_GROUP, "").text, arena);
    const char *const rows[][2] = {
        {"--id", id},
        {"--bundle", arena_strdup(arena, runc_place_path(place, id, RUNC_RUN, "").text)},
        {"--dir", arena_strdup(arena, runc_place_path(place, id, RUNC_SHIM, "").text)},
        {"--log", arena_strdup(arena, runc_place_path(place, id, RUNC_STATE, "log").text)},
        {"--log-max-bytes", arena_printf(arena, "%lld", (long long)log_bytes)},
        {"--log-files", arena_printf(arena, "%lld", (long long)log_files)},
        {"--runc", runc},
        {"--runc-root", place->runc_root},
        {"--create-timeout-ms", arena_printf(arena, "%lld", (long long)executor->runc_timeout_ms)},
        {"--memory-events", events},
    };
    *ARENA_PUSH(arena, &argv) = executor->shim_path;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (rows[i][1] != NULL) {
            *ARENA_PUSH(arena, &argv) = rows[i][0];
            *ARENA_PUSH(arena, &argv) = rows[i][1];
        }
    }
    *ARENA_PUSH(arena, &argv) = NULL;
    return argv.items;
}
