// SPDX-License-Identifier: Apache-2.0
//
// test/sim/raft_world.c — nodes, disks, network and clients of a simulated cluster.
#include "test/sim/raft_world.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"

#define VALUE_BYTES 64

struct sim_totals sim_totals;

static const char *const message_names[RAFT_MESSAGE_TYPES] = {
    [RAFT_APPEND] = "append",       [RAFT_APPEND_REPLY] = "append-reply",
    [RAFT_HEARTBEAT] = "heartbeat", [RAFT_HEARTBEAT_REPLY] = "heartbeat-reply",
    [RAFT_PRE_VOTE] = "pre-vote",   [RAFT_PRE_VOTE_REPLY] = "pre-vote-reply",
    [RAFT_VOTE] = "vote",           [RAFT_VOTE_REPLY] = "vote-reply",
    [RAFT_SNAPSHOT] = "snapshot",   [RAFT_TIMEOUT_NOW] = "timeout-now",
    [RAFT_READ] = "read",           [RAFT_READ_REPLY] = "read-reply",
    [RAFT_REMOVED] = "removed",
};

const char *parcel_name(const struct sim_parcel *parcel) {
    return parcel->is_install        ? "install"
           : parcel->is_snapshot_end ? "snapshot-end"
                                     : message_names[parcel->message.type];
}

static bool chance(struct sim *sim, unsigned per, unsigned of) {
    return per > 0 && prng_below(&sim->prng, of) < per;
}

struct sim_node *world_node(struct sim *sim, uint64_t id) {
    for (unsigned i = 0; i < sim->node_count; i++) {
        if (sim->nodes[i].id == id && sim->nodes[i].is_member) {
            return &sim->nodes[i];
        }
    }
    return NULL;
}

static size_t place(const struct sim *sim, const struct sim_node *node) {
    return (size_t)(node - sim->nodes);
}

void world_note(struct sim *sim, const char *format, ...) {
    if (sim->trace == NULL) {
        return;
    }
    va_list args;
    va_start(args, format);
    buf_addf(sim->trace, "[%8llu] ", (unsigned long long)sim->now_ms);
    buf_addv(sim->trace, format, args);
    buf_addc(sim->trace, '\n');
    va_end(args);
}

void world_break(struct sim *sim, const char *format, ...) {
    if (sim->broken[0] != '\0') {
        return;
    }
    int len = sim->is_manual ? 0
                             : snprintf(sim->broken, sizeof sim->broken,
                                        "seed %llu at %llu ms: ", (unsigned long long)sim->seed,
                                        (unsigned long long)sim->now_ms);
    va_list args;
    va_start(args, format);
    vsnprintf(sim->broken + len, sizeof sim->broken - (size_t)len, format, args);
    va_end(args);
    world_note(sim, "BROKEN %s", sim->broken);
}

// --- the network: a heap by arrival ---

static bool is_before(const struct sim_parcel *a, const struct sim_parcel *b) {
    return a->at_ms < b->at_ms || (a->at_ms == b->at_ms && a->order < b->order);
}

static void heap_swap(struct sim *sim, size_t a, size_t b) {
    struct sim_parcel *parcel = sim->heap[a];
    sim->heap[a] = sim->heap[b];
    sim->heap[b] = parcel;
}

static void heap_rise(struct sim *sim, size_t at) {
    while (at > 0 && is_before(sim->heap[at], sim->heap[(at - 1) / 2])) {
        heap_swap(sim, at, (at - 1) / 2);
        at = (at - 1) / 2;
    }
}

static void heap_sink(struct sim *sim, size_t at) {
    for (;;) {
        size_t least = at;
        for (size_t child = 2 * at + 1; child <= 2 * at + 2 && child < sim->heap_count; child++) {
            least = is_before(sim->heap[child], sim->heap[least]) ? child : least;
        }
        if (least == at) {
            return;
        }
        heap_swap(sim, at, least);
        at = least;
    }
}

void world_post(struct sim *sim, struct sim_parcel *parcel, uint64_t delay_ms) {
    parcel->at_ms = sim->now_ms + delay_ms;
    parcel->order = sim->next_order++;
    if (sim->heap_count == sim->heap_capacity) {
        sim->heap_capacity = sim->heap_capacity == 0 ? 256 : sim->heap_capacity * 2;
        sim->heap = xrealloc(sim->heap, sim->heap_capacity * sizeof(void *));
    }
    sim->heap[sim->heap_count] = parcel;
    heap_rise(sim, sim->heap_count++);
}

