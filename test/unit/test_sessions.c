// SPDX-License-Identifier: Apache-2.0
//
// test/unit/test_sessions.c — the leader's end of sessions: who is there, what each is told, what each says.
#include "test/lib/check.h"
#include "test/lib/session_host.h"

#include <string.h>

#include "base/limits.h"
#include "base/str.h"

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
    host_put_tasks(h, 20, 3, 1);
    host_put_tasks(h, 30, 2, 2);
    host_enter(h, 100, 1);
    const struct session_registered *registered = host_last(h, 100, MESSAGE_SESSION_REGISTERED);
    assert_in_range(registered->heartbeat_ms, 4500, 5000);
    assert_int_equal(registered->managers.count, 2);
    assert_string_equal(registered->managers.items[1], "10.0.0.2:2377");
    assert_int_equal(sessions_count(h->sessions), 1);
    assert_int_equal(host_presence(h, 1), SESSION_HEARD);
    host_step(h);
    struct holding holding = holding_of(h, 100);
    assert_true(holding.is_whole);
    assert_int_equal(holding.sets, 1);
    assert_int_equal(holding.tasks.count, 3);
}

static void who_does_not_lead_says_who_does(void **state) {
    struct host *h = *state;
    struct session_register asked = host_new_register(1);
    sessions_follow(h->sessions, "10.0.0.3:2377");
    host_take(h, 100, 1, MESSAGE_SESSION_REGISTER, &asked);
    const struct session_redirect *redirect = host_last(h, 100, MESSAGE_SESSION_REDIRECT);
    assert_string_equal(redirect->leader, "10.0.0.3:2377");
    assert_true(host_is_closed(h, 100));
    sessions_follow(h->sessions, "");
    host_take(h, 101, 1, MESSAGE_SESSION_REGISTER, &asked);
    redirect = host_last(h, 101, MESSAGE_SESSION_REDIRECT);
    assert_string_equal(redirect->leader, "");
    assert_int_equal(sessions_count(h->sessions), 0);
}

static void who_leads_no_more_sends_all_sessions_away(void **state) {
    struct host *h = *state;
    host_enter(h, 100, 1);
    host_enter(h, 101, 2);
    sessions_follow(h->sessions, "10.0.0.3:2377");
    const struct session_redirect *redirect = host_last(h, 101, MESSAGE_SESSION_REDIRECT);
    assert_string_equal(redirect->leader, "10.0.0.3:2377");
    assert_true(host_is_closed(h, 100) && host_is_closed(h, 101));
    assert_int_equal(sessions_count(h->sessions), 0);
}

static void strangers_are_refused_with_a_reason(void **state) {
    struct host *h = *state;
    struct session_register foreign = host_new_register(1), other = host_new_register(2),
                            newer = host_new_register(1);
    foreign.cluster_id = store_id(6);
    newer.version_min = newer.version_max = PROTOCOL_VERSION + 1;
    const struct session_register *asked[] = {&foreign, &other, &newer};
    static const char *const codes[] = {"DENIED", "DENIED", "UNSUPPORTED"};
    for (uint64_t i = 0; i < 3; i++) {
        host_take(h, i, 1, MESSAGE_SESSION_REGISTER, asked[i]);
        const struct session_end *end = host_last(h, i, MESSAGE_SESSION_END);
        assert_non_null(end);
        assert_string_equal(end->code, codes[i]);
        assert_true(host_is_closed(h, i));
    }
    assert_int_equal(sessions_count(h->sessions), 0);
}

