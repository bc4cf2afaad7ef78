// SPDX-License-Identifier: Apache-2.0
//
// transport/cover.h — what a link's bytes are put into on their way: the seam between links and TLS, so
// that a program without links between machines carries no OpenSSL.
//
// A cover is one end of one connection and does no I/O of its own: bytes of the stream go in and plain ones
// come out, and the other way round. It belongs to its link, which calls it under its lock, one call at a
// time, from whichever thread; only `peer`, which does not change any more once it is ready, without. The
// only one there is: transport/tls.h.
#ifndef MUSTER_TRANSPORT_COVER_H
#define MUSTER_TRANSPORT_COVER_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/error.h"

struct cover;
struct identity;

struct cover_ops {
    // Lends bytes of the stream until `read` has nothing more to give.
    void (*lend)(struct cover *cover, const uint8_t *data, size_t len);
    // Plain bytes, how many; 0 = none without more of the stream. The handshake goes on in here. Negative:
    // the end, and why; there may be something left to give.
    ssize_t (*read)(struct cover *cover, uint8_t *out, size_t out_bytes, struct error *err);
    // Takes plain bytes, all of them. Only once it is ready.
    int (*write)(struct cover *cover, const uint8_t *data, size_t len, struct error *err);
    // What is to go onto the stream next, moved out; empty = nothing.
    struct buf (*give)(struct cover *cover);
    // The handshake is done: the other side is who it must be.
    bool (*is_ready)(const struct cover *cover);
    // Who that is, once it is ready, and for as long as the cover lives; NULL = it has shown no certificate.
    const struct identity *(*peer)(const struct cover *cover);
    void (*free)(struct cover *cover);
};

struct cover { // first member of what implements it
    const struct cover_ops *ops;
};

#endif
