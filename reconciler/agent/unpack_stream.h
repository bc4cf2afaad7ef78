// SPDX-License-Identifier: Apache-2.0
//
// reconciler/agent/unpack_stream.h — a layer's bytes on their way from the blob to the tar reader, hashed
// twice: as they lie on disk, and as they are unpacked.
//
// The compression is told by the first bytes, never by a media type: skopeo labels plain tars as gzip.
#ifndef MUSTER_RECONCILER_AGENT_UNPACK_STREAM_H
#define MUSTER_RECONCILER_AGENT_UNPACK_STREAM_H

#include <stdint.h>

#include "base/error.h"

#define DIGEST_BYTES 72 // "sha256:", 64 digits, NUL

struct archive;
struct unpack_stream;

// The descriptor is borrowed. Nothing is read yet; libraries are made ready to work without files.
int unpack_stream_open(int fd, int64_t bytes_max, struct unpack_stream **out, struct error *err);
// Reads the first bytes. Call it inside the root that is being filled.
int unpack_stream_start(struct unpack_stream *stream, struct error *err);
// The tar reader at the end of the stream, borrowed.
struct archive *unpack_stream_tar(struct unpack_stream *stream);
// Why the reader stopped, when it did: our own failure (limit, disk), or what the reader says, as
// -ERR_INVALID.
int unpack_stream_failure(struct unpack_stream *stream, struct error *err);
// Reads what the tar reader left over; then the digest of all that was unpacked is known ("sha256:…").
int unpack_stream_drain(struct unpack_stream *stream, char out_diff_id[DIGEST_BYTES], struct error *err);
// Reads the rest of the blob as it is: its digest is known even if it could not be unpacked.
int unpack_stream_digest(struct unpack_stream *stream, char out_digest[DIGEST_BYTES], struct error *err);
void unpack_stream_close(struct unpack_stream *stream);

#endif