static void only_who_leads_asks_a_node_for_a_stream_and_only_one_that_knows_how(void **state) {
    struct host *h = *state;
    struct session_register able = host_new_register(1), old = host_new_register(2);
    struct id first = store_id(1), second = store_id(2), third = store_id(3);
    struct relay_ask ask;
    schema_init(&relay_ask_schema, &ask);
    ask.stream_id = store_id(77);
    ask.address = "10.0.0.1:2377";
    able.knows_relay = true;
    host_take(h, 100, 1, MESSAGE_SESSION_REGISTER, &able);
    host_take(h, 101, 2, MESSAGE_SESSION_REGISTER, &old);
    assert_int_equal(sessions_ask_relay(h->sessions, &first, &ask, NULL), 0);
    const struct relay_ask *said = host_last(h, 100, MESSAGE_RELAY_ASK);
    assert_true(id_equal(&said->stream_id, &ask.stream_id));
    assert_string_equal(said->address, "10.0.0.1:2377");
    assert_int_equal(sessions_ask_relay(h->sessions, &second, &ask, NULL), -ERR_UNSUPPORTED);
    assert_int_equal(sessions_ask_relay(h->sessions, &third, &ask, NULL), -ERR_UNREACHABLE);
    h->room = 0;
    assert_int_equal(sessions_ask_relay(h->sessions, &first, &ask, NULL), -ERR_BUSY);
    h->room = -1;
    sessions_follow(h->sessions, "10.0.0.3:2377");
    assert_int_equal(sessions_ask_relay(h->sessions, &first, &ask, NULL), -ERR_UNREACHABLE);
}

static void the_newer_of_two_sessions_stays_and_the_older_is_told_why(void **state) {
    struct host *h = *state;
    host_put_tasks(h, 20, 1, 1);
    struct id older = host_enter(h, 100, 1);
    host_step(h);
    struct id newer = host_enter_again(h, 101, 1, &older);
    const struct session_end *end = host_last(h, 100, MESSAGE_SESSION_END);
    assert_non_null(end);
    assert_string_equal(end->code, "CONFLICT");
    assert_true(id_equal(&end->session_id, &older));
    assert_true(host_is_closed(h, 100));
    assert_false(id_equal(&older, &newer));
    sessions_link_down(h->sessions, 100); // says nothing about the newer one
    assert_int_equal(sessions_count(h->sessions), 1);
    host_beat(h, 101, 1, &newer);
    assert_non_null(host_last(h, 101, MESSAGE_SESSION_HEARTBEAT_REPLY));
    host_pass(h, SESSION_SET_REST_MS);
    host_step(h);
    assert_int_equal(holding_of(h, 101).tasks.count, 1);
}

// The code with which it is sent away; "" when that found no room.
static const char *refusal_of(struct host *h, uint64_t link, const struct session_register *asked) {
    host_take(h, link, 1, MESSAGE_SESSION_REGISTER, asked);
    const struct session_end *end = host_last(h, link, MESSAGE_SESSION_END);
    assert_true(host_is_closed(h, link));
    return end != NULL ? end->code : "";
}

static void of_two_machines_with_one_identity_the_first_stays(void **state) {
    struct host *h = *state;
    struct id first = host_enter(h, 100, 1);
    struct session_register copy = host_new_register(1);
    copy.previous = store_id(77); // of the time when it was copied, or none at all
    assert_string_equal(refusal_of(h, 101, &copy), "BUSY");
    assert_false(host_is_closed(h, 100));
    host_beat(h, 100, 1, &first); // it was asked for that
    assert_string_equal(refusal_of(h, 102, &copy), "CONFLICT");
    assert_false(host_is_closed(h, 100));
    host_beat(h, 100, 1, &first);
    assert_non_null(host_last(h, 100, MESSAGE_SESSION_HEARTBEAT_REPLY));
    sessions_link_down(h->sessions, 100); // its machine has ended: the other one takes its place
    host_enter_again(h, 103, 1, &copy.previous);
    assert_int_equal(sessions_count(h->sessions), 1);
}

// As after a loss of power: nothing came over the old link that would have ended it.
static void who_comes_anew_has_the_first_asked_whether_it_is_there(void **state) {
    struct host *h = *state;
    struct session_register anew = host_new_register(1);
    host_enter(h, 100, 1);
    assert_string_equal(refusal_of(h, 101, &anew), "BUSY");
    const struct session_heartbeat_reply *asked = host_last(h, 100, MESSAGE_SESSION_HEARTBEAT_REPLY);
    assert_non_null(asked);
    assert_int_equal(asked->heartbeat_ms, SESSION_CHALLENGE_MS);
    assert_string_equal(refusal_of(h, 102, &anew), "BUSY"); // nothing is known yet
    sessions_link_down(h->sessions, 100);                   // that came back for what was asked
    assert_int_equal(host_presence(h, 1), SESSION_AWAITED);
    struct id session = host_enter(h, 103, 1);
    assert_int_equal(host_presence(h, 1), SESSION_HEARD);
    host_beat(h, 103, 1, &session);
    assert_non_null(host_last(h, 103, MESSAGE_SESSION_HEARTBEAT_REPLY));
}

