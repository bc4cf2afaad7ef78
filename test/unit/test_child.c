// SPDX-License-Identifier: Apache-2.0
//
// test/unit/test_child.c — helper programs: how they end, what is kept of their words, what dies with them.
#include "reconciler/agent/child.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/str.h"
#include "test/lib/check.h"

struct seen {
    int count;
    struct child_result result;
    char *output, *errors;
    struct child *child;
};

static void on_done(void *context, const struct child_result *result) {
    struct seen *seen = context;
    seen->count++;
    seen->result = *result;
    seen->output = xstrdup(result->output);
    seen->errors = xstrdup(result->errors);
    child_kill(seen->child); // the handle lives until we return
}

static void forget(struct seen *seen) {
    xfree(seen->output);
    xfree(seen->errors);
    *seen = (struct seen){0};
}

// Runs a shell's script to its end.
static struct seen run_options(struct child_options options, const char *script) {
    const char *argv[] = {"sh", "-c", script, NULL};
    struct seen seen = {0};
    struct error err = {0};
    uv_loop_t loop;
    uv_loop_init(&loop);
    options.loop = &loop;
    options.argv = argv;
    options.on_done = on_done;
    options.context = &seen;
    assert_int_equal(child_start(&options, &seen.child, &err), 0);
    assert_int_equal(seen.count, 0); // never inside the call
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(seen.count, 1);
    assert_int_equal(uv_loop_close(&loop), 0);
    return seen;
}

static struct seen run(const char *script) {
    return run_options((struct child_options){.output_bytes_max = 4096}, script);
}

static void an_exit_code_and_both_streams_are_told(void **state) {
    (void)state;
    struct seen seen = run("echo out; echo err >&2; exit 3");
    assert_int_equal(seen.result.exit_code, 3);
    assert_int_equal(seen.result.signal, 0);
    assert_false(seen.result.is_timeout);
    assert_string_equal(seen.output, "out\n");
    assert_string_equal(seen.errors, "err\n");
    forget(&seen);
}

static void a_signal_is_told_and_is_no_exit_code(void **state) {
    (void)state;
    struct seen seen = run("kill -TERM $$");
    assert_int_equal(seen.result.exit_code, -1);
    assert_int_equal(seen.result.signal, SIGTERM);
    assert_string_equal(seen.output, "");
    forget(&seen);
}

static void the_newest_bytes_are_kept(void **state) {
    (void)state;
    struct seen seen =
        run_options((struct child_options){.output_bytes_max = 100},
                    "i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done; printf end");
    assert_int_equal(seen.result.exit_code, 0);
    assert_int_equal(strlen(seen.output), 100);
    assert_true(str_ends(seen.output, "line 19998\nline 19999\nend"));
    forget(&seen);
}

static void output_that_nobody_wants_does_not_stop_it(void **state) {
    (void)state;
    struct seen seen = run_options((struct child_options){0}, "dd if=/dev/zero bs=65536 count=16 2>&1");
    assert_int_equal(seen.result.exit_code, 0);
    assert_string_equal(seen.output, "");
    forget(&seen);
}

static void what_was_written_just_before_the_end_is_all_there(void **state) {
    (void)state;
    struct seen seen = run_options((struct child_options){.output_bytes_max = 1 << 20},
                                   "dd if=/dev/zero bs=60000 count=1 2>/dev/null | tr '\\0' x");
    assert_int_equal(strlen(seen.output), 60000);
    forget(&seen);
}

static bool is_alive(pid_t pid) {
    if (kill(pid, 0) != 0) {
        return false;
    }
    char path[64];
    char text[256] = "";
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    FILE *file = fopen(path, "re");
    if (file != NULL) {
        size_t got = fread(text, 1, sizeof text - 1, file);
        text[got] = '\0';
        fclose(file);
    }
    const char *paren = strrchr(text, ')');
    return paren != NULL && paren[2] != 'Z' && paren[2] != 'X';
}

// The pid in a line of output.
static pid_t pid_in(char *line) {
    int64_t pid = 0;
    line[strcspn(line, "\n")] = '\0';
    assert_true(str_to_int(line, &pid));
    return (pid_t)pid;
}

