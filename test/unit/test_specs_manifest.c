// SPDX-License-Identifier: Apache-2.0
//
// test/unit/test_specs_manifest.c — spec files in, declarations or diagnostics out.
//
// test/golden/manifest/malformed.txt holds the malformed inputs: "=== name", the text, then one "-->
// line:column code text | hint" for each error, in the order of their places.
#include "specs/manifest.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/limits.h"
#include "base/str.h"
#include "specs/diagnostic.h"
#include "specs/node.h"
#include "specs/resource.h"
#include "specs/service.h"
#include "specs/yaml_tree.h"
#include "test/lib/check.h"
#include "test/lib/scratch.h"

struct result {
    struct arena arena;
    struct declarations out;
    struct diagnostics found;
    int rc;
};

static const struct pairs no_variables;

static struct result parse_bytes(const char *text, size_t len) {
    struct result r = {0};
    const struct manifest_options options = {.variables = &no_variables};
    r.rc = manifest_parse("case.yaml", text, len, &options, &r.arena, &r.out, &r.found, NULL);
    return r;
}

static struct result parse(const char *text) {
    return parse_bytes(text, strlen(text));
}

static void assert_first(const char *text, size_t len, const char *code, int64_t line, int64_t column) {
    struct result r = parse_bytes(text, len);
    assert_int_equal(r.rc, 1);
    assert_string_equal(r.found.items[0].code, code);
    assert_int_equal(r.found.items[0].at.line, line);
    assert_int_equal(r.found.items[0].at.column, column);
    arena_free(&r.arena);
}

static const struct service_spec *only_service(const struct result *r) {
    assert_int_equal(r->rc, 0);
    assert_int_equal(r->out.count, 1);
    assert_int_equal(r->out.items[0].kind, KIND_SERVICE);
    return r->out.items[0].spec;
}

// --- malformed inputs ---

static void add_errors(const struct diagnostics *found, struct buf *out) {
    for (size_t i = 0; i < found->count; i++) {
        const struct diagnostic *item = &found->items[i];
        if (!item->is_warning) {
            buf_addf(out, "--> %lld:%lld %s %s%s%s\n", (long long)item->at.line, (long long)item->at.column,
                     item->code, item->text, item->hint[0] != '\0' ? " | " : "", item->hint);
        }
    }
}

// One case, from its "=== " on; the cursor moves to the next.
static void check_case(char **cursor) {
    char *name = *cursor;
    char *next = strstr(name, "\n=== ");
    char *text = strchr(name, '\n') + 1;
    char *wanted = strstr(text, "\n--> ");
    *cursor = next != NULL ? next + 1 : NULL;
    assert_non_null(wanted);
    wanted++;
    struct result r = parse_bytes(text, (size_t)(wanted - text));
    AUTO_BUF got = buf_make(0);
    add_errors(&r.found, &got);
    size_t wanted_len = next != NULL ? (size_t)(next + 1 - wanted) : strlen(wanted);
    if (got.len != wanted_len || memcmp(buf_text(&got), wanted, wanted_len) != 0) {
        fail_msg("%.*s\nwanted:\n%.*sgot:\n%s", (int)(text - name - 1), name, (int)wanted_len, wanted,
                 buf_text(&got));
    }
    assert_int_equal(r.rc, 1);
    assert_int_equal(r.out.count, 0);
    arena_free(&r.arena);
}

static void malformed_inputs_are_refused_at_their_place(void **state) {
    (void)state;
    AUTO_BUF file = buf_make(0);
    assert_int_equal(fs_read(AT_FDCWD, "test/golden/manifest/malformed.txt", 4 * MIB, &file, NULL), 0);
    size_t count = 0;
    for (char *cursor = file.data; cursor != NULL; count++) {
        check_case(&cursor);
    }
    assert_true(count >= 170);
}

