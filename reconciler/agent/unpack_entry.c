// SPDX-License-Identifier: Apache-2.0
//
// reconciler/agent/unpack_entry.c — the rules by which a layer's entries become files.
//
// Names        Taken below the root: leading slashes and dots go, ".." is refused. Symbolic links on the way
//              are followed by the kernel, which cannot leave the root. Directories that the layer does not
//              list but needs are made 0755, root's.
// Replacing    What is in the way of an entry goes first, unless both are directories.
// Whiteouts    `.wh.NAME` hides NAME, `.wh..wh..opq` all that is in its directory: but only what the layers
//              below brought, even when the whiteout comes late in the tar. What this layer brought is in the
//              upper directory; so the upper directory is asked.
// Attributes   user.* and security.capability are kept; what an overlay would take for its own marks, and
//              what only this machine may say (trusted.*, other security.*), is left out.
// Source       OCI image specification, layer.md.
#include "reconciler/agent/unpack_entry.h"

#include <archive.h>
#include <archive_entry.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/str.h"
#include "reconciler/agent/unpack_stream.h"

#define WHITEOUT ".wh."
#define OPAQUE ".wh..wh..opq"
#define EXTRACT_FLAGS                                                                                        \
    (ARCHIVE_EXTRACT_OWNER | ARCHIVE_EXTRACT_PERM | ARCHIVE_EXTRACT_TIME | ARCHIVE_EXTRACT_XATTR |           \
     ARCHIVE_EXTRACT_SECURE_NODOTDOT | ARCHIVE_EXTRACT_UNLINK)
#define DEPTH_MAX 1000 // directories inside each other where a whiteout has to look into them

struct unpack {
    struct archive *tar;
    struct archive *disk;
    int upper_fd;
    struct unpack_counts max, counts;
    char parent[PATH_MAX]; // of the last entry: known to be there
};

// --- names ---

// Writes the name below the root, "." for the root itself, without empty parts.
static int clean_name(const char *name, char out[PATH_MAX], struct error *err) {
    size_t len = 0;
    if (name == NULL) {
        return error_set(err, ERR_INVALID, "an entry without a name");
    }
    for (const char *part = name; *part != '\0';) {
        size_t part_len = strcspn(part, "/");
        if (part_len == 2 && memcmp(part, "..", 2) == 0) {
            return error_set(err, ERR_INVALID, "'%s' leads out of the image by '..'", name);
        }
        if (part_len > 0 && !(part_len == 1 && part[0] == '.')) {
            if (len + part_len + 2 > PATH_MAX || part_len > NAME_MAX) {
                return error_set(err, ERR_INVALID, "'%.100s…' is longer than a name may be", name);
            }
            out[len] = '/';
            len += len > 0 ? 1 : 0;
            memcpy(out + len, part, part_len);
            len += part_len;
        }
        part += part_len + (part[part_len] == '/' ? 1 : 0);
    }
    out[len] = '\0';
    if (len == 0) {
        str_copy(out, PATH_MAX, ".");
    }
    return 0;
}

// Cuts the last part off `name`, which becomes its directory ("." at the top). Returns the last part, which
// lies in `buffer`.
static const char *split_name(char *name, char buffer[NAME_MAX + 1]) {
    char *slash = strrchr(name, '/');
    str_copy(buffer, NAME_MAX + 1, slash != NULL ? slash + 1 : name);
    if (slash != NULL) {
        *slash = '\0';
    } else {
        str_copy(name, PATH_MAX, ".");
    }
    return buffer;
}

// --- whiteouts ---

// Did this layer bring it? `directory` is a real path below the root.
static bool is_brought(const struct unpack *unpack, const char *directory, const char *name) {
    AUTO_FREE char *path = xasprintf(".%s/%s", directory, name);
    struct open_how how = {.flags = O_PATH | O_NOFOLLOW | O_CLOEXEC,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS};
    AUTO_CLOSE int fd = (int)syscall(SYS_openat2, unpack->upper_fd, path, &how, sizeof how);
    struct stat st;
    return fd >= 0 && fstat(fd, &st) == 0 && !(S_ISCHR(st.st_mode) && st.st_rdev == 0);
}

