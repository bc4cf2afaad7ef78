// SPDX-License-Identifier: Apache-2.0
//
// cli/connect.h — the way from a command to its daemon, and how objects are named on the way.
#ifndef MUSTER_CLI_CONNECT_H
#define MUSTER_CLI_CONNECT_H

#include "cli/command.h"
#include "transport/client.h"

#define CONNECT_HOST_DEFAULT "unix:///run/muster/muster.sock"
#define CONNECT_CALL_MS 30000 // how long an answer may take

// -H, or MUSTER_HOST, or the default.
const char *connect_host(const struct invocation *in);
// Opens a connection; the error says how to start a daemon or what else is in the way. The caller closes it.
int connect_open(const struct invocation *in, struct client **out, struct error *err);

#define AUTO_CLIENT __attribute__((cleanup(connect_close_at))) struct client
void connect_close_at(struct client **client);

// All objects of a kind, or those that the references (names, ids, unique prefixes of ids) name.
int connect_list(struct client *client, enum object_kind kind, const struct strings *references,
                 struct arena *arena, struct object_list *out, struct error *err);
// The one object that the reference names, as struct service, struct node…
int connect_get(struct client *client, enum object_kind kind, const char *reference, struct arena *arena,
                void **out, struct error *err);
// Sends declarations or removals and waits for the result.
int connect_apply(struct client *client, const struct apply_request *request, struct arena *arena,
                  struct applied **out, struct error *err);
int connect_remove(struct client *client, enum object_kind kind, const struct strings *references,
                   const char *why, bool force, struct arena *arena, struct applied **out, struct error *err);
// An id for apply_request.request_id, so that the daemon knows a request that comes twice.
const char *connect_request_id(struct arena *arena);

#endif
