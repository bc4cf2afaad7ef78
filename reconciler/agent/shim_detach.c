// SPDX-License-Identifier: Apache-2.0
//
// reconciler/agent/shim_detach.c — cuts the shim off from the daemon that started it.
#include "reconciler/agent/shim_detach.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "reconciler/agent/shim_file.h"

static void close_inherited(void) {
    if (syscall(SYS_close_range, 3U, ~0U, 0U) != 0) { // before Linux 5.9
        for (int fd = 3; fd < 4096; fd++) {
            close(fd);
        }
    }
    int null = open("/dev/null", O_RDWR);
    for (int fd = 0; null >= 0 && fd < 3; fd++) {
        dup2(null, fd);
    }
    if (null > 2) {
        close(null);
    }
}

// The last process that the kernel takes when memory is short, if we may ask for that. Keeps what it was
// for the container.
static void spare_from_oom_killer(char *oom_score_adj, size_t cap) {
    static const char path[] = "/proc/self/oom_score_adj", spared[] = "-999";
    if (shim_file_read(AT_FDCWD, path, oom_score_adj, cap) < 0) {
        return;
    }
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd >= 0) {
        ssize_t put = write(fd, spared, sizeof spared - 1);
        (void)put;
        close(fd);
    }
}

void shim_detach(char *oom_score_adj, size_t cap) {
    static const int ignored[] = {SIGTERM, SIGINT,  SIGHUP,  SIGQUIT, SIGPIPE,
                                  SIGXFSZ, SIGUSR1, SIGUSR2, SIGALRM};
    close_inherited();
    setsid(); // fails when the agent has done it
    prctl(PR_SET_CHILD_SUBREAPER, 1L, 0L, 0L, 0L);
    spare_from_oom_killer(oom_score_adj, cap);
    umask(077);
    int status = chdir("/"); // keeps no mount busy
    (void)status;
    for (size_t i = 0; i < sizeof ignored / sizeof ignored[0]; i++) {
        signal(ignored[i], SIG_IGN);
    }
}
