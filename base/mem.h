// SPDX-License-Identifier: Apache-2.0
//
// base/mem.h — the only door to malloc: small, long-lived allocations that abort when memory is gone.
//
// What is sized by input never comes here before it was checked against base/limits.h.
#ifndef MUSTER_BASE_MEM_H
#define MUSTER_BASE_MEM_H

#include <stddef.h>

void *xmalloc(size_t bytes);               // uninitialised
void *xcalloc(size_t count, size_t bytes); // zeroed; overflow of the product aborts
void *xrealloc(void *old, size_t bytes);
char *xstrdup(const char *text);
char *xasprintf(const char *format, ...) __attribute__((format(printf, 1, 2)));
void xfree(void *memory); // accepts NULL

#define NEW(type) ((type *)xcalloc(1, sizeof(type)))

// Scoped cleanup: `AUTO_FREE char *path = …;` frees at the end of the scope; TAKE(path) hands the value out
// and disarms it.
#define AUTO_FREE __attribute__((cleanup(xfree_at)))
#define AUTO_CLOSE __attribute__((cleanup(close_at)))
void xfree_at(void *pointer_to_pointer);
void close_at(int *fd); // closes a descriptor ≥ 0, keeps errno

#define TAKE(variable)                                                                                       \
    __extension__({                                                                                          \
        __typeof__(variable) taken_ = (variable);                                                            \
        (variable) = 0;                                                                                      \
        taken_;                                                                                              \
    })
static inline int take_fd(int *fd) {
    int taken = *fd;
    *fd = -1;
    return taken;
}

#endif
