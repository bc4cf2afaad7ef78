// SPDX-License-Identifier: Apache-2.0
//
// test/unit/test_tui_view.c — screens against golden text in six sizes and both glyph sets; keys; random
// keys, sizes and events, with what must hold after each.
//
// UPDATE_GOLDEN=1 rewrites test/golden/console/*.txt; read the diff.
#include "test/lib/check.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/str.h"
#include "test/lib/shop.h"
#include "tui/view_paint.h"

struct stage {
    struct shop shop;
    struct model model;
    struct screen screen;
    struct view_env env;
};

static void stage_apply(struct stage *stage) {
    struct event_batch batch = shop_take(&stage->shop);
    assert_int_equal(model_apply(&stage->model, &batch, stage->env.now_ms, NULL), 0);
    stage->env.now_unix_ms = stage->shop.now_unix_ms;
}

static void stage_open(struct stage *stage, int columns, int rows, bool is_ascii) {
    *stage = (struct stage){
        .env = {
            .is_ascii = is_ascii, .now_ms = 100000, .link = LINK_LIVE, .link_reason = "", .node_name = "m1"}};
    shop_init(&stage->shop);
    model_init(&stage->model);
    screen_init(&stage->screen, columns, rows);
    shop_fill(&stage->shop);
    stage_apply(stage);
}

static void stage_close(struct stage *stage) {
    screen_deinit(&stage->screen);
    model_deinit(&stage->model);
    shop_free(&stage->shop);
}

static void press(struct stage *stage, const char *word) {
    uint32_t number = press_parse(word);
    assert_int_not_equal(number, PRESS_NONE);
    screen_press(&stage->screen, &stage->model, &stage->env, number);
}

// Words apart by blanks: "2 j j Enter".
static void press_all(struct stage *stage, const char *words) {
    AUTO_ARENA arena = {0};
    char *at = arena_strdup(&arena, words);
    for (char *word = at; word != NULL; word = at) {
        at = strchr(word, ' ');
        if (at != NULL) {
            *at++ = '\0';
        }
        press(stage, word);
    }
}

static void draw(struct stage *stage, const char *title, bool with_letters, struct buf *out) {
    AUTO_ARENA arena = {0};
    screen_settle(&stage->screen, &stage->model, &stage->env);
    struct grid grid = screen_draw(&stage->screen, &stage->model, &stage->env, &arena);
    buf_addf(out, "=== %s, %dx%d%s\n", title, grid.columns, grid.rows, grid.is_ascii ? ", ASCII" : "");
    grid_text(&grid, out);
    if (with_letters) {
        buf_addf(out, "--- styles\n");
        grid_letters(&grid, out);
    }
}

static void golden(const char *name, const struct buf *got) {
    AUTO_ARENA arena = {0};
    const char *path = arena_printf(&arena, "test/golden/console/%s.txt", name);
    if (getenv("UPDATE_GOLDEN") != NULL) {
        assert_int_equal(fs_make_dirs("test/golden/console", 0755, NULL), 0);
        assert_int_equal(fs_replace(AT_FDCWD, path, got->data, got->len, 0644, false, NULL), 0);
    }
    AUTO_BUF wanted = buf_make(0);
    assert_int_equal(fs_read(AT_FDCWD, path, 4 << 20, &wanted, NULL), 0);
    if (!str_equal(buf_text(&wanted), buf_text(got))) {
        print_message("%s differs from what was drawn:\n%s", path, buf_text(got));
        fail();
    }
}

// --- goldens ---

static const struct {
    int columns, rows;
} sizes[] = {{20, 5}, {40, 10}, {80, 24}, {100, 30}, {160, 48}, {300, 90}};

static const struct {
    const char *name, *keys;
} scenes[] = {
    {"nodes", "1"},
    {"services", "2"},
    {"tasks", "3"},
    {"tasks_of_service", "2 3 2 / a p i Enter Enter"},
    {"tasks_of_node", "1 j j Enter"},
    {"detail_of_failed_task", "3 / a p i . 2 Enter Enter"},
    {"detail_of_homeless_task", "3 / i m g Enter d"},
    {"detail_of_service", "2 / a p i Enter d"},
    {"detail_of_node", "1 d"},
    {"yaml", "2 G y"},
    {"filter", "3 / s t a t e : f a i l e d"},
    {"help", "2 ?"},
    {"all_tries", "3 a s s"},
};

