// SPDX-License-Identifier: Apache-2.0
//
// reconciler/agent/agent_file.h — what an agent keeps of each task on disk: its assignment and how far it
// came.
//
// One file a task, <state>/assignments/<id>, replaced whole. Synced a moment later, by agent_sync.h; a file that is
// cut short is found to be damaged.
#ifndef MUSTER_RECONCILER_AGENT_AGENT_FILE_H
#define MUSTER_RECONCILER_AGENT_AGENT_FILE_H

#include "specs/assignment.h"

struct agent_file {
    struct bytes assignment; // encoded
    struct task_status status;
};

// Makes the directory and opens it; the descriptor is the caller's.
int agent_file_open_dir(const char *state_dir, int *out_fd, struct error *err);
int agent_file_write(int dir_fd, const struct id *id, const struct agent_file *file, struct error *err);
// -ERR_CORRUPT for a file that is damaged or of a newer version. What is read lies in the arena.
int agent_file_read(int dir_fd, const struct id *id, struct agent_file *out, struct assignment *assignment,
                    struct arena *arena, struct error *err);
void agent_file_remove(int dir_fd, const struct id *id); // absent is fine

typedef void (*agent_file_each_fn)(void *context, const struct id *id);
// Names every file, and removes what an interrupted replacement left. The callback may read and write files.
int agent_file_each(int dir_fd, agent_file_each_fn each, void *context, struct error *err);

// The decoder alone, for bytes of any origin.
int agent_file_decode(struct bytes in, const struct id *id, struct agent_file *out,
                      struct assignment *assignment, struct arena *arena, struct error *err);
void agent_file_encode(const struct agent_file *file, struct buf *out);

#endif
