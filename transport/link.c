// SPDX-License-Identifier: Apache-2.0
//
// transport/link.c — the two halves of a link: a receiving aio that assembles frames, a sending aio that
// empties a queue; between them and the stream a cover, where there is one.
//
// The cover is called under the link's lock: by nng's thread for what comes, mostly by it too for what
// goes, and by the owner for a frame that finds the link idle. What waits for sending stays plain until the
// stream is free, so that the queue's bounds hold and small frames share a record.
#include "transport/link.h"

#include <nng/nng.h>
#include <string.h>

#include "base/mem.h"

// Many small frames arrive in one read; larger bodies go straight into their own memory. Never full when a
// read is submitted: after parsing it holds less than a header, or reading rests (a read of no room would
// look like the end of the stream to nng).
#define INBOX_BYTES 4096

// Small frames share a piece, so that a burst is few sends: each costs the kernel and nng far more than
// copying does. A frame that finds the link idle goes alone, at once.
#define PIECE_BYTES (16 * KIB)
#define SHARED_FRAME_BYTES_MAX (4 * KIB)

// Of a link with a cover: what one read of the stream may bring, little until a read has filled that: most
// links say little, and there are thousands of them; and what is put into the cover at once.
#define STREAM_BYTES_FIRST (4 * KIB)
#define STREAM_BYTES (32 * KIB)
#define COVERED_BYTES_MAX (64 * KIB)

struct outgoing {
    struct list_node node;
    size_t capacity;
    size_t len; // may grow while the first part is being sent
    size_t sent;
    uint8_t bytes[];
};

struct link {
    nng_stream *stream;
    nng_aio *receive_aio;
    nng_aio *send_aio;
    struct mailbox *mailbox;
    void *owner;

    pthread_mutex_t lock; // guards all below
    bool closed;
    bool receiving, sending; // an aio is with nng
    bool down_posted;
    bool is_trusted;
    unsigned senders; // of LINK_FROM
    const char *reason;
    char *failure; // the same, when it is not static
    unsigned frames_ahead;
    size_t bytes_ahead;
    bool receive_paused;
    struct list queue; // of struct outgoing
    size_t queue_bytes;
    uint64_t sent_bytes, received_bytes;
    bool was_full;
    size_t low_bytes; // the queue is writable again

    uint8_t inbox[INBOX_BYTES];
    size_t inbox_len;
    struct link_letter *partial; // frame whose body is coming
    size_t partial_len;

    struct cover *cover;        // NULL = none: all below is unused
    bool is_secured;            // its handshake is done
    bool is_muffled;            // its handshake has failed: what comes is thrown away
    bool is_held;               // not admitted yet
    size_t held_bytes;          // that came meanwhile
    uint8_t *stream_bytes;      // as they came
    size_t stream_room;         // of them
    bool is_stream_filled;      // by the last read
    struct buf covered;         // is being sent
    size_t covered_sent;        // of it
    size_t covered_plain_bytes; // that went into it
};

static struct link_letter *letter_new(enum link_letter_kind kind, struct link *link) {
    struct link_letter *letter = NEW(struct link_letter);
    letter->kind = kind;
    letter->link = link;
    return letter;
}

// One piece of memory for letter and body.
static struct link_letter *frame_letter_new(struct link *link, const struct frame_header *header) {
    struct link_letter *letter = xmalloc(sizeof *letter + header->len + 1);
    *letter = (struct link_letter){
        .kind = LINK_FRAME, .link = link, .header = *header, .body = (uint8_t *)(letter + 1)};
    return letter;
}

void link_letter_free(struct link_letter *letter) {
    if (letter != NULL) {
        xfree(letter->text);
        xfree(letter);
    }
}

static void link_post_reason(struct link *link, enum link_letter_kind kind, const char *reason, char *text) {
    struct link_letter *letter = letter_new(kind, link);
    letter->reason = text != NULL ? text : reason;
    letter->text = text;
    mailbox_post(link->mailbox, &letter->letter);
}

// Called with the lock held; says whether LINK_DOWN is to be posted now, by the caller, after unlocking.
static bool link_is_finished(struct link *link) {
    if (!link->closed || link->receiving || link->sending || link->down_posted) {
        return false;
    }
    link->down_posted = true;
    return true;
}

