// SPDX-License-Identifier: Apache-2.0
//
// test/lib/session_host.c — letters are kept as they were sent; nothing is stored but what is asked for.
#include "test/lib/session_host.h"

#include <string.h>

#include "specs/cluster.h"
#include "test/lib/check.h"

bool host_is_closed(const struct host *h, uint64_t link) {
    for (size_t i = 0; i < h->closed.count; i++) {
        if (h->closed.items[i] == link) {
            return true;
        }
    }
    return false;
}

static bool on_send(void *context, uint64_t link, uint16_t number, struct bytes body) {
    struct host *h = context;
    assert_false(host_is_closed(h, link));
    if (h->room == 0) {
        return false;
    }
    h->room -= h->room > 0;
    assert_true(body.len <= message_row(number)->bytes_max);
    struct letter *letter = ARENA_PUSH(&h->store.arena, &h->letters);
    *letter = (struct letter){link, number, {arena_copy(&h->store.arena, body.data, body.len + 1), body.len}};
    return true;
}

static void on_close(void *context, uint64_t link) {
    struct host *h = context;
    assert_false(host_is_closed(h, link));
    *ARENA_PUSH(&h->store.arena, &h->closed) = link;
}

// --- the store ---

void host_put(struct host *h, enum change_op op, enum object_kind kind, const void *object) {
    AUTO_BUF bytes = {0};
    wire_encode(object_schema(kind), object, &bytes);
    struct store_object stored = {
        kind, object_meta_const(object)->id, {arena_copy(&h->store.arena, bytes.data, bytes.len), bytes.len}};
    assert_int_equal(store_try(&h->store, op, stored, 0).code, 0);
}

void host_put_node(struct host *h, unsigned number) {
    struct node node;
    schema_init(&node_schema, &node);
    node.meta.id = store_id(number);
    node.meta.name = node.spec.name = arena_printf(&h->store.arena, "n%u", number);
    host_put(h, CHANGE_CREATE, KIND_NODE, &node);
}

static const char *host_new_text(struct host *h, size_t len) {
    return memset(arena_alloc(&h->store.arena, len + 1), 'x', len); // zeroed behind it
}

void host_put_service(struct host *h, size_t spec_bytes) {
    struct service service;
    schema_init(&service_schema, &service);
    service.meta.id = store_id(SERVICE);
    service.meta.name = service.spec.name = "web";
    service.spec.image = "busybox";
    service.revision = 1;
    for (size_t left = spec_bytes; left > 0;) {
        size_t bytes = left < 60000 ? left : 60000;
        const char *name = arena_printf(&h->store.arena, "much%zu", left);
        service.spec.labels = pairs_set(&h->store.arena, &service.spec.labels, name, host_new_text(h, bytes));
        left -= bytes;
    }
    host_put(h, CHANGE_CREATE, KIND_SERVICE, &service);
}

struct task host_new_task(unsigned number, unsigned node) {
    struct task task;
    schema_init(&task_schema, &task);
    task.meta.id = store_id(number);
    task.service_id = store_id(SERVICE);
    task.node_id = store_id(node);
    task.slot = number;
    task.revision = 1;
    task.desired = TASK_RUNNING;
    task.status.state = TASK_ASSIGNED;
    return task;
}

void host_put_tasks(struct host *h, unsigned from, unsigned count, unsigned node) {
    for (unsigned number = from; number < from + count; number++) {
        struct task task = host_new_task(number, node);
        host_put(h, CHANGE_CREATE, KIND_TASK, &task);
    }
}

int64_t host_state_of(struct host *h, unsigned number) {
    struct store_read *read = store_begin_read(&h->store);
    struct id id = store_id(number);
    void *object;
    assert_int_equal(store_load(read, KIND_TASK, &id, &h->store.arena, &object, NULL), 0);
    store_read_end(read);
    return ((struct task *)object)->status.state;
}

struct sessions_callbacks host_callbacks(struct host *h) {
    return (struct sessions_callbacks){on_send, on_close, h};
}

static void host_begin(struct host *h, const struct store_options *options, size_t spec_bytes) {
    *h = (struct host){.room = -1};
    store_fixture_begin(&h->store, options);
    prng_seed(&h->prng, 1);
    h->sessions = sessions_new(&(struct sessions_options){
        .cluster_id = store_id(CLUSTER), .prng = &h->prng, .callbacks = host_callbacks(h)});
    sessions_lead(h->sessions);
    sessions_tick(h->sessions, h->mono_ms);
    struct cluster cluster;
    schema_init(&cluster_schema, &cluster);
    cluster.meta.id = store_id(CLUSTER);
    cluster.meta.name = "default";
    host_put(h, CHANGE_CREATE, KIND_CLUSTER, &cluster);
    host_put_node(h, 1);
    host_put_node(h, 2);
    host_put_service(h, spec_bytes);
}

static void host_finish(struct host *h) {
    sessions_free(h->sessions);
    store_fixture_end(&h->store);
}

