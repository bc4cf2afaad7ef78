// SPDX-License-Identifier: Apache-2.0
//
// test/lib/replicas.c — virtual time, a network made of a list, and disks that fail when told.
#include "test/lib/replicas.h"
#include "test/lib/scratch.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/fs.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/str.h"
#include "reconciler/store/replica_parts.h"

#define RESULT_MS 20000
#define TURNS_PER_STEP 64

struct parcel {
    struct list_node node;
    int64_t at_ms;
    unsigned from, to; // numbers
    uint64_t from_raft_id, to_raft_id;
    uint16_t number;
    size_t len;
    uint8_t body[];
};

// --- the network ---

static struct replica_node *node_by_raft_id(struct replicas *r, uint64_t raft_id) {
    for (unsigned i = 0; i < r->count; i++) {
        if (r->nodes[i].replica != NULL && replica_id(r->nodes[i].replica) == raft_id) {
            return &r->nodes[i];
        }
    }
    return NULL;
}

static bool is_linked(void *context, uint64_t raft_id) {
    const struct replica_node *from = context;
    const struct replica_node *to = node_by_raft_id(from->group, raft_id);
    return !from->group->tells_links || (to != NULL && !from->group->cut[from->number][to->number]);
}

static void insert(struct replicas *r, struct parcel *parcel) {
    struct list_node *after = r->parcels.head.prev;
    while (after != &r->parcels.head && LIST_ENTRY(after, struct parcel, node)->at_ms > parcel->at_ms) {
        after = after->prev;
    }
    parcel->node.prev = after;
    parcel->node.next = after->next;
    after->next->prev = &parcel->node;
    after->next = &parcel->node;
}

static void on_send(void *context, const struct replica_packet *packet) {
    struct replica_node *from = context;
    struct replicas *r = from->group;
    const struct replica_node *to = node_by_raft_id(r, packet->to);
    r->sent++;
    if (to == NULL || from->keeps_quiet || r->cut[from->number][to->number] ||
        (r->loss_per_1000 > 0 && prng_below(&r->prng, 1000) < r->loss_per_1000)) {
        return;
    }
    struct parcel *parcel = xcalloc(1, sizeof *parcel + packet->body.len + 1);
    parcel->at_ms = r->now_ms + (from->delay_ms > 0 ? from->delay_ms : 1);
    parcel->from = from->number;
    parcel->to = to->number;
    parcel->from_raft_id = replica_id(from->replica);
    parcel->to_raft_id = packet->to;
    parcel->number = packet->number;
    parcel->len = packet->body.len;
    memcpy(parcel->body, packet->body.data, packet->body.len);
    insert(r, parcel);
}

// --- life and death ---

static int before_commit(void *context, struct error *err) {
    struct replica_node *node = context;
    node->commits++;
    if (node->commits == node->die_at_commit) {
        node->is_dying = true;
        return error_set(err, ERR_SYSTEM, "power is lost");
    }
    switch (node->disk) {
    case DISK_GOOD:
        return 0;
    case DISK_FULL:
        return error_sys(err, 28 /* ENOSPC */, "write the store");
    case DISK_BROKEN:
        return error_sys(err, 5 /* EIO */, "write the store");
    }
    UNREACHABLE("a disk of no kind");
}

static void on_result(void *context, const struct proposal_result *result) {
    struct replica_node *node = context;
    struct store_result *kept = ARENA_PUSH(&node->group->objects.arena, &node->results);
    *kept = (struct store_result){.token = result->token, .code = result->code, .revision = result->revision};
    snprintf(kept->text, sizeof kept->text, "%s", result->text != NULL ? result->text : "");
}

static void on_members(void *context, const struct membership *membership) {
    (void)membership;
    ((struct replica_node *)context)->member_changes++;
}

struct replica_node *replicas_add(struct replicas *r) {
    ASSERT(r->count < GROUP_MAX);
    struct replica_node *node = &r->nodes[r->count];
    *node = (struct replica_node){.group = r, .number = r->count++};
    str_copy(node->dir, sizeof node->dir, r->dir);
    snprintf(node->dir + strlen(node->dir), 16, "/%u", node->number);
    int rc = replicas_start(r, node);
    ASSERT(rc == 0);
    return node;
}

