// SPDX-License-Identifier: Apache-2.0
//
// reconciler/agent/cgroups.c — finds the hierarchies, kills and removes groups.
//
// Killing      Version 2 has cgroup.kill, which no fork can outrun. Elsewhere each process is killed, again
//              and again by the caller until the group is empty: a container has a pid namespace of its own,
//              so the death of its first process takes the others with it.
#include "reconciler/agent/cgroups.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/str.h"

#define MOUNTINFO_BYTES_MAX ((size_t)16 * 1024 * 1024)
#define PROCS_BYTES_MAX ((size_t)4 * 1024 * 1024)
#define DEPTH_MAX 16 // groups inside groups; a container cannot make any

const char *const cgroups_mode_names[3] = {"v1", "hybrid", "v2"};

// --- finding ---

static bool has_word(const char *list, const char *word) {
    size_t len = strlen(word);
    for (const char *p = list; p != NULL && (p = strstr(p, word)) != NULL; p++) {
        bool begins = p == list || p[-1] == ',' || p[-1] == ' ';
        if (begins && (p[len] == '\0' || p[len] == ',' || p[len] == ' ' || p[len] == '\n')) {
            return true;
        }
    }
    return false;
}

static bool controllers_have(const char *mount, const char *word) {
    char path[CGROUPS_PATH_BYTES + 32];
    AUTO_BUF text = {0};
    snprintf(path, sizeof path, "%s/cgroup.controllers", mount);
    return fs_read(AT_FDCWD, path, 4096, &text, NULL) == 0 && has_word(buf_text(&text), word);
}

static bool file_in(const char *mount, const char *name) {
    char path[CGROUPS_PATH_BYTES + 64];
    snprintf(path, sizeof path, "%s/%s", mount, name);
    return fs_exists(path);
}

static void add_v1(struct cgroups *out, const char *mount, const char *options, int index) {
    if (has_word(options, "memory")) {
        out->memory = index;
        out->has_swap = file_in(mount, "memory.memsw.limit_in_bytes");
    }
    if (has_word(options, "pids")) {
        out->pids = index;
    }
    out->has_cpu = out->has_cpu || has_word(options, "cpu");
}

// In a hybrid, the hierarchy of version 2 may own controllers of its own; runc uses those of version 1 only.
static void add_v2(struct cgroups *out, const char *mount, int index) {
    out->memory = controllers_have(mount, "memory") ? index : -1;
    out->pids = controllers_have(mount, "pids") ? index : -1;
    out->has_cpu = controllers_have(mount, "cpu");
    out->has_swap = out->memory >= 0;
}

// A line: "… root mount-point options [tags] - type source super-options".
static void take_line(struct cgroups *out, char *line, int *v1, int *v2) {
    char *tail = strstr(line, " - ");
    char mount[CGROUPS_PATH_BYTES];
    char type[16];
    char options[256];
    if (tail == NULL || sscanf(line, "%*s %*s %*s %*s %255s", mount) != 1 ||
        sscanf(tail, " - %15s %*s %255s", type, options) != 2 || !str_starts(type, "cgroup") ||
        out->mount_count == CGROUPS_MOUNTS_MAX) {
        return;
    }
    int index = out->mount_count++;
    snprintf(out->mounts[index], sizeof out->mounts[index], "%s", mount);
    if (str_equal(type, "cgroup2")) {
        *v2 = index;
    } else {
        (*v1)++;
        add_v1(out, mount, options, index);
    }
}

int cgroups_read(const char *mountinfo, struct cgroups *out, struct error *err) {
    AUTO_BUF text = {0};
    struct cgroups found = {.memory = -1, .pids = -1};
    int v1 = 0;
    int v2 = -1;
    int rc = fs_read(AT_FDCWD, mountinfo, MOUNTINFO_BYTES_MAX, &text, err);
    if (rc < 0) {
        return rc;
    }
    char *line = text.data;
    while (line != NULL && *line != '\0') {
        char *end = strchr(line, '\n');
        if (end != NULL) {
            *end++ = '\0';
        }
        take_line(&found, line, &v1, &v2);
        line = end;
    }
    if (found.mount_count == 0) {
        return error_set(err, ERR_UNSUPPORTED,
                         "no control groups are mounted (mount cgroup2 on /sys/fs/cgroup)");
    }
    found.mode = v1 == 0 ? CGROUPS_V2 : v2 >= 0 ? CGROUPS_HYBRID : CGROUPS_V1;
    if (found.mode == CGROUPS_V2) {
        add_v2(&found, found.mounts[v2], v2);
    }
    *out = found;
    return 0;
}

