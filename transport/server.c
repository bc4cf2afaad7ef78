// SPDX-License-Identifier: Apache-2.0
//
// transport/server.c — sessions of local clients: hello first, then requests by the message table, answers
// with back-pressure.
//
// Model        A session is a link plus its open conversations. A session that breaks a rule is told why
//              (FAILURE on conversation 0); then the peer has LINGER_MS to read that and hang up. We do not
//              hang up first: with bytes of the peer still unread, the kernel would let it see an error
//              instead of our reason.
// Ownership    Sessions live from LINK_ACCEPTED to LINK_DOWN; conversations from their request to done,
//              fail, cancel or the end of the session.
// Limits       LINKS_MAX sessions, CONVERSATIONS_MAX each, HELLO_DEADLINE_MS before hello.
#include "transport/server.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "transport/link.h"

#define CONVERSATIONS_MAX 64
#define LINGER_MS 1000
// sun_path is 108 bytes with its NUL.
#define SOCKET_PATH_BYTES_MAX 107

struct session {
    struct list_node node; // in server.sessions
    struct server *server;
    struct link *link;
    uint32_t uid, pid;
    bool is_greeted, is_stale;
    bool is_ending;           // told why; what it still says is not heard
    int64_t deadline_mono_ms; // of its hello; of its hanging up when it is ending
    struct list conversations;
    unsigned conversation_count;
};

struct conversation {
    struct list_node node; // in session.conversations
    struct session *session;
    uint64_t number;
    bool is_told;   // that its link is writable again, in this round
    bool is_failed; // an answer was too large to send: the rest is not sent either
    void *state;
};

struct server {
    struct server_options options;
    struct arena strings; // of options.welcome
    struct mailbox mailbox;
    struct listener *listener;
    struct list sessions;
    unsigned session_count;
    bool accept_rests;
    bool is_closing;
};

// --- sending ---

// False when the message is larger than its row allows.
static bool session_send(struct session *session, uint64_t conversation, uint16_t number,
                         const void *payload) {
    const struct message_row *row = message_row(number);
    ASSERT(row != NULL && row->sender == SENDER_SERVER);
    AUTO_BUF body = buf_make(row->bytes_max);
    wire_encode(row->payload, payload, &body);
    if (body.overflow) {
        return false;
    }
    link_send(session->link, number, conversation, buf_bytes(&body));
    return true;
}

// What does not fit a FAILURE is left out.
static struct strings fitting_details(const struct strings *details) {
    struct strings fitting = *details;
    size_t bytes = 4 * KIB;
    for (fitting.count = 0; fitting.count < details->count; fitting.count++) {
        bytes += strlen(details->items[fitting.count]) + 8;
        if (bytes > message_row(MESSAGE_FAILURE)->bytes_max) {
            break;
        }
    }
    return fitting;
}

static void session_send_failure(struct session *session, uint64_t conversation, const struct error *err,
                                 const struct strings *details) {
    char text[1200];
    struct failure failure;
    schema_init(&failure_schema, &failure);
    if (details != NULL) {
        failure.details = fitting_details(details);
    }
    failure.code = error_code_name((int)err->code);
    failure.text = error_text(err, text, sizeof text);
    bool fits = session_send(session, conversation, MESSAGE_FAILURE, &failure);
    ASSERT(fits);
}

static void conversation_free(struct conversation *conversation) {
    list_remove(&conversation->node);
    conversation->session->conversation_count--;
    xfree(conversation);
}

static void session_close_conversations(struct session *session) {
    const struct server_callbacks *callbacks = &session->server->options.callbacks;
    while (!list_is_empty(&session->conversations)) {
        struct conversation *conversation =
            LIST_ENTRY(list_first(&session->conversations), struct conversation, node);
        callbacks->on_closed(callbacks->context, conversation);
        conversation_free(conversation);
    }
}

static void session_end(struct session *session, const struct error *err) {
    session_close_conversations(session);
    session_send_failure(session, 0, err, /*details=*/NULL);
    session->is_ending = true;
    session->deadline_mono_ms = clock_mono_ms() + LINGER_MS;
}

static void session_refuse(struct session *session, enum error_code code, const char *text) {
    struct error err = {0};
    error_set(&err, code, "%s", text);
    log_failure(LOG_WARN, "link.refused", &err, LOG_INT("uid", session->uid), LOG_INT("pid", session->pid));
    session_end(session, &err);
}

