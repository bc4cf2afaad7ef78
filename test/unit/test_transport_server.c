// SPDX-License-Identifier: Apache-2.0
//
// test/unit/test_transport_server.c — server and client over real sockets: who is let in, what ends a link,
// back-pressure, and ends of every sort.
#include "test/lib/answerer.h"
#include "test/lib/check.h"
#include "test/lib/peer.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/prng.h"
#include "base/str.h"
#include "transport/client.h"
#include "transport/frame.h"

static const struct bytes no_bytes = {(const uint8_t *)"", 0};

static int begin(void **state) {
    struct answerer *answerer = NEW(struct answerer);
    answerer_begin(answerer);
    *state = answerer;
    return 0;
}

static int end(void **state) {
    answerer_end(*state);
    xfree(*state);
    return 0;
}

static struct client *open_client(struct answerer *a) {
    struct client *client = NULL;
    struct error err = {0};
    if (client_open(a->host, "test", 5000, &client, &err) != 0) {
        fail_msg("%s", err.root);
    }
    return client;
}

// Connected and greeted.
static int open_peer(struct answerer *a) {
    AUTO_ARENA arena = {0};
    struct peer_frame frame;
    int fd = peer_connect(a->socket_path);
    assert_true(peer_hello(fd, PROTOCOL_VERSION_MIN, PROTOCOL_VERSION));
    assert_true(peer_read(fd, &arena, &frame));
    assert_int_equal(frame.number, MESSAGE_WELCOME);
    return fd;
}

static int call_info(struct client *client, struct error *err) {
    AUTO_ARENA arena = {0};
    struct nothing nothing = {0};
    void *reply = NULL;
    int rc = client_call(client, MESSAGE_INFO, &nothing, MESSAGE_INFO_REPLY, &arena, &reply, 10000, err);
    if (rc == 0) {
        assert_string_equal(((struct info_reply *)reply)->node_name, "answerer");
    }
    return rc;
}

static uint64_t send_empty(struct client *client, uint16_t number) {
    AUTO_ARENA arena = {0};
    const struct schema *schema = message_row(number)->payload;
    void *payload = arena_alloc(&arena, schema->bytes);
    schema_init(schema, payload);
    uint64_t conversation;
    assert_int_equal(client_send(client, number, payload, &conversation, NULL), 0);
    return conversation;
}

static uint64_t send_watch(struct client *client, int64_t first, int64_t frames) {
    struct watch_request watch;
    schema_init(&watch_request_schema, &watch);
    watch.from_revision = first;
    watch.kinds = frames;
    uint64_t conversation;
    assert_int_equal(client_send(client, MESSAGE_WATCH, &watch, &conversation, NULL), 0);
    return conversation;
}

static int64_t number_of(struct bytes body) {
    AUTO_ARENA arena = {0};
    struct objects objects;
    assert_int_equal(wire_decode(&objects_schema, body, &objects, &arena, NULL), 0);
    assert_int_equal(objects.items.count, 1);
    assert_int_equal(objects.items.items[0].object.len, FRAME_CHUNK_BYTES);
    int64_t number = -1;
    assert_true(str_to_int((const char *)objects.items.items[0].object.data, &number));
    return number;
}

static void refused(int fd, enum error_code code, const char *says) {
    struct error err = {0};
    assert_int_equal(peer_read_failure(fd, &err), -(int)code);
    assert_non_null(strstr(err.root, says));
}

// --- hello ---

static void a_client_is_welcomed(void **state) {
    struct answerer *a = *state;
    struct client *client = open_client(a);
    assert_string_equal(client_welcome(client)->node_name, "answerer");
    assert_int_equal(client_welcome(client)->version, PROTOCOL_VERSION);
    assert_true(client_welcome(client)->is_manager);
    assert_int_equal(call_info(client, NULL), 0);
    client_close(client);
}

static void what_is_told_to_clients_can_change(void **state) {
    struct answerer *a = *state;
    answerer_halt(a); // from here on this thread is the loop's
    char name[] = "renamed";
    struct welcome welcome;
    schema_init(&welcome_schema, &welcome);
    welcome.node_name = name;
    server_set_welcome(a->server, &welcome);
    name[0] = 'X'; // it was copied
    int fd = peer_connect(a->socket_path);
    peer_hello(fd, 1, 1);
    struct pollfd answered = {.fd = fd, .events = POLLIN};
    while (poll(&answered, 1, 5) == 0) {
        server_take(a->server, 10);
    }
    AUTO_ARENA arena = {0};
    struct peer_frame frame;
    assert_true(peer_read(fd, &arena, &frame));
    assert_int_equal(wire_decode(&welcome_schema, frame.body, &welcome, &arena, NULL), 0);
    assert_string_equal(welcome.node_name, "renamed");
    close(fd);
    server_close(a->server);
}

