// SPDX-License-Identifier: Apache-2.0
//
// transport/link.h — one connection: frames over an nng byte stream, bounded both ways, its end reported
// exactly once.
//
// Built on nng's public streams, not on its socket patterns: in Debian's 1.5.2 those lose messages under
// back-pressure, their listeners can die for good, and closing a pipe under traffic can wedge the library
// (measured; streams survived the same torture).
//
// Cover        A link may have one (transport/cover.h): then nothing is read as a frame, and nothing that
//              is sent leaves, before the handshake is done. LINK_SECURED is the first letter of such a
//              link, and link_identity says from then on who the other side is; or LINK_UNSECURED says why
//              not, and the owner closes the link when the other side has had a moment to read that.
// Threads      nng's threads run the callbacks of the two aios; they parse, queue and post letters, nothing
//              else. All functions here are for the owner thread, which takes the letters from the mailbox.
// Closing      An aio is submitted only under the link's mutex and only while not closed. Closing sets
//              `closed` under the mutex and then closes the stream; LINK_DOWN is posted when both aios have
//              come back and is the last letter of a link; the owner frees the link on it.
// Bounds       A frame longer than its message's row allows closes the link before anything is allocated;
//              before link_trust, so does one over LINK_UNTRUSTED_BYTES_MAX. Once LINK_FRAMES_AHEAD frames
//              or LINK_BYTES_AHEAD bytes of bodies wait for the owner, no more frames are taken until
//              link_consumed. What is queued for sending is bounded by the sender, which asks
//              link_queue_bytes.
// Deadlines    None here: a link that must not be silent, nor long in its handshake, is closed by its owner.
#ifndef MUSTER_TRANSPORT_LINK_H
#define MUSTER_TRANSPORT_LINK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "transport/cover.h"
#include "transport/frame.h"
#include "transport/mailbox.h"
#include "transport/messages.h"

#define LINK_FRAMES_AHEAD 64
#define LINK_BYTES_AHEAD (8 * MIB)
#define LINK_UNTRUSTED_BYTES_MAX (64 * KIB)
#define LINK_QUEUE_LOW_BYTES (LINK_QUEUE_BYTES_MAX / 4)

// Senders whose messages may come over a link, as a set.
#define LINK_FROM(sender) (1U << (sender))

struct link;
struct dial;
struct nng_stream;

enum link_letter_kind {
    LINK_ACCEPTED,
    LINK_ACCEPT_FAILED,
    LINK_DIALED,
    LINK_KNOCKED,
    LINK_SECURED,
    LINK_UNSECURED,
    LINK_FRAME,
    LINK_WRITABLE,
    LINK_DOWN
};

// What the owner takes from the mailbox and frees with link_letter_free.
struct link_letter {
    struct letter letter;
    enum link_letter_kind kind;
    struct link *link; // of KNOCKED, SECURED, UNSECURED, FRAME, WRITABLE, DOWN
    struct dial *dial; // of DIALED
    // of ACCEPTED, and of DIALED when it succeeded: hand it to link_new or link_discard, or it leaks
    struct nng_stream *stream;
    struct frame_header header; // of FRAME
    uint8_t *body;              // of FRAME: header.len bytes, that live as long as the letter
    // of DOWN, UNSECURED, ACCEPT_FAILED and a DIALED that failed; lives as long as the letter
    const char *reason;
    char *text;       // what `reason` points to, when it is not static
    bool is_consumed; // of FRAME: link_consumed was called
};
void link_letter_free(struct link_letter *letter);

// Gives back a stream that was accepted but is not wanted.
void link_discard(struct nng_stream *stream);

// Takes the stream over and starts to receive what `peer` may send.
struct link *link_new(struct nng_stream *stream, struct mailbox *mailbox, enum message_sender peer);
// The same in a cover, which is taken over; NULL = none. `senders`: of LINK_FROM.
struct link *link_new_covered(struct nng_stream *stream, struct mailbox *mailbox, unsigned senders,
                              struct cover *cover);
// The same, but what comes is not looked at before link_admit: LINK_KNOCKED says, once, that something came.
// So its owner bounds how many handshakes there are at a time.
struct link *link_new_held(struct nng_stream *stream, struct mailbox *mailbox, unsigned senders);
// Once, after LINK_KNOCKED. The cover is taken over.
void link_admit(struct link *link, struct cover *cover);
// After LINK_DOWN was taken; never earlier.
void link_free(struct link *link);
// Returns at once; LINK_DOWN follows. Repeating is harmless.
void link_close(struct link *link, const char *reason);

// Queues a frame; on a closed link it is dropped.
void link_send(struct link *link, uint16_t number, uint64_t conversation, struct bytes body);
// The same, unless that would make the queue longer than so many bytes: then, and on a closed link, false.
// LINK_WRITABLE follows once a queue that had no room has a quarter of that, or less.
bool link_send_within(struct link *link, uint16_t number, uint64_t conversation, struct bytes body,
                      size_t queue_bytes_max);
size_t link_queue_bytes(struct link *link);
// Taken by the stream since the link began, as the cover made them.
uint64_t link_sent_bytes(struct link *link);
// Given by the stream since then.
uint64_t link_received_bytes(struct link *link);
// This frame was taken from the mailbox and dealt with: there is room for another. Repeating is harmless.
void link_consumed(struct link_letter *frame);
// The peer has said who it is: frames may have the size that their rows allow.
void link_trust(struct link *link);
// From now on only these may speak. What came before may still arrive.
void link_narrow(struct link *link, unsigned senders);
// Who the other side is, by its certificate: after LINK_SECURED, until link_free. NULL: it has shown none,
// or the link has no cover.
const struct identity *link_identity(const struct link *link);
// Credentials of the peer, from the kernel. False when the stream has none.
bool link_peer(struct link *link, uint32_t *out_uid, uint32_t *out_pid);

// The network address of the peer; an IPv4 address is mapped into IPv6. False when the stream has none.
bool link_remote(struct link *link, uint8_t out[16]);

void *link_owner(const struct link *link);
void link_set_owner(struct link *link, void *owner);

// --- making connections ---

struct listener;
// "ipc:///path" or "tcp://ADDRESS:PORT" (port 0: any that is free). Accepted streams arrive as
// LINK_ACCEPTED. After LINK_ACCEPT_FAILED (out of descriptors) accepting rests until listener_resume.
int listener_open(const char *url, struct mailbox *mailbox, struct listener **out, struct error *err);
void listener_resume(struct listener *listener);
// Accepts no more than so many, counted from the beginning; the kernel keeps those that come then. At first
// there is no limit.
void listener_limit(struct listener *listener, uint64_t accepted_max);
int listener_port(const struct listener *listener); // of tcp; else 0
void listener_close(struct listener *listener);     // waits for the accept in flight
// Blocks at most timeout_ms; a listener whose queue is full is tried again until then.
int link_dial(const char *url, int64_t timeout_ms, struct mailbox *mailbox, enum message_sender peer,
              struct link **out, struct error *err);

// Connects without waiting: exactly one LINK_DIALED follows, whatever happens. -ERR_INVALID: no such URL.
int dial_start(const char *url, struct mailbox *mailbox, void *owner, struct dial **out, struct error *err);
void dial_cancel(struct dial *dial); // returns at once; LINK_DIALED comes soon. Repeating is harmless
void dial_free(struct dial *dial);   // after LINK_DIALED was taken; never earlier
void *dial_owner(const struct dial *dial);

#endif