// A daemon that would die of an answer it cannot send serves nobody: the asker is told instead.
static void conversation_too_large(struct conversation *conversation, uint16_t number) {
    struct error err = {0};
    error_set(&err, ERR_LIMIT, "the answer is over the limit of %u bytes: ask for less at once",
              message_row(number)->bytes_max);
    log_failure(LOG_ERROR, "link.answer", &err, LOG_STR("message", message_row(number)->name));
    session_send_failure(conversation->session, conversation->number, &err, /*details=*/NULL);
    conversation->is_failed = true;
}

bool server_send(struct conversation *conversation, uint16_t number, const void *payload) {
    if (!conversation->is_failed &&
        !session_send(conversation->session, conversation->number, number, payload)) {
        conversation_too_large(conversation, number);
    }
    return server_is_writable(conversation);
}

bool server_is_writable(const struct conversation *conversation) {
    return link_queue_bytes(conversation->session->link) < LINK_QUEUE_BYTES_MAX;
}

void server_done(struct conversation *conversation, int64_t revision) {
    struct done done;
    schema_init(&done_schema, &done);
    done.revision = revision;
    (void)server_send(conversation, MESSAGE_DONE, &done);
    conversation_free(conversation);
}

void server_fail(struct conversation *conversation, const struct error *err) {
    server_fail_with(conversation, err, /*details=*/NULL);
}

void server_fail_with(struct conversation *conversation, const struct error *err,
                      const struct strings *details) {
    if (!conversation->is_failed) {
        session_send_failure(conversation->session, conversation->number, err, details);
    }
    conversation_free(conversation);
}

void *conversation_state(const struct conversation *conversation) {
    return conversation->state;
}

void conversation_set_state(struct conversation *conversation, void *state) {
    conversation->state = state;
}

// --- requests ---

static struct conversation *session_find(struct session *session, uint64_t number) {
    LIST_EACH(node, &session->conversations) {
        struct conversation *conversation = LIST_ENTRY(node, struct conversation, node);
        if (conversation->number == number) {
            return conversation;
        }
    }
    return NULL;
}

static void session_on_hello(struct session *session, const struct hello *hello) {
    if (session->is_greeted) {
        session_refuse(session, ERR_INVALID, "a second hello");
        return;
    }
    if (hello->version_min > PROTOCOL_VERSION || hello->version_max < PROTOCOL_VERSION_MIN) {
        char text[160];
        snprintf(text, sizeof text,
                 "the client speaks protocol %lld to %lld, this daemon (%s) %d to %d: update the older one",
                 (long long)hello->version_min, (long long)hello->version_max, MUSTER_VERSION,
                 PROTOCOL_VERSION_MIN, PROTOCOL_VERSION);
        session_refuse(session, ERR_UNSUPPORTED, text);
        return;
    }
    session->is_greeted = true;
    session->is_stale = hello->is_stale;
    link_trust(session->link);
    struct welcome welcome = session->server->options.welcome;
    welcome.version = hello->version_max < PROTOCOL_VERSION ? hello->version_max : PROTOCOL_VERSION;
    bool fits = session_send(session, 0, MESSAGE_WELCOME, &welcome);
    ASSERT(fits);
}

static void session_on_request(struct session *session, const struct frame_header *header,
                               const void *payload) {
    if (header->conversation == 0 || session_find(session, header->conversation) != NULL) {
        session_refuse(session, ERR_INVALID, "conversation number is 0 or in use");
        return;
    }
    if (session->conversation_count >= CONVERSATIONS_MAX) {
        session_refuse(session, ERR_LIMIT, "too many requests at once on one link");
        return;
    }
    struct conversation *conversation = NEW(struct conversation);
    conversation->session = session;
    conversation->number = header->conversation;
    list_append(&session->conversations, &conversation->node);
    session->conversation_count++;
    const struct server_callbacks *callbacks = &session->server->options.callbacks;
    callbacks->on_request(callbacks->context, &(struct server_request){.conversation = conversation,
                                                                       .number = header->number,
                                                                       .payload = payload,
                                                                       .peer_uid = session->uid,
                                                                       .peer_pid = session->pid,
                                                                       .is_stale = session->is_stale});
}

