// SPDX-License-Identifier: Apache-2.0
//
// test/fuzz/fuzz_schedule.c — any bytes as an expression and a time zone file, parted by the first newline: what
// is read gives moments that lie ahead, and the same one whenever one asks before it.
#include "test/lib/fuzz.h"

#include <string.h>

#include "base/assert.h"
#include "specs/cron.h"

#define ROUNDS 20

static void walk(const struct cron *cron, const struct zone *zone) {
    int64_t after = 1770000000;
    for (int i = 0; i < ROUNDS; i++) {
        int64_t next = cron_next(cron, zone, after);
        if (next < 0) {
            return;
        }
        ASSERT(next > after);
        ASSERT(cron_next(cron, zone, next - 1) == next);
        ASSERT(cron_next(cron, zone, after + (next - after) / 2) == next || next - after < 2);
        after = next;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    AUTO_ARENA arena = {0};
    const uint8_t *newline = size > 0 ? memchr(data, '\n', size) : NULL;
    size_t len = newline != NULL ? (size_t)(newline - data) : size;
    const char *text = arena_strndup(&arena, (const char *)data, len);
    struct cron cron;
    struct zone zone;
    if (cron_parse(text, &cron, NULL) < 0) {
        return 0;
    }
    walk(&cron, NULL);
    struct bytes file = {newline != NULL ? newline + 1 : data, newline != NULL ? size - len - 1 : 0};
    if (zone_parse("fuzzed", file, &arena, &zone, NULL) == 0) {
        walk(&cron, &zone);
    }
    return 0;
}
