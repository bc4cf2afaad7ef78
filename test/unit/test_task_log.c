// SPDX-License-Identifier: Apache-2.0
//
// test/unit/test_task_log.c — logs are read as muster-shim wrote them: every line once, whatever rotates
// meanwhile.
//
// The writer is the shim's own; a plain list of what was written is the oracle.
#include "reconciler/agent/task_log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/prng.h"
#include "reconciler/agent/shim_log.c"
#include "reconciler/agent/shim_text.c"
#include "test/lib/check.h"
#include "test/lib/scratch.h"

static char dir[SCRATCH_BYTES], path[SCRATCH_BYTES + 24];

static int set_up(void **state) {
    (void)state;
    scratch_name(dir, sizeof dir, "task-log");
    int rc = mkdtemp(dir) == NULL;
    snprintf(path, sizeof path, "%s/log", dir);
    return rc;
}

static int tear_down(void **state) {
    (void)state;
    return fs_remove_tree(AT_FDCWD, dir, NULL);
}

static void put_at(const char *name, const char *text, int flags) {
    char at[100];
    snprintf(at, sizeof at, "%s/%s", dir, name);
    int fd = open(at, O_WRONLY | O_CREAT | flags, 0600);
    assert_true(fd >= 0);
    assert_int_equal(fs_write_all(fd, text, strlen(text)), 0);
    close(fd);
}

static struct task_log *open_log(int64_t tail, int64_t since_ns, int64_t until_ns) {
    struct task_log *log = NULL;
    struct error err = {0};
    struct task_log_options options = {path, tail, since_ns, until_ns};
    assert_int_equal(task_log_open(&options, &log, &err), 0);
    return log;
}

// The next line as "out|text" ("…" behind a partial one), or "END".
static const char *next(struct task_log *log) {
    static char out[80000];
    struct task_log_line line;
    struct error err = {0};
    int rc = task_log_next(log, &line, &err);
    if (rc == TASK_LOG_END) {
        return "END";
    }
    assert_int_equal(rc, 0);
    snprintf(out, sizeof out, "%s|%.*s%s", line.is_stderr ? "err" : "out", (int)line.text.len,
             (const char *)line.text.data, line.is_partial ? "..." : "");
    return out;
}

#define DAY "2026-01-31T12:00:0"

static void files_are_read_from_the_oldest(void **state) {
    (void)state;
    put_at("log.2", DAY "1.000000001Z stdout F one\n" DAY "1.000000002Z stderr F two\n", 0);
    put_at("log.1", DAY "2.000000000Z stdout P thr\n" DAY "2.000000001Z stdout F ee\n", 0);
    put_at("log", DAY "3.999999999Z stdout F \n", 0);
    struct task_log *log = open_log(-1, 0, 0);
    assert_string_equal(next(log), "out|one");
    assert_string_equal(next(log), "err|two");
    assert_string_equal(next(log), "out|thr...");
    assert_string_equal(next(log), "out|ee");
    assert_string_equal(next(log), "out|");
    assert_string_equal(next(log), "END");
    assert_string_equal(next(log), "END");
    put_at("log", DAY "4.000000000Z stderr F more\n", O_APPEND);
    assert_string_equal(next(log), "err|more");
    assert_string_equal(next(log), "END");
    task_log_close(log);
}

static void times_are_exact_and_bound(void **state) {
    (void)state;
    struct task_log_line line;
    put_at("log",
           "1970-01-01T00:00:01.000000000Z stdout F a\n"
           "1970-01-01T00:00:02.123456789Z stdout F b\n"
           "1970-01-01T00:00:03.000000000Z stdout F c\n",
           0);
    struct task_log *log = open_log(-1, 2123456789, 2123456789);
    assert_int_equal(task_log_next(log, &line, NULL), 0);
    assert_int_equal(line.time_unix_ns, 2123456789);
    assert_string_equal(next(log), "END");
    task_log_close(log);
    log = open_log(-1, 2123456790, 0);
    assert_string_equal(next(log), "out|c");
    task_log_close(log);
    log = open_log(1, 0, 2500000000); // the last line that is not later
    assert_string_equal(next(log), "out|b");
    assert_string_equal(next(log), "END");
    task_log_close(log);
}

static void what_is_not_a_record_is_shown_as_it_is(void **state) {
    (void)state;
    put_at("log",
           DAY "1.000000000Z stdout F good\n\njunk\n" DAY "1.00000000xZ stdout F bad stamp\n" DAY
               "1.000000000Z stdlog F bad stream\n2026-13-31T12:00:01.000000000Z stdout F bad month\n" DAY
               "1.000000000Z stdout X bad tag\n" DAY "2.000000000Z stderr F good again\n",
           0);
    struct task_log *log = open_log(-1, 0, 0);
    const char *const expected[] = {"out|good",
                                    "out|",
                                    "out|junk",
                                    "out|" DAY "1.00000000xZ stdout F bad stamp",
                                    "out|" DAY "1.000000000Z stdlog F bad stream",
                                    "out|2026-13-31T12:00:01.000000000Z stdout F bad month",
                                    "out|" DAY "1.000000000Z stdout X bad tag",
                                    "err|good again",
                                    "END"};
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        assert_string_equal(next(log), expected[i]);
    }
    task_log_close(log);
}

