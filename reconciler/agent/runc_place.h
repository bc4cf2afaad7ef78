// SPDX-License-Identifier: Apache-2.0
//
// reconciler/agent/runc_place.h — where everything of a container lies, and what the files there say.
//
// On disk      <state>/tasks/<id>/ executor the assignment, and the boot it was made in: from the first
//              call of
//                                              prepare to the end of remove
//                                   removed    its name from the beginning of remove on
//                                   upper work volumes/ log log.1…
//              <state>/volumes/<name>/
//              <run>/tasks/<id>/    config.json hostname hosts resolv.conf rootfs/ (mounted while it is made)
//              <run>/tasks/<id>/shim/          the shim's directory (shim.c tells of its files)
//              <run>/runc/<id>/     runc's own
//              Control group: <parent>/<id>. The parent is /muster for the daemon in /var/lib/muster, and
//              /muster-<checksum of the state directory> for others: several daemons may share a machine, and
//              each may remove what it does not know below its own.
// All functions may be called from any thread.
#ifndef MUSTER_RECONCILER_AGENT_RUNC_PLACE_H
#define MUSTER_RECONCILER_AGENT_RUNC_PLACE_H

#include <limits.h>

#include "reconciler/agent/cgroups.h"
#include "specs/assignment.h"

#define RUNC_PLACE_DEFAULT_STATE_DIR "/var/lib/muster"

struct runc_place {
    char *state_dir, *run_dir, *runc_root, *volumes_dir, *group_parent;
    char boot[40]; // of this boot of the machine
};
// Makes the directories that all tasks share.
int runc_place_init(struct runc_place *place, const char *state_dir, const char *run_dir, struct error *err);
void runc_place_deinit(struct runc_place *place);

enum runc_place_root { RUNC_STATE, RUNC_RUN, RUNC_SHIM, RUNC_OWN, RUNC_GROUP };
struct runc_path {
    char text[PATH_MAX];
};
// The path of a file of the task; `name` "" is the directory itself. RUNC_GROUP takes no name.
struct runc_path runc_place_path(const struct runc_place *place, const char *id, enum runc_place_root root,
                                 const char *name);

// --- the record ---

int runc_place_record(const struct runc_place *place, const struct assignment *assignment, struct error *err);
struct runc_record {
    bool is_this_boot, is_removed;
    struct assignment *assignment; // in the arena
};
// -ERR_NOT_FOUND when the executor knows no such task, -ERR_CORRUPT when the file is damaged.
int runc_place_read_record(const struct runc_place *place, const char *id, struct arena *arena,
                           struct runc_record *out, struct error *err);

// --- undoing ---

// Kills what is left in the control group and removes what the running of the task needed: control group,
// runc's state, mount. -ERR_BUSY: not everything has died yet; again later.
int runc_place_end(const struct runc_place *place, const struct cgroups *cgroups, const char *id,
                   struct error *err);
// The same, and its run directory.
int runc_place_wipe(const struct runc_place *place, const struct cgroups *cgroups, const char *id,
                    struct error *err);
// Everything. Files of others in the task's state directory stay.
int runc_place_remove(const struct runc_place *place, const struct cgroups *cgroups, const char *id,
                      struct error *err);
// Kills every process that runs `runc … <id>` for us, what a lost shim left behind, and waits until they are
// gone, a second at most.
void runc_place_kill_runc(const struct runc_place *place, const char *id);

#endif
