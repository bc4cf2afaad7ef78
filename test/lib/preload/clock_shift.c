// SPDX-License-Identifier: Apache-2.0
//
// test/lib/preload/clock_shift.c — the wall clock of one process, moved at any moment from outside.
//
//     LD_PRELOAD=clock_shift.so CLOCK_SHIFT=FILE musterd …     FILE holds the seconds to add, and may change
//
// The kernel has no wall clock for one process alone, and that of the machine is not a test's to move. The
// monotonic clock stays what it is, as when a real machine's clock is set.
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static int file = -1;

__attribute__((constructor)) static void open_file(void) {
    const char *path = getenv("CLOCK_SHIFT");
    file = path != NULL ? open(path, O_RDONLY | O_CLOEXEC) : -1;
}

// It stands alone: nothing of the tree is loaded into what it is loaded into.
static long shift_s(void) {
    char text[32];
    ssize_t len = file >= 0 ? pread(file, text, sizeof text, 0) : 0;
    long seconds = 0;
    for (ssize_t i = len > 0 && text[0] == '-'; i < len && text[i] >= '0' && text[i] <= '9'; i++) {
        seconds = seconds * 10 + text[i] - '0';
    }
    return len > 0 && text[0] == '-' ? -seconds : seconds;
}

int clock_gettime(clockid_t clock, struct timespec *out) {
    int rc = (int)syscall(SYS_clock_gettime, clock, out);
    if (rc == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
        out->tv_sec += shift_s();
    }
    return rc;
}

int gettimeofday(struct timeval *restrict out, void *restrict zone) {
    (void)zone;
    struct timespec now;
    int rc = clock_gettime(CLOCK_REALTIME, &now);
    *out = (struct timeval){.tv_sec = now.tv_sec, .tv_usec = now.tv_nsec / 1000};
    return rc;
}

time_t time(time_t *out) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (out != NULL) {
        *out = now.tv_sec;
    }
    return now.tv_sec;
}
