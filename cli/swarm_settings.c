// SPDX-License-Identifier: Apache-2.0
//
// cli/swarm_settings.c — options of the command line as members of the cluster's spec.
#include "cli/swarm_settings.h"

#include "base/str.h"

static const struct {
    const char *option, *path;
    size_t offset; // of its text
} rows[] = {
    {"cert-expiry", "cert_expiry", offsetof(struct swarm_settings, cert_expiry)},
    {"dispatcher-heartbeat", "dispatcher_heartbeat", offsetof(struct swarm_settings, heartbeat)},
    {"max-snapshots", "raft.keep_old_snapshots", offsetof(struct swarm_settings, max_snapshots)},
    {"snapshot-interval", "raft.snapshot_interval", offsetof(struct swarm_settings, snapshot_interval)},
};

// Docker takes any negative number for all.
static int apply_history_limit(const char *text, struct cluster_spec *spec, struct error *err) {
    int64_t limit;
    if (text == NULL) {
        return 0;
    }
    if (!str_to_int(text, &limit)) {
        return error_set(err, ERR_USAGE, "--task-history-limit: '%s' is not a number", text);
    }
    spec->task_history_limit = limit < 0 ? -1 : limit;
    return 0;
}

int swarm_settings_apply(const struct swarm_settings *settings, struct cluster_spec *spec,
                         struct arena *arena, struct error *err) {
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *text = *(const char *const *)((const char *)settings + rows[i].offset);
        int rc =
            text == NULL ? 0 : schema_set_text(&cluster_spec_schema, spec, rows[i].path, text, arena, err);
        if (rc < 0) {
            return error_wrap(err, rc, "--%s", rows[i].option);
        }
    }
    return apply_history_limit(settings->history_limit, spec, err);
}
