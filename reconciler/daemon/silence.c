// SPDX-License-Identifier: Apache-2.0
//
// reconciler/daemon/silence.c — a counter for each node that is silent.
#include "reconciler/daemon/silence.h"

#include "base/mem.h"

struct silent {
    struct id node_id;
    int64_t since_unix_ms;
    int looks;
};

int64_t silence_note(struct silence *silence, const struct id *node_id, bool is_heard, int64_t now_unix_ms) {
    if (is_heard) {
        xfree(map_remove(&silence->nodes, node_id->text));
        return 0;
    }
    struct silent *silent = map_get(&silence->nodes, node_id->text);
    if (silent == NULL) {
        silent = NEW(struct silent);
        *silent = (struct silent){.node_id = *node_id, .since_unix_ms = now_unix_ms};
        map_put(&silence->nodes, silent->node_id.text, silent);
    }
    silent->looks += silent->looks < SILENCE_LOOKS;
    return silent->looks == SILENCE_LOOKS ? silent->since_unix_ms : 0;
}

void silence_free(struct silence *silence) {
    size_t cursor = 0;
    for (struct silent *silent; (silent = map_next(&silence->nodes, &cursor)) != NULL;) {
        xfree(silent);
    }
    map_free(&silence->nodes);
    *silence = (struct silence){0};
}
