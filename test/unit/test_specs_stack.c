// SPDX-License-Identifier: Apache-2.0
//
// test/unit/test_specs_stack.c — Compose files laid over each other: what is replaced, merged, added; places of
// mistakes; the stack written out again.
#include "specs/manifest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "specs/resource.h"
#include "specs/service.h"
#include "test/lib/check.h"
#include "test/lib/scratch.h"

struct layers {
    char dir[SCRATCH_BYTES];
    struct arena arena;
    struct strings paths;
    struct declarations out;
    struct diagnostics found;
    struct buf text;
};

static struct pair variable_items[] = {{"PRICE", "5$"}, {"TAG", "7"}};
static const struct pairs variables = {2, variable_items};

static void write_file(const char *path, const char *text) {
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void lay(struct layers *l, const char *below, const char *above) {
    *l = (struct layers){0};
    scratch_name(l->dir, sizeof l->dir, "stack");
    assert_non_null(mkdtemp(l->dir));
    const char *texts[] = {below, above};
    for (size_t i = 0; i < 2 && texts[i] != NULL; i++) {
        const char *path = arena_printf(&l->arena, "%s/%zu.yaml", l->dir, i);
        write_file(path, texts[i]);
        *ARENA_PUSH(&l->arena, &l->paths) = path;
    }
}

static void unlay(struct layers *l) {
    for (size_t i = 0; i < l->paths.count; i++) {
        unlink(l->paths.items[i]);
    }
    assert_int_equal(rmdir(l->dir), 0);
    buf_free(&l->text);
    arena_free(&l->arena);
}

static int read_layers(struct layers *l) {
    const struct manifest_options options = {.stack_name = "shop", .variables = &variables, .is_stack = true};
    struct error err = {0};
    return manifest_read(&l->paths, &options, &l->arena, &l->out, &l->found, &err);
}

static int config(struct layers *l, bool keeps_variables) {
    const struct manifest_options options = {
        .stack_name = "shop", .variables = &variables, .keeps_variables = keeps_variables};
    struct error err = {0};
    return manifest_config(&l->paths, &options, &l->arena, &l->text, &l->found, &err);
}

static void expect_config(const char *below, const char *above, const char *wanted) {
    struct layers l;
    lay(&l, below, above);
    assert_int_equal(config(&l, false), 0);
    assert_string_equal(buf_text(&l.text), wanted);
    unlay(&l);
}

static void single_values_and_commands_are_replaced(void **state) {
    (void)state;
    expect_config(
        "services:\n  a:\n    image: x:1\n    command: [a, b]\n    healthcheck:\n      test: [CMD, a]\n"
        "      retries: 2\n    deploy: {replicas: 1, labels: {k: v}}\n",
        "services:\n  a:\n    image: x:2\n    command: c d\n    healthcheck: {test: e}\n"
        "    deploy: {replicas: 3}\n",
        "services:\n  a:\n    image: x:2\n    command: c d\n    healthcheck:\n      test: e\n"
        "      retries: 2\n    deploy:\n      replicas: 3\n      labels:\n        k: v\n");
}

static void pairs_are_merged_by_key_in_either_form(void **state) {
    (void)state;
    expect_config(
        "services:\n  a:\n    image: x\n    environment: {A: '1', B: two}\n    labels: [l=1]\n",
        "services:\n  a:\n    environment: [B=2, C=]\n    labels: {m: q}\n",
        "services:\n  a:\n    image: x\n    environment:\n      A: \"1\"\n      B: \"2\"\n      C: \"\"\n"
        "    labels:\n      l: \"1\"\n      m: q\n");
}

static void lists_of_structs_are_merged_by_what_tells_items_apart(void **state) {
    (void)state;
    expect_config(
        "services:\n  a:\n    image: x\n    ports: ['80:80', '443:443/udp']\n    volumes: [d:/d, e:/e]\n"
        "    dns: 1.1.1.1\nvolumes: {d: , e: }\n",
        "services:\n  a:\n    ports: [{target: 443, published: 443, protocol: udp, mode: host}, '81:80']\n"
        "    volumes: ['f:/e:ro']\n    dns: [1.1.1.1, 8.8.8.8]\nvolumes: {f: {}}\n",
        "services:\n  a:\n    image: x\n    ports:\n      - \"80:80\"\n      - target: 443\n"
        "        published: 443\n        protocol: udp\n        mode: host\n      - \"81:80\"\n"
        "    volumes:\n      - d:/d\n      - f:/e:ro\n    dns:\n      - 1.1.1.1\n      - 8.8.8.8\n"
        "volumes:\n  d: null\n  e: null\n  f: {}\n");
}

static void lists_and_maps_of_names_become_one(void **state) {
    (void)state;
    struct layers l;
    lay(&l, "services:\n  a: {image: x, depends_on: [b], ulimits: {nofile: 5}}\n  b: {image: x}\n",
        "services:\n  a:\n    depends_on: {b: {condition: service_healthy}, c: {condition: "
        "service_started}}\n"
        "    ulimits: {nofile: {soft: 6, hard: 7}}\n  c: {image: y}\n");
    assert_int_equal(read_layers(&l), 0);
    assert_int_equal(l.out.count, 3);
    const struct service_spec *a = l.out.items[0].spec;
    assert_string_equal(a->name, "shop_a");
    assert_int_equal(a->depends_on.count, 2);
    assert_string_equal(a->depends_on.items[0].name, "shop_b");
    assert_string_equal(a->depends_on.items[0].condition, "service_healthy");
    assert_int_equal(a->ulimits.count, 1);
    assert_int_equal(a->ulimits.items[0].soft, 6);
    unlay(&l);
}

static void nothing_leaves_what_is_below(void **state) {
    (void)state;
    expect_config("services:\n  a:\n    image: x\n    deploy: {replicas: 2}\n",
                  "services:\n  a:\n    image:\n    deploy:\nvolumes:\n",
                  "services:\n  a:\n    image: x\n    deploy:\n      replicas: 2\nvolumes: null\n");
}

static void variables_are_filled_in_and_dollars_stay_dollars(void **state) {
    (void)state;
    const char *text =
        "services:\n  a:\n    image: x:${TAG}\n    environment: {P: $PRICE, D: $$x, Q: 'no'}\n";
    expect_config(text, NULL,
                  "services:\n  a:\n    image: x:7\n    environment:\n      P: \"5$$\"\n      D: $$x\n      "
                  "Q: \"no\"\n");
    struct layers l;
    lay(&l, text, NULL);
    assert_int_equal(config(&l, true), 0);
    assert_string_equal(buf_text(&l.text),
                        "services:\n  a:\n    image: x:${TAG}\n    environment:\n      P: $PRICE\n"
                        "      D: $$x\n      Q: \"no\"\n");
    unlay(&l);
}

static void what_is_written_reads_back_as_the_same_stack(void **state) {
    (void)state;
    const char *text = "x-base: &base {image: 'x:1', environment: {A: \"1\\n2\", B: ': #'}}\nservices:\n  "
                       "a:\n    <<: *base\n"
                       "    command: [\"\", '- a', \"multi\\nline\", '*']\n  b: *base\n";
    struct layers first, again;
    lay(&first, text, NULL);
    assert_int_equal(config(&first, false), 0);
    lay(&again, buf_text(&first.text), NULL);
    assert_int_equal(read_layers(&first), 0);
    assert_int_equal(read_layers(&again), 0);
    assert_int_equal(first.out.count, again.out.count);
    for (size_t i = 0; i < first.out.count; i++) {
        struct differences differences = {0};
        schema_diff(&service_spec_schema, first.out.items[i].spec, again.out.items[i].spec, &first.arena,
                    &differences);
        assert_int_equal(differences.count, 0);
    }
    unlay(&first);
    unlay(&again);
}

static void each_mistake_has_the_place_where_it_was_written(void **state) {
    (void)state;
    struct layers l;
    lay(&l, "services:\n  a:\n    image: x\n    stop_signal: SIGWRONG\n    volumes: [gone:/g]\n",
        "services:\n  a:\n    deploy:\n      replicas: many\n    imag: y\n");
    assert_int_equal(read_layers(&l), 1);
    assert_int_equal(l.out.count, 0);
    static const struct {
        size_t layer;
        int64_t line;
        const char *code;
    } wanted[] = {{0, 4, "E0330"}, {0, 5, "E0501"}, {1, 4, "E0303"}, {1, 5, "E0231"}};
    assert_int_equal(l.found.error_count, sizeof wanted / sizeof *wanted);
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        const struct diagnostic *found = &l.found.items[i];
        assert_string_equal(found->at.file, l.paths.items[wanted[i].layer]);
        assert_int_equal(found->at.line, wanted[i].line);
        assert_string_equal(found->code, wanted[i].code);
    }
    unlay(&l);
}

