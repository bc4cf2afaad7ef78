// SPDX-License-Identifier: Apache-2.0
//
// test/unit/test_store_model.c — random transactions against a model that is too simple to be wrong.
//
// The model is an array of objects; a transaction makes a copy, changes it, and is refused if the copy has
// two equal names. After every few transactions all of the store is compared with it, each index with a
// full scan. A second store gets the same transactions in other batches and must end up the same, byte by
// byte.
#include "test/lib/check.h"
#include "test/lib/store_fixture.h"

#include <stdio.h>
#include <string.h>

#include "base/prng.h"

#define OBJECTS 96
#define NUMBER_NONE 0
#define SERVICE_FIRST 1 // numbers of services; nodes are never stored, only named
#define SERVICE_COUNT 6
#define NODE_FIRST 500
#define NODE_COUNT 4
#define CHANGES_MAX 8

struct model_object {
    bool exists;
    enum object_kind kind;
    int64_t version, created;
    char name[48];
    unsigned service, node;
    int64_t revision;
};

struct model {
    struct model_object objects[OBJECTS]; // index + 1 = number of the id
    int64_t applied;
    struct prng prng;
};

static unsigned below(struct model *model, unsigned bound) {
    return (unsigned)prng_below(&model->prng, bound);
}

static enum object_kind kind_of(size_t at) {
    return at < SERVICE_COUNT ? KIND_SERVICE : at < 20 ? KIND_CONFIG : at < 40 ? KIND_REVISION : KIND_TASK;
}

// What a create or an update would make of the object.
static struct model_object draw(struct model *model, size_t at) {
    struct model_object object = {.exists = true, .kind = kind_of(at)};
    if (object.kind == KIND_SERVICE || object.kind == KIND_CONFIG) {
        snprintf(object.name, sizeof object.name, "name%u", below(model, 12));
    }
    if (object.kind == KIND_TASK || object.kind == KIND_REVISION) {
        object.service = SERVICE_FIRST + below(model, SERVICE_COUNT);
    }
    if (object.kind == KIND_TASK && below(model, 3) > 0) {
        object.node = NODE_FIRST + below(model, NODE_COUNT);
    }
    if (object.kind == KIND_REVISION) {
        object.revision = 1 + below(model, 300);
        snprintf(object.name, sizeof object.name, "%s/%lld", store_id(object.service).text,
                 (long long)object.revision);
    }
    return object;
}

static struct store_object encode(struct store_fixture *f, size_t at, const struct model_object *object) {
    unsigned number = (unsigned)at + 1;
    switch ((int)object->kind) {
    case KIND_SERVICE:
        return store_service(f, number, arena_strdup(&f->arena, object->name));
    case KIND_CONFIG:
        return store_config(f, number, arena_strdup(&f->arena, object->name), 10 + number * 40);
    case KIND_REVISION:
        return store_revision_object(f, number, object->service, object->revision);
    default:
        return store_task(f, number, object->service, object->node);
    }
}

static bool has_equal_names(const struct model_object *objects) {
    for (size_t i = 0; i < OBJECTS; i++) {
        for (size_t j = 0; j < i; j++) {
            const struct model_object *a = &objects[i], *b = &objects[j];
            if (a->exists && b->exists && a->kind == b->kind && a->name[0] != '\0' &&
                strcmp(a->name, b->name) == 0) {
                return true;
            }
        }
    }
    return false;
}

struct step {
    enum change_op op;
    size_t at;
    int64_t expected;
    struct model_object object;
};

static int expect_one(const struct model_object *now, const struct step *step) {
    if (step->op == CHANGE_CREATE) {
        return now->exists ? -ERR_EXISTS : 0;
    }
    if (!now->exists) {
        return -ERR_NOT_FOUND;
    }
    return step->expected != 0 && step->expected != now->version ? -ERR_CONFLICT : 0;
}

