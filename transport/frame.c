// SPDX-License-Identifier: Apache-2.0
//
// transport/frame.c — the frame header, byte by byte.
#include "transport/frame.h"

#include <endian.h>
#include <string.h>

void frame_header_encode(const struct frame_header *header, uint8_t out[FRAME_HEADER_BYTES]) {
    uint32_t len = htole32(header->len);
    uint16_t number = htole16(header->number);
    uint16_t flags = htole16(header->flags);
    uint64_t conversation = htole64(header->conversation);
    memcpy(out, &len, sizeof len);
    memcpy(out + 4, &number, sizeof number);
    memcpy(out + 6, &flags, sizeof flags);
    memcpy(out + 8, &conversation, sizeof conversation);
}

void frame_header_decode(const uint8_t in[FRAME_HEADER_BYTES], struct frame_header *out) {
    uint32_t len;
    uint16_t number;
    uint16_t flags;
    uint64_t conversation;
    memcpy(&len, in, sizeof len);
    memcpy(&number, in + 4, sizeof number);
    memcpy(&flags, in + 6, sizeof flags);
    memcpy(&conversation, in + 8, sizeof conversation);
    *out = (struct frame_header){.len = le32toh(len),
                                 .number = le16toh(number),
                                 .flags = le16toh(flags),
                                 .conversation = le64toh(conversation)};
}
