// SPDX-License-Identifier: Apache-2.0
//
// specs/cluster.h — the settings of the whole cluster: one object, made by `swarm init`.
#ifndef MUSTER_SPECS_CLUSTER_H
#define MUSTER_SPECS_CLUSTER_H

#include "specs/object.h"

struct cluster_raft {
    int64_t snapshot_interval, keep_old_snapshots, log_entries_for_slow_followers;
    int64_t heartbeat_tick, election_tick;
    struct bytes unknown;
};
struct cluster_spec {
    const char *name; // "default"
    struct pairs labels;
    int64_t task_history_limit;      // per slot, default 5; -1 keeps all
    int64_t dispatcher_heartbeat_ns; // 5 s
    int64_t cert_expiry_ns;          // 2160 h
    struct cluster_raft raft;
    struct strings default_addr_pool;      // 10.0.0.0/8
    int64_t default_addr_pool_mask_length; // 24
    int64_t data_path_port;                // 4789
    bool autolock;
    struct strings insecure_registries; // plain HTTP or unverified TLS allowed for these host[:port]
    struct bytes unknown;
};

#define CLUSTER_TOKEN_USES_MAX 1000000

// Sealed: under the seal key of the cluster, which only managers have, and which is never in the store
// (reconciler/daemon/seal.h). Sealed fields may be copied and kept by anybody, and are shown to nobody.
struct cluster_token {       // lets nodes of one role in
    struct bytes secret;     // sealed: of the token that counts
    int64_t expires_unix_ms; // 0 = never
    int64_t uses_max, uses;  // nodes that it lets in, and has let in; 0 = as many as there are
    struct bytes retired;    // digests of the last secrets before it, the newest first
    struct bytes unknown;
};
// The authority is being replaced (reconciler/daemon/rotation.h).
struct cluster_rotation {
    struct bytes next_key;   // sealed: of the newest authority, which does not sign yet; empty = it does
    int64_t started_unix_ms;
    struct bytes unknown;
};
struct cluster_trust {
    struct strings authorities; // certificates, PEM; the newest first
    struct bytes authority_key; // sealed: of the one that signs, PEM
    struct cluster_token worker_token, manager_token;
    struct cluster_rotation *rotation; // NULL = there is one authority, and it signs
    struct bytes unknown;
};
struct cluster {
    struct meta meta;
    struct cluster_spec spec;
    int64_t feature_level;
    struct cluster_trust *trust; // NULL = made by a version that had none
    struct bytes unknown;
};
extern const struct schema cluster_spec_schema, cluster_schema, cluster_trust_schema;

#endif
