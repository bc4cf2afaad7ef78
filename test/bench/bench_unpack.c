// SPDX-License-Identifier: Apache-2.0
//
// test/bench/bench_unpack.c — an image onto a node: unpacking beside plain `tar`, and the whole way from an
// OCI layout. Needs root.
//
// One JSON line a figure: wall clock, the best of three, each with its sync to disk; `tar` of the same
// bytes in the same run is what it is compared with. 64 MiB in 4,000 files, gzip, one layer.
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "reconciler/agent/image_store.h"
#include "reconciler/agent/unpack.h"

#define ROUNDS 3
#define AGAIN_COUNT 100

static char work[] = "/tmp/muster-bench-unpack-XXXXXX";
static char *self;

static void run(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void run(const char *format, ...) {
    AUTO_BUF command = {0};
    va_list args;
    va_start(args, format);
    buf_addv(&command, format, args);
    va_end(args);
    pid_t pid = fork();
    if (pid == 0) {
        if (chdir(work) == 0) {
            execl("/bin/sh", "sh", "-c", buf_text(&command), NULL);
        }
        _exit(127);
    }
    int status = -1;
    if (waitpid(pid, &status, 0) != pid || status != 0) {
        fprintf(stderr, "failed: %s\n", buf_text(&command));
        exit(1);
    }
}

static void report(const char *figure, double value, const char *unit) {
    printf("{\"bench\":\"unpack\",\"figure\":\"%s\",\"value\":%.2f,\"unit\":\"%s\"}\n", figure, value, unit);
}

// The best time of a command line; `before` is not measured.
static double best_ms(const char *before, const char *command) {
    double best = 1e9;
    for (int i = 0; i < ROUNDS; i++) {
        run("%s", before);
        int64_t start_ns = clock_mono_ns();
        run("%s", command);
        double ms = (double)(clock_mono_ns() - start_ns) / NS_PER_MS;
        best = ms < best ? ms : best;
    }
    return best;
}

static void on_progress(void *context, int64_t reason, const char *message) {
    (void)context;
    (void)reason;
    (void)message;
}

static void on_done(void *context, const struct image_result *result) {
    (void)context;
    if (result->code != 0) {
        fprintf(stderr, "%s\n", result->message);
        exit(1);
    }
}

static double ensure_ms(uv_loop_t *loop, struct image_store *store, int number) {
    AUTO_FREE char *reference = xasprintf("oci:%s/layout:latest", work);
    struct image_request request = {.reference = reference, .on_progress = on_progress, .on_done = on_done};
    memset(request.user.text, 'a' + number, ID_LEN);
    int64_t start_ns = clock_mono_ns();
    image_store_ensure(store, &request);
    uv_run(loop, UV_RUN_DEFAULT);
    return (double)(clock_mono_ns() - start_ns) / NS_PER_MS;
}

static void bench_store(double tar_ms) {
    double first = 1e9;
    double again = 0;
    for (int i = 0; i < ROUNDS; i++) {
        uv_loop_t loop;
        struct image_store *store;
        struct error err = {0};
        AUTO_FREE char *state = xasprintf("%s/state", work);
        run("rm -rf state && sync -f .");
        uv_loop_init(&loop);
        const struct image_store_options options = {.loop = &loop, .state_dir = state, .self_path = self};
        if (image_store_open(&options, &store, &err) != 0) {
            fprintf(stderr, "%s\n", err.root);
            exit(1);
        }
        double ms = ensure_ms(&loop, store, 0);
        first = ms < first ? ms : first;
        int64_t start_ns = clock_mono_ns();
        for (int n = 0; n < AGAIN_COUNT; n++) {
            ensure_ms(&loop, store, 1);
        }
        again = (double)(clock_mono_ns() - start_ns) / NS_PER_MS / AGAIN_COUNT;
        image_store_close(store);
        uv_run(&loop, UV_RUN_DEFAULT);
        uv_loop_close(&loop);
    }
    report("pull and unpack", first, "ms");
    report("pull and unpack, to tar", first / tar_ms, "ratio");
    report("image that is here", again, "ms");
}

int main(int argc, char **argv) {
    if (argc > 1 && strcmp(argv[1], "unpack") == 0) {
        return unpack_main(argc - 1, argv + 1);
    }
    log_configure(&(struct log_options){.level = LOG_ERROR, .fd = 2});
    self = realpath("/proc/self/exe", NULL);
    if (self == NULL || mkdtemp(work) == NULL) {
        return 1;
    }
    run("mkdir root && head -c 50331648 /dev/urandom | base64 -w 0 | split -b 16400 -a 4 -d - root/file && "
        "tar -C root -czf layer.tar.gz . && "
        "skopeo --insecure-policy copy -q tarball:layer.tar.gz oci:layout:latest && mkdir layers");
    AUTO_FREE char *unpack =
        xasprintf("%s unpack --blob %s/layer.tar.gz --work %s/layers/.new --layers %s/layers >/dev/null",
                  self, work, work, work);
    double tar_ms =
        best_ms("rm -rf plain && mkdir plain && sync -f .", "tar -C plain -xzf layer.tar.gz && sync -f .");
    double unpack_ms = best_ms("rm -rf layers/* && sync -f .", unpack);
    report("tar", tar_ms, "ms");
    report("unpack", unpack_ms, "ms");
    report("unpack, to tar", unpack_ms / tar_ms, "ratio");
    bench_store(tar_ms);
    xfree(self);
    return fs_remove_tree(AT_FDCWD, work, NULL) == 0 ? 0 : 1;
}
