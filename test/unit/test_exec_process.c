// SPDX-License-Identifier: Apache-2.0
//
// test/unit/test_exec_process.c — commands beside tasks: their ends, their streams under pressure, their
// terminals, and what becomes of them when nobody is there any more. A shell stands in for the container.
#include "reconciler/agent/exec_process.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "test/lib/check.h"

#define DEADLINE_MS 60000

struct seen {
    uv_loop_t loop;
    uv_timer_t timer; // so that a turn ends when nothing happens
    struct exec_process *process;
    struct buf output, errors;
    size_t taken; // of input
    bool is_over, refuses;
    int refusals;
    int exit_code;
    char message[200];
};

static bool on_output(void *context, bool is_stderr, struct bytes data) {
    struct seen *seen = context;
    assert_false(seen->is_over);
    if (seen->refuses) {
        seen->refusals++;
        return false;
    }
    buf_add(is_stderr ? &seen->errors : &seen->output, data.data, data.len);
    return true;
}

static void on_input(void *context, size_t bytes) {
    struct seen *seen = context;
    seen->taken += bytes;
}

static void on_end(void *context, int exit_code, const char *message) {
    struct seen *seen = context;
    assert_false(seen->is_over);
    seen->is_over = true;
    seen->exit_code = exit_code;
    str_copy(seen->message, sizeof seen->message, message);
}

static void on_timer(uv_timer_t *timer) {
    (void)timer;
}

static void begin(struct seen *seen, const char *script, bool is_tty, struct exec_plan plan) {
    const char *const argv[] = {"sh", "-c", script, NULL};
    struct error err = {0};
    *seen = (struct seen){0};
    uv_loop_init(&seen->loop);
    uv_timer_init(&seen->loop, &seen->timer);
    uv_timer_start(&seen->timer, on_timer, 20, 20);
    plan.argv = argv;
    struct exec_options options = {.loop = &seen->loop,
                                   .plan = &plan,
                                   .is_tty = is_tty,
                                   .has_input = true,
                                   .rows = 31,
                                   .columns = 77,
                                   .callbacks = {on_output, on_input, on_end},
                                   .context = seen};
    assert_int_equal(exec_process_start(&options, &seen->process, &err), 0);
    assert_int_equal(seen->output.len, 0); // nothing inside the call
}

static void end(struct seen *seen) {
    uv_close((uv_handle_t *)&seen->timer, NULL);
    uv_run(&seen->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&seen->loop), 0);
    buf_free(&seen->output);
    buf_free(&seen->errors);
}

#define AWAIT(seen, condition)                                                                               \
    do {                                                                                                     \
        int64_t until_ms_ = clock_mono_ms() + DEADLINE_MS;                                                   \
        while (!(condition)) {                                                                               \
            assert_true(clock_mono_ms() < until_ms_);                                                        \
            uv_run(&(seen)->loop, UV_RUN_ONCE);                                                              \
        }                                                                                                    \
    } while (0)

static int64_t pid_said(struct seen *seen) {
    AWAIT(seen, memchr(buf_text(&seen->output), '\n', seen->output.len) != NULL);
    AUTO_FREE char *line =
        xasprintf("%.*s", (int)strcspn(buf_text(&seen->output), "\r\n"), buf_text(&seen->output));
    int64_t pid;
    assert_true(str_to_int(line, &pid));
    return pid;
}

static void the_end_is_told_as_a_shell_does(void **state) {
    (void)state;
    static const struct {
        const char *script;
        int code;
    } rows[] = {{"exit 0", 0}, {"exit 7", 7}, {"kill -KILL $$", 137}, {"exit 255", 255}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct seen seen;
        begin(&seen, rows[i].script, false, (struct exec_plan){0});
        AWAIT(&seen, seen.is_over);
        assert_int_equal(seen.exit_code, rows[i].code);
        assert_string_equal(seen.message, "");
        end(&seen);
    }
}

static void both_streams_come_whole_and_apart(void **state) {
    (void)state;
    struct seen seen;
    begin(&seen, "echo out; echo err >&2; head -c 300000 /dev/zero", false, (struct exec_plan){0});
    AWAIT(&seen, seen.is_over);
    assert_int_equal(seen.output.len, 300004);
    assert_string_equal(buf_text(&seen.errors), "err\n");
    end(&seen);
}

