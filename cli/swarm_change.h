// SPDX-License-Identifier: Apache-2.0
//
// cli/swarm_change.h — `muster swarm update` and `muster swarm ca`: the settings of the cluster, and whom it
// believes.
#ifndef MUSTER_CLI_SWARM_CHANGE_H
#define MUSTER_CLI_SWARM_CHANGE_H

#include "cli/swarm_settings.h"

struct swarm_update_args {
    struct swarm_settings settings;
    bool autolock;
};
enum { SWARM_UPDATE_ROWS = 6 };
extern const struct option_row swarm_update_rows[SWARM_UPDATE_ROWS];
int swarm_update_run(struct invocation *in, struct error *err);

struct swarm_ca_args {
    bool rotate;
};
enum { SWARM_CA_ROWS = 1 };
extern const struct option_row swarm_ca_rows[SWARM_CA_ROWS];
int swarm_ca_run(struct invocation *in, struct error *err);

#endif
