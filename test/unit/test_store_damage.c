// SPDX-License-Identifier: Apache-2.0
//
// test/unit/test_store_damage.c — hundreds of damaged copies of one store: each is refused, or was not
// damaged where it matters.
//
// A copy that opens must hold exactly what was written, and must go on holding it while more is written and
// after it was opened again: damage to the list of free pages shows only then. Whatever happens, this
// process lives.
#include "test/lib/check.h"
#include "test/lib/store_fixture.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/limits.h"
#include "base/prng.h"
#include "reconciler/store/environment.h"

#define PAGE 4096
#define COPIES 600

enum damage {
    FLIP_ONE_BIT,
    FLIP_SOME_BITS,
    FLIP_META_BIT,
    FLIP_PAGE_HEAD_BIT,
    CUT,
    ZERO_PAGE,
    SWAP_PAGES,
    OVERWRITE,
    OLD_PAGE,
    DAMAGE_COUNT
};
static const char *const damage_names[] = {"flip one bit",
                                           "flip some bits",
                                           "flip a bit of a meta page",
                                           "flip a bit of a page's head",
                                           "cut",
                                           "zero a page",
                                           "swap pages",
                                           "overwrite 512 bytes",
                                           "an old page"};

static void flip(struct buf *file, size_t at, struct prng *prng) {
    file->data[at] = (char)(file->data[at] ^ (1 << prng_below(prng, 8)));
}

static void damage(struct buf *file, const struct buf *older, enum damage what, struct prng *prng) {
    size_t pages = file->len / PAGE;
    size_t page = prng_below(prng, pages) * PAGE, other = prng_below(prng, pages) * PAGE;
    char held[PAGE];
    switch (what) {
    case FLIP_ONE_BIT:
        flip(file, prng_below(prng, file->len), prng);
        break;
    case FLIP_SOME_BITS:
        for (int i = 0; i < 20; i++) {
            flip(file, prng_below(prng, file->len), prng);
        }
        break;
    case FLIP_META_BIT:
        flip(file, prng_below(prng, 2) * PAGE + prng_below(prng, 152), prng);
        break;
    case FLIP_PAGE_HEAD_BIT:
        flip(file, page + prng_below(prng, 64), prng);
        break;
    case CUT:
        file->len = prng_below(prng, file->len);
        break;
    case ZERO_PAGE:
        memset(file->data + page, 0, PAGE);
        break;
    case SWAP_PAGES:
        memcpy(held, file->data + page, PAGE);
        memcpy(file->data + page, file->data + other, PAGE);
        memcpy(file->data + other, held, PAGE);
        break;
    case OVERWRITE:
        for (size_t i = 0; i < 512; i++) {
            file->data[page + prng_below(prng, 8) % 8 * 512 + i] = (char)prng_next(prng);
        }
        break;
    case OLD_PAGE: // a write that never reached the disk
        page = page < older->len ? page : 0;
        memcpy(file->data + page, older->data + page, PAGE);
        break;
    case DAMAGE_COUNT:
        break;
    }
}

static void path_of(const struct store_fixture *f, char out[128]) {
    snprintf(out, 128, "%s/" ENVIRONMENT_FILE, f->dir);
}

static void get_file(const struct store_fixture *f, struct buf *out) {
    char path[128];
    path_of(f, path);
    assert_int_equal(fs_read(AT_FDCWD, path, (size_t)64 * MIB, out, NULL), 0);
}

static void put_file(const struct store_fixture *f, const struct buf *file) {
    char path[128];
    path_of(f, path);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0 && fs_write_all(fd, file->data, file->len) == 0);
    close(fd);
}

static void fill(struct store_fixture *f) {
    struct prng prng;
    prng_seed(&prng, 5);
    for (unsigned i = 1; i <= 300; i++) {
        char name[16];
        snprintf(name, sizeof name, "config%u", i);
        store_add(f, CHANGE_CREATE,
                  i % 10 == 0 ? store_config(f, i, name, 9000) : store_task(f, i, 1 + i % 5, 900 + i % 3), 0);
        f->transaction.request_id = i % 3 == 0 ? name : "";
        assert_int_equal(store_send(f).code, 0);
        if (i > 50 && i % 4 == 0) { // makes free pages
            store_try(f, CHANGE_DELETE, store_task(f, i - 1, 0, 0), 0);
            store_try(f, CHANGE_UPDATE, store_task(f, 1, 1, 900 + (unsigned)prng_below(&prng, 5)), 0);
        }
    }
}

