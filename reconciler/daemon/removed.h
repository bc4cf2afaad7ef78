// SPDX-License-Identifier: Apache-2.0
//
// reconciler/daemon/removed.h — nodes that are no part of the cluster any more: nobody talks to them, whatever
// certificate they show.
//
// Model        A node is part of the cluster as long as there is a record of it, made before its certificate
//              was. So the records say who is out, for as long as certificates live, and nothing else has to be
//              kept. Of members of the group of managers the group says that: who has to leave it must be heard
//              until that is decided. Who has left, or was left behind, has a record, and is answered that.
// Lag          A manager that is behind does not have the records of nodes that joined meanwhile. Who is taken
//              for removed forgets its cluster, so only the leader goes by a record that is missing, and not
//              where the certificate is new; others go by a removal that they have seen.
#ifndef MUSTER_RECONCILER_DAEMON_REMOVED_H
#define MUSTER_RECONCILER_DAEMON_REMOVED_H

#include "reconciler/store/store.h"
#include "transport/certificate.h"

struct daemon;

#define REMOVED_SEEN_MAX 256

struct removed {
    struct id seen[REMOVED_SEEN_MAX]; // by this process: the last ones
    unsigned seen_next;
    struct store_position position; // of the history: removals up to there have ended the links
    int64_t revision;               // of the store at that time; 0 = not begun
};

// Whether nobody here talks to who shows this certificate.
bool removed_is(struct daemon *daemon, const struct identity *shown);
// Whether this node is no manager any more, whatever its certificate says.
bool removed_is_worker(struct daemon *daemon, const struct id *node_id);
// Ends the links of nodes that were removed since the last time. Failure: of the store.
int removed_step(struct daemon *daemon, struct error *err);

#endif
