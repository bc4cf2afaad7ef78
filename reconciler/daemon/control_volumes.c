// SPDX-License-Identifier: Apache-2.0
//
// reconciler/daemon/control_volumes.c — VOLUMES: named volumes of this node, listed and removed.
//
// A volume is a directory below STATE/volumes (reconciler/agent/volume.h), made by the first task that
// names it; it stays when its tasks go, and its declaration too. So only whoever is at the node removes
// one. One that is in use stays, and one that is removed is renamed first: a task that comes meanwhile gets
// a new one, never half of it.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "base/limits.h"
#include "base/str.h"
#include "reconciler/daemon/control.h"
#include "reconciler/daemon/daemon.h"

struct volumes {
    struct daemon *daemon;
    const struct volumes_request *asked;
    struct arena *arena;
    const char *directory;
    struct volumes_reply reply;
};

static bool is_asked_for(const struct volumes *v, const char *name) {
    for (size_t i = 0; i < v->asked->names.count; i++) {
        if (str_equal(v->asked->names.items[i], name)) {
            return true;
        }
    }
    return v->asked->names.count == 0;
}

static int remove_directory(const struct volumes *v, const char *path, const char *name, struct error *err) {
    const char *aside = arena_printf(v->arena, "%s/.removed.%s", v->directory, name);
    int rc = fs_remove_tree(AT_FDCWD, aside, err); // of one that was interrupted
    if (rc == 0 && rename(path, aside) != 0) {
        rc = error_sys(err, errno, "remove %s", path);
    }
    return rc == 0 ? fs_remove_tree(AT_FDCWD, aside, err) : rc;
}

static void remove_one(const struct volumes *v, struct local_volume *volume) {
    struct error err = {0};
    if (volume->is_used) {
        volume->error = "volume is in use by a task of this node";
    } else if (remove_directory(v, volume->path, volume->name, &err) < 0) {
        volume->error = arena_strdup(v->arena, err.root);
    } else {
        volume->is_removed = true;
    }
}

static void add_one(struct volumes *v, const char *name) {
    const char *path = arena_printf(v->arena, "%s/%s", v->directory, name);
    struct stat status;
    if (lstat(path, &status) != 0 || !S_ISDIR(status.st_mode)) {
        return;
    }
    struct local_volume *volume = ARENA_PUSH(v->arena, &v->reply.volumes);
    *volume = (struct local_volume){.name = arena_strdup(v->arena, name),
                                    .path = path,
                                    .created_unix_ms = (int64_t)status.st_ctim.tv_sec * 1000,
                                    .is_used = agent_uses_volume(v->daemon->agent, name),
                                    .error = ""};
    bool is_spared = v->asked->action == VOLUMES_PRUNE && volume->is_used;
    if (v->asked->action != VOLUMES_LIST && !is_spared) {
        remove_one(v, volume);
    }
}

static int by_name(const void *a, const void *b) {
    return str_compare_natural(((const struct local_volume *)a)->name,
                               ((const struct local_volume *)b)->name);
}

static int walk(struct volumes *v, struct error *err) {
    DIR *dir = opendir(v->directory);
    struct strings names = {0};
    if (dir == NULL) {
        return errno == ENOENT ? 0 : error_sys(err, errno, "list %s", v->directory);
    }
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        if (str_is_name(entry->d_name, STORE_NAME_BYTES_MAX) && is_asked_for(v, entry->d_name)) {
            *ARENA_PUSH(v->arena, &names) = arena_strdup(v->arena, entry->d_name);
        }
    }
    closedir(dir);
    for (size_t i = 0; i < names.count && i < LIST_ITEMS_MAX; i++) {
        add_one(v, names.items[i]);
    }
    if (v->reply.volumes.count > 1) {
        qsort(v->reply.volumes.items, v->reply.volumes.count, sizeof *v->reply.volumes.items, by_name);
    }
    return 0;
}

void control_volumes(const struct request *request) {
    AUTO_ARENA arena = arena_make(0);
    struct error err = {0};
    struct volumes v = {.daemon = request->daemon, .asked = request->payload, .arena = &arena};
    v.directory = arena_printf(&arena, "%s/volumes", request->daemon->options->state_dir);
    if (v.asked->action == VOLUMES_REMOVE && v.asked->names.count == 0) {
        error_set(&err, ERR_INVALID, "no volume is named");
        server_fail(request->conversation, &err);
        return;
    }
    if (walk(&v, &err) < 0) {
        server_fail(request->conversation, &err);
        return;
    }
    server_send(request->conversation, MESSAGE_VOLUMES_REPLY, &v.reply);
    server_done(request->conversation, 0);
}
