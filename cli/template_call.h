// SPDX-License-Identifier: Apache-2.0
//
// cli/template_call.h — the functions of templates, and what their values look like. Private to template.c.
#ifndef MUSTER_CLI_TEMPLATE_CALL_H
#define MUSTER_CLI_TEMPLATE_CALL_H

#include <jansson.h>
#include <stdbool.h>

#include "base/buf.h"
#include "base/error.h"

#define TEMPLATE_ARGUMENTS_MAX 8

struct template_function;
const struct template_function *template_function_find(const char *name); // NULL when absent
void template_function_list(struct buf *out);
// Arguments are borrowed; *out is a new reference. -ERR_USAGE: the root says what is wrong.
int template_function_call(const struct template_function *function, json_t *const *arguments, size_t count,
                           json_t **out, struct error *err);

bool template_is_true(const json_t *value);
void template_print(const json_t *value, struct buf *out); // as Go prints it

#endif
