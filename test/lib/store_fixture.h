// SPDX-License-Identifier: Apache-2.0
//
// test/lib/store_fixture.h — a store in a directory of its own, with a proposer and short words for changes.
//
// One change: store_try(f, CHANGE_CREATE, store_task(f, …), 0). Several: store_add … then store_send. Ids
// come from a number, so that tests can name objects.
#ifndef MUSTER_TEST_LIB_STORE_FIXTURE_H
#define MUSTER_TEST_LIB_STORE_FIXTURE_H

#include "reconciler/store/proposer.h"
#include "specs/service.h"
#include "specs/task.h"

struct store_result {
    uint64_t token;
    int code;
    int64_t revision;
    char text[ERROR_ROOT_BYTES];
};

struct store_fixture {
    char dir[64];
    struct store_options options;
    struct store *store;
    struct proposer *proposer;
    struct arena arena;                   // for objects of the test
    struct transaction transaction;       // being put together
    LIST_OF(struct store_result) results; // in the order they came
    struct error err;
};

struct store_object {
    enum object_kind kind;
    struct id id;
    struct bytes bytes;
};

// options may be NULL; aborts on failure
void store_fixture_begin(struct store_fixture *f, const struct store_options *options);
int store_fixture_open(struct store_fixture *f);   // opens f->dir (again); the result of store_open
void store_fixture_close(struct store_fixture *f); // leaves the directory
void store_fixture_end(struct store_fixture *f);   // closes and removes the directory

struct id store_id(unsigned number);
struct store_object store_service(struct store_fixture *f, unsigned number, const char *name);
// 0 = none
struct store_object store_task(struct store_fixture *f, unsigned number, unsigned service, unsigned node);
struct store_object store_revision_object(struct store_fixture *f, unsigned number, unsigned service,
                                          int64_t revision);
// A config whose encoded size is about `bytes`; the content follows from number and size.
struct store_object store_config(struct store_fixture *f, unsigned number, const char *name, size_t bytes);

void store_add(struct store_fixture *f, enum change_op op, struct store_object object,
               int64_t expected_version);
// Submits what was added, without a turn; 0 or what submit said.
int store_submit(struct store_fixture *f, uint64_t token);
// Submits what was added, runs the turn and returns the result.
struct store_result store_send(struct store_fixture *f);
struct store_result store_try(struct store_fixture *f, enum change_op op, struct store_object object,
                              int64_t expected_version);
void store_turn(struct store_fixture *f); // fails the test on a negative code

struct store_read *store_begin_read(struct store_fixture *f);
uint64_t store_digest_now(struct store_fixture *f);

#endif
