// SPDX-License-Identifier: Apache-2.0
//
// reconciler/agent/image_record.h — what the store of images remembers on disk: which reference is which
// image, and who holds what.
//
//     <state>/images/<key> reference, digest of the manifest, what the file looked like that it came from;
//                                its time is when it was last asked for
//     <state>/image-holds/<id>   reference and digest of the manifest that a task runs on
//
// Small files of `name=value` lines, replaced whole. One that is damaged counts as absent: the image is read
// anew.
#ifndef MUSTER_RECONCILER_AGENT_IMAGE_RECORD_H
#define MUSTER_RECONCILER_AGENT_IMAGE_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"

// What tells that a file was not replaced or written since.
struct image_identity {
    int64_t mtime_ns, bytes, inode;
};

struct image_record {
    const char *reference;
    const char *manifest; // "sha256:…"
    struct image_identity identity;
};

int image_record_write(const char *path, const struct image_record *record, struct error *err);
// -ERR_NOT_FOUND; -ERR_CORRUPT.
int image_record_read(const char *path, struct arena *arena, struct image_record *out, struct error *err);
void image_record_touch(const char *path);

// -ERR_NOT_FOUND when there is no such file.
int image_identity_read(const char *path, struct image_identity *out, struct error *err);
bool image_identity_equal(const struct image_identity *a, const struct image_identity *b);

#endif
