// SPDX-License-Identifier: Apache-2.0
//
// reconciler/daemon/group.c — packets out and in, links that follow the membership, handing over at the end.
#include "reconciler/daemon/group.h"

#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "reconciler/daemon/daemon.h"

#define PACKETS_MAX 512
#define HEARD_MS (2 * PEERS_PING_MS) // without an answer: not heard any more

// --- callbacks of the replica ---

static void on_send(void *context, const struct replica_packet *packet) {
    struct daemon *daemon = context;
    if (daemon->group.peers != NULL) {
        (void)peers_send(daemon->group.peers, packet->to, packet->number, packet->body, packet->is_bulk);
    }
}

static bool is_linked(void *context, uint64_t raft_id) {
    const struct group *group = &((struct daemon *)context)->group;
    struct peers_status link;
    return group->peers != NULL && peers_status(group->peers, raft_id, &link) && link.is_up;
}

static void on_members(void *context, const struct membership *membership) {
    (void)membership;
    ((struct daemon *)context)->group.has_news = true;
}

// --- callbacks of the links ---

static void note_caller(struct daemon *daemon, uint64_t raft_id, uint64_t via) {
    struct group *group = &daemon->group;
    struct caller caller = {.raft_id = raft_id};
    if (membership_find(replica_membership(daemon->replica), raft_id) != NULL ||
        !str_copy(caller.address, sizeof caller.address, peers_caller(group->peers, via)) ||
        caller.address[0] == '\0') {
        return;
    }
    unsigned at = 0;
    while (at < CALLERS_MAX && group->callers[at].raft_id != raft_id) {
        at++;
    }
    at = at < CALLERS_MAX ? at : group->caller_next++ % CALLERS_MAX;
    group->has_news |=
        group->callers[at].raft_id != raft_id || !str_equal(group->callers[at].address, caller.address);
    group->callers[at] = caller;
}

static void on_packet(void *context, uint64_t from, uint16_t number, struct bytes body, uint64_t via) {
    struct daemon *daemon = context;
    struct group *group = &daemon->group;
    if (number == MESSAGE_JOIN) {
        entrant_on_join(daemon, from, via, body);
    } else if (number == MESSAGE_RENEW) {
        renewal_on_request(daemon, via, body);
    } else if (number == MESSAGE_RELAY_FORWARD || number == MESSAGE_RELAY_FORWARD_REFUSED) {
        relay_on_manager(daemon, from, number, body);
    } else if (group->rc == 0 && !outdated_is(daemon)) {
        note_caller(daemon, from, via);
        group->rc = replica_receive(daemon->replica, from, number, body, &group->failure);
    }
}

static void on_answer(void *context, uint64_t ask, const struct error *err, uint16_t number,
                      struct bytes body) {
    struct daemon *daemon = context;
    (void)number;
    if (ask == daemon->group.renewal.ask) {
        renewal_on_answer(daemon, err, body);
    } else {
        joining_on_answer(daemon, ask, err, body);
    }
}

static const char *node_of(const struct daemon *daemon, uint64_t raft_id) {
    const struct member *member = membership_find(replica_membership(daemon->replica), raft_id);
    return member != NULL ? member->node_id.text : "";
}

static void on_up(void *context, uint64_t raft_id) {
    log_event(LOG_INFO, "manager.up", LOG_STR("node", node_of(context, raft_id)));
}

static void on_down(void *context, uint64_t raft_id) {
    log_event(LOG_WARN, "manager.down", LOG_STR("node", node_of(context, raft_id)));
    replica_link_lost(((struct daemon *)context)->replica, raft_id);
}

static void on_refused(void *context, uint64_t raft_id, const struct error *err) {
    struct daemon *daemon = context;
    log_failure(LOG_WARN, "manager.refused", err, LOG_STR("node", node_of(context, raft_id)));
    daemon->group.is_refused |= err->code == ERR_DENIED;
    daemon->group.must_ask_role |= err->code == ERR_DENIED || err->code == ERR_CONFLICT;
    if (err->code == ERR_OUTDATED) {
        const struct member *member = membership_find(replica_membership(daemon->replica), raft_id);
        outdated_note(daemon, member != NULL ? member->address : "");
    }
}

// Who is refused as removed forgets everything, so the removal must be final.
static bool is_member(void *context, uint64_t raft_id) {
    const struct daemon *daemon = context;
    return replica_is_changing(daemon->replica) ||
           !membership_was_removed(replica_membership(daemon->replica), raft_id);
}

// As far as it is told here.
static const struct membership *members_of(const struct daemon *daemon) {
    const struct membership *membership = replica_membership(daemon->replica);
    return membership->members.count > 0 ? membership : &daemon->group.told;
}