static void silence_ends_the_link_at_the_deadline(void **state) {
    struct answerer *a = *state;
    int silent = peer_connect(a->socket_path);
    int greeted = open_peer(a);
    answerer_settle(a);
    answerer_pass_time(a, HELLO_DEADLINE_MS + 1000);
    peer_read_end(silent);
    answerer_settle(a);
    assert_true(peer_send_frame(greeted, MESSAGE_INFO, 1, no_bytes)); // still served
    AUTO_ARENA arena = {0};
    struct peer_frame frame;
    assert_true(peer_read(greeted, &arena, &frame));
    assert_int_equal(frame.number, MESSAGE_INFO_REPLY);
    close(silent);
    close(greeted);
}

static void versions_that_do_not_meet_are_refused_with_both_named(void **state) {
    struct answerer *a = *state;
    int fd = peer_connect(a->socket_path);
    assert_true(peer_hello(fd, PROTOCOL_VERSION + 1, PROTOCOL_VERSION + 2));
    refused(fd, ERR_UNSUPPORTED, "speaks protocol 2 to 3");
    close(fd);
    fd = peer_connect(a->socket_path);
    assert_true(peer_hello(fd, 0, PROTOCOL_VERSION_MIN - 1));
    refused(fd, ERR_UNSUPPORTED, "this daemon");
    close(fd);
    fd = peer_connect(a->socket_path);
    assert_true(peer_hello(fd, 0, 65535)); // these do meet
    AUTO_ARENA arena = {0};
    struct peer_frame frame;
    struct welcome welcome;
    assert_true(peer_read(fd, &arena, &frame));
    assert_int_equal(wire_decode(&welcome_schema, frame.body, &welcome, &arena, NULL), 0);
    assert_int_equal(welcome.version, PROTOCOL_VERSION);
    close(fd);
}

static void a_request_before_hello_and_a_second_hello_are_refused(void **state) {
    struct answerer *a = *state;
    int fd = peer_connect(a->socket_path);
    assert_true(peer_send_frame(fd, MESSAGE_INFO, 1, no_bytes));
    refused(fd, ERR_INVALID, "before hello");
    close(fd);
    fd = open_peer(a);
    assert_true(peer_hello(fd, 1, 1));
    refused(fd, ERR_INVALID, "second hello");
    close(fd);
}

static void who_is_refused_and_stays_is_hung_up_on(void **state) {
    struct answerer *a = *state;
    int fd = peer_connect(a->socket_path);
    assert_true(peer_send_frame(fd, MESSAGE_INFO, 1, no_bytes));
    refused(fd, ERR_INVALID, "before hello");
    answerer_pass_time(a, 2000);
    peer_read_end(fd);
    close(fd);
}

// As root only, because another uid is needed; the directory is opened, so that the check of the uid is
// what refuses.
static void another_user_is_refused(void **state) {
    struct answerer *a = *state;
    if (geteuid() != 0) {
        skip();
    }
    for (int is_open = 0; is_open < 2; is_open++) {
        if (is_open) {
            AUTO_FREE char *run = xasprintf("%s/run", a->dir);
            assert_int_equal(chmod(a->dir, 0755) + chmod(run, 0755) + chmod(a->socket_path, 0666), 0);
        }
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) { // plain sockets only: nng does not survive a fork
            struct error err = {0};
            if (setgid(65534) != 0 || setuid(65534) != 0) {
                _exit(9);
            }
            if (!is_open) {
                _exit(access(a->socket_path, F_OK) != 0 && errno == EACCES ? 0 : 1);
            }
            int fd = peer_connect(a->socket_path);
            peer_hello(fd, 1, 1);
            _exit(peer_read_failure(fd, &err) == -ERR_DENIED && strstr(err.root, "sudo") != NULL ? 0 : 2);
        }
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
    }
}

// --- what ends a link ---

enum fate { FATE_CLOSED, FATE_HEARD };