static void bytes_that_are_no_text_are_refused(void **state) {
    (void)state;
    assert_first("kind: service\nname: a\0b\n", 24, "E0110", 2, 8);
    assert_first("name: \xff\n", 8, "E0111", 1, 7);
    assert_first("kind: node\nname: \xc3\x28\n", 20, "E0111", 2, 8);
    assert_first("\xff\xfe"
                 "a\0",
                 4, "E0111", 1, 1);
    assert_first("name: \"a\\0b\"\n", 13, "E0110", 1, 7);
    assert_first("name: a\x1b[31m\n", 13, "E0110", 1, 8);
    assert_first("name: \xe2\x82\xac \xed\xa0\x80\n", 14, "E0111", 1, 9);
}

static void every_code_is_listed_once(void **state) {
    (void)state;
    for (size_t i = 0; i < diagnostic_code_count; i++) {
        assert_ptr_equal(diagnostic_code_find(diagnostic_codes[i].code), &diagnostic_codes[i]);
        assert_true(str_ends(diagnostic_codes[i].explanation, "."));
    }
    assert_null(diagnostic_code_find("E9999"));
    assert_non_null(diagnostic_code_find("e0107"));
}

static void only_so_many_errors_are_kept(void **state) {
    (void)state;
    AUTO_BUF text = buf_make(0);
    buf_adds(&text, "kind: service\nname: a\nimage: b\n");
    for (int i = 0; i < 100; i++) {
        buf_addf(&text, "wrong%d: x\n", i);
    }
    struct result r = parse(buf_text(&text));
    assert_int_equal(r.found.count, DIAGNOSTICS_MAX);
    assert_int_equal(r.found.error_count, 100);
    arena_free(&r.arena);
}

// --- values ---

static void strings_keep_their_text(void **state) {
    (void)state;
    struct result r = parse(
        "kind: service\nname: web\nimage: redis:1.10\nuser: 0755\nhostname: no\n"
        "environment: {A: no, B: 1.10, C: 0755, D: 22:22, E: 1e3, F: ~, G: 'null', H: true, I: 0x10}\n");
    const struct service_spec *spec = only_service(&r);
    assert_string_equal(spec->user, "0755");
    assert_string_equal(spec->hostname, "no");
    static const char *const wanted[] = {"A", "no",  "B", "1.10", "C", "0755", "D", "22:22",
                                         "E", "1e3", "G", "null", "H", "true", "I", "0x10"};
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i += 2) {
        assert_string_equal(pairs_get(&spec->environment, wanted[i]), wanted[i + 1]);
    }
    assert_int_equal(spec->environment.count, 8); // F is null: not given
    arena_free(&r.arena);
}

static void null_is_not_given(void **state) {
    (void)state;
    struct result r = parse("kind: service\nname: web\nimage: redis\ncommand:\ndeploy: ~\nhealthcheck: "
                            "null\nstop_grace_period:\n");
    const struct service_spec *spec = only_service(&r);
    assert_int_equal(spec->stop_grace_period_ns, 10000000000);
    assert_int_equal(spec->deploy.replicas, 1);
    assert_null(spec->healthcheck);
    arena_free(&r.arena);
}

static void a_command_in_one_line_is_split_as_a_shell_would(void **state) {
    (void)state;
    struct result r =
        parse("kind: service\nname: web\nimage: redis\ncommand: sh -c 'echo \"a b\"' x\\ y \"q\\\"\" ''\n");
    const struct strings *command = &only_service(&r)->command;
    static const char *const wanted[] = {"sh", "-c", "echo \"a b\"", "x y", "q\"", ""};
    assert_int_equal(command->count, 6);
    for (size_t i = 0; i < 6; i++) {
        assert_string_equal(command->items[i], wanted[i]);
    }
    arena_free(&r.arena);
}

static void json_is_read_too(void **state) {
    (void)state;
    struct result r = parse("{\"kind\": \"service\", \"name\": \"web\", \"image\": \"redis\", \"deploy\": "
                            "{\"replicas\": 2}, \"init\": true}");
    assert_int_equal(only_service(&r)->deploy.replicas, 2);
    arena_free(&r.arena);
}

