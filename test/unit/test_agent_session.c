// SPDX-License-Identifier: Apache-2.0
//
// test/unit/test_agent_session.c — the agent's end of a session: whom it dials and when, what it says, and
// which assignments it lets through.
#include "test/lib/check.h"

#include <string.h>

#include "base/assert.h"
#include "base/str.h"
#include "reconciler/agent/session.h"

// An agent, and what it did in the last step.
struct subject {
    struct session session;
    struct prng prng;
    struct arena arena;
    struct session_actions did;
    int64_t now_ms;
};

static struct id id_of(unsigned number) {
    struct prng prng;
    prng_seed(&prng, number);
    return id_from_prng(&prng);
}

static int setup(void **state) {
    struct subject *s = test_calloc(1, sizeof *s);
    const char *addresses[] = {"a:1", "b:1", "c:1"};
    struct id cluster = id_of(5), node = id_of(1);
    prng_seed(&s->prng, 7);
    session_init(&s->session, &cluster, &node, &(struct strings){3, addresses}, 0);
    *state = s;
    return 0;
}

static int teardown(void **state) {
    struct subject *s = *state;
    session_deinit(&s->session);
    arena_free(&s->arena);
    test_free(s);
    return 0;
}

static void step(struct subject *s, const struct session_event *event) {
    session_step(&s->session, event, s->now_ms, &s->prng, &s->arena, &s->did);
}

static void on(struct subject *s, enum session_event_kind kind) {
    step(s, &(struct session_event){.kind = kind, .text = "connection refused"});
}

// What a manager says.
static void hear(struct subject *s, uint16_t number, const void *payload) {
    AUTO_BUF body = {0};
    wire_encode(message_row(number)->payload, payload, &body);
    step(s, &(struct session_event){.kind = SESSION_ON_MESSAGE, .number = number, .body = buf_bytes(&body)});
}

// To the time at which it wants to act.
static void wake(struct subject *s) {
    int64_t wake_ms = session_wake_ms(&s->session);
    if (wake_ms > s->now_ms) {
        s->now_ms = wake_ms - 1;
        on(s, SESSION_ON_TIME);
        assert_null(s->did.dial);
        assert_int_equal(s->did.messages.count, 0);
        assert_false(s->did.hang_up);
        s->now_ms = wake_ms;
    }
    on(s, SESSION_ON_TIME);
}

// The message of this number among what it said in the last step, decoded.
static void *said(struct subject *s, uint16_t number) {
    const struct schema *schema = message_row(number)->payload;
    for (size_t i = 0; i < s->did.messages.count; i++) {
        if (s->did.messages.items[i].number == number) {
            void *payload = arena_alloc(&s->arena, schema->bytes);
            assert_int_equal(wire_decode(schema, s->did.messages.items[i].body, payload, &s->arena, NULL), 0);
            return payload;
        }
    }
    return NULL;
}

static void connect(struct subject *s) {
    wake(s);
    assert_non_null(s->did.dial);
    on(s, SESSION_ON_CONNECTED);
    assert_non_null(said(s, MESSAGE_SESSION_REGISTER));
}

static void hear_registered(struct subject *s, unsigned session) {
    struct session_registered registered;
    schema_init(&session_registered_schema, &registered);
    registered.version = PROTOCOL_VERSION;
    registered.session_id = id_of(session);
    registered.heartbeat_ms = 4800;
    hear(s, MESSAGE_SESSION_REGISTERED, &registered);
}

static void open(struct subject *s, unsigned session) {
    connect(s);
    hear_registered(s, session);
    assert_true(s->did.is_opened);
}

static void hear_reply(struct subject *s, unsigned session, int64_t part) {
    struct session_heartbeat_reply reply;
    schema_init(&session_heartbeat_reply_schema, &reply);
    reply.session_id = id_of(session);
    reply.heartbeat_ms = 4800;
    reply.part = part;
    hear(s, MESSAGE_SESSION_HEARTBEAT_REPLY, &reply);
}

static void hear_redirect(struct subject *s, const char *leader) {
    struct session_redirect redirect;
    schema_init(&session_redirect_schema, &redirect);
    redirect.leader = leader;
    hear(s, MESSAGE_SESSION_REDIRECT, &redirect);
}

static void hear_end(struct subject *s, const char *code) {
    struct session_end end;
    schema_init(&session_end_schema, &end);
    end.code = code;
    end.text = "because";
    hear(s, MESSAGE_SESSION_END, &end);
}