static int hide_children(struct unpack *unpack, int directory_fd, int depth, struct error *err);

// Hides one name of a directory, whose real path is `directory`.
static int hide(struct unpack *unpack, int directory_fd, const char *directory, const char *name, int depth,
                struct error *err) {
    if (!is_brought(unpack, directory, name)) {
        return fs_remove_tree(directory_fd, name, err);
    }
    AUTO_CLOSE int fd = openat(directory_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return fd >= 0 ? hide_children(unpack, fd, depth + 1, err) : 0;
}

// The real path of a directory, below the root of this process.
static int real_path(int directory_fd, char out[PATH_MAX], struct error *err) {
    if (fchdir(directory_fd) != 0 || getcwd(out, PATH_MAX) == NULL || chdir("/") != 0) {
        return error_sys(err, errno, "find a directory's name");
    }
    return 0;
}

static int hide_children(struct unpack *unpack, int directory_fd, int depth, struct error *err) {
    if (depth > DEPTH_MAX) {
        return error_set(err, ERR_LIMIT, "a whiteout over more than %d levels", DEPTH_MAX);
    }
    AUTO_FREE char *directory = xmalloc(PATH_MAX);
    int rc = real_path(directory_fd, directory, err);
    int list_fd = openat(directory_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *list = list_fd >= 0 ? fdopendir(list_fd) : NULL;
    if (list == NULL) {
        return error_sys(err, errno, "list %s", directory);
    }
    for (struct dirent *entry; rc == 0 && (entry = readdir(list)) != NULL;) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            rc = hide(unpack, directory_fd, directory, entry->d_name, depth, err);
        }
    }
    closedir(list);
    return rc;
}

// `name` is the whole name of the whiteout, `directory` where it lies.
static int apply_whiteout(struct unpack *unpack, const char *directory, const char *name, struct error *err) {
    const char *hidden = name + strlen(WHITEOUT);
    bool is_opaque = strcmp(name, OPAQUE) == 0;
    if (!is_opaque && (hidden[0] == '\0' || strcmp(hidden, ".") == 0 || strcmp(hidden, "..") == 0 ||
                       str_starts(hidden, WHITEOUT))) {
        return error_set(err, ERR_INVALID, "'%s/%s' is not a whiteout that a layer may have", directory,
                         name);
    }
    unpack->parent[0] = '\0';
    AUTO_CLOSE int fd = openat(AT_FDCWD, directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (unpack->upper_fd < 0 || (fd < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP))) {
        return 0; // nothing is below, or nothing is there
    }
    if (fd < 0) {
        return error_sys(err, errno, "open %s", directory);
    }
    if (is_opaque) {
        return hide_children(unpack, fd, 0, err);
    }
    AUTO_FREE char *real = xmalloc(PATH_MAX);
    int rc = real_path(fd, real, err);
    return rc == 0 ? hide(unpack, fd, real, hidden, 0, err) : rc;
}

// --- room for an entry ---

static int make_parent(const char *path, struct error *err) {
    struct stat st;
    if (stat(path, &st) == 0) {
        return S_ISDIR(st.st_mode)
                   ? 0
                   : error_set(err, ERR_INVALID, "'%s' is a file and a directory at once", path);
    }
    if (errno != ENOENT) {
        return errno == ENOTDIR || errno == ELOOP
                   ? error_set(err, ERR_INVALID, "'%s' cannot be a directory: %s", path, strerror(errno))
                   : error_sys(err, errno, "look at '%s'", path);
    }
    if (mkdir(path, 0755) != 0) {
        return errno == EEXIST
                   ? error_set(err, ERR_INVALID, "'%s' is a link to nowhere and a directory at once", path)
                   : error_sys(err, errno, "make directory '%s'", path);
    }
    return 0;
}

static int make_parents(struct unpack *unpack, const char *name, struct error *err) {
    AUTO_FREE char *path = xstrdup(name);
    char *last = strrchr(path, '/');
    if (last == NULL) {
        return 0;
    }
    *last = '\0';
    if (strcmp(path, unpack->parent) == 0) {
        return 0;
    }
    int rc = 0;
    for (char *slash = strchr(path, '/'); rc == 0 && slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        rc = make_parent(path, err);
        *slash = '/';
    }
    rc = rc == 0 ? make_parent(path, err) : rc;
    if (rc == 0) {
        str_copy(unpack->parent, sizeof unpack->parent, path);
    }
    return rc;
}