static void screens_are_as_golden_text_has_them(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof scenes / sizeof *scenes; i++) {
        AUTO_BUF out = buf_make(0);
        for (size_t j = 0; j < sizeof sizes / sizeof *sizes; j++) {
            struct stage stage;
            stage_open(&stage, sizes[j].columns, sizes[j].rows, false);
            press_all(&stage, scenes[i].keys);
            bool is_usual = sizes[j].columns == 80;
            draw(&stage, scenes[i].name, is_usual, &out);
            if (is_usual) {
                stage.env.is_ascii = true;
                draw(&stage, scenes[i].name, false, &out);
            }
            stage_close(&stage);
        }
        golden(scenes[i].name, &out);
    }
}

static void the_header_tells_how_fresh_the_picture_is(void **state) {
    (void)state;
    static const struct {
        const char *title;
        enum link_state link;
        const char *reason;
    } links[] = {
        {"connecting", LINK_CONNECTING,
         "no musterd answers at /run/muster/muster.sock (start it with: musterd)"},
        {"loading", LINK_LOADING, ""},
        {"live", LINK_LIVE, ""},
        {"doubtful", LINK_DOUBTFUL,
         "of 3 managers 2 do not answer (10.0.0.2:2377, 10.0.0.3:2377), start them again"},
        {"silent", LINK_SILENT, "the daemon does not answer"},
        {"stale", LINK_STALE, "the connection to the daemon was lost: closed by the other side"},
        {"replay", LINK_REPLAY, ""},
    };
    AUTO_BUF out = buf_make(0);
    for (size_t i = 0; i < sizeof links / sizeof *links; i++) {
        struct stage stage;
        stage_open(&stage, 80, 12, false);
        stage.env.link = links[i].link;
        stage.env.link_reason = links[i].reason;
        stage.env.link_age_ms = 7300;
        stage.env.link_retry_ms = links[i].link == LINK_STALE ? 1200 : 0;
        draw(&stage, links[i].title, true, &out);
        screen_resize(&stage.screen, 24, 6);
        draw(&stage, links[i].title, false, &out);
        stage_close(&stage);
    }
    golden("freshness", &out);
}

static void what_changed_is_marked_for_a_while(void **state) {
    (void)state;
    AUTO_BUF out = buf_make(0);
    struct stage stage;
    stage_open(&stage, 80, 24, false);
    struct service *service = shop_service(&stage.shop, 2, "shop-api", 3);
    service->meta.version = 1;
    shop_put(&stage.shop, KIND_SERVICE, service, "");
    shop_put(&stage.shop, KIND_SERVICE, shop_service(&stage.shop, 9, "shop-new", 1), "");
    stage_apply(&stage);
    stage.env.now_ms += CHANGE_SHOWN_MS - 1;
    draw(&stage, "just changed", true, &out);
    stage.env.now_ms += 1;
    draw(&stage, "a while later", false, &out);
    stage_close(&stage);
    golden("changes", &out);
}

static void an_empty_cluster_says_what_to_do(void **state) {
    (void)state;
    AUTO_BUF out = buf_make(0);
    struct stage stage;
    stage_open(&stage, 80, 12, false);
    model_deinit(&stage.model);
    model_init(&stage.model);
    draw(&stage, "before the first picture", false, &out);
    struct event_batch nothing = {.revision = 1, .caught_up = true};
    assert_int_equal(model_apply(&stage.model, &nothing, 1, NULL), 0);
    for (int view = 1; view <= 3; view++) {
        char key[2] = {(char)('0' + view), '\0'};
        press(&stage, key);
        draw(&stage, "empty", false, &out);
    }
    stage_close(&stage);
    golden("empty", &out);
}

// --- keys ---

static void the_selection_stays_on_its_object_and_line(void **state) {
    (void)state;
    struct stage stage;
    stage_open(&stage, 80, 24, false);
    press_all(&stage, "2 j j");
    const struct list *list = &screen_top(&stage.screen)->list;
    struct id selected = list->selected;
    size_t line = list->index - list->top;
    shop_put(&stage.shop, KIND_SERVICE, shop_service(&stage.shop, 60, "aaa", 1), "");
    stage_apply(&stage);
    screen_settle(&stage.screen, &stage.model, &stage.env);
    assert_true(id_equal(&list->selected, &selected));
    assert_int_equal(list->index, 3);
    shop_delete(&stage.shop, KIND_SERVICE, &selected);
    stage_apply(&stage);
    screen_settle(&stage.screen, &stage.model, &stage.env);
    assert_int_equal(list->index, 3); // what came into its place
    assert_true(line <= 3);
    stage_close(&stage);
}