static void input_arrives_in_its_order_and_is_told(void **state) {
    (void)state;
    struct seen seen;
    static char piece[30000];
    begin(&seen, "cat", false, (struct exec_plan){0});
    for (int i = 0; i < 40; i++) {
        memset(piece, 'a' + i % 26, sizeof piece);
        exec_process_write(seen.process, (struct bytes){(const uint8_t *)piece, sizeof piece});
    }
    exec_process_end_input(seen.process);
    AWAIT(&seen, seen.is_over);
    assert_int_equal(seen.taken, 40 * sizeof piece);
    assert_int_equal(seen.output.len, 40 * sizeof piece);
    for (size_t i = 0; i < seen.output.len; i++) {
        assert_int_equal(seen.output.data[i], 'a' + (int)(i / sizeof piece) % 26);
    }
    end(&seen);
}

static void a_command_that_does_not_read_ends_all_the_same(void **state) {
    (void)state;
    struct seen seen;
    static char piece[100000]; // more than a pipe holds
    begin(&seen, "exit 3", false, (struct exec_plan){0});
    exec_process_write(seen.process, (struct bytes){(const uint8_t *)piece, sizeof piece});
    exec_process_write(seen.process, (struct bytes){(const uint8_t *)piece, sizeof piece});
    AWAIT(&seen, seen.is_over);
    assert_int_equal(seen.exit_code, 3);
    end(&seen);
}

static void what_is_not_taken_waits(void **state) {
    (void)state;
    struct seen seen;
    begin(&seen, "head -c 1000000 /dev/zero; echo end", false, (struct exec_plan){0});
    seen.refuses = true;
    AWAIT(&seen, seen.refusals > 0);
    for (int i = 0; i < 3; i++) { // refused once more at each try, and nothing is read meanwhile
        int before = seen.refusals;
        exec_process_resume(seen.process);
        AWAIT(&seen, seen.refusals > before);
        assert_int_equal(seen.refusals, before + 1);
    }
    assert_int_equal(seen.output.len, 0);
    seen.refuses = false;
    exec_process_resume(seen.process);
    AWAIT(&seen, seen.is_over);
    assert_int_equal(seen.output.len, 1000004);
    end(&seen);
}

static void the_last_words_wait_too(void **state) {
    (void)state;
    struct seen seen;
    begin(&seen, "echo end", false, (struct exec_plan){0});
    seen.refuses = true;
    AWAIT(&seen, seen.refusals > 0);
    for (int i = 0; i < 20; i++) {
        uv_run(&seen.loop, UV_RUN_NOWAIT);
    }
    assert_false(seen.is_over);
    seen.refuses = false;
    exec_process_resume(seen.process);
    AWAIT(&seen, seen.is_over);
    assert_string_equal(buf_text(&seen.output), "end\n");
    end(&seen);
}

static void what_it_leaves_running_is_not_waited_for(void **state) {
    (void)state;
    struct seen seen;
    begin(&seen, "sleep 1000 & echo $!", false, (struct exec_plan){0});
    AWAIT(&seen, seen.is_over);
    int64_t pid = pid_said(&seen);
    assert_int_equal(kill((pid_t)pid, SIGKILL), 0);
    end(&seen);
}

static void a_terminal_has_a_size_that_changes(void **state) {
    (void)state;
    struct seen seen;
    begin(&seen, "stty size; trap 'stty size; exit 4' WINCH; echo ready; while :; do sleep 0.02; done", true,
          (struct exec_plan){0});
    AWAIT(&seen, strstr(buf_text(&seen.output), "ready") != NULL);
    assert_non_null(strstr(buf_text(&seen.output), "31 77"));
    exec_process_resize(seen.process, 50, 132);
    AWAIT(&seen, seen.is_over);
    assert_non_null(strstr(buf_text(&seen.output), "50 132"));
    assert_int_equal(seen.exit_code, 4);
    end(&seen);
}

