// SPDX-License-Identifier: Apache-2.0
//
// reconciler/agent/image_store.c — the store of images: users, requests and holds. The work is done by jobs
// (image_job.c), what is not needed goes by image_collect.c.
#include "reconciler/agent/image_store.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "reconciler/agent/image_job.h"
#include "reconciler/agent/image_pull.h"
#include "specs/health.h"
#include "specs/task.h"

#define RETRY_MIN_MS 1000
#define RETRY_MAX_MS 60000
#define KEY_DIGITS 32

// --- places ---

const char *image_store_record_path(struct image_store *store, const char *source, struct arena *arena) {
    char digest[SHA256_TEXT_BYTES];
    image_digest((struct bytes){(const uint8_t *)source, strlen(source)}, digest);
    return arena_printf(arena, "%s/%.*s", store->images_dir, KEY_DIGITS, digest + strlen("sha256:"));
}

bool image_store_has_layer(const struct image_store *store, const char *chain, struct arena *arena) {
    return fs_exists(arena_printf(arena, "%s/%s", store->layers_dir, chain));
}

static int make_directories(struct image_store *store, struct error *err) {
    static const struct {
        const char *name;
        size_t member;
    } rows[] = {{"images", offsetof(struct image_store, images_dir)},
                {"image-holds", offsetof(struct image_store, holds_dir)},
                {"blobs", offsetof(struct image_store, blobs_dir)},
                {"layers", offsetof(struct image_store, layers_dir)},
                {"pulls", offsetof(struct image_store, pulls_dir)},
                {"trash", offsetof(struct image_store, trash_dir)},
                {"blobs/sha256", 0}};
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < sizeof rows / sizeof *rows; i++) {
        const char *path = arena_printf(&store->arena, "%s/%s", store->state_dir, rows[i].name);
        if (rows[i].member != 0) {
            memcpy((char *)store + rows[i].member, &path, sizeof path);
        }
        rc = fs_make_dirs(path, 0700, err); // images hold set-uid files: nobody else looks in
    }
    return rc;
}

// --- copies ---

static struct strings copy_strings(const struct strings *from, struct arena *arena) {
    struct strings copy = {0};
    for (size_t i = 0; i < from->count; i++) {
        *ARENA_PUSH(arena, &copy) = arena_strdup(arena, from->items[i]);
    }
    return copy;
}

static struct pairs copy_pairs(const struct pairs *from, struct arena *arena) {
    struct pairs copy = {0};
    for (size_t i = 0; i < from->count; i++) {
        *ARENA_PUSH(arena, &copy) =
            (struct pair){arena_strdup(arena, from->items[i].key), arena_strdup(arena, from->items[i].value)};
    }
    return copy;
}

void image_store_fill(const struct image_store *store, const struct image_contents *contents,
                      const char *reference, struct arena *arena, struct image *out) {
    const struct image_config *config = &contents->config;
    struct image_reference parsed = {.digest = ""};
    bool is_pinned = image_parse(reference, arena, &parsed, NULL) == 0 && parsed.digest[0] != '\0';
    *out = (struct image){.reference = arena_strdup(arena, reference),
                          .digest = arena_strdup(arena, is_pinned ? parsed.digest : contents->manifest),
                          .os = arena_strdup(arena, contents->os),
                          .arch = arena_strdup(arena, contents->arch),
                          .config = {.entrypoint = copy_strings(&config->entrypoint, arena),
                                     .command = copy_strings(&config->command, arena),
                                     .environment = copy_pairs(&config->environment, arena),
                                     .user = arena_strdup(arena, config->user),
                                     .working_dir = arena_strdup(arena, config->working_dir),
                                     .stop_signal = arena_strdup(arena, config->stop_signal),
                                     .volumes = copy_strings(&config->volumes, arena),
                                     .labels = copy_pairs(&config->labels, arena),
                                     .health = health_check_copy(config->health, arena)}};
    for (size_t i = 0; i < contents->layers.count; i++) {
        *ARENA_PUSH(arena, &out->layers) =
            arena_printf(arena, "%s/%s", store->layers_dir, contents->layers.items[i].chain);
    }
}

// --- open and close ---

static void on_announce(uv_timer_t *timer) {
    struct image_store *store = timer->data;
    LIST_EACH(node, &store->jobs) {
        image_job_tell(LIST_ENTRY(node, struct image_job, in_store));
    }
}

