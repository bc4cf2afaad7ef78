// SPDX-License-Identifier: Apache-2.0
//
// reconciler/daemon/zones.c — reads zone files.
#include "reconciler/daemon/zones.h"

#include <fcntl.h>

#include "base/fs.h"

static int zone_read(const char *name, struct arena *arena, struct zone *out, struct error *err) {
    AUTO_BUF bytes = {0};
    AUTO_ARENA scratch = {0};
    struct error why = {0};
    if (!zone_name_is_valid(name)) {
        return error_set(err, ERR_INVALID, "'%s' is not a time zone like Europe/Berlin", name);
    }
    const char *path = arena_printf(&scratch, ZONES_DIR "/%s", name);
    if (fs_read(AT_FDCWD, path, ZONE_BYTES_MAX, &bytes, &why) < 0) {
        return error_set(err, ERR_INVALID,
                         "there is no time zone '%s' in " ZONES_DIR
                         " of the manager that leads: names are like "
                         "Europe/Berlin; the package is tzdata",
                         name);
    }
    return zone_parse(name, buf_bytes(&bytes), arena, out, err);
}

const struct zone *zones_get(struct zones *zones, const char *name) {
    struct zone *zone = map_get(&zones->by_name, name);
    if (zone != NULL || zones->by_name.count >= ZONES_KEPT_MAX) {
        return zone;
    }
    zone = ARENA_NEW(&zones->arena, struct zone);
    if (zone_read(name, &zones->arena, zone, /* err= */ NULL) < 0) {
        return NULL;
    }
    map_put(&zones->by_name, zone->name, zone);
    return zone;
}

int zone_file_check(const char *name, struct error *err) {
    AUTO_ARENA arena = {0};
    struct zone zone;
    return zone_read(name, &arena, &zone, err);
}

void zones_free(struct zones *zones) {
    map_free(&zones->by_name);
    arena_free(&zones->arena);
}
