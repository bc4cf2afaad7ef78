// SPDX-License-Identifier: Apache-2.0
//
// reconciler/daemon/roles.h — what this node is, by its certificate, and how it goes over from one to the
// other.
//
// Model        The certificate says manager or worker; a manager has a group and its store, a worker a session
//              (worker.h). When the two do not agree any more, the daemon begins anew, and finds out at its
//              start what it is: tasks go on meanwhile.
//     promote  The leader says so over the session; the certificate is renewed; then the node asks to be let
//              into the group with it.
//     demote   The leader takes the node out of the group, and the others refuse it. So that no manager that
//              is wrong about it can make a node forget its cluster, it asks the leader for a certificate: a
//              worker's makes a worker of it, whose store is set aside; who is denied one was removed.
#ifndef MUSTER_RECONCILER_DAEMON_ROLES_H
#define MUSTER_RECONCILER_DAEMON_ROLES_H

#include "specs/schema.h"

struct daemon;

// At the end of daemon_open.
int roles_begin(struct daemon *daemon, struct error *err);
void roles_step(struct daemon *daemon); // after the links were taken
// Whether the certificate in the state directory is a worker's: who is it waits for no group.
bool roles_is_worker(struct daemon *daemon);
// Keeps where the managers are, for a daemon that has no group, or has lost it.
void roles_keep_managers(const struct daemon *daemon, const struct strings *addresses);

#endif
