// SPDX-License-Identifier: Apache-2.0
//
// specs/node.h — a machine of the cluster: what is declared of it, what it says, what managers think of it.
#ifndef MUSTER_SPECS_NODE_H
#define MUSTER_SPECS_NODE_H

#include "specs/generic.h"
#include "specs/object.h"
#include "specs/service.h"

enum node_role { ROLE_WORKER, ROLE_MANAGER };
enum node_availability { AVAILABILITY_ACTIVE, AVAILABILITY_PAUSE, AVAILABILITY_DRAIN };
enum node_state { NODE_UNKNOWN, NODE_DOWN, NODE_READY, NODE_DISCONNECTED };

struct node_spec {
    const char *name; // hostname unless given
    enum node_role role;
    enum node_availability availability;
    struct pairs labels;
    struct bytes unknown;
};
struct node_description {
    const char *hostname, *os, *arch; // "linux", "x86_64"
    int64_t cpus_nano, memory_bytes;
    const char *version;                     // of musterd
    const char *runtime_version;             // "runc 1.1.5"
    const char *cgroup_mode;                 // "v1", "hybrid", "v2"
    struct pairs labels;                     // of the engine: from the daemon's configuration
    const char *authority;                   // fingerprint of what signed its certificate; "" = it has none
    struct strings authorities;              // fingerprints of those that it believes
    struct generic_stocks generic_resources; // from the daemon's configuration
    struct bytes unknown;
};
struct node_status {
    enum node_state state;
    const char *message;
    const char *address;
    int64_t since_unix_ms;
    bool left;            // by itself; it may join again
    const char *join_key; // SHA-256 of the public key that it joined with, hexadecimal
    struct bytes unknown;
};
struct node_manager { // of managers only
    bool leader;
    bool reachable;
    const char *address; // host:port
    struct bytes unknown;
};
struct node {
    struct meta meta;
    struct node_spec spec;
    struct node_description description;
    struct node_status status;
    struct node_manager *manager;
    struct bytes unknown;
};
extern const struct schema node_spec_schema, node_schema, node_description_schema;

extern const char *const node_availability_names[3], *const node_role_names[2], *const node_state_names[4];

#endif
