// SPDX-License-Identifier: Apache-2.0
//
// test/fuzz/fuzz_store_record.c — any bytes as a record of the store: table (1), key length (1), key, record.
//
// The record is read twice: as it is, and with its checksum made right, so that payloads are reached. What
// is read must be written back to the same bytes; an object's index entries must fit their keys.
#include "test/lib/fuzz.h"

#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "reconciler/store/format.h"
#include "reconciler/store/index.h"
#include "reconciler/store/membership.h"

static void same(const struct buf *written, struct bytes read) {
    ASSERT(written->len == read.len && memcmp(buf_text(written), read.data, read.len) == 0);
}

static void try_membership(struct bytes payload) {
    struct membership membership;
    struct bytes wire;
    uint64_t index;
    AUTO_ARENA arena = {0};
    AUTO_BUF out = {0};
    if (format_membership_read(payload, &index, &wire, NULL) == 0) {
        format_membership_write(index, wire, &out);
        same(&out, payload);
        if (membership_read(wire, &membership, &arena, NULL) == 0) {
            ASSERT(membership_configuration(&membership).count == membership.members.count);
        }
    }
}

static void try_meta(struct bytes payload) {
    struct format_head head;
    struct store_state state;
    struct store_local local;
    AUTO_BUF out = {0};
    if (format_head_read(payload, &head, NULL) == 0) {
        format_head_write(&head, &out);
        ASSERT(out.len == payload.len);
    }
    buf_clear(&out);
    if (format_state_read(payload, &state, NULL) == 0) {
        format_state_write(&state, &out);
        ASSERT(out.len <= payload.len); // a newer version may have appended
    }
    buf_clear(&out);
    if (format_local_read(payload, &local, NULL) == 0) {
        format_local_write(&local, &out);
        ASSERT(out.len <= payload.len && local.base_index <= local.last_index);
    }
    try_membership(payload);
}

static void try_log(struct bytes payload) {
    struct log_entry entry, old;
    AUTO_BUF out = {0};
    if (format_entry_read(payload, &entry, NULL) == 0) {
        format_entry_write(&entry, &out);
        same(&out, payload);
    }
    if (format_entry_read_1(payload, &old, NULL) == 0) {
        ASSERT(old.payload.len == payload.len - 16);
    }
}

static void try_request(struct bytes payload) {
    struct request_memory memory;
    AUTO_BUF out = {0};
    if (format_request_read(payload, &memory, NULL) == 0) {
        format_request_write(&memory, &out);
        same(&out, payload);
    }
}

static void try_history(struct bytes payload) {
    struct history_item item;
    struct event event;
    AUTO_ARENA arena = {0};
    AUTO_BUF out = {0};
    if (format_history_read(payload, &item, NULL) == 0 &&
        wire_decode(&event_schema, item.event, &event, &arena, NULL) == 0) {
        format_history_write(item.time_unix_ms, &event, &out);
    }
}

static void try_object(struct bytes key, struct bytes payload) {
    struct index_view view;
    struct index_entry entries[INDEX_ENTRIES_MAX];
    enum object_kind kind = key.len > 0 ? (enum object_kind)key.data[0] : KIND_NONE;
    if (index_view_of(kind, payload, &view, NULL) == 0) {
        size_t count = index_entries(&view, entries);
        for (size_t i = 0; i < count; i++) {
            ASSERT(entries[i].key.len > 0 && entries[i].key.len < KEY_BYTES_MAX);
        }
    }
}

static void try_payload(enum table table, struct bytes key, struct bytes payload) {
    struct id id;
    switch (table) {
    case TABLE_META:
        try_meta(payload);
        break;
    case TABLE_LOG:
        try_log(payload);
        break;
    case TABLE_OBJECTS:
        try_object(key, payload);
        break;
    case TABLE_NAMES:
    case TABLE_REVISIONS:
        ASSERT(format_id_read(payload, &id, NULL) != 0 || payload.len == ID_LEN);
        break;
    case TABLE_HISTORY:
        try_history(payload);
        break;
    case TABLE_REQUESTS:
        try_request(payload);
        break;
    case TABLE_TASKS_BY_SERVICE:
    case TABLE_TASKS_BY_NODE:
    case TABLE_REQUEST_ORDER:
    case TABLE_NONE:
    case TABLE_END:
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2 || size - 2 < data[1]) {
        return 0;
    }
    enum table table = (enum table)(data[0] % TABLE_END);
    struct bytes key = {data + 2, data[1]}, record = {data + 2 + key.len, size - 2 - key.len}, payload;
    char text[KEY_TEXT_BYTES];
    key_describe(table, key, text);
    if (record_read(table, key, record, &payload, NULL) == 0) {
        try_payload(table, key, payload);
    }
    if (record.len < RECORD_HEAD_BYTES) {
        return 0;
    }
    struct bytes inside = {record.data + RECORD_HEAD_BYTES, record.len - RECORD_HEAD_BYTES};
    AUTO_FREE uint8_t *right = xmalloc(record.len);
    record_write(table, key, inside, right);
    int rc = record_read(table, key, (struct bytes){right, record.len}, &payload, NULL);
    ASSERT(rc == 0 && payload.len == inside.len);
    try_payload(table, key, payload);
    return 0;
}
