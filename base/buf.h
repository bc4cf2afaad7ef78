// SPDX-License-Identifier: Apache-2.0
//
// base/buf.h — a growable byte buffer with a ceiling, for everything that is built up: text, frames,
// encoded records.
//
// After any append the bytes are followed by a NUL that does not count, so `data` is a C string when the
// content is text. Appending over the ceiling drops the append and sets `overflow`: the builder checks
// once, at the end.
#ifndef MUSTER_BASE_BUF_H
#define MUSTER_BASE_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Borrowed bytes.
struct bytes {
    const uint8_t *data;
    size_t len;
};

// Zero-initialised is empty with the default ceiling (64 MiB).
struct buf {
    char *data; // NULL until the first append; then NUL-terminated
    size_t len;
    size_t capacity;
    size_t ceiling_bytes;
    bool overflow;
};

struct buf buf_make(size_t ceiling_bytes);
void buf_clear(struct buf *buf); // length 0, memory kept
void buf_free(struct buf *buf);
void buf_add(struct buf *buf, const void *data, size_t len);
void buf_addc(struct buf *buf, char c);
void buf_adds(struct buf *buf, const char *text);
void buf_addf(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));
void buf_addv(struct buf *buf, const char *format, va_list args) __attribute__((format(printf, 2, 0)));
void buf_pad(struct buf *buf, char c, size_t count);
char *buf_reserve(struct buf *buf,
                  size_t len);               // room for len more bytes, uninitialised; NULL over the ceiling
const char *buf_text(const struct buf *buf); // never NULL
struct bytes buf_bytes(const struct buf *buf);

#define AUTO_BUF __attribute__((cleanup(buf_free))) struct buf

#endif