static void link_post_down(struct link *link) {
    link_post_reason(link, LINK_DOWN, link->reason, TAKE(link->failure));
}

static void link_close_locked(struct link *link, const char *reason) {
    if (!link->closed) {
        link->closed = true;
        link->reason = reason;
        nng_stream_close(link->stream);
    }
}

void link_close(struct link *link, const char *reason) {
    pthread_mutex_lock(&link->lock);
    link_close_locked(link, reason);
    bool finished = link_is_finished(link);
    pthread_mutex_unlock(&link->lock);
    if (finished) {
        link_post_down(link);
    }
}

static void link_fail_locked(struct link *link, const char *failure) {
    if (!link->closed) {
        link->failure = xstrdup(failure);
        link_close_locked(link, NULL);
    }
}

// --- receiving ---

// Where the next bytes of frames go.
static nng_iov link_room(struct link *link) {
    if (link->partial != NULL) {
        return (nng_iov){.iov_buf = link->partial->body + link->partial_len,
                         .iov_len = link->partial->header.len - link->partial_len};
    }
    return (nng_iov){.iov_buf = link->inbox + link->inbox_len, .iov_len = INBOX_BYTES - link->inbox_len};
}

// The cover has used up what it was lent.
static nng_iov link_stream_room(struct link *link) {
    if (link->is_stream_filled && link->stream_room < STREAM_BYTES) {
        xfree(link->stream_bytes);
        link->stream_room = STREAM_BYTES;
        link->stream_bytes = xmalloc(link->stream_room);
    }
    return (nng_iov){.iov_buf = link->stream_bytes, .iov_len = link->stream_room};
}

static void link_receive_locked(struct link *link) {
    nng_iov iov = link->stream_bytes != NULL ? link_stream_room(link) : link_room(link);
    link->receiving = true;
    nng_aio_set_iov(link->receive_aio, 1, &iov);
    nng_stream_recv(link->stream, link->receive_aio);
}

static const char *link_refuse(const struct link *link, const struct frame_header *header) {
    const struct message_row *row = message_row(header->number);
    if (row == NULL) {
        return "unknown message";
    }
    if (header->flags != 0) {
        return "unknown flags";
    }
    if ((link->senders & LINK_FROM(row->sender)) == 0) {
        return "message from the wrong side";
    }
    uint32_t bytes_max = row->bytes_max;
    if (!link->is_trusted && bytes_max > LINK_UNTRUSTED_BYTES_MAX) {
        bytes_max = LINK_UNTRUSTED_BYTES_MAX;
    }
    return header->len > bytes_max ? "message over its size limit" : NULL;
}

static bool link_is_ahead(const struct link *link) {
    return link->frames_ahead >= LINK_FRAMES_AHEAD || link->bytes_ahead >= LINK_BYTES_AHEAD;
}

static void link_deliver(struct link *link, struct link_letter *letter) {
    link->frames_ahead++;
    link->bytes_ahead += letter->header.len;
    mailbox_post(link->mailbox, &letter->letter);
}

// Takes whole frames out of the inbox, as many as the owner has room for; a body that is not complete
// becomes the partial frame. Returns why the link must close, or NULL.
static const char *link_parse(struct link *link) {
    size_t at = 0;
    const char *refusal = NULL;
    while (link->partial == NULL && !link_is_ahead(link) && link->inbox_len - at >= FRAME_HEADER_BYTES) {
        struct frame_header header;
        frame_header_decode(link->inbox + at, &header);
        refusal = link_refuse(link, &header);
        if (refusal != NULL) {
            break;
        }
        at += FRAME_HEADER_BYTES;
        struct link_letter *letter = frame_letter_new(link, &header);
        size_t have = link->inbox_len - at < header.len ? link->inbox_len - at : header.len;
        memcpy(letter->body, link->inbox + at, have);
        at += have;
        if (have == header.len) {
            link_deliver(link, letter);
        } else {
            link->partial = letter;
            link->partial_len = have;
        }
    }
    link->inbox_len -= at;
    memmove(link->inbox, link->inbox + at, link->inbox_len);
    return refusal;
}

