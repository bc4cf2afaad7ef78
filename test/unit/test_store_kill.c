// SPDX-License-Identifier: Apache-2.0
//
// test/unit/test_store_kill.c — kill -9 at any moment: what was acknowledged is there, whole, and the store
// opens without help.
//
//     test_store_kill                          as a unit test: 120 kills at random moments
//     test_store_kill writer DIR COUNT commits COUNT transactions, prints the revision of each when
//     acknowledged test_store_kill verify DIR REVISION exit status 0 when all up to REVISION is there;
//     prints the revision found
//
// The two commands serve test/e2e/store_kill.bats, which kills at chosen system calls. Transaction n creates
// task n and rewrites one config with a content that follows from n, so that a half transaction would show.
#include "test/lib/check.h"
#include "test/lib/store_fixture.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/limits.h"
#include "base/prng.h"
#include "base/str.h"

#define CONFIG_NUMBER 1000000
#define KILLS 120

static int open_at(struct store_fixture *f, const char *dir) {
    *f = (struct store_fixture){0};
    str_copy(f->dir, sizeof f->dir, dir);
    f->options = (struct store_options){
        .dir = f->dir, .map_bytes = (size_t)64 * MIB, .reserve_bytes = -1, .history_bytes = 300000};
    return store_fixture_open(f);
}

static struct store_object config_of(struct store_fixture *f, int64_t revision) {
    return store_config(f, CONFIG_NUMBER, "content", 100 + (size_t)(revision * 37 % 6000));
}

// --- the writer ---

static int write_one(struct store_fixture *f) {
    int64_t next = store_revision(f->store) + 1;
    store_add(f, CHANGE_CREATE, store_task(f, (unsigned)next, 1 + (unsigned)next % 7, 900), 0);
    store_add(f, next == 1 ? CHANGE_CREATE : CHANGE_UPDATE, config_of(f, next), next - 1);
    int rc = store_submit(f, (uint64_t)next);
    rc = rc < 0 ? rc : f->proposer->ops->turn(f->proposer, &f->err);
    if (rc == 0 && f->results.items[f->results.count - 1].code == 0) {
        dprintf(STDOUT_FILENO, "%lld\n", (long long)next);
    }
    f->results.count = 0;
    f->results.items = NULL;
    arena_clear(&f->arena);
    return rc;
}

static int writer(const char *dir, int64_t count) {
    struct store_fixture f;
    char text[512];
    int rc = open_at(&f, dir);
    for (int64_t i = 0; rc == 0 && i < count; i++) {
        rc = write_one(&f);
    }
    if (rc < 0) {
        fprintf(stderr, "%s\n", error_text(&f.err, text, sizeof text));
    }
    store_fixture_close(&f);
    arena_free(&f.arena);
    return rc < 0 ? 1 : 0;
}

// --- what must be there ---

// The revision found, or -1.
static int64_t verify(const char *dir, int64_t acknowledged) {
    struct store_fixture f;
    char text[512];
    if (open_at(&f, dir) < 0) {
        fprintf(stderr, "%s\n", error_text(&f.err, text, sizeof text));
        return -1;
    }
    int64_t revision = store_revision(f.store);
    bool good = revision >= acknowledged && revision <= acknowledged + 1;
    struct store_read *read = store_begin_read(&f);
    for (int64_t i = 1; good && i <= revision; i++) {
        struct id id = store_id((unsigned)i);
        void *task = NULL;
        good =
            store_load(read, KIND_TASK, &id, &f.arena, &task, NULL) == 0 && object_meta(task)->version == i;
    }
    struct id id = store_id(CONFIG_NUMBER);
    struct bytes bytes = {0};
    good = good && store_count(read, KIND_TASK) == revision &&
           store_get(read, KIND_CONFIG, &id, &bytes, NULL) == (revision > 0 ? 0 : STORE_ABSENT) &&
           (revision == 0 || bytes.len > config_of(&f, revision).bytes.len);
    if (!good) {
        fprintf(stderr, "acknowledged %lld, found %lld\n", (long long)acknowledged, (long long)revision);
    }
    store_read_end(read);
    store_fixture_close(&f);
    arena_free(&f.arena);
    return good ? revision : -1;
}

// --- the unit test: kills by chance ---

static pid_t start_writer(const char *dir, int *out_fd) {
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    fflush(stdout);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        dup2(ends[1], STDOUT_FILENO);
        close(ends[0]);
        close(ends[1]);
        _exit(writer(dir, INT32_MAX));
    }
    close(ends[1]);
    *out_fd = ends[0];
    return child;
}

// Reads acknowledgements until `enough` of them came, or all there are; returns the last.
static int64_t read_acknowledged(int fd, size_t enough, int64_t last) {
    char line[32];
    size_t len = 0;
    for (size_t lines = 0; lines < enough;) {
        char c;
        if (read(fd, &c, 1) != 1) {
            break;
        }
        if (c != '\n') {
            line[len++] = c;
            continue;
        }
        line[len] = '\0';
        len = 0;
        lines++;
        assert_true(str_to_int(line, &last));
    }
    return last;
}

static void acknowledged_changes_survive_any_kill(void **state) {
    (void)state;
    struct store_fixture f;
    struct prng prng;
    prng_seed(&prng, 9);
    store_fixture_begin(&f, NULL);
    store_fixture_close(&f);
    int64_t last = 0;
    for (int i = 0; i < KILLS; i++) {
        int fd;
        pid_t child = start_writer(f.dir, &fd);
        last = read_acknowledged(fd, prng_below(&prng, 12), last);
        for (uint64_t spin = prng_below(&prng, 2000000); spin > 0; spin--) { // somewhere inside the next turn
            __asm__ volatile("");
        }
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        last = read_acknowledged(fd, SIZE_MAX, last);
        close(fd);
        last = verify(f.dir, last);
        assert_true(last >= 0);
    }
    assert_true(last > KILLS);
    store_fixture_end(&f);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(acknowledged_changes_survive_any_kill),
};

int main(int argc, char **argv) {
    int64_t number;
    if (argc == 4 && str_to_int(argv[3], &number)) {
        if (strcmp(argv[1], "writer") == 0) {
            return writer(argv[2], number);
        }
        int64_t found = verify(argv[2], number);
        printf("%lld\n", (long long)found);
        return found < 0 ? 1 : 0;
    }
    return cmocka_run_group_tests_name(__FILE__, tests, NULL, NULL);
}
