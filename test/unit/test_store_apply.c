// SPDX-License-Identifier: Apache-2.0
//
// test/unit/test_store_apply.c — changes, refusals, names and retries, one at a time.
#include "test/lib/check.h"
#include "test/lib/store_fixture.h"

#include <stdio.h>
#include <string.h>

#include "reconciler/store/index.h"

static int setup(void **state) {
    struct store_fixture *f = test_malloc(sizeof *f);
    store_fixture_begin(f, NULL);
    *state = f;
    return 0;
}

static int teardown(void **state) {
    store_fixture_end(*state);
    test_free(*state);
    return 0;
}

static struct task *load_task(struct store_fixture *f, unsigned number, int *rc) {
    struct store_read *read = store_begin_read(f);
    struct id id = store_id(number);
    void *object = NULL;
    *rc = store_load(read, KIND_TASK, &id, &f->arena, &object, &f->err);
    store_read_end(read);
    return object;
}

static struct id find(struct store_fixture *f, const char *name, int *rc) {
    struct store_read *read = store_begin_read(f);
    struct id id = {""};
    *rc = store_find_name(read, KIND_SERVICE, name, &id, &f->err);
    store_read_end(read);
    return id;
}

static void an_object_lives_from_create_to_delete(void **state) {
    struct store_fixture *f = *state;
    int rc;
    struct store_result made = store_try(f, CHANGE_CREATE, store_task(f, 1, 10, 0), 0);
    assert_int_equal(made.code, 0);
    assert_int_equal(made.revision, 1);
    struct task *task = load_task(f, 1, &rc);
    assert_int_equal(rc, 0);
    assert_int_equal(task->meta.version, 1);
    assert_int_equal(task->meta.created, 1);
    assert_int_equal(task->meta.created_unix_ms, 1700000000000);
    assert_string_equal(task->meta.changed_by, "test");
    struct store_result changed = store_try(f, CHANGE_UPDATE, store_task(f, 1, 10, 20), 1);
    assert_int_equal(changed.code, 0);
    task = load_task(f, 1, &rc);
    assert_int_equal(task->meta.version, 2);
    assert_int_equal(task->meta.created, 1);
    assert_int_equal(task->meta.created_unix_ms, 1700000000000);
    assert_int_equal(task->meta.updated_unix_ms, 1700000000001);
    assert_int_equal(store_try(f, CHANGE_DELETE, store_task(f, 1, 0, 0), 2).code, 0);
    load_task(f, 1, &rc);
    assert_int_equal(rc, STORE_ABSENT);
    assert_int_equal(store_revision(f->store), 3);
}

static void what_was_expected_otherwise_is_a_conflict(void **state) {
    struct store_fixture *f = *state;
    store_try(f, CHANGE_CREATE, store_service(f, 1, "web"), 0);
    store_try(f, CHANGE_UPDATE, store_service(f, 1, "web"), 1);
    uint64_t revision = (uint64_t)store_revision(f->store);
    struct store_result result = store_try(f, CHANGE_UPDATE, store_service(f, 1, "web"), 1);
    assert_int_equal(result.code, -ERR_CONFLICT);
    assert_string_equal(result.text, "service 'web' is at version 2, not 1");
    assert_int_equal(store_try(f, CHANGE_DELETE, store_service(f, 1, ""), 1).code, -ERR_CONFLICT);
    assert_int_equal(store_try(f, CHANGE_UPDATE, store_service(f, 1, "web"), 0).code, 0);
    assert_int_equal(store_try(f, CHANGE_UPDATE, store_service(f, 2, "api"), 0).code, -ERR_NOT_FOUND);
    assert_int_equal(store_try(f, CHANGE_DELETE, store_service(f, 2, ""), 0).code, -ERR_NOT_FOUND);
    // Refused entries count as entries.
    assert_int_equal(store_revision(f->store), revision + 5);
}

