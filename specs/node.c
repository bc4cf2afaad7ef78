// SPDX-License-Identifier: Apache-2.0
//
// specs/node.c — the field tables of nodes.
#include "specs/node.h"

#include "base/limits.h"
#include "base/str.h"
#include "specs/row.h"

const char *const node_availability_names[3] = {"active", "pause", "drain"};
const char *const node_role_names[2] = {"worker", "manager"};
const char *const node_state_names[4] = {"unknown", "down", "ready", "disconnected"};

static void node_spec_check(const void *object, struct problem_sink *sink) {
    const struct node_spec *spec = object;
    if (spec->name[0] != '\0' && !str_is_name(spec->name, NAME_BYTES_MAX)) {
        problem(sink, "name", "'%s' is not a node name", spec->name);
    }
}

static const struct field node_spec_fields[] = {
    STRING(struct node_spec, 1, name, .flags = FIELD_REQUIRED, .help = "Name of the node.", .example = "w1"),
    ENUM(struct node_spec, 2, role, node_role_names, ROLE_WORKER, .flags = FIELD_LATER, .help = "worker, or manager."),
    ENUM(struct node_spec, 3, availability, node_availability_names, AVAILABILITY_ACTIVE, .consequence = CONSEQUENCE_MOVE,
         .help = "active takes tasks, pause keeps what runs, drain gives all away."),
    PAIRS(struct node_spec, 4, labels, .flags = FIELD_PAIRS_LIST, .consequence = CONSEQUENCE_MOVE, .help = "Labels for constraints.", .example = "{disk: ssd}"),
};
const struct schema node_spec_schema = SCHEMA("node", struct node_spec, node_spec_fields, .help = "A machine of the cluster.", .check = node_spec_check);

static const struct field node_description_fields[] = {
    STRING(struct node_description, 1, hostname, .help = "Host name."),
    STRING(struct node_description, 2, os, .help = "Operating system."),
    STRING(struct node_description, 3, arch, .help = "Architecture."),
    CPUS(struct node_description, 4, cpus_nano, .name = "cpus", .help = "CPUs."),
    SIZE(struct node_description, 5, memory_bytes, .name = "memory", .help = "Memory."),
    STRING(struct node_description, 6, version, .help = "Version of musterd."),
    STRING(struct node_description, 7, runtime_version, .help = "Version of the container runtime."),
    STRING(struct node_description, 8, cgroup_mode, .help = "v1, hybrid or v2."),
    PAIRS(struct node_description, 9, labels, .help = "Labels of the engine."),
};
const struct schema node_description_schema = SCHEMA("node_description", struct node_description, node_description_fields, .help = "What a node says of itself.");

static const struct field node_status_fields[] = {
    ENUM(struct node_status, 1, state, node_state_names, NODE_UNKNOWN, .help = "Whether it answers."),
    STRING(struct node_status, 2, message, .help = "In words."),
    STRING(struct node_status, 3, address, .help = "Its address."),
    TIME(struct node_status, 4, since_unix_ms, .name = "since", .help = "Since when."),
};
static const struct schema node_status_schema = SCHEMA("node_status", struct node_status, node_status_fields, .help = "What managers think of a node.");

static const struct field node_manager_fields[] = {
    BOOL(struct node_manager, 1, leader, .help = "Whether it leads."),
    BOOL(struct node_manager, 2, reachable, .help = "Whether the others reach it."),
    STRING(struct node_manager, 3, address, .help = "Address for managers."),
};
static const struct schema node_manager_schema = SCHEMA("node_manager", struct node_manager, node_manager_fields, .help = "A manager's part in consensus.");

static const struct field node_fields[] = {
    STRUCT(struct node, 1, meta, &meta_schema, struct meta, .help = "What all objects share."),
    STRUCT(struct node, 2, spec, &node_spec_schema, struct node_spec, .help = "What is declared."),
    STRUCT(struct node, 3, description, &node_description_schema, struct node_description, .help = "What the node says of itself."),
    STRUCT(struct node, 4, status, &node_status_schema, struct node_status, .help = "What managers think of it."),
    OPTIONAL(struct node, 5, manager, &node_manager_schema, struct node_manager, .help = "Of managers only."),
};
const struct schema node_schema = SCHEMA("node_object", struct node, node_fields, .help = "A node as stored.");
