// SPDX-License-Identifier: Apache-2.0
//
// specs/resource.c — the field tables of networks, secrets, configs, volumes, rollouts and sources.
#include "specs/resource.h"

#include "base/limits.h"
#include "base/str.h"
#include "specs/row.h"

#define NAME(type) STRING(type, 1, name, .flags = FIELD_REQUIRED | FIELD_IMMUTABLE, .help = "Name of the object.")
#define LABELS(type, tag) PAIRS(type, tag, labels, .flags = FIELD_PAIRS_LIST, .help = "Labels of the object.")

static void name_check(const char *name, struct problem_sink *sink) {
    if (name[0] != '\0' && !str_is_name(name, STORE_NAME_BYTES_MAX)) {
        problem(sink, "name", "'%s' is not a name", name);
    }
}

static const struct field ipam_pool_fields[] = {
    STRING(struct ipam_pool, 1, subnet, .help = "Subnet in CIDR form."),
    STRING(struct ipam_pool, 2, gateway, .help = "Gateway address."),
    STRING(struct ipam_pool, 3, ip_range, .help = "Range for tasks."),
};
static const struct schema ipam_pool_schema = SCHEMA("ipam_pool", struct ipam_pool, ipam_pool_fields, .help = "An address pool.");
static const struct field ipam_fields[] = {
    STRING(struct ipam, 1, driver, .help = "Address driver."),
    LIST(struct ipam, 2, config, &ipam_pool_schema, struct ipam_pool, .help = "Address pools."),
};
static const struct schema ipam_schema = SCHEMA("ipam", struct ipam, ipam_fields, .help = "Addresses of a network.");

static void network_spec_check(const void *object, struct problem_sink *sink) {
    name_check(((const struct network_spec *)object)->name, sink);
}
static const struct field network_spec_fields[] = {
    NAME(struct network_spec),
    STRING(struct network_spec, 2, driver, .default_text = "overlay", .help = "Driver."),
    PAIRS(struct network_spec, 3, driver_opts, .help = "Options for the driver."),
    BOOL(struct network_spec, 4, attachable, .help = "Whether single containers may join."),
    BOOL(struct network_spec, 5, internal, .help = "No way out."),
    BOOL(struct network_spec, 6, ingress, .help = "Carries published ports."),
    BOOL(struct network_spec, 7, encrypted, .help = "Encrypt between nodes."),
    BOOL(struct network_spec, 8, external, .help = "Made elsewhere."),
    BOOL(struct network_spec, 9, enable_ipv6, .help = "IPv6 too."),
    STRUCT(struct network_spec, 10, ipam, &ipam_schema, struct ipam, .help = "Addresses."),
    LABELS(struct network_spec, 11),
};
const struct schema network_spec_schema = SCHEMA("network", struct network_spec, network_spec_fields, .help = "A network between tasks (stored, not yet acting).", .check = network_spec_check);

static void secret_spec_check(const void *object, struct problem_sink *sink) {
    const struct secret_spec *spec = object;
    name_check(spec->name, sink);
    if (spec->data.len > 500 * KIB) {
        problem(sink, "data", "%zu bytes are over the limit of 500 KiB", spec->data.len);
    }
}
static const struct field secret_spec_fields[] = {
    NAME(struct secret_spec),
    STRING(struct secret_spec, 2, file, .help = "File with the content, read by the client."),
    STRING(struct secret_spec, 3, environment, .help = "Variable with the content, read by the client."),
    BLOB(struct secret_spec, 4, data, .flags = FIELD_SECRET, .help = "The content."),
    BOOL(struct secret_spec, 5, external, .help = "Made elsewhere."),
    STRING(struct secret_spec, 6, driver, .help = "Driver that supplies the content."),
    STRING(struct secret_spec, 7, template_driver, .help = "Template driver."),
    LABELS(struct secret_spec, 8),
};
const struct schema secret_spec_schema = SCHEMA("secret", struct secret_spec, secret_spec_fields, .help = "A secret (stored, not yet acting).", .check = secret_spec_check);

static void config_spec_check(const void *object, struct problem_sink *sink) {
    const struct config_spec *spec = object;
    name_check(spec->name, sink);
    if (spec->data.len > 1000 * KIB) {
        problem(sink, "data", "%zu bytes are over the limit of 1000 KiB", spec->data.len);
    }
}
static const struct field config_spec_fields[] = {
    NAME(struct config_spec),
    STRING(struct config_spec, 2, file, .help = "File with the content, read by the client."),
    STRING(struct config_spec, 3, content, .help = "The content as text."),
    STRING(struct config_spec, 4, environment, .help = "Variable with the content, read by the client."),
    BLOB(struct config_spec, 5, data, .help = "The content."),
    BOOL(struct config_spec, 6, external, .help = "Made elsewhere."),
    STRING(struct config_spec, 7, template_driver, .help = "Template driver."),
    LABELS(struct config_spec, 8),
};
const struct schema config_spec_schema = SCHEMA("config", struct config_spec, config_spec_fields, .help = "A configuration file (stored, not yet acting).", .check = config_spec_check);

