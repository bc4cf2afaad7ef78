// SPDX-License-Identifier: Apache-2.0
//
// reconciler/agent/image_job.h — inside the store of images: one job an image that is wanted, and who waits
// for it. Not for others.
#ifndef MUSTER_RECONCILER_AGENT_IMAGE_JOB_H
#define MUSTER_RECONCILER_AGENT_IMAGE_JOB_H

#include <uv.h>

#include "base/limits.h"
#include "base/list.h"
#include "base/map.h"
#include "reconciler/agent/child.h"
#include "reconciler/agent/image_layout.h"
#include "reconciler/agent/image_record.h"
#include "specs/image.h"

struct image_store {
    uv_loop_t *loop;
    struct arena arena; // the strings
    const char *state_dir, *self_path, *skopeo_path;
    const char *images_dir, *holds_dir, *blobs_dir, *layers_dir, *pulls_dir, *trash_dir;
    int64_t retry_min_ms, retry_max_ms;
    struct list jobs;
    struct map users; // by id: who waits, and who holds
    int pulls, unpacks;
    int64_t next_number;  // of names that are never used twice
    uv_timer_t announcer; // tells those who joined a job late how far it is
    struct child *sweeper;
    bool sweeps_again, is_closing, wants_collect;
    int64_t keep_ms; // of the collection that is wanted
    int references;  // jobs, the sweeper, the announcer: the store lives as long as one of them
};

struct image_job;

// A task: first it waits in a job, then it holds the image.
struct image_user {
    struct id id;
    struct arena arena;
    const char *reference;
    struct image_job *job; // while it waits
    struct list_node in_job;
    int told; // the number of the progress it knows
    void (*on_progress)(void *context, int64_t reason, const char *message);
    void (*on_done)(void *context, const struct image_result *result);
    void *context;
    const char *manifest, *record_path; // while it holds
    struct image image;
};

enum image_stage {
    STAGE_START,
    STAGE_QUEUED,
    STAGE_PULLING,
    STAGE_PULLED,
    STAGE_LAYERS,
    STAGE_UNPACKING,
    STAGE_RETRY,
    STAGE_ENDED
};

struct image_job {
    struct list_node in_store;
    struct image_store *store;
    struct arena arena;   // of the job
    struct arena attempt; // of the attempt: contents, paths
    const char *text, *name, *source, *record_path, *identity_path;
    struct image_reference reference;
    bool is_insecure, pulls_always, pulls_never;
    struct list users;
    enum image_stage stage;
    uv_timer_t timer; // start, retry, stall, another reading
    struct child *child;
    bool is_abandoned; // nobody waits any more; ends with its child
    int attempts, progress_number;
    int64_t reason; // of the last progress
    char *message;
    struct image_identity identity;
    struct image_contents contents;
    size_t layer; // the first one that is not known to be unpacked
    const char *pull_dir, *work_dir;
    bool is_fresh, is_stalled;
    bool was_damaged[LAYERS_MAX + 1]; // by layer; the last one: manifest or configuration
    int64_t pulled_bytes, unpacked_bytes;
    int still_checks, readings;
};

struct image_job *image_job_new(struct image_store *store, const struct image_request *request,
                                const struct image_reference *reference);
bool image_job_serves(const struct image_job *job, const char *source, const struct image_request *request);
// Nobody waits for it any more.
void image_job_abandon(struct image_job *job);
// Progress to those who do not know it yet.
void image_job_tell(struct image_job *job);
bool image_is_insecure(const struct image_reference *reference, const struct strings *registries);

// For jobs and collection, in image_store.c.
const char *image_store_record_path(struct image_store *store, const char *source, struct arena *arena);
void image_store_fill(const struct image_store *store, const struct image_contents *contents,
                      const char *reference, struct arena *arena, struct image *out);
bool image_store_has_layer(const struct image_store *store, const char *chain, struct arena *arena);
void image_store_user_free(struct image_store *store, struct image_user *user);
void image_store_unref(struct image_store *store);
void image_store_job_gone(struct image_store *store); // a collection may have waited for it
// Jobs that wait for room or for each other go on.
void image_store_step(struct image_store *store);
void image_job_step(struct image_job *job);

// In image_collect.c. Moves a file or directory out of the way, to be removed in the background.
void image_discard(struct image_store *store, const char *path);
void image_sweep(struct image_store *store);
void image_collect_now(struct image_store *store);
// Discards what a crash left half done.
void image_collect_leftovers(struct image_store *store);

#endif