static bool is_its_node(void *context, uint64_t raft_id, const struct id *node_id) {
    const struct member *member = membership_find(members_of(context), raft_id);
    return member != NULL ? id_equal(&member->node_id, node_id) : !removed_is_worker(context, node_id);
}

static bool is_blocked(void *context, const struct identity *shown) {
    return removed_is(context, shown);
}

// --- life ---

static int open_replica(struct daemon *daemon, struct error *err) {
    const struct replica_options options = {
        .store = daemon->store,
        .node_id = daemon->node_id,
        .callbacks = {.send = on_send, .is_linked = is_linked, .on_members = on_members, .context = daemon},
        .seed = prng_next(&daemon->group.prng),
        .now_mono_ms = daemon->now.mono_ms,
    };
    int rc = replica_open(&options, &daemon->replica, err);
    if (rc == 0) {
        proposals_init(&daemon->proposals, replica_proposer(daemon->replica));
    }
    return rc;
}

bool group_has_links(const struct daemon *daemon) {
    const char *colon = strrchr(daemon->options->listen, ':');
    return colon != NULL && !str_equal(colon, ":0");
}

int group_listen(struct daemon *daemon, struct error *err) {
    struct group *group = &daemon->group;
    if (group->peers == NULL || peers_port(group->peers) != 0) {
        return 0;
    }
    return peers_listen(group->peers, daemon->options->listen, err);
}

int group_advertise(struct daemon *daemon, const char *address, struct error *err) {
    AUTO_ARENA arena = arena_make(0);
    char url[PEER_URL_BYTES];
    if (str_is_empty(address)) {
        return 0;
    }
    const char *full = self_with_port(address, daemon->options->listen, &arena);
    int rc = peer_address_url(full, /*is_secure=*/true, url, err);
    if (rc == 0 && !str_copy(daemon->group.address, sizeof daemon->group.address, full)) {
        rc = error_set(err, ERR_INVALID, "%s is too long for an address", full);
    }
    return error_wrap(err, rc, "advertise %s", address);
}

// Where others find it: as it was told, or where it listens, or by the way out of this machine.
static int find_address(struct daemon *daemon, struct error *err) {
    AUTO_ARENA arena = arena_make(0);
    const struct daemon_options *options = daemon->options;
    bool is_wildcard = str_starts(options->listen, "0.0.0.0:") || str_starts(options->listen, "[::]:");
    const char *asked =
        str_is_empty(options->advertise) && !is_wildcard ? options->listen : options->advertise;
    return group_advertise(daemon, self_address(asked, &arena), err);
}

static int open_peers(struct daemon *daemon, struct error *err) {
    struct group *group = &daemon->group;
    const struct peers_options options = {
        .prng = &group->prng,
        .tls = passport_blank(),
        .callbacks = {.on_packet = on_packet,
                      .on_up = on_up,
                      .on_down = on_down,
                      .on_refused = on_refused,
                      .on_answer = on_answer,
                      .is_member = is_member,
                      .context = daemon,
                      .is_its_node = is_its_node,
                      .on_agent = dispatcher_on_agent,
                      .on_agent_down = dispatcher_on_agent_down,
                      .on_agent_writable = dispatcher_on_agent_writable,
                      .is_blocked = is_blocked},
    };
    int rc = peers_open(&options, &group->peers, err);
    return rc < 0 ? rc : find_address(daemon, err);
}

int group_open(struct daemon *daemon, struct error *err) {
    struct group *group = &daemon->group;
    list_init(&group->entrants);
    prng_seed(&group->prng, (uint64_t)clock_unix_ns() ^ (uint64_t)getpid() << 32);
    int rc = group_has_links(daemon) ? open_peers(daemon, err) : 0;
    return rc < 0 ? rc : open_replica(daemon, err);
}

void group_close(struct daemon *daemon) {
    struct group *group = &daemon->group;
    if (group->entrants.head.next == NULL) {
        return; // never opened
    }
    peers_close(group->peers);
    group->peers = NULL;
    passport_free(&group->passport);
    renewal_free(&group->renewal);
    entrants_free(daemon);
    joining_free(daemon);
    leaving_free(daemon);
    alone_free(daemon);
    silence_free(&group->silence);
    arena_free(&group->told_arena);
}

int group_fd(const struct daemon *daemon) {
    return daemon->group.peers != NULL ? peers_fd(daemon->group.peers) : -1;
}

// A joiner is told the epoch, and then walks through a log that begins in earlier ones: with such a one the
// others would take it for outdated.
void group_introduce(struct daemon *daemon, const struct id *cluster_id, int64_t epoch) {
    bool is_same = id_equal(&daemon->group.cluster_id, cluster_id);
    daemon->group.cluster_id = *cluster_id;
    daemon->group.epoch = is_same && epoch < daemon->group.epoch ? daemon->group.epoch : epoch;
    daemon->group.must_introduce = true; // not now: a callback of the links may have led here
}

