// SPDX-License-Identifier: Apache-2.0
//
// reconciler/agent/bundle_mounts.c — what is mounted into a container, and what must not be.
//
// Nothing is mounted on /, or on or below /proc, /sys and /dev (/dev/shm excepted): neither by name nor
// through a symlink of the image, which is why targets are resolved inside the root file system first.
// Sources of binds must exist, and are looked up without magic links, so that no descriptor of the daemon
// can be named.
#include "reconciler/agent/bundle_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/str.h"
#include "reconciler/agent/content_files.h"
#include "reconciler/agent/rootfs.h"
#include "reconciler/agent/volume.h"

struct work { // one run of bundle_mounts_make
    const struct bundle_options *options;
    struct bundle_mounts user; // the spec's and the image's
    const char *propagation;
    int anonymous_count;
    int64_t *reason;
    struct arena *arena;
    struct error *err;
};

static int refuse(struct work *work, const char *target, const char *why) {
    *work->reason = REASON_MOUNT_INVALID;
    return error_set(work->err, ERR_INVALID, "mount on %s: %s", target, why);
}

static int cannot(struct work *work, int rc, const char *target) {
    *work->reason = rc == -ERR_NO_SPACE ? REASON_NO_SPACE : REASON_MOUNT_INVALID;
    return error_wrap(work->err, rc, "mount on %s", target);
}

void bundle_mount_add(struct bundle_mounts *out, const char *target, const char *type, const char *source,
                      const char *mount_options, struct arena *arena) {
    struct bundle_mount *mount = ARENA_PUSH(arena, out);
    mount->target = target;
    mount->type = type;
    mount->source = source;
    for (char *at = arena_strdup(arena, mount_options); at != NULL && *at != '\0';) {
        char *comma = strchr(at, ',');
        if (comma != NULL) {
            *comma++ = '\0';
        }
        *ARENA_PUSH(arena, &mount->options) = at;
        at = comma;
    }
}

// --- targets ---

static bool is_at_or_below(const char *path, const char *top) {
    size_t len = strlen(top);
    return strncmp(path, top, len) == 0 && (path[len] == '/' || path[len] == '\0');
}

static bool is_kernels(const char *path) {
    return is_at_or_below(path, "/proc") || is_at_or_below(path, "/sys") ||
           (is_at_or_below(path, "/dev") && !str_equal(path, "/dev/shm"));
}

// Without empty parts and "."; NULL when it is not absolute, or has "..".
static const char *normal(const char *path, struct arena *arena) {
    char *out = arena_alloc(arena, strlen(path) + 2);
    size_t len = 0;
    if (path[0] != '/') {
        return NULL;
    }
    for (const char *at = path; *at != '\0';) {
        at += strspn(at, "/");
        size_t part = strcspn(at, "/");
        if (part == 2 && at[0] == '.' && at[1] == '.') {
            return NULL;
        }
        if (part > 0 && !(part == 1 && at[0] == '.')) {
            out[len++] = '/';
            memcpy(out + len, at, part);
            len += part;
        }
        at += part;
    }
    if (len == 0) {
        out[0] = '/';
    }
    return out;
}

static int check_target(struct work *work, const char *given, const char **out) {
    const char *target = normal(given, work->arena);
    if (target == NULL) {
        return refuse(work, given, "the target must be an absolute path without '..'");
    }
    if (str_equal(target, "/")) {
        return refuse(work, given, "the root itself cannot be mounted over");
    }
    const char *real = rootfs_resolve(work->options->root_fd, target, work->arena);
    if (is_kernels(target) || real == NULL || (is_kernels(real) && !str_equal(target, "/dev/shm"))) {
        return refuse(work, given, "nothing may be mounted over /proc, /sys or /dev");
    }
    *out = target;
    return 0;
}

// --- volumes ---

// The image's directory at the target, to fill a new volume from; -1 when there is none.
static int image_directory(const struct work *work, const char *target) {
    return rootfs_open(work->options->root_fd, target, O_PATH | O_DIRECTORY);
}

static int make_volume(struct work *work, const char *path, const char *target, bool is_empty) {
    AUTO_CLOSE int from_fd = is_empty ? -1 : image_directory(work, target);
    int rc = volume_make(path, from_fd, work->err);
    return rc < 0 ? cannot(work, rc, target) : 0;
}

static int anonymous_volume(struct work *work, const char *target, bool is_empty, const char **out) {
    const char *directory = arena_printf(work->arena, "%s/volumes", work->options->task_dir);
    int rc = fs_make_dirs(directory, 0711, work->err);
    if (rc < 0) {
        return cannot(work, rc, target);
    }
    *out = arena_printf(work->arena, "%s/%d", directory, work->anonymous_count++);
    return make_volume(work, *out, target, is_empty);
}

