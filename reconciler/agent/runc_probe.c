// SPDX-License-Identifier: Apache-2.0
//
// reconciler/agent/runc_probe.c — what this machine offers: processors, memory, control groups, which runc.
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "reconciler/agent/runc_task.h"

#define VERSION_MS 2000 // then runc hangs
#define PATH_DEFAULT "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

char *runc_find_program(const char *name) {
    if (strchr(name, '/') != NULL) {
        return name[0] == '/' && access(name, X_OK) == 0 ? xstrdup(name) : NULL;
    }
    const char *path = getenv("PATH");
    path = str_is_empty(path) ? PATH_DEFAULT : path;
    for (const char *at = path; *at != '\0'; at += strspn(at, ":")) {
        size_t len = strcspn(at, ":");
        AUTO_FREE char *candidate = xasprintf("%.*s/%s", (int)len, at, name);
        if (candidate[0] == '/' && access(candidate, X_OK) == 0) {
            return TAKE(candidate);
        }
        at += len;
    }
    return NULL;
}

// Reads until the end, a full buffer, or the deadline.
static size_t read_for(int fd, char *out, size_t bytes, int64_t deadline_mono_ms) {
    size_t len = 0;
    while (len < bytes) {
        struct pollfd item = {.fd = fd, .events = POLLIN};
        int64_t left_ms = deadline_mono_ms - clock_mono_ms();
        if (left_ms <= 0 || poll(&item, 1, (int)left_ms) <= 0) {
            break;
        }
        ssize_t got = read(fd, out + len, bytes - len);
        if (got <= 0) {
            break;
        }
        len += (size_t)got;
    }
    return len;
}

// The first line of `runc --version`, or NULL.
static char *ask_version(const char *runc) {
    int ends[2];
    pid_t pid;
    char text[256];
    posix_spawn_file_actions_t actions;
    char *const argv[] = {(char[]){"runc"}, (char[]){"--version"}, NULL};
    if (pipe2(ends, O_CLOEXEC) != 0) {
        return NULL;
    }
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    int rc = posix_spawn(&pid, runc, &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    size_t len = rc == 0 ? read_for(ends[0], text, sizeof text - 1, clock_mono_ms() + VERSION_MS) : 0;
    close(ends[0]);
    if (rc == 0) {
        kill(pid, SIGKILL); // it has said what is wanted, or hangs
        waitpid(pid, NULL, 0);
    }
    text[len] = '\0';
    text[strcspn(text, "\n")] = '\0';
    const char *word = strstr(text, " version ");
    return word != NULL ? xasprintf("%.*s %s", (int)(word - text), text, word + strlen(" version ")) : NULL;
}

// Asked again only as long as there was no answer, or the program is another one.
static void note_version(struct runc_executor *executor) {
    AUTO_FREE char *runc = runc_find_program(executor->runc_path);
    if (runc == NULL) {
        xfree(executor->runc_version);
        executor->runc_version = NULL;
    } else if (executor->runc_version == NULL) {
        executor->runc_version = ask_version(runc);
    }
}

int runc_probe(struct runc_executor *executor, struct node_description *out, struct arena *arena,
               struct error *err) {
    struct utsname names;
    struct sysinfo info;
    if (uname(&names) != 0 || sysinfo(&info) != 0) {
        return error_sys(err, errno, "ask for the machine's resources");
    }
    note_version(executor);
    schema_init(&node_description_schema, out);
    out->hostname = arena_strdup(arena, names.nodename);
    out->os = "linux";
    out->arch = arena_strdup(arena, names.machine);
    out->cpus_nano = sysconf(_SC_NPROCESSORS_ONLN) * INT64_C(1000000000);
    out->memory_bytes = (int64_t)info.totalram * (int64_t)info.mem_unit;
    out->runtime_version =
        executor->runc_version != NULL ? arena_strdup(arena, executor->runc_version) : "runc missing";
    out->cgroup_mode = arena_printf(arena, "%s%s%s", cgroups_mode_names[executor->cgroups.mode],
                                    executor->cgroups.memory < 0 ? ", without memory" : "",
                                    executor->cgroups.pids < 0 ? ", without pids" : "");
    return 0;
}
