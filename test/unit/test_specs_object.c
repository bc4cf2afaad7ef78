// SPDX-License-Identifier: Apache-2.0
//
// test/unit/test_specs_object.c — the registry of kinds, and rules that all field tables keep.
#include "specs/object.h"

#include <ctype.h>
#include <string.h>

#include "base/str.h"
#include "specs/assignment.h"
#include "specs/cluster.h"
#include "specs/service.h"
#include "specs/task.h"
#include "test/lib/check.h"

static void kinds_have_names_and_schemas(void **state) {
    (void)state;
    for (int kind = KIND_NONE + 1; kind < KIND_END; kind++) {
        const char *name = object_kind_name((enum object_kind)kind);
        AUTO_BUF plural = buf_make(64);
        buf_addf(&plural, "%ss", name);
        assert_int_equal(object_kind_parse(name), kind);
        assert_int_equal(object_kind_parse(buf_text(&plural)), kind);
        assert_non_null(object_schema((enum object_kind)kind));
        assert_ptr_equal(object_schema((enum object_kind)kind)->fields[0].schema, &meta_schema);
        assert_int_equal(object_schema((enum object_kind)kind)->fields[0].offset, 0);
        if (object_kind_is_declared((enum object_kind)kind)) {
            assert_non_null(object_spec_schema((enum object_kind)kind));
            assert_non_null(schema_field(object_spec_schema((enum object_kind)kind), "name"));
            assert_int_equal(object_spec_offset((enum object_kind)kind),
                             object_schema((enum object_kind)kind)->fields[1].offset);
        }
    }
    assert_int_equal(object_kind_parse("Services"), KIND_SERVICE);
    assert_int_equal(object_kind_parse("pod"), KIND_NONE);
    assert_null(object_schema(KIND_NONE));
}

static void check_help(const struct schema *schema, const char *owner, const char *help) {
    size_t len = help != NULL ? strlen(help) : 0;
    if (len == 0 || help[len - 1] != '.') {
        fail_msg("%s of %s: help is one sentence with a full stop", owner, schema->name);
    }
}

// Every row: help, a tag of its own, no overlap, a name in lower snake case, a default that exists.
static void check_table(const struct schema *schema, bool is_spec, int depth) {
    assert_true(depth < 10);
    check_help(schema, "the object", schema->help);
    for (unsigned i = 0; i < schema->count; i++) {
        const struct field *field = &schema->fields[i];
        check_help(schema, field->name, field->help);
        assert_true(field->tag >= 1 && field->tag <= 2047);
        assert_true(i == 0 || field->tag > schema->fields[i - 1].tag); // in order: a new row goes to the end
        assert_true(field->offset < schema->bytes);
        assert_int_equal(strspn(field->name, "abcdefghijklmnopqrstuvwxyz0123456789_"), strlen(field->name));
        for (unsigned k = 0; k < i; k++) {
            assert_string_not_equal(schema->fields[k].name, field->name);
            assert_int_not_equal(schema->fields[k].offset, field->offset);
        }
        if (is_spec && field->since == NULL) {
            fail_msg("%s.%s does not say since when", schema->name, field->name);
        }
        if (field->kind == FIELD_ENUM) {
            assert_true(field->default_int >= 0 && field->default_int < field->value_count);
        }
        if (field->schema != NULL) {
            check_table(field->schema, is_spec, depth + 1);
        }
    }
}

static void tables_keep_the_rules(void **state) {
    (void)state;
    for (int kind = KIND_NONE + 1; kind < KIND_END; kind++) {
        check_table(object_schema((enum object_kind)kind), false, 0);
        if (object_spec_schema((enum object_kind)kind) != NULL) {
            check_table(object_spec_schema((enum object_kind)kind), true, 0);
        }
    }
    check_table(&transaction_schema, false, 0);
    check_table(&event_schema, false, 0);
    check_table(&assignment_schema, false, 0);
    check_table(&task_report_schema, false, 0);
}

static void states_and_reasons_have_words(void **state) {
    (void)state;
    static const int64_t states[] = {
#define X(name, number, word, over) number,
        TASK_STATE_LIST(X)
#undef X
    };
    for (size_t i = 0; i < sizeof states / sizeof *states; i++) {
        int64_t back = -1;
        assert_true(task_state_parse(task_state_name(states[i]), &back));
        assert_int_equal(back, states[i]);
    }
    int64_t untouched = 7;
    assert_false(task_state_parse("asleep", &untouched));
    assert_int_equal(untouched, 7);
    assert_string_equal(task_state_name(513), "unknown");
    assert_string_equal(task_reason_text(REASON_OUT_OF_MEMORY), "out of memory");
    assert_string_equal(task_reason_text(9999), "unknown");
    assert_true(task_state_is_over(TASK_FAILED));
    assert_false(task_state_is_over(TASK_RUNNING));
}

static void tasks_are_named_after_slot_or_node(void **state) {
    (void)state;
    AUTO_BUF out = buf_make(0);
    struct task task = {.slot = 3, .node_id = {"abcdefghijklmnopqrstuvwxy"}};
    task_name(&task, "web", &out);
    assert_string_equal(buf_text(&out), "web.3");
    buf_clear(&out);
    task.slot = 0;
    task_name(&task, "web", &out);
    assert_string_equal(buf_text(&out), "web.abcdefghijklmnopqrstuvwxy");
}

// Anybody may keep what is sealed, and nobody is shown it.
static void no_text_shows_what_is_sealed(void **state) {
    (void)state;
    AUTO_ARENA arena = {0};
    AUTO_BUF json = {0}, yaml = {0};
    struct cluster before, after;
    struct cluster_trust was, is;
    struct differences differences;
    schema_init(&cluster_schema, &before);
    schema_init(&cluster_trust_schema, &was);
    was.worker_token.secret = (struct bytes){(const uint8_t *)"0123456789", 10};
    is = was;
    is.worker_token.secret = (struct bytes){(const uint8_t *)"9876543210", 10};
    is.authority_key = was.worker_token.secret;
    is.worker_token.uses_max = 7;
    after = before;
    before.trust = &was;
    after.trust = &is;
    json_write(&cluster_schema, &after, JSON_INDENT, TEXT_DEFAULTS | TEXT_STATUS | TEXT_SECRETS, &json);
    yaml_write(&cluster_schema, &after, TEXT_DEFAULTS | TEXT_STATUS | TEXT_SECRETS, 0, &yaml);
    assert_non_null(strstr(buf_text(&json), "\"uses_max\": 7"));
    assert_non_null(strstr(buf_text(&yaml), "uses_max: 7"));
    for (size_t i = 0; i < 2; i++) {
        const char *text = buf_text(i == 0 ? &json : &yaml);
        assert_null(strstr(text, "secret"));
        assert_null(strstr(text, "authority_key"));
    }
    schema_diff(&cluster_schema, &before, &after, &arena, &differences);
    assert_int_equal(differences.count, 1);
    assert_string_equal(differences.items[0].path, "trust.worker_token.uses_max");
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(kinds_have_names_and_schemas),       cmocka_unit_test(tables_keep_the_rules),
    cmocka_unit_test(no_text_shows_what_is_sealed),       cmocka_unit_test(states_and_reasons_have_words),
    cmocka_unit_test(tasks_are_named_after_slot_or_node),
};
CHECK_MAIN(tests)