static void a_refused_transaction_leaves_nothing(void **state) {
    struct store_fixture *f = *state;
    int rc;
    store_try(f, CHANGE_CREATE, store_service(f, 1, "web"), 0);
    store_add(f, CHANGE_CREATE, store_task(f, 2, 1, 0), 0);
    store_add(f, CHANGE_UPDATE, store_service(f, 1, "other"), 0);
    store_add(f, CHANGE_CREATE, store_service(f, 1, "web"), 0);
    assert_int_equal(store_send(f).code, -ERR_EXISTS);
    load_task(f, 2, &rc);
    assert_int_equal(rc, STORE_ABSENT);
    find(f, "other", &rc);
    assert_int_equal(rc, STORE_ABSENT);
    struct store_read *read = store_begin_read(f);
    assert_int_equal(store_count(read, KIND_TASK), 0);
    assert_int_equal(store_count(read, KIND_SERVICE), 1);
    store_read_end(read);
}

static void names_are_unique_and_may_move(void **state) {
    struct store_fixture *f = *state;
    int rc;
    store_try(f, CHANGE_CREATE, store_service(f, 1, "web"), 0);
    store_try(f, CHANGE_CREATE, store_service(f, 2, "api"), 0);
    struct store_result taken = store_try(f, CHANGE_CREATE, store_service(f, 3, "web"), 0);
    assert_int_equal(taken.code, -ERR_EXISTS);
    assert_string_equal(taken.text, "service 'web' already exists");
    assert_int_equal(store_try(f, CHANGE_UPDATE, store_service(f, 2, "web"), 0).code, -ERR_EXISTS);
    // Two new ones want the same name.
    store_add(f, CHANGE_CREATE, store_service(f, 4, "new"), 0);
    store_add(f, CHANGE_CREATE, store_service(f, 5, "new"), 0);
    assert_int_equal(store_send(f).code, -ERR_EXISTS);
    // A swap.
    store_add(f, CHANGE_UPDATE, store_service(f, 1, "api"), 0);
    store_add(f, CHANGE_UPDATE, store_service(f, 2, "web"), 0);
    assert_int_equal(store_send(f).code, 0);
    struct id web = find(f, "web", &rc), two = store_id(2);
    assert_true(rc == 0 && id_equal(&web, &two));
    // The name of a deleted one is free in the same transaction.
    store_add(f, CHANGE_CREATE, store_service(f, 6, "web"), 0);
    store_add(f, CHANGE_DELETE, store_service(f, 2, ""), 0);
    assert_int_equal(store_send(f).code, 0);
    // The same name in another kind is another name.
    assert_int_equal(store_try(f, CHANGE_CREATE, store_config(f, 7, "web", 10), 0).code, 0);
    store_try(f, CHANGE_UPDATE, store_service(f, 6, "www"), 0);
    find(f, "web", &rc);
    assert_int_equal(rc, STORE_ABSENT);
}

static void one_object_changes_once(void **state) {
    struct store_fixture *f = *state;
    store_add(f, CHANGE_CREATE, store_task(f, 1, 10, 0), 0);
    store_add(f, CHANGE_CREATE, store_task(f, 2, 10, 0), 0);
    store_add(f, CHANGE_CREATE, store_task(f, 1, 10, 0), 0);
    struct store_result result = store_send(f);
    assert_int_equal(result.code, -ERR_INVALID);
    assert_non_null(strstr(result.text, "is changed twice"));
}

