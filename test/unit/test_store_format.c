// SPDX-License-Identifier: Apache-2.0
//
// test/unit/test_store_format.c — the format on disk stays what it is: a record of each table against its
// golden bytes.
//
// A golden file is: table (1), key length (1), key, record; the fuzz target reads the same. They are not to
// be refreshed: a store written by version 1 must be readable for ever. What version 2 did not change is
// written as in v1; what it did is read there and written as in v2. GOLDEN_NEW=1 writes those that are
// missing.
#include "test/lib/check.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "reconciler/raft/raft.h"
#include "reconciler/store/format.h"
#include "reconciler/store/index.h"
#include "reconciler/store/membership.h"

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
    format_head_write(&(struct format_head){3, 3, node, {NULL, 0}}, out);
}

static struct store_state some_state(void) {
    struct store_state numbers = {.applied = 300,
                                  .term = 2,
                                  .time_unix_ms = 1700000001234,
                                  .history_count = 290,
                                  .history_bytes = 123456,
                                  .trimmed_revision = 10,
                                  .trimmed_index = 1,
                                  .request_count = 7};
    numbers.objects[KIND_SERVICE] = 3;
    numbers.objects[KIND_TASK] = 40;
    return numbers;
}

static void state(struct buf *out) {
    struct store_state numbers = some_state();
    format_state_write(&numbers, out);
}

static const struct store_local some_local = {.raft_id = 0xFEDCBA9876543210,
                                              .term = 5,
                                              .vote = 0x0123456789ABCDEF,
                                              .base_index = 44,
                                              .base_term = 2,
                                              .last_index = 301,
                                              .log_bytes = 70000,
                                              .txn_id = 310,
                                              .generation = 1};

static void local(struct buf *out) {
    format_local_write(&some_local, out);
}

static void transaction_bytes(struct buf *out) {
    struct change changes[] = {
        {.op = CHANGE_UPDATE, .kind = KIND_SERVICE, .id = service, .expected_version = 9, .object = object}};
    struct transaction transaction = {
        "request", "uid:0 root@host", "scale", 1700000001234, {1, changes}, false, false, {NULL, 0}};
    wire_encode(&transaction_schema, &transaction, out);
}

static void entry(struct buf *out) {
    AUTO_BUF bytes = {0};
    transaction_bytes(&bytes);
    format_entry_write(&(struct log_entry){2, RAFT_ENTRY_DATA, buf_bytes(&bytes)}, out);
}

static void membership_bytes(struct buf *out) {
    struct member members[] = {
        {.raft_id = 7, .node_id = node, .address = "192.0.2.1:7443", .is_voter = true},
        {.raft_id = -2, .node_id = task, .address = "192.0.2.2:7443", .wants_vote = true},
    };
    struct member_removed removed[] = {{.raft_id = 99}};
    struct membership membership = {{2, members}, {1, removed}, 3, {NULL, 0}};
    wire_encode(&membership_schema, &membership, out);
}

static void membership(struct buf *out) {
    AUTO_BUF bytes = {0};
    membership_bytes(&bytes);
    format_membership_write(290, buf_bytes(&bytes), out);
}

static void noop_entry(struct buf *out) {
    format_entry_write(&(struct log_entry){.term = 3, .type = RAFT_ENTRY_NOOP}, out);
}

static void configuration_entry(struct buf *out) {
    AUTO_BUF bytes = {0};
    membership_bytes(&bytes);
    format_entry_write(&(struct log_entry){3, RAFT_ENTRY_CONFIGURATION, buf_bytes(&bytes)}, out);
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
    unsigned version;
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
    snprintf(path, sizeof path, "test/golden/format/v%u/store-record-%s.bin", golden->version, golden->name);
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
        {3, "format", TABLE_META, key_text("format"), head},
        {2, "state", TABLE_META, key_text("state"), state},
        {2, "local", TABLE_META, key_text("local"), local},
        {2, "membership", TABLE_META, key_text("membership"), membership},
        {2, "log", TABLE_LOG, key_number(300), entry},
        {2, "log-noop", TABLE_LOG, key_number(301), noop_entry},
        {2, "log-configuration", TABLE_LOG, key_number(302), configuration_entry},
        {1, "object", TABLE_OBJECTS, key_object(KIND_SERVICE, service.text), meta_object},
        {1, "name", TABLE_NAMES, key_named(KIND_SERVICE, "web"), id_of_service},
        {1, "task-by-service", TABLE_TASKS_BY_SERVICE, key_pair(&service, &task), nothing},
        {1, "task-by-node", TABLE_TASKS_BY_NODE, key_pair(&node, &task), nothing},
        {1, "revision", TABLE_REVISIONS, key_revision(&service, 258), id_of_revision},
        {1, "history", TABLE_HISTORY, key_event(12, 1), event},
        {1, "request", TABLE_REQUESTS, key_text("request"), request},
        {1, "request-order", TABLE_REQUEST_ORDER, key_number(12), request_id},
    };
    for (size_t i = 0; i < sizeof goldens / sizeof *goldens; i++) {
        check_golden(&goldens[i]);
    }
}