const char *cgroups_memory_events(const struct cgroups *cgroups, const char *group, struct arena *arena) {
    if (cgroups->memory < 0) {
        return NULL;
    }
    return arena_printf(arena, "%s%s/%s", cgroups->mounts[cgroups->memory], group,
                        cgroups->mode == CGROUPS_V2 ? "memory.events" : "memory.oom_control");
}

const char *cgroups_procs(const struct cgroups *cgroups, const char *group, struct arena *arena) {
    int index = cgroups->pids >= 0 ? cgroups->pids : cgroups->memory >= 0 ? cgroups->memory : 0;
    return arena_printf(arena, "%s%s/cgroup.procs", cgroups->mounts[index], group);
}

// --- killing ---

static bool kill_listed(const char *directory) {
    char path[PATH_MAX + 32];
    AUTO_BUF text = {0};
    snprintf(path, sizeof path, "%s/cgroup.procs", directory);
    if (fs_read(AT_FDCWD, path, PROCS_BYTES_MAX, &text, NULL) != 0 || text.len == 0) {
        return true;
    }
    for (char *line = text.data; line != NULL && *line != '\0';) {
        char *end = strchr(line, '\n');
        int64_t pid;
        if (end != NULL) {
            *end++ = '\0';
        }
        if (str_to_int(line, &pid) && pid > 1 && pid <= INT_MAX && pid != getpid()) {
            kill((pid_t)pid, SIGKILL);
        }
        line = end;
    }
    return false;
}

static bool kill_v2(const char *directory) {
    char path[PATH_MAX + 32];
    snprintf(path, sizeof path, "%s/cgroup.kill", directory);
    AUTO_CLOSE int fd = open(path, O_WRONLY | O_CLOEXEC);
    return fd >= 0 && fs_write_all(fd, "1", 1) == 0;
}

bool cgroups_kill(const struct cgroups *cgroups, const char *group) {
    bool is_empty = true;
    for (int i = 0; i < cgroups->mount_count; i++) {
        char directory[PATH_MAX];
        snprintf(directory, sizeof directory, "%s%s", cgroups->mounts[i], group);
        if (!fs_exists(directory)) {
            continue;
        }
        kill_v2(directory);
        is_empty = kill_listed(directory) && is_empty;
    }
    return is_empty;
}

// --- removing, listing ---

// A group is removed by rmdir, which takes no files into account but the groups inside it.
static int remove_group(int parent, const char *name, int depth) {
    if (unlinkat(parent, name, AT_REMOVEDIR) == 0 || errno == ENOENT) {
        return 0;
    }
    int why = errno;
    int fd = depth < DEPTH_MAX ? openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) : -1;
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (dir == NULL) {
        return fd >= 0 ? (close(fd), why) : why;
    }
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        if (entry->d_type == DT_DIR && entry->d_name[0] != '.') {
            remove_group(fd, entry->d_name, depth + 1);
        }
    }
    closedir(dir);
    return unlinkat(parent, name, AT_REMOVEDIR) == 0 || errno == ENOENT ? 0 : errno;
}

int cgroups_remove(const struct cgroups *cgroups, const char *group, struct error *err) {
    for (int i = 0; i < cgroups->mount_count; i++) {
        char directory[PATH_MAX];
        snprintf(directory, sizeof directory, "%s%s", cgroups->mounts[i], group);
        int why = remove_group(AT_FDCWD, directory, 0);
        if (why == EBUSY) {
            return error_set(err, ERR_BUSY, "remove the control group %s: processes are in it", directory);
        }
        if (why != 0) {
            return error_sys(err, why, "remove the control group %s", directory);
        }
    }
    return 0;
}

void cgroups_remove_unused(const struct cgroups *cgroups, const char *group) {
    for (int i = 0; i < cgroups->mount_count; i++) {
        char directory[PATH_MAX];
        snprintf(directory, sizeof directory, "%s%s", cgroups->mounts[i], group);
        rmdir(directory); // fails when it is used
    }
}

void cgroups_each(const struct cgroups *cgroups, const char *parent,
                  void (*each)(void *context, const char *name), void *context) {
    for (int i = 0; i < cgroups->mount_count; i++) {
        char directory[PATH_MAX];
        snprintf(directory, sizeof directory, "%s%s", cgroups->mounts[i], parent);
        DIR *dir = opendir(directory);
        for (struct dirent *entry; dir != NULL && (entry = readdir(dir)) != NULL;) {
            if (entry->d_type == DT_DIR && entry->d_name[0] != '.') {
                each(context, entry->d_name);
            }
        }
        if (dir != NULL) {
            closedir(dir);
        }
    }
}
