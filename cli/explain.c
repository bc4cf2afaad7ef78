// SPDX-License-Identifier: Apache-2.0
//
// cli/explain.c — `explain` and `schema`: the tables of fields and codes, for people, editors and programs.
#include <string.h>

#include "base/str.h"
#include "cli/docker.h"
#include "cli/output.h"
#include "specs/diagnostic.h"
#include "specs/service.h"

static const struct schema *schema_of(enum object_kind kind) {
    return object_kind_is_declared(kind) ? object_spec_schema(kind) : object_schema(kind);
}

static void explain_kinds(struct buf *out) {
    buf_adds(out, "Kinds of objects (muster explain KIND):\n");
    for (int i = KIND_NONE + 1; i < KIND_END; i++) {
        enum object_kind kind = (enum object_kind)i;
        buf_addf(out, "  %-10s %s\n", object_kind_name(kind),
                 schema_of(kind)->help != NULL ? schema_of(kind)->help : "");
    }
    buf_adds(out, "\nAlso: muster explain errors, muster explain E0107, muster explain docker\n");
}

static void explain_codes(struct buf *out) {
    for (size_t i = 0; i < diagnostic_code_count; i++) {
        buf_addf(out, "%s  %s\n", diagnostic_codes[i].code, diagnostic_codes[i].title);
    }
}

static int explain_code(const char *code, struct buf *out, struct error *err) {
    const struct diagnostic_code *found = diagnostic_code_find(code);
    if (found == NULL) {
        return error_set(err, ERR_NOT_FOUND, "there is no code '%s' (muster explain errors lists them)",
                         code);
    }
    buf_addf(out, "%s: %s\n\n%s\n", found->code, found->title, found->explanation);
    return 0;
}

static bool is_code(const char *text) {
    return strchr("EeWw", text[0]) != NULL && strlen(text) == 5 && strspn(text + 1, "0123456789") == 4;
}

// "service.deploy.replicas"; without a kind the path is a service's, for that is what most people write.
static int explain_path(const char *path, struct arena *arena, struct buf *out, struct error *err) {
    size_t len = strcspn(path, ".");
    enum object_kind kind = object_kind_parse(arena_strndup(arena, path, len));
    const char *rest = path + len + (path[len] == '.');
    if (kind != KIND_NONE) {
        return schema_explain(schema_of(kind), rest, out, err);
    }
    if (schema_field(&service_spec_schema, arena_strndup(arena, path, len)) != NULL) {
        return schema_explain(&service_spec_schema, path, out, err);
    }
    const char *names[KIND_END];
    for (int i = KIND_NONE + 1; i < KIND_END; i++) {
        names[i - 1] = object_kind_name((enum object_kind)i);
    }
    const char *nearest = str_nearest(arena_strndup(arena, path, len), names, KIND_END - 1);
    return error_set(
        err, ERR_NOT_FOUND,
        "'%.*s' is neither a kind nor a field of a service%s%s%s (muster explain lists the kinds)", (int)len,
        path, nearest != NULL ? ": did you mean '" : "", nearest != NULL ? nearest : "",
        nearest != NULL ? "'?" : "");
}

static int run_explain(struct invocation *in, struct error *err) {
    AUTO_BUF out = {0};
    const char *what = in->arguments.count > 0 ? in->arguments.items[0] : "";
    int rc = 0;
    if (what[0] == '\0') {
        explain_kinds(&out);
    } else if (str_equal(what, "errors")) {
        explain_codes(&out);
    } else if (str_equal(what, "docker")) {
        docker_page(&out);
    } else if (is_code(what)) {
        rc = explain_code(what, &out, err);
    } else {
        rc = explain_path(what, in->arena, &out, err);
    }
    output_write(&out);
    return rc;
}

// --- schema ---

struct schema_args {
    bool proto;
};
static const struct option_row schema_options[] = {
    OPT_FLAG(struct schema_args, proto, "proto", '\0',
             .help = "Protocol buffers instead: how objects look in binary"),
};

static int run_schema(struct invocation *in, struct error *err) {
    (void)err;
    const struct schema_args *args = in->args;
    const struct schema *schemas[KIND_END];
    size_t count = 0;
    AUTO_BUF out = {0};
    for (int i = KIND_NONE + 1; i < KIND_END; i++) {
        enum object_kind kind = (enum object_kind)i;
        if (args->proto) {
            schemas[count++] = object_schema(kind);
        } else if (object_kind_is_declared(kind)) {
            schemas[count++] = object_spec_schema(kind);
        }
    }
    if (args->proto) {
        schema_proto(schemas, count, &out);
    } else {
        schema_json_schema(schemas, count, &out);
        buf_adds(&out, out.len > 0 && out.data[out.len - 1] != '\n' ? "\n" : "");
    }
    output_write(&out);
    return 0;
}

// tidy: table
static const struct command rows[] = {
    {.name = "explain",
     .summary = "Describe kinds, fields, error codes and Docker words",
     .usage = "[KIND[.FIELD…]|errors|CODE|docker]",
     .example = "muster explain service.deploy\nmuster explain E0107",
     .max = 1,
     .names = NAMES_KIND,
     .run = run_explain},
    {.name = "schema",
     .summary = "Print the JSON Schema of spec files, for editors",
     .example = "muster schema >muster.schema.json\nmuster schema --proto >muster.proto",
     COMMAND_OPTIONS(struct schema_args, schema_options),
     .run = run_schema},
};
const struct command_group explain_commands = COMMAND_GROUP(NULL, "Learn", rows);