struct sim_parcel *world_pick(struct sim *sim, size_t place) {
    struct sim_parcel *picked = sim->heap[place];
    sim->heap[place] = sim->heap[--sim->heap_count];
    if (place < sim->heap_count) {
        heap_sink(sim, place);
        heap_rise(sim, place);
    }
    return picked;
}

struct sim_parcel *world_take(struct sim *sim) {
    return sim->heap_count > 0 ? world_pick(sim, 0) : NULL;
}

void parcel_free(struct sim_parcel *parcel) {
    xfree(parcel->entries);
    xfree(parcel->payloads);
    xfree(parcel);
}

// --- sending ---

// What the driver adds to a message of the core: entries from the log, the state of a snapshot.
static struct sim_parcel *wrap(const struct sim_node *node, const struct raft_message *message) {
    struct sim_parcel *parcel = NEW(struct sim_parcel);
    parcel->message = *message;
    if (message->type == RAFT_APPEND && message->count > 0) {
        parcel->entries = xcalloc(message->count, sizeof *parcel->entries);
        parcel->payloads = xcalloc(message->count, sizeof *parcel->payloads);
        for (uint32_t i = 0; i < message->count; i++) {
            const struct sim_entry *entry = &node->log[message->index + 1 + i];
            parcel->payloads[i] = *entry;
            uint32_t bytes = entry->type == RAFT_ENTRY_NOOP ? 0 : VALUE_BYTES;
            parcel->entries[i] = (struct raft_entry){entry->term, bytes, entry->type};
            if (entry->type == RAFT_ENTRY_CONFIGURATION) {
                parcel->configuration = entry->configuration;
                parcel->message.configuration = &parcel->configuration;
            }
        }
        parcel->message.entries = parcel->entries;
    } else if (message->type == RAFT_SNAPSHOT) {
        ASSERT(message->index == node->disk.applied); // what a read transaction shows
        parcel->state = node->disk.state;
        parcel->configuration = node->disk.configuration;
        parcel->configuration_index = node->disk.configuration_index;
    }
    return parcel;
}

struct sim_parcel *world_copy(const struct sim_parcel *parcel) {
    uint32_t count = parcel->message.count;
    struct sim_parcel *other = NEW(struct sim_parcel);
    *other = *parcel;
    other->entries = NULL;
    other->payloads = NULL;
    if (count > 0) {
        other->entries = xcalloc(count, sizeof *other->entries);
        other->payloads = xcalloc(count, sizeof *other->payloads);
        memcpy(other->entries, parcel->entries, count * sizeof *other->entries);
        memcpy(other->payloads, parcel->payloads, count * sizeof *other->payloads);
        other->message.entries = other->entries;
    }
    if (parcel->message.configuration != NULL) {
        other->message.configuration = &other->configuration;
    }
    return other;
}

static void tell_snapshot_end(struct sim *sim, uint64_t sender, uint64_t receiver, uint64_t index) {
    struct sim_parcel *end = NEW(struct sim_parcel);
    end->is_snapshot_end = true;
    end->message = (struct raft_message){.to = sender, .from = receiver, .index = index};
    world_post(sim, end, sim->is_manual ? 0 : 5 + prng_below(&sim->prng, 50));
}

void world_lose(struct sim *sim, struct sim_parcel *parcel) {
    if (parcel->message.type == RAFT_SNAPSHOT && !parcel->is_snapshot_end) {
        tell_snapshot_end(sim, parcel->message.from, parcel->message.to, 0);
    }
    parcel_free(parcel);
}

static uint64_t delay(struct sim *sim) {
    unsigned most = sim->is_healed ? 10 : sim->knobs.delay_max_ms;
    return sim->is_manual ? 0 : 1 + prng_below(&sim->prng, most);
}

static void send_one(struct sim *sim, struct sim_node *node, const struct raft_message *message) {
    struct sim_node *to = world_node(sim, message->to);
    bool is_cut = to == NULL || sim->cut[place(sim, node)][place(sim, to)];
    bool is_lost = is_cut || chance(sim, sim->is_healed ? 0 : sim->knobs.loss, 1000);
    sim_totals.messages++;
    check_send(sim, node, message);
    struct sim_parcel *parcel = wrap(node, message);
    world_note(sim, "%llu -> %llu %s term %llu index %llu count %u commit %llu%s%s",
               (unsigned long long)message->from, (unsigned long long)message->to, parcel_name(parcel),
               (unsigned long long)message->term, (unsigned long long)message->index, message->count,
               (unsigned long long)message->commit, message->is_reject ? " no" : "", is_lost ? " lost" : "");
    if (is_lost) {
        sim_totals.losses++;
        world_lose(sim, parcel);
        return;
    }
    if (message->type != RAFT_SNAPSHOT && chance(sim, sim->is_healed ? 0 : sim->knobs.duplicate, 1000)) {
        sim_totals.duplicates++;
        world_post(sim, world_copy(parcel), 4 * delay(sim));
    }
    world_post(sim, parcel, delay(sim));
}

