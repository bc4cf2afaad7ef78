// SPDX-License-Identifier: Apache-2.0
//
// reconciler/daemon/joining.c — this daemon asks the managers of a cluster to let it in as one of them.
//
// Model        One address after another is asked, the leader's where one names it. Once let in, this member
//              waits to be told the rest by the leader; it is in when its own record and the cluster's have
//              arrived. A client waits for that with a deadline; a member that lost its store asks until it
//              is let in again. A client is told at once when nobody is there at any of the addresses.
// Identity     Each attempt to become a member has a raft id of its own: what an earlier one may have
//              promised does not bind it, and the other way round.
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "reconciler/daemon/daemon.h"
#include "transport/peer_address.h"

#define ASK_MS 5000
#define REST_MS 200
#define JOIN_MS 20000

struct joining {
    struct answer answer; // first: the conversation's state
    struct arena arena;
    struct strings remotes;
    const char *leader; // ask there next; NULL = the next of remotes
    struct id cluster_id;
    size_t asked; // how many were
    uint64_t raft_id;
    const char *at; // who is asked now, borrowed from remotes or the arena
    bool is_asking, is_let_in;
    bool is_somebody_there;                // a manager has answered, whatever it said
    int64_t ask_mono_ms, deadline_mono_ms; // deadline 0 = none
    struct error last;
};

static void on_closed(struct answer *answer) {
    (void)answer; // it goes on: a second request tells how it went
}

void joining_start(struct daemon *daemon, const struct strings *remotes, const struct id *cluster_id,
                   struct conversation *conversation) {
    struct joining *joining = NEW(struct joining);
    joining->answer = (struct answer){daemon, conversation, on_closed};
    for (size_t i = 0; i < remotes->count; i++) {
        *ARENA_PUSH(&joining->arena, &joining->remotes) = arena_strdup(&joining->arena, remotes->items[i]);
    }
    joining->cluster_id = *cluster_id;
    joining->raft_id = prng_next(&daemon->group.prng) | 1;
    if (conversation != NULL) {
        joining->deadline_mono_ms = daemon->now.mono_ms + JOIN_MS;
        conversation_set_state(conversation, joining);
    }
    daemon->group.joining = joining;
}

void joining_free(struct daemon *daemon) {
    struct joining *joining = TAKE(daemon->group.joining);
    if (joining != NULL) {
        if (joining->answer.conversation != NULL) {
            conversation_set_state(joining->answer.conversation, NULL);
        }
        arena_free(&joining->arena);
        xfree(joining);
    }
}

static void fail(struct daemon *daemon, const struct error *err) {
    struct conversation *conversation = TAKE(daemon->group.joining->answer.conversation);
    if (conversation != NULL) {
        server_fail(conversation, err);
    } else {
        log_failure(LOG_ERROR, "cluster.refused", err, LOG_NONE);
    }
    joining_free(daemon);
}

static void succeed(struct daemon *daemon) {
    struct conversation *conversation = TAKE(daemon->group.joining->answer.conversation);
    log_event(LOG_INFO, "cluster.join", LOG_STR("cluster", daemon->cluster_id.text));
    if (conversation != NULL) {
        struct init_reply reply = {.node_id = daemon->node_id, .cluster_id = daemon->cluster_id};
        server_send(conversation, MESSAGE_INIT_REPLY, &reply);
        server_done(conversation, store_revision(daemon->store));
    }
    joining_free(daemon);
}

// --- asking ---

static void describe(const struct daemon *daemon, struct node *node) {
    schema_init(&node_schema, node);
    node->meta.id = daemon->node_id;
    node->meta.name = daemon->node_name;
    node->spec.name = daemon->node_name;
    node->spec.role = ROLE_MANAGER;
    self_describe(daemon, node);
    node->status.address = "127.0.0.1";
}

static void ask(struct daemon *daemon, struct joining *joining) {
    AUTO_BUF node_bytes = {0};
    AUTO_BUF body = {0};
    struct node node;
    struct join_request request;
    uint64_t number;
    joining->at = joining->leader != NULL ? TAKE(joining->leader)
                                          : joining->remotes.items[joining->asked++ % joining->remotes.count];
    describe(daemon, &node);
    wire_encode(&node_schema, &node, &node_bytes);
    schema_init(&join_request_schema, &request);
    request.raft_id = (int64_t)joining->raft_id;
    request.node_id = daemon->node_id;
    request.cluster_id = joining->cluster_id;
    request.address = daemon->group.address;
    request.node = buf_bytes(&node_bytes);
    request.version = MUSTER_VERSION;
    wire_encode(&join_request_schema, &request, &body);
    joining->ask_mono_ms = daemon->now.mono_ms + REST_MS;
    joining->is_asking = peers_ask(daemon->group.peers, joining->at, MESSAGE_JOIN, buf_bytes(&body), ASK_MS,
                                   &number, &joining->last) == 0;
}

// The card first: a member that is killed here knows only from it whom to ask again.
static int become_member(struct daemon *daemon, const struct join_reply *reply, struct error *err) {
    struct joining *joining = daemon->group.joining;
    int rc = rejoin_write_card(daemon, &reply->cluster_id, joining->raft_id, &daemon->group.told, err);
    return rc < 0 ? rc : replica_await(daemon->replica, joining->raft_id, err);
}