void group_tell(struct daemon *daemon, struct bytes membership) {
    struct group *group = &daemon->group;
    arena_free(&group->told_arena);
    group->told = (struct membership){0};
    struct bytes kept = {arena_copy(&group->told_arena, membership.data, membership.len), membership.len};
    struct membership told;
    if (membership_read(kept, &told, &group->told_arena, NULL) == 0) {
        group->told = told;
        group->has_news = true;
    }
}

// --- the turn ---

// Without a certificate nobody is called, and all that needs no other node goes on.
static bool find_passport(struct daemon *daemon) {
    struct group *group = &daemon->group;
    struct error err = {0};
    if (passport_is_of(&group->passport, &group->cluster_id)) {
        return true;
    }
    if (passport_load(daemon, &group->cluster_id, &err) < 0) {
        error_wrap(
            &err, -(int)err.code,
            "talk to the other nodes (\"muster swarm leave --force\", then \"muster swarm join\" with a "
            "token, gives this one a certificate)");
        log_failure(LOG_ERROR, "node.certificate", &err, LOG_NONE);
        return false;
    }
    return true;
}

int group_begin(struct daemon *daemon, struct error *err) {
    struct group *group = &daemon->group;
    if (group->peers == NULL || id_is_none(&group->cluster_id) || !find_passport(daemon) ||
        group->passport.identity.role != ROLE_MANAGER) {
        return 0;
    }
    return error_wrap(err, group_listen(daemon, err), "listen for other nodes");
}

static void introduce(struct daemon *daemon) {
    struct group *group = &daemon->group;
    if (!find_passport(daemon)) {
        return;
    }
    passport_step(daemon);
    const struct peers_self self = {.cluster_id = group->cluster_id,
                                    .raft_id = replica_id(daemon->replica),
                                    .epoch = group->epoch,
                                    .address = group->address};
    peers_set_self(group->peers, &self);
    group->has_news = true;
}

// Those that the membership does not know yet; who was removed does not get that far (is_member).
static size_t add_callers(const struct daemon *daemon, const struct membership *membership,
                          struct peers_member *members, size_t count) {
    for (unsigned i = 0; i < CALLERS_MAX && count < PEERS_MEMBERS_MAX; i++) {
        const struct caller *caller = &daemon->group.callers[i];
        if (caller->raft_id != 0 && membership_find(membership, caller->raft_id) == NULL &&
            !membership_was_removed(membership, caller->raft_id)) {
            members[count++] = (struct peers_member){caller->raft_id, caller->address};
        }
    }
    return count;
}

// For when it is a worker, or has to find back.
static void keep_managers(const struct daemon *daemon) {
    AUTO_ARENA arena = arena_make(0);
    struct strings addresses = group_addresses(daemon, &arena);
    if (!outdated_is(daemon)) {
        roles_keep_managers(daemon, &addresses);
    }
}

static void follow(struct daemon *daemon) {
    const struct membership *membership = members_of(daemon);
    struct peers_member members[PEERS_MEMBERS_MAX];
    size_t count = 0;
    for (size_t i = 0; i < membership->members.count && count < PEERS_MEMBERS_MAX; i++) {
        const struct member *member = &membership->members.items[i];
        members[count++] = (struct peers_member){(uint64_t)member->raft_id, member->address};
    }
    count = outdated_is(daemon) ? 0 : add_callers(daemon, membership, members, count);
    rejoin_keep_card(daemon, membership);
    keep_managers(daemon);
    daemon_introduce(daemon);
    struct error err = {0};
    if (peers_set_members(daemon->group.peers, members, count, &err) < 0) {
        log_failure(LOG_WARN, "manager.address", &err, LOG_NONE);
    }
}

// When a change is final, those who were removed are refused.
static void follow_changes(struct daemon *daemon) {
    struct group *group = &daemon->group;
    bool was_changing = group->is_changing;
    group->is_changing = replica_is_changing(daemon->replica);
    group->has_news |= was_changing && !group->is_changing;
}

// An election takes less than that, and is nobody's trouble.
#define LEADERLESS_MS 1500