static void a_sign_of_life_counts_for_one_heartbeat(void **state) {
    struct host *h = *state;
    struct session_register copy = host_new_register(1);
    struct id first = host_enter(h, 100, 1);
    host_beat(h, 100, 1, &first); // before anybody asked: says nothing about now
    assert_string_equal(refusal_of(h, 101, &copy), "BUSY");
    host_beat(h, 100, 1, &first);
    host_pass(h, SESSIONS_HEARTBEAT_MS - 1);
    assert_string_equal(refusal_of(h, 102, &copy), "CONFLICT");
    host_pass(h, 1);
    assert_string_equal(refusal_of(h, 103, &copy), "BUSY");
    h->room = 0; // what is to ask it finds none
    assert_string_equal(refusal_of(h, 104, &copy), "");
    h->room = -1;
    host_pass(h, 3 * SESSIONS_HEARTBEAT_MS); // it never answers: silence is what ends it
    assert_int_equal(host_presence(h, 1), SESSION_DOWN);
    host_enter(h, 105, 1);
    assert_int_equal(sessions_count(h->sessions), 1);
}

static void what_belongs_to_an_earlier_session_is_refused(void **state) {
    struct host *h = *state;
    struct id older = host_enter(h, 100, 1);
    host_enter_again(h, 101, 1, &older);
    host_put_tasks(h, 20, 1, 1);
    host_report(h, 101, 1, &older, 20, TASK_RUNNING);
    const struct session_end *end = host_last(h, 101, MESSAGE_SESSION_END);
    assert_non_null(end);
    assert_string_equal(end->code, "NOT_FOUND");
    assert_true(host_is_closed(h, 101)); // and with it the session that it had
    assert_int_equal(sessions_count(h->sessions), 0);
    assert_int_equal(host_presence(h, 1), SESSION_AWAITED);
    host_report(h, 102, 1, &older, 20, TASK_RUNNING); // a link without a session
    assert_non_null(host_last(h, 102, MESSAGE_SESSION_END));
    assert_true(host_is_closed(h, 102));
}

static void a_message_that_cannot_be_read_ends_the_session(void **state) {
    struct host *h = *state;
    struct id peer = store_id(1);
    host_enter(h, 100, 1);
    sessions_take(h->sessions, 100, &peer, MESSAGE_REPORT, (struct bytes){(const uint8_t *)"\x0a\xff", 2});
    const struct session_end *end = host_last(h, 100, MESSAGE_SESSION_END);
    assert_non_null(end);
    assert_string_equal(end->code, "INVALID");
    assert_int_equal(sessions_count(h->sessions), 0);
}

// --- silence ---

static void a_node_is_down_after_three_heartbeats_missed_and_not_before(void **state) {
    struct host *h = *state;
    struct id session = host_enter(h, 100, 1);
    host_pass(h, 14999);
    assert_int_equal(host_presence(h, 1), SESSION_HEARD);
    host_beat(h, 100, 1, &session);
    host_pass(h, 14999);
    assert_int_equal(host_presence(h, 1), SESSION_HEARD);
    host_pass(h, 1);
    assert_int_equal(host_presence(h, 1), SESSION_DOWN);
    const struct session_end *end = host_last(h, 100, MESSAGE_SESSION_END);
    assert_string_equal(end->code, "TIMEOUT");
    assert_true(host_is_closed(h, 100));
    host_enter(h, 101, 1);
    assert_int_equal(host_presence(h, 1), SESSION_HEARD);
}

static void a_shorter_interval_counts_from_when_it_was_told(void **state) {
    struct host *h = *state;
    struct id session = host_enter(h, 100, 1);
    sessions_set(h->sessions, 1000, 0);
    host_pass(h, SESSIONS_HEARTBEAT_MS); // as it was told before
    assert_int_equal(host_presence(h, 1), SESSION_HEARD);
    host_beat(h, 100, 1, &session);
    for (int i = 0; i < 10; i++) {
        host_pass(h, 1000);
        host_beat(h, 100, 1, &session);
    }
    host_pass(h, 2900);
    assert_int_equal(host_presence(h, 1), SESSION_HEARD);
    host_pass(h, 1000);
    assert_int_equal(host_presence(h, 1), SESSION_DOWN);
}