// What becomes of a link that says `number`, empty. Some requests are never answered: the INFO that follows
// shows that the link lives.
static enum fate fate_of(struct answerer *a, bool is_greeted, uint16_t number) {
    int fd = is_greeted ? open_peer(a) : peer_connect(a->socket_path);
    peer_send_frame(fd, number, 7, no_bytes);
    AUTO_ARENA arena = {0};
    struct peer_frame frame;
    if (is_greeted || number == MESSAGE_CANCEL) {
        peer_send_frame(fd, MESSAGE_INFO, 8, no_bytes);
    }
    bool is_heard = peer_read(fd, &arena, &frame);
    close(fd);
    return is_heard ? FATE_HEARD : FATE_CLOSED;
}

static void each_message_is_heard_only_from_the_side_its_row_names(void **state) {
    struct answerer *a = *state;
    for (unsigned number = 0; number < 260; number++) {
        const struct message_row *row = message_row((uint16_t)number);
        enum fate expected = row != NULL && row->sender == SENDER_CLIENT ? FATE_HEARD : FATE_CLOSED;
        for (int is_greeted = 0; is_greeted < 2; is_greeted++) {
            if (fate_of(a, is_greeted, (uint16_t)number) != expected) {
                fail_msg("message %u %s hello", number, is_greeted ? "after" : "before");
            }
        }
    }
}

static void announce(int fd, uint16_t number, uint32_t len, uint16_t flags) {
    struct frame_header header = {.number = number, .len = len, .flags = flags, .conversation = 1};
    uint8_t bytes[FRAME_HEADER_BYTES];
    frame_header_encode(&header, bytes);
    peer_send_bytes(fd, bytes, sizeof bytes);
}

static void a_frame_longer_than_its_row_allows_ends_the_link_before_its_body(void **state) {
    struct answerer *a = *state;
    for (unsigned number = 0; number < 64; number++) {
        const struct message_row *row = message_row((uint16_t)number);
        if (row == NULL || row->sender != SENDER_CLIENT) {
            continue;
        }
        int fd = open_peer(a);
        announce(fd, (uint16_t)number, row->bytes_max + 1, 0);
        peer_read_end(fd);
        close(fd);
        fd = open_peer(a);
        announce(fd, (uint16_t)number, UINT32_MAX, 0);
        peer_read_end(fd);
        close(fd);
    }
    int fd = open_peer(a);
    announce(fd, MESSAGE_INFO, 0, 1); // flags that no version knows yet
    peer_read_end(fd);
    close(fd);
}

static void before_hello_a_frame_is_small(void **state) {
    struct answerer *a = *state;
    AUTO_BUF body = {0};
    struct apply_item item;
    struct apply_request apply;
    schema_init(&apply_item_schema, &item);
    schema_init(&apply_request_schema, &apply);
    AUTO_FREE uint8_t *spec = xcalloc(1, MIB);
    item.spec = (struct bytes){spec, MIB};
    apply.items.count = 1;
    apply.items.items = &item;
    wire_encode(&apply_request_schema, &apply, &body);
    int fd = peer_connect(a->socket_path);
    peer_send_frame(fd, MESSAGE_APPLY, 1, buf_bytes(&body));
    peer_read_end(fd);
    close(fd);
    fd = open_peer(a);
    assert_true(peer_send_frame(fd, MESSAGE_APPLY, 1, buf_bytes(&body)));
    AUTO_ARENA arena = {0};
    struct peer_frame frame;
    assert_true(peer_read(fd, &arena, &frame));
    assert_int_equal(frame.number, MESSAGE_DONE);
    close(fd);
}

static void a_payload_that_is_not_one_is_refused(void **state) {
    struct answerer *a = *state;
    int fd = open_peer(a);
    assert_true(peer_send_frame(fd, MESSAGE_LIST, 1, (struct bytes){(const uint8_t *)"\x0a\xff", 2}));
    refused(fd, ERR_INVALID, "malformed");
    close(fd);
}

static void conversations_have_numbers_of_their_own_and_a_limit(void **state) {
    struct answerer *a = *state;
    static const uint64_t bad[] = {0, 5};
    for (size_t i = 0; i < 2; i++) {
        int fd = open_peer(a);
        assert_true(peer_send_frame(fd, MESSAGE_LOGS, 5, no_bytes));
        assert_true(peer_send_frame(fd, MESSAGE_LOGS, bad[i], no_bytes));
        refused(fd, ERR_INVALID, "conversation number");
        close(fd);
    }
    int fd = open_peer(a);
    for (uint64_t i = 1; i <= 65; i++) {
        assert_true(peer_send_frame(fd, MESSAGE_LOGS, i, no_bytes));
    }
    refused(fd, ERR_LIMIT, "too many requests");
    close(fd);
    answerer_await(a, &a->closed, 2 + 64); // each told once
}

