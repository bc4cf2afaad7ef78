// SPDX-License-Identifier: Apache-2.0
//
// test/unit/test_store_quarantine.c — a damaged store is set aside whole, also on a full disk; the group's
// card tells whom to ask, or that it is damaged itself.
//
// The full file system is a tmpfs in a mount namespace of a child process, so that nothing is left behind;
// needs root.
#include "test/lib/check.h"
#include "test/lib/scratch.h"
#include "test/lib/store_fixture.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "base/fs.h"
#include "base/limits.h"
#include "base/mem.h"
#include "reconciler/store/group_card.h"
#include "reconciler/store/quarantine.h"

static void get_file(const char *dir, const char *name, struct buf *out) {
    char path[160];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    assert_int_equal(fs_read(AT_FDCWD, path, (size_t)64 * MIB, out, NULL), 0);
}

static bool has_file(const char *dir, const char *name) {
    char path[160];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return fs_exists(path);
}

static void spoil(const char *dir) {
    char path[160], zeros[4096] = "";
    snprintf(path, sizeof path, "%s/data.mdb", dir);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_int_equal(pwrite(fd, zeros, sizeof zeros, 0), sizeof zeros);
    close(fd);
}

// --- quarantine ---

static void a_damaged_store_is_set_aside_whole(void **state) {
    (void)state;
    struct store_fixture f;
    char name[QUARANTINE_NAME_BYTES];
    AUTO_BUF before = {0}, after = {0}, reason = {0};
    store_fixture_begin(&f, NULL);
    store_try(&f, CHANGE_CREATE, store_task(&f, 1, 1, 0), 0);
    assert_int_equal(quarantine(f.dir, "in use", name, &f.err), -ERR_BUSY);
    store_fixture_close(&f);
    spoil(f.dir);
    assert_int_equal(store_fixture_open(&f), -ERR_CORRUPT);
    get_file(f.dir, "data.mdb", &before);
    assert_int_equal(quarantine(f.dir, "page 3: wrong\x1b[31m", name, &f.err), 0);
    assert_string_equal(name, "quarantine-1");
    assert_false(has_file(f.dir, "data.mdb"));
    assert_false(has_file(f.dir, "lock.mdb"));
    get_file(f.dir, "quarantine-1/data.mdb", &after);
    assert_int_equal(after.len, before.len);
    assert_memory_equal(after.data, before.data, before.len);
    get_file(f.dir, "quarantine-1/reason", &reason);
    assert_non_null(strstr(buf_text(&reason), "found: page 3: wrong"));
    assert_null(strchr(buf_text(&reason), '\x1b'));
    assert_non_null(strstr(buf_text(&reason), "\nformat: 3\n"));
    assert_int_equal(quarantine(f.dir, "nothing there", name, &f.err), -ERR_NOT_FOUND);
    // The next one begins empty; it too may be set aside, and the first stays.
    assert_int_equal(store_fixture_open(&f), 0);
    assert_int_equal(store_revision(f.store), 0);
    store_fixture_close(&f);
    assert_int_equal(quarantine(f.dir, "disagrees", name, &f.err), 0);
    assert_string_equal(name, "quarantine-2");
    assert_true(has_file(f.dir, "quarantine-1/data.mdb") && has_file(f.dir, "quarantine-2/data.mdb"));
    store_fixture_end(&f);
}

static void a_store_that_nobody_needs_is_removed(void **state) {
    (void)state;
    struct store_fixture f;
    store_fixture_begin(&f, NULL);
    store_try(&f, CHANGE_CREATE, store_task(&f, 1, 1, 0), 0);
    assert_int_equal(quarantine_discard(f.dir, &f.err), -ERR_BUSY);
    store_fixture_close(&f);
    assert_int_equal(quarantine_discard(f.dir, &f.err), 0);
    assert_false(has_file(f.dir, "data.mdb") || has_file(f.dir, "lock.mdb") ||
                 has_file(f.dir, "quarantine-1"));
    assert_int_equal(quarantine_discard(f.dir, &f.err), -ERR_NOT_FOUND);
    assert_int_equal(store_fixture_open(&f), 0);
    assert_int_equal(store_revision(f.store), 0);
    store_fixture_end(&f);
}

static void a_store_that_cannot_be_read_is_set_aside_too(void **state) {
    (void)state;
    struct store_fixture f;
    char name[QUARANTINE_NAME_BYTES], path[160];
    store_fixture_begin(&f, NULL);
    store_fixture_close(&f);
    snprintf(path, sizeof path, "%s/data.mdb", f.dir);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink("nowhere", path), 0);
    assert_int_equal(quarantine(f.dir, "a link that leads nowhere", name, &f.err), 0);
    assert_int_equal(store_fixture_open(&f), 0);
    store_fixture_end(&f);
    assert_true(quarantine("/proc/none", "no directory", name, &f.err) < 0);
}

// --- the card ---