static void a_lost_link_leaves_the_node_its_time(void **state) {
    struct host *h = *state;
    host_enter(h, 100, 1);
    sessions_link_down(h->sessions, 100);
    assert_int_equal(host_presence(h, 1), SESSION_AWAITED);
    host_pass(h, 14999);
    assert_int_equal(host_presence(h, 1), SESSION_AWAITED);
    host_pass(h, 1);
    assert_int_equal(host_presence(h, 1), SESSION_DOWN);
}

static void both_measures_of_silence_can_be_set(void **state) {
    struct host *h = *state;
    sessions_set(h->sessions, 1000, 2);
    struct id session = host_enter(h, 100, 1);
    host_beat(h, 100, 1, &session);
    const struct session_heartbeat_reply *reply = host_last(h, 100, MESSAGE_SESSION_HEARTBEAT_REPLY);
    assert_in_range(reply->heartbeat_ms, 900, 1000);
    host_pass(h, 1999);
    assert_int_equal(host_presence(h, 1), SESSION_HEARD);
    host_pass(h, 1);
    assert_int_equal(host_presence(h, 1), SESSION_DOWN);
}

static void a_new_leader_waits_twice_as_long(void **state) {
    struct host *h = *state;
    host_enter(h, 100, 1);
    sessions_follow(h->sessions, "");
    sessions_lead(h->sessions);
    assert_int_equal(host_presence(h, 1), SESSION_AWAITED);
    assert_int_equal(host_presence(h, 2), SESSION_AWAITED);
    host_pass(h, 20000);
    host_enter(h, 102, 2);
    host_pass(h, 9999);
    assert_int_equal(host_presence(h, 1), SESSION_AWAITED);
    host_pass(h, 1);
    assert_int_equal(host_presence(h, 1), SESSION_DOWN);
    assert_int_equal(host_presence(h, 2), SESSION_HEARD);
    host_pass(h, 5000); // who was heard has the ordinary time
    assert_int_equal(host_presence(h, 2), SESSION_DOWN);
}

static void a_leader_that_was_stopped_finds_nobody_silent_for_that(void **state) {
    struct host *h = *state;
    struct id session = host_enter(h, 100, 1);
    h->mono_ms += 60000;
    sessions_tick(h->sessions, h->mono_ms);
    assert_int_equal(host_presence(h, 1), SESSION_HEARD);
    host_beat(h, 100, 1, &session);
    host_pass(h, 14000);
    assert_int_equal(host_presence(h, 1), SESSION_HEARD);
}

static void managers_that_changed_are_told_once_with_a_heartbeat(void **state) {
    struct host *h = *state;
    struct id session = host_enter(h, 100, 1);
    const char *addresses[] = {"10.0.0.1:2377"};
    sessions_set_managers(h->sessions, &(struct strings){1, addresses});
    host_beat(h, 100, 1, &session);
    const struct session_heartbeat_reply *reply = host_last(h, 100, MESSAGE_SESSION_HEARTBEAT_REPLY);
    assert_int_equal(reply->managers.count, 1);
    sessions_set_managers(h->sessions, &(struct strings){1, addresses}); // no change
    host_beat(h, 100, 1, &session);
    reply = host_last(h, 100, MESSAGE_SESSION_HEARTBEAT_REPLY);
    assert_int_equal(reply->managers.count, 0);
}

static void a_heartbeat_says_what_certificates_are_to_be_like(void **state) {
    struct host *h = *state;
    struct id session = host_enter(h, 100, 1);
    char many[2 * SESSIONS_TRUST_BYTES];
    sessions_set_trust(h->sessions, "0123456789abcdef 0123456789abcdef", 3600000);
    host_beat(h, 100, 1, &session);
    const struct session_heartbeat_reply *reply = host_last(h, 100, MESSAGE_SESSION_HEARTBEAT_REPLY);
    assert_string_equal(reply->trust, "0123456789abcdef 0123456789abcdef");
    assert_int_equal(reply->certificate_ms, 3600000);
    memset(many, 'a', sizeof many - 1);
    many[sizeof many - 1] = '\0';
    sessions_set_trust(h->sessions, many, 0); // half of it would be another one
    host_beat(h, 100, 1, &session);
    reply = host_last(h, 100, MESSAGE_SESSION_HEARTBEAT_REPLY);
    assert_string_equal(reply->trust, "");
}

