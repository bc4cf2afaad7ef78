// SPDX-License-Identifier: Apache-2.0
//
// base/crc32c.c — CRC-32C by the CPU's instruction where there is one (SSE 4.2, ARMv8 CRC), else by a table
// of 16 words.
//
// The instruction is looked for at run time, so that one build runs on every machine of its architecture;
// each variant is checked against a bit-by-bit one in the unit test. The table goes by nibbles: 64 bytes of
// cache for about 400 MB/s are enough for machines that old.
#include "base/crc32c.h"

#include <stdbool.h>
#include <string.h>

#if defined(__aarch64__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

static uint32_t crc32c_table(uint32_t crc, const uint8_t *p, size_t len) {
    // [i] = the reflected polynomial 0x82F63B78 taken four bits on from i
    static const uint32_t nibble[16] = {
        0x00000000, 0x105EC76F, 0x20BD8EDE, 0x30E349B1, 0x417B1DBC, 0x5125DAD3, 0x61C69362, 0x7198540D,
        0x82F63B78, 0x92A8FC17, 0xA24BB5A6, 0xB21572C9, 0xC38D26C4, 0xD3D3E1AB, 0xE330A81A, 0xF36E6F75};
    for (size_t i = 0; i < len; i++) {
        crc ^= p[i];
        crc = crc >> 4 ^ nibble[crc & 15];
        crc = crc >> 4 ^ nibble[crc & 15];
    }
    return crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) static uint32_t crc32c_hardware(uint32_t crc, const uint8_t *p,
                                                                  size_t len) {
    uint64_t wide = crc;
    for (; len >= 8; p += 8, len -= 8) {
        uint64_t word;
        memcpy(&word, p, sizeof word);
        wide = __builtin_ia32_crc32di(wide, word);
    }
    crc = (uint32_t)wide;
    for (; len > 0; p++, len--) {
        crc = __builtin_ia32_crc32qi(crc, *p);
    }
    return crc;
}
static bool has_hardware(void) {
    return __builtin_cpu_supports("sse4.2") != 0;
}
#elif defined(__aarch64__)
// gcc and clang want different target attributes; the assembler's own word serves both.
static uint32_t crc32c_hardware(uint32_t crc, const uint8_t *p, size_t len) {
    for (; len >= 8; p += 8, len -= 8) {
        uint64_t word;
        memcpy(&word, p, sizeof word);
        __asm__(".arch_extension crc\n\tcrc32cx %w0, %w0, %x1" : "+r"(crc) : "r"(word));
    }
    for (; len > 0; p++, len--) {
        __asm__(".arch_extension crc\n\tcrc32cb %w0, %w0, %w1" : "+r"(crc) : "r"((uint32_t)*p));
    }
    return crc;
}
static bool has_hardware(void) {
    return (getauxval(AT_HWCAP) & HWCAP_CRC32) != 0;
}
#else
static uint32_t crc32c_hardware(uint32_t crc, const uint8_t *p, size_t len) {
    return crc32c_table(crc, p, len);
}
static bool has_hardware(void) {
    return false;
}
#endif

uint32_t crc32c(uint32_t crc, const void *data, size_t len) {
    return ~(has_hardware() ? crc32c_hardware(~crc, data, len) : crc32c_table(~crc, data, len));
}