// --- dialing ---

static void it_dials_a_manager_it_knows_at_once(void **state) {
    struct subject *s = *state;
    assert_int_equal(session_wake_ms(&s->session), 0);
    connect(s);
    const struct session_register *asked = said(s, MESSAGE_SESSION_REGISTER);
    struct id cluster = id_of(5), node = id_of(1);
    assert_true(id_equal(&asked->cluster_id, &cluster) && id_equal(&asked->node_id, &node));
    assert_true(id_is_none(&asked->previous));
    assert_int_equal(asked->version_max, PROTOCOL_VERSION);
}

static void it_rests_longer_after_each_failure_and_tries_another(void **state) {
    struct subject *s = *state;
    static const int64_t longest_ms[] = {100, 200, 400, 800, 1600, 3200, 6400, 8000, 8000, 8000};
    char before[AGENT_ADDRESS_BYTES] = "";
    bool is_jittered = false;
    for (size_t i = 0; i < 10; i++) {
        wake(s);
        assert_non_null(s->did.dial);
        assert_string_not_equal(s->did.dial, before);
        str_copy(before, sizeof before, s->did.dial);
        on(s, SESSION_ON_LINK_DOWN);
        assert_string_equal(s->did.trouble, "connection refused");
        int64_t rest_ms = session_wake_ms(&s->session) - s->now_ms;
        assert_in_range(rest_ms, longest_ms[i] / 2, longest_ms[i]);
        is_jittered |= rest_ms != longest_ms[i] / 2 && rest_ms != longest_ms[i];
    }
    assert_true(is_jittered);
}

static void it_gives_up_who_does_not_answer(void **state) {
    struct subject *s = *state;
    wake(s);
    wake(s); // the link does not come
    assert_true(s->did.hang_up);
    assert_int_equal(s->now_ms, SESSION_DIAL_MS_MAX);
    connect(s);
    int64_t asked_ms = s->now_ms;
    wake(s); // nor the answer
    assert_true(s->did.hang_up);
    assert_int_equal(s->now_ms, asked_ms + SESSION_REGISTER_MS_MAX);
    wake(s);
    assert_non_null(s->did.dial);
}

static void it_is_led_to_the_leader_without_a_rest(void **state) {
    struct subject *s = *state;
    connect(s);
    hear_redirect(s, "leader:1");
    assert_true(s->did.hang_up);
    assert_int_equal(session_wake_ms(&s->session), s->now_ms);
    wake(s);
    assert_string_equal(s->did.dial, "leader:1");
    on(s, SESSION_ON_LINK_DOWN); // it is not there: any other then
    wake(s);
    assert_string_not_equal(s->did.dial, "leader:1");
}

static void it_does_not_run_in_circles(void **state) {
    struct subject *s = *state;
    int64_t began_ms = s->now_ms;
    for (int i = 0; i < 20; i++) {
        connect(s);
        hear_redirect(s, i % 2 == 0 ? "x:1" : "y:1");
    }
    assert_true(s->now_ms - began_ms > 30000); // three of 20 without a rest
}

static void without_a_leader_it_rests_and_asks_on(void **state) {
    struct subject *s = *state;
    connect(s);
    hear_redirect(s, "");
    assert_true(s->did.hang_up);
    assert_in_range(session_wake_ms(&s->session) - s->now_ms, 50, 100);
    connect(s);
}

static void it_keeps_the_managers_it_is_told(void **state) {
    struct subject *s = *state;
    struct session_redirect redirect;
    const char *addresses[] = {"d:1"};
    schema_init(&session_redirect_schema, &redirect);
    redirect.managers = (struct strings){1, addresses};
    connect(s);
    hear(s, MESSAGE_SESSION_REDIRECT, &redirect);
    assert_true(s->did.keep_managers);
    assert_string_equal(session_managers(&s->session, &s->arena).items[0], "d:1");
    wake(s);
    assert_string_equal(s->did.dial, "d:1");
    on(s, SESSION_ON_CONNECTED);
    hear(s, MESSAGE_SESSION_REDIRECT, &redirect); // the same
    assert_false(s->did.keep_managers);
}

