// SPDX-License-Identifier: Apache-2.0
//
// test/unit/test_daemon_process.c — musterd with real processes: they outlive it, and their logs are whole.
#include "test/lib/check.h"
#include "test/lib/daemon_fixture.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"

#define COUNTER                                                                                              \
    "kind: service\nname: web\nimage: none\n"                                                                \
    "command: [sh, -c, 'echo begin; echo trouble >&2; exec sleep 600']\n"                                    \
    "stop_grace_period: 1s\ndeploy: {replicas: 3, restart_policy: {delay: 100ms}}\n"

static int setup(void **state) {
    struct daemon_fixture *f = test_malloc(sizeof *f);
    daemon_begin(f, "process");
    assert_int_equal(daemon_init(f), 0);
    *state = f;
    return 0;
}

static struct object_list tasks(struct daemon_fixture *f) {
    struct object_list list;
    assert_int_equal(daemon_list(f, KIND_TASK, NULL, &list), 0);
    return list;
}

static bool is_empty(struct daemon_fixture *f, const void *context) {
    struct object_list list;
    (void)context;
    assert_int_equal(daemon_list(f, KIND_SERVICE, NULL, &list), 0);
    return list.count == 0;
}

// Nothing that was started is left.
static int teardown(void **state) {
    struct daemon_fixture *f = *state;
    (void)daemon_remove(f, KIND_SERVICE, "web", NULL);
    daemon_wait(f, is_empty, NULL);
    daemon_end(f);
    test_free(f);
    return 0;
}

static void tasks_outlive_the_daemon(void **state) {
    struct daemon_fixture *f = *state;
    assert_int_equal(daemon_apply(f, COUNTER, NULL), 0);
    daemon_wait_count(f, "web", TASK_RUNNING, 3);
    struct object_list before = tasks(f);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(daemon_stop(f, i % 2 == 0 ? SIGKILL : SIGTERM), i % 2 == 0 ? -SIGKILL : 0);
        daemon_start(f);
        daemon_wait_count(f, "web", TASK_RUNNING, 3);
    }
    struct object_list after = tasks(f);
    assert_int_equal(after.count, 3);
    for (size_t i = 0; i < 3; i++) {
        const struct task *x = before.items[i], *y = after.items[i];
        assert_true(id_equal(&x->meta.id, &y->meta.id));
        assert_int_equal(x->status.pid, y->status.pid);
        assert_int_equal(x->status.since_unix_ms, y->status.since_unix_ms);
        assert_int_equal(kill((pid_t)y->status.pid, 0), 0);
    }
}

static void what_ends_meanwhile_is_told_and_replaced(void **state) {
    struct daemon_fixture *f = *state;
    assert_int_equal(daemon_apply(f, COUNTER, NULL), 0);
    daemon_wait_count(f, "web", TASK_RUNNING, 3);
    const struct task *victim = tasks(f).items[0];
    assert_int_equal(daemon_stop(f, SIGKILL), -SIGKILL);
    assert_int_equal(kill((pid_t)victim->status.pid, SIGUSR1), 0);
    daemon_start(f);
    daemon_wait_count(f, "web", TASK_FAILED, 1);
    daemon_wait_count(f, "web", TASK_RUNNING, 3);
    struct object_list list;
    assert_int_equal(daemon_list(f, KIND_TASK, victim->meta.id.text, &list), 0);
    const struct task *ended = list.items[0];
    assert_int_equal(ended->status.exit.kind, EXIT_SIGNAL);
    assert_int_equal(ended->status.exit.signal, SIGUSR1);
}

struct lines {
    size_t out, err;
    int64_t last_ns;
    bool is_ordered;
};