// --- conversations ---

static void many_conversations_share_a_link(void **state) {
    struct answerer *a = *state;
    struct client *client = open_client(a);
    for (int i = 0; i < 20; i++) {
        send_empty(client, MESSAGE_LOGS);
    }
    uint64_t watches[10];
    for (int i = 0; i < 10; i++) {
        watches[i] = send_watch(client, 1000 * i, 20);
    }
    unsigned ended = 0;
    int64_t next[10] = {0};
    while (ended < 10) {
        struct client_frame frame;
        assert_int_equal(client_next(client, 10000, &frame, NULL), 0);
        int which = (int)(frame.conversation - watches[0]);
        assert_in_range(which, 0, 9);
        if (frame.number == MESSAGE_DONE) {
            assert_int_equal(next[which], 20);
            ended++;
        } else {
            assert_int_equal(number_of(frame.body), 1000 * which + next[which]++);
        }
    }
    client_close(client);
    answerer_await(a, &a->closed, 20);
}

static void a_cancelled_conversation_is_closed_and_the_link_goes_on(void **state) {
    struct answerer *a = *state;
    struct client *client = open_client(a);
    uint64_t logs = send_empty(client, MESSAGE_LOGS);
    client_cancel(client, logs);
    client_cancel(client, logs);
    client_cancel(client, 999);
    assert_int_equal(call_info(client, NULL), 0);
    answerer_await(a, &a->closed, 1);
    client_close(client);
    answerer_settle(a);
    assert_int_equal(answerer_read(a, &a->closed), 1);
}

static void a_call_gives_up_in_time_and_the_client_goes_on(void **state) {
    struct answerer *a = *state;
    AUTO_ARENA arena = {0};
    struct client *client = open_client(a);
    struct logs_request logs;
    schema_init(&logs_request_schema, &logs);
    void *payload = NULL;
    struct error err = {0};
    int rc = client_call(client, MESSAGE_LOGS, &logs, MESSAGE_LOG_LINES, &arena, &payload, 20, &err);
    assert_int_equal(rc, -ERR_UNREACHABLE);
    assert_non_null(strstr(err.root, "in time"));
    assert_null(payload);
    answerer_await(a, &a->closed, 1); // what is not waited for is cancelled
    assert_int_equal(call_info(client, NULL), 0);
    client_close(client);
}

static void a_refusal_carries_code_and_text(void **state) {
    struct answerer *a = *state;
    AUTO_ARENA arena = {0};
    struct client *client = open_client(a);
    struct why_request why;
    schema_init(&why_request_schema, &why);
    why.reference = "web.9";
    void *payload = NULL;
    struct error err = {0};
    int rc = client_call(client, MESSAGE_WHY, &why, MESSAGE_WHY_REPLY, &arena, &payload, 10000, &err);
    assert_int_equal(rc, -ERR_NOT_FOUND);
    assert_string_equal(err.root, "no task web.9");
    client_close(client);
}

static void frames_of_a_watch_wait_while_a_call_is_made(void **state) {
    struct answerer *a = *state;
    struct client *client = open_client(a);
    uint64_t watch = send_watch(client, 1, 12);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(call_info(client, NULL), 0);
    }
    for (int64_t i = 1; i <= 13; i++) {
        struct pollfd fd = {.fd = client_fd(client), .events = POLLIN};
        assert_int_equal(poll(&fd, 1, 10000), 1);
        struct client_frame frame;
        assert_int_equal(client_next(client, 10000, &frame, NULL), 0);
        assert_int_equal(frame.conversation, watch);
        assert_int_equal(frame.number, i <= 12 ? MESSAGE_OBJECTS : MESSAGE_DONE);
        if (i <= 12) {
            assert_int_equal(number_of(frame.body), i);
        }
    }
    client_close(client);
}

static void an_answer_too_large_to_send_is_told_and_the_daemon_lives(void **state) {
    struct answerer *a = *state;
    AUTO_ARENA arena = {0};
    struct client *client = open_client(a);
    struct list_request list;
    schema_init(&list_request_schema, &list);
    struct object_list objects;
    struct error err = {0};
    assert_int_equal(client_list(client, &list, &arena, &objects, &err), -ERR_LIMIT);
    assert_non_null(strstr(err.root, "over the limit"));
    assert_int_equal(call_info(client, NULL), 0);
    client_close(client);
}