static void without_managers_it_waits_for_better_times(void **state) {
    struct subject *s = *state;
    struct id cluster = id_of(5), node = id_of(1);
    session_init(&s->session, &cluster, &node, &(struct strings){0}, 0);
    wake(s);
    assert_null(s->did.dial);
    assert_string_equal(s->did.trouble, "no manager is known");
    assert_int_equal(session_wake_ms(&s->session), SESSION_REST_MS_MAX);
}

// --- an open session ---

static void it_sends_heartbeats_in_the_interval_it_is_told(void **state) {
    struct subject *s = *state;
    open(s, 50);
    for (int i = 0; i < 3; i++) {
        int64_t before_ms = s->now_ms;
        wake(s);
        assert_int_equal(s->now_ms - before_ms, 4800);
        const struct session_heartbeat *heartbeat = said(s, MESSAGE_SESSION_HEARTBEAT);
        struct id session = id_of(50);
        assert_true(id_equal(&heartbeat->session_id, &session));
        hear_reply(s, 50, 0);
        assert_int_equal(s->did.messages.count, 0);
    }
}

static void an_interval_without_sense_is_not_taken(void **state) {
    struct subject *s = *state;
    static const int64_t told_ms[] = {0, 50, INT64_MAX}, taken_ms[] = {100, 100, 600000};
    open(s, 50);
    for (int i = 0; i < 3; i++) {
        struct session_heartbeat_reply reply;
        schema_init(&session_heartbeat_reply_schema, &reply);
        reply.session_id = id_of(50);
        reply.heartbeat_ms = told_ms[i];
        hear(s, MESSAGE_SESSION_HEARTBEAT_REPLY, &reply);
        assert_int_equal(session_wake_ms(&s->session) - s->now_ms, taken_ms[i]);
    }
}

static void it_gives_up_a_manager_that_is_silent(void **state) {
    struct subject *s = *state;
    open(s, 50);
    int64_t opened_ms = s->now_ms;
    for (int i = 0; i < 2; i++) {
        wake(s);
        assert_non_null(said(s, MESSAGE_SESSION_HEARTBEAT));
    }
    wake(s);
    assert_true(s->did.hang_up);
    assert_int_equal(s->now_ms - opened_ms, 3 * 4800);
}

static void a_lost_link_leaves_tasks_alone_and_is_made_anew(void **state) {
    struct subject *s = *state;
    open(s, 50);
    char dialed[AGENT_ADDRESS_BYTES];
    str_copy(dialed, sizeof dialed, s->session.dialed);
    hear_reply(s, 50, 0);
    on(s, SESSION_ON_LINK_DOWN);
    assert_false(s->did.has_step);
    connect(s);
    assert_string_equal(s->session.dialed, dialed); // it may be only the link
    struct session_register *asked = said(s, MESSAGE_SESSION_REGISTER);
    struct id session = id_of(50);
    assert_true(id_equal(&asked->previous, &session));
    hear_registered(s, 51);
    assert_true(s->did.is_opened);
    assert_false(s->did.has_step);
}

static void who_lost_its_session_to_another_rests_as_long_as_can_be(void **state) {
    struct subject *s = *state;
    static const char *const codes[] = {"CONFLICT", "DENIED", "UNSUPPORTED", "INVALID"};
    for (unsigned i = 0; i < 4; i++) {
        open(s, 50 + i);
        hear_reply(s, 50 + i, 0);
        hear_end(s, codes[i]);
        assert_true(s->did.hang_up);
        assert_in_range(session_wake_ms(&s->session) - s->now_ms, 4000, 8000);
    }
    open(s, 60);
    hear_reply(s, 60, 0);
    hear_end(s, "NOT_FOUND"); // the manager was started anew
    assert_in_range(session_wake_ms(&s->session) - s->now_ms, 50, 100);
}

static void what_is_of_another_session_is_not_heard(void **state) {
    struct subject *s = *state;
    struct assign_part part;
    open(s, 50);
    schema_init(&assign_part_schema, &part);
    part.session_id = id_of(49);
    part.number = 1;
    part.is_first = part.is_last = part.is_complete = true;
    hear(s, MESSAGE_ASSIGN, &part);
    assert_false(s->did.has_step);
    assert_int_equal(s->did.messages.count, 0);
}

