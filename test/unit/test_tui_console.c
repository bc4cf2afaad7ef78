// SPDX-License-Identifier: Apache-2.0
//
// test/unit/test_tui_console.c — scripts over a recording, plain tables, sizes, keys, and the keeper.
#include "test/lib/check.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/str.h"
#include "test/lib/scratch.h"
#include "test/lib/shop.h"
#include "tui/console.h"
#include "tui/keeper.h"
#include "tui/plain.h"
#include "tui/press.h"
#include "tui/recording.h"
#include "tui/stream.h"

static char directory[64];
static struct arena arena;

static const char *path_of(const char *name) {
    return arena_printf(&arena, "%s/%s", directory, name);
}

static int make_directory(void **state) {
    (void)state;
    scratch_name(directory, sizeof directory, "tui-test");
    if (mkdtemp(directory) == NULL) {
        return -1;
    }
    return 0;
}

static int remove_directory(void **state) {
    (void)state;
    arena_free(&arena);
    return fs_remove_tree(AT_FDCWD, directory, NULL);
}

static void write_file(const char *name, const char *text) {
    assert_int_equal(fs_replace(AT_FDCWD, path_of(name), text, strlen(text), 0600, false, NULL), 0);
}

static const char *read_file(const char *path) {
    AUTO_BUF text = buf_make(0);
    assert_int_equal(fs_read(AT_FDCWD, path, 1 << 20, &text, NULL), 0);
    return arena_strdup(&arena, buf_text(&text));
}

static void append(int fd, const struct event_batch *batch) {
    AUTO_BUF bytes = buf_make(0);
    wire_encode(&event_batch_schema, batch, &bytes);
    assert_int_equal(recording_append(fd, buf_bytes(&bytes), NULL), 0);
}

// The shop, and then a service of it scaled up.
static void record_shop(const char *name) {
    struct shop shop;
    int fd = recording_create(path_of(name), NULL);
    assert_true(fd >= 0);
    shop_init(&shop);
    shop_fill(&shop);
    struct event_batch batch = shop_take(&shop);
    append(fd, &batch);
    shop.now_unix_ms += 1000;
    struct service *service = shop_service(&shop, 2, "shop-api", 7);
    service->meta.version = 1;
    shop_put(&shop, KIND_SERVICE, service, "scale shop-api=7");
    batch = shop_take(&shop);
    append(fd, &batch);
    shop_free(&shop);
    close(fd);
}

static int run_script(const char *script, struct error *err) {
    record_shop("shop.replay");
    write_file("keys", script);
    struct console_options options = {.script_path = path_of("keys"),
                                      .replay_path = path_of("shop.replay"),
                                      .snap_dir = directory,
                                      .columns = 60,
                                      .rows = 14};
    return console_run(&options, err);
}

static void a_script_feeds_presses_waits_and_snaps(void **state) {
    (void)state;
    struct error err = {0};
    char text[900];
    int rc = run_script("# the shop, before and after it is scaled\n"
                        "ascii on\n"
                        "feed 1\nsnap before\n"
                        "feed all\nsnap after\n"
                        "wait 5s\nsnap later\n"
                        "  size 30x6\nkey 3 /\ntype state:failed\nkey Enter\nsnap small\n"
                        "until shop-api.2\n",
                        &err);
    if (rc != 0) {
        print_message("%s\n", error_text(&err, text, sizeof text));
    }
    assert_int_equal(rc, 0);
    const char *got = arena_printf(&arena, "=== before\n%s=== after\n%s=== later\n%s=== small\n%s",
                                   read_file(path_of("before.txt")), read_file(path_of("after.txt")),
                                   read_file(path_of("later.txt")), read_file(path_of("small.txt")));
    if (getenv("UPDATE_GOLDEN") != NULL) {
        fs_replace(AT_FDCWD, "test/golden/console/script.txt", got, strlen(got), 0644, false, NULL);
    }
    assert_string_equal(got, read_file("test/golden/console/script.txt"));
}

static void a_mistake_in_a_script_is_named_with_its_line(void **state) {
    (void)state;
    static const struct {
        const char *script, *says;
    } mistakes[] = {
        {"feed all\n\nsnop x\n", "keys:3: 'snop' is not a command"},
        {"size 80\n", "keys:1: '80' is not a size"},
        {"key Hyper\n", "keys:1: 'Hyper' is not a key"},
        {"snap a/b\n", "keys:1: 'a/b' is not a name"},
        {"snap\n", "keys:1: 'snap' wants an argument"},
        {"feed 0\n", "keys:1: '0' is not a number of batches"},
        {"wait long\n", "keys:1: 'long' is not a duration"},
        {"feed all\nuntil nobody\n", "keys:2: 'nobody' never came on the screen"},
    };
    for (size_t i = 0; i < sizeof mistakes / sizeof *mistakes; i++) {
        struct error err = {0};
        char text[2000];
        assert_true(run_script(mistakes[i].script, &err) < 0);
        error_text(&err, text, sizeof text);
        if (strstr(text, mistakes[i].says) == NULL) {
            fail_msg("'%s' does not say '%s'", text, mistakes[i].says);
        }
    }
}

static void what_is_not_a_recording_is_refused(void **state) {
    (void)state;
    struct error err = {0};
    write_file("keys", "feed all\n");
    write_file("bad", "muster-replay 2\n");
    struct console_options options = {.script_path = path_of("keys"), .replay_path = path_of("bad")};
    assert_int_equal(console_run(&options, &err), -ERR_INVALID);
    options.replay_path = path_of("absent");
    assert_int_equal(console_run(&options, &err), -ERR_NOT_FOUND);
}

