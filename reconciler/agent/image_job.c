// SPDX-License-Identifier: Apache-2.0
//
// reconciler/agent/image_job.c — how one image comes to be on this node.
//
//     START -> QUEUED -> PULLING -> PULLED -> LAYERS <-> UNPACKING -> done
//       ^ \________________________________/^ what is here already skips the pull; a root file system tar is
//       | unpacked without one; RETRY after every failure that may pass, with back-off
//
// Pulls at the same time share the directory of blobs. What skopeo brings it renames into place, but a manifest
// it writes there, cut to nothing first: while others pull, one that is damaged may be whole in a moment.
// A layer or document whose digest does not fit is fetched once more, each once; skopeo, which trusts what lies
// on disk, may have brought others along. The second time the image is damaged.
// Children are bounded for the whole store; a job that finds no room, or its layer in the work of another
// job, waits in its stage and is stepped when a child ends.
#include "reconciler/agent/image_job.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "reconciler/agent/image_pull.h"
#include "reconciler/agent/unpack.h"
#include "specs/task.h"

#define PULLS_MAX 3
#define UNPACKS_MAX 2
#define READING_MS 20 // until a manifest is read again
#define READINGS_MAX 250
#define OUTPUT_BYTES_MAX (16 * KIB)
#define STALL_CHECK_MS 20000
#define STALL_CHECKS_MAX 9 // three minutes without a byte
#define UNPACK_DEADLINE_MS (60LL * 60 * 1000)

// --- telling ---

void image_job_tell(struct image_job *job) {
    bool found = job->message != NULL;
    while (found && job->stage != STAGE_ENDED) {
        found = false;
        LIST_EACH(node, &job->users) {
            struct image_user *user = LIST_ENTRY(node, struct image_user, in_job);
            if (user->told != job->progress_number) {
                user->told = job->progress_number;
                user->on_progress(user->context, job->reason, job->message);
                found = true; // the callback may have changed the list
                break;
            }
        }
    }
}

static void progress(struct image_job *job, int64_t reason, const char *message) {
    char *old = job->message;
    job->message = xstrdup(message);
    xfree(old);
    job->reason = reason;
    job->progress_number++;
    image_job_tell(job);
}

// --- ends ---

static void on_closed(uv_handle_t *handle) {
    struct image_job *job = handle->data;
    struct image_store *store = job->store;
    list_remove(&job->in_store);
    arena_free(&job->attempt);
    arena_free(&job->arena);
    xfree(job->message);
    xfree(job);
    image_store_job_gone(store);
    image_store_unref(store);
}

static void job_end(struct image_job *job) {
    job->stage = STAGE_ENDED;
    ASSERT(job->child == NULL);
    uv_close((uv_handle_t *)&job->timer, on_closed);
}

void image_job_abandon(struct image_job *job) {
    if (job->stage == STAGE_ENDED || job->is_abandoned) {
        return;
    }
    job->is_abandoned = true;
    if (job->child != NULL) {
        child_kill(job->child);
        return;
    }
    if (job->stage == STAGE_PULLED) {
        image_discard(job->store, job->pull_dir);
    }
    job_end(job);
}

static struct image_user *take_user(struct image_job *job) {
    struct list_node *node = list_first(&job->users);
    if (node == NULL) {
        return NULL;
    }
    struct image_user *user = LIST_ENTRY(node, struct image_user, in_job);
    list_remove(&user->in_job);
    user->job = NULL;
    return user;
}

// The end of a job that cannot succeed.
static void refuse(struct image_job *job, int64_t reason, const char *text) {
    static const struct {
        int64_t reason;
        int code;
    } codes[] = {{REASON_IMAGE_NOT_FOUND, -ERR_NOT_FOUND},
                 {REASON_IMAGE_DENIED, -ERR_DENIED},
                 {REASON_UNSUPPORTED, -ERR_UNSUPPORTED}};
    AUTO_FREE char *message = xasprintf("image %s: %s", job->name, text);
    struct image_result result = {.code = -ERR_INVALID, .reason = reason, .message = message};
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        result.code = codes[i].reason == reason ? codes[i].code : result.code;
    }
    log_event(LOG_WARN, "image.refused", LOG_STR("image", job->text), LOG_STR("reason", text));
    job->stage = STAGE_ENDED;
    for (struct image_user *user; (user = take_user(job)) != NULL;) {
        void (*on_done)(void *, const struct image_result *) = user->on_done;
        void *context = user->context;
        image_store_user_free(job->store, user);
        on_done(context, &result);
    }
    job_end(job);
}