static void doubt(struct daemon *daemon) {
    struct group *group = &daemon->group;
    struct replica_status status;
    char text[sizeof group->doubt] = "";
    replica_status(daemon->replica, &status);
    if (status.raft_id == 0 || status.leader != 0) {
        group->leaderless_mono_ms = 0;
    } else if (group->leaderless_mono_ms == 0) {
        group->leaderless_mono_ms = daemon->now.mono_ms;
    }
    if (outdated_is(daemon)) {
        struct error err = {0};
        outdated_explain(daemon, &err);
        error_text(&err, text, sizeof text);
    } else if (group->leaderless_mono_ms != 0 &&
               daemon->now.mono_ms - group->leaderless_mono_ms >= LEADERLESS_MS) {
        struct error err = {0};
        error_set(&err, ERR_NO_QUORUM, "no manager leads, this may be out of date");
        group_explain(daemon, &err);
        error_text(&err, text, sizeof text);
    }
    if (!str_equal(text, group->doubt)) {
        memcpy(group->doubt, text, sizeof text);
        group->doubt_count++;
    }
}

int group_take(struct daemon *daemon, struct error *err) {
    struct group *group = &daemon->group;
    leaving_step(daemon);
    if (group->peers != NULL) {
        peers_take(group->peers, PACKETS_MAX);
        follow_changes(daemon);
        passport_step(daemon);
        if (TAKE(group->must_introduce)) {
            introduce(daemon);
        }
        if (TAKE(group->has_news)) {
            follow(daemon);
        }
        joining_step(daemon);
        entrants_step(daemon);
        renewal_step(daemon);
        roles_step(daemon);
        group->rc = group->rc < 0 ? group->rc : removed_step(daemon, &group->failure);
        peers_tick(group->peers, daemon->now.mono_ms); // last: it dials whom the others name
        doubt(daemon);
    }
    alone_step(daemon);
    if (group->rc < 0 && err != NULL) {
        *err = group->failure;
    }
    return group->rc;
}

int64_t group_wake_mono_ms(const struct daemon *daemon) {
    int64_t joining = joining_wake_mono_ms(daemon), entrants = entrants_wake_mono_ms(daemon);
    return joining < entrants ? joining : entrants;
}

// --- how it is ---

bool group_leads(const struct daemon *daemon) {
    struct replica_status status;
    replica_status(daemon->replica, &status);
    return status.raft_id != 0 && status.leader == status.raft_id;
}

const char *group_leader_address(const struct daemon *daemon) {
    struct replica_status status;
    replica_status(daemon->replica, &status);
    for (unsigned i = 0; i < status.count; i++) {
        if (status.members[i].is_leader && status.leader != status.raft_id) {
            return status.members[i].address;
        }
    }
    return "";
}

struct strings group_addresses(const struct daemon *daemon, struct arena *arena) {
    const struct membership *membership = replica_membership(daemon->replica);
    struct strings addresses = {0};
    for (size_t i = 0; i < membership->members.count; i++) {
        const struct member *member = &membership->members.items[i];
        if ((member->is_voter || member->wants_vote) && !str_is_empty(member->address)) {
            *ARENA_PUSH(arena, &addresses) = arena_strdup(arena, member->address);
        }
    }
    return addresses;
}

bool group_is_manager(const struct daemon *daemon) {
    const struct member *self =
        membership_find(replica_membership(daemon->replica), replica_id(daemon->replica));
    return daemon_is_initialized(daemon) && !worker_is(daemon) &&
           (self == NULL || self->is_voter || self->wants_vote);
}

bool group_is_pending(const struct daemon *daemon) {
    bool is_joining = !daemon_is_initialized(daemon) &&
                      (replica_has_group(daemon->replica) || daemon->group.joining != NULL);
    return is_joining || daemon->group.leaving != NULL;
}

bool group_hears(const struct daemon *daemon, uint64_t raft_id) {
    struct peers_status link;
    return daemon->group.peers != NULL && peers_status(daemon->group.peers, raft_id, &link) && link.is_up &&
           link.silent_ms < HEARD_MS;
}

bool group_hand_over(struct daemon *daemon) {
    return group_leads(daemon) && replica_transfer(daemon->replica, 0, NULL) == 0;
}

void group_explain(const struct daemon *daemon, struct error *err) {
    struct replica_status status;
    AUTO_BUF silent = {0};
    unsigned voters = 0;
    if (err->code == ERR_NO_QUORUM && outdated_is(daemon)) {
        outdated_explain(daemon, err);
        return;
    }
    if ((err->code != ERR_NO_QUORUM && err->code != ERR_TIMEOUT) || daemon->group.peers == NULL) {
        return;
    }
    replica_status(daemon->replica, &status);
    for (unsigned i = 0; i < status.count; i++) {
        struct peers_status link;
        bool is_link = peers_status(daemon->group.peers, status.members[i].raft_id, &link);
        if (status.members[i].is_voter && is_link && !link.is_up) {
            buf_addf(&silent, "%s%s", voters++ > 0 ? ", " : "", status.members[i].address);
        }
    }
    if (voters > 0) {
        error_wrap(err, -(int)err->code, "of %u managers %u do not answer (%.300s), start them again",
                   status.voters, voters, buf_text(&silent));
    }
}
