// SPDX-License-Identifier: Apache-2.0
//
// reconciler/daemon/alone.c — this manager goes on alone: `muster swarm init --force-new-cluster`, for when
// the others are gone for good.
//
// Model        It listens for the others first. Else the store makes a group of this one out of all that its
//              log holds (replica_go_alone), and with it the records of the other managers become those of
//              nodes that left: their tasks are replaced at once, and they may join again. Then the daemon
//              begins anew on that.
// Guard        Where a quorum answers, or somebody leads, it is refused, and no flag says otherwise: those
//              who answer would go on, so two clusters would come of one, each with changes of its own that
//              are acknowledged; and they can remove who is gone without any loss.
// Failure      One transaction of the store: a daemon that is killed meanwhile starts in the old group, or in
//              the new one.
// Fence        The new group is of a later epoch, which keeps the others out (outdated.c).
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "reconciler/daemon/daemon.h"
#include "reconciler/daemon/decide.h"

// An election takes at most 2 s, a link is dialed again each second, and found dead within 3 s; as much
// again for machines that are busy.
#define LISTEN_MS 5000
#define GIVE_UP_MS 12000

struct alone {
    struct answer answer;     // first: the conversation's state
    char *who;                // for the history
    int64_t since_mono_ms;    // nobody leads and no quorum answers since then; 0 = somebody does
    int64_t deadline_mono_ms; // to be refused
};

// Who does not wait for it has thought better of it.
static void on_closed(struct answer *answer) {
    (void)answer;
}

void alone_free(struct daemon *daemon) {
    struct alone *alone = TAKE(daemon->group.alone);
    if (alone != NULL) {
        if (alone->answer.conversation != NULL) {
            conversation_set_state(alone->answer.conversation, NULL);
        }
        xfree(alone->who);
        xfree(alone);
    }
}

static void fail(struct daemon *daemon, const struct error *err) {
    server_fail(TAKE(daemon->group.alone->answer.conversation), err);
    alone_free(daemon);
}

// --- the change ---

struct good_byes {
    const struct daemon *daemon;
    struct decision *decision;
};

static int add_good_bye(void *context, void *object, struct arena *arena, struct error *err) {
    const struct good_byes *all = context;
    struct node *node = object;
    (void)err;
    bool is_other = node->spec.role == ROLE_MANAGER && !id_equal(&node->meta.id, &all->daemon->node_id);
    if (is_other && !node->status.left) {
        decide_good_bye(all->decision, node, "the cluster went on without it, by force",
                        all->daemon->now.unix_ms, arena);
    }
    return 0;
}

static int compose(void *context, struct arena *arena, struct transaction *out, struct error *err) {
    struct daemon *daemon = context;
    struct decision decision = {.transaction = *out};
    struct store_read *read;
    int rc = store_read_begin(daemon->store, &read, err);
    if (rc < 0) {
        return rc;
    }
    struct good_byes all = {daemon, &decision};
    rc = store_each_object(read, STORE_ALL, KIND_NODE, NULL, arena, add_good_bye, &all, err);
    store_read_end(read);
    *out = decision.transaction;
    out->who = daemon->group.alone->who;
    out->why = "swarm init --force-new-cluster";
    out->time_unix_ms = daemon->now.unix_ms;
    return rc;
}

static const char *own_address(const struct daemon *daemon) {
    const struct member *self =
        membership_find(replica_membership(daemon->replica), replica_id(daemon->replica));
    return str_is_empty(daemon->group.address) && self != NULL ? self->address : daemon->group.address;
}

static void succeed(struct daemon *daemon) {
    struct conversation *conversation = TAKE(daemon->group.alone->answer.conversation);
    struct init_reply reply = {.node_id = daemon->node_id, .cluster_id = daemon->group.cluster_id};
    log_event(LOG_WARN, "cluster.alone", LOG_STR("cluster", reply.cluster_id.text),
              LOG_INT("revision", store_revision(daemon->store)));
    server_send(conversation, MESSAGE_INIT_REPLY, &reply);
    server_done(conversation, store_revision(daemon->store));
    alone_free(daemon);
    daemon->must_stop = daemon->begins_anew = true;
}

