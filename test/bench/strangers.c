// SPDX-License-Identifier: Apache-2.0
//
// test/bench/strangers.c — many who call a manager and come to nothing: silent, or in the middle of a
// handshake.
//
//     strangers HOST:PORT COUNT     one JSON line when all are gone; exit status 1 if not after 30 s
//
// A quarter of them each: says nothing; says half of a TLS hello, and nothing more; says all of it, and not
// what has to come then; says a byte of it now and then. Tests and bench_gate.sh start it beside a real
// manager, which has to get rid of them.
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "transport/tls.h"

#define STRANGERS_MAX 20000
#define PATIENCE_MS 30000
#define DRIBBLE_MS 50
#define LOOK_MS 10

enum sort { SILENT, HALF, WHOLE, DRIBBLING, SORTS };

struct stranger {
    int fd; // -1 = gone
    enum sort sort;
    size_t said;
    int64_t called_ms, lasted_ms;
};

struct crowd {
    struct stranger *strangers;
    size_t count, gone;
    struct buf hello;
    struct sockaddr_in address;
};

// What one says first who wants to join.
static struct buf make_hello(void) {
    static const struct join_token token = {{0}, {{0}}};
    uint8_t plain[1];
    struct tls *tls;
    int rc = tls_new(&(struct tls_options){.token = &token}, &tls, NULL);
    ASSERT(rc == 0);
    struct cover *cover = tls_dial(tls);
    (void)cover->ops->read(cover, plain, sizeof plain, NULL);
    struct buf hello = cover->ops->give(cover);
    cover->ops->free(cover);
    tls_free(tls);
    return hello;
}

static void say(struct crowd *crowd, struct stranger *stranger, size_t count) {
    size_t left = crowd->hello.len - stranger->said;
    count = count < left ? count : left;
    ssize_t sent = send(stranger->fd, crowd->hello.data + stranger->said, count, MSG_NOSIGNAL | MSG_DONTWAIT);
    stranger->said += sent > 0 ? (size_t)sent : 0;
}

static void call(struct crowd *crowd, struct stranger *stranger) {
    stranger->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    stranger->called_ms = clock_mono_ms();
    int rc = connect(stranger->fd, (const struct sockaddr *)&crowd->address, sizeof crowd->address);
    if (stranger->fd < 0 || rc != 0) {
        perror("strangers: call");
        exit(1);
    }
    if (stranger->sort == HALF || stranger->sort == WHOLE) {
        say(crowd, stranger, stranger->sort == HALF ? crowd->hello.len / 2 : crowd->hello.len);
    }
}

static void look(struct crowd *crowd, struct stranger *stranger) {
    uint8_t bytes[4096];
    ssize_t got;
    if (stranger->fd < 0) {
        return;
    }
    while ((got = recv(stranger->fd, bytes, sizeof bytes, MSG_DONTWAIT)) > 0) {
    }
    if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
        stranger->lasted_ms = clock_mono_ms() - stranger->called_ms;
        close(stranger->fd);
        stranger->fd = -1;
        crowd->gone++;
    }
}

static void dribble(struct crowd *crowd) {
    for (size_t i = 0; i < crowd->count; i++) {
        if (crowd->strangers[i].sort == DRIBBLING && crowd->strangers[i].fd >= 0) {
            say(crowd, &crowd->strangers[i], 1);
        }
    }
}

static void stay(struct crowd *crowd) {
    int64_t dribbled_ms = 0, end_ms = clock_mono_ms() + PATIENCE_MS;
    while (crowd->gone < crowd->count && clock_mono_ms() < end_ms) {
        for (size_t i = 0; i < crowd->count; i++) {
            look(crowd, &crowd->strangers[i]);
        }
        if (clock_mono_ms() - dribbled_ms >= DRIBBLE_MS) {
            dribbled_ms = clock_mono_ms();
            dribble(crowd);
        }
        (void)poll(NULL, 0, LOOK_MS);
    }
}

static void print(const struct crowd *crowd) {
    int64_t longest_ms = 0;
    for (size_t i = 0; i < crowd->count; i++) {
        int64_t lasted_ms = crowd->strangers[i].lasted_ms;
        longest_ms = lasted_ms > longest_ms ? lasted_ms : longest_ms;
    }
    printf("{\"strangers\":%zu,\"gone\":%zu,\"longest_ms\":%lld}\n", crowd->count, crowd->gone,
           (long long)longest_ms);
}

static bool take_arguments(struct crowd *crowd, int argc, char **argv) {
    int64_t count, port;
    char *colon = argc == 3 ? strrchr(argv[1], ':') : NULL;
    if (colon == NULL || !str_to_int(colon + 1, &port) || !str_to_int(argv[2], &count) || count < 1 ||
        count > STRANGERS_MAX) {
        return false;
    }
    *colon = '\0';
    crowd->count = (size_t)count;
    crowd->address = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    return inet_pton(AF_INET, argv[1], &crowd->address.sin_addr) == 1;
}

static void allow_descriptors(void) {
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
}

int main(int argc, char **argv) {
    struct crowd crowd = {0};
    if (!take_arguments(&crowd, argc, argv)) {
        fprintf(stderr, "strangers HOST:PORT COUNT\n");
        return 2;
    }
    allow_descriptors();
    crowd.hello = make_hello();
    crowd.strangers = xcalloc(crowd.count, sizeof *crowd.strangers);
    for (size_t i = 0; i < crowd.count; i++) {
        crowd.strangers[i].sort = (enum sort)(i % SORTS);
        call(&crowd, &crowd.strangers[i]);
    }
    stay(&crowd);
    print(&crowd);
    bool are_all_gone = crowd.gone == crowd.count;
    buf_free(&crowd.hello);
    xfree(crowd.strangers);
    return are_all_gone ? 0 : 1;
}
