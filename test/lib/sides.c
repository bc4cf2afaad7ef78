// SPDX-License-Identifier: Apache-2.0
//
// test/lib/sides.c — the sides' callbacks count what they hear; pumping them is all that happens.
#include "test/lib/sides.h"
#include "test/lib/check.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"

#define SIDES_TICK_MS 5

struct side sides[SIDES];
struct id sides_cluster, sides_nodes[SIDES];
struct papers sides_papers;
bool sides_are_frozen;
struct agent_links *sides_agents;
static int64_t agents_mono_ms;
static bool is_secure;

// --- what sides do ---

uint64_t side_value(struct bytes body) {
    uint64_t value = 0;
    memcpy(&value, body.data, body.len < sizeof value ? body.len : sizeof value);
    return value;
}

static void on_packet(void *context, uint64_t from, uint16_t number, struct bytes body, uint64_t via) {
    struct side *side = context;
    assert_false(side->is_closed);
    side->packets++;
    side->from = from;
    side->number = number;
    side->via = via;
    side->len = body.len;
    if (number == MESSAGE_RAFT && body.len > 8) {
        uint64_t *last = &side->value[body.data[8] & 1][from <= SIDES ? from : 0];
        side->is_in_order &= side_value(body) == *last + 1;
        *last = side_value(body);
    } else if ((number == MESSAGE_JOIN || number == MESSAGE_RENEW) && !side->keeps_join) {
        assert_true(peers_reply(side->peers, via, number + 1, body));
    }
}

static void on_up(void *context, uint64_t raft_id) {
    struct side *side = context;
    assert_false(side->is_closed);
    side->ups++;
    side->from = raft_id;
}

static void on_down(void *context, uint64_t raft_id) {
    struct side *side = context;
    assert_false(side->is_closed);
    side->downs++;
    side->from = raft_id;
}

static void on_refused(void *context, uint64_t raft_id, const struct error *err) {
    struct side *side = context;
    assert_false(side->is_closed);
    side->refusals++;
    side->refused = err->code;
    side->from = raft_id;
}

static void on_answer(void *context, uint64_t ask, const struct error *err, uint16_t number,
                      struct bytes body) {
    struct side *side = context;
    assert_false(side->is_closed);
    side->answers++;
    side->answer = ask;
    side->answer_code = err != NULL ? err->code : ERR_NONE;
    side->number = number;
    side->len = body.len;
}

static bool is_member(void *context, uint64_t raft_id) {
    struct side *side = context;
    return raft_id <= SIDES && raft_id != side->no_member;
}

void side_set_self(struct side *side, struct id cluster_id) {
    peers_set_self(side->peers, &(struct peers_self){.cluster_id = cluster_id,
                                                     .raft_id = side->raft_id,
                                                     .epoch = side->epoch,
                                                     .address = "127.0.0.1:1"});
}

static bool is_its_node(void *context, uint64_t raft_id, const struct id *node_id) {
    (void)context;
    return raft_id > SIDES || id_equal(node_id, &sides_nodes[raft_id - 1]);
}

static void on_agent(void *context, uint64_t link, const struct id *node_id, uint16_t number,
                     struct bytes body) {
    struct side *side = context;
    assert_false(side->is_closed);
    if (side->agent.takes != NULL && side->agent.takes(link, node_id, number, body)) {
        return;
    }
    side->agent.messages++;
    side->agent.link = link;
    side->agent.node_id = *node_id;
    side->agent.number = number;
    side->agent.len = body.len;
    if (side->agent.answers) {
        assert_true(peers_agent_send(side->peers, link, MESSAGE_SESSION_HEARTBEAT_REPLY, body));
    }
}

static void on_agent_down(void *context, uint64_t link) {
    struct side *side = context;
    assert_false(side->is_closed);
    if (side->agent.takes_down != NULL && side->agent.takes_down(link)) {
        return;
    }
    side->agent.downs++;
    side->agent.link = link;
}

static void on_agent_writable(void *context, uint64_t link) {
    struct side *side = context;
    assert_false(side->is_closed);
    side->agent.writables++;
    side->agent.link = link;
}

static bool is_blocked(void *context, const struct identity *shown) {
    const struct side *side = context;
    return id_equal(&shown->node_id, &side->blocked);
}

struct tls *side_tls(const struct side *side) {
    struct tls *tls;
    struct join_token token;
    struct credentials credentials = papers_issue(side->shown.signer, &side->shown.node_id, side->shown.role,
                                                  clock_unix_ms() - side->shown.age_ms, side->shown.valid_ms);
    struct tls_options options = {.credentials = &credentials, .admits_strangers = true};
    if (side->shown.is_joiner) {
        uint8_t digest[CERTIFICATE_DIGEST_BYTES];
        assert_int_equal(certificate_digest(buf_bytes(&side->shown.signer->authority), digest, NULL), 0);
        token = join_token_make(digest);
        options = (struct tls_options){.token = &token};
    }
    assert_int_equal(tls_new(&options, &tls, NULL), 0);
    credentials_free(&credentials);
    return tls;
}

void side_open_at(struct side *side, const char *listen) {
    struct error err = {0};
    struct peers_callbacks callbacks = {on_packet,         on_up,     on_down,     on_refused, on_answer,
                                        is_member,         side,      is_its_node, on_agent,   on_agent_down,
                                        on_agent_writable, is_blocked};
    struct peers_options options = {listen, &side->prng, callbacks, is_secure ? side_tls(side) : NULL};
    if (peers_open(&options, &side->peers, &err) != 0) {
        fail_msg("%s", err.root);
    }
    side->port = peers_port(side->peers);
    side->is_closed = false;
    side_set_self(side, sides_cluster);
}

