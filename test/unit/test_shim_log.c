// SPDX-License-Identifier: Apache-2.0
//
// test/unit/test_shim_log.c — what muster-shim makes of bytes: log records, runc's errors, a cgroup's counts.
//
// The shim is linked into nothing else, so its sources are included here: that puts them under the
// sanitizers. The program as a whole is tested by test/e2e/shim.bats.
#include "reconciler/agent/shim_child.c"
#include "reconciler/agent/shim_file.c"
#include "reconciler/agent/shim_log.c"
#include "reconciler/agent/shim_runc.c"
#include "reconciler/agent/shim_text.c"

#include <inttypes.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "base/buf.h"
#include "base/fs.h"
#include "base/prng.h"
#include "test/lib/check.h"
#include "test/lib/scratch.h"

enum { PIPE_BYTES = 60000 };

// A log in a directory of its own, with both pipes. Too large for a stack.
static struct fixture {
    char dir[SCRATCH_BYTES];
    char path[SCRATCH_BYTES + 8];
    int write_ends[2];
    struct shim_log_stream streams[2];
    struct shim_log log;
} the;

static void begin(uint64_t max_bytes, unsigned files) {
    the = (struct fixture){0};
    scratch_name(the.dir, sizeof the.dir, "shim-log");
    assert_non_null(mkdtemp(the.dir));
    (void)snprintf(the.path, sizeof the.path, "%s/log", the.dir);
    shim_log_init(&the.log, the.path, max_bytes, files);
    for (int i = 0; i < 2; i++) {
        int ends[2];
        assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
        the.streams[i] = (struct shim_log_stream){.fd = ends[0], .name = i == 0 ? "stdout" : "stderr"};
        the.write_ends[i] = ends[1];
    }
}

static void print(int stream, const char *data, size_t len) {
    while (len > 0) {
        size_t part = len < PIPE_BYTES ? len : PIPE_BYTES;
        assert_int_equal(write(the.write_ends[stream], data, part), part);
        while (shim_log_take(&the.log, &the.streams[stream])) {
        }
        data += part;
        len -= part;
    }
}

static void print_line(int stream, const char *text) {
    print(stream, text, strlen(text));
    print(stream, "\n", 1);
}

static void end_printing(void) {
    for (int i = 0; i < 2; i++) {
        close(the.write_ends[i]);
        while (shim_log_take(&the.log, &the.streams[i])) {
        }
        assert_int_equal(the.streams[i].fd, -1);
    }
    shim_log_finish(&the.log);
}

static void clean_up(void) {
    struct error err;
    if (the.log.fd >= 0) {
        close(the.log.fd);
    }
    assert_int_equal(fs_remove_tree(AT_FDCWD, the.dir, &err), 0);
}

// All files of the log behind one another, oldest first.
static void read_log(struct buf *out, uint64_t *longest_file) {
    struct error err;
    for (unsigned number = the.log.files; number-- > 0;) {
        char path[SHIM_LOG_PATH_MAX + 16];
        AUTO_BUF file = {0};
        path_of(&the.log, number, path);
        if (access(path, F_OK) != 0) {
            continue;
        }
        assert_int_equal(fs_read(AT_FDCWD, path, 64U << 20, &file, &err), 0);
        buf_add(out, file.data, file.len);
        *longest_file = file.len > *longest_file ? file.len : *longest_file;
    }
}

// Splits a record; returns the one behind it.
static const char *parse(const char *record, int *stream, char *tag, const char **text, size_t *len) {
    const char *end = strchr(record, '\n');
    assert_non_null(end);
    assert_int_equal(record[STAMP_LEN - 1], 'Z');
    assert_true(memcmp(record + STAMP_LEN, " stdout ", 8) == 0 ||
                memcmp(record + STAMP_LEN, " stderr ", 8) == 0);
    *stream = record[STAMP_LEN + 4] == 'e'; // std(e)rr
    *tag = record[STAMP_LEN + 8];
    assert_true(*tag == 'F' || *tag == 'P');
    assert_int_equal(record[STAMP_LEN + 9], ' ');
    *text = record + STAMP_LEN + 10;
    *len = (size_t)(end - *text);
    return end + 1;
}

// What the container had printed to a stream, by its log.
static void printed_of(const struct buf *log, int stream, struct buf *out) {
    for (const char *at = log->data; at < log->data + log->len;) {
        int of;
        char tag;
        const char *text;
        size_t len;
        at = parse(at, &of, &tag, &text, &len);
        assert_true(len <= SHIM_LOG_PIECE_BYTES);
        if (of == stream) {
            buf_add(out, text, len);
            buf_add(out, "\n", tag == 'F');
        }
    }
}

