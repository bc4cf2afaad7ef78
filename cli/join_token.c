// SPDX-License-Identifier: Apache-2.0
//
// cli/join_token.c — Docker's words around the token of a role, and what limits it.
#include "cli/join_token.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/str.h"

#define ARGS struct join_token_args
// tidy: table
const struct option_row join_token_rows[JOIN_TOKEN_ROWS] = {
    OPT_FLAG(ARGS, quiet, "quiet", 'q', .help = "Show the token only"),
    OPT_FLAG(ARGS, rotate, "rotate", '\0',
             .help = "Make a new token, without limits; the one before lets nobody in any more"),
    OPT_DURATION(ARGS, ttl_ns, "ttl", '\0',
                 .help = "The token lets nobody in after that time; 0: it always does"),
    OPT_INT(ARGS, uses, "uses", '\0', .help = "The token lets in that many nodes from now on; 0: any number"),
};
#undef ARGS

static int ask(struct client *client, const struct join_token_request *request, struct arena *arena,
               struct join_token_reply **out, struct error *err) {
    return client_call(client, MESSAGE_JOIN_TOKEN, request, MESSAGE_JOIN_TOKEN_REPLY, arena, (void **)out,
                       CONNECT_CALL_MS, err);
}

static void print_command(const char *role, const struct join_token_reply *reply) {
    printf("To add a %s to this swarm, run the following command:\n\n"
           "    muster swarm join --token %s %s\n\n",
           role, reply->token, reply->address);
}

static void print_limits(const struct join_token_reply *reply) {
    char at[40];
    if (reply->expires_unix_ms > 0) {
        clock_format_rfc3339(reply->expires_unix_ms, at, sizeof at);
        bool is_over = reply->expires_unix_ms <= clock_unix_ms();
        printf(is_over ? "It expired at %s: get a new one with --rotate.\n" : "It lets nobody in after %s.\n",
               at);
    }
    if (reply->uses_max > 0) {
        bool is_used_up = reply->uses >= reply->uses_max;
        printf("It is for %lld node%s, %lld of which %s joined by it%s.\n", (long long)reply->uses_max,
               reply->uses_max == 1 ? "" : "s", (long long)reply->uses, reply->uses == 1 ? "has" : "have",
               is_used_up ? ": get a new one with --rotate" : "");
    }
}

// --- join-token ---

static int fill(const struct invocation *in, struct join_token_request *request, struct error *err) {
    const struct join_token_args *args = in->args;
    const char *role = in->arguments.items[0];
    schema_init(&join_token_request_schema, request);
    if (!str_equal(role, "worker") && !str_equal(role, "manager")) {
        return error_set(err, ERR_USAGE, "'%s' is no role: name worker or manager", role);
    }
    if (args->uses < 0) {
        return error_set(err, ERR_USAGE, "--uses: %lld is no number of nodes: 1 or more, or 0 for any number",
                         (long long)args->uses);
    }
    request->role = str_equal(role, "manager") ? ROLE_MANAGER : ROLE_WORKER;
    request->rotate = args->rotate;
    request->ttl_ns = invocation_has(in, "ttl") ? args->ttl_ns : -1;
    request->uses = invocation_has(in, "uses") ? args->uses : -1;
    return 0;
}

int join_token_run(struct invocation *in, struct error *err) {
    const struct join_token_args *args = in->args;
    AUTO_CLIENT *client = NULL;
    struct join_token_request request;
    struct join_token_reply *reply = NULL;
    int rc = fill(in, &request, err);
    rc = rc < 0 ? rc : connect_open(in, &client, err);
    rc = rc < 0 ? rc : ask(client, &request, in->arena, &reply, err);
    if (rc < 0) {
        return rc;
    }
    const char *role = node_role_names[request.role];
    if (args->quiet) {
        puts(reply->token);
        return 0;
    }
    if (args->rotate) {
        printf("Successfully rotated %s join token.\n\n", role);
    }
    print_command(role, reply);
    print_limits(reply);
    return 0;
}

// --- after init ---

int join_token_tell(struct client *client, struct arena *arena, struct error *err) {
    struct join_token_request request;
    struct join_token_reply *reply = NULL;
    schema_init(&join_token_request_schema, &request);
    int rc = ask(client, &request, arena, &reply, err);
    if (rc < 0) {
        return rc;
    }
    print_command("worker", reply);
    puts(
        "To add a manager to this swarm, run 'muster swarm join-token manager' and follow the instructions.");
    return 0;
}
