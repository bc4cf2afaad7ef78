// SPDX-License-Identifier: Apache-2.0
//
// reconciler/daemon/joining.c — this daemon asks the managers of a cluster to let it in.
//
// Model        One address after another is asked, the leader's where one names it. A manager that is let in
//              waits to be told the rest by the leader; it is in when its own record and the cluster's have
//              arrived. A client waits for that with a deadline; a member that lost its store asks until it
//              is let in again. A client is told at once when nobody is there at any of the addresses.
// Token        Who is new asks with the join token that it was given: nothing is said before the other side
//              has shown that the authority of the token vouches for it, also where a manager names another
//              one. It gets a certificate for a key of its own, in the role of the token. Who has a
//              certificate, and lost its store, asks with that. Whose certificate has run out asks with a
//              token and shows by its key that it is still the same node.
// Order        The key is kept before anybody is asked; then the certificate, the seal key, and where the
//              others are. Who is killed in between asks again, with the same key.
// Identity     Each attempt to become a member has a raft id of its own: what an earlier one may have
//              promised does not bind it, and the other way round.
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "reconciler/agent/managers_file.h"
#include "reconciler/daemon/certificates.h"
#include "reconciler/daemon/daemon.h"
#include "reconciler/daemon/trust.h"
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
    enum node_availability availability;
    const char *token; // "" = asks with its certificate
    struct buf key, csr, certificate;
    size_t asked; // how many were
    uint64_t raft_id;
    const char *at;    // who is asked now, borrowed from remotes or the arena
    uint64_t question; // of peers_ask: an answer to an earlier attempt is none
    bool is_asking, is_let_in;
    enum node_role role;                   // that it was let in with
    bool is_somebody_there;                // a manager has answered, whatever it said
    int64_t ask_mono_ms, deadline_mono_ms; // deadline 0 = none
    struct error last;
};

static void on_closed(struct answer *answer) {
    (void)answer; // it goes on: a second request tells how it went
}

void joining_free(struct daemon *daemon) {
    struct joining *joining = TAKE(daemon->group.joining);
    if (joining != NULL) {
        if (joining->answer.conversation != NULL) {
            conversation_set_state(joining->answer.conversation, NULL);
        }
        certificate_wipe_key(&joining->key);
        buf_free(&joining->csr);
        buf_free(&joining->certificate);
        arena_free(&joining->arena);
        xfree(joining);
    }
}

// --- beginning ---

// Who has a certificate, which may have run out, shows that it is the same node by its key.
static int find_key(struct daemon *daemon, struct joining *joining, const struct join_token *token,
                    struct error *err) {
    const struct passport *passport = &daemon->group.passport;
    const char *state_dir = daemon->options->state_dir;
    struct credentials own = {0};
    AUTO_FREE char *dir = certificates_dir(state_dir, &passport->identity.cluster_id);
    int rc = passport_is_there(passport) ? credentials_load(dir, &own, err)
                                         : certificates_find(state_dir, token->digest, &own, NULL);
    if (rc == -ERR_NOT_FOUND) {
        return certificates_joining_key(state_dir, &joining->key, err);
    }
    joining->key = own.key;
    joining->certificate = own.certificate;
    buf_free(&own.authorities);
    return rc;
}

static int use_token(struct daemon *daemon, struct joining *joining, const char *text, struct error *err) {
    struct join_token token;
    int rc = join_token_parse(text, &token, err);
    rc = rc < 0 ? rc : find_key(daemon, joining, &token, err);
    rc = rc < 0 ? rc : certificate_request(buf_bytes(&joining->key), &joining->csr, err);
    rc = rc < 0 ? rc : passport_use_token(daemon, &token, err);
    joining->token = rc < 0 ? "" : arena_strdup(&joining->arena, text);
    return rc;
}

static struct joining *joining_new(struct daemon *daemon, const struct joining_order *order) {
    struct joining *joining = NEW(struct joining);
    joining->answer = (struct answer){daemon, NULL, on_closed, NULL};
    for (size_t i = 0; i < order->remotes->count; i++) {
        *ARENA_PUSH(&joining->arena, &joining->remotes) =
            arena_strdup(&joining->arena, order->remotes->items[i]);
    }
    joining->cluster_id = order->cluster_id;
    joining->availability = order->availability;
    joining->token = "";
    joining->raft_id =
        replica_has_group(daemon->replica) ? replica_id(daemon->replica) : prng_next(&daemon->group.prng) | 1;
    daemon->group.joining = joining;
    return joining;
}

