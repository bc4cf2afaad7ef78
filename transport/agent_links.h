// SPDX-License-Identifier: Apache-2.0
//
// transport/agent_links.h — links of agents to managers, as the agents dial them: one of a node, or thousands
// of a program that plays many.
//
// Model        A link is dialed, over TLS; the other side must be a manager, by its certificate. We say
//              AGENT_HELLO; once we are welcome the link is connected, and carries what the rows of the
//              senders AGENT and DISPATCHER allow. It ends once, and is never dialed again: when to try
//              again, and whom, the owner decides (reconciler/agent/session.h).
// Manager's    transport/peers.h
// end
// Time         Only agent_links_tick moves it, at most AGENT_LINKS_TICK_MS_MAX a call. A link that is not
//              connected AGENT_LINK_DEADLINE_MS after the dial ends; how long a manager may be silent is the
//              owner's to know.
// Threads      All functions are for the owner's thread. Callbacks come from agent_links_take and
//              agent_links_tick, and may call everything but these two and agent_links_close.
// Limits       A link's queue holds AGENT_LINK_QUEUE_BYTES_MAX, then agent_links_send refuses.
#ifndef MUSTER_TRANSPORT_AGENT_LINKS_H
#define MUSTER_TRANSPORT_AGENT_LINKS_H

#include "transport/messages.h"
#include "transport/tls.h"

#define AGENT_LINK_DEADLINE_MS 10000
#define AGENT_LINK_QUEUE_BYTES_MAX (4 * MIB)
#define AGENT_LINKS_TICK_MS_MAX 500

struct agent_links;

struct agent_links_callbacks {
    void (*on_connected)(void *context, uint64_t link);
    // Of the manager; the body is borrowed.
    void (*on_message)(void *context, uint64_t link, uint16_t number, struct bytes body);
    // The link ended, or did not come to be; not after agent_links_hang_up. The reason is for people.
    void (*on_down)(void *context, uint64_t link, const char *reason);
    // The manager does not let us in; on_down follows. ERR_DENIED: it says that the node was removed. May be
    // NULL.
    void (*on_refused)(void *context, uint64_t link, enum error_code code);
    void *context;
};
struct agent_links_options {
    struct agent_links_callbacks callbacks;
};
int agent_links_open(const struct agent_links_options *options, struct agent_links **out, struct error *err);
void agent_links_close(struct agent_links *links);   // no callbacks; NULL is accepted
int agent_links_fd(const struct agent_links *links); // readable when there is something to take
void agent_links_take(struct agent_links *links, size_t max_frames); // calls back
void agent_links_tick(struct agent_links *links, int64_t mono_ms);   // deadlines

struct agent_dial {
    const char *address; // "10.0.0.1:2377"
    struct tls *tls;     // with the node's certificate; borrowed for the call
    struct id cluster_id;
};
// *out_link names it, and is never used again for another one. -ERR_INVALID: not an address.
int agent_links_dial(struct agent_links *links, const struct agent_dial *dial, uint64_t *out_link,
                     struct error *err);
// Queues a message (rows of the sender AGENT); false: no such link, it is not connected, or there is no room.
bool agent_links_send(struct agent_links *links, uint64_t link, uint16_t number, struct bytes body);
// Ends it at once, connected or not. Nothing more is heard of it. Repeating is harmless.
void agent_links_hang_up(struct agent_links *links, uint64_t link);

#endif
