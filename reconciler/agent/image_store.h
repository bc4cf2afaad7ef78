// SPDX-License-Identifier: Apache-2.0
//
// reconciler/agent/image_store.h — the images on this node: pulled once, unpacked once a layer, kept while a
// task needs them.
//
// skopeo brings an image (registry, archives, OCI directory) into one OCI layout a directory, all of them
// sharing their blobs; a child unpacks each layer through a live overlay of its parents, checks both digests,
// and the result is kept under the layer's ChainID. A root file system given as a tar is one such layer.
//
// On disk      <state>/images/<key> and image-holds/<task> (image_record.h), blobs/sha256/,
//              layers/<chainid>/, pulls/ and trash/; what a crash left half done is swept by
//              image_store_open.
// Ownership    Loop thread only. Callbacks come from the loop, never inside the call; they may call anything
//              here. A result's image lives until its user is released.
// Failure      What cannot be helped by trying again (no such image, access refused, damaged, hostile) ends
//              the request; what may pass (registry down, network, disk full) is reported as progress with
//              its true reason and tried again with back-off, for ever, until cancelled.
#ifndef MUSTER_RECONCILER_AGENT_IMAGE_STORE_H
#define MUSTER_RECONCILER_AGENT_IMAGE_STORE_H

#include "specs/service.h"

struct uv_loop_s;
struct image_store;

// What the image says of how to run it (OCI image configuration).
struct image_config {
    struct strings entrypoint, command;
    struct pairs environment;
    const char *user, *working_dir, *stop_signal;
    struct strings volumes; // mount points that want a volume
    struct pairs labels;
    struct health_check *health; // NULL = it has none
};
struct image {
    const char *reference; // as asked for
    const char *digest;    // "sha256:…" of the manifest in the registry, or of the local one
    const char *os, *arch;
    struct strings layers; // absolute directories, the lowest first: lower directories of an overlay
    struct image_config config;
};

struct image_store_options {
    struct uv_loop_s *loop;
    const char *state_dir;
    const char *self_path;              // musterd: `musterd unpack …` is the unpacking child
    const char *skopeo_path;            // NULL = by PATH
    int64_t retry_min_ms, retry_max_ms; // 0 = 1 s and 60 s
};
int image_store_open(const struct image_store_options *options, struct image_store **out, struct error *err);
// Children under way are killed and nobody is called back; holds stay on disk for image_store_adopt. The
// loop must run once more until its handles are closed. Accepts NULL.
void image_store_close(struct image_store *store);

// `image` is set when code is 0; else `reason` (enum task_reason) and `message` say why not.
struct image_result {
    int code;
    int64_t reason;
    const char *message;
    const struct image *image;
};
struct image_request {
    struct id user; // the task: one request a user; it holds the image until image_store_release
    const char *reference;
    // "" or missing: what is here is taken, unless the file it came from has changed; always: a registry is
    // asked every time (not for a digest, which always means the same); never.
    const char *pull_policy;
    struct strings insecure_registries;
    void (*on_progress)(void *context, int64_t reason, const char *message); // REASON_IMAGE_PULLING, …
    void (*on_done)(void *context, const struct image_result *result);       // once, unless released before
    void *context;
};
// Requests for the same image share the work. Copies what it needs.
void image_store_ensure(struct image_store *store, const struct image_request *request);
// The user needs it no more: cancels what is under way for it, and gives up its hold. Repeating is harmless.
void image_store_release(struct image_store *store, const struct id *user);
// At start, after image_store_open: the user ran this image before the daemon ended. Takes the hold again and
// reads the image; -ERR_NOT_FOUND when it is not here (any more).
int image_store_adopt(struct image_store *store, const struct id *user, const char *reference,
                      struct arena *arena, const struct image **out, struct error *err);
// Removes, in the background, images and layers that nobody holds and nobody asked for in the last
// keep_ms; when no pull is under way. After a start: adopt first, for a hold of an unknown user goes.
void image_store_collect(struct image_store *store, int64_t keep_ms);

#endif