static void volume_spec_check(const void *object, struct problem_sink *sink) {
    name_check(((const struct volume_spec *)object)->name, sink);
}
static const struct field volume_spec_fields[] = {
    NAME(struct volume_spec),
    STRING(struct volume_spec, 2, driver, .help = "Driver; only local."),
    PAIRS(struct volume_spec, 3, driver_opts, .help = "Options for the driver."),
    LABELS(struct volume_spec, 4),
    BOOL(struct volume_spec, 5, external, .help = "Made elsewhere."),
};
const struct schema volume_spec_schema = SCHEMA("volume", struct volume_spec, volume_spec_fields, .help = "A named volume; nodes make it when a task needs it.", .check = volume_spec_check);

static void source_spec_check(const void *object, struct problem_sink *sink) {
    name_check(((const struct source_spec *)object)->name, sink);
}
static const struct field source_spec_fields[] = {
    NAME(struct source_spec),
    STRING(struct source_spec, 2, directory, .help = "Directory of specs."),
    STRING(struct source_spec, 3, git, .help = "Repository of specs."),
    STRING(struct source_spec, 4, ref, .help = "Branch or tag."),
    DURATION(struct source_spec, 5, interval_ns, .name = "interval", .default_int = 60000000000, .help = "Time between two looks."),
    STRING(struct source_spec, 6, policy, .default_text = "report", .help = "report or correct."),
    BOOL(struct source_spec, 7, suspend, .help = "Do not look."),
    LABELS(struct source_spec, 8),
};
const struct schema source_spec_schema = SCHEMA("source", struct source_spec, source_spec_fields, .help = "A directory or repository of specs (stored, not yet acting).", .check = source_spec_check);

#define OBJECT_FIELDS(type, noun)                                                                                      \
    static const struct field noun##_fields[] = {                                                                      \
        STRUCT(struct type, 1, meta, &meta_schema, struct meta, .help = "What all objects share."),                    \
        STRUCT(struct type, 2, spec, &noun##_spec_schema, struct noun##_spec, .help = "What is declared."),            \
    };                                                                                                                 \
    const struct schema noun##_schema = SCHEMA(#noun "_object", struct type, noun##_fields, .help = "As stored.")

OBJECT_FIELDS(network, network);
OBJECT_FIELDS(secret, secret);
OBJECT_FIELDS(config, config);
OBJECT_FIELDS(volume, volume);
OBJECT_FIELDS(source, source);

static const struct field rollout_slot_fields[] = {
    INT(struct rollout_slot, 1, slot, 0, INT64_MAX, .help = "The slot."),
    ID(struct rollout_slot, 2, node_id, .help = "Its node."),
    ID(struct rollout_slot, 3, old_task, .help = "Task before."),
    ID(struct rollout_slot, 4, new_task, .help = "Task after."),
    INT(struct rollout_slot, 5, state, 0, INT64_MAX, .help = "Where it is."),
    INT(struct rollout_slot, 6, failures, 0, INT64_MAX, .help = "Failed tries."),
};
static const struct schema rollout_slot_schema = SCHEMA("rollout_slot", struct rollout_slot, rollout_slot_fields, .help = "One slot of a rollout.");
static const char *const rollout_state_names[] = {"none", "updating", "paused", "completed", "rollback_started", "rollback_paused", "rollback_completed"};
static const struct field rollout_fields[] = {
    STRUCT(struct rollout, 1, meta, &meta_schema, struct meta, .help = "What all objects share."),
    ID(struct rollout, 2, service_id, .help = "The service."),
    INT(struct rollout, 3, from_revision, 0, INT64_MAX, .help = "Revision before."),
    INT(struct rollout, 4, to_revision, 0, INT64_MAX, .help = "Revision after."),
    ENUM(struct rollout, 5, state, rollout_state_names, UPDATE_NONE, .help = "Where it is."),
    STRUCT(struct rollout, 6, policy, &update_config_schema, struct update_config, .help = "How tasks are replaced."),
    TIME(struct rollout, 7, started_unix_ms, .name = "started_at", .help = "When it began."),
    TIME(struct rollout, 8, finished_unix_ms, .name = "finished_at", .help = "When it ended."),
    INT(struct rollout, 9, batch, 0, INT64_MAX, .help = "Number of the batch."),
    INT(struct rollout, 10, failures_used, 0, INT64_MAX, .help = "Failures so far."),
    INT(struct rollout, 11, failures_allowed, 0, INT64_MAX, .help = "Failures tolerated."),
    LIST(struct rollout, 12, slots, &rollout_slot_schema, struct rollout_slot, .help = "Its slots."),
    STRING(struct rollout, 13, cause, .help = "Why it stopped."),
    STRING(struct rollout, 14, message, .help = "In words."),
};
const struct schema rollout_schema = SCHEMA("rollout", struct rollout, rollout_fields, .help = "A change of a service on its way.");
