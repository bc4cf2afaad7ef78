// SPDX-License-Identifier: Apache-2.0
//
// test/lib/runc_fixture.h — real containers in a test: an executor on directories of its own, and images
// that are directories made of busybox.
//
// The images are made here; test/lib/directory_images.h has them found. /data of each holds a file, and
// belongs to user 1000. Needs root, busybox-static, runc and build/muster-shim.
#ifndef MUSTER_TEST_LIB_RUNC_FIXTURE_H
#define MUSTER_TEST_LIB_RUNC_FIXTURE_H

#include <uv.h>

#include "reconciler/agent/executor.h"

struct runc_fixture {
    uv_loop_t loop;
    uv_timer_t timer;
    char top[64]; // everything is below: state, run, images
    char state_dir[80], run_dir[80];
    struct executor_options options; // what the next life is opened with
};
void runc_fixture_init(struct runc_fixture *fixture);
// Everything must have been removed through the executor, and the executor freed.
void runc_fixture_deinit(struct runc_fixture *fixture);

struct executor *runc_fixture_open(struct runc_fixture *fixture, executor_event_fn on_event, void *context);
void runc_fixture_turn(struct runc_fixture *fixture); // waits for at most 20 ms
// The path of a file under the fixture's directory, in a buffer of the fixture's: for one use at once.
const char *runc_fixture_path(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
