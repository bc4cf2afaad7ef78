// SPDX-License-Identifier: Apache-2.0
//
// base/mem.c — malloc with one rule: no memory for a small allocation ends the process.
#include "base/mem.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"

void *xmalloc(size_t bytes) {
    void *memory = malloc(bytes > 0 ? bytes : 1);
    ASSERT(memory != NULL);
    return memory;
}

void *xcalloc(size_t count, size_t bytes) {
    void *memory = calloc(count > 0 ? count : 1, bytes > 0 ? bytes : 1);
    ASSERT(memory != NULL);
    return memory;
}

void *xrealloc(void *old, size_t bytes) {
    void *memory = realloc(old, bytes > 0 ? bytes : 1);
    ASSERT(memory != NULL);
    return memory;
}

char *xstrdup(const char *text) {
    size_t bytes = strlen(text) + 1;
    return memcpy(xmalloc(bytes), text, bytes);
}

char *xasprintf(const char *format, ...) {
    va_list args;
    va_start(args, format);
    char *text = NULL;
    int len = vasprintf(&text, format, args);
    va_end(args);
    ASSERT(len >= 0);
    return text;
}

void xfree(void *memory) {
    free(memory);
}

void xfree_at(void *pointer_to_pointer) {
    void *memory;
    memcpy(&memory, pointer_to_pointer, sizeof memory);
    free(memory);
}

void close_at(int *fd) {
    if (*fd >= 0) {
        int saved = errno;
        close(*fd);
        errno = saved;
    }
}
