// SPDX-License-Identifier: Apache-2.0
//
// test/lib/linear.c — the search: a depth-first walk over configurations of one key.
//
// Operations with a known outcome ("known") are numbered in the order of their starts; those not yet done are
// a doubly linked list, from which taking and giving back is cheap (Knuth's dancing links). Unknown ones are
// numbered apart, for they never have to be done. `order` is the path from the root to where the search
// stands; a frame is a point of the path at which there is more than one way on.
//
// Values are numbered too, so that it can be counted what is still to be done with each: how many need it
// (saw it, or replaced it by cas), how many look at it at all, how many may bring it.
#include "test/lib/linear.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"

#define SHOWN_MAX 12       // operations of the prefix, and operations that fit nowhere, in a report
#define KEYS_SHOWN_MAX 4   // violated keys in a report
#define BUCKETS_FIRST 1024 // a power of two
#define NOBODY UINT32_MAX

// One operation that was done.
struct done {
    uint32_t index;
    bool is_unknown;
    int64_t before; // the value it found
    uint32_t top_before;
};

// What is still to be done with a value.
struct use {
    uint32_t needers; // those that saw it, or replaced it by cas
    uint32_t lookers; // these, and every other cas that expects it
    uint32_t bringers;
};

struct frame {
    size_t order_count;        // of the path, when this frame was entered
    size_t choice, choice_end; // known candidates, in `choices`
    uint32_t unknown_next;     // then the unknown ones
    unsigned kinds_tried;      // of forgettable unknown ones
    bool has_useless;          // an unknown operation was just done, and nothing yet came of it:
    int64_t without;           // the value without it
};

// A configuration that was entered. Followed by words of the known window, then of the unknown set.
struct seen {
    struct seen *next;
    uint64_t hash;
    int64_t value;
    uint32_t base_word, known_words, unknown_words;
    uint64_t words[];
};

struct search {
    struct arena arena; // for this key
    size_t memory_bytes_max;
    const struct operation **known, **unknown; // copies, with numbers for values
    uint32_t known_count, unknown_count;
    int64_t *values; // of the numbers
    size_t value_count;
    struct use *uses;          // of the numbers, and of HISTORY_NONE before them
    uint32_t *next, *previous; // the known ones not yet done; index known_count is the list's head
    uint64_t *known_done, *unknown_done;
    uint32_t top; // all known ones done are below
    uint32_t known_left;
    int64_t value;
    uint64_t hash; // of the known ones done

    struct done *order;
    size_t order_count;
    struct frame *frames;
    size_t frame_count;
    uint32_t *choices;
    size_t choice_count, choice_capacity;

    struct seen **buckets;
    size_t bucket_count, seen_count, seen_bytes;

    struct done *best;
    size_t best_count;
    uint32_t best_left;
};

// --- operations ---

bool linear_step(const struct operation *operation, int64_t value, int64_t *after) {
    bool is_refused = operation->outcome == OUTCOME_REFUSED;
    bool fits = true; // it would be done, not refused
    int64_t then = operation->value;
    switch (operation->kind) {
    case OPERATION_WRITE:
        break;
    case OPERATION_READ:
        *after = value;
        return value == operation->value;
    case OPERATION_CAS:
        fits = value == operation->expected;
        break;
    case OPERATION_CREATE:
        fits = value == HISTORY_NONE;
        break;
    case OPERATION_DELETE:
        fits = value != HISTORY_NONE;
        then = HISTORY_NONE;
        break;
    }
    *after = fits && !is_refused ? then : value;
    return operation->outcome == OUTCOME_UNKNOWN || fits != is_refused;
}

static bool only_looks(const struct operation *operation) {
    return operation->kind == OPERATION_READ || operation->outcome == OUTCOME_REFUSED;
}

static bool may_change(const struct operation *operation) {
    return !only_looks(operation);
}

// --- uses of values ---

static void count_uses(struct search *s, const struct operation *o, uint32_t by) {
    struct use *uses = s->uses + 1; // HISTORY_NONE is -1
    if (may_change(o)) {
        uses[o->kind == OPERATION_DELETE ? HISTORY_NONE : o->value].bringers += by;
    }
    if (o->kind == OPERATION_READ) {
        uses[o->value].needers += by;
        uses[o->value].lookers += by;
    } else if (o->kind == OPERATION_CAS) {
        uses[o->expected].needers += o->outcome == OUTCOME_OK ? by : 0;
        uses[o->expected].lookers += by;
    } else if (o->kind == OPERATION_CREATE && o->outcome == OUTCOME_OK) {
        uses[HISTORY_NONE].needers += by;
    } else if (o->kind == OPERATION_DELETE && o->outcome == OUTCOME_REFUSED) {
        uses[HISTORY_NONE].needers += by;
    }
}