static int volume_subpath(struct work *work, const char *volume, const struct mount *mount,
                          const char **out) {
    struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS};
    AUTO_CLOSE int top = open(volume, O_PATH | O_DIRECTORY | O_CLOEXEC);
    AUTO_CLOSE int fd = (int)syscall(SYS_openat2, top, mount->volume.subpath, &how, sizeof how);
    if (fd < 0) {
        return refuse(work, mount->target,
                      arena_printf(work->arena,
                                   "'%s' is not a path inside volume %s (symlinks do not count): %s",
                                   mount->volume.subpath, mount->source, strerror(errno)));
    }
    *out = arena_printf(work->arena, "%s/%s", volume, mount->volume.subpath);
    return 0;
}

static int named_volume(struct work *work, const struct mount *mount, const char *target, const char **out) {
    if (!str_is_name(mount->source, STORE_NAME_BYTES_MAX)) {
        return refuse(
            work, mount->target,
            arena_printf(work->arena,
                         "'%s' is no name of a volume: letters, digits, '_', '.', '-', the first a letter "
                         "or digit",
                         mount->source));
    }
    const char *path = arena_printf(work->arena, "%s/%s", work->options->volumes_dir, mount->source);
    int rc = make_volume(work, path, target, mount->volume.nocopy);
    *out = path;
    return rc == 0 && mount->volume.subpath[0] != '\0' ? volume_subpath(work, path, mount, out) : rc;
}

static int add_volume(struct work *work, const struct mount *mount, const char *target) {
    const char *source = NULL;
    int rc = mount->source[0] == '\0' ? anonymous_volume(work, target, mount->volume.nocopy, &source)
                                      : named_volume(work, mount, target, &source);
    if (rc == 0) {
        bundle_mount_add(&work->user, target, "bind", source,
                         mount->read_only ? "rbind,rprivate,ro" : "rbind,rprivate", work->arena);
    }
    return rc;
}

// --- binds ---

static const char *const propagation_names[] = {"rprivate", "private", "rshared",
                                                "shared",   "rslave",  "slave"};

// Mounts can only come in or go out if the root file system lets them.
static void want_propagation(struct work *work, enum mount_propagation propagation) {
    if (propagation == PROPAGATION_RSHARED || propagation == PROPAGATION_SHARED) {
        work->propagation = "shared";
    } else if ((propagation == PROPAGATION_RSLAVE || propagation == PROPAGATION_SLAVE) &&
               work->propagation[0] == '\0') {
        work->propagation = "slave";
    }
}

static bool source_exists(const char *source) {
    struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_NO_MAGICLINKS};
    AUTO_CLOSE int fd = (int)syscall(SYS_openat2, AT_FDCWD, source, &how, sizeof how);
    return fd >= 0;
}

// Is the path at or below one of those that the node allows?
static bool is_allowed(const char *allowed, const char *path, struct arena *arena) {
    for (const char *at = allowed; *at != '\0';) {
        size_t len = strcspn(at, ":");
        const char *top = normal(arena_strndup(arena, at, len), arena);
        if (top != NULL && (str_equal(top, "/") || is_at_or_below(path, top))) {
            return true;
        }
        at += len + (at[len] == ':');
    }
    return false;
}

// The place itself counts, not what it is called: a symlink below an allowed path leads nowhere else.
static int check_allowed(struct work *work, const struct mount *mount) {
    const char *allowed = work->options->allow_bind;
    char real[PATH_MAX];
    if (str_is_empty(allowed)) {
        return 0;
    }
    const char *path = realpath(mount->source, real) != NULL ? real : normal(mount->source, work->arena);
    return path != NULL && is_allowed(allowed, path, work->arena)
               ? 0
               : refuse(
                     work, mount->target,
                     arena_printf(work->arena,
                                  "node %s does not allow binds of %s: it allows %s (musterd --allow-bind)",
                                  work->options->assignment->node_hostname,
                                  path != NULL ? path : mount->source, allowed));
}

