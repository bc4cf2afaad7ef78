// SPDX-License-Identifier: Apache-2.0
//
// reconciler/daemon/entrant.c — others ask to be let in: their record, then, of managers, their membership.
//
// Only the leader lets in; another manager says who leads. Who is new shows a join token, gets its role, and a
// certificate for the key of its request. Whose certificate shows that it is a manager needs none: it lost its
// store. A node that is part of the cluster already comes back by a token only when it shows that it is that
// node: by the key that it joined with, or the key of a certificate that our authority signed, be it out of
// date. So nobody takes another one's place.
//
// A manager that comes back under a new identity (its store was lost, so it may have forgotten what it
// promised) first loses the old one, for good. One that was killed meanwhile asks again under yet another:
// only the last one counts.
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "reconciler/daemon/daemon.h"
#include "reconciler/daemon/decide.h"
#include "reconciler/daemon/trust.h"

#define ENTRANTS_MAX 8
#define ENTRANT_MS 10000
#define AGAIN_MS 10 // the next step of one, also when another change is under way

enum entrant_step { ENTRANT_LEAVES, ENTRANT_RECORD, ENTRANT_ENTERS, ENTRANT_DONE };

struct entrant {
    struct list_node node;
    struct daemon *daemon;
    struct arena arena;
    uint64_t via;
    struct join_request request;
    struct node record;
    bool has_token;         // else it has shown a manager's certificate
    enum node_role role;    // of the token; then as its record has it
    struct buf certificate; // that it gets
    enum entrant_step step;
    bool is_waiting;  // for the result of a proposal
    bool is_outdated; // its node has asked again, as another member
    int64_t deadline_mono_ms;
};

// --- answering ---

static void reply(struct daemon *daemon, uint64_t via, const struct join_reply *reply) {
    AUTO_BUF body = {0};
    wire_encode(&join_reply_schema, reply, &body);
    (void)peers_reply(daemon->group.peers, via, MESSAGE_JOIN_REPLY, buf_bytes(&body));
}

static void refuse(struct daemon *daemon, uint64_t via, int code, const char *text, const char *leader) {
    struct join_reply no;
    schema_init(&join_reply_schema, &no);
    no.code = error_code_name(code);
    no.text = text;
    no.leader = leader;
    reply(daemon, via, &no);
}

static void entrant_free(struct entrant *entrant) {
    list_remove(&entrant->node);
    buf_free(&entrant->certificate);
    arena_free(&entrant->arena);
    xfree(entrant);
}

static void entrant_fail(struct entrant *entrant, int code, const char *text) {
    refuse(entrant->daemon, entrant->via, code, text, "");
    entrant_free(entrant);
}

static int fill_papers(struct entrant *entrant, struct join_reply *out, struct buf *seal_key,
                       struct error *err) {
    struct daemon *daemon = entrant->daemon;
    if (entrant->certificate.len == 0) {
        return 0;
    }
    int rc = trust_authorities(daemon, &entrant->arena, &out->authorities, err);
    if (rc == 0 && entrant->role == ROLE_MANAGER) {
        rc = trust_seal_key(daemon, seal_key, err);
    }
    out->certificate = buf_bytes(&entrant->certificate);
    out->seal_key = buf_bytes(seal_key);
    return rc;
}

static void let_in(struct entrant *entrant) {
    struct daemon *daemon = entrant->daemon;
    const struct membership *membership = replica_membership(daemon->replica);
    AUTO_BUF bytes = {0};
    struct buf seal_key = {0};
    struct join_reply yes;
    struct error err = {0};
    wire_encode(&membership_schema, membership, &bytes);
    schema_init(&join_reply_schema, &yes);
    yes.cluster_id = daemon->cluster_id;
    yes.epoch = membership->epoch;
    yes.membership = buf_bytes(&bytes);
    yes.role = entrant->role;
    yes.managers = group_addresses(daemon, &entrant->arena);
    if (fill_papers(entrant, &yes, &seal_key, &err) < 0) {
        entrant_fail(entrant, -(int)err.code, err.root);
    } else {
        reply(daemon, entrant->via, &yes);
        log_event(LOG_INFO, entrant->role == ROLE_MANAGER ? "manager.join" : "node.join",
                  LOG_STR("node", entrant->request.node_id.text),
                  LOG_STR("address", entrant->request.address));
        entrant_free(entrant);
    }
    certificate_wipe_key(&seal_key);
}

// --- steps ---

