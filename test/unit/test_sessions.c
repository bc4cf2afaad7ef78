// SPDX-License-Identifier: Apache-2.0
//
// test/unit/test_sessions.c — the leader's end of sessions: who is there, what each is told, what each says.
#include "test/lib/check.h"
#include "test/lib/store_fixture.h"

#include <string.h>

#include "base/limits.h"
#include "base/str.h"
#include "reconciler/dispatch/sessions.h"
#include "specs/cluster.h"
#include "specs/node.h"
#include "transport/messages.h"

#define CLUSTER 5
#define SERVICE 10

// What came out of the sessions for a link, the body still encoded.
struct letter {
    uint64_t link;
    uint16_t number;
    struct bytes body;
};

struct host {
    struct store_fixture store;
    struct sessions *sessions;
    struct prng prng;
    LIST_OF(struct letter) letters;
    LIST_OF(uint64_t) closed;
    int room; // messages that are taken; negative = any number
    int64_t mono_ms;
};

static bool is_closed(const struct host *h, uint64_t link) {
    for (size_t i = 0; i < h->closed.count; i++) {
        if (h->closed.items[i] == link) {
            return true;
        }
    }
    return false;
}

static bool on_send(void *context, uint64_t link, uint16_t number, struct bytes body) {
    struct host *h = context;
    assert_false(is_closed(h, link));
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
    assert_false(is_closed(h, link));
    *ARENA_PUSH(&h->store.arena, &h->closed) = link;
}

// --- the store ---

static void put(struct host *h, enum change_op op, enum object_kind kind, const void *object) {
    AUTO_BUF bytes = {0};
    wire_encode(object_schema(kind), object, &bytes);
    struct store_object stored = {
        kind, object_meta_const(object)->id, {arena_copy(&h->store.arena, bytes.data, bytes.len), bytes.len}};
    assert_int_equal(store_try(&h->store, op, stored, 0).code, 0);
}

static void put_node(struct host *h, unsigned number) {
    struct node node;
    schema_init(&node_schema, &node);
    node.meta.id = store_id(number);
    node.meta.name = node.spec.name = arena_printf(&h->store.arena, "n%u", number);
    put(h, CHANGE_CREATE, KIND_NODE, &node);
}

static const char *new_text(struct host *h, size_t len) {
    return memset(arena_alloc(&h->store.arena, len + 1), 'x', len); // zeroed behind it
}

static void put_service(struct host *h, size_t spec_bytes) {
    struct service service;
    schema_init(&service_schema, &service);
    service.meta.id = store_id(SERVICE);
    service.meta.name = service.spec.name = "web";
    service.spec.image = "busybox";
    service.revision = 1;
    for (size_t left = spec_bytes; left > 0;) {
        size_t bytes = left < 60000 ? left : 60000;
        const char *name = arena_printf(&h->store.arena, "much%zu", left);
        service.spec.labels = pairs_set(&h->store.arena, &service.spec.labels, name, new_text(h, bytes));
        left -= bytes;
    }
    put(h, CHANGE_CREATE, KIND_SERVICE, &service);
}

