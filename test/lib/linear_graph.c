// SPDX-License-Identifier: Apache-2.0
//
// test/lib/linear_graph.c — the second judge: which blocks of operations must precede which.
//
// Model      Block: the write of a value and what saw it. In any order that explains the history nothing
//            stands between them. Block 0 is the register before its first write, while nothing is ever
//            deleted. A successful cas begins a block that directly follows the one of the value it found:
//            such blocks are joined to a chain. Chain A must precede B when the first end in A is before the
//            last start in B. Both ways: a violation. Three or more chains in a ring: the one with the last
//            start of all is preceded by each other one, and precedes its next, so the pair is there too.
// Search     With first < last (a "forward" chain) something of others fits only outside of first..last:
//            forward chains must be disjoint, and no other chain lies wholly within one. Sorting finds both.
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "test/lib/linear.h"

#define NOBODY SIZE_MAX

struct block {
    const struct operation *writer;       // NULL for block 0
    const struct operation *first, *last; // the earliest end, the latest start; NULL: before all time
    int64_t first_end, last_start;
    size_t following; // the block that directly follows, or NOBODY
    bool is_followed, is_observed, is_walked;
};

struct chains {
    const char *key;
    struct buf *report;
    const struct operation *const *operations;
    size_t operation_count;
    struct block *blocks; // 1…: in the order of their values
    size_t block_count;
    bool has_deletes;
    struct block *chains; // each a block that stands for all of its chain
    size_t chain_count;
};

static bool may_write(const struct operation *o) {
    return o->outcome != OUTCOME_REFUSED && o->kind != OPERATION_READ && o->kind != OPERATION_DELETE;
}

static bool found(const struct chains *c, const char *what, const struct operation *a,
                  const struct operation *b) {
    if (c->report != NULL) {
        buf_addf(c->report, "key %s is not linearizable: %s\n    ", c->key, what);
        history_print(a, c->key, c->report);
        if (b != NULL) {
            buf_adds(c->report, "    ");
            history_print(b, c->key, c->report);
        }
    }
    return false;
}

// --- blocks ---

static int by_value(const void *a, const void *b) {
    const struct block *x = a, *y = b;
    return x->writer->value < y->writer->value ? -1 : x->writer->value > y->writer->value;
}

static size_t find_block(const struct chains *c, int64_t value) {
    size_t low = 1, high = c->block_count;
    if (value == HISTORY_NONE) {
        return c->has_deletes ? NOBODY : 0;
    }
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (c->blocks[middle].writer->value < value) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < c->block_count && c->blocks[low].writer->value == value ? low : NOBODY;
}

// False when a value was written twice.
static bool make_blocks(struct chains *c) {
    c->blocks[0] = (struct block){
        .first_end = INT64_MIN, .last_start = INT64_MIN, .following = NOBODY, .is_observed = true};
    c->block_count = 1;
    for (size_t i = 0; i < c->operation_count; i++) {
        const struct operation *o = c->operations[i];
        c->has_deletes |= o->kind == OPERATION_DELETE && o->outcome != OUTCOME_REFUSED;
        if (may_write(o)) {
            c->blocks[c->block_count++] = (struct block){.writer = o,
                                                         .first = o,
                                                         .last = o,
                                                         .first_end = o->end_ns,
                                                         .last_start = o->start_ns,
                                                         .following = NOBODY,
                                                         .is_observed = o->outcome == OUTCOME_OK};
        }
    }
    qsort(c->blocks + 1, c->block_count - 1, sizeof *c->blocks, by_value);
    for (size_t i = 2; i < c->block_count; i++) {
        if (c->blocks[i].writer->value == c->blocks[i - 1].writer->value) {
            return false;
        }
    }
    return true;
}

static void widen(struct block *block, const struct block *by) {
    if (by->first_end < block->first_end) {
        block->first_end = by->first_end;
        block->first = by->first;
    }
    if (by->last_start > block->last_start) {
        block->last_start = by->last_start;
        block->last = by->last;
    }
}

static bool add_reads(const struct chains *c) {
    for (size_t i = 0; i < c->operation_count; i++) {
        const struct operation *o = c->operations[i];
        if (o->kind != OPERATION_READ || o->outcome != OUTCOME_OK) {
            continue;
        }
        size_t at = find_block(c, o->value);
        if (at == NOBODY && o->value != HISTORY_NONE) {
            return found(c, "a value that nobody wrote", o, NULL);
        }
        if (at == NOBODY) {
            continue;
        }
        if (at != 0 && o->end_ns < c->blocks[at].writer->start_ns) {
            return found(c, "a value seen before its write began", o, c->blocks[at].writer);
        }
        widen(&c->blocks[at],
              &(struct block){.first = o, .last = o, .first_end = o->end_ns, .last_start = o->start_ns});
        c->blocks[at].is_observed = true;
    }
    return true;
}

// --- chains ---

// The block that the writer must have found, if it says which.
static bool names_predecessor(const struct chains *c, const struct operation *writer, int64_t *out) {
    *out = writer->kind == OPERATION_CAS ? writer->expected : HISTORY_NONE;
    return writer->kind == OPERATION_CAS || (writer->kind == OPERATION_CREATE && !c->has_deletes);
}

