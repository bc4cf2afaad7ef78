// SPDX-License-Identifier: Apache-2.0
//
// reconciler/agent/rootfs.c — mounts, checks and unmounts overlays.
//
// Source       Kernel documentation, filesystems/overlayfs.rst; fsconfig `lowerdir+` is there since Linux
//              6.7. fsconfig takes values of at most 255 bytes, and the old way a page for all options
//              together: so layers are opened first, and named by their descriptors where names are too
//              long.
#include "reconciler/agent/rootfs.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fs.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/str.h"

#define VALUE_BYTES_MAX ((size_t)255) // of one fsconfig
#define OPTIONS_BYTES_MAX ((size_t)4095)
#define UNMOUNT_TRIES 3

// --- the two ways to mount ---

// The kernel says more in the context's log than in errno.
static int refused(int fs_fd, int sys, const char *what, struct error *err) {
    char text[256];
    ssize_t got = fs_fd >= 0 ? read(fs_fd, text, sizeof text - 1) : -1;
    if (got <= 0) {
        return error_sys(err, sys, "%s", what);
    }
    text[got] = '\0';
    text[strcspn(text, "\n")] = '\0';
    return error_sys(err, sys, "%s (%s)", what, text);
}

static int set(int fs_fd, const char *key, const char *value, struct error *err) {
    if (fsconfig(fs_fd, FSCONFIG_SET_STRING, key, value, 0) != 0) {
        int sys = errno;
        char what[PATH_MAX];
        snprintf(what, sizeof what, "overlay: set %s to %s", key, value);
        return refused(fs_fd, sys, what, err);
    }
    return 0;
}

static bool has_lowerdir_plus(int fs_fd, const char *layer) {
    return fsconfig(fs_fd, FSCONFIG_SET_STRING, "lowerdir+", layer, 0) == 0 || errno != EINVAL;
}

static int configure(int fs_fd, const struct rootfs_options *options, struct error *err) {
    int rc = 0;
    // The first one given is the highest; the caller has set it already.
    for (size_t i = options->layers.count - 1; rc == 0 && i-- > 0;) {
        rc = set(fs_fd, "lowerdir+", options->layers.items[i], err);
    }
    rc = rc == 0 ? set(fs_fd, "upperdir", options->upper, err) : rc;
    rc = rc == 0 ? set(fs_fd, "workdir", options->work, err) : rc;
    if (rc == 0 && fsconfig(fs_fd, FSCONFIG_SET_FLAG, "volatile", NULL, 0) != 0) {
        return refused(fs_fd, errno, "overlay: set volatile", err);
    }
    if (rc == 0 && fsconfig(fs_fd, FSCONFIG_CMD_CREATE, NULL, NULL, 0) != 0) {
        return refused(fs_fd, errno, "make an overlay", err);
    }
    return rc;
}

// 0, or 1 when the kernel is too old for it.
static int mount_new(const struct rootfs_options *options, struct error *err) {
    AUTO_CLOSE int fs_fd = fsopen("overlay", FSOPEN_CLOEXEC);
    if (fs_fd < 0 && errno == ENODEV) {
        return error_set(err, ERR_UNSUPPORTED,
                         "overlay file systems are not in this kernel (modprobe overlay)");
    }
    if (fs_fd < 0 || !has_lowerdir_plus(fs_fd, options->layers.items[options->layers.count - 1])) {
        return 1;
    }
    int rc = configure(fs_fd, options, err);
    if (rc < 0) {
        return rc;
    }
    AUTO_CLOSE int mount_fd = fsmount(fs_fd, FSMOUNT_CLOEXEC, MOUNT_ATTR_NODEV);
    if (mount_fd < 0 || move_mount(mount_fd, "", AT_FDCWD, options->target, MOVE_MOUNT_F_EMPTY_PATH) != 0) {
        return error_sys(err, errno, "mount an overlay on %s", options->target);
    }
    return 0;
}

// The layers by descriptor, which keeps 127 of them within a page.
static int mount_old(const struct rootfs_options *options, struct error *err) {
    AUTO_BUF text = buf_make(OPTIONS_BYTES_MAX);
    int fds[LAYERS_MAX];
    size_t count = 0;
    int rc = 0;
    buf_adds(&text, "lowerdir=");
    for (size_t i = options->layers.count; rc == 0 && i-- > 0;) {
        int fd = open(options->layers.items[i], O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0) {
            rc = error_sys(err, errno, "open layer %s", options->layers.items[i]);
            break;
        }
        fds[count++] = fd;
        buf_addf(&text, "%s/proc/self/fd/%d", count == 1 ? "" : ":", fd);
    }
    buf_addf(&text, ",upperdir=%s,workdir=%s,volatile", options->upper, options->work);
    if (rc == 0 && mount("overlay", options->target, "overlay", MS_NODEV, buf_text(&text)) != 0) {
        rc = error_sys(err, errno, "mount an overlay on %s", options->target);
    }
    for (size_t i = 0; i < count; i++) {
        close(fds[i]);
    }
    return rc;
}

// --- making it ---

