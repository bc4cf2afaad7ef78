// SPDX-License-Identifier: Apache-2.0
//
// reconciler/agent/shim_text.c — text of bounded length, built from pieces without printf and without malloc.
#include "reconciler/agent/shim_text.h"

#include <string.h>

void shim_text_init(struct shim_text *text, char *data, size_t cap) {
    *text = (struct shim_text){.data = data, .cap = cap};
    data[0] = '\0';
}

void shim_text_bytes(struct shim_text *text, const void *data, size_t len) {
    size_t room = text->cap - 1 - text->len;
    if (len > room) {
        len = room;
    }
    memcpy(text->data + text->len, data, len);
    text->len += len;
    text->data[text->len] = '\0';
}

void shim_text_str(struct shim_text *text, const char *str) {
    shim_text_bytes(text, str, strlen(str));
}

void shim_text_u64(struct shim_text *text, uint64_t value) {
    char digits[20];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    shim_text_bytes(text, digits + at, sizeof digits - at);
}

bool shim_text_parse_u64(const char *str, uint64_t max, uint64_t *out) {
    uint64_t value = 0;
    if (*str == '\0') {
        return false;
    }
    for (; *str != '\0'; str++) {
        uint64_t digit = (uint64_t)(unsigned char)*str - '0';
        if (digit > 9 || digit > max || value > (max - digit) / 10) {
            return false;
        }
        value = value * 10 + digit;
    }
    *out = value;
    return true;
}
