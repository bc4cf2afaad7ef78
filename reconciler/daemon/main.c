// SPDX-License-Identifier: Apache-2.0
//
// reconciler/daemon/main.c — musterd: options, helpers, limits of the process, exit statuses.
//
// `musterd unpack …` is not for people: the daemon runs itself as its own helpers, with fewer rights.
// Exit statuses are those of base/error.h, as for muster; 0 after SIGTERM or SIGINT.
#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"
#include "reconciler/agent/health_probe.h"
#include "reconciler/agent/unpack.h"
#include "reconciler/daemon/daemon.h"

#define FILES_MAX 65536

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
} helpers[] = {
    {"unpack", unpack_main},
    {"probe", health_probe_main},
};

static int complain(const struct error *err) {
    char text[2048];
    fprintf(stderr, "musterd: %s\n", error_text(err, text, sizeof text));
    return error_exit_status((int)err->code);
}

// Writing to a reader that is gone is an error to be handled, not an end. Descriptors: one for each client,
// task and log file that is open. One memory pool: few threads allocate, and each pool of its own would stay
// resident.
static void prepare_process(void) {
    struct rlimit files;
    signal(SIGPIPE, SIG_IGN);
    umask(022);
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < FILES_MAX) {
        files.rlim_cur = files.rlim_max < FILES_MAX ? files.rlim_max : FILES_MAX;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    mallopt(M_ARENA_MAX, 1);
    mallopt(M_TRIM_THRESHOLD, 256 * KIB);
    mallopt(M_MMAP_THRESHOLD, 128 * KIB);
}

// The next life fetches the state from the others; where there are none, all stays.
static void set_store_aside(const struct daemon_options *options, const struct error *why) {
    AUTO_FREE char *dir = xasprintf("%s/store", options->state_dir);
    (void)rejoin_set_aside(dir, why);
}

// One life; *out_again: another one follows, because this node left its cluster, or goes on alone.
static int live(const struct daemon_options *options, bool *out_again, struct error *err) {
    struct daemon daemon = {0};
    int rc = daemon_open(&daemon, options, err);
    if (rc == 0) {
        rc = loop_run(&daemon, err);
    }
    *out_again = rc == 0 && daemon.begins_anew;
    bool discards_store = *out_again && daemon.discards_store;
    daemon_close(&daemon);
    if (discards_store) {
        AUTO_FREE char *dir = xasprintf("%s/store", options->state_dir);
        rejoin_discard(dir);
    }
    return rc;
}

static int run(const struct daemon_options *options) {
    struct error err = {0};
    bool again = true;
    int rc = 0;
    prepare_process();
    log_configure(&(struct log_options){
        .level = options->log_level, .json = options->log_format == LOG_FORMAT_JSON, .fd = 2});
    while (again) {
        rc = live(options, &again, &err);
    }
    if (rc == -ERR_CORRUPT) { // found while it ran
        set_store_aside(options, &err);
    }
    return rc < 0 ? complain(&err) : 0;
}

static int check_store(const struct daemon_options *options) {
    struct error err = {0};
    AUTO_FREE char *dir = xasprintf("%s/store", options->state_dir);
    if (error_wrap(&err, store_check(dir, &err), "the store in %s", dir) < 0) {
        return complain(&err);
    }
    printf("the store in %s is sound\n", dir);
    return 0;
}

static int help(void) {
    AUTO_BUF text = {0};
    daemon_options_help(&text);
    fputs(buf_text(&text), stdout);
    return 0;
}

static int act(enum daemon_action action, const struct daemon_options *options) {
    switch (action) {
    case ACTION_RUN:
        return run(options);
    case ACTION_CHECK_STORE:
        return check_store(options);
    case ACTION_VERSION:
        puts("musterd " MUSTER_VERSION);
        return 0;
    case ACTION_HELP:
        return help();
    }
    UNREACHABLE("an action of no kind");
}

int main(int argc, char **argv) {
    for (size_t i = 0; argc > 1 && i < sizeof helpers / sizeof *helpers; i++) {
        if (strcmp(argv[1], helpers[i].name) == 0) {
            return helpers[i].run(argc - 1, argv + 1);
        }
    }
    struct arena arena = arena_make(0); // as long as the process
    struct daemon_options options;
    enum daemon_action action;
    struct error err = {0};
    int status = daemon_options_read(argc, argv, &arena, &options, &action, &err) < 0 ? complain(&err)
                                                                                      : act(action, &options);
    arena_free(&arena);
    return status;
}
