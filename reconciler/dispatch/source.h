// SPDX-License-Identifier: Apache-2.0
//
// reconciler/dispatch/source.h — assignments out of the store: a task with the spec of its revision and
// whatever else its node needs to run it.
//
// Model        A node holds every task that was assigned to it, until its record is deleted: ended ones too,
//              so that their logs and exit status last as long as the history does. What an agent reports
//              itself is no news to it; only what managers change (desired state, assignment, start time) is.
// Contents     of secrets and configs: an assignment names them, source_content yields their bytes, for
//              whoever gives them to the node beside it. Opened secrets are overwritten with the end of the
//              source.
// Ownership    What a source yields borrows from its read and lies in its arena. Services, specs and contents
//              are loaded once for all tasks of a source.
#ifndef MUSTER_RECONCILER_DISPATCH_SOURCE_H
#define MUSTER_RECONCILER_DISPATCH_SOURCE_H

#include "base/map.h"
#include "reconciler/dispatch/source_vault.h"
#include "reconciler/store/store.h"
#include "specs/assignment.h"
#include "specs/node.h"

enum source_outcome { SOURCE_WITHOUT_SPEC = 1 };

// Fields are private but `vault`, which is set after source_init.
struct task_source {
    struct store_read *read;
    struct arena *arena;
    struct strings insecure_registries;
    struct map services; // by id; of struct service
    struct map specs;    // by "<service id>/<revision>"; of const struct service_spec
    struct source_vault vault;
    struct map files;    // by "<kind>/<name>/<content>"; of struct assigned_file
    struct map contents; // by content's id; of struct assigned_content
};

int source_init(struct task_source *source, struct store_read *read, struct arena *arena, struct error *err);
void source_deinit(struct task_source *source);

// STORE_ABSENT, or 0 with the node.
int source_node(struct task_source *source, const struct id *node_id, const struct node **out,
                struct error *err);
// SOURCE_WITHOUT_SPEC: the spec of its revision is not in the store; the task cannot run.
int source_assignment(struct task_source *source, const struct task *task, const char *hostname,
                      struct assignment *out, struct error *err);

// The bytes of a content that an assignment of this source names; NULL when they cannot be had, which its
// file says.
const struct assigned_content *source_content(const struct task_source *source, const struct id *content);

// Tasks on nodes that have the newest content of a secret or config, whatever it is (on_change).
typedef int source_task_fn(void *context, const struct task *task, struct error *err);
int source_each_follower(struct store_read *read, enum object_kind kind, const char *name,
                         source_task_fn *each, void *context, struct error *err);

bool source_is_held(const struct task *task, const struct id *node_id);
// Does this change of a task that the node holds tell it anything? `from` may be NULL.
bool source_is_news(const struct task *from, const struct task *to, const struct id *node_id);
// Either side of an event of a task: NULL when it is absent, else `storage`.
int source_decode_task(struct bytes bytes, struct task *storage, const struct task **out, struct arena *arena,
                       struct error *err);

#endif