static void session_on_cancel(struct session *session, uint64_t number) {
    struct conversation *conversation = session_find(session, number);
    if (conversation != NULL) {
        const struct server_callbacks *callbacks = &session->server->options.callbacks;
        callbacks->on_closed(callbacks->context, conversation);
        conversation_free(conversation);
    }
}

static void session_on_frame(struct session *session, const struct link_letter *letter) {
    if (session->is_ending) {
        return;
    }
    const struct message_row *row = message_row(letter->header.number);
    AUTO_ARENA arena = arena_make(0);
    struct error err = {0};
    void *payload = arena_alloc(&arena, row->payload->bytes);
    struct bytes body = {.data = letter->body, .len = letter->header.len};
    if (wire_decode(row->payload, body, payload, &arena, &err) < 0) {
        session_refuse(session, ERR_INVALID, err.root);
    } else if (letter->header.number == MESSAGE_HELLO) {
        session_on_hello(session, payload);
    } else if (!session->is_greeted) {
        session_refuse(session, ERR_INVALID, "a request before hello");
    } else if (letter->header.number == MESSAGE_CANCEL) {
        session_on_cancel(session, letter->header.conversation);
    } else {
        session_on_request(session, &letter->header, payload);
    }
}

// --- sessions ---

static void server_on_accepted(struct server *server, struct nng_stream *stream) {
    if (server->is_closing) {
        link_discard(stream);
        return;
    }
    struct session *session = NEW(struct session);
    session->server = server;
    session->link = link_new(stream, &server->mailbox, SENDER_CLIENT);
    session->deadline_mono_ms = clock_mono_ms() + HELLO_DEADLINE_MS;
    list_init(&session->conversations);
    list_append(&server->sessions, &session->node);
    server->session_count++;
    link_set_owner(session->link, session);
    if (!link_peer(session->link, &session->uid, &session->pid) ||
        (session->uid != 0 && session->uid != geteuid())) {
        session_refuse(session, ERR_DENIED, "only root may talk to this daemon: use sudo");
    } else if (server->session_count > LINKS_MAX) {
        session_refuse(session, ERR_BUSY, "too many clients at once: try again");
    }
}

static void server_on_down(struct server *server, struct session *session) {
    session_close_conversations(session);
    list_remove(&session->node);
    server->session_count--;
    link_free(session->link);
    xfree(session);
}

static struct conversation *session_find_untold(struct session *session) {
    LIST_EACH(node, &session->conversations) {
        struct conversation *conversation = LIST_ENTRY(node, struct conversation, node);
        if (!conversation->is_told) {
            return conversation;
        }
    }
    return NULL;
}

// A handler may end any conversation while it is told, so none is remembered from one call to the next.
static void session_writable(struct session *session) {
    const struct server_callbacks *callbacks = &session->server->options.callbacks;
    LIST_EACH(node, &session->conversations) {
        LIST_ENTRY(node, struct conversation, node)->is_told = false;
    }
    for (struct conversation *next; (next = session_find_untold(session)) != NULL;) {
        next->is_told = true;
        callbacks->on_writable(callbacks->context, next);
    }
}

static void server_on_letter(struct server *server, struct link_letter *letter) {
    struct session *session = letter->link != NULL ? link_owner(letter->link) : NULL;
    switch (letter->kind) {
    case LINK_ACCEPTED:
        server_on_accepted(server, letter->stream);
        break;
    case LINK_ACCEPT_FAILED:
        log_event(LOG_WARN, "link.accept", LOG_STR("error", letter->reason));
        server->accept_rests = true;
        break;
    case LINK_DIALED:
        UNREACHABLE("a server does not dial");
    case LINK_KNOCKED:
    case LINK_SECURED:
    case LINK_UNSECURED:
        UNREACHABLE("links on this machine have no cover");
    case LINK_FRAME:
        session_on_frame(session, letter);
        link_consumed(letter);
        break;
    case LINK_WRITABLE:
        session_writable(session);
        break;
    case LINK_DOWN:
        server_on_down(server, session);
        break;
    }
}

void server_take(struct server *server, size_t max_frames) {
    for (size_t i = 0; i < max_frames; i++) {
        struct letter *letter = mailbox_take(&server->mailbox);
        if (letter == NULL) {
            break;
        }
        struct link_letter *link_letter = (struct link_letter *)letter;
        server_on_letter(server, link_letter);
        link_letter_free(link_letter);
    }
}

