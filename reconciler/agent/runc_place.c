// SPDX-License-Identifier: Apache-2.0
//
// reconciler/agent/runc_place.c — paths, small files, and undoing in the right order.
//
// Undoing      What `runc delete --force` does is done here, in process: kill the group, remove it, remove
//              runc's directory of the container. It is faster, and works when runc hangs or is gone. The
//              order keeps the record to the last, so that whatever is interrupted is known to the next
//              start.
#include "reconciler/agent/runc_place.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#include "base/clock.h"
#include "base/crc32c.h"
#include "base/fs.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/str.h"
#include "reconciler/agent/content_files.h"
#include "reconciler/agent/rootfs.h"

#define KILL_LOOK_MS 2
#define KILL_LOOKS_MAX 500
#define STATE_DIR_BYTES_MAX 160 // its paths must fit into options of a mount
#define FILE_BYTES_MAX ((size_t)8192)
#define RECORD_BYTES_MAX ((size_t)OBJECT_BYTES_MAX * 2)
#define RECORD_HEAD "version=1\nboot="

// --- paths ---

static void read_boot(char *out, size_t out_bytes) {
    AUTO_BUF text = {0};
    if (fs_read(AT_FDCWD, "/proc/sys/kernel/random/boot_id", 64, &text, NULL) != 0 || text.len == 0) {
        str_copy(out, out_bytes, "unknown");
        return;
    }
    text.data[strcspn(text.data, "\n")] = '\0';
    if (!str_copy(out, out_bytes, text.data)) {
        str_copy(out, out_bytes, "unknown");
    }
}

static int check_dir(const char *path, struct error *err) {
    if (path[0] != '/' || strlen(path) > STATE_DIR_BYTES_MAX || strpbrk(path, ":,\\\" ") != NULL) {
        return error_set(
            err, ERR_INVALID,
            "directory '%s': it must be absolute, of at most %d bytes, without : , \\ \" or blanks", path,
            STATE_DIR_BYTES_MAX);
    }
    return 0;
}

int runc_place_init(struct runc_place *place, const char *state_dir, const char *run_dir, struct error *err) {
    int rc = check_dir(state_dir, err);
    rc = rc == 0 ? check_dir(run_dir, err) : rc;
    if (rc < 0) {
        return rc;
    }
    place->state_dir = xstrdup(state_dir);
    place->run_dir = xstrdup(run_dir);
    place->runc_root = xasprintf("%s/runc", run_dir);
    place->volumes_dir = xasprintf("%s/volumes", state_dir);
    place->group_parent = str_equal(state_dir, RUNC_PLACE_DEFAULT_STATE_DIR)
                              ? xstrdup("/muster")
                              : xasprintf("/muster-%08x", crc32c(0, state_dir, strlen(state_dir)));
    read_boot(place->boot, sizeof place->boot);
    AUTO_FREE char *tasks = xasprintf("%s/tasks", state_dir);
    AUTO_FREE char *bundles = xasprintf("%s/tasks", run_dir);
    const char *const all[] = {tasks, bundles, place->runc_root, place->volumes_dir};
    for (size_t i = 0; rc == 0 && i < sizeof all / sizeof *all; i++) {
        rc = fs_make_dirs(all[i], 0711, err);
    }
    if (rc < 0) {
        runc_place_deinit(place);
    }
    return rc;
}

void runc_place_deinit(struct runc_place *place) {
    xfree(place->state_dir);
    xfree(place->run_dir);
    xfree(place->runc_root);
    xfree(place->volumes_dir);
    xfree(place->group_parent);
    *place = (struct runc_place){0};
}