static void on_timer(uv_timer_t *timer) {
    struct image_job *job = timer->data;
    job->stage = STAGE_START;
    image_job_step(job);
}

static void retry(struct image_job *job, int64_t reason, const char *text) {
    const struct image_store *store = job->store;
    int shift = job->attempts < 20 ? job->attempts : 20;
    int64_t delay_ms = store->retry_min_ms << shift;
    delay_ms = delay_ms < store->retry_max_ms ? delay_ms : store->retry_max_ms;
    job->attempts++;
    job->stage = STAGE_RETRY;
    log_event(LOG_WARN, "image.retry", LOG_STR("image", job->text), LOG_STR("reason", text),
              LOG_INT("attempts", job->attempts), LOG_INT("delay_ms", delay_ms));
    uv_timer_start(&job->timer, on_timer, (uint64_t)delay_ms, /*repeat=*/0);
    AUTO_FREE char *message = delay_ms >= 1000 ? xasprintf("image %s: %s; trying again in %lld s", job->name,
                                                           text, (long long)delay_ms / 1000)
                                               : xasprintf("image %s: %s; trying again", job->name, text);
    progress(job, reason, message);
}

// An error of our own: what it means for the image.
static void fail(struct image_job *job, int rc, const struct error *err) {
    char text[1024];
    error_text(err, text, sizeof text);
    size_t which = job->layer < job->contents.layers.count ? job->layer : LAYERS_MAX;
    if (rc == -ERR_CORRUPT && !job->was_damaged[which]) {
        job->was_damaged[which] = true;
        job->contents = (struct image_contents){0};
        job->stage = STAGE_QUEUED;
        log_event(LOG_WARN, "image.damaged", LOG_STR("image", job->text), LOG_STR("reason", text));
        image_job_step(job);
        return;
    }
    if (rc == -ERR_NO_SPACE) {
        retry(job, REASON_NO_SPACE, text);
    } else if (rc == -ERR_NOT_FOUND) {
        refuse(job, REASON_IMAGE_NOT_FOUND, text);
    } else if (rc == -ERR_UNSUPPORTED) {
        refuse(job, REASON_UNSUPPORTED, text);
    } else if (rc == -ERR_INVALID || rc == -ERR_LIMIT || rc == -ERR_CORRUPT) {
        refuse(job, REASON_IMAGE_INVALID, text);
    } else {
        retry(job, REASON_INTERNAL, text);
    }
}

// --- done ---

static void give(struct image_job *job, struct image_user *user) {
    struct image_store *store = job->store;
    struct error err = {0};
    user->manifest = arena_strdup(&user->arena, job->contents.manifest);
    user->record_path = arena_strdup(&user->arena, job->record_path);
    image_store_fill(store, &job->contents, user->reference, &user->arena, &user->image);
    AUTO_FREE char *path = xasprintf("%s/%s", store->holds_dir, user->id.text);
    const struct image_record hold = {.reference = user->reference, .manifest = user->manifest};
    if (image_record_write(path, &hold, &err) != 0) {
        log_failure(LOG_WARN, "image.hold", &err, LOG_STR("task", user->id.text)); // lost only if we end now
    }
    struct image_result result = {.image = &user->image, .message = ""};
    user->on_done(user->context, &result);
}

static int check_unchanged(const struct image_job *job, bool *out, struct error *err) {
    struct image_identity now = {0};
    int rc = job->identity_path != NULL ? image_identity_read(job->identity_path, &now, err) : 0;
    *out = job->identity_path == NULL || image_identity_equal(&now, &job->identity);
    return rc;
}

static void finish(struct image_job *job) {
    struct error err = {0};
    bool is_unchanged = true;
    int rc = job->is_fresh ? check_unchanged(job, &is_unchanged, &err) : 0;
    if (rc == 0 && !is_unchanged) {
        retry(job, REASON_IMAGE_PULLING, "the file was changed while it was read");
        return;
    }
    const struct image_record record = {job->source, job->contents.manifest, job->identity};
    if (rc == 0 && job->is_fresh) {
        rc = image_record_write(job->record_path, &record, &err);
        log_event(LOG_INFO, "image.ready", LOG_STR("image", job->text),
                  LOG_STR("manifest", job->contents.manifest));
    } else if (rc == 0) {
        image_record_touch(job->record_path);
    }
    if (rc != 0) {
        fail(job, rc, &err);
        return;
    }
    job->stage = STAGE_ENDED;
    for (struct image_user *user; (user = take_user(job)) != NULL;) {
        give(job, user);
    }
    job_end(job);
}

