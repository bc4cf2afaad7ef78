// SPDX-License-Identifier: Apache-2.0
//
// cli/change.c — specs checked before they are sent, and what the daemon has to say about them.
#include "cli/change.h"

#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "cli/connect.h"
#include "cli/task_list.h"

void change_begin(struct change_set *set, const struct invocation *in) {
    *set = (struct change_set){.in = in};
    schema_init(&apply_request_schema, &set->request);
    set->request.request_id = connect_request_id(in->arena);
    set->request.why = str_is_empty(in->shared.why) ? "" : in->shared.why;
}

static int check(enum object_kind kind, const char *name, const void *spec, struct arena *arena,
                 struct error *err) {
    struct problems problems = {0};
    AUTO_BUF text = {0};
    schema_validate(object_spec_schema(kind), spec, /* warnings= */ false, arena, &problems);
    for (size_t i = 0; i < problems.count; i++) {
        const struct problem *problem = &problems.items[i];
        buf_addf(&text, "%s%s%s%s", i > 0 ? "; " : "", problem->path, problem->path[0] != '\0' ? ": " : "",
                 problem->text);
    }
    return problems.count == 0
               ? 0
               : error_set(err, ERR_INVALID, "%s '%s': %s", object_kind_name(kind), name, buf_text(&text));
}

static const char *spec_name(enum object_kind kind, const void *spec) {
    const char *name;
    memcpy(&name, (const char *)spec + schema_field(object_spec_schema(kind), "name")->offset, sizeof name);
    return name;
}

int change_add(struct change_set *set, enum object_kind kind, void *spec, const void *before,
               int64_t expected_version, struct error *err) {
    struct arena *arena = set->in->arena;
    const char *name = spec_name(kind, spec);
    int rc = check(kind, name, spec, arena, err);
    if (rc < 0) {
        return rc;
    }
    const struct schema *schema = object_spec_schema(kind);
    void *absent = arena_alloc(arena, schema->bytes);
    schema_init(schema, absent);
    schema_diff(schema, before != NULL ? before : absent, spec, arena, ARENA_PUSH(arena, &set->differences));
    AUTO_BUF bytes = {0};
    schema_canonicalize(schema, spec);
    wire_encode(schema, spec, &bytes);
    struct apply_item *item = ARENA_PUSH(arena, &set->request.items);
    schema_init(&apply_item_schema, item);
    item->kind = kind;
    item->name = name;
    item->spec = (struct bytes){arena_copy(arena, buf_text(&bytes), bytes.len), bytes.len};
    item->expected_version = before != NULL ? expected_version : -1;
    return 0;
}

// A warning begins with the path of its field. What was there before has been told before.
static bool is_news(const struct differences *differences, const char *warning) {
    size_t len = strcspn(warning, " :");
    for (size_t i = 0; i < differences->count; i++) {
        const char *path = differences->items[i].path;
        if (strncmp(path, warning, len) == 0 && (path[len] == '\0' || strchr(".[", path[len]) != NULL)) {
            return true;
        }
    }
    return false;
}

static void tell_warnings(const struct change_set *set, const struct applied *applied) {
    fflush(stdout);
    for (size_t i = 0; i < applied->results.count && i < set->differences.count; i++) {
        const struct apply_result *result = &applied->results.items[i];
        for (size_t j = 0; j < result->warnings.count; j++) {
            if (!is_news(&set->differences.items[i], result->warnings.items[j])) {
                continue;
            }
            AUTO_BUF line = {0};
            buf_addf(&line, "warning: %s '", object_kind_name((enum object_kind)result->kind));
            str_escape(&line, result->name, strlen(result->name), false);
            buf_adds(&line, "': ");
            str_escape(&line, result->warnings.items[j], strlen(result->warnings.items[j]), false);
            fprintf(stderr, "%s\n", buf_text(&line));
        }
    }
}

int change_send(struct change_set *set, struct client *client, struct applied **out, struct error *err) {
    int rc = connect_apply(client, &set->request, set->in->arena, out, err);
    if (rc == 0) {
        tell_warnings(set, *out);
    }
    return rc;
}

int change_remove(struct invocation *in, struct client *client, enum object_kind kind, bool force,
                  struct error *err) {
    int worst = 0;
    for (size_t i = 0; i < in->arguments.count; i++) {
        const char *given = in->arguments.items[i];
        const char *name = kind == KIND_NODE ? task_list_node(client, given) : given;
        struct strings reference = {1, &name};
        struct applied *applied;
        int rc = connect_remove(client, kind, &reference, in->shared.why, force, in->arena, &applied, err);
        if (rc < 0) {
            worst = command_complain(in, rc, err);
        } else {
            printf("%s\n", given);
        }
    }
    return worst;
}
