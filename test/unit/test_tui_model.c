// SPDX-License-Identifier: Apache-2.0
//
// test/unit/test_tui_model.c — the model's tables, sums and places against ones computed anew after every
// event.
#include "test/lib/check.h"

#include <string.h>

#include "base/mem.h"
#include "test/lib/shop.h"

#define NAIVE_MAX 64

// The naive model: the last object of each id, as it came.
struct naive {
    struct {
        bool is_there;
        void *object;
    } all[MODEL_KIND_COUNT][NAIVE_MAX];
};

static const enum object_kind kinds[] = {KIND_NODE, KIND_SERVICE, KIND_TASK};
static const char letters[] = {'n', 's', 't'};

// --- the checks ---

static size_t naive_count(const struct naive *naive, int kind) {
    size_t count = 0;
    for (int i = 0; i < NAIVE_MAX; i++) {
        count += naive->all[kind][i].is_there;
    }
    return count;
}

static bool naive_is_newest(const struct naive *naive, const struct task *task) {
    for (int i = 0; i < NAIVE_MAX; i++) {
        const struct task *other = naive->all[MODEL_TASKS][i].object;
        if (!naive->all[MODEL_TASKS][i].is_there || !id_equal(&other->service_id, &task->service_id) ||
            other->slot != task->slot || (task->slot == 0 && !id_equal(&other->node_id, &task->node_id))) {
            continue;
        }
        if (other->meta.created > task->meta.created ||
            (other->meta.created == task->meta.created && id_compare(&other->meta.id, &task->meta.id) > 0)) {
            return false;
        }
    }
    return true;
}

// The service's or node's sums, from scratch.
static struct model_load naive_load(const struct naive *naive, int kind, const void *object) {
    struct model_load load = {0};
    const struct id *id = &object_meta_const(object)->id;
    for (int i = 0; i < NAIVE_MAX; i++) {
        const struct task *task = naive->all[MODEL_TASKS][i].object;
        if (!naive->all[MODEL_TASKS][i].is_there ||
            !id_equal(kind == MODEL_SERVICES ? &task->service_id : &task->node_id, id)) {
            continue;
        }
        enum task_class class = model_task_class(task);
        if (!task_state_is_over(task->status.state)) {
            load.tasks++;
            load.cpus_nano += task->cpus_nano;
        }
        if (!naive_is_newest(naive, task) && class != CLASS_RUNNING) {
            continue;
        }
        load.running += class == CLASS_RUNNING;
        load.starting += class == CLASS_STARTING;
        load.pending += class == CLASS_PENDING;
        load.failed += class == CLASS_FAILED;
        load.complete += class == CLASS_COMPLETE;
        load.leaving += class == CLASS_LEAVING;
        load.stopped += class == CLASS_STOPPED;
        for (int j = 0; j < NAIVE_MAX; j++) {
            const struct service *service = naive->all[MODEL_SERVICES][j].object;
            if (naive->all[MODEL_SERVICES][j].is_there && id_equal(&service->meta.id, &task->service_id)) {
                load.old += class == CLASS_RUNNING && task->revision < service->restart_revision;
            }
        }
    }
    return load;
}

static void check_table(const struct model *model, const struct naive *naive, int kind) {
    const struct model_table *table = &model->tables[kind];
    assert_false(table->is_unsorted);
    assert_int_equal(table->count, naive_count(naive, kind));
    assert_int_equal(table->by_id.count, table->count);
    for (size_t i = 0; i < table->count; i++) {
        const struct model_row *row = table->rows[i];
        if (i > 0) {
            assert_true(model_compare(table->rows[i - 1], row, table->order) < 0);
        }
        assert_ptr_equal(model_find(model, (enum model_kind)kind, row->id.text), row);
    }
    for (int i = 0; i < NAIVE_MAX; i++) {
        if (!naive->all[kind][i].is_there) {
            continue;
        }
        const void *expected = naive->all[kind][i].object;
        const struct model_row *row =
            model_find(model, (enum model_kind)kind, object_meta_const(expected)->id.text);
        assert_non_null(row);
        assert_true(schema_equal(object_schema(kinds[kind]), expected, row->object));
        if (kind != MODEL_TASKS) {
            struct model_load load = naive_load(naive, kind, expected);
            assert_memory_equal(&load, &row->load, sizeof load);
        } else {
            assert_int_equal(row->place->newest == row, naive_is_newest(naive, expected));
        }
    }
}

