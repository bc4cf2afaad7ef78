// SPDX-License-Identifier: Apache-2.0
//
// test/lib/scratch.c — names of what tests put somewhere.
#include "test/lib/scratch.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/assert.h"

static const char *place(const char *variable, const char *otherwise) {
    const char *dir = getenv(variable);
    return dir != NULL && dir[0] != '\0' ? dir : otherwise;
}

void scratch_name(char *out, size_t out_bytes, const char *name) {
    int len = snprintf(out, out_bytes, "%s/muster-%s.XXXXXX", place("TMPDIR", "/tmp"), name);
    ASSERT(len > 0 && (size_t)len < out_bytes);
}

const char *scratch_memory(void) {
    return place("TEST_SHM", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
}
