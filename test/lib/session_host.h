// SPDX-License-Identifier: Apache-2.0
//
// test/lib/session_host.h — the leader's end of sessions over a store of its own, and short words for what
// agents say to it.
#ifndef MUSTER_TEST_LIB_SESSION_HOST_H
#define MUSTER_TEST_LIB_SESSION_HOST_H

#include "reconciler/dispatch/sessions.h"
#include "specs/node.h"
#include "test/lib/store_fixture.h"
#include "transport/messages.h"

#define CLUSTER 5
#define SERVICE 10

// What came out of the sessions for a link, the body still encoded.
struct letter {
    uint64_t link;
    uint16_t number;
    struct bytes body;
};

struct host {
    struct store_fixture store;
    struct sessions *sessions;
    struct prng prng;
    LIST_OF(struct letter) letters;
    LIST_OF(uint64_t) closed;
    int room; // messages that are taken; negative = any number
    int64_t mono_ms;
};

struct sessions_callbacks host_callbacks(struct host *h);
bool host_is_closed(const struct host *h, uint64_t link);
void host_put(struct host *h, enum change_op op, enum object_kind kind, const void *object);
void host_put_node(struct host *h, unsigned number);
void host_put_service(struct host *h, size_t spec_bytes);
struct task host_new_task(unsigned number, unsigned node);
void host_put_tasks(struct host *h, unsigned from, unsigned count, unsigned node);
int64_t host_state_of(struct host *h, unsigned number);
void host_begin_anew(struct host *h, const struct store_options *options, size_t spec_bytes);
int host_setup(void **state);
int host_teardown(void **state);
struct node *host_record_of(struct host *h, unsigned number);
void host_take(struct host *h, uint64_t link, unsigned node, uint16_t number, const void *payload);
// The last message of the kind on a link, decoded; NULL when there is none.
void *host_last(struct host *h, uint64_t link, uint16_t number);
struct session_register host_new_register(unsigned node);
// The new session.
struct id host_enter(struct host *h, uint64_t link, unsigned node);
// The agent knows of a session that it had.
struct id host_enter_again(struct host *h, uint64_t link, unsigned node, const struct id *previous);
void host_beat(struct host *h, uint64_t link, unsigned node, const struct id *session);
void host_report(struct host *h, uint64_t link, unsigned node, const struct id *session, unsigned task,
                 int64_t state);
void host_step(struct host *h);
void host_pass(struct host *h, int64_t ms);
enum session_presence host_presence(struct host *h, unsigned node);
// What is to be stored now; it is not yet.
void host_compose(struct host *h, struct transaction *out);
void host_store(struct host *h, const struct transaction *transaction);
// Composes and stores until there is no news.
void host_settle(struct host *h);

#endif
