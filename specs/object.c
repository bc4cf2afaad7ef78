// SPDX-License-Identifier: Apache-2.0
//
// specs/object.c — the registry of kinds, and the records around objects: meta data, changes, transactions,
// events.
#include "specs/object.h"

#include <string.h>
#include <strings.h>

#include "base/limits.h"
#include "base/str.h"
#include "specs/assignment.h"
#include "specs/cluster.h"
#include "specs/node.h"
#include "specs/resource.h"
#include "specs/rollout.h"
#include "specs/row.h"
#include "specs/service.h"
#include "specs/task.h"

static const struct field meta_fields[] = {
    ID(struct meta, 1, id, .help = "Identity, never reused."),
    INT(struct meta, 2, version, 0, INT64_MAX, .help = "Revision of the store that last wrote the object."),
    INT(struct meta, 3, created, 0, INT64_MAX, .help = "Revision that created it."),
    TIME(struct meta, 4, created_unix_ms, .name = "created_at", .help = "When it was created."),
    TIME(struct meta, 5, updated_unix_ms, .name = "updated_at", .help = "When it was last written."),
    STRING(struct meta, 6, name, .help = "Name, unique within its kind."),
    STRING(struct meta, 7, owner, .help = "Set that declares it."),
    STRING(struct meta, 8, origin, .help = "File and line of its declaration."),
    STRING(struct meta, 9, changed_by, .help = "Who wrote the last version."),
};
const struct schema meta_schema = SCHEMA("meta", struct meta, meta_fields, .help = "What all objects share.");

static const char *const change_op_names[] = {"create", "update", "delete"};

static const struct field change_fields[] = {
    ENUM(struct change, 1, op, change_op_names, CHANGE_CREATE, .help = "What to do."),
    INT(struct change, 2, kind, 0, 63, .help = "Kind of the object."),
    ID(struct change, 3, id, .help = "Its id."),
    INT(struct change, 4, expected_version, 0, INT64_MAX, .help = "Version it must have; 0 = any."),
    BLOB(struct change, 5, object, .help = "The whole encoded object."),
};
const struct schema change_schema = SCHEMA("change", struct change, change_fields, .help = "One change.");

static const struct field transaction_fields[] = {
    STRING(struct transaction, 1, request_id, .help = "Makes a retry harmless."),
    STRING(struct transaction, 2, who, .help = "Who asked for it."),
    STRING(struct transaction, 3, why, .help = "The reason given."),
    TIME(struct transaction, 4, time_unix_ms, .name = "time", .help = "When it was proposed."),
    LIST(struct transaction, 5, changes, &change_schema, struct change,
         .help = "The changes, all or nothing."),
};
const struct schema transaction_schema =
    SCHEMA("transaction", struct transaction, transaction_fields, .help = "What is proposed and applied.");

static const struct field event_fields[] = {
    INT(struct event, 1, revision, 0, INT64_MAX, .help = "Revision of the store."),
    INT(struct event, 2, index, 0, INT64_MAX, .help = "Number of the change within the transaction."),
    TIME(struct event, 3, time_unix_ms, .name = "time", .help = "When it happened."),
    STRING(struct event, 4, who, .help = "Who did it."),
    STRING(struct event, 5, why, .help = "Why."),
    ENUM(struct event, 6, op, change_op_names, CHANGE_CREATE, .help = "What was done."),
    INT(struct event, 7, kind, 0, 63, .help = "Kind of the object."),
    ID(struct event, 8, id, .help = "Its id."),
    STRING(struct event, 9, name, .help = "Its name."),
    BLOB(struct event, 10, from, .help = "The encoded object before."),
    BLOB(struct event, 11, to, .help = "The encoded object after."),
    BOOL(struct event, 12, snapshot, .help = "Part of a snapshot, not of history."),
};
const struct schema event_schema =
    SCHEMA("event", struct event, event_fields, .help = "One entry of the history.");

static const struct field assigned_file_fields[] = {
    INT(struct assigned_file, 1, kind, 0, 63, .help = "Kind of the object."),
    STRING(struct assigned_file, 2, name, .help = "Its name."),
    ID(struct assigned_file, 3, content, .help = "Which content of it."),
    BOOL(struct assigned_file, 4, is_missing, .help = "There is no such object."),
    STRING(struct assigned_file, 5, trouble, .help = "Why the manager cannot give it."),
};
const struct schema assigned_file_schema = SCHEMA("assigned_file", struct assigned_file, assigned_file_fields,
                                                  .help = "A secret or config of a task.");

static const struct field assigned_content_fields[] = {
    ID(struct assigned_content, 1, id, .help = "Which content."),
    BLOB(struct assigned_content, 2, data, .flags = FIELD_SECRET, .help = "Its bytes."),
};
const struct schema assigned_content_schema =
    SCHEMA("assigned_content", struct assigned_content, assigned_content_fields,
           .help = "Bytes of a secret or config.");