static void on_result(void *context, const struct proposal_result *result) {
    struct entrant *entrant = context;
    entrant->is_waiting = false;
    if (result->code == 0) {
        entrant->step++;
    } else if (result->code == -ERR_EXISTS) {
        entrant_fail(
            entrant, result->code,
            arena_printf(&entrant->arena,
                         "there is another node '%s': remove that (muster node rm), or start this one "
                         "with another --node-name",
                         entrant->record.spec.name));
    } else if (result->code != -ERR_CONFLICT) { // a race is tried again
        entrant_fail(entrant, result->code, result->text);
    }
}

static int change(struct entrant *entrant, enum replica_change change, const struct member *member,
                  struct error *err) {
    struct daemon *daemon = entrant->daemon;
    int rc = proposals_change(&daemon->proposals, daemon->replica, change, member, on_result, entrant, err);
    entrant->is_waiting = rc == 0;
    return rc == -ERR_BUSY ? 0 : rc; // again at the next turn
}

static int step_leave(struct entrant *entrant, struct error *err) {
    const struct member *old =
        membership_find_node(replica_membership(entrant->daemon->replica), &entrant->request.node_id);
    if (old == NULL || old->raft_id == entrant->request.raft_id) {
        entrant->step = ENTRANT_RECORD;
        return 0;
    }
    return change(entrant, MEMBER_REMOVE, &(struct member){.raft_id = old->raft_id}, err);
}

// --- its record ---

static bool has_key_of_certificate(const struct entrant *entrant, struct bytes authorities) {
    const struct join_request *request = &entrant->request;
    struct identity was;
    if (request->certificate.len == 0 || certificate_read(request->certificate, &was, NULL) < 0) {
        return false;
    }
    int64_t now_unix_ms = entrant->daemon->now.unix_ms, last_unix_ms = was.not_after_unix_ms - 1000;
    const struct certificate_wanted wanted = {.unix_ms =
                                                  now_unix_ms < last_unix_ms ? now_unix_ms : last_unix_ms,
                                              .cluster_id = &entrant->daemon->cluster_id};
    return certificate_verify(request->certificate, authorities, &wanted, &was, NULL) == 0 &&
           id_equal(&was.node_id, &request->node_id) &&
           certificate_match_request(request->certificate, request->csr, NULL) == 0;
}

static const char *key_digest(struct entrant *entrant) {
    char text[CERTIFICATE_KEY_DIGEST_BYTES] = "";
    (void)certificate_request_digest(entrant->request.csr, text, NULL);
    return arena_strdup(&entrant->arena, text);
}

// That it is the node whose record that is.
static int prove(struct entrant *entrant, const struct node *node, struct error *err) {
    struct bytes authorities;
    if (!entrant->has_token) {
        return 0; // its link has shown it
    }
    int rc = trust_authorities(entrant->daemon, &entrant->arena, &authorities, err);
    if (rc < 0) {
        return rc;
    }
    bool has_joined_with_it =
        !str_is_empty(node->status.join_key) && str_equal(node->status.join_key, key_digest(entrant));
    if (!has_joined_with_it && !has_key_of_certificate(entrant, authorities)) {
        return error_set(
            err, ERR_DENIED,
            "node %.12s is part of this swarm already, and who asks does not show that it is that "
            "node: let it begin with an empty state directory, and remove the old one (muster "
            "node rm %s)",
            node->meta.id.text, node->spec.name);
    }
    if (node->spec.role != entrant->role) {
        return error_set(err, ERR_CONFLICT,
                         "this node is a %s of the swarm, and the token is one for a %s: use the other one",
                         node_role_names[node->spec.role], node_role_names[entrant->role]);
    }
    return 0;
}

static int refuse_removed(const struct entrant *entrant, struct error *err) {
    return error_set(
        err, ERR_DENIED,
        "node %.12s was removed from this swarm: \"muster swarm leave --force\" there, then it may "
        "join again",
        entrant->request.node_id.text);
}

// It counts as a new one, also when it has left before. Who shows a certificate of ours does not know yet
// that it is none of us.
static int compose_new(struct entrant *entrant, struct store_read *read, struct node *node,
                       struct decision *decision, struct error *err) {
    struct bytes authorities = {0};
    int rc = trust_authorities(entrant->daemon, &entrant->arena, &authorities, err);
    if (rc < 0) {
        return rc;
    }
    if (!entrant->has_token || has_key_of_certificate(entrant, authorities)) {
        return refuse_removed(entrant, err);
    }
    node->spec.role = entrant->role;
    node->spec.availability = entrant->record.spec.availability;
    return trust_spend(entrant->daemon, read, &entrant->arena, entrant->role, &decision->transaction, err);
}

