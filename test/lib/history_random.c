// SPDX-License-Identifier: Apache-2.0
//
// test/lib/history_random.c — clients with random delays, registers with at most one fault.
#include "test/lib/history_random.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"

#define DELAY_NS 1000 // the longest of an answered operation
#define LATE_NS 20000 // the longest of one that is not
#define PAST_MAX 64   // values of a key that are remembered

// An operation on its way.
struct deed {
    struct operation operation;
    int64_t instant_ns;
    bool never_happens, is_left_out;
};

struct registers {
    struct prng *prng;
    const struct history_options *options;
    int64_t next_value;
    int64_t *values; // of each key
    int64_t (*past)[PAST_MAX];
    size_t *past_count;
    bool is_faulty_now, was_faulty;
};

int64_t register_do(int64_t value, struct operation *o) {
    o->outcome = OUTCOME_OK;
    if (o->kind == OPERATION_READ) {
        o->value = value;
        return value;
    }
    if ((o->kind == OPERATION_CAS && value != o->expected) ||
        (o->kind == OPERATION_CREATE && value != HISTORY_NONE) ||
        (o->kind == OPERATION_DELETE && value == HISTORY_NONE)) {
        o->outcome = OUTCOME_REFUSED;
        return value;
    }
    return o->kind == OPERATION_DELETE ? HISTORY_NONE : o->value;
}

// --- what clients want ---

static int64_t between(struct prng *prng, int64_t low, int64_t high) {
    return low + (int64_t)prng_below(prng, (uint64_t)(high - low + 1));
}

static struct deed deed_make(struct registers *r, int64_t client, int64_t *now_ns) {
    static const enum operation_kind kinds[] = {OPERATION_READ,  OPERATION_READ,   OPERATION_READ,
                                                OPERATION_WRITE, OPERATION_CAS,    OPERATION_CAS,
                                                OPERATION_WRITE, OPERATION_CREATE, OPERATION_DELETE};
    struct deed deed = {.operation = {.client = client}};
    struct operation *o = &deed.operation;
    o->kind = kinds[prng_below(r->prng, r->options->is_plain ? 7 : 9)];
    o->key = (size_t)prng_below(r->prng, (uint64_t)r->options->keys);
    o->start_ns = *now_ns + between(r->prng, 1, DELAY_NS / 2);
    o->end_ns = o->start_ns + between(r->prng, 0, DELAY_NS);
    *now_ns = o->end_ns;
    if (between(r->prng, 1, 100) <= r->options->unknown_percent) {
        o->end_ns = HISTORY_NEVER;
        deed.instant_ns = o->start_ns + between(r->prng, 0, prng_below(r->prng, 2) == 0 ? DELAY_NS : LATE_NS);
        deed.never_happens = prng_below(r->prng, 2) == 0;
        deed.is_left_out = o->kind == OPERATION_READ;
    } else {
        deed.instant_ns = between(r->prng, o->start_ns, o->end_ns);
    }
    return deed;
}

static int by_instant(const void *a, const void *b) {
    const struct deed *x = a, *y = b;
    return x->instant_ns < y->instant_ns ? -1 : x->instant_ns > y->instant_ns;
}

// --- what registers do ---

static int64_t past_value(struct registers *r, size_t key) {
    size_t count = r->past_count[key] < PAST_MAX ? r->past_count[key] : PAST_MAX;
    return count == 0 ? HISTORY_NONE : r->past[key][prng_below(r->prng, count)];
}

static void set_value(struct registers *r, size_t key, int64_t value) {
    if (r->values[key] != value) {
        r->past[key][r->past_count[key]++ % PAST_MAX] = r->values[key];
        r->values[key] = value;
    }
}

static bool changes(const struct operation *o) {
    return o->kind != OPERATION_READ && o->outcome == OUTCOME_OK;
}

static void answer_wrongly(struct registers *r, struct operation *o) {
    if (o->kind == OPERATION_READ) {
        o->value = past_value(r, o->key);
        r->was_faulty = true;
    } else if (o->kind != OPERATION_WRITE && !r->options->is_plain) {
        o->outcome = o->outcome == OUTCOME_OK ? OUTCOME_REFUSED : OUTCOME_OK;
        r->was_faulty = true;
    }
}

