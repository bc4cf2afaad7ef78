// SPDX-License-Identifier: Apache-2.0
//
// specs/health.c — kinds of health checks, read and merged.
//
// Source       Docker's merging of HEALTHCHECK (daemon/commit.go) and its defaults (daemon/health.go).
#include "specs/health.h"

#include <arpa/inet.h>
#include <string.h>

#include "base/str.h"

#define PATH_BYTES_MAX 2048
#define HTTP_PORT 80
#define INTERVAL_NS 30000000000
#define START_INTERVAL_NS 5000000000
#define RETRIES 3

static struct strings two(const char *first, const char *second, struct arena *arena) {
    struct strings list = {0};
    *ARENA_PUSH(arena, &list) = first;
    *ARENA_PUSH(arena, &list) = second;
    return list;
}

struct strings health_test_from_text(const char *text, struct arena *arena) {
    if (str_starts(text, "tcp:")) {
        const char *rest = text + strlen("tcp:");
        return two("TCP", str_starts(rest, "//") ? rest + 2 : rest, arena);
    }
    if (str_starts(text, "http:")) {
        const char *rest = text + strlen("http:");
        return two("HTTP", str_starts(rest, "//") ? text : arena_printf(arena, "http://localhost:%s", rest),
                   arena);
    }
    return two("CMD-SHELL", text, arena);
}

// --- addresses ---

static bool is_host(const char *host) {
    unsigned char number[sizeof(struct in6_addr)];
    return strcmp(host, "localhost") == 0 || inet_pton(AF_INET, host, number) == 1 ||
           inet_pton(AF_INET6, host, number) == 1;
}

// "[::1]:80", "127.0.0.1:80", "localhost", and where `is_port_enough` "80".
static int read_address(const char *text, int64_t port_default, struct arena *arena, struct health_test *out,
                        struct error *err) {
    bool is_bracketed = text[0] == '[';
    const char *close = is_bracketed ? strchr(text, ']') : NULL;
    const char *colon = is_bracketed ? (close != NULL ? strchr(close, ':') : NULL) : strrchr(text, ':');
    const char *port = colon != NULL ? colon + 1 : port_default == 0 ? text : "";
    size_t host_len = port == text ? 0 : colon != NULL ? (size_t)(colon - text) : strlen(text);
    const char *host = arena_strndup(arena, text, host_len);
    if (is_bracketed && close != NULL) {
        host = arena_strndup(arena, text + 1, (size_t)(close - text) - 1);
    }
    out->host = host_len == 0 ? "localhost" : host;
    out->port = port_default;
    if (port[0] != '\0' && (!str_to_int(port, &out->port) || out->port < 1 || out->port > 65535)) {
        return error_set(err, ERR_INVALID, "'%s' has no port of 1 to 65535", text);
    }
    if (!is_host(out->host)) {
        return error_set(err, ERR_INVALID,
                         "'%s' is no address: write localhost or a number (names are not looked up)",
                         out->host);
    }
    return 0;
}

static int read_url(const char *url, struct arena *arena, struct health_test *out, struct error *err) {
    if (!str_starts(url, "http://")) {
        return error_set(err, ERR_INVALID, "'%s' is not a URL like http://localhost:8080/health%s", url,
                         str_starts(url, "https:") ? " (https takes a CMD: curl, wget)" : "");
    }
    const char *address = url + strlen("http://");
    size_t len = strcspn(address, "/?#");
    const char *path = address + len;
    for (const char *c = path; *c != '\0'; c++) {
        if ((unsigned char)*c <= ' ' || *c == 0x7f) {
            return error_set(err, ERR_INVALID, "'%s' has a blank or control byte in its path", url);
        }
    }
    if (strlen(path) > PATH_BYTES_MAX || len > PATH_BYTES_MAX) {
        return error_set(err, ERR_INVALID, "the URL is longer than %d bytes", PATH_BYTES_MAX);
    }
    out->path = path[0] == '/' ? path : arena_printf(arena, "/%s", path[0] == '?' ? path : "");
    return read_address(arena_strndup(arena, address, len), HTTP_PORT, arena, out, err);
}

// --- kinds ---

int health_test_parse(const struct strings *test, struct arena *arena, struct health_test *out,
                      struct error *err) {
    static const struct {
        const char *word;
        enum health_test_kind kind;
        size_t count_min, count_max; // behind the word
        const char *example;
    } rows[] = {
        {"NONE", HEALTH_TEST_NONE, 0, 0, "[NONE]"},
        {"CMD", HEALTH_TEST_CMD, 1, SIZE_MAX, "[CMD, redis-cli, ping]"},
        {"CMD-SHELL", HEALTH_TEST_SHELL, 1, 1, "[CMD-SHELL, 'redis-cli ping']"},
        {"TCP", HEALTH_TEST_TCP, 1, 1, "[TCP, '6379']"},
        {"HTTP", HEALTH_TEST_HTTP, 1, 1, "[HTTP, 'http://localhost:8080/health']"},
    };
    *out = (struct health_test){.kind = HEALTH_TEST_NONE, .host = "", .path = ""};
    if (test->count == 0) {
        return 0;
    }
    const char *word = test->items[0];
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (strcmp(rows[i].word, word) != 0) {
            continue;
        }
        if (test->count - 1 < rows[i].count_min || test->count - 1 > rows[i].count_max) {
            return error_set(err, ERR_INVALID, "%s is written %s", word, rows[i].example);
        }
        out->kind = rows[i].kind;
        out->argv = (struct strings){test->count - 1, test->items + 1};
        return out->kind == HEALTH_TEST_TCP    ? read_address(test->items[1], 0, arena, out, err)
               : out->kind == HEALTH_TEST_HTTP ? read_url(test->items[1], arena, out, err)
                                               : 0;
    }
    return error_set(err, ERR_INVALID,
                     "'%s' is not a kind of check: the first item is CMD, CMD-SHELL, TCP, HTTP or NONE",
                     word);
}

// --- what holds ---

struct health_check *health_check_copy(const struct health_check *check, struct arena *arena) {
    if (check == NULL) {
        return NULL;
    }
    struct health_check *copy = arena_copy(arena, check, sizeof *check);
    copy->test.items = arena_copy(arena, check->test.items, check->test.count * sizeof *check->test.items);
    for (size_t i = 0; i < copy->test.count; i++) {
        copy->test.items[i] = arena_strdup(arena, check->test.items[i]);
    }
    copy->unknown = (struct bytes){0};
    return copy;
}

static int64_t first_of(int64_t service, int64_t image, int64_t otherwise) {
    return service != 0 ? service : image != 0 ? image : otherwise;
}

bool health_check_effective(const struct health_check *service, const struct health_check *image,
                            struct health_check *out) {
    static const struct health_check none = {0};
    const struct health_check *mine = service != NULL ? service : &none;
    const struct health_check *its = image != NULL ? image : &none;
    *out = (struct health_check){
        .test = mine->test.count > 0 ? mine->test : its->test,
        .interval_ns = first_of(mine->interval_ns, its->interval_ns, INTERVAL_NS),
        .timeout_ns = first_of(mine->timeout_ns, its->timeout_ns, INTERVAL_NS),
        .start_period_ns = first_of(mine->start_period_ns, its->start_period_ns, 0),
        .start_interval_ns = first_of(mine->start_interval_ns, its->start_interval_ns, START_INTERVAL_NS),
        .retries = first_of(mine->retries, its->retries, RETRIES),
    };
    return !mine->disable && out->test.count > 0 && strcmp(out->test.items[0], "NONE") != 0;
}