static void a_request_too_large_to_send_is_not_sent(void **state) {
    struct answerer *a = *state;
    struct client *client = open_client(a);
    struct why_request why;
    schema_init(&why_request_schema, &why);
    AUTO_FREE char *long_text = xcalloc(1, 5001);
    memset(long_text, 'x', 5000);
    why.reference = long_text;
    uint64_t conversation;
    assert_int_equal(client_send(client, MESSAGE_WHY, &why, &conversation, NULL), -ERR_LIMIT);
    assert_int_equal(call_info(client, NULL), 0);
    client_close(client);
}

// --- back-pressure ---

enum { SLOW_FRAMES = 400 }; // 100 MiB

static void a_slow_reader_holds_a_bounded_queue_and_nobody_else(void **state) {
    struct answerer *a = *state;
    int slow = open_peer(a);
    struct watch_request watch;
    schema_init(&watch_request_schema, &watch);
    watch.kinds = SLOW_FRAMES;
    assert_true(peer_send(slow, MESSAGE_WATCH, 1, &watch));
    answerer_await(a, &a->requests, 1);
    struct client *quick = open_client(a);
    for (int i = 0; i < 50; i++) {
        assert_int_equal(call_info(quick, NULL), 0);
    }
    pthread_mutex_lock(&a->lock);
    int64_t sent = a->bytes_sent;
    pthread_mutex_unlock(&a->lock);
    assert_in_range(sent, LINK_QUEUE_BYTES_MAX, LINK_QUEUE_BYTES_MAX + 8 * MIB);
    for (int64_t i = 0; i < SLOW_FRAMES; i++) {
        AUTO_ARENA arena = {0};
        struct peer_frame frame;
        assert_true(peer_read(slow, &arena, &frame));
        assert_int_equal(frame.number, MESSAGE_OBJECTS);
        assert_int_equal(number_of(frame.body), i);
    }
    AUTO_ARENA arena = {0};
    struct peer_frame frame;
    assert_true(peer_read(slow, &arena, &frame));
    assert_int_equal(frame.number, MESSAGE_DONE);
    client_close(quick);
    close(slow);
}

static void a_client_that_does_not_take_stops_the_server_too(void **state) {
    struct answerer *a = *state;
    struct client *client = open_client(a);
    send_watch(client, 0, SLOW_FRAMES);
    answerer_await(a, &a->requests, 1);
    answerer_settle(a);
    struct client_frame frame;
    for (int64_t i = 0; i < SLOW_FRAMES; i++) {
        assert_int_equal(client_next(client, 10000, &frame, NULL), 0);
        assert_int_equal(number_of(frame.body), i);
    }
    assert_int_equal(client_next(client, 10000, &frame, NULL), 0);
    assert_int_equal(frame.number, MESSAGE_DONE);
    answerer_await(a, &a->writable, 1);
    client_close(client);
}

static void a_handler_may_end_any_conversation_when_one_is_writable(void **state) {
    struct answerer *a = *state;
    a->is_ending_all = true;
    struct client *client = open_client(a);
    for (int i = 0; i < 4; i++) {
        send_watch(client, 0, SLOW_FRAMES);
    }
    send_empty(client, MESSAGE_LOGS);
    answerer_await(a, &a->requests, 5);
    unsigned failures = 0;
    while (failures < 5) {
        struct client_frame frame;
        assert_int_equal(client_next(client, 10000, &frame, NULL), 0);
        failures += frame.number == MESSAGE_FAILURE;
    }
    assert_int_equal(answerer_read(a, &a->closed), 0);
    client_close(client);
}

// --- numbers ---

