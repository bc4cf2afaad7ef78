// SPDX-License-Identifier: Apache-2.0
//
// test/unit/test_daemon.c — a real musterd with the fake executor, asked over its socket.
#include "test/lib/check.h"
#include "test/lib/daemon_fixture.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"
#include "transport/credentials.h"

#ifdef __SANITIZE_ADDRESS__
#define RESIDENT_BYTES_MAX (1000 * INT64_C(1048576)) // its memory is not given back
#else
#define RESIDENT_BYTES_MAX (100 * INT64_C(1048576))
#endif

#define WEB "kind: service\nname: web\nimage: busybox\n"
#define SCALED(n) WEB "deploy:\n  replicas: " #n "\n"

static int setup(void **state) {
    struct daemon_fixture *f = test_malloc(sizeof *f);
    daemon_begin(f, "fake");
    assert_int_equal(daemon_init(f), 0);
    *state = f;
    return 0;
}

static int teardown(void **state) {
    daemon_end(*state);
    test_free(*state);
    return 0;
}

static void before_init_everything_says_how_to_begin(void **state) {
    struct daemon_fixture f;
    struct object_list list;
    (void)state;
    daemon_begin(&f, "fake");
    assert_int_equal(daemon_list(&f, KIND_SERVICE, NULL, &list), -ERR_UNREACHABLE);
    assert_non_null(strstr(f.err.root, "muster swarm init"));
    assert_int_equal(daemon_apply(&f, WEB, NULL), -ERR_UNREACHABLE);
    assert_false(daemon_info(&f)->is_initialized);
    assert_int_equal(daemon_init(&f), 0);
    assert_true(daemon_info(&f)->is_initialized);
    assert_int_equal(daemon_init(&f), -ERR_CONFLICT);
    assert_non_null(strstr(f.err.root, "This node is already part of a swarm."));
    assert_int_equal(daemon_list(&f, KIND_NODE, NULL, &list), 0);
    assert_int_equal(list.count, 1);
    const struct node *node = list.items[0];
    assert_string_equal(node->spec.name, "n1");
    assert_int_equal(node->status.state, NODE_READY);
    assert_true(node->manager != NULL && node->manager->leader);
    assert_string_equal(node->manager->address, "127.0.0.1:0");
    daemon_end(&f);
}

static void a_new_cluster_has_an_authority_and_its_manager_a_certificate(void **state) {
    struct daemon_fixture *f = *state;
    struct credentials credentials;
    struct identity who;
    struct stat st;
    const struct info_reply *info = daemon_info(f);
    AUTO_FREE char *dir = xasprintf("%s/state/certificates/%s", f->dir, info->cluster_id.text);
    AUTO_FREE char *key = xasprintf("%s/seal.key", dir);
    AUTO_FREE char *authority_key = xasprintf("%s/authority.key", dir);
    assert_int_equal(credentials_load(dir, &credentials, NULL), 0);
    assert_int_equal(credentials_check(&credentials, clock_unix_ms(), &who, NULL), 0);
    assert_true(id_equal(&who.node_id, &info->node_id) && id_equal(&who.cluster_id, &info->cluster_id));
    assert_int_equal(who.role, ROLE_MANAGER);
    int64_t valid_ms = who.not_after_unix_ms - who.not_before_unix_ms - CERTIFICATE_SLACK_MS;
    assert_int_equal(valid_ms, info->cluster.cert_expiry_ns / NS_PER_MS);
    assert_false(fs_exists(authority_key));
    assert_true(stat(key, &st) == 0 && (st.st_mode & 07777) == 0600);
    assert_true(stat(dir, &st) == 0 && (st.st_mode & 07777) == 0700);
    credentials_free(&credentials);
}

static void a_service_runs_scales_and_goes(void **state) {
    struct daemon_fixture *f = *state;
    struct applied *applied;
    assert_int_equal(daemon_apply(f, SCALED(3), &applied), 0);
    assert_int_equal(applied->results.items[0].action, ACTION_CREATED);
    daemon_wait_count(f, "web", TASK_RUNNING, 3);
    assert_int_equal(daemon_apply(f, SCALED(5), &applied), 0);
    assert_int_equal(applied->results.items[0].action, ACTION_UPDATED);
    daemon_wait_count(f, "web", TASK_RUNNING, 5);
    assert_int_equal(daemon_apply(f, SCALED(1), &applied), 0);
    daemon_wait_count(f, "web", TASK_RUNNING, 1);
    assert_int_equal(daemon_remove(f, KIND_SERVICE, "web", &applied), 0);
    assert_int_equal(applied->results.items[0].action, ACTION_REMOVED);
    daemon_wait_count(f, "web", TASK_RUNNING, 0);
}

