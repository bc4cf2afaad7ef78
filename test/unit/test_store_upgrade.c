// SPDX-License-Identifier: Apache-2.0
//
// test/unit/test_store_upgrade.c — a store that an earlier version wrote is opened, and goes on as one of the
// present version.
//
// test/golden/format/v1 and v2/store.mdb.xz were made by the last programs of versions 1 and 2, with the changes
// of `live` below. What they become must be what the same changes leave in a new store, byte by byte; but for the log.
#include "test/lib/check.h"
#include "test/lib/store_fixture.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/fs.h"
#include "base/limits.h"
#include "base/mem.h"
#include "reconciler/store/digest.h"
#include "reconciler/store/log.h"
#include "reconciler/store/store_handle.h"

#define V1_REVISION 4208

// What the programs of versions 1 and 2 did. Never changes.
static void live(struct store_fixture *f) {
    for (unsigned i = 1; i <= 6; i++) {
        char name[16];
        snprintf(name, sizeof name, "service%u", i);
        store_add(f, CHANGE_CREATE, store_service(f, i, name), 0);
        store_add(f, CHANGE_CREATE, store_revision_object(f, 100 + i, i, 1), 0);
        f->transaction.request_id = name;
        store_send(f);
    }
    for (unsigned i = 1000; i < 1300; i++) {
        store_add(f, CHANGE_CREATE, store_task(f, i, 1 + i % 6, 900 + i % 3), 0);
        store_add(f, CHANGE_CREATE, store_task(f, i + 1000, 1 + i % 6, 0), 0);
        store_send(f);
        if (i % 3 == 0) {
            store_try(f, CHANGE_DELETE, store_task(f, i + 1000, 0, 0), 0);
            store_try(f, CHANGE_UPDATE, store_task(f, i, 1 + i % 6, 905), 7); // refused
        }
    }
    store_try(f, CHANGE_CREATE, store_config(f, 3000, "large", 9000), 0);
    for (unsigned i = 0; i < 3700; i++) { // so many that the log has lost its beginning
        store_add(f, CHANGE_DELETE, store_task(f, 9999, 0, 0), 0);
        store_submit(f, i);
        if (i % 100 == 99) {
            store_turn(f);
        }
    }
    store_add(f, CHANGE_CREATE, store_service(f, 7, "service1"), 0);
    f->transaction.request_id = "refused";
    store_send(f);
}

static void unpack(int version, const char *path) {
    AUTO_FREE char *from = xasprintf("test/golden/format/v%d/store.mdb.xz", version);
    struct archive *archive = archive_read_new();
    struct archive_entry *entry;
    assert_non_null(archive);
    assert_int_equal(archive_read_support_filter_xz(archive), ARCHIVE_OK);
    assert_int_equal(archive_read_support_format_raw(archive), ARCHIVE_OK);
    assert_int_equal(archive_read_open_filename(archive, from, 65536), ARCHIVE_OK);
    assert_int_equal(archive_read_next_header(archive, &entry), ARCHIVE_OK);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(archive_read_data_into_fd(archive, fd), ARCHIVE_OK);
    assert_int_equal(close(fd), 0);
    archive_read_free(archive);
}

static void begin_old(struct store_fixture *f, int version) {
    char path[128];
    struct store_options options = {.history_bytes = 100000};
    store_fixture_begin(f, &options);
    store_fixture_close(f);
    snprintf(path, sizeof path, "%s/data.mdb", f->dir);
    unpack(version, path);
}

static void is_sole_voter(struct store_fixture *f) {
    const struct store_local *local = store_local(f->store);
    struct store_read *read = store_begin_read(f);
    struct membership membership;
    uint64_t index;
    assert_true(local->raft_id != 0);
    assert_int_equal(store_membership(read, &f->arena, &membership, &index, &f->err), 0);
    assert_int_equal(index, V1_REVISION);
    assert_int_equal(membership.members.count, 1);
    assert_true((uint64_t)membership.members.items[0].raft_id == local->raft_id);
    assert_true(membership.members.items[0].is_voter);
    store_read_end(read);
}

static void the_log_is_empty(struct store_fixture *f) {
    const struct store_local *local = store_local(f->store);
    struct store_read *read = store_begin_read(f);
    struct log_entry entry;
    assert_int_equal(local->base_index, V1_REVISION);
    assert_int_equal(local->last_index, V1_REVISION);
    assert_int_equal(local->log_bytes, 0);
    assert_int_equal(log_get(read, V1_REVISION, &entry, &f->err), STORE_ABSENT);
    store_read_end(read);
}