// Values at which nobody will look again are one.
#define VALUE_FORGOTTEN (-2)
static int64_t matters(const struct search *s, int64_t value) {
    return value == HISTORY_NONE || s->uses[value + 1].lookers > 0 ? value : VALUE_FORGOTTEN;
}

// Whether the present value may go: not while someone needs it whom nobody else can serve.
static bool may_replace(const struct search *s, const struct operation *o, int64_t after) {
    const struct use *use = &s->uses[s->value + 1];
    bool needs_it = o->outcome == OUTCOME_OK && ((o->kind == OPERATION_CAS && o->expected == s->value) ||
                                                 (o->kind == OPERATION_CREATE && s->value == HISTORY_NONE));
    return after == s->value || use->bringers > 0 || use->needers == needs_it;
}

static int by_start(const void *a, const void *b) {
    const struct operation *x = *(const struct operation *const *)a, *y = *(const struct operation *const *)b;
    if (x->start_ns != y->start_ns) {
        return x->start_ns < y->start_ns ? -1 : 1;
    }
    return x->end_ns < y->end_ns ? -1 : x->end_ns > y->end_ns;
}

// --- configurations ---

static uint64_t mix(uint64_t x) {
    x += 0x9e3779b97f4a7c15U;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9U;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebU;
    return x ^ (x >> 31);
}

static bool has_bit(const uint64_t *words, uint32_t index) {
    return (words[index / 64] >> (index % 64) & 1) != 0;
}

static void flip_bit(uint64_t *words, uint32_t index) {
    words[index / 64] ^= (uint64_t)1 << (index % 64);
}

// What is done is all below the first open one, and some of those up to `top`: only that window is kept.
struct window {
    uint32_t base_word, known_words, unknown_words;
    uint64_t hash;
};

static struct window window_now(const struct search *s) {
    uint32_t first = s->next[s->known_count];
    uint32_t base = (first == NOBODY ? s->known_count : first) / 64;
    uint32_t end = (s->top + 63) / 64;
    uint32_t unknown = (s->unknown_count + 63) / 64;
    while (unknown > 0 && s->unknown_done[unknown - 1] == 0) {
        unknown--;
    }
    return (struct window){base, end > base ? end - base : 0, unknown,
                           s->hash ^ mix((uint64_t)matters(s, s->value))};
}

static bool same_known(const struct search *s, const struct window *w, const struct seen *seen) {
    return seen->hash == w->hash && seen->value == matters(s, s->value) && seen->base_word == w->base_word &&
           seen->known_words == w->known_words &&
           memcmp(seen->words, s->known_done + w->base_word, w->known_words * sizeof(uint64_t)) == 0;
}

static bool used_no_more(const struct search *s, const struct seen *seen) {
    for (uint32_t i = 0; i < seen->unknown_words; i++) {
        if ((seen->words[seen->known_words + i] & ~s->unknown_done[i]) != 0) {
            return false;
        }
    }
    return true;
}

static void grow_buckets(struct search *s) {
    size_t count = s->bucket_count == 0 ? BUCKETS_FIRST : s->bucket_count * 2;
    struct seen **buckets = xcalloc(count, sizeof *buckets);
    for (size_t i = 0; i < s->bucket_count; i++) {
        for (struct seen *seen = s->buckets[i], *next; seen != NULL; seen = next) {
            next = seen->next;
            seen->next = buckets[seen->hash & (count - 1)];
            buckets[seen->hash & (count - 1)] = seen;
        }
    }
    xfree(s->buckets);
    s->buckets = buckets;
    s->bucket_count = count;
}

