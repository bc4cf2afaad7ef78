// SPDX-License-Identifier: Apache-2.0
//
// test/unit/test_image_layout.c — what images say of themselves, said wrongly.
#include "reconciler/agent/image_layout.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/str.h"
#include "reconciler/agent/image_record.h"
#include "test/lib/check.h"
#include "test/lib/scratch.h"

#define D "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

enum document { INDEX, MANIFEST, CONFIG };

static int parse(enum document document, struct bytes json, struct arena *arena, struct image_contents *out,
                 struct error *err) {
    const char *manifest;
    switch (document) {
    case INDEX:
        return image_index_parse(json, arena, &manifest, err);
    case MANIFEST:
        return image_manifest_parse(json, arena, out, err);
    case CONFIG:
        *ARENA_PUSH(arena, &out->layers) = (struct image_layer){.digest = D};
        return image_config_parse(json, arena, out, err);
    }
    return -ERR_INTERNAL;
}

#define ROOTFS "\"rootfs\":{\"diff_ids\":[\"" D "\"]}"

static const struct {
    enum document document;
    const char *json;
    int code; // 0 = good
    const char *says;
} documents[] = {
    {INDEX, "{\"manifests\":[{\"digest\":\"" D "\"}]}", 0, ""},
    {INDEX, "", ERR_INVALID, "index of the image: not JSON: line 1: '[' or '{' expected near end of file"},
    {INDEX, "{\"manifests\":", ERR_INVALID,
     "index of the image: not JSON: line 1: unexpected token near end of file"},
    {INDEX, "[]", ERR_INVALID, "index of the image: not an object"},
    {INDEX, "{}", ERR_INVALID, "index of the image: 0 manifests instead of one"},
    {INDEX, "{\"manifests\":{}}", ERR_INVALID, "index of the image: 'manifests' is not a list"},
    {INDEX, "{\"manifests\":[{},{}]}", ERR_INVALID, "index of the image: 2 manifests instead of one"},
    {INDEX, "{\"manifests\":[7]}", ERR_INVALID,
     "index of the image: 'digest' is not a digest: sha256: and 64 digits of 0-9a-f"},
    {INDEX, "{\"manifests\":[{\"digest\":\"sha256:../../../../etc/passwd\"}]}", ERR_INVALID,
     "index of the image: 'digest' is not a digest: sha256: and 64 digits of 0-9a-f"},
    {INDEX, "{\"manifests\":[],\"manifests\":[]}", ERR_INVALID,
     "index of the image: not JSON: line 1: duplicate object key near '\"manifests\"'"},
    {MANIFEST, "{\"config\":{\"digest\":\"" D "\"},\"layers\":[{\"digest\":\"" D "\"}]}", 0, ""},
    {MANIFEST, "{}", ERR_INVALID, "manifest of the image: 'config' is missing"},
    {MANIFEST, "{\"config\":{}}", ERR_INVALID, "manifest of the image: 'layers' is missing"},
    {MANIFEST, "{\"config\":7,\"layers\":[]}", ERR_INVALID,
     "manifest of the image: 'config' is not an object"},
    {MANIFEST, "{\"config\":{\"digest\":\"" D "\"},\"layers\":[]}", ERR_INVALID,
     "manifest of the image: no layers"},
    {MANIFEST, "{\"config\":{\"digest\":\"" D "\"},\"layers\":[{\"digest\":\"SHA256:00\"}]}", ERR_INVALID,
     "manifest of the image: 'digest' is not a digest: sha256: and 64 digits of 0-9a-f"},
    {CONFIG, "{" ROOTFS "}", 0, ""},
    {CONFIG, "{" ROOTFS ",\"config\":null}", 0, ""},
    {CONFIG,
     "{" ROOTFS
     ",\"config\":{\"Entrypoint\":null,\"Cmd\":null,\"Env\":null,\"Volumes\":null,\"Labels\":null}}",
     0, ""},
    {CONFIG, "{" ROOTFS ",\"config\":{\"Env\":[\"novalue\",\"=x\",\"A=1\"]}}", 0, ""},
    {CONFIG, "{" ROOTFS ",\"config\":{\"Healthcheck\":null}}", 0, ""},
    {CONFIG, "{" ROOTFS ",\"config\":{\"Healthcheck\":[]}}", ERR_INVALID,
     "configuration of the image: 'Healthcheck' is not an object"},
    {CONFIG, "{" ROOTFS ",\"config\":{\"Healthcheck\":{\"Test\":\"x\"}}}", ERR_INVALID,
     "configuration of the image: 'Test' is not a list"},
    {CONFIG, "{}", ERR_INVALID, "configuration of the image: 0 diff ids for 1 layers"},
    {CONFIG, "{\"rootfs\":{\"diff_ids\":[7]}}", ERR_INVALID,
     "configuration of the image: 'rootfs.diff_ids' is not a list of digests"},
    {CONFIG, "{\"rootfs\":{\"diff_ids\":[\"" D "\",\"" D "\"]}}", ERR_INVALID,
     "configuration of the image: 2 diff ids for 1 layers"},
    {CONFIG, "{" ROOTFS ",\"os\":7}", ERR_INVALID, "configuration of the image: 'os' is not a string"},
    {CONFIG, "{" ROOTFS ",\"config\":[]}", ERR_INVALID,
     "configuration of the image: 'config' is not an object"},
    {CONFIG, "{" ROOTFS ",\"config\":{\"Cmd\":\"sh\"}}", ERR_INVALID,
     "configuration of the image: 'Cmd' is not a list"},
    {CONFIG, "{" ROOTFS ",\"config\":{\"Cmd\":[\"sh\",7]}}", ERR_INVALID,
     "configuration of the image: 'Cmd' is not a list of strings"},
    {CONFIG, "{" ROOTFS ",\"config\":{\"User\":{}}}", ERR_INVALID,
     "configuration of the image: 'User' is not a string"},
    {CONFIG, "{" ROOTFS ",\"config\":{\"Labels\":{\"a\":7}}}", ERR_INVALID,
     "configuration of the image: 'Labels' is not a map of strings"},
    {CONFIG, "{" ROOTFS ",\"config\":{\"Cmd\":[\"a\\u0000b\"]}}", ERR_INVALID,
     "configuration of the image: not JSON: line 1: \\u0000 is not allowed without "
     "JSON_ALLOW_NUL near '\"a\\u0000b\"'"},
};

