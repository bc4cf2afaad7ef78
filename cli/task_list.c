// SPDX-License-Identifier: Apache-2.0
//
// cli/task_list.c — finding what was named, going on when something is not there, and printing the tasks.
#include "cli/task_list.h"

#include <string.h>

#include "base/str.h"
#include "cli/connect.h"

void task_list_unresolve(struct rows *rows, struct arena *arena) {
    for (size_t i = 0; i < rows->count; i++) {
        struct task_row *row = arena_copy(arena, rows->items[i], sizeof *row);
        const struct task *task = row->task;
        AUTO_BUF name = {0};
        task_name(task, task->service_id.text, &name);
        row->name = arena_strdup(arena, buf_text(&name));
        row->service_name = task->service_id.text;
        row->node_name = task->node_id.text;
        rows->items[i] = row;
    }
}

const char *task_list_node(struct client *client, const char *reference) {
    return str_equal(reference, "self") ? client_welcome(client)->node_id.text : reference;
}

int task_list_resolve(const struct invocation *in, struct client *client, enum object_kind kind,
                      const struct option_arguments *references, struct object_list *out, struct error *err) {
    int worst = 0;
    for (size_t i = 0; i < references->count; i++) {
        const char *reference =
            kind == KIND_NODE ? task_list_node(client, references->items[i]) : references->items[i];
        void *object = NULL;
        int rc = connect_get(client, kind, reference, in->arena, &object, err);
        if (rc == 0) {
            *ARENA_PUSH(in->arena, out) = object;
        } else {
            worst = command_complain(in, rc, err);
        }
    }
    return worst;
}

static int fetch(struct client *client, const struct strings *services, const struct id *node,
                 struct arena *arena, struct rows *out, struct error *err) {
    struct rows some = {0};
    int rc = columns_fetch_tasks(client, services, node, arena, &some, err);
    for (size_t i = 0; rc == 0 && i < some.count; i++) {
        *ARENA_PUSH(arena, out) = some.items[i];
    }
    return rc;
}

int task_list_print(const struct invocation *in, struct client *client, const struct object_list *services,
                    const struct object_list *nodes, bool no_resolve, struct error *err) {
    struct rows rows = {0};
    struct strings ids = {0};
    int rc = 0;
    for (size_t i = 0; services != NULL && i < services->count; i++) {
        *ARENA_PUSH(in->arena, &ids) = object_meta(services->items[i])->id.text;
    }
    if (ids.count > 0) {
        rc = fetch(client, &ids, NULL, in->arena, &rows, err);
    }
    for (size_t i = 0; rc == 0 && nodes != NULL && i < nodes->count; i++) {
        rc = fetch(client, NULL, &object_meta(nodes->items[i])->id, in->arena, &rows, err);
    }
    if (rc == 0 && no_resolve) {
        task_list_unresolve(&rows, in->arena);
    }
    return rc < 0 ? rc : output_list(in, &columns_tasks, rows, err);
}
