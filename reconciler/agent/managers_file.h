// SPDX-License-Identifier: Apache-2.0
//
// reconciler/agent/managers_file.h — where the managers of its cluster are, as an agent keeps it for its next
// start.
//
// One file, <state>/managers, replaced whole, and synced: a node that has lost it cannot find its cluster.
#ifndef MUSTER_RECONCILER_AGENT_MANAGERS_FILE_H
#define MUSTER_RECONCILER_AGENT_MANAGERS_FILE_H

#include "specs/schema.h"

struct managers_file {
    struct id cluster_id;
    struct strings addresses;
    struct bytes unknown;
};

int managers_file_write(const char *state_dir, const struct managers_file *file, struct error *err);
// -ERR_NOT_FOUND: it was never written. -ERR_CORRUPT: it is damaged, or of a newer version.
int managers_file_read(const char *state_dir, struct managers_file *out, struct arena *arena,
                       struct error *err);
int managers_file_forget(const char *state_dir, struct error *err); // absent is fine

// The coding alone, for bytes of any origin.
void managers_file_encode(const struct managers_file *file, struct buf *out);
int managers_file_decode(struct bytes in, struct managers_file *out, struct arena *arena, struct error *err);

#endif