const struct assigned_file *assignment_file(const struct assignment *assignment, int64_t kind,
                                            const char *name) {
    for (size_t i = 0; i < assignment->files.count; i++) {
        const struct assigned_file *file = &assignment->files.items[i];
        if (file->kind == kind && strcmp(file->name, name) == 0) {
            return file;
        }
    }
    return NULL;
}

static const struct field assignment_fields[] = {
    STRUCT(struct assignment, 1, task, &task_schema, struct task, .help = "The task."),
    STRUCT(struct assignment, 2, spec, &service_spec_schema, struct service_spec,
           .help = "The spec it runs."),
    STRING(struct assignment, 3, service_name, .help = "Name of its service."),
    STRING(struct assignment, 4, node_hostname, .help = "Host name of its node."),
    STRINGS(struct assignment, 5, insecure_registries, .help = "Registries reached without TLS."),
    LIST(struct assignment, 22, files, &assigned_file_schema, struct assigned_file,
         .help = "Contents of its secrets and configs."),
};
const struct schema assignment_schema =
    SCHEMA("assignment", struct assignment, assignment_fields, .help = "A task for a node.");

static const struct field task_report_fields[] = {
    ID(struct task_report, 1, task_id, .help = "The task."),
    STRUCT(struct task_report, 2, status, &task_status_schema, struct task_status,
           .help = "What the node observes."),
};
const struct schema task_report_schema =
    SCHEMA("task_report", struct task_report, task_report_fields, .help = "A node's report.");

static const struct {
    const char *name, *plural;
    bool is_declared;
    const struct schema *schema, *spec_schema;
    size_t spec_offset;
} kinds[KIND_END] = {
    [KIND_CLUSTER] = {"cluster", "clusters", true, &cluster_schema, &cluster_spec_schema,
                      offsetof(struct cluster, spec)},
    [KIND_NODE] = {"node", "nodes", true, &node_schema, &node_spec_schema, offsetof(struct node, spec)},
    [KIND_SERVICE] = {"service", "services", true, &service_schema, &service_spec_schema,
                      offsetof(struct service, spec)},
    [KIND_TASK] = {"task", "tasks", false, &task_schema, NULL, 0},
    [KIND_NETWORK] = {"network", "networks", true, &network_schema, &network_spec_schema,
                      offsetof(struct network, spec)},
    [KIND_SECRET] = {"secret", "secrets", true, &secret_schema, &secret_spec_schema,
                     offsetof(struct secret, spec)},
    [KIND_CONFIG] = {"config", "configs", true, &config_schema, &config_spec_schema,
                     offsetof(struct config, spec)},
    [KIND_VOLUME] = {"volume", "volumes", true, &volume_schema, &volume_spec_schema,
                     offsetof(struct volume, spec)},
    [KIND_ROLLOUT] = {"rollout", "rollouts", false, &rollout_schema, NULL, 0},
    [KIND_SOURCE] = {"source", "sources", true, &source_schema, &source_spec_schema,
                     offsetof(struct source, spec)},
    [KIND_REVISION] = {"revision", "revisions", false, &revision_schema, NULL, 0},
};

static bool is_known(enum object_kind kind) {
    return kind > KIND_NONE && kind < KIND_END;
}

const struct schema *object_schema(enum object_kind kind) {
    return is_known(kind) ? kinds[kind].schema : NULL;
}

const struct schema *object_spec_schema(enum object_kind kind) {
    return is_known(kind) ? kinds[kind].spec_schema : NULL;
}

size_t object_spec_offset(enum object_kind kind) {
    return kinds[kind].spec_offset;
}

const char *object_kind_name(enum object_kind kind) {
    return is_known(kind) ? kinds[kind].name : "unknown";
}

enum object_kind object_kind_parse(const char *name) {
    for (int kind = 1; kind < KIND_END; kind++) {
        if (strcasecmp(name, kinds[kind].name) == 0 || strcasecmp(name, kinds[kind].plural) == 0) {
            return (enum object_kind)kind;
        }
    }
    return KIND_NONE;
}

bool object_kind_is_declared(enum object_kind kind) {
    return is_known(kind) && kinds[kind].is_declared;
}

void transaction_add(struct transaction *transaction, enum change_op op, enum object_kind kind,
                     const void *object, struct arena *arena) {
    const struct meta *meta = object_meta_const(object);
    struct change *change = ARENA_PUSH(arena, &transaction->changes);
    schema_init(&change_schema, change);
    change->op = op;
    change->kind = kind;
    change->id = meta->id;
    change->expected_version = op == CHANGE_CREATE ? 0 : meta->version;
    if (op != CHANGE_DELETE) {
        AUTO_BUF bytes = buf_make(2 * OBJECT_BYTES_MAX);
        wire_encode(object_schema(kind), object, &bytes);
        change->object = (struct bytes){arena_copy(arena, bytes.data, bytes.len), bytes.len};
    }
}