// Whether the configuration is new. Then it is remembered.
static bool remember(struct search *s) {
    struct window w = window_now(s);
    if (s->seen_count >= s->bucket_count) {
        grow_buckets(s);
    }
    struct seen **bucket = &s->buckets[w.hash & (s->bucket_count - 1)];
    for (const struct seen *seen = *bucket; seen != NULL; seen = seen->next) {
        if (same_known(s, &w, seen) && used_no_more(s, seen)) {
            return false;
        }
    }
    size_t bytes = sizeof(struct seen) + (w.known_words + w.unknown_words) * sizeof(uint64_t);
    struct seen *seen = arena_alloc(&s->arena, bytes);
    *seen = (struct seen){*bucket, w.hash, matters(s, s->value), w.base_word, w.known_words, w.unknown_words};
    if (w.known_words > 0) {
        memcpy(seen->words, s->known_done + w.base_word, w.known_words * sizeof(uint64_t));
    }
    if (w.unknown_words > 0) {
        memcpy(seen->words + w.known_words, s->unknown_done, w.unknown_words * sizeof(uint64_t));
    }
    *bucket = seen;
    s->seen_count++;
    s->seen_bytes += bytes + 2 * sizeof(struct seen *); // with its part of the buckets
    return true;
}

// --- doing and undoing ---

static void take(struct search *s, uint32_t index, bool is_unknown, int64_t after) {
    s->order[s->order_count++] = (struct done){index, is_unknown, s->value, s->top};
    s->value = after;
    count_uses(s, is_unknown ? s->unknown[index] : s->known[index], (uint32_t)-1);
    if (is_unknown) {
        flip_bit(s->unknown_done, index);
        return;
    }
    uint32_t before = s->previous[index], behind = s->next[index];
    s->next[before] = behind;
    s->previous[behind == NOBODY ? s->known_count : behind] = before;
    flip_bit(s->known_done, index);
    s->hash ^= mix(index);
    s->known_left--;
    s->top = index + 1 > s->top ? index + 1 : s->top;
}

static void give_back(struct search *s) {
    struct done done = s->order[--s->order_count];
    s->value = done.before;
    s->top = done.top_before;
    count_uses(s, done.is_unknown ? s->unknown[done.index] : s->known[done.index], 1);
    if (done.is_unknown) {
        flip_bit(s->unknown_done, done.index);
        return;
    }
    uint32_t before = s->previous[done.index], behind = s->next[done.index];
    s->next[before] = done.index;
    s->previous[behind == NOBODY ? s->known_count : behind] = done.index;
    flip_bit(s->known_done, done.index);
    s->hash ^= mix(done.index);
    s->known_left++;
}

// The path is at its longest where it begins to be undone.
static void give_back_to(struct search *s, size_t order_count) {
    if (s->known_left < s->best_left) {
        s->best_left = s->known_left;
        s->best_count = s->order_count;
        memcpy(s->best, s->order, s->order_count * sizeof *s->order);
    }
    while (s->order_count > order_count) {
        give_back(s);
    }
}

// The earliest end of what is still to be done: whatever starts later has to wait.
static int64_t horizon(const struct search *s) {
    int64_t end = HISTORY_NEVER;
    for (uint32_t i = s->next[s->known_count]; i != NOBODY && s->known[i]->start_ns <= end; i = s->next[i]) {
        end = s->known[i]->end_ns < end ? s->known[i]->end_ns : end;
    }
    return end;
}

// Takes everything that only looks and fits.
static void take_looks(struct search *s) {
    for (bool is_new = true; is_new;) {
        int64_t end = HISTORY_NEVER, after;
        is_new = false;
        for (uint32_t i = s->next[s->known_count], next; i != NOBODY && s->known[i]->start_ns <= end;
             i = next) {
            next = s->next[i];
            if (only_looks(s->known[i]) && linear_step(s->known[i], s->value, &after)) {
                take(s, i, false, after);
                is_new = true;
            } else if (s->known[i]->end_ns < end) {
                end = s->known[i]->end_ns;
            }
        }
    }
}

// --- the walk ---

// Whether it can be next, and something may come of it.
static bool is_choice(const struct search *s, const struct frame *frame, const struct operation *o,
                      int64_t *after) {
    int64_t other;
    if (!may_change(o) || !linear_step(o, s->value, after) || !may_replace(s, o, *after)) {
        return false;
    }
    return !frame->has_useless || !linear_step(o, frame->without, &other) ||
           matters(s, other) != matters(s, *after);
}

