// SPDX-License-Identifier: Apache-2.0
//
// test/lib/registry.h — a docker-registry on a free port of the loopback, for tests in C
// (test/lib/registry.bash is the same for bats).
#ifndef MUSTER_TEST_LIB_REGISTRY_H
#define MUSTER_TEST_LIB_REGISTRY_H

#include <stdbool.h>
#include <sys/types.h>

struct registry {
    char directory[256]; // configuration, log and content
    char host[64];       // "127.0.0.1:40001"
    pid_t pid;
    bool wants_login; // set before the start: user "u", password "secret"
};

// Fails the test when it does not come up. Started again after a stop it has the same port and content.
void registry_start(struct registry *registry, const char *directory);
void registry_stop(struct registry *registry); // harmless when it does not run
// Brings an OCI layout's image (tag "latest") into it: NAME:TAG.
void registry_push(const struct registry *registry, const char *layout, const char *name);

#endif
