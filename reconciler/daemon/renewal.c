// SPDX-License-Identifier: Apache-2.0
//
// reconciler/daemon/renewal.c — when to ask for another certificate, whom, and what becomes of the answer;
// and the answers.
#include "reconciler/daemon/renewal.h"

#include <string.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "reconciler/agent/managers_file.h"
#include "reconciler/daemon/certificates.h"
#include "reconciler/daemon/daemon.h"
#include "reconciler/daemon/rotation.h"
#include "reconciler/daemon/trust.h"

#define ASK_MS 5000
#define LOOK_MS 1000
#define RETRY_MS_MIN 1000
#define RETRY_MS_MAX (5 * 60 * 1000)
#define SPREAD_MS 2000 // when many have a reason at the same moment
#define SPREAD_WORKERS_MS 10000

// --- when ---

static int64_t draw(struct prng *prng, int64_t below) {
    return below > 0 ? (int64_t)prng_below(prng, (uint64_t)below) : 0;
}

static int64_t issued_unix_ms(const struct identity *identity) {
    return identity->not_before_unix_ms + CERTIFICATE_SLACK_MS;
}

// A point between 50 and 80 % of the life, once for each certificate.
static void draw_due(struct daemon *daemon) {
    struct renewal *renewal = &daemon->group.renewal;
    const struct identity *identity = &daemon->group.passport.identity;
    int64_t begin = issued_unix_ms(identity), life = identity->not_after_unix_ms - begin;
    if (str_equal(renewal->serial, identity->serial)) {
        return;
    }
    (void)str_copy(renewal->serial, sizeof renewal->serial, identity->serial);
    renewal->due_unix_ms = begin + life / 2 + draw(&daemon->group.prng, life * 3 / 10);
    renewal->revision = -1;
}

// Soon: not all nodes at the same moment.
static void bring_forward(struct daemon *daemon, int64_t spread_ms) {
    int64_t soon = daemon->now.unix_ms + draw(&daemon->group.prng, spread_ms);
    struct renewal *renewal = &daemon->group.renewal;
    renewal->due_unix_ms = renewal->due_unix_ms < soon ? renewal->due_unix_ms : soon;
}

void renewal_hurry(struct daemon *daemon) {
    daemon->group.renewal.due_unix_ms = 0;
    daemon->group.renewal.retry_mono_ms = 0;
}

// The role that a node's certificate has to say. Who still belongs to the group must be able to talk to it:
// a manager that is demoted first loses its vote and its place there.
static enum node_role role_of(const struct daemon *daemon, const struct node *node) {
    bool is_member = membership_find_node(replica_membership(daemon->replica), &node->meta.id) != NULL;
    return is_member ? ROLE_MANAGER : node->spec.role;
}

// Whether the store, as this node has it, asks for another one.
static int look(struct daemon *daemon, bool *out_asks, struct error *err) {
    const struct passport *passport = &daemon->group.passport;
    const struct identity *identity = &passport->identity;
    AUTO_ARENA arena = arena_make(0);
    struct store_read *read;
    struct bytes authorities = {0};
    void *node = NULL, *cluster = NULL;
    int rc = store_read_begin(daemon->store, &read, err);
    if (rc < 0) {
        return rc;
    }
    rc = store_load(read, KIND_NODE, &daemon->node_id, &arena, &node, err);
    rc = rc != 0 ? rc : store_load(read, KIND_CLUSTER, &daemon->cluster_id, &arena, &cluster, err);
    store_read_end(read);
    if (rc != 0) {
        return rc < 0 ? rc : 0;
    }
    int64_t valid_ms = ((struct cluster *)cluster)->spec.cert_expiry_ns / NS_PER_MS;
    *out_asks = role_of(daemon, node) != identity->role ||
                identity->not_after_unix_ms - issued_unix_ms(identity) > valid_ms + CERTIFICATE_SLACK_MS;
    *out_asks |= rotation_wants(((struct cluster *)cluster)->trust, &daemon->self.description);
    if (trust_authorities(daemon, &arena, &authorities, NULL) == 0) {
        *out_asks |= authorities.len != passport->authorities.len ||
                     memcmp(authorities.data, passport->authorities.data, authorities.len) != 0;
    }
    return 0;
}