static void a_message_that_cannot_be_read_ends_the_link(void **state) {
    struct subject *s = *state;
    open(s, 50);
    step(s, &(struct session_event){.kind = SESSION_ON_MESSAGE,
                                    .number = MESSAGE_ASSIGN,
                                    .body = {(const uint8_t *)"\x0a\xff", 2}});
    assert_true(s->did.hang_up);
    assert_in_range(session_wake_ms(&s->session) - s->now_ms, 4000, 8000);
}

static void a_change_of_the_node_is_said_once(void **state) {
    struct subject *s = *state;
    struct node_description description;
    schema_init(&node_description_schema, &description);
    description.hostname = "h1";
    struct session_event event = {.kind = SESSION_ON_DESCRIPTION, .description = &description};
    step(s, &event);
    connect(s);
    assert_string_equal(((struct session_register *)said(s, MESSAGE_SESSION_REGISTER))->description.hostname,
                        "h1");
    hear_registered(s, 50);
    step(s, &event);
    assert_int_equal(s->did.messages.count, 0);
    event.trouble = "no runc";
    step(s, &event);
    assert_string_equal(((struct session_describe *)said(s, MESSAGE_SESSION_DESCRIBE))->trouble, "no runc");
    step(s, &event);
    assert_int_equal(s->did.messages.count, 0);
    description.hostname = "h2";
    step(s, &event);
    assert_string_equal(((struct session_describe *)said(s, MESSAGE_SESSION_DESCRIBE))->description.hostname,
                        "h2");
}

// --- assignments ---

// A part with so many tasks, numbered on from `task`; 0 removes that task instead.
static struct assign_part part_of(struct subject *s, int64_t number, unsigned task, unsigned count) {
    struct assign_part part;
    schema_init(&assign_part_schema, &part);
    part.session_id = id_of(50);
    part.number = number;
    part.is_first = part.is_last = true;
    for (unsigned i = 0; i < count; i++) {
        AUTO_BUF bytes = {0};
        struct assignment assignment;
        schema_init(&assignment_schema, &assignment);
        assignment.task.meta.id = id_of(task + i);
        wire_encode(&assignment_schema, &assignment, &bytes);
        struct assign_item *item = ARENA_PUSH(&s->arena, &part.changed);
        item->assignment = (struct bytes){arena_copy(&s->arena, bytes.data, bytes.len), bytes.len};
    }
    if (count == 0) {
        ARENA_PUSH(&s->arena, &part.removed)->task_id = id_of(task);
    }
    return part;
}

// A complete set of two tasks in two parts, of which this is one.
static struct assign_part set_part(struct subject *s, int64_t number, bool is_first) {
    struct assign_part part = part_of(s, number, 100 + (unsigned)number, 1);
    part.is_complete = true;
    part.is_first = is_first;
    part.is_last = !is_first;
    return part;
}

static void hear_part(struct subject *s, const struct assign_part *part) {
    hear(s, MESSAGE_ASSIGN, part);
}

static void hear_set(struct subject *s, int64_t number) {
    struct assign_part first = set_part(s, number, true), rest = set_part(s, number + 1, false);
    hear_part(s, &first);
    assert_false(s->did.has_step);
    hear_part(s, &rest);
    assert_true(s->did.has_step && s->did.is_complete);
    assert_int_equal(s->did.changed.count, 2);
}

static void assert_asks_again(struct subject *s) {
    assert_false(s->did.has_step);
    assert_non_null(said(s, MESSAGE_ASSIGN_AGAIN));
}

static void a_complete_set_counts_when_it_is_whole(void **state) {
    struct subject *s = *state;
    open(s, 50);
    hear_set(s, 1);
    struct id first = id_of(101);
    assert_true(id_equal(&s->did.changed.items[0].task.meta.id, &first));
}

static void a_set_that_was_cut_off_by_the_link_is_forgotten(void **state) {
    struct subject *s = *state;
    open(s, 50);
    struct assign_part first = set_part(s, 1, true), rest = set_part(s, 2, false);
    hear_part(s, &first);
    on(s, SESSION_ON_LINK_DOWN);
    connect(s);
    hear_registered(s, 50); // even of the same session
    hear_part(s, &rest);
    assert_asks_again(s);
}

static void increments_follow_in_order(void **state) {
    struct subject *s = *state;
    open(s, 50);
    hear_set(s, 1);
    struct assign_part more = part_of(s, 3, 200, 3), less = part_of(s, 4, 201, 0);
    hear_part(s, &more);
    assert_true(s->did.has_step && !s->did.is_complete);
    assert_int_equal(s->did.changed.count, 3);
    hear_part(s, &less);
    assert_true(s->did.has_step && !s->did.is_complete);
    assert_int_equal(s->did.removed.count, 1);
}

