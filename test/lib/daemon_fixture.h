// SPDX-License-Identifier: Apache-2.0
//
// test/lib/daemon_fixture.h — a real musterd in a directory of its own, and short words for what to ask it.
//
// Waiting is never sleeping: the daemon says on its log that it is ready, and what is to become true is
// looked at again whenever the watch stream brings something. All functions but those that return a code
// end the test on failure.
#ifndef MUSTER_TEST_LIB_DAEMON_FIXTURE_H
#define MUSTER_TEST_LIB_DAEMON_FIXTURE_H

#include <sys/types.h>

#include "specs/service.h"
#include "transport/client.h"

struct daemon_fixture {
    char dir[64]; // state and run directories below
    const char *executor;
    size_t files_max; // descriptors it may have; 0 = as many as we
    pid_t pid;
    int log_fd;
    struct client *client;
    struct arena arena;
    struct error err;
};

void daemon_begin(struct daemon_fixture *f, const char *executor); // starts it, without a cluster
void daemon_end(struct daemon_fixture *f);                         // kills it, removes everything
void daemon_start(struct daemon_fixture *f);                       // and connects
int daemon_stop(struct daemon_fixture *f, int signal); // its exit status, or minus the signal that ended it
struct client *daemon_connect(struct daemon_fixture *f);
// Runs `musterd OPTIONS…` to its end: the exit status; *out is what it said on stderr, in the arena.
int daemon_run(struct daemon_fixture *f, const char *const *options, const char **out);

int daemon_init(struct daemon_fixture *f); // `swarm init`
// Declarations as YAML. 0 and the answer, or the code of the failure.
int daemon_apply(struct daemon_fixture *f, const char *yaml, struct applied **out);
int daemon_apply_request(struct daemon_fixture *f, const char *yaml, const struct apply_request *like,
                         struct applied **out);
int daemon_remove(struct daemon_fixture *f, enum object_kind kind, const char *name, struct applied **out);
int daemon_list(struct daemon_fixture *f, enum object_kind kind, const char *reference,
                struct object_list *out);
struct info_reply *daemon_info(struct daemon_fixture *f);
struct service *daemon_service(struct daemon_fixture *f, const char *name); // NULL when there is none
// Tasks of a service in that observed state and to be running.
size_t daemon_count(struct daemon_fixture *f, const char *service, int64_t state);

// Waits until the condition holds; ends the test when it does not within a minute.
typedef bool (*daemon_condition)(struct daemon_fixture *f, const void *context);
void daemon_wait(struct daemon_fixture *f, daemon_condition holds, const void *context);
void daemon_wait_count(struct daemon_fixture *f, const char *service, int64_t state, size_t count);

#endif
