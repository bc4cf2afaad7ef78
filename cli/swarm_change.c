// SPDX-License-Identifier: Apache-2.0
//
// cli/swarm_change.c — the one object of the cluster, read, changed and shown.
#include "cli/swarm_change.h"

#include <stdio.h>

#include "cli/change.h"
#include "cli/connect.h"

static int get_cluster(struct client *client, struct arena *arena, struct cluster **out, struct error *err) {
    void *object = NULL;
    int rc = connect_get(client, KIND_CLUSTER, "default", arena, &object, err);
    *out = object;
    return rc;
}

// --- update ---

// tidy: table
const struct option_row swarm_update_rows[SWARM_UPDATE_ROWS] = {
    OPT_FLAG(struct swarm_update_args, autolock, "autolock", '\0',
             .help = "Keep the managers' keys locked at rest: not in this version"),
    SWARM_SETTINGS_ROWS(struct swarm_update_args),
};

static int check(const struct invocation *in, struct error *err) {
    bool has_one = false;
    for (size_t i = 0; i < SWARM_UPDATE_ROWS; i++) {
        has_one |= in->own.given[i];
    }
    if (!has_one) {
        return error_set(err, ERR_USAGE,
                         "nothing to change: name a setting, as in \"muster swarm update "
                         "--task-history-limit 2\"");
    }
    return ((const struct swarm_update_args *)in->args)->autolock
               ? error_set(err, ERR_UNSUPPORTED,
                           "--autolock is not in this version: the managers' keys lie in their state "
                           "directories, for root only")
               : 0;
}

int swarm_update_run(struct invocation *in, struct error *err) {
    const struct swarm_update_args *args = in->args;
    AUTO_CLIENT *client = NULL;
    struct cluster *cluster = NULL;
    struct change_set set;
    struct applied *applied;
    int rc = check(in, err);
    rc = rc < 0 ? rc : connect_open(in, &client, err);
    rc = rc < 0 ? rc : get_cluster(client, in->arena, &cluster, err);
    if (rc < 0) {
        return rc;
    }
    struct cluster_spec *spec = schema_copy(&cluster_spec_schema, &cluster->spec, in->arena);
    rc = swarm_settings_apply(&args->settings, spec, in->arena, err);
    change_begin(&set, in);
    rc = rc < 0 ? rc : change_add(&set, KIND_CLUSTER, spec, &cluster->spec, cluster->meta.version, err);
    rc = rc < 0 ? rc : change_send(&set, client, &applied, err);
    if (rc == 0) {
        puts("Swarm updated.");
    }
    return rc;
}

// --- ca ---

const struct option_row swarm_ca_rows[SWARM_CA_ROWS] = {
    OPT_FLAG(struct swarm_ca_args, rotate, "rotate", '\0',
             .help = "Replace the authority: not in this version"),
};

int swarm_ca_run(struct invocation *in, struct error *err) {
    AUTO_CLIENT *client = NULL;
    struct cluster *cluster = NULL;
    if (((const struct swarm_ca_args *)in->args)->rotate) {
        return error_set(err, ERR_UNSUPPORTED,
                         "--rotate is not in this version: the cluster's authority is "
                         "valid for 20 years from when the cluster was made");
    }
    int rc = connect_open(in, &client, err);
    rc = rc < 0 ? rc : get_cluster(client, in->arena, &cluster, err);
    if (rc == 0 && cluster->trust == NULL) {
        rc = error_set(err, ERR_BUSY, "the cluster has no authority yet: the leader makes one, in a moment");
    }
    for (size_t i = 0; rc == 0 && i < cluster->trust->authorities.count; i++) {
        fputs(cluster->trust->authorities.items[i], stdout);
    }
    return rc;
}