static void escape_drops_help_then_a_filter_then_a_frame_and_never_leaves(void **state) {
    (void)state;
    struct stage stage;
    stage_open(&stage, 80, 24, false);
    press_all(&stage, "2 Enter d ?");
    assert_int_equal(stage.screen.depth, 2);
    press(&stage, "Esc");
    assert_false(stage.screen.is_help);
    assert_int_equal(stage.screen.depth, 2);
    press_all(&stage, "Esc / x Enter");
    assert_int_equal(stage.screen.depth, 1);
    press(&stage, "Esc");
    assert_string_equal(screen_top(&stage.screen)->list.filter.text, "");
    press_all(&stage, "Esc Esc Esc");
    assert_int_equal(stage.screen.depth, 0);
    assert_false(stage.screen.wants_quit);
    press(&stage, "q");
    assert_true(stage.screen.wants_quit);
    stage_close(&stage);
}

static size_t listed(struct stage *stage, const char *filter) {
    press_all(stage, "3 / Ctrl-U");
    screen_paste(&stage->screen, &stage->model, &stage->env, filter);
    press(stage, "Enter");
    return screen_top(&stage->screen)->list.count;
}

static void filters_are_words_words_not_fields_and_ages(void **state) {
    (void)state;
    struct stage stage;
    stage_open(&stage, 80, 24, false);
    size_t all = listed(&stage, "");
    assert_int_equal(listed(&stage, "shop"), 6);
    assert_int_equal(listed(&stage, "SHOP api"), 2);
    assert_int_equal(listed(&stage, "shop !api"), 4);
    assert_int_equal(listed(&stage, "!shop"), all - 6);
    assert_int_equal(listed(&stage, "state:failed"), 1);
    assert_int_equal(listed(&stage, "node:w1"), 4);
    assert_int_equal(listed(&stage, "service:shop-web state:run"), 3);
    assert_int_equal(listed(&stage, "image:shop/web"), 3);
    assert_int_equal(listed(&stage, "error:DB_URL"), 1);
    assert_int_equal(listed(&stage, "age<43s"), 7);
    assert_int_equal(listed(&stage, "age>43s"), all - 7);
    assert_int_equal(listed(&stage, "age<x shop"), 6);
    assert_true(screen_top(&stage.screen)->list.filter.problem[0] != '\0');
    stage_close(&stage);
}

static void a_filter_follows_what_tasks_become(void **state) {
    (void)state;
    struct stage stage;
    stage_open(&stage, 80, 24, false);
    assert_int_equal(listed(&stage, "state:failed"), 1);
    struct id service = shop_id('s', 1);
    struct id node = shop_id('n', 1);
    struct task *task = shop_task(&stage.shop, 1, &service, 1, &node, TASK_FAILED);
    task->meta.version = 1;
    shop_put(&stage.shop, KIND_TASK, task, "");
    stage_apply(&stage);
    screen_settle(&stage.screen, &stage.model, &stage.env);
    assert_int_equal(screen_top(&stage.screen)->list.count, 2);
    stage_close(&stage);
}

static void pasted_text_never_acts(void **state) {
    (void)state;
    struct stage stage;
    stage_open(&stage, 80, 24, false);
    press(&stage, "2");
    screen_paste(&stage.screen, &stage.model, &stage.env, "q\r3Enter");
    assert_false(stage.screen.wants_quit);
    assert_int_equal(stage.screen.root, VIEW_SERVICES);
    stage_close(&stage);
}

static void no_key_means_two_things_in_one_view(void **state) {
    (void)state;
    for (int i = 1; i < KEY_ACTION_COUNT; i++) {
        const struct key_row *a = key_row((enum key_action)i);
        for (int j = i + 1; j < KEY_ACTION_COUNT; j++) {
            const struct key_row *b = key_row((enum key_action)j);
            bool meets = (a->contexts & b->contexts) != 0;
            bool clashes = a->first == b->first || a->first == b->second ||
                           (a->second != PRESS_NONE && (a->second == b->first || a->second == b->second));
            assert_false(meets && clashes);
        }
        char name[16];
        assert_int_equal(press_parse(press_name(a->first, name)), a->first);
    }
}

// --- anything at all ---

static void check_screen(struct stage *stage) {
    AUTO_ARENA arena = {0};
    struct grid grid = screen_draw(&stage->screen, &stage->model, &stage->env, &arena);
    assert_int_equal(grid.columns, stage->screen.columns);
    assert_int_equal(grid.rows, stage->screen.rows);
    const struct frame *top = screen_top(&stage->screen);
    if (view_of(top->view)->columns != NULL) {
        const struct list *list = &top->list;
        assert_true(list->count == 0 || list->index < list->count);
        assert_true(list->count == 0 || id_equal(&list->rows[list->index]->id, &list->selected));
        struct paint_plan plan = paint_plan(&stage->screen);
        size_t rows = plan.list_rows < 1 ? 1 : (size_t)plan.list_rows;
        assert_true(list->count == 0 || (list->index >= list->top && list->index < list->top + rows));
    }
}