static int compose_change(struct entrant *entrant, struct store_read *read, struct decision *decision,
                          struct error *err) {
    struct arena *arena = &entrant->arena;
    void *found = NULL;
    int rc = store_load(read, KIND_NODE, &entrant->request.node_id, arena, &found, err);
    if (rc < 0) {
        return rc;
    }
    bool is_there = rc == 0;
    struct node *node = is_there ? found : &entrant->record;
    rc = is_there && !node->status.left ? prove(entrant, node, err)
                                        : compose_new(entrant, read, node, decision, err);
    if (rc < 0) {
        return rc;
    }
    struct node_manager *manager = ARENA_NEW(arena, struct node_manager);
    *manager = (struct node_manager){.reachable = true, .address = entrant->request.address};
    const char *join_key = entrant->has_token ? key_digest(entrant) : node->status.join_key;
    node->manager = node->spec.role == ROLE_MANAGER ? manager : NULL;
    entrant->role = node->spec.role;
    node->status = entrant->record.status;
    node->status.since_unix_ms = entrant->daemon->now.unix_ms;
    node->status.join_key = join_key;
    transaction_add(&decision->transaction, is_there ? CHANGE_UPDATE : CHANGE_CREATE, KIND_NODE, node, arena);
    return 0;
}

static int compose_record(struct entrant *entrant, struct decision *decision, struct error *err) {
    struct store_read *read;
    int rc = store_read_begin(entrant->daemon->store, &read, err);
    if (rc < 0) {
        return rc;
    }
    rc = compose_change(entrant, read, decision, err);
    store_read_end(read);
    return rc;
}

// Before the record: what cannot be signed leaves none.
static int sign(struct entrant *entrant, struct error *err) {
    buf_clear(&entrant->certificate);
    return entrant->request.csr.len == 0
               ? 0
               : trust_sign(entrant->daemon, entrant->request.csr, &entrant->request.node_id, entrant->role,
                            &entrant->certificate, err);
}

static int step_record(struct entrant *entrant, struct error *err) {
    struct daemon *daemon = entrant->daemon;
    struct decision decision = {0};
    schema_init(&transaction_schema, &decision.transaction);
    int rc = compose_record(entrant, &decision, err);
    rc = rc < 0 ? rc : sign(entrant, err);
    if (rc < 0) {
        return rc;
    }
    decision.transaction.who = "system:managers";
    decision.transaction.why = "swarm join";
    decision.transaction.time_unix_ms = daemon->now.unix_ms;
    decision.transaction.only_here = true;
    rc = proposals_submit(&daemon->proposals, &decision.transaction, on_result, entrant, err);
    entrant->is_waiting = rc == 0;
    return rc;
}

static int step_enter(struct entrant *entrant, struct error *err) {
    struct member member = {.raft_id = entrant->request.raft_id,
                            .node_id = entrant->request.node_id,
                            .address = entrant->request.address,
                            .wants_vote = entrant->role == ROLE_MANAGER};
    const struct replica *replica = entrant->daemon->replica;
    const struct member *found = membership_find_node(replica_membership(replica), &member.node_id);
    if (found != NULL && found->raft_id != member.raft_id) { // the last step of an outdated one was under way
        entrant->step = ENTRANT_LEAVES;
        return 0;
    }
    if (entrant->has_token && entrant->role == ROLE_WORKER) {
        entrant->step = ENTRANT_DONE;
        return 0;
    }
    if (found != NULL) { // it asked twice: nobody is let in before that is final
        entrant->step = replica_is_changing(replica) ? ENTRANT_ENTERS : ENTRANT_DONE;
        return 0;
    }
    return change(entrant, MEMBER_ADD, &member, err);
}

static void step(struct entrant *entrant) {
    static int (*const steps[])(struct entrant *, struct error *) = {step_leave, step_record, step_enter};
    struct error err = {0};
    if (entrant->is_waiting) {
        return;
    }
    if (entrant->is_outdated) {
        entrant_fail(entrant, -ERR_BUSY, "this node has asked again under another identity");
        return;
    }
    if (entrant->daemon->now.mono_ms >= entrant->deadline_mono_ms) {
        entrant_fail(entrant, -ERR_BUSY, "other changes of the managers took too long: try again");
        return;
    }
    if (entrant->step == ENTRANT_DONE) {
        let_in(entrant);
        return;
    }
    int rc = steps[entrant->step](entrant, &err);
    if (rc < 0) {
        entrant_fail(entrant, rc, err.root);
    }
}

void entrants_step(struct daemon *daemon) {
    LIST_EACH(node, &daemon->group.entrants) {
        step(LIST_ENTRY(node, struct entrant, node));
    }
}