// --- assignments ---

static void a_change_goes_to_the_node_of_its_task_only(void **state) {
    struct host *h = *state;
    host_enter(h, 101, 1);
    host_enter(h, 102, 2);
    host_step(h);
    host_put_tasks(h, 20, 1, 1);
    host_step(h);
    assert_int_equal(holding_of(h, 101).tasks.count, 1);
    assert_int_equal(holding_of(h, 101).parts, 2);
    assert_int_equal(holding_of(h, 102).parts, 1);
    struct task task = host_new_task(20, 1);
    task.status.state = TASK_RUNNING; // what the node said itself
    host_put(h, CHANGE_UPDATE, KIND_TASK, &task);
    host_step(h);
    assert_int_equal(holding_of(h, 101).parts, 2);
    task.desired = TASK_SHUTDOWN;
    host_put(h, CHANGE_UPDATE, KIND_TASK, &task);
    host_step(h);
    assert_int_equal(holding_of(h, 101).parts, 3);
    host_put(h, CHANGE_DELETE, KIND_TASK, &task);
    host_step(h);
    assert_int_equal(holding_of(h, 101).tasks.count, 0);
    assert_int_equal(holding_of(h, 101).sets, 1);
    assert_int_equal(holding_of(h, 102).parts, 1);
}

static void a_heartbeat_says_which_part_was_sent_last(void **state) {
    struct host *h = *state;
    struct id session = host_enter(h, 100, 1);
    host_step(h);
    host_put_tasks(h, 20, 1, 1);
    host_step(h);
    host_beat(h, 100, 1, &session);
    const struct session_heartbeat_reply *reply = host_last(h, 100, MESSAGE_SESSION_HEARTBEAT_REPLY);
    assert_int_equal(reply->part, 2);
}

static void a_large_set_is_cut_into_parts(void **state) {
    struct host *h = *state;
    host_begin_anew(h, NULL, 60000);
    host_put_tasks(h, 20, 30, 1);
    host_enter(h, 100, 1);
    host_step(h);
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
    host_begin_anew(h, NULL, FRAME_CHUNK_BYTES);
    host_put_tasks(h, 20, 3, 1);
    host_enter(h, 100, 1);
    host_step(h);
    assert_int_equal(holding_of(h, 100).parts, 3);
    struct task gone = host_new_task(20, 1), changed = host_new_task(21, 1);
    changed.desired = TASK_SHUTDOWN;
    host_put(h, CHANGE_DELETE, KIND_TASK, &gone);
    host_put(h, CHANGE_UPDATE, KIND_TASK, &changed);
    host_step(h);
    assert_int_equal(holding_of(h, 100).parts, 5); // what is removed, and what is changed
    assert_int_equal(holding_of(h, 100).tasks.count, 2);
}

// Each task of 30 in a part of four; the link takes only some of them at a time.
static void a_set_that_got_stuck_goes_on_and_what_changed_behind_it_follows(void **state) {
    struct host *h = *state;
    host_begin_anew(h, NULL, 60000);
    host_put_tasks(h, 20, 30, 1);
    host_enter(h, 100, 1);
    h->room = 3;
    host_step(h);
    struct holding half = holding_of(h, 100);
    assert_false(half.is_whole);
    assert_int_equal(half.parts, 3);
    struct task gone = host_new_task(0, 1);
    gone.meta.id = half.tasks.items[1]; // it is in what was sent
    host_put(h, CHANGE_DELETE, KIND_TASK, &gone);
    for (unsigned number = 20; number < 50; number++) { // and all that was not
        struct task task = host_new_task(number, 1);
        bool is_sent = false;
        for (size_t i = 0; i < half.tasks.count; i++) {
            is_sent |= id_equal(&half.tasks.items[i], &task.meta.id);
        }
        if (!is_sent && number % 2 == 0) {
            host_put(h, CHANGE_DELETE, KIND_TASK, &task);
        }
    }
    host_put_tasks(h, 60, 10, 1); // wherever their ids are
    host_step(h);
    assert_int_equal(holding_of(h, 100).parts, 3); // no room yet
    h->room = -1;
    sessions_link_writable(h->sessions, 100);
    host_step(h);
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
    host_enter(h, 100, 1);
    host_step(h);
    h->room = 0;
    host_put_tasks(h, 20, 5, 1);
    host_step(h);
    struct task task = host_new_task(20, 1);
    host_put(h, CHANGE_DELETE, KIND_TASK, &task);
    host_step(h);
    assert_int_equal(holding_of(h, 100).parts, 1);
    h->room = -1;
    host_pass(h, SESSION_RETRY_MS - 1);
    host_step(h);
    assert_int_equal(holding_of(h, 100).parts, 1);
    host_pass(h, 1); // nobody said that there is room
    host_step(h);
    assert_int_equal(holding_of(h, 100).tasks.count, 4);
    assert_int_equal(holding_of(h, 100).sets, 1);
}

