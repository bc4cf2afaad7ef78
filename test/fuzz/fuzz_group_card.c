// SPDX-License-Identifier: Apache-2.0
//
// test/fuzz/fuzz_group_card.c — any bytes as the group's card, as they are and with their checksum made
// right; what is read must be written and read as the same.
#include "test/lib/fuzz.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/crc32c.h"
#include "reconciler/store/group_card.h"

static void try_card(struct bytes text) {
    AUTO_ARENA arena = {0};
    AUTO_BUF first = {0}, second = {0};
    struct group_card card, again;
    if (group_card_parse(text, &card, &arena, NULL) < 0) {
        return;
    }
    if (group_card_format(&card, &first, NULL) < 0) { // an address that is no word
        return;
    }
    int rc = group_card_parse(buf_bytes(&first), &again, &arena, NULL);
    rc = rc < 0 ? rc : group_card_format(&again, &second, NULL);
    ASSERT(rc == 0 && first.len == second.len && memcmp(first.data, second.data, first.len) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    AUTO_BUF right = {0};
    try_card((struct bytes){data, size});
    buf_add(&right, data, size);
    buf_addf(&right, "crc32c %08x\n", crc32c(0, data, size));
    try_card(buf_bytes(&right));
    return 0;
}
