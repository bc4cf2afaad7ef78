// SPDX-License-Identifier: Apache-2.0
//
// test/fuzz/fuzz_messages.c — any bytes as the payload of any message: number (2, little-endian), body.
//
// What is read must come out equal from another trip over the wire.
#include "test/lib/fuzz.h"

#include <string.h>

#include "base/assert.h"
#include "transport/messages.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const struct message_row *row = size < 2 ? NULL : message_row((uint16_t)(data[0] | data[1] << 8));
    if (row == NULL || size - 2 > row->bytes_max) {
        return 0;
    }
    AUTO_ARENA arena = {0};
    AUTO_BUF once = {0};
    AUTO_BUF twice = {0};
    void *payload = arena_alloc(&arena, row->payload->bytes);
    void *again = arena_alloc(&arena, row->payload->bytes);
    if (wire_decode(row->payload, (struct bytes){data + 2, size - 2}, payload, &arena, NULL) != 0) {
        return 0;
    }
    wire_encode(row->payload, payload, &once);
    int rc = wire_decode(row->payload, buf_bytes(&once), again, &arena, NULL);
    ASSERT(rc == 0);
    wire_encode(row->payload, again, &twice);
    ASSERT(once.len == twice.len && memcmp(buf_text(&once), buf_text(&twice), once.len) == 0);
    return 0;
}
