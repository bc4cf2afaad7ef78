// SPDX-License-Identifier: Apache-2.0
//
// reconciler/store/membership.h — who belongs to the group of managers, as the log tells it.
//
// A membership is the payload of a configuration entry: the whole list each time (reconciler/raft/raft.h says
// why one change at a time). A member's raft id is random, made anew each time a manager joins and never used
// again, so that nothing said by an earlier life of it counts; ids that left are remembered and refused.
#ifndef MUSTER_RECONCILER_STORE_MEMBERSHIP_H
#define MUSTER_RECONCILER_STORE_MEMBERSHIP_H

#include "reconciler/raft/raft.h"
#include "specs/schema.h"

#define MEMBERSHIP_REMOVED_MAX 256 // ids remembered; the oldest go first
#define MEMBERSHIP_BYTES_MAX (16 * 1024)

struct member {
    int64_t raft_id; // the bits of a uint64_t; not 0
    struct id node_id;
    const char *address; // host:port for other managers; "" = none
    bool is_voter;
    bool wants_vote; // becomes a voter as soon as it has caught up
    struct bytes unknown;
};
struct member_removed {
    int64_t raft_id;
    struct bytes unknown;
};
struct membership {
    LIST_OF(struct member) members; // sorted by raft id, as unsigned
    LIST_OF(struct member_removed) removed;
    int64_t epoch; // raised when a group is made anew out of what one member had
    struct bytes unknown;
};
extern const struct schema membership_schema;

// -ERR_CORRUPT for bytes that are no membership, or not a sorted one of at most RAFT_MEMBERS_MAX.
int membership_read(struct bytes bytes, struct membership *out, struct arena *arena, struct error *err);
// What the core needs to know of it.
struct raft_configuration membership_configuration(const struct membership *membership);
const struct member *membership_find(const struct membership *membership, uint64_t raft_id); // NULL = none
const struct member *membership_find_node(const struct membership *membership, const struct id *node_id);
bool membership_was_removed(const struct membership *membership, uint64_t raft_id);

// The next membership, in the arena; the one given is not changed.
struct membership membership_with(const struct membership *membership, const struct member *member,
                                  struct arena *arena); // adds, or replaces the one with its raft id
struct membership membership_without(const struct membership *membership, uint64_t raft_id,
                                     struct arena *arena);
// Of this member alone, in the next epoch; all that were members before are removed.
struct membership membership_alone(const struct membership *membership, const struct member *member,
                                   struct arena *arena);

#endif