static void look_around(struct daemon *daemon) {
    struct renewal *renewal = &daemon->group.renewal;
    int64_t revision = store_revision(daemon->store);
    bool asks = false;
    struct error err = {0};
    if (!daemon_is_initialized(daemon) || renewal->revision == revision ||
        daemon->now.mono_ms < renewal->look_mono_ms) {
        return;
    }
    renewal->look_mono_ms = daemon->now.mono_ms + LOOK_MS;
    renewal->revision = revision;
    if (look(daemon, &asks, &err) < 0) {
        log_failure(LOG_ERROR, "node.renew", &err, LOG_NONE);
    } else if (asks) {
        bring_forward(daemon, SPREAD_MS);
    }
}

static void mark(const char *signer, const struct strings *authorities, struct buf *out) {
    buf_adds(out, signer);
    for (size_t i = 0; i < authorities->count; i++) {
        buf_addf(out, " %s", authorities->items[i]);
    }
}

static const char *fingerprint(const char *pem, struct arena *arena) {
    char text[CERTIFICATES_FINGERPRINT_BYTES];
    certificates_fingerprint((struct bytes){(const uint8_t *)pem, strlen(pem)}, text);
    return arena_strdup(arena, text);
}

void renewal_mark_trust(const struct cluster_trust *trust, struct buf *out) {
    AUTO_ARENA arena = arena_make(0);
    struct strings all = {0};
    const char *signer = trust == NULL ? NULL : rotation_signer(trust);
    if (signer == NULL) {
        return;
    }
    for (size_t i = 0; i < trust->authorities.count; i++) {
        *ARENA_PUSH(&arena, &all) = fingerprint(trust->authorities.items[i], &arena);
    }
    mark(fingerprint(signer, &arena), &all, out);
}

void renewal_hear(struct daemon *daemon, const char *trust, int64_t certificate_ms) {
    const struct identity *identity = &daemon->group.passport.identity;
    const struct node_description *own = &daemon->self.description;
    AUTO_BUF have = {0};
    if (str_is_empty(trust) || str_is_empty(own->authority)) {
        return;
    }
    mark(own->authority, &own->authorities, &have);
    int64_t life_ms = identity->not_after_unix_ms - issued_unix_ms(identity);
    if (!str_equal(trust, buf_text(&have)) ||
        (certificate_ms > 0 && life_ms > certificate_ms + CERTIFICATE_SLACK_MS)) {
        bring_forward(daemon, SPREAD_WORKERS_MS);
    }
}

// --- what comes of it ---

void renewal_free(struct renewal *renewal) {
    certificate_wipe_key(&renewal->key);
}

static void retry(struct daemon *daemon, const struct error *err) {
    struct renewal *renewal = &daemon->group.renewal;
    int64_t rest_ms = RETRY_MS_MIN << (renewal->failures < 9 ? renewal->failures : 9);
    rest_ms = rest_ms < RETRY_MS_MAX ? rest_ms : RETRY_MS_MAX;
    if (renewal->failures++ == 0) {
        log_failure(LOG_WARN, "node.renew", err, LOG_NONE);
    }
    renewal->retry_mono_ms = daemon->now.mono_ms + rest_ms / 2 + draw(&daemon->group.prng, rest_ms);
    certificate_wipe_key(&renewal->key);
}

static int keep(struct daemon *daemon, const struct renew_reply *reply, struct error *err) {
    const struct passport_given given = {.key = buf_bytes(&daemon->group.renewal.key),
                                         .certificate = reply->certificate,
                                         .authorities = reply->authorities,
                                         .role = reply->role};
    int rc = 0;
    if (reply->role == ROLE_MANAGER && reply->seal_key.len > 0) {
        rc = trust_keep_seal_key(daemon->options->state_dir, &daemon->group.cluster_id, reply->seal_key, err);
    }
    return rc < 0 ? rc : passport_take(daemon, &given, err);
}

static void take(struct daemon *daemon, const struct renew_reply *reply) {
    struct renewal *renewal = &daemon->group.renewal;
    struct error err = {0};
    if (keep(daemon, reply, &err) < 0) {
        retry(daemon, &err);
        return;
    }
    char until[40];
    renewal->failures = 0;
    renewal->refused = ERR_NONE;
    renewal->retry_mono_ms = 0;
    certificate_wipe_key(&renewal->key);
    clock_format_rfc3339(daemon->group.passport.identity.not_after_unix_ms, until, sizeof until);
    log_event(LOG_INFO, "node.renew", LOG_STR("role", node_role_names[reply->role]), LOG_STR("until", until),
              LOG_STR("serial", daemon->group.passport.identity.serial));
}