struct runc_path runc_place_path(const struct runc_place *place, const char *id, enum runc_place_root root,
                                 const char *name) {
    struct runc_path path;
    const char *slash = name[0] != '\0' ? "/" : "";
    switch (root) {
    case RUNC_STATE:
        snprintf(path.text, sizeof path.text, "%s/tasks/%s%s%s", place->state_dir, id, slash, name);
        break;
    case RUNC_RUN:
        snprintf(path.text, sizeof path.text, "%s/tasks/%s%s%s", place->run_dir, id, slash, name);
        break;
    case RUNC_SHIM:
        snprintf(path.text, sizeof path.text, "%s/tasks/%s/shim%s%s", place->run_dir, id, slash, name);
        break;
    case RUNC_OWN:
        snprintf(path.text, sizeof path.text, "%s/%s%s%s", place->runc_root, id, slash, name);
        break;
    case RUNC_GROUP:
        snprintf(path.text, sizeof path.text, "%s/%s", place->group_parent, id);
        break;
    }
    return path;
}

// --- the record ---

int runc_place_record(const struct runc_place *place, const struct assignment *assignment,
                      struct error *err) {
    const char *id = assignment->task.meta.id.text;
    AUTO_BUF text = buf_make(RECORD_BYTES_MAX);
    buf_addf(&text, RECORD_HEAD "%s\n\n", place->boot);
    wire_encode(&assignment_schema, assignment, &text);
    int rc = fs_make_dirs(runc_place_path(place, id, RUNC_STATE, "").text, 0700, err);
    return rc == 0 ? fs_replace(AT_FDCWD, runc_place_path(place, id, RUNC_STATE, "executor").text,
                                buf_text(&text), text.len, 0600, /*sync=*/false, err)
                   : rc;
}

static int decode_record(const struct runc_place *place, const struct buf *text, struct arena *arena,
                         struct runc_record *out, struct error *err) {
    const char *end = strstr(buf_text(text), "\n\n");
    size_t head = strlen(RECORD_HEAD);
    if (!str_starts(buf_text(text), RECORD_HEAD) || end == NULL) {
        return error_set(err, ERR_CORRUPT, "its head is damaged");
    }
    size_t boot = (size_t)(end - text->data) - head;
    out->is_this_boot = boot == strlen(place->boot) && memcmp(text->data + head, place->boot, boot) == 0;
    out->assignment = ARENA_NEW(arena, struct assignment);
    size_t at = (size_t)(end + 2 - text->data);
    uint8_t *bytes = arena_copy(arena, text->data + at, text->len - at);
    return wire_decode(&assignment_schema, (struct bytes){bytes, text->len - at}, out->assignment, arena,
                       err);
}

int runc_place_read_record(const struct runc_place *place, const char *id, struct arena *arena,
                           struct runc_record *out, struct error *err) {
    AUTO_BUF text = buf_make(RECORD_BYTES_MAX + 1);
    struct runc_record found = {0};
    int rc = fs_read(AT_FDCWD, runc_place_path(place, id, RUNC_STATE, "executor").text, RECORD_BYTES_MAX,
                     &text, err);
    if (rc == -ERR_NOT_FOUND) {
        found.is_removed = fs_exists(runc_place_path(place, id, RUNC_STATE, "removed").text);
        *out = found.is_removed ? found : *out;
        return found.is_removed ? 0 : rc;
    }
    rc = rc == 0 ? decode_record(place, &text, arena, &found, err) : rc;
    if (rc < 0) {
        return error_wrap(err, rc, "record of task %s", id);
    }
    *out = found;
    return 0;
}

// --- undoing ---

int runc_place_end(const struct runc_place *place, const struct cgroups *cgroups, const char *id,
                   struct error *err) {
    struct runc_path group = runc_place_path(place, id, RUNC_GROUP, "");
    if (!cgroups_kill(cgroups, group.text)) {
        return error_set(err, ERR_BUSY, "processes of task %s are still ending", id);
    }
    int rc = cgroups_remove(cgroups, group.text, err);
    rc = rc == 0 ? fs_remove_tree(AT_FDCWD, runc_place_path(place, id, RUNC_OWN, "").text, err) : rc;
    rc = rc == 0 ? rootfs_unmount(runc_place_path(place, id, RUNC_RUN, "rootfs").text, err) : rc;
    return rc == 0 ? content_files_unmount(runc_place_path(place, id, RUNC_RUN, CONTENT_FILES_NAME).text, err)
                   : rc;
}

