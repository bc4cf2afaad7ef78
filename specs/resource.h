// SPDX-License-Identifier: Apache-2.0
//
// specs/resource.h — the objects that services refer to: networks, secrets, configs, volumes; and
// sources.
//
// The machinery of networks and sources comes with later releases; their declarations are accepted, checked
// and kept, so that files and stores written today stay valid.
#ifndef MUSTER_SPECS_RESOURCE_H
#define MUSTER_SPECS_RESOURCE_H

#include "base/limits.h"
#include "specs/object.h"
#include "specs/service.h"

struct ipam_pool {
    const char *subnet, *gateway, *ip_range;
    struct bytes unknown;
};
struct ipam {
    const char *driver;
    LIST_OF(struct ipam_pool) config;
    struct bytes unknown;
};
struct network_spec {
    const char *name;
    const char *driver;
    struct pairs driver_opts;
    bool attachable, internal, ingress, encrypted, external, enable_ipv6;
    struct ipam ipam;
    struct pairs labels;
    struct bytes unknown;
};
struct network {
    struct meta meta;
    struct network_spec spec;
    struct bytes unknown;
};

#define CONTENT_NAME_BYTES_MAX 64
#define SECRET_BYTES_MAX ((size_t)500 * KIB) // Swarm's
#define CONFIG_BYTES_MAX ((size_t)1000 * KIB)
#define SECRET_SEAL_BYTES_MAX 64 // that sealing adds

struct secret_spec {
    const char *name;
    const char *file;
    const char *environment;
    struct bytes data;
    bool external;
    const char *driver;
    const char *template_driver;
    struct pairs labels;
    struct bytes fingerprint; // of the value, by a key of the managers; then `data` is sealed
    struct bytes unknown;
};
// A secret or config under one name has contents, each immutable: the newest is in the object of that name;
// one that came before, and that some revision of a service names still, is an object of its own, called
// NAME~CONTENT and shown to nobody (reconciler/daemon/decide_content.h).
struct secret {
    struct meta meta;
    struct secret_spec spec;
    struct id content; // none = made by a version that had one content only: the object's id stands for it
    bool is_old;       // it is what came before
    struct bytes unknown;
};
struct config_spec {
    const char *name;
    const char *file;
    const char *content;
    const char *environment;
    struct bytes data;
    bool external;
    const char *template_driver;
    struct pairs labels;
    struct bytes unknown;
};
struct config {
    struct meta meta;
    struct config_spec spec;
    struct id content; // as of secrets
    bool is_old;
    struct bytes unknown;
};

struct volume_spec {
    const char *name;
    const char *driver;
    struct pairs driver_opts;
    struct pairs labels;
    bool external;
    struct bytes unknown;
};
struct volume {
    struct meta meta;
    struct volume_spec spec;
    struct bytes unknown;
};

struct source_spec {
    const char *name;
    const char *directory;
    const char *git;
    const char *ref;
    int64_t interval_ns;
    const char *policy;
    bool suspend;
    struct pairs labels;
    struct bytes unknown;
};
struct source {
    struct meta meta;
    struct source_spec spec;
    struct bytes unknown;
};

extern const struct schema network_spec_schema, network_schema, secret_spec_schema, secret_schema,
    config_spec_schema, config_schema, volume_spec_schema, volume_schema, source_spec_schema, source_schema;

#endif
