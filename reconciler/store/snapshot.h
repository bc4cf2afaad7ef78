// SPDX-License-Identifier: Apache-2.0
//
// reconciler/store/snapshot.h — the whole replicated state out of one store and into another, in chunks.
//
// Out          A read transaction of its own, so one picture at one index, whatever is written meanwhile. It
//              pins old pages: the owner ends it when nobody has asked for a chunk for a while.
// In           Chunks go into the set of tables that is not live, a transaction for each; the last step, in
//              one transaction, makes that set live, empties the other, clears the log (base = last = index),
//              and writes state, membership and hard state. Killed at any moment, a store shows the old state
//              or the new one, never a mixture; what is in the tables that are not live is thrown away at the
//              next opening and by snapshot_in_begin.
// Format       reconciler/store/snapshot_stream.h
// Failure      What comes in is not trusted: a chunk that is damaged, out of order, of another stream or
//              another cluster is refused with its reason and never shows.
#ifndef MUSTER_RECONCILER_STORE_SNAPSHOT_H
#define MUSTER_RECONCILER_STORE_SNAPSHOT_H

#include "base/limits.h"
#include "reconciler/store/store.h"

#define SNAPSHOT_CHUNK_BYTES (256 * KIB) // none is longer

// --- out ---

struct snapshot_out;
// Opens its picture: of what is committed, whatever an open turn has applied beyond.
int snapshot_out_begin(struct store *store, struct snapshot_out **out, struct error *err);
uint64_t snapshot_out_index(const struct snapshot_out *out); // applied index of the picture
uint64_t snapshot_out_term(const struct snapshot_out *out);  // of that entry
// Chunk `number`: the one after the last given, or the last one again. Borrowed until the next call.
// -ERR_INVALID for any other number. -ERR_CORRUPT when a record here is damaged: the stream ends, and nothing
// wrong was given.
int snapshot_out_chunk(struct snapshot_out *out, uint32_t number, struct bytes *chunk, bool *is_last,
                       struct error *err);
void snapshot_out_end(struct snapshot_out *out); // accepts NULL

// --- in ---

struct snapshot_in;
// Throws away what an earlier one may have left. No turn is open, here and in all that follows.
int snapshot_in_begin(struct store *store, struct snapshot_in **out, struct error *err);
enum { SNAPSHOT_COMPLETE = 1 };
// Takes the next chunk: 0 = durable, wants the next; SNAPSHOT_COMPLETE after the last. The chunk before, once
// more, is harmless and answered as it was. -ERR_CORRUPT (checksum, number, content, another cluster's),
// -ERR_NO_SPACE, -ERR_UNSUPPORTED (of a newer muster). After a wrong checksum or number the right chunk is
// still taken; any other failure ends the stream: all that follows is refused.
int snapshot_in_add(struct snapshot_in *in, struct bytes chunk, struct error *err);
uint32_t snapshot_in_next(const struct snapshot_in *in);  // the number that is wanted
uint64_t snapshot_in_index(const struct snapshot_in *in); // 0 before chunk 0
uint64_t snapshot_in_term(const struct snapshot_in *in);
// After SNAPSHOT_COMPLETE: makes it the state of the store, with this hard state. -ERR_INVALID when the
// term is below the snapshot's, or the snapshot's index below what is applied here. Durable on return, and
// the store shows it. No read is open.
// -ERR_NO_SPACE: as before, and may be tried again.
int snapshot_in_install(struct snapshot_in *in, uint64_t term, uint64_t vote, struct error *err);
void snapshot_in_end(struct snapshot_in *in); // accepts NULL; throws away what was not installed

#endif
