// SPDX-License-Identifier: Apache-2.0
//
// reconciler/store/history.c — the history: events in, old ones out, and reading on from a position.
//
// Events are keyed by (revision, index), so a reader is nothing but its last key. The state keeps the key of
// the last event that was trimmed: whoever stands before it has missed something, and is told so. So events
// are trimmed by moving that key on, entry by entry; what is behind it leaves the table with the commit.
//
// Events come in order, so nothing is gained by letting them wait in memory for the commit of the effects:
// they go into the transaction at once. A sync in between makes events durable that are *ahead* of the state:
// nothing shows them, and who starts from that state cuts them off before it applies their entries again.
#include "reconciler/store/store.h"

#include <string.h>

#include "reconciler/store/planted.h"
#include "reconciler/store/turn.h"

int history_add(struct turn *turn, const struct event *event, struct error *err) {
    struct key key = key_event(event->revision, event->index);
    buf_clear(&turn->scratch);
    format_history_write(turn->state.time_unix_ms, event, &turn->scratch);
    struct bytes payload = buf_bytes(&turn->scratch);
    turn->state.history_count++;
    turn->state.history_bytes += (int64_t)(key.len + payload.len);
    return environment_append(turn->tables.environment, turn->tables.txn, TABLE_HISTORY, &key, payload, err);
}

int history_cut(const struct turn *turn, struct error *err) {
    struct key first = key_event(turn->state.applied + 1, 0);
    return environment_remove_from(turn->tables.environment, turn->tables.txn, TABLE_HISTORY, &first, err);
}

// --- trimming ---

static bool is_too_much(const struct turn *turn, int64_t time_unix_ms) {
    const struct store *store = turn->store;
    return turn->state.history_bytes > store->history_bytes ||
           turn->state.time_unix_ms - time_unix_ms > store->history_age_ms;
}

static bool is_trimmed(const struct store_state *state, int64_t revision, int64_t index) {
    return revision < state->trimmed_revision ||
           (revision == state->trimmed_revision && index <= state->trimmed_index);
}

bool history_lacks(const struct store_state *state, struct bytes key) {
    return key.len == 16 && (key_number_at(key, 0) > state->applied ||
                             is_trimmed(state, key_number_at(key, 0), key_number_at(key, 8)));
}

static int note_oldest(struct turn *turn, struct bytes key, struct bytes payload, struct error *err) {
    struct oldest_events *oldest = &turn->oldest;
    struct history_item item;
    int rc = format_history_read(payload, &item, err);
    if (rc < 0 || key.len != 16) {
        return error_set(err, ERR_CORRUPT, "malformed event");
    }
    struct oldest_event event = {key_number_at(key, 0), key_number_at(key, 8), item.time_unix_ms,
                                 (int64_t)(key.len + payload.len)};
    if (!is_trimmed(&turn->state, event.revision, event.index)) {
        oldest->items[oldest->count++] = event;
    }
    return 0;
}

// From the last that was trimmed: those before it are in the tables until the commit.
static int read_ahead(struct turn *turn, struct error *err) {
    struct oldest_events *oldest = &turn->oldest;
    size_t limit = oldest->count == 0 ? OLDEST_EVENTS_FIRST : 2 * oldest->count;
    struct key from = key_event(turn->state.trimmed_revision, turn->state.trimmed_index);
    struct table_cursor cursor;
    struct bytes key, payload;
    oldest->next = oldest->count = 0;
    int rc = table_cursor_begin(&turn->tables, TABLE_HISTORY, &cursor, err);
    if (rc < 0) {
        return rc;
    }
    rc = table_seek(&cursor, &from, &key, &payload, err);
    while (rc == 0) {
        rc = note_oldest(turn, key, payload, err);
        if (rc < 0 || oldest->count >= limit || oldest->count == OLDEST_EVENTS_MAX) {
            break;
        }
        rc = table_next(&cursor, &key, &payload, err);
    }
    table_cursor_end(&cursor);
    return rc < 0 ? rc : 0;
}