// Joins an observed block to its predecessor, which is thereby observed as well, and so on.
static bool join(const struct chains *c, size_t at) {
    int64_t value;
    while (at != 0 && c->blocks[at].is_observed && !c->blocks[at].is_followed &&
           names_predecessor(c, c->blocks[at].writer, &value)) {
        size_t before = find_block(c, value);
        if (before == NOBODY) {
            return found(c, "a value that nobody wrote", c->blocks[at].writer, NULL);
        }
        if (c->blocks[before].following != NOBODY) {
            return found(c, "both found the same value, and replaced it", c->blocks[at].writer,
                         c->blocks[c->blocks[before].following].writer);
        }
        c->blocks[before].following = at;
        c->blocks[before].is_observed = true;
        c->blocks[at].is_followed = true; // has a predecessor: not the head of a chain
        at = before;
    }
    return true;
}

// From the head on: what is later in the chain must not end before something earlier starts.
static bool walk_chain(struct chains *c, size_t head) {
    struct block *chain = &c->chains[c->chain_count++];
    *chain = c->blocks[head];
    for (size_t at = head; at != NOBODY; at = c->blocks[at].following) {
        struct block *block = &c->blocks[at];
        if (at != head && block->first_end < chain->last_start) {
            return found(c, "the first follows from the second, but ended before it", block->first,
                         chain->last);
        }
        widen(chain, block);
        block->is_walked = true;
    }
    return true;
}

static bool make_chains(struct chains *c) {
    for (size_t i = 0; i < c->block_count; i++) {
        if (!join(c, i)) {
            return false;
        }
    }
    for (size_t i = 0; i < c->block_count; i++) {
        if (c->blocks[i].is_observed && !c->blocks[i].is_followed && !walk_chain(c, i)) {
            return false;
        }
    }
    for (size_t i = 0; i < c->block_count; i++) {
        if (c->blocks[i].is_observed && !c->blocks[i].is_walked) {
            return found(c, "a ring of replacements", c->blocks[i].writer,
                         c->blocks[c->blocks[i].following].writer);
        }
    }
    return true;
}

// --- pairs ---

static int by_first_end(const void *a, const void *b) {
    const struct block *x = a, *y = b;
    return x->first_end < y->first_end ? -1 : x->first_end > y->first_end;
}

static bool both_ways(const struct chains *c, const struct block *a, const struct block *b) {
    if (c->report != NULL) {
        buf_addf(c->report, "key %s is not linearizable: two values were there twice each;\n", c->key);
        const struct operation *shown[] = {a->first, b->last, b->first, a->last};
        for (size_t i = 0; i < 4; i++) {
            buf_adds(c->report, i == 0   ? "  one must precede the other:\n"
                                : i == 2 ? "  and follow it:\n"
                                         : "");
            if (shown[i] != NULL) {
                buf_adds(c->report, "    ");
                history_print(shown[i], c->key, c->report);
            }
        }
    }
    return false;
}

// The forward chains are disjoint and in order, so only the last that begins before `b` can hold it.
static bool check_pairs(struct chains *c) {
    size_t forward = 0;
    qsort(c->chains, c->chain_count, sizeof *c->chains, by_first_end);
    struct block *others = xcalloc(c->chain_count + 1, sizeof *others);
    size_t other_count = 0;
    for (size_t i = 0; i < c->chain_count; i++) {
        if (c->chains[i].first_end < c->chains[i].last_start) {
            c->chains[forward++] = c->chains[i];
        } else {
            others[other_count++] = c->chains[i];
        }
    }
    bool is_fine = true;
    for (size_t i = 1; i < forward && is_fine; i++) {
        is_fine = c->chains[i].first_end >= c->chains[i - 1].last_start ||
                  both_ways(c, &c->chains[i - 1], &c->chains[i]);
    }
    for (size_t i = 0; i < other_count && is_fine; i++) {
        size_t low = 0, high = forward;
        while (low < high) {
            size_t middle = low + (high - low) / 2;
            if (c->chains[middle].first_end < others[i].last_start) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        is_fine = low == 0 || others[i].first_end >= c->chains[low - 1].last_start ||
                  both_ways(c, &c->chains[low - 1], &others[i]);
    }
    xfree(others);
    return is_fine;
}

// --- a key, all keys ---

static enum linear_verdict judge_key(struct chains *c) {
    c->blocks = xcalloc(c->operation_count + 1, sizeof *c->blocks);
    c->chains = xcalloc(c->operation_count + 1, sizeof *c->chains);
    enum linear_verdict verdict = LINEAR_UNDECIDED;
    if (make_blocks(c)) {
        verdict = add_reads(c) && make_chains(c) && check_pairs(c) ? LINEAR_YES : LINEAR_NO;
    } else if (c->report != NULL) {
        buf_addf(c->report, "key %s: a value was written twice\n", c->key);
    }
    xfree(c->blocks);
    xfree(c->chains);
    return verdict;
}

static int by_key(const void *a, const void *b) {
    const struct operation *x = *(const struct operation *const *)a, *y = *(const struct operation *const *)b;
    return x->key < y->key ? -1 : x->key > y->key;
}

enum linear_verdict linear_graph_judge(const struct history *history, struct buf *report) {
    AUTO_FREE const struct operation **sorted = xcalloc(history->count + 1, sizeof *sorted);
    enum linear_verdict worst = LINEAR_YES;
    for (size_t i = 0; i < history->count; i++) {
        sorted[i] = &history->items[i];
    }
    qsort(sorted, history->count, sizeof *sorted, by_key);
    for (size_t first = 0, end; first < history->count && worst != LINEAR_NO; first = end) {
        for (end = first; end < history->count && sorted[end]->key == sorted[first]->key; end++) {
        }
        struct chains c = {.key = history->keys.items[sorted[first]->key],
                           .report = report,
                           .operations = sorted + first,
                           .operation_count = end - first};
        enum linear_verdict verdict = judge_key(&c);
        worst = verdict == LINEAR_NO || worst == LINEAR_YES ? verdict : worst;
    }
    return worst;
}