static int check_source(struct work *work, const struct mount *mount) {
    if (mount->source[0] != '/') {
        return refuse(work, mount->target,
                      arena_printf(work->arena, "the source '%s' is not an absolute path", mount->source));
    }
    int allowed = check_allowed(work, mount);
    if (allowed < 0 || source_exists(mount->source)) {
        return allowed;
    }
    int why = errno;
    if (why == ENOENT && mount->bind.create_host_path) {
        int rc = fs_make_dirs(mount->source, 0755, work->err);
        return rc < 0 ? cannot(work, rc, mount->target) : check_allowed(work, mount);
    }
    return refuse(work, mount->target,
                  arena_printf(work->arena, "the source %s %s on node %s%s%s", mount->source,
                               why == ENOENT ? "does not exist" : "cannot be used",
                               work->options->assignment->node_hostname,
                               why == ENOENT ? " (create it there, or set bind.create_host_path)" : ": ",
                               why == ENOENT ? "" : strerror(why)));
}

static int add_bind(struct work *work, const struct mount *mount, const char *target) {
    int rc = check_source(work, mount);
    if (rc == 0) {
        want_propagation(work, mount->bind.propagation);
        bundle_mount_add(
            &work->user, target, "bind", mount->source,
            arena_printf(work->arena, "%s,%s,nosuid,nodev%s", mount->bind.recursive_off ? "bind" : "rbind",
                         propagation_names[mount->bind.propagation], mount->read_only ? ",ro" : ""),
            work->arena);
    }
    return rc;
}

// --- tmpfs ---

static int add_tmpfs(struct work *work, const struct mount *mount, const char *target) {
    AUTO_BUF text = {0};
    buf_adds(&text, "nosuid,nodev,noexec");
    if (mount->tmpfs.size_bytes > 0) {
        buf_addf(&text, ",size=%lld", (long long)mount->tmpfs.size_bytes);
    }
    buf_addf(&text, ",mode=%llo", mount->tmpfs.mode > 0 ? (unsigned long long)mount->tmpfs.mode : 01777ULL);
    buf_adds(&text, mount->read_only ? ",ro" : "");
    bundle_mount_add(&work->user, target, "tmpfs", "tmpfs", buf_text(&text), work->arena);
    return 0;
}

static bool is_tmpfs_option(const char *option) {
    static const char *const words[] = {"ro",   "rw",    "exec",    "noexec", "suid",     "nosuid",
                                        "dev",  "nodev", "noatime", "atime",  "sync",     "async",
                                        "size", "mode",  "uid",     "gid",    "nr_inodes"};
    size_t len = strcspn(option, "=");
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (strlen(words[i]) == len && strncmp(words[i], option, len) == 0) {
            return (i >= 12) == (option[len] == '=');
        }
    }
    return false;
}

// "/run" or "/run:size=64m,mode=755".
static int add_tmpfs_text(struct work *work, const char *text) {
    char *given = arena_strdup(work->arena, text);
    char *colon = strchr(given, ':');
    if (colon != NULL) {
        *colon++ = '\0';
    }
    const char *target;
    int rc = check_target(work, given, &target);
    if (rc < 0) {
        return rc;
    }
    bundle_mount_add(&work->user, target, "tmpfs", "tmpfs",
                     arena_printf(work->arena, "nosuid,nodev,noexec,mode=1777%s%s", colon != NULL ? "," : "",
                                  colon != NULL ? colon : ""),
                     work->arena);
    const struct strings *all = &work->user.items[work->user.count - 1].options;
    for (size_t i = 0; i < all->count; i++) {
        if (!is_tmpfs_option(all->items[i])) {
            return refuse(work, given,
                          arena_printf(work->arena,
                                       "'%s' is no option of a tmpfs (size, mode, uid, gid, ro, exec …)",
                                       all->items[i]));
        }
    }
    return 0;
}

// --- all together ---

static int add_user_mount(struct work *work, const struct mount *mount) {
    const char *target;
    int rc = check_target(work, mount->target, &target);
    if (rc < 0) {
        return rc;
    }
    switch (mount->type) {
    case MOUNT_VOLUME:
        return add_volume(work, mount, target);
    case MOUNT_BIND:
        return add_bind(work, mount, target);
    case MOUNT_TMPFS:
        return add_tmpfs(work, mount, target);
    }
    return refuse(work, mount->target, "its type is not known to this version");
}

static bool has_user_mount(const struct work *work, const char *target) {
    for (size_t i = 0; i < work->user.count; i++) {
        if (str_equal(work->user.items[i].target, target)) {
            return true;
        }
    }
    return false;
}

static int add_image_volume(struct work *work, const char *given) {
    const char *target;
    const char *source;
    int rc = check_target(work, given, &target);
    if (rc < 0 || has_user_mount(work, target)) {
        return rc;
    }
    rc = anonymous_volume(work, target, /*is_empty=*/false, &source);
    if (rc == 0) {
        bundle_mount_add(&work->user, target, "bind", source, "rbind,rprivate", work->arena);
    }
    return rc;
}