static void the_same_file_again_writes_nothing(void **state) {
    struct daemon_fixture *f = *state;
    struct applied *applied;
    assert_int_equal(daemon_apply(f, SCALED(0), &applied), 0);
    int64_t revision = applied->revision;
    assert_int_equal(applied->results.items[0].version, revision);
    assert_int_equal(daemon_apply(f, SCALED(0), &applied), 0);
    assert_int_equal(applied->results.items[0].action, ACTION_UNCHANGED);
    assert_int_equal(daemon_info(f)->revision, revision);
}

static void a_dry_run_says_what_would_be(void **state) {
    struct daemon_fixture *f = *state;
    struct applied *applied;
    int64_t revision = daemon_info(f)->revision;
    assert_int_equal(daemon_apply_request(f, WEB, &(struct apply_request){.dry_run = true}, &applied), 0);
    assert_int_equal(applied->results.items[0].action, ACTION_CREATED);
    assert_int_equal(daemon_info(f)->revision, revision);
    assert_null(daemon_service(f, "web"));
}

static void a_request_sent_twice_is_done_once(void **state) {
    struct daemon_fixture *f = *state;
    struct apply_item item = {.expected_version = -1};
    struct apply_request like = {.request_id = "r-1", .items = {1, &item}};
    struct applied *first, *second;
    assert_int_equal(daemon_apply_request(f, SCALED(0), &like, &first), 0);
    assert_int_equal(daemon_apply_request(f, SCALED(0), &like, &second), 0);
    assert_int_equal(second->revision, first->revision);
    assert_int_equal(second->results.items[0].action, ACTION_CREATED);
    assert_true(id_equal(&second->results.items[0].id, &first->results.items[0].id));
    like.request_id = "r-2";
    assert_int_equal(daemon_apply_request(f, SCALED(0), &like, &second), -ERR_EXISTS);
}

static void references_lead_to_objects_or_to_words(void **state) {
    struct daemon_fixture *f = *state;
    struct object_list list;
    assert_int_equal(daemon_apply(f, SCALED(2), NULL), 0);
    daemon_wait_count(f, "web", TASK_RUNNING, 2);
    const struct service *service = daemon_service(f, "web");
    assert_int_equal(daemon_list(f, KIND_TASK, "web.2", &list), 0);
    assert_int_equal(list.count, 1);
    assert_int_equal(((struct task *)list.items[0])->slot, 2);
    const char *prefix = arena_strndup(&f->arena, service->meta.id.text, 12);
    assert_int_equal(daemon_list(f, KIND_SERVICE, prefix, &list), 0);
    assert_int_equal(daemon_list(f, KIND_SERVICE, "wob", &list), -ERR_NOT_FOUND);
    assert_string_equal(f->err.root, "service 'wob' not found");
    assert_int_equal(daemon_list(f, KIND_TASK, "web.9", &list), -ERR_NOT_FOUND);
    assert_int_equal(daemon_list(f, KIND_TASK, NULL, &list), 0);
    assert_int_equal(list.count, 2);
    struct list_request request;
    schema_init(&list_request_schema, &request);
    request.kind = KIND_REVISION;
    request.service = service->meta.id;
    assert_int_equal(client_list(f->client, &request, &f->arena, &list, &f->err), 0);
    assert_int_equal(list.count, 1);
}

