// SPDX-License-Identifier: Apache-2.0
//
// reconciler/daemon/passport.h — what this node shows to others and whom it believes: its certificate and the
// authorities of its cluster, in its state directory and on its links.
//
// Model        The files are the truth (certificates.h): new ones are kept first, then links take them. Links
//              that are there go on with what they were made with. A node of no cluster shows nothing and
//              believes nobody, but for the one question of a joiner, who believes the authority of its
//              token.
// When         Links cannot take another one while they call back, so it is taken in between (passport_step).
#ifndef MUSTER_RECONCILER_DAEMON_PASSPORT_H
#define MUSTER_RECONCILER_DAEMON_PASSPORT_H

#include "transport/tls.h"

struct daemon;

struct passport {
    struct identity identity; // its node is none: there is no certificate
    struct buf authorities;   // PEM
    struct tls *next;         // what links take in the next turn; NULL = nothing new
};

static inline bool passport_is_there(const struct passport *passport) {
    return !id_is_none(&passport->identity.node_id);
}
bool passport_is_of(const struct passport *passport, const struct id *cluster_id);
// Whether it has run out: nobody lets this node in with it.
bool passport_is_expired(const struct passport *passport, int64_t unix_ms);
// Whether it is to be good later only: the clock was ahead when it was signed, or is behind now.
bool passport_is_early(const struct passport *passport, int64_t unix_ms);
// Why others, and this node others, may not be let in by the clock that it has; NULL = no reason.
const char *passport_explain_time(const struct passport *passport, int64_t unix_ms, struct arena *arena);

// Those of that cluster, out of the files. -ERR_NOT_FOUND: there are none.
int passport_load(struct daemon *daemon, const struct id *cluster_id, struct error *err);
// What a manager gave for our key: checked, kept, and shown from the next turn on.
struct passport_given {
    struct bytes key, certificate, authorities; // PEM
    enum node_role role;
};
int passport_take(struct daemon *daemon, const struct passport_given *given, struct error *err);
// Believes the authority of the token alone, and shows nothing, from the next turn on.
int passport_use_token(struct daemon *daemon, const struct join_token *token, struct error *err);
// Back to what there is, after that.
void passport_use_own(struct daemon *daemon);
void passport_step(struct daemon *daemon); // not while links call back
void passport_free(struct passport *passport);

// For links of other kinds: what is shown now, made anew; the caller frees.
int passport_tls(const struct daemon *daemon, struct tls **out, struct error *err);
// That of a node without a cluster.
struct tls *passport_blank(void);

#endif
