// SPDX-License-Identifier: Apache-2.0
//
// test/unit/test_cli_inspect.c — pages, JSON and templates of made-up objects.
#include "test/lib/check.h"
#include "test/lib/golden.h"

#include <string.h>

#include "base/str.h"
#include "cli/inspect.h"
#include "cli/task_list.h"
#include "specs/manifest.h"

static const char full_service[] =
    "kind: service\n"
    "name: web\n"
    "image: nginx:1.25\n"
    "entrypoint: [sh, -c]\n"
    "command: [nginx, -g, daemon off;]\n"
    "environment: {MODE: fast, EMPTY: ''}\n"
    "working_dir: /srv\n"
    "user: '1000:100'\n"
    "hostname: box\n"
    "init: true\n"
    "stop_signal: SIGQUIT\n"
    "stop_grace_period: 30s\n"
    "cap_add: [NET_ADMIN]\n"
    "cap_drop: [ALL]\n"
    "labels: {tier: front}\n"
    "sysctls: {net.core.somaxconn: 1024}\n"
    "ulimits: {nofile: {soft: 1024, hard: 2048}}\n"
    "networks: [front, back]\n"
    "dns: [1.1.1.1]\n"
    "extra_hosts: [db:10.0.0.1]\n"
    "ports: ['8080:80', {target: 53, published: 53, protocol: udp, mode: host}]\n"
    "volumes: ['data:/data', {type: bind, source: /srv, target: /srv, read_only: true}]\n"
    "secrets: [{source: cert, target: /etc/cert}]\n"
    "configs: [site]\n"
    "healthcheck: {test: curl -f localhost, interval: 10s, start_period: 5s}\n"
    "logging: {driver: local, options: {max-size: 1m}}\n"
    "deploy:\n"
    "  replicas: 3\n"
    "  labels: {owner: ops}\n"
    "  update_config: {parallelism: 2, delay: 10s, failure_action: rollback, max_failure_ratio: 0.25, order: "
    "start-first}\n"
    "  restart_policy: {condition: on-failure, delay: 1s, max_attempts: 3, window: 1h}\n"
    "  resources:\n"
    "    limits: {cpus: 0.5, memory: 64M, pids: 100}\n"
    "    reservations: {cpus: 0.25, memory: 32M, generic_resources: [{kind: gpu, value: 2}]}\n"
    "  placement: {constraints: ['node.role == worker'], preferences: [{spread: node.labels.rack}], "
    "max_replicas_per_node: 2}\n";

static void make_service(struct service *service, const char *text, struct arena *arena) {
    struct declarations declarations = {0};
    struct diagnostics diagnostics = {0};
    struct manifest_options options = {0};
    struct error err = {0};
    int rc =
        manifest_parse("test.yaml", text, strlen(text), &options, arena, &declarations, &diagnostics, &err);
    for (size_t i = 0; rc != 0 && i < diagnostics.count; i++) {
        if (!diagnostics.items[i].is_warning) {
            fail_msg("%s: %s", diagnostics.items[i].path, diagnostics.items[i].text);
        }
    }
    assert_int_equal(rc, 0);
    schema_init(&service_schema, service);
    service->spec = *(const struct service_spec *)declarations.items[0].spec;
    assert_true(id_parse("s111111111111111111111111", &service->meta.id));
    service->meta.name = service->spec.name;
    service->meta.owner = "file:shop";
    service->revision = 4;
}

static void the_page_of_a_service_says_all_that_is_declared(void **state) {
    (void)state;
    AUTO_ARENA arena = {0};
    AUTO_BUF page = {0};
    struct service service;
    make_service(&service, full_service, &arena);
    service.update_status.state = UPDATE_PAUSED;
    service.update_status.started_unix_ms = 1700000000000;
    service.update_status.message = "update paused due to failure\x1b[31m";
    inspect_service_page(&service, &page);
    buf_adds(&page, "====\n");
    make_service(&service, "kind: service\nname: small\nimage: busybox\ndeploy: {mode: global}\n", &arena);
    service.meta.owner = "";
    inspect_service_page(&service, &page);
    golden_check("test/golden/cli/inspect_service.txt", buf_text(&page));
}

