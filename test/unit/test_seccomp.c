// SPDX-License-Identifier: Apache-2.0
//
// test/unit/test_seccomp.c — Debian's profile in runc's words, and none at all rather than a wrong one.
#include "reconciler/agent/seccomp.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "base/fs.h"
#include "test/lib/check.h"
#include "test/lib/scratch.h"

static char path[SCRATCH_BYTES];

static int set_up(void **state) {
    (void)state;
    scratch_name(path, sizeof path, "seccomp");
    int fd = mkstemp(path);
    return fd < 0 || close(fd) != 0;
}

static int tear_down(void **state) {
    (void)state;
    return unlink(path);
}

static void put(const char *text) {
    assert_int_equal(fs_replace(AT_FDCWD, path, text, strlen(text), 0600, false, NULL), 0);
}

// What the profile does with a call: its first group without conditions on arguments that names it.
static const char *action_of(const json_t *profile, const char *call) {
    const json_t *groups = json_object_get(profile, "syscalls");
    for (size_t i = 0; i < json_array_size(groups); i++) {
        const json_t *names = json_object_get(json_array_get(groups, i), "names");
        for (size_t j = 0; j < json_array_size(names); j++) {
            if (strcmp(json_string_value(json_array_get(names, j)), call) == 0) {
                return json_string_value(json_object_get(json_array_get(groups, i), "action"));
            }
        }
    }
    return json_string_value(json_object_get(profile, "defaultAction"));
}

static json_t *profile_for(struct seccomp *seccomp, uint64_t capabilities) {
    const char *text = NULL;
    struct error err = {0};
    assert_int_equal(seccomp_get(seccomp, capabilities, &text, &err), 0);
    json_t *profile = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(profile);
    return profile;
}

static void debians_profile_follows_the_capabilities(void **state) {
    (void)state;
    struct seccomp *seccomp = seccomp_new(NULL);
    json_t *none = profile_for(seccomp, 0);
    json_t *some = profile_for(seccomp, UINT64_C(1) << CAP_SYS_ADMIN | UINT64_C(1) << CAP_SYS_TIME);
    assert_string_equal(action_of(none, "read"), "SCMP_ACT_ALLOW");
    assert_string_equal(action_of(none, "fanotify_init"), "SCMP_ACT_ERRNO");
    assert_string_equal(action_of(none, "settimeofday"), "SCMP_ACT_ERRNO");
    assert_string_equal(action_of(none, "no_such_call"), "SCMP_ACT_ERRNO");
    assert_string_equal(action_of(some, "fanotify_init"), "SCMP_ACT_ALLOW");
    assert_string_equal(action_of(some, "settimeofday"), "SCMP_ACT_ALLOW");
    assert_string_equal(action_of(some, "init_module"), "SCMP_ACT_ERRNO");
    assert_int_equal(json_array_size(json_object_get(none, "architectures")), 1);
    assert_int_equal(json_integer_value(json_object_get(none, "defaultErrnoRet")), 38);
    json_decref(none);
    json_decref(some);
    seccomp_free(seccomp);
}

static void a_set_of_capabilities_is_converted_once(void **state) {
    (void)state;
    struct seccomp *seccomp = seccomp_new(NULL);
    const char *first = NULL;
    const char *again = NULL;
    assert_int_equal(seccomp_get(seccomp, 7, &first, NULL), 0);
    assert_int_equal(seccomp_get(seccomp, 7, &again, NULL), 0);
    assert_ptr_equal(first, again);
    for (uint64_t i = 0; i < 200; i++) { // more than are kept
        assert_int_equal(seccomp_get(seccomp, i, &again, NULL), 0);
    }
    seccomp_free(seccomp);
}

static void what_is_no_profile_is_refused(void **state) {
    (void)state;
    static const char *const bad[] = {
        "",
        "{",
        "[]",
        "{}",
        "{\"defaultAction\": 1, \"syscalls\": []}",
        "{\"defaultAction\": \"SCMP_ACT_ERRNO\"}",
        "{\"defaultAction\": \"SCMP_ACT_ERRNO\", \"syscalls\": [{}]}",
        "{\"defaultAction\": \"SCMP_ACT_ERRNO\", \"syscalls\": [{\"names\": [1], \"action\": "
        "\"SCMP_ACT_ALLOW\"}]}",
        "{\"defaultAction\": \"SCMP_ACT_ERRNO\", \"syscalls\": [{\"names\": [\"read\"]}]}",
        "{\"defaultAction\": \"SCMP_ACT_ERRNO\", \"syscalls\": [{\"names\": [\"read\"], \"action\": \"A\", "
        "\"args\": [{}]}]}",
    };
    struct seccomp *seccomp = seccomp_new(path);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const char *text = NULL;
        struct error err = {0};
        char why[600];
        put(bad[i]);
        assert_int_equal(seccomp_get(seccomp, 0, &text, &err), -ERR_INVALID);
        assert_null(text);
        assert_non_null(strstr(error_text(&err, why, sizeof why), path));
    }
    put("{\"defaultAction\": \"SCMP_ACT_ERRNO\", \"syscalls\": [{\"names\": [\"read\"], \"action\": "
        "\"SCMP_ACT_ALLOW\"}]}");
    json_t *profile = profile_for(seccomp, 0); // repaired, it is read again
    assert_string_equal(action_of(profile, "read"), "SCMP_ACT_ALLOW");
    json_decref(profile);
    seccomp_free(seccomp);
}

static void an_absent_profile_is_named(void **state) {
    (void)state;
    struct seccomp *seccomp = seccomp_new("/nonexistent/profile");
    struct error err = {0};
    const char *text = NULL;
    char why[600];
    assert_int_equal(seccomp_get(seccomp, 0, &text, &err), -ERR_NOT_FOUND);
    assert_non_null(strstr(error_text(&err, why, sizeof why), "/nonexistent/profile"));
    seccomp_free(seccomp);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(debians_profile_follows_the_capabilities),
    cmocka_unit_test(a_set_of_capabilities_is_converted_once),
    cmocka_unit_test_setup_teardown(what_is_no_profile_is_refused, set_up, tear_down),
    cmocka_unit_test(an_absent_profile_is_named),
};
CHECK_MAIN(tests)
