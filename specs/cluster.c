// SPDX-License-Identifier: Apache-2.0
//
// specs/cluster.c — the field tables of the cluster's own settings.
#include "specs/cluster.h"

#include <string.h>

#include "specs/row.h"

#define SECOND_NS INT64_C(1000000000)
#define HOUR_NS (3600 * SECOND_NS)

static const struct field cluster_raft_fields[] = {
    INT(struct cluster_raft, 1, snapshot_interval, 1, INT32_MAX, .default_int = 10000,
        .help = "Log entries between two snapshots.", .since = "0.1"),
    INT(struct cluster_raft, 2, keep_old_snapshots, 0, 1000, .help = "Old snapshots that are kept.",
        .since = "0.1"),
    INT(struct cluster_raft, 3, log_entries_for_slow_followers, 0, INT32_MAX, .default_int = 500,
        .help = "Log entries kept after a snapshot for managers that lag.", .since = "0.1"),
    INT(struct cluster_raft, 4, heartbeat_tick, 1, 100, .default_int = 1,
        .help = "Ticks between two heartbeats of the leader.", .since = "0.1"),
    INT(struct cluster_raft, 5, election_tick, 2, 1000, .default_int = 10,
        .help = "Ticks without a leader before an election.", .since = "0.1"),
};
static const struct schema cluster_raft_schema =
    SCHEMA("cluster_raft", struct cluster_raft, cluster_raft_fields, .help = "Consensus between managers.");

static void cluster_spec_check(const void *object, struct problem_sink *sink) {
    const struct cluster_spec *spec = object;
    if (spec->raft.election_tick <= spec->raft.heartbeat_tick) {
        problem(sink, "raft.election_tick", "must be more than raft.heartbeat_tick");
    }
    if (strcmp(spec->name, "default") != 0) {
        problem(sink, "name", "the cluster's name is 'default'");
    }
}

static const struct field cluster_spec_fields[] = {
    STRING(struct cluster_spec, 1, name, .default_text = "default", .flags = FIELD_IMMUTABLE,
           .help = "Always default: there is one.", .since = "0.1"),
    PAIRS(struct cluster_spec, 2, labels, .flags = FIELD_PAIRS_LIST, .help = "Labels of the cluster.",
          .since = "0.1"),
    INT(struct cluster_spec, 3, task_history_limit, -1, 1000000, .default_int = 5,
        .help = "Ended tasks that are kept for each slot; -1 keeps all.", .example = "10", .since = "0.1"),
    DURATION(struct cluster_spec, 4, dispatcher_heartbeat_ns, .name = "dispatcher_heartbeat",
             .min = SECOND_NS, .max = 24 * HOUR_NS, .default_int = 5 * SECOND_NS,
             .help = "Time between two signs of life of a node; three missing ones make it down.",
             .example = "5s", .since = "0.1"),
    DURATION(struct cluster_spec, 5, cert_expiry_ns, .name = "cert_expiry", .min = HOUR_NS, .max = INT64_MAX,
             .default_int = 2160 * HOUR_NS, .help = "Life of the certificates of nodes.", .example = "720h",
             .since = "0.1"),
    STRUCT(struct cluster_spec, 6, raft, &cluster_raft_schema, struct cluster_raft, .flags = FIELD_LATER,
           .help = "Consensus between managers.", .since = "0.1"),
    STRINGS(struct cluster_spec, 7, default_addr_pool, .flags = FIELD_ONE | FIELD_LATER,
            .help = "Address ranges that networks are cut from; 10.0.0.0/8 when empty.",
            .example = "[10.20.0.0/16]", .since = "0.1"),
    INT(struct cluster_spec, 8, default_addr_pool_mask_length, 8, 29, .flags = FIELD_LATER, .default_int = 24,
        .help = "Prefix length of a network cut from the pool.", .since = "0.1"),
    INT(struct cluster_spec, 9, data_path_port, 1024, 49151, .flags = FIELD_LATER, .default_int = 4789,
        .help = "UDP port between nodes for the traffic of networks.", .since = "0.1"),
    BOOL(struct cluster_spec, 10, autolock, .flags = FIELD_LATER,
         .help = "Managers ask for a key when they start.", .since = "0.1"),
    STRINGS(struct cluster_spec, 11, insecure_registries, .flags = FIELD_UNORDERED,
            .help = "Registries, host or host:port, that may be reached without verified TLS.",
            .example = "['reg.local:5000']", .since = "0.1"),
};
const struct schema cluster_spec_schema =
    SCHEMA("cluster", struct cluster_spec, cluster_spec_fields, .help = "The settings of the whole cluster.",
           .check = cluster_spec_check);

static const struct field cluster_token_fields[] = {
    BLOB(struct cluster_token, 1, secret, .flags = FIELD_SEALED, .help = "The secret in the token, sealed."),
    TIME(struct cluster_token, 2, expires_unix_ms, .name = "expires", .help = "When it ends; 0 is never."),
    INT(struct cluster_token, 3, uses_max, 0, CLUSTER_TOKEN_USES_MAX,
        .help = "How many nodes it lets in; 0 is without limit."),
    INT(struct cluster_token, 4, uses, 0, INT64_MAX, .help = "How many nodes it let in, if they are limited."),
    BLOB(struct cluster_token, 5, retired, .flags = FIELD_SEALED, .help = "Digests of the secrets before."),
};
static const struct schema cluster_token_schema =
    SCHEMA("cluster_token", struct cluster_token, cluster_token_fields, .help = "How nodes of a role get in.");

static const struct field cluster_rotation_fields[] = {
    BLOB(struct cluster_rotation, 1, next_key, .flags = FIELD_SEALED,
         .help = "The key of the newest authority, sealed, as long as the one before signs."),
    TIME(struct cluster_rotation, 2, started_unix_ms, .name = "started", .help = "When it began."),
};
static const struct schema cluster_rotation_schema =
    SCHEMA("cluster_rotation", struct cluster_rotation, cluster_rotation_fields,
           .help = "How far the authority is replaced by another one.");

static const struct field cluster_trust_fields[] = {
    STRINGS(struct cluster_trust, 1, authorities,
            .help = "Certificates of the authorities, PEM; the newest first."),
    BLOB(struct cluster_trust, 2, authority_key, .flags = FIELD_SEALED,
         .help = "The key of the authority that signs, sealed."),
    STRUCT(struct cluster_trust, 3, worker_token, &cluster_token_schema, struct cluster_token,
           .help = "How workers get in."),
    STRUCT(struct cluster_trust, 4, manager_token, &cluster_token_schema, struct cluster_token,
           .help = "How managers get in."),
    OPTIONAL(struct cluster_trust, 5, rotation, &cluster_rotation_schema, struct cluster_rotation,
             .help = "The authority is being replaced."),
};
const struct schema cluster_trust_schema =
    SCHEMA("cluster_trust", struct cluster_trust, cluster_trust_fields,
           .help = "Whom the cluster believes, and how nodes get in.");

static const struct field cluster_fields[] = {
    STRUCT(struct cluster, 1, meta, &meta_schema, struct meta, .help = "What all objects share."),
    STRUCT(struct cluster, 2, spec, &cluster_spec_schema, struct cluster_spec, .help = "What is declared."),
    INT(struct cluster, 3, feature_level, 0, INT32_MAX,
        .help = "What all managers of the cluster understand."),
    OPTIONAL(struct cluster, 4, trust, &cluster_trust_schema, struct cluster_trust,
             .help = "Whom the cluster believes, and how nodes get in."),
};
const struct schema cluster_schema =
    SCHEMA("cluster_object", struct cluster, cluster_fields, .help = "The cluster as stored.");
