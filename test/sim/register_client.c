// SPDX-License-Identifier: Apache-2.0
//
// test/sim/register_client.c — one client of real managers that uses configs as registers and writes down
// what it did and what it was told.
//
//     register_client FILE CLIENT SECONDS SEED SOCKET…      appends to FILE (test/lib/history.h)
//
// Each operation goes to a manager drawn at random: a read is a LIST, a write an APPLY, a compare-and-set an
// APPLY with the version that was read together with the value, a create one that says there must be none.
// Values are never written twice. What was refused before anything could happen is left out; a deadline or a
// link that was lost after sending is an unknown outcome.
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/prng.h"
#include "base/str.h"
#include "specs/resource.h"
#include "test/lib/history.h"
#include "transport/client.h"

#define KEYS 12
#define OPEN_MS 1000
#define CALL_MS 15000 // more than a proposal waits
#define REST_MS 20    // after a refusal

struct user {
    int file;
    int64_t number;
    struct prng prng;
    const char *const *sockets;
    size_t socket_count;
    struct client *client; // NULL = not connected
    int64_t next_value;
    struct arena arena; // of the operation in work
};

// What a manager said, or did not.
enum answer { ANSWER_OK, ANSWER_REFUSED, ANSWER_NOTHING_DONE, ANSWER_UNKNOWN };

static enum answer answer_of(struct user *user, int rc, int refused_as) {
    if (rc == 0) {
        return ANSWER_OK;
    }
    if (rc == refused_as) {
        return ANSWER_REFUSED;
    }
    if (rc == -ERR_UNREACHABLE || rc == -ERR_TIMEOUT) { // the link, or the wait for the answer
        client_close(TAKE(user->client));
        return ANSWER_UNKNOWN;
    }
    (void)poll(NULL, 0, REST_MS);
    return rc == -ERR_INTERNAL || rc == -ERR_SYSTEM || rc == -ERR_CORRUPT ? ANSWER_UNKNOWN
                                                                          : ANSWER_NOTHING_DONE;
}

static bool connect_somewhere(struct user *user) {
    if (user->client != NULL && prng_below(&user->prng, 4) > 0) {
        return true;
    }
    client_close(TAKE(user->client));
    const char *socket = user->sockets[prng_below(&user->prng, user->socket_count)];
    if (client_open(socket, "register", OPEN_MS, &user->client, NULL) == 0) {
        return true;
    }
    user->client = NULL;
    (void)poll(NULL, 0, REST_MS);
    return false;
}

static void note(struct user *user, const char *key, const struct operation *operation) {
    AUTO_BUF line = {0};
    history_print(operation, key, &line);
    if (fs_write_all(user->file, line.data, line.len) != 0) {
        _exit(3);
    }
}

// --- operations ---

// The value, HISTORY_NONE when there is none; *version of what holds it.
static enum answer read_key(struct user *user, const char *key, int64_t *value, int64_t *version) {
    struct list_request request;
    struct object_list list;
    struct error err = {0};
    schema_init(&list_request_schema, &request);
    request.kind = KIND_CONFIG;
    request.references = (struct strings){1, &key};
    int rc = client_list(user->client, &request, &user->arena, &list, &err);
    *value = HISTORY_NONE;
    *version = 0;
    if (rc == 0 && list.count == 1) {
        const struct config *config = list.items[0];
        const char *text = arena_strndup(&user->arena, (const char *)config->spec.data.data, config->spec.data.len);
        *version = config->meta.version;
        return str_to_int(text, value) ? ANSWER_OK : ANSWER_UNKNOWN;
    }
    return rc == -ERR_NOT_FOUND ? ANSWER_OK : answer_of(user, rc, 0);
}