static void a_line_without_end_comes_in_pieces(void **state) {
    (void)state;
    AUTO_BUF text = {0};
    buf_pad(&text, 'x', 150000);
    buf_adds(&text, "\n" DAY "1.000000000Z stdout F after\n");
    put_at("log", buf_text(&text), 0);
    struct task_log *log = open_log(-1, 0, 0);
    size_t got = 0;
    for (const char *line; strstr(line = next(log), "after") == NULL;) {
        assert_string_not_equal(line, "END");
        got += strspn(line + 4, "x");
    }
    assert_int_equal(got, 150000);
    task_log_close(log);
}

static void a_record_that_is_not_whole_waits(void **state) {
    (void)state;
    put_at("log", DAY "1.000000000Z stdout F a\n" DAY "9.000000000Z stdout F torn", 0);
    struct task_log *log = open_log(-1, 0, 0);
    assert_string_equal(next(log), "out|a");
    assert_string_equal(next(log), "END");
    assert_int_equal(truncate(path, 42), 0); // the shim takes back what a full disk cut
    assert_string_equal(next(log), "END");
    put_at("log", DAY "1.000000000Z stderr F b", O_APPEND);
    assert_string_equal(next(log), "END");
    put_at("log", "c\n", O_APPEND);
    assert_string_equal(next(log), "err|bc");
    task_log_close(log);
}

static void an_absent_log_is_empty_until_it_appears(void **state) {
    (void)state;
    struct task_log *log = open_log(10, 0, 0);
    assert_string_equal(next(log), "END");
    put_at("log", DAY "1.000000000Z stdout F a\n", 0);
    assert_string_equal(next(log), "out|a");
    assert_string_equal(next(log), "END");
    task_log_close(log);
}

static void what_is_no_file_is_refused(void **state) {
    (void)state;
    struct task_log *log = NULL;
    struct error err = {0};
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(task_log_open(&(struct task_log_options){path, -1, 0, 0}, &log, &err), -ERR_INVALID);
    rmdir(path);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(task_log_open(&(struct task_log_options){path, -1, 0, 0}, &log, &err), -ERR_INVALID);
    unlink(path);
    assert_int_equal(symlink("/etc/passwd", path), 0); // never followed
    assert_int_equal(task_log_open(&(struct task_log_options){path, -1, 0, 0}, &log, &err), -ERR_SYSTEM);
}

static void opening_begins_amid_a_rotation(void **state) {
    (void)state;
    put_at("log.1", DAY "1.000000000Z stdout F a\n", 0); // FILE is not there at this moment
    struct task_log *log = open_log(-1, 0, 0);
    assert_string_equal(next(log), "out|a");
    assert_string_equal(next(log), "END");
    put_at("log", DAY "2.000000000Z stdout F b\n", 0);
    assert_string_equal(next(log), "out|b");
    task_log_close(log);
}

// --- against the shim's own writer ---

struct writer {
    struct shim_log log;
    struct shim_log_stream stream;
    int pipe;
    int64_t lines;
};

static struct writer *writer_new(uint64_t max_bytes, unsigned files) {
    struct writer *writer = NEW(struct writer);
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    shim_log_init(&writer->log, path, max_bytes, files);
    writer->stream.fd = ends[0];
    writer->stream.name = "stdout";
    writer->pipe = ends[1];
    return writer;
}

// One line, its number and some text.
static void write_line(struct writer *writer, struct prng *prng) {
    char line[400];
    int len = snprintf(line, sizeof line, "%lld ", (long long)writer->lines++);
    size_t more = (size_t)prng_below(prng, 300);
    memset(line + len, 'x', more);
    line[(size_t)len + more] = '\n';
    assert_int_equal(fs_write_all(writer->pipe, line, (size_t)len + more + 1), 0);
    assert_true(shim_log_take(&writer->log, &writer->stream));
}

static void writer_free(struct writer *writer) {
    close(writer->pipe);
    shim_log_end(&writer->log, &writer->stream);
    shim_log_finish(&writer->log);
    close(writer->log.fd);
    xfree(writer);
}

static int64_t number_in(const char *line) {
    long long number = -1;
    assert_int_equal(sscanf(line, "out|%lld ", &number), 1);
    return number;
}