// Sends what may be sent now; returns how many of the messages stay for after the sync.
static void send_messages(struct sim *sim, struct sim_node *node, bool only_early) {
    size_t kept = 0;
    for (size_t i = 0; i < node->raft.message_count; i++) {
        struct raft_message message = node->messages[i];
        if (only_early && message.is_late) {
            node->messages[kept++] = message;
        } else {
            send_one(sim, node, &message);
        }
    }
    node->raft.message_count = kept;
}

// --- life and death ---

static void configure(struct sim *sim, struct sim_node *node, struct raft_options *out) {
    *out = (struct raft_options){
        .id = node->id,
        .election_ticks = 10,
        .heartbeat_ticks = 1,
        .append_bytes_max = sim->knobs.append_bytes,
        .inflight_max = sim->knobs.inflight,
        .inflight_bytes_max = 64 * VALUE_BYTES,
        .uncommitted_bytes_max = 48 * VALUE_BYTES,
        .prng = &sim->node_prng,
        .ring = node->ring,
        .ring_count = sim->knobs.ring,
        .messages = node->messages,
        .messages_count = SIM_MESSAGES,
    };
}

void world_start(struct sim *sim, struct sim_node *node) {
    const struct sim_disk *disk = &node->disk;
    static struct raft_entry entries[SIM_RING];
    struct raft_start start = {
        .term = disk->term,
        .vote = disk->vote,
        .applied = disk->applied,
        .base_index = disk->base_index,
        .base_term = disk->base_term,
        .entries = entries,
        .count = disk->last_index - disk->base_index,
        .configuration = disk->configuration,
        .configuration_index = disk->configuration_index,
    };
    for (uint64_t index = disk->base_index + 1; index <= disk->last_index; index++) {
        const struct sim_entry *entry = &node->disk_log[index];
        uint32_t bytes = entry->type == RAFT_ENTRY_NOOP ? 0 : VALUE_BYTES;
        entries[index - disk->base_index - 1] = (struct raft_entry){entry->term, bytes, entry->type};
        node->log[index] = *entry;
        if (entry->type == RAFT_ENTRY_CONFIGURATION && index > disk->applied) {
            // Of several, all but the last are committed (each needed the one before to be); the core keeps
            // two.
            if (start.pending_index > 0) {
                start.configuration = start.pending;
                start.configuration_index = start.pending_index;
            }
            start.pending = entry->configuration;
            start.pending_index = index;
        }
    }
    struct raft_options options;
    configure(sim, node, &options);
    raft_init(&node->raft, &options, &start);
    node->applied = disk->applied;
    node->state = disk->state;
    node->configuration = disk->configuration;
    node->configuration_index = disk->configuration_index;
    node->is_up = true;
    node->is_stalled = node->is_disk_slow = false;
    node->stream = 0;
    node->seen_term = disk->term;
    node->seen_commit = disk->applied;
    node->led_term = node->led_last = 0;
    node->tick_ms = sim->knobs.skews_clocks ? 80 + (unsigned)prng_below(&sim->prng, 50) : 100;
    node->next_tick_ms = sim->now_ms + 1 + prng_below(&sim->prng, node->tick_ms);
    world_note(sim, "%llu starts: term %llu last %llu applied %llu", (unsigned long long)node->id,
               (unsigned long long)disk->term, (unsigned long long)disk->last_index,
               (unsigned long long)disk->applied);
}

void world_crash(struct sim *sim, struct sim_node *node) {
    world_note(sim, "%llu crashes", (unsigned long long)node->id);
    node->is_up = false;
    sim_totals.crashes++;
}

static struct sim_node *free_place(struct sim *sim) {
    for (unsigned i = 0; i < sim->node_count; i++) {
        if (!sim->nodes[i].is_member) {
            return &sim->nodes[i];
        }
    }
    return sim->node_count < SIM_NODES_MAX ? &sim->nodes[sim->node_count++] : NULL;
}

