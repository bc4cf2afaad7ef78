// SPDX-License-Identifier: Apache-2.0
//
// reconciler/store/format.c — writing and reading what format.h lays out; pure bytes, no LMDB.
#include "reconciler/store/format.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/crc32c.h"
#include "base/str.h"
#include "reconciler/raft/raft.h"
#include "reconciler/store/planted.h"

const char *table_name(enum table table) {
    static const char *const names[TABLE_END] = {
#define X(name, number, word) [TABLE_##name] = #word,
        TABLE_LIST(X)
#undef X
    };
    return table > TABLE_NONE && table < TABLE_END ? names[table] : "unknown";
}

// --- numbers ---

static void little_write(uint8_t *out, uint64_t value, size_t bytes) {
    for (size_t i = 0; i < bytes; i++) {
        out[i] = (uint8_t)(value >> (8 * i));
    }
}

static uint64_t little_read(const uint8_t *in, size_t bytes) {
    uint64_t value = 0;
    for (size_t i = 0; i < bytes; i++) {
        value |= (uint64_t)in[i] << (8 * i);
    }
    return value;
}

static void add_number(struct buf *out, int64_t value) {
    uint8_t bytes[8];
    little_write(bytes, (uint64_t)value, sizeof bytes);
    buf_add(out, bytes, sizeof bytes);
}

// Takes one number off the front; the caller has checked the length.
static int64_t take_number(struct bytes *from) {
    uint64_t value = little_read(from->data, 8);
    from->data += 8;
    from->len -= 8;
    return (int64_t)value;
}

// --- keys ---

static void key_add(struct key *key, const void *data, size_t len) {
    size_t room = KEY_BYTES_MAX - key->len;
    size_t taken = len < room ? len : room;
    if (taken > 0) { // an empty key read from a damaged file may have no address
        memcpy(key->data + key->len, data, taken);
    }
    key->len += taken;
}

static void key_add_number(struct key *key, int64_t number) {
    uint8_t bytes[8];
    for (unsigned i = 0; i < 8; i++) {
        bytes[i] = (uint8_t)((uint64_t)number >> (56 - 8 * i));
    }
    key_add(key, bytes, sizeof bytes);
}

struct key key_text(const char *text) {
    struct key key = {.len = 0};
    key_add(&key, text, strlen(text));
    return key;
}

struct key key_number(int64_t number) {
    struct key key = {.len = 0};
    key_add_number(&key, number);
    return key;
}

struct key key_event(int64_t revision, int64_t index) {
    struct key key = key_number(revision);
    key_add_number(&key, index);
    return key;
}

struct key key_named(enum object_kind kind, const char *name) {
    struct key key = {.len = 0};
    uint8_t byte = (uint8_t)kind;
    key_add(&key, &byte, 1);
    key_add(&key, name, strlen(name));
    return key;
}

struct key key_object(enum object_kind kind, const char *id_or_prefix) {
    return key_named(kind, id_or_prefix);
}

struct key key_pair(const struct id *first, const struct id *second) {
    struct key key = {.len = 0};
    key_add(&key, first->text, ID_LEN);
    key_add(&key, second->text, ID_LEN);
    return key;
}

struct key key_revision(const struct id *service_id, int64_t revision) {
    struct key key = {.len = 0};
    key_add(&key, service_id->text, ID_LEN);
    key_add_number(&key, revision);
    return key;
}

struct key key_from(struct bytes bytes) {
    ASSERT(bytes.len <= KEY_BYTES_MAX);
    struct key key = {.len = 0};
    key_add(&key, bytes.data, bytes.len);
    return key;
}

