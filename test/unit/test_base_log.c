// SPDX-License-Identifier: Apache-2.0
//
// test/unit/test_base_log.c — lines, limits, full pipes.
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "test/lib/check.h"

static int ends[2];
static char got[70000];

static int set_up(void **state) {
    (void)state;
    return pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0;
}

static int tear_down(void **state) {
    (void)state;
    log_configure(&(struct log_options){.level = LOG_INFO, .fd = STDERR_FILENO});
    return close(ends[0]) != 0 || close(ends[1]) != 0;
}

static void log_to_pipe(bool json) {
    log_configure(&(struct log_options){.level = LOG_INFO, .json = json, .fd = ends[1]});
}

// What was written since the last call.
static const char *written(void) {
    size_t len = 0;
    for (ssize_t n; (n = read(ends[0], got + len, sizeof got - 1 - len)) > 0;) {
        len += (size_t)n;
    }
    got[len] = '\0';
    return got;
}

// The line without its time.
static const char *written_after_time(void) {
    const char *text = written();
    assert_true(strlen(text) > 25);
    assert_int_equal(text[23], 'Z');
    return text + 25;
}

static void a_line_is_logfmt(void **state) {
    (void)state;
    log_to_pipe(false);
    log_event(LOG_INFO, "task.state", LOG_STR("task", "3x9"), LOG_STR("to", "running"), LOG_INT("pid", 4711),
              LOG_BOOL("new", true));
    assert_string_equal(written_after_time(), "info task.state task=3x9 to=running pid=4711 new=true\n");
    log_event(LOG_WARN, "odd.values", LOG_STR("a", "two words"), LOG_STR("b", ""), LOG_STR("c", NULL),
              LOG_STR("d", "x\"y\\z"), LOG_STR("e", "\x1b[2J\n"), LOG_STR("f", "é"),
              LOG_STR("g", "\xC2\x9B"));
    assert_string_equal(written_after_time(),
                        "warn odd.values a=\"two words\" b=\"\" c=\"\" d=\"x\\\"y\\\\z\" "
                        "e=\"\\\\x1B[2J\\\\x0A\" f=\"é\" g=\"\\\\u{009B}\"\n");
    log_event(LOG_DEBUG, "not.shown", LOG_NONE);
    assert_string_equal(written(), "");
}

static void a_line_is_json(void **state) {
    (void)state;
    log_to_pipe(true);
    log_event(LOG_ERROR, "json.line", LOG_STR("a", "\x1b\"\\\xFF é"), LOG_INT("n", -5), LOG_BOOL("b", false));
    json_error_t problem;
    json_t *line = json_loads(written(), 0, &problem);
    assert_non_null(line);
    assert_string_equal(json_string_value(json_object_get(line, "level")), "error");
    assert_string_equal(json_string_value(json_object_get(line, "event")), "json.line");
    assert_string_equal(json_string_value(json_object_get(line, "a")), "\\x1B\"\\\\xFF é");
    assert_int_equal(json_integer_value(json_object_get(line, "n")), -5);
    assert_true(json_is_false(json_object_get(line, "b")));
    json_decref(line);
}

static void a_long_value_is_cut_and_the_line_whole(void **state) {
    (void)state;
    static char huge[20000];
    memset(huge, '"', sizeof huge - 1); // each one is escaped
    for (int json = 0; json < 2; json++) {
        log_to_pipe(json != 0);
        log_event(LOG_INFO, json != 0 ? "long.json" : "long.logfmt", LOG_STR("value", huge),
                  LOG_STR("after", "lost"));
        const char *text = written();
        size_t len = strlen(text);
        assert_in_range(len, 3000, 4096);
        assert_int_equal(text[len - 1], '\n');
        assert_non_null(strstr(text, "…\""));
        if (json != 0) {
            json_t *line = json_loads(text, 0, NULL);
            assert_non_null(line);
            json_decref(line);
        }
    }
}

static void an_error_is_told_whole(void **state) {
    (void)state;
    log_to_pipe(false);
    struct error err = {0};
    error_wrap(&err, error_set(&err, ERR_INVALID, "root cause"), "frame");
    errno = EPIPE;
    log_failure(LOG_ERROR, "it.failed", &err, LOG_STR("task", "3x9"));
    assert_int_equal(errno, EPIPE);
    assert_string_equal(written_after_time(), "error it.failed task=3x9 error=\"frame: root cause\"\n");
}

static size_t lines_of(const char *text) {
    size_t count = 0;
    for (; *text != '\0'; text++) {
        count += *text == '\n';
    }
    return count;
}

static void a_repeating_event_is_limited_and_counted(void **state) {
    (void)state;
    log_to_pipe(false);
    // However slow the machine, some second sees more than its share.
    for (int i = 0; i < 400; i++) {
        log_event(LOG_INFO, "storm", LOG_INT("i", i));
    }
    size_t lines = lines_of(written());
    assert_in_range(lines, 50, 399);
    log_event(LOG_INFO, "another", LOG_NONE);
    assert_int_equal(lines_of(written()), 1);
}

static void a_full_pipe_drops_and_counts(void **state) {
    (void)state;
    log_to_pipe(false);
    char block[4096] = {0};
    while (write(ends[1], block, sizeof block) > 0) {
    }
    assert_int_equal(fcntl(ends[1], F_SETFL, 0), 0); // now a write that does not fit would block for ever
    alarm(30);
    log_event(LOG_INFO, "dropped.one", LOG_NONE);
    log_event(LOG_INFO, "dropped.two", LOG_NONE);
    alarm(0);
    while (read(ends[0], block, sizeof block) > 0) {
    }
    log_event(LOG_INFO, "seen", LOG_NONE);
    assert_string_equal(written_after_time(), "info seen dropped=2\n");
    log_event(LOG_INFO, "seen", LOG_NONE);
    assert_string_equal(written_after_time(), "info seen\n");
}

static void the_last_lines_are_kept(void **state) {
    (void)state;
    log_to_pipe(false);
    char event[32];
    for (int i = 0; i < 70; i++) {
        snprintf(event, sizeof event, "ring.%d", i);
        log_event(LOG_INFO, event, LOG_NONE);
    }
    written();
    log_dump_recent(ends[1]);
    const char *text = written();
    assert_int_equal(lines_of(text), 64);
    assert_null(strstr(text, "ring.5\n"));
    assert_non_null(strstr(text, "ring.6\n"));
    assert_non_null(strstr(text, "ring.69\n"));
}

static void levels_have_names(void **state) {
    (void)state;
    enum log_level level = LOG_ERROR;
    assert_true(log_parse_level("debug", &level));
    assert_int_equal(level, LOG_DEBUG);
    assert_false(log_parse_level("loud", &level));
    assert_int_equal(level, LOG_DEBUG);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(a_line_is_logfmt, set_up, tear_down),
    cmocka_unit_test_setup_teardown(a_line_is_json, set_up, tear_down),
    cmocka_unit_test_setup_teardown(a_long_value_is_cut_and_the_line_whole, set_up, tear_down),
    cmocka_unit_test_setup_teardown(an_error_is_told_whole, set_up, tear_down),
    cmocka_unit_test_setup_teardown(a_repeating_event_is_limited_and_counted, set_up, tear_down),
    cmocka_unit_test_setup_teardown(a_full_pipe_drops_and_counts, set_up, tear_down),
    cmocka_unit_test_setup_teardown(the_last_lines_are_kept, set_up, tear_down),
    cmocka_unit_test_setup_teardown(levels_have_names, set_up, tear_down),
};
CHECK_MAIN(tests)
