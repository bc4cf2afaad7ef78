// SPDX-License-Identifier: Apache-2.0
//
// cli/content.h — what `muster secret …` and `muster config …` share, which is nearly all.
#ifndef MUSTER_CLI_CONTENT_H
#define MUSTER_CLI_CONTENT_H

#include "cli/command.h"
#include "specs/object.h"

struct content_create_args {
    struct pairs labels;
    const char *driver, *template_driver;
};

int content_create(struct invocation *in, enum object_kind kind, struct error *err);
int content_ls(const struct invocation *in, enum object_kind kind, struct error *err);
int content_inspect(const struct invocation *in, enum object_kind kind, struct error *err);
int content_rm(struct invocation *in, enum object_kind kind, struct error *err);

#endif