int replicas_start(struct replicas *r, struct replica_node *node) {
    ASSERT(node->replica == NULL);
    node->faults = (struct store_faults){before_commit, node};
    node->commits = node->die_at_commit = 0;
    node->is_dying = node->is_stopped = false;
    struct store_options options = {.dir = node->dir,
                                    .map_bytes = r->map_bytes,
                                    .reserve_bytes = -1,
                                    .faults = &node->faults,
                                    .check_here = true};
    int rc = store_open(&options, &node->store, &r->err);
    if (rc < 0) {
        return rc;
    }
    struct replica_options how = {
        .store = node->store,
        .callbacks = {.on_result = on_result,
                      .send = on_send,
                      .is_linked = is_linked,
                      .on_members = on_members,
                      .context = node},
        .pace = r->pace,
        .seed = prng_next(&r->prng),
        .now_mono_ms = r->now_ms,
    };
    rc = replica_open(&how, &node->replica, &r->err);
    if (rc < 0) {
        store_close(node->store);
        node->store = NULL;
    }
    return rc;
}

static void drop_parcels(struct replicas *r, const struct replica_node *node) {
    LIST_EACH(item, &r->parcels) {
        struct parcel *parcel = LIST_ENTRY(item, struct parcel, node);
        if (parcel->to == node->number) {
            list_remove(item);
            xfree(parcel);
        }
    }
}

void replicas_kill(struct replicas *r, struct replica_node *node) {
    if (node->replica == NULL) {
        return;
    }
    drop_parcels(r, node);
    for (unsigned i = 0; r->tells_links && i < r->count; i++) {
        if (r->nodes[i].replica != NULL && &r->nodes[i] != node) {
            replica_link_lost(r->nodes[i].replica, replica_id(node->replica));
        }
    }
    struct proposer *proposer = replica_proposer(node->replica);
    proposer->ops->free(proposer);
    store_close(node->store);
    node->replica = NULL;
    node->store = NULL;
}

static void take_down(struct replicas *r, struct replica_node *node) {
    error_text(&r->err, node->failure, sizeof node->failure);
    error_clear(&r->err);
    replicas_kill(r, node);
}

void replicas_isolate(struct replicas *r, const struct replica_node *node, bool is_cut) {
    for (unsigned i = 0; i < GROUP_MAX; i++) {
        r->cut[node->number][i] = r->cut[i][node->number] = is_cut;
    }
}

void replicas_heal(struct replicas *r) {
    memset(r->cut, 0, sizeof r->cut);
    r->loss_per_1000 = 0;
    for (unsigned i = 0; i < r->count; i++) {
        r->nodes[i].is_stopped = r->nodes[i].keeps_quiet = false;
        r->nodes[i].delay_ms = 0;
        r->nodes[i].disk = DISK_GOOD;
    }
}

// --- time ---

static bool takes_turn(struct replicas *r, const struct replica_node *node) {
    const struct proposer *proposer = replica_proposer(node->replica);
    return proposer->ops->has_work(proposer) || replica_wake_mono_ms(node->replica) <= r->now_ms;
}

static void turn(struct replicas *r, struct replica_node *node) {
    struct proposer *proposer = replica_proposer(node->replica);
    replica_advance(node->replica, r->now_ms);
    if (proposer->ops->turn(proposer, &r->err) < 0) {
        take_down(r, node);
    }
}

static void deliver(struct replicas *r, struct parcel *parcel) {
    struct replica_node *node = node_by_raft_id(r, parcel->to_raft_id);
    struct bytes body = {parcel->body, parcel->len};
    if (node != NULL && !r->cut[parcel->from][parcel->to]) {
        r->delivered++;
        replica_advance(node->replica, r->now_ms);
        if (replica_receive(node->replica, parcel->from_raft_id, parcel->number, body, &r->err) < 0) {
            take_down(r, node);
        }
    }
    xfree(parcel);
}

static void deliver_due(struct replicas *r) {
    LIST_EACH(item, &r->parcels) {
        struct parcel *parcel = LIST_ENTRY(item, struct parcel, node);
        if (parcel->at_ms > r->now_ms) {
            return;
        }
        if (r->nodes[parcel->to].is_stopped) {
            continue; // its queue
        }
        list_remove(item);
        deliver(r, parcel);
        item_next = r->parcels.head.next; // a failing node takes its parcels with it
    }
}

static void step(struct replicas *r) {
    r->now_ms++;
    deliver_due(r);
    for (unsigned i = 0; i < r->count; i++) {
        struct replica_node *node = &r->nodes[i];
        for (int n = 0;
             n < TURNS_PER_STEP && node->replica != NULL && !node->is_stopped && takes_turn(r, node); n++) {
            turn(r, node);
        }
    }
}

