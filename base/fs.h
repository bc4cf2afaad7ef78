// SPDX-License-Identifier: Apache-2.0
//
// base/fs.h — files done safely: whole-file reads under a limit, atomic replacement, recursive removal that
// never crosses a mount.
//
// All descriptors are O_CLOEXEC. Paths are borrowed.
#ifndef MUSTER_BASE_FS_H
#define MUSTER_BASE_FS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/error.h"

// Appends the whole file. -ERR_NOT_FOUND, -ERR_LIMIT when it is longer than max, -ERR_SYSTEM. dir_fd may be
// AT_FDCWD.
int fs_read(int dir_fd, const char *path, size_t max_bytes, struct buf *out, struct error *err);

// Writes to `path`.tmp, optionally syncs file and directory, renames into place: a reader sees the old or
// the new content.
int fs_replace(int dir_fd, const char *path, const void *data, size_t len, mode_t mode, bool sync,
               struct error *err);

// mkdir -p with the mode for new directories.
int fs_make_dirs(const char *path, mode_t mode, struct error *err);

// Removes a tree; absent is fine. Does not follow symlinks and does not cross into another mount (fails
// with -ERR_BUSY and names it).
int fs_remove_tree(int dir_fd, const char *path, struct error *err);

bool fs_exists(const char *path);

// Writes all bytes, resuming after short writes and EINTR. 0, or -1 with errno.
int fs_write_all(int fd, const void *data, size_t len);

#endif
