// SPDX-License-Identifier: Apache-2.0
//
// base/fs.c — careful file handling on plain system calls.
//
// Removal      A container may have left a tree that is a hundred thousand levels deep, and a mount may
//              have survived inside it. So fs_remove_tree walks with two descriptors and no recursion: down
//              into the first subdirectory it meets, up by "..", checking on the way up that it comes back
//              to the directory it left (16 bytes a level remember which). Every step down is
//              openat2(RESOLVE_NO_XDEV), which notices bind mounts of the same file system too; where the
//              kernel or a sandbox has no openat2, st_dev is compared, which does not.
// Replacement  The temporary file is made anew (O_EXCL), so neither the mode nor the target of one that was
//              left there counts. Not for two writers of one path at the same time: the second fails.
#include "base/fs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/mem.h"

#define READ_BYTES ((size_t)65536)
#define DEPTH_MAX ((size_t)1000000) // directories inside each other: 16 MiB of memory

// --- reading and writing ---

int fs_read(int dir_fd, const char *path, size_t max_bytes, struct buf *out, struct error *err) {
    AUTO_CLOSE int fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) {
        return errno == ENOENT ? error_set(err, ERR_NOT_FOUND, "read %s: no such file", path)
                               : error_sys(err, errno, "read %s", path);
    }
    size_t start = out->len;
    for (;;) {
        size_t left = max_bytes - (out->len - start);
        char *at = buf_reserve(out, left < READ_BYTES ? left + 1 : READ_BYTES);
        ssize_t got = at == NULL ? 0 : read(fd, at, left < READ_BYTES ? left + 1 : READ_BYTES);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got > 0 && (size_t)got <= left) {
            out->len += (size_t)got;
            continue;
        }
        int rc = 0;
        if (got < 0) {
            rc = error_sys(err, errno, "read %s", path);
        } else if (at == NULL || got > 0) {
            rc = error_set(err, ERR_LIMIT, "read %s: longer than %zu bytes", path, max_bytes);
        }
        out->len = rc == 0 ? out->len : start;
        if (out->data != NULL) {
            out->data[out->len] = '\0';
        }
        return rc;
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

// The directory that holds `path`, which has no slash at its end. The caller frees.
static char *parent_of(const char *path) {
    const char *slash = strrchr(path, '/');
    if (slash == NULL) {
        return xstrdup(".");
    }
    return slash == path ? xstrdup("/") : xasprintf("%.*s", (int)(slash - path), path);
}

static int sync_parent(int dir_fd, const char *path) {
    AUTO_FREE char *parent = parent_of(path);
    AUTO_CLOSE int fd = openat(dir_fd, parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? -1 : fsync(fd);
}

int fs_replace(int dir_fd, const char *path, const void *data, size_t len, mode_t mode, bool sync,
               struct error *err) {
    AUTO_FREE char *tmp = xasprintf("%s.tmp", path);
    unlinkat(dir_fd, tmp, 0); // left there by a crash
    AUTO_CLOSE int fd = openat(dir_fd, tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (fd < 0) {
        return error_sys(err, errno, "create %s", tmp);
    }
    int rc = 0;
    if (fchmod(fd, mode) != 0 || fs_write_all(fd, data, len) != 0 || (sync && fsync(fd) != 0)) {
        rc = error_sys(err, errno, "write %s", tmp);
    } else if (renameat(dir_fd, tmp, dir_fd, path) != 0) {
        rc = error_sys(err, errno, "rename %s to %s", tmp, path);
    }
    if (rc != 0) {
        unlinkat(dir_fd, tmp, 0);
        return rc;
    }
    return sync && sync_parent(dir_fd, path) != 0 ? error_sys(err, errno, "sync the directory of %s", path)
                                                  : 0;
}

int fs_make_dirs(const char *path, mode_t mode, struct error *err) {
    AUTO_FREE char *copy = xstrdup(path);
    for (char *slash = copy; slash != NULL && *slash != '\0';) {
        slash = strchr(slash + 1, '/');
        if (slash != NULL) {
            *slash = '\0';
        }
        if (mkdir(copy, mode) != 0 && errno != EEXIST) {
            return error_sys(err, errno, "make directory %s", copy);
        }
        if (slash != NULL) {
            *slash = '/';
        }
    }
    struct stat st;
    if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode)) {
        return error_set(err, ERR_INVALID, "make directory '%s': not a directory", path);
    }
    return 0;
}

bool fs_exists(const char *path) {
    struct stat st;
    return lstat(path, &st) == 0;
}

// --- removing a tree ---

struct place {
    dev_t device;
    ino_t inode;
};

// Where the walk is: `fd` is the directory being emptied, places[0 .. depth) are its ancestors up to the
// one that holds the tree.
struct removal {
    const char *path; // for messages
    int fd;
    struct place *places;
    size_t depth;
    size_t capacity;
};

static bool place_of(int fd, struct place *out) {
    struct stat st;
    if (fstat(fd, &st) != 0) {
        return false;
    }
    *out = (struct place){.device = st.st_dev, .inode = st.st_ino};
    return true;
}

// Opens a subdirectory of the same mount; -1 with errno, EXDEV when something is mounted there.
static int open_below(int fd, const char *name) {
    struct open_how how = {.flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
                           .resolve = RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS};
    int child = (int)syscall(SYS_openat2, fd, name, &how, sizeof how);
    if (child >= 0 || (errno != ENOSYS && errno != EPERM)) {
        return child;
    }
    child = openat(fd, name, (int)how.flags);
    struct place here;
    struct place there;
    if (child >= 0 && (!place_of(fd, &here) || !place_of(child, &there) || here.device != there.device)) {
        close(child);
        errno = EXDEV;
        return -1;
    }
    return child;
}