static void link_take_bytes(struct link *link, size_t count) {
    if (link->partial == NULL) {
        link->inbox_len += count;
        return;
    }
    link->partial_len += count;
    if (link->partial_len == link->partial->header.len) {
        link_deliver(link, TAKE(link->partial));
    }
}

static void link_flush_locked(struct link *link);

// Before any frame: the owner knows who speaks before it sees what is said.
static void link_secured_locked(struct link *link) {
    link->is_secured = true;
    mailbox_post(link->mailbox, &letter_new(LINK_SECURED, link)->letter);
}

// What the cover still gives tells the other side why.
static void link_cover_failed_locked(struct link *link, const char *failure) {
    if (link->is_secured) {
        link_fail_locked(link, failure);
        return;
    }
    link->is_muffled = true;
    link_post_reason(link, LINK_UNSECURED, NULL, xstrdup(failure));
}

// Takes plain bytes out of the cover. False: it has none without more of the stream.
static bool link_uncover_locked(struct link *link) {
    if (link->cover == NULL || link->is_muffled) {
        return false;
    }
    struct error err = {0};
    nng_iov room = link_room(link);
    ssize_t count = link->cover->ops->read(link->cover, room.iov_buf, room.iov_len, &err);
    if (!link->is_secured && link->cover->ops->is_ready(link->cover)) {
        link_secured_locked(link);
    }
    if (count < 0) {
        link_cover_failed_locked(link, err.root);
    }
    link_flush_locked(link); // the handshake, or what waited for its end
    if (count > 0) {
        link_take_bytes(link, (size_t)count);
    }
    return count > 0;
}

// Delivers what there is room for, then rests or reads on.
static void link_proceed_locked(struct link *link) {
    do {
        const char *refusal = link_parse(link);
        if (refusal != NULL) {
            link_close_locked(link, refusal);
            return;
        }
        link->receive_paused = link_is_ahead(link);
    } while (!link->receive_paused && link_uncover_locked(link));
    if (!link->receive_paused && !link->closed) {
        link_receive_locked(link);
    }
}

static void link_take_stream_locked(struct link *link, size_t count) {
    link->received_bytes += count;
    link->is_stream_filled = count == link->stream_room;
    if (link->cover == NULL) {
        link_take_bytes(link, count);
    } else if (!link->is_muffled) {
        link->cover->ops->lend(link->cover, link->stream_bytes, count);
    }
}

static void link_knock_locked(struct link *link, size_t count) {
    link->received_bytes += count;
    link->held_bytes = count;
    mailbox_post(link->mailbox, &letter_new(LINK_KNOCKED, link)->letter);
}

static void link_received_locked(struct link *link, size_t count) {
    if (link->is_held) {
        link_knock_locked(link, count);
        return;
    }
    link_take_stream_locked(link, count);
    link_proceed_locked(link);
}

static void link_on_received(void *context) {
    struct link *link = context;
    int rc = nng_aio_result(link->receive_aio);

    pthread_mutex_lock(&link->lock);
    link->receiving = false;
    if (rc != 0) {
        link_close_locked(link, nng_strerror(rc));
    } else if (!link->closed) {
        link_received_locked(link, nng_aio_count(link->receive_aio));
    }
    bool finished = link_is_finished(link);
    pthread_mutex_unlock(&link->lock);
    if (finished) {
        link_post_down(link);
    }
}

void link_admit(struct link *link, struct cover *cover) {
    pthread_mutex_lock(&link->lock);
    ASSERT(link->is_held && link->held_bytes > 0);
    link->is_held = false;
    link->cover = cover;
    if (!link->closed) {
        link->received_bytes -= link->held_bytes; // it is counted as it is taken
        link_take_stream_locked(link, link->held_bytes);
        link_proceed_locked(link);
    }
    bool finished = link_is_finished(link);
    pthread_mutex_unlock(&link->lock);
    if (finished) {
        link_post_down(link);
    }
}