static void a_layer_is_one_compose_file(void **state) {
    (void)state;
    static const struct {
        const char *above, *text;
    } rows[] = {
        {"", "the file is empty"},
        {"services: {}\n---\nservices: {}\n", "the file holds several documents"},
        {"kind: service\nname: a\nimage: x\n", "the document is not a Compose file"},
        {"- a\n", "the document is not a Compose file"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct layers l;
        lay(&l, "services:\n  a: {image: x}\n", rows[i].above);
        assert_int_equal(read_layers(&l), 1);
        assert_int_equal(l.found.error_count, 1);
        assert_string_equal(l.found.items[0].text, rows[i].text);
        assert_string_equal(l.found.items[0].at.file, l.paths.items[1]);
        unlay(&l);
    }
}

static void shapes_that_do_not_meet_are_left_to_the_reader(void **state) {
    (void)state;
    struct layers l;
    lay(&l, "services:\n  a: {image: x, environment: [[1]], volumes: {a: b}, deploy: 3}\n  b: 5\n",
        "services:\n  a: {environment: {A: b}, volumes: [x], deploy: [1]}\n  b: {image: x}\nvolumes: 7\n");
    assert_int_equal(read_layers(&l), 1);
    assert_true(l.found.error_count >= 2);
    unlay(&l);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(single_values_and_commands_are_replaced),
        cmocka_unit_test(pairs_are_merged_by_key_in_either_form),
        cmocka_unit_test(lists_of_structs_are_merged_by_what_tells_items_apart),
        cmocka_unit_test(lists_and_maps_of_names_become_one),
        cmocka_unit_test(nothing_leaves_what_is_below),
        cmocka_unit_test(variables_are_filled_in_and_dollars_stay_dollars),
        cmocka_unit_test(what_is_written_reads_back_as_the_same_stack),
        cmocka_unit_test(each_mistake_has_the_place_where_it_was_written),
        cmocka_unit_test(a_layer_is_one_compose_file),
        cmocka_unit_test(shapes_that_do_not_meet_are_left_to_the_reader),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
