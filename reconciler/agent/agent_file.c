// SPDX-License-Identifier: Apache-2.0
//
// reconciler/agent/agent_file.c — what an agent keeps of each task on disk: its assignment and how far it
// came.
//
// Format       version 1, little-endian; golden copy: test/golden/format/v1/agent-assignment
//
//                  offset  bytes
//                       0      8  "musterAF"
//                       8      4  version
//                      12      4  CRC-32C of all that follows
//                      16      4  length of the status
//                      20         task_status, then assignment to the end (binary form of specs/schema.h)
#include "reconciler/agent/agent_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "base/fs.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/str.h"

#define MAGIC "musterAF"
enum { VERSION = 1, MAGIC_LEN = 8, HEAD_LEN = 20, CHECKED_FROM = 16 };
#define FILE_BYTES_MAX ((size_t)2 * OBJECT_BYTES_MAX)

static void put_u32(char *at, uint32_t value) {
    for (int i = 0; i < 4; i++) {
        at[i] = (char)(value >> (8 * i));
    }
}

static uint32_t get_u32(const uint8_t *at) {
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

void agent_file_encode(const struct agent_file *file, struct buf *out) {
    char head[HEAD_LEN] = MAGIC;
    AUTO_BUF status = {0};
    wire_encode(&task_status_schema, &file->status, &status);
    put_u32(head + 8, VERSION);
    put_u32(head + 16, (uint32_t)status.len);
    uint32_t crc = crc32c(0, head + CHECKED_FROM, HEAD_LEN - CHECKED_FROM);
    crc = crc32c(crc, buf_text(&status), status.len);
    crc = crc32c(crc, file->assignment.data, file->assignment.len);
    put_u32(head + 12, crc);
    buf_add(out, head, HEAD_LEN);
    buf_add(out, buf_text(&status), status.len);
    buf_add(out, file->assignment.data, file->assignment.len);
}

static int check_head(struct bytes in, struct error *err) {
    if (in.len < HEAD_LEN || memcmp(in.data, MAGIC, MAGIC_LEN) != 0) {
        return error_set(err, ERR_CORRUPT, "not a kept assignment (%zu bytes)", in.len);
    }
    if (get_u32(in.data + 8) != VERSION) {
        return error_set(err, ERR_CORRUPT, "version %u of the format; this muster knows %d",
                         get_u32(in.data + 8), VERSION);
    }
    if (crc32c(0, in.data + CHECKED_FROM, in.len - CHECKED_FROM) != get_u32(in.data + 12)) {
        return error_set(err, ERR_CORRUPT, "the checksum is wrong");
    }
    if (get_u32(in.data + 16) > in.len - HEAD_LEN) {
        return error_set(err, ERR_CORRUPT, "the status is longer than the file");
    }
    return 0;
}

int agent_file_decode(struct bytes in, const struct id *id, struct agent_file *out,
                      struct assignment *assignment, struct arena *arena, struct error *err) {
    int rc = check_head(in, err);
    if (rc < 0) {
        return rc;
    }
    uint32_t status_len = get_u32(in.data + 16);
    struct bytes status = {in.data + HEAD_LEN, status_len};
    struct bytes rest = {in.data + HEAD_LEN + status_len, in.len - HEAD_LEN - status_len};
    struct agent_file file = {.assignment = {arena_copy(arena, rest.data, rest.len), rest.len}};
    rc = wire_decode(&task_status_schema, status, &file.status, arena, err);
    rc = rc < 0 ? rc : wire_decode(&assignment_schema, file.assignment, assignment, arena, err);
    if (rc < 0) {
        return rc;
    }
    if (!id_equal(&assignment->task.meta.id, id)) {
        return error_set(err, ERR_CORRUPT, "it is of task %s", assignment->task.meta.id.text);
    }
    *out = file;
    return 0;
}

int agent_file_open_dir(const char *state_dir, int *out_fd, struct error *err) {
    AUTO_FREE char *path = xasprintf("%s/assignments", state_dir);
    int rc = fs_make_dirs(path, 0700, err);
    if (rc < 0) {
        return rc;
    }
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return error_sys(err, errno, "open %s", path);
    }
    *out_fd = fd;
    return 0;
}

int agent_file_write(int dir_fd, const struct id *id, const struct agent_file *file, struct error *err) {
    AUTO_BUF out = {0};
    agent_file_encode(file, &out);
    int rc = fs_replace(dir_fd, id->text, out.data, out.len, 0600, /* sync */ false, err);
    return error_wrap(err, rc, "keep the assignment");
}

int agent_file_read(int dir_fd, const struct id *id, struct agent_file *out, struct assignment *assignment,
                    struct arena *arena, struct error *err) {
    AUTO_BUF in = {0};
    int rc = fs_read(dir_fd, id->text, FILE_BYTES_MAX, &in, err);
    return rc < 0 ? rc : agent_file_decode(buf_bytes(&in), id, out, assignment, arena, err);
}

void agent_file_remove(int dir_fd, const struct id *id) {
    (void)unlinkat(dir_fd, id->text, 0); // what cannot be removed is found by the next daemon, and released
}

int agent_file_each(int dir_fd, agent_file_each_fn each, void *context, struct error *err) {
    int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (dir == NULL) {
        int cause = errno;
        close_at(&fd);
        return error_sys(err, cause, "list the kept assignments");
    }
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        struct id id;
        if (id_parse(entry->d_name, &id)) {
            each(context, &id);
        } else if (str_ends(entry->d_name, ".tmp")) {
            (void)unlinkat(dir_fd, entry->d_name, 0);
        }
    }
    closedir(dir);
    return 0;
}