static void check_all(struct model *model, const struct naive *naive) {
    model_settle(model);
    for (int kind = 0; kind < MODEL_KIND_COUNT; kind++) {
        check_table(model, naive, kind);
    }
}

// --- random events ---

static void *random_object(struct shop *shop, struct prng *prng, int kind, int64_t number) {
    static const int64_t states[] = {TASK_NEW,      TASK_PENDING,  TASK_PREPARING, TASK_RUNNING, TASK_RUNNING,
                                     TASK_COMPLETE, TASK_SHUTDOWN, TASK_FAILED,    TASK_ORPHANED};
    const char *name = arena_printf(
        &shop->arena, "%c%llu", letters[kind],
        (unsigned long long)(prng_below(prng, 8) == 0 ? prng_below(prng, 99) : (uint64_t)number));
    if (kind == MODEL_NODES) {
        struct node *node = shop_node(shop, number, name);
        node->status.state = prng_below(prng, 4) == 0 ? NODE_DOWN : NODE_READY;
        return node;
    }
    if (kind == MODEL_SERVICES) {
        struct service *service = shop_service(shop, number, name, (int64_t)prng_below(prng, 5));
        service->restart_revision = (int64_t)prng_below(prng, 3);
        return service;
    }
    struct id service = shop_id('s', (int64_t)prng_below(prng, 6));
    struct id node = shop_id('n', (int64_t)prng_below(prng, 5));
    struct task *task = shop_task(shop, number, &service, (int64_t)prng_below(prng, 4),
                                  prng_below(prng, 4) == 0 ? NULL : &node, states[prng_below(prng, 9)]);
    task->desired = prng_below(prng, 3) == 0 ? TASK_SHUTDOWN : TASK_RUNNING;
    task->revision = (int64_t)prng_below(prng, 3);
    task->cpus_nano = (int64_t)prng_below(prng, 3);
    return task;
}

static void random_event(struct shop *shop, struct naive *naive, struct prng *prng) {
    static const int numbers[] = {5, 6, 40};
    uint64_t pick = prng_below(prng, 10);
    int kind = pick == 0 ? MODEL_NODES : pick == 1 ? MODEL_SERVICES : MODEL_TASKS;
    int number = (int)prng_below(prng, (uint64_t)numbers[kind]);
    if (naive->all[kind][number].is_there && prng_below(prng, 4) == 0) {
        struct id id = shop_id(letters[kind], number);
        shop_delete(shop, kinds[kind], &id);
        naive->all[kind][number].is_there = false;
        return;
    }
    void *object = random_object(shop, prng, kind, number);
    if (naive->all[kind][number].is_there) {
        object_meta(object)->version = 1;
        object_meta(object)->created = object_meta(naive->all[kind][number].object)->created;
    }
    shop_put(shop, kinds[kind], object, "test");
    naive->all[kind][number].object = object;
    naive->all[kind][number].is_there = true;
}

// Everything that is there, in any order of kinds, as a snapshot.
static void put_snapshot(struct shop *shop, const struct naive *naive, struct prng *prng) {
    int first = (int)prng_below(prng, MODEL_KIND_COUNT);
    shop->is_snapshot = true;
    for (int k = 0; k < MODEL_KIND_COUNT; k++) {
        int kind = (k + first) % MODEL_KIND_COUNT;
        for (int i = 0; i < NAIVE_MAX; i++) {
            if (naive->all[kind][i].is_there) {
                shop_put(shop, kinds[kind], naive->all[kind][i].object, "");
            }
        }
    }
    shop->is_snapshot = false;
}

