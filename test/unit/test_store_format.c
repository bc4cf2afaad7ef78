// SPDX-License-Identifier: Apache-2.0
//
// test/unit/test_store_format.c — the format on disk stays what it is: a record of each table against its
// golden bytes.
//
// A golden file is: table (1), key length (1), key, record; the fuzz target reads the same. They are not to
// be refreshed: a store written by version 1 must be readable for ever. GOLDEN_NEW=1 writes those that are
// missing.
#include "test/lib/check.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "reconciler/store/format.h"
#include "reconciler/store/index.h"

static const struct id service = {"serviceserviceserviceserv"}, task = {"tasktasktasktasktasktaskt"},
                       node = {"nodenodenodenodenodenoden"}, revision = {"revisionrevisionrevisionr"};
static const struct meta meta = {.id = {"serviceserviceserviceserv"},
                                 .version = 12,
                                 .created = 9,
                                 .created_unix_ms = 1700000000000,
                                 .updated_unix_ms = 1700000001234,
                                 .name = "web",
                                 .owner = "file:shop",
                                 .origin = "shop.yaml:3",
                                 .changed_by = "uid:0 root@host"};
// An object has its meta as field 1: for a record any schema does.
static const struct bytes object = {(const uint8_t *)"\x0A\x05\x32\x03web", 7};

static void head(struct buf *out) {
    format_head_write(&(struct format_head){1, 1, node, {NULL, 0}}, out);
}

static void state(struct buf *out) {
    struct store_state numbers = {.applied = 300,
                                  .term = 2,
                                  .time_unix_ms = 1700000001234,
                                  .log_first = 45,
                                  .log_bytes = 70000,
                                  .history_count = 290,
                                  .history_bytes = 123456,
                                  .trimmed_revision = 10,
                                  .trimmed_index = 1,
                                  .request_count = 7,
                                  .txn_id = 310};
    numbers.objects[KIND_SERVICE] = 3;
    numbers.objects[KIND_TASK] = 40;
    format_state_write(&numbers, out);
}

static void entry(struct buf *out) {
    struct change changes[] = {
        {.op = CHANGE_UPDATE, .kind = KIND_SERVICE, .id = service, .expected_version = 9, .object = object}};
    struct transaction transaction = {"request", "uid:0 root@host", "scale", 1700000001234, {1, changes},
                                      false,     {NULL, 0}};
    AUTO_BUF bytes = {0};
    wire_encode(&transaction_schema, &transaction, &bytes);
    format_entry_write(&(struct log_entry){2, -ERR_CONFLICT, buf_bytes(&bytes)}, out);
}

static void meta_object(struct buf *out) {
    wire_encode(&meta_schema, &meta, out);
}

static void id_of_service(struct buf *out) {
    buf_add(out, service.text, ID_LEN);
}

static void id_of_revision(struct buf *out) {
    buf_add(out, revision.text, ID_LEN);
}

static void nothing(struct buf *out) {
    (void)out;
}

static void event(struct buf *out) {
    struct event made = {.revision = 12,
                         .index = 1,
                         .time_unix_ms = 1700000001234,
                         .who = "uid:0 root@host",
                         .why = "scale",
                         .op = CHANGE_UPDATE,
                         .kind = KIND_SERVICE,
                         .id = service,
                         .name = "web",
                         .from = object,
                         .to = object};
    format_history_write(1700000001234, &made, out);
}

static void request(struct buf *out) {
    static const char text[] = "service 'web' is at version 12, not 9";
    format_request_write(
        &(struct request_memory){12, -ERR_CONFLICT, 1700000001234, {(const uint8_t *)text, sizeof text - 1}},
        out);
}

static void request_id(struct buf *out) {
    buf_adds(out, "request");
}

struct golden {
    const char *name;
    enum table table;
    struct key key;
    void (*payload)(struct buf *out);
};

static void make(const struct golden *golden, struct buf *out) {
    AUTO_BUF payload = {0};
    golden->payload(&payload);
    uint8_t *record = (uint8_t *)test_malloc(RECORD_HEAD_BYTES + payload.len);
    record_write(golden->table, key_bytes(&golden->key), buf_bytes(&payload), record);
    buf_addc(out, (char)golden->table);
    buf_addc(out, (char)golden->key.len);
    buf_add(out, golden->key.data, golden->key.len);
    buf_add(out, record, RECORD_HEAD_BYTES + payload.len);
    test_free(record);
}