static void make_node(struct node *node, struct arena *arena) {
    schema_init(&node_schema, node);
    assert_true(id_parse("n111111111111111111111111", &node->meta.id));
    node->meta.created_unix_ms = 1700000000000;
    node->spec.name = "alpha";
    node->spec.availability = AVAILABILITY_DRAIN;
    node->spec.labels = pairs_set(arena, &node->spec.labels, "disk", "ssd");
    node->status.state = NODE_READY;
    node->status.address = "192.0.2.1";
    node->description.hostname = "alpha.example";
    node->description.os = "linux";
    node->description.arch = "x86_64";
    node->description.cpus_nano = 4000000000;
    node->description.memory_bytes = 8LL * 1024 * 1024 * 1024;
    node->description.version = "0.1.0";
    node->description.runtime_version = "runc 1.1.5";
    node->description.cgroup_mode = "v2";
}

static void the_page_of_a_node_says_what_it_is(void **state) {
    (void)state;
    AUTO_ARENA arena = {0};
    AUTO_BUF page = {0};
    struct node node;
    struct node_manager manager = {.leader = true, .reachable = true, .address = "192.0.2.1:2377"};
    make_node(&node, &arena);
    inspect_node_page(&node, &page);
    buf_adds(&page, "====\n");
    node.manager = &manager;
    inspect_node_page(&node, &page);
    golden_check("test/golden/cli/inspect_node.txt", buf_text(&page));
}

static void json_is_an_array_and_templates_go_over_each(void **state) {
    (void)state;
    AUTO_ARENA arena = {0};
    struct node nodes[2];
    struct object_list list = {0};
    for (int i = 0; i < 2; i++) {
        make_node(&nodes[i], &arena);
        *ARENA_PUSH(&arena, &list) = &nodes[i];
    }
    nodes[1].spec.name = "beta";
    struct {
        struct inspect_args args;
        const char *expected;
    } cases[] = {{{.format = "{{.spec.name}}: {{.spec.availability}}"}, "alpha: drain\nbeta: drain\n"},
                 {{.format = "{{json .spec.labels}}"}, "{\"disk\":\"ssd\"}\n{\"disk\":\"ssd\"}\n"}};
    for (size_t i = 0; i < 2; i++) {
        AUTO_BUF out = {0};
        assert_int_equal(inspect_render(KIND_NODE, &list, &cases[i].args, inspect_node_page, &out, NULL), 0);
        assert_string_equal(buf_text(&out), cases[i].expected);
    }
    AUTO_BUF out = {0};
    const struct inspect_args none = {0}, lines = {.format = "json"}, both = {.format = "x", .pretty = true};
    assert_int_equal(inspect_render(KIND_NODE, &list, &none, inspect_node_page, &out, NULL), 0);
    assert_true(str_starts(buf_text(&out), "[\n{\n") && str_ends(buf_text(&out), "\n}\n]\n"));
    assert_non_null(strstr(buf_text(&out), "\n},\n{\n"));
    buf_clear(&out);
    assert_int_equal(inspect_render(KIND_NODE, &list, &lines, inspect_node_page, &out, NULL), 0);
    assert_int_equal(inspect_render(KIND_NODE, &list, &both, inspect_node_page, &out, NULL), -ERR_USAGE);
    buf_clear(&out);
    list.count = 0;
    assert_int_equal(inspect_render(KIND_NODE, &list, &none, inspect_node_page, &out, NULL), 0);
    assert_string_equal(buf_text(&out), "[]\n");
}

static void ids_take_the_place_of_names(void **state) {
    (void)state;
    AUTO_ARENA arena = {0};
    struct task task;
    schema_init(&task_schema, &task);
    task.slot = 3;
    assert_true(id_parse("s111111111111111111111111", &task.service_id));
    assert_true(id_parse("n111111111111111111111111", &task.node_id));
    struct task_row row = {.task = &task, .service_name = "web", .name = "web.3", .node_name = "alpha"};
    const void *items[] = {&row};
    struct rows rows = {1, items};
    task_list_unresolve(&rows, &arena);
    const struct task_row *changed = rows.items[0];
    assert_string_equal(changed->name, "s111111111111111111111111.3");
    assert_string_equal(changed->node_name, task.node_id.text);
    assert_string_equal(row.name, "web.3");
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(the_page_of_a_service_says_all_that_is_declared),
    cmocka_unit_test(the_page_of_a_node_says_what_it_is),
    cmocka_unit_test(json_is_an_array_and_templates_go_over_each),
    cmocka_unit_test(ids_take_the_place_of_names),
};
CHECK_MAIN(tests)
