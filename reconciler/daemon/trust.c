// SPDX-License-Identifier: Apache-2.0
//
// reconciler/daemon/trust.c — the cluster's object is read, what is sealed in it opened for as long as one
// call, and wiped.
#include "reconciler/daemon/trust.h"

#include <openssl/crypto.h>
#include <string.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "reconciler/daemon/authority.h"
#include "reconciler/daemon/daemon.h"
#include "transport/certificate.h"

#define RETRY_MS 60000

static struct bytes bytes_of(const char *text) {
    return (struct bytes){(const uint8_t *)text, strlen(text)};
}

// --- made ---

static int find_seal_key(const char *dir, struct seal_key *out, struct error *err) {
    struct error missing = {0};
    int rc = seal_key_load(dir, out, &missing);
    if (rc != -ERR_NOT_FOUND) {
        return rc < 0 ? error_set(err, missing.code, "%s", missing.root) : 0;
    }
    rc = seal_key_make(out, err);
    return rc < 0 ? rc : seal_key_save(dir, out, err);
}

static int fill(const struct token_keeper *keeper, const struct buf *authority, struct bytes authority_key,
                struct cluster_trust *out, struct arena *arena, struct error *err) {
    AUTO_BUF sealed = {0};
    const struct seal_label label = {keeper->cluster_id, ROTATION_KEY_PURPOSE};
    schema_init(&cluster_trust_schema, out);
    *ARENA_PUSH(arena, &out->authorities) = arena_strndup(arena, authority->data, authority->len);
    int rc = seal_close(keeper->key, &label, authority_key, &sealed, err);
    out->authority_key = (struct bytes){arena_copy(arena, buf_text(&sealed), sealed.len), sealed.len};
    rc = rc < 0 ? rc : tokens_replace(keeper, ROLE_WORKER, &out->worker_token, arena, err);
    return rc < 0 ? rc : tokens_replace(keeper, ROLE_MANAGER, &out->manager_token, arena, err);
}

// `authority` and its key are made when there are none.
static int found(const struct certificates_order *order, struct buf *authority, struct buf *authority_key,
                 struct cluster *cluster, struct arena *arena, struct error *err) {
    AUTO_FREE char *dir = certificates_dir(order->state_dir, &order->cluster_id);
    struct seal_key key AUTO_SEAL_KEY = {0};
    const struct token_keeper keeper = {&order->cluster_id, &key};
    struct cluster_trust *trust = ARENA_NEW(arena, struct cluster_trust);
    int rc = authority->len > 0 ? 0 : certificates_make(order, authority, authority_key, err);
    rc = rc < 0 ? rc : find_seal_key(dir, &key, err);
    rc = rc < 0 ? rc : fill(&keeper, authority, buf_bytes(authority_key), trust, arena, err);
    cluster->trust = rc < 0 ? NULL : trust;
    return rc;
}

int trust_found(const struct certificates_order *order, struct cluster *cluster, struct arena *arena,
                struct error *err) {
    AUTO_BUF authority = {0};
    struct buf authority_key = {0};
    int rc = found(order, &authority, &authority_key, cluster, arena, err);
    certificate_wipe_key(&authority_key);
    return rc;
}

// --- taken over from a version before ---

static int take_over(const struct certificates_order *order, struct cluster *cluster, struct arena *arena,
                     struct error *err) {
    AUTO_FREE char *dir = certificates_dir(order->state_dir, &order->cluster_id);
    AUTO_BUF authority = {0};
    struct buf authority_key = {0};
    int rc = certificates_find_authority(dir, &authority, &authority_key, err);
    if (rc == -ERR_NOT_FOUND) {
        error_clear(err);
        rc = 0;
    }
    rc = rc < 0 ? rc : found(order, &authority, &authority_key, cluster, arena, err);
    certificate_wipe_key(&authority_key);
    return error_wrap(err, rc, "take over the authority that a version before made");
}

static void on_result(void *context, const struct proposal_result *result) {
    struct daemon *daemon = context;
    daemon->trust.is_proposed = false;
    if (result->code == 0) {
        log_event(LOG_INFO, "cluster.trust", LOG_STR("cluster", daemon->cluster_id.text));
    } else if (result->code != -ERR_CONFLICT) { // a race is tried again at once
        daemon->trust.retry_mono_ms = daemon->now.mono_ms + RETRY_MS;
        log_event(LOG_WARN, "cluster.trust", LOG_STR("error", result->text));
    }
}

