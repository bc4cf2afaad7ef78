// SPDX-License-Identifier: Apache-2.0
//
// test/unit/test_specs_compose.c — Compose files as stacks: names, labels, references, variables, profiles,
// what is ignored.
#include "specs/manifest.h"

#include <string.h>

#include "specs/resource.h"
#include "specs/service.h"
#include "test/lib/check.h"

struct result {
    struct arena arena;
    struct declarations out;
    struct diagnostics found;
    int rc;
};

static struct pair variable_items[] = {{"EVIL", "x: [y"}, {"TAG", "7"}};
static const struct pairs variables = {2, variable_items};

static struct result parse_with(const char *text, struct manifest_options options) {
    struct result r = {0};
    options.variables = &variables;
    r.rc = manifest_parse("/srv/My.Shop/stack.yaml", text, strlen(text), &options, &r.arena, &r.out, &r.found,
                          NULL);
    return r;
}

static struct result parse(const char *text) {
    return parse_with(text, (struct manifest_options){0});
}

static const void *find(const struct result *r, enum object_kind kind, const char *name) {
    for (size_t i = 0; i < r->out.count; i++) {
        if (r->out.items[i].kind == kind && strcmp(r->out.items[i].name, name) == 0) {
            return r->out.items[i].spec;
        }
    }
    return NULL;
}

static const char warnings_text[] = "services:\n  a:\n    image: redis\n    container_name: x\n    "
                                    "privileged: true\n    restart: 'no'\n    x-mine: {a: b}\n"
                                    "    devices: [/dev/null]\nx-top: 1\n";

static void a_stack_scopes_its_names(void **state) {
    (void)state;
    struct result r =
        parse("name: shop\nversion: '3.8'\nservices:\n  web:\n    image: redis\n    depends_on: [db]\n    "
              "networks: {front: {aliases: [w]}}\n"
              "    volumes: [data:/a, shared:/b, own:/c]\n    secrets: [pw]\n    configs: [{source: cfg}]\n  "
              "db: {image: redis}\n"
              "volumes: {data: , shared: {external: true}, own: {name: by-hand}}\nnetworks: {front: {}}\n"
              "secrets: {pw: {external: true, name: pw_v2}}\nconfigs: {cfg: {content: hello}}\n");
    assert_int_equal(r.rc, 0);
    const struct service_spec *web = find(&r, KIND_SERVICE, "shop_web");
    assert_non_null(web);
    assert_non_null(find(&r, KIND_SERVICE, "shop_db"));
    assert_string_equal(web->depends_on.items[0].name, "shop_db");
    assert_string_equal(web->networks.items[0].name, "shop_front");
    assert_string_equal(web->secrets.items[0].source, "pw_v2");
    assert_string_equal(web->secrets.items[0].target, "pw"); // the file keeps the name that the author knows
    assert_string_equal(web->configs.items[0].source, "shop_cfg");
    assert_string_equal(web->configs.items[0].target, "/cfg");
    assert_string_equal(pairs_get(&web->labels, "com.docker.stack.namespace"), "shop");
    assert_string_equal(pairs_get(&web->deploy.labels, "com.docker.stack.namespace"), "shop");
    assert_string_equal(pairs_get(&web->deploy.labels, "com.docker.stack.image"), "redis");
    static const char *const sources[] = {"by-hand", "shared", "shop_data"};
    for (size_t i = 0; i < 3; i++) {
        assert_string_equal(web->volumes.items[i].source, sources[i]);
    }
    assert_non_null(find(&r, KIND_VOLUME, "shop_data"));
    assert_non_null(find(&r, KIND_VOLUME, "by-hand"));
    assert_null(find(&r, KIND_VOLUME, "shared")); // external: exists already
    assert_null(find(&r, KIND_SECRET, "pw_v2"));
    const struct config_spec *config = find(&r, KIND_CONFIG, "shop_cfg");
    assert_int_equal(config->data.len, 5);
    assert_string_equal(r.out.items[0].stack, "shop");
    arena_free(&r.arena);
}