// Adds the known ones, the earliest end first.
static void add_choices(struct search *s, struct frame *frame) {
    int64_t end = horizon(s), after;
    frame->choice = s->choice_count;
    for (uint32_t i = s->next[s->known_count]; i != NOBODY && s->known[i]->start_ns <= end; i = s->next[i]) {
        if (!is_choice(s, frame, s->known[i], &after)) {
            continue;
        }
        if (s->choice_count == s->choice_capacity) {
            s->choice_capacity = s->choice_capacity * 2 + 64;
            s->choices = xrealloc(s->choices, s->choice_capacity * sizeof *s->choices);
        }
        size_t at = s->choice_count++;
        for (; at > frame->choice && s->known[s->choices[at - 1]]->end_ns > s->known[i]->end_ns; at--) {
            s->choices[at] = s->choices[at - 1];
        }
        s->choices[at] = i;
    }
    frame->choice_end = s->choice_count;
}

// Goes on from an operation that was just taken: false when this was tried before.
static bool enter(struct search *s, size_t order_count) {
    size_t taken = s->order_count;
    take_looks(s);
    if (s->known_left == 0) {
        return true;
    }
    if (!remember(s)) {
        return false;
    }
    struct frame *frame = &s->frames[s->frame_count++];
    *frame = (struct frame){.order_count = order_count};
    if (taken > 0 && taken == s->order_count && s->order[taken - 1].is_unknown) {
        frame->has_useless = true;
        frame->without = s->order[taken - 1].before;
    }
    add_choices(s, frame);
    return true;
}

// Unknown ones that have started and bring what nobody will look at are all alike, if they are of one kind.
static bool is_forgettable(const struct search *s, const struct operation *o) {
    return o->kind == OPERATION_DELETE ||
           (o->kind != OPERATION_CAS && matters(s, o->value) == VALUE_FORGOTTEN);
}

// Takes the next way on from the frame; false when there is none.
static bool take_next(struct search *s, struct frame *frame) {
    int64_t after;
    if (frame->choice < frame->choice_end) {
        uint32_t index = s->choices[frame->choice++];
        linear_step(s->known[index], s->value, &after);
        take(s, index, false, after);
        return true;
    }
    int64_t end = frame->unknown_next < s->unknown_count ? horizon(s) : 0;
    for (; frame->unknown_next < s->unknown_count && s->unknown[frame->unknown_next]->start_ns <= end;
         frame->unknown_next++) {
        const struct operation *o = s->unknown[frame->unknown_next];
        bool is_like_another = (frame->kinds_tried >> o->kind & 1) != 0;
        if (has_bit(s->unknown_done, frame->unknown_next) || !is_choice(s, frame, o, &after) ||
            after == s->value || (is_like_another && is_forgettable(s, o))) {
            continue;
        }
        frame->kinds_tried |= is_forgettable(s, o) ? 1U << o->kind : 0;
        take(s, frame->unknown_next++, true, after);
        return true;
    }
    return false;
}

static enum linear_verdict walk(struct search *s) {
    enter(s, 0);
    while (s->known_left > 0 && s->frame_count > 0) {
        struct frame *frame = &s->frames[s->frame_count - 1];
        size_t order_count = s->order_count;
        if (!take_next(s, frame)) {
            give_back_to(s, frame->order_count);
            s->choice_count = s->frame_count > 1 ? s->frames[s->frame_count - 2].choice_end : 0;
            s->frame_count--;
        } else if (!enter(s, order_count)) {
            give_back_to(s, order_count);
        }
        if (s->seen_bytes > s->memory_bytes_max) {
            return LINEAR_UNDECIDED;
        }
    }
    return s->known_left == 0 ? LINEAR_YES : LINEAR_NO;
}

// --- the report ---

static void print_told(const struct search *s, const struct operation *o, const char *key,
                       struct buf *report) {
    struct operation told = *o;
    told.value = o->value == HISTORY_NONE ? HISTORY_NONE : s->values[o->value];
    told.expected = o->kind == OPERATION_CAS ? s->values[o->expected] : 0;
    history_print(&told, key, report);
}

static void print_origin(const struct search *s, int64_t value, const char *key, struct buf *report) {
    bool is_written = false;
    for (uint32_t i = 0; i < s->known_count + s->unknown_count; i++) {
        const struct operation *o = i < s->known_count ? s->known[i] : s->unknown[i - s->known_count];
        if (o->value == value && may_change(o) && o->kind != OPERATION_DELETE) {
            buf_addf(report, "      %" PRId64 " is of: ", s->values[value]);
            print_told(s, o, key, report);
            is_written = true;
        }
    }
    if (!is_written) {
        buf_addf(report, "      %" PRId64 " was never written\n", s->values[value]);
    }
}