// --- unpacking ---

static void on_unpacked(void *context, const struct child_result *result);

static bool is_in_work(const struct image_job *job, const char *chain) {
    LIST_EACH(node, (struct list *)(uintptr_t)&job->store->jobs) {
        const struct image_job *other = LIST_ENTRY(node, struct image_job, in_store);
        if (other != job && other->child != NULL && other->stage == STAGE_UNPACKING &&
            other->layer < other->contents.layers.count &&
            strcmp(other->contents.layers.items[other->layer].chain, chain) == 0) {
            return true;
        }
    }
    return false;
}

static int start_child(struct image_job *job, const char *const *argv, int64_t deadline_ms,
                       child_done_fn on_done, struct error *err) {
    const struct child_options options = {.loop = job->store->loop,
                                          .argv = argv,
                                          .deadline_ms = deadline_ms,
                                          .output_bytes_max = OUTPUT_BYTES_MAX,
                                          .dies_with_us = true,
                                          .on_done = on_done,
                                          .context = job};
    return child_start(&options, &job->child, err);
}

static void add(struct arena *arena, struct strings *argv, const char *name, const char *value) {
    *ARENA_PUSH(arena, argv) = name;
    *ARENA_PUSH(arena, argv) = value;
}

static void unpack(struct image_job *job, const char *blob, const struct image_layer *layer) {
    struct image_store *store = job->store;
    struct arena *arena = &job->attempt;
    struct strings argv = {0};
    job->work_dir = arena_printf(arena, "%s/.new-%lld", store->layers_dir, (long long)store->next_number++);
    add(arena, &argv, store->self_path, "unpack");
    add(arena, &argv, "--blob", blob);
    add(arena, &argv, "--work", job->work_dir);
    add(arena, &argv, "--layers", store->layers_dir);
    add(arena, &argv, "--bytes-max",
        arena_printf(arena, "%lld", (long long)((int64_t)IMAGE_BYTES_MAX - job->unpacked_bytes)));
    if (layer != NULL) {
        add(arena, &argv, "--digest", layer->digest);
        add(arena, &argv, "--diff-id", layer->diff_id);
        add(arena, &argv, "--chain-id", layer->chain);
    }
    for (size_t i = 0; layer != NULL && i < job->layer; i++) {
        add(arena, &argv, "--lower",
            arena_printf(arena, "%s/%s", store->layers_dir, job->contents.layers.items[i].chain));
    }
    *ARENA_PUSH(arena, &argv) = NULL;
    struct error err = {0};
    int rc = start_child(job, argv.items, UNPACK_DEADLINE_MS, on_unpacked, &err);
    if (rc != 0) {
        fail(job, rc == -ERR_NOT_FOUND ? -ERR_SYSTEM : rc, &err);
        return;
    }
    store->unpacks++;
    job->stage = STAGE_UNPACKING;
    const char *which =
        layer != NULL ? arena_printf(arena, ", layer %zu of %zu", job->layer + 1, job->contents.layers.count)
                      : "";
    progress(job, REASON_IMAGE_PULLING, arena_printf(arena, "unpacking image %s%s", job->name, which));
}

static void unpack_next(struct image_job *job) {
    struct image_store *store = job->store;
    size_t count = job->contents.layers.count;
    while (job->layer < count &&
           image_store_has_layer(store, job->contents.layers.items[job->layer].chain, &job->attempt)) {
        job->layer++;
    }
    if (job->layer == count) {
        finish(job);
        return;
    }
    const struct image_layer *layer = &job->contents.layers.items[job->layer];
    if (store->unpacks >= UNPACKS_MAX || is_in_work(job, layer->chain)) {
        return; // stepped when a child ends
    }
    const char *blob = image_blob_path(store->blobs_dir, layer->digest, &job->attempt);
    if (!fs_exists(blob)) {
        struct error err = {0};
        fail(job, error_set(&err, ERR_CORRUPT, "the blob %s is gone", layer->digest), &err);
        return;
    }
    unpack(job, blob, layer);
}