static int model_apply(struct model *model, const struct step *steps, size_t count) {
    struct model_object next[OBJECTS];
    memcpy(next, model->objects, sizeof next);
    model->applied++;
    for (size_t i = 0; i < count; i++) {
        int rc = expect_one(&model->objects[steps[i].at], &steps[i]);
        if (rc < 0) {
            return rc;
        }
    }
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < i; j++) {
            if (steps[i].at == steps[j].at) {
                return -ERR_INVALID;
            }
        }
        struct model_object *object = &next[steps[i].at];
        int64_t created = object->exists ? object->created : model->applied;
        *object = steps[i].op == CHANGE_DELETE ? (struct model_object){0} : steps[i].object;
        object->version = model->applied;
        object->created = created;
    }
    if (has_equal_names(next)) {
        return -ERR_EXISTS;
    }
    memcpy(model->objects, next, sizeof next);
    return 0;
}

// Mostly possible changes, some impossible ones.
static struct step draw_step(struct model *model) {
    struct step step = {.at = below(model, OBJECTS)};
    const struct model_object *now = &model->objects[step.at];
    step.op = now->exists ? (below(model, 3) > 0 ? CHANGE_UPDATE : CHANGE_DELETE) : CHANGE_CREATE;
    if (below(model, 20) == 0) {
        step.op = (enum change_op)below(model, 3);
    }
    if (step.op != CHANGE_CREATE) {
        step.expected = below(model, 2) > 0 ? now->version : below(model, 10) > 0 ? 0 : now->version + 1;
    }
    step.object = draw(model, step.at);
    return step;
}

// --- comparing ---

static void compare_objects(struct store_fixture *f, struct store_read *read, const struct model *model) {
    for (size_t i = 0; i < OBJECTS; i++) {
        const struct model_object *want = &model->objects[i];
        struct id id = store_id((unsigned)i + 1);
        void *object = NULL;
        int rc = store_load(read, kind_of(i), &id, &f->arena, &object, &f->err);
        assert_int_equal(rc, want->exists ? 0 : STORE_ABSENT);
        if (want->exists) {
            assert_int_equal(object_meta(object)->version, want->version);
            assert_int_equal(object_meta(object)->created, want->created);
            assert_string_equal(object_meta(object)->name, want->name);
        }
    }
}

static void compare_names(struct store_read *read, const struct model *model) {
    const enum object_kind kinds[] = {KIND_SERVICE, KIND_CONFIG, KIND_REVISION, KIND_TASK};
    for (size_t k = 0; k < 4; k++) {
        for (unsigned n = 0; n < 12; n++) {
            char name[16];
            snprintf(name, sizeof name, "name%u", n);
            struct id found, want = {""};
            for (size_t i = 0; i < OBJECTS; i++) {
                const struct model_object *object = &model->objects[i];
                if (object->exists && object->kind == kinds[k] && strcmp(object->name, name) == 0) {
                    want = store_id((unsigned)i + 1);
                }
            }
            int rc = store_find_name(read, kinds[k], name, &found, NULL);
            assert_int_equal(rc, id_is_none(&want) ? STORE_ABSENT : 0);
            assert_true(rc != 0 || id_equal(&found, &want));
        }
    }
}

static bool is_in(const struct model_object *object, enum store_index index, enum object_kind kind,
                  unsigned key) {
    switch (index) {
    case STORE_ALL:
        return object->exists && object->kind == kind;
    case STORE_TASKS_OF_SERVICE:
        return object->exists && object->kind == KIND_TASK && object->service == key;
    case STORE_TASKS_OF_NODE:
        return object->exists && object->kind == KIND_TASK && object->node == key;
    case STORE_REVISIONS_OF_SERVICE:
        return object->exists && object->kind == KIND_REVISION && object->service == key;
    }
    return false;
}

