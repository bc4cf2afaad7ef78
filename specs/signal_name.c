// SPDX-License-Identifier: Apache-2.0
//
// specs/signal_name.c — names that the kernel's headers give to signals and capabilities.
#include "specs/signal_name.h"

#include <signal.h>
#include <string.h>
#include <strings.h>

#include "base/str.h"

bool signal_parse(const char *text, int *out) {
    int64_t number;
    if (str_to_int(text, &number)) {
        *out = (int)number;
        return number >= 1 && number <= 64;
    }
    if (strncasecmp(text, "SIG", 3) == 0) {
        text += 3;
    }
    for (int i = 1; i < 32; i++) {
        const char *name = sigabbrev_np(i);
        if (name != NULL && strcasecmp(text, name) == 0) {
            *out = i;
            return true;
        }
    }
    return false;
}

static const char *const capability_names[CAPABILITY_COUNT] = {
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
};

bool capability_parse(const char *text, int *out) {
    for (int i = 0; i < CAPABILITY_COUNT; i++) {
        if (strcasecmp(text, capability_names[i]) == 0 || strcasecmp(text, capability_names[i] + 4) == 0) {
            *out = i;
            return true;
        }
    }
    return false;
}

const char *capability_name(int number) {
    return capability_names[number];
}