static void revisions_of_a_service_are_unique(void **state) {
    struct store_fixture *f = *state;
    assert_int_equal(store_try(f, CHANGE_CREATE, store_revision_object(f, 1, 9, 1), 0).code, 0);
    assert_int_equal(store_try(f, CHANGE_CREATE, store_revision_object(f, 2, 9, 1), 0).code, -ERR_EXISTS);
    assert_int_equal(store_try(f, CHANGE_CREATE, store_revision_object(f, 3, 9, 300), 0).code, 0);
    assert_int_equal(store_try(f, CHANGE_CREATE, store_revision_object(f, 4, 9, 2), 0).code, 0);
    struct store_read *read = store_begin_read(f);
    struct store_cursor cursor;
    struct id service = store_id(9), id;
    struct bytes bytes;
    unsigned order[] = {1, 4, 3};
    store_each_begin(read, STORE_REVISIONS_OF_SERVICE, KIND_REVISION, &service, &cursor, NULL);
    for (size_t i = 0; i < 3; i++) {
        struct id want = store_id(order[i]);
        assert_int_equal(store_each_next(&cursor, &id, &bytes, NULL), 0);
        assert_true(id_equal(&id, &want));
    }
    assert_int_equal(store_each_next(&cursor, &id, &bytes, NULL), STORE_END);
    store_each_end(&cursor);
    store_read_end(read);
}

static void nonsense_is_refused(void **state) {
    struct store_fixture *f = *state;
    struct store_object broken = store_task(f, 1, 10, 0);
    broken.bytes.len -= 1;
    assert_int_equal(store_try(f, CHANGE_CREATE, broken, 0).code, -ERR_INVALID);
    struct store_object unknown = store_task(f, 1, 10, 0);
    unknown.kind = (enum object_kind)55;
    assert_int_equal(store_try(f, CHANGE_CREATE, unknown, 0).code, -ERR_INVALID);
    char name[200];
    memset(name, 'a', sizeof name);
    name[STORE_NAME_BYTES_MAX + 1] = '\0';
    assert_int_equal(store_try(f, CHANGE_CREATE, store_service(f, 1, name), 0).code, -ERR_LIMIT);
    name[STORE_NAME_BYTES_MAX] = '\0';
    assert_int_equal(store_try(f, CHANGE_CREATE, store_service(f, 1, name), 0).code, 0);
    assert_int_equal(store_try(f, CHANGE_CREATE, store_config(f, 2, "big", OBJECT_BYTES_MAX + 1), 0).code,
                     -ERR_LIMIT);
    for (unsigned i = 0; i < 5; i++) {
        char config[16];
        snprintf(config, sizeof config, "c%u", i);
        store_add(f, CHANGE_CREATE, store_config(f, 10 + i, config, OBJECT_BYTES_MAX - 100), 0);
    }
    assert_int_equal(store_send(f).code, -ERR_LIMIT);
}

static void a_retry_gets_the_first_answer(void **state) {
    struct store_fixture *f = *state;
    store_add(f, CHANGE_CREATE, store_service(f, 1, "web"), 0);
    f->transaction.request_id = "request 1";
    struct store_result first = store_send(f);
    assert_int_equal(first.code, 0);
    store_add(f, CHANGE_CREATE, store_service(f, 1, "web"), 0);
    f->transaction.request_id = "request 2";
    struct store_result refused = store_send(f);
    assert_int_equal(refused.code, -ERR_EXISTS);
    store_try(f, CHANGE_DELETE, store_service(f, 1, ""), 0);
    store_add(f, CHANGE_CREATE, store_service(f, 1, "web"), 0);
    f->transaction.request_id = "request 1";
    struct store_result again = store_send(f);
    assert_int_equal(again.code, 0);
    assert_int_equal(again.revision, first.revision);
    store_add(f, CHANGE_CREATE, store_service(f, 1, "web"), 0);
    f->transaction.request_id = "request 2";
    again = store_send(f);
    assert_int_equal(again.code, -ERR_EXISTS);
    assert_string_equal(again.text, refused.text);
    int rc;
    find(f, "web", &rc);
    assert_int_equal(rc, STORE_ABSENT);
    // Ten minutes of transactions later it is a new request.
    store_add(f, CHANGE_CREATE, store_service(f, 1, "web"), 0);
    f->transaction.time_unix_ms += 11 * 60 * 1000;
    f->transaction.request_id = "request 3";
    assert_int_equal(store_send(f).code, 0);
    store_add(f, CHANGE_DELETE, store_service(f, 1, ""), 0);
    f->transaction.request_id = "request 1";
    again = store_send(f);
    assert_int_equal(again.code, 0);
    assert_int_equal(again.revision, store_revision(f->store));
}