static struct group_card some_card(struct arena *arena) {
    struct group_card card = {
        .cluster_id = store_id(1), .node_id = store_id(2), .raft_id = 0xFEDCBA9876543210, .outdated_by = ""};
    card.epoch = 3;
    *ARENA_PUSH(arena, &card.members) =
        (struct member){.raft_id = 17, .node_id = store_id(5), .address = "192.0.2.7:7443", .is_voter = true};
    *ARENA_PUSH(arena, &card.members) =
        (struct member){.raft_id = (int64_t)0xFEDCBA9876543210, .node_id = {""}, .address = ""};
    return card;
}

static void equal_cards(const struct group_card *a, const struct group_card *b) {
    assert_true(id_equal(&a->cluster_id, &b->cluster_id) && id_equal(&a->node_id, &b->node_id));
    assert_true(a->raft_id == b->raft_id && a->epoch == b->epoch);
    assert_int_equal(a->members.count, b->members.count);
    for (size_t i = 0; i < a->members.count; i++) {
        const struct member *x = &a->members.items[i], *y = &b->members.items[i];
        assert_true(x->raft_id == y->raft_id && x->is_voter == y->is_voter);
        assert_true(id_equal(&x->node_id, &y->node_id));
        assert_string_equal(x->address, y->address);
    }
    assert_string_equal(a->outdated_by, b->outdated_by);
}

static void a_card_is_read_as_it_was_written(void **state) {
    (void)state;
    AUTO_ARENA arena = {0};
    struct group_card card = some_card(&arena), kept, empty = {.outdated_by = ""};
    char dir[SCRATCH_BYTES];
    scratch_name(dir, sizeof dir, "card");
    assert_non_null(mkdtemp(dir));
    assert_int_equal(group_card_read(dir, &kept, &arena, NULL), -ERR_NOT_FOUND);
    assert_int_equal(group_card_write(dir, &card, NULL), 0);
    assert_int_equal(group_card_read(dir, &kept, &arena, NULL), 0);
    equal_cards(&kept, &card);
    assert_int_equal(group_card_write(dir, &empty, NULL), 0);
    assert_int_equal(group_card_read(dir, &kept, &arena, NULL), 0);
    equal_cards(&kept, &empty);
    card.outdated_by = "192.0.2.8:7443";
    assert_int_equal(group_card_write(dir, &card, NULL), 0);
    assert_int_equal(group_card_read(dir, &kept, &arena, NULL), 0);
    equal_cards(&kept, &card);
    card.outdated_by = "two words";
    assert_int_equal(group_card_write(dir, &card, NULL), -ERR_INVALID);
    assert_int_equal(group_card_write(dir, &empty, NULL), 0);
    card.members.items[0].address = "two words";
    assert_int_equal(group_card_write(dir, &card, NULL), -ERR_INVALID);
    assert_int_equal(group_card_read(dir, &kept, &arena, NULL), 0);
    equal_cards(&kept, &empty);
    fs_remove_tree(AT_FDCWD, dir, NULL);
}

static void a_card_is_laid_out_as_documented(void **state) {
    (void)state;
    AUTO_ARENA arena = {0};
    AUTO_BUF text = {0};
    struct group_card card = some_card(&arena);
    char want[600];
    assert_int_equal(group_card_format(&card, &text, NULL), 0);
    snprintf(want, sizeof want,
             "muster group card 1\ncluster %s\nnode %s\nraft fedcba9876543210\nepoch 3\n"
             "member 0000000000000011 %s voter 192.0.2.7:7443\nmember fedcba9876543210 - learner -\ncrc32c ",
             store_id(1).text, store_id(2).text, store_id(5).text);
    assert_true(strncmp(buf_text(&text), want, strlen(want)) == 0);
    assert_int_equal(text.len, strlen(want) + 9);
}

// Any changed bit, any length, the new beginning with the old end: damage.
static void a_torn_card_is_no_card(void **state) {
    (void)state;
    AUTO_ARENA arena = {0}, scratch = {0};
    AUTO_BUF text = {0}, other = {0};
    struct group_card card = some_card(&arena), out;
    assert_int_equal(group_card_format(&card, &text, NULL), 0);
    card.raft_id++;
    assert_int_equal(group_card_format(&card, &other, NULL), 0);
    assert_int_equal(text.len, other.len);
    for (size_t i = 0; i < text.len; i++) {
        arena_clear(&scratch);
        assert_int_equal(group_card_parse((struct bytes){(uint8_t *)text.data, i}, &out, &scratch, NULL),
                         -ERR_CORRUPT);
        char *torn = arena_strndup(&scratch, other.data, other.len);
        memcpy(torn, text.data, i);
        if (memcmp(torn, text.data, text.len) != 0 && memcmp(torn, other.data, text.len) != 0) {
            assert_int_equal(
                group_card_parse((struct bytes){(uint8_t *)torn, text.len}, &out, &scratch, NULL),
                -ERR_CORRUPT);
        }
        for (int bit = 0; bit < 8; bit++) {
            text.data[i] = (char)(text.data[i] ^ 1 << bit);
            assert_int_equal(group_card_parse(buf_bytes(&text), &out, &scratch, NULL), -ERR_CORRUPT);
            text.data[i] = (char)(text.data[i] ^ 1 << bit);
        }
    }
    assert_int_equal(group_card_parse(buf_bytes(&text), &out, &scratch, NULL), 0);
}