// Specs of more than half a MiB: the revisions of the service fill many frames.
static void large_revisions_are_listed_all(void **state) {
    struct daemon_fixture *f = *state;
    struct object_list list;
    struct list_request request;
    static char value[60000];
    memset(value, 'x', sizeof value - 1);
    for (int i = 0; i < 8; i++) {
        AUTO_BUF yaml = {0};
        buf_addf(&yaml, SCALED(0) "environment:\n  N: '%d'\n", i);
        for (int j = 0; j < 12; j++) {
            buf_addf(&yaml, "  V%d: %s\n", j, value);
        }
        assert_int_equal(daemon_apply(f, buf_text(&yaml), NULL), 0);
    }
    schema_init(&list_request_schema, &request);
    request.kind = KIND_REVISION;
    request.service = daemon_service(f, "web")->meta.id;
    assert_int_equal(client_list(f->client, &request, &f->arena, &list, &f->err), 0);
    assert_int_equal(list.count, 8);
    for (size_t i = 0; i < 8; i++) {
        assert_int_equal(((struct revision *)list.items[i])->revision, i + 1);
    }
    request.service = id_random();
    assert_int_equal(client_list(f->client, &request, &f->arena, &list, &f->err), 0);
    assert_int_equal(list.count, 0);
}

// --- streams ---

struct seen {
    size_t snapshots, events, batches;
    int64_t revision;
    bool skipped, caught_up;
};

// Reads event batches until one of them says caught_up (or, `until_done`, until the end).
static struct seen read_events(struct daemon_fixture *f, struct client *client, bool until_done) {
    struct seen seen = {0};
    for (;;) {
        struct client_frame frame;
        struct event_batch batch;
        assert_int_equal(client_next(client, 60000, &frame, &f->err), 0);
        if (frame.number == MESSAGE_DONE || frame.number == MESSAGE_FAILURE) {
            assert_int_equal(frame.number, MESSAGE_DONE);
            assert_true(until_done);
            return seen;
        }
        assert_int_equal(wire_decode(&event_batch_schema, frame.body, &batch, &f->arena, &f->err), 0);
        for (size_t i = 0; i < batch.events.count; i++) {
            seen.snapshots += batch.events.items[i].snapshot;
            seen.events += !batch.events.items[i].snapshot;
        }
        seen.batches++;
        seen.skipped |= batch.skipped;
        seen.revision = batch.revision;
        seen.caught_up |= batch.caught_up;
        if (batch.caught_up && !until_done) {
            return seen;
        }
    }
}

static struct client *watch(struct daemon_fixture *f, int64_t from_revision, int64_t kinds) {
    struct client *client = daemon_connect(f);
    struct watch_request request;
    uint64_t conversation;
    schema_init(&watch_request_schema, &request);
    request.from_revision = from_revision;
    request.kinds = kinds;
    assert_int_equal(client_send(client, MESSAGE_WATCH, &request, &conversation, &f->err), 0);
    return client;
}

static void a_watch_is_a_snapshot_and_what_follows(void **state) {
    struct daemon_fixture *f = *state;
    assert_int_equal(daemon_apply(f, SCALED(0), NULL), 0);
    struct client *services = watch(f, 0, 1 << KIND_SERVICE);
    struct seen seen = read_events(f, services, false);
    assert_int_equal(seen.snapshots, 1);
    assert_int_equal(seen.revision, daemon_info(f)->revision);
    assert_int_equal(daemon_apply(f, SCALED(2), NULL), 0);
    assert_int_equal(daemon_remove(f, KIND_SERVICE, "web", NULL), 0);
    size_t events = 0;
    while (events < 3) { // scaled, removing, gone
        events += read_events(f, services, false).events;
    }
    assert_int_equal(events, 3);
    client_close(services);
}

static void a_watch_goes_on_where_it_was(void **state) {
    struct daemon_fixture *f = *state;
    int64_t revision = daemon_info(f)->revision;
    assert_int_equal(daemon_apply(f, SCALED(0), NULL), 0);
    struct client *again = watch(f, revision, 1 << KIND_SERVICE);
    struct seen seen = read_events(f, again, false);
    assert_int_equal(seen.snapshots, 0);
    assert_int_equal(seen.events, 1);
    client_close(again);
    struct client *ahead = watch(f, revision + 1000, 1 << KIND_SERVICE); // of a store that is gone, say
    seen = read_events(f, ahead, false);
    assert_true(seen.skipped);
    assert_int_equal(seen.snapshots, 1);
    client_close(ahead);
}

