// SPDX-License-Identifier: Apache-2.0
//
// test/unit/test_daemon_faults.c — musterd when things go wrong: a second one, a damaged store, a full
// disk, no descriptors left, wrong options.
#include "test/lib/check.h"
#include "test/lib/daemon_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"

static int setup(void **state) {
    struct daemon_fixture *f = test_malloc(sizeof *f);
    daemon_begin(f, "fake");
    assert_int_equal(daemon_init(f), 0);
    *state = f;
    return 0;
}

static int teardown(void **state) {
    daemon_end(*state);
    test_free(*state);
    return 0;
}

static const char *const fake[] = {"--executor=fake", NULL};

static void a_second_daemon_says_who_is_there(void **state) {
    struct daemon_fixture *f = *state;
    const char *said;
    char pid[32];
    assert_int_equal(daemon_run(f, fake, &said), 3);
    snprintf(pid, sizeof pid, "in use by process %d", (int)f->pid);
    assert_non_null(strstr(said, pid));
    assert_int_equal(daemon_run(f, (const char *const[]){"--check-store", NULL}, &said), 3);
    assert_true(daemon_info(f)->is_initialized); // the first one did not notice
}

// Where the last record of each page is; the first two pages are LMDB's own.
static void damage_store(const struct daemon_fixture *f) {
    static const char garbage[] = "garbage where the last record is";
    char path[128];
    struct stat stat;
    snprintf(path, sizeof path, "%s/state/store/data.mdb", f->dir);
    AUTO_CLOSE int fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &stat), 0);
    for (off_t page = 2; page < stat.st_size / 4096; page++) {
        assert_int_equal(pwrite(fd, garbage, sizeof garbage, page * 4096 + 4040), sizeof garbage);
    }
}

static void a_damaged_store_is_refused_with_what_to_do(void **state) {
    struct daemon_fixture *f = *state;
    const char *said;
    assert_int_equal(daemon_stop(f, SIGTERM), 0);
    assert_int_equal(daemon_run(f, (const char *const[]){"--check-store", NULL}, &said), 0);
    damage_store(f);
    assert_int_equal(daemon_run(f, fake, &said), 10);
    assert_non_null(strstr(said, "musterd: open the store in"));
    assert_int_equal(daemon_run(f, (const char *const[]){"--check-store", NULL}, &said), 10);
}

static void a_damaged_node_id_is_not_replaced(void **state) {
    struct daemon_fixture *f = *state;
    const char *said;
    char path[128];
    assert_int_equal(daemon_stop(f, SIGTERM), 0);
    snprintf(path, sizeof path, "%s/state/node-id", f->dir);
    assert_int_equal(fs_replace(AT_FDCWD, path, "nonsense\n", 9, 0600, false, &f->err), 0);
    assert_int_equal(daemon_run(f, fake, &said), 10);
    assert_non_null(strstr(said, "does not hold a node id"));
    assert_int_equal(fs_replace(AT_FDCWD, path, "", 0, 0600, false, &f->err), 0);
    assert_int_equal(daemon_run(f, fake, &said), 10);
}

// tidy: table
static const struct {
    const char *options[4];
    const char *says;
} wrong[] = {
    {{"--state-dri=/x"}, "unknown option '--state-dri'; did you mean '--state-dir'?"},
    {{"--executor=docker"}, "--executor 'docker'"},
    {{"--log-level", "loud"}, "--log-level 'loud'"},
    {{"--node-name"}, "--node-name needs a value"},
    {{"--node-name=a/b"}, "--node-name 'a/b'"},
    {{"--label=x"}, "write --label KEY=VALUE"},
    {{"start"}, "'start' is no option"},
    {{"--config=/nonexistent.yaml"}, "read settings"},
    {{"--parallel=-1"}, "--parallel"},
};

static void wrong_options_are_named(void **state) {
    struct daemon_fixture *f = *state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        const char *said;
        assert_int_equal(daemon_run(f, wrong[i].options, &said), 2);
        if (strstr(said, wrong[i].says) == NULL) {
            fail_msg("'%s' is not in: %s", wrong[i].says, said);
        }
    }
}

