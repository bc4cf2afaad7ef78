// SPDX-License-Identifier: Apache-2.0
//
// reconciler/daemon/zones.h — time zones from the files of this machine, read once.
//
// Planners are pure and get zones with their view; this is where they come from. A zone that was changed on
// disk is seen when the daemon starts anew.
#ifndef MUSTER_RECONCILER_DAEMON_ZONES_H
#define MUSTER_RECONCILER_DAEMON_ZONES_H

#include "base/map.h"
#include "specs/zone.h"

#define ZONES_DIR "/usr/share/zoneinfo"
#define ZONES_KEPT_MAX 700 // more than there are

// Zero-initialised is empty.
struct zones {
    struct arena arena;
    struct map by_name; // of struct zone
};

void zones_free(struct zones *zones);
// NULL: there is no such zone, or its file is not to be understood.
const struct zone *zones_get(struct zones *zones, const char *name);
// Is there such a zone? The error says what is wrong, and what to do.
int zone_file_check(const char *name, struct error *err);

#endif
