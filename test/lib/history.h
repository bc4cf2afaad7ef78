// SPDX-License-Identifier: Apache-2.0
//
// test/lib/history.h — what concurrent clients did to registers, and what they were answered.
//
// Model      A register is a key that holds a value (0 or more), or nothing. An operation has an interval on
//            one monotonic clock: from before its request was sent until after its answer was there. One
//            whose outcome is unknown (deadline, lost link) ends never: it may take effect at any later
//            time, or not at all. One that was definitely refused before anything happened is left out.
// Text form  One line an operation, so that client processes append whole lines to files and the judge reads
//            many files together, in any order:
//
//                CLIENT KEY START END write VALUE ok|unknown
//                CLIENT KEY START END read VALUE|none ok          (an unknown read says nothing: left out)
//                CLIENT KEY START END cas EXPECTED VALUE ok|refused|unknown
//                CLIENT KEY START END create VALUE ok|refused|unknown
//                CLIENT KEY START END delete ok|refused|unknown
//
//            START and END are nanoseconds, END is "-" exactly when the outcome is unknown. Refused means
//            that the register was looked at: a cas found another value, a create found one, a delete found
//            none. Empty lines and lines that begin with # are skipped.
// Limits     A client that is killed leaves out what it was doing, and the history is no longer whole: what
//            is killed are the servers.
#ifndef MUSTER_TEST_LIB_HISTORY_H
#define MUSTER_TEST_LIB_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/map.h"

#define HISTORY_NONE (-1)        // the value of a register that holds none
#define HISTORY_NEVER INT64_MAX  // the end of an operation with unknown outcome
#define HISTORY_KEY_BYTES_MAX 64 // with its NUL
#define HISTORY_LINE_BYTES_MAX 256

enum operation_kind { OPERATION_WRITE, OPERATION_READ, OPERATION_CAS, OPERATION_CREATE, OPERATION_DELETE };
enum operation_outcome { OUTCOME_OK, OUTCOME_REFUSED, OUTCOME_UNKNOWN };

struct operation {
    int64_t client;
    size_t key; // index into the history's keys
    enum operation_kind kind;
    enum operation_outcome outcome;
    int64_t value;    // written, or seen by a read (HISTORY_NONE: there was none)
    int64_t expected; // of a cas
    int64_t start_ns, end_ns;
};

// Zero-initialised is empty.
struct history {
    struct arena arena;
    struct map key_of_name; // index + 1
    struct {
        size_t count;
        const char **items;
    } keys;
    size_t count;
    struct operation *items;
};

void history_free(struct history *history);
#define AUTO_HISTORY __attribute__((cleanup(history_free))) struct history

// The index of a key, made known if it is new.
size_t history_key(struct history *history, const char *name);
// A copy of the operation is kept; the address dies at the next one.
struct operation *history_note(struct history *history, const struct operation *operation);

// The line of an operation, with its line end.
void history_print(const struct operation *operation, const char *key, struct buf *out);
// Adds the operations of a text. -ERR_INVALID names the line and what is wrong with it.
int history_parse(struct history *history, const char *text, struct error *err);
// Adds the operations of a file (at most 1 GiB).
int history_read(struct history *history, const char *path, struct error *err);

#endif