static void history_is_the_last_events_that_concern(void **state) {
    struct daemon_fixture *f = *state;
    static const struct {
        int64_t limit;
        bool of_service;
        size_t events;
    } rows[] = {{1, true, 1}, {3, true, 3}, {0, true, 8}, {100, true, 8}, {2, false, 2}};
    for (int i = 0; i < 4; i++) {
        assert_int_equal(
            daemon_apply(f, i % 2 == 0 ? SCALED(0) : WEB "deploy: {replicas: 0}\nstop_signal: HUP\n", NULL),
            0);
        assert_int_equal(daemon_apply(f, "kind: config\nname: c\ncontent: x\n", NULL), 0);
    }
    const struct service *service = daemon_service(f, "web");
    struct object_item id = {.object = {(const uint8_t *)service->meta.id.text, ID_LEN}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct history_request request;
        uint64_t conversation;
        schema_init(&history_request_schema, &request);
        request.limit = rows[i].limit;
        request.ids.count = rows[i].of_service ? 1 : 0;
        request.ids.items = &id;
        assert_int_equal(client_send(f->client, MESSAGE_HISTORY, &request, &conversation, &f->err), 0);
        assert_int_equal(read_events(f, f->client, true).events, rows[i].events);
    }
}

static void a_slow_reader_holds_up_nobody(void **state) {
    struct daemon_fixture *f = *state;
    struct client *slow = watch(f, 0, 0);
    read_events(f, slow, false); // it is there before the others: nothing of theirs is in its snapshot
    static char yaml[700 * 1024];
    struct object_list list;
    for (int i = 0; i < 40; i++) {
        size_t len = (size_t)snprintf(yaml, sizeof yaml, "kind: config\nname: c%d\ndata: ", i);
        memset(yaml + len, 'A', sizeof yaml - len);
        len = (len + 262144) & ~(size_t)3;
        size_t start = (size_t)(strstr(yaml, "data: ") + 6 - yaml);
        len = start + ((len - start) & ~(size_t)3);
        memcpy(yaml + len, "\n", 2);
        assert_int_equal(daemon_apply(f, yaml, NULL), 0);
    }
    // Far more than its link takes is under way to the slow one; others do not notice.
    assert_int_equal(daemon_list(f, KIND_SERVICE, NULL, &list), 0);
    assert_true(daemon_info(f)->resident_bytes < RESIDENT_BYTES_MAX);
    size_t events = 0;
    while (events < 40) {
        events += read_events(f, slow, false).events;
    }
    client_close(slow);
}

static void many_watchers_see_the_same(void **state) {
    struct daemon_fixture *f = *state;
    struct client *clients[50];
    for (size_t i = 0; i < 50; i++) {
        clients[i] = watch(f, 0, 1 << KIND_SERVICE);
        read_events(f, clients[i], false);
    }
    assert_int_equal(daemon_apply(f, SCALED(0), NULL), 0);
    for (size_t i = 0; i < 50; i++) {
        assert_int_equal(read_events(f, clients[i], false).events, 1);
        client_close(clients[i]);
    }
}

static void why_tells_what_would_have_to_change(void **state) {
    struct daemon_fixture *f = *state;
    struct why_request request = {.reference = "web"};
    void *payload;
    assert_int_equal(
        daemon_apply(f, WEB "deploy: {placement: {constraints: ['node.labels.disk == ssd']}}\n", NULL), 0);
    daemon_wait_count(f, "web", TASK_PENDING, 1);
    assert_int_equal(
        client_call(f->client, MESSAGE_WHY, &request, MESSAGE_WHY_REPLY, &f->arena, &payload, 60000, &f->err),
        0);
    const struct why_reply *reply = payload;
    assert_non_null(strstr(reply->verdict, "it waits for a node"));
    assert_int_equal(reply->nodes_left.count, 0);
    assert_true(reply->funnel.count > 0);
    assert_int_equal(reply->history.count, 1);
    assert_true(reply->would_run_if.count > 0);
    assert_non_null(strstr(reply->would_run_if.items[0].change, "the label disk="));
    // … and when it is changed, it runs.
    assert_int_equal(daemon_apply(f, "kind: node\nname: n1\nrole: manager\nlabels: {disk: ssd}\n", NULL), 0);
    daemon_wait_count(f, "web", TASK_RUNNING, 1);
    request.reference = "web.7";
    assert_int_equal(
        client_call(f->client, MESSAGE_WHY, &request, MESSAGE_WHY_REPLY, &f->arena, &payload, 60000, &f->err),
        -ERR_NOT_FOUND);
}

