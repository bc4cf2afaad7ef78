// SPDX-License-Identifier: Apache-2.0
//
// reconciler/agent/unpack_root.c — an overlay of a layer's parents under a new upper directory, and a process
// that has nothing else.
//
// Why an overlay: a layer may lack the entries of directories it writes into, write through a symbolic link
// of a lower layer, or hide a directory late. Unpacked through the parents, the kernel does what the image
// means; unpacked beside them, modes are lost (/tmp 1777) and a link becomes a directory. Why short names:
// the options of mount(2) are one page, which 127 layers' paths overrun, and only kernels from
// 6.8 on take layers one by one. So the layers are named 0, 1, … by links in the work directory.
#include "reconciler/agent/unpack_root.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <stdint.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fs.h"
#include "base/limits.h"
#include "base/mem.h"

#define MEMORY_BYTES_MAX (1024ULL * MIB)

// --- the work directory ---

static int link_lowers(const struct unpack_root *root, struct error *err) {
    for (size_t i = 0; i < root->lower_count; i++) {
        AUTO_FREE char *link = xasprintf("%s/lower/%zu", root->work_dir, i);
        if (symlink(root->lowers[i], link) != 0) {
            return error_sys(err, errno, "make %s", link);
        }
    }
    return 0;
}

// The root of an overlay has the looks of its upper directory.
static int imitate_root(const struct unpack_root *root, const char *upper, struct error *err) {
    if (root->lower_count == 0) {
        return 0;
    }
    const char *topmost = root->lowers[root->lower_count - 1];
    struct stat st;
    if (stat(topmost, &st) != 0) {
        return error_sys(err, errno, "look at the layer %s", topmost);
    }
    const struct timespec times[] = {st.st_atim, st.st_mtim};
    if (chown(upper, st.st_uid, st.st_gid) != 0 || chmod(upper, st.st_mode & 07777) != 0 ||
        utimensat(AT_FDCWD, upper, times, 0) != 0) {
        return error_sys(err, errno, "prepare %s", upper);
    }
    return 0;
}

int unpack_root_make(const struct unpack_root *root, struct error *err) {
    static const struct {
        const char *name;
        mode_t mode;
    } directories[] = {{"", 0700}, {"/upper", 0755}, {"/work", 0700}, {"/lower", 0700}, {"/root", 0700}};
    int rc = fs_remove_tree(AT_FDCWD, root->work_dir, err);
    for (size_t i = 0; rc == 0 && i < sizeof directories / sizeof *directories; i++) {
        AUTO_FREE char *path = xasprintf("%s%s", root->work_dir, directories[i].name);
        if (mkdir(path, directories[i].mode) != 0 || chmod(path, directories[i].mode) != 0) {
            rc = error_sys(err, errno, "make %s", path);
        }
    }
    AUTO_FREE char *upper = xasprintf("%s/upper", root->work_dir);
    rc = rc == 0 ? link_lowers(root, err) : rc;
    return rc == 0 ? imitate_root(root, upper, err) : rc;
}

// --- going in ---

static int mount_overlay(const struct unpack_root *root, struct error *err) {
    AUTO_FREE char *lower_dir = xasprintf("%s/lower", root->work_dir);
    AUTO_BUF options = buf_make(64 * KIB);
    buf_adds(&options, "upperdir=../upper,workdir=../work,lowerdir=");
    for (size_t i = root->lower_count; i > 0; i--) {
        buf_addf(&options, "%s%zu", i == root->lower_count ? "" : ":", i - 1);
    }
    if (chdir(lower_dir) != 0) {
        return error_sys(err, errno, "enter %s", lower_dir);
    }
    if (mount("overlay", "../root", "overlay", MS_NODEV | MS_NOSUID, buf_text(&options)) != 0) {
        return error_sys(err, errno, "mount an overlay of %zu layers", root->lower_count);
    }
    return 0;
}

// A first layer has no parents: its directory itself, but without devices.
static int mount_plain(const struct unpack_root *root, struct error *err) {
    AUTO_FREE char *upper = xasprintf("%s/upper", root->work_dir);
    AUTO_FREE char *target = xasprintf("%s/root", root->work_dir);
    unsigned long flags = MS_BIND | MS_NODEV | MS_NOSUID;
    if (mount(upper, target, NULL, MS_BIND, NULL) != 0 ||
        mount(NULL, target, NULL, flags | MS_REMOUNT, NULL) != 0) {
        return error_sys(err, errno, "mount %s", upper);
    }
    return 0;
}

// A mount of its own without a parent: ".." ends there.
static int open_upper(const struct unpack_root *root, int *out, struct error *err) {
    *out = -1;
    if (root->lower_count == 0) {
        return 0;
    }
    AUTO_FREE char *upper = xasprintf("%s/upper", root->work_dir);
    *out = (int)syscall(SYS_open_tree, AT_FDCWD, upper, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    return *out < 0 ? error_sys(err, errno, "open %s", upper) : 0;
}

static int change_root(const struct unpack_root *root, struct error *err) {
    AUTO_FREE char *target = xasprintf("%s/root", root->work_dir);
    if (chdir(target) != 0 || syscall(SYS_pivot_root, ".", ".") != 0 || umount2(".", MNT_DETACH) != 0 ||
        chdir("/") != 0) {
        return error_sys(err, errno, "change the root to %s", target);
    }
    return 0;
}

static int drop_rights(struct error *err) {
    static const uint32_t kept = 1U << CAP_CHOWN | 1U << CAP_DAC_OVERRIDE | 1U << CAP_FOWNER |
                                 1U << CAP_FSETID | 1U << CAP_MKNOD | 1U << CAP_SETFCAP;
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2];
    if (prctl(PR_SET_NO_NEW_PRIVS, 1L, 0L, 0L, 0L) != 0 || syscall(SYS_capget, &header, data) != 0) {
        return error_sys(err, errno, "give up rights");
    }
    for (int i = 0; i < 2; i++) {
        uint32_t mask = i == 0 ? kept : 0;
        data[i].permitted &= mask; // what we do not have we cannot keep
        data[i].effective = data[i].permitted;
        data[i].inheritable = 0;
    }
    if (syscall(SYS_capset, &header, data) != 0) {
        return error_sys(err, errno, "give up rights");
    }
    return 0;
}

// A reader that is made to ask for more memory than any layer needs fails, and only it.
static void limit_memory(void) {
    const struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) // shadow memory is terabytes of addresses
    const struct rlimit memory = {MEMORY_BYTES_MAX, MEMORY_BYTES_MAX};
    setrlimit(RLIMIT_AS, &memory);
#endif
}

int unpack_root_enter(const struct unpack_root *root, int *out_upper_fd, struct error *err) {
    int upper_fd = -1;
    if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) {
        return error_sys(err, errno, "get mounts of our own");
    }
    int rc = root->lower_count > 0 ? mount_overlay(root, err) : mount_plain(root, err);
    rc = rc == 0 ? open_upper(root, &upper_fd, err) : rc;
    rc = rc == 0 ? change_root(root, err) : rc;
    rc = rc == 0 ? drop_rights(err) : rc;
    if (rc != 0) {
        close_at(&upper_fd);
        return rc;
    }
    limit_memory();
    umask(0);
    *out_upper_fd = upper_fd;
    return 0;
}
