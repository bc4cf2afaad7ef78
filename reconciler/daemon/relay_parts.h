// SPDX-License-Identifier: Apache-2.0
//
// reconciler/daemon/relay_parts.h — what the files of the relay share: relay.c (all ends, and streams
// within this node), relay_asked.c (of a manager, to other nodes), relay_answered.c (of a node, to
// managers).
#ifndef MUSTER_RECONCILER_DAEMON_RELAY_PARTS_H
#define MUSTER_RECONCILER_DAEMON_RELAY_PARTS_H

#include "reconciler/daemon/relay_end.h"

// relay.c
struct relay_end *relay_new(struct daemon *daemon, bool is_asker, const struct id *stream_id);
struct relay_end *relay_find(const struct daemon *daemon, bool is_asker, const struct id *stream_id);
struct relay_end *relay_find_link(const struct daemon *daemon, bool is_asker, uint64_t link);
// The service of that kind takes the end, which runs from then on, or is closed with the reason.
void relay_serve(struct relay_end *end, int64_t kind, struct bytes request, int64_t credit);
// A frame as it came; what cannot be read ends the stream.
void relay_hear(struct relay_end *end, struct bytes body);
void relay_lost(struct relay_end *end, const char *reason); // its link ended

// relay_asked.c
void relay_ask_again(struct relay_end *end); // of RELAY_SETTING_UP; when it is due

// relay_answered.c
void relay_answer_ask(struct daemon *daemon, const struct relay_ask *ask);
void relay_answer_hang_up(struct relay_end *end);
void relay_answer_tick(struct daemon *daemon);
void relay_answer_free(struct daemon *daemon);

#endif
