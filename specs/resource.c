// SPDX-License-Identifier: Apache-2.0
//
// specs/resource.c — the field tables of what services refer to: networks, secrets, configs, volumes; of
// rollouts and sources.
//
// A secret's or config's `file`, `environment` and `content` are read by the client into `data` and never
// reach the store.
#include "specs/resource.h"

#include <ctype.h>
#include <string.h>

#include "base/limits.h"
#include "base/str.h"
#include "specs/row.h"

static void check_name(const char *name, struct problem_sink *sink) {
    if (name[0] != '\0' && !str_is_name(name, STORE_NAME_BYTES_MAX)) {
        problem(
            sink, "name",
            "'%s' is not a name: a letter or digit first, then letters, digits, '-', '_' and '.', at most %d",
            name, STORE_NAME_BYTES_MAX);
    }
}

// --- networks ---

static const struct field ipam_pool_fields[] = {
    STRING(struct ipam_pool, 1, subnet, .help = "Address range.", .example = "10.7.0.0/24", .since = "0.1"),
    STRING(struct ipam_pool, 2, gateway, .help = "Address of the gateway.", .example = "10.7.0.1",
           .since = "0.1"),
    STRING(struct ipam_pool, 3, ip_range, .help = "Part of the subnet that tasks get addresses from.",
           .example = "10.7.0.128/25", .since = "0.1"),
};
static const struct schema ipam_pool_schema =
    SCHEMA("ipam_pool", struct ipam_pool, ipam_pool_fields, .help = "One address range.");

static const struct field ipam_fields[] = {
    STRING(struct ipam, 1, driver, .default_text = "default", .help = "Who hands out addresses.",
           .since = "0.1"),
    LIST(struct ipam, 2, config, &ipam_pool_schema, struct ipam_pool, .help = "Address ranges.",
         .since = "0.1"),
};
static const struct schema ipam_schema =
    SCHEMA("ipam", struct ipam, ipam_fields, .help = "Addresses of a network.");

static void network_check(const void *object, struct problem_sink *sink) {
    const struct network_spec *spec = object;
    check_name(spec->name, sink);
    if (spec->ingress && spec->attachable) {
        problem(sink, "attachable", "does not go with ingress");
    }
}

static const struct field network_spec_fields[] = {
    STRING(struct network_spec, 1, name, .flags = FIELD_REQUIRED | FIELD_IMMUTABLE,
           .help = "Name of the network.", .example = "front", .since = "0.1"),
    STRING(struct network_spec, 2, driver, .default_text = "overlay", .flags = FIELD_LATER,
           .help = "What carries its traffic.", .since = "0.1"),
    PAIRS(struct network_spec, 3, driver_opts, .flags = FIELD_PAIRS_LIST | FIELD_LATER,
          .help = "Options for the driver.", .since = "0.1"),
    BOOL(struct network_spec, 4, attachable, .flags = FIELD_LATER,
         .help = "Containers outside of services may join.", .since = "0.1"),
    BOOL(struct network_spec, 5, internal, .flags = FIELD_LATER, .help = "No way out of it.", .since = "0.1"),
    BOOL(struct network_spec, 6, ingress, .flags = FIELD_LATER, .help = "It carries published ports.",
         .since = "0.1"),
    BOOL(struct network_spec, 7, encrypted, .flags = FIELD_LATER,
         .help = "Its traffic between nodes is encrypted.", .since = "0.1"),
    BOOL(struct network_spec, 8, external, .help = "It exists already; it is neither made nor removed.",
         .since = "0.1"),
    BOOL(struct network_spec, 9, enable_ipv6, .flags = FIELD_LATER, .help = "It has IPv6 addresses too.",
         .since = "0.1"),
    STRUCT(struct network_spec, 10, ipam, &ipam_schema, struct ipam, .flags = FIELD_LATER,
           .help = "Its addresses.", .since = "0.1"),
    PAIRS(struct network_spec, 11, labels, .flags = FIELD_PAIRS_LIST, .help = "Labels of the network.",
          .since = "0.1"),
};
const struct schema network_spec_schema =
    SCHEMA("network", struct network_spec, network_spec_fields, .help = "A network that services join.",
           .check = network_check);

static const struct field network_fields[] = {
    STRUCT(struct network, 1, meta, &meta_schema, struct meta, .help = "What all objects share."),
    STRUCT(struct network, 2, spec, &network_spec_schema, struct network_spec, .help = "What is declared."),
};
const struct schema network_schema =
    SCHEMA("network_object", struct network, network_fields, .help = "A network as stored.");

// --- secrets and configs ---

static void check_sources(bool external, struct bytes data, size_t bytes_max, struct problem_sink *sink) {
    if (data.len > bytes_max) {
        problem(sink, "data", "%zu bytes are over the limit of %zu KiB", data.len, bytes_max / KIB);
    } else if (external && data.len > 0) {
        problem(sink, "external", "an external one has no content here: take away one of both");
    }
}

