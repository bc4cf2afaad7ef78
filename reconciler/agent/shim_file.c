// SPDX-License-Identifier: Apache-2.0
//
// reconciler/agent/shim_file.c — small files that appear whole or not at all.
#include "reconciler/agent/shim_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

static const char outcome_name[] = "outcome.tmp";

static int close_failed(int fd) {
    int cause = errno;
    close(fd);
    errno = cause;
    return -1;
}

ssize_t shim_file_read(int dir, const char *name, char *out, size_t cap) {
    int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return -1;
    }
    size_t len = 0;
    while (len < cap - 1) {
        ssize_t got = read(fd, out + len, cap - 1 - len);
        if (got < 0) {
            return close_failed(fd);
        }
        if (got == 0) {
            break;
        }
        len += (size_t)got;
    }
    close(fd);
    out[len] = '\0';
    return (ssize_t)len;
}

static int write_all(int fd, const struct shim_text *text) {
    for (size_t done = 0; done < text->len;) {
        ssize_t put = write(fd, text->data + done, text->len - done);
        if (put <= 0) {
            return -1;
        }
        done += (size_t)put;
    }
    return 0;
}

int shim_file_put(int dir, const char *name, const struct shim_text *text) {
    char temporary[64];
    struct shim_text path;
    shim_text_init(&path, temporary, sizeof temporary);
    shim_text_str(&path, name);
    shim_text_str(&path, ".tmp");
    int fd = openat(dir, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) {
        return -1;
    }
    if (write_all(fd, text) != 0) {
        return close_failed(fd);
    }
    close(fd);
    return renameat(dir, temporary, dir, name);
}

int shim_file_reserve(int dir) {
    int fd = openat(dir, outcome_name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) {
        return -1;
    }
    // A file system that cannot reserve has to do without.
    if (fallocate(fd, 0, 0, SHIM_FILE_OUTCOME_BYTES_MAX) != 0 && errno != EOPNOTSUPP) {
        return close_failed(fd);
    }
    return close(fd);
}

int shim_file_settle(int dir, const char *name, const struct shim_text *text) {
    int fd = openat(dir, outcome_name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) {
        return -1;
    }
    if (write_all(fd, text) != 0 || ftruncate(fd, (off_t)text->len) != 0 || fsync(fd) != 0) {
        return close_failed(fd);
    }
    close(fd);
    return renameat(dir, outcome_name, dir, name) != 0 ? -1 : fsync(dir);
}
