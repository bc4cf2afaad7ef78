// SPDX-License-Identifier: Apache-2.0
//
// specs/node.c — the field tables of nodes.
//
// Only the spec is the operator's; description and status are written by the cluster, and no document may
// set them.
#include "specs/node.h"

#include <string.h>

#include "base/limits.h"
#include "base/str.h"
#include "specs/row.h"

const char *const node_role_names[2] = {"worker", "manager"};
const char *const node_availability_names[3] = {"active", "pause", "drain"};
const char *const node_state_names[4] = {"unknown", "down", "ready", "disconnected"};

static void node_spec_check(const void *object, struct problem_sink *sink) {
    const struct node_spec *spec = object;
    if (spec->name[0] != '\0' && !str_is_name(spec->name, STORE_NAME_BYTES_MAX)) {
        problem(
            sink, "name",
            "'%s' is not a name: a letter or digit first, then letters, digits, '-', '_' and '.', at most %d",
            spec->name, STORE_NAME_BYTES_MAX);
    }
}

static const struct field node_spec_fields[] = {
    STRING(struct node_spec, 1, name, .flags = FIELD_REQUIRED | FIELD_IMMUTABLE,
           .help = "Name of the node: its host name.", .example = "worker-1", .since = "0.1"),
    ENUM(struct node_spec, 2, role, node_role_names, ROLE_WORKER,
         .help = "Managers keep the cluster's state and decide; both kinds run tasks.", .since = "0.1"),
    ENUM(struct node_spec, 3, availability, node_availability_names, AVAILABILITY_ACTIVE,
         .consequence = CONSEQUENCE_MOVE,
         .help = "active takes tasks, pause takes no new ones, drain gives its tasks away.", .since = "0.1"),
    PAIRS(struct node_spec, 4, labels, .flags = FIELD_PAIRS_LIST,
          .help = "Labels that placement.constraints name as node.labels.*.", .example = "{disk: ssd}",
          .since = "0.1"),
};
const struct schema node_spec_schema = SCHEMA("node", struct node_spec, node_spec_fields,
                                              .help = "A machine of the cluster.", .check = node_spec_check);

static const struct field node_description_fields[] = {
    STRING(struct node_description, 1, hostname, .help = "Host name."),
    STRING(struct node_description, 2, os, .help = "Operating system.", .example = "linux"),
    STRING(struct node_description, 3, arch, .help = "Machine, as the kernel names it.", .example = "x86_64"),
    CPUS(struct node_description, 4, cpus_nano, .name = "cpus", .help = "CPUs it has."),
    SIZE(struct node_description, 5, memory_bytes, .name = "memory", .help = "Memory it has."),
    STRING(struct node_description, 6, version, .help = "Version of its musterd."),
    STRING(struct node_description, 7, runtime_version, .help = "Version of its container runtime.",
           .example = "runc 1.1.5"),
    STRING(struct node_description, 8, cgroup_mode,
           .help = "How its kernel's control groups are mounted: v1, hybrid or v2."),
    PAIRS(struct node_description, 9, labels,
          .help = "Labels of its daemon's configuration, engine.labels.* in constraints."),
    STRING(struct node_description, 10, authority,
           .help = "Fingerprint of the authority that signed its certificate."),
    STRINGS(struct node_description, 11, authorities,
            .help = "Fingerprints of the authorities that it believes, the newest first."),
    LIST(struct node_description, 27, generic_resources, &generic_stock_schema, struct generic_stock,
         .help = "Resources of its daemon's configuration, generic_resources in reservations."),
};
const struct schema node_description_schema =
    SCHEMA("node_description", struct node_description, node_description_fields,
           .help = "What a node says of itself.");

static const struct field node_status_fields[] = {
    ENUM(struct node_status, 1, state, node_state_names, NODE_UNKNOWN,
         .help = "Whether its daemon is heard of."),
    STRING(struct node_status, 2, message, .help = "Why, for people."),
    STRING(struct node_status, 3, address, .help = "Address it was last heard from."),
    TIME(struct node_status, 4, since_unix_ms, .name = "since", .help = "When the state was reached."),
    BOOL(struct node_status, 5, left, .help = "It left the swarm by itself."),
    STRING(struct node_status, 6, join_key, .help = "SHA-256 of the public key that it joined with."),
};
static const struct schema node_status_schema =
    SCHEMA("node_status", struct node_status, node_status_fields, .help = "What managers think of a node.");

static const struct field node_manager_fields[] = {
    BOOL(struct node_manager, 1, leader, .help = "It leads the managers."),
    BOOL(struct node_manager, 2, reachable, .help = "The leader hears it."),
    STRING(struct node_manager, 3, address, .help = "Where other nodes reach it, host:port."),
};
static const struct schema node_manager_schema = SCHEMA(
    "node_manager", struct node_manager, node_manager_fields, .help = "A manager's part in the cluster.");

static const struct field node_fields[] = {
    STRUCT(struct node, 1, meta, &meta_schema, struct meta, .help = "What all objects share."),
    STRUCT(struct node, 2, spec, &node_spec_schema, struct node_spec, .help = "What is declared."),
    STRUCT(struct node, 3, description, &node_description_schema, struct node_description,
           .help = "What the node says of itself."),
    STRUCT(struct node, 4, status, &node_status_schema, struct node_status,
           .help = "What managers think of it."),
    OPTIONAL(struct node, 5, manager, &node_manager_schema, struct node_manager,
             .help = "Its part among the managers; absent on workers."),
};
const struct schema node_schema =
    SCHEMA("node_object", struct node, node_fields, .help = "A node as stored.");
