// SPDX-License-Identifier: Apache-2.0
//
// reconciler/store/membership.c — the membership's field table, and the next one from the present one.
#include "reconciler/store/membership.h"

#include <string.h>

#include "base/assert.h"
#include "reconciler/store/planted.h"
#include "specs/row.h"

static const struct field member_fields[] = {
    INT(struct member, 1, raft_id, INT64_MIN, INT64_MAX,
        .help = "Identity in consensus, new at each joining."),
    ID(struct member, 2, node_id, .help = "Node that it is."),
    STRING(struct member, 3, address, .help = "Address for other managers, host:port."),
    BOOL(struct member, 4, is_voter, .help = "Whether it decides."),
    BOOL(struct member, 5, wants_vote, .help = "Becomes a voter once it has caught up."),
};
static const struct schema member_schema =
    SCHEMA("member", struct member, member_fields, .help = "One manager of the group.");

static const struct field removed_fields[] = {
    INT(struct member_removed, 1, raft_id, INT64_MIN, INT64_MAX, .help = "Identity that left."),
};
static const struct schema removed_schema =
    SCHEMA("member_removed", struct member_removed, removed_fields, .help = "A manager that left.");

static const struct field membership_fields[] = {
    LIST(struct membership, 1, members, &member_schema, struct member, .max = RAFT_MEMBERS_MAX,
         .help = "The managers."),
    LIST(struct membership, 2, removed, &removed_schema, struct member_removed, .max = MEMBERSHIP_REMOVED_MAX,
         .help = "Identities that are refused."),
    INT(struct membership, 3, epoch, 0, INT64_MAX, .help = "Raised by each forced recovery."),
};
const struct schema membership_schema =
    SCHEMA("membership", struct membership, membership_fields, .help = "The managers of a cluster.");

int membership_read(struct bytes bytes, struct membership *out, struct arena *arena, struct error *err) {
    struct error reason = {0};
    if (wire_decode(&membership_schema, bytes, out, arena, &reason) < 0) {
        return error_set(err, ERR_CORRUPT, "malformed membership: %s", reason.root);
    }
    if (out->members.count > RAFT_MEMBERS_MAX || out->removed.count > MEMBERSHIP_REMOVED_MAX) {
        return error_set(err, ERR_CORRUPT, "malformed membership: %zu members, %zu removed",
                         out->members.count, out->removed.count);
    }
    for (size_t i = 0; i < out->members.count; i++) {
        uint64_t id = (uint64_t)out->members.items[i].raft_id;
        if (id == 0 || (i > 0 && (uint64_t)out->members.items[i - 1].raft_id >= id)) {
            return error_set(err, ERR_CORRUPT, "malformed membership: ids out of order");
        }
    }
    return 0;
}

struct raft_configuration membership_configuration(const struct membership *membership) {
    struct raft_configuration configuration = {.count = (unsigned)membership->members.count};
    ASSERT(configuration.count <= RAFT_MEMBERS_MAX);
    for (unsigned i = 0; i < configuration.count; i++) {
        const struct member *member = &membership->members.items[i];
        configuration.members[i] = (struct raft_member){(uint64_t)member->raft_id, member->is_voter};
    }
    return configuration;
}

const struct member *membership_find(const struct membership *membership, uint64_t raft_id) {
    for (size_t i = 0; i < membership->members.count; i++) {
        if ((uint64_t)membership->members.items[i].raft_id == raft_id) {
            return &membership->members.items[i];
        }
    }
    return NULL;
}

const struct member *membership_find_node(const struct membership *membership, const struct id *node_id) {
    for (size_t i = 0; i < membership->members.count; i++) {
        if (id_equal(&membership->members.items[i].node_id, node_id)) {
            return &membership->members.items[i];
        }
    }
    return NULL;
}

bool membership_was_removed(const struct membership *membership, uint64_t raft_id) {
    for (size_t i = 0; i < membership->removed.count; i++) {
        if ((uint64_t)membership->removed.items[i].raft_id == raft_id) {
            return true;
        }
    }
    return false;
}

struct membership membership_with(const struct membership *membership, const struct member *member,
                                  struct arena *arena) {
    struct membership next = *membership;
    next.members.count = 0;
    next.members.items = NULL;
    bool is_placed = false;
    for (size_t i = 0; i < membership->members.count; i++) {
        const struct member *one = &membership->members.items[i];
        if (!is_placed && (uint64_t)one->raft_id >= (uint64_t)member->raft_id) {
            *ARENA_PUSH(arena, &next.members) = *member;
            is_placed = true;
        }
        if (one->raft_id != member->raft_id) {
            *ARENA_PUSH(arena, &next.members) = *one;
        }
    }
    if (!is_placed) {
        *ARENA_PUSH(arena, &next.members) = *member;
    }
    return next;
}

struct membership membership_without(const struct membership *membership, uint64_t raft_id,
                                     struct arena *arena) {
    struct membership next = {.epoch = membership->epoch, .unknown = membership->unknown};
    for (size_t i = 0; i < membership->members.count; i++) {
        if ((uint64_t)membership->members.items[i].raft_id != raft_id) {
            *ARENA_PUSH(arena, &next.members) = membership->members.items[i];
        }
    }
    size_t first = membership->removed.count >= MEMBERSHIP_REMOVED_MAX ? 1 : 0;
    for (size_t i = first; i < membership->removed.count; i++) {
        *ARENA_PUSH(arena, &next.removed) = membership->removed.items[i];
    }
    ARENA_PUSH(arena, &next.removed)->raft_id = (int64_t)raft_id;
    return next;
}

struct membership membership_alone(const struct membership *membership, const struct member *member,
                                   struct arena *arena) {
    struct membership next = *membership;
    for (size_t i = 0; i < membership->members.count; i++) {
        next = membership_without(&next, (uint64_t)membership->members.items[i].raft_id, arena);
    }
    next.epoch += STORE_PLANTED(EPOCH_STAYS) ? 0 : 1;
    return membership_with(&next, member, arena);
}