// A new node, its disk as if it had been given this configuration (empty: it waits to be told).
struct sim_node *world_add(struct sim *sim, const struct raft_configuration *configuration) {
    struct sim_node *node = free_place(sim);
    if (node == NULL) {
        return NULL;
    }
    struct sim_entry *log = node->log != NULL ? node->log : xcalloc(SIM_LOG_MAX, sizeof *log);
    struct sim_entry *disk_log =
        node->disk_log != NULL ? node->disk_log : xcalloc(SIM_LOG_MAX, sizeof *disk_log);
    *node = (struct sim_node){.id = sim->next_id++, .is_member = true, .log = log, .disk_log = disk_log};
    node->disk.configuration = *configuration;
    for (unsigned i = 0; i < SIM_NODES_MAX; i++) {
        sim->cut[place(sim, node)][i] = sim->cut[i][place(sim, node)] = false;
    }
    return node;
}

// --- a turn ---

static void write_disk(struct sim *sim, struct sim_node *node) {
    struct raft *raft = &node->raft;
    struct sim_disk *disk = &node->disk;
    if (raft->is_hard_state_dirty) {
        check_persist(sim, node, raft->term, raft->vote);
        disk->term = raft->term;
        disk->vote = raft->vote;
    }
    uint64_t from =
        raft->persisted + 1 > raft->log.base_index + 1 ? raft->persisted + 1 : raft->log.base_index + 1;
    for (uint64_t index = from; index <= raft->log.last_index; index++) {
        node->disk_log[index] = node->log[index];
    }
    disk->base_index = raft->log.base_index;
    disk->base_term = raft->log.base_term;
    disk->last_index = raft->log.last_index;
    disk->applied = node->applied;
    disk->state = node->state;
    disk->configuration = node->configuration;
    disk->configuration_index = node->configuration_index;
}

static void apply_committed(struct sim *sim, struct sim_node *node) {
    struct raft *raft = &node->raft;
    while (node->applied < raft->commit && sim->broken[0] == '\0') {
        uint64_t index = node->applied + 1;
        const struct sim_entry *entry = &node->log[index];
        check_apply(sim, node, index, entry);
        node->state = sim_hash(node->state, entry, index);
        node->applied = index;
        if (entry->type == RAFT_ENTRY_CONFIGURATION) {
            node->configuration = entry->configuration;
            node->configuration_index = index;
        }
    }
}

static void note_noop(struct sim_node *node) {
    struct raft *raft = &node->raft;
    uint64_t term; // of the entry: who stalls may be in a later term by now
    if (raft->noop_index != 0 && raft_term_at(raft, raft->noop_index, &term)) {
        node->log[raft->noop_index] = (struct sim_entry){.term = term, .type = RAFT_ENTRY_NOOP};
    }
}

static bool crashes_here(struct sim *sim, struct sim_node *node) {
    if (!sim->is_healed && chance(sim, sim->knobs.crash, 40000)) {
        world_crash(sim, node);
        return true;
    }
    return false;
}

static bool has_work(const struct sim_node *node) {
    const struct raft *raft = &node->raft;
    return raft->is_hard_state_dirty || raft->message_count > 0 || raft->persisted < raft->log.last_index ||
           raft->applied < raft->commit || raft->noop_index != 0;
}

static void turn_until_sync(struct sim *sim, struct sim_node *node) {
    struct raft *raft = &node->raft;
    note_noop(node);
    raft_flush(raft);
    note_noop(node);
    if (!raft->is_hard_state_dirty) {
        send_messages(sim, node, /*only_early=*/true);
    }
    apply_committed(sim, node);
}

void world_crash_after_sync(struct sim *sim, struct sim_node *node) {
    turn_until_sync(sim, node);
    write_disk(sim, node);
    world_crash(sim, node);
}

static void turn_once(struct sim *sim, struct sim_node *node) {
    struct raft *raft = &node->raft;
    uint64_t applied_before = raft->applied;
    turn_until_sync(sim, node);
    if (node->is_disk_slow || sim->broken[0] != '\0' || crashes_here(sim, node)) {
        return;
    }
    write_disk(sim, node);
    if (crashes_here(sim, node)) {
        return;
    }
    raft_persisted(raft, raft->log.last_index);
    note_noop(node);
    raft_applied(raft, node->applied);
    if (raft->role == RAFT_LEADER && node->applied > applied_before && node->applied > sim->acknowledged) {
        sim->acknowledged = node->applied; // the clients of this leader are told
    }
    send_messages(sim, node, /*only_early=*/raft->is_hard_state_dirty);
}

