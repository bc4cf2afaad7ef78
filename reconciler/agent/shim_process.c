// SPDX-License-Identifier: Apache-2.0
//
// reconciler/agent/shim_process.c — a plain process in place of a container: made, held, let go.
//
// Format       BUNDLE/process holds strings, each ended by a NUL: working directory, user id, group id (both
//              empty: as the shim), number of arguments, the arguments, and then the environment, KEY=VALUE
//              each. At most SPEC_BYTES_MAX bytes and STRINGS_MAX strings. A program without a slash is
//              looked up in the PATH of that environment.
#include "reconciler/agent/shim_process.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "reconciler/agent/shim_child.h"
#include "reconciler/agent/shim_file.h"

enum { SPEC_BYTES_MAX = 512 * 1024, STRINGS_MAX = 8192, FIXED = 4, STATUS_NOT_RUN = 127 };

// What the process says when it cannot run its program.
struct complaint {
    int cause; // errno
    char what[64];
};

static char spec[SPEC_BYTES_MAX]; // costs nothing until it is written to
static char *strings[STRINGS_MAX + 1];

static _Noreturn void give_up(int result, const char *what) {
    struct complaint complaint = {.cause = errno};
    strncpy(complaint.what, what, sizeof complaint.what - 1);
    ssize_t put = write(result, &complaint, sizeof complaint);
    (void)put;
    _exit(STATUS_NOT_RUN);
}

static void set_oom_score(const char *score) {
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (fd >= 0) {
        ssize_t put = write(fd, score, strlen(score));
        (void)put; // best effort
        close(fd);
    }
}

// Splits the file into strings. Returns their number, 0 when it is not as it should be.
static size_t split(size_t len) {
    size_t count = 0;
    if (len == 0 || spec[len - 1] != '\0') {
        return 0;
    }
    for (size_t at = 0; at < len && count < STRINGS_MAX; at += strlen(spec + at) + 1) {
        strings[count++] = spec + at;
    }
    return count;
}

static void set_user(int result, const char *user, const char *group) {
    uint64_t uid, gid;
    if (user[0] == '\0') {
        return;
    }
    if (!shim_text_parse_u64(user, UINT32_MAX - 1, &uid) ||
        !shim_text_parse_u64(group, UINT32_MAX - 1, &gid)) {
        errno = EINVAL;
        give_up(result, "set the user");
    }
    if (setgroups(0, NULL) != 0 || setgid((gid_t)gid) != 0 || setuid((uid_t)uid) != 0) {
        give_up(result, "set the user");
    }
}

// What cannot be is told when it is to run.
static _Noreturn void become(const struct shim_process *process, size_t count, int go, int result) {
    uint64_t argument_count;
    char byte;
    setsid();
    shim_child_reset_signals();
    umask(022);
    set_oom_score(process->oom_score_adj);
    if (count < FIXED || !shim_text_parse_u64(strings[3], count - FIXED, &argument_count) ||
        argument_count == 0) {
        errno = EINVAL;
        give_up(result, "read the file process");
    }
    ssize_t got = read(go, &byte, 1);
    if (got != 1) {
        _exit(STATUS_NOT_RUN); // the shim is gone
    }
    if (chdir(strings[0]) != 0) { // before the user changes: the way to it may be closed to others
        give_up(result, "enter the working directory");
    }
    set_user(result, strings[1], strings[2]);
    char **argv = strings + FIXED;
    char **environment = argv + argument_count;
    char *program = argv[0];
    environ = environment; // whose PATH execvp looks at
    memmove(strings, argv, argument_count * sizeof *argv);
    strings[argument_count] = NULL; // there were four more in front
    execvp(program, strings);
    give_up(result, "execute the program");
}

pid_t shim_process_create(struct shim_process *process, int out, int err) {
    int go[2], result[2];
    int dir = open(process->bundle, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ssize_t len = dir < 0 ? -1 : shim_file_read(dir, "process", spec, sizeof spec);
    int cause = errno;
    if (dir >= 0) {
        close(dir);
    }
    errno = cause;
    if (len < 0 || pipe2(go, O_CLOEXEC) != 0 || pipe2(result, O_CLOEXEC) != 0) {
        return -1;
    }
    size_t count = split((size_t)len);
    pid_t pid = fork();
    if (pid == 0) {
        close(go[1]); // its end is the shim's
        if (dup2(out, STDOUT_FILENO) < 0 || dup2(err, STDERR_FILENO) < 0) {
            give_up(result[1], "take the pipes");
        }
        become(process, count, go[0], result[1]);
    }
    close(go[0]);
    close(result[1]);
    process->go = go[1];
    process->result = result[0];
    return pid;
}

bool shim_process_start(struct shim_process *process, struct shim_text *why) {
    struct complaint complaint;
    ssize_t put = write(process->go, "", 1); // nobody there: it tells its own end
    ssize_t got = read(process->result, &complaint, sizeof complaint);
    (void)put;
    close(process->go);
    close(process->result);
    if (got != sizeof complaint) {
        return true;
    }
    complaint.what[sizeof complaint.what - 1] = '\0';
    shim_text_str(why, complaint.what);
    shim_text_str(why, ": ");
    shim_text_str(why, strerror(complaint.cause));
    return false;
}

bool shim_process_kill_rest(void) {
    char data[4096];
    bool found = false;
    if (shim_file_read(AT_FDCWD, "/proc/thread-self/children", data, sizeof data) < 0) {
        return false;
    }
    for (char *at = data, *end; (end = strchr(at, ' ')) != NULL; at = end + 1) {
        uint64_t pid;
        *end = '\0';
        if (shim_text_parse_u64(at, INT32_MAX, &pid) && pid > 1) {
            kill((pid_t)pid, SIGKILL); // not reaped, so still ours
            found = true;
        }
    }
    return found;
}
