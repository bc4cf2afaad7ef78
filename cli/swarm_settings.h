// SPDX-License-Identifier: Apache-2.0
//
// cli/swarm_settings.h — the settings of the cluster that `swarm init` and `swarm update` share.
#ifndef MUSTER_CLI_SWARM_SETTINGS_H
#define MUSTER_CLI_SWARM_SETTINGS_H

#include "cli/command.h"
#include "specs/cluster.h"

struct swarm_settings { // text as given; NULL = not
    const char *cert_expiry, *heartbeat, *max_snapshots, *snapshot_interval, *history_limit;
};
// Rows of a command whose struct has them as `settings`.
#define SWARM_SETTINGS_ROWS(type)                                                                            \
    OPT_STRING(type, settings.cert_expiry, "cert-expiry", '\0', .metavar = "DURATION",                       \
               .help = "Life of node certificates (2160h)"),                                                 \
        OPT_STRING(type, settings.heartbeat, "dispatcher-heartbeat", '\0', .metavar = "DURATION",            \
                   .help = "Time between signs of life (5s)"),                                               \
        OPT_STRING(type, settings.max_snapshots, "max-snapshots", '\0', .metavar = "N",                      \
                   .help = "Old snapshots to keep (0)"),                                                     \
        OPT_STRING(type, settings.snapshot_interval, "snapshot-interval", '\0', .metavar = "N",              \
                   .help = "Log entries between snapshots (10000)"),                                         \
        OPT_STRING(type, settings.history_limit, "task-history-limit", '\0', .metavar = "N",                 \
                   .help = "Finished tasks kept for each slot (5); negative: all")

// Puts what is given into the spec. -ERR_USAGE, -ERR_INVALID name the option.
int swarm_settings_apply(const struct swarm_settings *settings, struct cluster_spec *spec,
                         struct arena *arena, struct error *err);

#endif
