// SPDX-License-Identifier: Apache-2.0
//
// reconciler/agent/volume.c — copies a tree out of a root file system.
//
// The tree comes from strangers: no symlink is followed, devices, sockets and FIFOs are left out, hard
// links become files of their own, depth is bounded. Extended attributes are not copied.
#include "reconciler/agent/volume.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/id.h"
#include "base/mem.h"

#define DEPTH_MAX 100 // two descriptors a level

static int copy_directory(int from, int to, int depth, struct error *err);

static int failed(struct error *err, const char *name) {
    return error_sys(err, errno, "copy '%s' into the volume", name);
}

static int set_owner_and_times(int fd, const struct stat *st, const char *name, struct error *err) {
    const struct timespec times[] = {st->st_atim, st->st_mtim};
    // The mode comes after the owner: changing that one clears setuid.
    if (fchown(fd, st->st_uid, st->st_gid) != 0 || fchmod(fd, st->st_mode & 07777) != 0 ||
        futimens(fd, times) != 0) {
        return failed(err, name);
    }
    return 0;
}

static int copy_file(int from, int to, const char *name, const struct stat *st, struct error *err) {
    AUTO_CLOSE int in = openat(from, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    AUTO_CLOSE int out = openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (in < 0 || out < 0) {
        return failed(err, name);
    }
    for (off_t left = st->st_size; left > 0;) {
        ssize_t sent = sendfile(out, in, NULL, (size_t)left);
        if (sent < 0) {
            return failed(err, name);
        }
        if (sent == 0) {
            break;
        }
        left -= sent;
    }
    return set_owner_and_times(out, st, name, err);
}

static int copy_link(int from, int to, const char *name, const struct stat *st, struct error *err) {
    char target[PATH_MAX];
    ssize_t len = readlinkat(from, name, target, sizeof target - 1);
    if (len < 0) {
        return failed(err, name);
    }
    target[len] = '\0';
    if (symlinkat(target, to, name) != 0 ||
        fchownat(to, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW) != 0) {
        return failed(err, name);
    }
    return 0;
}

static int copy_below(int from, int to, const char *name, int depth, struct error *err) {
    if (depth == DEPTH_MAX) {
        return error_set(err, ERR_LIMIT, "copy '%s' into the volume: more than %d levels deep", name,
                         DEPTH_MAX);
    }
    AUTO_CLOSE int in = openat(from, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    AUTO_CLOSE int out = -1;
    if (in >= 0 && mkdirat(to, name, 0700) == 0) {
        out = openat(to, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    }
    return in < 0 || out < 0 ? failed(err, name) : copy_directory(in, out, depth + 1, err);
}

static int copy_entry(int from, int to, const char *name, int depth, struct error *err) {
    struct stat st;
    if (fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
        return failed(err, name);
    }
    if (S_ISREG(st.st_mode)) {
        return copy_file(from, to, name, &st, err);
    }
    if (S_ISLNK(st.st_mode)) {
        return copy_link(from, to, name, &st, err);
    }
    return S_ISDIR(st.st_mode) ? copy_below(from, to, name, depth, err) : 0;
}

// Borrows both descriptors.
static int copy_directory(int from, int to, int depth, struct error *err) {
    struct stat st;
    int fd = openat(from, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (dir == NULL || fstat(from, &st) != 0) {
        int rc = failed(err, ".");
        if (dir != NULL) {
            closedir(dir);
        } else if (fd >= 0) {
            close(fd);
        }
        return rc;
    }
    int rc = 0;
    for (struct dirent *entry; rc == 0 && (entry = readdir(dir)) != NULL;) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            rc = copy_entry(from, to, entry->d_name, depth, err);
        }
    }
    closedir(dir);
    return rc == 0 ? set_owner_and_times(to, &st, ".", err) : rc;
}

static int fill(const char *path, int from_fd, struct error *err) {
    if (mkdir(path, 0755) != 0) {
        return error_sys(err, errno, "make the volume %s", path);
    }
    AUTO_CLOSE int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fchmod(fd, 0755) != 0) {
        return error_sys(err, errno, "make the volume %s", path);
    }
    return from_fd < 0 ? 0 : copy_directory(from_fd, fd, 0, err);
}

int volume_make(const char *path, int from_fd, struct error *err) {
    if (fs_exists(path)) {
        return 0;
    }
    // '.' begins no volume's name. The id keeps two tasks apart that come at the same time.
    const char *slash = strrchr(path, '/');
    AUTO_FREE char *aside = xasprintf("%.*s/.%s", (int)(slash - path), path, id_random().text);
    int rc = fill(aside, from_fd, err);
    if (rc == 0 && renameat2(AT_FDCWD, aside, AT_FDCWD, path, RENAME_NOREPLACE) != 0 && errno != EEXIST) {
        rc = error_sys(err, errno, "make the volume %s", path);
    }
    if (rc < 0 || fs_exists(aside)) {
        fs_remove_tree(AT_FDCWD, aside, NULL);
    }
    return rc;
}
