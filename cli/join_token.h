// SPDX-License-Identifier: Apache-2.0
//
// cli/join_token.h — `muster swarm join-token`: what a machine is told so that it can join.
#ifndef MUSTER_CLI_JOIN_TOKEN_H
#define MUSTER_CLI_JOIN_TOKEN_H

#include "cli/connect.h"

struct join_token_args {
    bool quiet, rotate;
    int64_t ttl_ns, uses;
};
enum { JOIN_TOKEN_ROWS = 4 };
extern const struct option_row join_token_rows[JOIN_TOKEN_ROWS];
int join_token_run(struct invocation *in, struct error *err);

// How workers join, and how to find out how managers do: the end of `swarm init`.
int join_token_tell(struct client *client, struct arena *arena, struct error *err);

#endif
