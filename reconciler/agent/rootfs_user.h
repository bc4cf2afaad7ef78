// SPDX-License-Identifier: Apache-2.0
//
// reconciler/agent/rootfs_user.h — who the container's process is: names and numbers, looked up in the
// image's own /etc/passwd and /etc/group.
//
// Both files come from strangers: they are opened inside the root file system only, must be plain files of
// at most
// 1 MiB, and lines that are malformed do not count.
#ifndef MUSTER_RECONCILER_AGENT_ROOTFS_USER_H
#define MUSTER_RECONCILER_AGENT_ROOTFS_USER_H

#include <stdint.h>

#include "base/error.h"
#include "specs/schema.h"

enum { ROOTFS_USER_GROUPS_MAX = 256 };

struct rootfs_user {
    uint32_t uid, gid;
    size_t group_count; // further groups
    uint32_t groups[ROOTFS_USER_GROUPS_MAX];
};

// `user` is "", "name", "uid", "name:group", "uid:gid"… as Docker takes it: a number needs no entry (its
// group is then
// 0), a name does; without a group the user's own and those that list it hold. `group_add` adds more.
// -ERR_NOT_FOUND names what the image does not know, -ERR_INVALID what is no user at all.
int rootfs_user_find(int root_fd, const char *user, const struct strings *group_add, struct rootfs_user *out,
                     struct error *err);

#endif