static void the_name_of_a_stack_has_an_order(void **state) {
    (void)state;
    static const char text[] = "name: own\nservices: {a: {image: redis}}\n";
    struct result r = parse_with(text, (struct manifest_options){.stack_name = "given"});
    assert_string_equal(r.out.items[0].name, "given_a");
    arena_free(&r.arena);
    r = parse(text);
    assert_string_equal(r.out.items[0].name, "own_a");
    arena_free(&r.arena);
    r = parse("services: {a: {image: redis}}\n");
    assert_string_equal(r.out.items[0].name, "myshop_a"); // the directory's, as Compose writes it
    arena_free(&r.arena);
}

static void variables_are_filled_into_values_only(void **state) {
    (void)state;
    struct result r = parse("name: s\nservices:\n  a:\n    image: redis:$TAG\n    environment: {E: $EVIL, D: "
                            "'${NONE:-d}', P: $$TAG}\n    deploy: {replicas: '${N:-3}'}\n"
                            "---\nkind: service\nname: typed\nimage: redis\nenvironment: {P: $TAG}\n");
    assert_int_equal(r.rc, 0);
    const struct service_spec *spec = find(&r, KIND_SERVICE, "s_a");
    assert_string_equal(spec->image, "redis:7");
    assert_string_equal(pairs_get(&spec->environment, "E"), "x: [y");
    assert_string_equal(pairs_get(&spec->environment, "D"), "d");
    assert_string_equal(pairs_get(&spec->environment, "P"), "$TAG");
    assert_int_equal(spec->deploy.replicas, 3);
    spec = find(&r, KIND_SERVICE, "typed");
    assert_string_equal(pairs_get(&spec->environment, "P"), "$TAG"); // typed documents are taken as they are
    arena_free(&r.arena);
}

static void an_unset_variable_is_a_warning(void **state) {
    (void)state;
    struct result r = parse("services: {a: {image: 'redis$NONE'}}\n");
    assert_int_equal(r.rc, 0);
    assert_int_equal(r.found.warning_count, 1);
    assert_string_equal(r.found.items[0].code, "W0603");
    arena_free(&r.arena);
}

static void profiles_choose_services(void **state) {
    (void)state;
    static const char text[] = "name: s\nservices:\n  a: {image: redis}\n  b: {image: redis, profiles: "
                               "[debug]}\n  c: {image: redis, profiles: [x, all]}\n";
    struct result r = parse(text);
    assert_int_equal(r.out.count, 1);
    arena_free(&r.arena);
    const char *debug[] = {"debug"};
    const struct strings one = {1, debug};
    r = parse_with(text, (struct manifest_options){.profiles = &one});
    assert_int_equal(r.out.count, 2);
    arena_free(&r.arena);
    const char *star[] = {"*"};
    const struct strings all = {1, star};
    r = parse_with(text, (struct manifest_options){.profiles = &all});
    assert_int_equal(r.out.count, 3);
    arena_free(&r.arena);
}

static void what_is_ignored_is_said_with_its_place(void **state) {
    (void)state;
    struct result r = parse(warnings_text);
    assert_int_equal(r.rc, 0);
    assert_int_equal(r.found.warning_count, 3);
    static const int64_t lines[] = {4, 5, 8};
    for (size_t i = 0; i < 3; i++) {
        assert_string_equal(r.found.items[i].code, "W0602");
        assert_int_equal(r.found.items[i].at.line, lines[i]);
        assert_int_equal(r.found.items[i].at.column, 5);
        assert_true(r.found.items[i].hint[0] != '\0');
    }
    arena_free(&r.arena);
}

static void restart_stands_in_for_a_policy(void **state) {
    (void)state;
    static const struct {
        const char *word;
        enum restart_condition condition;
        int64_t attempts;
    } cases[] = {{"'no'", RESTART_NONE, 0},
                 {"no", RESTART_NONE, 0},
                 {"always", RESTART_ANY, 0},
                 {"unless-stopped", RESTART_ANY, 0},
                 {"on-failure", RESTART_ON_FAILURE, 0},
                 {"on-failure:3", RESTART_ON_FAILURE, 3}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        AUTO_BUF text = buf_make(0);
        buf_addf(&text, "services: {a: {image: redis, restart: %s}}\n", cases[i].word);
        struct result r = parse(buf_text(&text));
        assert_int_equal(r.rc, 0);
        const struct restart_policy *policy =
            &((const struct service_spec *)r.out.items[0].spec)->deploy.restart_policy;
        assert_int_equal(policy->condition, cases[i].condition);
        assert_int_equal(policy->max_attempts, cases[i].attempts);
        arena_free(&r.arena);
    }
    struct result r =
        parse("services: {a: {image: redis, restart: 'no', deploy: {restart_policy: {condition: any}}}}\n");
    assert_int_equal(((const struct service_spec *)r.out.items[0].spec)->deploy.restart_policy.condition,
                     RESTART_ANY);
    arena_free(&r.arena);
}

