// SPDX-License-Identifier: Apache-2.0
//
// test/fuzz/fuzz_managers_file.c — any bytes as a kept list of managers: as they are, and with their checksum
// made right.
#include "test/lib/fuzz.h"

#include <endian.h>
#include <string.h>

#include "base/assert.h"
#include "base/crc32c.h"
#include "base/mem.h"
#include "reconciler/agent/managers_file.h"

static void try_bytes(struct bytes in) {
    AUTO_ARENA arena = {0};
    AUTO_BUF out = {0};
    struct managers_file file, again;
    if (managers_file_decode(in, &file, &arena, NULL) == 0) {
        managers_file_encode(&file, &out);
        int rc = managers_file_decode(buf_bytes(&out), &again, &arena, NULL);
        ASSERT(rc == 0 && again.addresses.count == file.addresses.count);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    try_bytes((struct bytes){data, size});
    if (size < 16) {
        return 0;
    }
    AUTO_FREE uint8_t *right = memcpy(xmalloc(size), data, size);
    uint32_t crc = htole32(crc32c(0, right + 16, size - 16));
    memcpy(right + 12, &crc, sizeof crc);
    try_bytes((struct bytes){right, size});
    return 0;
}
