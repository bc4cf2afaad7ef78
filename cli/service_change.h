// SPDX-License-Identifier: Apache-2.0
//
// cli/service_change.h — the commands that change services: create, update, scale, rollback, rm.
#ifndef MUSTER_CLI_SERVICE_CHANGE_H
#define MUSTER_CLI_SERVICE_CHANGE_H

#include "cli/service_flags.h"

int service_create(struct invocation *in, struct error *err);
int service_update(struct invocation *in, struct error *err);
int service_scale(struct invocation *in, struct error *err);
int service_remove(struct invocation *in, struct error *err);

// "web=3"; the error says what is wrong with it.
int service_scale_parse(const char *text, struct arena *arena, const char **name, int64_t *replicas,
                        struct error *err);
// The spec that `service create` asks for.
int service_create_spec(const struct invocation *in, struct service_spec *spec, struct buf *notes,
                        struct error *err);
// The spec that `service update` makes of the present one, which stays as it is.
int service_update_spec(const struct invocation *in, const struct service_spec *present,
                        struct service_spec **out, struct buf *notes, struct error *err);

#endif