static int propose(struct daemon *daemon, struct cluster *cluster, struct arena *arena, struct error *err) {
    const struct certificates_order order = {.state_dir = daemon->options->state_dir,
                                             .cluster_id = daemon->cluster_id,
                                             .node_id = daemon->node_id,
                                             .unix_ms = daemon->now.unix_ms,
                                             .valid_ms = cluster->spec.cert_expiry_ns / NS_PER_MS};
    struct transaction transaction;
    schema_init(&transaction_schema, &transaction);
    int rc = take_over(&order, cluster, arena, err);
    if (rc < 0) {
        return rc;
    }
    transaction.who = "system:trust";
    transaction.why = "the cluster's authority and join tokens";
    transaction.time_unix_ms = daemon->now.unix_ms;
    transaction.only_here = true;
    transaction_add(&transaction, CHANGE_UPDATE, KIND_CLUSTER, cluster, arena);
    rc = proposals_submit(&daemon->proposals, &transaction, on_result, daemon, err);
    daemon->trust.is_proposed = rc == 0;
    return rc;
}

// What is in the store needs no file any more.
static int settle(struct daemon *daemon, struct error *err) {
    AUTO_FREE char *dir = certificates_dir(daemon->options->state_dir, &daemon->cluster_id);
    int rc = certificates_drop_authority_key(dir, err);
    daemon->trust.is_settled = rc == 0;
    return rc;
}

static int load(struct daemon *daemon, struct arena *arena, struct cluster **out, struct error *err) {
    struct store_read *read;
    void *object = NULL;
    int rc = store_read_begin(daemon->store, &read, err);
    if (rc < 0) {
        return rc;
    }
    rc = store_load(read, KIND_CLUSTER, &daemon->cluster_id, arena, &object, err);
    store_read_end(read);
    *out = rc == 0 ? object : NULL;
    return rc < 0 ? rc : 0;
}

int trust_step(struct daemon *daemon, struct error *err) {
    struct trust *trust = &daemon->trust;
    struct cluster *cluster;
    struct error failure = {0};
    if (trust->is_settled || trust->is_proposed || daemon->now.mono_ms < trust->retry_mono_ms) {
        return 0;
    }
    AUTO_ARENA arena = arena_make(0);
    int rc = load(daemon, &arena, &cluster, err);
    if (rc < 0 || cluster == NULL || (cluster->trust == NULL && !daemon->leads)) {
        return rc;
    }
    rc = cluster->trust != NULL ? settle(daemon, &failure) : propose(daemon, cluster, &arena, &failure);
    if (rc < 0) {
        trust->retry_mono_ms = daemon->now.mono_ms + RETRY_MS;
        log_failure(LOG_ERROR, "cluster.trust", &failure, LOG_NONE);
    }
    return 0;
}

// --- opened ---

void trust_opened_wipe(struct trust_opened *opened) {
    seal_key_wipe(&opened->key);
}

static int load_key(const struct daemon *daemon, struct seal_key *out, struct error *err) {
    AUTO_FREE char *dir = certificates_dir(daemon->options->state_dir, &daemon->cluster_id);
    int rc = seal_key_load(dir, out, err);
    return rc == -ERR_NOT_FOUND
               ? error_set(err, ERR_BUSY,
                           "this manager has not been given the cluster's seal key yet (%s/seal.key): ask on "
                           "another one, or again in a moment",
                           dir)
               : rc;
}

int trust_open(struct daemon *daemon, struct store_read *read, struct arena *arena, struct trust_opened *out,
               struct error *err) {
    void *object = NULL;
    int rc = store_load(read, KIND_CLUSTER, &daemon->cluster_id, arena, &object, err);
    if (rc < 0) {
        return rc;
    }
    if (rc != 0 || ((struct cluster *)object)->trust == NULL) {
        return error_set(err, ERR_BUSY,
                         "the cluster has no authority yet; the leader makes one: try again in a moment");
    }
    out->cluster = object;
    out->keeper = (struct token_keeper){&out->cluster->meta.id, &out->key};
    return load_key(daemon, &out->key, err);
}

static int open_now(struct daemon *daemon, struct arena *arena, struct trust_opened *out, struct error *err) {
    struct store_read *read;
    int rc = store_read_begin(daemon->store, &read, err);
    if (rc < 0) {
        return rc;
    }
    rc = trust_open(daemon, read, arena, out, err);
    store_read_end(read);
    return rc;
}

// --- the authority ---

int trust_authorities(struct daemon *daemon, struct arena *arena, struct bytes *out_pem, struct error *err) {
    AUTO_BUF all = {0};
    struct cluster *cluster;
    int rc = load(daemon, arena, &cluster, err);
    if (rc < 0) {
        return rc;
    }
    if (cluster == NULL || cluster->trust == NULL) {
        return error_set(err, ERR_BUSY, "the cluster has no authority yet: try again in a moment");
    }
    for (size_t i = 0; i < cluster->trust->authorities.count; i++) {
        buf_adds(&all, cluster->trust->authorities.items[i]);
    }
    *out_pem = (struct bytes){arena_copy(arena, buf_text(&all), all.len), all.len};
    return 0;
}

