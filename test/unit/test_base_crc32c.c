// SPDX-License-Identifier: Apache-2.0
//
// test/unit/test_base_crc32c.c — the instruction, the table and the definition agree.
#include "base/crc32c.c" // for its variants; the archive's object is then not linked

#include <stdlib.h>

#include "base/prng.h"
#include "test/lib/check.h"

// The definition: one bit at a time.
static uint32_t crc32c_bits(uint32_t crc, const uint8_t *p, size_t len) {
    for (size_t i = 0; i < len; i++) {
        crc ^= p[i];
        for (int bit = 0; bit < 8; bit++) {
            crc = crc >> 1 ^ ((crc & 1) != 0 ? UINT32_C(0x82F63B78) : 0);
        }
    }
    return crc;
}

static void known_values_hold(void **state) {
    (void)state;
    uint8_t bytes[32] = {0};
    assert_int_equal(crc32c(0, "123456789", 9), 0xE3069283);
    assert_int_equal(crc32c(0, "", 0), 0);
    assert_int_equal(crc32c(0, bytes, 32), 0x8A9136AA); // RFC 3720, B.4
    memset(bytes, 0xFF, sizeof bytes);
    assert_int_equal(crc32c(0, bytes, 32), 0x62A8AB43);
}

static void a_sum_may_be_continued(void **state) {
    (void)state;
    assert_int_equal(crc32c(crc32c(0, "1234", 4), "56789", 5), 0xE3069283);
}

static void all_variants_agree(void **state) {
    (void)state;
    struct prng prng;
    prng_seed(&prng, 1);
    for (size_t len = 0; len < 300; len++) {
        uint8_t bytes[308];
        for (size_t i = 0; i < sizeof bytes; i++) {
            bytes[i] = (uint8_t)prng_next(&prng);
        }
        uint32_t start = (uint32_t)prng_next(&prng);
        const uint8_t *data = bytes + len % 8; // unaligned too
        uint32_t expected = crc32c_bits(start, data, len);
        assert_int_equal(crc32c_table(start, data, len), expected);
        if (has_hardware()) {
            assert_int_equal(crc32c_hardware(start, data, len), expected);
        }
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(known_values_hold),
    cmocka_unit_test(a_sum_may_be_continued),
    cmocka_unit_test(all_variants_agree),
};
CHECK_MAIN(tests)