static int refuse_mount(const struct removal *walk, const char *name, struct error *err) {
    return error_set(err, ERR_BUSY, "remove %s: something is mounted on '%s'", walk->path, name);
}

static int walk_down(struct removal *walk, const char *name, struct error *err) {
    if (walk->depth == DEPTH_MAX) {
        return error_set(err, ERR_LIMIT, "remove %s: more than %zu levels deep", walk->path, DEPTH_MAX);
    }
    int child = open_below(walk->fd, name);
    if (child < 0) {
        return errno == EXDEV ? refuse_mount(walk, name, err)
                              : error_sys(err, errno, "remove %s: open '%s'", walk->path, name);
    }
    if (walk->depth == walk->capacity) {
        walk->capacity = walk->capacity == 0 ? 64 : walk->capacity * 2;
        walk->places = xrealloc(walk->places, walk->capacity * sizeof *walk->places);
    }
    if (!place_of(walk->fd, &walk->places[walk->depth])) {
        int rc = error_sys(err, errno, "remove %s", walk->path);
        close(child);
        return rc;
    }
    walk->depth++;
    close(walk->fd);
    walk->fd = child;
    return 0;
}

static int walk_up(struct removal *walk, struct error *err) {
    int parent = openat(walk->fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (parent < 0) {
        return error_sys(err, errno, "remove %s: go up", walk->path);
    }
    close(walk->fd);
    walk->fd = parent;
    const struct place *expected = &walk->places[--walk->depth];
    struct place found;
    if (!place_of(parent, &found) || found.device != expected->device || found.inode != expected->inode) {
        return error_set(err, ERR_BUSY, "remove %s: a directory was moved meanwhile", walk->path);
    }
    return 0;
}

// Removes one entry. 0 = gone, 1 = a directory that is not empty, negative = failed.
static int remove_entry(const struct removal *walk, const char *name, struct error *err) {
    if (unlinkat(walk->fd, name, 0) == 0 || errno == ENOENT) {
        return 0;
    }
    int why = errno;
    if ((why == EISDIR || why == EPERM) && (unlinkat(walk->fd, name, AT_REMOVEDIR) == 0 || errno == ENOENT)) {
        return 0;
    }
    if (errno == ENOTEMPTY || errno == EEXIST) {
        return 1;
    }
    why = errno == ENOTDIR ? why : errno;
    return why == EBUSY ? refuse_mount(walk, name, err)
                        : error_sys(err, why, "remove %s: '%s'", walk->path, name);
}

// Empties the directory up to its first subdirectory that is not empty, whose name it hands out. 0 = empty
// now, 1 = such a one.
static int remove_entries(const struct removal *walk, char out_name[NAME_MAX + 1], struct error *err) {
    int fd = openat(walk->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (dir == NULL) {
        int rc = error_sys(err, errno, "remove %s: list a directory", walk->path);
        return fd >= 0 ? (close(fd), rc) : rc;
    }
    int rc = 0;
    errno = 0;
    for (struct dirent *entry; rc == 0 && (entry = readdir(dir)) != NULL; errno = 0) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) {
            continue;
        }
        rc = remove_entry(walk, entry->d_name, err);
        if (rc == 1) {
            snprintf(out_name, NAME_MAX + 1, "%s", entry->d_name);
        }
    }
    if (rc == 0 && errno != 0) {
        rc = error_sys(err, errno, "remove %s: list a directory", walk->path);
    }
    closedir(dir);
    return rc;
}

// The walk proper: `top` is the tree's name in the directory where the walk starts, and is not empty.
static int remove_below(struct removal *walk, const char *top, struct error *err) {
    int rc = walk_down(walk, top, err);
    while (rc == 0 && walk->depth > 0) {
        char name[NAME_MAX + 1];
        rc = remove_entries(walk, name, err);
        if (rc == 1) {
            rc = walk_down(walk, name, err);
        } else if (rc == 0) {
            rc = walk_up(walk, err);
        }
    }
    return rc == 0 ? remove_entry(walk, top, err) : rc;
}

int fs_remove_tree(int dir_fd, const char *path, struct error *err) {
    AUTO_FREE char *copy = xstrdup(path);
    for (size_t len = strlen(copy); len > 1 && copy[len - 1] == '/'; len--) {
        copy[len - 1] = '\0';
    }
    const char *slash = strrchr(copy, '/');
    const char *top = slash != NULL ? slash + 1 : copy;
    if (top[0] == '\0' || strcmp(top, ".") == 0 || strcmp(top, "..") == 0) {
        return error_set(err, ERR_INVALID, "remove '%s': not the name of a tree", path);
    }
    AUTO_FREE char *parent = parent_of(copy);
    struct removal walk = {.path = path, .fd = openat(dir_fd, parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    if (walk.fd < 0) {
        return errno == ENOENT ? 0 : error_sys(err, errno, "remove %s: open its directory", path);
    }
    int rc = remove_entry(&walk, top, err);
    if (rc == 1) {
        rc = remove_below(&walk, top, err);
    }
    xfree(walk.places);
    close(walk.fd);
    return rc == 1 ? error_set(err, ERR_BUSY, "remove %s: still being filled", path) : rc;
}