void replicas_run(struct replicas *r, int64_t ms) {
    for (int64_t until = r->now_ms + ms; r->now_ms < until;) {
        step(r);
    }
}

bool replicas_until(struct replicas *r, replicas_condition holds, void *context, int64_t ms) {
    for (int64_t until = r->now_ms + ms; !holds(r, context); step(r)) {
        if (r->now_ms >= until) {
            return false;
        }
    }
    return true;
}

// --- roles ---

struct replica_node *replicas_leader(struct replicas *r) {
    struct replica_node *leader = NULL;
    uint64_t term = 0;
    for (unsigned i = 0; i < r->count; i++) {
        struct replica_node *node = &r->nodes[i];
        if (node->replica == NULL || node->is_stopped) {
            continue;
        }
        struct replica_status status;
        const struct proposer *proposer = replica_proposer(node->replica);
        replica_status(node->replica, &status);
        if (proposer->ops->is_leader(proposer) && status.term > term) {
            leader = node;
            term = status.term;
        }
    }
    return leader;
}

static bool has_leader(struct replicas *r, void *context) {
    (void)context;
    return replicas_leader(r) != NULL;
}

struct replica_node *replicas_wait_leader(struct replicas *r) {
    bool is_there = replicas_until(r, has_leader, NULL, RESULT_MS);
    ASSERT(is_there);
    return replicas_leader(r);
}

struct replica_node *replicas_follower(struct replicas *r) {
    const struct replica_node *leader = replicas_leader(r);
    for (unsigned i = 0; i < r->count; i++) {
        if (r->nodes[i].replica != NULL && &r->nodes[i] != leader) {
            return &r->nodes[i];
        }
    }
    return NULL;
}

// --- use ---

int replicas_propose(struct replicas *r, struct replica_node *node, enum change_op op,
                     struct store_object object, int64_t expected, const char *request_id, uint64_t *token) {
    struct change change = {.op = op,
                            .kind = object.kind,
                            .id = object.id,
                            .expected_version = expected,
                            .object = op == CHANGE_DELETE ? (struct bytes){0} : object.bytes};
    struct transaction transaction = {.request_id = request_id,
                                      .who = "test",
                                      .why = "because",
                                      .time_unix_ms = 1700000000000 + r->now_ms,
                                      .changes = {1, &change}};
    struct proposer *proposer = replica_proposer(node->replica);
    error_clear(&r->err);
    *token = ++r->next_token;
    return proposer->ops->submit(proposer, &transaction, *token, &r->err);
}

static const struct store_result *find_result(const struct replica_node *node, uint64_t token) {
    for (size_t i = node->results.count; i > 0; i--) {
        if (node->results.items[i - 1].token == token) {
            return &node->results.items[i - 1];
        }
    }
    return NULL;
}

bool replicas_has_result(const struct replica_node *node, uint64_t token) {
    return find_result(node, token) != NULL;
}

struct wanted {
    struct replica_node *node;
    uint64_t token;
};

static bool has_wanted(struct replicas *r, void *context) {
    (void)r;
    const struct wanted *wanted = context;
    return find_result(wanted->node, wanted->token) != NULL;
}

struct store_result replicas_result(struct replicas *r, struct replica_node *node, uint64_t token) {
    bool is_there = replicas_until(r, has_wanted, &(struct wanted){node, token}, RESULT_MS);
    ASSERT(is_there);
    return *find_result(node, token);
}

static struct store_object config_of(struct replicas *r, unsigned number) {
    return store_config(&r->objects, number, arena_printf(&r->objects.arena, "c%u", number), 50);
}

struct store_result replicas_put(struct replicas *r, struct replica_node *node, unsigned number) {
    uint64_t token;
    int rc = replicas_propose(r, node, CHANGE_CREATE, config_of(r, number), 0, "", &token);
    if (rc < 0) {
        struct store_result refused = {.code = rc};
        error_text(&r->err, refused.text, sizeof refused.text);
        return refused;
    }
    return replicas_result(r, node, token);
}

struct reading {
    bool is_done;
    int rc;
};

static void on_read(void *context, int rc, const struct error *err) {
    (void)err;
    *(struct reading *)context = (struct reading){true, rc};
}

static bool is_read(struct replicas *r, void *context) {
    (void)r;
    return ((struct reading *)context)->is_done;
}

bool replicas_read(struct replicas *r, struct replica_node *node) {
    struct reading reading = {0};
    if (replica_read(node->replica, on_read, &reading)) {
        return true;
    }
    bool is_done = replicas_until(r, is_read, &reading, RESULT_MS);
    ASSERT(is_done);
    return reading.rc == 0;
}