void world_turn(struct sim *sim, struct sim_node *node) {
    for (int i = 0; i < 8 && node->is_up && sim->broken[0] == '\0'; i++) {
        uint64_t commit = node->raft.commit;
        turn_once(sim, node);
        if (!node->is_up || sim->broken[0] != '\0') {
            return;
        }
        if (node->raft.role == RAFT_LEADER && node->raft.commit > commit) {
            check_commit(sim, node, node->raft.commit);
        }
        check_node(sim, node);
        check_reads(sim, node);
        if (!has_work(node) || node->is_disk_slow) {
            return;
        }
    }
}

// --- arrivals ---

static void take_entries(struct sim_node *node, const struct sim_parcel *parcel,
                         const struct raft_accept *accept) {
    for (uint32_t i = 0; i < accept->count; i++) {
        ASSERT(accept->from + i < SIM_LOG_MAX);
        node->log[accept->from + i] = parcel->payloads[accept->skip + i];
    }
}

static void restore(struct sim *sim, struct sim_node *node, const struct sim_parcel *parcel) {
    const struct raft_message *message = &parcel->message;
    check_restore(sim, node, message->index, parcel->state);
    raft_restored(&node->raft, message->index, message->log_term, &parcel->configuration,
                  parcel->configuration_index);
    node->applied = message->index;
    node->state = parcel->state;
    node->configuration = parcel->configuration;
    node->configuration_index = parcel->configuration_index;
    sim_totals.snapshots++;
    world_note(sim, "%llu installs a snapshot at %llu", (unsigned long long)node->id,
               (unsigned long long)message->index);
}

// The stream takes a while, and much may happen meanwhile: a newer one, an election, entries up to there.
static void begin_stream(struct sim *sim, struct sim_node *node, struct sim_parcel *parcel) {
    if (parcel->message.index <= node->raft.commit) {
        world_break(sim, "node %llu wants a snapshot at %llu and has committed up to %llu",
                    (unsigned long long)node->id, (unsigned long long)parcel->message.index,
                    (unsigned long long)node->raft.commit);
    }
    parcel->is_install = true;
    node->stream = parcel->stream = ++sim->next_stream;
    world_post(sim, parcel, 9 * delay(sim));
}

static void install(struct sim *sim, struct sim_node *node, const struct sim_parcel *parcel) {
    const struct sim_node *sender = world_node(sim, parcel->message.from);
    bool is_current = node->stream == parcel->stream && sender != NULL && sender->is_up;
    bool installs =
        is_current && raft_may_restore(&node->raft, parcel->message.index, parcel->message.log_term);
    if (installs) {
        restore(sim, node, parcel);
    }
    node->stream = is_current ? 0 : node->stream;
    tell_snapshot_end(sim, parcel->message.from, node->id, installs ? parcel->message.index : 0);
}

static void deliver_message(struct sim *sim, struct sim_node *node, struct sim_parcel *parcel) {
    const struct raft_message *message = &parcel->message;
    struct raft_accept accept;
    uint64_t commit = node->raft.commit;
    world_note(sim, "%llu takes %s of %llu, term %llu index %llu", (unsigned long long)node->id,
               parcel_name(parcel), (unsigned long long)message->from, (unsigned long long)message->term,
               (unsigned long long)message->index);
    raft_step(&node->raft, message, &accept);
    take_entries(node, parcel, &accept);
    note_noop(node);
    if (node->raft.role == RAFT_LEADER && node->raft.commit > commit) {
        check_commit(sim, node, node->raft.commit);
    }
    if (accept.wants_snapshot) {
        begin_stream(sim, node, parcel);
    } else {
        world_lose(sim, parcel);
    }
}

void world_deliver(struct sim *sim, struct sim_parcel *parcel) {
    struct sim_node *node = world_node(sim, parcel->message.to);
    if (node == NULL || !node->is_up) {
        world_lose(sim, parcel);
        return;
    }
    if (parcel->is_snapshot_end) {
        raft_snapshot_ended(&node->raft, parcel->message.from, parcel->message.index);
        parcel_free(parcel);
    } else if (parcel->is_install) {
        install(sim, node, parcel);
        parcel_free(parcel);
    } else {
        deliver_message(sim, node, parcel);
    }
    check_node(sim, node);
    if (!node->is_stalled) {
        world_turn(sim, node);
    }
}

