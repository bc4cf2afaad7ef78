// SPDX-License-Identifier: Apache-2.0
//
// reconciler/agent/volume.h — directories that outlive a container: made once, filled with what the image
// has at that place.
//
// Docker's rule: a volume that is new begins as a copy of the image's directory, with owners and modes, so
// that a process that is not root finds a place it may write to. The copy is made aside and renamed: a
// volume is there whole or not at all, whatever is killed meanwhile. All functions may be called from any
// thread.
#ifndef MUSTER_RECONCILER_AGENT_VOLUME_H
#define MUSTER_RECONCILER_AGENT_VOLUME_H

#include "base/error.h"

// Makes the directory `path` unless it is there. `from_fd` is the directory to copy; -1 = start empty.
// -ERR_LIMIT when what is to be copied is nested too deeply.
int volume_make(const char *path, int from_fd, struct error *err);

#endif
