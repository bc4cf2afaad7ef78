// SPDX-License-Identifier: Apache-2.0
//
// reconciler/agent/runc_recover.c — after a restart of the daemon: which containers there are, and how each
// ended that did.
//
// Everything follows from files: the record says that the executor knew the task and in which boot of the
// machine, the shim's files say how far it came. What belongs to no record is nobody's: it is removed.
#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "reconciler/agent/runc_task.h"

static enum executor_presence presence_of(const struct supervisor_view *view) {
    if (view->is_exited) {
        return PRESENCE_EXITED;
    }
    if (view->is_failed) {
        return PRESENCE_FAILED;
    }
    if (view->is_alive) {
        return view->is_running   ? PRESENCE_RUNNING
               : view->is_created ? PRESENCE_PREPARED
                                  : PRESENCE_PREPARING;
    }
    return view->is_created ? PRESENCE_LOST : PRESENCE_PREPARING;
}

// Watches the shim, or reads how it ended: its supervisor tells the rest.
static void attach(struct runc_task *task, const struct supervisor_view *view) {
    struct runc_path dir = runc_place_path(&task->executor->place, task->id.text, RUNC_SHIM, "");
    struct supervisor_options options = {task->executor->loop, dir.text, NULL, runc_on_supervisor, task};
    struct error err = {0};
    bool has_ended = view->is_exited || view->is_failed;
    task->presence = presence_of(view);
    task->is_half_made = task->presence == PRESENCE_PREPARING && !view->is_alive;
    if (!view->is_alive && !has_ended) {
        return;
    }
    if (supervisor_open(&options, &task->supervisor, &err) < 0) {
        log_failure(LOG_WARN, "task.adopt", &err, LOG_STR("task", task->id.text));
        task->presence = PRESENCE_LOST;
    } else if (has_ended) {
        task->is_old = true;
        task->presence = view->is_running ? PRESENCE_RUNNING : PRESENCE_PREPARED; // until it tells the rest
    }
}

static void hold_image(struct runc_task *task, const struct assignment *assignment) {
    AUTO_ARENA arena = {0};
    const struct image *image = NULL;
    struct error err = {0};
    if (image_store_adopt(task->executor->images, &task->id, assignment->spec.image, &arena, &image, &err) <
        0) {
        log_failure(LOG_DEBUG, "task.image", &err, LOG_STR("task", task->id.text));
    }
    task->stop_signal = bundle_stop_signal(&assignment->spec, image != NULL ? &image->config : NULL);
    runc_health_keep(task, &assignment->spec, image != NULL ? &image->config : NULL);
}

static void adopt(struct runc_executor *executor, const struct id *id) {
    AUTO_ARENA arena = {0};
    struct error err = {0};
    struct runc_record record = {0};
    if (runc_task_get(executor, id) != NULL) {
        return; // of this life: prepared before anybody asked for the list
    }
    int rc = runc_place_read_record(&executor->place, id->text, &arena, &record, &err);
    if (rc == -ERR_NOT_FOUND) { // somebody else's, or cut off before its record or after it: then it is empty
        unlink(runc_place_path(&executor->place, id->text, RUNC_STATE, "executor.tmp").text);
        (void)rmdir(runc_place_path(&executor->place, id->text, RUNC_STATE, "").text);
        return;
    }
    struct runc_task *task = runc_task_add(executor, id);
    task->is_known = true;
    if (rc < 0) {
        log_failure(LOG_WARN, "task.record", &err, LOG_STR("task", id->text));
    }
    if (record.is_removed) {
        task->is_known = false;
        task->presence = PRESENCE_EXITED;
        runc_work_undo(task, RUNC_WORK_REMOVE); // an earlier daemon was told to
        return;
    }
    struct runc_path dir = runc_place_path(&executor->place, id->text, RUNC_SHIM, "");
    struct supervisor_view view = supervisor_look(dir.text);
    if (rc == 0 && !record.is_this_boot) {
        task->presence = PRESENCE_LOST;
        task->reason = REASON_NODE_REBOOTED;
        return;
    }
    attach(task, &view);
    if (rc == 0) {
        hold_image(task, record.assignment);
    }
}

static int each_entry(const char *path, void (*each)(struct runc_executor *, const struct id *),
                      struct runc_executor *executor, struct error *err) {
    DIR *dir = opendir(path);
    if (dir == NULL) {
        return errno == ENOENT ? 0 : error_sys(err, errno, "list %s", path);
    }
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        struct id id;
        if (id_parse(entry->d_name, &id)) {
            each(executor, &id);
        }
    }
    closedir(dir);
    return 0;
}

// --- strays ---

static void wipe_stray(struct runc_executor *executor, const struct id *id) {
    struct error err = {0};
    if (runc_task_get(executor, id) != NULL) {
        return;
    }
    log_event(LOG_WARN, "task.stray", LOG_STR("task", id->text));
    runc_place_kill_runc(&executor->place, id->text);
    for (int i = 0; i < 50; i++) {
        error_clear(&err);
        int rc = runc_place_wipe(&executor->place, &executor->cgroups, id->text, &err);
        if (rc != -ERR_BUSY) {
            break;
        }
        uv_sleep(2); // what was killed needs a moment; once, at start
    }
    if (err.code != ERR_NONE) {
        log_failure(LOG_WARN, "task.stray", &err, LOG_STR("task", id->text));
    }
}

static void on_group(void *context, const char *name) {
    struct id id;
    if (id_parse(name, &id)) {
        wipe_stray(context, &id);
    }
}

int runc_recover(struct runc_executor *executor, struct error *err) {
    AUTO_FREE char *tasks = xasprintf("%s/tasks", executor->place.state_dir);
    AUTO_FREE char *bundles = xasprintf("%s/tasks", executor->place.run_dir);
    int rc = each_entry(tasks, adopt, executor, err);
    rc = rc < 0 ? rc : each_entry(bundles, wipe_stray, executor, err);
    rc = rc < 0 ? rc : each_entry(executor->place.runc_root, wipe_stray, executor, err);
    if (rc == 0) {
        cgroups_each(&executor->cgroups, executor->place.group_parent, on_group, executor);
    }
    return rc;
}