static void merge_keys_give_way_to_own_keys(void **state) {
    (void)state;
    struct result r = parse("x-a: &a {init: true, user: a}\n---\nkind: service\n");
    arena_free(&r.arena);
    r = parse("kind: service\nx-a: &a {init: true, user: a}\nx-b: &b {user: b, hostname: h}\nname: "
              "web\nuser: mine\n<<: [*a, *b]\nimage: redis\n");
    const struct service_spec *spec = only_service(&r);
    assert_true(spec->init);
    assert_string_equal(spec->user, "mine");
    assert_string_equal(spec->hostname, "h");
    arena_free(&r.arena);
}

static void positions_are_found_again(void **state) {
    (void)state;
    struct result r = parse("kind: service\nname: web\nimage: redis\nenvironment:\n  - A=1\n  - "
                            "B.C=2\nlabels: {x.y: z}\nports:\n  - 80\n  - target: 81\n"
                            "deploy:\n  replicas: 3\n");
    only_service(&r);
    static const struct {
        const char *path;
        int64_t line, column;
    } wanted[] = {
        {"deploy.replicas", 12, 3}, {"deploy.mode", 11, 1},     {"environment.A", 5, 5},
        {"environment.B", 4, 1},    {"ports[1].target", 10, 5}, {"ports[0]", 9, 5},
        {"ports[7]", 8, 1},         {"labels.x.y", 7, 10},      {"", 1, 1},
        {"hostname", 1, 1},
    };
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        struct position at = manifest_position(&r.out.items[0], wanted[i].path);
        assert_string_equal(at.file, "case.yaml");
        assert_int_equal(at.line, wanted[i].line);
        assert_int_equal(at.column, wanted[i].column);
    }
    arena_free(&r.arena);
}

static void later_fields_are_reported_and_kept(void **state) {
    (void)state;
    struct result r = parse("kind: service\nname: web\nimage: redis\nports: [80]\nprivileged: true\n");
    assert_int_equal(only_service(&r)->ports.count, 1);
    assert_int_equal(r.found.warning_count, 2);
    assert_string_equal(r.found.items[0].code, "W0601");
    assert_int_equal(r.found.items[0].at.line, 4);
    assert_string_equal(r.found.items[1].code, "W0602");
    assert_int_equal(r.found.items[1].at.line, 5);
    arena_free(&r.arena);
}

static void what_is_written_reads_back_equal(void **state) {
    (void)state;
    static const char *const texts[] = {
        "kind: service\nname: web\nimage: redis\n",
        "kind: service\nname: web\nimage: "
        "redis@sha256:0123456789012345678901234567890123456789012345678901234567890123\n"
        "command: ['', '-', 'a: b', \"tab\\t\", '#', 'no', '1.0', ' x ', \"\\u20ac\", '%a', '@b', '*c', "
        "'!d', '&e', '- f', \"g\\nh\"]\n"
        "environment: {'a b': '', N: 'null', T: '~', X: '<<', 'k: v': x}\nports: [80, '1:2/udp', {target: 3, "
        "mode: host, name: n}]\n"
        "volumes: ['a:/a:ro', '/b', '/c:/d', {type: tmpfs, target: /t, tmpfs: {size: 1M, mode: 0700}}, "
        "{type: bind, source: /x, target: /y, "
        "bind: {recursive_off: true}}]\nulimits: {nofile: 7, nproc: {soft: 1, hard: -1}}\nnetworks: {a: "
        "{aliases: [x]}, b: }\n"
        "depends_on: {a: {condition: service_healthy}}\nsecrets: [a, {source: b, mode: "
        "0400}]\nstop_grace_period: 1m30s\n"
        "healthcheck: {}\ndeploy: {mode: global, resources: {limits: {cpus: 0.5, memory: 64M}}, placement: "
        "{constraints: ['node.role==worker'], "
        "preferences: [{spread: node.labels.rack}]}, restart_policy: {backoff: {factor: 1.5}}}\n",
        "kind: node\nname: w1\nrole: manager\navailability: drain\nlabels: {a: b}\n",
        "kind: cluster\ntask_history_limit: -1\ninsecure_registries: ['a:1', b]\n",
        "kind: network\nname: n\nipam: {config: [{subnet: 10.0.0.0/8}]}\n",
        "kind: volume\nname: v\ndriver_opts: {type: nfs}\n",
        "kind: source\nname: s\ndirectory: /srv\ninterval: 5m\n",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct result first = parse(texts[i]);
        AUTO_BUF shown = buf_make(0);
        for (size_t k = 0; k < first.found.count; k++) {
            diagnostic_render(&first.found.items[k], false, &shown);
        }
        if (first.rc != 0) {
            fail_msg("%s", buf_text(&shown));
        }
        const struct schema *schema = object_spec_schema(first.out.items[0].kind);
        AUTO_BUF text = buf_make(0);
        buf_addf(&text, "kind: %s\n", object_kind_name(first.out.items[0].kind));
        yaml_write(schema, first.out.items[0].spec, 0, 0, &text);
        struct result second = parse(buf_text(&text));
        if (second.rc != 0 || !schema_equal(schema, first.out.items[0].spec, second.out.items[0].spec)) {
            fail_msg("not the same again:\n%s", buf_text(&text));
        }
        arena_free(&first.arena);
        arena_free(&second.arena);
    }
}