void side_open(struct side *side) {
    char listen[32];
    snprintf(listen, sizeof listen, "127.0.0.1:%d", side->port);
    side_open_at(side, listen);
}

void side_close(struct side *side) {
    side->is_closed = true;
    peers_close(TAKE(side->peers));
}

static int open_sides(void) {
    sides_cluster = sides_papers.cluster_id;
    for (unsigned i = 0; i < SIDES; i++) {
        sides[i] = (struct side){.raft_id = i + 1, .epoch = 1, .is_in_order = true};
        sides_nodes[i] = id_random();
        sides[i].shown.signer = &sides_papers;
        sides[i].shown.node_id = sides_nodes[i];
        sides[i].shown.role = ROLE_MANAGER;
        sides[i].shown.valid_ms = DAY_MS;
        prng_seed(&sides[i].prng, i);
        side_open(&sides[i]);
    }
    return 0;
}

int sides_begin(void **state) {
    (void)state;
    sides_papers = (struct papers){.cluster_id = id_random()};
    is_secure = false;
    return open_sides();
}

int sides_begin_secure(void **state) {
    (void)state;
    sides_papers = papers_make(clock_unix_ms());
    is_secure = true;
    return open_sides();
}

int sides_end(void **state) {
    (void)state;
    sides_are_frozen = false;
    for (unsigned i = 0; i < SIDES; i++) {
        side_close(&sides[i]);
    }
    papers_free(&sides_papers);
    return 0;
}

static void take_agents(int64_t passed_ms) {
    if (sides_agents != NULL) {
        agent_links_take(sides_agents, 1000);
        agents_mono_ms += passed_ms;
        agent_links_tick(sides_agents, agents_mono_ms);
    }
}

bool sides_pump(void) {
    struct pollfd fds[SIDES + 1];
    for (unsigned i = 0; i < SIDES; i++) {
        int fd = sides[i].peers != NULL ? peers_fd(sides[i].peers) : -1;
        fds[i] = (struct pollfd){.fd = fd, .events = POLLIN};
    }
    fds[SIDES] =
        (struct pollfd){.fd = sides_agents != NULL ? agent_links_fd(sides_agents) : -1, .events = POLLIN};
    bool is_idle = poll(fds, SIDES + 1, SIDES_TICK_MS) == 0;
    take_agents(is_idle && !sides_are_frozen ? SIDES_TICK_MS : 0);
    for (unsigned i = 0; i < SIDES; i++) {
        if (sides[i].peers != NULL) {
            peers_take(sides[i].peers, 64);
            sides[i].mono_ms += is_idle && !sides_are_frozen ? SIDES_TICK_MS : 0;
            peers_tick(sides[i].peers, sides[i].mono_ms);
        }
    }
    return !is_idle;
}

void sides_await(int fd) {
    struct pollfd waited = {.fd = fd, .events = POLLIN};
    for (int idle = 0; idle < SIDES_PATIENCE && poll(&waited, 1, 0) == 0; idle += !sides_pump()) {
    }
}

void sides_pass(int64_t ms) {
    for (int64_t passed = 0; passed < ms; passed += 100) {
        take_agents(100);
        for (unsigned i = 0; i < SIDES; i++) {
            if (sides[i].peers != NULL) {
                peers_take(sides[i].peers, 1000);
                sides[i].mono_ms += 100;
                peers_tick(sides[i].peers, sides[i].mono_ms);
            }
        }
    }
}

void sides_live(int64_t ms) {
    for (int64_t lived = 0; lived < ms; lived += 200) {
        sides_pass(200);
        while (sides_pump()) {
        }
    }
}

void sides_make_members(unsigned count) {
    char address[SIDES][32];
    struct peers_member members[SIDES];
    for (unsigned i = 0; i < count; i++) {
        snprintf(address[i], sizeof address[i], "127.0.0.1:%d", sides[i].port);
        members[i] = (struct peers_member){sides[i].raft_id, address[i]};
    }
    for (unsigned i = 0; i < count; i++) {
        if (sides[i].peers != NULL) {
            assert_int_equal(peers_set_members(sides[i].peers, members, count, NULL), 0);
        }
    }
}

bool side_reaches(const struct side *from, uint64_t to) {
    struct peers_status status;
    return peers_status(from->peers, to, &status) && status.is_up && status.is_bulk_up;
}

bool sides_are_up(unsigned count) {
    for (unsigned i = 0; i < count; i++) {
        for (unsigned j = 0; j < count; j++) {
            if (i != j && !side_reaches(&sides[i], sides[j].raft_id)) {
                return false;
            }
        }
    }
    return true;
}

void sides_connect(unsigned count) {
    sides_make_members(count);
    AWAIT(sides_are_up(count));
}

bool side_say(struct side *from, uint64_t to, uint64_t value, bool is_bulk, size_t len) {
    AUTO_FREE uint8_t *body = xcalloc(1, len);
    memcpy(body, &value, sizeof value);
    body[8] = is_bulk;
    return peers_send(from->peers, to, MESSAGE_RAFT, (struct bytes){body, len}, is_bulk);
}
