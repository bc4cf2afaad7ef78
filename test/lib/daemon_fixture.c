// SPDX-License-Identifier: Apache-2.0
//
// test/lib/daemon_fixture.c — starting, asking, killing a musterd.
#include "test/lib/daemon_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/str.h"
#include "specs/manifest.h"
#include "test/lib/check.h"
#include "test/lib/scratch.h"

#define DEADLINE_MS 60000
#define OPTIONS_MAX 24

// build/test/FLAVOUR/test_x → build/FLAVOUR/musterd if it was built, else build/musterd.
static const char *find_program(struct arena *arena) {
    char self[PATH_MAX];
    ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
    assert_true(len > 0);
    self[len] = '\0';
    *strrchr(self, '/') = '\0';
    char *flavour = strrchr(self, '/') + 1;
    flavour[-1] = '\0';
    *strrchr(self, '/') = '\0';
    const char *own = arena_printf(arena, "%s/%s/musterd", self, flavour);
    return fs_exists(own) ? own : arena_printf(arena, "%s/musterd", self);
}

static pid_t spawn(struct daemon_fixture *f, const char *const *options, int *out_fd) {
    char state[128], run[128];
    int pipe_fds[2];
    const char *program = find_program(&f->arena);
    snprintf(state, sizeof state, "--state-dir=%s/state", f->dir);
    snprintf(run, sizeof run, "--run-dir=%s/run", f->dir);
    const char *argv[OPTIONS_MAX] = {program, state, run, "--node-name=n1", "--listen=127.0.0.1:0"};
    size_t count = 5;
    for (; *options != NULL && count < OPTIONS_MAX - 1; options++) {
        argv[count++] = *options;
    }
    assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(pipe_fds[1], 2);
        if (f->files_max > 0) {
            setrlimit(RLIMIT_NOFILE, &(struct rlimit){f->files_max, f->files_max});
        }
        execv(program, (char *const *)(uintptr_t)argv);
        _exit(127);
    }
    close(pipe_fds[1]);
    assert_true(pid > 0);
    *out_fd = pipe_fds[0];
    return pid;
}