static void too_many_changes_make_a_complete_set(void **state) {
    struct host *h = *state;
    host_enter(h, 100, 1);
    host_step(h);
    host_pass(h, SESSION_SET_REST_MS);
    h->room = 0;
    host_put_tasks(h, 100, SESSION_DIRTY_MAX, 1);
    host_step(h);
    h->room = -1;
    sessions_link_writable(h->sessions, 100);
    host_step(h);
    assert_int_equal(holding_of(h, 100).sets, 1); // just not too many
    assert_int_equal(holding_of(h, 100).tasks.count, SESSION_DIRTY_MAX);
    h->room = 0;
    host_put_tasks(h, 1000, SESSION_DIRTY_MAX + 1, 1);
    host_step(h);
    h->room = -1;
    sessions_link_writable(h->sessions, 100);
    host_step(h);
    assert_int_equal(holding_of(h, 100).sets, 2);
    assert_int_equal(holding_of(h, 100).tasks.count, 2 * SESSION_DIRTY_MAX + 1);
}

static void a_gap_in_the_history_makes_a_complete_set(void **state) {
    struct host *h = *state;
    host_begin_anew(h, &(struct store_options){.history_bytes = 1, .reserve_bytes = -1}, 10);
    host_enter(h, 100, 1);
    host_step(h);
    host_pass(h, SESSION_SET_REST_MS);
    host_put_tasks(h, 20, 10, 1);
    host_step(h);
    assert_int_equal(holding_of(h, 100).sets, 2);
    assert_int_equal(holding_of(h, 100).tasks.count, 10);
}

static void who_asks_again_gets_a_complete_set_but_not_too_often(void **state) {
    struct host *h = *state;
    struct assign_again again;
    host_put_tasks(h, 20, 2, 1);
    schema_init(&assign_again_schema, &again);
    again.session_id = host_enter(h, 100, 1);
    host_step(h);
    host_take(h, 100, 1, MESSAGE_ASSIGN_AGAIN, &again);
    host_step(h);
    assert_int_equal(holding_of(h, 100).sets, 1);
    host_pass(h, SESSION_SET_REST_MS);
    host_step(h);
    assert_int_equal(holding_of(h, 100).sets, 2);
    assert_int_equal(holding_of(h, 100).tasks.count, 2);
}

static void a_node_that_is_removed_has_no_session_any_more(void **state) {
    struct host *h = *state;
    struct node node;
    host_enter(h, 100, 1);
    host_step(h);
    schema_init(&node_schema, &node);
    node.meta.id = store_id(1);
    host_put(h, CHANGE_DELETE, KIND_NODE, &node);
    host_step(h);
    const struct session_end *end = host_last(h, 100, MESSAGE_SESSION_END);
    assert_non_null(end);
    assert_string_equal(end->code, "DENIED");
    assert_true(end->is_removed);
    assert_int_equal(sessions_count(h->sessions), 0);
    host_enter(h, 101, 1); // it has a certificate, but no record
    host_step(h);
    end = host_last(h, 101, MESSAGE_SESSION_END);
    assert_true(end != NULL && end->is_removed);
    assert_int_equal(sessions_count(h->sessions), 0);
}

// --- what agents say ---

