// SPDX-License-Identifier: Apache-2.0
//
// tui/keeper.c — fork, wait, restore.
#include "tui/keeper.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fs.h"
#include "base/str.h"

#define STDERR_SHOWN_BYTES ((size_t)64 * 1024)
#define EXIT_BODY_ENDED 0

// What the child has to say; in memory that both see, so that it survives the child.
struct keeper_result {
    int rc;
    struct error err;
    bool is_said;
};

struct keeper {
    int tty_fd;
    struct termios settings;
    const char *restore;
    int stderr_fd; // a file in memory
    struct keeper_result *result;
    pid_t parent;
    int signal_fd;
    sigset_t mask_before;
};

static _Noreturn void keeper_child(struct keeper *keeper, keeper_body_fn body, void *context) {
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != keeper->parent) {
        _exit(EXIT_BODY_ENDED); // it was quicker
    }
    sigprocmask(SIG_SETMASK, &keeper->mask_before, NULL);
    signal(SIGTTOU, SIG_IGN); // an orphan must still be able to give the terminal back
    dup2(keeper->stderr_fd, STDERR_FILENO);
    keeper->result->rc = body(context, &keeper->result->err);
    keeper->result->is_said = true;
    _exit(EXIT_BODY_ENDED);
}

// Waits for the child, passing on what asks the pair to end. Ctrl-C is a key to the child, not a signal to
// us.
static int keeper_wait(const struct keeper *keeper, pid_t child) {
    int status = 0;
    int child_fd = (int)syscall(SYS_pidfd_open, child, 0); // unlike SIGCHLD, no other thread can take it away
    struct pollfd fds[] = {{.fd = child_fd, .events = POLLIN}, {.fd = keeper->signal_fd, .events = POLLIN}};
    while (child_fd >= 0 && waitpid(child, &status, WNOHANG) == 0) {
        struct signalfd_siginfo info;
        (void)poll(fds, 2, -1);
        if ((fds[1].revents & POLLIN) != 0 && read(keeper->signal_fd, &info, sizeof info) == sizeof info &&
            (info.ssi_signo == SIGTERM || info.ssi_signo == SIGHUP)) {
            kill(child, (int)info.ssi_signo);
        }
    }
    if (child_fd < 0) {
        (void)waitpid(child, &status, 0);
        return status;
    }
    close(child_fd);
    return status;
}

static void keeper_restore(const struct keeper *keeper, bool was_killed) {
    if (was_killed) {
        (void)fs_write_all(keeper->tty_fd, keeper->restore, strlen(keeper->restore));
    }
    signal(SIGTTOU, SIG_IGN);
    tcsetattr(keeper->tty_fd, TCSADRAIN, &keeper->settings);
    signal(SIGTTOU, SIG_DFL);
}

static void keeper_show_stderr(const struct keeper *keeper) {
    char text[4096];
    AUTO_BUF safe = buf_make(8 * STDERR_SHOWN_BYTES);
    size_t shown = 0;
    ssize_t got;
    lseek(keeper->stderr_fd, 0, SEEK_SET);
    while (shown < STDERR_SHOWN_BYTES && (got = read(keeper->stderr_fd, text, sizeof text)) > 0) {
        str_escape(&safe, text, (size_t)got, /* keep_newlines */ true);
        shown += (size_t)got;
    }
    if (safe.len > 0) {
        (void)fs_write_all(STDERR_FILENO, safe.data, safe.len);
    }
}

static int keeper_verdict(const struct keeper *keeper, int status, struct error *err) {
    if (WIFSIGNALED(status)) {
        int number = WTERMSIG(status);
        return error_set(err, ERR_INTERNAL,
                         "the console was ended by signal %d (%s)%s; the terminal has been restored", number,
                         strsignal(number), number == SIGKILL ? ", perhaps for lack of memory" : "");
    }
    if (!keeper->result->is_said) {
        return error_set(err, ERR_INTERNAL, "the console ended without a word (exit status %d)",
                         WEXITSTATUS(status));
    }
    if (keeper->result->rc < 0 && err != NULL) {
        *err = keeper->result->err;
    }
    return keeper->result->rc;
}

static int keeper_prepare(struct keeper *keeper, struct error *err) {
    if (tcgetattr(keeper->tty_fd, &keeper->settings) != 0) {
        return error_sys(err, errno, "read the terminal's settings");
    }
    keeper->stderr_fd = memfd_create("muster-console-stderr", MFD_CLOEXEC);
    if (keeper->stderr_fd < 0) {
        return error_sys(err, errno, "make a file in memory");
    }
    keeper->result =
        mmap(NULL, sizeof *keeper->result, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (keeper->result == MAP_FAILED) {
        close(keeper->stderr_fd);
        return error_sys(err, errno, "share memory with the console");
    }
    sigset_t watched;
    sigemptyset(&watched);
    static const int numbers[] = {SIGTERM, SIGHUP, SIGINT, SIGQUIT};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        sigaddset(&watched, numbers[i]);
    }
    sigprocmask(SIG_BLOCK, &watched, &keeper->mask_before);
    keeper->signal_fd = signalfd(-1, &watched, SFD_CLOEXEC | SFD_NONBLOCK);
    keeper->parent = getpid();
    return 0;
}

int keeper_run(int tty_fd, const char *restore, keeper_body_fn body, void *context, struct error *err) {
    struct keeper keeper = {.tty_fd = tty_fd, .restore = restore};
    int rc = keeper_prepare(&keeper, err);
    if (rc < 0) {
        return rc;
    }
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        keeper_child(&keeper, body, context);
    }
    if (child < 0) {
        rc = error_sys(err, errno, "start the console");
    } else {
        int status = keeper_wait(&keeper, child);
        keeper_restore(&keeper, WIFSIGNALED(status) || !keeper.result->is_said);
        keeper_show_stderr(&keeper);
        rc = keeper_verdict(&keeper, status, err);
    }
    sigprocmask(SIG_SETMASK, &keeper.mask_before, NULL);
    munmap(keeper.result, sizeof *keeper.result);
    close(keeper.stderr_fd);
    close(keeper.signal_fd);
    return rc;
}