int key_compare(struct bytes a, struct bytes b) {
    int order = memcmp(a.data, b.data, a.len < b.len ? a.len : b.len);
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

bool key_starts(struct bytes key, const struct key *prefix) {
    return key.len >= prefix->len && memcmp(key.data, prefix->data, prefix->len) == 0;
}

int64_t key_number_at(struct bytes key, size_t offset) {
    ASSERT(key.len >= offset + 8);
    uint64_t value = 0;
    for (size_t i = 0; i < 8; i++) {
        value = value << 8 | key.data[offset + i];
    }
    return (int64_t)value;
}

bool key_id_at(struct bytes key, size_t offset, struct id *out) {
    char text[ID_LEN + 1] = {0};
    if (key.len < offset + ID_LEN) {
        return false;
    }
    memcpy(text, key.data + offset, ID_LEN);
    return id_parse(text, out);
}

// Keys of damaged files hold any bytes.
static void describe_text(struct bytes bytes, struct buf *out) {
    str_escape(out, (const char *)bytes.data, bytes.len, /*keep_newlines=*/false);
}

const char *key_describe(enum table table, struct bytes key, char out[KEY_TEXT_BYTES]) {
    AUTO_BUF text = buf_make(4 * KIB);
    struct bytes rest = key.len > 0 ? (struct bytes){key.data + 1, key.len - 1} : key;
    const char *kind = key.len > 0 ? object_kind_name((enum object_kind)key.data[0]) : "unknown";
    if (table == TABLE_OBJECTS) {
        buf_addf(&text, "%s ", kind);
        describe_text(rest, &text);
    } else if (table == TABLE_NAMES) {
        buf_addf(&text, "name '");
        describe_text(rest, &text);
        buf_addf(&text, "' of a %s", kind);
    } else if ((table == TABLE_LOG || table == TABLE_REQUEST_ORDER) && key.len == 8) {
        buf_addf(&text, "%s %lld", table_name(table), (long long)key_number_at(key, 0));
    } else if (table == TABLE_HISTORY && key.len == 16) {
        buf_addf(&text, "history %lld.%lld", (long long)key_number_at(key, 0),
                 (long long)key_number_at(key, 8));
    } else {
        buf_addf(&text, "%s '", table_name(table));
        describe_text(key, &text);
        buf_addc(&text, '\'');
    }
    snprintf(out, KEY_TEXT_BYTES, "%s", buf_text(&text));
    return out;
}

// --- records ---

static uint32_t checksum(struct bytes key, const uint8_t head[4], struct bytes payload) {
    uint8_t key_len[2];
    little_write(key_len, key.len, sizeof key_len);
    uint32_t crc = crc32c(0, key_len, sizeof key_len);
    crc = crc32c(crc, key.data, key.len);
    crc = crc32c(crc, head, 4);
    size_t left_out = STORE_PLANTED(CRC_WRONG_LENGTH) && payload.len > 0 ? 1 : 0;
    return crc32c(crc, payload.data, payload.len - left_out);
}

void record_write(enum table table, struct bytes key, struct bytes payload, uint8_t *out) {
    out[0] = RECORD_VERSION;
    out[1] = (uint8_t)table;
    out[2] = out[3] = 0;
    little_write(out + 4, checksum(key, out, payload), 4);
    if (payload.len > 0) {
        memcpy(out + RECORD_HEAD_BYTES, payload.data, payload.len);
    }
}

static int damaged(enum table table, struct bytes key, const char *what, struct error *err) {
    char text[KEY_TEXT_BYTES];
    return error_set(err, ERR_CORRUPT, "%s: %s", key_describe(table, key, text), what);
}

int record_read(enum table table, struct bytes key, struct bytes record, struct bytes *payload,
                struct error *err) {
    if (record.len < RECORD_HEAD_BYTES) {
        return damaged(table, key, "record cut short", err);
    }
    struct bytes inside = {record.data + RECORD_HEAD_BYTES, record.len - RECORD_HEAD_BYTES};
    if (!STORE_PLANTED(CRC_NOT_CHECKED) &&
        little_read(record.data + 4, 4) != checksum(key, record.data, inside)) {
        return damaged(table, key, "wrong checksum", err);
    }
    if (record.data[0] != RECORD_VERSION || record.data[1] != table || record.data[2] != 0 ||
        record.data[3] != 0) {
        return damaged(table, key, "not a record of this format and table", err);
    }
    *payload = inside;
    return 0;
}

// --- payloads ---

#define HEAD_FIXED_BYTES (8 + 4 + 4 + ID_LEN)

void format_head_write(const struct format_head *head, struct buf *out) {
    uint8_t versions[8];
    little_write(versions, head->write_version, 4);
    little_write(versions + 4, head->read_version_min, 4);
    buf_add(out, FORMAT_MAGIC, 8);
    buf_add(out, versions, sizeof versions);
    buf_add(out, head->cluster_id.text, ID_LEN);
    buf_add(out, head->features.data, head->features.len);
}

static int head_check(const struct format_head *head, struct error *err) {
    if (head->read_version_min > FORMAT_VERSION) {
        return error_set(
            err, ERR_UNSUPPORTED,
            "written by a newer muster in format %u, which readers of format %u on understand; this is %d",
            head->write_version, head->read_version_min, FORMAT_VERSION);
    }
    if (head->features.len > 0) { // this version knows none
        const uint8_t *end = memchr(head->features.data, '\n', head->features.len);
        size_t len = end == NULL ? head->features.len : (size_t)(end - head->features.data);
        return error_set(err, ERR_UNSUPPORTED,
                         "written by a newer muster with '%.*s', which this one does not know",
                         (int)(len > 60 ? 60 : len), (const char *)head->features.data);
    }
    return 0;
}

int format_head_read(struct bytes payload, struct format_head *out, struct error *err) {
    if (payload.len < HEAD_FIXED_BYTES || memcmp(payload.data, FORMAT_MAGIC, 8) != 0) {
        return error_set(err, ERR_CORRUPT, "no muster store");
    }
    struct format_head head = {
        .write_version = (uint32_t)little_read(payload.data + 8, 4),
        .read_version_min = (uint32_t)little_read(payload.data + 12, 4),
        .features = {payload.data + HEAD_FIXED_BYTES, payload.len - HEAD_FIXED_BYTES},
    };
    if (payload.data[16] != 0 && !key_id_at(payload, 16, &head.cluster_id)) {
        return error_set(err, ERR_CORRUPT, "malformed cluster id in the head of the store");
    }
    int rc = head_check(&head, err);
    if (rc == 0) {
        *out = head;
    }
    return rc;
}

#define STATE_NUMBERS (sizeof(struct store_state) / sizeof(int64_t))
#define LOCAL_NUMBERS (sizeof(struct store_local) / sizeof(uint64_t))
_Static_assert(sizeof(struct store_state) == (12 + 32) * sizeof(int64_t),
               "the state is numbers and nothing else");
_Static_assert(sizeof(struct store_local) == (9 + 6) * sizeof(uint64_t), "so is what is local");
_Static_assert((int)KIND_END <= 32, "each kind needs its counter");

static void numbers_write(const void *numbers, size_t count, struct buf *out) {
    add_number(out, (int64_t)count);
    for (size_t i = 0; i < count; i++) {
        int64_t number;
        memcpy(&number, (const uint8_t *)numbers + 8 * i, sizeof number);
        add_number(out, number);
    }
}

// A later version may have appended numbers; an older one never had fewer.
static bool numbers_read(struct bytes payload, int64_t *out, size_t count) {
    if (payload.len < 8 * (1 + count) || payload.len % 8 != 0 ||
        (uint64_t)take_number(&payload) != (uint64_t)payload.len / 8) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        out[i] = take_number(&payload);
    }
    return true;
}