// --- hostile texts: refused by counting, so neither time nor memory can grow (the bench measures both) ---

static void repeat(struct buf *out, const char *before, const char *part, size_t count) {
    buf_adds(out, before);
    for (size_t i = 0; i < count; i++) {
        buf_adds(out, part);
    }
}

static void hostile_texts_cost_little(void **state) {
    (void)state;
    static const struct {
        const char *before, *part;
        size_t count;
        const char *code;
        size_t arena_kib_max; // what it may take before it is refused
    } texts[] = {
        {"", "[", MIB, "E0103", 32},
        {"", "{a: ", MIB / 4, "E0103", 32},
        {"", "- ", MIB / 2, "E0103", 32},
        {"", "? ", MIB / 2, "E0103", 32},
        {"a: [", "1,", MIB / 2, "E0113", 64},
        {"", "a: 1\n", 9000, "E0107", 64},
        {"", "a: 1\n", MIB / 5, "E0113", 64},
        {"a: &a x\nb:\n", "  - *a\n", MIB / 7, "E0105", 32},
        {"a:\n", "  - &a x\n", MIB / 9, "E0105", 256},
        {"", "%TAG !a! b\n", MIB / 11, "E0117", 32},
        {"", "%TAG !a! b\n", 17, "E0117", 32},
        {"", "--- [&a1 x, &b1 y]\n", MIB / 20, "E0201", 512},
        {"", "---\n", MIB / 4, "E0104", 256},
        {"a: |\n", "  xxxxxxxxxxxxx\n", MIB / 16, "E0106", 32},
        {"'", "x ", MIB / 2, "E0102", 32},
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        AUTO_BUF text = buf_make(0);
        repeat(&text, texts[i].before, texts[i].part, texts[i].count);
        struct result r = parse_bytes(buf_text(&text), text.len);
        assert_int_equal(r.rc, 1);
        assert_string_equal(r.found.items[0].code, texts[i].code);
        assert_true(r.found.items[0].at.line > 0);
        if (r.arena.used_bytes > texts[i].arena_kib_max * KIB) {
            fail_msg("text %zu (%s…) took %zu KiB", i, texts[i].part, r.arena.used_bytes / KIB);
        }
        arena_free(&r.arena);
    }
}

static void an_alias_bomb_is_refused_where_it_bursts(void **state) {
    (void)state;
    AUTO_BUF text = buf_make(0);
    buf_adds(&text, "a: &a [x,x,x,x,x,x,x,x,x,x]\n");
    for (char c = 'b'; c < 'k'; c++) {
        char before = (char)(c - 1);
        buf_addf(&text, "%c: &%c [*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c]\n", c, c, before, before, before,
                 before, before, before, before, before, before, before);
    }
    assert_first(buf_text(&text), text.len, "E0116", 6, 8);
}

