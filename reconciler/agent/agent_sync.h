// SPDX-License-Identifier: Apache-2.0
//
// reconciler/agent/agent_sync.h — what an agent keeps of its tasks gets onto the disk, beside the loop.
//
// A file that was replaced is there for the next process at once, and after a loss of power once it was synced. A
// disk takes milliseconds for each, and a node may begin hundreds of tasks at a time: so a thread does it, for all
// that was written since it was last asked, every second. What the power takes in between is told anew by the
// managers; and the processes of those tasks are gone anyhow.
//
// Failure      A failed sync is logged, and not tried again: what the disk has then is not known. The file is
//              replaced whole at the next step of its task.
// Ownership    Loop thread only, but for the work itself, which has a list and descriptors of its own.
#ifndef MUSTER_RECONCILER_AGENT_AGENT_SYNC_H
#define MUSTER_RECONCILER_AGENT_AGENT_SYNC_H

#include "base/id.h"

struct agent_sync;
struct uv_loop_s;

// The directory is borrowed until the free.
struct agent_sync *agent_sync_new(struct uv_loop_s *loop, int dir_fd);
void agent_sync_note(struct agent_sync *sync, const struct id *id); // its file was written
void agent_sync_tick(struct agent_sync *sync);
void agent_sync_free(struct agent_sync *sync); // what is under way goes on; NULL is accepted

#endif
