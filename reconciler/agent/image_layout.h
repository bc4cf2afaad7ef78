// SPDX-License-Identifier: Apache-2.0
//
// reconciler/agent/image_layout.h — what an image says of itself: OCI index, manifest and configuration, read
// from JSON of any origin.
//
// Blobs lie in <blobs>/sha256/<hex> and are read only under the digest they are asked for by: one that has
// changed on disk is -ERR_CORRUPT, and gone, so that it will be fetched again. Sizes and counts are limited;
// what is read lies in the arena.
#ifndef MUSTER_RECONCILER_AGENT_IMAGE_LAYOUT_H
#define MUSTER_RECONCILER_AGENT_IMAGE_LAYOUT_H

#include "reconciler/agent/image_store.h"

#define SHA256_TEXT_BYTES 72 // "sha256:", 64 digits, NUL

struct image_layer {
    const char *digest;  // of the blob
    const char *diff_id; // of the tar inside
    const char *chain;   // 64 digits: what names the layer together with all below it
};
struct image_contents {
    const char *manifest; // digest
    const char *config_digest;
    const char *os, *arch;
    LIST_OF(struct image_layer) layers; // the lowest first
    struct image_config config;
};

// The digest of the one manifest in a layout directory that holds one image.
int image_layout_manifest(const char *directory, struct arena *arena, const char **out, struct error *err);
// Manifest and configuration by the manifest's digest; -ERR_CORRUPT when one of them is gone or is not what its
// digest says. A damaged configuration is removed, because skopeo trusts it; manifests it writes anew, in place.
int image_layout_read(const char *blobs_dir, const char *manifest, struct arena *arena,
                      struct image_contents *out, struct error *err);
// Is it for this machine? -ERR_UNSUPPORTED says what it is for.
int image_layout_check_machine(const struct image_contents *contents, struct error *err);
// An image out of one layer that came without any: writes configuration and manifest. `out` is the
// manifest's digest.
int image_layout_write_rootfs(const char *blobs_dir, const char *layer_digest, const char *diff_id,
                              struct arena *arena, const char **out, struct error *err);

// The readers alone. The manifest gives the digests of configuration and layers, the configuration the rest.
int image_index_parse(struct bytes json, struct arena *arena, const char **out_manifest, struct error *err);
int image_manifest_parse(struct bytes json, struct arena *arena, struct image_contents *out,
                         struct error *err);
int image_config_parse(struct bytes json, struct arena *arena, struct image_contents *out, struct error *err);

// "sha256:" and 64 digits of 0-9a-f.
bool image_is_digest(const char *text);
void image_digest(struct bytes bytes, char out[SHA256_TEXT_BYTES]);
// The path of a blob: <blobs>/sha256/<hex>.
const char *image_blob_path(const char *blobs_dir, const char *digest, struct arena *arena);

#endif
