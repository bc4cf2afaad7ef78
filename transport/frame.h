// SPDX-License-Identifier: Apache-2.0
//
// transport/frame.h — what goes over a byte stream: a fixed header and a body, little-endian.
//
// FORMAT, version 1 (the version is negotiated in HELLO; this header never changes)
//     offset  bytes  meaning
//          0      4  length of the body
//          4      2  message number (transport/messages.def)
//          6      2  flags: none defined, must be 0
//          8      8  conversation: picked by the asker, never 0 in a request
//         16      …  body: the message's payload in protobuf wire format
#ifndef MUSTER_TRANSPORT_FRAME_H
#define MUSTER_TRANSPORT_FRAME_H

#include <stdint.h>

#define FRAME_HEADER_BYTES 16

struct frame_header {
    uint32_t len;
    uint16_t number;
    uint16_t flags;
    uint64_t conversation;
};

void frame_header_encode(const struct frame_header *header, uint8_t out[FRAME_HEADER_BYTES]);
void frame_header_decode(const uint8_t in[FRAME_HEADER_BYTES], struct frame_header *out);

#endif