static void random_order(struct model *model, struct prng *prng) {
    enum model_kind kind = (enum model_kind)prng_below(prng, MODEL_KIND_COUNT);
    struct model_order order = {(enum model_sort)prng_below(prng, SORT_COUNT), prng_below(prng, 2) == 0};
    model_set_order(model, kind, order);
}

static void apply(struct model *model, struct shop *shop, int64_t now_ms) {
    struct event_batch batch = shop_take(shop);
    assert_int_equal(model_apply(model, &batch, now_ms, NULL), 0);
}

static void run_seed(uint64_t seed) {
    struct prng prng;
    prng_seed(&prng, seed);
    struct shop shop;
    struct model model;
    struct naive *naive = NEW(struct naive);
    shop_init(&shop);
    model_init(&model);
    for (int step = 0; step < 300; step++) {
        if (prng_below(&prng, 40) == 0) {
            random_order(&model, &prng);
        }
        if (prng_below(&prng, 60) == 0) {
            for (int i = 0; i < 10; i++) { // unseen: history was trimmed meanwhile
                random_event(&shop, naive, &prng);
            }
            shop_take(&shop);
            put_snapshot(&shop, naive, &prng);
            model_begin_snapshot(&model);
        } else {
            for (uint64_t i = prng_below(&prng, 4); i < 4; i++) {
                random_event(&shop, naive, &prng);
            }
        }
        if (prng_below(&prng, 50) == 0) {
            model.compact_at_bytes = 0;
        }
        apply(&model, &shop, step + 1);
        if (prng_below(&prng, 3) != 0) { // several batches may come between two looks
            check_all(&model, naive);
        }
    }
    check_all(&model, naive);
    model_deinit(&model);
    shop_free(&shop);
    xfree(naive);
}

static void tables_sums_and_places_are_those_of_a_naive_model(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        run_seed(seed);
    }
}

// --- the stream's rules ---

static void a_first_snapshot_marks_nothing_as_changed_and_a_delta_does(void **state) {
    (void)state;
    struct shop shop;
    struct model model;
    shop_init(&shop);
    model_init(&model);
    shop_fill(&shop);
    apply(&model, &shop, 1000);
    const struct model_row *row = model_find(&model, MODEL_SERVICES, shop_id('s', 1).text);
    assert_int_equal(row->changed_ms, 0);
    assert_true(model.is_caught_up);
    struct service *web = shop_service(&shop, 1, "shop-web", 4);
    web->meta.version = 1;
    shop_put(&shop, KIND_SERVICE, web, "scale shop-web=4");
    apply(&model, &shop, 2000);
    assert_int_equal(row->changed_ms, 2000);
    assert_string_equal(row->why, "scale shop-web=4");
    assert_int_equal(model_wanted(row), 4);
    model_deinit(&model);
    shop_free(&shop);
}

static void a_resync_keeps_rows_sweeps_the_rest_and_marks_what_differs(void **state) {
    (void)state;
    struct shop shop;
    struct model model;
    shop_init(&shop);
    model_init(&model);
    struct service *kept = shop_service(&shop, 1, "kept", 1);
    struct service *changed = shop_service(&shop, 2, "changed", 1);
    shop.is_snapshot = true;
    shop_put(&shop, KIND_SERVICE, kept, "");
    shop_put(&shop, KIND_SERVICE, changed, "");
    shop_put(&shop, KIND_SERVICE, shop_service(&shop, 3, "gone", 1), "");
    apply(&model, &shop, 1);
    const struct model_row *row = model_find(&model, MODEL_SERVICES, kept->meta.id.text);
    int64_t version = kept->meta.version;
    shop_put(&shop, KIND_SERVICE, kept, "");
    struct event_batch batch = shop_take(&shop);
    kept->meta.version = version;
    AUTO_BUF same = buf_make(0);
    wire_encode(&service_schema, kept, &same);
    batch.events.items[0].to = buf_bytes(&same);
    batch.skipped = true;
    batch.caught_up = false;
    assert_int_equal(model_apply(&model, &batch, 5, NULL), 0);
    assert_true(model.is_loading);
    // the old picture stays until the new one is whole
    assert_int_equal(model.tables[MODEL_SERVICES].count, 3);
    shop_put(&shop, KIND_SERVICE, changed, "");
    apply(&model, &shop, 6);
    assert_false(model.is_loading);
    assert_ptr_equal(model_find(&model, MODEL_SERVICES, kept->meta.id.text), row);
    assert_int_equal(row->changed_ms, 0);
    assert_int_equal(model_find(&model, MODEL_SERVICES, changed->meta.id.text)->changed_ms, 6);
    assert_null(model_find(&model, MODEL_SERVICES, shop_id('s', 3).text));
    assert_int_equal(model.resyncs, 1);
    model_deinit(&model);
    shop_free(&shop);
}

