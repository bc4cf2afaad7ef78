// SPDX-License-Identifier: Apache-2.0
//
// reconciler/raft/log.c — term, size and type of the entries that are not compacted away, by index.
#include "reconciler/raft/raft_parts.h"

static struct raft_entry *slot(const struct raft_log *log, uint64_t index) {
    ASSERT(index > log->base_index && index <= log->last_index);
    return &log->ring[index % log->capacity];
}

const struct raft_entry *log_entry(const struct raft_log *log, uint64_t index) {
    return slot(log, index);
}

bool log_term(const struct raft_log *log, uint64_t index, uint64_t *out) {
    if (index < log->base_index || index > log->last_index) {
        return false;
    }
    *out = index == log->base_index ? log->base_term : slot(log, index)->term;
    return true;
}

uint64_t log_last_term(const struct raft_log *log) {
    uint64_t term = 0;
    bool is_known = log_term(log, log->last_index, &term);
    ASSERT(is_known);
    return term;
}

uint64_t log_room(const struct raft_log *log) {
    return log->capacity - (log->last_index - log->base_index);
}

// Each leader adds an empty entry, even one that commits nothing; half of the ring is left for those. A group
// whose logs were full of what it cannot commit could never elect a leader that does.
bool log_may_grow(const struct raft_log *log, uint64_t count) {
    return log_room(log) >= count + log->capacity / 2;
}

void log_append(struct raft_log *log, const struct raft_entry *entry) {
    ASSERT(log_room(log) > 0);
    ASSERT(entry->term >= log_last_term(log));
    log->last_index++;
    *slot(log, log->last_index) = *entry;
}

void log_truncate(struct raft_log *log, uint64_t last_index) {
    ASSERT(last_index >= log->base_index && last_index <= log->last_index);
    log->last_index = last_index;
}

void log_compact(struct raft_log *log, uint64_t index) {
    if (index <= log->base_index) {
        return;
    }
    ASSERT(index <= log->last_index);
    log->base_term = slot(log, index)->term;
    log->base_index = index;
}

void log_reset(struct raft_log *log, uint64_t index, uint64_t term) {
    log->base_index = log->last_index = index;
    log->base_term = term;
}

uint64_t log_find_term(const struct raft_log *log, uint64_t index, uint64_t term) {
    uint64_t at = index < log->last_index ? index : log->last_index;
    while (at > log->base_index && slot(log, at)->term > term) {
        at--;
    }
    return at > log->base_index ? at : log->base_index;
}