static enum answer write_key(struct user *user, const char *key, int64_t value, int64_t expected_version,
                             int refused_as) {
    AUTO_BUF spec_bytes = {0};
    struct config_spec spec;
    struct apply_item item;
    struct apply_request request;
    struct error err = {0};
    void *applied;
    struct id id = id_random();
    const char *text = arena_printf(&user->arena, "%lld", (long long)value);
    schema_init(&config_spec_schema, &spec);
    spec.name = key;
    spec.data = (struct bytes){(const uint8_t *)text, strlen(text)};
    wire_encode(&config_spec_schema, &spec, &spec_bytes);
    schema_init(&apply_item_schema, &item);
    item.kind = KIND_CONFIG;
    item.name = key;
    item.spec = buf_bytes(&spec_bytes);
    item.expected_version = expected_version;
    schema_init(&apply_request_schema, &request);
    request.request_id = id.text;
    request.items.items = &item;
    request.items.count = 1;
    int rc = client_call(user->client, MESSAGE_APPLY, &request, MESSAGE_APPLIED, &user->arena, &applied, CALL_MS,
                         &err);
    return answer_of(user, rc, refused_as);
}

static void finish(struct user *user, const char *key, struct operation *operation, enum answer answer) {
    if (answer == ANSWER_NOTHING_DONE || (answer == ANSWER_UNKNOWN && operation->kind == OPERATION_READ)) {
        return;
    }
    operation->end_ns = answer == ANSWER_UNKNOWN ? HISTORY_NEVER : clock_mono_ns();
    operation->outcome = answer == ANSWER_OK        ? OUTCOME_OK
                         : answer == ANSWER_REFUSED ? OUTCOME_REFUSED
                                                    : OUTCOME_UNKNOWN;
    note(user, key, operation);
}

static enum answer do_read(struct user *user, const char *key, int64_t *value, int64_t *version) {
    struct operation read = {.client = user->number, .kind = OPERATION_READ, .start_ns = clock_mono_ns()};
    enum answer answer = read_key(user, key, value, version);
    read.value = *value;
    finish(user, key, &read, answer);
    return answer;
}

static void do_write(struct user *user, const char *key) {
    struct operation write = {.client = user->number,
                              .kind = OPERATION_WRITE,
                              .value = ++user->next_value,
                              .start_ns = clock_mono_ns()};
    finish(user, key, &write, write_key(user, key, write.value, 0, 0));
}

static void do_create(struct user *user, const char *key) {
    struct operation create = {.client = user->number,
                               .kind = OPERATION_CREATE,
                               .value = ++user->next_value,
                               .start_ns = clock_mono_ns()};
    finish(user, key, &create, write_key(user, key, create.value, -1, -ERR_EXISTS));
}

// A version is of one value for ever, so that another version is another value.
static void do_cas(struct user *user, const char *key) {
    int64_t version;
    struct operation cas = {.client = user->number, .kind = OPERATION_CAS};
    if (do_read(user, key, &cas.expected, &version) != ANSWER_OK || version == 0) {
        return;
    }
    cas.value = ++user->next_value;
    cas.start_ns = clock_mono_ns();
    finish(user, key, &cas, write_key(user, key, cas.value, version, -ERR_CONFLICT));
}

static void do_one(struct user *user) {
    int64_t value, version;
    const char *key = arena_printf(&user->arena, "reg-%llu", (unsigned long long)prng_below(&user->prng, KEYS));
    uint64_t pick = prng_below(&user->prng, 100);
    if (!connect_somewhere(user)) {
        return;
    }
    if (pick < 45) {
        do_read(user, key, &value, &version);
    } else if (pick < 75) {
        do_write(user, key);
    } else if (pick < 95) {
        do_cas(user, key);
    } else {
        do_create(user, key);
    }
}

int main(int argc, char **argv) {
    int64_t seconds, seed;
    struct user user = {0};
    if (argc < 6 || !str_to_int(argv[2], &user.number) || !str_to_int(argv[3], &seconds) ||
        !str_to_int(argv[4], &seed)) {
        fputs("usage: register_client FILE CLIENT SECONDS SEED SOCKET...\n", stderr);
        return 2;
    }
    user.file = open(argv[1], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    user.sockets = (const char *const *)argv + 5;
    user.socket_count = (size_t)argc - 5;
    user.next_value = user.number * 10000000;
    prng_seed(&user.prng, (uint64_t)seed);
    for (int64_t end_ns = clock_mono_ns() + seconds * NS_PER_S; clock_mono_ns() < end_ns;) {
        do_one(&user);
        arena_clear(&user.arena);
    }
    client_close(user.client);
    arena_free(&user.arena);
    close(user.file);
    return 0;
}