static void a_part_that_is_lost_is_asked_for_and_nothing_taken_before_the_new_set(void **state) {
    struct subject *s = *state;
    open(s, 50);
    hear_set(s, 1);
    struct assign_part skipped = part_of(s, 4, 200, 1), next = part_of(s, 5, 201, 1);
    hear_part(s, &skipped);
    assert_asks_again(s);
    hear_part(s, &next);
    assert_false(s->did.has_step);
    assert_int_equal(s->did.messages.count, 0); // asked already
    hear_set(s, 6);
    struct assign_part after = part_of(s, 8, 202, 1);
    hear_part(s, &after);
    assert_true(s->did.has_step);
}

static void a_part_that_comes_twice_is_noticed(void **state) {
    struct subject *s = *state;
    open(s, 50);
    hear_set(s, 1);
    struct assign_part increment = part_of(s, 3, 200, 1);
    hear_part(s, &increment);
    hear_part(s, &increment);
    assert_asks_again(s);
    struct assign_part old = set_part(s, 1, true);
    hear_part(s, &old); // nor the beginning of an old set
    assert_false(s->did.has_step);
    hear_set(s, 4);
}

static void a_part_lost_from_the_middle_of_a_set_spoils_it(void **state) {
    struct subject *s = *state;
    open(s, 50);
    struct assign_part first = set_part(s, 1, true), last = set_part(s, 3, false);
    hear_part(s, &first);
    hear_part(s, &last);
    assert_asks_again(s);
}

static void a_new_set_takes_the_place_of_one_that_is_not_whole(void **state) {
    struct subject *s = *state;
    open(s, 50);
    struct assign_part first = set_part(s, 1, true);
    hear_part(s, &first);
    hear_set(s, 2);
}

static void an_increment_in_the_midst_of_a_set_is_noticed(void **state) {
    struct subject *s = *state;
    open(s, 50);
    struct assign_part first = set_part(s, 1, true), increment = part_of(s, 2, 200, 1);
    hear_part(s, &first);
    hear_part(s, &increment);
    assert_asks_again(s);
    hear_set(s, 3);
    struct assign_part begun = set_part(s, 5, true), other = set_part(s, 6, false);
    other.is_complete = false; // the end of an increment, and not of this set
    hear_part(s, &begun);
    hear_part(s, &other);
    assert_asks_again(s);
}

static void a_heartbeat_tells_of_a_part_that_nothing_followed(void **state) {
    struct subject *s = *state;
    open(s, 50);
    hear_set(s, 1);
    wake(s);
    hear_reply(s, 50, 2);
    assert_int_equal(s->did.messages.count, 0);
    wake(s);
    hear_reply(s, 50, 3);
    assert_asks_again(s);
    wake(s);
    hear_reply(s, 50, 3); // the question was lost, or is not answered yet
    assert_asks_again(s);
    hear_set(s, 4);
    wake(s);
    hear_reply(s, 50, 5);
    assert_int_equal(s->did.messages.count, 0);
}

static void more_tasks_than_a_node_may_hold_end_the_link(void **state) {
    struct subject *s = *state;
    open(s, 50);
    for (int64_t number = 1; number <= SESSION_STEP_TASKS_MAX / 1000 + 1; number++) {
        struct assign_part part = part_of(s, number, 1000, 1000);
        part.is_complete = true;
        part.is_first = number == 1;
        part.is_last = false;
        hear_part(s, &part);
        assert_true(s->did.hang_up == (number > SESSION_STEP_TASKS_MAX / 1000));
    }
}

// --- reports ---

