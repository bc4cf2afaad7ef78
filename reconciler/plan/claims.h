// SPDX-License-Identifier: Apache-2.0
//
// reconciler/plan/claims.h — what tasks hold of a node besides CPU and memory: resources of the operator's
// making, and ports.
//
// Few tasks hold any, so a node's claims are a short list that is searched from end to end. A claim is a text
// with a count: "gpu" (so many of the kind are held), "gpu=uuid-1" (that one is), ":8080/tcp" (the port is).
#ifndef MUSTER_RECONCILER_PLAN_CLAIMS_H
#define MUSTER_RECONCILER_PLAN_CLAIMS_H

#include "specs/service.h"
#include "specs/task.h"

struct claim {
    const char *key;
    int64_t count;
};
// Zero-initialised is empty.
struct claims {
    size_t count;
    struct claim *items;
};

// Does the task hold anything of the sort?
static inline bool task_has_claims(const struct task *task) {
    return task->generic_resources.count > 0 || task->host_ports.count > 0;
}
// Each claim of the task, as often as there are; the text lives as long as the call.
void claims_each(const struct task *task, void (*visit)(void *context, const char *key, int64_t count),
                 void *context);

int64_t claims_count(const struct claims *claims, const char *key); // 0 when nobody holds it
bool claims_has_name(const struct claims *claims, const char *kind, const char *name);
bool claims_has_port(const struct claims *claims, const char *port); // "8080/tcp"
void claims_add(struct claims *claims, const char *key, int64_t count, struct arena *arena);
void claims_add_task(struct claims *claims, const struct task *task, int sign, struct arena *arena);
// A copy, less what is in the other.
struct claims claims_without(const struct claims *claims, const struct claims *other, struct arena *arena);
struct claims claims_copy(const struct claims *claims, struct arena *arena);

// What a task of this spec is to hold: for its record. Names come with the node.
void claims_of_spec(const struct service_spec *spec, struct arena *arena, struct generic_stocks *generic,
                    struct strings *ports);

#endif