static void a_terminal_takes_lines_and_an_interrupt(void **state) {
    (void)state;
    struct seen seen;
    begin(&seen,
          "trap 'echo interrupted; exit 9' INT; read line; echo got $line; while :; do sleep 0.02; done",
          true, (struct exec_plan){0});
    exec_process_write(seen.process, (struct bytes){(const uint8_t *)"word\r", 5});
    AWAIT(&seen, strstr(buf_text(&seen.output), "got word") != NULL);
    exec_process_write(seen.process, (struct bytes){(const uint8_t *)"\x03", 1});
    AWAIT(&seen, seen.is_over);
    assert_int_equal(seen.exit_code, 9);
    assert_non_null(strstr(buf_text(&seen.output), "interrupted"));
    end(&seen);
}

static void a_hangup_ends_it(void **state) {
    (void)state;
    for (int is_tty = 0; is_tty < 2; is_tty++) {
        struct seen seen;
        begin(&seen, "echo $$; exec sleep 1000", is_tty, (struct exec_plan){0});
        int64_t pid = pid_said(&seen);
        exec_process_hang_up(seen.process);
        end(&seen); // the loop has nothing left to wait for
        assert_false(seen.is_over);
        assert_int_equal(kill((pid_t)pid, 0), -1);
    }
}

static void who_is_deaf_to_a_hangup_is_killed(void **state) {
    (void)state;
    struct seen seen;
    begin(&seen, "trap '' HUP; echo $$; while :; do sleep 0.1; done", false, (struct exec_plan){0});
    int64_t pid = pid_said(&seen);
    exec_process_hang_up(seen.process);
    end(&seen);
    assert_int_equal(kill((pid_t)pid, 0), -1);
}

static void what_never_began_is_said_in_the_runtimes_words(void **state) {
    (void)state;
    static const struct {
        const char *script, *message;
        int code;
    } rows[] = {
        {"echo 'exec failed: unable to start container process: exec: \"x\": executable file not found in "
         "$PATH' >&2; "
         "exit 255",
         "exec: \"x\": executable file not found in $PATH", 127},
        {"echo 'exec failed: unable to start container process: exec: \"/etc\": permission denied' >&2; exit "
         "255",
         "exec: \"/etc\": permission denied", 126},
    };
    char file[] = "/tmp/muster-exec-test.XXXXXX";
    int fd = mkstemp(file);
    close(fd);
    for (size_t i = 0; i < 2; i++) {
        struct seen seen;
        unlink(file);
        begin(&seen, rows[i].script, false, (struct exec_plan){.pid_file = file});
        AWAIT(&seen, seen.is_over);
        assert_int_equal(seen.exit_code, rows[i].code);
        assert_string_equal(seen.message, rows[i].message);
        assert_int_equal(seen.errors.len, 0);
        end(&seen);
    }
    // Once the file is there, its words are the command's.
    struct seen seen;
    const char *script = xasprintf("echo early >&2; sleep 0.1; touch %s; exit 255", file);
    begin(&seen, script, false, (struct exec_plan){.pid_file = file});
    AWAIT(&seen, seen.is_over);
    assert_int_equal(seen.exit_code, 255);
    assert_string_equal(buf_text(&seen.errors), "early\n");
    assert_int_equal(access(file, F_OK), -1); // it goes afterwards
    end(&seen);
    xfree((void *)(uintptr_t)script);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(the_end_is_told_as_a_shell_does),
    cmocka_unit_test(both_streams_come_whole_and_apart),
    cmocka_unit_test(input_arrives_in_its_order_and_is_told),
    cmocka_unit_test(a_command_that_does_not_read_ends_all_the_same),
    cmocka_unit_test(what_is_not_taken_waits),
    cmocka_unit_test(the_last_words_wait_too),
    cmocka_unit_test(what_it_leaves_running_is_not_waited_for),
    cmocka_unit_test(a_terminal_has_a_size_that_changes),
    cmocka_unit_test(a_terminal_takes_lines_and_an_interrupt),
    cmocka_unit_test(a_hangup_ends_it),
    cmocka_unit_test(who_is_deaf_to_a_hangup_is_killed),
    cmocka_unit_test(what_never_began_is_said_in_the_runtimes_words),
};

int main(void) {
    signal(SIGPIPE, SIG_IGN); // as in the daemon
    return cmocka_run_group_tests_name("exec_process", tests, NULL, NULL);
}