static void fields_of_newer_versions_survive(void **state) {
    struct store_fixture *f = *state;
    struct store_object task = store_task(f, 1, 10, 0);
    uint8_t *longer = arena_alloc(&f->arena, task.bytes.len + 5);
    memcpy(longer, task.bytes.data, task.bytes.len);
    memcpy(longer + task.bytes.len, "\xF2\x7F\x02hi", 5); // tag 2046
    task.bytes = (struct bytes){longer, task.bytes.len + 5};
    assert_int_equal(store_try(f, CHANGE_CREATE, task, 0).code, 0);
    int rc;
    struct task *loaded = load_task(f, 1, &rc);
    assert_int_equal(loaded->unknown.len, 5);
    assert_memory_equal(loaded->unknown.data, "\xF2\x7F\x02hi", 5);
}

static void references_are_resolved(void **state) {
    struct store_fixture *f = *state;
    for (unsigned i = 1; i <= 40; i++) {
        char name[8];
        snprintf(name, sizeof name, "s%u", i);
        store_add(f, CHANGE_CREATE, store_service(f, i, name), 0);
    }
    assert_int_equal(store_send(f).code, 0);
    struct store_read *read = store_begin_read(f);
    struct id wanted = store_id(7), out;
    assert_int_equal(store_resolve(read, KIND_SERVICE, wanted.text, &out, NULL), 0);
    assert_int_equal(store_resolve(read, KIND_SERVICE, "s7", &out, NULL), 0);
    assert_true(id_equal(&out, &wanted));
    char prefix[9] = "";
    memcpy(prefix, wanted.text, 8);
    assert_int_equal(store_resolve(read, KIND_SERVICE, prefix, &out, NULL), 0);
    assert_true(id_equal(&out, &wanted));
    assert_int_equal(store_resolve(read, KIND_TASK, prefix, &out, NULL), STORE_ABSENT);
    assert_int_equal(store_resolve(read, KIND_SERVICE, "", &out, NULL), STORE_ABSENT);
    assert_int_equal(store_resolve(read, KIND_SERVICE, "s77", &out, NULL), STORE_ABSENT);
    int ambiguous = 0; // 40 ids over 36 first characters: two must share one
    for (const char *c = "0123456789abcdefghijklmnopqrstuvwxyz"; *c != '\0'; c++) {
        char one[2] = {*c, '\0'};
        ambiguous += store_resolve(read, KIND_SERVICE, one, &out, NULL) == STORE_AMBIGUOUS;
    }
    assert_true(ambiguous > 0);
    store_read_end(read);
}

static void a_read_stays_at_its_revision(void **state) {
    struct store_fixture *f = *state;
    store_try(f, CHANGE_CREATE, store_service(f, 1, "web"), 0);
    struct store_read *before = store_begin_read(f);
    store_try(f, CHANGE_DELETE, store_service(f, 1, ""), 0);
    for (unsigned i = 10; i < 200; i++) { // enough to reuse pages, were they free
        store_try(f, CHANGE_CREATE, store_task(f, i, 1, 0), 0);
    }
    struct store_read *after = store_begin_read(f);
    struct id id = store_id(1);
    struct bytes bytes;
    assert_int_equal(store_get(before, KIND_SERVICE, &id, &bytes, NULL), 0);
    assert_int_equal(store_read_revision(before), 1);
    assert_int_equal(store_count(before, KIND_TASK), 0);
    assert_int_equal(store_get(after, KIND_SERVICE, &id, &bytes, NULL), STORE_ABSENT);
    assert_int_equal(store_read_revision(after), 192);
    store_read_end(before);
    store_read_end(after);
}