void world_note_nodes(struct sim *sim) {
    for (unsigned i = 0; i < sim->node_count; i++) {
        const struct sim_node *node = &sim->nodes[i];
        const struct raft *raft = &node->raft;
        world_note(sim, "%llu %s%s%s term %llu log %llu-%llu commit %llu applied %llu members %u%s",
                   (unsigned long long)node->id, node->is_member ? "" : "gone ", node->is_up ? "" : "down ",
                   raft_role_names[raft->role], (unsigned long long)raft->term,
                   (unsigned long long)raft->log.base_index, (unsigned long long)raft->log.last_index,
                   (unsigned long long)raft->commit, (unsigned long long)node->applied,
                   raft_configuration_now(raft)->count,
                   raft->pending_configuration_index > 0 ? " (pending)" : "");
    }
}

// --- clients ---

enum raft_outcome world_propose(struct sim *sim, struct sim_node *node, size_t count, uint64_t *out_first) {
    uint32_t bytes[4] = {VALUE_BYTES, VALUE_BYTES, VALUE_BYTES, VALUE_BYTES};
    if (node->raft.log.last_index + count + 8 >= SIM_LOG_MAX) {
        return RAFT_BUSY;
    }
    enum raft_outcome outcome = raft_propose(&node->raft, bytes, count, out_first);
    for (size_t i = 0; outcome == RAFT_DONE && i < count; i++) {
        node->log[*out_first + i] =
            (struct sim_entry){.term = node->raft.term, .value = ++sim->next_value, .type = RAFT_ENTRY_DATA};
    }
    return outcome;
}

enum raft_outcome world_read(struct sim *sim, struct sim_node *node) {
    uint64_t context = ++sim->next_context;
    enum raft_outcome outcome = raft_read_index(&node->raft, context);
    if (outcome == RAFT_DONE) {
        sim->reads[context % (sizeof sim->reads / sizeof *sim->reads)] =
            (struct sim_read){context, sim->acknowledged, SIM_READ_WAITING};
    }
    return outcome;
}

void configuration_insert(struct raft_configuration *configuration, struct raft_member member) {
    unsigned at = configuration->count++;
    while (at > 0 && configuration->members[at - 1].id > member.id) {
        configuration->members[at] = configuration->members[at - 1];
        at--;
    }
    configuration->members[at] = member;
}

void configuration_remove(struct raft_configuration *configuration, unsigned at) {
    memmove(&configuration->members[at], &configuration->members[at + 1],
            (--configuration->count - at) * sizeof *configuration->members);
}

enum raft_outcome world_configure(struct sim *sim, struct sim_node *leader,
                                  const struct raft_configuration *next) {
    uint64_t index;
    if (leader->raft.log.last_index + 8 >= SIM_LOG_MAX) {
        return RAFT_BUSY;
    }
    enum raft_outcome outcome = raft_propose_configuration(&leader->raft, next, VALUE_BYTES, &index);
    if (outcome == RAFT_DONE) {
        leader->log[index] = (struct sim_entry){.term = leader->raft.term,
                                                .value = ++sim->next_value,
                                                .type = RAFT_ENTRY_CONFIGURATION,
                                                .configuration = *next};
        sim_totals.changes++;
        world_note(sim, "%llu changes the members: %u now", (unsigned long long)leader->id, next->count);
    }
    return outcome;
}

// What a user could ask for: add a learner, promote, demote, remove.
void world_change(struct sim *sim, struct sim_node *leader) {
    struct raft_configuration next = *raft_configuration_now(&leader->raft);
    unsigned pick = next.count > 0 ? (unsigned)prng_below(&sim->prng, next.count) : 0;
    struct sim_node *added = NULL;
    switch (prng_below(&sim->prng, 4)) {
    case 0:
        added = next.count < 7 ? world_add(sim, &(struct raft_configuration){0}) : NULL;
        if (added == NULL) {
            return;
        }
        configuration_insert(&next, (struct raft_member){added->id, false});
        break;
    case 1:
    case 2:
        next.members[pick].is_voter = !next.members[pick].is_voter;
        break;
    default:
        if (next.count < 3) {
            return;
        }
        configuration_remove(&next, pick);
        break;
    }
    bool is_done = world_configure(sim, leader, &next) == RAFT_DONE;
    if (added != NULL && is_done) {
        world_start(sim, added);
    } else if (added != NULL) {
        added->is_member = false;
    }
}
