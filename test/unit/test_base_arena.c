// SPDX-License-Identifier: Apache-2.0
//
// test/unit/test_base_arena.c — regions hand out zeroed, aligned memory and keep their ceiling.
#include "base/arena.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/prng.h"
#include "test/lib/check.h"

static void memory_is_zeroed_aligned_and_apart(void **state) {
    (void)state;
    AUTO_ARENA arena = {0};
    struct prng prng;
    prng_seed(&prng, 7);
    unsigned char *blocks[500];
    size_t sizes[500];
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < 500; i++) {
            sizes[i] = (size_t)prng_below(&prng, i % 50 == 0 ? 400000 : 300);
            blocks[i] = arena_alloc(&arena, sizes[i]);
            assert_int_equal((uintptr_t)blocks[i] % 16, 0);
            for (size_t j = 0; j < sizes[i]; j++) {
                assert_int_equal(blocks[i][j], 0);
            }
            memset(blocks[i], (int)(i % 255) + 1, sizes[i]);
        }
        for (size_t i = 0; i < 500; i++) {
            for (size_t j = 0; j < sizes[i]; j++) {
                assert_int_equal(blocks[i][j], (i % 255) + 1);
            }
        }
        arena_clear(&arena);
        assert_int_equal(arena.used_bytes, 0);
    }
}

static void text_is_copied_and_formatted(void **state) {
    (void)state;
    AUTO_ARENA arena = {0};
    assert_string_equal(arena_strdup(&arena, "web"), "web");
    assert_string_equal(arena_strndup(&arena, "website", 3), "web");
    assert_string_equal(arena_strndup(&arena, NULL, 0), "");
    assert_string_equal(arena_printf(&arena, "%s.%d", "web", 3), "web.3");
    assert_memory_equal(arena_copy(&arena, "a\0b", 3), "a\0b", 3);
    assert_non_null(arena_copy(&arena, NULL, 0));
}

static void a_list_grows_and_keeps_its_items(void **state) {
    (void)state;
    AUTO_ARENA arena = {0};
    struct {
        size_t count;
        int *items;
    } list = {0};
    for (int i = 0; i < 1000; i++) {
        int *slot = ARENA_PUSH(&arena, &list);
        assert_int_equal(*slot, 0);
        *slot = i;
    }
    assert_int_equal(list.count, 1000);
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(list.items[i], i);
    }
}

// Runs `act` in a child and returns the signal that ended it, 0 for none.
static int death_of(void (*act)(void)) {
    pid_t child = fork();
    if (child == 0) {
        setrlimit(RLIMIT_CORE, &(struct rlimit){0});
        signal(SIGABRT, SIG_DFL);
        close(STDERR_FILENO);
        act();
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status) != 0 ? -1 : 0;
}

static void use_up_to_the_ceiling(void) {
    struct arena arena = arena_make(1000);
    arena_alloc(&arena, 600);
    arena_alloc(&arena, 400);
    arena_free(&arena);
}

static void pass_the_ceiling(void) {
    struct arena arena = arena_make(1000);
    arena_alloc(&arena, 600);
    arena_alloc(&arena, 401);
}

static void overflow_a_product(void) {
    struct arena arena = {0};
    arena_array(&arena, SIZE_MAX / 8, 16);
}

static void the_ceiling_and_overflow_end_the_process(void **state) {
    (void)state;
    assert_int_equal(death_of(use_up_to_the_ceiling), 0);
    assert_int_equal(death_of(pass_the_ceiling), SIGABRT);
    assert_int_equal(death_of(overflow_a_product), SIGABRT);
}

#ifdef __SANITIZE_ADDRESS__
// Both survive in an ordinary build; ASan ends them at the access.
static void use_after_clear(void) {
    struct arena arena = {0};
    volatile char *text = arena_strdup(&arena, "soon gone");
    arena_clear(&arena);
    (void)text[0];
}

static void read_beyond_the_end(void) {
    struct arena arena = {0};
    volatile char *text = arena_alloc(&arena, 16);
    arena_alloc(&arena, 16);
    (void)text[16];
}

static void misuse_is_found_under_asan(void **state) {
    (void)state;
    assert_int_not_equal(death_of(use_after_clear), 0);
    assert_int_not_equal(death_of(read_beyond_the_end), 0);
}
#endif

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(memory_is_zeroed_aligned_and_apart),
    cmocka_unit_test(text_is_copied_and_formatted),
    cmocka_unit_test(a_list_grows_and_keeps_its_items),
    cmocka_unit_test(the_ceiling_and_overflow_end_the_process),
#ifdef __SANITIZE_ADDRESS__
    cmocka_unit_test(misuse_is_found_under_asan),
#endif
};
CHECK_MAIN(tests)