static void what_a_file_declares_is_bounded(void **state) {
    (void)state;
    AUTO_BUF text = buf_make(0);
    buf_adds(&text, "services:\n");
    for (int i = 0; i < TRANSACTION_CHANGES_MAX + 1; i++) {
        buf_addf(&text, " s%d: {image: a}\n", i);
    }
    struct result r = parse(buf_text(&text));
    assert_int_equal(r.rc, 1);
    assert_string_equal(r.found.items[0].code, "E0206");
    assert_true(r.arena.used_bytes < 16 * MIB);
    arena_free(&r.arena);
}

// --- rendering ---

static void an_error_shows_the_line_and_what_to_write(void **state) {
    (void)state;
    struct result r = parse("services:\n  api:\n    image: redis\n    replica: 24\n");
    AUTO_BUF out = buf_make(0);
    diagnostic_render(&r.found.items[0], /* color= */ false, &out);
    assert_string_equal(buf_text(&out), "case.yaml:4:5: error E0231: 'replica' is not a field of a service\n"
                                        "     4 |     replica: 24\n"
                                        "       |     ^^^^^^^ did you mean 'deploy.replicas'?\n");
    buf_clear(&out);
    diagnostics_json(&r.found, &out);
    assert_string_equal(
        buf_text(&out),
        "{\"errors\":1,\"warnings\":0,\"diagnostics\":[{\"file\":\"case.yaml\",\"line\":4,\"column\":5,"
        "\"severity\":\"error\",\"code\":\"E0231\",\"path\":\"replica\",\"text\":\"'replica' is not a field "
        "of a "
        "service\",\"hint\":\"did you mean 'deploy.replicas'?\"}]}");
    arena_free(&r.arena);
}

static void a_key_given_twice_shows_both_lines(void **state) {
    (void)state;
    struct result r = parse("kind: service\nname: web\nimage: a\nimage: b\n");
    assert_string_equal(r.found.items[0].snippet,
                        "     3 | image: a\n"
                        "       | ^^^^^ first here\n"
                        "     4 | image: b\n"
                        "       | ^^^^^ again here; YAML would silently keep only one\n");
    arena_free(&r.arena);
}

static void a_snippet_cannot_drive_the_terminal(void **state) {
    (void)state;
    AUTO_BUF text = buf_make(0);
    buf_adds(&text, "kind: service\nname: web\nimage: \"\xc2\x9b\x33\x31m");
    repeat(&text, "", "\xe2\x82\xac", 400);
    buf_adds(&text, "\"\n");
    struct result r = parse(buf_text(&text));
    assert_int_equal(r.rc, 1);
    for (size_t i = 0; i < r.found.count; i++) {
        AUTO_BUF out = buf_make(0);
        diagnostic_render(&r.found.items[i], false, &out);
        assert_null(strstr(buf_text(&out), "\xc2\x9b"));
        assert_true(str_is_utf8(buf_text(&out), out.len));
        assert_true(out.len < 4096);
    }
    arena_free(&r.arena);
}

// --- files ---

static const char *write_file(struct arena *arena, const char *directory, const char *name,
                              const char *text) {
    const char *path = arena_printf(arena, "%s/%s", directory, name);
    assert_int_equal(fs_replace(AT_FDCWD, path, text, strlen(text), 0600, false, NULL), 0);
    return path;
}

