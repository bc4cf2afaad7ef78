// SPDX-License-Identifier: Apache-2.0
//
// reconciler/daemon/control_token.c — JOIN_TOKEN: the token of a role, as it is or changed.
//
// It is asked on a fresh read, so that nobody is given a token that was replaced before. A change that lost a
// race is decided again; a rotation then replaces what won, so the answer is always the token that counts.
#include "reconciler/daemon/control.h"

#include <openssl/crypto.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "reconciler/daemon/daemon.h"

#define TRIES_MAX 5

struct token_change {
    struct answer answer; // first: the conversation's state
    struct arena arena;
    struct join_token_request request;
    const char *who;
    struct join_token_reply reply;
    char token[JOIN_TOKEN_LEN + 1];
    int tries;
};

static void token_change_free(struct token_change *change) {
    OPENSSL_cleanse(change->token, sizeof change->token);
    arena_free(&change->arena);
    xfree(change);
}

// The proposal goes its way; its result finds nobody to tell.
static void on_closed(struct answer *answer) {
    (void)answer;
}

static void fail(struct token_change *change, struct error *err) {
    if (change->answer.conversation != NULL) {
        server_fail(change->answer.conversation, err);
    }
    token_change_free(change);
}

static void finish(struct token_change *change, int64_t revision) {
    if (change->answer.conversation != NULL) {
        server_send(change->answer.conversation, MESSAGE_JOIN_TOKEN_REPLY, &change->reply);
        server_done(change->answer.conversation, revision);
    }
    token_change_free(change);
}

// --- what it is, and what it becomes ---

static bool is_change(const struct join_token_request *request) {
    return request->rotate || request->ttl_ns >= 0 || request->uses >= 0;
}

static void limit(const struct join_token_request *request, int64_t now_unix_ms,
                  struct cluster_token *token) {
    if (request->ttl_ns >= 0) {
        int64_t ttl_ms = request->ttl_ns / NS_PER_MS + (request->ttl_ns % NS_PER_MS != 0);
        token->expires_unix_ms = ttl_ms == 0 ? 0 : now_unix_ms + ttl_ms;
    }
    if (request->uses >= 0) {
        token->uses_max = request->uses;
        token->uses = 0;
    }
}

static int find_address(const struct daemon *daemon, struct store_read *read, struct arena *arena,
                        const char **out, struct error *err) {
    void *object = NULL;
    int rc = store_load(read, KIND_NODE, &daemon->node_id, arena, &object, err);
    const struct node *node = object;
    bool is_known = rc == 0 && node->manager != NULL && !str_is_empty(node->manager->address);
    *out = is_known ? node->manager->address : daemon->group.address;
    return rc < 0 ? rc : 0;
}

// The answer, and the change that makes it true; none when there is none.
static int compose(struct token_change *change, struct store_read *read, struct transaction *transaction,
                   struct error *err) {
    struct daemon *daemon = change->answer.daemon;
    const struct join_token_request *request = &change->request;
    struct trust_opened opened AUTO_TRUST = {0};
    struct join_token text;
    int rc = trust_open(daemon, read, &change->arena, &opened, err);
    if (rc < 0) {
        return rc;
    }
    struct cluster_token *token = tokens_of(opened.cluster->trust, request->role);
    rc = request->rotate ? tokens_replace(&opened.keeper, request->role, token, &change->arena, err) : 0;
    limit(request, daemon->now.unix_ms, token);
    rc = rc < 0 ? rc : tokens_read(&opened.keeper, opened.cluster->trust, request->role, &text, err);
    rc = rc < 0 ? rc : find_address(daemon, read, &change->arena, &change->reply.address, err);
    if (rc == 0 && is_change(request)) {
        transaction_add(transaction, CHANGE_UPDATE, KIND_CLUSTER, opened.cluster, &change->arena);
    }
    if (rc == 0) {
        join_token_format(&text, change->token);
        change->reply.token = change->token;
        change->reply.expires_unix_ms = token->expires_unix_ms;
        change->reply.uses_max = token->uses_max;
        change->reply.uses = token->uses;
    }
    OPENSSL_cleanse(&text, sizeof text);
    return rc;
}

// --- proposing ---

static void attempt(struct token_change *change);

static void on_result(void *context, const struct proposal_result *result) {
    struct token_change *change = context;
    if (result->code == -ERR_CONFLICT && ++change->tries < TRIES_MAX) {
        attempt(change);
        return;
    }
    if (result->code < 0) {
        struct error err = {0};
        error_set(&err, (enum error_code) - result->code, "%s", result->text);
        group_explain(change->answer.daemon, &err);
        fail(change, &err);
        return;
    }
    log_event(LOG_INFO, change->request.rotate ? "token.rotate" : "token.limit",
              LOG_STR("role", node_role_names[change->request.role]));
    finish(change, result->revision);
}

static void attempt(struct token_change *change) {
    struct daemon *daemon = change->answer.daemon;
    const char *role = node_role_names[change->request.role];
    struct transaction transaction;
    struct error err = {0};
    struct store_read *read;
    int64_t revision = 0;
    schema_init(&transaction_schema, &transaction);
    transaction.who = change->who;
    transaction.why = arena_printf(&change->arena, "swarm join-token %s%s",
                                   change->request.rotate ? "--rotate " : "", role);
    transaction.time_unix_ms = daemon->now.unix_ms;
    int rc = store_read_begin(daemon->store, &read, &err);
    if (rc == 0) {
        revision = store_read_revision(read);
        rc = compose(change, read, &transaction, &err);
        store_read_end(read);
    }
    if (rc == 0 && transaction.changes.count == 0) {
        finish(change, revision);
        return;
    }
    rc = rc < 0 ? rc : proposals_submit(&daemon->proposals, &transaction, on_result, change, &err);
    if (rc < 0) {
        fail(change, &err);
    }
}

static int check(const struct join_token_request *request, struct error *err) {
    return request->uses <= CLUSTER_TOKEN_USES_MAX
               ? 0
               : error_set(err, ERR_INVALID, "uses: at most %d, or 0 for as many as there are",
                           CLUSTER_TOKEN_USES_MAX);
}

void control_join_token(const struct request *request) {
    struct error err = {0};
    if (check(request->payload, &err) < 0) {
        server_fail(request->conversation, &err);
        return;
    }
    struct token_change *change = NEW(struct token_change);
    change->answer = (struct answer){request->daemon, request->conversation, on_closed, NULL};
    change->request = *(const struct join_token_request *)request->payload;
    change->request.unknown = (struct bytes){0};
    change->who = arena_strdup(&change->arena, request->who);
    schema_init(&join_token_reply_schema, &change->reply);
    conversation_set_state(request->conversation, change);
    attempt(change);
}