static struct task new_task(unsigned number, unsigned node) {
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

static void put_tasks(struct host *h, unsigned from, unsigned count, unsigned node) {
    for (unsigned number = from; number < from + count; number++) {
        struct task task = new_task(number, node);
        put(h, CHANGE_CREATE, KIND_TASK, &task);
    }
}

static int64_t state_of(struct host *h, unsigned number) {
    struct store_read *read = store_begin_read(&h->store);
    struct id id = store_id(number);
    void *object;
    assert_int_equal(store_load(read, KIND_TASK, &id, &h->store.arena, &object, NULL), 0);
    store_read_end(read);
    return ((struct task *)object)->status.state;
}

static void begin(struct host *h, const struct store_options *options, size_t spec_bytes) {
    *h = (struct host){.room = -1};
    store_fixture_begin(&h->store, options);
    prng_seed(&h->prng, 1);
    h->sessions = sessions_new(&(struct sessions_options){
        .cluster_id = store_id(CLUSTER), .prng = &h->prng, .callbacks = {on_send, on_close, h}});
    sessions_lead(h->sessions);
    sessions_tick(h->sessions, h->mono_ms);
    struct cluster cluster;
    schema_init(&cluster_schema, &cluster);
    cluster.meta.id = store_id(CLUSTER);
    cluster.meta.name = "default";
    put(h, CHANGE_CREATE, KIND_CLUSTER, &cluster);
    put_node(h, 1);
    put_node(h, 2);
    put_service(h, spec_bytes);
}

static void finish(struct host *h) {
    sessions_free(h->sessions);
    store_fixture_end(&h->store);
}

static void begin_anew(struct host *h, const struct store_options *options, size_t spec_bytes) {
    finish(h);
    begin(h, options, spec_bytes);
}

static int setup(void **state) {
    struct host *h = test_calloc(1, sizeof *h);
    begin(h, NULL, 10);
    *state = h;
    return 0;
}

static int teardown(void **state) {
    finish(*state);
    test_free(*state);
    return 0;
}

// --- agents ---

static void take(struct host *h, uint64_t link, unsigned node, uint16_t number, const void *payload) {
    AUTO_BUF body = {0};
    struct id peer = store_id(node);
    wire_encode(message_row(number)->payload, payload, &body);
    sessions_take(h->sessions, link, &peer, number, buf_bytes(&body));
}

// The last message of the kind on a link, decoded; NULL when there is none.
static void *last(struct host *h, uint64_t link, uint16_t number) {
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

static struct session_register new_register(unsigned node) {
    struct session_register asked;
    schema_init(&session_register_schema, &asked);
    asked.version_min = PROTOCOL_VERSION_MIN;
    asked.version_max = PROTOCOL_VERSION;
    asked.cluster_id = store_id(CLUSTER);
    asked.node_id = store_id(node);
    return asked;
}

// The new session.
static struct id enter(struct host *h, uint64_t link, unsigned node) {
    struct session_register asked = new_register(node);
    take(h, link, node, MESSAGE_SESSION_REGISTER, &asked);
    const struct session_registered *registered = last(h, link, MESSAGE_SESSION_REGISTERED);
    assert_non_null(registered);
    return registered->session_id;
}

static void beat(struct host *h, uint64_t link, unsigned node, const struct id *session) {
    struct session_heartbeat heartbeat;
    schema_init(&session_heartbeat_schema, &heartbeat);
    heartbeat.session_id = *session;
    take(h, link, node, MESSAGE_SESSION_HEARTBEAT, &heartbeat);
}

static void report(struct host *h, uint64_t link, unsigned node, const struct id *session, unsigned task,
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
    take(h, link, node, MESSAGE_REPORT, &batch);
}

static void step(struct host *h) {
    do {
        struct store_read *read = store_begin_read(&h->store);
        struct error err = {0};
        assert_int_equal(sessions_step(h->sessions, read, &err), 0);
        store_read_end(read);
    } while (sessions_has_work(h->sessions));
}

static void pass(struct host *h, int64_t ms) {
    for (int64_t end_ms = h->mono_ms + ms; h->mono_ms < end_ms;) {
        h->mono_ms += end_ms - h->mono_ms < 500 ? end_ms - h->mono_ms : 500;
        sessions_tick(h->sessions, h->mono_ms);
    }
}

static enum session_presence presence(struct host *h, unsigned node) {
    struct id id = store_id(node);
    int64_t silent_ms;
    return sessions_presence(h->sessions, &id, &silent_ms);
}

// --- what an agent would hold after what came on its link ---

struct holding {
    int64_t number; // of the last part
    int parts, sets;
    bool is_broken; // a number was left out, or a step was not whole
    bool is_whole;  // the last step came to its end
    LIST_OF(struct id) tasks;
};

static void hold(struct holding *holding, const struct id *id, bool is_in, struct arena *arena) {
    size_t kept = 0;
    for (size_t i = 0; i < holding->tasks.count; i++) {
        if (!id_equal(&holding->tasks.items[i], id)) {
            holding->tasks.items[kept++] = holding->tasks.items[i];
        }
    }
    holding->tasks.count = kept;
    if (is_in) {
        LIST_OF(struct id) longer = {0};
        for (size_t i = 0; i < kept; i++) {
            *ARENA_PUSH(arena, &longer) = holding->tasks.items[i];
        }
        *ARENA_PUSH(arena, &longer) = *id;
        holding->tasks.count = longer.count;
        holding->tasks.items = longer.items;
    }
}

static void hold_part(struct host *h, struct holding *holding, const struct assign_part *part) {
    holding->is_broken |= part->number != holding->number + 1 || part->is_first != holding->is_whole;
    holding->number = part->number;
    holding->is_whole = part->is_last;
    holding->parts++;
    if (part->is_first && part->is_complete) {
        holding->tasks.count = 0;
        holding->sets++;
    }
    for (size_t i = 0; i < part->changed.count; i++) {
        struct assignment assignment;
        assert_int_equal(wire_decode(&assignment_schema, part->changed.items[i].assignment, &assignment,
                                     &h->store.arena, NULL),
                         0);
        hold(holding, &assignment.task.meta.id, true, &h->store.arena);
    }
    for (size_t i = 0; i < part->removed.count; i++) {
        hold(holding, &part->removed.items[i].task_id, false, &h->store.arena);
    }
}

static struct holding holding_of(struct host *h, uint64_t link) {
    struct holding holding = {.is_whole = true};
    for (size_t i = 0; i < h->letters.count; i++) {
        const struct letter *letter = &h->letters.items[i];
        if (letter->link == link && letter->number == MESSAGE_ASSIGN) {
            struct assign_part part;
            assert_int_equal(wire_decode(&assign_part_schema, letter->body, &part, &h->store.arena, NULL), 0);
            hold_part(h, &holding, &part);
        }
    }
    assert_false(holding.is_broken);
    return holding;
}

// --- registering ---

static void who_registers_gets_a_session_and_its_complete_set(void **state) {
    struct host *h = *state;
    const char *addresses[] = {"10.0.0.1:2377", "10.0.0.2:2377"};
    sessions_set_managers(h->sessions, &(struct strings){2, addresses});
    put_tasks(h, 20, 3, 1);
    put_tasks(h, 30, 2, 2);
    enter(h, 100, 1);
    const struct session_registered *registered = last(h, 100, MESSAGE_SESSION_REGISTERED);
    assert_in_range(registered->heartbeat_ms, 4500, 5000);
    assert_int_equal(registered->managers.count, 2);
    assert_string_equal(registered->managers.items[1], "10.0.0.2:2377");
    assert_int_equal(sessions_count(h->sessions), 1);
    assert_int_equal(presence(h, 1), SESSION_HEARD);
    step(h);
    struct holding holding = holding_of(h, 100);
    assert_true(holding.is_whole);
    assert_int_equal(holding.sets, 1);
    assert_int_equal(holding.tasks.count, 3);
}

static void who_does_not_lead_says_who_does(void **state) {
    struct host *h = *state;
    struct session_register asked = new_register(1);
    sessions_follow(h->sessions, "10.0.0.3:2377");
    take(h, 100, 1, MESSAGE_SESSION_REGISTER, &asked);
    const struct session_redirect *redirect = last(h, 100, MESSAGE_SESSION_REDIRECT);
    assert_string_equal(redirect->leader, "10.0.0.3:2377");
    assert_true(is_closed(h, 100));
    sessions_follow(h->sessions, "");
    take(h, 101, 1, MESSAGE_SESSION_REGISTER, &asked);
    redirect = last(h, 101, MESSAGE_SESSION_REDIRECT);
    assert_string_equal(redirect->leader, "");
    assert_int_equal(sessions_count(h->sessions), 0);
}

static void who_leads_no_more_sends_all_sessions_away(void **state) {
    struct host *h = *state;
    enter(h, 100, 1);
    enter(h, 101, 2);
    sessions_follow(h->sessions, "10.0.0.3:2377");
    const struct session_redirect *redirect = last(h, 101, MESSAGE_SESSION_REDIRECT);
    assert_string_equal(redirect->leader, "10.0.0.3:2377");
    assert_true(is_closed(h, 100) && is_closed(h, 101));
    assert_int_equal(sessions_count(h->sessions), 0);
}

static void strangers_are_refused_with_a_reason(void **state) {
    struct host *h = *state;
    struct session_register foreign = new_register(1), other = new_register(2), newer = new_register(1);
    foreign.cluster_id = store_id(6);
    newer.version_min = newer.version_max = PROTOCOL_VERSION + 1;
    const struct session_register *asked[] = {&foreign, &other, &newer};
    static const char *const codes[] = {"DENIED", "DENIED", "UNSUPPORTED"};
    for (uint64_t i = 0; i < 3; i++) {
        take(h, i, 1, MESSAGE_SESSION_REGISTER, asked[i]);
        const struct session_end *end = last(h, i, MESSAGE_SESSION_END);
        assert_non_null(end);
        assert_string_equal(end->code, codes[i]);
        assert_true(is_closed(h, i));
    }
    assert_int_equal(sessions_count(h->sessions), 0);
}

static void the_newer_of_two_sessions_stays_and_the_older_is_told_why(void **state) {
    struct host *h = *state;
    put_tasks(h, 20, 1, 1);
    struct id older = enter(h, 100, 1);
    step(h);
    struct id newer = enter(h, 101, 1);
    const struct session_end *end = last(h, 100, MESSAGE_SESSION_END);
    assert_non_null(end);
    assert_string_equal(end->code, "CONFLICT");
    assert_true(id_equal(&end->session_id, &older));
    assert_true(is_closed(h, 100));
    assert_false(id_equal(&older, &newer));
    sessions_link_down(h->sessions, 100); // says nothing about the newer one
    assert_int_equal(sessions_count(h->sessions), 1);
    beat(h, 101, 1, &newer);
    assert_non_null(last(h, 101, MESSAGE_SESSION_HEARTBEAT_REPLY));
    pass(h, SESSION_SET_REST_MS);
    step(h);
    assert_int_equal(holding_of(h, 101).tasks.count, 1);
}

static void what_belongs_to_an_earlier_session_is_refused(void **state) {
    struct host *h = *state;
    struct id older = enter(h, 100, 1);
    enter(h, 101, 1);
    put_tasks(h, 20, 1, 1);
    report(h, 101, 1, &older, 20, TASK_RUNNING);
    const struct session_end *end = last(h, 101, MESSAGE_SESSION_END);
    assert_non_null(end);
    assert_string_equal(end->code, "NOT_FOUND");
    assert_true(is_closed(h, 101)); // and with it the session that it had
    assert_int_equal(sessions_count(h->sessions), 0);
    assert_int_equal(presence(h, 1), SESSION_AWAITED);
    report(h, 102, 1, &older, 20, TASK_RUNNING); // a link without a session
    assert_non_null(last(h, 102, MESSAGE_SESSION_END));
    assert_true(is_closed(h, 102));
}

static void a_message_that_cannot_be_read_ends_the_session(void **state) {
    struct host *h = *state;
    struct id peer = store_id(1);
    enter(h, 100, 1);
    sessions_take(h->sessions, 100, &peer, MESSAGE_REPORT, (struct bytes){(const uint8_t *)"\x0a\xff", 2});
    const struct session_end *end = last(h, 100, MESSAGE_SESSION_END);
    assert_non_null(end);
    assert_string_equal(end->code, "INVALID");
    assert_int_equal(sessions_count(h->sessions), 0);
}

// --- silence ---

static void a_node_is_down_after_three_heartbeats_missed_and_not_before(void **state) {
    struct host *h = *state;
    struct id session = enter(h, 100, 1);
    pass(h, 14999);
    assert_int_equal(presence(h, 1), SESSION_HEARD);
    beat(h, 100, 1, &session);
    pass(h, 14999);
    assert_int_equal(presence(h, 1), SESSION_HEARD);
    pass(h, 1);
    assert_int_equal(presence(h, 1), SESSION_DOWN);
    const struct session_end *end = last(h, 100, MESSAGE_SESSION_END);
    assert_string_equal(end->code, "TIMEOUT");
    assert_true(is_closed(h, 100));
    enter(h, 101, 1);
    assert_int_equal(presence(h, 1), SESSION_HEARD);
}

static void a_lost_link_leaves_the_node_its_time(void **state) {
    struct host *h = *state;
    enter(h, 100, 1);
    sessions_link_down(h->sessions, 100);
    assert_int_equal(presence(h, 1), SESSION_AWAITED);
    pass(h, 14999);
    assert_int_equal(presence(h, 1), SESSION_AWAITED);
    pass(h, 1);
    assert_int_equal(presence(h, 1), SESSION_DOWN);
}

static void both_measures_of_silence_can_be_set(void **state) {
    struct host *h = *state;
    sessions_set(h->sessions, 1000, 2);
    struct id session = enter(h, 100, 1);
    beat(h, 100, 1, &session);
    const struct session_heartbeat_reply *reply = last(h, 100, MESSAGE_SESSION_HEARTBEAT_REPLY);
    assert_in_range(reply->heartbeat_ms, 900, 1000);
    pass(h, 1999);
    assert_int_equal(presence(h, 1), SESSION_HEARD);
    pass(h, 1);
    assert_int_equal(presence(h, 1), SESSION_DOWN);
}

static void a_new_leader_waits_twice_as_long(void **state) {
    struct host *h = *state;
    enter(h, 100, 1);
    sessions_follow(h->sessions, "");
    sessions_lead(h->sessions);
    assert_int_equal(presence(h, 1), SESSION_AWAITED);
    assert_int_equal(presence(h, 2), SESSION_AWAITED);
    pass(h, 20000);
    enter(h, 102, 2);
    pass(h, 9999);
    assert_int_equal(presence(h, 1), SESSION_AWAITED);
    pass(h, 1);
    assert_int_equal(presence(h, 1), SESSION_DOWN);
    assert_int_equal(presence(h, 2), SESSION_HEARD);
    pass(h, 5000); // who was heard has the ordinary time
    assert_int_equal(presence(h, 2), SESSION_DOWN);
}

static void a_leader_that_was_stopped_finds_nobody_silent_for_that(void **state) {
    struct host *h = *state;
    struct id session = enter(h, 100, 1);
    h->mono_ms += 60000;
    sessions_tick(h->sessions, h->mono_ms);
    assert_int_equal(presence(h, 1), SESSION_HEARD);
    beat(h, 100, 1, &session);
    pass(h, 14000);
    assert_int_equal(presence(h, 1), SESSION_HEARD);
}

static void managers_that_changed_are_told_once_with_a_heartbeat(void **state) {
    struct host *h = *state;
    struct id session = enter(h, 100, 1);
    const char *addresses[] = {"10.0.0.1:2377"};
    sessions_set_managers(h->sessions, &(struct strings){1, addresses});
    beat(h, 100, 1, &session);
    const struct session_heartbeat_reply *reply = last(h, 100, MESSAGE_SESSION_HEARTBEAT_REPLY);
    assert_int_equal(reply->managers.count, 1);
    sessions_set_managers(h->sessions, &(struct strings){1, addresses}); // no change
    beat(h, 100, 1, &session);
    reply = last(h, 100, MESSAGE_SESSION_HEARTBEAT_REPLY);
    assert_int_equal(reply->managers.count, 0);
}

// --- assignments ---

static void a_change_goes_to_the_node_of_its_task_only(void **state) {
    struct host *h = *state;
    enter(h, 101, 1);
    enter(h, 102, 2);
    step(h);
    put_tasks(h, 20, 1, 1);
    step(h);
    assert_int_equal(holding_of(h, 101).tasks.count, 1);
    assert_int_equal(holding_of(h, 101).parts, 2);
    assert_int_equal(holding_of(h, 102).parts, 1);
    struct task task = new_task(20, 1);
    task.status.state = TASK_RUNNING; // what the node said itself
    put(h, CHANGE_UPDATE, KIND_TASK, &task);
    step(h);
    assert_int_equal(holding_of(h, 101).parts, 2);
    task.desired = TASK_SHUTDOWN;
    put(h, CHANGE_UPDATE, KIND_TASK, &task);
    step(h);
    assert_int_equal(holding_of(h, 101).parts, 3);
    put(h, CHANGE_DELETE, KIND_TASK, &task);
    step(h);
    assert_int_equal(holding_of(h, 101).tasks.count, 0);
    assert_int_equal(holding_of(h, 101).sets, 1);
    assert_int_equal(holding_of(h, 102).parts, 1);
}

static void a_heartbeat_says_which_part_was_sent_last(void **state) {
    struct host *h = *state;
    struct id session = enter(h, 100, 1);
    step(h);
    put_tasks(h, 20, 1, 1);
    step(h);
    beat(h, 100, 1, &session);
    const struct session_heartbeat_reply *reply = last(h, 100, MESSAGE_SESSION_HEARTBEAT_REPLY);
    assert_int_equal(reply->part, 2);
}

static void a_large_set_is_cut_into_parts(void **state) {
    struct host *h = *state;
    begin_anew(h, NULL, 60000);
    put_tasks(h, 20, 30, 1);
    enter(h, 100, 1);
    step(h);
    struct holding holding = holding_of(h, 100);
    assert_true(holding.is_whole);
    assert_int_equal(holding.tasks.count, 30);
    assert_int_equal(holding.parts, 8); // four of a little over 60,000 bytes in 256 KiB
    for (size_t i = 0; i < h->letters.count; i++) {
        assert_true(h->letters.items[i].body.len <= FRAME_CHUNK_BYTES);
    }
}

static void what_fills_a_part_by_itself_does_not_share_it(void **state) {
    struct host *h = *state;
    begin_anew(h, NULL, FRAME_CHUNK_BYTES);
    put_tasks(h, 20, 3, 1);
    enter(h, 100, 1);
    step(h);
    assert_int_equal(holding_of(h, 100).parts, 3);
    struct task gone = new_task(20, 1), changed = new_task(21, 1);
    changed.desired = TASK_SHUTDOWN;
    put(h, CHANGE_DELETE, KIND_TASK, &gone);
    put(h, CHANGE_UPDATE, KIND_TASK, &changed);
    step(h);
    assert_int_equal(holding_of(h, 100).parts, 5); // what is removed, and what is changed
    assert_int_equal(holding_of(h, 100).tasks.count, 2);
}

// Each task of 30 in a part of four; the link takes only some of them at a time.
static void a_set_that_got_stuck_goes_on_and_what_changed_behind_it_follows(void **state) {
    struct host *h = *state;
    begin_anew(h, NULL, 60000);
    put_tasks(h, 20, 30, 1);
    enter(h, 100, 1);
    h->room = 3;
    step(h);
    struct holding half = holding_of(h, 100);
    assert_false(half.is_whole);
    assert_int_equal(half.parts, 3);
    struct task gone = new_task(0, 1);
    gone.meta.id = half.tasks.items[1]; // it is in what was sent
    put(h, CHANGE_DELETE, KIND_TASK, &gone);
    for (unsigned number = 20; number < 50; number++) { // and all that was not
        struct task task = new_task(number, 1);
        bool is_sent = false;
        for (size_t i = 0; i < half.tasks.count; i++) {
            is_sent |= id_equal(&half.tasks.items[i], &task.meta.id);
        }
        if (!is_sent && number % 2 == 0) {
            put(h, CHANGE_DELETE, KIND_TASK, &task);
        }
    }
    put_tasks(h, 60, 10, 1); // wherever their ids are
    step(h);
    assert_int_equal(holding_of(h, 100).parts, 3); // no room yet
    h->room = -1;
    sessions_link_writable(h->sessions, 100);
    step(h);
    struct holding whole = holding_of(h, 100);
    struct store_read *read = store_begin_read(&h->store);
    assert_true(whole.is_whole);
    assert_int_equal(whole.sets, 1);
    assert_int_equal(whole.tasks.count, store_count(read, KIND_TASK));
    for (size_t i = 0; i < whole.tasks.count; i++) {
        struct bytes bytes;
        assert_int_equal(store_get(read, KIND_TASK, &whole.tasks.items[i], &bytes, NULL), 0);
    }
    store_read_end(read);
}

static void a_session_without_room_gets_the_newest_when_there_is_some(void **state) {
    struct host *h = *state;
    enter(h, 100, 1);
    step(h);
    h->room = 0;
    put_tasks(h, 20, 5, 1);
    step(h);
    struct task task = new_task(20, 1);
    put(h, CHANGE_DELETE, KIND_TASK, &task);
    step(h);
    assert_int_equal(holding_of(h, 100).parts, 1);
    h->room = -1;
    pass(h, SESSION_RETRY_MS - 1);
    step(h);
    assert_int_equal(holding_of(h, 100).parts, 1);
    pass(h, 1); // nobody said that there is room
    step(h);
    assert_int_equal(holding_of(h, 100).tasks.count, 4);
    assert_int_equal(holding_of(h, 100).sets, 1);
}

static void too_many_changes_make_a_complete_set(void **state) {
    struct host *h = *state;
    enter(h, 100, 1);
    step(h);
    pass(h, SESSION_SET_REST_MS);
    h->room = 0;
    put_tasks(h, 100, SESSION_DIRTY_MAX, 1);
    step(h);
    h->room = -1;
    sessions_link_writable(h->sessions, 100);
    step(h);
    assert_int_equal(holding_of(h, 100).sets, 1); // just not too many
    assert_int_equal(holding_of(h, 100).tasks.count, SESSION_DIRTY_MAX);
    h->room = 0;
    put_tasks(h, 1000, SESSION_DIRTY_MAX + 1, 1);
    step(h);
    h->room = -1;
    sessions_link_writable(h->sessions, 100);
    step(h);
    assert_int_equal(holding_of(h, 100).sets, 2);
    assert_int_equal(holding_of(h, 100).tasks.count, 2 * SESSION_DIRTY_MAX + 1);
}

static void a_gap_in_the_history_makes_a_complete_set(void **state) {
    struct host *h = *state;
    begin_anew(h, &(struct store_options){.history_bytes = 1, .reserve_bytes = -1}, 10);
    enter(h, 100, 1);
    step(h);
    pass(h, SESSION_SET_REST_MS);
    put_tasks(h, 20, 10, 1);
    step(h);
    assert_int_equal(holding_of(h, 100).sets, 2);
    assert_int_equal(holding_of(h, 100).tasks.count, 10);
}

static void who_asks_again_gets_a_complete_set_but_not_too_often(void **state) {
    struct host *h = *state;
    struct assign_again again;
    put_tasks(h, 20, 2, 1);
    schema_init(&assign_again_schema, &again);
    again.session_id = enter(h, 100, 1);
    step(h);
    take(h, 100, 1, MESSAGE_ASSIGN_AGAIN, &again);
    step(h);
    assert_int_equal(holding_of(h, 100).sets, 1);
    pass(h, SESSION_SET_REST_MS);
    step(h);
    assert_int_equal(holding_of(h, 100).sets, 2);
    assert_int_equal(holding_of(h, 100).tasks.count, 2);
}

static void a_node_that_is_removed_has_no_session_any_more(void **state) {
    struct host *h = *state;
    struct node node;
    enter(h, 100, 1);
    step(h);
    schema_init(&node_schema, &node);
    node.meta.id = store_id(1);
    put(h, CHANGE_DELETE, KIND_NODE, &node);
    step(h);
    const struct session_end *end = last(h, 100, MESSAGE_SESSION_END);
    assert_non_null(end);
    assert_string_equal(end->code, "DENIED");
    assert_int_equal(sessions_count(h->sessions), 0);
    enter(h, 101, 1); // it has a certificate, but no record
    step(h);
    assert_non_null(last(h, 101, MESSAGE_SESSION_END));
    assert_int_equal(sessions_count(h->sessions), 0);
}

// --- what agents say ---

// What is to be stored now; it is not yet.
static void compose(struct host *h, struct transaction *out) {
    struct store_read *read = store_begin_read(&h->store);
    struct error err = {0};
    schema_init(&transaction_schema, out);
    assert_int_equal(sessions_compose(h->sessions, read, &h->store.arena, out, &err), 0);
    store_read_end(read);
}

static void store(struct host *h, const struct transaction *transaction) {
    h->store.transaction = *transaction;
    h->store.transaction.who = "system:agents";
    h->store.transaction.why = "status of tasks";
    assert_int_equal(store_send(&h->store).code, 0);
    sessions_stored(h->sessions);
}

// Stores the descriptions that came with registering.
static void settle(struct host *h) {
    struct transaction transaction;
    while (sessions_has_news(h->sessions)) {
        compose(h, &transaction);
        if (transaction.changes.count > 0) {
            store(h, &transaction);
        }
    }
}

static void reports_of_many_nodes_are_stored_together_and_then_acknowledged(void **state) {
    struct host *h = *state;
    struct transaction transaction;
    put_tasks(h, 20, 2, 1);
    put_tasks(h, 30, 1, 2);
    struct id one = enter(h, 101, 1), two = enter(h, 102, 2);
    settle(h);
    report(h, 101, 1, &one, 20, TASK_RUNNING);
    report(h, 101, 1, &one, 21, TASK_PREPARING);
    report(h, 102, 2, &two, 30, TASK_RUNNING);
    compose(h, &transaction);
    assert_int_equal(transaction.changes.count, 3);
    assert_null(last(h, 101, MESSAGE_REPORT_STORED)); // not before it is stored
    assert_false(sessions_has_news(h->sessions));     // one at a time
    store(h, &transaction);
    const struct report_stored *stored = last(h, 101, MESSAGE_REPORT_STORED);
    assert_int_equal(stored->reports.count, 2);
    stored = last(h, 102, MESSAGE_REPORT_STORED);
    assert_int_equal(stored->reports.count, 1);
    assert_int_equal(stored->reports.items[0].state, TASK_RUNNING);
    assert_int_equal(state_of(h, 21), TASK_PREPARING);
    assert_int_equal(state_of(h, 30), TASK_RUNNING);
}

static void refused_reports_are_composed_again_without_acknowledgement(void **state) {
    struct host *h = *state;
    struct transaction transaction;
    put_tasks(h, 20, 1, 1);
    struct id session = enter(h, 101, 1);
    settle(h);
    report(h, 101, 1, &session, 20, TASK_RUNNING);
    compose(h, &transaction);
    sessions_refused(h->sessions);
    assert_null(last(h, 101, MESSAGE_REPORT_STORED));
    assert_true(sessions_has_news(h->sessions));
    settle(h);
    assert_int_equal(state_of(h, 20), TASK_RUNNING);
    assert_non_null(last(h, 101, MESSAGE_REPORT_STORED));
}

static void a_node_says_nothing_about_tasks_of_others(void **state) {
    struct host *h = *state;
    put_tasks(h, 20, 1, 1);
    struct id one = enter(h, 101, 1), two = enter(h, 102, 2);
    settle(h);
    report(h, 101, 1, &one, 20, TASK_RUNNING);
    report(h, 102, 2, &two, 20, TASK_FAILED); // after it, and in its place if tasks alone were the key
    settle(h);
    assert_int_equal(state_of(h, 20), TASK_RUNNING);
}

static void more_reports_than_a_node_can_have_tasks_do_not_wait(void **state) {
    struct host *h = *state;
    struct transaction transaction;
    struct report_batch batch;
    struct task_report reports[100];
    size_t changes = 0;
    unsigned rounds = 0;
    put_tasks(h, 20, 1, 2);
    schema_init(&report_batch_schema, &batch);
    batch.reports.count = 100;
    batch.reports.items = reports;
    batch.session_id = enter(h, 101, 1);
    struct id two = enter(h, 102, 2);
    settle(h);
    for (unsigned number = 0; number < TASKS_PER_NODE_MAX + 100; number++) { // of tasks that are not there
        struct task_report *said = &reports[number % 100];
        schema_init(&task_report_schema, said);
        said->task_id = store_id(10000 + number);
        said->status.state = TASK_RUNNING;
        if (number % 100 == 99) {
            take(h, 101, 1, MESSAGE_REPORT, &batch);
        }
    }
    report(h, 102, 2, &two, 20, TASK_RUNNING);
    for (; sessions_has_news(h->sessions); rounds++) {
        compose(h, &transaction);
        changes += transaction.changes.count;
        if (transaction.changes.count > 0) {
            store(h, &transaction);
        }
    }
    assert_int_equal(changes, 1);
    assert_int_equal(rounds, 3); // 5,001 looks, 2,000 at a time
}

static void who_says_too_much_is_sent_away_and_may_come_back(void **state) {
    struct host *h = *state;
    struct id session = enter(h, 101, 1);
    for (int i = 0; i < 3500; i++) {
        report(h, 101, 1, &session, 20, TASK_RUNNING);
    }
    assert_null(last(h, 101, MESSAGE_SESSION_END));
    report(h, 101, 1, &session, 20, TASK_RUNNING);
    const struct session_end *end = last(h, 101, MESSAGE_SESSION_END);
    assert_non_null(end);
    assert_string_equal(end->code, "BUSY");
    struct session_register asked = new_register(1);
    take(h, 102, 1, MESSAGE_SESSION_REGISTER, &asked);
    assert_null(last(h, 102, MESSAGE_SESSION_REGISTERED));
    assert_true(is_closed(h, 102));
    pass(h, 1000);
    enter(h, 103, 1);
}

static void who_registers_too_often_keeps_the_session_it_has(void **state) {
    struct host *h = *state;
    struct session_register asked = new_register(1);
    for (uint64_t link = 0; link < 8; link++) {
        enter(h, link, 1);
    }
    take(h, 8, 1, MESSAGE_SESSION_REGISTER, &asked);
    assert_string_equal(((struct session_end *)last(h, 8, MESSAGE_SESSION_END))->code, "BUSY");
    assert_int_equal(presence(h, 1), SESSION_HEARD);
    assert_false(is_closed(h, 7));
    take(h, 7, 1, MESSAGE_SESSION_REGISTER, &asked); // by the very link of its session
    assert_int_equal(sessions_count(h->sessions), 0);
    pass(h, 15000);
}

static void what_a_node_says_of_itself_is_stored_once(void **state) {
    struct host *h = *state;
    struct session_register asked = new_register(1);
    asked.description.hostname = "host1";
    take(h, 100, 1, MESSAGE_SESSION_REGISTER, &asked);
    settle(h);
    int64_t revision = store_revision(h->store.store);
    struct session_describe said;
    schema_init(&session_describe_schema, &said);
    said.session_id = ((struct session_registered *)last(h, 100, MESSAGE_SESSION_REGISTERED))->session_id;
    said.description.hostname = "host1";
    take(h, 100, 1, MESSAGE_SESSION_DESCRIBE, &said);
    settle(h);
    assert_int_equal(store_revision(h->store.store), revision);
    said.description.hostname = "host2";
    take(h, 100, 1, MESSAGE_SESSION_DESCRIBE, &said);
    settle(h);
    struct store_read *read = store_begin_read(&h->store);
    struct id id = store_id(1);
    void *object;
    assert_int_equal(store_load(read, KIND_NODE, &id, &h->store.arena, &object, NULL), 0);
    assert_string_equal(((struct node *)object)->description.hostname, "host2");
    store_read_end(read);
}

static void a_leader_that_comes_back_does_not_take_an_old_result_for_a_new_one(void **state) {
    struct host *h = *state;
    struct transaction transaction;
    put_tasks(h, 20, 1, 1);
    struct id session = enter(h, 101, 1);
    settle(h);
    report(h, 101, 1, &session, 20, TASK_PREPARING);
    compose(h, &transaction);
    sessions_follow(h->sessions, "");
    sessions_lead(h->sessions);
    session = enter(h, 102, 1);
    report(h, 102, 1, &session, 20, TASK_RUNNING);
    assert_false(sessions_has_news(h->sessions)); // the old transaction is still under way
    sessions_stored(h->sessions);
    assert_null(last(h, 102, MESSAGE_REPORT_STORED));
    settle(h);
    assert_non_null(last(h, 102, MESSAGE_REPORT_STORED));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(who_registers_gets_a_session_and_its_complete_set),
        TEST(who_does_not_lead_says_who_does),
        TEST(who_leads_no_more_sends_all_sessions_away),
        TEST(strangers_are_refused_with_a_reason),
        TEST(the_newer_of_two_sessions_stays_and_the_older_is_told_why),
        TEST(what_belongs_to_an_earlier_session_is_refused),
        TEST(a_message_that_cannot_be_read_ends_the_session),
        TEST(a_node_is_down_after_three_heartbeats_missed_and_not_before),
        TEST(a_lost_link_leaves_the_node_its_time),
        TEST(both_measures_of_silence_can_be_set),
        TEST(a_new_leader_waits_twice_as_long),
        TEST(a_leader_that_was_stopped_finds_nobody_silent_for_that),
        TEST(managers_that_changed_are_told_once_with_a_heartbeat),
        TEST(a_change_goes_to_the_node_of_its_task_only),
        TEST(a_heartbeat_says_which_part_was_sent_last),
        TEST(a_large_set_is_cut_into_parts),
        TEST(what_fills_a_part_by_itself_does_not_share_it),
        TEST(a_set_that_got_stuck_goes_on_and_what_changed_behind_it_follows),
        TEST(a_session_without_room_gets_the_newest_when_there_is_some),
        TEST(too_many_changes_make_a_complete_set),
        TEST(a_gap_in_the_history_makes_a_complete_set),
        TEST(who_asks_again_gets_a_complete_set_but_not_too_often),
        TEST(a_node_that_is_removed_has_no_session_any_more),
        TEST(reports_of_many_nodes_are_stored_together_and_then_acknowledged),
        TEST(refused_reports_are_composed_again_without_acknowledgement),
        TEST(a_node_says_nothing_about_tasks_of_others),
        TEST(more_reports_than_a_node_can_have_tasks_do_not_wait),
        TEST(who_says_too_much_is_sent_away_and_may_come_back),
        TEST(who_registers_too_often_keeps_the_session_it_has),
        TEST(what_a_node_says_of_itself_is_stored_once),
        TEST(a_leader_that_comes_back_does_not_take_an_old_result_for_a_new_one),
    };
    return cmocka_run_group_tests_name(__FILE__, tests, NULL, NULL);
}
