// SPDX-License-Identifier: Apache-2.0
//
// transport/connect.c — how links come to be: a listener whose accept loop only our own close ends, and
// dials, one that waits and one that does not.
//
// nng maps a vanished peer to "closed" in places; so the accept loop here takes every error but our own
// close as passing. Its dialer gives up at once when the listener's queue (128) is full, as it is when many
// clients come together: the dial here tries again until its deadline.
#include "transport/link.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <nng/nng.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"

#define REDIAL_MS 5
// How many the kernel keeps while we are busy, where it allows that (net.core.somaxconn). With more, those at
// the end would have given up by the time it is their turn.
#define BACKLOG 2048

struct listener {
    nng_stream_listener *stream_listener;
    nng_aio *accept_aio;
    struct mailbox *mailbox;
    pthread_mutex_t lock;
    bool closing;
    bool is_full; // accepting rests until there is room
    uint64_t accepted, accepted_max;
};

static void listener_accept_locked(struct listener *listener) {
    listener->is_full = listener->accepted >= listener->accepted_max;
    if (!listener->closing && !listener->is_full) {
        nng_stream_listener_accept(listener->stream_listener, listener->accept_aio);
    }
}

static void listener_accept(struct listener *listener) {
    pthread_mutex_lock(&listener->lock);
    listener_accept_locked(listener);
    pthread_mutex_unlock(&listener->lock);
}

static void listener_on_accepted(void *context) {
    struct listener *listener = context;
    int rc = nng_aio_result(listener->accept_aio);
    struct link_letter *letter = NEW(struct link_letter);
    if (rc == 0) {
        letter->kind = LINK_ACCEPTED;
        letter->stream = nng_aio_get_output(listener->accept_aio, 0);
        pthread_mutex_lock(&listener->lock);
        listener->accepted++;
        mailbox_post(listener->mailbox, &letter->letter);
        listener_accept_locked(listener);
        pthread_mutex_unlock(&listener->lock);
        return;
    }
    pthread_mutex_lock(&listener->lock);
    bool closing = listener->closing;
    pthread_mutex_unlock(&listener->lock);
    if (closing) {
        xfree(letter);
        return;
    }
    // Accepting again at once would spin while descriptors are missing: the owner resumes after a rest.
    letter->kind = LINK_ACCEPT_FAILED;
    letter->reason = nng_strerror(rc);
    mailbox_post(listener->mailbox, &letter->letter);
}

void listener_resume(struct listener *listener) {
    listener_accept(listener);
}

void listener_limit(struct listener *listener, uint64_t accepted_max) {
    pthread_mutex_lock(&listener->lock);
    listener->accepted_max = accepted_max;
    if (listener->is_full) {
        listener_accept_locked(listener);
    }
    pthread_mutex_unlock(&listener->lock);
}

int listener_port(const struct listener *listener) {
    int port = 0;
    return nng_stream_listener_get_int(listener->stream_listener, NNG_OPT_TCP_BOUND_PORT, &port) == 0 ? port
                                                                                                      : 0;
}

static bool listens_on(int fd, int port) {
    int is_listening = 0;
    struct sockaddr_in6 address = {0}; // the port of IPv4 is in the same place
    socklen_t flag_bytes = sizeof is_listening, address_bytes = sizeof address;
    return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &is_listening, &flag_bytes) == 0 && is_listening != 0 &&
           getsockname(fd, (struct sockaddr *)&address, &address_bytes) == 0 &&
           (address.sin6_family == AF_INET || address.sin6_family == AF_INET6) &&
           ntohs(address.sin6_port) == port;
}

// nng asks for 128, and has no word for more: when thousands of agents come at once the kernel would drop
// most of their calls, for seconds. To listen again on the same socket changes nothing else.
static void listener_deepen(const struct listener *listener) {
    int port = listener_port(listener);
    DIR *dir = port > 0 ? opendir("/proc/self/fd") : NULL;
    for (struct dirent *entry; dir != NULL && (entry = readdir(dir)) != NULL;) {
        int64_t fd;
        if (str_to_int(entry->d_name, &fd) && listens_on((int)fd, port)) {
            (void)listen((int)fd, BACKLOG);
        }
    }
    if (dir != NULL) {
        closedir(dir);
    }
}

// nng sets the mode of the socket after bind only; the mask closes the moment in between. Options that the
// transport does not have are refused, which is no harm; Nagle's algorithm is on unless told.
static int listener_listen(struct listener *listener) {
    nng_stream_listener_set_bool(listener->stream_listener, NNG_OPT_TCP_NODELAY, true);
    nng_stream_listener_set_bool(listener->stream_listener, NNG_OPT_TCP_KEEPALIVE, true);
    mode_t mask = umask(0177);
    nng_stream_listener_set_int(listener->stream_listener, NNG_OPT_IPC_PERMISSIONS, 0600);
    int rc = nng_stream_listener_listen(listener->stream_listener);
    umask(mask);
    if (rc == 0) {
        listener_deepen(listener);
    }
    return rc;
}

