// SPDX-License-Identifier: Apache-2.0
//
// reconciler/agent/agent_sync.c — syncs files and their directory on a thread of the pool.
#include "reconciler/agent/agent_sync.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#include <uv.h>

#include "base/error.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"

// From so many on it is cheaper to sync the file system once.
#define FILES_EACH_MAX 64

struct work {
    uv_work_t request;
    struct agent_sync *sync;
    int dir_fd; // its own: the agent may be gone before it is done
    size_t count;
    struct id *ids;
    struct error err;
};

struct agent_sync {
    uv_loop_t *loop;
    int dir_fd;
    size_t count, capacity;
    struct id *ids; // written since the last work began
    bool is_busy, is_freed;
};

struct agent_sync *agent_sync_new(struct uv_loop_s *loop, int dir_fd) {
    struct agent_sync *sync = NEW(struct agent_sync);
    sync->loop = loop;
    sync->dir_fd = dir_fd;
    return sync;
}

void agent_sync_note(struct agent_sync *sync, const struct id *id) {
    if (sync->count == sync->capacity) {
        sync->capacity = sync->capacity == 0 ? 16 : sync->capacity * 2;
        sync->ids = xrealloc(sync->ids, sync->capacity * sizeof *sync->ids);
    }
    sync->ids[sync->count++] = *id;
}

// --- on the thread ---

static int sync_file(int dir_fd, const struct id *id, struct error *err) {
    AUTO_CLOSE int fd = openat(dir_fd, id->text, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return errno == ENOENT ? 0 : error_sys(err, errno, "open '%s'", id->text); // its task is over
    }
    return fdatasync(fd) == 0 ? 0 : error_sys(err, errno, "sync '%s'", id->text);
}

static void on_thread(uv_work_t *request) {
    struct work *work = request->data;
    int rc = 0;
    if (work->count > FILES_EACH_MAX) {
        if (syncfs(work->dir_fd) != 0) {
            error_sys(&work->err, errno, "sync the file system");
        }
        return;
    }
    for (size_t i = 0; rc == 0 && i < work->count; i++) {
        rc = sync_file(work->dir_fd, &work->ids[i], &work->err);
    }
    if (rc == 0 && fsync(work->dir_fd) != 0) {
        error_sys(&work->err, errno, "sync the directory");
    }
}

// --- on the loop ---

static void sync_destroy(struct agent_sync *sync) {
    xfree(sync->ids);
    xfree(sync);
}

static void on_done(uv_work_t *request, int status) {
    struct work *work = request->data;
    struct agent_sync *sync = work->sync;
    (void)status; // nobody cancels it
    if (work->err.code != ERR_NONE) {
        error_wrap(&work->err, -(int)work->err.code, "keep the assignments through a loss of power");
        log_failure(LOG_WARN, "agent.sync", &work->err, LOG_INT("files", work->count));
    } else {
        log_event(LOG_DEBUG, "agent.sync", LOG_INT("files", work->count));
    }
    close_at(&work->dir_fd);
    xfree(work->ids);
    xfree(work);
    sync->is_busy = false;
    if (sync->is_freed) {
        sync_destroy(sync);
    }
}

void agent_sync_tick(struct agent_sync *sync) {
    if (sync->is_busy || sync->count == 0) {
        return;
    }
    int dir_fd = fcntl(sync->dir_fd, F_DUPFD_CLOEXEC, 0);
    if (dir_fd < 0) {
        return; // no descriptors now: at the next tick
    }
    struct work *work = NEW(struct work);
    *work = (struct work){.sync = sync, .dir_fd = dir_fd, .count = sync->count, .ids = sync->ids};
    work->request.data = work;
    sync->ids = NULL;
    sync->count = sync->capacity = 0;
    sync->is_busy = true;
    uv_queue_work(sync->loop, &work->request, on_thread, on_done);
}

void agent_sync_free(struct agent_sync *sync) {
    if (sync != NULL && sync->is_busy) {
        sync->is_freed = true;
    } else if (sync != NULL) {
        sync_destroy(sync);
    }
}
