// SPDX-License-Identifier: Apache-2.0
//
// cli/raw_terminal.c — raw and back.
//
// The handlers use what is safe in a handler: tcsetattr, sigaction, raise.
#include "cli/raw_terminal.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

static struct {
    volatile sig_atomic_t is_raw;
    int fd;
    struct termios before;
} terminal;

static const int ending_signals[] = {SIGTERM, SIGHUP,  SIGINT, SIGQUIT, SIGSEGV,
                                     SIGBUS,  SIGABRT, SIGFPE, SIGILL};

void raw_terminal_leave(void) {
    if (terminal.is_raw) {
        terminal.is_raw = 0;
        tcsetattr(terminal.fd, TCSADRAIN, &terminal.before);
    }
}

static void on_ending(int number) {
    int kept = errno;
    raw_terminal_leave();
    raise(number); // its default action, since the handler holds once
    errno = kept;
}

int raw_terminal_enter(int fd, struct error *err) {
    struct sigaction action = {.sa_handler = on_ending, .sa_flags = (int)SA_RESETHAND};
    struct termios raw;
    if (tcgetattr(fd, &terminal.before) != 0) {
        return error_sys(err, errno, "look at the terminal");
    }
    terminal.fd = fd;
    raw = terminal.before;
    cfmakeraw(&raw);
    for (size_t i = 0; i < sizeof ending_signals / sizeof *ending_signals; i++) {
        sigaction(ending_signals[i], &action, NULL);
    }
    atexit(raw_terminal_leave);
    terminal.is_raw = 1;
    if (tcsetattr(fd, TCSADRAIN, &raw) != 0) {
        terminal.is_raw = 0;
        return error_sys(err, errno, "set the terminal");
    }
    return 0;
}

bool raw_terminal_size(int fd, int64_t *out_rows, int64_t *out_columns) {
    struct winsize size;
    if (ioctl(fd, TIOCGWINSZ, &size) != 0 || size.ws_row == 0 || size.ws_col == 0) {
        return false;
    }
    *out_rows = size.ws_row;
    *out_columns = size.ws_col;
    return true;
}

int raw_terminal_watch_size(void) {
    sigset_t changes;
    sigemptyset(&changes);
    sigaddset(&changes, SIGWINCH);
    sigprocmask(SIG_BLOCK, &changes, NULL);
    return signalfd(-1, &changes, SFD_CLOEXEC | SFD_NONBLOCK);
}

void raw_terminal_take_change(int fd) {
    struct signalfd_siginfo info;
    while (read(fd, &info, sizeof info) == (ssize_t)sizeof info) {
    }
}