// Takes away what is in the way.
static int clear_way(struct unpack *unpack, const char *name, bool is_directory, struct error *err) {
    struct stat st;
    if (lstat(name, &st) != 0) {
        return errno == ENOENT ? 0 : error_sys(err, errno, "look at '%s'", name);
    }
    if (S_ISDIR(st.st_mode) && is_directory) {
        return 0;
    }
    if (strcmp(name, ".") == 0) {
        return error_set(err, ERR_INVALID, "the root of the image is not a directory");
    }
    unpack->parent[0] = '\0';
    return fs_remove_tree(AT_FDCWD, name, err);
}

// --- one entry ---

static bool is_kept_attribute(const char *name) {
    return strcmp(name, "security.capability") == 0 ||
           (str_starts(name, "user.") && !str_starts(name, "user.overlay."));
}

static void filter_attributes(struct archive_entry *entry) {
    struct archive_entry *all = archive_entry_clone(entry);
    const char *name;
    const void *value;
    size_t len;
    archive_entry_xattr_clear(entry);
    archive_entry_xattr_reset(all);
    while (archive_entry_xattr_next(all, &name, &value, &len) == ARCHIVE_OK) {
        if (is_kept_attribute(name)) {
            archive_entry_xattr_add_entry(entry, name, value, len);
        }
    }
    archive_entry_free(all);
}

static int check_kind(const struct unpack *unpack, struct archive_entry *entry, const char *name,
                      struct error *err) {
    mode_t kind = archive_entry_filetype(entry);
    if (archive_entry_hardlink(entry) != NULL) {
        return 0;
    }
    if (kind == S_IFCHR && archive_entry_rdev(entry) == 0) {
        return error_set(err, ERR_INVALID, "'%s' is a device 0:0, an overlay's own mark", name);
    }
    if (kind == S_IFREG || kind == S_IFDIR || kind == S_IFLNK || kind == S_IFCHR || kind == S_IFBLK ||
        kind == S_IFIFO) {
        int64_t size = kind == S_IFREG ? archive_entry_size(entry) : 0;
        return size < 0 || size > unpack->max.bytes - unpack->counts.bytes
                   ? error_set(err, ERR_LIMIT, "'%s': the files are more than %lld MiB", name,
                               (long long)(unpack->max.bytes / MIB))
                   : 0;
    }
    return error_set(err, ERR_INVALID, "'%s' is of no kind that a layer may have", name);
}

static int write_failure(struct unpack *unpack, const char *name, struct error *err) {
    int sys = archive_errno(unpack->disk);
    const char *text = archive_error_string(unpack->disk);
    if (sys == ENOSPC || sys == EDQUOT || sys == EIO || sys == EROFS || sys == ENOMEM || sys == EMFILE) {
        return error_sys(err, sys, "write '%s'", name);
    }
    return error_set(err, ERR_INVALID, "write '%s': %s", name, text != NULL ? text : "no reason given");
}

// A file system without such attributes is no reason to refuse the image.
static bool is_written(struct unpack *unpack, int status) {
    return status == ARCHIVE_OK || (status == ARCHIVE_WARN && archive_errno(unpack->disk) == ENOTSUP);
}

static int copy_data(struct unpack *unpack, struct unpack_stream *stream, const char *name,
                     struct error *err) {
    for (;;) {
        const void *data;
        size_t len;
        la_int64_t offset;
        int status = archive_read_data_block(unpack->tar, &data, &len, &offset);
        if (status == ARCHIVE_EOF) {
            return 0;
        }
        if (status < ARCHIVE_WARN) {
            return error_wrap(err, unpack_stream_failure(stream, err), "read '%s'", name);
        }
        if (archive_write_data_block(unpack->disk, data, len, offset) < ARCHIVE_OK) {
            return write_failure(unpack, name, err);
        }
    }
}

