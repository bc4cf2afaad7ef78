// SPDX-License-Identifier: Apache-2.0
//
// reconciler/store/quarantine.c — a store that is damaged is moved aside whole.
#include "reconciler/store/quarantine.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/str.h"
#include "reconciler/store/store_handle.h"

#define QUARANTINES_MAX 1000000

// The first number that is free.
static int make_place(int dir_fd, char out_name[QUARANTINE_NAME_BYTES], struct error *err) {
    for (int number = 1; number < QUARANTINES_MAX; number++) {
        snprintf(out_name, QUARANTINE_NAME_BYTES, "quarantine-%d", number);
        if (mkdirat(dir_fd, out_name, 0700) == 0) {
            return 0;
        }
        if (errno != EEXIST) {
            return error_sys(err, errno, "make directory '%s'", out_name);
        }
    }
    return error_set(err, ERR_LIMIT, "%d stores are in quarantine", QUARANTINES_MAX);
}

// The reason is for people: that it cannot be written does not keep the damaged store in its place.
static void write_reason(int place_fd, const char *reason) {
    char when[32];
    AUTO_BUF text = {0};
    int64_t now_unix_ms = clock_unix_ms();
    buf_adds(&text, "found: ");
    str_escape(&text, reason, strlen(reason), /*keep_newlines=*/false);
    buf_addf(&text, "\ntime: %s (%lld)\nformat: %d\n", clock_format_rfc3339(now_unix_ms, when, sizeof when),
             (long long)(now_unix_ms / 1000), FORMAT_VERSION);
    fs_replace(place_fd, "reason", text.data, text.len, 0600, /*sync=*/true, NULL);
}

static int move(int dir_fd, int place_fd, const char *file, struct error *err) {
    return renameat(dir_fd, file, place_fd, file) == 0 ? 0 : error_sys(err, errno, "move '%s' aside", file);
}

static int move_environment(int dir_fd, int place_fd, struct error *err) {
    int rc = move(dir_fd, place_fd, ENVIRONMENT_FILE, err);
    if (rc < 0) {
        return rc;
    }
    move(dir_fd, place_fd, ENVIRONMENT_LOCK_FILE, NULL); // LMDB makes another
    return fsync(place_fd) != 0 || fsync(dir_fd) != 0 ? error_sys(err, errno, "sync the directory") : 0;
}

static int open_directory(const char *dir, int *out_fd, struct error *err) {
    AUTO_CLOSE int dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir_fd < 0) {
        return error_sys(err, errno, "open '%s'", dir);
    }
    if (faccessat(dir_fd, ENVIRONMENT_FILE, F_OK, AT_SYMLINK_NOFOLLOW) != 0) {
        return error_set(err, ERR_NOT_FOUND, "no store in '%s'", dir);
    }
    *out_fd = take_fd(&dir_fd);
    return 0;
}

static int set_aside(const char *dir, const char *reason, char out_name[QUARANTINE_NAME_BYTES],
                     struct error *err) {
    AUTO_CLOSE int dir_fd = -1;
    int rc = open_directory(dir, &dir_fd, err);
    rc = rc < 0 ? rc : make_place(dir_fd, out_name, err);
    if (rc < 0) {
        return rc;
    }
    AUTO_CLOSE int place_fd = openat(dir_fd, out_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (place_fd < 0) {
        return error_sys(err, errno, "open '%s'", out_name);
    }
    write_reason(place_fd, reason);
    return move_environment(dir_fd, place_fd, err);
}

int quarantine(const char *dir, const char *reason, char out_name[QUARANTINE_NAME_BYTES], struct error *err) {
    AUTO_CLOSE int lock = -1;
    int rc = store_lock_directory(dir, &lock, err);
    rc = rc < 0 ? rc : set_aside(dir, reason, out_name, err);
    return error_wrap(err, rc, "set the store aside");
}

static int discard(const char *dir, struct error *err) {
    AUTO_CLOSE int dir_fd = -1;
    int rc = open_directory(dir, &dir_fd, err);
    if (rc < 0) {
        return rc;
    }
    if (unlinkat(dir_fd, ENVIRONMENT_FILE, 0) != 0) {
        return error_sys(err, errno, "remove '%s'", ENVIRONMENT_FILE);
    }
    (void)unlinkat(dir_fd, ENVIRONMENT_LOCK_FILE, 0); // LMDB makes another
    return fsync(dir_fd) != 0 ? error_sys(err, errno, "sync the directory") : 0;
}

int quarantine_discard(const char *dir, struct error *err) {
    AUTO_CLOSE int lock = -1;
    int rc = store_lock_directory(dir, &lock, err);
    rc = rc < 0 ? rc : discard(dir, err);
    return error_wrap(err, rc, "put the store away");
}