// The index yields exactly the objects that a full scan of the model finds.
static void compare_index(struct store_read *read, const struct model *model, enum store_index index,
                          enum object_kind kind, unsigned key) {
    struct store_cursor cursor;
    struct id id, key_id = store_id(key);
    struct bytes bytes;
    size_t found = 0, wanted = 0;
    assert_int_equal(store_each_begin(read, index, kind, &key_id, &cursor, NULL), 0);
    int rc;
    while ((rc = store_each_next(&cursor, &id, &bytes, NULL)) == 0) {
        found++;
        size_t at = 0;
        struct id candidate = store_id(1);
        while (at < OBJECTS && !id_equal(&candidate, &id)) {
            candidate = store_id((unsigned)++at + 1);
        }
        assert_true(at < OBJECTS && is_in(&model->objects[at], index, kind, key));
    }
    store_each_end(&cursor);
    assert_int_equal(rc, STORE_END);
    for (size_t i = 0; i < OBJECTS; i++) {
        wanted += is_in(&model->objects[i], index, kind, key);
    }
    assert_int_equal(found, wanted);
    if (index == STORE_ALL) {
        assert_int_equal(store_count(read, kind), (int64_t)wanted);
    }
}

static void compare(struct store_fixture *f, const struct model *model) {
    struct store_read *read = store_begin_read(f);
    assert_int_equal(store_read_revision(read), model->applied);
    compare_objects(f, read, model);
    compare_names(read, model);
    for (int kind = KIND_CLUSTER; kind < KIND_END; kind++) {
        compare_index(read, model, STORE_ALL, (enum object_kind)kind, 0);
    }
    for (unsigned i = 0; i < SERVICE_COUNT; i++) {
        compare_index(read, model, STORE_TASKS_OF_SERVICE, KIND_TASK, SERVICE_FIRST + i);
        compare_index(read, model, STORE_REVISIONS_OF_SERVICE, KIND_REVISION, SERVICE_FIRST + i);
    }
    for (unsigned i = 0; i < NODE_COUNT; i++) {
        compare_index(read, model, STORE_TASKS_OF_NODE, KIND_TASK, NODE_FIRST + i);
    }
    store_read_end(read);
}

// --- the run ---

static void one_transaction(struct model *model, struct store_fixture *f, struct store_fixture *other) {
    struct step steps[CHANGES_MAX];
    size_t count = 1 + (below(model, 4) == 0 ? below(model, CHANGES_MAX) : 0);
    for (size_t i = 0; i < count; i++) {
        steps[i] = draw_step(model);
        struct store_object object = encode(f, steps[i].at, &steps[i].object);
        store_add(f, steps[i].op, object, steps[i].expected);
    }
    char request[32] = "";
    if (below(model, 2) == 0) {
        snprintf(request, sizeof request, "request %lld", (long long)model->applied);
    }
    f->transaction.request_id = request;
    other->transaction = f->transaction;
    assert_int_equal(store_submit(other, 1), 0);
    struct store_result result = store_send(f);
    assert_int_equal(result.code, model_apply(model, steps, count));
    if (below(model, 7) == 0) {
        store_turn(other);
    }
}

static void run(uint64_t seed, int transactions) {
    struct model *model = test_calloc(1, sizeof *model);
    struct store_fixture f, other;
    struct store_options options = {.history_bytes = 200000};
    prng_seed(&model->prng, seed);
    store_fixture_begin(&f, &options);
    store_fixture_begin(&other, &options);
    for (int i = 0; i < transactions; i++) {
        one_transaction(model, &f, &other);
        if (i % 25 == 0) {
            compare(&f, model);
        }
        if (i % 200 == 199) { // the check of the opening holds every index against every object
            store_fixture_close(&f);
            assert_int_equal(store_fixture_open(&f), 0);
            arena_clear(&f.arena);
            f.results.count = 0;
            f.results.items = NULL;
        }
    }
    store_turn(&other);
    compare(&f, model);
    assert_true(store_digest_now(&f) == store_digest_now(&other));
    store_fixture_end(&f);
    store_fixture_end(&other);
    test_free(model);
}

static void the_store_does_what_the_model_does(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 6; seed++) {
        run(seed, 600);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(the_store_does_what_the_model_does),
};
CHECK_MAIN(tests)