static void store_free(struct image_store *store) {
    map_free(&store->users);
    arena_free(&store->arena);
    xfree(store);
}

int image_store_open(const struct image_store_options *options, struct image_store **out, struct error *err) {
    struct image_store *store = NEW(struct image_store);
    store->loop = options->loop;
    store->state_dir = arena_strdup(&store->arena, options->state_dir);
    store->self_path = arena_strdup(&store->arena, options->self_path);
    store->skopeo_path =
        options->skopeo_path != NULL ? arena_strdup(&store->arena, options->skopeo_path) : NULL;
    store->retry_min_ms = options->retry_min_ms > 0 ? options->retry_min_ms : RETRY_MIN_MS;
    store->retry_max_ms = options->retry_max_ms > 0 ? options->retry_max_ms : RETRY_MAX_MS;
    store->next_number = 1;
    list_init(&store->jobs);
    int rc = make_directories(store, err);
    if (rc != 0) {
        store_free(store);
        return error_wrap(err, rc, "open the store of images");
    }
    uv_timer_init(store->loop, &store->announcer);
    store->announcer.data = store;
    store->references = 1;
    image_collect_leftovers(store);
    *out = store;
    return 0;
}

void image_store_unref(struct image_store *store) {
    if (--store->references == 0) {
        ASSERT(list_is_empty(&store->jobs) && store->sweeper == NULL);
        store_free(store);
    }
}

static void on_announcer_closed(uv_handle_t *handle) {
    image_store_unref(handle->data);
}

void image_store_close(struct image_store *store) {
    if (store == NULL) {
        return;
    }
    store->is_closing = true;
    size_t cursor = 0;
    for (struct image_user *user; (user = map_next(&store->users, &cursor)) != NULL;) {
        if (user->job != NULL) {
            list_remove(&user->in_job);
        }
        arena_free(&user->arena);
        xfree(user);
    }
    map_free(&store->users);
    LIST_EACH(node, &store->jobs) {
        image_job_abandon(LIST_ENTRY(node, struct image_job, in_store));
    }
    if (store->sweeper != NULL) {
        child_kill(store->sweeper);
    }
    uv_close((uv_handle_t *)&store->announcer, on_announcer_closed);
}

void image_store_step(struct image_store *store) {
    LIST_EACH(node, &store->jobs) {
        struct image_job *job = LIST_ENTRY(node, struct image_job, in_store);
        if (job->stage == STAGE_QUEUED || job->stage == STAGE_LAYERS) {
            image_job_step(job);
        }
    }
}

void image_store_job_gone(struct image_store *store) {
    if (store->wants_collect && list_is_empty(&store->jobs) && !store->is_closing) {
        image_collect_now(store);
    }
}

// --- users ---

void image_store_user_free(struct image_store *store, struct image_user *user) {
    map_remove(&store->users, user->id.text);
    arena_free(&user->arena);
    xfree(user);
}

static struct image_user *user_new(struct image_store *store, const struct id *id, const char *reference) {
    struct image_user *user = NEW(struct image_user);
    user->id = *id;
    user->reference = arena_strdup(&user->arena, reference);
    map_put(&store->users, user->id.text, user);
    return user;
}

void image_store_release(struct image_store *store, const struct id *id) {
    AUTO_FREE char *hold = xasprintf("%s/%s", store->holds_dir, id->text);
    struct image_user *user = map_get(&store->users, id->text);
    unlink(hold);
    if (user == NULL) {
        return;
    }
    struct image_job *job = user->job;
    if (job != NULL) {
        list_remove(&user->in_job);
        if (list_is_empty(&job->users)) {
            image_job_abandon(job);
        }
    } else if (user->record_path != NULL) {
        image_record_touch(user->record_path); // what was in use until now is not old
    }
    image_store_user_free(store, user);
}

// A file's name may hold a line's end; the records could not.
static int parse(const struct image_request *request, struct arena *arena, struct image_reference *out,
                 struct error *err) {
    for (const char *c = request->reference; *c != '\0'; c++) {
        if ((unsigned char)*c < ' ') {
            return error_set(err, ERR_INVALID, "an image's name has no control characters");
        }
    }
    return image_parse(request->reference, arena, out, err);
}

