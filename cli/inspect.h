// SPDX-License-Identifier: Apache-2.0
//
// cli/inspect.h — whole objects: a JSON array, a template over each, or pages for people (--pretty).
#ifndef MUSTER_CLI_INSPECT_H
#define MUSTER_CLI_INSPECT_H

#include "cli/command.h"
#include "specs/node.h"
#include "specs/object.h"
#include "specs/service.h"
#include "transport/client.h"

struct inspect_args {
    const char *format;
    bool pretty;
};
enum { INSPECT_ROWS = 2 };
extern const struct option_row inspect_rows[INSPECT_ROWS];

typedef void (*inspect_page_fn)(const void *object, struct buf *out);
// In the form that was asked for.
int inspect_render(enum object_kind kind, const struct object_list *list, const struct inspect_args *args,
                   inspect_page_fn page, struct buf *out, struct error *err);
// The objects that the arguments of the invocation name, printed.
int inspect_print(const struct invocation *in, struct client *client, enum object_kind kind,
                  const struct option_arguments *references, inspect_page_fn page, struct error *err);

void inspect_service_page(const void *service, struct buf *out);
void inspect_node_page(const void *node, struct buf *out);

#endif