// --- asking ---

static bool is_out_of_date(const struct daemon *daemon) {
    const struct passport *passport = &daemon->group.passport;
    return passport_is_expired(passport, daemon->now.unix_ms) ||
           passport_is_early(passport, daemon->now.unix_ms);
}

// Who leads has nobody else to ask. A manager whose certificate has run out cannot ask: it signs by itself,
// as it could at any time, for it has the authority's key; whether it still belongs to the group the others
// say. Else all managers that were off for long would be out of each other's reach for good. The same when
// its clock was set: what it signed by a wrong one nobody accepts, nor itself any more by the right one.
static bool signs_own(const struct daemon *daemon) {
    return daemon->leads || (is_out_of_date(daemon) && group_is_manager(daemon));
}

// A worker with a wrong clock can ask nobody, and needs not once the clock is right.
static bool is_due(const struct daemon *daemon) {
    return daemon->now.unix_ms >= daemon->group.renewal.due_unix_ms ||
           (signs_own(daemon) && is_out_of_date(daemon));
}

static int sign_own(struct daemon *daemon, struct bytes csr, struct error *err) {
    AUTO_ARENA arena = arena_make(0);
    AUTO_BUF certificate = {0};
    struct renew_reply reply;
    schema_init(&renew_reply_schema, &reply);
    reply.role = ROLE_MANAGER;
    int rc = trust_sign(daemon, csr, &daemon->node_id, reply.role, &certificate, err);
    rc = rc < 0 ? rc : trust_authorities(daemon, &arena, &reply.authorities, err);
    if (rc == 0) {
        reply.certificate = buf_bytes(&certificate);
        take(daemon, &reply);
    }
    return rc;
}

// Of one that does not know who leads: the managers in turn.
static const char *next_manager(struct daemon *daemon, struct arena *arena) {
    struct renewal *renewal = &daemon->group.renewal;
    struct managers_file file;
    struct strings all = group_addresses(daemon, arena);
    if (all.count == 0 && managers_file_read(daemon->options->state_dir, &file, arena, NULL) == 0) {
        all = file.addresses;
    }
    for (size_t i = 0; i < all.count; i++) {
        const char *at = all.items[renewal->asked++ % all.count];
        if (!str_equal(at, daemon->group.address)) {
            return at;
        }
    }
    return "";
}

static int ask(struct daemon *daemon, struct bytes csr, struct error *err) {
    struct renewal *renewal = &daemon->group.renewal;
    AUTO_ARENA arena = arena_make(0);
    AUTO_BUF body = {0};
    struct renew_request request;
    const char *at = arena_strdup(&arena, renewal->leader);
    if (str_is_empty(at) && renewal->failures % 2 == 0) { // this node may be wrong about who leads
        at = arena_strdup(&arena, group_leader_address(daemon));
    }
    at = str_is_empty(at) ? next_manager(daemon, &arena) : at;
    renewal->leader[0] = '\0';
    if (str_is_empty(at)) {
        return error_set(err, ERR_NO_QUORUM, "no manager leads at the moment");
    }
    schema_init(&renew_request_schema, &request);
    request.csr = csr;
    wire_encode(&renew_request_schema, &request, &body);
    return peers_ask(daemon->group.peers, at, MESSAGE_RENEW, buf_bytes(&body), ASK_MS, &renewal->ask, err);
}

static void begin(struct daemon *daemon) {
    struct renewal *renewal = &daemon->group.renewal;
    AUTO_BUF csr = {0};
    struct error err = {0};
    certificate_wipe_key(&renewal->key);
    int rc = certificate_make_key(&renewal->key, &err);
    rc = rc < 0 ? rc : certificate_request(buf_bytes(&renewal->key), &csr, &err);
    if (rc == 0) {
        rc = signs_own(daemon) ? sign_own(daemon, buf_bytes(&csr), &err) : ask(daemon, buf_bytes(&csr), &err);
    }
    if (rc < 0) {
        renewal->ask = 0;
        retry(daemon, &err);
    }
}

void renewal_step(struct daemon *daemon) {
    const struct group *group = &daemon->group;
    const struct renewal *renewal = &group->renewal;
    if (!passport_is_there(&group->passport) || group->joining != NULL || group->leaving != NULL ||
        outdated_is(daemon)) {
        return;
    }
    draw_due(daemon);
    look_around(daemon);
    if (renewal->ask == 0 && is_due(daemon) && daemon->now.mono_ms >= renewal->retry_mono_ms) {
        begin(daemon);
    }
}

