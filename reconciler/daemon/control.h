// SPDX-License-Identifier: Apache-2.0
//
// reconciler/daemon/control.h — requests of local clients: who may ask what, and when.
//
// Each family of requests has a file of its own (control_apply.c …) with a handler; the table is in
// control.c. A handler answers at once, proposes a change and answers with its result, or starts a stream.
#ifndef MUSTER_RECONCILER_DAEMON_CONTROL_H
#define MUSTER_RECONCILER_DAEMON_CONTROL_H

#include "base/list.h"
#include "reconciler/store/store.h"
#include "transport/server.h"

struct daemon;

// The state of a conversation that is not answered yet.
struct answer {
    struct daemon *daemon;
    struct conversation *conversation; // NULL once the client is gone
    void (*on_closed)(struct answer *answer);
    void (*on_writable)(struct answer *answer); // its link has room again; NULL = it looks by itself
};

struct request {
    struct daemon *daemon;
    struct conversation *conversation;
    const void *payload; // borrowed until the handler returns
    const char *who;     // "uid:0 root@host": for the history
    // Reads show all that was acknowledged before the request came, wherever it was.
    bool is_fresh;
};

// Callbacks of the server; the context is the daemon.
void control_on_request(void *daemon, const struct server_request *request);
void control_on_closed(void *daemon, struct conversation *conversation);
void control_on_writable(void *daemon, struct conversation *conversation);

// Handlers. All end the conversation or take it over, and none fails: clients are told.
void control_list(const struct request *request);
void control_apply(const struct request *request);
void control_rollout(const struct request *request);
void control_remove(const struct request *request);
void control_watch(const struct request *request);
void control_history(const struct request *request);
void control_info(const struct request *request);
void control_init(const struct request *request);
void control_join(const struct request *request);
void control_leave(const struct request *request);
void control_logs(const struct request *request);
void control_why(const struct request *request);
void control_volumes(const struct request *request);
void control_plan(const struct request *request);
void control_rebalance(const struct request *request);
void control_join_token(const struct request *request);
void control_ca_rotate(const struct request *request);
void control_exec(const struct request *request);
void control_exec_input(const struct request *request);
void control_exec_resize(const struct request *request);

// The tasks that a person means: an id, a unique prefix of one, or SERVICE.SLOT (the newest in the slot).
// STORE_ABSENT, STORE_AMBIGUOUS.
int control_find_task(struct store_read *read, const char *reference, struct arena *arena, struct id *out,
                      struct error *err);
// store_resolve (control_find_task for tasks) with its outcomes as failures that name the reference.
int control_resolve(struct store_read *read, enum object_kind kind, const char *reference,
                    struct arena *arena, struct id *out, struct error *err);

#endif
