// SPDX-License-Identifier: Apache-2.0
//
// reconciler/dispatch/source_files.h — the part of source.h about secrets and configs. Private to it.
#ifndef MUSTER_RECONCILER_DISPATCH_SOURCE_FILES_H
#define MUSTER_RECONCILER_DISPATCH_SOURCE_FILES_H

#include "reconciler/dispatch/source.h"

int source_add_files(struct task_source *source, struct assignment *assignment, struct error *err);
void source_files_deinit(struct task_source *source);

#endif
