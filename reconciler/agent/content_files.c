// SPDX-License-Identifier: Apache-2.0
//
// reconciler/agent/content_files.c — a tmpfs, files with owner and mode, and their replacement.
#include "reconciler/agent/content_files.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/str.h"
#include "reconciler/agent/rootfs.h"
#include "specs/resource.h"
#include "specs/signal_name.h"

#define SLACK_BYTES ((size_t)64 * KIB)
#define PAGE_BYTES 4096

// One reference of the spec, and what it becomes.
struct entry {
    const struct file_reference *reference;
    enum object_kind kind;
    size_t number;     // of all references, secrets first
    const char *below; // /run/secrets: its path there; NULL: it is elsewhere
    struct bytes data;
    bool is_there; // the bytes are
    bool is_plain;
};

static size_t count_of(const struct assignment *assignment) {
    return assignment->spec.secrets.count + assignment->spec.configs.count;
}

static struct bytes data_of(const struct content_order *order, const struct entry *entry,
                            bool *out_is_there) {
    const struct assigned_file *file =
        assignment_file(order->assignment, entry->kind, entry->reference->source);
    size_t at = file != NULL ? (size_t)(file - order->assignment->files.items) : SIZE_MAX;
    const struct shelf_item *item =
        order->items != NULL && at < order->items->count ? order->items->items[at] : NULL;
    *out_is_there = item != NULL;
    return item != NULL ? item->data : (struct bytes){0};
}

static struct entry entry_of(const struct content_order *order, size_t number) {
    const struct service_spec *spec = &order->assignment->spec;
    bool is_secret = number < spec->secrets.count;
    struct entry entry = {.kind = is_secret ? KIND_SECRET : KIND_CONFIG,
                          .reference = is_secret ? &spec->secrets.items[number]
                                                 : &spec->configs.items[number - spec->secrets.count],
                          .number = number};
    const struct file_reference *reference = entry.reference;
    const char *target = reference->target[0] != '\0' ? reference->target : reference->source;
    if (str_starts(target, CONTENT_SECRETS_TARGET "/")) {
        entry.below = target + sizeof CONTENT_SECRETS_TARGET;
    } else if (is_secret && target[0] != '/') {
        entry.below = target;
    }
    entry.is_plain = order->is_plain;
    entry.data = data_of(order, &entry, &entry.is_there);
    return entry;
}

bool content_files_any(const struct assignment *assignment) {
    return count_of(assignment) > 0;
}

bool content_files_follow(const struct assignment *assignment) {
    const struct content_order order = {.assignment = assignment};
    for (size_t i = 0; i < count_of(assignment); i++) {
        if (entry_of(&order, i).reference->on_change != ON_CHANGE_RESTART) {
            return true;
        }
    }
    return false;
}

bool content_files_in_memory(const char *path) {
    struct statfs status;
    return statfs(path, &status) == 0 &&
           (status.f_type == TMPFS_MAGIC || (unsigned long)status.f_type == 0x858458f6UL); // ramfs
}

// --- writing ---

static const char *path_of(const struct entry *entry, char *out, size_t bytes) {
    if (entry->below != NULL) {
        snprintf(out, bytes, "secrets/%s", entry->below);
    } else if (entry->is_plain) {
        snprintf(out, bytes, "%s/%s", entry->kind == KIND_SECRET ? "secrets" : "configs",
                 entry->reference->source);
    } else {
        snprintf(out, bytes, "files/%zu", entry->number);
    }
    return out;
}

static int make_parents(const char *directory, const char *path, struct error *err) {
    AUTO_FREE char *whole = xasprintf("%s/%s", directory, path);
    *strrchr(whole, '/') = '\0';
    return fs_make_dirs(whole, 0755, err);
}