bool replicas_has_config(struct replicas *r, struct replica_node *node, unsigned number) {
    struct store_read *read;
    struct bytes bytes;
    struct id id = store_id(number);
    int rc = store_read_begin(node->store, &read, &r->err);
    ASSERT(rc == 0);
    rc = store_get(read, KIND_CONFIG, &id, &bytes, &r->err);
    store_read_end(read);
    return rc == 0;
}

void replicas_join(struct replicas *r, struct replica_node *node) {
    struct replica_node *leader = replicas_wait_leader(r);
    uint64_t raft_id = prng_next(&r->prng) | 1, token = ++r->next_token;
    int rc = replica_await(node->replica, raft_id, &r->err);
    ASSERT(rc == 0);
    struct member member = {.raft_id = (int64_t)raft_id,
                            .node_id = store_id(100 + node->number),
                            .address = "",
                            .wants_vote = true};
    while ((rc = replica_change(leader->replica, MEMBER_ADD, &member, token, &r->err)) == -ERR_BUSY) {
        step(r); // another change is not committed yet
    }
    ASSERT(rc == 0);
    struct store_result result = replicas_result(r, leader, token);
    ASSERT(result.code == 0);
}

// --- agreement ---

static uint64_t digest_of(struct replicas *r, struct replica_node *node) {
    struct store_read *read;
    uint64_t digest = 0;
    int rc = store_read_begin(node->store, &read, &r->err);
    rc = rc < 0 ? rc : store_digest(read, &digest, &r->err);
    ASSERT(rc == 0);
    store_read_end(read);
    return digest;
}

static bool all_applied(struct replicas *r, void *context) {
    (void)context;
    const struct replica_node *leader = replicas_leader(r);
    if (leader == NULL) {
        return false;
    }
    struct replica_status want, have;
    replica_status(leader->replica, &want);
    for (unsigned i = 0; i < r->count; i++) {
        if (r->nodes[i].replica == NULL) {
            continue;
        }
        replica_status(r->nodes[i].replica, &have);
        if (have.applied != want.last_index || have.last_index != want.last_index ||
            r->nodes[i].replica->is_turn_open) {
            return false;
        }
    }
    return true;
}

void replicas_agree(struct replicas *r) {
    bool is_there = replicas_until(r, all_applied, NULL, 2 * RESULT_MS);
    ASSERT(is_there);
    uint64_t first = 0;
    for (unsigned i = 0; i < r->count; i++) {
        if (r->nodes[i].replica != NULL) {
            uint64_t digest = digest_of(r, &r->nodes[i]);
            ASSERT(first == 0 || digest == first);
            first = digest;
        }
    }
}

// --- begin and end ---

static bool all_vote(struct replicas *r, void *context) {
    struct replica_status status;
    replica_status(r->nodes[0].replica, &status);
    return status.voters == *(unsigned *)context;
}

void replicas_begin(struct replicas *r, unsigned count, uint64_t seed, const struct replica_pace *pace) {
    *r = (struct replicas){.pace = pace != NULL ? *pace : (struct replica_pace){0},
                           .map_bytes = (size_t)256 * MIB,
                           .now_ms = 1000};
    snprintf(r->dir, sizeof r->dir, "%s/muster-replicas.XXXXXX", scratch_memory());
    char *made = mkdtemp(r->dir);
    ASSERT(made != NULL);
    prng_seed(&r->prng, seed);
    list_init(&r->parcels);
    struct replica_node *first = replicas_add(r);
    struct id id = store_id(100);
    int rc = replica_found(first->replica, &id, "", &r->err);
    ASSERT(rc == 0);
    for (unsigned i = 1; i < count; i++) {
        replicas_join(r, replicas_add(r));
        unsigned voters = i + 1;
        bool is_voter = replicas_until(r, all_vote, &voters, RESULT_MS);
        ASSERT(is_voter);
    }
    replicas_wait_leader(r);
    replicas_agree(r);
}

void replicas_end(struct replicas *r) {
    for (unsigned i = 0; i < r->count; i++) {
        replicas_kill(r, &r->nodes[i]);
    }
    LIST_EACH(node, &r->parcels) {
        list_remove(node);
        xfree(LIST_ENTRY(node, struct parcel, node));
    }
    int rc = fs_remove_tree(AT_FDCWD, r->dir, &r->err);
    ASSERT(rc == 0);
    arena_free(&r->objects.arena);
}
