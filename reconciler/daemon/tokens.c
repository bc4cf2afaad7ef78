// SPDX-License-Identifier: Apache-2.0
//
// reconciler/daemon/tokens.c — sealed secrets, and digests of those that were.
#include "reconciler/daemon/tokens.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "reconciler/daemon/rotation.h"
#include "transport/certificate.h"
#include "transport/openssl.h"

#define RETIRED_MAX 8
#define DIGEST_BYTES 32

static const char *const purposes[] = {
    [ROLE_WORKER] = "worker's join secret", [ROLE_MANAGER] = "manager's join secret"};

struct cluster_token *tokens_of(struct cluster_trust *trust, enum node_role role) {
    return role == ROLE_MANAGER ? &trust->manager_token : &trust->worker_token;
}

static const struct cluster_token *token_of(const struct cluster_trust *trust, enum node_role role) {
    return role == ROLE_MANAGER ? &trust->manager_token : &trust->worker_token;
}

static int open_secret(const struct token_keeper *keeper, enum node_role role,
                       const struct cluster_token *token, struct id *out, struct error *err) {
    struct buf text = {0};
    int rc = seal_open(keeper->key, &(struct seal_label){keeper->cluster_id, purposes[role]}, token->secret,
                       &text, err);
    if (rc == 0 && !id_parse(buf_text(&text), out)) {
        rc = error_set(err, ERR_CORRUPT, "the %s is none", purposes[role]);
    }
    certificate_wipe_key(&text);
    return rc;
}

// --- a new secret ---

static void digest(const struct id *secret, uint8_t out[DIGEST_BYTES]) {
    int is_done = EVP_Digest(secret->text, ID_LEN, out, NULL, EVP_sha256(), NULL);
    ASSERT(is_done == 1);
}

static void retire(const struct id *secret, struct cluster_token *token, struct arena *arena) {
    size_t kept = token->retired.len < (RETIRED_MAX - 1) * DIGEST_BYTES ? token->retired.len
                                                                        : (RETIRED_MAX - 1) * DIGEST_BYTES;
    uint8_t *all = arena_alloc(arena, DIGEST_BYTES + kept);
    digest(secret, all);
    if (kept > 0) {
        memcpy(all + DIGEST_BYTES, token->retired.data, kept);
    }
    token->retired = (struct bytes){all, DIGEST_BYTES + kept};
}

int tokens_replace(const struct token_keeper *keeper, enum node_role role, struct cluster_token *token,
                   struct arena *arena, struct error *err) {
    struct id old, secret = id_random();
    AUTO_BUF sealed = {0};
    if (token->secret.len > 0 && open_secret(keeper, role, token, &old, NULL) == 0) {
        retire(&old, token, arena);
    }
    int rc = seal_close(keeper->key, &(struct seal_label){keeper->cluster_id, purposes[role]},
                        (struct bytes){(const uint8_t *)secret.text, ID_LEN}, &sealed, err);
    OPENSSL_cleanse(&secret, sizeof secret);
    OPENSSL_cleanse(&old, sizeof old);
    if (rc == 0) {
        token->secret = (struct bytes){arena_copy(arena, sealed.data, sealed.len), sealed.len};
        token->expires_unix_ms = token->uses_max = token->uses = 0;
    }
    return rc;
}

// --- the whole token ---

int tokens_read(const struct token_keeper *keeper, const struct cluster_trust *trust, enum node_role role,
                struct join_token *out, struct error *err) {
    const char *signer = rotation_signer(trust);
    if (signer == NULL) {
        return error_set(err, ERR_CORRUPT, "the cluster has no authority");
    }
    int rc = certificate_digest((struct bytes){(const uint8_t *)signer, strlen(signer)}, out->digest, err);
    return rc < 0 ? rc : open_secret(keeper, role, token_of(trust, role), &out->secret, err);
}

// --- judging ---

int tokens_check_limits(const struct cluster_token *token, int64_t now_unix_ms, struct error *err) {
    char at[40];
    if (token->expires_unix_ms > 0 && now_unix_ms >= token->expires_unix_ms) {
        return error_set(err, ERR_DENIED,
                         "the join token expired at %s: get a new one on a manager, by 'muster swarm "
                         "join-token --rotate'",
                         clock_format_rfc3339(token->expires_unix_ms, at, sizeof at));
    }
    if (token->uses_max > 0 && token->uses >= token->uses_max) {
        return error_set(err, ERR_DENIED,
                         "the join token is used up: it was for %lld node%s; get a new one on a manager, by "
                         "'muster swarm join-token --rotate'",
                         (long long)token->uses_max, token->uses_max == 1 ? "" : "s");
    }
    return 0;
}

static bool is_retired(const struct cluster_token *token, const struct id *secret) {
    uint8_t wanted[DIGEST_BYTES];
    bool is_found = false;
    digest(secret, wanted);
    for (size_t at = 0; at + DIGEST_BYTES <= token->retired.len; at += DIGEST_BYTES) {
        is_found |=
            memcmp(token->retired.data + at, wanted, DIGEST_BYTES) == 0; // of digests it tells nothing
    }
    return is_found;
}

int tokens_admit(const struct token_keeper *keeper, const struct cluster_trust *trust, int64_t now_unix_ms,
                 const struct join_token *shown, enum node_role *out, struct error *err) {
    static const enum node_role roles[] = {ROLE_WORKER, ROLE_MANAGER};
    const struct cluster_token *match = NULL;
    bool was_good = false;
    for (size_t i = 0; i < sizeof roles / sizeof *roles; i++) { // both, whichever it is
        struct join_token ours;
        int rc = tokens_read(keeper, trust, roles[i], &ours, err);
        if (rc < 0) {
            return rc;
        }
        if (join_token_has_secret(&ours, &shown->secret)) {
            match = token_of(trust, roles[i]);
            *out = roles[i];
        }
        was_good |= is_retired(token_of(trust, roles[i]), &shown->secret);
        OPENSSL_cleanse(&ours, sizeof ours);
    }
    if (match != NULL) {
        return tokens_check_limits(match, now_unix_ms, err);
    }
    return was_good ? error_set(err, ERR_DENIED,
                                "the join token was replaced by a newer one: get that on a manager, by "
                                "'muster swarm join-token'")
                    : error_set(err, ERR_DENIED,
                                "the join token is wrong: get the right one on a manager, "
                                "by 'muster swarm join-token'");
}