// Events of the entry in work always stay.
int history_trim(struct turn *turn, size_t slice, struct error *err) {
    struct oldest_events *oldest = &turn->oldest;
    for (size_t i = 0; i < slice; i++) {
        int rc = oldest->next == oldest->count ? read_ahead(turn, err) : 0;
        if (rc < 0) {
            return rc;
        }
        const struct oldest_event *event = &oldest->items[oldest->next];
        if (oldest->next == oldest->count || event->revision == turn->state.applied ||
            !is_too_much(turn, event->time_unix_ms)) {
            return 0;
        }
        oldest->next++;
        turn->state.history_count--;
        turn->state.history_bytes -= event->bytes;
        turn->state.trimmed_revision = event->revision;
        turn->state.trimmed_index = event->index;
    }
    return 0;
}

int history_sweep(const struct turn *turn, struct error *err) {
    struct key last = key_event(turn->state.trimmed_revision, turn->state.trimmed_index);
    return environment_remove_until(turn->tables.environment, turn->tables.txn, TABLE_HISTORY, &last,
                                    /*visit=*/NULL, /*context=*/NULL, err);
}

// --- reading on ---

static bool is_after(int64_t revision, int64_t index, const struct store_position *position) {
    return revision > position->revision || (revision == position->revision && index > position->index);
}

struct reading {
    struct store_position at;
    int64_t applied; // events after that are ahead
    uint64_t kind_mask;
    size_t max, max_bytes, bytes;
    struct arena *arena;
    struct events events;
};

static bool is_full(const struct reading *reading) {
    return reading->events.count >= reading->max ||
           (reading->events.count > 0 && reading->bytes >= reading->max_bytes);
}

static int take_event(struct reading *reading, struct bytes payload, struct error *err) {
    struct history_item item;
    struct event event;
    int rc = format_history_read(payload, &item, err);
    rc = rc < 0 ? rc : wire_decode(&event_schema, item.event, &event, reading->arena, err);
    if (rc < 0) {
        return rc;
    }
    if (reading->kind_mask == 0 ||
        (event.kind >= 0 && event.kind < 64 && (reading->kind_mask >> event.kind & 1) != 0)) {
        *ARENA_PUSH(reading->arena, &reading->events) = event;
        reading->bytes += payload.len;
    }
    return 0;
}

static int read_on(struct table_cursor *cursor, struct reading *reading, struct error *err) {
    // The position itself is skipped if its event is still there.
    struct key from = key_event(reading->at.revision, reading->at.index);
    struct bytes key, payload;
    int rc = table_seek(cursor, &from, &key, &payload, err);
    while (rc == 0) {
        if (key.len != 16) {
            return error_set(err, ERR_CORRUPT, "malformed key in the history");
        }
        int64_t revision = key_number_at(key, 0), index = key_number_at(key, 8);
        if (is_after(revision, index, &reading->at)) {
            if (is_full(reading) || revision > reading->applied) {
                return 0;
            }
            rc = take_event(reading, payload, err);
            if (rc < 0) {
                return rc;
            }
            reading->at = (struct store_position){revision, index};
        }
        rc = table_next(cursor, &key, &payload, err);
    }
    return rc == STORE_END ? 0 : rc;
}

int store_history(struct store_read *read, struct store_position *position, uint64_t kind_mask, size_t max,
                  size_t max_bytes, struct arena *arena, struct events *out, struct error *err) {
    if (!STORE_PLANTED(GAP_NOT_TOLD) &&
        is_after(read->state.trimmed_revision, read->state.trimmed_index, position)) {
        return STORE_SKIPPED;
    }
    struct table_cursor cursor;
    int rc = table_cursor_begin(&read->tables, TABLE_HISTORY, &cursor, err);
    if (rc < 0) {
        return rc;
    }
    struct reading reading = {*position, read->state.applied, kind_mask, max, max_bytes, 0, arena, {0}};
    rc = read_on(&cursor, &reading, err);
    table_cursor_end(&cursor);
    if (rc < 0) {
        return error_wrap(err, rc, "read the history");
    }
    *position = reading.at;
    *out = reading.events;
    return 0;
}
