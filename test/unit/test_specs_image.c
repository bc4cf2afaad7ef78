// SPDX-License-Identifier: Apache-2.0
//
// test/unit/test_specs_image.c — image references taken apart, refused, and shown.
#include "specs/image.h"

#include <string.h>

#include "test/lib/check.h"

#define DIGEST "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void references_come_apart(void **state) {
    (void)state;
    static const struct {
        const char *text, *host, *repository, *tag, *digest, *familiar;
    } cases[] = {
        {"redis", "docker.io", "library/redis", "latest", "", "redis:latest"},
        {"redis:7.0", "docker.io", "library/redis", "7.0", "", "redis:7.0"},
        {"team/app", "docker.io", "team/app", "latest", "", "team/app:latest"},
        {"docker.io/redis", "docker.io", "library/redis", "latest", "", "redis:latest"},
        {"index.docker.io/library/redis:7", "docker.io", "library/redis", "7", "", "redis:7"},
        {"localhost/app", "localhost", "app", "latest", "", "localhost/app:latest"},
        {"reg.local:5000/team/app:1.2@" DIGEST, "reg.local:5000", "team/app", "1.2", DIGEST,
         "reg.local:5000/team/app:1.2"},
        {"redis@" DIGEST, "docker.io", "library/redis", "", DIGEST, "redis@" DIGEST},
        {"[::1]:5000/app", "[::1]:5000", "app", "latest", "", "[::1]:5000/app:latest"},
        {"a.b-c__d/e", "a.b-c__d", "e", "", "", ""},
        {"oci:1", "docker.io", "library/oci", "1", "", "oci:1"}, // an image called oci
    };
    AUTO_ARENA arena = {0};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct image_reference image;
        int rc = image_parse(cases[i].text, &arena, &image, NULL);
        if (cases[i].familiar[0] == '\0') {
            assert_true(rc < 0); // '_' in a host
            continue;
        }
        assert_int_equal(rc, 0);
        assert_int_equal(image.source, IMAGE_REGISTRY);
        assert_string_equal(image.host, cases[i].host);
        assert_string_equal(image.repository, cases[i].repository);
        assert_string_equal(image.tag, cases[i].tag);
        assert_string_equal(image.digest, cases[i].digest);
        assert_string_equal(image_familiar(cases[i].text, &arena), cases[i].familiar);
    }
}

static void files_come_apart(void **state) {
    (void)state;
    static const struct {
        const char *text;
        enum image_source source;
        const char *path, *selector, *familiar;
    } cases[] = {
        {"oci-archive:/srv/app.tar", IMAGE_OCI_ARCHIVE, "/srv/app.tar", "", "app.tar"},
        {"oci-archive:/srv/app.tar:v1", IMAGE_OCI_ARCHIVE, "/srv/app.tar", "v1", "app.tar:v1"},
        {"docker-archive:/srv/app.tar:team/app:1", IMAGE_DOCKER_ARCHIVE, "/srv/app.tar", "team/app:1",
         "app.tar:team/app:1"},
        {"oci:/srv/layout", IMAGE_OCI_DIRECTORY, "/srv/layout", "", "layout"},
        {"tar:/srv/rootfs.tar", IMAGE_ROOTFS_TAR, "/srv/rootfs.tar", "", "rootfs.tar"},
    };
    AUTO_ARENA arena = {0};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct image_reference image;
        assert_int_equal(image_parse(cases[i].text, &arena, &image, NULL), 0);
        assert_int_equal(image.source, cases[i].source);
        assert_string_equal(image.path, cases[i].path);
        assert_string_equal(image.selector, cases[i].selector);
        assert_string_equal(image_familiar(cases[i].text, &arena), cases[i].familiar);
    }
}

static void nonsense_is_refused(void **state) {
    (void)state;
    static const char *const texts[] = {
        "",
        " ",
        "Redis",
        "redis:",
        "redis:a b",
        "redis@",
        "redis@sha256:12",
        "redis@md5:0",
        "/redis",
        "redis/",
        "a//b",
        "-a",
        "a-",
        "a..b",
        "redis:-x",
        "reg.local:99999/a",
        "reg.local:/a",
        "-h.x/a",
        "[::1/a",
        "oci-archive:",
        "oci-archive:./a.tar",
        "oci-archive:/a/../b",
        "oci-archive:/a/..",
        "tar:/a.tar:x",
        "tar:x/y",
        "docker-archive:a/b.tar",
        "a\nb",
        "redis\x7f",
        "a@b@c",
        "http://x/y",
    };
    AUTO_ARENA arena = {0};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct image_reference image = {.host = "untouched"};
        struct error err = {0};
        if (image_parse(texts[i], &arena, &image, &err) != -ERR_INVALID) {
            fail_msg("'%s' was accepted", texts[i]);
        }
        assert_true(err.root[0] != '\0');
        assert_string_equal(image.host, "untouched");
        assert_string_equal(image_familiar(texts[i], &arena), texts[i]);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(references_come_apart),
    cmocka_unit_test(files_come_apart),
    cmocka_unit_test(nonsense_is_refused),
};
CHECK_MAIN(tests)