// The root directory of an overlay is its upper one: it takes over what the image says of it.
static int make_upper(const struct rootfs_options *options, struct error *err) {
    struct stat st;
    const char *top = options->layers.items[options->layers.count - 1];
    int rc = fs_remove_tree(AT_FDCWD, options->work, err); // a volatile one cannot be used again
    rc = rc == 0 ? fs_remove_tree(AT_FDCWD, options->upper, err) : rc;
    if (rc < 0) {
        return rc;
    }
    if (stat(top, &st) != 0) {
        return error_sys(err, errno, "layer %s", top);
    }
    if (mkdir(options->work, 0700) != 0 || mkdir(options->upper, 0755) != 0) {
        return error_sys(err, errno, "make the writable layer %s", options->upper);
    }
    if (chown(options->upper, st.st_uid, st.st_gid) != 0 || chmod(options->upper, st.st_mode & 07777) != 0) {
        return error_sys(err, errno, "set owner and mode of %s", options->upper);
    }
    return 0;
}

static int check_names(const struct rootfs_options *options, struct error *err) {
    if (options->layers.count == 0 || options->layers.count > LAYERS_MAX) {
        return error_set(err, ERR_INVALID, "the image has %zu layers; 1 to %d can be mounted",
                         options->layers.count, LAYERS_MAX);
    }
    const char *const own[] = {options->upper, options->work, options->target};
    for (size_t i = 0; i < sizeof own / sizeof *own; i++) {
        if (strlen(own[i]) > VALUE_BYTES_MAX || strpbrk(own[i], ":,\\\"") != NULL) {
            return error_set(err, ERR_INVALID, "%s: longer than %zu bytes, or has one of : , \\ \" in it",
                             own[i], VALUE_BYTES_MAX);
        }
    }
    return 0;
}

// runc mounts over these. Through a symlink, what it mounts would land elsewhere.
static int check_mount_points(const char *target, struct error *err) {
    static const char *const names[] = {"dev", "proc", "sys"};
    AUTO_CLOSE int fd = open(target, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return error_sys(err, errno, "open %s", target);
    }
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct stat st;
        if (fstatat(fd, names[i], &st, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISDIR(st.st_mode)) {
            return error_set(err, ERR_INVALID, "/%s of the image is %s, not a directory", names[i],
                             S_ISLNK(st.st_mode) ? "a symbolic link" : "a file");
        }
    }
    return 0;
}

int rootfs_mount(const struct rootfs_options *options, struct error *err) {
    int rc = check_names(options, err);
    rc = rc == 0 ? make_upper(options, err) : rc;
    if (rc == 0) {
        rc = options->is_old_kernel ? 1 : mount_new(options, err);
        rc = rc == 1 ? mount_old(options, err) : rc;
    }
    if (rc < 0) {
        return rc;
    }
    rc = check_mount_points(options->target, err);
    if (rc < 0) {
        rootfs_unmount(options->target, NULL);
    }
    return rc;
}

int rootfs_unmount(const char *target, struct error *err) {
    // A killed process may hold it for a moment longer; then it is detached, and goes with the last user.
    for (int tries = 0; tries < UNMOUNT_TRIES; tries++) {
        int flags = UMOUNT_NOFOLLOW | (tries == UNMOUNT_TRIES - 1 ? MNT_DETACH : 0);
        if (umount2(target, flags) == 0) {
            tries = -1; // one more may lie under it
        } else if (errno == EINVAL || errno == ENOENT) {
            return 0;
        } else if (errno != EBUSY) {
            return error_sys(err, errno, "unmount %s", target);
        }
    }
    return error_set(err, ERR_BUSY, "unmount %s: busy", target);
}

// --- looking into it ---

int rootfs_open(int root_fd, const char *path, int flags) {
    struct open_how how = {.flags = (uint64_t)(unsigned)flags | O_CLOEXEC,
                           .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
    return (int)syscall(SYS_openat2, root_fd, path, &how, sizeof how);
}

static bool path_of(int fd, char out[PATH_MAX]) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t len = readlink(link, out, PATH_MAX - 1);
    if (len <= 0) {
        return false;
    }
    out[len] = '\0';
    return true;
}

const char *rootfs_resolve(int root_fd, const char *path, struct arena *arena) {
    char *at = arena_strdup(arena, path);
    char root[PATH_MAX];
    char found[PATH_MAX];
    int fd = -1;
    while ((fd = rootfs_open(root_fd, at, O_PATH)) < 0) {
        char *slash = strrchr(at, '/');
        if (slash == NULL || (errno != ENOENT && errno != ENOTDIR)) {
            return NULL;
        }
        slash[slash == at] = '\0'; // "/x" becomes "/"
        if (slash == at && str_equal(path, "/")) {
            return NULL;
        }
    }
    bool is_known = path_of(root_fd, root) && path_of(fd, found);
    close(fd);
    size_t len = is_known ? strlen(root) : 0;
    if (!is_known || strncmp(found, root, len) != 0 || (found[len] != '/' && found[len] != '\0')) {
        return NULL;
    }
    return found[len] == '\0' ? "/" : arena_strdup(arena, found + len);
}