static void random_delta(struct stage *stage, struct prng *prng) {
    static const int64_t states[] = {TASK_PENDING, TASK_STARTING, TASK_RUNNING, TASK_FAILED, TASK_COMPLETE};
    struct shop *shop = &stage->shop;
    struct id service = shop_id('s', (int64_t)prng_below(prng, 9));
    struct id node = shop_id('n', (int64_t)prng_below(prng, 7));
    struct id task_id = shop_id('t', (int64_t)prng_below(prng, 60));
    shop->now_unix_ms += (int64_t)prng_below(prng, 4000);
    switch (prng_below(prng, 8)) {
    case 0:
        shop_delete(shop, KIND_SERVICE, &service);
        break;
    case 1:
        shop_delete(shop, KIND_NODE, &node);
        break;
    case 2:
        shop_delete(shop, KIND_TASK, &task_id);
        break;
    case 3:
        shop_put(shop, KIND_SERVICE, shop_service(shop, (int64_t)prng_below(prng, 9), "a\033\nb", 3), "");
        break;
    case 4:
        shop_put(shop, KIND_NODE, shop_node(shop, (int64_t)prng_below(prng, 7), "ノード"), "");
        break;
    default: {
        struct task *task = shop_task(shop, (int64_t)prng_below(prng, 60), &service,
                                      (int64_t)prng_below(prng, 4), &node, states[prng_below(prng, 5)]);
        task->status.error = prng_below(prng, 2) == 0 ? "" : "an error\nin two lines, データ";
        shop_put(shop, KIND_TASK, task, "why not");
    }
    }
    stage_apply(stage);
    screen_settle(&stage->screen, &stage->model, &stage->env);
}

static uint32_t random_press(struct prng *prng) {
    static const uint32_t usual[] = {
        PRESS_ENTER, PRESS_ESC, PRESS_TAB, PRESS_UP,  PRESS_DOWN, PRESS_PAGE_DOWN,
        PRESS_END,   'd',       'y',       '/',       's',        'a',
        '?',         '1',       '2',       '3',       'S',        PRESS_BACKSPACE,
        PRESS_HOME,  'j',       'G',       PRESS_LEFT};
    uint64_t pick = prng_below(prng, 30);
    return pick < 22 ? usual[pick] : pick < 29 ? (uint32_t)prng_below(prng, 128) : (uint32_t)prng_next(prng);
}

static void esc_leads_home(struct stage *stage) {
    int steps = stage->screen.depth * 2 + 3; // each frame may have a filter
    for (int i = 0; i < steps; i++) {
        press(stage, "Esc");
    }
    assert_int_equal(stage->screen.depth, 0);
    assert_false(stage->screen.is_help || stage->screen.is_typing);
}

static void random_keys_sizes_and_events_break_nothing(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct prng prng;
        struct stage stage;
        prng_seed(&prng, seed);
        stage_open(&stage, 1 + (int)prng_below(&prng, 170), 1 + (int)prng_below(&prng, 50), seed % 2 == 0);
        for (int step = 0; step < 150; step++) {
            uint64_t pick = prng_below(&prng, 8);
            stage.env.now_ms += 400;
            if (pick == 0) {
                bool is_tiny = prng_below(&prng, 3) == 0;
                screen_resize(&stage.screen, (int)prng_below(&prng, is_tiny ? 6 : 170),
                              (int)prng_below(&prng, is_tiny ? 6 : 50));
                screen_settle(&stage.screen, &stage.model, &stage.env);
            } else if (pick <= 2) {
                random_delta(&stage, &prng);
            } else {
                screen_press(&stage.screen, &stage.model, &stage.env, random_press(&prng));
            }
            check_screen(&stage);
        }
        esc_leads_home(&stage);
        stage_close(&stage);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(screens_are_as_golden_text_has_them),
    cmocka_unit_test(the_header_tells_how_fresh_the_picture_is),
    cmocka_unit_test(what_changed_is_marked_for_a_while),
    cmocka_unit_test(an_empty_cluster_says_what_to_do),
    cmocka_unit_test(the_selection_stays_on_its_object_and_line),
    cmocka_unit_test(escape_drops_help_then_a_filter_then_a_frame_and_never_leaves),
    cmocka_unit_test(filters_are_words_words_not_fields_and_ages),
    cmocka_unit_test(a_filter_follows_what_tasks_become),
    cmocka_unit_test(pasted_text_never_acts),
    cmocka_unit_test(no_key_means_two_things_in_one_view),
    cmocka_unit_test(random_keys_sizes_and_events_break_nothing),
};
CHECK_MAIN(tests)
