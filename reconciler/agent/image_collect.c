// SPDX-License-Identifier: Apache-2.0
//
// reconciler/agent/image_collect.c — what no task holds and nobody asked for lately goes: marked, moved to
// the trash by rename, removed there by a child that nobody waits for.
//
// Order        Records first: an image without a record is read anew. Then layers and blobs that no record
//              and no hold needs. While a job runs nothing is collected, because what it brings is not
//              marked yet.
// Safety       Holds are files, and name the image that the task runs on even when its reference has come to
//              mean another one. A hold that cannot be read keeps every layer.
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "reconciler/agent/image_job.h"

#define SWEEP_OUTPUT_BYTES 4096

// --- the trash ---

void image_discard(struct image_store *store, const char *path) {
    if (path == NULL || !fs_exists(path)) {
        return;
    }
    AUTO_FREE char *target = NULL;
    do { // an earlier daemon may have left its own
        xfree(target);
        target = xasprintf("%s/%lld", store->trash_dir, (long long)store->next_number++);
    } while (fs_exists(target));
    if (rename(path, target) != 0) {
        log_event(LOG_WARN, "image.discard", LOG_STR("path", path), LOG_STR("error", strerror(errno)));
        return;
    }
    image_sweep(store);
}

static void on_swept(void *context, const struct child_result *result) {
    struct image_store *store = context;
    store->sweeper = NULL;
    if (result->exit_code != 0 && !store->is_closing) {
        log_event(LOG_WARN, "image.sweep", LOG_STR("error", result->errors));
    }
    if (store->sweeps_again && !store->is_closing) {
        image_sweep(store);
    }
    image_store_unref(store);
}

void image_sweep(struct image_store *store) {
    const char *const argv[] = {store->self_path, "unpack", "--sweep", store->trash_dir, NULL};
    const struct child_options options = {.loop = store->loop,
                                          .argv = argv,
                                          .output_bytes_max = SWEEP_OUTPUT_BYTES,
                                          .is_low_priority = true,
                                          .dies_with_us = true,
                                          .on_done = on_swept,
                                          .context = store};
    struct error err = {0};
    store->sweeps_again = store->sweeper != NULL;
    if (store->sweeper != NULL || store->is_closing) {
        return;
    }
    if (child_start(&options, &store->sweeper, &err) != 0) {
        log_failure(LOG_WARN, "image.sweep", &err, LOG_NONE); // the next start tries again
        return;
    }
    store->references++;
}

// --- directories ---

typedef void (*each_fn)(struct image_store *store, const char *path, const char *name, void *context);

static void each(struct image_store *store, const char *directory, each_fn visit, void *context) {
    DIR *list = opendir(directory);
    for (struct dirent *entry; list != NULL && (entry = readdir(list)) != NULL;) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            AUTO_FREE char *path = xasprintf("%s/%s", directory, entry->d_name);
            visit(store, path, entry->d_name, context);
        }
    }
    if (list != NULL) {
        closedir(list);
    }
}

static void discard_any(struct image_store *store, const char *path, const char *name, void *context) {
    (void)name;
    (void)context;
    image_discard(store, path);
}

static void discard_half_done(struct image_store *store, const char *path, const char *name, void *context) {
    (void)context;
    if (name[0] == '.' || str_ends(name, ".tmp")) {
        image_discard(store, path);
    }
}

void image_collect_leftovers(struct image_store *store) {
    each(store, store->pulls_dir, discard_any, NULL);
    each(store, store->layers_dir, discard_half_done, NULL);
    each(store, store->images_dir, discard_half_done, NULL);
    each(store, store->holds_dir, discard_half_done, NULL);
    bool is_empty = rmdir(store->trash_dir) == 0;
    mkdir(store->trash_dir, 0700);
    if (!is_empty) {
        image_sweep(store);
    }
}

// --- marking ---

struct mark {
    struct arena arena;
    struct map needed; // chains, and hex digits of blobs: both 64 digits, and no two of them are equal
    struct map held;   // manifests of holds
    int64_t now_ms, keep_ms;
    bool is_unsure;
};

static void need(struct mark *mark, const char *hex) {
    map_put(&mark->needed, arena_strdup(&mark->arena, hex), mark);
}

static bool mark_image(struct image_store *store, struct mark *mark, const char *manifest) {
    struct image_contents contents;
    if (image_layout_read(store->blobs_dir, manifest, &mark->arena, &contents, NULL) != 0) {
        return false;
    }
    need(mark, manifest + strlen("sha256:"));
    need(mark, contents.config_digest + strlen("sha256:"));
    for (size_t i = 0; i < contents.layers.count; i++) {
        need(mark, contents.layers.items[i].chain);
        need(mark, contents.layers.items[i].digest + strlen("sha256:"));
    }
    return true;
}

// Holds of tasks that this daemon does not know are of tasks that are gone: all that live were adopted.
static void mark_hold(struct image_store *store, const char *path, const char *name, void *context) {
    struct mark *mark = context;
    struct image_record hold;
    if (map_get(&store->users, name) == NULL) {
        unlink(path);
        return;
    }
    if (image_record_read(path, &mark->arena, &hold, NULL) != 0 || !mark_image(store, mark, hold.manifest)) {
        mark->is_unsure = true;
        return;
    }
    map_put(&mark->held, hold.manifest, mark);
}

static void mark_record(struct image_store *store, const char *path, const char *name, void *context) {
    struct mark *mark = context;
    struct image_record record;
    struct stat st;
    (void)name;
    if (stat(path, &st) != 0 || image_record_read(path, &mark->arena, &record, NULL) != 0) {
        image_discard(store, path);
        return;
    }
    int64_t used_ms = (int64_t)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / NS_PER_MS;
    bool is_wanted = map_get(&mark->held, record.manifest) != NULL || used_ms > mark->now_ms - mark->keep_ms;
    if (!is_wanted || !mark_image(store, mark, record.manifest)) {
        log_event(LOG_INFO, "image.collected", LOG_STR("image", record.reference));
        image_discard(store, path);
    }
}

static void discard_unneeded(struct image_store *store, const char *path, const char *name, void *context) {
    const struct mark *mark = context;
    if (map_get(&mark->needed, name) == NULL) {
        image_discard(store, path);
    }
}

void image_collect_now(struct image_store *store) {
    struct mark mark = {.now_ms = clock_unix_ms(), .keep_ms = store->keep_ms};
    store->wants_collect = false;
    each(store, store->holds_dir, mark_hold, &mark);
    each(store, store->images_dir, mark_record, &mark);
    if (!mark.is_unsure) {
        each(store, store->layers_dir, discard_unneeded, &mark);
        AUTO_FREE char *blobs = xasprintf("%s/sha256", store->blobs_dir);
        each(store, blobs, discard_unneeded, &mark);
    } else {
        log_event(LOG_WARN, "image.collect", LOG_STR("error", "a hold cannot be read: layers are kept"));
    }
    map_free(&mark.needed);
    map_free(&mark.held);
    arena_free(&mark.arena);
}

void image_store_collect(struct image_store *store, int64_t keep_ms) {
    store->keep_ms = keep_ms;
    store->wants_collect = true;
    if (list_is_empty(&store->jobs)) {
        image_collect_now(store);
    }
}
