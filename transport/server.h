// SPDX-License-Identifier: Apache-2.0
//
// transport/server.h — the daemon's side of local links: listens, checks who is there, hands requests to
// the loop, sends answers with back-pressure.
//
// nng's threads only put frames into the mailbox; everything here runs on the loop thread, from
// server_take. A link whose peer is not root (or the daemon's own uid), says no hello within
// HELLO_DEADLINE_MS, or breaks the message table is closed.
#ifndef MUSTER_TRANSPORT_SERVER_H
#define MUSTER_TRANSPORT_SERVER_H

#include "transport/messages.h"

struct server;
struct conversation; // one request being answered; valid until server_done, server_fail, or on_closed

struct server_request {
    struct conversation *conversation;
    uint16_t number;
    const void *payload; // decoded struct of the message's schema; borrowed until on_request returns
    uint32_t peer_uid;
    uint32_t peer_pid;
    bool is_stale; // the client said so in its hello
};
struct server_callbacks {
    void (*on_request)(void *context, const struct server_request *request);
    // The peer cancelled or is gone, or the server closes: forget the conversation. Called once, for
    // conversations not ended yet; neither done nor fail follows.
    void (*on_closed)(void *context, struct conversation *conversation);
    // A conversation whose link was full can send again.
    void (*on_writable)(void *context, struct conversation *conversation);
    void *context;
};

struct server_options {
    // The directory is made with 0700 when it is absent, and refused when others can write to it. A dead
    // socket is replaced, a living daemon is -ERR_BUSY.
    const char *socket_path;
    struct welcome welcome; // what to tell every client; strings are copied
    struct server_callbacks callbacks;
};
int server_open(const struct server_options *options, struct server **out, struct error *err);
int server_fd(const struct server *server);                 // readable when server_take has something to do
void server_take(struct server *server, size_t max_frames); // drains the mailbox, calls back
void server_tick(struct server *server, int64_t mono_ms);   // deadlines of links that have not said hello
void server_set_welcome(struct server *server, const struct welcome *welcome);
// Ends all conversations and tells every client, which has a second to read what is queued and hang up.
// NULL is accepted.
void server_close(struct server *server);

void *conversation_state(const struct conversation *conversation); // the handler's own pointer
void conversation_set_state(struct conversation *conversation, void *state);
// Queues one answer frame. False when the link is now full: stop until on_writable (the frame itself was
// taken). An answer larger than its row allows becomes a FAILURE, and nothing follows it.
bool server_send(struct conversation *conversation, uint16_t number, const void *payload);
bool server_is_writable(const struct conversation *conversation);
// Ends the conversation.
void server_done(struct conversation *conversation, int64_t revision);
void server_fail(struct conversation *conversation, const struct error *err);
// The same with a line for each broken rule.
void server_fail_with(struct conversation *conversation, const struct error *err,
                      const struct strings *details);

#endif
