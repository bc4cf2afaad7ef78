// SPDX-License-Identifier: Apache-2.0
//
// reconciler/agent/shim_init.c — waits for signals, and for nothing else.
#include "reconciler/agent/shim_init.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "reconciler/agent/shim_text.h"

enum { STATUS_NOT_EXECUTABLE = 126, STATUS_NOT_FOUND = 127 };

static _Noreturn void refuse(const char *what, const char *name) {
    char data[512];
    struct shim_text text;
    int cause = errno;
    shim_text_init(&text, data, sizeof data);
    shim_text_str(&text, "muster-init: ");
    shim_text_str(&text, what);
    shim_text_str(&text, name);
    shim_text_str(&text, ": ");
    shim_text_str(&text, strerror(cause));
    shim_text_str(&text, "\n");
    ssize_t put = write(STDERR_FILENO, text.data, text.len);
    (void)put;
    _exit(cause == ENOENT ? STATUS_NOT_FOUND : STATUS_NOT_EXECUTABLE);
}

static pid_t start(char **command, const sigset_t *none) {
    pid_t pid = fork();
    if (pid == 0) {
        sigprocmask(SIG_SETMASK, none, NULL);
        execvp(command[0], command);
        refuse("execute ", command[0]);
    }
    if (pid < 0) {
        refuse("start ", command[0]);
    }
    return pid;
}

static void reap(pid_t command) {
    int status;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
        if (pid == command) {
            _exit(WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status));
        }
    }
}

_Noreturn void shim_init(char **command) {
    sigset_t all;
    sigset_t none;
    sigfillset(&all);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &all, NULL);
    pid_t pid = start(command, &none);
    for (;;) {
        siginfo_t info;
        int number = sigwaitinfo(&all, &info);
        if (number == SIGCHLD) {
            reap(pid);
        } else if (number > 0) {
            kill(pid, number);
        }
    }
}