// A card of other content, its checksum right.
static int parse_made(const char *content, struct group_card *out, struct arena *arena) {
    AUTO_BUF text = {0};
    buf_addf(&text, "%s", content);
    buf_addf(&text, "crc32c %08x\n", crc32c(0, content, strlen(content)));
    return group_card_parse(buf_bytes(&text), out, arena, NULL);
}

static void other_versions_are_told_apart(void **state) {
    (void)state;
    AUTO_ARENA arena = {0};
    struct group_card card;
    assert_int_equal(parse_made("muster group card 2\nwhatever\n", &card, &arena), -ERR_UNSUPPORTED);
    assert_int_equal(parse_made("muster group card 1\nraft 0000000000000007\nlater words 1 2 3 4 5 6 7\n\n",
                                &card, &arena),
                     0);
    assert_int_equal(card.raft_id, 7);
    const char *malformed[] = {
        "",
        "hello\n",
        "muster group card x\n",
        "muster group card 1\nraft 7\n",
        "muster group card 1\ncluster abc\n",
        "muster group card 1\nepoch x\n",
        "muster group card 1\nmember 0000000000000007 - voter\n",
        "muster group card 1\nmember 0000000000000007 - king -\n",
        "muster group card 1\nmember 000000000000000G - voter -\n",
    };
    for (size_t i = 0; i < sizeof malformed / sizeof *malformed; i++) {
        assert_int_equal(parse_made(malformed[i], &card, &arena), -ERR_CORRUPT);
    }
}

static void a_card_that_cannot_be_read_is_told(void **state) {
    (void)state;
    AUTO_ARENA arena = {0};
    struct group_card card;
    char dir[SCRATCH_BYTES], path[SCRATCH_BYTES + 8];
    scratch_name(dir, sizeof dir, "card");
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/group", dir);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(group_card_read(dir, &card, &arena, NULL), -ERR_SYSTEM);
    assert_int_equal(rmdir(path), 0);
    AUTO_FREE char *zeros = xcalloc(1, 20000);
    assert_int_equal(fs_replace(AT_FDCWD, path, zeros, 20000, 0600, false, NULL), 0);
    assert_int_equal(group_card_read(dir, &card, &arena, NULL), -ERR_CORRUPT);
    fs_remove_tree(AT_FDCWD, dir, NULL);
}

// --- a full disk ---

static void fill_disk(const char *dir) {
    char path[160], block[4096];
    memset(block, 1, sizeof block);
    snprintf(path, sizeof path, "%s/balloon", dir);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    while (write(fd, block, sizeof block) > 0) {
    }
    close(fd);
}

static int on_full_disk(const char *dir) {
    AUTO_ARENA arena = {0};
    struct store_fixture f = {0};
    struct group_card card = some_card(&f.arena), kept;
    char name[QUARANTINE_NAME_BYTES], path[160];
    snprintf(f.dir, sizeof f.dir, "%s/store", dir);
    f.options = (struct store_options){.dir = f.dir, .map_bytes = (size_t)64 * MIB, .reserve_bytes = -1};
    assert_int_equal(store_fixture_open(&f), 0);
    store_fixture_close(&f);
    assert_int_equal(group_card_write(f.dir, &card, NULL), 0);
    spoil(f.dir);
    fill_disk(dir);
    card.raft_id = 5;
    assert_int_equal(group_card_write(f.dir, &card, NULL), -ERR_NO_SPACE);
    assert_int_equal(group_card_read(f.dir, &kept, &arena, NULL), 0);
    assert_true(kept.raft_id == 0xFEDCBA9876543210);
    assert_int_equal(quarantine(f.dir, "damaged", name, &f.err), 0);
    snprintf(path, sizeof path, "%s/%s/data.mdb", f.dir, name);
    assert_true(fs_exists(path));
    arena_free(&f.arena);
    return 0;
}

static void a_full_disk_costs_the_reason_only(void **state) {
    (void)state;
    if (getuid() != 0) {
        skip();
    }
    char dir[SCRATCH_BYTES];
    scratch_name(dir, sizeof dir, "quarantine");
    assert_non_null(mkdtemp(dir));
    pid_t child = fork();
    if (child == 0) {
        bool ready = unshare(CLONE_NEWNS) == 0 && mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
                     mount("small", dir, "tmpfs", 0, "size=2m") == 0;
        _exit(ready ? on_full_disk(dir) : 77);
    }
    int status = 0;
    waitpid(child, &status, 0);
    rmdir(dir);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_damaged_store_is_set_aside_whole),
    cmocka_unit_test(a_store_that_nobody_needs_is_removed),
    cmocka_unit_test(a_store_that_cannot_be_read_is_set_aside_too),
    cmocka_unit_test(a_card_is_read_as_it_was_written),
    cmocka_unit_test(a_card_is_laid_out_as_documented),
    cmocka_unit_test(a_torn_card_is_no_card),
    cmocka_unit_test(other_versions_are_told_apart),
    cmocka_unit_test(a_card_that_cannot_be_read_is_told),
    cmocka_unit_test(a_full_disk_costs_the_reason_only),
};
CHECK_MAIN(tests)
