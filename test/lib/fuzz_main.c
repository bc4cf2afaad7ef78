// SPDX-License-Identifier: Apache-2.0
//
// test/lib/fuzz_main.c — replays inputs into a fuzz target where there is no libFuzzer.
//
//     fuzz_wire FILE|DIRECTORY...
//
// Every input is copied into memory of its exact size, so that ASan sees a read beyond its end. The empty
// input and each input cut in half are tried as well: they cost nothing and find missing length checks.
// Files are taken in sorted order; the name of the one in work is printed if the process dies.
#include "test/lib/fuzz.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/fs.h"
#include "base/mem.h"

#define INPUT_BYTES_MAX ((size_t)16 * 1024 * 1024)

static const char *current = "the empty input";

static void on_crash(int number) {
    dprintf(STDERR_FILENO, "died of signal %d on %s\n", number, current);
    signal(number, SIG_DFL);
    raise(number);
}

static void feed(const void *data, size_t len) {
    uint8_t *exact = xmalloc(len);
    if (len > 0) {
        memcpy(exact, data, len);
    }
    LLVMFuzzerTestOneInput(exact, len);
    xfree(exact);
}

static int replay_file(const char *path) {
    AUTO_BUF input = buf_make(INPUT_BYTES_MAX + 1);
    struct error err = {0};
    if (fs_read(AT_FDCWD, path, INPUT_BYTES_MAX, &input, &err) != 0) {
        fprintf(stderr, "%s\n", err.root);
        return -1;
    }
    current = path;
    feed(input.data, input.len);
    feed(input.data, input.len / 2);
    return 1;
}

static int is_visible(const struct dirent *entry) {
    return entry->d_name[0] != '.';
}

// Returns how many files were replayed, or -1.
static int replay(const char *path) {
    struct stat st;
    if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode)) {
        return replay_file(path);
    }
    struct dirent **names;
    int count = scandir(path, &names, is_visible, alphasort);
    int replayed = count < 0 ? -1 : 0;
    for (int i = 0; i < count; i++) {
        AUTO_FREE char *file = xasprintf("%s/%s", path, names[i]->d_name);
        if (replayed >= 0) {
            replayed = replay_file(file) == 1 ? replayed + 1 : -1;
        }
        xfree(names[i]);
    }
    if (count >= 0) {
        xfree(names);
    }
    return replayed;
}

int main(int argc, char **argv) {
    signal(SIGSEGV, on_crash);
    signal(SIGABRT, on_crash);
    feed(NULL, 0);
    int total = 0;
    for (int i = 1; i < argc; i++) {
        int replayed = replay(argv[i]);
        if (replayed < 0) {
            return 1;
        }
        total += replayed;
    }
    printf("%d inputs replayed\n", total);
    return 0;
}