static int write_fd(int fd, const struct entry *entry, struct error *err) {
    const struct file_reference *reference = entry->reference;
    int64_t uid = 0, gid = 0;
    if (!str_to_int(reference->uid, &uid) || !str_to_int(reference->gid, &gid)) {
        return error_set(err, ERR_INVALID, "owner %s:%s is no pair of numbers", reference->uid,
                         reference->gid);
    }
    if (geteuid() == 0 && fchown(fd, (uid_t)uid, (gid_t)gid) != 0) {
        return error_sys(err, errno, "give it to its owner");
    }
    if (fchmod(fd, (mode_t)reference->mode & 07777) != 0) {
        return error_sys(err, errno, "set its mode");
    }
    int rc = fs_write_all(fd, entry->data.data, entry->data.len);
    return rc < 0 ? error_sys(err, errno, "write it") : 0;
}

// Whole under another name first: whoever opens it sees the one or the other.
static int write_entry(int dir_fd, const char *directory, const struct entry *entry, struct error *err) {
    char path[PATH_MAX], fresh[PATH_MAX + 8];
    int rc = make_parents(directory, path_of(entry, path, sizeof path), err);
    snprintf(fresh, sizeof fresh, "%s.~new", path);
    (void)unlinkat(dir_fd, fresh, 0);
    AUTO_CLOSE int fd =
        rc < 0 ? -1 : openat(dir_fd, fresh, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (rc == 0 && fd < 0) {
        rc = error_sys(err, errno, "make it");
    }
    rc = rc < 0 ? rc : write_fd(fd, entry, err);
    if (rc == 0 && renameat(dir_fd, fresh, dir_fd, path) != 0) {
        rc = error_sys(err, errno, "name it");
    }
    return error_wrap(err, rc, "%s '%s'", object_kind_name(entry->kind), entry->reference->source);
}

// What is mounted by itself stays the same file.
static int overwrite_entry(int dir_fd, const struct entry *entry, struct error *err) {
    char path[PATH_MAX];
    AUTO_CLOSE int fd = openat(dir_fd, path_of(entry, path, sizeof path), O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
    int rc = fd < 0 ? -1 : fs_write_all(fd, entry->data.data, entry->data.len);
    if (rc < 0 || ftruncate(fd, (off_t)entry->data.len) != 0) {
        rc = error_sys(err, errno, "%s '%s': overwrite it", object_kind_name(entry->kind),
                       entry->reference->source);
    }
    return rc;
}

// --- the file system ---

static size_t room_for(const struct content_order *order) {
    size_t bytes = SLACK_BYTES;
    for (size_t i = 0; i < count_of(order->assignment); i++) {
        const struct entry entry = entry_of(order, i);
        bool follows = entry.reference->on_change != ON_CHANGE_RESTART;
        bytes += follows ? 2 * CONFIG_BYTES_MAX : (entry.data.len / PAGE_BYTES + 1) * PAGE_BYTES;
    }
    return bytes;
}

static int mount_memory(const struct content_order *order, struct error *err) {
    char options[128];
    const unsigned long flags = MS_NOSUID | MS_NODEV | MS_NOEXEC;
    size_t inodes = 8 * count_of(order->assignment) + 32;
    snprintf(options, sizeof options, "mode=0755,size=%zu,nr_inodes=%zu,noswap", room_for(order), inodes);
    if (mount("tmpfs", order->directory, "tmpfs", flags, options) == 0) {
        return 0;
    }
    *strrchr(options, ',') = '\0';
    return mount("tmpfs", order->directory, "tmpfs", flags, options) == 0
               ? 0
               : error_sys(err, errno, "mount a file system in memory on %s", order->directory);
}

static int fill(const struct content_order *order, struct error *err) {
    AUTO_CLOSE int dir_fd = open(order->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc = dir_fd < 0 ? error_sys(err, errno, "open %s", order->directory) : 0;
    for (size_t i = 0; rc == 0 && i < count_of(order->assignment); i++) {
        const struct entry entry = entry_of(order, i);
        rc = entry.is_there ? write_entry(dir_fd, order->directory, &entry, err)
                            : error_set(err, ERR_NOT_FOUND, "%s '%s' is not here",
                                        object_kind_name(entry.kind), entry.reference->source);
    }
    return rc;
}

int content_files_make(const struct content_order *order, struct error *err) {
    int rc = fs_make_dirs(order->directory, order->is_plain ? 0711 : 0755, err);
    rc = rc < 0 || order->is_plain ? rc : mount_memory(order, err);
    rc = rc < 0 ? rc : fill(order, err);
    if (rc < 0 && !order->is_plain) {
        rootfs_unmount(order->directory, NULL);
    }
    return rc;
}

int content_files_unmount(const char *directory, struct error *err) {
    return umount2(directory, UMOUNT_NOFOLLOW | MNT_DETACH) == 0 || errno == EINVAL || errno == ENOENT
               ? 0
               : error_sys(err, errno, "unmount %s", directory);
}

// --- mounts ---

bool content_files_mount(const struct content_order *order, size_t index, struct arena *arena,
                         struct content_mount *out) {
    bool has_below = false;
    size_t seen = 0;
    for (size_t i = 0; i < count_of(order->assignment); i++) {
        const struct entry entry = entry_of(order, i);
        bool is_new = entry.below == NULL || !has_below;
        has_below = has_below || entry.below != NULL;
        if (!is_new || seen++ < index) {
            continue;
        }
        if (entry.below != NULL) {
            *out = (struct content_mount){arena_printf(arena, "%s/secrets", order->directory),
                                          CONTENT_SECRETS_TARGET};
        } else {
            const char *target =
                entry.reference->target[0] != '\0' ? entry.reference->target : entry.reference->source;
            *out = (struct content_mount){arena_printf(arena, "%s/files/%zu", order->directory, entry.number),
                                          target[0] == '/' ? target : arena_printf(arena, "/%s", target)};
        }
        return true;
    }
    return false;
}

// --- replacement ---

static bool is_as_written(int dir_fd, const struct entry *entry) {
    char path[PATH_MAX];
    struct buf text = {0};
    (void)buf_reserve(&text, entry->data.len + 2);
    int rc = fs_read(dir_fd, path_of(entry, path, sizeof path), CONFIG_BYTES_MAX, &text, NULL);
    bool is_same = rc == 0 && text.len == entry->data.len &&
                   (text.len == 0 || memcmp(text.data, entry->data.data, text.len) == 0);
    if (text.len > 0) {
        explicit_bzero(text.data, text.len);
    }
    buf_free(&text);
    return is_same;
}

static int signal_of(const struct file_reference *reference) {
    int number = SIGHUP;
    if (reference->signal[0] != '\0' && !signal_parse(reference->signal, &number)) {
        number = SIGHUP;
    }
    return reference->on_change == ON_CHANGE_SIGNAL ? number : 0;
}

int content_files_refresh(const struct content_order *order, int *out_signal, struct error *err) {
    AUTO_CLOSE int dir_fd = open(order->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc = dir_fd < 0 ? error_sys(err, errno, "open %s", order->directory) : 0;
    bool may_be_on_disk = order->is_plain && order->assignment->spec.secrets.count == 0;
    if (rc == 0 && !may_be_on_disk && !content_files_in_memory(order->directory)) {
        rc = error_set(err, ERR_INTERNAL, "%s is not in memory any more", order->directory);
    }
    *out_signal = 0;
    for (size_t i = 0; rc == 0 && i < count_of(order->assignment); i++) {
        const struct entry entry = entry_of(order, i);
        if (entry.reference->on_change == ON_CHANGE_RESTART || !entry.is_there ||
            is_as_written(dir_fd, &entry)) {
            continue;
        }
        rc = entry.below != NULL || entry.is_plain ? write_entry(dir_fd, order->directory, &entry, err)
                                                   : overwrite_entry(dir_fd, &entry, err);
        int signal_number = signal_of(entry.reference);
        *out_signal = signal_number != 0 ? signal_number : *out_signal;
    }
    return rc;
}