// Swarm's rule, so that a name serves as a file's.
static void check_content_name(const char *name, struct problem_sink *sink) {
    size_t len = strlen(name);
    if (len > 0 && (!str_is_name(name, CONTENT_NAME_BYTES_MAX) || !isalnum((unsigned char)name[len - 1]))) {
        problem(sink, "name",
                "'%.80s' is not a name: letters, digits, '-', '_' and '.', the first and last a letter or "
                "digit, at "
                "most %d",
                name, CONTENT_NAME_BYTES_MAX);
    }
}

static void secret_check(const void *object, struct problem_sink *sink) {
    const struct secret_spec *spec = object;
    check_content_name(spec->name, sink);
    check_sources(spec->external, spec->data,
                  SECRET_BYTES_MAX + (spec->fingerprint.len > 0 ? SECRET_SEAL_BYTES_MAX : 0), sink);
}

static const struct field secret_spec_fields[] = {
    STRING(struct secret_spec, 1, name, .flags = FIELD_REQUIRED | FIELD_IMMUTABLE,
           .help = "Name of the secret.", .example = "db_password", .since = "0.1"),
    STRING(struct secret_spec, 2, file, .help = "File with the value, at most 500 KiB; read by the client.",
           .example = "./password.txt", .since = "0.1"),
    STRING(struct secret_spec, 3, environment, .help = "Variable of the client's environment with the value.",
           .example = "DB_PASSWORD", .since = "0.1"),
    BLOB(struct secret_spec, 4, data, .flags = FIELD_SECRET, .consequence = CONSEQUENCE_RESTART,
         .help = "The value itself, in base64.", .example = "c2VjcmV0", .since = "0.1"),
    BOOL(struct secret_spec, 5, external, .help = "It exists already; it is neither made nor removed.",
         .since = "0.1"),
    STRING(struct secret_spec, 6, driver, .flags = FIELD_LATER,
           .help = "Who keeps the value instead of the cluster.", .since = "0.1"),
    STRING(struct secret_spec, 7, template_driver, .flags = FIELD_LATER,
           .help = "How the value is filled in for each task.", .since = "0.1"),
    PAIRS(struct secret_spec, 8, labels, .flags = FIELD_PAIRS_LIST, .help = "Labels of the secret.",
          .since = "0.1"),
    BLOB(struct secret_spec, 9, fingerprint, .flags = FIELD_SEALED | FIELD_HIDDEN,
         .help = "Tells values apart; then the data is sealed.", .since = "0.1"),
};
const struct schema secret_spec_schema =
    SCHEMA("secret", struct secret_spec, secret_spec_fields,
           .help = "A value that tasks get as a file and nobody is shown.", .check = secret_check);

static const struct field secret_fields[] = {
    STRUCT(struct secret, 1, meta, &meta_schema, struct meta, .help = "What all objects share."),
    STRUCT(struct secret, 2, spec, &secret_spec_schema, struct secret_spec, .help = "What is declared."),
    ID(struct secret, 3, content, .help = "Names the value."),
    BOOL(struct secret, 4, is_old, .help = "A value that came before, which some revision names."),
};
const struct schema secret_schema =
    SCHEMA("secret_object", struct secret, secret_fields, .help = "A secret as stored.");

static void config_check(const void *object, struct problem_sink *sink) {
    const struct config_spec *spec = object;
    check_content_name(spec->name, sink);
    check_sources(spec->external, spec->data, CONFIG_BYTES_MAX, sink);
}

static const struct field config_spec_fields[] = {
    STRING(struct config_spec, 1, name, .flags = FIELD_REQUIRED | FIELD_IMMUTABLE,
           .help = "Name of the config.", .example = "nginx_conf", .since = "0.1"),
    STRING(struct config_spec, 2, file,
           .help = "File with the content, at most 1000 KiB; read by the client.", .example = "./nginx.conf",
           .since = "0.1"),
    STRING(struct config_spec, 3, content, .help = "The content as text.", .example = "'listen 80;'",
           .since = "0.1"),
    STRING(struct config_spec, 4, environment,
           .help = "Variable of the client's environment with the content.", .example = "MOTD",
           .since = "0.1"),
    BLOB(struct config_spec, 5, data, .consequence = CONSEQUENCE_RESTART,
         .help = "The content itself, in base64.", .example = "aGVsbG8=", .since = "0.1"),
    BOOL(struct config_spec, 6, external, .help = "It exists already; it is neither made nor removed.",
         .since = "0.1"),
    STRING(struct config_spec, 7, template_driver, .flags = FIELD_LATER,
           .help = "How the content is filled in for each task.", .since = "0.1"),
    PAIRS(struct config_spec, 8, labels, .flags = FIELD_PAIRS_LIST, .help = "Labels of the config.",
          .since = "0.1"),
};
const struct schema config_spec_schema = SCHEMA("config", struct config_spec, config_spec_fields,
                                                .help = "A file that tasks get.", .check = config_check);

