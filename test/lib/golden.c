// SPDX-License-Identifier: Apache-2.0
//
// test/lib/golden.c — compares, or rewrites.
#include "test/lib/golden.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/fs.h"
#include "base/limits.h"
#include "test/lib/check.h"

// The first line that differs says more than both texts in whole.
static void show_difference(const char *path, const char *wanted, const char *got) {
    int line = 1;
    while (*wanted != '\0' && *got != '\0') {
        size_t a = strcspn(wanted, "\n");
        size_t b = strcspn(got, "\n");
        if (a != b || strncmp(wanted, got, a) != 0) {
            break;
        }
        wanted += a + (wanted[a] == '\n');
        got += b + (got[b] == '\n');
        line++;
    }
    print_message("%s:%d: wanted: %.*s\n%s:%d: got:    %.*s\n", path, line, (int)strcspn(wanted, "\n"),
                  wanted, path, line, (int)strcspn(got, "\n"), got);
    fail_msg("%s differs (UPDATE_GOLDEN=1 rewrites it)", path);
}

void golden_check(const char *path, const char *text) {
    AUTO_BUF wanted = buf_make(4 * MIB);
    if (getenv("UPDATE_GOLDEN") != NULL) {
        assert_int_equal(fs_replace(AT_FDCWD, path, text, strlen(text), 0644, /* sync= */ false, NULL), 0);
        return;
    }
    if (fs_read(AT_FDCWD, path, 4 * MIB, &wanted, NULL) != 0) {
        fail_msg("cannot read %s (UPDATE_GOLDEN=1 writes it)", path);
    }
    if (strcmp(buf_text(&wanted), text) != 0) {
        show_difference(path, buf_text(&wanted), text);
    }
}
