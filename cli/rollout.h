// SPDX-License-Identifier: Apache-2.0
//
// cli/rollout.h — rollouts of services: going back, which several commands offer.
#ifndef MUSTER_CLI_ROLLOUT_H
#define MUSTER_CLI_ROLLOUT_H

#include "cli/command.h"
#include "specs/service.h"
#include "transport/client.h"

struct rollback_args {
    int64_t to; // revision; 0 = the one before the present one
};
extern const struct option_row rollback_rows[1];

// Has the service go back to a kept revision (0 = the one before), prints its name as given, and waits.
int rollout_roll_back(const struct invocation *in, struct client *client, int64_t revision,
                      struct error *err);
// Has a rollout that is paused go on, prints the service's name as given, and waits.
int rollout_go_on(const struct invocation *in, struct client *client, const struct service *service,
                  struct error *err);
// The whole command: its options are struct rollback_args.
int rollout_run_rollback(struct invocation *in, struct error *err);

#endif
