// SPDX-License-Identifier: Apache-2.0
//
// reconciler/agent/capabilities.c — Docker's rules for cap_add and cap_drop.
//
// The default leaves out what Docker gives and few need: NET_RAW (spoofing on the node's networks), MKNOD,
// AUDIT_WRITE, SETFCAP and SYS_CHROOT.
#include "reconciler/agent/capabilities.h"

#include <linux/capability.h>
#include <sys/prctl.h>

#include "base/str.h"
#include "specs/signal_name.h"

#define BIT(number) (UINT64_C(1) << (number))

const uint64_t capabilities_default = BIT(CAP_CHOWN) | BIT(CAP_DAC_OVERRIDE) | BIT(CAP_FOWNER) |
                                      BIT(CAP_FSETID) | BIT(CAP_KILL) | BIT(CAP_SETGID) | BIT(CAP_SETUID) |
                                      BIT(CAP_SETPCAP) | BIT(CAP_NET_BIND_SERVICE);

static uint64_t named(const struct strings *list, bool *has_all) {
    uint64_t set = 0;
    for (size_t i = 0; i < list->count; i++) {
        int number;
        if (str_equal_nocase(list->items[i], "ALL")) {
            *has_all = true;
        } else if (capability_parse(list->items[i], &number)) {
            set |= BIT(number);
        }
    }
    return set;
}

uint64_t capabilities_of(const struct service_spec *spec, uint64_t available, uint64_t *missing) {
    bool adds_all = false;
    bool drops_all = false;
    uint64_t added = named(&spec->cap_add, &adds_all);
    uint64_t dropped = named(&spec->cap_drop, &drops_all);
    uint64_t set = (capabilities_default & ~dropped) | added;
    if (adds_all) {
        set = available & ~dropped;
    } else if (drops_all) {
        set = added;
    }
    *missing = set & added & ~available;
    return set & available;
}

uint64_t capabilities_available(void) {
    uint64_t set = 0;
    for (int number = 0; number < CAPABILITY_COUNT; number++) {
        if (prctl(PR_CAPBSET_READ, (unsigned long)number, 0UL, 0UL, 0UL) == 1) {
            set |= BIT(number);
        }
    }
    return set;
}