void link_consumed(struct link_letter *frame) {
    struct link *link = frame->link;
    if (frame->is_consumed) {
        return;
    }
    frame->is_consumed = true;
    pthread_mutex_lock(&link->lock);
    ASSERT(frame->kind == LINK_FRAME && link->frames_ahead > 0 && link->bytes_ahead >= frame->header.len);
    link->frames_ahead--;
    link->bytes_ahead -= frame->header.len;
    if (link->receive_paused && !link->closed && link->frames_ahead < LINK_FRAMES_AHEAD / 2 &&
        link->bytes_ahead < LINK_BYTES_AHEAD / 2) {
        link_proceed_locked(link);
    }
    bool finished = link_is_finished(link);
    pthread_mutex_unlock(&link->lock);
    if (finished) {
        link_post_down(link);
    }
}

void link_narrow(struct link *link, unsigned senders) {
    pthread_mutex_lock(&link->lock);
    link->senders = senders;
    pthread_mutex_unlock(&link->lock);
}

void link_trust(struct link *link) {
    pthread_mutex_lock(&link->lock);
    link->is_trusted = true;
    pthread_mutex_unlock(&link->lock);
}

// --- sending ---

// Takes plain bytes from the head of the queue, at most that many.
static size_t link_cover_piece_locked(struct link *link, size_t bytes_max, struct error *err) {
    struct outgoing *out = LIST_ENTRY(list_first(&link->queue), struct outgoing, node);
    size_t bytes = out->len - out->sent < bytes_max ? out->len - out->sent : bytes_max;
    if (link->cover->ops->write(link->cover, out->bytes + out->sent, bytes, err) < 0) {
        return 0;
    }
    out->sent += bytes;
    if (out->sent == out->len) {
        list_remove(&out->node);
        xfree(out);
    }
    return bytes;
}

// Puts what is next into the cover, and takes what it gives for the stream.
static void link_cover_locked(struct link *link) {
    struct error err = {0};
    while (link->is_secured && !list_is_empty(&link->queue) &&
           link->covered_plain_bytes < COVERED_BYTES_MAX) {
        size_t bytes = link_cover_piece_locked(link, COVERED_BYTES_MAX - link->covered_plain_bytes, &err);
        if (bytes == 0) {
            link_fail_locked(link, err.root);
            return;
        }
        link->covered_plain_bytes += bytes;
    }
    link->covered = link->cover->ops->give(link->cover);
}

// What the stream is given next; of no length when there is nothing.
static nng_iov link_next_locked(struct link *link) {
    if (link->cover != NULL) {
        if (link->covered_sent == link->covered.len) {
            link_cover_locked(link);
        }
        return (nng_iov){.iov_buf = link->covered.data + link->covered_sent,
                         .iov_len = link->covered.len - link->covered_sent};
    }
    if (list_is_empty(&link->queue)) {
        return (nng_iov){0};
    }
    struct outgoing *out = LIST_ENTRY(list_first(&link->queue), struct outgoing, node);
    return (nng_iov){.iov_buf = out->bytes + out->sent, .iov_len = out->len - out->sent};
}

// Sends, when nothing is being sent and there is something.
static void link_flush_locked(struct link *link) {
    if (link->sending || link->closed) {
        return;
    }
    nng_iov iov = link_next_locked(link);
    if (iov.iov_len > 0 && !link->closed) {
        link->sending = true;
        nng_aio_set_iov(link->send_aio, 1, &iov);
        nng_stream_send(link->stream, link->send_aio);
    }
}

static void link_sent_covered_locked(struct link *link, size_t count) {
    link->covered_sent += count;
    if (link->covered_sent == link->covered.len) {
        link->queue_bytes -= link->covered_plain_bytes;
        buf_free(&link->covered);
        link->covered_sent = link->covered_plain_bytes = 0;
    }
}

static void link_sent_locked(struct link *link, size_t count) {
    link->sent_bytes += count;
    if (link->cover != NULL) {
        link_sent_covered_locked(link, count);
        return;
    }
    struct outgoing *out = LIST_ENTRY(list_first(&link->queue), struct outgoing, node);
    out->sent += count;
    link->queue_bytes -= count;
    if (out->sent == out->len) {
        list_remove(&out->node);
        xfree(out);
    }
}

