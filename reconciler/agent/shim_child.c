// SPDX-License-Identifier: Apache-2.0
//
// reconciler/agent/shim_child.c — the container's first process, as its parent sees it.
#include "reconciler/agent/shim_child.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "reconciler/agent/shim_file.h"
#include "reconciler/agent/shim_text.h"

// By the system call itself: the C library keeps two signals to itself and refuses to touch them, but whoever was
// started by posix_spawn of a program with threads (make, say) has them ignored, and hands that on for ever.
void shim_child_reset_signals(void) {
    static const unsigned long all_default[8]; // the kernel's struct sigaction, whatever its order
    sigset_t none;
    for (int number = 1; number < NSIG; number++) {
        syscall(SYS_rt_sigaction, number, all_default, NULL, (NSIG - 1) / 8);
    }
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static uint64_t start_time_of(pid_t pid) {
    char path[32], data[1024];
    struct shim_text name;
    uint64_t value = 0;
    shim_text_init(&name, path, sizeof path);
    shim_text_str(&name, "/proc/");
    shim_text_u64(&name, (uint64_t)pid);
    shim_text_str(&name, "/stat");
    if (shim_file_read(AT_FDCWD, path, data, sizeof data) < 0) {
        return 0;
    }
    char *at = strrchr(data, ')'); // ends field 2, which may hold anything
    for (int field = 2; at != NULL && field < 22; field++) {
        at = strchr(at + 1, ' ');
    }
    char *end = at != NULL ? strchr(at + 1, ' ') : NULL;
    if (end != NULL) {
        *end = '\0';
        shim_text_parse_u64(at + 1, UINT64_MAX, &value);
    }
    return value;
}

bool shim_child_adopt(struct shim_child *child, const char *pid_path) {
    char data[32];
    uint64_t pid;
    siginfo_t info;
    if (shim_file_read(AT_FDCWD, pid_path, data, sizeof data) < 0) {
        return false;
    }
    data[strcspn(data, "\n")] = '\0';
    if (!shim_text_parse_u64(data, INT32_MAX, &pid) || pid == 0 ||
        waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0) {
        return false;
    }
    child->pid = (pid_t)pid;
    child->start_time = start_time_of((pid_t)pid);
    return true;
}

void shim_child_kill(const struct shim_child *child, int number) {
    if (child->pid > 0 && !child->ended) {
        kill(child->pid, number);
    }
}

// "oom_kill N" is a line of its own in both versions of cgroups.
static uint64_t read_oom_kills(const char *memory_events) {
    static const char key[] = "oom_kill ";
    char data[1024];
    uint64_t value = 0;
    if (memory_events == NULL || shim_file_read(AT_FDCWD, memory_events, data, sizeof data) < 0) {
        return 0;
    }
    for (char *line = data; *line != '\0';) {
        char *end = line + strcspn(line, "\n");
        char *next = end + (*end != '\0');
        *end = '\0';
        if (strncmp(line, key, sizeof key - 1) == 0) {
            shim_text_parse_u64(line + sizeof key - 1, UINT64_MAX, &value);
        }
        line = next;
    }
    return value;
}

void shim_child_on_end(struct shim_child *child, int status, uint64_t now_unix_ns,
                       const char *memory_events) {
    child->oom_kills = read_oom_kills(memory_events);
    child->end_unix_ns = now_unix_ns;
    child->status = status;
    child->ended = true;
}
