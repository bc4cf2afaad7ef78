// SPDX-License-Identifier: Apache-2.0
//
// test/unit/test_specs_service.c — short forms both ways, and what a change of each field does to running tasks.
//
// The rules (Swarm's refusals) are tested through text, in test/golden/manifest/malformed.txt.
#include "specs/service.h"

#include <string.h>

#include "specs/manifest.h"
#include "specs/signal_name.h"
#include "test/lib/check.h"

static void short_forms_print_and_read_back(void **state) {
    (void)state;
    static const struct {
        const struct schema *schema;
        const char *text, *wanted;
    } cases[] = {
        {&port_schema, "80", "80"},
        {&port_schema, "8080:80", "8080:80"},
        {&port_schema, "8080:80/tcp", "8080:80"},
        {&port_schema, "53:53/udp", "53:53/udp"},
        {&port_schema, "127.0.0.1:8080:80", NULL}, // more than the short form of ours says
        {&mount_schema, "/data", "/data"},
        {&mount_schema, "data:/data", "data:/data"},
        {&mount_schema, "data:/data:ro", "data:/data:ro"},
        {&mount_schema, "/srv:/data:rw", "/srv:/data"},
        {&file_reference_schema, "pw", "pw"},
    };
    AUTO_ARENA arena = {0};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct schema *schema = cases[i].schema;
        void *first = arena_alloc(&arena, schema->bytes);
        void *second = arena_alloc(&arena, schema->bytes);
        schema_init(schema, first);
        schema_init(schema, second);
        assert_int_equal(schema->from_short(cases[i].text, first, &arena, NULL), 0);
        AUTO_BUF out = buf_make(0);
        assert_int_equal(schema->to_short(first, &out), cases[i].wanted != NULL);
        if (cases[i].wanted != NULL) {
            assert_string_equal(buf_text(&out), cases[i].wanted);
            assert_int_equal(schema->from_short(buf_text(&out), second, &arena, NULL), 0);
            assert_true(schema_equal(schema, first, second));
        }
    }
}

static const struct service_spec *parse(const char *fields, struct arena *arena) {
    AUTO_BUF text = buf_make(0);
    buf_addf(&text, "kind: service\nname: web\nimage: redis\n%s\n", fields);
    struct declarations out;
    struct diagnostics found;
    if (manifest_parse("t", buf_text(&text), text.len, NULL, arena, &out, &found, NULL) != 0) {
        fail_msg("%s: %s", fields, found.items[0].text);
    }
    return out.items[0].spec;
}

static void each_change_has_its_consequence(void **state) {
    (void)state;
    static const struct {
        const char *before, *after;
        enum consequence wanted;
    } cases[] = {
        {"", "", CONSEQUENCE_NOTHING},
        {"deploy: {replicas: 1}", "deploy: {replicas: 9}", CONSEQUENCE_NOTHING},
        {"", "deploy: {labels: {a: b}}", CONSEQUENCE_NOTHING},
        {"", "deploy: {restart_policy: {delay: 1s}}", CONSEQUENCE_NOTHING},
        {"", "deploy: {update_config: {parallelism: 2}}", CONSEQUENCE_NOTHING},
        {"", "depends_on: [db]", CONSEQUENCE_NOTHING},
        {"", "environment: {A: b}", CONSEQUENCE_RESTART},
        {"environment: {A: b}", "environment: {A: c}", CONSEQUENCE_RESTART},
        {"", "labels: {a: b}", CONSEQUENCE_RESTART},
        {"", "command: [x]", CONSEQUENCE_RESTART},
        {"", "healthcheck: {test: x}", CONSEQUENCE_RESTART},
        {"", "logging: {options: {max-file: '2'}}", CONSEQUENCE_RESTART},
        {"", "volumes: [/a]", CONSEQUENCE_RESTART},
        {"", "ports: [80]", CONSEQUENCE_RESTART},
        {"", "stop_grace_period: 1s", CONSEQUENCE_RESTART},
        {"", "deploy: {resources: {limits: {memory: 64M}}}", CONSEQUENCE_RESTART},
        {"", "deploy: {resources: {reservations: {memory: 64M}}}", CONSEQUENCE_RESTART},
        {"", "deploy: {placement: {constraints: [node.role == worker]}}", CONSEQUENCE_MOVE},
        {"", "deploy: {placement: {preferences: [{spread: node.labels.a}]}}", CONSEQUENCE_NOTHING},
        {"", "deploy: {placement: {max_replicas_per_node: 2}}", CONSEQUENCE_NOTHING}, // for the next task
        {"cap_add: [KILL, CHOWN]", "cap_add: [CHOWN, KILL]", CONSEQUENCE_NOTHING}, // order has no meaning
        {"command: [a, b]", "command: [b, a]", CONSEQUENCE_RESTART},
    };
    AUTO_ARENA arena = {0};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct service_spec *before = parse(cases[i].before, &arena);
        const struct service_spec *after = parse(cases[i].after, &arena);
        if (service_spec_consequence(before, after, &arena) != cases[i].wanted) {
            fail_msg("'%s' to '%s' is not %s", cases[i].before, cases[i].after,
                     consequence_names[cases[i].wanted]);
        }
    }
}

static void defaults_are_swarms(void **state) {
    (void)state;
    struct service_spec spec;
    schema_init(&service_spec_schema, &spec);
    assert_int_equal(spec.deploy.replicas, 1);
    assert_int_equal(spec.deploy.update_config.parallelism, 1);
    assert_int_equal(spec.deploy.update_config.monitor_ns, 5000000000);
    assert_int_equal(spec.deploy.update_config.failure_action, FAILURE_PAUSE);
    assert_int_equal(spec.deploy.update_config.order, ORDER_STOP_FIRST);
    assert_int_equal(spec.deploy.restart_policy.condition, RESTART_ANY);
    assert_int_equal(spec.deploy.restart_policy.delay_ns, 5000000000);
    assert_int_equal(spec.deploy.restart_policy.max_attempts, 0);
    assert_true(spec.deploy.restart_policy.backoff.factor > 0.99 &&
                spec.deploy.restart_policy.backoff.factor < 1.01);
    assert_int_equal(spec.stop_grace_period_ns, 10000000000);
    assert_int_equal(spec.deploy.endpoint_mode, ENDPOINT_VIP);
    assert_null(spec.healthcheck);
}

static void signals_and_capabilities_have_names(void **state) {
    (void)state;
    int number = 0;
    assert_true(signal_parse("SIGTERM", &number) && number == 15);
    assert_true(signal_parse("term", &number) && number == 15);
    assert_true(signal_parse("9", &number) && number == 9);
    assert_false(signal_parse("0", &number));
    assert_false(signal_parse("65", &number));
    assert_false(signal_parse("SIG", &number));
    assert_false(signal_parse("", &number));
    for (int i = 0; i < CAPABILITY_COUNT; i++) {
        assert_true(capability_parse(capability_name(i), &number) && number == i);
        assert_true(capability_parse(capability_name(i) + strlen("CAP_"), &number) && number == i);
    }
    assert_false(capability_parse("CAP_FLY", &number));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(short_forms_print_and_read_back),
    cmocka_unit_test(each_change_has_its_consequence),
    cmocka_unit_test(defaults_are_swarms),
    cmocka_unit_test(signals_and_capabilities_have_names),
};
CHECK_MAIN(tests)
