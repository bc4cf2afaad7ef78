// SPDX-License-Identifier: Apache-2.0
//
// reconciler/agent/seccomp.h — the system calls a container may make: Debian's profile, turned into what runc
// understands.
//
// The profile (package golang-github-containers-common) has groups of calls that hold for some architectures
// or capabilities only. From it comes `linux.seccomp` of config.json, for the native architecture alone:
// calls of other ABIs end the process, and loading takes half the time (with all three: 23 ms more for each
// create). Fails closed: without a readable, valid profile no container is made.
#ifndef MUSTER_RECONCILER_AGENT_SECCOMP_H
#define MUSTER_RECONCILER_AGENT_SECCOMP_H

#include <stdint.h>

#include "base/error.h"

#define SECCOMP_PROFILE_PATH "/usr/share/containers/seccomp.json"

struct seccomp;

// Nothing is read yet. `path` NULL means SECCOMP_PROFILE_PATH.
struct seccomp *seccomp_new(const char *path);
void seccomp_free(struct seccomp *seccomp);

// The JSON object for a set of capabilities, kept for the next caller with the same set; borrowed until the
// next call. The profile is read when first needed, and tried again as long as it could not be read.
int seccomp_get(struct seccomp *seccomp, uint64_t capabilities, const char **out, struct error *err);

#endif
