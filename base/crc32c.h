// SPDX-License-Identifier: Apache-2.0
//
// base/crc32c.h — CRC-32C (Castagnoli; RFC 3720 B.4), hardware instruction where the CPU has it.
#ifndef MUSTER_BASE_CRC32C_H
#define MUSTER_BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

// Continues `crc` (0 at the start) over the data.
uint32_t crc32c(uint32_t crc, const void *data, size_t len);

#endif