void format_state_write(const struct store_state *state, struct buf *out) {
    numbers_write(state, STATE_NUMBERS, out);
}

int format_state_read(struct bytes payload, struct store_state *out, struct error *err) {
    int64_t numbers[STATE_NUMBERS];
    bool good = numbers_read(payload, numbers, STATE_NUMBERS);
    for (size_t i = 0; good && i < STATE_NUMBERS; i++) {
        good = numbers[i] >= 0;
    }
    if (!good) {
        return error_set(err, ERR_CORRUPT, "malformed state of the store");
    }
    memcpy(out, numbers, sizeof numbers);
    return 0;
}

void format_local_write(const struct store_local *local, struct buf *out) {
    numbers_write(local, LOCAL_NUMBERS, out);
}

int format_local_read(struct bytes payload, struct store_local *out, struct error *err) {
    int64_t numbers[LOCAL_NUMBERS];
    struct store_local local;
    bool good = numbers_read(payload, numbers, LOCAL_NUMBERS);
    if (good) {
        memcpy(&local, numbers, sizeof local);
        good = local.base_index <= local.last_index && local.last_index < (uint64_t)INT64_MAX &&
               local.base_term <= local.term && local.generation <= 1;
    }
    if (!good) {
        return error_set(err, ERR_CORRUPT, "malformed record of what is local to this store");
    }
    *out = local;
    return 0;
}