// The same changes on every copy that opens.
static uint64_t go_on(struct store_fixture *f) {
    for (unsigned i = 1001; i < 1020; i++) {
        assert_int_equal(store_try(f, CHANGE_CREATE, store_task(f, i, 1, 900), 0).code, 0);
        assert_int_equal(store_try(f, CHANGE_UPDATE, store_task(f, 1, 1, 900 + i), 0).code, 0);
        assert_int_equal(store_try(f, CHANGE_UPDATE, store_config(f, 10, "config10", 9000 + i), 0).code, 0);
    }
    return store_digest_now(f);
}

struct expected {
    struct buf file, older;
    uint64_t digest, digest_later;
};

static bool one_copy(struct store_fixture *f, const struct expected *expected, enum damage what,
                     struct prng *prng) {
    AUTO_BUF copy = {0};
    buf_add(&copy, expected->file.data, expected->file.len);
    damage(&copy, &expected->older, what, prng);
    put_file(f, &copy);
    int rc = store_fixture_open(f);
    if (rc < 0) {
        AUTO_BUF after = {0};
        get_file(f, &after);
        assert_int_equal(rc, -ERR_CORRUPT);
        assert_true(after.len == copy.len && memcmp(after.data, copy.data, copy.len) == 0);
        return true;
    }
    assert_true(store_digest_now(f) == expected->digest);
    assert_true(go_on(f) == expected->digest_later);
    store_fixture_close(f);
    assert_int_equal(store_fixture_open(f), 0);
    assert_true(store_digest_now(f) == expected->digest_later);
    store_fixture_close(f);
    arena_clear(&f->arena);
    f->results.count = 0;
    f->results.items = NULL;
    return false;
}

static void damage_is_never_served(void **state) {
    (void)state;
    struct store_fixture f;
    struct expected expected = {0};
    struct store_options options = {.history_bytes = 60000};
    store_fixture_begin(&f, &options);
    fill(&f);
    get_file(&f, &expected.older);
    store_try(&f, CHANGE_UPDATE, store_task(&f, 1, 1, 901), 0);
    expected.digest = store_digest_now(&f);
    store_fixture_close(&f);
    get_file(&f, &expected.file);
    assert_int_equal(store_fixture_open(&f), 0);
    expected.digest_later = go_on(&f);
    store_fixture_close(&f);
    struct prng prng;
    prng_seed(&prng, 20260131);
    int refused[DAMAGE_COUNT] = {0};
    for (int i = 0; i < COPIES; i++) {
        refused[i % DAMAGE_COUNT] += one_copy(&f, &expected, (enum damage)(i % DAMAGE_COUNT), &prng);
    }
    for (int i = 0; i < DAMAGE_COUNT; i++) {
        print_message("%s: %d of %d refused\n", damage_names[i], refused[i], COPIES / DAMAGE_COUNT);
    }
    assert_true(refused[CUT] > COPIES / DAMAGE_COUNT / 2);
    buf_free(&expected.file);
    buf_free(&expected.older);
    store_fixture_end(&f);
}

// While the store is open: a record that changes under it is noticed by the read that meets it.
static void a_read_of_a_damaged_record_names_it(void **state) {
    (void)state;
    struct store_fixture f;
    char path[128], text[512];
    store_fixture_begin(&f, NULL);
    store_try(&f, CHANGE_CREATE, store_config(&f, 1, "pattern", 3000), 0);
    struct store_read *read = store_begin_read(&f);
    struct id id = store_id(1);
    struct bytes bytes;
    assert_int_equal(store_get(read, KIND_CONFIG, &id, &bytes, NULL), 0);
    AUTO_BUF file = {0};
    get_file(&f, &file);
    const char *found = memmem(file.data, file.len, bytes.data, bytes.len);
    assert_non_null(found);
    path_of(&f, path);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    // Each copy of it in the file: in the log, in the history, and the object.
    for (; found != NULL;
         found = memmem(found + 1, (size_t)(file.data + file.len - found - 1), bytes.data, bytes.len)) {
        off_t at = found - file.data + 1500;
        assert_int_equal(pwrite(fd, &(char){(char)(found[1500] ^ 4)}, 1, at), 1);
    }
    close(fd);
    assert_int_equal(store_get(read, KIND_CONFIG, &id, &bytes, &f.err), -ERR_CORRUPT);
    error_text(&f.err, text, sizeof text);
    assert_non_null(strstr(text, id.text));
    assert_non_null(strstr(text, "config"));
    store_read_end(read);
    store_fixture_end(&f);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(damage_is_never_served),
    cmocka_unit_test(a_read_of_a_damaged_record_names_it),
};
CHECK_MAIN(tests)
