// SPDX-License-Identifier: Apache-2.0
//
// cli/template.h — the part of Go's text/template that people use in `--format`.
//
//     {{.ID}}\t{{.Name}}    {{json .}}    {{.Image | lower}}    {{range .Tasks}}{{println .}}{{end}}
//     {{if eq .Mode "global"}}every node{{else}}{{.Replicas}}{{end}}    {{index .Labels "a.b"}}
//
// Actions: fields, literals, pipelines, parentheses, `$`, if / else if / else, range, with, comments, {{-
// -}}. Functions: json join split lower upper title truncate pad print println printf len index eq ne lt le
// gt ge and or not. No variables, no templates in templates.
//
// Failure      -ERR_USAGE, with the action and what is wrong with it. A field that is not there is an error
//              that names the nearest one.
#ifndef MUSTER_CLI_TEMPLATE_H
#define MUSTER_CLI_TEMPLATE_H

#include <jansson.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"

struct template;

// The template lives in the arena. In `text`, \t and \n stand for tab and line end, as shells pass them.
int template_parse(const char *text, struct arena *arena, struct template **out, struct error *err);
// Appends the text for one object.
int template_render(const struct template *template, json_t *data, struct buf *out, struct error *err);

#endif
