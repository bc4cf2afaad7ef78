// SPDX-License-Identifier: Apache-2.0
//
// test/unit/test_base_sm.c — only the edges of the table are taken, and each is seen.
#include "base/sm.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/list.h"
#include "base/mem.h"
#include "test/lib/check.h"

enum { DOOR_OPEN, DOOR_CLOSED, DOOR_GONE, DOOR_COUNT };

static const struct sm_state door_states[] = {
    [DOOR_OPEN] = {"open", SM_TO(DOOR_CLOSED) | SM_TO(DOOR_GONE), false},
    [DOOR_CLOSED] = {"closed", SM_TO(DOOR_OPEN), false},
    [DOOR_GONE] = {"gone", 0, true},
};
static const struct sm_table door = {"door", door_states, DOOR_COUNT};

struct move {
    unsigned from, to, count;
};

static void on_move(void *context, const struct sm_table *table, unsigned from, unsigned to,
                    const char *why) {
    struct move *move = context;
    assert_ptr_equal(table, &door);
    assert_string_equal(why, "wind");
    *move = (struct move){from, to, move->count + 1};
}

static void moves_follow_the_table(void **state) {
    (void)state;
    struct move move = {0};
    struct sm sm = {.observer = on_move, .observer_context = &move};
    sm_init(&sm, &door, DOOR_OPEN);
    assert_string_equal(sm_name(&sm), "open");
    sm_move(&sm, DOOR_CLOSED, "wind");
    assert_int_equal(move.from, DOOR_OPEN);
    assert_int_equal(move.to, DOOR_CLOSED);
    assert_false(sm_can(&sm, DOOR_GONE));
    assert_false(sm_can(&sm, DOOR_CLOSED));
    assert_false(sm_can(&sm, 63));
    sm_move(&sm, DOOR_OPEN, "wind");
    assert_int_equal(move.count, 2);
    assert_string_equal(sm_name(&sm), "open");
}

static void any_other_move_ends_the_process(void **state) {
    (void)state;
    pid_t child = fork();
    if (child == 0) {
        setrlimit(RLIMIT_CORE, &(struct rlimit){0});
        signal(SIGABRT, SIG_DFL);
        close(STDERR_FILENO);
        struct sm sm = {0};
        sm_init(&sm, &door, DOOR_GONE);
        sm_move(&sm, DOOR_OPEN, "wind");
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

static void a_list_keeps_order_and_survives_removal(void **state) {
    (void)state;
    struct item {
        int number;
        struct list_node node;
    } items[5] = {0};
    struct list list;
    list_init(&list);
    assert_null(list_first(&list));
    for (int i = 0; i < 5; i++) {
        items[i].number = i;
        list_append(&list, &items[i].node);
    }
    int next = 0;
    LIST_EACH(node, &list) {
        assert_int_equal(LIST_ENTRY(node, struct item, node)->number, next++);
        list_remove(node);
        assert_false(list_is_linked(node));
    }
    assert_int_equal(next, 5);
    assert_true(list_is_empty(&list));
}

static void scoped_values_are_freed_or_taken(void **state) {
    (void)state;
    char *kept;
    {
        AUTO_FREE char *text = xasprintf("%s-%d", "a", 1);
        AUTO_FREE char *freed = xstrdup("freed at the end of the scope");
        assert_non_null(freed);
        kept = TAKE(text);
        assert_null(text);
    }
    assert_string_equal(kept, "a-1");
    kept = xrealloc(kept, 100);
    assert_string_equal(kept, "a-1");
    xfree(kept);
    xfree(NULL);
    int *zeroed = NEW(int);
    assert_int_equal(*zeroed, 0);
    xfree(zeroed);
    int fd = 7;
    assert_int_equal(take_fd(&fd), 7);
    assert_int_equal(fd, -1);
    assert_true(IMPLIES(fd == 7, false));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(moves_follow_the_table),
    cmocka_unit_test(any_other_move_ends_the_process),
    cmocka_unit_test(a_list_keeps_order_and_survives_removal),
    cmocka_unit_test(scoped_values_are_freed_or_taken),
};
CHECK_MAIN(tests)
