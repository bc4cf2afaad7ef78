// SPDX-License-Identifier: Apache-2.0
//
// reconciler/daemon/decide_content.h — new contents of secrets and configs, and which one each service gets.
//
// Model        A name stands for contents that never change, one after the other; each has an id. A service
//              says "db_password", its stored spec says which content of it: so every revision of a service
//              is the same for ever, a new content is a new revision of all services that use it, and going
//              back to an older revision brings the older content back. What came before is an object of
//              its own, NAME~CONTENT, for as long as some revision, or the service itself, names it. A
//              reference with on_change `signal` or `none` names no content: its tasks have the newest,
//              always.
#ifndef MUSTER_RECONCILER_DAEMON_DECIDE_CONTENT_H
#define MUSTER_RECONCILER_DAEMON_DECIDE_CONTENT_H

#include "reconciler/daemon/decide.h"
#include "specs/resource.h"

struct content_change {
    enum object_kind kind;
    const char *name;
    struct id content;
};
struct contents {
    struct store_read *read;
    struct arena *arena;
    struct decision *out;
    LIST_OF(struct content_change) changes;
};

static inline bool content_is_of(enum object_kind kind) {
    return kind == KIND_SECRET || kind == KIND_CONFIG;
}
// Of any secret or config: its content's id; an object of a version before stands for its own.
const struct id *content_id(enum object_kind kind, const void *object);
bool content_is_old(enum object_kind kind, const void *object);

// The spec is the one that `before` has, with the same value: takes over what is sealed anew each time. True
// when the value is another.
bool content_settle(enum object_kind kind, const void *before, void *spec);
// Gives the object, about to be written, its content's id; what came before is kept aside if somebody names
// it.
int content_write(struct contents *contents, enum object_kind kind, const void *before, void *object,
                  struct error *err);
// Says in a service's spec which contents it gets: as given where that is still there, else the newest.
int content_pin(struct contents *contents, struct service_spec *spec, struct error *err);
// Does the service name a content that changed? Its spec then names the newest.
bool content_repin(const struct contents *contents, struct service_spec *spec);
// Removes what came before and nobody names any more: of the one name, or of all ("").
int content_collect(struct contents *contents, enum object_kind kind, const char *name, struct error *err);
// Likewise, when the name itself goes.
int content_remove_old(struct contents *contents, enum object_kind kind, const char *name, struct error *err);

#endif
