// SPDX-License-Identifier: Apache-2.0
//
// test/fuzz/fuzz_console_replay.c — any bytes as a recording of the watch stream, shown on a screen.
//
// Every batch that can be read is applied and drawn; whatever it holds, the model must stay in order and
// the screen within its cells.
#include "test/lib/fuzz.h"

#include "base/assert.h"
#include "tui/recording.h"
#include "tui/view_screen.h"

static void look(struct screen *screen, struct model *model, const struct view_env *env) {
    static const uint32_t presses[] = {'1', '2', '3', 'd', 'y', PRESS_ESC};
    for (size_t i = 0; i < sizeof presses / sizeof *presses; i++) {
        AUTO_ARENA arena = {0};
        screen_press(screen, model, env, presses[i]);
        struct grid grid = screen_draw(screen, model, env, &arena);
        ASSERT(grid.columns == 100 && grid.rows == 20);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct view_env env = {.link = LINK_REPLAY, .link_reason = "", .node_name = "", .now_ms = 10};
    struct bytes rest = {data, size};
    struct bytes body;
    struct model model;
    struct screen screen;
    if (recording_begin(&rest, NULL) != 0) {
        return 0;
    }
    model_init(&model);
    screen_init(&screen, 100, 20);
    for (int i = 0; i < 20 && recording_next(&rest, &body); i++) {
        AUTO_ARENA arena = {0};
        struct event_batch batch;
        if (wire_decode(&event_batch_schema, body, &batch, &arena, NULL) == 0) {
            (void)model_apply(&model, &batch, 1, NULL);
            env.now_unix_ms = model.event_unix_ms;
            look(&screen, &model, &env);
        }
    }
    screen_deinit(&screen);
    model_deinit(&model);
    return 0;
}
