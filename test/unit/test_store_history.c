// SPDX-License-Identifier: Apache-2.0
//
// test/unit/test_store_history.c — what happened, read on from a position, and what was trimmed meanwhile.
#include "test/lib/check.h"
#include "test/lib/store_fixture.h"

#include <string.h>

#include "base/limits.h"

static struct events read_on(struct store_fixture *f, struct store_position *position, uint64_t kinds,
                             size_t max, size_t max_bytes, int *rc) {
    struct store_read *read = store_begin_read(f);
    struct events events = {0};
    *rc = store_history(read, position, kinds, max, max_bytes, &f->arena, &events, &f->err);
    store_read_end(read);
    return events;
}

static void a_change_leaves_an_event(void **state) {
    (void)state;
    struct store_fixture f;
    store_fixture_begin(&f, NULL);
    int rc;
    store_add(&f, CHANGE_CREATE, store_service(&f, 1, "web"), 0);
    store_add(&f, CHANGE_CREATE, store_task(&f, 2, 1, 0), 0);
    store_send(&f);
    store_try(&f, CHANGE_UPDATE, store_service(&f, 1, "www"), 7); // refused: no event
    store_try(&f, CHANGE_UPDATE, store_service(&f, 1, "www"), 0);
    store_try(&f, CHANGE_DELETE, store_service(&f, 1, ""), 0);
    struct store_position position = store_position_after(0);
    struct events events = read_on(&f, &position, 0, 100, MIB, &rc);
    assert_int_equal(rc, 0);
    assert_int_equal(events.count, 4);
    const struct event *made = &events.items[0], *changed = &events.items[2], *gone = &events.items[3];
    assert_int_equal(made->revision, 1);
    assert_int_equal(made->op, CHANGE_CREATE);
    assert_string_equal(made->who, "test");
    assert_string_equal(made->why, "because");
    assert_string_equal(made->name, "web");
    assert_int_equal(made->from.len, 0);
    assert_int_equal(events.items[1].index, 1);
    assert_int_equal(changed->revision, 3);
    assert_string_equal(changed->name, "www");
    assert_int_equal(changed->from.len, made->to.len);
    assert_memory_equal(changed->from.data, made->to.data, made->to.len);
    assert_int_equal(gone->op, CHANGE_DELETE);
    assert_string_equal(gone->name, "www");
    assert_int_equal(gone->to.len, 0);
    assert_int_equal(position.revision, 4);
    store_fixture_end(&f);
}

static void a_watch_is_only_a_position(void **state) {
    (void)state;
    struct store_fixture f;
    store_fixture_begin(&f, NULL);
    for (unsigned i = 1; i <= 30; i++) {
        store_add(&f, CHANGE_CREATE, store_task(&f, 3 * i, 1, 0), 0);
        store_add(&f, CHANGE_CREATE, store_config(&f, 3 * i + 1, "", 100), 0);
        store_add(&f, CHANGE_CREATE, store_task(&f, 3 * i + 2, 1, 0), 0);
        assert_int_equal(store_send(&f).code, 0);
    }
    int rc;
    // In portions that cut transactions apart, nothing is lost and nothing comes twice.
    struct store_position position = {0}, last = {0};
    size_t total = 0, portions = 0;
    for (;; portions++) {
        struct events events = read_on(&f, &position, 0, 7, MIB, &rc);
        assert_int_equal(rc, 0);
        for (size_t i = 0; i < events.count; i++) {
            const struct event *event = &events.items[i];
            assert_true(event->revision > last.revision ||
                        (event->revision == last.revision && event->index > last.index) || total + i == 0);
            last = (struct store_position){event->revision, event->index};
        }
        total += events.count;
        if (events.count == 0) {
            break;
        }
    }
    assert_int_equal(total, 90);
    assert_int_equal(portions, 13);
    position = store_position_after(10);
    struct events configs = read_on(&f, &position, UINT64_C(1) << KIND_CONFIG, 100, MIB, &rc);
    assert_int_equal(configs.count, 20);
    assert_int_equal(configs.items[0].revision, 11);
    assert_int_equal(position.revision, 30);
    assert_int_equal(position.index, 2); // past all that was looked at
    position = store_position_after(10);
    // a byte is not enough, but one event goes
    assert_int_equal(read_on(&f, &position, 0, 100, 1, &rc).count, 1);
    position = store_position_after(30);
    assert_int_equal(read_on(&f, &position, 0, 100, MIB, &rc).count, 0);
    assert_int_equal(rc, 0);
    store_fixture_end(&f);
}

static void who_comes_late_is_told(void **state) {
    (void)state;
    struct store_fixture f;
    struct store_options options = {.history_bytes = 20000};
    store_fixture_begin(&f, &options);
    int rc;
    struct store_position early = store_position_after(0);
    for (unsigned i = 1; i <= 200; i++) {
        store_try(&f, CHANGE_CREATE, store_task(&f, i, 1, 0), 0);
    }
    struct store_usage usage;
    store_usage(f.store, &usage);
    assert_true(usage.history_bytes <= 20000 && usage.history_bytes > 19000);
    assert_true(usage.history_first_revision > 50 && usage.history_first_revision < 200);
    assert_int_equal(usage.objects, 200);
    struct store_position before = early;
    read_on(&f, &early, 0, 1000, MIB, &rc);
    assert_int_equal(rc, STORE_SKIPPED);
    assert_true(early.revision == before.revision && early.index == before.index);
    struct store_position just = store_position_after(usage.history_first_revision - 1);
    struct events events = read_on(&f, &just, 0, 1000, MIB, &rc);
    assert_int_equal(rc, 0);
    assert_int_equal(events.count, 200 - usage.history_first_revision + 1);
    just = store_position_after(usage.history_first_revision - 2);
    read_on(&f, &just, 0, 1000, MIB, &rc);
    assert_int_equal(rc, STORE_SKIPPED);
    // By age, in the time of transactions.
    store_add(&f, CHANGE_CREATE, store_task(&f, 300, 1, 0), 0);
    f.transaction.time_unix_ms += HISTORY_AGE_MS_MAX + 1000;
    store_send(&f);
    for (unsigned i = 0; i < 3; i++) {
        store_try(&f, CHANGE_UPDATE, store_task(&f, 300, 1, 0), 0);
    }
    store_usage(f.store, &usage);
    assert_int_equal(usage.history_first_revision, 201);
    store_fixture_end(&f);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_change_leaves_an_event),
    cmocka_unit_test(a_watch_is_only_a_position),
    cmocka_unit_test(who_comes_late_is_told),
};
CHECK_MAIN(tests)