int runc_place_wipe(const struct runc_place *place, const struct cgroups *cgroups, const char *id,
                    struct error *err) {
    int rc = runc_place_end(place, cgroups, id, err);
    return rc == 0 ? fs_remove_tree(AT_FDCWD, runc_place_path(place, id, RUNC_RUN, "").text, err) : rc;
}

static int remove_logs(const struct runc_place *place, const char *id, struct error *err) {
    int rc = fs_remove_tree(AT_FDCWD, runc_place_path(place, id, RUNC_STATE, "log").text, err);
    for (int i = 1; rc == 0 && i <= 100; i++) {
        char name[16];
        snprintf(name, sizeof name, "log.%d", i);
        struct runc_path path = runc_place_path(place, id, RUNC_STATE, name);
        if (unlink(path.text) != 0 && errno == ENOENT) {
            break; // rotation leaves no gaps
        }
    }
    return rc;
}

int runc_place_remove(const struct runc_place *place, const struct cgroups *cgroups, const char *id,
                      struct error *err) {
    static const char *const own[] = {"upper", "work", "volumes"};
    struct runc_path mark = runc_place_path(place, id, RUNC_STATE, "removed");
    struct runc_path directory = runc_place_path(place, id, RUNC_STATE, "");
    rename(runc_place_path(place, id, RUNC_STATE, "executor").text, mark.text);
    int rc = runc_place_wipe(place, cgroups, id, err);
    for (size_t i = 0; rc == 0 && i < sizeof own / sizeof *own; i++) {
        rc = fs_remove_tree(AT_FDCWD, runc_place_path(place, id, RUNC_STATE, own[i]).text, err);
    }
    rc = rc == 0 ? remove_logs(place, id, err) : rc;
    if (rc == 0 && unlink(mark.text) != 0 && errno != ENOENT) {
        rc = error_sys(err, errno, "remove %s", mark.text);
    }
    if (rc == 0 && rmdir(directory.text) != 0 && errno != ENOENT && errno != ENOTEMPTY && errno != EEXIST) {
        rc = error_sys(err, errno, "remove %s", directory.text);
    }
    return rc;
}

// Arguments are separated by NULs; runc's last one is the id.
static bool is_our_runc(const struct runc_place *place, const char *pid, const char *id) {
    char path[64];
    AUTO_BUF text = {0};
    bool has_root = false;
    bool has_id = false;
    snprintf(path, sizeof path, "/proc/%.20s/cmdline", pid);
    if (fs_read(AT_FDCWD, path, FILE_BYTES_MAX, &text, NULL) != 0) {
        return false;
    }
    for (size_t at = 0; at < text.len; at += strlen(text.data + at) + 1) {
        has_root = has_root || str_equal(text.data + at, place->runc_root);
        has_id = has_id || str_equal(text.data + at, id);
    }
    return has_root && has_id;
}

// Returns how many there are.
static size_t kill_once(const struct runc_place *place, const char *id) {
    size_t count = 0;
    DIR *dir = opendir("/proc");
    for (struct dirent *entry; dir != NULL && (entry = readdir(dir)) != NULL;) {
        int64_t pid;
        if (str_to_int(entry->d_name, &pid) && pid > 1 && is_our_runc(place, entry->d_name, id)) {
            kill((pid_t)pid, SIGKILL);
            count++;
        }
    }
    if (dir != NULL) {
        closedir(dir);
    }
    return count;
}

// One that is in a system call still ends it: what it wrote after a wipe would be in the way of the next. A dead
// one has no command line.
void runc_place_kill_runc(const struct runc_place *place, const char *id) {
    for (int i = 0; i < KILL_LOOKS_MAX && kill_once(place, id) > 0; i++) {
        uv_sleep(KILL_LOOK_MS);
    }
}