static void reports_go_in_batches_that_fit(void **state) {
    struct subject *s = *state;
    struct task_report reports[3 * REPORT_BATCH_MAX];
    char *text = arena_alloc(&s->arena, 20001);
    memset(text, 'x', 20000);
    for (unsigned i = 0; i < 3 * REPORT_BATCH_MAX; i++) {
        schema_init(&task_report_schema, &reports[i]);
        reports[i].task_id = id_of(i + 1);
        reports[i].status.error = i < 200 ? text : ""; // 4 MB of texts
    }
    struct session_event event = {.kind = SESSION_ON_REPORTS, .reports = {3 * REPORT_BATCH_MAX, reports}};
    step(s, &event);
    assert_int_equal(s->did.messages.count, 0); // nobody to tell
    open(s, 50);
    step(s, &event);
    size_t count = 0;
    for (size_t i = 0; i < s->did.messages.count; i++) {
        struct report_batch batch;
        struct bytes body = s->did.messages.items[i].body;
        assert_int_equal(s->did.messages.items[i].number, MESSAGE_REPORT);
        assert_true(body.len <= REPORT_BATCH_BYTES_MAX);
        assert_int_equal(wire_decode(&report_batch_schema, body, &batch, &s->arena, NULL), 0);
        for (size_t j = 0; j < batch.reports.count; j++, count++) {
            assert_true(id_equal(&batch.reports.items[j].task_id, &reports[count].task_id));
        }
    }
    assert_int_equal(count, 3 * REPORT_BATCH_MAX);
    assert_in_range(s->did.messages.count, 6, 8);
}

static void acknowledgements_are_handed_on(void **state) {
    struct subject *s = *state;
    struct report_stored stored;
    struct report_acknowledged item = {id_of(9), TASK_RUNNING, {0}};
    open(s, 50);
    schema_init(&report_stored_schema, &stored);
    stored.session_id = id_of(50);
    stored.reports.count = 1;
    stored.reports.items = &item;
    hear(s, MESSAGE_REPORT_STORED, &stored);
    assert_int_equal(s->did.stored.count, 1);
    assert_int_equal(s->did.stored.items[0].state, TASK_RUNNING);
}

// --- its place in the cluster ---

static void hear_removed(struct subject *s) {
    struct session_end end;
    schema_init(&session_end_schema, &end);
    end.code = "DENIED";
    end.text = "this node is not in the cluster";
    end.is_removed = true;
    hear(s, MESSAGE_SESSION_END, &end);
}

static void that_it_was_removed_is_believed_at_the_second_time(void **state) {
    struct subject *s = *state;
    open(s, 50);
    hear_removed(s);
    assert_false(s->did.is_removed);
    assert_in_range(session_wake_ms(&s->session) - s->now_ms, 1600, 3200);
    open(s, 51);
    hear_reply(s, 51, 0); // it was not so
    hear_removed(s);
    assert_false(s->did.is_removed);
    open(s, 52);
    hear_removed(s);
    assert_true(s->did.is_removed);
}

static void who_is_not_let_in_as_one_that_was_removed_believes_it_likewise(void **state) {
    struct subject *s = *state;
    const struct session_event refused = {
        .kind = SESSION_ON_LINK_DOWN, .text = "it was removed", .is_removed = true};
    open(s, 50);
    on(s, SESSION_ON_LINK_DOWN); // it was cut before it heard why
    for (int i = 0; i < 2; i++) {
        wake(s);
        assert_non_null(s->did.dial);
        step(s, &refused);
        assert_int_equal(s->did.is_removed, i == 1);
        assert_in_range(session_wake_ms(&s->session) - s->now_ms, 1600, 3200);
    }
}

static void who_leaves_says_so_and_believes_the_answer_at_once(void **state) {
    struct subject *s = *state;
    open(s, 50);
    on(s, SESSION_ON_LEAVE);
    assert_non_null(said(s, MESSAGE_SESSION_LEAVE));
    hear_removed(s);
    assert_true(s->did.is_removed);
}

static void who_leaves_without_a_session_asks_for_one_at_once_and_says_so_in_it(void **state) {
    struct subject *s = *state;
    open(s, 50);
    for (int i = 0; i < 10; i++) { // until the rests are as long as they get
        on(s, SESSION_ON_LINK_DOWN);
        wake(s);
    }
    on(s, SESSION_ON_LINK_DOWN);
    on(s, SESSION_ON_LEAVE);
    assert_int_equal(s->did.messages.count, 0); // nobody hears it
    assert_int_equal(session_wake_ms(&s->session), s->now_ms);
    for (int i = 0; i < 10; i++) {
        wake(s);
        assert_non_null(s->did.dial);
        on(s, SESSION_ON_LINK_DOWN);
        assert_in_range(session_wake_ms(&s->session) - s->now_ms, 1, SESSION_REST_LEAVING_MS_MAX);
    }
    open(s, 51);
    assert_non_null(said(s, MESSAGE_SESSION_LEAVE));
    hear_removed(s);
    assert_true(s->did.is_removed);
}

