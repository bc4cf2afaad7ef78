// SPDX-License-Identifier: Apache-2.0
//
// reconciler/store/group_card.h — the file `group` beside the environment: to which group this manager
// belongs and whom to ask.
//
// A member whose environment is lost still knows by its card where it belonged. It joins again under a new
// raft id: the old one may have given votes and acknowledged entries that are forgotten now, so it never
// speaks again (Alagappan et al., FAST 2018, "Protocol-aware recovery").
//
// Text         One line each, words apart by a blank, "-" for none, in this order:
//                  muster group card 1
//                  cluster ID
//                  node ID
//                  raft 0123456789abcdef               the raft id, 16 digits
//                  epoch NUMBER
//                  member 0123456789abcdef ID voter|learner ADDRESS      each member
//                  outdated ADDRESS                    a group of a later epoch answered there; else no line
//                  crc32c 01234567                     of all bytes before this line
//              A later version with the same number may add lines before the last; they are skipped.
// Failure      Replaced as a whole and durably: a reader sees the old or the new one. A card with a wrong
//              checksum is damage, not a card.
#ifndef MUSTER_RECONCILER_STORE_GROUP_CARD_H
#define MUSTER_RECONCILER_STORE_GROUP_CARD_H

#include "reconciler/store/membership.h"

#define GROUP_CARD_FILE "group"

struct group_card {
    struct id cluster_id, node_id;
    uint64_t raft_id;
    int64_t epoch;
    LIST_OF(struct member) members; // wants_vote is not kept
    const char *outdated_by;        // where a group of a later epoch answered; "" = nowhere
};

// Whenever membership or identity has changed. -ERR_INVALID for an address that is no word, -ERR_NO_SPACE,
// -ERR_SYSTEM: the old one stays.
int group_card_write(const char *dir, const struct group_card *card, struct error *err);
// -ERR_NOT_FOUND, -ERR_CORRUPT, -ERR_UNSUPPORTED (of a newer muster), -ERR_SYSTEM
int group_card_read(const char *dir, struct group_card *out, struct arena *arena, struct error *err);

// The text alone.
int group_card_format(const struct group_card *card, struct buf *out, struct error *err);
int group_card_parse(struct bytes text, struct group_card *out, struct arena *arena, struct error *err);

#endif
