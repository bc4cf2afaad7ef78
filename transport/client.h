// SPDX-License-Identifier: Apache-2.0
//
// transport/client.h — a client's connection to a daemon: requests, their answers, watch streams. For cli
// and tui.
//
// One connection carries many conversations. The caller owns the thread: nothing happens behind its back
// but the receiving of bytes, and `client_fd` becomes readable when there is something to take, so that a
// console can wait for keys and events at once.
#ifndef MUSTER_TRANSPORT_CLIENT_H
#define MUSTER_TRANSPORT_CLIENT_H

#include "transport/messages.h"

struct client;

struct client_frame {
    uint64_t conversation;
    uint16_t number;   // MESSAGE_DONE and MESSAGE_FAILURE end the conversation
    struct bytes body; // borrowed until the next client call
};

// Connects to "unix:///run/muster/muster.sock" (also "unix://PATH" or a plain path) and says hello.
// -ERR_UNREACHABLE (no daemon: says how to start one), -ERR_DENIED, -ERR_UNSUPPORTED (protocol versions do
// not meet).
int client_open(const char *host, const char *client_name, int64_t timeout_ms, struct client **out,
                struct error *err);
// The same, content with what that manager last knew: reads are answered without a quorum too.
int client_open_stale(const char *host, const char *client_name, int64_t timeout_ms, struct client **out,
                      struct error *err);
void client_close(struct client *client); // accepts NULL
const struct welcome *client_welcome(const struct client *client);
int client_fd(const struct client *client); // poll for POLLIN, then client_next with timeout 0

// Sends a request; *out is the conversation.
int client_send(struct client *client, uint16_t number, const void *payload, uint64_t *out,
                struct error *err);
void client_cancel(struct client *client, uint64_t conversation);
// The next frame of any conversation. timeout_ms: 0 = do not wait, -1 = for ever. 0; CLIENT_TIMEOUT;
// -ERR_UNREACHABLE when the link is lost.
enum { CLIENT_TIMEOUT = 1 };
int client_next(struct client *client, int64_t timeout_ms, struct client_frame *out, struct error *err);
// Turns a FAILURE body into err, returns the negative code it carries.
int client_failure(const struct client_frame *frame, struct error *err);

// Sends and waits for the one answer `expected` (and the DONE after it), decoded into the arena as
// *out_payload (a struct of its schema).
int client_call(struct client *client, uint16_t number, const void *payload, uint16_t expected,
                struct arena *arena, void **out_payload, int64_t timeout_ms, struct error *err);

// All objects of a kind that the request selects, decoded (struct service *, …), and the revision of the
// picture.
struct object_list {
    size_t count;
    void **items;
    int64_t revision;
};
int client_list(struct client *client, const struct list_request *request, struct arena *arena,
                struct object_list *out, struct error *err);

#endif
