// SPDX-License-Identifier: Apache-2.0
//
// test/unit/test_cli_event.c — events of the history in words.
#include "cli/event_text.h"

#include <string.h>

#include "base/str.h"
#include "specs/node.h"
#include "specs/service.h"
#include "specs/task.h"
#include "test/lib/check.h"

struct story {
    struct arena arena;
    struct event_names names;
};

static struct bytes encoded(struct story *s, enum object_kind kind, const void *object) {
    AUTO_BUF bytes = {0};
    if (object == NULL) {
        return (struct bytes){0};
    }
    wire_encode(object_schema(kind), object, &bytes);
    return (struct bytes){arena_copy(&s->arena, bytes.data, bytes.len), bytes.len};
}

// "task web.1: …" of the change from one object to the other; NULL = absent.
static const char *told(struct story *s, enum object_kind kind, const void *from, const void *to) {
    struct event event;
    struct event_row row;
    struct error err = {0};
    schema_init(&event_schema, &event);
    event.kind = kind;
    event.op = from == NULL ? CHANGE_CREATE : to == NULL ? CHANGE_DELETE : CHANGE_UPDATE;
    event.id = object_meta_const(from != NULL ? from : to)->id;
    event.from = encoded(s, kind, from);
    event.to = encoded(s, kind, to);
    assert_int_equal(event_row_make(&s->names, &event, &s->arena, &row, &err), 0);
    return arena_printf(&s->arena, "%s %s %s: %s", row.action, row.kind, row.name, row.text);
}

static void end(struct story *s) {
    event_names_free(&s->names);
    arena_free(&s->arena);
}

static void services_are_told_by_their_changed_fields(void **state) {
    (void)state;
    struct story s = {0};
    struct service a;
    schema_init(&service_schema, &a);
    memcpy(a.meta.id.text, "a111111111111111111111111", ID_LEN);
    a.spec.name = a.meta.name = "web";
    a.spec.image = "nginx:1";
    struct service b = a;
    b.spec.image = "nginx:2";
    b.spec.deploy.replicas = 3;
    assert_string_equal(told(&s, KIND_SERVICE, NULL, &a),
                        "create service web: created, replicated, image nginx:1");
    assert_string_equal(told(&s, KIND_SERVICE, &a, &b),
                        "update service web: image nginx:1 -> nginx:2; deploy.replicas 1 -> 3");
    a = b;
    b.update_status.state = UPDATE_PAUSED;
    b.update_status.message = "a task failed";
    assert_string_equal(told(&s, KIND_SERVICE, &a, &b), "update service web: update paused: a task failed");
    b.removing = true;
    b.update_status = a.update_status;
    assert_string_equal(told(&s, KIND_SERVICE, &a, &b), "update service web: to be removed");
    assert_string_equal(told(&s, KIND_SERVICE, &a, NULL), "remove service web: removed");
    assert_string_equal(told(&s, KIND_SERVICE, &a, &a), "update service web: written again");
    end(&s);
}

static void tasks_are_told_by_their_states(void **state) {
    (void)state;
    struct story s = {0};
    struct id service, node;
    memcpy(service.text, "a111111111111111111111111", ID_LEN + 1);
    memcpy(node.text, "n111111111111111111111111", ID_LEN + 1);
    event_names_add(&s.names, &service, "web");
    event_names_add(&s.names, &node, "w1");
    struct task a;
    schema_init(&task_schema, &a);
    memcpy(a.meta.id.text, "t111111111111111111111111", ID_LEN);
    a.service_id = service;
    a.slot = 2;
    a.attempt = 1;
    a.desired = TASK_RUNNING;
    a.status.state = TASK_PENDING;
    struct task b = a;
    assert_string_equal(told(&s, KIND_TASK, NULL, &a), "create task web.2: pending; attempt 1");
    b.status.error = "no suitable node (memory)";
    assert_string_equal(told(&s, KIND_TASK, &a, &b), "update task web.2: no suitable node (memory)");
    b.status.error = "";
    b.status.state = TASK_ASSIGNED;
    b.node_id = node;
    assert_string_equal(told(&s, KIND_TASK, &a, &b), "update task web.2: pending -> assigned; on w1");
    a = b;
    b.status.state = TASK_FAILED;
    b.status.error = "task: non-zero exit (1)";
    assert_string_equal(told(&s, KIND_TASK, &a, &b),
                        "update task web.2: assigned -> failed; task: non-zero exit (1)");
    b = a;
    b.desired = TASK_SHUTDOWN;
    b.desired_reason = REASON_NODE_DRAINED;
    assert_string_equal(told(&s, KIND_TASK, &a, &b), "update task web.2: meant to be shutdown: node drained");
    end(&s);
}

static void nodes_and_names_are_followed(void **state) {
    (void)state;
    struct story s = {0};
    struct node a;
    schema_init(&node_schema, &a);
    memcpy(a.meta.id.text, "n111111111111111111111111", ID_LEN);
    a.spec.name = a.meta.name = "w1";
    a.status.state = NODE_READY;
    struct node b = a;
    b.spec.availability = AVAILABILITY_DRAIN;
    assert_string_equal(told(&s, KIND_NODE, NULL, &a), "create node w1: joined as worker");
    assert_string_equal(told(&s, KIND_NODE, &a, &b), "update node w1: availability active -> drain");
    b = a;
    b.status.state = NODE_DOWN;
    b.status.message = "heartbeat failure";
    assert_string_equal(told(&s, KIND_NODE, &a, &b), "update node w1: ready -> down: heartbeat failure");
    struct task task;
    schema_init(&task_schema, &task);
    task.node_id = a.meta.id;
    assert_non_null(strstr(told(&s, KIND_TASK, NULL, &task), "on w1")); // learned from the events above
    end(&s);
}

static void damaged_objects_are_refused(void **state) {
    (void)state;
    struct story s = {0};
    struct event event;
    struct event_row row;
    struct error err = {0};
    schema_init(&event_schema, &event);
    event.kind = KIND_TASK;
    event.to = (struct bytes){(const uint8_t *)"\xff\xff\xff", 3};
    assert_int_equal(event_row_make(&s.names, &event, &s.arena, &row, &err), -ERR_CORRUPT);
    end(&s);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(services_are_told_by_their_changed_fields),
        cmocka_unit_test(tasks_are_told_by_their_states),
        cmocka_unit_test(nodes_and_names_are_followed),
        cmocka_unit_test(damaged_objects_are_refused),
    };
    return cmocka_run_group_tests_name(__FILE__, tests, NULL, NULL);
}
