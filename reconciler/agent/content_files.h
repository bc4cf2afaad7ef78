// SPDX-License-Identifier: Apache-2.0
//
// reconciler/agent/content_files.h — the secrets and configs of one task as files, in a file system in
// memory that is made for it.
//
// Model        DIRECTORY is a tmpfs of its own while the container is made; the container has parts of it
//              mounted, so it is there until the last of both goes.
//                  secrets/… what the container sees below /run/secrets, mounted as a whole: a file there
//                  is
//                              replaced by another at once, whenever it is
//                  files/N     each one that is elsewhere, mounted by itself: it is overwritten in place
//              For a plain process nothing can be mounted: it gets them by their names, in secrets/ and
//              configs/.
// Not swapped  where the kernel can be told (6.4); else as any memory.
// All functions may be called from any thread.
#ifndef MUSTER_RECONCILER_AGENT_CONTENT_FILES_H
#define MUSTER_RECONCILER_AGENT_CONTENT_FILES_H

#include "reconciler/agent/shelf.h"
#include "specs/assignment.h"

#define CONTENT_FILES_NAME "contents" // of the directory in the bundle
#define CONTENT_SECRETS_TARGET "/run/secrets"

// `items` are those of assignment->files, in their order.
struct content_order {
    const struct assignment *assignment;
    const struct shelf_items *items;
    const char *directory; // of the tmpfs
    bool is_plain;         // it is a directory in memory already; nothing of it is mounted anywhere
};
// Whether the task has any files; whether some of them follow what is newest (on_change).
bool content_files_any(const struct assignment *assignment);
bool content_files_follow(const struct assignment *assignment);

// Mounts it, unless it is plain, and writes everything.
int content_files_make(const struct content_order *order, struct error *err);
int content_files_unmount(const char *directory, struct error *err);
bool content_files_in_memory(const char *path);

// What the container is to have mounted: *out_source is NULL when there are no more. `index` counts from 0.
struct content_mount {
    const char *source, *target;
};
bool content_files_mount(const struct content_order *order, size_t index, struct arena *arena,
                         struct content_mount *out);

// Writes anew what follows the newest and is another by now. *out_signal: to be sent to the task; 0 = none.
int content_files_refresh(const struct content_order *order, int *out_signal, struct error *err);

#endif
