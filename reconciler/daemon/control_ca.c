// SPDX-License-Identifier: Apache-2.0
//
// reconciler/daemon/control_ca.c — CA_ROTATE: a new authority is announced; the rest goes by itself
// (rotation.h).
//
// A race is told, not tried again: the other one may have rotated too.
#include "reconciler/daemon/control.h"

#include <string.h>

#include "base/mem.h"
#include "reconciler/daemon/daemon.h"

struct rotating {
    struct answer answer; // first: the conversation's state
    char fingerprint[CERTIFICATES_FINGERPRINT_BYTES];
};

// The proposal goes its way; its result finds nobody to tell.
static void on_closed(struct answer *answer) {
    (void)answer;
}

static void on_result(void *context, const struct proposal_result *result) {
    struct rotating *rotating = context;
    struct conversation *conversation = rotating->answer.conversation;
    struct error err = {0};
    if (result->code < 0) {
        error_set(&err, (enum error_code) - result->code, "%s", result->text);
        group_explain(rotating->answer.daemon, &err);
    } else {
        log_event(LOG_INFO, "cluster.rotate", LOG_STR("authority", rotating->fingerprint));
    }
    if (conversation != NULL && result->code < 0) {
        server_fail(conversation, &err);
    } else if (conversation != NULL) {
        struct ca_rotate_reply reply = {.authority = rotating->fingerprint};
        server_send(conversation, MESSAGE_CA_ROTATE_REPLY, &reply);
        server_done(conversation, result->revision);
    }
    xfree(rotating);
}

static int compose(struct daemon *daemon, struct arena *arena, struct cluster **out, struct error *err) {
    struct trust_opened opened AUTO_TRUST = {0};
    struct store_read *read;
    int rc = store_read_begin(daemon->store, &read, err);
    if (rc < 0) {
        return rc;
    }
    rc = trust_open(daemon, read, arena, &opened, err);
    store_read_end(read);
    *out = opened.cluster;
    return rc < 0 ? rc
                  : rotation_begin(&opened.key, &opened.cluster->meta.id, daemon->now.unix_ms,
                                   opened.cluster->trust, arena, err);
}

static int propose(const struct request *request, struct error *err) {
    AUTO_ARENA arena = arena_make(0);
    struct cluster *cluster;
    struct transaction transaction;
    int rc = compose(request->daemon, &arena, &cluster, err);
    if (rc < 0) {
        return rc;
    }
    schema_init(&transaction_schema, &transaction);
    transaction.who = request->who;
    transaction.why = "swarm ca --rotate";
    transaction.time_unix_ms = request->daemon->now.unix_ms;
    transaction_add(&transaction, CHANGE_UPDATE, KIND_CLUSTER, cluster, &arena);
    struct rotating *rotating = NEW(struct rotating);
    const char *newest = cluster->trust->authorities.items[0];
    rotating->answer = (struct answer){request->daemon, request->conversation, on_closed, NULL};
    certificates_fingerprint((struct bytes){(const uint8_t *)newest, strlen(newest)}, rotating->fingerprint);
    rc = proposals_submit(&request->daemon->proposals, &transaction, on_result, rotating, err);
    if (rc < 0) {
        xfree(rotating);
        return rc;
    }
    conversation_set_state(request->conversation, rotating);
    return 0;
}

// Nobody asks a daemon without links for a certificate, and it asks nobody.
static int check(const struct daemon *daemon, struct error *err) {
    return group_has_links(daemon)
               ? 0
               : error_set(err, ERR_GUARD,
                           "this daemon has no port for other nodes (--listen %s), so it uses no certificate "
                           "that an authority would sign",
                           daemon->options->listen);
}

void control_ca_rotate(const struct request *request) {
    struct error err = {0};
    if (check(request->daemon, &err) < 0 || propose(request, &err) < 0) {
        server_fail(request->conversation, &err);
    }
}