// The first that still needs the present value.
static void print_needer(const struct search *s, const char *key, struct buf *report) {
    for (uint32_t i = s->next[s->known_count]; i != NOBODY; i = s->next[i]) {
        const struct operation *o = s->known[i];
        if ((o->kind == OPERATION_READ && o->value == s->value) ||
            (o->kind == OPERATION_CAS && o->outcome == OUTCOME_OK && o->expected == s->value)) {
            buf_addf(report, "      would replace %" PRId64 ", but then comes: ", s->values[s->value]);
            print_told(s, o, key, report);
            return;
        }
    }
}

static void print_stuck(const struct search *s, const char *key, struct buf *report) {
    int64_t end = horizon(s), after;
    size_t shown = 0;
    for (uint32_t i = s->next[s->known_count]; i != NOBODY && s->known[i]->start_ns <= end; i = s->next[i]) {
        const struct operation *o = s->known[i];
        if (++shown > SHOWN_MAX) {
            continue;
        }
        buf_adds(report, o->end_ns == end ? "  ! " : "    ");
        print_told(s, o, key, report);
        if (o->kind == OPERATION_READ && o->value != HISTORY_NONE) {
            print_origin(s, o->value, key, report);
        } else if (o->kind == OPERATION_CAS && o->outcome == OUTCOME_OK) {
            print_origin(s, o->expected, key, report);
        } else if (linear_step(o, s->value, &after) && !may_replace(s, o, after) &&
                   s->value != HISTORY_NONE) {
            print_needer(s, key, report);
        }
    }
    if (shown > SHOWN_MAX) {
        buf_addf(report, "    and %zu more\n", shown - SHOWN_MAX);
    }
}

// Goes along the best path again, and tells its end.
static void print_violation(struct search *s, const char *key, struct buf *report) {
    give_back_to(s, 0);
    for (size_t i = 0; i < s->best_count; i++) {
        const struct done *done = &s->best[i];
        int64_t after;
        linear_step(done->is_unknown ? s->unknown[done->index] : s->known[done->index], s->value, &after);
        take(s, done->index, done->is_unknown, after);
    }
    buf_addf(report,
             "key %s is not linearizable: of its %" PRIu32 " operations, %" PRIu32 " can be put in order",
             key, s->known_count, s->known_count - s->best_left);
    buf_addf(report, "%s\n", s->best_count > SHOWN_MAX ? "; the last of these:" : ":");
    for (size_t i = s->best_count > SHOWN_MAX ? s->best_count - SHOWN_MAX : 0; i < s->best_count; i++) {
        buf_adds(report, "    ");
        const struct done *done = &s->best[i];
        print_told(s, done->is_unknown ? s->unknown[done->index] : s->known[done->index], key, report);
    }
    if (s->value == HISTORY_NONE) {
        buf_adds(report, "  then there is no value");
    } else {
        buf_addf(report, "  then the value is %" PRId64, s->values[s->value]);
    }
    buf_adds(report, ", and of these one has to be next (!: none may come later), but none leads on:\n");
    print_stuck(s, key, report);
}

// --- a key, all keys ---

