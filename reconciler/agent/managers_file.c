// SPDX-License-Identifier: Apache-2.0
//
// reconciler/agent/managers_file.c — where the managers are, on disk.
//
// Format       version 1, little-endian; golden copy: test/golden/format/v1/managers
//
//                  offset  bytes
//                       0      8  "musterMG"
//                       8      4  version
//                      12      4  CRC-32C of all that follows
//                      16         managers_file (binary form of specs/schema.h)
#include "reconciler/agent/managers_file.h"

#include <endian.h>
#include <fcntl.h>
#include <string.h>

#include "base/crc32c.h"
#include "base/fs.h"
#include "base/limits.h"
#include "base/mem.h"
#include "specs/row.h"

#define MAGIC "musterMG"
#define VERSION 1
#define FILE_BYTES_MAX ((size_t)64 * KIB)

struct head {
    char magic[8];
    uint32_t version, crc;
};
_Static_assert(sizeof(struct head) == 16, "as the format says");

static const struct field fields[] = {
    ID(struct managers_file, 1, cluster_id, .help = "The cluster."),
    STRINGS(struct managers_file, 2, addresses, .help = "Addresses of its managers."),
};
static const struct schema schema =
    SCHEMA("managers_file", struct managers_file, fields, .help = "Where managers are.");

void managers_file_encode(const struct managers_file *file, struct buf *out) {
    struct head head = {.magic = MAGIC, .version = htole32(VERSION)};
    AUTO_BUF body = {0};
    wire_encode(&schema, file, &body);
    head.crc = htole32(crc32c(0, buf_text(&body), body.len));
    buf_add(out, &head, sizeof head);
    buf_add(out, buf_text(&body), body.len);
}

static int check_head(const struct head *head, struct bytes body, struct error *err) {
    if (memcmp(head->magic, MAGIC, sizeof head->magic) != 0) {
        return error_set(err, ERR_CORRUPT, "not a list of managers");
    }
    if (le32toh(head->version) != VERSION) {
        return error_set(err, ERR_CORRUPT, "version %u of the format; this muster knows %d",
                         le32toh(head->version), VERSION);
    }
    if (crc32c(0, body.data, body.len) != le32toh(head->crc)) {
        return error_set(err, ERR_CORRUPT, "the checksum is wrong");
    }
    return 0;
}

int managers_file_decode(struct bytes in, struct managers_file *out, struct arena *arena, struct error *err) {
    struct head head;
    struct managers_file file;
    if (in.len < sizeof head) {
        return error_set(err, ERR_CORRUPT, "not a list of managers (%zu bytes)", in.len);
    }
    memcpy(&head, in.data, sizeof head);
    struct bytes body = {in.data + sizeof head, in.len - sizeof head};
    int rc = check_head(&head, body, err);
    body.data = arena_copy(arena, body.data, body.len);
    rc = rc < 0 ? rc : wire_decode(&schema, body, &file, arena, err);
    if (rc == 0) {
        *out = file;
    }
    return rc;
}

int managers_file_write(const char *state_dir, const struct managers_file *file, struct error *err) {
    AUTO_FREE char *path = xasprintf("%s/managers", state_dir);
    AUTO_BUF out = {0};
    managers_file_encode(file, &out);
    int rc = fs_replace(AT_FDCWD, path, out.data, out.len, 0600, /*sync=*/true, err);
    return error_wrap(err, rc, "keep the list of managers");
}

int managers_file_read(const char *state_dir, struct managers_file *out, struct arena *arena,
                       struct error *err) {
    AUTO_FREE char *path = xasprintf("%s/managers", state_dir);
    AUTO_BUF in = {0};
    int rc = fs_read(AT_FDCWD, path, FILE_BYTES_MAX, &in, err);
    rc = rc < 0 ? rc : managers_file_decode(buf_bytes(&in), out, arena, err);
    return error_wrap(err, rc, "read the list of managers");
}

int managers_file_forget(const char *state_dir, struct error *err) {
    AUTO_FREE char *path = xasprintf("%s/managers", state_dir);
    return error_wrap(err, fs_remove_tree(AT_FDCWD, path, err), "forget the list of managers");
}
