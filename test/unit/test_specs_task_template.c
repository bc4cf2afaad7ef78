// SPDX-License-Identifier: Apache-2.0
//
// test/unit/test_specs_task_template.c — placeholders in specs: which there are, what they become, what is
// refused.
#include "specs/task_template.h"

#include <string.h>

#include "test/lib/check.h"

static struct assignment assignment_of(int64_t slot, struct pairs labels) {
    struct assignment assignment;
    schema_init(&assignment_schema, &assignment);
    memset(assignment.task.meta.id.text, 't', ID_LEN);
    memset(assignment.task.service_id.text, 's', ID_LEN);
    memset(assignment.task.node_id.text, 'n', ID_LEN);
    assignment.task.slot = slot;
    assignment.service_name = "web";
    assignment.node_hostname = "w1";
    assignment.spec.deploy.labels = labels;
    return assignment;
}

static const struct task_template_node node = {"x86_64", "linux"};

static const char *filled(const char *text, int64_t slot, struct arena *arena) {
    static struct pair label = {"tier", "front"};
    struct assignment assignment = assignment_of(slot, (struct pairs){1, &label});
    struct error err = {0};
    assignment.spec.hostname = text;
    int rc = task_template_fill(&assignment, &node, arena, &err);
    return rc == 0 ? assignment.spec.hostname : arena_strdup(arena, err.root);
}

#define T "ttttttttttttttttttttttttt"
#define N "nnnnnnnnnnnnnnnnnnnnnnnnn"

static void each_word_becomes_what_it_says(void **state) {
    static const struct {
        const char *text, *becomes;
    } rows[] = {
        {"plain", "plain"},
        {"data-{{.Task.Slot}}", "data-3"},
        {"{{ .Task.Slot }}{{.Task.Slot}}", "33"},
        {"{{.Service.Name}}-{{.Node.Hostname}}", "web-w1"},
        {"{{.Service.ID}}", "sssssssssssssssssssssssss"},
        {"{{.Node.ID}}", N},
        {"{{.Task.ID}}", T},
        {"{{.Task.Name}}", "web.3." T},
        {"{{.Node.Platform.Architecture}}/{{.Node.Platform.OS}}", "x86_64/linux"},
        {"{{.Service.Labels}}", "map[tier:front]"},
        {"{{index .Service.Labels \"tier\"}}!", "front!"},
        {"[{{index .Service.Labels \"none\"}}]", "[]"},
    };
    AUTO_ARENA arena = arena_make(0);
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(task_template_check(rows[i].text, NULL), 0);
        assert_string_equal(filled(rows[i].text, 3, &arena), rows[i].becomes);
    }
    assert_string_equal(filled("{{.Task.Slot}}", 0, &arena), N); // of a global service
}

static void what_is_no_placeholder_is_refused(void **state) {
    static const struct {
        const char *text, *reason;
    } rows[] = {
        {"{{.Task.Slt}}", "did you mean {{.Task.Slot}}?"},
        {"{{}}", "no placeholder"},
        {"{{.Task.Slot", "no }} to end it"},
        {"{{}", "no }} to end it"},
        {"{{env \"HOME\"}}", "no placeholder"},
        {"{{index .Service.Labels x}}", "no placeholder"},
        {"{{index .Service.Labels \"}}", "no placeholder"},
        {"{{{{.Task.ID}}}}", "no placeholder"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct error err = {0};
        assert_int_equal(task_template_check(rows[i].text, &err), -ERR_INVALID);
        if (strstr(err.root, rows[i].reason) == NULL) {
            fail_msg("%s: %s", rows[i].text, err.root);
        }
    }
}

static void a_spec_is_checked_where_it_says_it(void **state) {
    AUTO_ARENA arena = arena_make(0);
    struct service_spec spec;
    struct mount mount;
    struct pair variable = {"SLOT", "{{.Task.Nothing}}"};
    struct problems problems = {0};
    (void)state;
    schema_init(&service_spec_schema, &spec);
    schema_init(&mount_schema, &mount);
    spec.name = "web";
    spec.image = "busybox";
    spec.hostname = "{{.Service.Name}}-{{.Task.Slot}}";
    mount.source = "data-{{.Task.Slot}}";
    mount.target = "/data";
    spec.volumes.count = spec.environment.count = 1;
    spec.volumes.items = &mount;
    spec.environment.items = &variable;
    schema_validate(&service_spec_schema, &spec, /*warnings=*/false, &arena, &problems);
    assert_int_equal(problems.count, 1);
    assert_string_equal(problems.items[0].path, "environment.SLOT");
    variable.value = "";
    mount.source = "data {{.Task.Slot}}";
    problems = (struct problems){0};
    schema_validate(&service_spec_schema, &spec, /*warnings=*/false, &arena, &problems);
    assert_int_equal(problems.count, 1);
    assert_string_equal(problems.items[0].path, "volumes[0].source");
}

static void the_spec_that_was_given_stays_as_it_was(void **state) {
    AUTO_ARENA arena = arena_make(0);
    struct pair variable = {"SLOT", "{{.Task.Slot}}"};
    struct assignment assignment = assignment_of(2, (struct pairs){0});
    struct error err = {0};
    (void)state;
    assignment.spec.environment = (struct pairs){1, &variable};
    assert_int_equal(task_template_fill(&assignment, &node, &arena, &err), 0);
    assert_string_equal(assignment.spec.environment.items[0].value, "2");
    assert_string_equal(variable.value, "{{.Task.Slot}}");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_word_becomes_what_it_says),
        cmocka_unit_test(what_is_no_placeholder_is_refused),
        cmocka_unit_test(a_spec_is_checked_where_it_says_it),
        cmocka_unit_test(the_spec_that_was_given_stays_as_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