static void link_on_sent(void *context) {
    struct link *link = context;
    int rc = nng_aio_result(link->send_aio);
    bool writable = false;

    pthread_mutex_lock(&link->lock);
    link->sending = false;
    if (rc != 0) {
        link_close_locked(link, nng_strerror(rc));
    } else {
        link_sent_locked(link, nng_aio_count(link->send_aio));
        link_flush_locked(link);
        writable = link->was_full && link->queue_bytes <= link->low_bytes && !link->closed;
        if (writable) {
            link->was_full = false;
            // Posted under the lock: after LINK_DOWN nothing may follow, and DOWN is decided under the same
            // lock.
            mailbox_post(link->mailbox, &letter_new(LINK_WRITABLE, link)->letter);
        }
    }
    bool finished = link_is_finished(link);
    pthread_mutex_unlock(&link->lock);
    if (finished) {
        link_post_down(link);
    }
}

void link_send(struct link *link, uint16_t number, uint64_t conversation, struct bytes body) {
    (void)link_send_within(link, number, conversation, body, SIZE_MAX);
}

static struct outgoing *outgoing_new(size_t capacity) {
    struct outgoing *out = xmalloc(sizeof *out + capacity);
    *out = (struct outgoing){.capacity = capacity};
    return out;
}

static void outgoing_add(struct outgoing *out, const struct frame_header *header, const uint8_t *body) {
    frame_header_encode(header, out->bytes + out->len);
    if (header->len > 0) {
        memcpy(out->bytes + out->len + FRAME_HEADER_BYTES, body, header->len);
    }
    out->len += FRAME_HEADER_BYTES + header->len;
}

// A piece at the end of the queue with room for that many bytes.
static struct outgoing *link_piece_locked(struct link *link, size_t bytes) {
    if (!list_is_empty(&link->queue)) {
        struct outgoing *last = LIST_ENTRY(link->queue.head.prev, struct outgoing, node);
        if (last->capacity - last->len >= bytes) {
            return last;
        }
    }
    struct outgoing *piece = outgoing_new(link->sending ? PIECE_BYTES : bytes);
    list_append(&link->queue, &piece->node);
    return piece;
}

static void link_was_full_locked(struct link *link, size_t low_bytes) {
    link->was_full = true;
    link->low_bytes = low_bytes;
}

bool link_send_within(struct link *link, uint16_t number, uint64_t conversation, struct bytes body,
                      size_t queue_bytes_max) {
    ASSERT(body.len <= FRAME_BYTES_MAX);
    struct frame_header header = {.len = (uint32_t)body.len, .number = number, .conversation = conversation};
    size_t bytes = FRAME_HEADER_BYTES + body.len;
    struct outgoing *alone = NULL;
    if (bytes > SHARED_FRAME_BYTES_MAX) { // copied without holding up nng's threads
        alone = outgoing_new(bytes);
        outgoing_add(alone, &header, body.data);
    }
    pthread_mutex_lock(&link->lock);
    if (link->closed || bytes > queue_bytes_max || link->queue_bytes > queue_bytes_max - bytes) {
        link_was_full_locked(link, queue_bytes_max / 4);
        pthread_mutex_unlock(&link->lock);
        xfree(alone);
        return false;
    }
    if (alone != NULL) {
        list_append(&link->queue, &alone->node);
    } else {
        outgoing_add(link_piece_locked(link, bytes), &header, body.data);
    }
    link->queue_bytes += bytes;
    if (link->queue_bytes >= LINK_QUEUE_BYTES_MAX) {
        link_was_full_locked(link, LINK_QUEUE_LOW_BYTES);
    }
    link_flush_locked(link);
    bool finished = link_is_finished(link);
    pthread_mutex_unlock(&link->lock);
    if (finished) {
        link_post_down(link);
    }
    return true;
}

uint64_t link_sent_bytes(struct link *link) {
    pthread_mutex_lock(&link->lock);
    uint64_t bytes = link->sent_bytes;
    pthread_mutex_unlock(&link->lock);
    return bytes;
}

uint64_t link_received_bytes(struct link *link) {
    pthread_mutex_lock(&link->lock);
    uint64_t bytes = link->received_bytes;
    pthread_mutex_unlock(&link->lock);
    return bytes;
}

