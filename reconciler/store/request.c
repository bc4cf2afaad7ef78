// SPDX-License-Identifier: Apache-2.0
//
// reconciler/store/request.c — the memory of requests: asked a second time, the first answer is given again.
//
// Outcomes are kept for REQUEST_AGE_MS of the time of transactions and at most REQUESTS_MAX of them; a
// client gives up long before. Refusals are remembered as well: a retry must not succeed where the first
// try was told that it failed.
#include <string.h>

#include "base/str.h"
#include "reconciler/store/planted.h"
#include "reconciler/store/turn.h"

#define REQUESTS_MAX 10000
#define REQUEST_AGE_MS (10LL * 60 * 1000)

int request_recall(struct turn *turn, const char *request_id, struct outcome *out, struct error *err) {
    if (str_is_empty(request_id) || strlen(request_id) > REQUEST_ID_BYTES_MAX) {
        return STORE_ABSENT;
    }
    struct key key = key_text(request_id);
    struct bytes payload;
    struct request_memory memory;
    int rc = tables_get(&turn->tables, TABLE_REQUESTS, &key, &payload, err);
    rc = rc != 0 ? rc : format_request_read(payload, &memory, err);
    if (rc != 0) {
        return rc;
    }
    out->code = (int)memory.code;
    out->revision = memory.revision;
    size_t len = memory.text.len < sizeof out->text ? memory.text.len : sizeof out->text - 1;
    memcpy(out->text, memory.text.data, len);
    out->text[len] = '\0';
    return 0;
}

int store_recall(struct store_read *read, const char *request_id, struct arena *arena,
                 struct store_request *out, struct error *err) {
    if (str_is_empty(request_id) || strlen(request_id) > REQUEST_ID_BYTES_MAX) {
        return STORE_ABSENT;
    }
    struct key key = key_text(request_id);
    struct bytes payload;
    struct request_memory memory;
    int rc = tables_get(&read->tables, TABLE_REQUESTS, &key, &payload, err);
    rc = rc != 0 ? rc : format_request_read(payload, &memory, err);
    if (rc == 0) {
        *out = (struct store_request){(int)memory.code, memory.revision,
                                      arena_strndup(arena, (const char *)memory.text.data, memory.text.len)};
    }
    return rc;
}

int request_remember(struct turn *turn, const char *request_id, const struct outcome *outcome,
                     struct error *err) {
    if (STORE_PLANTED(REQUEST_FORGOTTEN) && outcome->code != 0) {
        return 0;
    }
    if (str_is_empty(request_id) || strlen(request_id) > REQUEST_ID_BYTES_MAX) {
        return 0;
    }
    struct key key = key_text(request_id), order = key_number(outcome->revision);
    struct bytes text = {(const uint8_t *)outcome->text, strlen(outcome->text)};
    buf_clear(&turn->scratch);
    format_request_write(
        &(struct request_memory){outcome->revision, outcome->code, turn->state.time_unix_ms, text},
        &turn->scratch);
    tables_put(&turn->tables, TABLE_REQUESTS, &key, buf_bytes(&turn->scratch));
    int rc = tables_append(&turn->tables, TABLE_REQUEST_ORDER, &order, key_bytes(&key), err);
    if (rc == 0) {
        turn->state.request_count++;
    }
    return rc;
}

static int remove_both(struct turn *turn, struct bytes order, struct bytes request_id, struct error *err) {
    struct key first = key_from(order), second = key_from(request_id);
    turn->forgotten_revision = key_number_at(order, 0);
    int rc = tables_remove(&turn->tables, TABLE_REQUEST_ORDER, &first, err);
    rc = rc != 0 ? rc : tables_remove(&turn->tables, TABLE_REQUESTS, &second, err);
    turn->state.request_count--;
    turn->oldest_request_unix_ms = -1;
    return rc <= 0 ? rc : error_set(err, ERR_CORRUPT, "a remembered request misses");
}

static bool is_too_much(const struct turn *turn, int64_t time_unix_ms) {
    return turn->state.request_count > REQUESTS_MAX ||
           turn->state.time_unix_ms - time_unix_ms > REQUEST_AGE_MS;
}

// STORE_END when the oldest one stays.
static int forget_oldest(struct turn *turn, struct table_cursor *cursor, struct error *err) {
    struct bytes order, request_id, payload;
    struct request_memory memory;
    struct key from = key_number(turn->forgotten_revision);
    int rc = table_seek(cursor, &from, &order, &request_id, err);
    if (rc != 0 || order.len != 8) {
        return rc != 0 ? rc : error_set(err, ERR_CORRUPT, "malformed key of a remembered request");
    }
    struct key key = key_from(request_id);
    rc = tables_get(&turn->tables, TABLE_REQUESTS, &key, &payload, err);
    rc = rc == STORE_ABSENT ? error_set(err, ERR_CORRUPT, "a remembered request misses") : rc;
    rc = rc < 0 ? rc : format_request_read(payload, &memory, err);
    if (rc < 0) {
        return rc;
    }
    turn->oldest_request_unix_ms = memory.time_unix_ms;
    if (!is_too_much(turn, memory.time_unix_ms)) {
        return STORE_END;
    }
    return remove_both(turn, order, request_id, err);
}

int request_forget(struct turn *turn, size_t slice, struct error *err) {
    struct table_cursor cursor;
    if (turn->state.request_count == 0 ||
        (turn->oldest_request_unix_ms >= 0 && !is_too_much(turn, turn->oldest_request_unix_ms))) {
        return 0;
    }
    int rc = table_cursor_begin(&turn->tables, TABLE_REQUEST_ORDER, &cursor, err);
    if (rc < 0) {
        return rc;
    }
    for (size_t i = 0; rc == 0 && i < slice; i++) {
        rc = forget_oldest(turn, &cursor, err);
    }
    table_cursor_end(&cursor);
    return rc < 0 ? rc : 0;
}
