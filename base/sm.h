// SPDX-License-Identifier: Apache-2.0
//
// base/sm.h — table-driven state machines: a const table of names and allowed edges, one writer of the state.
//
// Taken from the shape of dqlite's lib/sm: the table is the documentation, `sm_move` asserts that the edge
// is in it, and an observer sees every move. At most 64 states.
#ifndef MUSTER_BASE_SM_H
#define MUSTER_BASE_SM_H

#include <stdbool.h>
#include <stdint.h>

#define SM_TO(state) (UINT64_C(1) << (state))

struct sm_state {
    const char *name;
    uint64_t allowed; // bit mask of SM_TO(next)
    bool is_final;
};

struct sm_table {
    const char *machine;
    const struct sm_state *states;
    unsigned count;
};

typedef void (*sm_observer_fn)(void *context, const struct sm_table *table, unsigned from, unsigned to,
                               const char *why);

struct sm {
    const struct sm_table *table;
    unsigned state;          // read freely; written by sm_* only
    sm_observer_fn observer; // may be NULL
    void *observer_context;
};

void sm_init(struct sm *sm, const struct sm_table *table, unsigned state); // leaves the observer as it is
bool sm_can(const struct sm *sm, unsigned to);
void sm_move(struct sm *sm, unsigned to, const char *why); // asserts the edge
const char *sm_name(const struct sm *sm);

#endif
