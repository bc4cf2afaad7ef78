// SPDX-License-Identifier: Apache-2.0
//
// cli/inspect.c — JSON with all that the system filled in, templates, and the choice between them.
#include "cli/inspect.h"

#include "base/str.h"
#include "cli/output.h"
#include "cli/task_list.h"

const struct option_row inspect_rows[INSPECT_ROWS] = {
    OPT_STRING(struct inspect_args, format, "format", 'f', .metavar = "TEMPLATE",
               .help = "Print each object by a Go template; json: one line each"),
    OPT_FLAG(struct inspect_args, pretty, "pretty", '\0', .help = "Print a page for people"),
};

static int render_template(enum object_kind kind, const struct object_list *list, const char *format,
                           struct buf *out, struct error *err) {
    for (size_t i = 0; i < list->count; i++) {
        AUTO_BUF json = {0};
        json_write(object_schema(kind), list->items[i], JSON_COMPACT, TEXT_DEFAULTS | TEXT_STATUS, &json);
        int rc =
            output_template(str_equal(format, "json") ? "{{json .}}" : format, buf_text(&json), out, err);
        if (rc < 0) {
            return rc;
        }
    }
    return 0;
}

static void render_array(enum object_kind kind, const struct object_list *list, struct buf *out) {
    buf_addc(out, '[');
    for (size_t i = 0; i < list->count; i++) {
        buf_adds(out, i > 0 ? ",\n" : "\n");
        json_write(object_schema(kind), list->items[i], JSON_INDENT, TEXT_DEFAULTS | TEXT_STATUS, out);
        while (out->len > 0 && out->data[out->len - 1] == '\n') {
            out->data[--out->len] = '\0';
        }
    }
    buf_adds(out, list->count > 0 ? "\n]\n" : "]\n");
}

int inspect_render(enum object_kind kind, const struct object_list *list, const struct inspect_args *args,
                   inspect_page_fn page, struct buf *out, struct error *err) {
    if (args->pretty && args->format != NULL) {
        return error_set(err, ERR_USAGE, "--format is incompatible with human friendly format (--pretty)");
    }
    if (args->format != NULL) {
        return render_template(kind, list, args->format, out, err);
    }
    if (!args->pretty) {
        render_array(kind, list, out);
        return 0;
    }
    for (size_t i = 0; i < list->count; i++) {
        buf_adds(out, i > 0 ? "\n" : "");
        page(list->items[i], out);
    }
    return 0;
}

int inspect_print(const struct invocation *in, struct client *client, enum object_kind kind,
                  const struct option_arguments *references, inspect_page_fn page, struct error *err) {
    struct object_list list = {0};
    AUTO_BUF out = {0};
    int worst = task_list_resolve(in, client, kind, references, &list, err);
    int rc = inspect_render(kind, &list, in->args, page, &out, err);
    if (rc == 0) {
        output_write(&out);
    }
    return rc < 0 ? rc : worst;
}