// Orphans come to us (main made us their reaper): waits for this one, which must have been killed.
static void expect_killed(pid_t pid) {
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void the_deadline_kills_it_and_all_it_started(void **state) {
    (void)state;
    struct seen seen = run_options((struct child_options){.output_bytes_max = 4096, .deadline_ms = 200},
                                   "trap '' TERM INT HUP; sleep 1000 & echo $!; wait");
    assert_true(seen.result.is_timeout);
    assert_int_equal(seen.result.exit_code, -1);
    assert_int_equal(seen.result.signal, SIGKILL);
    expect_killed(pid_in(seen.output));
    forget(&seen);
}

static void on_started(uv_timer_t *timer) {
    child_kill(timer->data);
    uv_close((uv_handle_t *)timer, NULL);
}

static void a_killed_child_is_reported_once(void **state) {
    (void)state;
    const char *argv[] = {"sleep", "1000", NULL};
    struct seen seen = {0};
    uv_loop_t loop;
    uv_timer_t timer;
    uv_loop_init(&loop);
    struct child_options options = {.loop = &loop, .argv = argv, .on_done = on_done, .context = &seen};
    assert_int_equal(child_start(&options, &seen.child, NULL), 0);
    uv_timer_init(&loop, &timer);
    timer.data = seen.child;
    uv_timer_start(&timer, on_started, 0, 0);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(seen.count, 1);
    assert_int_equal(seen.result.signal, SIGKILL);
    assert_false(seen.result.is_timeout);
    assert_int_equal(uv_loop_close(&loop), 0);
    forget(&seen);
}

static void what_it_leaves_running_is_not_waited_for(void **state) {
    (void)state;
    struct seen seen = run("sleep 1000 & echo $!");
    pid_t pid = pid_in(seen.output);
    assert_int_equal(seen.result.exit_code, 0);
    assert_true(is_alive(pid));
    kill(pid, SIGKILL);
    expect_killed(pid);
    forget(&seen);
}

static void a_program_that_is_not_there_is_told_at_once(void **state) {
    (void)state;
    const char *argv[] = {"muster-no-such-program", NULL};
    struct seen seen = {0};
    struct error err = {0};
    uv_loop_t loop;
    uv_loop_init(&loop);
    struct child_options options = {.loop = &loop, .argv = argv, .on_done = on_done, .context = &seen};
    assert_int_equal(child_start(&options, &seen.child, &err), -ERR_NOT_FOUND);
    assert_string_equal(err.root, "start muster-no-such-program: no such program");
    argv[0] = "/etc/passwd";
    assert_int_equal(child_start(&options, &seen.child, &err), -ERR_SYSTEM);
    assert_string_equal(err.root, "start /etc/passwd: execute it: Permission denied");
    argv[0] = "true";
    options.directory = "/nowhere";
    assert_int_equal(child_start(&options, &seen.child, &err), -ERR_SYSTEM);
    assert_string_equal(err.root, "start true: enter the directory /nowhere: No such file or directory");
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(seen.count, 0);
    assert_int_equal(uv_loop_close(&loop), 0);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); // nothing was left unreaped
}

static void no_descriptor_and_no_signal_setting_is_inherited(void **state) {
    (void)state;
    int leaked = open("/dev/null", O_RDONLY);
    sigset_t blocked;
    sigset_t before;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR1);
    sigprocmask(SIG_BLOCK, &blocked, &before);
    signal(SIGPIPE, SIG_IGN);
    struct seen seen = run("ls /proc/self/fd | wc -l; sed -nE 's/Sig(Blk|Ign):.*(.{7})$/\\1 \\2/p' "
                           "/proc/self/status; readlink /proc/self/fd/0");
    signal(SIGPIPE, SIG_DFL);
    sigprocmask(SIG_SETMASK, &before, NULL);
    close(leaked);
    // ls has its own
    assert_string_equal(seen.output, "4\nBlk 0000000\nIgn 0000000\n/dev/null\n");
    forget(&seen);
}

static void it_leads_a_session_starts_where_told_and_may_be_nice(void **state) {
    (void)state;
    struct seen seen = run_options(
        (struct child_options){.output_bytes_max = 4096, .directory = "/proc", .is_low_priority = true},
        "pwd; nice; set -- $(cat /proc/$$/stat); [ $5 = $$ ] && [ $6 = $$ ] && echo leads; ionice -p $$");
    assert_string_equal(seen.output, "/proc\n10\nleads\nidle\n");
    forget(&seen);
}

// A parent of its own, which is killed: the child must go too, when it was asked to.
static void it_dies_with_us_if_told(void **state) {
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t parent = fork();
    if (parent == 0) {
        const char *argv[] = {"sleep", "1000", NULL};
        struct seen seen = {0};
        uv_loop_t loop;
        uv_loop_init(&loop);
        struct child_options options = {
            .loop = &loop, .argv = argv, .on_done = on_done, .context = &seen, .dies_with_us = true};
        child_start(&options, &seen.child, NULL);
        ssize_t put = write(ends[1], "x", 1);
        (void)put;
        uv_run(&loop, UV_RUN_DEFAULT);
        _exit(0);
    }
    char byte;
    assert_int_equal(read(ends[0], &byte, 1), 1);
    kill(parent, SIGKILL);
    assert_int_equal(waitpid(parent, NULL, 0), parent);
    int status;
    assert_true(waitpid(-1, &status, 0) > 0); // the child came to us, dead
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    close(ends[0]);
    close(ends[1]);
}

int main(void) {
    prctl(PR_SET_CHILD_SUBREAPER, 1L, 0L, 0L, 0L);
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_exit_code_and_both_streams_are_told),
        cmocka_unit_test(a_signal_is_told_and_is_no_exit_code),
        cmocka_unit_test(the_newest_bytes_are_kept),
        cmocka_unit_test(output_that_nobody_wants_does_not_stop_it),
        cmocka_unit_test(what_was_written_just_before_the_end_is_all_there),
        cmocka_unit_test(the_deadline_kills_it_and_all_it_started),
        cmocka_unit_test(a_killed_child_is_reported_once),
        cmocka_unit_test(what_it_leaves_running_is_not_waited_for),
        cmocka_unit_test(a_program_that_is_not_there_is_told_at_once),
        cmocka_unit_test(no_descriptor_and_no_signal_setting_is_inherited),
        cmocka_unit_test(it_leads_a_session_starts_where_told_and_may_be_nice),
        cmocka_unit_test(it_dies_with_us_if_told),
    };
    return cmocka_run_group_tests_name(__FILE__, tests, NULL, NULL);
}