// What cannot be read as a reference is refused from the loop like all else.
struct refusal {
    uv_timer_t timer;
    struct image_store *store;
    struct id id;
    char text[600];
};

static void on_refusal_closed(uv_handle_t *handle) {
    struct refusal *refusal = handle->data;
    image_store_unref(refusal->store);
    xfree(refusal);
}

static void on_refusal(uv_timer_t *timer) {
    struct refusal *refusal = timer->data;
    struct image_store *store = refusal->store;
    struct image_user *user = store->is_closing ? NULL : map_get(&store->users, refusal->id.text);
    uv_close((uv_handle_t *)timer, on_refusal_closed);
    if (user != NULL && user->job == NULL && user->manifest == NULL) {
        void (*on_done)(void *, const struct image_result *) = user->on_done;
        void *context = user->context;
        struct image_result result = {
            .code = -ERR_INVALID, .reason = REASON_IMAGE_INVALID, .message = refusal->text};
        image_store_user_free(store, user);
        on_done(context, &result);
    }
}

static void refuse_later(struct image_store *store, const struct id *id, const struct error *err) {
    struct refusal *refusal = NEW(struct refusal);
    refusal->store = store;
    refusal->id = *id;
    error_text(err, refusal->text, sizeof refusal->text);
    store->references++;
    uv_timer_init(store->loop, &refusal->timer);
    refusal->timer.data = refusal;
    uv_timer_start(&refusal->timer, on_refusal, 0, /*repeat=*/0);
}

static struct image_job *find_job(struct image_store *store, const char *source,
                                  const struct image_request *request) {
    LIST_EACH(node, &store->jobs) {
        struct image_job *job = LIST_ENTRY(node, struct image_job, in_store);
        if (image_job_serves(job, source, request)) {
            return job;
        }
    }
    return NULL;
}

void image_store_ensure(struct image_store *store, const struct image_request *request) {
    AUTO_ARENA scratch = {0};
    struct image_reference reference;
    struct error err = {0};
    image_store_release(store, &request->user);
    struct image_user *user = user_new(store, &request->user, request->reference);
    user->on_progress = request->on_progress;
    user->on_done = request->on_done;
    user->context = request->context;
    if (parse(request, &scratch, &reference, &err) != 0) {
        refuse_later(store, &user->id, &err);
        return;
    }
    struct image_job *job = find_job(store, image_pull_source(&reference, &scratch), request);
    if (job == NULL) {
        job = image_job_new(store, request, &reference);
    }
    user->job = job;
    list_append(&job->users, &user->in_job);
    uv_timer_start(&store->announcer, on_announce, 0, /*repeat=*/0);
}

int image_store_adopt(struct image_store *store, const struct id *id, const char *reference,
                      struct arena *arena, const struct image **out, struct error *err) {
    AUTO_ARENA scratch = {0};
    struct image_record hold;
    struct image_contents contents;
    struct image_reference parsed;
    const char *path = arena_printf(&scratch, "%s/%s", store->holds_dir, id->text);
    int rc = image_record_read(path, &scratch, &hold, err);
    rc = rc == 0 ? image_parse(reference, &scratch, &parsed, err) : rc;
    rc = rc == 0 ? image_layout_read(store->blobs_dir, hold.manifest, &scratch, &contents, err) : rc;
    for (size_t i = 0; rc == 0 && i < contents.layers.count; i++) {
        if (!image_store_has_layer(store, contents.layers.items[i].chain, &scratch)) {
            rc = error_set(err, ERR_NOT_FOUND, "layer %s is gone", contents.layers.items[i].chain);
        }
    }
    if (rc != 0) {
        return error_wrap(err, rc == -ERR_CORRUPT ? -ERR_NOT_FOUND : rc, "image %s of task %s", reference,
                          id->text);
    }
    struct image_user *user = map_get(&store->users, id->text);
    user = user != NULL ? user : user_new(store, id, reference);
    user->manifest = arena_strdup(&user->arena, hold.manifest);
    user->record_path = image_store_record_path(store, image_pull_source(&parsed, &scratch), &user->arena);
    struct image *image = ARENA_NEW(arena, struct image);
    image_store_fill(store, &contents, reference, arena, image);
    *out = image;
    return 0;
}
