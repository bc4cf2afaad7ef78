// SPDX-License-Identifier: Apache-2.0
//
// test/unit/test_image_pull.c — what skopeo is asked, and what its words are taken for
// (test/golden/image/skopeo.txt).
#include "reconciler/agent/image_pull.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/str.h"
#include "specs/task.h"
#include "test/lib/check.h"
#include "test/lib/scratch.h"

#define GOLDEN "test/golden/image/skopeo.txt"

static const struct {
    int64_t number;
    const char *name;
} reasons[] = {
#define X(name, number, text) {number, #name},
    TASK_REASON_LIST(X)
#undef X
};

static const char *reason_name(int64_t number) {
    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++) {
        if (reasons[i].number == number) {
            return reasons[i].name;
        }
    }
    return "?";
}

static struct image_reference parse(const char *text, struct arena *arena) {
    struct image_reference reference;
    struct error err = {0};
    int rc = image_parse(text, arena, &reference, &err);
    if (rc != 0) {
        print_message("%s\n", err.root);
    }
    assert_int_equal(rc, 0);
    return reference;
}

static void skopeos_words_are_classified(void **state) {
    (void)state;
    AUTO_ARENA arena = {0};
    AUTO_BUF golden = {0};
    AUTO_BUF errors = {0};
    struct image_reference reference = {0};
    int count = 0;
    assert_int_equal(fs_read(AT_FDCWD, GOLDEN, 1 << 20, &golden, NULL), 0);
    char *rest = golden.data;
    for (char *line; (line = strsep(&rest, "\n")) != NULL;) {
        if (str_starts(line, "reference ")) {
            reference = parse(line + strlen("reference "), &arena);
            buf_clear(&errors);
        } else if (str_starts(line, "> ")) {
            buf_addf(&errors, "%s\n", line + 2);
        } else if (str_starts(line, "= ")) {
            struct image_failure failure = image_pull_classify(buf_text(&errors), &reference, &arena);
            const char *seen = arena_printf(&arena, "%s %s: %s", failure.is_final ? "final" : "retry",
                                            reason_name(failure.reason), failure.text);
            assert_string_equal(seen, line + 2);
            count++;
        }
    }
    assert_true(count >= 20);
}

static void long_words_are_cut(void **state) {
    (void)state;
    AUTO_ARENA arena = {0};
    AUTO_BUF errors = {0};
    struct image_reference reference = parse("redis", &arena);
    buf_pad(&errors, 'x', 5000);
    struct image_failure failure = image_pull_classify(buf_text(&errors), &reference, &arena);
    assert_int_equal(strlen(failure.text), 403);
    assert_true(str_ends(failure.text, "x…"));
}

static void expect_argv(const struct image_pull *pull, const char *reference, const char *expected) {
    AUTO_ARENA arena = {0};
    AUTO_BUF line = {0};
    struct image_reference parsed = parse(reference, &arena);
    const char *const *argv = image_pull_argv(pull, &parsed, &arena);
    for (size_t i = 0; argv[i] != NULL; i++) {
        buf_addf(&line, "%s%s", i > 0 ? " " : "", argv[i]);
    }
    assert_string_equal(buf_text(&line), expected);
}

#define START "skopeo --tmpdir /t copy --quiet --dest-shared-blob-dir /b "

static void the_command_line_says_what_the_reference_means(void **state) {
    (void)state;
    static const struct image_pull plain = {.blobs_dir = "/b", .layout_dir = "/l", .tmp_dir = "/t"};
    static const struct image_pull rich = {
        .blobs_dir = "/b", .layout_dir = "/l", .tmp_dir = "/t", .auth_file = "/auth", .is_insecure = true};
    char digest[] = "sha256:0123456789012345678901234567890123456789012345678901234567890123";
    AUTO_FREE char *pinned = xasprintf("redis:7@%s", digest);
    AUTO_FREE char *expected = xasprintf(START "docker://docker.io/library/redis@%s oci:/l:image", digest);
    expect_argv(&plain, pinned, expected); // skopeo refuses tag and digest
    expect_argv(&plain, "redis:7", START "docker://docker.io/library/redis:7 oci:/l:image");
    expect_argv(
        &rich, "reg.local:5000/a/b",
        START "--src-authfile /auth --src-tls-verify=false docker://reg.local:5000/a/b:latest oci:/l:image");
    expect_argv(&plain, "oci-archive:/a.tar", START "oci-archive:/a.tar oci:/l:image");
    expect_argv(&plain, "docker-archive:/a.tar:n:t", START "docker-archive:/a.tar:n:t oci:/l:image");
    expect_argv(&plain, "oci:/dir:tag", START "oci:/dir:tag oci:/l:image");
}

static void the_file_of_credentials_is_found(void **state) {
    (void)state;
    AUTO_ARENA arena = {0};
    char directory[SCRATCH_BYTES];
    scratch_name(directory, sizeof directory, "auth");
    assert_non_null(mkdtemp(directory));
    unsetenv("REGISTRY_AUTH_FILE");
    unsetenv("XDG_RUNTIME_DIR");
    setenv("HOME", directory, 1);
    AUTO_FREE char *docker = xasprintf("%s/.docker/config.json", directory);
    AUTO_FREE char *docker_dir = xasprintf("%s/.docker", directory);
    AUTO_FREE char *own = xasprintf("%s/auth.json", directory);
    assert_int_equal(fs_make_dirs(docker_dir, 0700, NULL), 0);
    assert_int_equal(fs_replace(AT_FDCWD, docker, "{}", 2, 0600, /*sync=*/false, NULL), 0);
    setenv("REGISTRY_AUTH_FILE", docker, 1);
    assert_string_equal(image_pull_auth_file(directory, &arena), docker);
    assert_int_equal(fs_replace(AT_FDCWD, own, "{}", 2, 0600, /*sync=*/false, NULL), 0);
    assert_string_equal(image_pull_auth_file(directory, &arena), own);
    assert_int_equal(fs_remove_tree(AT_FDCWD, directory, NULL), 0);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(skopeos_words_are_classified),
        cmocka_unit_test(long_words_are_cut),
        cmocka_unit_test(the_command_line_says_what_the_reference_means),
        cmocka_unit_test(the_file_of_credentials_is_found),
    };
    return cmocka_run_group_tests_name(__FILE__, tests, NULL, NULL);
}