void host_begin_anew(struct host *h, const struct store_options *options, size_t spec_bytes) {
    host_finish(h);
    host_begin(h, options, spec_bytes);
}

int host_setup(void **state) {
    struct host *h = test_calloc(1, sizeof *h);
    host_begin(h, NULL, 10);
    *state = h;
    return 0;
}

int host_teardown(void **state) {
    host_finish(*state);
    test_free(*state);
    return 0;
}

struct node *host_record_of(struct host *h, unsigned number) {
    struct store_read *read = store_begin_read(&h->store);
    struct id id = store_id(number);
    void *object;
    assert_int_equal(store_load(read, KIND_NODE, &id, &h->store.arena, &object, NULL), 0);
    store_read_end(read);
    return object;
}

// --- agents ---

void host_take(struct host *h, uint64_t link, unsigned node, uint16_t number, const void *payload) {
    AUTO_BUF body = {0};
    struct id peer = store_id(node);
    wire_encode(message_row(number)->payload, payload, &body);
    sessions_take(h->sessions, link, &peer, number, buf_bytes(&body));
}

void *host_last(struct host *h, uint64_t link, uint16_t number) {
    for (size_t i = h->letters.count; i > 0; i--) {
        const struct letter *letter = &h->letters.items[i - 1];
        if (letter->link == link && letter->number == number) {
            const struct schema *schema = message_row(number)->payload;
            void *payload = arena_alloc(&h->store.arena, schema->bytes);
            assert_int_equal(wire_decode(schema, letter->body, payload, &h->store.arena, NULL), 0);
            return payload;
        }
    }
    return NULL;
}

struct session_register host_new_register(unsigned node) {
    struct session_register asked;
    schema_init(&session_register_schema, &asked);
    asked.version_min = PROTOCOL_VERSION_MIN;
    asked.version_max = PROTOCOL_VERSION;
    asked.cluster_id = store_id(CLUSTER);
    asked.node_id = store_id(node);
    return asked;
}

struct id host_enter(struct host *h, uint64_t link, unsigned node) {
    return host_enter_again(h, link, node, &(struct id){{0}});
}

struct id host_enter_again(struct host *h, uint64_t link, unsigned node, const struct id *previous) {
    struct session_register asked = host_new_register(node);
    asked.previous = *previous;
    host_take(h, link, node, MESSAGE_SESSION_REGISTER, &asked);
    const struct session_registered *registered = host_last(h, link, MESSAGE_SESSION_REGISTERED);
    assert_non_null(registered);
    return registered->session_id;
}

void host_beat(struct host *h, uint64_t link, unsigned node, const struct id *session) {
    struct session_heartbeat heartbeat;
    schema_init(&session_heartbeat_schema, &heartbeat);
    heartbeat.session_id = *session;
    host_take(h, link, node, MESSAGE_SESSION_HEARTBEAT, &heartbeat);
}

void host_report(struct host *h, uint64_t link, unsigned node, const struct id *session, unsigned task,
                 int64_t state) {
    struct report_batch batch;
    struct task_report said;
    schema_init(&report_batch_schema, &batch);
    schema_init(&task_report_schema, &said);
    said.task_id = store_id(task);
    said.status.state = state;
    batch.session_id = *session;
    batch.reports.count = 1;
    batch.reports.items = &said;
    host_take(h, link, node, MESSAGE_REPORT, &batch);
}

void host_step(struct host *h) {
    do {
        struct store_read *read = store_begin_read(&h->store);
        struct error err = {0};
        assert_int_equal(sessions_step(h->sessions, read, &err), 0);
        store_read_end(read);
    } while (sessions_has_work(h->sessions));
}

void host_pass(struct host *h, int64_t ms) {
    for (int64_t end_ms = h->mono_ms + ms; h->mono_ms < end_ms;) {
        h->mono_ms += end_ms - h->mono_ms < 500 ? end_ms - h->mono_ms : 500;
        sessions_tick(h->sessions, h->mono_ms);
    }
}

enum session_presence host_presence(struct host *h, unsigned node) {
    struct id id = store_id(node);
    int64_t silent_ms;
    return sessions_presence(h->sessions, &id, &silent_ms);
}

// --- what agents say ---

void host_compose(struct host *h, struct transaction *out) {
    struct store_read *read = store_begin_read(&h->store);
    struct error err = {0};
    schema_init(&transaction_schema, out);
    assert_int_equal(sessions_compose(h->sessions, read, &h->store.arena, out, &err), 0);
    store_read_end(read);
}

void host_store(struct host *h, const struct transaction *transaction) {
    h->store.transaction = *transaction;
    h->store.transaction.who = "system:agents";
    h->store.transaction.why = "status of tasks";
    assert_int_equal(store_send(&h->store).code, 0);
    sessions_stored(h->sessions);
}

void host_settle(struct host *h) {
    struct transaction transaction;
    while (sessions_has_news(h->sessions)) {
        host_compose(h, &transaction);
        if (transaction.changes.count > 0) {
            host_store(h, &transaction);
        }
    }
}