static void reports_of_many_nodes_are_stored_together_and_then_acknowledged(void **state) {
    struct host *h = *state;
    struct transaction transaction;
    host_put_tasks(h, 20, 2, 1);
    host_put_tasks(h, 30, 1, 2);
    struct id one = host_enter(h, 101, 1), two = host_enter(h, 102, 2);
    host_settle(h);
    host_report(h, 101, 1, &one, 20, TASK_RUNNING);
    host_report(h, 101, 1, &one, 21, TASK_PREPARING);
    host_report(h, 102, 2, &two, 30, TASK_RUNNING);
    host_compose(h, &transaction);
    assert_int_equal(transaction.changes.count, 3);
    assert_null(host_last(h, 101, MESSAGE_REPORT_STORED)); // not before it is stored
    assert_false(sessions_has_news(h->sessions));          // one at a time
    host_store(h, &transaction);
    const struct report_stored *stored = host_last(h, 101, MESSAGE_REPORT_STORED);
    assert_int_equal(stored->reports.count, 2);
    stored = host_last(h, 102, MESSAGE_REPORT_STORED);
    assert_int_equal(stored->reports.count, 1);
    assert_int_equal(stored->reports.items[0].state, TASK_RUNNING);
    assert_int_equal(host_state_of(h, 21), TASK_PREPARING);
    assert_int_equal(host_state_of(h, 30), TASK_RUNNING);
}

static void refused_reports_are_composed_again_without_acknowledgement(void **state) {
    struct host *h = *state;
    struct transaction transaction;
    host_put_tasks(h, 20, 1, 1);
    struct id session = host_enter(h, 101, 1);
    host_settle(h);
    host_report(h, 101, 1, &session, 20, TASK_RUNNING);
    host_compose(h, &transaction);
    sessions_refused(h->sessions);
    assert_null(host_last(h, 101, MESSAGE_REPORT_STORED));
    assert_true(sessions_has_news(h->sessions));
    host_settle(h);
    assert_int_equal(host_state_of(h, 20), TASK_RUNNING);
    assert_non_null(host_last(h, 101, MESSAGE_REPORT_STORED));
}

static void a_node_says_nothing_about_tasks_of_others(void **state) {
    struct host *h = *state;
    host_put_tasks(h, 20, 1, 1);
    struct id one = host_enter(h, 101, 1), two = host_enter(h, 102, 2);
    host_settle(h);
    host_report(h, 101, 1, &one, 20, TASK_RUNNING);
    host_report(h, 102, 2, &two, 20, TASK_FAILED); // after it, and in its place if tasks alone were the key
    host_settle(h);
    assert_int_equal(host_state_of(h, 20), TASK_RUNNING);
}

static void more_reports_than_a_node_can_have_tasks_do_not_wait(void **state) {
    struct host *h = *state;
    struct transaction transaction;
    struct report_batch batch;
    struct task_report reports[100];
    size_t changes = 0;
    unsigned rounds = 0;
    host_put_tasks(h, 20, 1, 2);
    schema_init(&report_batch_schema, &batch);
    batch.reports.count = 100;
    batch.reports.items = reports;
    batch.session_id = host_enter(h, 101, 1);
    struct id two = host_enter(h, 102, 2);
    host_settle(h);
    for (unsigned number = 0; number < TASKS_PER_NODE_MAX + 100; number++) { // of tasks that are not there
        struct task_report *said = &reports[number % 100];
        schema_init(&task_report_schema, said);
        said->task_id = store_id(10000 + number);
        said->status.state = TASK_RUNNING;
        if (number % 100 == 99) {
            host_take(h, 101, 1, MESSAGE_REPORT, &batch);
        }
    }
    host_report(h, 102, 2, &two, 20, TASK_RUNNING);
    for (; sessions_has_news(h->sessions); rounds++) {
        host_compose(h, &transaction);
        changes += transaction.changes.count;
        if (transaction.changes.count > 0) {
            host_store(h, &transaction);
        }
    }
    assert_int_equal(changes, 1);
    assert_int_equal(rounds, 3); // 5,001 looks, 2,000 at a time
}

static void who_says_too_much_is_sent_away_and_may_come_back(void **state) {
    struct host *h = *state;
    struct id session = host_enter(h, 101, 1);
    for (int i = 0; i < 3500; i++) {
        host_report(h, 101, 1, &session, 20, TASK_RUNNING);
    }
    assert_null(host_last(h, 101, MESSAGE_SESSION_END));
    host_report(h, 101, 1, &session, 20, TASK_RUNNING);
    const struct session_end *end = host_last(h, 101, MESSAGE_SESSION_END);
    assert_non_null(end);
    assert_string_equal(end->code, "BUSY");
    struct session_register asked = host_new_register(1);
    host_take(h, 102, 1, MESSAGE_SESSION_REGISTER, &asked);
    assert_null(host_last(h, 102, MESSAGE_SESSION_REGISTERED));
    assert_true(host_is_closed(h, 102));
    host_pass(h, 1000);
    host_enter(h, 103, 1);
}