static void a_settings_file_is_read_and_its_mistakes_have_places(void **state) {
    struct daemon_fixture *f = *state;
    char path[128], option[160];
    const char *said;
    snprintf(path, sizeof path, "%s/settings.yaml", f->dir);
    snprintf(option, sizeof option, "--config=%s", path);
    static const char good[] = "log_level: debug\nlabels: {disk: ssd}\nexecutor: fake\nnode_name: other\n";
    static const char bad[] = "log_level: debug\nexecuter: fake\n";
    assert_int_equal(fs_replace(AT_FDCWD, path, bad, strlen(bad), 0600, false, &f->err), 0);
    assert_int_equal(daemon_run(f, (const char *const[]){option, NULL}, &said), 2);
    assert_non_null(strstr(said, "settings.yaml:2:1: "));
    assert_int_equal(fs_replace(AT_FDCWD, path, good, strlen(good), 0600, false, &f->err), 0);
    assert_int_equal(daemon_run(f, (const char *const[]){option, NULL}, &said), 3); // read, and then: in use
}

static void without_descriptors_it_lives_on(void **state) {
    struct daemon_fixture *f = *state;
    struct client *clients[64];
    size_t count = 0;
    char host[128];
    assert_int_equal(daemon_stop(f, SIGTERM), 0);
    f->files_max = 48;
    daemon_start(f);
    snprintf(host, sizeof host, "unix://%s/run/muster.sock", f->dir);
    while (count < 64 && client_open(host, "test", 500, &clients[count], &f->err) == 0) {
        count++;
    }
    assert_in_range(count, 5, 63); // there was an end to it
    assert_true(daemon_info(f)->is_initialized);
    assert_int_equal(daemon_apply(f, "kind: service\nname: web\nimage: b\n", NULL), 0);
    for (size_t i = 0; i < count; i++) {
        client_close(clients[i]);
    }
    client_close(daemon_connect(f));
    daemon_wait_count(f, "web", TASK_RUNNING, 1);
}

// --- a full disk ---

static void mount_small(struct daemon_fixture *f) {
    if (unshare(CLONE_NEWNS) != 0) {
        skip(); // needs root
    }
    assert_int_equal(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
    assert_int_equal(daemon_stop(f, SIGTERM), 0);
    assert_int_equal(mount("tmpfs", f->dir, "tmpfs", 0, "size=72m"), 0);
    daemon_start(f);
    assert_int_equal(daemon_init(f), 0);
}

static void fill_disk(struct daemon_fixture *f, size_t bytes) {
    char path[128];
    static char block[1 << 20];
    snprintf(path, sizeof path, "%s/filler", f->dir);
    AUTO_CLOSE int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    for (size_t written = 0; written < bytes; written += sizeof block) {
        if (fs_write_all(fd, block, sizeof block) != 0) {
            assert_int_equal(errno, ENOSPC);
            break;
        }
    }
}

static void empty_disk(struct daemon_fixture *f) {
    char path[128];
    snprintf(path, sizeof path, "%s/filler", f->dir);
    assert_int_equal(unlink(path), 0);
}

static void on_a_full_disk_changes_are_refused_until_it_is_not(void **state) {
    struct daemon_fixture *f = *state;
    mount_small(f);
    assert_int_equal(daemon_apply(f, "kind: service\nname: web\nimage: b\ndeploy: {replicas: 2}\n", NULL), 0);
    daemon_wait_count(f, "web", TASK_RUNNING, 2);
    fill_disk(f, 16 << 20); // below the reserve
    assert_int_equal(daemon_apply(f, "kind: service\nname: api\nimage: b\n", NULL), -ERR_NO_SPACE);
    assert_int_equal(daemon_count(f, "web", TASK_RUNNING), 2);
    bool is_told = false;
    const struct info_reply *info = daemon_info(f);
    for (size_t i = 0; i < info->warnings.count; i++) {
        is_told |= strstr(info->warnings.items[i], "nearly full") != NULL;
    }
    assert_true(is_told);
    fill_disk(f, SIZE_MAX); // not a byte left
    assert_int_equal(daemon_apply(f, "kind: service\nname: api\nimage: b\n", NULL), -ERR_NO_SPACE);
    empty_disk(f);
    assert_int_equal(daemon_apply(f, "kind: service\nname: api\nimage: b\n", NULL), 0);
    daemon_wait_count(f, "api", TASK_RUNNING, 1);
    assert_int_equal(daemon_stop(f, SIGTERM), 0);
    umount2(f->dir, MNT_DETACH);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_second_daemon_says_who_is_there),
        TEST(a_damaged_store_is_refused_with_what_to_do),
        TEST(a_damaged_node_id_is_not_replaced),
        TEST(wrong_options_are_named),
        TEST(a_settings_file_is_read_and_its_mistakes_have_places),
        TEST(without_descriptors_it_lives_on),
        TEST(on_a_full_disk_changes_are_refused_until_it_is_not), // last: leaves the mount namespace
    };
    return cmocka_run_group_tests_name(__FILE__, tests, NULL, NULL);
}