static void check_golden(const struct golden *golden) {
    char path[128];
    snprintf(path, sizeof path, "test/golden/format/v1/store-record-%s.bin", golden->name);
    AUTO_BUF made = {0}, kept = {0};
    make(golden, &made);
    if (getenv("GOLDEN_NEW") != NULL && !fs_exists(path)) {
        assert_int_equal(fs_replace(AT_FDCWD, path, made.data, made.len, 0644, false, NULL), 0);
    }
    assert_int_equal(fs_read(AT_FDCWD, path, 65536, &kept, NULL), 0);
    assert_int_equal(kept.len, made.len);
    assert_memory_equal(kept.data, made.data, made.len);
}

static void records_are_what_they_were(void **unused) {
    (void)unused;
    const struct golden goldens[] = {
        {"format", TABLE_META, key_text("format"), head},
        {"state", TABLE_META, key_text("state"), state},
        {"log", TABLE_LOG, key_number(300), entry},
        {"object", TABLE_OBJECTS, key_object(KIND_SERVICE, service.text), meta_object},
        {"name", TABLE_NAMES, key_named(KIND_SERVICE, "web"), id_of_service},
        {"task-by-service", TABLE_TASKS_BY_SERVICE, key_pair(&service, &task), nothing},
        {"task-by-node", TABLE_TASKS_BY_NODE, key_pair(&node, &task), nothing},
        {"revision", TABLE_REVISIONS, key_revision(&service, 258), id_of_revision},
        {"history", TABLE_HISTORY, key_event(12, 1), event},
        {"request", TABLE_REQUESTS, key_text("request"), request},
        {"request-order", TABLE_REQUEST_ORDER, key_number(12), request_id},
    };
    for (size_t i = 0; i < sizeof goldens / sizeof *goldens; i++) {
        check_golden(&goldens[i]);
    }
}

// Byte by byte, from the table in format.h rather than from the code: one record of an index.
static void a_record_is_laid_out_as_documented(void **unused) {
    (void)unused;
    struct key key = key_named(KIND_SERVICE, "web");
    uint8_t record[RECORD_HEAD_BYTES + ID_LEN];
    record_write(TABLE_NAMES, key_bytes(&key), (struct bytes){(const uint8_t *)service.text, ID_LEN}, record);
    assert_memory_equal(record, "\x01\x04\x00\x00", 4);
    assert_memory_equal(record + 8, service.text, ID_LEN);
    assert_int_equal(key.len, 4);
    assert_memory_equal(key.data, "\x03web", 4);
    struct key number = key_revision(&service, 0x102);
    assert_memory_equal(number.data + ID_LEN, "\0\0\0\0\0\0\1\2", 8);
}

static void every_changed_bit_is_noticed(void **unused) {
    (void)unused;
    struct key key = key_named(KIND_SERVICE, "web");
    uint8_t record[RECORD_HEAD_BYTES + ID_LEN];
    struct bytes payload, whole = {record, sizeof record};
    record_write(TABLE_NAMES, key_bytes(&key), (struct bytes){(const uint8_t *)service.text, ID_LEN}, record);
    assert_int_equal(record_read(TABLE_NAMES, key_bytes(&key), whole, &payload, NULL), 0);
    for (size_t bit = 0; bit < 8 * sizeof record; bit++) {
        record[bit / 8] = (uint8_t)(record[bit / 8] ^ 1U << bit % 8);
        assert_int_equal(record_read(TABLE_NAMES, key_bytes(&key), whole, &payload, NULL), -ERR_CORRUPT);
        record[bit / 8] = (uint8_t)(record[bit / 8] ^ 1U << bit % 8);
    }
    for (size_t bit = 0; bit < 8 * key.len; bit++) { // the record of another key
        struct key other = key;
        other.data[bit / 8] = (uint8_t)(other.data[bit / 8] ^ 1U << bit % 8);
        assert_int_equal(record_read(TABLE_NAMES, key_bytes(&other), whole, &payload, NULL), -ERR_CORRUPT);
    }
    assert_int_equal(record_read(TABLE_OBJECTS, key_bytes(&key), whole, &payload, NULL), -ERR_CORRUPT);
    for (size_t len = 0; len < sizeof record; len++) {
        assert_int_equal(
            record_read(TABLE_NAMES, key_bytes(&key), (struct bytes){record, len}, &payload, NULL),
            -ERR_CORRUPT);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(records_are_what_they_were),
    cmocka_unit_test(a_record_is_laid_out_as_documented),
    cmocka_unit_test(every_changed_bit_is_noticed),
};
CHECK_MAIN(tests)
