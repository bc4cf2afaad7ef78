// SPDX-License-Identifier: Apache-2.0
//
// test/unit/test_specs_constraint.c — Swarm's placement language against a node.
#include "specs/constraint.h"

#include <string.h>

#include "test/lib/check.h"

static struct pair node_labels[] = {{"disk", "ssd"}, {"rack.row", "r1"}};
static struct pair engine_labels[] = {{"os", "debian"}};

static struct node a_node(void) {
    struct node node = {
        .meta = {.id = {"abcdefghijklmnopqrstuvwxy"}},
        .spec = {.name = "w1", .role = ROLE_MANAGER, .labels = {2, node_labels}},
        .description = {.hostname = "w1", .os = "linux", .arch = "x86_64", .labels = {1, engine_labels}},
        .status = {.address = "10.1.2.3"},
    };
    return node;
}

static void expressions_match_nodes(void **state) {
    (void)state;
    static const struct {
        const char *text;
        bool wanted;
    } cases[] = {
        {"node.hostname == w1", true},
        {"node.hostname==W1", true},
        {"node.hostname != w1", false},
        {"  node.role  ==  manager ", true},
        {"node.role == worker", false},
        {"node.role != worker", true},
        {"node.id == abcdefghijklmnopqrstuvwxy", true},
        {"node.platform.os == linux", true},
        {"node.platform.arch == amd64", true},
        {"node.platform.arch == x86_64", true},
        {"node.platform.arch != amd64", false},
        {"node.platform.arch == arm64", false},
        {"node.labels.disk == ssd", true},
        {"node.labels.disk == SSD", true},
        {"node.labels.disk != hdd", true},
        {"node.labels.none == x", false},
        {"node.labels.none != x", true}, // a missing label is not x
        {"node.labels.rack.row == r1", true},
        {"node.labels.Disk == ssd", false}, // keys of labels have case
        {"engine.labels.os == debian", true},
        {"node.ip == 10.1.2.3", true},
        {"node.ip == 10.1.2.0/24", true},
        {"node.ip != 10.1.2.0/24", false},
        {"node.ip == 10.1.3.0/24", false},
        {"node.ip == 10.1.2.2/31", true},
        {"node.ip == 0.0.0.0/0", true},
        {"node.ip == fd00::/8", false},
        {"node.ip == 10.1.2.3/33", false},
        {"node.ip == nonsense", false},
    };
    AUTO_ARENA arena = {0};
    struct node node = a_node();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct constraint constraint;
        assert_int_equal(constraint_parse(cases[i].text, &arena, &constraint, NULL), 0);
        if (constraint_matches(&constraint, &node) != cases[i].wanted) {
            fail_msg("%s", cases[i].text);
        }
    }
}

static void an_unknown_key_never_matches(void **state) {
    (void)state;
    struct node node = a_node();
    assert_false(constraint_matches(&(struct constraint){"node.rol", false, "manager"}, &node));
    assert_false(constraint_matches(&(struct constraint){"node.rol", true, "manager"}, &node));
    assert_string_equal(constraint_value("node.rol", &node), "");
    assert_string_equal(constraint_value("node.labels.none", &node), "");
}

static void machines_have_several_names(void **state) {
    (void)state;
    static const struct {
        const char *a, *b;
        bool wanted;
    } cases[] = {
        {"amd64", "x86_64", true},     {"x86-64", "AMD64", true},   {"arm64", "aarch64", true},
        {"arm64/v8", "aarch64", true}, {"arm/v7", "armv7l", true},  {"arm", "armv7l", true},
        {"armv6l", "arm", true},       {"arm", "aarch64", false},   {"arm/v7", "armv6l", false},
        {"386", "i686", true},         {"386", "x86_64", false},    {"ppc64le", "ppc64le", true},
        {"riscv64", "riscv64", true},  {"riscv64", "s390x", false}, {"", "", true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (constraint_arch_equal(cases[i].a, cases[i].b) != cases[i].wanted ||
            constraint_arch_equal(cases[i].b, cases[i].a) != cases[i].wanted) {
            fail_msg("%s, %s", cases[i].a, cases[i].b);
        }
    }
}

static void ipv6_addresses_match(void **state) {
    (void)state;
    struct node node = a_node();
    node.status.address = "fd00::1";
    assert_true(constraint_matches(&(struct constraint){"node.ip", false, "fd00::/8"}, &node));
    assert_true(constraint_matches(&(struct constraint){"node.ip", false, "fd00:0::1"}, &node));
    assert_false(constraint_matches(&(struct constraint){"node.ip", false, "fe80::/10"}, &node));
}

static void bad_expressions_are_explained(void **state) {
    (void)state;
    static const struct {
        const char *text, *reason;
    } cases[] = {
        {"node.role manager",
         "'node.role manager' has neither == nor !=; write it like node.labels.disk == ssd"},
        {"node.role = manager", "'node.role = manager' has a single '='; write =="},
        {"node.role == ", "nothing stands after the operator in 'node.role == '"},
        {"== x", "nothing stands before the operator; write node.labels.disk == ssd"},
        {"node.rol == x", "'node.rol' is not known of nodes; did you mean 'node.role'?"},
        {"node.labels. == x", "'node.labels.' names no label; write node.labels.disk"},
        {"node.role == a != b",
         "'node.role == a != b' holds more than one comparison; give each its own line"},
    };
    AUTO_ARENA arena = {0};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct constraint constraint;
        struct error err = {0};
        assert_int_equal(constraint_parse(cases[i].text, &arena, &constraint, &err), -ERR_INVALID);
        assert_string_equal(err.root, cases[i].reason);
    }
}

static void machines_have_two_names(void **state) {
    (void)state;
    assert_true(constraint_arch_equal("amd64", "x86_64"));
    assert_true(constraint_arch_equal("aarch64", "ARM64"));
    assert_true(constraint_arch_equal("riscv64", "riscv64"));
    assert_false(constraint_arch_equal("amd64", "arm64"));
    assert_false(constraint_arch_equal("riscv64", "amd64"));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(expressions_match_nodes), cmocka_unit_test(an_unknown_key_never_matches),
    cmocka_unit_test(machines_have_several_names),
    cmocka_unit_test(ipv6_addresses_match),    cmocka_unit_test(bad_expressions_are_explained),
    cmocka_unit_test(machines_have_two_names),
};
CHECK_MAIN(tests)
