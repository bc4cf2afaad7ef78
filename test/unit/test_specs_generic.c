// SPDX-License-Identifier: Apache-2.0
//
// test/unit/test_specs_generic.c — resources of the operator's making: read, put together, printed, refused.
#include "specs/generic.h"

#include "test/lib/check.h"

static const char *print(const struct generic_stocks *stocks, struct arena *arena) {
    AUTO_BUF text = {0};
    for (size_t i = 0; i < stocks->count; i++) {
        buf_adds(&text, i > 0 ? " " : "");
        generic_write(&stocks->items[i], &text);
    }
    return arena_strdup(arena, buf_text(&text));
}

static void what_is_given_adds_up(void **state) {
    (void)state;
    static const struct {
        const char *given[3], *wanted;
    } cases[] = {
        {{"ssd=3"}, "ssd=3"},
        {{"gpu=a,b", "ssd=1"}, "gpu=a,b ssd=1"},
        {{"gpu=a", "gpu=b,a"}, "gpu=a,b"},
        {{"ssd=3", "ssd=4"}, "ssd=4"}, // said again, it counts anew
        {{"NVIDIA-GPU=GPU-1f2e.0"}, "NVIDIA-GPU=GPU-1f2e.0"},
    };
    AUTO_ARENA arena = {0};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct generic_stocks stocks = {0};
        for (size_t j = 0; j < 3 && cases[i].given[j] != NULL; j++) {
            assert_int_equal(generic_add(&stocks, cases[i].given[j], &arena, NULL), 0);
        }
        assert_string_equal(print(&stocks, &arena), cases[i].wanted);
        for (size_t j = 0; j < stocks.count; j++) {
            const struct generic_stock *stock = &stocks.items[j];
            assert_ptr_equal(generic_find(&stocks, stock->kind), stock);
            assert_true(stock->names.count == 0 || stock->count == (int64_t)stock->names.count);
        }
        assert_null(generic_find(&stocks, "tpu"));
    }
}

static void what_is_wrong_is_said(void **state) {
    (void)state;
    static const struct {
        const char *before, *text, *reason;
    } cases[] = {
        {NULL, "gpu", "'gpu' is not KIND=NUMBER or KIND=NAME,NAME"},
        {NULL, "gpu=", "'gpu=' is not KIND=NUMBER or KIND=NAME,NAME"},
        {NULL, "=1", "'=1' is not KIND=NUMBER or KIND=NAME,NAME"},
        {NULL, "g:u=1", "'g:u=1' is not KIND=NUMBER or KIND=NAME,NAME"},
        {NULL, "gpu=0", "gpu=0: the number is from 1 to 2147483647"},
        {NULL, "gpu=-1", "gpu=-1: the number is from 1 to 2147483647"},
        {NULL, "gpu=a,,b",
         "'' is no name of a gpu: letters, digits, '-', '_' and '.', a letter or digit first"},
        {"gpu=2", "gpu=a", "gpu is given as a number and by names: choose one"},
        {"gpu=a", "gpu=2", "gpu is given as a number and by names: choose one"},
    };
    AUTO_ARENA arena = {0};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct generic_stocks stocks = {0};
        struct error err = {0};
        if (cases[i].before != NULL) {
            assert_int_equal(generic_add(&stocks, cases[i].before, &arena, NULL), 0);
        }
        assert_int_equal(generic_add(&stocks, cases[i].text, &arena, &err), -ERR_INVALID);
        assert_string_equal(err.root, cases[i].reason);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(what_is_given_adds_up),
    cmocka_unit_test(what_is_wrong_is_said),
};

CHECK_MAIN(tests)