void server_tick(struct server *server, int64_t mono_ms) {
    if (TAKE(server->accept_rests)) {
        listener_resume(server->listener);
    }
    LIST_EACH(node, &server->sessions) {
        struct session *session = LIST_ENTRY(node, struct session, node);
        if ((session->is_ending || !session->is_greeted) && mono_ms > session->deadline_mono_ms) {
            link_close(session->link, session->is_ending ? "refused" : "no hello in time");
        }
    }
}

int server_fd(const struct server *server) {
    return mailbox_fd(&server->mailbox);
}

// --- life ---

static struct welcome welcome_copy(const struct welcome *welcome, struct arena *arena) {
    return *(struct welcome *)schema_copy(&welcome_schema, welcome, arena);
}

void server_set_welcome(struct server *server, const struct welcome *welcome) {
    struct arena strings = arena_make(0);
    struct welcome copy = welcome_copy(welcome, &strings);
    arena_free(&server->strings);
    server->strings = strings;
    server->options.welcome = copy;
}

// A directory of ours keeps others out altogether. One that is there already keeps its mode: it may be
// somebody else's. But when others can write to it, they could put a socket of theirs in our place.
static int socket_dir_make(const char *socket_path, struct error *err) {
    if (strlen(socket_path) > SOCKET_PATH_BYTES_MAX) {
        return error_set(err, ERR_INVALID,
                         "socket path is longer than %d bytes: %s: choose a shorter --run-dir",
                         SOCKET_PATH_BYTES_MAX, socket_path);
    }
    AUTO_FREE char *dir = xstrdup(socket_path);
    char *slash = strrchr(dir, '/');
    ASSERT(slash != NULL);
    *slash = '\0';
    int rc = fs_make_dirs(dir, 0700, err);
    struct stat st;
    if (rc == 0 && stat(dir, &st) != 0) {
        rc = error_sys(err, errno, "look at %s", dir);
    }
    if (rc == 0 && ((st.st_mode & 022) != 0 || (st.st_uid != 0 && st.st_uid != geteuid()))) {
        rc = error_set(err, ERR_INVALID,
                       "%s belongs to others or can be written by them: choose another --run-dir", dir);
    }
    return rc;
}

int server_open(const struct server_options *options, struct server **out, struct error *err) {
    int rc = socket_dir_make(options->socket_path, err);
    if (rc < 0) {
        return rc;
    }
    struct server *server = NEW(struct server);
    server->options = *options;
    list_init(&server->sessions);
    rc = mailbox_init(&server->mailbox, err);
    if (rc == 0) {
        AUTO_FREE char *url = xasprintf("ipc://%s", options->socket_path);
        rc = listener_open(url, &server->mailbox, &server->listener, err);
        if (rc < 0) {
            mailbox_deinit(&server->mailbox);
        }
    }
    if (rc < 0) {
        xfree(server);
        return rc;
    }
    server->options.welcome = welcome_copy(&options->welcome, &server->strings);
    *out = server;
    return 0;
}

static void server_wait_letter(struct server *server, int timeout_ms) {
    struct pollfd fd = {.fd = server_fd(server), .events = POLLIN};
    (void)poll(&fd, 1, timeout_ms);
}

static void server_say_goodbye(struct server *server) {
    struct error err = {0};
    error_set(&err, ERR_UNREACHABLE, "the daemon is stopping");
    LIST_EACH(node, &server->sessions) {
        struct session *session = LIST_ENTRY(node, struct session, node);
        if (!session->is_ending) {
            session_end(session, &err);
        }
    }
}

// nng removes the socket when the listener is closed; by the end of the goodbyes the path may be another
// daemon's.
void server_close(struct server *server) {
    if (server == NULL) {
        return;
    }
    server->is_closing = true;
    listener_close(server->listener);
    server_say_goodbye(server);
    int64_t deadline = clock_mono_ms() + LINGER_MS;
    while (!list_is_empty(&server->sessions) && clock_mono_ms() < deadline) {
        server_take(server, 1000);
        server_wait_letter(server, 10);
    }
    LIST_EACH(node, &server->sessions) {
        link_close(LIST_ENTRY(node, struct session, node)->link, "daemon stops");
    }
    while (!list_is_empty(&server->sessions)) {
        server_take(server, 1000);
        server_wait_letter(server, 10);
    }
    server_take(server, SIZE_MAX); // what was accepted last
    mailbox_deinit(&server->mailbox);
    arena_free(&server->strings);
    xfree(server);
}
