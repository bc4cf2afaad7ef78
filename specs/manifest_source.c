// SPDX-License-Identifier: Apache-2.0
//
// specs/manifest_source.c — which files a command was given, and what is in them.
//
// A directory stands for its *.yaml and *.yml in natural order, without the hidden ones; "-" for standard input.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/limits.h"
#include "base/str.h"
#include "specs/manifest_reading.h"

const char *source_name(const char *path) {
    return strcmp(path, "-") == 0 ? "<stdin>" : path;
}

static int read_stream(int fd, struct buf *out, struct error *err) {
    for (;;) {
        char *room = buf_reserve(out, 64 * KIB);
        if (room == NULL) {
            return error_set(err, ERR_LIMIT, "more than %d MiB", YAML_BYTES_MAX / MIB);
        }
        ssize_t got = read(fd, room, 64 * KIB);
        if (got < 0 && errno != EINTR) {
            return error_sys(err, errno, "read");
        }
        out->len += got > 0 ? (size_t)got : 0;
        out->data[out->len] = '\0';
        if (got == 0) {
            return 0;
        }
    }
}

int source_read(const char *path, struct buf *out, struct error *err) {
    bool is_stdin = strcmp(path, "-") == 0;
    *out = buf_make(YAML_BYTES_MAX + 64 * KIB);
    int rc =
        is_stdin ? read_stream(STDIN_FILENO, out, err) : fs_read(AT_FDCWD, path, YAML_BYTES_MAX, out, err);
    if (rc < 0) {
        return error_wrap(err, rc, "%s", is_stdin ? "standard input" : path);
    }
    if (out->len > YAML_BYTES_MAX) {
        return error_wrap(err, error_set(err, ERR_LIMIT, "more than %d MiB", YAML_BYTES_MAX / MIB), "%s",
                          path);
    }
    return 0;
}

static int is_spec_file(const struct dirent *entry) {
    return entry->d_name[0] != '.' && (str_ends(entry->d_name, ".yaml") || str_ends(entry->d_name, ".yml"));
}

static int by_natural_order(const struct dirent **a, const struct dirent **b) {
    return str_compare_natural((*a)->d_name, (*b)->d_name);
}

static int add_directory(struct arena *arena, const char *path, struct strings *out, struct error *err) {
    struct dirent **entries;
    int count = scandir(path, &entries, is_spec_file, by_natural_order);
    if (count < 0) {
        return error_sys(err, errno, "list %s", path);
    }
    for (int i = 0; i < count; i++) {
        *ARENA_PUSH(arena, out) =
            arena_printf(arena, "%s%s%s", path, str_ends(path, "/") ? "" : "/", entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
    return count > 0 ? 0 : error_set(err, ERR_NOT_FOUND, "no *.yaml or *.yml in %s", path);
}

static int add_path(struct arena *arena, const char *path, struct strings *out, struct error *err) {
    struct stat status;
    if (strcmp(path, "-") == 0) {
        *ARENA_PUSH(arena, out) = path;
        return 0;
    }
    if (stat(path, &status) != 0) {
        return errno == ENOENT ? error_set(err, ERR_NOT_FOUND, "%s: no such file or directory", path)
                               : error_sys(err, errno, "%s", path);
    }
    if (S_ISDIR(status.st_mode)) {
        return add_directory(arena, path, out, err);
    }
    *ARENA_PUSH(arena, out) = path;
    return 0;
}

int source_list(const struct strings *paths, struct arena *arena, struct strings *out, struct error *err) {
    for (size_t i = 0; i < paths->count; i++) {
        int rc = add_path(arena, paths->items[i], out, err);
        if (rc == 0 && out->count > YAML_FILES_MAX) {
            rc = error_set(err, ERR_LIMIT, "more than %d spec files", YAML_FILES_MAX);
        }
        if (rc < 0) {
            return rc;
        }
    }
    return 0;
}