static void it_tells_that_it_is_to_be_a_manager(void **state) {
    struct subject *s = *state;
    struct session_heartbeat_reply reply;
    open(s, 50);
    hear_reply(s, 50, 0);
    assert_false(s->did.is_promoted);
    schema_init(&session_heartbeat_reply_schema, &reply);
    reply.session_id = id_of(50);
    reply.heartbeat_ms = 4800;
    reply.is_manager = true;
    hear(s, MESSAGE_SESSION_HEARTBEAT_REPLY, &reply);
    assert_true(s->did.is_promoted);
}

static void it_tells_what_its_certificate_is_to_be_like(void **state) {
    struct subject *s = *state;
    struct session_heartbeat_reply reply;
    open(s, 50);
    assert_null(s->did.trust);
    schema_init(&session_heartbeat_reply_schema, &reply);
    reply.session_id = id_of(50);
    reply.heartbeat_ms = 4800;
    reply.trust = "0123456789abcdef 0123456789abcdef";
    reply.certificate_ms = 3600000;
    hear(s, MESSAGE_SESSION_HEARTBEAT_REPLY, &reply);
    assert_string_equal(s->did.trust, reply.trust);
    assert_int_equal(s->did.certificate_ms, 3600000);
}

static void registering_anew_on_the_same_link_is_a_new_session(void **state) {
    struct subject *s = *state;
    open(s, 50);
    hear_set(s, 1);
    hear_registered(s, 50); // the same answer twice
    assert_false(s->did.is_opened);
    hear_registered(s, 51); // the question came twice
    assert_true(s->did.is_opened);
    struct assign_part part = set_part(s, 1, true);
    part.session_id = id_of(51);
    part.is_last = true;
    hear_part(s, &part);
    assert_true(s->did.has_step);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(it_dials_a_manager_it_knows_at_once),
        TEST(it_rests_longer_after_each_failure_and_tries_another),
        TEST(it_gives_up_who_does_not_answer),
        TEST(it_is_led_to_the_leader_without_a_rest),
        TEST(it_does_not_run_in_circles),
        TEST(without_a_leader_it_rests_and_asks_on),
        TEST(it_keeps_the_managers_it_is_told),
        TEST(without_managers_it_waits_for_better_times),
        TEST(it_sends_heartbeats_in_the_interval_it_is_told),
        TEST(an_interval_without_sense_is_not_taken),
        TEST(it_gives_up_a_manager_that_is_silent),
        TEST(a_lost_link_leaves_tasks_alone_and_is_made_anew),
        TEST(who_lost_its_session_to_another_rests_as_long_as_can_be),
        TEST(what_is_of_another_session_is_not_heard),
        TEST(a_message_that_cannot_be_read_ends_the_link),
        TEST(a_change_of_the_node_is_said_once),
        TEST(a_complete_set_counts_when_it_is_whole),
        TEST(a_set_that_was_cut_off_by_the_link_is_forgotten),
        TEST(increments_follow_in_order),
        TEST(a_part_that_is_lost_is_asked_for_and_nothing_taken_before_the_new_set),
        TEST(a_part_that_comes_twice_is_noticed),
        TEST(a_part_lost_from_the_middle_of_a_set_spoils_it),
        TEST(a_new_set_takes_the_place_of_one_that_is_not_whole),
        TEST(an_increment_in_the_midst_of_a_set_is_noticed),
        TEST(a_heartbeat_tells_of_a_part_that_nothing_followed),
        TEST(more_tasks_than_a_node_may_hold_end_the_link),
        TEST(reports_go_in_batches_that_fit),
        TEST(acknowledgements_are_handed_on),
        TEST(registering_anew_on_the_same_link_is_a_new_session),
        TEST(that_it_was_removed_is_believed_at_the_second_time),
        TEST(who_is_not_let_in_as_one_that_was_removed_believes_it_likewise),
        TEST(who_leaves_says_so_and_believes_the_answer_at_once),
        TEST(who_leaves_without_a_session_asks_for_one_at_once_and_says_so_in_it),
        TEST(it_tells_that_it_is_to_be_a_manager),
        TEST(it_tells_what_its_certificate_is_to_be_like),
    };
    return cmocka_run_group_tests_name(__FILE__, tests, NULL, NULL);
}
