// SPDX-License-Identifier: Apache-2.0
//
// reconciler/daemon/rejoin.c — a manager whose store is damaged or gone finds back into its group by itself.
//
// Its store is set aside whole, and it asks the managers named on the group's card to let it in under a new
// identity: what the old one promised may be forgotten, so that one never votes again. A manager without
// others has nobody who could give the state back: then damage is told, and nothing is touched.
#include "reconciler/daemon/group.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "reconciler/daemon/daemon.h"
#include "reconciler/store/group_card.h"
#include "reconciler/store/quarantine.h"

// Addresses of the others on the card.
static struct strings others_of(const struct group_card *card, struct arena *arena) {
    struct strings others = {0};
    for (size_t i = 0; i < card->members.count; i++) {
        const struct member *member = &card->members.items[i];
        if ((uint64_t)member->raft_id != card->raft_id && !str_is_empty(member->address)) {
            *ARENA_PUSH(arena, &others) = member->address;
        }
    }
    return others;
}

// Whether there is somebody to ask. No card is no failure: then this is a manager of its own.
static bool read_card(const char *dir, struct group_card *card, struct strings *others, struct arena *arena) {
    struct error err = {0};
    int rc = group_card_read(dir, card, arena, &err);
    if (rc < 0 && rc != -ERR_NOT_FOUND) {
        log_failure(LOG_ERROR, "group.card", &err, LOG_STR("dir", dir));
    }
    *others = rc == 0 ? others_of(card, arena) : (struct strings){0};
    return others->count > 0;
}

int rejoin_set_aside(const char *dir, const struct error *why) {
    AUTO_ARENA arena = arena_make(0);
    struct group_card card;
    struct strings others;
    char name[QUARANTINE_NAME_BYTES], text[1024];
    struct error err = {0};
    if (!read_card(dir, &card, &others, &arena)) {
        return STORE_ABSENT;
    }
    int rc = quarantine(dir, error_text(why, text, sizeof text), name, &err);
    if (rc < 0) {
        log_failure(LOG_ERROR, "store.quarantine", &err, LOG_STR("dir", dir));
        return rc;
    }
    log_event(LOG_ERROR, "store.quarantine", LOG_STR("dir", dir), LOG_STR("moved_to", name),
              LOG_STR("reason", text));
    return 0;
}

void rejoin_discard(const char *dir) {
    AUTO_ARENA arena = arena_make(0);
    struct group_card card;
    struct strings others;
    struct error err = {0};
    if (!read_card(dir, &card, &others, &arena)) {
        return;
    }
    if (quarantine_discard(dir, &err) < 0) {
        log_failure(LOG_ERROR, "store.discard", &err, LOG_STR("dir", dir));
        return;
    }
    log_event(LOG_INFO, "store.discard", LOG_STR("dir", dir), LOG_STR("reason", "this node is a worker now"));
}

int rejoin_open_store(struct daemon *daemon, const char *dir, struct error *err) {
    struct error failure = {0};
    const struct store_options options = {.dir = dir};
    int rc = store_open(&options, &daemon->store, &failure);
    if (rc == -ERR_CORRUPT && group_has_links(daemon) && rejoin_set_aside(dir, &failure) == 0) {
        return store_open(&options, &daemon->store, err);
    }
    if (rc < 0) {
        *err = failure;
    }
    return rc;
}

static void start(struct daemon *daemon, const struct group_card *card, const struct strings *others) {
    const struct joining_order order = {.remotes = others, .cluster_id = card->cluster_id};
    struct error err = {0};
    if (joining_start(daemon, &order, &err) < 0) {
        error_wrap(&err, -(int)err.code,
                   "ask to be let in again (else: \"muster swarm leave --force\", then "
                   "\"muster swarm join\" with a token)");
        log_failure(LOG_ERROR, "cluster.refused", &err, LOG_NONE);
    }
}

void rejoin_start(struct daemon *daemon, const char *dir) {
    AUTO_ARENA arena = arena_make(0);
    struct group_card card;
    struct strings others;
    if (daemon->group.peers == NULL || roles_is_worker(daemon) || !read_card(dir, &card, &others, &arena)) {
        return;
    }
    if (!replica_has_group(daemon->replica)) {
        log_event(LOG_WARN, "cluster.rejoin", LOG_STR("cluster", card.cluster_id.text),
                  LOG_INT("managers", others.count));
        start(daemon, &card, &others);
        return;
    }
    if (card.epoch >= replica_membership(daemon->replica)->epoch) {
        outdated_note(daemon, card.outdated_by);
    }
    // Let in, and told little yet: links need the cluster's id before its record has come.
    if (replica_membership(daemon->replica)->members.count == 0) {
        struct membership told = {.members = {card.members.count, card.members.items}, .epoch = card.epoch};
        AUTO_BUF bytes = {0};
        wire_encode(&membership_schema, &told, &bytes);
        group_tell(daemon, buf_bytes(&bytes));
    }
    group_introduce(daemon, &card.cluster_id, card.epoch);
}

int rejoin_write_card(struct daemon *daemon, const struct id *cluster_id, uint64_t raft_id,
                      const struct membership *membership, struct error *err) {
    AUTO_FREE char *dir = xasprintf("%s/store", daemon->options->state_dir);
    const struct group_card card = {.cluster_id = *cluster_id,
                                    .node_id = daemon->node_id,
                                    .raft_id = raft_id,
                                    .epoch = membership->epoch,
                                    .members = {membership->members.count, membership->members.items},
                                    .outdated_by = daemon->group.outdated_by};
    return group_card_write(dir, &card, err);
}

void rejoin_keep_card(struct daemon *daemon, const struct membership *membership) {
    struct error err = {0};
    if (daemon->group.cluster_id.text[0] == '\0' || membership->members.count == 0 ||
        !replica_has_group(daemon->replica)) {
        return;
    }
    if (rejoin_write_card(daemon, &daemon->group.cluster_id, replica_id(daemon->replica), membership, &err) <
        0) {
        log_failure(LOG_ERROR, "group.card", &err, LOG_NONE);
    }
}