static void files_beside_are_read(void **state) {
    (void)state;
    AUTO_ARENA arena = {0};
    char directory[SCRATCH_BYTES];
    scratch_name(directory, sizeof directory, "manifest");
    assert_non_null(mkdtemp(directory));
    write_file(&arena, directory, "web.env", "# comment\nA=1\nB='two words'\nexport C=3\n\n");
    write_file(&arena, directory, "pw.txt", "secret\n");
    write_file(&arena, directory, "10.yaml", "kind: secret\nname: pw\nfile: ./pw.txt\n");
    write_file(&arena, directory, "9.yaml",
               "kind: service\nname: web\nimage: oci-archive:./x/../web.tar:v1\nenv_file: "
               "web.env\nenvironment: {A: mine}\nvolumes: ['./data:/data']\n");
    write_file(&arena, directory, ".hidden.yaml", "nonsense");
    write_file(&arena, directory, "notes.txt", "nonsense");
    const char *paths[] = {directory};
    struct declarations out;
    struct diagnostics found;
    struct error err = {0};
    assert_int_equal(manifest_read(&(struct strings){1, paths}, NULL, &arena, &out, &found, &err), 0);
    assert_int_equal(out.count, 2); // 9 before 10
    const struct service_spec *spec = out.items[0].spec;
    assert_string_equal(spec->image, arena_printf(&arena, "oci-archive:%s/web.tar:v1", directory));
    assert_string_equal(spec->volumes.items[0].source, arena_printf(&arena, "%s/data", directory));
    assert_string_equal(pairs_get(&spec->environment, "A"), "mine");
    assert_string_equal(pairs_get(&spec->environment, "B"), "two words");
    assert_string_equal(pairs_get(&spec->environment, "C"), "3");
    assert_int_equal(spec->env_file.count, 0);
    const struct secret_spec *secret = out.items[1].spec;
    assert_int_equal(secret->data.len, 7);
    assert_memory_equal(secret->data.data, "secret\n", 7);
    assert_string_equal(secret->file, "");
    assert_int_equal(fs_remove_tree(AT_FDCWD, directory, NULL), 0);
}

static void dotenv_beside_the_file_is_read(void **state) {
    (void)state;
    AUTO_ARENA arena = {0};
    char directory[SCRATCH_BYTES];
    scratch_name(directory, sizeof directory, "manifest");
    assert_non_null(mkdtemp(directory));
    write_file(&arena, directory, ".env", "MUSTER_TEST_TAG=7\n");
    const char *paths[] = {write_file(&arena, directory, "a.yaml",
                                      "name: s\nservices: {a: {image: 'redis:${MUSTER_TEST_TAG:-1}'}}\n")};
    struct declarations out;
    struct diagnostics found;
    assert_int_equal(manifest_read(&(struct strings){1, paths}, NULL, &arena, &out, &found, NULL), 0);
    assert_string_equal(((const struct service_spec *)out.items[0].spec)->image, "redis:7");
    assert_int_equal(fs_remove_tree(AT_FDCWD, directory, NULL), 0);
}

static void a_file_that_cannot_be_read_is_named(void **state) {
    (void)state;
    AUTO_ARENA arena = {0};
    char directory[SCRATCH_BYTES];
    scratch_name(directory, sizeof directory, "manifest");
    assert_non_null(mkdtemp(directory));
    write_file(&arena, directory, "bad.env", "A=1\nnot a name\n");
    const char *fifo = arena_printf(&arena, "%s/fifo", directory);
    assert_int_equal(mkfifo(fifo, 0600), 0);
    const char *paths[] = {
        write_file(&arena, directory, "a.yaml",
                   "kind: service\nname: web\nimage: b\nenv_file: [missing.env, bad.env, fifo]\n"),
        NULL};
    struct declarations out;
    struct diagnostics found;
    struct error err = {0};
    assert_int_equal(manifest_read(&(struct strings){1, paths}, NULL, &arena, &out, &found, &err), 1);
    assert_int_equal(found.error_count, 3);
    assert_string_equal(found.items[0].code, "E0411");
    assert_string_equal(found.items[1].code, "E0412");
    assert_string_equal(found.items[2].code, "E0411");
    paths[0] = arena_printf(&arena, "%s/none.yaml", directory);
    assert_int_equal(manifest_read(&(struct strings){1, paths}, NULL, &arena, &out, &found, &err),
                     -ERR_NOT_FOUND);
    const char *empty = arena_printf(&arena, "%s/empty", directory);
    assert_int_equal(mkdir(empty, 0700), 0);
    paths[0] = empty;
    assert_int_equal(manifest_read(&(struct strings){1, paths}, NULL, &arena, &out, &found, &err),
                     -ERR_NOT_FOUND);
    assert_int_equal(fs_remove_tree(AT_FDCWD, directory, NULL), 0);
}

