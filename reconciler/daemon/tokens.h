// SPDX-License-Identifier: Apache-2.0
//
// reconciler/daemon/tokens.h — the two join tokens of a cluster as its object holds them: made, judged,
// counted.
//
// Model        One token of each role counts; its secret is sealed. A new secret ends the one before at once;
//              digests of the last few are kept, so that who comes with one of them is told that it was
//              replaced. A token may end at a time, and may let in a number of nodes only.
// Stranger     Who knows no secret that ever counted is told nothing but that it is wrong.
// Pure         All is in the parameters but the random numbers.
// Not here     Asking, and writing: trust.h. The text of a token: transport/join_token.h.
#ifndef MUSTER_RECONCILER_DAEMON_TOKENS_H
#define MUSTER_RECONCILER_DAEMON_TOKENS_H

#include "base/arena.h"
#include "reconciler/daemon/seal.h"
#include "specs/cluster.h"
#include "specs/node.h"
#include "transport/join_token.h"

struct token_keeper { // whose tokens, and what opens them
    const struct id *cluster_id;
    const struct seal_key *key;
};

struct cluster_token *tokens_of(struct cluster_trust *trust, enum node_role role);

// Gives the role a new secret, without limits. What is replaced is remembered; a secret that cannot be opened
// any more is not, and does not hinder.
int tokens_replace(const struct token_keeper *keeper, enum node_role role, struct cluster_token *token,
                   struct arena *arena, struct error *err);
// The whole token, with the digest of the authority that signs.
int tokens_read(const struct token_keeper *keeper, const struct cluster_trust *trust, enum node_role role,
                struct join_token *out, struct error *err);
// Which role the token gives. -ERR_DENIED: wrong, replaced, expired or used up, in words for who shows it.
int tokens_admit(const struct token_keeper *keeper, const struct cluster_trust *trust, int64_t now_unix_ms,
                 const struct join_token *shown, enum node_role *out, struct error *err);
// -ERR_DENIED: expired or used up by now.
int tokens_check_limits(const struct cluster_token *token, int64_t now_unix_ms, struct error *err);

#endif