int joining_start(struct daemon *daemon, const struct joining_order *order, struct error *err) {
    struct joining *joining = joining_new(daemon, order);
    int rc = group_listen(daemon, err);
    if (rc == 0) {
        rc = order->token != NULL ? use_token(daemon, joining, order->token, err)
                                  : passport_load(daemon, &order->cluster_id, err);
    }
    if (rc < 0) {
        joining_free(daemon);
        return rc;
    }
    if (order->conversation != NULL) {
        joining->answer.conversation = order->conversation;
        joining->deadline_mono_ms = daemon->now.mono_ms + JOIN_MS;
        conversation_set_state(order->conversation, joining);
    }
    return 0;
}

// --- ending ---

static void fail(struct daemon *daemon, const struct error *err) {
    struct conversation *conversation = TAKE(daemon->group.joining->answer.conversation);
    if (conversation != NULL) {
        server_fail(conversation, err);
    } else {
        log_failure(LOG_ERROR, "cluster.refused", err, LOG_NONE);
    }
    if (daemon->group.joining->token[0] != '\0') {
        passport_use_own(daemon);
    }
    joining_free(daemon);
}

static void succeed(struct daemon *daemon) {
    const struct joining *joining = daemon->group.joining;
    struct conversation *conversation = TAKE(daemon->group.joining->answer.conversation);
    struct error err = {0};
    log_event(LOG_INFO, "cluster.join", LOG_STR("cluster", joining->cluster_id.text),
              LOG_STR("role", node_role_names[joining->role]));
    if (conversation != NULL) {
        struct init_reply reply = {
            .node_id = daemon->node_id, .cluster_id = joining->cluster_id, .role = joining->role};
        server_send(conversation, MESSAGE_INIT_REPLY, &reply);
        server_done(conversation, store_revision(daemon->store));
    }
    if (certificates_joined(daemon->options->state_dir, &err) < 0) {
        log_failure(LOG_WARN, "cluster.join", &err, LOG_NONE);
    }
    joining_free(daemon);
}

// --- asking ---

static void describe(const struct daemon *daemon, const struct joining *joining, struct node *node,
                     struct arena *arena) {
    schema_init(&node_schema, node);
    node->meta.id = daemon->node_id;
    node->meta.name = daemon->node_name;
    node->spec.name = daemon->node_name;
    node->spec.role = ROLE_MANAGER;
    node->spec.availability = joining->availability;
    self_describe(daemon, node);
    node->status.address = self_host(daemon->group.address, arena);
}

static void ask(struct daemon *daemon, struct joining *joining) {
    AUTO_ARENA arena = arena_make(0);
    AUTO_BUF node_bytes = {0};
    AUTO_BUF body = {0};
    struct node node;
    struct join_request request;
    joining->at = joining->leader != NULL ? TAKE(joining->leader)
                                          : joining->remotes.items[joining->asked++ % joining->remotes.count];
    describe(daemon, joining, &node, &arena);
    wire_encode(&node_schema, &node, &node_bytes);
    schema_init(&join_request_schema, &request);
    request.raft_id = (int64_t)joining->raft_id;
    request.node_id = daemon->node_id;
    request.cluster_id = joining->cluster_id;
    request.address = daemon->group.address;
    request.node = buf_bytes(&node_bytes);
    request.version = MUSTER_VERSION;
    request.token = joining->token;
    request.csr = buf_bytes(&joining->csr);
    request.certificate = buf_bytes(&joining->certificate);
    wire_encode(&join_request_schema, &request, &body);
    joining->ask_mono_ms = daemon->now.mono_ms + REST_MS;
    joining->is_asking = peers_ask(daemon->group.peers, joining->at, MESSAGE_JOIN, buf_bytes(&body), ASK_MS,
                                   &joining->question, &joining->last) == 0;
}

// --- let in ---

static int take_papers(struct daemon *daemon, const struct join_reply *reply, struct error *err) {
    const struct joining *joining = daemon->group.joining;
    const struct passport_given given = {.key = buf_bytes(&joining->key),
                                         .certificate = reply->certificate,
                                         .authorities = reply->authorities,
                                         .role = reply->role};
    if (joining->csr.len == 0) {
        return 0;
    }
    int rc = passport_take(daemon, &given, err);
    if (rc < 0 || reply->role == ROLE_WORKER) {
        return rc;
    }
    return trust_keep_seal_key(daemon->options->state_dir, &reply->cluster_id, reply->seal_key, err);
}

// The card first: a member that is killed here knows only from it whom to ask again.
static int become_manager(struct daemon *daemon, const struct join_reply *reply, struct error *err) {
    struct joining *joining = daemon->group.joining;
    group_tell(daemon, reply->membership);
    int rc = 0;
    if (!replica_has_group(daemon->replica)) {
        rc = rejoin_write_card(daemon, &reply->cluster_id, joining->raft_id, &daemon->group.told, err);
        rc = rc < 0 ? rc : replica_await(daemon->replica, joining->raft_id, err);
    }
    if (rc == 0) {
        group_introduce(daemon, &reply->cluster_id, reply->epoch);
    }
    return rc;
}

