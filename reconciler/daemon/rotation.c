// SPDX-License-Identifier: Apache-2.0
//
// reconciler/daemon/rotation.c — one authority more, then one less.
#include "reconciler/daemon/rotation.h"

#include <string.h>

#include "base/log.h"
#include "base/str.h"
#include "reconciler/daemon/authority.h"
#include "reconciler/daemon/certificates.h"
#include "reconciler/daemon/daemon.h"

enum rotation_state rotation_state(const struct cluster_trust *trust) {
    return trust->rotation == NULL             ? ROTATION_NONE
           : trust->rotation->next_key.len > 0 ? ROTATION_ANNOUNCED
                                               : ROTATION_SIGNING;
}

const char *rotation_signer(const struct cluster_trust *trust) {
    size_t count = trust->authorities.count;
    bool is_older = rotation_state(trust) == ROTATION_ANNOUNCED && count > 1;
    return count == 0 ? NULL : trust->authorities.items[is_older ? 1 : 0];
}

// --- steps ---

static void put_first(struct strings *list, const struct buf *text, struct arena *arena) {
    *ARENA_PUSH(arena, list) = "";
    for (size_t i = list->count - 1; i > 0; i--) {
        list->items[i] = list->items[i - 1];
    }
    list->items[0] = arena_strndup(arena, text->data, text->len);
}

static int seal_next(const struct seal_key *key, const struct seal_label *label, struct bytes plain,
                     struct bytes *out, struct arena *arena, struct error *err) {
    AUTO_BUF sealed = {0};
    int rc = seal_close(key, label, plain, &sealed, err);
    if (rc == 0) {
        *out = (struct bytes){arena_copy(arena, sealed.data, sealed.len), sealed.len};
    }
    return rc;
}

int rotation_begin(const struct seal_key *key, const struct id *cluster_id, int64_t unix_ms,
                   struct cluster_trust *trust, struct arena *arena, struct error *err) {
    AUTO_BUF authority = {0};
    struct buf authority_key = {0};
    struct bytes sealed = {0};
    if (trust->rotation != NULL) {
        return error_set(err, ERR_CONFLICT,
                         "the authority is being replaced already: it ends when all nodes have certificates "
                         "by the new one; those that are gone for good hold it open until 'muster node rm'");
    }
    int rc = authority_make(cluster_id, unix_ms, &authority, &authority_key, err);
    rc = rc < 0 ? rc
                : seal_next(key, &(struct seal_label){cluster_id, ROTATION_KEY_PURPOSE},
                            buf_bytes(&authority_key), &sealed, arena, err);
    certificate_wipe_key(&authority_key);
    if (rc == 0) {
        put_first(&trust->authorities, &authority, arena);
        trust->rotation = ARENA_NEW(arena, struct cluster_rotation);
        trust->rotation->next_key = sealed;
        trust->rotation->started_unix_ms = unix_ms;
    }
    return rc;
}

static void fingerprint(const char *pem, char out[CERTIFICATES_FINGERPRINT_BYTES]) {
    certificates_fingerprint((struct bytes){(const uint8_t *)pem, strlen(pem)}, out);
}

bool rotation_wants(const struct cluster_trust *trust, const struct node_description *node) {
    char signer[CERTIFICATES_FINGERPRINT_BYTES];
    if (trust == NULL || rotation_signer(trust) == NULL || str_is_empty(node->authority)) {
        return false;
    }
    fingerprint(rotation_signer(trust), signer);
    return !str_equal(node->authority, signer);
}

bool rotation_has(const struct cluster_trust *trust, const struct node *node) {
    char newest[CERTIFICATES_FINGERPRINT_BYTES];
    const struct strings *believed = &node->description.authorities;
    bool is_believed = false;
    fingerprint(trust->authorities.items[0], newest);
    for (size_t i = 0; i < believed->count; i++) {
        is_believed |= str_equal(believed->items[i], newest);
    }
    return is_believed &&
           (rotation_state(trust) != ROTATION_SIGNING || str_equal(node->description.authority, newest));
}

void rotation_advance(struct cluster_trust *trust) {
    if (rotation_state(trust) == ROTATION_ANNOUNCED) {
        trust->authority_key = trust->rotation->next_key;
        trust->rotation->next_key = (struct bytes){0};
    } else {
        trust->authorities.count = 1;
        trust->rotation = NULL;
    }
}

// --- by whoever leads ---

struct looking {
    const struct cluster_trust *trust;
    bool all_have;
};

static int look(void *context, void *object, struct arena *arena, struct error *err) {
    struct looking *looking = context;
    const struct node *node = object;
    (void)arena;
    (void)err;
    looking->all_have &= node->status.left || rotation_has(looking->trust, node);
    return 0;
}

static void on_result(void *context, const struct proposal_result *result) {
    struct daemon *daemon = context;
    daemon->rotation.is_proposed = false;
    daemon->rotation.revision = 0; // looked at again
    if (result->code < 0 && result->code != -ERR_CONFLICT) {
        log_event(LOG_WARN, "cluster.rotate", LOG_STR("error", result->text));
    }
}

static void propose(struct daemon *daemon, struct cluster *cluster, struct arena *arena) {
    static const char *const why[] = {[ROTATION_ANNOUNCED] = "all nodes believe the new authority: it signs",
                                      [ROTATION_SIGNING] =
                                          "all nodes have certificates by the new authority"};
    struct transaction transaction;
    enum rotation_state state = rotation_state(cluster->trust);
    schema_init(&transaction_schema, &transaction);
    rotation_advance(cluster->trust);
    transaction.who = "system:trust";
    transaction.why = why[state];
    transaction.time_unix_ms = daemon->now.unix_ms;
    transaction.only_here = true;
    transaction_add(&transaction, CHANGE_UPDATE, KIND_CLUSTER, cluster, arena);
    daemon->rotation.is_proposed =
        proposals_submit(&daemon->proposals, &transaction, on_result, daemon, NULL) == 0;
    if (daemon->rotation.is_proposed) {
        log_event(LOG_INFO, "cluster.rotate", LOG_STR("step", why[state]));
    }
}

int rotation_step(struct daemon *daemon, struct error *err) {
    struct rotation *rotation = &daemon->rotation;
    int64_t revision = store_revision(daemon->store);
    void *object = NULL;
    struct store_read *read;
    if (!daemon->leads || rotation->is_proposed || rotation->revision == revision) {
        return 0;
    }
    AUTO_ARENA arena = arena_make(0);
    struct looking looking = {.all_have = true};
    int rc = store_read_begin(daemon->store, &read, err);
    if (rc < 0) {
        return rc;
    }
    rotation->revision = revision;
    rc = store_load(read, KIND_CLUSTER, &daemon->cluster_id, &arena, &object, err);
    struct cluster *cluster = object;
    bool is_rotating = rc == 0 && cluster->trust != NULL && cluster->trust->rotation != NULL;
    looking.trust = is_rotating ? cluster->trust : NULL;
    if (is_rotating) {
        rc = store_each_object(read, STORE_ALL, KIND_NODE, NULL, &arena, look, &looking, err);
    }
    store_read_end(read);
    if (is_rotating && rc == 0 && looking.all_have) {
        propose(daemon, cluster, &arena);
    }
    return rc < 0 ? rc : 0;
}
