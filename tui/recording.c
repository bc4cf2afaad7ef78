// SPDX-License-Identifier: Apache-2.0
//
// tui/recording.c — length, batch, length, batch.
#include "tui/recording.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/limits.h"

#define FIRST_LINE "muster-replay 1\n"
#define FIRST_LINE_BYTES (sizeof FIRST_LINE - 1)

int recording_create(const char *path, struct error *err) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || fs_write_all(fd, FIRST_LINE, FIRST_LINE_BYTES) != 0) {
        int rc = error_sys(err, errno, "record the stream to '%s'", path);
        if (fd >= 0) {
            close(fd);
        }
        return rc;
    }
    return fd;
}

int recording_append(int fd, struct bytes batch, struct error *err) {
    uint8_t length[4];
    for (int i = 0; i < 4; i++) {
        length[i] = (uint8_t)(batch.len >> (8 * i));
    }
    if (fs_write_all(fd, length, sizeof length) != 0 || fs_write_all(fd, batch.data, batch.len) != 0) {
        return error_sys(err, errno, "record the stream");
    }
    return 0;
}

int recording_begin(struct bytes *rest, struct error *err) {
    if (rest->len < FIRST_LINE_BYTES || memcmp(rest->data, FIRST_LINE, FIRST_LINE_BYTES) != 0) {
        return error_set(
            err, ERR_INVALID,
            "this is not a recording of this version: make one with: muster console --record FILE");
    }
    rest->data += FIRST_LINE_BYTES;
    rest->len -= FIRST_LINE_BYTES;
    return 0;
}

int recording_read(const char *path, struct buf *out, struct error *err) {
    *out = buf_make(RECORDING_BYTES_MAX);
    int rc = fs_read(AT_FDCWD, path, RECORDING_BYTES_MAX, out, err);
    if (rc < 0) {
        return error_wrap(err, rc, "read recording '%s'", path);
    }
    struct bytes rest = buf_bytes(out);
    rc = recording_begin(&rest, err);
    return rc < 0 ? error_wrap(err, rc, "read recording '%s'", path) : 0;
}

bool recording_next(struct bytes *rest, struct bytes *batch) {
    if (rest->len < 4) {
        return false;
    }
    size_t len = 0;
    for (int i = 3; i >= 0; i--) {
        len = len << 8 | rest->data[i];
    }
    if (len > FRAME_BYTES_MAX || len > rest->len - 4) {
        return false;
    }
    *batch = (struct bytes){rest->data + 4, len};
    rest->data += 4 + len;
    rest->len -= 4 + len;
    return true;
}