int trust_sign(struct daemon *daemon, struct bytes csr_pem, const struct id *node_id, enum node_role role,
               struct buf *out_certificate_pem, struct error *err) {
    AUTO_ARENA arena = arena_make(0);
    struct trust_opened opened AUTO_TRUST = {0};
    struct buf key = {0};
    int rc = open_now(daemon, &arena, &opened, err);
    if (rc < 0) {
        return rc;
    }
    const struct cluster *cluster = opened.cluster;
    const struct authority_order order = {.node_id = *node_id,
                                          .cluster_id = cluster->meta.id,
                                          .role = role,
                                          .unix_ms = daemon->now.unix_ms,
                                          .valid_ms = cluster->spec.cert_expiry_ns / NS_PER_MS};
    rc = seal_open(&opened.key, &(struct seal_label){&cluster->meta.id, ROTATION_KEY_PURPOSE},
                   cluster->trust->authority_key, &key, err);
    const char *signer = rotation_signer(cluster->trust);
    if (rc == 0 && signer == NULL) {
        rc = error_set(err, ERR_CORRUPT, "the cluster has a key, and no authority");
    }
    rc = rc < 0
             ? rc
             : authority_sign(bytes_of(signer), buf_bytes(&key), csr_pem, &order, out_certificate_pem, err);
    certificate_wipe_key(&key);
    return rc;
}

// --- join tokens ---

int trust_token(struct daemon *daemon, enum node_role role, char out[JOIN_TOKEN_LEN + 1], struct error *err) {
    AUTO_ARENA arena = arena_make(0);
    struct trust_opened opened AUTO_TRUST = {0};
    struct join_token token;
    int rc = open_now(daemon, &arena, &opened, err);
    rc = rc < 0 ? rc : tokens_read(&opened.keeper, opened.cluster->trust, role, &token, err);
    if (rc == 0) {
        join_token_format(&token, out);
    }
    OPENSSL_cleanse(&token, sizeof token);
    return rc;
}

int trust_admit(struct daemon *daemon, const char *token_text, enum node_role *out_role, struct error *err) {
    AUTO_ARENA arena = arena_make(0);
    struct trust_opened opened AUTO_TRUST = {0};
    struct join_token shown;
    int rc = join_token_parse(token_text, &shown, err);
    rc = rc < 0 ? rc : open_now(daemon, &arena, &opened, err);
    return rc < 0 ? rc
                  : tokens_admit(&opened.keeper, opened.cluster->trust, daemon->now.unix_ms, &shown, out_role,
                                 err);
}

int trust_spend(struct daemon *daemon, struct store_read *read, struct arena *arena, enum node_role role,
                struct transaction *transaction, struct error *err) {
    void *object = NULL;
    int rc = store_load(read, KIND_CLUSTER, &daemon->cluster_id, arena, &object, err);
    struct cluster *cluster = object;
    if (rc != 0 || cluster->trust == NULL) {
        return rc < 0 ? rc : 0;
    }
    struct cluster_token *token = tokens_of(cluster->trust, role);
    if (token->uses_max == 0) {
        return 0;
    }
    rc = tokens_check_limits(token, daemon->now.unix_ms, err);
    if (rc == 0) {
        token->uses++;
        transaction_add(transaction, CHANGE_UPDATE, KIND_CLUSTER, cluster, arena);
    }
    return rc;
}

// --- the seal key ---

int trust_seal_key(struct daemon *daemon, struct buf *out, struct error *err) {
    struct seal_key key AUTO_SEAL_KEY = {0};
    int rc = load_key(daemon, &key, err);
    if (rc == 0) {
        buf_add(out, key.bytes, sizeof key.bytes);
    }
    return rc;
}

int trust_keep_seal_key(const char *state_dir, const struct id *cluster_id, struct bytes bytes,
                        struct error *err) {
    AUTO_FREE char *dir = certificates_dir(state_dir, cluster_id);
    struct seal_key key AUTO_SEAL_KEY = {0};
    if (bytes.len != sizeof key.bytes) {
        return error_set(err, ERR_INVALID, "a seal key of %zu bytes, not %zu", bytes.len, sizeof key.bytes);
    }
    memcpy(key.bytes, bytes.data, sizeof key.bytes);
    int rc = fs_make_dirs(dir, 0700, err);
    return rc < 0 ? rc : seal_key_save(dir, &key, err);
}