// All replicated tables; the membership is the founder's, which the other store does not have.
static void have_equal_tables(struct store_fixture *a, struct store_fixture *b) {
    struct digest digests[2];
    for (int i = 0; i < 2; i++) {
        struct digest_walk *walk = NULL;
        int rc = digest_begin(i == 0 ? a->store : b->store, &walk, NULL);
        while (rc == 0) {
            rc = digest_step(walk, SIZE_MAX, NULL);
        }
        assert_int_equal(rc, DIGEST_DONE);
        digests[i] = *digest_result(walk);
        digest_end(walk);
    }
    for (int table = TABLE_OBJECTS; table < TABLE_END; table++) {
        assert_true(digests[0].tables[table] == digests[1].tables[table]);
    }
    assert_memory_equal(&a->store->state, &b->store->state, sizeof b->store->state);
}

static void the_upgraded_is_what_a_new_one_would_be(void **state) {
    (void)state;
    struct store_fixture old, new;
    struct store_options options = {.history_bytes = 100000};
    begin_old(&old, 1);
    assert_int_equal(store_check(old.dir, &old.err), 0); // as it is, in version 1
    assert_int_equal(store_fixture_open(&old), 0);
    assert_int_equal(store_revision(old.store), V1_REVISION);
    is_sole_voter(&old);
    the_log_is_empty(&old);
    store_fixture_begin(&new, &options);
    live(&new);
    assert_int_equal(store_revision(new.store), V1_REVISION);
    have_equal_tables(&old, &new);
    uint64_t raft_id = store_local(old.store)->raft_id;
    for (unsigned i = 5000; i < 5100; i++) { // and both go on alike
        store_try(&old, CHANGE_CREATE, store_task(&old, i, 1, 900), 0);
        store_try(&new, CHANGE_CREATE, store_task(&new, i, 1, 900), 0);
    }
    store_fixture_close(&old);
    assert_int_equal(store_fixture_open(&old), 0); // in this version, with its log
    assert_true(store_local(old.store)->raft_id == raft_id);
    have_equal_tables(&old, &new);
    store_fixture_end(&old);
    store_fixture_end(&new);
}

static int fail_once(void *context, struct error *err) {
    int *left = context;
    return (*left)-- > 0 ? error_set(err, ERR_NO_SPACE, "a disk that is full") : 0;
}

static uint32_t version_of(struct store_fixture *f) {
    struct format_head head;
    struct store_read *read = store_begin_read(f);
    assert_int_equal(meta_head_get(&f->store->environment, read->txn, &head, NULL), 0);
    store_read_end(read);
    assert_int_equal(head.write_version, head.read_version_min);
    return head.write_version;
}

static void version_2_goes_on_with_its_log(void **state) {
    (void)state;
    struct store_fixture old, new;
    struct store_options options = {.history_bytes = 100000};
    int left = 1;
    struct store_faults faults = {fail_once, &left};
    begin_old(&old, 2);
    assert_int_equal(store_check(old.dir, &old.err), 0);
    old.options.faults = &faults;
    assert_int_equal(store_fixture_open(&old), -ERR_NO_SPACE);
    assert_int_equal(store_check(old.dir, &old.err), 0); // it still is of version 2
    assert_int_equal(store_fixture_open(&old), 0);
    assert_int_equal(version_of(&old), FORMAT_VERSION);
    store_fixture_begin(&new, &options);
    live(&new);
    assert_int_equal(store_revision(old.store), store_revision(new.store));
    have_equal_tables(&old, &new);
    assert_int_equal(store_local(old.store)->base_index, store_local(new.store)->base_index);
    assert_int_equal(store_local(old.store)->last_index, store_local(new.store)->last_index);
    store_try(&old, CHANGE_CREATE, store_task(&old, 5000, 1, 900), 0);
    store_try(&new, CHANGE_CREATE, store_task(&new, 5000, 1, 900), 0);
    store_fixture_close(&old);
    assert_int_equal(store_fixture_open(&old), 0);
    have_equal_tables(&old, &new);
    store_fixture_end(&old);
    store_fixture_end(&new);
}

static void its_cluster_is_kept(void **state) {
    (void)state;
    struct store_fixture f;
    begin_old(&f, 1);
    f.options.cluster_id = store_id(78);
    assert_int_equal(store_fixture_open(&f), -ERR_CONFLICT);
    f.options.cluster_id = store_id(77);
    assert_int_equal(store_fixture_open(&f), 0);
    store_fixture_end(&f);
}

static void a_failed_upgrade_leaves_version_1(void **state) {
    (void)state;
    struct store_fixture f;
    int left = 1;
    struct store_faults faults = {fail_once, &left};
    begin_old(&f, 1);
    f.options.faults = &faults;
    assert_int_equal(store_fixture_open(&f), -ERR_NO_SPACE);
    assert_int_equal(store_check(f.dir, &f.err), 0);
    assert_int_equal(store_fixture_open(&f), 0);
    is_sole_voter(&f);
    store_fixture_end(&f);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(the_upgraded_is_what_a_new_one_would_be),
    cmocka_unit_test(version_2_goes_on_with_its_log),
    cmocka_unit_test(its_cluster_is_kept),
    cmocka_unit_test(a_failed_upgrade_leaves_version_1),
};
CHECK_MAIN(tests)