static int by_size(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

// All values there are, in order, each once; their numbers are their places.
static void number_values(struct search *s, const struct operation *const *operations, size_t count) {
    size_t values = 0;
    s->values = ARENA_ARRAY(&s->arena, int64_t, 2 * count + 1);
    for (size_t i = 0; i < count; i++) {
        s->values[values++] = operations[i]->value;
        s->values[values++] = operations[i]->expected;
    }
    qsort(s->values, values, sizeof *s->values, by_size);
    for (size_t i = 0; i < values; i++) {
        if (s->values[i] >= 0 && (s->value_count == 0 || s->values[i] != s->values[s->value_count - 1])) {
            s->values[s->value_count++] = s->values[i];
        }
    }
    s->uses = ARENA_ARRAY(&s->arena, struct use, s->value_count + 1);
}

static int64_t number_of(const struct search *s, int64_t value) {
    const int64_t *found =
        value < 0 ? NULL : bsearch(&value, s->values, s->value_count, sizeof *s->values, by_size);
    return found == NULL ? HISTORY_NONE : found - s->values;
}

static void add_operations(struct search *s, const struct operation *const *operations, size_t count) {
    struct operation *copies = ARENA_ARRAY(&s->arena, struct operation, count);
    s->known = ARENA_ARRAY(&s->arena, const struct operation *, count + 1);
    s->unknown = ARENA_ARRAY(&s->arena, const struct operation *, count + 1);
    for (size_t i = 0; i < count; i++) {
        struct operation *o = &copies[i];
        *o = *operations[i];
        if (o->outcome == OUTCOME_UNKNOWN && o->kind == OPERATION_READ) {
            continue;
        }
        o->value = number_of(s, o->value);
        o->expected = number_of(s, o->expected);
        count_uses(s, o, 1);
        if (o->outcome == OUTCOME_UNKNOWN) {
            s->unknown[s->unknown_count++] = o;
        } else {
            s->known[s->known_count++] = o;
        }
    }
}

static void search_init(struct search *s, size_t memory_bytes_max, const struct operation *const *operations,
                        size_t count) {
    *s = (struct search){.arena = arena_make(memory_bytes_max + ((size_t)1 << 30)),
                         .memory_bytes_max = memory_bytes_max,
                         .value = HISTORY_NONE};
    ASSERT(count < NOBODY / 2);
    number_values(s, operations, count);
    add_operations(s, operations, count);
    s->next = ARENA_ARRAY(&s->arena, uint32_t, s->known_count + 1);
    s->previous = ARENA_ARRAY(&s->arena, uint32_t, s->known_count + 1);
    for (uint32_t i = 0; i <= s->known_count; i++) {
        s->next[i] = i + 1 < s->known_count ? i + 1 : NOBODY;
        s->previous[i] = i == 0 ? s->known_count : i - 1;
    }
    s->next[s->known_count] = s->known_count > 0 ? 0 : NOBODY;
    s->known_done = ARENA_ARRAY(&s->arena, uint64_t, s->known_count / 64 + 1);
    s->unknown_done = ARENA_ARRAY(&s->arena, uint64_t, s->unknown_count / 64 + 1);
    s->order = ARENA_ARRAY(&s->arena, struct done, count + 1);
    s->best = ARENA_ARRAY(&s->arena, struct done, count + 1);
    s->frames = ARENA_ARRAY(&s->arena, struct frame, count + 2);
    s->known_left = s->best_left = s->known_count;
}

static void search_deinit(struct search *s) {
    xfree(s->choices);
    xfree(s->buckets);
    arena_free(&s->arena);
}

static enum linear_verdict judge_key(const struct operation *const *operations, size_t count, const char *key,
                                     size_t memory_bytes_max, struct buf *report) {
    struct search s;
    search_init(&s, memory_bytes_max, operations, count);
    enum linear_verdict verdict = walk(&s);
    if (verdict == LINEAR_NO && report != NULL) {
        print_violation(&s, key, report);
    } else if (verdict == LINEAR_UNDECIDED && report != NULL) {
        buf_addf(report, "key %s is undecided: %zu configurations in %zu MiB, and no end\n", key,
                 s.seen_count, s.seen_bytes >> 20);
    }
    search_deinit(&s);
    return verdict;
}

static int by_key(const void *a, const void *b) {
    const struct operation *x = *(const struct operation *const *)a, *y = *(const struct operation *const *)b;
    return x->key != y->key ? (x->key < y->key ? -1 : 1) : by_start(a, b);
}

enum linear_verdict linear_judge(const struct history *history, size_t memory_bytes_max, struct buf *report) {
    AUTO_FREE const struct operation **sorted = xcalloc(history->count + 1, sizeof *sorted);
    enum linear_verdict worst = LINEAR_YES;
    size_t violated = 0;
    for (size_t i = 0; i < history->count; i++) {
        sorted[i] = &history->items[i];
    }
    qsort(sorted, history->count, sizeof *sorted, by_key);
    for (size_t first = 0, end; first < history->count; first = end) {
        for (end = first; end < history->count && sorted[end]->key == sorted[first]->key; end++) {
        }
        enum linear_verdict verdict =
            judge_key(sorted + first, end - first, history->keys.items[sorted[first]->key], memory_bytes_max,
                      violated < KEYS_SHOWN_MAX ? report : NULL);
        violated += verdict == LINEAR_NO;
        worst = verdict == LINEAR_NO || worst == LINEAR_YES ? verdict : worst;
    }
    if (violated > KEYS_SHOWN_MAX && report != NULL) {
        buf_addf(report, "and %zu more keys\n", violated - KEYS_SHOWN_MAX);
    }
    return worst;
}