static void following_neither_loses_nor_doubles(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct prng prng;
        prng_seed(&prng, seed);
        struct writer *writer = writer_new(2000, 6);
        struct task_log *log = open_log(-1, 0, 0);
        int64_t expected = 0;
        while (expected < 1500) {
            // At most what five files hold, so that nothing is deleted before it can be read.
            for (uint64_t i = prng_below(&prng, 25); i > 0; i--) {
                write_line(writer, &prng);
            }
            bool reads_all = writer->lines - expected > 20;
            for (uint64_t i = prng_below(&prng, 30); i > 0 || reads_all; i -= i > 0) {
                const char *line = next(log);
                if (strcmp(line, "END") == 0) {
                    assert_int_equal(expected, writer->lines);
                    break;
                }
                assert_int_equal(number_in(line), expected);
                expected++;
            }
        }
        task_log_close(log);
        writer_free(writer);
        assert_int_equal(fs_remove_tree(AT_FDCWD, dir, NULL), 0);
        assert_int_equal(mkdir(dir, 0700), 0);
    }
}

static void a_reader_left_behind_goes_on_with_what_there_is(void **state) {
    (void)state;
    struct prng prng;
    prng_seed(&prng, 1);
    struct writer *writer = writer_new(2000, 3);
    struct task_log *log = open_log(-1, 0, 0);
    write_line(writer, &prng);
    assert_int_equal(number_in(next(log)), 0);
    for (int i = 0; i < 500; i++) {
        write_line(writer, &prng);
    }
    int64_t last = 0;
    for (const char *line; strcmp(line = next(log), "END") != 0;) {
        assert_true(number_in(line) > last);
        last = number_in(line);
    }
    assert_int_equal(last, 500);
    task_log_close(log);
    writer_free(writer);
}

static void the_last_lines_are_the_last(void **state) {
    (void)state;
    struct prng prng;
    prng_seed(&prng, 3);
    struct writer *writer = writer_new(100000, 4);
    for (int i = 0; i < 2500; i++) {
        write_line(writer, &prng);
    }
    struct task_log *log = open_log(-1, 0, 0);
    int64_t first = number_in(next(log)); // older ones were rotated away
    task_log_close(log);
    assert_true(first > 0 && first < 2000);
    for (int64_t tail = 0; tail < 2500; tail = tail < 20 ? tail + 1 : tail * 2) {
        log = open_log(tail, 0, 0);
        int64_t expected = 2500 - tail > first ? 2500 - tail : first;
        for (const char *line; strcmp(line = next(log), "END") != 0; expected++) {
            assert_int_equal(number_in(line), expected);
        }
        assert_int_equal(expected, 2500);
        write_line(writer, &prng); // and on from there
        assert_int_equal(number_in(next(log)), 2500);
        task_log_close(log);
        writer->lines = 2500;
        // Taken back, so that every tail sees the same.
        struct stat status;
        assert_int_equal(stat(path, &status), 0);
        AUTO_BUF all = {0};
        assert_int_equal(fs_read(AT_FDCWD, path, 1000000, &all, NULL), 0);
        size_t at = all.len - 1;
        while (at > 0 && all.data[at - 1] != '\n') {
            at--;
        }
        assert_int_equal(truncate(path, (off_t)at), 0);
        writer->log.size = at;
    }
    writer_free(writer);
}

static void pieces_of_a_line_count_once(void **state) {
    (void)state;
    put_at("log",
           DAY "1.000000000Z stdout F a\n" DAY "1.000000000Z stdout P b\n" DAY "1.000000000Z stdout P c\n" DAY
               "1.000000000Z stdout F d\n" DAY "1.000000000Z stderr P e\n",
           0);
    struct task_log *log = open_log(2, 0, 0); // bcd, and e that nothing has ended yet
    assert_string_equal(next(log), "out|b...");
    assert_string_equal(next(log), "out|c...");
    assert_string_equal(next(log), "out|d");
    assert_string_equal(next(log), "err|e...");
    assert_string_equal(next(log), "END");
    task_log_close(log);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(files_are_read_from_the_oldest),
        TEST(times_are_exact_and_bound),
        TEST(what_is_not_a_record_is_shown_as_it_is),
        TEST(a_line_without_end_comes_in_pieces),
        TEST(a_record_that_is_not_whole_waits),
        TEST(an_absent_log_is_empty_until_it_appears),
        TEST(what_is_no_file_is_refused),
        TEST(opening_begins_amid_a_rotation),
        TEST(following_neither_loses_nor_doubles),
        TEST(a_reader_left_behind_goes_on_with_what_there_is),
        TEST(the_last_lines_are_the_last),
        TEST(pieces_of_a_line_count_once),
#undef TEST
    };
    return cmocka_run_group_tests_name(__FILE__, tests, NULL, NULL);
}
