// SPDX-License-Identifier: Apache-2.0
//
// test/unit/test_health.c — health checks: how they are written, what holds, when they are made, what their
// results make of a task; and real ones, with programs of this machine in the place of containers.
#include "reconciler/agent/health.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "reconciler/agent/health_watch.h"
#include "test/lib/check.h"

static struct arena arena;

static int clean(void **state) {
    (void)state;
    arena_free(&arena);
    return 0;
}

// --- how a test is written ---

static void show(const struct health_test *test, char *out, size_t bytes) {
    switch (test->kind) {
    case HEALTH_TEST_NONE:
        snprintf(out, bytes, "none");
        break;
    case HEALTH_TEST_CMD:
        snprintf(out, bytes, "cmd %zu %s", test->argv.count, test->argv.items[0]);
        break;
    case HEALTH_TEST_SHELL:
        snprintf(out, bytes, "shell %s", test->argv.items[0]);
        break;
    case HEALTH_TEST_TCP:
        snprintf(out, bytes, "tcp %s %lld", test->host, (long long)test->port);
        break;
    case HEALTH_TEST_HTTP:
        snprintf(out, bytes, "http %s %lld %s", test->host, (long long)test->port, test->path);
        break;
    }
}

static void one_text_says_its_kind(void **state) {
    (void)state;
    static const char *const rows[][2] = {
        {"redis-cli ping", "shell redis-cli ping"},
        {"tcp:6379", "tcp localhost 6379"},
        {"tcp://127.0.0.1:6379", "tcp 127.0.0.1 6379"},
        {"tcp://[::1]:80", "tcp ::1 80"},
        {"http:8080/health?deep=1", "http localhost 8080 /health?deep=1"},
        {"http:8080", "http localhost 8080 /"},
        {"http://127.0.0.1/", "http 127.0.0.1 80 /"},
        {"http://[::1]:8080?x", "http ::1 8080 /?x"},
        {"http://localhost", "http localhost 80 /"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct health_test test;
        struct error err = {0};
        char text[200];
        struct strings list = health_test_from_text(rows[i][0], &arena);
        assert_int_equal(health_test_parse(&list, &arena, &test, &err), 0);
        show(&test, text, sizeof text);
        assert_string_equal(text, rows[i][1]);
    }
}

static void what_makes_no_sense_is_refused(void **state) {
    (void)state;
    static const struct {
        const char *items[3];
        const char *reason;
    } rows[] = {
        {{"curl", "localhost"}, "'curl' is not a kind of check"},
        {{"CMD"}, "CMD is written [CMD, redis-cli, ping]"},
        {{"CMD-SHELL", "a", "b"}, "CMD-SHELL is written"},
        {{"NONE", "x"}, "NONE is written [NONE]"},
        {{"TCP", "web:80"}, "'web' is no address"},
        {{"TCP", "0"}, "no port"},
        {{"TCP", "70000"}, "no port"},
        {{"TCP", "80x"}, "no port"},
        {{"TCP", "[::1"}, "no port"},
        {{"HTTP", "https://localhost"}, "https takes a CMD"},
        {{"HTTP", "http://localhost:80/a b"}, "blank or control byte"},
        {{"HTTP", "http://localhost:80/a\r\nX: y"}, "blank or control byte"},
        {{"HTTP", "http://user@localhost/"}, "is no address"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct health_test test;
        struct error err = {0};
        const char *items[3];
        memcpy(items, rows[i].items, sizeof items);
        struct strings list = {items[1] == NULL ? 1 : items[2] == NULL ? 2 : 3, items};
        assert_int_equal(health_test_parse(&list, &arena, &test, &err), -ERR_INVALID);
        assert_non_null(strstr(err.root, rows[i].reason));
    }
}

static struct health_check check_of(const char *text) {
    return (struct health_check){.test = text[0] != '\0' ? health_test_from_text(text, &arena)
                                                         : (struct strings){0}};
}

static void the_service_goes_before_its_image(void **state) {
    (void)state;
    struct health_check image = check_of("from image"), service = check_of(""), out;
    image.interval_ns = 7;
    image.retries = 9;
    service.retries = 2;
    assert_false(health_check_effective(NULL, NULL, &out));
    assert_true(health_check_effective(NULL, &image, &out));
    assert_string_equal(out.test.items[1], "from image");
    assert_int_equal(out.interval_ns, 7);
    assert_int_equal(out.timeout_ns, 30 * NS_PER_S);
    assert_int_equal(out.start_interval_ns, 5 * NS_PER_S);
    assert_true(health_check_effective(&service, &image, &out)); // only numbers of its own
    assert_string_equal(out.test.items[1], "from image");
    assert_int_equal(out.interval_ns, 7);
    assert_int_equal(out.retries, 2);
    service.disable = true;
    assert_false(health_check_effective(&service, &image, &out));
    const char *none[] = {"NONE"};
    service = (struct health_check){.test = {1, none}};
    assert_false(health_check_effective(&service, &image, &out));
}

// --- when, and what becomes of it ---

// Plays results ('.' well, 'x' not), each at its time; writes the times and what became of it.
static void play(struct health_times times, const char *results, const char *expected) {
    AUTO_BUF text = {0};
    struct health health = health_begin(&times, 1000);
    for (const char *c = results; *c != '\0'; c++) {
        int64_t now = health.due_ms;
        bool is_news = health_result_take(&health, *c == '.', now, now);
        buf_addf(&text, "%s%lld%s%s", text.len > 0 ? " " : "", (long long)(now - 1000), is_news ? ":" : "",
                 is_news ? health_state_name(health.state) : "");
    }
    assert_string_equal(buf_text(&text), expected);
}

static void failures_count_as_docker_counts_them(void **state) {
    (void)state;
    struct health_times docker = {30000, 0, 5000, 3};
    // Early looks do not count, and cost ever less; from the first interval on three in a row do.
    play(docker, "xxxxxxxxxxxxx",
         "500 1000 2000 4000 8000 13000 18000 23000 28000 30000 60000 90000:unhealthy 120000");
    play(docker, ".", "500:healthy");
    play(docker, "xx.xx.xxx", "500 1000 2000:healthy 32000 62000 92000 122000 152000 182000:unhealthy");
    struct health_times quick = {1000, 0, 5000, 2};
    play(quick, "xxx", "500 1000 2000:unhealthy");
    struct health_times patient = {1000, 10000, 4000, 1};
    play(patient, "xxxxxx", "500 1000 2000 4000 8000 10000:unhealthy");
    // Once well, a failure counts in the period, too.
    play(patient, "x.x", "500 1000:healthy 2000:unhealthy");
    struct health_times tiny = {1, 0, 1, 3};
    play(tiny, "xxx", "1 2 3:unhealthy");
}

static void a_slow_check_counts_from_its_beginning(void **state) {
    (void)state;
    struct health_times times = {1000, 0, 5000, 1};
    struct health health = health_begin(&times, 0);
    assert_false(health_result_take(&health, false, 500, 20000)); // begun before failures count
    assert_int_equal(health.due_ms, 20000);
    assert_true(health_result_take(&health, false, 20000, 20001));
}

// --- real checks ---

struct watched {
    uv_loop_t loop;
    struct health_pool pool;
    struct health_watch *watch;
    enum health_state states[8];
    int count;
    char text[256], output[300];
    size_t results;
    enum health_state until;
};

static void on_news(void *context, const struct health_news *news) {
    struct watched *watched = context;
    if (watched->count < 8) {
        watched->states[watched->count++] = news->state;
    }
    str_copy(watched->text, sizeof watched->text, news->text);
    watched->results = news->results->count;
    str_copy(watched->output, sizeof watched->output, news->results->items[news->results->count - 1].output);
    if (news->state == watched->until) {
        health_watch_close(watched->watch);
        watched->watch = NULL;
    }
}

static const char *musterd_path(void) {
    static char path[4200];
    char self[4000];
    ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
    assert_true(len > 0);
    self[len] = '\0';
    char *test = strstr(self, "/test/");
    assert_non_null(test);
    *test = '\0';
    snprintf(path, sizeof path, "%s/musterd", self);
    return path;
}

// Until it is in that state, or once the loop has nothing more to do.
static struct watched watch_until(enum health_state until, struct health_check check,
                                  const char *const *prefix) {
    static const char *const none[] = {NULL};
    struct watched watched = {.until = until};
    struct error err = {0};
    uv_loop_init(&watched.loop);
    health_pool_init(&watched.pool, &watched.loop, musterd_path());
    struct health_check effective;
    assert_true(health_check_effective(&check, NULL, &effective));
    struct health_watch_options options = {.pool = &watched.pool,
                                           .check = &effective,
                                           .prefix = prefix != NULL ? prefix : none,
                                           .netns = "-",
                                           .on_news = on_news,
                                           .context = &watched};
    assert_int_equal(health_watch_open(&options, &watched.watch, &err), 0);
    assert_int_equal(watched.count, 0);
    uv_run(&watched.loop, UV_RUN_DEFAULT);
    assert_null(watched.watch);
    assert_int_equal(watched.pool.running, 0);
    assert_int_equal(uv_loop_close(&watched.loop), 0);
    return watched;
}

static struct health_check quick(const char *text) {
    struct health_check check = check_of(text);
    check.interval_ns = check.start_interval_ns = 5 * NS_PER_MS;
    check.retries = 2;
    return check;
}

static void a_command_that_ends_well_is_healthy(void **state) {
    (void)state;
    struct watched seen = watch_until(HEALTH_HEALTHY, quick("echo fine"), NULL);
    assert_int_equal(seen.count, 1);
    assert_int_equal(seen.results, 1);
    assert_string_equal(seen.text, "");
    assert_string_equal(seen.output, "fine\n");
}

static void failures_are_told_with_their_words(void **state) {
    (void)state;
    struct watched seen = watch_until(HEALTH_UNHEALTHY, quick("echo no such thing >&2; exit 4"), NULL);
    assert_int_equal(seen.states[0], HEALTH_STARTING); // the first failure is news, its repetition is none
    assert_int_equal(seen.states[seen.count - 1], HEALTH_UNHEALTHY);
    assert_int_equal(seen.count, 2);
    assert_string_equal(seen.text, "exit 4: no such thing");
}

static void the_prefix_runs_the_command(void **state) {
    (void)state;
    static const char *const prefix[] = {"env", "-i", "WHO=task", NULL};
    struct watched seen = watch_until(HEALTH_HEALTHY, quick("echo $WHO; test $WHO = task"), prefix);
    assert_string_equal(seen.output, "task\n");
}

static void a_check_that_takes_too_long_is_killed(void **state) {
    (void)state;
    struct health_check check = quick("echo begun; sleep 1000 & wait");
    check.timeout_ns = 200 * NS_PER_MS;
    check.retries = 1;
    struct watched seen = watch_until(HEALTH_UNHEALTHY, check, NULL);
    assert_true(str_starts(seen.text, "Health check exceeded timeout (200 ms)"));
}

static void at_most_so_many_run_at_once(void **state) {
    (void)state;
    enum { COUNT = 40 };
    struct watched watched[COUNT] = {0};
    uv_loop_t loop;
    struct health_pool pool;
    struct error err = {0};
    struct health_check effective;
    struct health_check check = quick("exit 0");
    static const char *const none[] = {NULL};
    uv_loop_init(&loop);
    health_pool_init(&pool, &loop, musterd_path());
    assert_true(health_check_effective(&check, NULL, &effective));
    for (int i = 0; i < COUNT; i++) {
        watched[i].until = HEALTH_HEALTHY;
        struct health_watch_options options = {.pool = &pool,
                                               .check = &effective,
                                               .prefix = none,
                                               .netns = "-",
                                               .on_news = on_news,
                                               .context = &watched[i]};
        assert_int_equal(health_watch_open(&options, &watched[i].watch, &err), 0);
    }
    while (uv_run(&loop, UV_RUN_ONCE) != 0) {
        assert_in_range(pool.running, 0, 16);
    }
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(watched[i].count, 1);
    }
    assert_int_equal(uv_loop_close(&loop), 0);
}

static void closing_kills_what_runs(void **state) {
    (void)state;
    uv_loop_t loop;
    struct health_pool pool;
    struct health_watch *watch;
    struct error err = {0};
    struct health_check effective;
    struct health_check check = quick("sleep 1000");
    static const char *const none[] = {NULL};
    uv_loop_init(&loop);
    health_pool_init(&pool, &loop, musterd_path());
    assert_true(health_check_effective(&check, NULL, &effective));
    struct health_watch_options options = {
        .pool = &pool, .check = &effective, .prefix = none, .netns = "-", .on_news = on_news};
    assert_int_equal(health_watch_open(&options, &watch, &err), 0);
    while (pool.running == 0) {
        uv_run(&loop, UV_RUN_ONCE);
    }
    health_watch_close(watch);
    uv_run(&loop, UV_RUN_DEFAULT); // which ends
    assert_int_equal(uv_loop_close(&loop), 0);
}

// --- ports ---

// Answers each connection with this, until the socket is shut down.
struct server {
    int fd;
    int port;
    const char *answer;
    pthread_t thread;
};

static void *serve(void *argument) {
    const struct server *server = argument;
    for (int fd; (fd = accept(server->fd, NULL, NULL)) >= 0; close(fd)) {
        char request[2048];
        ssize_t got = read(fd, request, sizeof request);
        if (got > 0 && server->answer != NULL) {
            ssize_t put = write(fd, server->answer, strlen(server->answer));
            (void)put;
        }
    }
    return NULL;
}

static struct server *server_new(const char *answer) {
    struct server *server = NEW(struct server);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    server->answer = answer;
    server->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(server->fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(server->fd, 8), 0);
    assert_int_equal(getsockname(server->fd, (struct sockaddr *)&address, &len), 0);
    server->port = ntohs(address.sin_port);
    pthread_create(&server->thread, NULL, serve, server);
    return server;
}

static void server_free(struct server *server) {
    shutdown(server->fd, SHUT_RDWR);
    pthread_join(server->thread, NULL);
    close(server->fd);
    xfree(server);
}

static bool has_musterd(void) {
    return access(musterd_path(), X_OK) == 0;
}

static void a_port_is_tried(void **state) {
    (void)state;
    if (!has_musterd()) {
        skip();
    }
    struct server *server = server_new(NULL);
    int port = server->port;
    watch_until(HEALTH_HEALTHY, quick(arena_printf(&arena, "tcp:%d", port)), NULL);
    server_free(server);
    struct watched seen =
        watch_until(HEALTH_UNHEALTHY, quick(arena_printf(&arena, "tcp://127.0.0.1:%d", port)), NULL);
    const char *wanted =
        arena_printf(&arena, "exit 1: connect to 127.0.0.1 port %d: Connection refused", port);
    assert_string_equal(seen.text, wanted);
}

static void an_answer_tells(void **state) {
    (void)state;
    static const struct {
        const char *answer;
        enum health_state state;
        const char *text;
    } rows[] = {
        {"HTTP/1.1 200 OK\r\n\r\nfine", HEALTH_HEALTHY, ""},
        {"HTTP/1.1 302 Found\r\nLocation: /x\r\n\r\n", HEALTH_HEALTHY, ""},
        {"HTTP/1.0 503 Service Unavailable\r\n\r\nno database", HEALTH_UNHEALTHY,
         "exit 1: HTTP/1.0 503 Service Unavailable"},
        {"SSH-2.0-x\r\n", HEALTH_UNHEALTHY, "exit 1: no HTTP answer"},
    };
    if (!has_musterd()) {
        skip();
    }
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct server *server = server_new(rows[i].answer);
        const char *test = arena_printf(&arena, "http:%d/health", server->port);
        struct watched seen = watch_until(rows[i].state, quick(test), NULL);
        assert_string_equal(seen.text, rows[i].text);
        server_free(server);
    }
}

static const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_teardown(name, clean)
    TEST(one_text_says_its_kind),
    TEST(what_makes_no_sense_is_refused),
    TEST(the_service_goes_before_its_image),
    TEST(failures_count_as_docker_counts_them),
    TEST(a_slow_check_counts_from_its_beginning),
    TEST(a_command_that_ends_well_is_healthy),
    TEST(failures_are_told_with_their_words),
    TEST(the_prefix_runs_the_command),
    TEST(a_check_that_takes_too_long_is_killed),
    TEST(at_most_so_many_run_at_once),
    TEST(closing_kills_what_runs),
    TEST(a_port_is_tried),
    TEST(an_answer_tells),
#undef TEST
};

int main(void) {
    return cmocka_run_group_tests_name("health", tests, NULL, NULL);
}