static int let_in(struct daemon *daemon, const struct join_reply *reply, struct error *err) {
    group_tell(daemon, reply->membership);
    int rc = replica_has_group(daemon->replica) ? 0 : become_member(daemon, reply, err);
    if (rc == 0) {
        daemon->group.joining->is_let_in = true;
        group_introduce(daemon, &reply->cluster_id, reply->epoch);
    }
    return rc;
}

static bool is_worth_retrying(enum error_code code) {
    return code == ERR_NO_QUORUM || code == ERR_BUSY || code == ERR_TIMEOUT || code == ERR_UNREACHABLE ||
           code == ERR_GUARD; // of its old identity, as long as too few of the others answer
}

// What is not there now may come while others are asked; when all have been, the client had better be told.
static void note_unanswered(struct daemon *daemon, const struct error *err) {
    struct joining *joining = daemon->group.joining;
    joining->last = *err;
    error_wrap(&joining->last, -(int)err->code, "ask %s", joining->at);
    if (joining->answer.conversation != NULL && !joining->is_somebody_there &&
        joining->asked >= joining->remotes.count) {
        struct error why = joining->last;
        fail(daemon, &why);
    }
}

void joining_on_answer(struct daemon *daemon, const struct error *err, struct bytes body) {
    struct joining *joining = daemon->group.joining;
    AUTO_ARENA arena = arena_make(0);
    struct join_reply reply;
    if (joining == NULL || joining->is_let_in) {
        return;
    }
    joining->is_asking = false;
    if (err != NULL) {
        note_unanswered(daemon, err);
        return;
    }
    joining->is_somebody_there = true;
    struct error failure = {0};
    if (wire_decode(&join_reply_schema, body, &reply, &arena, &failure) < 0) {
        joining->last = failure;
        return;
    }
    if (reply.code[0] == '\0') {
        if (let_in(daemon, &reply, &failure) < 0) {
            fail(daemon, &failure);
        }
        return;
    }
    enum error_code code = error_code_from_name(reply.code);
    error_set(&joining->last, code, "%s", reply.text);
    if (reply.leader[0] != '\0') {
        joining->leader = arena_strdup(&joining->arena, reply.leader);
    } else if (!is_worth_retrying(code)) {
        struct error why = joining->last;
        fail(daemon, &why);
    }
}

void joining_step(struct daemon *daemon) {
    struct joining *joining = daemon->group.joining;
    if (joining == NULL) {
        return;
    }
    if (joining->is_let_in && daemon_is_initialized(daemon)) {
        succeed(daemon);
        return;
    }
    if (joining->deadline_mono_ms != 0 && daemon->now.mono_ms >= joining->deadline_mono_ms) {
        struct error err = joining->last;
        if (joining->is_let_in || err.code == ERR_NONE) {
            error_set(&err, ERR_TIMEOUT, "no answer from the managers in time; it goes on trying");
        }
        fail(daemon, &err);
        return;
    }
    if (!joining->is_asking && !joining->is_let_in && daemon->now.mono_ms >= joining->ask_mono_ms) {
        ask(daemon, joining);
    }
}

int64_t joining_wake_mono_ms(const struct daemon *daemon) {
    const struct joining *joining = daemon->group.joining;
    if (joining == NULL) {
        return INT64_MAX;
    }
    if (joining->is_let_in) {
        return daemon_is_initialized(daemon) ? daemon->now.mono_ms : INT64_MAX;
    }
    return joining->is_asking ? INT64_MAX : joining->ask_mono_ms;
}

// --- the request of a client ---

static int check_remotes(const struct daemon *daemon, const struct strings *remotes, struct error *err) {
    char url[PEER_URL_BYTES];
    for (size_t i = 0; i < remotes->count; i++) {
        int rc = peer_address_url(remotes->items[i], /*is_secure=*/false, url, err);
        if (rc < 0) {
            return rc;
        }
        if (str_equal(remotes->items[i], daemon->group.address)) {
            return error_set(err, ERR_USAGE,
                             "%s is this daemon itself: name a manager of the cluster to join, or use "
                             "\"muster swarm init\" to make one",
                             remotes->items[i]);
        }
    }
    return 0;
}

void control_join(const struct request *request) {
    struct daemon *daemon = request->daemon;
    const struct swarm_join_request *join = request->payload;
    struct error err = {0};
    if (daemon_is_initialized(daemon) || replica_has_group(daemon->replica)) {
        error_set(&err, ERR_CONFLICT,
                  "This node is already part of a swarm. \"muster info\" tells which one, \"muster swarm "
                  "leave\" takes it out.");
    } else if (daemon->group.joining != NULL) {
        error_set(&err, ERR_BUSY, "this node is joining already");
    } else if (join->remotes.count == 0) {
        error_set(&err, ERR_USAGE, "no address of a manager: muster swarm join HOST:PORT");
    } else if (daemon->group.peers == NULL) {
        error_set(&err, ERR_UNSUPPORTED,
                  "managers talk over loopback only in this version: start this daemon with "
                  "--listen 127.0.0.1:PORT");
    } else {
        (void)check_remotes(daemon, &join->remotes, &err);
    }
    if (err.code != ERR_NONE) {
        server_fail(request->conversation, &err);
        return;
    }
    joining_start(daemon, &join->remotes, &(struct id){{0}}, request->conversation);
}
