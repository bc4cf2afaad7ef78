// SPDX-License-Identifier: Apache-2.0
//
// test/fuzz/fuzz_raft_packet.c — any bytes as the body of RAFT, whose coding is its own.
//
// What is read lies within the input, and comes out equal from another trip.
#include "test/lib/fuzz.h"

#include <string.h>

#include "base/assert.h"
#include "transport/peer_messages.h"

static void check_payloads(const struct raft_packet *packet, const uint8_t *data, size_t size) {
    for (size_t i = 0; i < packet->entries.count; i++) {
        struct bytes payload = packet->entries.items[i].payload;
        ASSERT(payload.data >= data && payload.data <= data + size);
        ASSERT(payload.len <= (size_t)(data + size - payload.data));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    AUTO_ARENA arena = {0};
    AUTO_BUF once = {0};
    AUTO_BUF twice = {0};
    struct raft_packet packet, again;
    if (raft_packet_decode((struct bytes){data, size}, &packet, &arena, NULL) != 0) {
        return 0;
    }
    check_payloads(&packet, data, size);
    raft_packet_encode(&packet, &once);
    ASSERT(once.len == size);
    int rc = raft_packet_decode(buf_bytes(&once), &again, &arena, NULL);
    ASSERT(rc == 0 && again.entries.count == packet.entries.count);
    raft_packet_encode(&again, &twice);
    ASSERT(once.len == twice.len && memcmp(buf_text(&once), buf_text(&twice), once.len) == 0);
    return 0;
}