static void allow_descriptors(rlim_t count) {
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = count < limit.rlim_max ? count : limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

enum { CROWD = 1000 };

static void a_thousand_connections_are_answered_and_leave_nothing_behind(void **state) {
    struct answerer *a = *state;
    allow_descriptors(4 * CROWD);
    struct client *first = open_client(a);
    unsigned before = peer_descriptors();
    static int fds[CROWD];
    for (int i = 0; i < CROWD; i++) {
        fds[i] = peer_connect(a->socket_path);
        peer_hello(fds[i], 1, 1);
    }
    unsigned welcome = 0;
    for (int i = 0; i < CROWD; i++) {
        AUTO_ARENA arena = {0};
        struct peer_frame frame;
        assert_true(peer_read(fds[i], &arena, &frame));
        welcome += frame.number == MESSAGE_WELCOME;
        if (frame.number != MESSAGE_WELCOME) {
            struct failure failure;
            assert_int_equal(wire_decode(&failure_schema, frame.body, &failure, &arena, NULL), 0);
            assert_string_equal(failure.code, "BUSY");
        }
    }
    assert_true(welcome >= LINKS_MAX - 1 && welcome < CROWD);
    assert_int_equal(call_info(first, NULL), 0);
    for (int i = 0; i < CROWD; i++) {
        close(fds[i]);
    }
    while (peer_descriptors() > before) {
        answerer_settle(a);
    }
    client_close(open_client(a));
    client_close(first);
}

static void clients_that_vanish_anywhere_leave_nothing_behind(void **state) {
    struct answerer *a = *state;
    struct prng prng;
    prng_seed(&prng, 5);
    AUTO_BUF said = {0};
    for (int i = 0; i < 4; i++) {
        struct frame_header header = {.number = i == 0 ? MESSAGE_HELLO : MESSAGE_LOGS,
                                      .conversation = (uint64_t)i};
        uint8_t bytes[FRAME_HEADER_BYTES];
        AUTO_BUF body = {0};
        buf_adds(&body, i == 0 ? "\x08\x01\x10\x01" : "");
        header.len = (uint32_t)body.len;
        frame_header_encode(&header, bytes);
        buf_add(&said, bytes, sizeof bytes);
        buf_add(&said, body.data, body.len);
    }
    client_close(open_client(a));
    answerer_settle(a);
    unsigned before = peer_descriptors();
    for (int i = 0; i < 3000; i++) {
        int fd = peer_connect(a->socket_path);
        peer_send_bytes(fd, said.data, (size_t)prng_below(&prng, said.len + 1));
        close(fd);
    }
    while (peer_descriptors() > before) {
        answerer_settle(a);
    }
    client_close(open_client(a)); // the listener lives
    for (size_t i = 0; i < ANSWERER_CONVERSATIONS_MAX; i++) {
        assert_null(a->open[i]);
    }
}

static void without_descriptors_clients_wait_and_are_served_later(void **state) {
    struct answerer *a = *state;
    allow_descriptors(4 * CROWD);
    struct client *client = open_client(a);
    int fds[20];
    for (int i = 0; i < 20; i++) {
        fds[i] = peer_connect(a->socket_path);
        assert_true(peer_hello(fds[i], 1, 1));
        AUTO_ARENA arena = {0};
        struct peer_frame frame;
        assert_true(peer_read(fds[i], &arena, &frame));
        close(fds[i]);
    }
    for (int i = 0; i < 20; i++) {
        fds[i] = socket(AF_UNIX, SOCK_STREAM, 0);
    }
    answerer_settle(a);
    struct rlimit limit, tight;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    tight = limit;
    tight.rlim_cur = 4; // below what is open: nothing can be opened at all
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, a->socket_path, strlen(a->socket_path) + 1);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(connect(fds[i], (const struct sockaddr *)&address, sizeof address), 0);
        assert_true(peer_hello(fds[i], 1, 1));
    }
    for (int i = 0; i < 5; i++) {
        assert_int_equal(call_info(client, NULL), 0); // who is there is served
        answerer_settle(a);
    }
    struct pollfd first = {.fd = fds[0], .events = POLLIN};
    assert_int_equal(poll(&first, 1, 0), 0);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    for (int i = 0; i < 20; i++) {
        AUTO_ARENA arena = {0};
        struct peer_frame frame;
        assert_true(peer_read(fds[i], &arena, &frame));
        assert_int_equal(frame.number, MESSAGE_WELCOME);
        close(fds[i]);
    }
    client_close(client);
}

// --- opening and closing ---

static int open_second(struct answerer *a, const char *path, struct server **out, struct error *err) {
    struct server_options options = {.socket_path = path};
    (void)a;
    schema_init(&welcome_schema, &options.welcome);
    return server_open(&options, out, err);
}

static void a_living_daemon_keeps_its_socket(void **state) {
    struct answerer *a = *state;
    struct server *second = NULL;
    for (int i = 0; i < 100; i++) {
        assert_int_equal(open_second(a, a->socket_path, &second, NULL), -ERR_BUSY);
    }
    struct client *client = open_client(a);
    assert_int_equal(call_info(client, NULL), 0);
    client_close(client);
}