// A failure of the store ends the process, which starts in one of the two groups then.
static void go(struct daemon *daemon) {
    struct group *group = &daemon->group;
    AUTO_FREE char *address = xstrdup(own_address(daemon));
    struct error err = {0};
    int rc = replica_go_alone(daemon->replica, address, compose, daemon, &err);
    if (rc == 0) {
        succeed(daemon);
        return;
    }
    if (rc == -ERR_SYSTEM || rc == -ERR_CORRUPT) {
        group->rc = rc;
        group->failure = err;
    }
    fail(daemon, &err);
}

// --- listening ---

static unsigned count_heard(const struct daemon *daemon, const struct replica_status *status) {
    unsigned heard = 0;
    for (unsigned i = 0; i < status->count; i++) {
        const struct replica_member_status *member = &status->members[i];
        heard +=
            member->is_voter && (member->raft_id == status->raft_id || group_hears(daemon, member->raft_id));
    }
    return heard;
}

static void refuse(struct daemon *daemon, unsigned heard, const struct replica_status *status) {
    struct error err = {0};
    if (heard > status->voters / 2) {
        error_set(
            &err, ERR_GUARD,
            "%u of %u managers answer, which is a quorum: going on alone would make two clusters of one. "
            "Take out those that are gone with \"muster node rm\", which loses nothing",
            heard, status->voters);
    } else {
        error_set(&err, ERR_GUARD,
                  "another manager leads, so a quorum answers it: going on alone would make two clusters of "
                  "one. Find out what keeps this one from the others");
    }
    fail(daemon, &err);
}

void alone_step(struct daemon *daemon) {
    struct alone *alone = daemon->group.alone;
    struct replica_status status;
    if (alone == NULL) {
        return;
    }
    if (alone->answer.conversation == NULL) {
        alone_free(daemon);
        return;
    }
    replica_status(daemon->replica, &status);
    unsigned heard = count_heard(daemon, &status);
    bool is_heard = heard > status.voters / 2, is_led = status.leader != 0;
    if (is_heard || is_led) {
        alone->since_mono_ms = 0;
    } else if (alone->since_mono_ms == 0) {
        alone->since_mono_ms = daemon->now.mono_ms;
    }
    if (alone->since_mono_ms != 0 && daemon->now.mono_ms - alone->since_mono_ms >= LISTEN_MS) {
        go(daemon);
    } else if ((is_heard && is_led) || daemon->now.mono_ms >= alone->deadline_mono_ms) {
        refuse(daemon, heard, &status);
    }
}

// --- the request of a client ---

// Not whether it knows its cluster: of who ended with all the others the log may be ahead of the records.
static int check(const struct daemon *daemon, struct error *err) {
    const struct member *self =
        membership_find(replica_membership(daemon->replica), replica_id(daemon->replica));
    struct replica_status status;
    replica_status(daemon->replica, &status);
    if (!replica_has_group(daemon->replica) && !worker_is(daemon)) {
        return error_set(
            err, ERR_CONFLICT,
            "this node is not part of a swarm, so there is nothing to go on with: \"muster swarm "
            "init\" makes a new one");
    }
    if (daemon->group.leaving != NULL || daemon->group.alone != NULL) {
        return error_set(err, ERR_BUSY, "this node is leaving its swarm, or going on alone, already");
    }
    if (worker_is(daemon) || self == NULL || !(self->is_voter || self->wants_vote)) {
        return error_set(err, ERR_GUARD,
                         "this node is no manager: ask on one, which has what the managers acknowledged");
    }
    if (status.voters == 1 && status.leader == status.raft_id) {
        return error_set(err, ERR_GUARD, "this node is the only manager already: there is nothing to force");
    }
    return 0;
}

void alone_start(const struct request *request) {
    struct daemon *daemon = request->daemon;
    struct error err = {0};
    if (check(daemon, &err) < 0) {
        server_fail(request->conversation, &err);
        return;
    }
    struct alone *alone = NEW(struct alone);
    *alone = (struct alone){.answer = {daemon, request->conversation, on_closed},
                            .who = xstrdup(request->who),
                            .deadline_mono_ms = daemon->now.mono_ms + GIVE_UP_MS};
    conversation_set_state(request->conversation, alone);
    daemon->group.alone = alone;
}