// The payload of a golden record, in the buffer.
static struct bytes kept_payload(const char *name, enum table table, const struct key *key,
                                 struct buf *kept) {
    char path[128];
    struct bytes payload;
    snprintf(path, sizeof path, "test/golden/format/v1/store-record-%s.bin", name);
    assert_int_equal(fs_read(AT_FDCWD, path, 65536, kept, NULL), 0);
    struct bytes record = {(const uint8_t *)kept->data + 2 + key->len, kept->len - 2 - key->len};
    assert_int_equal(record_read(table, key_bytes(key), record, &payload, NULL), 0);
    return payload;
}

static void what_version_1_wrote_is_read(void **unused) {
    (void)unused;
    AUTO_BUF kept_head = {0}, kept_state = {0}, kept_entry = {0}, wanted = {0};
    struct key key = key_text("format");
    struct format_head read_head;
    assert_int_equal(format_head_read(kept_payload("format", TABLE_META, &key, &kept_head), &read_head, NULL),
                     0);
    assert_int_equal(read_head.write_version, 1);
    assert_true(id_equal(&read_head.cluster_id, &node));
    key = key_text("state");
    struct store_state read_state, want = some_state();
    assert_int_equal(
        format_state_read(kept_payload("state", TABLE_META, &key, &kept_state), &read_state, NULL), 0);
    want.was_log_first = 45;
    want.was_log_bytes = 70000;
    want.was_txn_id = 310;
    assert_memory_equal(&read_state, &want, sizeof want);
    key = key_number(300);
    struct log_entry read_entry;
    struct bytes payload = kept_payload("log", TABLE_LOG, &key, &kept_entry);
    assert_int_equal(format_entry_read_1(payload, &read_entry, NULL), 0);
    transaction_bytes(&wanted);
    assert_int_equal(read_entry.term, 2);
    assert_int_equal(read_entry.type, RAFT_ENTRY_DATA);
    assert_int_equal(read_entry.payload.len, wanted.len);
    assert_memory_equal(read_entry.payload.data, wanted.data, wanted.len);
}

static void what_is_written_is_read(void **unused) {
    (void)unused;
    AUTO_BUF out = {0};
    struct store_local read_local;
    local(&out);
    assert_int_equal(out.len, 8 * 16);
    assert_int_equal(format_local_read(buf_bytes(&out), &read_local, NULL), 0);
    assert_memory_equal(&read_local, &some_local, sizeof read_local);
    assert_int_equal(format_local_read((struct bytes){(uint8_t *)out.data, out.len - 8}, &read_local, NULL),
                     -ERR_CORRUPT);
    struct store_local wrong = some_local;
    wrong.generation = 2;
    buf_clear(&out);
    format_local_write(&wrong, &out);
    assert_int_equal(format_local_read(buf_bytes(&out), &read_local, NULL), -ERR_CORRUPT);
    wrong = some_local;
    wrong.base_index = wrong.last_index + 1;
    buf_clear(&out);
    format_local_write(&wrong, &out);
    assert_int_equal(format_local_read(buf_bytes(&out), &read_local, NULL), -ERR_CORRUPT);
    struct log_entry read_entry;
    buf_clear(&out);
    format_entry_write(&(struct log_entry){.term = 3, .type = RAFT_ENTRY_CONFIGURATION + 1}, &out);
    assert_int_equal(format_entry_read(buf_bytes(&out), &read_entry, NULL), -ERR_CORRUPT);
    uint64_t index;
    struct bytes wire;
    struct membership read_membership;
    AUTO_ARENA arena = {0};
    buf_clear(&out);
    membership(&out);
    assert_int_equal(format_membership_read(buf_bytes(&out), &index, &wire, NULL), 0);
    assert_int_equal(index, 290);
    assert_int_equal(membership_read(wire, &read_membership, &arena, NULL), 0);
    assert_int_equal(read_membership.members.count, 2);
    assert_int_equal(membership_configuration(&read_membership).members[1].id, UINT64_MAX - 1);
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
    cmocka_unit_test(records_are_what_they_were),   cmocka_unit_test(what_version_1_wrote_is_read),
    cmocka_unit_test(what_is_written_is_read),      cmocka_unit_test(a_record_is_laid_out_as_documented),
    cmocka_unit_test(every_changed_bit_is_noticed),
};
CHECK_MAIN(tests)