// A root file system becomes an image of one layer.
static void take_rootfs(struct image_job *job, const struct unpack_result *result) {
    struct image_store *store = job->store;
    struct error err = {0};
    const char *manifest;
    int rc = image_layout_write_rootfs(store->blobs_dir, result->digest, result->diff_id, &job->attempt,
                                       &manifest, &err);
    rc = rc == 0 ? image_layout_read(store->blobs_dir, manifest, &job->attempt, &job->contents, &err) : rc;
    if (rc != 0) {
        fail(job, rc, &err);
        return;
    }
    job->is_fresh = true;
    job->layer = 0;
    job->stage = STAGE_LAYERS;
    unpack_next(job);
}

static void unpack_failed(struct image_job *job, const struct child_result *result) {
    static const enum error_code codes[] = {[UNPACK_FAILED] = ERR_SYSTEM,
                                            [UNPACK_USAGE] = ERR_INTERNAL,
                                            [UNPACK_HOSTILE] = ERR_INVALID,
                                            [UNPACK_DAMAGED] = ERR_CORRUPT,
                                            [UNPACK_NO_SPACE] = ERR_NO_SPACE};
    struct error err = {0};
    int status = result->exit_code;
    enum error_code code =
        status > 0 && status < (int)(sizeof codes / sizeof *codes) ? codes[status] : ERR_SYSTEM;
    size_t len = strcspn(result->errors, "\n");
    if (result->is_timeout) {
        error_set(&err, ERR_SYSTEM, "unpacking took too long");
    } else if (result->signal != 0) {
        error_set(&err, ERR_SYSTEM, "unpacking was killed by signal %d", result->signal);
    } else {
        error_set(&err, code, "%.*s", (int)len, result->errors);
    }
    bool has_layer = job->layer < job->contents.layers.count;
    if (has_layer) {
        error_wrap(&err, -(int)err.code, "unpack layer %zu of %zu", job->layer + 1,
                   job->contents.layers.count);
    }
    if (status == UNPACK_DAMAGED && has_layer) {
        image_discard(job->store,
                      image_blob_path(job->store->blobs_dir, job->contents.layers.items[job->layer].digest,
                                      &job->attempt));
    }
    fail(job, -(int)err.code, &err);
}

static void on_unpacked(void *context, const struct child_result *result) {
    struct image_job *job = context;
    struct image_store *store = job->store;
    struct unpack_result unpacked = {0};
    job->child = NULL;
    store->unpacks--;
    if (result->exit_code != UNPACK_DONE) {
        image_discard(store, job->work_dir);
    }
    if (job->is_abandoned) {
        job_end(job);
    } else if (result->exit_code != UNPACK_DONE || !unpack_result_parse(result->output, &unpacked)) {
        unpack_failed(job, result);
    } else {
        job->unpacked_bytes += unpacked.bytes;
        job->stage = STAGE_LAYERS;
        if (job->reference.source == IMAGE_ROOTFS_TAR) {
            take_rootfs(job, &unpacked);
        } else {
            unpack_next(job);
        }
    }
    image_store_step(store);
}

// --- pulling ---