static void who_registers_too_often_keeps_the_session_it_has(void **state) {
    struct host *h = *state;
    struct session_register asked = host_new_register(1);
    struct id session = {{0}};
    for (uint64_t link = 0; link < 8; link++) {
        session = host_enter_again(h, link, 1, &session);
    }
    host_take(h, 8, 1, MESSAGE_SESSION_REGISTER, &asked);
    assert_string_equal(((struct session_end *)host_last(h, 8, MESSAGE_SESSION_END))->code, "BUSY");
    assert_int_equal(host_presence(h, 1), SESSION_HEARD);
    assert_false(host_is_closed(h, 7));
    host_take(h, 7, 1, MESSAGE_SESSION_REGISTER, &asked); // by the very link of its session
    assert_int_equal(sessions_count(h->sessions), 0);
    host_pass(h, 15000);
}

static void what_a_node_says_of_itself_is_stored_once(void **state) {
    struct host *h = *state;
    struct session_register asked = host_new_register(1);
    asked.description.hostname = "host1";
    host_take(h, 100, 1, MESSAGE_SESSION_REGISTER, &asked);
    host_settle(h);
    int64_t revision = store_revision(h->store.store);
    struct session_describe said;
    schema_init(&session_describe_schema, &said);
    said.session_id =
        ((struct session_registered *)host_last(h, 100, MESSAGE_SESSION_REGISTERED))->session_id;
    said.description.hostname = "host1";
    host_take(h, 100, 1, MESSAGE_SESSION_DESCRIBE, &said);
    host_settle(h);
    assert_int_equal(store_revision(h->store.store), revision);
    said.description.hostname = "host2";
    host_take(h, 100, 1, MESSAGE_SESSION_DESCRIBE, &said);
    host_settle(h);
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
    host_put_tasks(h, 20, 1, 1);
    struct id session = host_enter(h, 101, 1);
    host_settle(h);
    host_report(h, 101, 1, &session, 20, TASK_PREPARING);
    host_compose(h, &transaction);
    sessions_follow(h->sessions, "");
    sessions_lead(h->sessions);
    session = host_enter(h, 102, 1);
    host_report(h, 102, 1, &session, 20, TASK_RUNNING);
    assert_false(sessions_has_news(h->sessions)); // the old transaction is still under way
    sessions_stored(h->sessions);
    assert_null(host_last(h, 102, MESSAGE_REPORT_STORED));
    host_settle(h);
    assert_non_null(host_last(h, 102, MESSAGE_REPORT_STORED));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, host_setup, host_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(who_registers_gets_a_session_and_its_complete_set),
        TEST(who_does_not_lead_says_who_does),
        TEST(who_leads_no_more_sends_all_sessions_away),
        TEST(strangers_are_refused_with_a_reason),
        TEST(only_who_leads_asks_a_node_for_a_stream_and_only_one_that_knows_how),
        TEST(the_newer_of_two_sessions_stays_and_the_older_is_told_why),
        TEST(of_two_machines_with_one_identity_the_first_stays),
        TEST(who_comes_anew_has_the_first_asked_whether_it_is_there),
        TEST(a_sign_of_life_counts_for_one_heartbeat),
        TEST(what_belongs_to_an_earlier_session_is_refused),
        TEST(a_message_that_cannot_be_read_ends_the_session),
        TEST(a_node_is_down_after_three_heartbeats_missed_and_not_before),
        TEST(a_shorter_interval_counts_from_when_it_was_told),
        TEST(a_lost_link_leaves_the_node_its_time),
        TEST(both_measures_of_silence_can_be_set),
        TEST(a_new_leader_waits_twice_as_long),
        TEST(a_leader_that_was_stopped_finds_nobody_silent_for_that),
        TEST(managers_that_changed_are_told_once_with_a_heartbeat),
        TEST(a_heartbeat_says_what_certificates_are_to_be_like),
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