static unsigned submitted_again;
static void submit_again(void *context, const struct proposal_result *result) {
    struct store_fixture *f = context;
    assert_int_equal(result->code, 0);
    if (submitted_again < 3) {
        submitted_again++;
        store_add(f, CHANGE_CREATE, store_task(f, 100 + submitted_again, 1, 0), 0);
        assert_int_equal(store_submit(f, 1), 0);
    }
}

static void a_result_may_submit(void **state) {
    struct store_fixture *f = *state;
    f->proposer->on_result = submit_again;
    store_add(f, CHANGE_CREATE, store_task(f, 100, 1, 0), 0);
    store_submit(f, 1);
    int turns = 0;
    for (; f->proposer->ops->has_work(f->proposer); turns++) {
        store_turn(f);
    }
    assert_int_equal(turns, 4);
    assert_int_equal(store_revision(f->store), 4);
}

static void a_full_queue_is_busy(void **state) {
    struct store_fixture *f = *state;
    int rc = 0;
    unsigned taken = 0;
    for (; rc == 0 && taken < 100000; taken++) {
        store_add(f, CHANGE_DELETE, store_task(f, 1, 0, 0), 0);
        rc = store_submit(f, taken);
    }
    assert_int_equal(rc, -ERR_BUSY);
    while (f->proposer->ops->has_work(f->proposer)) {
        store_turn(f);
    }
    assert_int_equal(f->results.count, taken - 1);
    for (size_t i = 0; i < f->results.count; i++) {
        assert_int_equal(f->results.items[i].token, i);
    }
}

static void the_log_keeps_a_tail(void **state) {
    struct store_fixture *f = *state;
    for (unsigned i = 0; i < 6000; i++) {
        store_add(f, CHANGE_DELETE, store_task(f, 1, 0, 0), 0);
        assert_int_equal(store_submit(f, i), 0);
        if (i % 500 == 0) {
            store_turn(f);
        }
    }
    store_turn(f);
    store_fixture_close(f);
    assert_int_equal(store_fixture_open(f), 0); // the check wants the tail without a gap
    assert_int_equal(store_revision(f->store), 6000);
}

static void tags_of_the_peek_are_the_schemas(void **state) {
    (void)state;
    const struct {
        const struct schema *schema;
        const char *field;
        unsigned tag;
    } rows[] = {
        {&meta_schema, "id", 1},           {&meta_schema, "version", 2},
        {&meta_schema, "created", 3},      {&meta_schema, "created_at", 4},
        {&meta_schema, "name", 6},         {&task_schema, "service_id", 2},
        {&task_schema, "node_id", 3},      {&revision_schema, "service_id", 2},
        {&revision_schema, "revision", 3}, {&task_schema, "meta", 1},
        {&revision_schema, "meta", 1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(schema_field(rows[i].schema, rows[i].field)->tag, rows[i].tag);
    }
    for (int kind = 1; kind < KIND_END; kind++) {
        assert_int_equal(schema_field(object_schema((enum object_kind)kind), "meta")->tag, 1);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
static const struct CMUnitTest tests[] = {
    TEST(an_object_lives_from_create_to_delete),
    TEST(what_was_expected_otherwise_is_a_conflict),
    TEST(a_refused_transaction_leaves_nothing),
    TEST(names_are_unique_and_may_move),
    TEST(one_object_changes_once),
    TEST(revisions_of_a_service_are_unique),
    TEST(nonsense_is_refused),
    TEST(a_retry_gets_the_first_answer),
    TEST(fields_of_newer_versions_survive),
    TEST(references_are_resolved),
    TEST(a_read_stays_at_its_revision),
    TEST(a_result_may_submit),
    TEST(a_full_queue_is_busy),
    TEST(the_log_keeps_a_tail),
    TEST(tags_of_the_peek_are_the_schemas),
};
CHECK_MAIN(tests)