static struct lines read_logs(struct daemon_fixture *f, const struct logs_request *request, size_t until) {
    struct lines lines = {.is_ordered = true};
    uint64_t conversation;
    assert_int_equal(client_send(f->client, MESSAGE_LOGS, request, &conversation, &f->err), 0);
    for (;;) {
        struct client_frame frame;
        struct log_lines batch;
        assert_int_equal(client_next(f->client, 60000, &frame, &f->err), 0);
        if (frame.number != MESSAGE_LOG_LINES) {
            assert_int_equal(frame.number, MESSAGE_DONE);
            return lines;
        }
        assert_int_equal(wire_decode(&log_lines_schema, frame.body, &batch, &f->arena, &f->err), 0);
        for (size_t i = 0; i < batch.lines.count; i++) {
            const struct log_line *line = &batch.lines.items[i];
            *(line->is_stderr ? &lines.err : &lines.out) += 1;
            lines.is_ordered = lines.is_ordered && line->time_unix_ns >= lines.last_ns;
            lines.last_ns = line->time_unix_ns;
        }
        if (until > 0 && lines.out + lines.err >= until) {
            client_cancel(f->client, conversation);
            return lines;
        }
    }
}

static void logs_of_a_service_are_merged_and_followed(void **state) {
    struct daemon_fixture *f = *state;
    struct logs_request request;
    schema_init(&logs_request_schema, &request);
    assert_int_equal(daemon_apply(f, COUNTER, NULL), 0);
    daemon_wait_count(f, "web", TASK_RUNNING, 3);
    request.service = daemon_service(f, "web")->meta.id;
    request.follow = true;
    struct lines lines = read_logs(f, &request, 6); // as they are written
    assert_int_equal(lines.out, 3);
    assert_int_equal(lines.err, 3);
    client_close(f->client);
    f->client = daemon_connect(f);
    request.follow = false;
    lines = read_logs(f, &request, 0);
    assert_int_equal(lines.out + lines.err, 6);
    assert_true(lines.is_ordered);
    request.tail = 1;
    lines = read_logs(f, &request, 0);
    assert_int_equal(lines.out + lines.err, 3);
    request.tail = -1;
    request.until_unix_ns = 1;
    lines = read_logs(f, &request, 0);
    assert_int_equal(lines.out + lines.err, 0);
}

static void a_command_that_is_not_there_is_told_as_such(void **state) {
    struct daemon_fixture *f = *state;
    assert_int_equal(daemon_apply(f,
                                  "kind: service\nname: web\nimage: none\ncommand: [/no/such/program]\n"
                                  "deploy: {restart_policy: {condition: none}}\n",
                                  NULL),
                     0);
    daemon_wait_count(f, "web", TASK_FAILED, 1);
    const struct task *task = tasks(f).items[0];
    assert_non_null(strstr(task->status.error, "No such file"));
}

static bool is_waiting(struct daemon_fixture *f, const void *context) {
    (void)context;
    return daemon_count(f, "web", TASK_FAILED) == 1 && daemon_count(f, "web", TASK_READY) == 1;
}

static void why_looks_at_the_task_before(void **state) {
    struct daemon_fixture *f = *state;
    struct why_request request = {.reference = "web"};
    void *payload;
    assert_int_equal(daemon_apply(f,
                                  "kind: service\nname: web\nimage: none\ncommand: ['false']\n"
                                  "deploy: {restart_policy: {delay: 1h}}\n",
                                  NULL),
                     0);
    daemon_wait(f, is_waiting, NULL);
    assert_int_equal(
        client_call(f->client, MESSAGE_WHY, &request, MESSAGE_WHY_REPLY, &f->arena, &payload, 60000, &f->err),
        0);
    const struct why_reply *reply = payload;
    assert_string_equal(reply->verdict,
                        "it is ready and waits for its restart delay: the task before it is failed: "
                        "task: non-zero exit (1)");
    assert_int_equal(reply->history.count, 2);
    assert_int_equal(reply->advice.count, 1);
    assert_non_null(strstr(reply->advice.items[0], "read its log"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(tasks_outlive_the_daemon),
        TEST(what_ends_meanwhile_is_told_and_replaced),
        TEST(logs_of_a_service_are_merged_and_followed),
        TEST(a_command_that_is_not_there_is_told_as_such),
        TEST(why_looks_at_the_task_before),
    };
    return cmocka_run_group_tests_name(__FILE__, tests, NULL, NULL);
}