static void each_mistake_is_named(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof documents / sizeof *documents; i++) {
        AUTO_ARENA arena = {0};
        struct image_contents contents = {0};
        struct error err = {0};
        char text[1024];
        const char *json = documents[i].json;
        int rc = parse(documents[i].document, (struct bytes){(const uint8_t *)json, strlen(json)}, &arena,
                       &contents, &err);
        assert_string_equal(rc != 0 ? error_text(&err, text, sizeof text) : "", documents[i].says);
        assert_int_equal(rc, -documents[i].code);
    }
}

static void a_health_check_is_read(void **state) {
    (void)state;
    AUTO_ARENA arena = {0};
    struct image_contents contents = {0};
    struct error err = {0};
    const char *json = "{" ROOTFS ",\"config\":{\"Healthcheck\":{\"Test\":[\"CMD\",\"a\"],\"Interval\":5,"
                       "\"Timeout\":-1,\"Retries\":2.5,\"StartInterval\":\"x\"}}}";
    *ARENA_PUSH(&arena, &contents.layers) = (struct image_layer){.digest = D};
    struct bytes bytes = {(const uint8_t *)json, strlen(json)};
    assert_int_equal(image_config_parse(bytes, &arena, &contents, &err), 0);
    assert_non_null(contents.config.health);
    assert_string_equal(contents.config.health->test.items[1], "a");
    assert_int_equal(contents.config.health->interval_ns, 5);
    // What makes no sense counts as not given.
    assert_int_equal(contents.config.health->timeout_ns, 0);
    assert_int_equal(contents.config.health->retries, 0);
    assert_int_equal(contents.config.health->start_interval_ns, 0);
}

static void counts_and_sizes_are_limited(void **state) {
    (void)state;
    AUTO_ARENA arena = {0};
    AUTO_BUF json = {0};
    struct image_contents contents = {0};
    struct error err = {0};
    buf_adds(&json, "{\"config\":{\"digest\":\"" D "\"},\"layers\":[");
    for (int i = 0; i <= LAYERS_MAX; i++) {
        buf_addf(&json, "%s{\"digest\":\"" D "\"}", i > 0 ? "," : "");
    }
    buf_adds(&json, "]}");
    assert_int_equal(image_manifest_parse(buf_bytes(&json), &arena, &contents, &err), -ERR_LIMIT);
    assert_string_equal(err.root, "'layers' has more than 127 items");
    buf_clear(&json);
    buf_addf(&json, "{" ROOTFS ",\"config\":{\"User\":\"");
    buf_pad(&json, 'u', STRING_BYTES_MAX + 1);
    buf_adds(&json, "\"}}");
    assert_int_equal(parse(CONFIG, buf_bytes(&json), &arena, &contents, &err), -ERR_LIMIT);
    buf_clear(&json);
    buf_pad(&json, ' ', 4 * MIB + 1);
    assert_int_equal(parse(INDEX, buf_bytes(&json), &arena, &contents, &err), -ERR_LIMIT);
    buf_clear(&json);
    buf_pad(&json, '[', 100000); // deeper than any document
    assert_int_equal(parse(INDEX, buf_bytes(&json), &arena, &contents, &err), -ERR_INVALID);
}