static void compose_shapes_are_understood(void **state) {
    (void)state;
    struct result r = parse("services:\n  a:\n    image: redis\n    healthcheck: {test: redis-cli ping}\n    "
                            "extra_hosts: {db: 10.0.0.1}\n    ports: ['8000-8002:9000-9002', '70-71']\n"
                            "    deploy: {resources: {reservations: {generic_resources: "
                            "[{discrete_resource_spec: {kind: SSD, value: 2}}]}}}\n"
                            "    volumes: [{type: bind, source: ../d, target: /d, bind: {recursive: "
                            "disabled}}]\n    ulimits: {nproc: 5, nofile: {soft: 1, hard: 2}}\n"
                            "    sysctls: [net.core.somaxconn=1]\n    tmpfs: /run\n    dns: 10.0.0.2\n");
    assert_int_equal(r.rc, 0);
    const struct service_spec *spec = r.out.items[0].spec;
    assert_string_equal(spec->healthcheck->test.items[0], "CMD-SHELL");
    assert_string_equal(spec->healthcheck->test.items[1], "redis-cli ping");
    assert_string_equal(spec->extra_hosts.items[0], "db:10.0.0.1");
    assert_int_equal(spec->ports.count, 5);
    assert_int_equal(spec->ports.items[2].published, 8002);
    assert_int_equal(spec->ports.items[2].target, 9002);
    assert_int_equal(spec->ports.items[4].target, 71);
    assert_int_equal(spec->ports.items[4].published, 0);
    assert_string_equal(spec->deploy.resources.reservations.generic_resources.items[0].kind, "SSD");
    assert_true(spec->volumes.items[0].bind.recursive_off);
    assert_string_equal(spec->volumes.items[0].source, "/srv/d");
    assert_int_equal(spec->ulimits.items[0].hard, 2); // sorted by name
    assert_string_equal(pairs_get(&spec->sysctls, "net.core.somaxconn"), "1");
    assert_string_equal(spec->tmpfs.items[0], "/run");
    arena_free(&r.arena);
}

static void services_that_wait_for_each_other_are_refused(void **state) {
    (void)state;
    static const struct {
        const char *text, *message;
        int64_t line;
    } rows[] = {
        {"services:\n  a: {image: x, depends_on: [a]}\n", "'depends_on' does not take the service itself", 2},
        {"services:\n  a: {image: x, depends_on: [b]}\n  b: {image: x, depends_on: [c]}\n  c:\n    image: x\n"
         "    depends_on: {a: {condition: service_healthy}}\n",
         "services that wait for each other would never start: a → b → c → a", 6},
        {"services:\n  a: {image: x, depends_on: {b: {condition: healthy}}}\n  b: {image: x}\n",
         "'healthy' is not one of service_started, service_healthy, service_completed_successfully", 2},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct result r = parse(rows[i].text);
        assert_int_equal(r.rc, 1);
        assert_non_null(strstr(r.found.items[0].text, rows[i].message));
        assert_int_equal(r.found.items[0].at.line, rows[i].line);
        arena_free(&r.arena);
    }
    struct result good = parse("services:\n  a: {image: x, depends_on: [b, c]}\n  b: {image: x, depends_on: [c]}\n"
                               "  c: {image: x}\n");
    assert_int_equal(good.rc, 0);
    arena_free(&good.arena);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_stack_scopes_its_names),
    cmocka_unit_test(the_name_of_a_stack_has_an_order),
    cmocka_unit_test(variables_are_filled_into_values_only),
    cmocka_unit_test(an_unset_variable_is_a_warning),
    cmocka_unit_test(profiles_choose_services),
    cmocka_unit_test(what_is_ignored_is_said_with_its_place),
    cmocka_unit_test(restart_stands_in_for_a_policy),
    cmocka_unit_test(services_that_wait_for_each_other_are_refused),
    cmocka_unit_test(compose_shapes_are_understood),
};
CHECK_MAIN(tests)
