// SPDX-License-Identifier: Apache-2.0
//
// base/buf.c — doubling growth up to the ceiling; overflow is a sticky flag.
#include "base/buf.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"

#define CEILING_BYTES_DEFAULT ((size_t)64 * 1024 * 1024)

struct buf buf_make(size_t ceiling_bytes) {
    return (struct buf){.ceiling_bytes = ceiling_bytes};
}

void buf_clear(struct buf *buf) {
    buf->len = 0;
    buf->overflow = false;
    if (buf->data != NULL) {
        buf->data[0] = '\0';
    }
}

void buf_free(struct buf *buf) {
    xfree(buf->data);
    *buf = (struct buf){.ceiling_bytes = buf->ceiling_bytes};
}

char *buf_reserve(struct buf *buf, size_t len) {
    size_t ceiling = buf->ceiling_bytes != 0 ? buf->ceiling_bytes : CEILING_BYTES_DEFAULT;
    if (len > ceiling || buf->len > ceiling - len) {
        buf->overflow = true;
        return NULL;
    }
    size_t need = buf->len + len + 1;
    if (need > buf->capacity) {
        size_t capacity = buf->capacity < 64 ? 64 : buf->capacity * 2;
        capacity = capacity > ceiling + 1 ? ceiling + 1 : capacity;
        buf->capacity = capacity < need ? need : capacity;
        buf->data = xrealloc(buf->data, buf->capacity);
        buf->data[buf->len] = '\0';
    }
    return buf->data + buf->len;
}

void buf_add(struct buf *buf, const void *data, size_t len) {
    char *room = buf_reserve(buf, len);
    if (room == NULL) {
        return;
    }
    if (len > 0) {
        memcpy(room, data, len);
    }
    buf->len += len;
    buf->data[buf->len] = '\0';
}

void buf_addc(struct buf *buf, char c) {
    buf_add(buf, &c, 1);
}

void buf_adds(struct buf *buf, const char *text) {
    buf_add(buf, text, strlen(text));
}

void buf_addv(struct buf *buf, const char *format, va_list args) {
    va_list again;
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, format, args);
    char *room = len < 0 ? NULL : buf_reserve(buf, (size_t)len);
    if (room != NULL) {
        vsnprintf(room, (size_t)len + 1, format, again);
        buf->len += (size_t)len;
    }
    va_end(again);
}

void buf_addf(struct buf *buf, const char *format, ...) {
    va_list args;
    va_start(args, format);
    buf_addv(buf, format, args);
    va_end(args);
}

void buf_pad(struct buf *buf, char c, size_t count) {
    char *room = buf_reserve(buf, count);
    if (room != NULL) {
        memset(room, c, count);
        buf->len += count;
        buf->data[buf->len] = '\0';
    }
}

const char *buf_text(const struct buf *buf) {
    return buf->data != NULL ? buf->data : "";
}

struct bytes buf_bytes(const struct buf *buf) {
    return (struct bytes){.data = (const uint8_t *)buf->data, .len = buf->len};
}
