// SPDX-License-Identifier: Apache-2.0
//
// cli/docker.h — Docker's commands and flags held against ours.
#ifndef MUSTER_CLI_DOCKER_H
#define MUSTER_CLI_DOCKER_H

#include "cli/command.h"

enum docker_verdict {
    DOCKER_SAME,
    DOCKER_BETTER, // the same, and more
    DOCKER_LATER,  // known, does not act (yet)
    DOCKER_NOT,
};

// The page of `muster explain docker`.
void docker_page(struct buf *out);

// Each command with flag "" and then each of its flags. `why` is "" for what is the same.
typedef void (*docker_each_fn)(void *context, const char *words, const char *flag,
                               enum docker_verdict verdict, const char *why);
void docker_each(docker_each_fn each, void *context);
// An exception to what Docker does not have: a mistake of the table; NULL = none.
const char *docker_stray_exception(void);

#endif