size_t link_queue_bytes(struct link *link) {
    pthread_mutex_lock(&link->lock);
    size_t bytes = link->closed ? 0 : link->queue_bytes;
    pthread_mutex_unlock(&link->lock);
    return bytes;
}

// --- life ---

void link_discard(struct nng_stream *stream) {
    nng_stream_close(stream);
    nng_stream_free(stream);
}

struct link *link_new(struct nng_stream *stream, struct mailbox *mailbox, enum message_sender peer) {
    return link_new_covered(stream, mailbox, LINK_FROM(peer), NULL);
}

static struct link *link_make(struct nng_stream *stream, struct mailbox *mailbox, unsigned senders,
                              bool is_covered) {
    struct link *link = NEW(struct link);
    link->stream_room = is_covered ? STREAM_BYTES_FIRST : 0;
    link->stream_bytes = is_covered ? xmalloc(link->stream_room) : NULL;
    link->stream = stream;
    link->mailbox = mailbox;
    link->senders = senders;
    pthread_mutex_init(&link->lock, NULL);
    list_init(&link->queue);
    int rc = nng_aio_alloc(&link->receive_aio, link_on_received, link);
    rc = rc != 0 ? rc : nng_aio_alloc(&link->send_aio, link_on_sent, link);
    ASSERT(rc == 0); // fails only without memory
    return link;
}

struct link *link_new_covered(struct nng_stream *stream, struct mailbox *mailbox, unsigned senders,
                              struct cover *cover) {
    struct link *link = link_make(stream, mailbox, senders, cover != NULL);
    pthread_mutex_lock(&link->lock);
    link->cover = cover;
    link_proceed_locked(link); // the handshake of who dialed begins
    bool finished = link_is_finished(link);
    pthread_mutex_unlock(&link->lock);
    if (finished) {
        link_post_down(link);
    }
    return link;
}

struct link *link_new_held(struct nng_stream *stream, struct mailbox *mailbox, unsigned senders) {
    struct link *link = link_make(stream, mailbox, senders, /*is_covered=*/true);
    pthread_mutex_lock(&link->lock);
    link->is_held = true;
    link_receive_locked(link);
    pthread_mutex_unlock(&link->lock);
    return link;
}

void link_free(struct link *link) {
    ASSERT(link->closed && link->down_posted);
    nng_aio_free(link->receive_aio); // waits for a callback that is just returning
    nng_aio_free(link->send_aio);
    nng_stream_free(link->stream);
    LIST_EACH(node, &link->queue) {
        list_remove(node);
        xfree(LIST_ENTRY(node, struct outgoing, node));
    }
    link_letter_free(link->partial);
    if (link->cover != NULL) {
        link->cover->ops->free(link->cover);
    }
    xfree(link->stream_bytes);
    buf_free(&link->covered);
    pthread_mutex_destroy(&link->lock);
    xfree(link);
}

const struct identity *link_identity(const struct link *link) {
    return link->cover != NULL ? link->cover->ops->peer(link->cover) : NULL;
}

bool link_peer(struct link *link, uint32_t *out_uid, uint32_t *out_pid) {
    uint64_t uid;
    uint64_t pid;
    if (nng_stream_get_uint64(link->stream, NNG_OPT_IPC_PEER_UID, &uid) != 0 ||
        nng_stream_get_uint64(link->stream, NNG_OPT_IPC_PEER_PID, &pid) != 0) {
        return false;
    }
    *out_uid = (uint32_t)uid;
    *out_pid = (uint32_t)pid;
    return true;
}

bool link_remote(struct link *link, uint8_t out[16]) {
    nng_sockaddr address;
    if (nng_stream_get_addr(link->stream, NNG_OPT_REMADDR, &address) != 0) {
        return false;
    }
    if (address.s_family == NNG_AF_INET6) {
        memcpy(out, address.s_in6.sa_addr, 16);
        return true;
    }
    static const uint8_t mapped[12] = {[10] = 0xFF, [11] = 0xFF};
    memcpy(out, mapped, sizeof mapped);
    memcpy(out + 12, &address.s_in.sa_addr, 4);
    return address.s_family == NNG_AF_INET;
}

void *link_owner(const struct link *link) {
    return link->owner;
}

void link_set_owner(struct link *link, void *owner) {
    link->owner = owner;
}