static void a_socket_left_by_a_dead_daemon_is_replaced(void **state) {
    struct answerer *a = *state;
    AUTO_FREE char *path = xasprintf("%s/run/old.sock", a->dir);
    close(peer_listen(path, 1)); // the file stays
    struct server *second = NULL;
    struct error err = {0};
    if (open_second(a, path, &second, &err) != 0) {
        fail_msg("%s", err.root);
    }
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    server_close(second);
    assert_false(fs_exists(path));
}

static void the_directory_is_ours_alone_or_refused(void **state) {
    struct answerer *a = *state;
    struct stat st;
    AUTO_FREE char *run = xasprintf("%s/run", a->dir);
    assert_int_equal(stat(run, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    AUTO_FREE char *wide = xasprintf("%s/wide", a->dir);
    AUTO_FREE char *path = xasprintf("%s/muster.sock", wide);
    assert_int_equal(mkdir(wide, 0700), 0);
    assert_int_equal(chmod(wide, 01777), 0);
    struct server *second = NULL;
    struct error err = {0};
    assert_int_equal(open_second(a, path, &second, &err), -ERR_INVALID);
    assert_non_null(strstr(err.root, "--run-dir"));
    assert_int_equal(chmod(wide, 0755), 0); // another's choice, which is kept
    assert_int_equal(open_second(a, path, &second, NULL), 0);
    assert_int_equal(stat(wide, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0755);
    server_close(second);
    AUTO_FREE char *deep = xasprintf("/tmp/%0120d/muster.sock", 0);
    assert_int_equal(open_second(a, deep, &second, &err), -ERR_INVALID);
}

static void nobody_there_is_said_with_the_remedy(void **state) {
    struct answerer *a = *state;
    struct client *client = NULL;
    struct error err = {0};
    char text[1000];
    AUTO_FREE char *absent = xasprintf("unix://%s/run/none.sock", a->dir);
    assert_int_equal(client_open(absent, "test", 1000, &client, &err), -ERR_UNREACHABLE);
    assert_non_null(strstr(error_text(&err, text, sizeof text), "start it with: musterd"));
    assert_int_equal(client_open("tcp://1.2.3.4", "test", 1000, &client, &err), -ERR_USAGE);
    AUTO_FREE char *mute = xasprintf("%s/run/mute.sock", a->dir);
    int fd = peer_listen(mute, 1); // takes connections, says nothing
    assert_int_equal(client_open(mute, "test", 20, &client, &err), -ERR_UNREACHABLE);
    close(fd);
    assert_null(client);
}

static void *accept_some(void *context) {
    int listening = *(int *)context;
    AUTO_ARENA arena = {0};
    for (;;) {
        struct peer_frame frame;
        int fd = peer_accept(listening);
        if (peer_read(fd, &arena, &frame)) { // the others only fill the queue
            struct welcome welcome;
            schema_init(&welcome_schema, &welcome);
            peer_send(fd, MESSAGE_WELCOME, 0, &welcome);
            peer_read_end(fd);
            close(fd);
            return NULL;
        }
        close(fd);
    }
}

static void a_full_queue_of_connections_is_tried_again(void **state) {
    struct answerer *a = *state;
    AUTO_FREE char *path = xasprintf("%s/run/full.sock", a->dir);
    int listening = peer_listen(path, 0), fill = peer_connect(path);
    pthread_t thread;
    shutdown(fill, SHUT_RDWR);
    assert_int_equal(pthread_create(&thread, NULL, accept_some, &listening), 0);
    struct client *client = NULL;
    struct error err = {0};
    if (client_open(path, "test", 10000, &client, &err) != 0) {
        fail_msg("%s", err.root);
    }
    client_close(client);
    pthread_join(thread, NULL);
    close(fill);
    close(listening);
}

static void *close_server(void *server) {
    server_close(server);
    return NULL;
}

static void closing_sends_what_is_queued_and_says_why(void **state) {
    struct answerer *a = *state;
    struct client *client = open_client(a);
    uint64_t watch = send_watch(client, 0, 30);
    uint64_t logs = send_empty(client, MESSAGE_LOGS);
    answerer_await(a, &a->requests, 2);
    answerer_halt(a);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, close_server, a->server), 0);
    struct client_frame frame;
    for (int64_t i = 0; i <= 30; i++) {
        assert_int_equal(client_next(client, 10000, &frame, NULL), 0);
        assert_int_equal(frame.conversation, watch);
        assert_int_equal(frame.number, i < 30 ? MESSAGE_OBJECTS : MESSAGE_DONE);
    }
    struct error err = {0};
    char text[1000];
    assert_int_equal(client_next(client, 10000, &frame, &err), -ERR_UNREACHABLE);
    assert_non_null(strstr(error_text(&err, text, sizeof text), "stopping"));
    assert_int_equal(client_next(client, 0, &frame, NULL), -ERR_UNREACHABLE); // and goes on saying so
    assert_int_equal(call_info(client, &err), -ERR_UNREACHABLE);
    client_cancel(client, logs);
    pthread_join(thread, NULL); // before the client is closed: it has hung up by itself
    client_close(client);
    assert_int_equal(a->closed, 1);
}

static void closing_does_not_wait_for_ever_for_a_peer_that_stays(void **state) {
    struct answerer *a = *state;
    int fd = open_peer(a);
    struct watch_request watch;
    schema_init(&watch_request_schema, &watch);
    watch.kinds = SLOW_FRAMES;
    assert_true(peer_send(fd, MESSAGE_WATCH, 1, &watch));
    answerer_await(a, &a->requests, 1);
    answerer_halt(a);
    server_close(a->server); // would hang
    assert_int_equal(a->closed, 1);
    close(fd);
}

static void connections_that_come_while_closing_are_given_back(void **state) {
    struct answerer *a = *state;
    answerer_halt(a);
    unsigned before = peer_descriptors();
    int fds[50];
    for (int i = 0; i < 50; i++) {
        fds[i] = peer_connect(a->socket_path); // nng has accepted some; nobody has taken them
    }
    server_close(a->server);
    for (int i = 0; i < 50; i++) {
        peer_read_end(fds[i]);
        close(fds[i]);
    }
    assert_false(fs_exists(a->socket_path));
    while (peer_descriptors() >= before) { // nng closes on a thread of its own
        (void)poll(NULL, 0, 1);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
static const struct CMUnitTest tests[] = {
    TEST(a_client_is_welcomed),
    TEST(what_is_told_to_clients_can_change),
    TEST(silence_ends_the_link_at_the_deadline),
    TEST(versions_that_do_not_meet_are_refused_with_both_named),
    TEST(a_request_before_hello_and_a_second_hello_are_refused),
    TEST(who_is_refused_and_stays_is_hung_up_on),
    TEST(another_user_is_refused),
    TEST(each_message_is_heard_only_from_the_side_its_row_names),
    TEST(a_frame_longer_than_its_row_allows_ends_the_link_before_its_body),
    TEST(before_hello_a_frame_is_small),
    TEST(a_payload_that_is_not_one_is_refused),
    TEST(conversations_have_numbers_of_their_own_and_a_limit),
    TEST(many_conversations_share_a_link),
    TEST(a_cancelled_conversation_is_closed_and_the_link_goes_on),
    TEST(a_call_gives_up_in_time_and_the_client_goes_on),
    TEST(a_refusal_carries_code_and_text),
    TEST(frames_of_a_watch_wait_while_a_call_is_made),
    TEST(an_answer_too_large_to_send_is_told_and_the_daemon_lives),
    TEST(a_request_too_large_to_send_is_not_sent),
    TEST(a_slow_reader_holds_a_bounded_queue_and_nobody_else),
    TEST(a_client_that_does_not_take_stops_the_server_too),
    TEST(a_handler_may_end_any_conversation_when_one_is_writable),
    TEST(a_thousand_connections_are_answered_and_leave_nothing_behind),
    TEST(clients_that_vanish_anywhere_leave_nothing_behind),
    TEST(without_descriptors_clients_wait_and_are_served_later),
    TEST(a_living_daemon_keeps_its_socket),
    TEST(a_socket_left_by_a_dead_daemon_is_replaced),
    TEST(the_directory_is_ours_alone_or_refused),
    TEST(nobody_there_is_said_with_the_remedy),
    TEST(a_full_queue_of_connections_is_tried_again),
    TEST(closing_sends_what_is_queued_and_says_why),
    TEST(closing_does_not_wait_for_ever_for_a_peer_that_stays),
    TEST(connections_that_come_while_closing_are_given_back),
};

int main(void) {
    log_configure(&(struct log_options){.level = LOG_ERROR, .fd = 2}); // refusals are what is tested
    return cmocka_run_group_tests_name(__FILE__, tests, NULL, NULL);
}