// The fault of the history on this operation, if it suits; the value afterwards.
static int64_t do_wrongly(struct registers *r, struct operation *o) {
    int64_t value = r->values[o->key];
    bool is_read = o->kind == OPERATION_READ;
    int64_t after = register_do(value, o);
    switch (r->options->fault) {
    case FAULT_STALE_READ:
        if (is_read && r->past_count[o->key] > 0) {
            o->value = r->past[o->key][(r->past_count[o->key] - 1) % PAST_MAX];
            r->was_faulty = true;
        }
        break;
    case FAULT_FUTURE_READ:
        if (is_read) {
            o->value = r->next_value + between(r->prng, 0, 8);
            r->was_faulty = true;
        }
        break;
    case FAULT_LOST_CHANGE:
        r->was_faulty = changes(o);
        return value;
    case FAULT_DONE_TWICE: // the second time comes in history_random
        r->was_faulty = changes(o);
        break;
    case FAULT_BLIND_CAS:
        if (o->kind == OPERATION_CAS && o->outcome == OUTCOME_REFUSED) {
            o->outcome = OUTCOME_OK;
            after = o->value;
            r->was_faulty = true;
        }
        break;
    case FAULT_WRONG_ANSWER:
        answer_wrongly(r, o);
        break;
    case FAULT_NONE:
    case FAULT_COUNT:
        break;
    }
    return after;
}

static void do_deed(struct registers *r, struct deed *deed) {
    struct operation *o = &deed->operation;
    bool is_unknown = o->end_ns == HISTORY_NEVER;
    if (o->kind != OPERATION_READ && o->kind != OPERATION_DELETE) {
        o->value = r->next_value++;
    }
    if (o->kind == OPERATION_CAS) { // often the right one
        int64_t now = r->values[o->key];
        o->expected = prng_below(r->prng, 4) > 0 && now != HISTORY_NONE ? now : past_value(r, o->key);
        o->expected = o->expected == HISTORY_NONE ? 0 : o->expected;
    }
    if (!deed->never_happens) {
        bool is_faulty = r->is_faulty_now && !r->was_faulty && !is_unknown;
        set_value(r, o->key, is_faulty ? do_wrongly(r, o) : register_do(r->values[o->key], o));
    }
    if (is_unknown) {
        o->outcome = OUTCOME_UNKNOWN;
    } else if (r->options->is_plain && o->outcome == OUTCOME_REFUSED) {
        deed->is_left_out = true;
    }
}

bool history_random(struct history *history, const struct history_options *options, struct prng *prng) {
    size_t keys = (size_t)options->keys, count = (size_t)options->operations;
    AUTO_FREE struct deed *deeds = xcalloc(count, sizeof *deeds);
    AUTO_FREE int64_t *clocks = xcalloc((size_t)options->clients, sizeof *clocks);
    AUTO_FREE int64_t *values = xcalloc(keys, sizeof *values);
    AUTO_FREE size_t *past_count = xcalloc(keys, sizeof *past_count);
    struct registers r = {prng, options, 1, values, xcalloc(keys, sizeof *r.past), past_count, false, false};
    for (size_t i = 0; i < keys; i++) {
        char name[24];
        snprintf(name, sizeof name, "k%zu", i);
        history_key(history, name);
        values[i] = HISTORY_NONE;
    }
    for (size_t i = 0; i < count; i++) {
        size_t client = i % (size_t)options->clients;
        deeds[i] = deed_make(&r, (int64_t)client + 1, &clocks[client]);
    }
    qsort(deeds, count, sizeof *deeds, by_instant);
    size_t fault_from = (size_t)prng_below(prng, count);
    const struct operation *again = NULL; // to be done once more, when something else is there
    for (size_t i = 0; i < count; i++) {
        bool was_faulty = r.was_faulty;
        r.is_faulty_now = i >= fault_from;
        do_deed(&r, &deeds[i]);
        if (options->fault == FAULT_DONE_TWICE && r.was_faulty && !was_faulty) {
            again = &deeds[i].operation;
        } else if (again != NULL && again->key == deeds[i].operation.key && changes(&deeds[i].operation)) {
            set_value(&r, again->key, again->kind == OPERATION_DELETE ? HISTORY_NONE : again->value);
            again = NULL;
        }
    }
    for (size_t i = 0; i < count; i++) {
        if (!deeds[i].is_left_out) {
            history_note(history, &deeds[i].operation);
        }
    }
    xfree(r.past);
    return r.was_faulty;
}
