// SPDX-License-Identifier: Apache-2.0
//
// test/lib/linear.h — judges whether a history of register operations is linearizable.
//
// Linearizable: each operation can be given one instant within its interval so that, done one after the
// other at those instants, all would have been answered as they were.
//
// Model      Registers do not touch each other, so each key is judged alone (Herlihy and Wing 1990). A key is
//            judged by Wing and Gong's search (1993): put any operation next that no open one had to precede,
//            go back when nothing fits. What makes it fast is Lowe's (2017), as in Porcupine: configurations
//            (set of operations done, value) that were tried are remembered and not tried again, and
//            operations are taken as late as their ends allow, the earliest end first. Other cuts are of
//            registers. What only looks (reads, refusals) and fits now is taken now, without a choice. A
//            value that someone still needs to have seen is not replaced when nothing can bring it back.
//            Values at which nobody looks again are one value. An unknown operation is tried last, one for
//            all that are alike, and only where what follows would not come out the same without it. And a
//            configuration is also known to fail when one with the same known operations and value failed
//            with fewer of the unknown ones used up.
// Failure    The search is exact. It stops as undecided when what it remembers is over the limit.
// Judge two  For histories whose written values are all different there is a second judge that shares nothing
//            with the first: the operations of one value form a block, one block must precede another when an
//            operation of the first ends before one of the other starts, blocks joined by a successful cas
//            are adjacent; two blocks that must precede each other are a violation (Gibbons and Korach
//            1997; every longer cycle holds such a pair). It is exact for writes, reads, successful cas,
//            and creates of keys that are never deleted; refusals, and what looks at nothing once a delete
//            was there, it passes over, so that it may miss a violation but never invents one.
#ifndef MUSTER_TEST_LIB_LINEAR_H
#define MUSTER_TEST_LIB_LINEAR_H

#include "test/lib/history.h"

#define LINEAR_MEMORY_BYTES ((size_t)768 << 20) // a sensible limit

enum linear_verdict {
    LINEAR_YES,
    LINEAR_NO,
    LINEAR_UNDECIDED, // over the memory limit; or, for the graph, a value that was written twice
};

// The worst of the keys' verdicts. `memory_bytes_max` bounds what is remembered about one key; keys come one
// after the other. For each key that is not linearizable the report gets the longest run of operations that
// could be put in order (its last few), and those that then fit nowhere, with where the values they saw
// came from. `report` may be NULL.
enum linear_verdict linear_judge(const struct history *history, size_t memory_bytes_max, struct buf *report);

// The second judge (test/lib/linear_graph.c).
enum linear_verdict linear_graph_judge(const struct history *history, struct buf *report);

// The effect of an operation on a register that holds `value`: false when it could not have been answered
// so; else *after is the value then. An unknown one always could; it has its effect if it can have any.
bool linear_step(const struct operation *operation, int64_t value, int64_t *after);

#endif