static int wait_for_end(pid_t pid) {
    int status;
    while (waitpid(pid, &status, 0) < 0) {
        assert_int_equal(errno, EINTR);
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

int daemon_run(struct daemon_fixture *f, const char *const *options, const char **out) {
    int fd;
    pid_t pid = spawn(f, options, &fd);
    AUTO_BUF text = {0};
    char piece[4096];
    struct pollfd waited = {.fd = fd, .events = POLLIN};
    for (ssize_t got; poll(&waited, 1, DEADLINE_MS) > 0 && (got = read(fd, piece, sizeof piece)) > 0;) {
        buf_add(&text, piece, (size_t)got);
        if (strstr(buf_text(&text), "daemon.ready") != NULL) { // not what it was run for
            kill(pid, SIGKILL);
        }
    }
    close(fd);
    *out = arena_strdup(&f->arena, buf_text(&text));
    return wait_for_end(pid);
}

// Its log, until it says that it is ready.
static void wait_until_ready(struct daemon_fixture *f) {
    AUTO_BUF text = {0};
    char piece[4096];
    while (strstr(buf_text(&text), "daemon.ready") == NULL) {
        ssize_t got = read(f->log_fd, piece, sizeof piece);
        if (got <= 0) {
            fail_msg("musterd ended: %s", buf_text(&text));
        }
        buf_add(&text, piece, (size_t)got);
    }
}

struct client *daemon_connect(struct daemon_fixture *f) {
    char host[128];
    struct client *client;
    snprintf(host, sizeof host, "unix://%s/run/muster.sock", f->dir);
    if (client_open(host, "test", DEADLINE_MS, &client, &f->err) < 0) {
        fail_msg("connect: %s", f->err.root);
    }
    return client;
}

void daemon_start(struct daemon_fixture *f) {
    const char *executor = arena_printf(&f->arena, "--executor=%s", f->executor);
    f->pid = spawn(f, (const char *const[]){executor, NULL}, &f->log_fd);
    wait_until_ready(f);
    f->client = daemon_connect(f);
}

int daemon_stop(struct daemon_fixture *f, int signal) {
    client_close(TAKE(f->client));
    kill(f->pid, signal);
    int status = wait_for_end(f->pid);
    f->pid = 0;
    close(f->log_fd);
    return status;
}

void daemon_begin(struct daemon_fixture *f, const char *executor) {
    *f = (struct daemon_fixture){.executor = executor};
    scratch_name(f->dir, sizeof f->dir, "daemon");
    assert_non_null(mkdtemp(f->dir));
    daemon_start(f);
}

void daemon_end(struct daemon_fixture *f) {
    if (f->pid != 0) {
        daemon_stop(f, SIGKILL);
    }
    fs_remove_tree(AT_FDCWD, f->dir, &f->err);
    arena_free(&f->arena);
}

// --- requests ---

int daemon_init(struct daemon_fixture *f) {
    struct init_request request;
    void *reply;
    schema_init(&init_request_schema, &request);
    request.advertise_address = "127.0.0.1";
    error_clear(&f->err);
    return client_call(f->client, MESSAGE_INIT, &request, MESSAGE_INIT_REPLY, &f->arena, &reply, DEADLINE_MS,
                       &f->err);
}

static void declare(struct daemon_fixture *f, const char *yaml, struct apply_request *request,
                    const struct apply_request *like) {
    struct declarations declarations;
    struct diagnostics diagnostics = {0};
    struct manifest_options options = {0};
    int rc = manifest_parse("test.yaml", yaml, strlen(yaml), &options, &f->arena, &declarations, &diagnostics,
                            &f->err);
    if (rc != 0) {
        fail_msg("%s", diagnostics.count > 0 ? diagnostics.items[0].text : f->err.root);
    }
    for (size_t i = 0; i < declarations.count; i++) {
        const struct declaration *declared = &declarations.items[i];
        struct apply_item *item = ARENA_PUSH(&f->arena, &request->items);
        schema_init(&apply_item_schema, item);
        item->kind = declared->kind;
        item->name = declared->name;
        item->expected_version =
            like != NULL && i < like->items.count ? like->items.items[i].expected_version : 0;
        AUTO_BUF spec = {0};
        wire_encode(object_spec_schema(declared->kind), declared->spec, &spec);
        item->spec = (struct bytes){arena_copy(&f->arena, spec.data, spec.len), spec.len};
    }
}

int daemon_apply_request(struct daemon_fixture *f, const char *yaml, const struct apply_request *like,
                         struct applied **out) {
    struct apply_request request;
    void *reply = NULL;
    schema_init(&apply_request_schema, &request);
    if (like != NULL) {
        request.request_id = like->request_id != NULL ? like->request_id : "";
        request.dry_run = like->dry_run;
    }
    declare(f, yaml, &request, like);
    error_clear(&f->err);
    int rc = client_call(f->client, MESSAGE_APPLY, &request, MESSAGE_APPLIED, &f->arena, &reply, DEADLINE_MS,
                         &f->err);
    if (rc == 0 && out != NULL) {
        *out = reply;
    }
    return rc;
}

int daemon_apply(struct daemon_fixture *f, const char *yaml, struct applied **out) {
    return daemon_apply_request(f, yaml, NULL, out);
}

int daemon_remove(struct daemon_fixture *f, enum object_kind kind, const char *name, struct applied **out) {
    struct remove_request request;
    void *reply = NULL;
    schema_init(&remove_request_schema, &request);
    request.kind = kind;
    request.references.count = 1;
    request.references.items = &name;
    error_clear(&f->err);
    int rc = client_call(f->client, MESSAGE_REMOVE, &request, MESSAGE_APPLIED, &f->arena, &reply, DEADLINE_MS,
                         &f->err);
    if (rc == 0 && out != NULL) {
        *out = reply;
    }
    return rc;
}

int daemon_list(struct daemon_fixture *f, enum object_kind kind, const char *reference,
                struct object_list *out) {
    struct list_request request;
    schema_init(&list_request_schema, &request);
    request.kind = kind;
    if (reference != NULL) {
        request.references.count = 1;
        request.references.items = &reference;
    }
    error_clear(&f->err);
    return client_list(f->client, &request, &f->arena, out, &f->err);
}

struct info_reply *daemon_info(struct daemon_fixture *f) {
    struct nothing nothing = {0};
    void *reply;
    if (client_call(f->client, MESSAGE_INFO, &nothing, MESSAGE_INFO_REPLY, &f->arena, &reply, DEADLINE_MS,
                    &f->err) < 0) {
        fail_msg("info: %s", f->err.root);
    }
    return reply;
}

struct service *daemon_service(struct daemon_fixture *f, const char *name) {
    struct object_list list;
    int rc = daemon_list(f, KIND_SERVICE, name, &list);
    assert_true(rc == 0 || rc == -ERR_NOT_FOUND);
    return rc == 0 ? list.items[0] : NULL;
}

size_t daemon_count(struct daemon_fixture *f, const char *service, int64_t state) {
    struct service *found = daemon_service(f, service);
    struct list_request request;
    struct object_list list;
    size_t count = 0;
    if (found == NULL) {
        return 0;
    }
    schema_init(&list_request_schema, &request);
    request.kind = KIND_TASK;
    request.service = found->meta.id;
    assert_int_equal(client_list(f->client, &request, &f->arena, &list, &f->err), 0);
    for (size_t i = 0; i < list.count; i++) {
        const struct task *task = list.items[i];
        count += task->status.state == state && (task->desired <= TASK_RUNNING || task_state_is_over(state));
    }
    return count;
}

// --- waiting ---

// A connection of its own, whose watch tells that something happened.
void daemon_wait(struct daemon_fixture *f, daemon_condition holds, const void *context) {
    struct client *watcher = daemon_connect(f);
    struct watch_request request;
    uint64_t conversation;
    int64_t deadline = clock_mono_ms() + DEADLINE_MS;
    schema_init(&watch_request_schema, &request);
    assert_int_equal(client_send(watcher, MESSAGE_WATCH, &request, &conversation, &f->err), 0);
    while (!holds(f, context)) {
        struct client_frame frame;
        int64_t left = deadline - clock_mono_ms();
        int rc = client_next(watcher, left > 0 ? left : 0, &frame, &f->err);
        if (rc != 0) {
            fail_msg("it did not become true: %s", rc < 0 ? f->err.root : "deadline");
        }
        while (client_next(watcher, 0, &frame, &f->err) == 0) {
            // what else is there already
        }
    }
    client_close(watcher);
}

struct count_condition {
    const char *service;
    int64_t state;
    size_t count;
};

static bool has_count(struct daemon_fixture *f, const void *context) {
    const struct count_condition *wanted = context;
    return daemon_count(f, wanted->service, wanted->state) == wanted->count;
}

void daemon_wait_count(struct daemon_fixture *f, const char *service, int64_t state, size_t count) {
    daemon_wait(f, has_count, &(struct count_condition){service, state, count});
}
