// SPDX-License-Identifier: Apache-2.0
//
// reconciler/agent/image_record.c — records of images and holds as small files.
#include "reconciler/agent/image_record.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/str.h"
#include "reconciler/agent/image_layout.h"

#define RECORD_BYTES_MAX 16384

int image_record_write(const char *path, const struct image_record *record, struct error *err) {
    AUTO_BUF text = {0};
    buf_addf(&text, "format=1\nreference=%s\nmanifest=%s\nmtime_ns=%lld\nbytes=%lld\ninode=%lld\nend=1\n",
             record->reference, record->manifest, (long long)record->identity.mtime_ns,
             (long long)record->identity.bytes, (long long)record->identity.inode);
    return fs_replace(AT_FDCWD, path, text.data, text.len, 0600, /*sync=*/false, err);
}

// Cuts the value of the next line off `*rest`; NULL when the line is not `name=…`.
static const char *take(char **rest, const char *name) {
    char *line = *rest;
    char *end = strchr(line, '\n');
    size_t len = strlen(name);
    if (end == NULL || strncmp(line, name, len) != 0 || line[len] != '=') {
        return NULL;
    }
    *end = '\0';
    *rest = end + 1;
    return line + len + 1;
}

static bool take_number(char **rest, const char *name, int64_t *out) {
    const char *value = take(rest, name);
    return value != NULL && str_to_int(value, out);
}

int image_record_read(const char *path, struct arena *arena, struct image_record *out, struct error *err) {
    AUTO_BUF text = {0};
    int64_t format = 0;
    int64_t end = 0;
    struct image_record record = {0};
    int rc = fs_read(AT_FDCWD, path, RECORD_BYTES_MAX, &text, err);
    if (rc != 0) {
        return rc;
    }
    char *rest = arena_strndup(arena, buf_text(&text), text.len);
    bool is_whole = take_number(&rest, "format", &format) && format == 1 &&
                    (record.reference = take(&rest, "reference")) != NULL &&
                    (record.manifest = take(&rest, "manifest")) != NULL && image_is_digest(record.manifest) &&
                    take_number(&rest, "mtime_ns", &record.identity.mtime_ns) &&
                    take_number(&rest, "bytes", &record.identity.bytes) &&
                    take_number(&rest, "inode", &record.identity.inode) && take_number(&rest, "end", &end);
    if (!is_whole) {
        return error_set(err, ERR_CORRUPT, "read %s: damaged, or of a newer version", path);
    }
    *out = record;
    return 0;
}

void image_record_touch(const char *path) {
    utimensat(AT_FDCWD, path, NULL, 0);
}

int image_identity_read(const char *path, struct image_identity *out, struct error *err) {
    struct stat st;
    if (stat(path, &st) != 0) {
        return errno == ENOENT || errno == ENOTDIR ? error_set(err, ERR_NOT_FOUND, "%s: no such file", path)
                                                   : error_sys(err, errno, "look at %s", path);
    }
    *out = (struct image_identity){.mtime_ns = (int64_t)st.st_mtim.tv_sec * NS_PER_S + st.st_mtim.tv_nsec,
                                   .bytes = (int64_t)st.st_size,
                                   .inode = (int64_t)st.st_ino};
    return 0;
}

bool image_identity_equal(const struct image_identity *a, const struct image_identity *b) {
    return a->mtime_ns == b->mtime_ns && a->bytes == b->bytes && a->inode == b->inode;
}