// Bytes of what skopeo is writing: as long as they grow, it lives.
static int64_t bytes_below(const char *path) {
    int64_t bytes = 0;
    DIR *list = opendir(path);
    for (struct dirent *entry; list != NULL && (entry = readdir(list)) != NULL;) {
        struct stat st;
        if (entry->d_name[0] != '.' && fstatat(dirfd(list), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
            bytes += 1 + (int64_t)st.st_size;
            if (S_ISDIR(st.st_mode)) {
                AUTO_FREE char *below = xasprintf("%s/%s", path, entry->d_name);
                bytes += bytes_below(below);
            }
        }
    }
    if (list != NULL) {
        closedir(list);
    }
    return bytes;
}

static void on_stall_check(uv_timer_t *timer) {
    struct image_job *job = timer->data;
    int64_t bytes = bytes_below(job->pull_dir);
    job->still_checks = bytes == job->pulled_bytes ? job->still_checks + 1 : 0;
    job->pulled_bytes = bytes;
    if (job->still_checks >= STALL_CHECKS_MAX && job->child != NULL) {
        job->is_stalled = true;
        child_kill(job->child);
    }
}

static void on_reading(uv_timer_t *timer);

static void take_pulled(struct image_job *job) {
    struct image_store *store = job->store;
    struct error err = {0};
    const char *manifest = NULL;
    const char *layout = arena_printf(&job->attempt, "%s/layout", job->pull_dir);
    int rc = image_layout_manifest(layout, &job->attempt, &manifest, &err);
    rc = rc == 0 ? image_layout_read(store->blobs_dir, manifest, &job->attempt, &job->contents, &err) : rc;
    if (rc == -ERR_CORRUPT && store->pulls > 0 && ++job->readings < READINGS_MAX) {
        uv_timer_start(&job->timer, on_reading, READING_MS, /*repeat=*/0);
        return;
    }
    rc = rc == 0 ? image_layout_check_machine(&job->contents, &err) : rc;
    fs_remove_tree(AT_FDCWD, job->pull_dir, NULL);
    if (rc != 0) {
        fail(job, rc, &err);
        return;
    }
    job->is_fresh = true;
    job->layer = 0;
    job->stage = STAGE_LAYERS;
    unpack_next(job);
}

static void on_reading(uv_timer_t *timer) {
    take_pulled(timer->data);
}

static void pull_failed(struct image_job *job, const struct child_result *result) {
    if (job->is_stalled) {
        retry(job, REASON_IMAGE_UNREACHABLE, "no data from the registry for three minutes");
    } else if (result->exit_code < 0) {
        retry(job, REASON_INTERNAL,
              arena_printf(&job->attempt, "skopeo was killed by signal %d", result->signal));
    } else {
        struct image_failure failure = image_pull_classify(result->errors, &job->reference, &job->attempt);
        (failure.is_final ? refuse : retry)(job, failure.reason, failure.text);
    }
}

static void on_pulled(void *context, const struct child_result *result) {
    struct image_job *job = context;
    struct image_store *store = job->store;
    job->child = NULL;
    store->pulls--;
    uv_timer_stop(&job->timer);
    if (result->exit_code != 0) {
        image_discard(store, job->pull_dir);
    }
    if (job->is_abandoned) {
        image_discard(store, job->pull_dir);
        job_end(job);
    } else if (result->exit_code != 0) {
        pull_failed(job, result);
    } else {
        job->stage = STAGE_PULLED;
        job->readings = 0;
        take_pulled(job);
    }
    image_store_step(store);
}

static void pull(struct image_job *job) {
    struct image_store *store = job->store;
    struct arena *arena = &job->attempt;
    struct error err = {0};
    job->pull_dir = arena_printf(arena, "%s/%lld", store->pulls_dir, (long long)store->next_number++);
    const struct image_pull options = {.skopeo_path = store->skopeo_path,
                                       .auth_file = image_pull_auth_file(store->state_dir, arena),
                                       .blobs_dir = store->blobs_dir,
                                       .layout_dir = arena_printf(arena, "%s/layout", job->pull_dir),
                                       .tmp_dir = arena_printf(arena, "%s/tmp", job->pull_dir),
                                       .is_insecure = job->is_insecure};
    int rc = fs_make_dirs(options.tmp_dir, 0700, &err);
    rc = rc == 0 ? start_child(job, image_pull_argv(&options, &job->reference, arena), /*deadline_ms=*/0,
                               on_pulled, &err)
                 : rc;
    if (rc != 0) {
        image_discard(store, job->pull_dir);
    }
    if (rc == -ERR_NOT_FOUND) {
        retry(job, REASON_RUNTIME_MISSING, "skopeo is not installed (apt install skopeo)");
    } else if (rc != 0) {
        fail(job, rc, &err);
    } else {
        store->pulls++;
        job->stage = STAGE_PULLING;
        job->is_stalled = false;
        job->still_checks = 0;
        uv_timer_start(&job->timer, on_stall_check, STALL_CHECK_MS, STALL_CHECK_MS);
        progress(job, REASON_IMAGE_PULLING, arena_printf(arena, "pulling image %s", job->name));
    }
}

// --- start ---

// Reads the image that an earlier job left; its layers may be unpacked or in blobs.
static bool is_present(struct image_job *job) {
    struct image_store *store = job->store;
    struct image_record record;
    if (image_record_read(job->record_path, &job->attempt, &record, NULL) != 0 ||
        strcmp(record.reference, job->source) != 0 ||
        !image_identity_equal(&record.identity, &job->identity) ||
        image_layout_read(store->blobs_dir, record.manifest, &job->attempt, &job->contents, NULL) != 0) {
        return false;
    }
    for (size_t i = 0; i < job->contents.layers.count; i++) {
        const struct image_layer *layer = &job->contents.layers.items[i];
        if (!image_store_has_layer(store, layer->chain, &job->attempt) &&
            (job->reference.source == IMAGE_ROOTFS_TAR ||
             !fs_exists(image_blob_path(store->blobs_dir, layer->digest, &job->attempt)))) {
            return false;
        }
    }
    return true;
}

static void start(struct image_job *job) {
    struct error err = {0};
    arena_clear(&job->attempt);
    job->contents = (struct image_contents){0};
    job->layer = 0;
    job->is_fresh = false;
    job->unpacked_bytes = 0;
    int rc = job->identity_path != NULL ? image_identity_read(job->identity_path, &job->identity, &err) : 0;
    if (rc != 0) {
        fail(job, rc, &err);
        return;
    }
    bool is_pinned = job->reference.digest[0] != '\0'; // it cannot have changed
    if ((!job->pulls_always || is_pinned) && is_present(job)) {
        job->stage = STAGE_LAYERS;
        unpack_next(job);
    } else if (job->pulls_never) {
        refuse(job, REASON_IMAGE_NOT_FOUND, "not on this node, and pull_policy is never");
    } else {
        job->contents = (struct image_contents){0};
        job->stage = STAGE_QUEUED;
        image_job_step(job);
    }
}

static void dequeue(struct image_job *job) {
    struct image_store *store = job->store;
    bool is_rootfs = job->reference.source == IMAGE_ROOTFS_TAR;
    if (is_rootfs ? store->unpacks < UNPACKS_MAX : store->pulls < PULLS_MAX) {
        if (is_rootfs) {
            unpack(job, job->reference.path, NULL);
        } else {
            pull(job);
        }
    } else if (job->message == NULL) {
        progress(job, REASON_IMAGE_PULLING,
                 arena_printf(&job->attempt, "image %s waits for other images", job->name));
    }
}

void image_job_step(struct image_job *job) {
    switch (job->is_abandoned ? STAGE_ENDED : job->stage) {
    case STAGE_START:
        start(job);
        break;
    case STAGE_QUEUED:
        dequeue(job);
        break;
    case STAGE_LAYERS:
        unpack_next(job);
        break;
    case STAGE_PULLING:
    case STAGE_PULLED:
    case STAGE_UNPACKING:
    case STAGE_RETRY:
    case STAGE_ENDED:
        break;
    }
}

bool image_is_insecure(const struct image_reference *reference, const struct strings *registries) {
    for (size_t i = 0; i < registries->count; i++) {
        if (reference->source == IMAGE_REGISTRY && strcmp(registries->items[i], reference->host) == 0) {
            return true;
        }
    }
    return false;
}

bool image_job_serves(const struct image_job *job, const char *source, const struct image_request *request) {
    return job->stage != STAGE_ENDED && !job->is_abandoned && strcmp(job->source, source) == 0 &&
           job->pulls_always == str_equal(request->pull_policy, "always") &&
           job->pulls_never == str_equal(request->pull_policy, "never") &&
           job->is_insecure == image_is_insecure(&job->reference, &request->insecure_registries);
}

// What tells that a file has changed; of a directory its index, which every change rewrites.
static const char *identity_path(const struct image_reference *reference, struct arena *arena) {
    if (reference->source == IMAGE_REGISTRY) {
        return NULL;
    }
    return reference->source == IMAGE_OCI_DIRECTORY ? arena_printf(arena, "%s/index.json", reference->path)
                                                    : arena_strdup(arena, reference->path);
}

struct image_job *image_job_new(struct image_store *store, const struct image_request *request,
                                const struct image_reference *reference) {
    struct image_job *job = NEW(struct image_job);
    struct arena *arena = &job->arena;
    struct error err = {0};
    job->store = store;
    job->text = arena_strdup(arena, request->reference);
    int rc = image_parse(job->text, arena, &job->reference, &err);
    ASSERT(rc == 0 && reference->source == job->reference.source); // parsed before
    job->name = image_familiar(job->text, arena);
    job->source = image_pull_source(&job->reference, arena);
    job->record_path = image_store_record_path(store, job->source, arena);
    job->identity_path = identity_path(&job->reference, arena);
    job->is_insecure = image_is_insecure(&job->reference, &request->insecure_registries);
    job->pulls_always = str_equal(request->pull_policy, "always");
    job->pulls_never = str_equal(request->pull_policy, "never");
    list_init(&job->users);
    list_append(&store->jobs, &job->in_store);
    store->references++;
    uv_timer_init(store->loop, &job->timer);
    job->timer.data = job;
    uv_timer_start(&job->timer, on_timer, 0, /*repeat=*/0);
    return job;
}
