// SPDX-License-Identifier: Apache-2.0
//
// test/fuzz/fuzz_agent_file.c — any bytes as a kept assignment: as they are, and with their checksum made
// right.
#include "test/lib/fuzz.h"

#include <string.h>

#include "base/assert.h"
#include "base/crc32c.h"
#include "base/mem.h"
#include "reconciler/agent/agent_file.h"

static void try_bytes(struct bytes in) {
    AUTO_ARENA arena = {0};
    AUTO_BUF out = {0};
    struct agent_file file;
    struct assignment assignment;
    struct id id;
    id_parse("0123456789abcdefghijklmno", &id);
    if (agent_file_decode(in, &id, &file, &assignment, &arena, NULL) == 0) {
        ASSERT(id_equal(&assignment.task.meta.id, &id));
        agent_file_encode(&file, &out);
        ASSERT(out.len >= 20 && !out.overflow);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    try_bytes((struct bytes){data, size});
    if (size < 20) {
        return 0;
    }
    AUTO_FREE uint8_t *right = memcpy(xmalloc(size), data, size);
    uint32_t crc = crc32c(0, right + 16, size - 16);
    for (int i = 0; i < 4; i++) {
        right[12 + i] = (uint8_t)(crc >> (8 * i));
    }
    try_bytes((struct bytes){right, size});
    return 0;
}