void format_entry_write(const struct log_entry *entry, struct buf *out) {
    add_number(out, (int64_t)entry->term);
    add_number(out, entry->type);
    buf_add(out, entry->payload.data, entry->payload.len);
}

int format_entry_read(struct bytes payload, struct log_entry *out, struct error *err) {
    if (payload.len < 16) {
        return error_set(err, ERR_CORRUPT, "malformed log entry");
    }
    uint64_t term = (uint64_t)take_number(&payload), type = (uint64_t)take_number(&payload);
    if (term > (uint64_t)INT64_MAX || type > RAFT_ENTRY_CONFIGURATION) {
        return error_set(err, ERR_CORRUPT, "log entry of term %llu and type %llu", (unsigned long long)term,
                         (unsigned long long)type);
    }
    *out = (struct log_entry){term, (uint8_t)type, payload};
    return 0;
}

int format_entry_read_1(struct bytes payload, struct log_entry *out, struct error *err) {
    if (payload.len < 16) {
        return error_set(err, ERR_CORRUPT, "malformed log entry");
    }
    uint64_t term = (uint64_t)take_number(&payload);
    take_number(&payload);
    *out = (struct log_entry){term, RAFT_ENTRY_DATA, payload};
    return 0;
}

void format_membership_write(uint64_t index, struct bytes membership, struct buf *out) {
    add_number(out, (int64_t)index);
    buf_add(out, membership.data, membership.len);
}

int format_membership_read(struct bytes payload, uint64_t *out_index, struct bytes *out, struct error *err) {
    if (payload.len < 8) {
        return error_set(err, ERR_CORRUPT, "malformed membership");
    }
    *out_index = (uint64_t)take_number(&payload);
    *out = payload;
    return 0;
}

void format_request_write(const struct request_memory *memory, struct buf *out) {
    add_number(out, memory->revision);
    add_number(out, memory->code);
    add_number(out, memory->time_unix_ms);
    buf_add(out, memory->text.data, memory->text.len);
}

int format_request_read(struct bytes payload, struct request_memory *out, struct error *err) {
    if (payload.len < 24) {
        return error_set(err, ERR_CORRUPT, "malformed memory of a request");
    }
    out->revision = take_number(&payload);
    out->code = take_number(&payload);
    out->time_unix_ms = take_number(&payload);
    out->text = payload;
    return 0;
}

void format_history_write(int64_t time_unix_ms, const struct event *event, struct buf *out) {
    add_number(out, time_unix_ms);
    wire_encode(&event_schema, event, out);
}

int format_history_read(struct bytes payload, struct history_item *out, struct error *err) {
    if (payload.len < 8) {
        return error_set(err, ERR_CORRUPT, "malformed event");
    }
    out->time_unix_ms = take_number(&payload);
    out->event = payload;
    return 0;
}

int format_id_read(struct bytes payload, struct id *out, struct error *err) {
    if (payload.len != ID_LEN || !key_id_at(payload, 0, out)) {
        return error_set(err, ERR_CORRUPT, "malformed id in an index");
    }
    return 0;
}
