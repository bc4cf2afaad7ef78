// SPDX-License-Identifier: Apache-2.0
//
// cli/change.h — a change of declared objects by a command: collected, sent in one transaction, its warnings
// told.
#ifndef MUSTER_CLI_CHANGE_H
#define MUSTER_CLI_CHANGE_H

#include "cli/command.h"
#include "specs/object.h"
#include "transport/client.h"

struct change_set {
    const struct invocation *in;
    struct apply_request request;
    LIST_OF(struct differences) differences; // of each item from what it was
};

void change_begin(struct change_set *set, const struct invocation *in);
// Adds one spec, made canonical. `before` is the spec that it was made from, NULL = it must not exist yet;
// expected_version is that of the object that was read. A spec that breaks a rule is refused here, all its
// mistakes in one error.
int change_add(struct change_set *set, enum object_kind kind, void *spec, const void *before,
               int64_t expected_version, struct error *err);
// Sends the change. Warnings go to stderr, those about fields that stay as they were do not. A change that
// came between, of an object read before, is
// -ERR_CONFLICT.
int change_send(struct change_set *set, struct client *client, struct applied **out, struct error *err);

// Removes the objects that the arguments name, one by one: prints what is gone, complains about what is not
// and goes on. Returns the last failure. With `force` nodes go although they are up.
int change_remove(struct invocation *in, struct client *client, enum object_kind kind, bool force,
                  struct error *err);

#endif