int64_t entrants_wake_mono_ms(const struct daemon *daemon) {
    LIST_EACH(node, &daemon->group.entrants) {
        if (!LIST_ENTRY(node, struct entrant, node)->is_waiting) {
            return daemon->now.mono_ms + AGAIN_MS;
        }
    }
    return INT64_MAX;
}

// Only at the end of the daemon: proposals call nobody back any more.
void entrants_free(struct daemon *daemon) {
    LIST_EACH(node, &daemon->group.entrants) {
        entrant_free(LIST_ENTRY(node, struct entrant, node));
    }
}

// --- requests ---

static int check(const struct daemon *daemon, const struct entrant *entrant, struct error *err) {
    const struct join_request *request = &entrant->request;
    if (request->raft_id == 0 || id_is_none(&request->node_id) || str_is_empty(request->address)) {
        return error_set(err, ERR_INVALID, "a join without identity, node or address");
    }
    if (!id_is_none(&request->cluster_id) && !id_equal(&request->cluster_id, &daemon->cluster_id)) {
        return error_set(err, ERR_CONFLICT, "it belonged to cluster %s, this is %s", request->cluster_id.text,
                         daemon->cluster_id.text);
    }
    if (!id_equal(&entrant->record.meta.id, &request->node_id)) {
        return error_set(err, ERR_INVALID, "a join with the record of another node");
    }
    return 0;
}

// By what it is let in: a token, or the certificate that its link shows.
static int admit(struct entrant *entrant, struct error *err) {
    struct daemon *daemon = entrant->daemon;
    const struct join_request *request = &entrant->request;
    const struct identity *shown = peers_identity(daemon->group.peers, entrant->via);
    entrant->has_token = !str_is_empty(request->token);
    if (entrant->has_token && request->csr.len == 0) {
        return error_set(err, ERR_INVALID, "a join with a token, and without a request for a certificate");
    }
    if (entrant->has_token) {
        return trust_admit(daemon, request->token, &entrant->role, err);
    }
    if (shown == NULL || shown->role != ROLE_MANAGER) {
        return error_set(err, ERR_DENIED,
                         "a join without a token: a manager prints one with \"muster swarm join-token\"");
    }
    if (!id_equal(&shown->node_id, &request->node_id)) {
        return error_set(err, ERR_DENIED, "a join for another node than that of the certificate");
    }
    return 0;
}

static size_t count_entrants(struct daemon *daemon) {
    size_t count = 0;
    LIST_EACH(node, &daemon->group.entrants) {
        count++;
    }
    return count;
}

static void outdate_others(struct daemon *daemon, const struct entrant *newest) {
    LIST_EACH(node, &daemon->group.entrants) {
        struct entrant *entrant = LIST_ENTRY(node, struct entrant, node);
        entrant->is_outdated |= id_equal(&entrant->request.node_id, &newest->request.node_id) &&
                                entrant->request.raft_id != newest->request.raft_id;
    }
}

void entrant_on_join(struct daemon *daemon, uint64_t from, uint64_t via, struct bytes body) {
    (void)from;
    const struct proposer *proposer = daemon->proposals.proposer;
    if (!daemon_is_initialized(daemon)) {
        refuse(daemon, via, -ERR_NO_QUORUM, "this node is no manager of a swarm", "");
        return;
    }
    if (!proposer->ops->is_leader(proposer)) {
        refuse(daemon, via, -ERR_NO_QUORUM, "no manager leads at the moment", group_leader_address(daemon));
        return;
    }
    if (count_entrants(daemon) >= ENTRANTS_MAX) {
        refuse(daemon, via, -ERR_BUSY, "too many join at once", "");
        return;
    }
    struct error err = {0};
    struct entrant *entrant = NEW(struct entrant);
    *entrant =
        (struct entrant){.daemon = daemon, .via = via, .deadline_mono_ms = daemon->now.mono_ms + ENTRANT_MS};
    list_append(&daemon->group.entrants, &entrant->node);
    struct bytes kept = {arena_copy(&entrant->arena, body.data, body.len), body.len};
    int rc = wire_decode(&join_request_schema, kept, &entrant->request, &entrant->arena, &err);
    rc = rc < 0 ? rc
                : wire_decode(&node_schema, entrant->request.node, &entrant->record, &entrant->arena, &err);
    rc = rc < 0 ? rc : check(daemon, entrant, &err);
    rc = rc < 0 ? rc : admit(entrant, &err);
    if (rc < 0) {
        entrant_fail(entrant, rc, err.root);
        return;
    }
    outdate_others(daemon, entrant);
}
