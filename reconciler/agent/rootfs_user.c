// SPDX-License-Identifier: Apache-2.0
//
// reconciler/agent/rootfs_user.c — reads passwd and group files line by line.
#include "reconciler/agent/rootfs_user.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/str.h"
#include "reconciler/agent/rootfs.h"

#define FILE_BYTES_MAX ((size_t)1024 * 1024)
#define FIELDS_MAX 7
#define NUMBER_MAX (UINT32_MAX - 1) // -1 means "leave as it is" to the kernel

// --- files ---

// Absent reads as empty.
static int read_inside(int root_fd, const char *path, struct buf *out, struct error *err) {
    struct stat st;
    // Without waiting: it might be a FIFO.
    AUTO_CLOSE int fd = rootfs_open(root_fd, path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) {
        return errno == ENOENT || errno == ENOTDIR ? 0 : error_sys(err, errno, "open %s of the image", path);
    }
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size > (off_t)FILE_BYTES_MAX) {
        return error_set(err, ERR_INVALID, "%s of the image is not a plain file of at most 1 MiB", path);
    }
    for (;;) {
        char *at = buf_reserve(out, 4096);
        ssize_t got = at != NULL && out->len < FILE_BYTES_MAX ? read(fd, at, 4096) : 0;
        if (got < 0) {
            return error_sys(err, errno, "read %s of the image", path);
        }
        if (got == 0) {
            return 0;
        }
        out->len += (size_t)got;
        out->data[out->len] = '\0';
    }
}

// Takes the next line off `*at`, cut at its colons. Returns how many fields it has; 0 at the end.
static size_t next_line(char **at, char *fields[FIELDS_MAX]) {
    char *line = *at;
    if (line == NULL || *line == '\0') {
        return 0;
    }
    char *end = strchr(line, '\n');
    if (end != NULL) {
        *end = '\0';
    }
    *at = end != NULL ? end + 1 : NULL;
    size_t count = 0;
    while (line != NULL && count < FIELDS_MAX) {
        fields[count++] = line;
        line = strchr(line, ':');
        if (line != NULL) {
            *line++ = '\0';
        }
    }
    return count;
}

static bool to_number(const char *text, uint32_t *out) {
    int64_t number;
    if (!str_to_int(text, &number) || number < 0 || number > NUMBER_MAX) {
        return false;
    }
    *out = (uint32_t)number;
    return true;
}

static bool is_all_digits(const char *text) {
    return text[0] != '\0' && text[strspn(text, "0123456789")] == '\0';
}

// --- looking up ---

// The first entry with this name, or this number. `name` gets its name, allocated, when asked for.
static bool find_user(const struct buf *passwd, const char *wanted, struct rootfs_user *out, char **name) {
    AUTO_FREE char *copy = xstrdup(buf_text(passwd));
    char *fields[FIELDS_MAX];
    uint32_t number = 0;
    bool is_number = to_number(wanted, &number);
    char *at = copy;
    for (size_t count; (count = next_line(&at, fields)) > 0;) {
        uint32_t uid;
        uint32_t gid;
        if (count < 4 || fields[0][0] == '\0' || !to_number(fields[2], &uid) || !to_number(fields[3], &gid)) {
            continue;
        }
        if (str_equal(fields[0], wanted) || (is_number && uid == number)) {
            out->uid = uid;
            out->gid = gid;
            *name = xstrdup(fields[0]);
            return true;
        }
    }
    return false;
}

static bool find_group(const struct buf *group, const char *wanted, uint32_t *out) {
    AUTO_FREE char *copy = xstrdup(buf_text(group));
    char *fields[FIELDS_MAX];
    char *at = copy;
    for (size_t count; (count = next_line(&at, fields)) > 0;) {
        uint32_t gid;
        if (count >= 3 && str_equal(fields[0], wanted) && to_number(fields[2], &gid)) {
            *out = gid;
            return true;
        }
    }
    return to_number(wanted, out);
}

static int add_group(struct rootfs_user *user, uint32_t gid, struct error *err) {
    for (size_t i = 0; i < user->group_count; i++) {
        if (user->groups[i] == gid) {
            return 0;
        }
    }
    if (user->group_count == ROOTFS_USER_GROUPS_MAX) {
        return error_set(err, ERR_LIMIT, "more than %d groups", ROOTFS_USER_GROUPS_MAX);
    }
    user->groups[user->group_count++] = gid;
    return 0;
}

static bool lists(char *members, const char *name) {
    for (char *member = members; member != NULL;) {
        char *comma = strchr(member, ',');
        if (comma != NULL) {
            *comma++ = '\0';
        }
        if (str_equal(member, name)) {
            return true;
        }
        member = comma;
    }
    return false;
}

static int add_memberships(const struct buf *group, const char *name, struct rootfs_user *user,
                           struct error *err) {
    AUTO_FREE char *copy = xstrdup(buf_text(group));
    char *fields[FIELDS_MAX];
    char *at = copy;
    int rc = 0;
    for (size_t count; rc == 0 && (count = next_line(&at, fields)) > 0;) {
        uint32_t gid;
        if (count >= 4 && to_number(fields[2], &gid) && lists(fields[3], name)) {
            rc = add_group(user, gid, err);
        }
    }
    return rc;
}

static int find_named(const struct buf *passwd, const struct buf *group, const char *user_part,
                      const char *group_part, struct rootfs_user *out, struct error *err) {
    AUTO_FREE char *name = NULL;
    if (user_part[0] != '\0' && !find_user(passwd, user_part, out, &name) &&
        !to_number(user_part, &out->uid)) {
        return is_all_digits(user_part)
                   ? error_set(err, ERR_INVALID, "user %s: ids go up to %u", user_part, NUMBER_MAX)
                   : error_set(err, ERR_NOT_FOUND, "user '%s' is not in the image's /etc/passwd", user_part);
    }
    if (group_part == NULL) {
        return name != NULL ? add_memberships(group, name, out, err) : 0;
    }
    return find_group(group, group_part, &out->gid)
               ? 0
               : error_set(err, ERR_NOT_FOUND, "group '%s' is not in the image's /etc/group", group_part);
}

int rootfs_user_find(int root_fd, const char *user, const struct strings *group_add, struct rootfs_user *out,
                     struct error *err) {
    AUTO_BUF passwd = buf_make(2 * FILE_BYTES_MAX);
    AUTO_BUF group = buf_make(2 * FILE_BYTES_MAX);
    AUTO_FREE char *user_part = xstrdup(user);
    struct rootfs_user found = {0};
    char *colon = strchr(user_part, ':');
    if (colon != NULL) {
        *colon++ = '\0';
    }
    if (colon != NULL && colon[0] == '\0') {
        colon = NULL;
    }
    int rc = read_inside(root_fd, "/etc/passwd", &passwd, err);
    rc = rc == 0 ? read_inside(root_fd, "/etc/group", &group, err) : rc;
    rc = rc == 0 ? find_named(&passwd, &group, user_part[0] == '\0' ? "0" : user_part, colon, &found, err)
                 : rc;
    for (size_t i = 0; rc == 0 && i < group_add->count; i++) {
        uint32_t gid;
        rc = find_group(&group, group_add->items[i], &gid)
                 ? add_group(&found, gid, err)
                 : error_set(err, ERR_NOT_FOUND, "group '%s' of group_add is not in the image's /etc/group",
                             group_add->items[i]);
    }
    if (rc == 0) {
        *out = found;
    }
    return rc;
}