static int become_worker(struct daemon *daemon, const struct join_reply *reply, struct error *err) {
    const struct managers_file file = {.cluster_id = reply->cluster_id, .addresses = reply->managers};
    int rc = managers_file_write(daemon->options->state_dir, &file, err);
    if (rc == 0) {
        group_introduce(daemon, &reply->cluster_id, reply->epoch);
        rc = worker_start(daemon, &reply->cluster_id, err);
    }
    return rc;
}

static int let_in(struct daemon *daemon, const struct join_reply *reply, struct error *err) {
    struct joining *joining = daemon->group.joining;
    int rc = take_papers(daemon, reply, err);
    if (rc < 0) {
        return rc;
    }
    joining->role = joining->csr.len > 0 ? reply->role : ROLE_MANAGER;
    joining->cluster_id = reply->cluster_id;
    joining->is_let_in = true;
    return joining->role == ROLE_MANAGER ? become_manager(daemon, reply, err)
                                         : become_worker(daemon, reply, err);
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

void joining_on_answer(struct daemon *daemon, uint64_t question, const struct error *err, struct bytes body) {
    struct joining *joining = daemon->group.joining;
    AUTO_ARENA arena = arena_make(0);
    struct join_reply reply;
    if (joining == NULL || joining->is_let_in || question != joining->question) {
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

static bool is_in(const struct daemon *daemon) {
    const struct joining *joining = daemon->group.joining;
    return joining->is_let_in && (daemon_is_initialized(daemon) || joining->role == ROLE_WORKER);
}

void joining_step(struct daemon *daemon) {
    struct joining *joining = daemon->group.joining;
    if (joining == NULL) {
        return;
    }
    if (is_in(daemon)) {
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
        return is_in(daemon) ? daemon->now.mono_ms : INT64_MAX;
    }
    return joining->is_asking ? INT64_MAX : joining->ask_mono_ms;
}

// --- the request of a client ---

static int check_remotes(const struct daemon *daemon, const struct strings *remotes, struct error *err) {
    char url[PEER_URL_BYTES];
    if (remotes->count == 0) {
        return error_set(err, ERR_USAGE,
                         "no address of a manager: muster swarm join --token TOKEN HOST:PORT");
    }
    for (size_t i = 0; i < remotes->count; i++) {
        int rc = peer_address_url(remotes->items[i], /*is_secure=*/true, url, err);
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

// A manager that lost its store asks with its certificate, which may have run out: a token is better.
static bool asks_by_itself(const struct daemon *daemon) {
    const struct joining *joining = daemon->group.joining;
    return joining != NULL && joining->answer.conversation == NULL && joining->token[0] == '\0' &&
           !joining->is_let_in;
}

// Who is in one already may come back by the same command, once its certificate has run out.
static int check_state(const struct daemon *daemon, struct error *err) {
    bool is_member = daemon_is_initialized(daemon) || replica_has_group(daemon->replica);
    if (is_member && !passport_is_expired(&daemon->group.passport, daemon->now.unix_ms)) {
        return error_set(
            err, ERR_CONFLICT,
            "This node is already part of a swarm. \"muster info\" tells which one, \"muster swarm "
            "leave\" takes it out.");
    }
    if (daemon->group.joining != NULL && !asks_by_itself(daemon)) {
        return error_set(err, ERR_BUSY, "this node is joining already");
    }
    if (daemon->group.peers == NULL) {
        return error_set(
            err, ERR_UNSUPPORTED,
            "this daemon listens on no port (--listen %s), where other nodes would find it: start "
            "it with another one",
            daemon->options->listen);
    }
    return 0;
}

static int check(const struct daemon *daemon, const struct swarm_join_request *join, struct error *err) {
    int rc = check_state(daemon, err);
    rc = rc < 0 ? rc : check_remotes(daemon, &join->remotes, err);
    if (rc == 0 && str_is_empty(join->token)) {
        rc = error_set(err, ERR_USAGE,
                       "no join token: a manager prints one with \"muster swarm join-token worker\" (or "
                       "manager)");
    }
    return rc;
}

void control_join(const struct request *request) {
    struct daemon *daemon = request->daemon;
    const struct swarm_join_request *join = request->payload;
    const struct joining_order order = {.remotes = &join->remotes,
                                        .cluster_id = daemon->cluster_id,
                                        .token = join->token,
                                        .availability = join->availability,
                                        .conversation = request->conversation};
    struct error err = {0};
    int rc = check(daemon, join, &err);
    rc = rc < 0 ? rc : group_advertise(daemon, join->advertise_address, &err);
    if (rc == 0) {
        joining_free(daemon); // of one that asks by itself
    }
    rc = rc < 0 ? rc : joining_start(daemon, &order, &err);
    if (rc < 0) {
        server_fail(request->conversation, &err);
    }
}