static void a_recording_cut_anywhere_ends_there(void **state) {
    (void)state;
    record_shop("whole");
    AUTO_BUF whole = buf_make(0);
    assert_int_equal(recording_read(path_of("whole"), &whole, NULL), 0);
    for (size_t len = 16; len < whole.len; len += 37) {
        struct bytes rest = {(const uint8_t *)whole.data, len};
        struct bytes batch;
        assert_int_equal(recording_begin(&rest, NULL), 0);
        while (recording_next(&rest, &batch)) {
            assert_true(batch.data + batch.len <= (const uint8_t *)whole.data + len);
        }
    }
}

static void plain_tables_cut_nothing(void **state) {
    (void)state;
    struct shop shop;
    struct model model;
    struct view_env env = {.is_ascii = true};
    AUTO_BUF out = buf_make(0);
    shop_init(&shop);
    model_init(&model);
    shop_fill(&shop);
    struct event_batch batch = shop_take(&shop);
    assert_int_equal(model_apply(&model, &batch, 1, NULL), 0);
    env.now_unix_ms = shop.now_unix_ms;
    plain_tables(&model, &env, &out);
    if (getenv("UPDATE_GOLDEN") != NULL) {
        fs_replace(AT_FDCWD, "test/golden/console/plain.txt", out.data, out.len, 0644, false, NULL);
    }
    assert_string_equal(buf_text(&out), read_file("test/golden/console/plain.txt"));
    model_deinit(&model);
    shop_free(&shop);
}

static void without_a_terminal_the_console_says_what_to_do(void **state) {
    (void)state;
    struct error err = {0};
    struct console_options options = {.host = "unix:///nowhere"};
    int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    int kept = dup(STDIN_FILENO);
    dup2(null_fd, STDIN_FILENO);
    assert_int_equal(console_run(&options, &err), -ERR_USAGE);
    assert_non_null(strstr(err.root, "--plain"));
    options.plain = true;
    assert_int_equal(console_run(&options, &err), -ERR_UNREACHABLE);
    dup2(kept, STDIN_FILENO);
    close(kept);
    close(null_fd);
}

static void sizes_are_two_numbers(void **state) {
    (void)state;
    int columns = 0;
    int rows = 0;
    assert_true(console_parse_size("160x48", &columns, &rows));
    assert_int_equal(columns, 160);
    assert_int_equal(rows, 48);
    static const char *const bad[] = {"",    "x",       "80",      "80x",           "x24",
                                      "0x1", "80x1001", "80 x 24", "99999999999x1", "-1x4"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_false(console_parse_size(bad[i], &columns, &rows));
    }
    assert_false(console_parse_size(NULL, &columns, &rows));
}

// --- the keeper ---

static int open_terminal(int *tty) {
    int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_true(master >= 0);
    assert_int_equal(grantpt(master), 0);
    assert_int_equal(unlockpt(master), 0);
    *tty = open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_true(*tty >= 0);
    return master;
}

struct death {
    int tty, number;
};

// Spoils the terminal, then dies as told.
static int die(void *context, struct error *err) {
    const struct death *death = context;
    struct termios raw;
    tcgetattr(death->tty, &raw);
    cfmakeraw(&raw);
    tcsetattr(death->tty, TCSANOW, &raw);
    if (death->number == 0) {
        return error_set(err, ERR_CONFLICT, "said by the child");
    }
    if (death->number == -1) {
        _exit(3);
    }
    signal(death->number, SIG_DFL);
    raise(death->number);
    return 0;
}

static void the_terminal_is_restored_after_any_death(void **state) {
    (void)state;
    static const struct {
        int number, rc;
        const char *says;
    } deaths[] = {{SIGKILL, -ERR_INTERNAL, "signal 9"},
                  {SIGSEGV, -ERR_INTERNAL, "signal 11"},
                  {-1, -ERR_INTERNAL, "exit status 3"},
                  {0, -ERR_CONFLICT, "said by the child"}};
    for (size_t i = 0; i < sizeof deaths / sizeof *deaths; i++) {
        struct error err = {0};
        struct termios before;
        struct termios after;
        struct death death = {.number = deaths[i].number};
        int master = open_terminal(&death.tty);
        tcgetattr(death.tty, &before);
        assert_int_equal(keeper_run(death.tty, "RESTORE", die, &death, &err), deaths[i].rc);
        assert_non_null(strstr(err.root, deaths[i].says));
        tcgetattr(death.tty, &after);
        assert_int_equal(before.c_lflag, after.c_lflag);
        assert_int_equal(before.c_iflag, after.c_iflag);
        assert_int_equal(before.c_oflag, after.c_oflag);
        if (deaths[i].number != 0) {
            char got[64] = "";
            assert_true(read(master, got, sizeof got - 1) > 0);
            assert_string_equal(got, "RESTORE");
        }
        close(death.tty);
        close(master);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(the_terminal_is_restored_after_any_death), // first: a later one leaves threads behind
    cmocka_unit_test_setup_teardown(a_script_feeds_presses_waits_and_snaps, make_directory, remove_directory),
    cmocka_unit_test_setup_teardown(a_mistake_in_a_script_is_named_with_its_line, make_directory,
                                    remove_directory),
    cmocka_unit_test_setup_teardown(what_is_not_a_recording_is_refused, make_directory, remove_directory),
    cmocka_unit_test_setup_teardown(a_recording_cut_anywhere_ends_there, make_directory, remove_directory),
    cmocka_unit_test_setup_teardown(plain_tables_cut_nothing, make_directory, remove_directory),
    cmocka_unit_test(without_a_terminal_the_console_says_what_to_do),
    cmocka_unit_test(sizes_are_two_numbers),
};
CHECK_MAIN(tests)