// Where a hard link leads: below the root as well. 1: to itself, which is there already.
static int clean_link(struct archive_entry *entry, const char *name, struct error *err) {
    const char *link = archive_entry_hardlink(entry);
    if (link == NULL) {
        return 0;
    }
    AUTO_FREE char *target = xmalloc(PATH_MAX);
    int rc = clean_name(link, target, err);
    if (rc != 0) {
        return error_wrap(err, rc, "hard link '%s'", name);
    }
    struct stat st;
    if (strcmp(target, name) == 0) {
        return 1;
    }
    if (lstat(target, &st) != 0 || S_ISDIR(st.st_mode)) {
        return error_set(err, ERR_INVALID, "hard link '%s': no file '%s' in the image", name, target);
    }
    archive_entry_set_hardlink(entry, target);
    return 0;
}

static int write_entry(struct unpack *unpack, struct unpack_stream *stream, struct archive_entry *entry,
                       const char *name, struct error *err) {
    int rc = check_kind(unpack, entry, name, err);
    rc = rc == 0 ? clean_link(entry, name, err) : rc;
    if (rc != 0) {
        return rc > 0 ? 0 : rc;
    }
    rc = make_parents(unpack, name, err);
    rc = rc == 0 ? clear_way(unpack, name, archive_entry_filetype(entry) == S_IFDIR, err) : rc;
    if (rc != 0) {
        return rc;
    }
    if (archive_entry_size_is_set(entry) && archive_entry_filetype(entry) == S_IFREG) {
        unpack->counts.bytes += archive_entry_size(entry);
    }
    archive_entry_set_pathname(entry, name);
    filter_attributes(entry);
    if (!is_written(unpack, archive_write_header(unpack->disk, entry))) {
        return write_failure(unpack, name, err);
    }
    if (archive_entry_size(entry) > 0) {
        rc = copy_data(unpack, stream, name, err);
    }
    return rc == 0 && !is_written(unpack, archive_write_finish_entry(unpack->disk))
               ? write_failure(unpack, name, err)
               : rc;
}

static int take_entry(struct unpack *unpack, struct unpack_stream *stream, struct archive_entry *entry,
                      struct error *err) {
    AUTO_FREE char *name = xmalloc(PATH_MAX);
    char last[NAME_MAX + 1];
    if (++unpack->counts.entries > unpack->max.entries) {
        return error_set(err, ERR_LIMIT, "more than %lld entries", (long long)unpack->max.entries);
    }
    int rc = clean_name(archive_entry_pathname(entry), name, err);
    if (rc != 0) {
        return rc;
    }
    const char *slash = strrchr(name, '/');
    if (str_starts(slash != NULL ? slash + 1 : name, WHITEOUT)) {
        split_name(name, last);
        return apply_whiteout(unpack, name, last, err);
    }
    return write_entry(unpack, stream, entry, name, err);
}

static int take_entries(struct unpack *unpack, struct unpack_stream *stream, struct error *err) {
    struct archive_entry *entry;
    int rc = 0;
    while (rc == 0) {
        int status = archive_read_next_header(unpack->tar, &entry);
        if (status == ARCHIVE_EOF) {
            break;
        }
        rc = status < ARCHIVE_WARN ? unpack_stream_failure(stream, err)
                                   : take_entry(unpack, stream, entry, err);
    }
    // Modes and times of directories are set at the close, when nothing is written into them any more.
    if (rc == 0 && !is_written(unpack, archive_write_close(unpack->disk))) {
        rc = write_failure(unpack, "directories", err);
    }
    return rc;
}

int unpack_entries(struct unpack_stream *stream, int upper_fd, const struct unpack_counts *max,
                   struct unpack_counts *out, struct error *err) {
    struct unpack *unpack = NEW(struct unpack);
    unpack->tar = unpack_stream_tar(stream);
    unpack->disk = archive_write_disk_new();
    unpack->upper_fd = upper_fd;
    unpack->max = *max;
    int rc = unpack->disk == NULL ? error_set(err, ERR_SYSTEM, "no memory") : 0;
    if (rc == 0) {
        archive_write_disk_set_options(unpack->disk, EXTRACT_FLAGS);
        rc = take_entries(unpack, stream, err);
    }
    if (rc == 0) {
        *out = unpack->counts;
    }
    archive_write_free(unpack->disk);
    xfree(unpack);
    return rc;
}
