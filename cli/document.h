// SPDX-License-Identifier: Apache-2.0
//
// cli/document.h — the forms of a list that are no tables: JSON, YAML, names, ids. Private to output.c.
#ifndef MUSTER_CLI_DOCUMENT_H
#define MUSTER_CLI_DOCUMENT_H

#include "cli/output.h"

void document_json(const struct listing *listing, struct rows rows, struct buf *out); // an array
// documents, as apply reads them
void document_yaml(const struct listing *listing, struct rows rows, struct buf *out);
void document_names(const struct listing *listing, struct rows rows, struct buf *out); // "service/web"
void document_ids(const struct listing *listing, struct rows rows, struct buf *out);

#endif