static void an_empty_snapshot_empties_the_model(void **state) {
    (void)state;
    struct shop shop;
    struct model model;
    shop_init(&shop);
    model_init(&model);
    shop_fill(&shop);
    apply(&model, &shop, 1);
    struct event_batch nothing = {.revision = 1, .skipped = true, .caught_up = true};
    assert_int_equal(model_apply(&model, &nothing, 2, NULL), 0);
    model_settle(&model);
    for (int kind = 0; kind < MODEL_KIND_COUNT; kind++) {
        assert_int_equal(model.tables[kind].count, 0);
    }
    assert_int_equal(model.places.count, 0);
    model_deinit(&model);
    shop_free(&shop);
}

static void a_damaged_object_is_refused_and_leaves_the_row_as_it_was(void **state) {
    (void)state;
    struct shop shop;
    struct model model;
    struct error err = {0};
    shop_init(&shop);
    model_init(&model);
    shop_fill(&shop);
    apply(&model, &shop, 1);
    shop_put(&shop, KIND_TASK, shop_task(&shop, 1, &(struct id){0}, 1, NULL, TASK_NEW), "");
    struct event_batch batch = shop_take(&shop);
    batch.events.items[0].to.len /= 2;
    assert_int_equal(model_apply(&model, &batch, 2, &err), -ERR_CORRUPT);
    assert_int_equal(err.code, ERR_CORRUPT);
    model_settle(&model);
    const struct model_row *row = model_find(&model, MODEL_TASKS, shop_id('t', 1).text);
    assert_int_equal(row_task(row)->status.state, TASK_RUNNING);
    model_deinit(&model);
    shop_free(&shop);
}

static void memory_stays_bounded_over_a_long_stream(void **state) {
    (void)state;
    struct shop shop;
    struct model model;
    shop_init(&shop);
    model_init(&model);
    shop_fill_large(&shop, 200);
    apply(&model, &shop, 1);
    model_settle(&model);
    for (int round = 0; round < 2000; round++) {
        struct id service = shop_id('s', round % 20 + 1);
        struct id node = shop_id('n', round % 100 + 1);
        struct task *task = shop_task(&shop, round % 200 + 1, &service, 1, &node, TASK_RUNNING);
        for (int i = 0; i < 5; i++) {
            task->status.message = "a message that takes some memory, so that the arena would grow and grow";
            task->meta.version = 1;
            shop_put(&shop, KIND_TASK, task, "because");
        }
        apply(&model, &shop, round);
        model_settle(&model);
        arena_clear(&shop.arena);
        assert_true(model.objects.used_bytes < 4 << 20);
    }
    model_deinit(&model);
    shop_free(&shop);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(tables_sums_and_places_are_those_of_a_naive_model),
    cmocka_unit_test(a_first_snapshot_marks_nothing_as_changed_and_a_delta_does),
    cmocka_unit_test(a_resync_keeps_rows_sweeps_the_rest_and_marks_what_differs),
    cmocka_unit_test(an_empty_snapshot_empties_the_model),
    cmocka_unit_test(a_damaged_object_is_refused_and_leaves_the_row_as_it_was),
    cmocka_unit_test(memory_stays_bounded_over_a_long_stream),
};
CHECK_MAIN(tests)