static void on_reply(struct daemon *daemon, const struct renew_reply *reply) {
    struct renewal *renewal = &daemon->group.renewal;
    struct error err = {0};
    if (reply->code[0] == '\0') {
        take(daemon, reply);
        return;
    }
    renewal->refused = error_code_from_name(reply->code);
    error_set(&err, renewal->refused, "%s", reply->text);
    retry(daemon, &err);
    if (str_copy(renewal->leader, sizeof renewal->leader, reply->leader) && reply->leader[0] != '\0') {
        renewal->retry_mono_ms = 0;
    }
}

void renewal_on_answer(struct daemon *daemon, const struct error *err, struct bytes body) {
    AUTO_ARENA arena = arena_make(0);
    struct renew_reply reply;
    struct error failure = {0};
    daemon->group.renewal.ask = 0;
    if (err != NULL) {
        retry(daemon, err);
    } else if (wire_decode(&renew_reply_schema, body, &reply, &arena, &failure) < 0) {
        retry(daemon, &failure);
    } else {
        on_reply(daemon, &reply);
    }
}

// --- answering ---

static int find_node(struct daemon *daemon, const struct identity *shown, struct arena *arena,
                     struct node **out, struct error *err) {
    struct store_read *read;
    void *found = NULL;
    int rc = store_read_begin(daemon->store, &read, err);
    if (rc < 0) {
        return rc;
    }
    rc = store_load(read, KIND_NODE, &shown->node_id, arena, &found, err);
    store_read_end(read);
    if (rc < 0) {
        return rc;
    }
    *out = found;
    if (rc > 0 || (*out)->status.left) {
        return error_set(err, ERR_DENIED, "node %.12s is not part of this swarm any more",
                         shown->node_id.text);
    }
    return 0;
}

static int answer(struct daemon *daemon, const struct identity *shown, struct bytes body, struct arena *arena,
                  struct renew_reply *reply, struct buf *certificate, struct buf *seal_key,
                  struct error *err) {
    struct renew_request request;
    struct node *node;
    const struct proposer *proposer = daemon->proposals.proposer;
    if (!daemon_is_initialized(daemon) || !proposer->ops->is_leader(proposer)) {
        reply->leader = group_leader_address(daemon);
        return error_set(err, ERR_NO_QUORUM, "no manager leads at the moment");
    }
    int rc = wire_decode(&renew_request_schema, body, &request, arena, err);
    rc = rc < 0 ? rc : find_node(daemon, shown, arena, &node, err);
    if (rc < 0) {
        return rc;
    }
    reply->role = role_of(daemon, node);
    rc = trust_sign(daemon, request.csr, &shown->node_id, reply->role, certificate, err);
    rc = rc < 0 ? rc : trust_authorities(daemon, arena, &reply->authorities, err);
    rc = rc < 0 || reply->role == ROLE_WORKER ? rc : trust_seal_key(daemon, seal_key, err);
    reply->certificate = buf_bytes(certificate);
    reply->seal_key = buf_bytes(seal_key);
    reply->managers = group_addresses(daemon, arena);
    return rc;
}

void renewal_on_request(struct daemon *daemon, uint64_t via, struct bytes body) {
    const struct identity *shown = peers_identity(daemon->group.peers, via);
    AUTO_ARENA arena = arena_make(0);
    AUTO_BUF certificate = {0};
    AUTO_BUF out = {0};
    struct buf seal_key = {0};
    struct renew_reply reply;
    struct error err = {0};
    if (shown == NULL) {
        return; // its link is gone
    }
    schema_init(&renew_reply_schema, &reply);
    if (answer(daemon, shown, body, &arena, &reply, &certificate, &seal_key, &err) < 0) {
        const char *leader = reply.leader;
        schema_init(&renew_reply_schema, &reply);
        reply.code = error_code_name(-(int)err.code);
        reply.text = err.root;
        reply.leader = leader;
    }
    wire_encode(&renew_reply_schema, &reply, &out);
    (void)peers_reply(daemon->group.peers, via, MESSAGE_RENEW_REPLY, buf_bytes(&out));
    certificate_wipe_key(&seal_key);
}