// --- secrets and configs ---

static int add_contents(struct work *work) {
    const struct content_order order = {
        work->options->assignment, work->options->contents,
        arena_printf(work->arena, "%s/" CONTENT_FILES_NAME, work->options->directory), /*is_plain=*/false};
    struct content_mount mount;
    int rc = 0;
    if (content_files_any(order.assignment)) {
        rc = content_files_make(&order, work->err);
        *work->reason = rc == 0 ? *work->reason : REASON_MEMORY_MISSING;
    }
    for (size_t i = 0; rc == 0 && content_files_mount(&order, i, work->arena, &mount); i++) {
        const char *target;
        rc = check_target(work, mount.target, &target);
        if (rc == 0) {
            bundle_mount_add(&work->user, target, "bind", mount.source,
                             "bind,rprivate,ro,nosuid,nodev,noexec", work->arena);
        }
    }
    return rc;
}

static int add_all(struct work *work) {
    const struct service_spec *spec = bundle_spec(work->options);
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < spec->volumes.count; i++) {
        rc = add_user_mount(work, &spec->volumes.items[i]);
    }
    for (size_t i = 0; rc == 0 && i < spec->tmpfs.count; i++) {
        rc = add_tmpfs_text(work, spec->tmpfs.items[i]);
    }
    rc = rc == 0 ? add_contents(work) : rc;
    for (size_t i = 0; rc == 0 && i < work->options->image->volumes.count; i++) {
        rc = add_image_volume(work, work->options->image->volumes.items[i]);
    }
    return rc;
}

static size_t depth_of(const char *path) {
    size_t depth = 0;
    for (; *path != '\0'; path++) {
        depth += *path == '/';
    }
    return depth;
}

// /data before /data/cache, or the inner one would be hidden. Equal depths keep their order: few, so by
// insertion.
static void sort_by_depth(struct bundle_mounts *mounts) {
    for (size_t i = 1; i < mounts->count; i++) {
        struct bundle_mount moving = mounts->items[i];
        size_t at = i;
        for (; at > 0 && depth_of(mounts->items[at - 1].target) > depth_of(moving.target); at--) {
            mounts->items[at] = mounts->items[at - 1];
        }
        mounts->items[at] = moving;
    }
}

static int check_twice(struct work *work) {
    for (size_t i = 0; i < work->user.count; i++) {
        for (size_t j = 0; j < i; j++) {
            if (str_equal(work->user.items[i].target, work->user.items[j].target)) {
                return refuse(work, work->user.items[i].target, "it is the target of two mounts");
            }
        }
    }
    return 0;
}

// tidy: table
static const struct {
    const char *target, *type, *options;
} standard[] = {
    {"/proc", "proc", "nosuid,noexec,nodev"},
    {"/dev", "tmpfs", "nosuid,strictatime,mode=755,size=65536k"},
    {"/dev/pts", "devpts", "nosuid,noexec,newinstance,ptmxmode=0666,mode=0620,gid=5"},
    {"/dev/mqueue", "mqueue", "nosuid,noexec,nodev"},
    {"/sys", "sysfs", "nosuid,noexec,nodev,ro"},
};

int bundle_mounts_make(const struct bundle_options *options, struct bundle_mounts *out,
                       const char **propagation, int64_t *reason, struct arena *arena, struct error *err) {
    struct work work = {.options = options, .propagation = "", .reason = reason, .arena = arena, .err = err};
    int rc = add_all(&work);
    rc = rc == 0 ? check_twice(&work) : rc;
    if (rc < 0) {
        return rc;
    }
    sort_by_depth(&work.user);
    for (size_t i = 0; i < sizeof standard / sizeof *standard; i++) {
        bundle_mount_add(out, standard[i].target, standard[i].type, standard[i].type, standard[i].options,
                         arena);
    }
    if (!has_user_mount(&work, "/dev/shm")) {
        int64_t bytes = bundle_spec(options)->shm_size_bytes;
        bundle_mount_add(out, "/dev/shm", "tmpfs", "shm",
                         arena_printf(arena, "nosuid,noexec,nodev,mode=1777,size=%lld",
                                      (long long)(bytes > 0 ? bytes : BUNDLE_SHM_BYTES_DEFAULT)),
                         arena);
    }
    for (size_t i = 0; i < work.user.count; i++) {
        *ARENA_PUSH(arena, out) = work.user.items[i];
    }
    *propagation = work.propagation;
    return 0;
}
