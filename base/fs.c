// SPDX-License-Identifier: Apache-2.0
//
// base/fs.c — careful file handling on plain system calls.
#include "base/fs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

int fs_read(int dir_fd, const char *path, size_t max_bytes, struct buf *out, struct error *err) {
    AUTO_CLOSE int fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) {
        return errno == ENOENT ? error_set(err, ERR_NOT_FOUND, "read %s: no such file", path) : error_sys(err, errno, "read %s", path);
    }
    size_t total = 0;
    for (;;) {
        size_t room = max_bytes - total + 1 < 65536 ? max_bytes - total + 1 : 65536;
        char *at = buf_reserve(out, room);
        if (at == NULL) {
            return error_set(err, ERR_LIMIT, "read %s: longer than %zu bytes", path, max_bytes);
        }
        ssize_t got = read(fd, at, room);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return error_sys(err, errno, "read %s", path);
        }
        if (got == 0) {
            out->data[out->len] = '\0';
            return 0;
        }
        total += (size_t)got;
        if (total > max_bytes) {
            return error_set(err, ERR_LIMIT, "read %s: longer than %zu bytes", path, max_bytes);
        }
        out->len += (size_t)got;
    }
}

int fs_write_all(int fd, const void *data, size_t len) {
    const char *p = data;
    while (len > 0) {
        ssize_t written = write(fd, p, len);
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written < 0) {
            return -1;
        }
        p += written;
        len -= (size_t)written;
    }
    return 0;
}

static int sync_parent(int dir_fd, const char *path) {
    const char *slash = strrchr(path, '/');
    AUTO_FREE char *parent = slash == NULL ? xstrdup(".") : slash == path ? xstrdup("/") : xasprintf("%.*s", (int)(slash - path), path);
    AUTO_CLOSE int fd = openat(dir_fd, parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? -1 : fsync(fd);
}

int fs_replace(int dir_fd, const char *path, const void *data, size_t len, mode_t mode, bool sync, struct error *err) {
    AUTO_FREE char *tmp = xasprintf("%s.tmp", path);
    AUTO_CLOSE int fd = openat(dir_fd, tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
    if (fd < 0) {
        return error_sys(err, errno, "create %s", tmp);
    }
    if (fs_write_all(fd, data, len) != 0 || (sync && fsync(fd) != 0)) {
        int rc = error_sys(err, errno, "write %s", tmp);
        unlinkat(dir_fd, tmp, 0);
        return rc;
    }
    if (renameat(dir_fd, tmp, dir_fd, path) != 0) {
        int rc = error_sys(err, errno, "rename %s to %s", tmp, path);
        unlinkat(dir_fd, tmp, 0);
        return rc;
    }
    return sync && sync_parent(dir_fd, path) != 0 ? error_sys(err, errno, "sync the directory of %s", path) : 0;
}

int fs_make_dirs(const char *path, mode_t mode, struct error *err) {
    AUTO_FREE char *copy = xstrdup(path);
    for (char *slash = strchr(copy + 1, '/');; slash = strchr(slash + 1, '/')) {
        if (slash != NULL) {
            *slash = '\0';
        }
        if (mkdir(copy, mode) != 0 && errno != EEXIST) {
            return error_sys(err, errno, "make directory %s", copy);
        }
        if (slash == NULL) {
            break;
        }
        *slash = '/';
    }
    struct stat st;
    if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode)) {
        return error_set(err, ERR_INVALID, "%s is not a directory", path);
    }
    return 0;
}

static int remove_tree_in(int parent_fd, const char *name, const char *shown, dev_t device, struct error *err);

static int remove_children(int dir_fd, const char *shown, dev_t device, struct error *err) {
    DIR *dir = fdopendir(dir_fd);
    if (dir == NULL) {
        int rc = error_sys(err, errno, "list %s", shown);
        close(dir_fd);
        return rc;
    }
    int rc = 0;
    for (struct dirent *entry; rc == 0 && (entry = readdir(dir)) != NULL;) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            rc = remove_tree_in(dirfd(dir), entry->d_name, shown, device, err);
        }
    }
    closedir(dir);
    return rc;
}

static int remove_tree_in(int parent_fd, const char *name, const char *shown, dev_t device, struct error *err) {
    if (unlinkat(parent_fd, name, 0) == 0 || errno == ENOENT) {
        return 0;
    }
    if (errno != EISDIR && errno != EPERM) {
        return error_sys(err, errno, "remove %s in %s", name, shown);
    }
    int fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        return error_sys(err, errno, "open %s in %s", name, shown);
    }
    struct stat st;
    if (fstat(fd, &st) != 0 || st.st_dev != device) {
        close(fd);
        return error_set(err, ERR_BUSY, "remove %s in %s: something is mounted there", name, shown);
    }
    int rc = remove_children(fd, shown, device, err); // closes fd
    if (rc == 0 && unlinkat(parent_fd, name, AT_REMOVEDIR) != 0 && errno != ENOENT) {
        rc = error_sys(err, errno, "remove directory %s in %s", name, shown);
    }
    return rc;
}

int fs_remove_tree(int dir_fd, const char *path, struct error *err) {
    AUTO_FREE char *parent = xstrdup(path);
    char *slash = strrchr(parent, '/');
    struct stat st;
    if (fstatat(dir_fd, path, &st, AT_SYMLINK_NOFOLLOW) != 0) {
        return errno == ENOENT ? 0 : error_sys(err, errno, "remove %s", path);
    }
    if (slash != NULL) {
        *slash = '\0';
    }
    // The device of the parent: a mount on `path` itself must not be emptied either.
    AUTO_CLOSE int fd = openat(dir_fd, slash == NULL ? "." : slash == parent ? "/" : parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0) {
        return error_sys(err, errno, "open the directory of %s", path);
    }
    return remove_tree_in(fd, slash == NULL ? path : slash + 1, path, st.st_dev, err);
}

bool fs_exists(const char *path) {
    struct stat st;
    return lstat(path, &st) == 0;
}