int listener_open(const char *url, struct mailbox *mailbox, struct listener **out, struct error *err) {
    struct listener *listener = NEW(struct listener);
    listener->mailbox = mailbox;
    listener->accepted_max = UINT64_MAX;
    pthread_mutex_init(&listener->lock, NULL);
    int rc = nng_stream_listener_alloc(&listener->stream_listener, url);
    if (rc == 0) {
        rc = nng_aio_alloc(&listener->accept_aio, listener_on_accepted, listener);
    }
    if (rc == 0) {
        rc = listener_listen(listener);
    }
    if (rc != 0) {
        nng_aio_free(listener->accept_aio);
        if (listener->stream_listener != NULL) {
            nng_stream_listener_free(listener->stream_listener);
        }
        pthread_mutex_destroy(&listener->lock);
        xfree(listener);
        return error_set(err, rc == NNG_EADDRINUSE ? ERR_BUSY : ERR_SYSTEM, "listen on %s: %s", url,
                         nng_strerror(rc));
    }
    listener_accept(listener);
    *out = listener;
    return 0;
}

void listener_close(struct listener *listener) {
    pthread_mutex_lock(&listener->lock);
    listener->closing = true;
    pthread_mutex_unlock(&listener->lock);
    nng_stream_listener_close(listener->stream_listener);
    nng_aio_stop(listener->accept_aio);
    nng_aio_free(listener->accept_aio);
    nng_stream_listener_free(listener->stream_listener);
    pthread_mutex_destroy(&listener->lock);
    xfree(listener);
}

static enum error_code dial_error(int rc) {
    return rc == NNG_EPERM ? ERR_DENIED : ERR_UNREACHABLE;
}

static int dial_once(nng_stream_dialer *dialer, nng_aio *aio, int64_t timeout_ms) {
    nng_aio_set_timeout(aio, (nng_duration)(timeout_ms > 0 ? timeout_ms : 1));
    nng_stream_dialer_dial(dialer, aio);
    nng_aio_wait(aio);
    return nng_aio_result(aio);
}

int link_dial(const char *url, int64_t timeout_ms, struct mailbox *mailbox, enum message_sender peer,
              struct link **out, struct error *err) {
    nng_stream_dialer *dialer = NULL;
    nng_aio *aio = NULL;
    int64_t deadline_mono_ms = clock_mono_ms() + timeout_ms;
    int rc = nng_stream_dialer_alloc(&dialer, url);
    rc = rc != 0 ? rc : nng_aio_alloc(&aio, NULL, NULL);
    if (rc == 0) {
        rc = dial_once(dialer, aio, timeout_ms);
        while (rc == NNG_EAGAIN && clock_mono_ms() < deadline_mono_ms) {
            (void)poll(NULL, 0, REDIAL_MS);
            rc = dial_once(dialer, aio, deadline_mono_ms - clock_mono_ms());
        }
    }
    if (rc == 0) {
        *out = link_new(nng_aio_get_output(aio, 0), mailbox, peer);
    }
    nng_aio_free(aio);
    if (dialer != NULL) {
        nng_stream_dialer_free(dialer);
    }
    return rc == 0 ? 0 : error_set(err, dial_error(rc), "connect to %s: %s", url, nng_strerror(rc));
}

// --- dials that do not wait ---

struct dial {
    nng_stream_dialer *dialer;
    nng_aio *aio;
    struct mailbox *mailbox;
    void *owner;
};

static void dial_on_done(void *context) {
    struct dial *dial = context;
    int rc = nng_aio_result(dial->aio);
    struct link_letter *letter = NEW(struct link_letter);
    letter->kind = LINK_DIALED;
    letter->dial = dial;
    if (rc == 0) {
        letter->stream = nng_aio_get_output(dial->aio, 0);
    } else {
        letter->reason = nng_strerror(rc);
    }
    mailbox_post(dial->mailbox, &letter->letter);
}

int dial_start(const char *url, struct mailbox *mailbox, void *owner, struct dial **out, struct error *err) {
    struct dial *dial = NEW(struct dial);
    dial->mailbox = mailbox;
    dial->owner = owner;
    int rc = nng_stream_dialer_alloc(&dial->dialer, url);
    if (rc != 0) {
        xfree(dial);
        return error_set(err, ERR_INVALID, "connect to %s: %s", url, nng_strerror(rc));
    }
    nng_stream_dialer_set_bool(dial->dialer, NNG_OPT_TCP_NODELAY, true);
    nng_stream_dialer_set_bool(dial->dialer, NNG_OPT_TCP_KEEPALIVE, true);
    rc = nng_aio_alloc(&dial->aio, dial_on_done, dial);
    ASSERT(rc == 0); // fails only without memory
    nng_stream_dialer_dial(dial->dialer, dial->aio);
    *out = dial;
    return 0;
}

void dial_cancel(struct dial *dial) {
    nng_stream_dialer_close(dial->dialer);
}

void dial_free(struct dial *dial) {
    nng_aio_free(dial->aio); // waits for a callback that is just returning
    nng_stream_dialer_free(dial->dialer);
    xfree(dial);
}

void *dial_owner(const struct dial *dial) {
    return dial->owner;
}
