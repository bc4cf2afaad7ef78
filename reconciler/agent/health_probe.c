// SPDX-License-Identifier: Apache-2.0
//
// reconciler/agent/health_probe.c — one check of a task: a connection, a request, or the sweep after one that
// took too long.
//
// Limits       No more than ANSWER_BYTES_MAX of an answer are read: the status line, and what fits of the
//              rest.
// Sweep        A check's processes are known by a variable in their environment, which children inherit. A
//              process that was forked while the list was read is found by the next round.
#include "reconciler/agent/health_probe.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/str.h"
#include "specs/task.h"

#define ANSWER_BYTES_MAX HEALTH_OUTPUT_BYTES_MAX
#define PROCS_BYTES_MAX ((size_t)4 * 1024 * 1024)
#define ENVIRONMENT_BYTES_MAX ((size_t)4 * 1024 * 1024)
#define ROUNDS 50

static int say(const char *format, ...) __attribute__((format(printf, 1, 2)));

// Why it is not well.
static int say(const char *format, ...) {
    va_list args;
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    putchar('\n');
    return 1;
}

// --- connecting ---

static int connect_one(const char *host, const char *port) {
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    if (getaddrinfo(host, port, &hints, &found) != 0) {
        errno = EINVAL;
        return -1;
    }
    int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, found->ai_addr, found->ai_addrlen) != 0) {
        close_at(&fd);
        fd = -1;
    }
    freeaddrinfo(found);
    return fd;
}

static int connect_to(const char *host, const char *port) {
    if (strcmp(host, "localhost") != 0) {
        return connect_one(host, port);
    }
    int fd = connect_one("127.0.0.1", port);
    int why = errno;
    fd = fd < 0 ? connect_one("::1", port) : fd;
    errno = why;
    return fd;
}

// A socket in the task's network, or -1 after having said why not.
static int reach(const char *netns, const char *host, const char *port) {
    if (strcmp(netns, "-") != 0) {
        AUTO_CLOSE int fd = open(netns, O_RDONLY | O_CLOEXEC);
        if (fd < 0 || setns(fd, CLONE_NEWNET) != 0) {
            say("enter the task's network: %s", strerror(errno));
            return -1;
        }
    }
    int fd = connect_to(host, port);
    if (fd < 0) {
        say("connect to %s port %s: %s", host, port, strerror(errno));
    }
    return fd;
}

static int probe_tcp(char **argv) {
    AUTO_CLOSE int fd = reach(argv[0], argv[1], argv[2]);
    return fd < 0;
}

// --- asking ---

// Up to the end of the head, and what came with it: some servers never end their answers.
static void read_answer(int fd, char *answer, size_t bytes_max) {
    size_t len = 0;
    answer[0] = '\0';
    while (len < bytes_max && strstr(answer, "\r\n\r\n") == NULL) {
        ssize_t got = read(fd, answer + len, bytes_max - len);
        if (got <= 0 && !(got < 0 && errno == EINTR)) {
            break;
        }
        len += got > 0 ? (size_t)got : 0;
        answer[len] = '\0';
    }
}

static int probe_http(char **argv) {
    const char *host = argv[1];
    AUTO_CLOSE int fd = reach(argv[0], host, argv[2]);
    AUTO_BUF request = {0};
    char answer[ANSWER_BYTES_MAX + 1];
    if (fd < 0) {
        return 1;
    }
    bool is_v6 = strchr(host, ':') != NULL;
    buf_addf(&request,
             "GET %s HTTP/1.1\r\nHost: %s%s%s:%s\r\nUser-Agent: muster-health\r\nAccept: */*\r\n"
             "Connection: close\r\n\r\n",
             argv[3], is_v6 ? "[" : "", host, is_v6 ? "]" : "", argv[2]);
    if (fs_write_all(fd, request.data, request.len) != 0) {
        return say("send the request: %s", strerror(errno));
    }
    read_answer(fd, answer, ANSWER_BYTES_MAX);
    int status = 0;
    if (sscanf(answer, "HTTP/%*d.%*d %3d", &status) != 1) {
        return say("no HTTP answer");
    }
    const char *body = strstr(answer, "\r\n\r\n");
    printf("%.*s\n%s", (int)strcspn(answer, "\r\n"), answer, body != NULL ? body + 4 : "");
    return status < 200 || status > 399;
}

// --- sweeping ---

static bool has_mark(int64_t pid, const char *mark) {
    char path[64];
    AUTO_BUF text = {0};
    snprintf(path, sizeof path, "/proc/%lld/environ", (long long)pid);
    return fs_read(AT_FDCWD, path, ENVIRONMENT_BYTES_MAX, &text, NULL) == 0 &&
           memmem(text.data, text.len, mark, strlen(mark) + 1) != NULL;
}

// How many were killed.
static int sweep_once(const char *procs, const char *mark) {
    AUTO_BUF text = {0};
    int count = 0;
    if (fs_read(AT_FDCWD, procs, PROCS_BYTES_MAX, &text, NULL) != 0) {
        return 0; // the group is gone, with all in it
    }
    for (char *line = text.data; line != NULL && *line != '\0';) {
        char *end = strchr(line, '\n');
        int64_t pid;
        if (end != NULL) {
            *end++ = '\0';
        }
        if (str_to_int(line, &pid) && pid > 1 && has_mark(pid, mark) && kill((pid_t)pid, SIGKILL) == 0) {
            count++;
        }
        line = end;
    }
    return count;
}

static int probe_sweep(char **argv) {
    for (int i = 0; i < ROUNDS && sweep_once(argv[0], argv[1]) > 0; i++) {
        poll(NULL, 0, i < 10 ? 2 : 50); // those killed need a moment
    }
    return 0;
}

int health_probe_main(int argc, char **argv) {
    static const struct {
        const char *name;
        int arguments;
        int (*run)(char **argv);
    } rows[] = {{"tcp", 3, probe_tcp}, {"http", 4, probe_http}, {"sweep", 2, probe_sweep}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (argc > 1 && strcmp(argv[1], rows[i].name) == 0 && argc == rows[i].arguments + 2) {
            return rows[i].run(argv + 2);
        }
    }
    fprintf(stderr, "musterd probe: not for people\n");
    return 2;
}