// The example of the OCI specification: chain ids by hand, with sha256sum.
static void layers_are_named_by_their_chain(void **state) {
    (void)state;
    AUTO_ARENA arena = {0};
    struct image_contents contents = {0};
    static const char json[] = "{\"rootfs\":{\"diff_ids\":[\"" D "\",\"" D "\",\"" D "\"]}}";
    for (int i = 0; i < 3; i++) {
        *ARENA_PUSH(&arena, &contents.layers) = (struct image_layer){.digest = D};
    }
    assert_int_equal(
        image_config_parse((struct bytes){(const uint8_t *)json, sizeof json - 1}, &arena, &contents, NULL),
        0);
    assert_string_equal(contents.layers.items[0].chain, D + 7);
    assert_string_equal(contents.layers.items[1].chain,
                        "ccdf9b58ee7087c8f4415f1c3e98945bf64a4cd9920de109ec94d64947636830");
    assert_string_equal(contents.layers.items[2].chain,
                        "8c230c624f8446a40a2220897e7c531acc480bd162a001aa1d2a0cea501b811b");
}

static void a_blob_is_what_its_digest_says_or_goes(void **state) {
    (void)state;
    AUTO_ARENA arena = {0};
    char directory[SCRATCH_BYTES];
    scratch_name(directory, sizeof directory, "layout");
    struct image_contents contents;
    struct error err = {0};
    const char *manifest;
    assert_non_null(mkdtemp(directory));
    assert_int_equal(fs_make_dirs(arena_printf(&arena, "%s/sha256", directory), 0700, NULL), 0);
    assert_int_equal(image_layout_write_rootfs(directory, D, D, &arena, &manifest, &err), 0);
    assert_int_equal(image_layout_read(directory, manifest, &arena, &contents, &err), 0);
    assert_int_equal(image_layout_check_machine(&contents, &err), 0);
    assert_string_equal(contents.layers.items[0].chain, D + 7);
    assert_string_equal(contents.config.user, "");
    const char *path = image_blob_path(directory, contents.config_digest, &arena);
    assert_int_equal(fs_replace(AT_FDCWD, path, "{}", 2, 0600, /*sync=*/false, NULL), 0);
    assert_int_equal(image_layout_read(directory, manifest, &arena, &contents, &err), -ERR_CORRUPT);
    assert_non_null(strstr(err.root, "was damaged on disk"));
    assert_false(fs_exists(path));
    assert_int_equal(image_layout_read(directory, manifest, &arena, &contents, &err), -ERR_CORRUPT);
    assert_non_null(strstr(err.root, "is gone"));
    assert_int_equal(fs_remove_tree(AT_FDCWD, directory, NULL), 0);
}

// Cut anywhere, with any byte changed: read as it was, or refused.
static void a_damaged_record_is_refused(void **state) {
    (void)state;
    AUTO_BUF text = {0};
    char path[SCRATCH_BYTES];
    scratch_name(path, sizeof path, "record");
    const struct image_record record = {"docker://a/b:1", D, {1, 2, 3}};
    struct image_record found;
    close(mkstemp(path));
    assert_int_equal(image_record_write(path, &record, NULL), 0);
    assert_int_equal(fs_read(AT_FDCWD, path, 4096, &text, NULL), 0);
    for (size_t len = 0; len < text.len; len++) {
        AUTO_ARENA arena = {0};
        assert_int_equal(fs_replace(AT_FDCWD, path, text.data, len, 0600, /*sync=*/false, NULL), 0);
        assert_int_equal(image_record_read(path, &arena, &found, NULL), -ERR_CORRUPT);
    }
    AUTO_ARENA arena = {0};
    assert_int_equal(fs_replace(AT_FDCWD, path, text.data, text.len, 0600, /*sync=*/false, NULL), 0);
    assert_int_equal(image_record_read(path, &arena, &found, NULL), 0);
    assert_string_equal(found.reference, record.reference);
    assert_true(image_identity_equal(&found.identity, &record.identity));
    unlink(path);
    assert_int_equal(image_record_read(path, &arena, &found, NULL), -ERR_NOT_FOUND);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_mistake_is_named),
        cmocka_unit_test(a_health_check_is_read),
        cmocka_unit_test(counts_and_sizes_are_limited),
        cmocka_unit_test(layers_are_named_by_their_chain),
        cmocka_unit_test(a_blob_is_what_its_digest_says_or_goes),
        cmocka_unit_test(a_damaged_record_is_refused),
    };
    return cmocka_run_group_tests_name(__FILE__, tests, NULL, NULL);
}
