// SPDX-License-Identifier: Apache-2.0
//
// test/lib/store_fixture.c — a store in a directory of its own, with a proposer and short words for changes.
#include "test/lib/store_fixture.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/fs.h"
#include "base/limits.h"
#include "base/prng.h"
#include "base/str.h"
#include "specs/resource.h"
#include "test/lib/direct.h"
#include "test/lib/scratch.h"

static void on_result(void *context, const struct proposal_result *result) {
    struct store_fixture *f = context;
    struct store_result *kept = ARENA_PUSH(&f->arena, &f->results);
    *kept = (struct store_result){.token = result->token, .code = result->code, .revision = result->revision};
    snprintf(kept->text, sizeof kept->text, "%s", result->text);
}

static void must(const struct store_fixture *f, int rc, const char *what) {
    char text[1024];
    if (rc < 0) {
        fprintf(stderr, "%s: %s\n", what, error_text(&f->err, text, sizeof text));
    }
    ASSERT(rc >= 0);
}

int store_fixture_open(struct store_fixture *f) {
    error_clear(&f->err);
    int rc = store_open(&f->options, &f->store, &f->err);
    if (rc == 0) {
        f->proposer = direct_new(f->store, on_result, f);
    }
    return rc;
}

void store_fixture_begin(struct store_fixture *f, const struct store_options *options) {
    *f = (struct store_fixture){0};
    scratch_name(f->dir, sizeof f->dir, "store");
    ASSERT(mkdtemp(f->dir) != NULL);
    f->options = options == NULL ? (struct store_options){0} : *options;
    f->options.dir = f->dir;
    f->options.map_bytes = f->options.map_bytes == 0 ? (size_t)256 * MIB : f->options.map_bytes;
    f->options.reserve_bytes = f->options.reserve_bytes == 0 ? -1 : f->options.reserve_bytes;
    must(f, store_fixture_open(f), "open");
}

void store_fixture_close(struct store_fixture *f) {
    if (f->proposer != NULL) {
        f->proposer->ops->free(f->proposer);
    }
    store_close(f->store);
    f->proposer = NULL;
    f->store = NULL;
}

void store_fixture_end(struct store_fixture *f) {
    store_fixture_close(f);
    must(f, fs_remove_tree(AT_FDCWD, f->dir, &f->err), "remove");
    arena_free(&f->arena);
}

struct id store_id(unsigned number) {
    struct prng prng;
    prng_seed(&prng, number);
    return number == 0 ? (struct id){""} : id_from_prng(&prng);
}

static struct store_object encode(struct store_fixture *f, enum object_kind kind, const struct id *id,
                                  const void *object) {
    AUTO_BUF bytes = {0};
    wire_encode(object_schema(kind), object, &bytes);
    return (struct store_object){kind, *id, {arena_copy(&f->arena, bytes.data, bytes.len), bytes.len}};
}

struct store_object store_service(struct store_fixture *f, unsigned number, const char *name) {
    struct service service;
    schema_init(&service_schema, &service);
    struct id id = store_id(number);
    service.meta.name = name;
    service.spec.name = name;
    service.spec.image = "registry.example/web:1";
    return encode(f, KIND_SERVICE, &id, &service);
}

struct store_object store_task(struct store_fixture *f, unsigned number, unsigned service, unsigned node) {
    struct task task;
    schema_init(&task_schema, &task);
    struct id id = store_id(number);
    task.service_id = store_id(service);
    task.node_id = store_id(node);
    task.slot = number;
    task.status.message = "starting container";
    return encode(f, KIND_TASK, &id, &task);
}

struct store_object store_revision_object(struct store_fixture *f, unsigned number, unsigned service,
                                          int64_t revision) {
    struct revision object;
    schema_init(&revision_schema, &object);
    struct id id = store_id(number);
    object.service_id = store_id(service);
    object.revision = revision;
    object.meta.name = arena_printf(&f->arena, "%s/%lld", object.service_id.text, (long long)revision);
    return encode(f, KIND_REVISION, &id, &object);
}

struct store_object store_config(struct store_fixture *f, unsigned number, const char *name, size_t bytes) {
    struct config config;
    schema_init(&config_schema, &config);
    struct id id = store_id(number);
    struct prng prng;
    prng_seed(&prng, number + bytes);
    uint8_t *data = arena_alloc(&f->arena, bytes + 1);
    for (size_t i = 0; i < bytes; i++) {
        data[i] = (uint8_t)prng_next(&prng);
    }
    config.meta.name = name;
    config.spec.name = name;
    config.spec.data = (struct bytes){data, bytes};
    return encode(f, KIND_CONFIG, &id, &config);
}

void store_add(struct store_fixture *f, enum change_op op, struct store_object object,
               int64_t expected_version) {
    if (f->transaction.changes.count == 0 && f->transaction.who == NULL) {
        f->transaction.request_id = "";
        f->transaction.who = "test";
        f->transaction.why = "because";
        f->transaction.time_unix_ms = 1700000000000 + store_revision(f->store);
    }
    *ARENA_PUSH(&f->arena, &f->transaction.changes) = (struct change){
        .op = op,
        .kind = object.kind,
        .id = object.id,
        .expected_version = expected_version,
        .object = op == CHANGE_DELETE ? (struct bytes){0} : object.bytes,
    };
}

int store_submit(struct store_fixture *f, uint64_t token) {
    error_clear(&f->err);
    int rc = f->proposer->ops->submit(f->proposer, &f->transaction, token, &f->err);
    f->transaction = (struct transaction){0};
    return rc;
}

void store_turn(struct store_fixture *f) {
    must(f, f->proposer->ops->turn(f->proposer, &f->err), "turn");
}

struct store_result store_send(struct store_fixture *f) {
    size_t before = f->results.count;
    int rc = store_submit(f, before + 1);
    if (rc < 0) {
        struct store_result refused = {.token = before + 1, .code = rc};
        error_text(&f->err, refused.text, sizeof refused.text);
        return refused;
    }
    store_turn(f);
    ASSERT(f->results.count == before + 1 && f->results.items[before].token == before + 1);
    return f->results.items[before];
}

struct store_result store_try(struct store_fixture *f, enum change_op op, struct store_object object,
                              int64_t expected_version) {
    store_add(f, op, object, expected_version);
    return store_send(f);
}

struct store_read *store_begin_read(struct store_fixture *f) {
    struct store_read *read = NULL;
    must(f, store_read_begin(f->store, &read, &f->err), "read");
    return read;
}

uint64_t store_digest_now(struct store_fixture *f) {
    struct store_read *read = store_begin_read(f);
    uint64_t digest = 0;
    must(f, store_digest(read, &digest, &f->err), "digest");
    store_read_end(read);
    return digest;
}