static void a_text_without_a_place_reads_no_files(void **state) {
    (void)state;
    struct result r = parse("kind: service\nname: web\nimage: redis\nenv_file: /etc/passwd\n");
    assert_int_equal(r.rc, 1);
    assert_string_equal(r.found.items[0].code, "E0411");
    arena_free(&r.arena);
}

static void declared_twice_in_two_files_names_the_first(void **state) {
    (void)state;
    AUTO_ARENA arena = {0};
    char directory[SCRATCH_BYTES];
    scratch_name(directory, sizeof directory, "manifest");
    assert_non_null(mkdtemp(directory));
    const char *paths[] = {write_file(&arena, directory, "a.yaml", "kind: node\nname: w1\n"),
                           write_file(&arena, directory, "b.yaml", "---\nkind: node\nname: w1\n")};
    struct declarations out;
    struct diagnostics found;
    assert_int_equal(manifest_read(&(struct strings){2, paths}, NULL, &arena, &out, &found, NULL), 1);
    assert_string_equal(found.items[0].code, "E0205");
    assert_string_equal(found.items[0].at.file, paths[1]);
    assert_non_null(strstr(found.items[0].text, "a.yaml:1"));
    assert_int_equal(fs_remove_tree(AT_FDCWD, directory, NULL), 0);
}

static void examples_are_good(void **state) {
    (void)state;
    AUTO_ARENA arena = {0};
    struct dirent **entries;
    int count = scandir("examples", &entries, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        const char *name = entries[i]->d_name;
        if (str_ends(name, ".yaml") || str_ends(name, ".yml")) {
            const char *paths[] = {arena_printf(&arena, "examples/%s", name)};
            struct declarations out;
            struct diagnostics found;
            struct error err = {0};
            if (manifest_read(&(struct strings){1, paths}, NULL, &arena, &out, &found, &err) != 0) {
                fail_msg("%s:%lld: %s%s", name, found.count > 0 ? (long long)found.items[0].at.line : 0,
                         found.count > 0 ? found.items[0].text : "", err.root);
            }
        }
        free(entries[i]);
    }
    if (count >= 0) {
        free(entries);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(examples_are_good),
    cmocka_unit_test(malformed_inputs_are_refused_at_their_place),
    cmocka_unit_test(bytes_that_are_no_text_are_refused),
    cmocka_unit_test(every_code_is_listed_once),
    cmocka_unit_test(only_so_many_errors_are_kept),
    cmocka_unit_test(strings_keep_their_text),
    cmocka_unit_test(null_is_not_given),
    cmocka_unit_test(a_command_in_one_line_is_split_as_a_shell_would),
    cmocka_unit_test(json_is_read_too),
    cmocka_unit_test(merge_keys_give_way_to_own_keys),
    cmocka_unit_test(positions_are_found_again),
    cmocka_unit_test(later_fields_are_reported_and_kept),
    cmocka_unit_test(what_is_written_reads_back_equal),
    cmocka_unit_test(hostile_texts_cost_little),
    cmocka_unit_test(an_alias_bomb_is_refused_where_it_bursts),
    cmocka_unit_test(what_a_file_declares_is_bounded),
    cmocka_unit_test(an_error_shows_the_line_and_what_to_write),
    cmocka_unit_test(a_key_given_twice_shows_both_lines),
    cmocka_unit_test(a_snippet_cannot_drive_the_terminal),
    cmocka_unit_test(files_beside_are_read),
    cmocka_unit_test(dotenv_beside_the_file_is_read),
    cmocka_unit_test(a_file_that_cannot_be_read_is_named),
    cmocka_unit_test(a_text_without_a_place_reads_no_files),
    cmocka_unit_test(declared_twice_in_two_files_names_the_first),
};
CHECK_MAIN(tests)
