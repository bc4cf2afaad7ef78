// SPDX-License-Identifier: Apache-2.0
//
// test/unit/test_transport_frame.c — the frame header: its exact bytes, and that nothing is lost on the way.
#include "test/lib/check.h"

#include <string.h>

#include "base/prng.h"
#include "transport/frame.h"

static void the_header_has_the_bytes_of_its_format(void **state) {
    (void)state;
    struct frame_header header = {
        .len = 0x01020304, .number = 0x0506, .flags = 0x0708, .conversation = 0x1112131415161718};
    static const uint8_t expected[FRAME_HEADER_BYTES] = {4,    3,    2,    1,    6,    5,    8,    7,
                                                         0x18, 0x17, 0x16, 0x15, 0x14, 0x13, 0x12, 0x11};
    uint8_t bytes[FRAME_HEADER_BYTES];
    frame_header_encode(&header, bytes);
    assert_memory_equal(bytes, expected, sizeof bytes);
}

static void what_is_written_is_read_back(void **state) {
    (void)state;
    struct prng prng;
    prng_seed(&prng, 7);
    for (int i = 0; i < 1000; i++) {
        uint8_t bytes[FRAME_HEADER_BYTES], again[FRAME_HEADER_BYTES];
        for (size_t j = 0; j < sizeof bytes; j++) {
            bytes[j] = (uint8_t)prng_next(&prng);
        }
        struct frame_header header;
        frame_header_decode(bytes, &header);
        frame_header_encode(&header, again);
        assert_memory_equal(bytes, again, sizeof bytes);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(the_header_has_the_bytes_of_its_format),
    cmocka_unit_test(what_is_written_is_read_back),
};
CHECK_MAIN(tests)
