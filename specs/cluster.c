// SPDX-License-Identifier: Apache-2.0
//
// specs/cluster.c — the field tables of the cluster.
#include "specs/cluster.h"

#include "specs/row.h"

static const struct field cluster_raft_fields[] = {
    INT(struct cluster_raft, 1, snapshot_interval, 1, 1000000000, .default_int = 10000, .flags = FIELD_LATER, .help = "Entries between snapshots."),
    INT(struct cluster_raft, 2, keep_old_snapshots, 0, 1000, .flags = FIELD_LATER, .help = "Old snapshots kept."),
    INT(struct cluster_raft, 3, log_entries_for_slow_followers, 0, 1000000000, .default_int = 500, .flags = FIELD_LATER, .help = "Entries kept for slow followers."),
    INT(struct cluster_raft, 4, heartbeat_tick, 1, 1000, .default_int = 1, .flags = FIELD_LATER, .help = "Ticks between heartbeats."),
    INT(struct cluster_raft, 5, election_tick, 2, 10000, .default_int = 10, .flags = FIELD_LATER, .help = "Ticks without a leader before an election."),
};
static const struct schema cluster_raft_schema = SCHEMA("cluster_raft", struct cluster_raft, cluster_raft_fields, .help = "Settings of consensus.");

static const struct field cluster_spec_fields[] = {
    STRING(struct cluster_spec, 1, name, .default_text = "default", .help = "Name of the cluster."),
    PAIRS(struct cluster_spec, 2, labels, .flags = FIELD_PAIRS_LIST, .help = "Labels of the cluster."),
    INT(struct cluster_spec, 3, task_history_limit, -1, 1000, .default_int = 5, .help = "Tasks kept for each slot, the live one included; -1 = all."),
    DURATION(struct cluster_spec, 4, dispatcher_heartbeat_ns, .name = "dispatcher_heartbeat", .default_int = 5000000000, .flags = FIELD_LATER, .help = "Time between heartbeats of workers."),
    DURATION(struct cluster_spec, 5, cert_expiry_ns, .name = "cert_expiry", .default_int = 7776000000000000, .flags = FIELD_LATER, .help = "Life of node certificates."),
    STRUCT(struct cluster_spec, 6, raft, &cluster_raft_schema, struct cluster_raft, .help = "Settings of consensus."),
    STRINGS(struct cluster_spec, 7, default_addr_pool, .flags = FIELD_LATER, .help = "Address pools for networks."),
    INT(struct cluster_spec, 8, default_addr_pool_mask_length, 1, 30, .default_int = 24, .flags = FIELD_LATER, .help = "Size of a network taken from the pools."),
    INT(struct cluster_spec, 9, data_path_port, 1024, 49151, .default_int = 4789, .flags = FIELD_LATER, .help = "UDP port of overlay networks."),
    BOOL(struct cluster_spec, 10, autolock, .flags = FIELD_LATER, .help = "Seal the managers' keys."),
    STRINGS(struct cluster_spec, 11, insecure_registries, .flags = FIELD_UNORDERED, .help = "Registries reached without checking TLS, host[:port].", .example = "['127.0.0.1:5000']"),
};
const struct schema cluster_spec_schema = SCHEMA("cluster", struct cluster_spec, cluster_spec_fields, .help = "Settings of the whole cluster.");

static const struct field cluster_fields[] = {
    STRUCT(struct cluster, 1, meta, &meta_schema, struct meta, .help = "What all objects share."),
    STRUCT(struct cluster, 2, spec, &cluster_spec_schema, struct cluster_spec, .help = "What is declared."),
    INT(struct cluster, 3, feature_level, 0, INT64_MAX, .help = "Lowest level of all managers."),
};
const struct schema cluster_schema = SCHEMA("cluster_object", struct cluster, cluster_fields, .help = "The cluster as stored.");
