// SPDX-License-Identifier: Apache-2.0
//
// cli/connect.c — opening the connection and the few calls that most commands make.
#include "cli/connect.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/str.h"

#define OPEN_MS 5000

const char *connect_host(const struct invocation *in) {
    const char *from_environment = getenv("MUSTER_HOST");
    if (!str_is_empty(in->shared.host)) {
        return in->shared.host;
    }
    return str_is_empty(from_environment) ? CONNECT_HOST_DEFAULT : from_environment;
}

int connect_open(const struct invocation *in, struct client **out, struct error *err) {
    if (in->shared.stale) {
        fputs("note: as this manager last knew, it may be out of date\n", stderr);
    }
    return (in->shared.stale ? client_open_stale : client_open)(connect_host(in), "muster " MUSTER_VERSION,
                                                                OPEN_MS, out, err);
}

void connect_close_at(struct client **client) {
    client_close(*client);
}

int connect_list(struct client *client, enum object_kind kind, const struct strings *references,
                 struct arena *arena, struct object_list *out, struct error *err) {
    struct list_request request;
    schema_init(&list_request_schema, &request);
    request.kind = kind;
    if (references != NULL) {
        request.references = *references;
    }
    return client_list(client, &request, arena, out, err);
}

int connect_get(struct client *client, enum object_kind kind, const char *reference, struct arena *arena,
                void **out, struct error *err) {
    struct strings references = {1, &reference};
    struct object_list list;
    int rc = connect_list(client, kind, &references, arena, &list, err);
    if (rc < 0) {
        return rc;
    }
    if (list.count != 1) {
        return error_set(err, list.count == 0 ? ERR_NOT_FOUND : ERR_AMBIGUOUS,
                         "%zu objects of kind %s are called '%s'", list.count, object_kind_name(kind),
                         reference);
    }
    *out = list.items[0];
    return 0;
}

int connect_apply(struct client *client, const struct apply_request *request, struct arena *arena,
                  struct applied **out, struct error *err) {
    return client_call(client, MESSAGE_APPLY, request, MESSAGE_APPLIED, arena, (void **)out, CONNECT_CALL_MS,
                       err);
}

int connect_remove(struct client *client, enum object_kind kind, const struct strings *references,
                   const char *why, bool force, struct arena *arena, struct applied **out,
                   struct error *err) {
    struct remove_request request;
    schema_init(&remove_request_schema, &request);
    request.request_id = connect_request_id(arena);
    request.why = why != NULL ? why : "";
    request.kind = kind;
    request.references = *references;
    request.force = force;
    return client_call(client, MESSAGE_REMOVE, &request, MESSAGE_APPLIED, arena, (void **)out,
                       CONNECT_CALL_MS, err);
}

const char *connect_request_id(struct arena *arena) {
    struct id id = id_random();
    return arena_strdup(arena, id.text);
}