static void a_drained_node_gives_its_tasks_away(void **state) {
    struct daemon_fixture *f = *state;
    assert_int_equal(daemon_apply(f, SCALED(2), NULL), 0);
    daemon_wait_count(f, "web", TASK_RUNNING, 2);
    assert_int_equal(daemon_apply(f, "kind: node\nname: n1\nrole: manager\navailability: drain\n", NULL), 0);
    daemon_wait_count(f, "web", TASK_PENDING, 2);
    daemon_wait_count(f, "web", TASK_RUNNING, 0);
    assert_int_equal(daemon_apply(f, "kind: node\nname: n1\nrole: manager\n", NULL), 0);
    daemon_wait_count(f, "web", TASK_RUNNING, 2);
    assert_int_equal(daemon_apply(f, "kind: node\nname: n1\n", NULL), -ERR_GUARD);
    assert_int_equal(daemon_remove(f, KIND_NODE, "n1", NULL), -ERR_GUARD);
}

static void removed_and_created_again_at_once(void **state) {
    struct daemon_fixture *f = *state;
    assert_int_equal(daemon_apply(f, SCALED(2), NULL), 0);
    daemon_wait_count(f, "web", TASK_RUNNING, 2);
    struct id before = daemon_service(f, "web")->meta.id;
    assert_int_equal(daemon_remove(f, KIND_SERVICE, "web", NULL), 0);
    assert_int_equal(daemon_apply(f, SCALED(3), NULL), 0);
    daemon_wait_count(f, "web", TASK_RUNNING, 3);
    assert_false(id_equal(&daemon_service(f, "web")->meta.id, &before));
}

static bool is_alone(struct daemon_fixture *f, const void *context) {
    struct object_list list;
    (void)context;
    assert_int_equal(daemon_list(f, KIND_SERVICE, NULL, &list), 0);
    return list.count == 1;
}

static void what_was_acknowledged_survives_kill_9(void **state) {
    struct daemon_fixture *f = *state;
    for (int i = 0; i < 5; i++) {
        char yaml[128];
        snprintf(yaml, sizeof yaml, "kind: service\nname: s%d\nimage: busybox\ndeploy: {replicas: 3}\n", i);
        assert_int_equal(daemon_apply(f, yaml, NULL), 0);
        assert_int_equal(daemon_stop(f, SIGKILL), -SIGKILL);
        daemon_start(f);
        for (int j = 0; j <= i; j++) {
            snprintf(yaml, sizeof yaml, "s%d", j);
            assert_non_null(daemon_service(f, yaml));
        }
    }
    daemon_wait_count(f, "s4", TASK_RUNNING, 3);
    for (int i = 0; i < 4; i++) {
        char name[8];
        snprintf(name, sizeof name, "s%d", i);
        assert_int_equal(daemon_remove(f, KIND_SERVICE, name, NULL), 0);
    }
    daemon_wait(f, is_alone, NULL);
    assert_int_equal(daemon_stop(f, SIGTERM), 0);
    daemon_start(f);
    assert_true(is_alone(f, NULL));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(before_init_everything_says_how_to_begin),
        TEST(a_new_cluster_has_an_authority_and_its_manager_a_certificate),
        TEST(a_service_runs_scales_and_goes),
        TEST(the_same_file_again_writes_nothing),
        TEST(a_dry_run_says_what_would_be),
        TEST(a_request_sent_twice_is_done_once),
        TEST(references_lead_to_objects_or_to_words),
        TEST(large_revisions_are_listed_all),
        TEST(a_watch_is_a_snapshot_and_what_follows),
        TEST(a_watch_goes_on_where_it_was),
        TEST(history_is_the_last_events_that_concern),
        TEST(a_slow_reader_holds_up_nobody),
        TEST(many_watchers_see_the_same),
        TEST(why_tells_what_would_have_to_change),
        TEST(a_drained_node_gives_its_tasks_away),
        TEST(removed_and_created_again_at_once),
        TEST(what_was_acknowledged_survives_kill_9),
    };
    return cmocka_run_group_tests_name(__FILE__, tests, NULL, NULL);
}
