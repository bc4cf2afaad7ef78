// SPDX-License-Identifier: Apache-2.0
//
// base/sm.c — the one place where states are written.
#include "base/sm.h"

#include "base/assert.h"

void sm_init(struct sm *sm, const struct sm_table *table, unsigned state) {
    ASSERT(table->count <= 64);
    ASSERT(state < table->count);
    sm->table = table;
    sm->state = state;
}

bool sm_can(const struct sm *sm, unsigned to) {
    return to < sm->table->count && (sm->table->states[sm->state].allowed & SM_TO(to)) != 0;
}

void sm_move(struct sm *sm, unsigned to, const char *why) {
    ASSERT(sm_can(sm, to));
    unsigned from = sm->state;
    sm->state = to;
    if (sm->observer != 0) {
        sm->observer(sm->observer_context, sm->table, from, to, why);
    }
}

const char *sm_name(const struct sm *sm) {
    return sm->table->states[sm->state].name;
}