static const struct field config_fields[] = {
    STRUCT(struct config, 1, meta, &meta_schema, struct meta, .help = "What all objects share."),
    STRUCT(struct config, 2, spec, &config_spec_schema, struct config_spec, .help = "What is declared."),
    ID(struct config, 3, content, .help = "Names the content."),
    BOOL(struct config, 4, is_old, .help = "A content that came before, which some revision names."),
};
const struct schema config_schema =
    SCHEMA("config_object", struct config, config_fields, .help = "A config as stored.");

// --- volumes ---

static void volume_check(const void *object, struct problem_sink *sink) {
    const struct volume_spec *spec = object;
    check_name(spec->name, sink);
    if (strcmp(spec->driver, "local") != 0) {
        problem_warn(sink, "driver",
                     "'%s' is stored, but not yet acting in this version: volumes are local to a node",
                     spec->driver);
    }
}

static const struct field volume_spec_fields[] = {
    STRING(struct volume_spec, 1, name, .flags = FIELD_REQUIRED | FIELD_IMMUTABLE,
           .help = "Name of the volume.", .example = "data", .since = "0.1"),
    STRING(struct volume_spec, 2, driver, .default_text = "local", .flags = FIELD_IMMUTABLE,
           .consequence = CONSEQUENCE_DATA_LOSS, .help = "What keeps its data.", .since = "0.1"),
    PAIRS(struct volume_spec, 3, driver_opts, .flags = FIELD_PAIRS_LIST | FIELD_LATER,
          .consequence = CONSEQUENCE_DATA_LOSS, .help = "Options for the driver.", .since = "0.1"),
    PAIRS(struct volume_spec, 4, labels, .flags = FIELD_PAIRS_LIST, .help = "Labels of the volume.",
          .since = "0.1"),
    BOOL(struct volume_spec, 5, external, .help = "It exists already; it is neither made nor removed.",
         .since = "0.1"),
};
const struct schema volume_spec_schema =
    SCHEMA("volume", struct volume_spec, volume_spec_fields,
           .help = "A directory that outlives tasks, on each node that uses it.", .check = volume_check);

static const struct field volume_fields[] = {
    STRUCT(struct volume, 1, meta, &meta_schema, struct meta, .help = "What all objects share."),
    STRUCT(struct volume, 2, spec, &volume_spec_schema, struct volume_spec, .help = "What is declared."),
};
const struct schema volume_schema =
    SCHEMA("volume_object", struct volume, volume_fields, .help = "A volume as stored.");

// --- sources ---

static void source_check(const void *object, struct problem_sink *sink) {
    const struct source_spec *spec = object;
    check_name(spec->name, sink);
    if ((spec->directory[0] == '\0') == (spec->git[0] == '\0')) {
        problem(sink, "", "give one of 'directory' and 'git'");
    }
}

static const struct field source_spec_fields[] = {
    STRING(struct source_spec, 1, name, .flags = FIELD_REQUIRED | FIELD_IMMUTABLE,
           .help = "Name of the source.", .example = "shop", .since = "0.1"),
    STRING(struct source_spec, 2, directory, .flags = FIELD_LATER, .help = "Directory of spec files.",
           .example = "/srv/specs", .since = "0.1"),
    STRING(struct source_spec, 3, git, .flags = FIELD_LATER, .help = "Git repository of spec files.",
           .example = "https://git.example/specs.git", .since = "0.1"),
    STRING(struct source_spec, 4, ref, .flags = FIELD_LATER, .help = "Branch, tag or commit.",
           .example = "main", .since = "0.1"),
    DURATION(struct source_spec, 5, interval_ns, .name = "interval", .flags = FIELD_LATER,
             .default_int = 60000000000, .help = "Time between two looks at it.", .example = "5m",
             .since = "0.1"),
    STRING(struct source_spec, 6, policy, .default_text = "report", .flags = FIELD_LATER,
           .help = "What a difference leads to: report or correct.", .since = "0.1"),
    BOOL(struct source_spec, 7, suspend, .flags = FIELD_LATER, .help = "Not looked at.", .since = "0.1"),
    PAIRS(struct source_spec, 8, labels, .flags = FIELD_PAIRS_LIST, .help = "Labels of the source.",
          .since = "0.1"),
};
const struct schema source_spec_schema =
    SCHEMA("source", struct source_spec, source_spec_fields,
           .help = "A place whose spec files the cluster follows.", .check = source_check);

static const struct field source_fields[] = {
    STRUCT(struct source, 1, meta, &meta_schema, struct meta, .help = "What all objects share."),
    STRUCT(struct source, 2, spec, &source_spec_schema, struct source_spec, .help = "What is declared."),
};
const struct schema source_schema =
    SCHEMA("source_object", struct source, source_fields, .help = "A source as stored.");
