// SPDX-License-Identifier: Apache-2.0
//
// cli/service_edit.h — how flags change the lists of a spec: one editor for each sort of list.
#ifndef MUSTER_CLI_SERVICE_EDIT_H
#define MUSTER_CLI_SERVICE_EDIT_H

#include "specs/service.h"

// `member` is the list inside the spec. Adding what has the key of an element replaces that element;
// removing what is not there does nothing.
struct list_edit {
    int (*add)(void *member, const char *text, struct arena *arena, struct error *err);
    int (*remove)(void *member, const char *key, struct arena *arena, struct error *err);
};
extern const struct list_edit edit_strings, edit_labels, edit_environment, edit_capabilities,
    edit_constraints, edit_preferences, edit_ulimits, edit_generic, edit_networks, edit_ports, edit_mounts,
    edit_files;

// "NET_ADMIN" for "cap_net_admin"; "ALL" stays.
const char *edit_capability_name(const char *text, struct arena *arena);
// Lines NAME=VALUE or NAME of a file as for --env-file: blank lines and those that begin with # are left
// out.
int edit_environment_file(struct pairs *environment, const char *path, struct arena *arena,
                          struct error *err);

#endif