// Lines around the sizes where something changes, and many short ones.
static void make_lines(struct prng *prng, size_t bytes, struct buf *out) {
    static const size_t sizes[] = {0,     1,     16383, 16384, 16385, 24574, 24575,
                                   24576, 24577, 32767, 32768, 32769, 49152, 100000};
    while (out->len < bytes) {
        bool is_odd = prng_below(prng, 40) == 0;
        size_t len =
            is_odd ? sizes[prng_below(prng, sizeof sizes / sizeof sizes[0])] : (size_t)prng_below(prng, 200);
        for (size_t i = 0; i < len; i++) {
            buf_addc(out, (char)('a' + (out->len + i) % 26));
        }
        buf_addc(out, '\n');
    }
    out->len -= (size_t)prng_below(prng, 3); // now and then the last line has no end
}

static void however_output_is_cut_the_log_holds_it(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct prng prng;
        struct buf input[2] = {{0}};
        AUTO_BUF log = {0};
        size_t done[2] = {0};
        uint64_t longest_file = 0;
        prng_seed(&prng, seed);
        begin(UINT64_MAX, 2);
        make_lines(&prng, 500000, &input[0]);
        make_lines(&prng, 100000, &input[1]);
        while (done[0] < input[0].len || done[1] < input[1].len) {
            int i = (int)prng_below(&prng, 2);
            size_t part = 1 + (size_t)prng_below(&prng, prng_below(&prng, 3) == 0 ? PIPE_BYTES : 300);
            part = part < input[i].len - done[i] ? part : input[i].len - done[i];
            print(i, input[i].data + done[i], part);
            done[i] += part;
        }
        end_printing();
        read_log(&log, &longest_file);
        for (int i = 0; i < 2; i++) {
            AUTO_BUF printed = {0};
            printed_of(&log, i, &printed);
            assert_int_equal(printed.len, input[i].len);
            assert_memory_equal(printed.data, input[i].data, printed.len);
        }
        assert_int_equal(the.log.lost_lines_total, 0);
        buf_free(&input[0]);
        buf_free(&input[1]);
        clean_up();
    }
}

static void rotation_keeps_the_newest_within_its_limits(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 30; seed++) {
        struct prng prng;
        AUTO_BUF input = {0};
        AUTO_BUF log = {0};
        AUTO_BUF printed = {0};
        uint64_t longest_file = 0;
        prng_seed(&prng, seed);
        uint64_t max_bytes = 20000 + prng_below(&prng, 60000);
        unsigned files = 1 + (unsigned)prng_below(&prng, 5);
        begin(max_bytes, files);
        make_lines(&prng, 600000, &input);
        print(0, input.data, input.len);
        end_printing();
        read_log(&log, &longest_file);
        printed_of(&log, 0, &printed);
        uint64_t limit = files < 2 ? max_bytes / 2 : max_bytes;
        // one record is never split over two files
        assert_true(longest_file <= (limit > 17000 ? limit : 17000));
        assert_true(log.len > limit && log.len <= (files < 2 ? 2 : files) * (limit > 17000 ? limit : 17000));
        assert_true(printed.len < input.len);
        assert_memory_equal(printed.data, input.data + input.len - printed.len, printed.len);
        clean_up();
    }
}

// A limit on the size of files stands for a disk that is full: a write is cut, the next fails.
static void lines_that_found_no_room_are_counted_and_told(void **state) {
    (void)state;
    struct rlimit before, small;
    AUTO_BUF log = {0};
    uint64_t longest_file = 0;
    begin(UINT64_MAX, 2);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = before;
    // room for five, and a part of a sixth
    small.rlim_cur = 100 + 3 * (STAMP_LEN + sizeof " stdout F number 1");
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    for (int i = 0; i < 4; i++) {
        print(0, "number 1\nnumber 2\n", 18);
    }
    print_line(1, "number 1");
    uint64_t lost = the.log.lost_lines;
    uint64_t size_when_full = the.log.size;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    print_line(0, "back");
    end_printing();
    read_log(&log, &longest_file);
    assert_int_equal(lost, 4);
    assert_true(size_when_full <= small.rlim_cur);
    assert_int_equal(the.log.lost_lines, 0);
    assert_int_equal(the.log.lost_lines_total, 4);
    const char *notice = memmem(log.data, log.len, "muster: 4 lines lost: File too large]\n", 38);
    assert_non_null(notice);
    int number = 0;
    for (const char *at = log.data; at < log.data + log.len; number++) {
        int stream;
        char tag;
        const char *text;
        size_t len;
        at = parse(at, &stream, &tag, &text, &len);
        assert_int_equal(tag, 'F');
        assert_memory_equal(text, number < 5 ? "number" : number == 5 ? "[muster" : "back", 4);
    }
    assert_int_equal(number, 7);
    clean_up();
}

