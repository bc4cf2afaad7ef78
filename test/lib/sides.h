// SPDX-License-Identifier: Apache-2.0
//
// test/lib/sides.h — three managers' links in one process, over loopback, plain or TLS, and what they hear.
//
// Time is the test's: it passes by SIDES_TICK_MS when nothing arrives for as long, or at once (sides_pass).
// Failures end the test. For TLS each side has the certificate of its node; a test that wants another one
// sets `shown` of a side before side_open.
#ifndef MUSTER_TEST_LIB_SIDES_H
#define MUSTER_TEST_LIB_SIDES_H

#include "test/lib/papers.h"
#include "transport/agent_links.h"
#include "transport/peers.h"

#define SIDES 3
#define SIDES_PATIENCE 4000 // ticks without anything before a test gives up

struct side {
    struct peers *peers;
    struct prng prng;
    uint64_t raft_id;
    int port;
    int64_t mono_ms, epoch;
    bool is_closed;
    uint64_t no_member; // whom it does not know
    bool keeps_join;    // does not answer
    struct id blocked;  // a node
    struct {            // over TLS
        const struct papers *signer;
        struct id node_id;
        enum node_role role;
        int64_t age_ms, valid_ms;
        bool is_joiner; // no certificate, but a token
    } shown;
    // What came:
    unsigned ups, downs, refusals, packets, answers;
    enum error_code refused, answer_code;
    uint64_t from, via, value[2][SIDES + 1], answer;
    uint16_t number;
    bool is_in_order;
    size_t len;
    struct {          // and from agents; the last one's
        bool answers; // each message, with itself
        // Takes what the test wants to deal with itself; may be NULL.
        bool (*takes)(uint64_t link, const struct id *node_id, uint16_t number, struct bytes body);
        bool (*takes_down)(uint64_t link);
        unsigned messages, downs, writables;
        uint64_t link;
        struct id node_id;
        uint16_t number;
        size_t len;
    } agent;
};
extern struct side sides[SIDES]; // raft ids 1, 2, 3
extern struct id sides_cluster, sides_nodes[SIDES];
extern struct papers sides_papers;       // of TLS
extern bool sides_are_frozen;            // no time passes
extern struct agent_links *sides_agents; // that dial them; the test's. NULL = none

// For cmocka: three sides that are open and know of nobody.
int sides_begin(void **state);
int sides_begin_secure(void **state);
int sides_end(void **state);

void side_open(struct side *side); // on the port that it had
void side_open_at(struct side *side, const char *listen);
void side_close(struct side *side);
void side_set_self(struct side *side, struct id cluster_id);
struct tls *side_tls(const struct side *side); // as `shown` says

// Everybody takes what there is; time passes when there is nothing. True when something came.
bool sides_pump(void);
void sides_await(int fd); // until it can be read, or nothing comes any more
// At once, in steps that the ticks count in full; what there is to take is taken between them.
void sides_pass(int64_t ms);
// A while in which everybody has the time to answer.
void sides_live(int64_t ms);
#define AWAIT(condition)                                                                                     \
    do {                                                                                                     \
        for (int idle_ = 0; !(condition) && idle_ < SIDES_PATIENCE; idle_ += !sides_pump()) {                \
        }                                                                                                    \
        assert_true(condition);                                                                              \
    } while (0)

// The first `count` sides know each other.
void sides_make_members(unsigned count);
bool side_reaches(const struct side *from, uint64_t to); // by both links
bool sides_are_up(unsigned count);
void sides_connect(unsigned count);

// A RAFT whose first eight bytes are a number that grows by one from each sender; the ninth is 1 on bulk.
bool side_say(struct side *from, uint64_t to, uint64_t value, bool is_bulk, size_t len);
uint64_t side_value(struct bytes body);

#endif
