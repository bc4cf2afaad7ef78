// SPDX-License-Identifier: Apache-2.0
//
// specs/health.h — what a health check asks of a task: its kinds, how they are written, what holds in the
// end.
//
// Docker's NONE, CMD and CMD-SHELL; beside them TCP and HTTP, which cost no process in the container: a
// connection to a port, or a GET whose status is 2xx or 3xx, made by the node from within the task's network.
//
//     test: [CMD, redis-cli, ping]        test: redis-cli ping            (a shell runs it)
//     test: [TCP, '6379']                 test: tcp:6379                  test: tcp://127.0.0.1:6379
//     test: [HTTP, 'http://localhost:80/health']                          test: http:80/health
//
// Hosts are numbers or localhost: no names are looked up.
#ifndef MUSTER_SPECS_HEALTH_H
#define MUSTER_SPECS_HEALTH_H

#include "specs/service.h"

enum health_test_kind {
    HEALTH_TEST_NONE,
    HEALTH_TEST_CMD,
    HEALTH_TEST_SHELL,
    HEALTH_TEST_TCP,
    HEALTH_TEST_HTTP
};
struct health_test {
    enum health_test_kind kind;
    struct strings argv; // CMD; of SHELL the one text
    const char *host;    // TCP, HTTP: a number, or "localhost"
    int64_t port;
    const char *path; // HTTP: "/health?deep=1"
};

// What one text means: tcp:…, http:…, else a command for the shell.
struct strings health_test_from_text(const char *text, struct arena *arena);
// -ERR_INVALID says what is wrong and how it is written. An empty list is NONE.
int health_test_parse(const struct strings *test, struct arena *arena, struct health_test *out,
                      struct error *err);

// What holds for a task: the service's check, each part that it leaves out from the image's (NULL: it has
// none), then Docker's defaults. False when there is nothing to check. Borrows from both.
bool health_check_effective(const struct health_check *service, const struct health_check *image,
                            struct health_check *out);
// NULL stays NULL.
struct health_check *health_check_copy(const struct health_check *check, struct arena *arena);

#endif