static void a_directory_that_is_gone_loses_lines_only(void **state) {
    (void)state;
    struct error err;
    begin(4000, 3);
    print_line(0, "kept in a file without a name");
    assert_int_equal(fs_remove_tree(AT_FDCWD, the.dir, &err), 0);
    for (int i = 0; i < 1000; i++) {
        print_line(0, "as long as the file has room; then there is none to open");
    }
    assert_true(the.log.lost_lines_total > 900);
    assert_true(the.log.size <= 4000);
    end_printing();
    assert_int_equal(mkdir(the.dir, 0700), 0);
    clean_up();
}

static void every_day_has_its_date(void **state) {
    (void)state;
    for (time_t day = 0; day < 365 * 250; day++) {
        char ours[] = "0000-00-00", theirs[16];
        time_t seconds = day * SECONDS_PER_DAY;
        struct tm parts;
        put_date(ours, (uint64_t)day);
        assert_non_null(gmtime_r(&seconds, &parts));
        assert_int_equal(strftime(theirs, sizeof theirs, "%Y-%m-%d", &parts), 10);
        assert_string_equal(ours, theirs);
    }
}

// --- small readers ---

static void put_text(const char *path, const char *text) {
    put_file(path, O_CREAT | O_TRUNC, text, strlen(text));
}

static void oom_kills_are_read_from_both_versions_of_cgroups(void **state) {
    (void)state;
    static const struct {
        const char *text;
        uint64_t kills;
    } rows[] = {
        {"low 0\nhigh 0\nmax 12\noom 3\noom_kill 2\noom_group_kill 0\n", 2},
        {"oom_kill_disable 0\nunder_oom 0\noom_kill 7\n", 7},
        {"oom_kill 18446744073709551615", UINT64_MAX},
        {"oom_kill 18446744073709551616", 0},
        {"oom_kill 9x\n", 0},
        {"oom_kill \n", 0},
        {"", 0},
    };
    begin(4000, 2);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct shim_child child = {0};
        put_text(the.path, rows[i].text);
        shim_child_on_end(&child, 9, 1, the.path);
        assert_int_equal(child.oom_kills, rows[i].kills);
        assert_true(child.ended);
    }
    end_printing();
    clean_up();
}

static void errors_of_runc_are_unquoted_and_joined(void **state) {
    (void)state;
    static const struct {
        const char *log, *text;
    } rows[] = {
        {"", ""},
        {"time=\"x\" level=error msg=\"exec: \\\"a\\\": no\\nsuch \\\\ thing\"\n",
         "exec: \"a\": no such \\ thing"},
        {"level=warning msg=\"level=error\"\nlevel=error msg=plain\n", "plain"},
        {"level=error msg=one\nnoise\n\nlevel=error msg=\"two", "one; two"},
        {"level=error msg=", ""},
        {"level=error msg=\"", ""},
        {"level=error msg=\"\\", "\\"},
        {"msg= level=error", ""},
    };
    begin(4000, 2);
    struct shim_runc runc = {.log_path = the.path};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char data[64];
        struct shim_text out;
        shim_text_init(&out, data, sizeof data);
        put_text(the.path, rows[i].log);
        shim_runc_errors(&runc, &out);
        assert_string_equal(data, rows[i].text);
    }
    end_printing();
    clean_up();
}

static void numbers_are_read_whole_or_not_at_all(void **state) {
    (void)state;
    uint64_t value = 5;
    assert_false(shim_text_parse_u64("", 10, &value));
    assert_false(shim_text_parse_u64("11", 10, &value));
    assert_false(shim_text_parse_u64("9", 8, &value));
    assert_false(shim_text_parse_u64("-1", 10, &value));
    assert_false(shim_text_parse_u64("1 ", 10, &value));
    assert_int_equal(value, 5);
    assert_true(shim_text_parse_u64("10", 10, &value));
    assert_int_equal(value, 10);
    assert_true(shim_text_parse_u64("18446744073709551615", UINT64_MAX, &value));
    assert_true(value == UINT64_MAX);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(however_output_is_cut_the_log_holds_it),
    cmocka_unit_test(rotation_keeps_the_newest_within_its_limits),
    cmocka_unit_test(lines_that_found_no_room_are_counted_and_told),
    cmocka_unit_test(a_directory_that_is_gone_loses_lines_only),
    cmocka_unit_test(every_day_has_its_date),
    cmocka_unit_test(oom_kills_are_read_from_both_versions_of_cgroups),
    cmocka_unit_test(errors_of_runc_are_unquoted_and_joined),
    cmocka_unit_test(numbers_are_read_whole_or_not_at_all),
};

CHECK_MAIN(tests)
