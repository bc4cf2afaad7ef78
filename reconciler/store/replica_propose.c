// SPDX-License-Identifier: Apache-2.0
//
// reconciler/store/replica_propose.c — proposals of this member, from submit to outcome, whoever leads.
//
// Model        WAITING -> PROPOSED (here) or FORWARDED (to the leader) -> DONE; back to WAITING when another
//              leader overwrote the entry, or when there is a new leader to hand it to. Only what has a
//              request id is handed to others: with it a second entry for the same request does nothing but
//              give the first outcome again. So nothing is applied twice, and nothing is lost by retrying.
// Foreign      A proposal that another member handed to us waits and is proposed as our own, and nobody here
//              is told; its owner sees its entry applied.
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "reconciler/store/replica_parts.h"

#define QUEUE_ENTRIES_MAX 4096
#define QUEUE_BYTES_MAX ((size_t)64 * MIB)
#define BATCH_ENTRIES_MAX 256
#define BATCH_BYTES_MAX ((size_t)512 * KIB)
#define TURN_BATCHES_MAX 4
#define RESEND_MS 2000
#define SPACE_TRANSFER_MS 10000

static struct replica *replica_of(struct proposer *proposer) {
    return (struct replica *)(void *)proposer;
}

// --- lists ---

static void unlink_pending(struct replica *replica, struct pending *pending) {
    list_remove(&pending->node);
    if (pending->state == PENDING_WAITING) {
        replica->queued--;
        replica->queued_bytes -= pending->entry.len;
    }
}

static void move_to(struct replica *replica, struct pending *pending, enum pending_state state) {
    if (list_is_linked(&pending->node)) {
        unlink_pending(replica, pending);
    }
    pending->state = state;
    struct list *lists[] = {[PENDING_WAITING] = &replica->waiting,
                            [PENDING_PROPOSED] = &replica->sent,
                            [PENDING_FORWARDED] = &replica->sent,
                            [PENDING_APPLIED] = &replica->applied,
                            [PENDING_DONE] = &replica->done};
    list_append(lists[state], &pending->node);
    if (state == PENDING_WAITING) {
        replica->queued++;
        replica->queued_bytes += pending->entry.len;
    }
}

static void pending_free(struct pending *pending) {
    buf_free(&pending->entry);
    xfree(pending);
}

// Several may have one id: the same request, sent twice. The map finds one, the list the others.
static struct pending *find_forwarded(const struct replica *replica, const char *request_id) {
    LIST_EACH(node, (struct list *)(uintptr_t)&replica->sent) {
        struct pending *pending = LIST_ENTRY(node, struct pending, node);
        if (pending->state == PENDING_FORWARDED && str_equal(pending->request_id, request_id)) {
            return pending;
        }
    }
    return NULL;
}

static void leave_forwarded(struct replica *replica, struct pending *pending, enum pending_state state) {
    if (map_get(&replica->by_request, pending->request_id) == pending) {
        map_remove(&replica->by_request, pending->request_id);
    }
    move_to(replica, pending, state);
    struct pending *other = find_forwarded(replica, pending->request_id);
    if (other != NULL) {
        map_put(&replica->by_request, other->request_id, other);
    }
}

static void finish(struct replica *replica, struct pending *pending, const struct outcome *outcome) {
    pending->outcome = *outcome;
    if (pending->state == PENDING_FORWARDED) {
        leave_forwarded(replica, pending, PENDING_DONE);
    } else {
        move_to(replica, pending, PENDING_DONE);
    }
}

static void finish_with(struct replica *replica, struct pending *pending, enum error_code code,
                        const char *text) {
    struct outcome outcome = {.code = -(int)code};
    str_copy(outcome.text, sizeof outcome.text, text);
    finish(replica, pending, &outcome);
}

void propose_report(struct replica *replica) {
    struct list_node *node;
    while ((node = list_first(&replica->done)) != NULL) {
        struct pending *pending = LIST_ENTRY(node, struct pending, node);
        list_remove(node);
        if (pending->token != 0) {
            struct proposal_result result = {pending->token, pending->outcome.code, pending->outcome.revision,
                                             pending->outcome.text};
            replica->proposer.on_result(replica->proposer.context, &result);
        }
        pending_free(pending);
    }
}

bool propose_is_waiting(const struct replica *replica) {
    return !list_is_empty((struct list *)(uintptr_t)&replica->sent);
}

static bool is_linked(const struct replica *replica, uint64_t raft_id) {
    const struct replica_callbacks *callbacks = &replica->callbacks;
    return callbacks->is_linked == NULL || callbacks->is_linked(callbacks->context, raft_id);
}

bool propose_has_work(const struct replica *replica) {
    uint64_t leader = replica->raft.leader;
    struct list *waiting = (struct list *)(uintptr_t)&replica->waiting;
    bool can_go = replica->raft.role == RAFT_LEADER ? replica->raft.transferee == 0 && !replica->is_held_up
                                                    : leader != 0 && is_linked(replica, leader);
    return !list_is_empty((struct list *)(uintptr_t)&replica->done) || (can_go && !list_is_empty(waiting));
}

// --- submit ---

static bool leads(const struct replica *replica) {
    return replica->has_group && replica->raft.role == RAFT_LEADER;
}

// The leader's disk is nearly full: another voter may have room. Tried now and then, for all may be full.
static bool moves_leadership(struct replica *replica) {
    if (!leads(replica) || replica->now_mono_ms - replica->space_mono_ms < SPACE_TRANSFER_MS) {
        return false;
    }
    if (replica_transfer(replica, 0, NULL) < 0) {
        return false;
    }
    replica->space_mono_ms = replica->now_mono_ms;
    return true;
}

static int admit(struct replica *replica, const struct transaction *transaction, struct error *err) {
    int rc = admission_check(transaction, err);
    if (rc < 0) {
        return rc;
    }
    if (replica->queued >= QUEUE_ENTRIES_MAX || replica->queued_bytes >= QUEUE_BYTES_MAX) {
        return error_set(err, ERR_BUSY, "%zu proposals are waiting", replica->queued);
    }
    if (transaction->only_here && !leads(replica)) {
        return error_set(err, ERR_NO_QUORUM, "this manager does not lead");
    }
    bool is_ours = leads(replica) || !replica->has_group;
    rc = is_ours ? admission_check_space(&replica->admission, transaction, replica->queued_bytes, err) : 0;
    if (rc == -ERR_NO_SPACE && moves_leadership(replica)) {
        error_clear(err);
        rc = 0;
    }
    return rc;
}

// A request id for what has none, so that it may be handed to the leader more than once. Alone, or for our
// own decisions as leader, it would only be remembered for nothing.
static void set_request_id(struct replica *replica, const struct transaction *transaction,
                           struct pending *pending) {
    if (transaction->request_id[0] != '\0') {
        str_copy(pending->request_id, sizeof pending->request_id, transaction->request_id);
    } else if (!transaction->only_here && replica->membership.members.count > 1) {
        snprintf(pending->request_id, sizeof pending->request_id, "%016llx.%llx",
                 (unsigned long long)replica->request_nonce, (unsigned long long)++replica->request_count);
    }
}

int propose_submit(struct proposer *proposer, const struct transaction *transaction, uint64_t token,
                   struct error *err) {
    struct replica *replica = replica_of(proposer);
    ASSERT(token != 0);
    int rc = admit(replica, transaction, err);
    if (rc < 0) {
        return rc;
    }
    struct pending *pending = NEW(struct pending);
    struct transaction named = *transaction;
    set_request_id(replica, transaction, pending);
    named.request_id = REPLICA_PLANTED(REQUEST_WITHOUT_ID) ? "" : pending->request_id;
    rc = admission_encode(&named, &pending->entry, err);
    if (rc < 0) {
        pending_free(pending);
        return rc;
    }
    pending->token = token;
    pending->only_here = transaction->only_here;
    pending->makes_room = transaction->makes_room;
    pending->deadline_mono_ms = replica->now_mono_ms + replica->options.pace.proposal_ms;
    move_to(replica, pending, PENDING_WAITING);
    return 0;
}

// --- into the log ---

static size_t take_batch(struct replica *replica, struct pending **batch, uint32_t *sizes) {
    size_t count = 0, bytes = 0;
    LIST_EACH(node, &replica->waiting) {
        struct pending *pending = LIST_ENTRY(node, struct pending, node);
        if (count == BATCH_ENTRIES_MAX || (count > 0 && bytes + pending->entry.len > BATCH_BYTES_MAX)) {
            break;
        }
        batch[count] = pending;
        sizes[count++] = (uint32_t)pending->entry.len;
        bytes += pending->entry.len;
    }
    return count;
}

static void into_log(struct replica *replica, struct pending *pending, uint64_t index) {
    struct log_entry entry = {
        .term = replica->raft.term, .type = RAFT_ENTRY_DATA, .payload = buf_bytes(&pending->entry)};
    pending->index = index;
    entries_push(&replica->entries, &entry, pending);
    ASSERT(replica->entries.last == index);
    move_to(replica, pending, PENDING_PROPOSED);
    if (pending->token == 0) {
        replica->foreign_last = index;
    }
    if (REPLICA_PLANTED(ACK_AT_ONCE)) {
        entries_at(&replica->entries, index)->owner = NULL;
        finish(replica, pending, &(struct outcome){.revision = (int64_t)index});
    }
}

static bool propose_batch(struct replica *replica) {
    struct pending *batch[BATCH_ENTRIES_MAX];
    uint32_t sizes[BATCH_ENTRIES_MAX];
    uint64_t first;
    size_t count = take_batch(replica, batch, sizes);
    replica->is_held_up = count > 0 && raft_propose(&replica->raft, sizes, count, &first) != RAFT_DONE;
    if (count == 0 || replica->is_held_up) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        into_log(replica, batch[i], first + i);
    }
    return true;
}

// --- to the leader ---

static void forward(struct replica *replica, struct pending *pending, uint64_t leader) {
    struct propose request;
    schema_init(&propose_schema, &request);
    request.request_id = pending->request_id;
    request.transaction = buf_bytes(&pending->entry);
    request.makes_room = pending->makes_room;
    pending->sent_to = leader;
    pending->open_tries++;
    pending->sent_mono_ms = replica->now_mono_ms;
    move_to(replica, pending, PENDING_FORWARDED);
    if (map_get(&replica->by_request, pending->request_id) == NULL) {
        map_put(&replica->by_request, pending->request_id, pending);
    }
    packets_post(replica, leader, MESSAGE_PROPOSE, &request, /*is_bulk=*/false);
}

// What is sent without a link is lost, and sent again only after a while: it waits for the link instead.
static void forward_all(struct replica *replica, uint64_t leader) {
    bool is_open = is_linked(replica, leader);
    LIST_EACH(node, &replica->waiting) {
        struct pending *pending = LIST_ENTRY(node, struct pending, node);
        if (pending->only_here || pending->request_id[0] == '\0') {
            finish_with(replica, pending, ERR_NO_QUORUM, "this manager does not lead any more");
        } else if (is_open && pending->sent_mono_ms <= replica->now_mono_ms) { // a refused one rests
            forward(replica, pending, leader);
        }
    }
}

static bool reaches_quorum(const struct replica *replica) {
    unsigned voters = 0, linked = 0;
    for (size_t i = 0; i < replica->membership.members.count; i++) {
        const struct member *member = &replica->membership.members.items[i];
        uint64_t id = (uint64_t)member->raft_id;
        voters += member->is_voter;
        linked += member->is_voter && (id == replica->raft.options.id || is_linked(replica, id));
    }
    return linked > voters / 2;
}

void propose_waiting(struct replica *replica) {
    const struct raft *raft = &replica->raft;
    if (raft->role != RAFT_LEADER && raft->leader != 0) {
        forward_all(replica, raft->leader);
        return;
    }
    if (raft->role == RAFT_LEADER && !reaches_quorum(replica)) {
        replica->is_held_up = true; // what is in no log was surely not done
        return;
    }
    for (int i = 0; raft->role == RAFT_LEADER && i < TURN_BATCHES_MAX && propose_batch(replica); i++) {
    }
}

// Whoever leads now may not have what was handed to the one before.
void propose_leader_changed(struct replica *replica) {
    replica->is_held_up = false;
    LIST_EACH(node, &replica->sent) {
        struct pending *pending = LIST_ENTRY(node, struct pending, node);
        if (pending->state == PENDING_FORWARDED) {
            pending->sent_mono_ms = 0;
            leave_forwarded(replica, pending, PENDING_WAITING);
        }
    }
}

void propose_on_request(struct replica *replica, uint64_t from, const struct propose *request) {
    struct error err = {0};
    struct transaction space = {.makes_room = request->makes_room};
    int rc = 0;
    if (!leads(replica)) {
        rc = error_set(&err, ERR_NO_QUORUM, "not the leader");
    } else if (replica->queued >= QUEUE_ENTRIES_MAX || replica->queued_bytes >= QUEUE_BYTES_MAX) {
        rc = error_set(&err, ERR_BUSY, "%zu proposals are waiting", replica->queued);
    } else if (request->transaction.len > TRANSACTION_BYTES_MAX || request->request_id[0] == '\0') {
        rc = error_set(&err, ERR_LIMIT, "a transaction without id, or over %d bytes", TRANSACTION_BYTES_MAX);
    } else {
        rc = admission_check_space(&replica->admission, &space, replica->queued_bytes, &err);
    }
    if (rc == -ERR_NO_SPACE && (replica->raft.transferee != 0 || moves_leadership(replica))) {
        error_clear(&err);
        rc = error_set(&err, ERR_BUSY, "leadership goes to a manager with more room"); // ask again
    }
    if (rc < 0) {
        struct propose_refused refused;
        schema_init(&propose_refused_schema, &refused);
        refused.request_id = request->request_id;
        refused.code = error_code_name(rc);
        refused.text = err.root;
        packets_post(replica, from, MESSAGE_PROPOSE_REFUSED, &refused, /*is_bulk=*/false);
        return;
    }
    struct pending *pending = NEW(struct pending);
    pending->only_here = true;
    pending->deadline_mono_ms = replica->now_mono_ms + replica->options.pace.proposal_ms;
    buf_add(&pending->entry, request->transaction.data, request->transaction.len);
    move_to(replica, pending, PENDING_WAITING);
}

static bool is_worth_retrying(int code) {
    return code == ERR_NO_QUORUM || code == ERR_BUSY;
}

void propose_on_refused(struct replica *replica, const struct propose_refused *refused) {
    struct pending *pending = map_get(&replica->by_request, refused->request_id);
    if (pending == NULL) {
        return;
    }
    enum error_code code = error_code_from_name(refused->code);
    pending->open_tries -= pending->open_tries == 1; // of several nobody knows which one this is about
    if (is_worth_retrying((int)code) || pending->open_tries > 0) {
        leave_forwarded(replica, pending, PENDING_WAITING);
        pending->sent_mono_ms = replica->now_mono_ms + replica->options.pace.tick_ms; // not before then
    } else {
        finish_with(replica, pending, code, refused->text);
    }
}

// --- outcomes ---

static void finish_forwarded(struct replica *replica, const char *request_id, const struct outcome *outcome) {
    struct pending *pending;
    while ((pending = map_get(&replica->by_request, request_id)) != NULL) {
        finish(replica, pending, outcome);
    }
}

void propose_applied(struct replica *replica, struct pending *owner, const struct log_entry *entry,
                     const struct outcome *outcome) {
    if (owner != NULL && replica_is_sole(replica)) {
        owner->outcome = *outcome;
        move_to(replica, owner, PENDING_APPLIED);
    } else if (owner != NULL) {
        finish(replica, owner, outcome);
    }
    if (replica->by_request.count == 0 || entry->type != RAFT_ENTRY_DATA) {
        return;
    }
    struct bytes id = admission_request_id(entry->payload);
    char text[REQUEST_ID_BYTES_MAX + 1];
    if (id.len > 0 && id.len <= REQUEST_ID_BYTES_MAX) {
        memcpy(text, id.data, id.len);
        text[id.len] = '\0';
        finish_forwarded(replica, text, outcome);
    }
}

void propose_synced(struct replica *replica) {
    LIST_EACH(node, &replica->applied) {
        move_to(replica, LIST_ENTRY(node, struct pending, node), PENDING_DONE);
    }
}

void propose_not_synced(struct replica *replica) {
    if (REPLICA_PLANTED(UNDONE_IS_TOLD)) {
        propose_synced(replica);
    }
    LIST_EACH(node, &replica->applied) {
        struct pending *pending = LIST_ENTRY(node, struct pending, node);
        entries_at(&replica->entries, pending->index)->owner = pending;
        move_to(replica, pending, PENDING_PROPOSED);
    }
}

// Another leader's entries stand where ours were. Those may yet be applied, if a third one has them and comes
// to lead; with a request id they may be proposed again all the same.
void propose_cut(struct replica *replica, uint64_t last_index) {
    for (uint64_t index = last_index + 1; index <= replica->entries.last; index++) {
        struct cached_entry *cached = entries_at(&replica->entries, index);
        struct pending *owner = cached != NULL ? TAKE(cached->owner) : NULL;
        if (owner != NULL && owner->is_change) {
            finish_with(replica, owner, ERR_CONFLICT, "another leader undid the change");
        } else if (owner != NULL && owner->request_id[0] == '\0') {
            finish_with(replica, owner, ERR_TIMEOUT, "outcome unknown: this manager does not lead any more");
        } else if (owner != NULL) {
            owner->open_tries++;
            move_to(replica, owner, PENDING_WAITING);
        }
    }
    if (!REPLICA_PLANTED(CUT_KEEPS_ENTRIES)) {
        entries_cut(&replica->entries, last_index);
    }
}

// After raft_take_back: the entries were never durable and nobody else has seen them.
void propose_fail_from(struct replica *replica, uint64_t last_index, const struct error *why) {
    char text[ERROR_ROOT_BYTES];
    error_text(why, text, sizeof text);
    for (uint64_t index = last_index + 1; index <= replica->entries.last; index++) {
        struct cached_entry *cached = entries_at(&replica->entries, index);
        struct pending *owner = cached != NULL ? TAKE(cached->owner) : NULL;
        if (owner != NULL) {
            finish_with(replica, owner, ERR_NO_SPACE, text);
        }
    }
}

static void recall(struct replica *replica, struct store_read *read, struct pending *pending) {
    AUTO_ARENA arena = arena_make(0);
    struct store_request before;
    struct outcome outcome = {0};
    if (pending->request_id[0] == '\0') {
        finish_with(replica, pending, ERR_TIMEOUT, "outcome unknown: this manager was brought up to date");
    } else if (store_recall(read, pending->request_id, &arena, &before, NULL) == 0) {
        outcome = (struct outcome){.code = before.code, .revision = before.revision};
        str_copy(outcome.text, sizeof outcome.text, before.text);
        finish(replica, pending, &outcome);
    } else if (pending->state == PENDING_PROPOSED) {
        pending->open_tries++;
        move_to(replica, pending, PENDING_WAITING);
    }
}

// The entries between were not applied here one by one: the store remembers what came of requests.
void propose_after_snapshot(struct replica *replica) {
    struct store_read *read;
    if (store_read_begin(replica->proposer.store, &read, NULL) < 0) {
        return; // they expire
    }
    LIST_EACH(node, &replica->sent) {
        recall(replica, read, LIST_ENTRY(node, struct pending, node));
    }
    store_read_end(read);
}

// --- time ---

static void disown(struct replica *replica, const struct pending *pending) {
    struct cached_entry *cached = entries_at(&replica->entries, pending->index);
    if (cached != NULL && cached->owner == pending) {
        cached->owner = NULL;
    }
}

static void expire(struct replica *replica, struct pending *pending) {
    switch (pending->state) {
    case PENDING_WAITING:
        if (pending->open_tries == 0 || REPLICA_PLANTED(NOTHING_WAS_DONE)) {
            finish_with(replica, pending, ERR_NO_QUORUM, "no manager leads: nothing was changed");
            return;
        }
        break;
    case PENDING_PROPOSED:
        // What a leader decides by itself has no request id that would recognise a second try. Told that the
        // outcome is unknown, it would decide again, and both might be applied.
        if (pending->only_here && pending->token != 0) {
            return;
        }
        disown(replica, pending);
        break;
    case PENDING_FORWARDED:
    case PENDING_APPLIED:
    case PENDING_DONE:
        break;
    }
    finish_with(replica, pending, ERR_TIMEOUT,
                "outcome unknown: no quorum has answered in time, the change may yet be made");
}

static bool is_lost(const struct replica *replica, const struct pending *pending) {
    return pending->state == PENDING_FORWARDED && replica->now_mono_ms - pending->sent_mono_ms >= RESEND_MS;
}

void propose_release(struct replica *replica) {
    LIST_EACH(node, &replica->sent) {
        const struct pending *pending = LIST_ENTRY(node, struct pending, node);
        if (pending->state == PENDING_PROPOSED) {
            disown(replica, pending);
        }
    }
}

void propose_expire(struct replica *replica) {
    struct list *lists[] = {&replica->waiting, &replica->sent};
    for (size_t i = 0; i < 2; i++) {
        LIST_EACH(node, lists[i]) {
            struct pending *pending = LIST_ENTRY(node, struct pending, node);
            if (replica->now_mono_ms >= pending->deadline_mono_ms) {
                expire(replica, pending);
            } else if (is_lost(replica, pending)) {
                leave_forwarded(replica, pending, PENDING_WAITING);
            }
        }
    }
    replica->is_held_up = false; // tried again each tick
}

void propose_deinit(struct replica *replica) {
    struct list *lists[] = {&replica->waiting, &replica->sent, &replica->applied, &replica->done};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        LIST_EACH(node, lists[i]) {
            list_remove(node);
            pending_free(LIST_ENTRY(node, struct pending, node));
        }
    }
    map_free(&replica->by_request);
}

void propose_change(struct replica *replica, uint64_t token, struct bytes payload, uint64_t index) {
    struct pending *pending = NEW(struct pending);
    struct log_entry entry = {
        .term = replica->raft.term, .type = RAFT_ENTRY_CONFIGURATION, .payload = payload};
    pending->token = token;
    pending->index = index;
    pending->is_change = pending->only_here = true;
    pending->deadline_mono_ms = replica->now_mono_ms + replica->options.pace.proposal_ms;
    entries_push(&replica->entries, &entry, pending);
    ASSERT(replica->entries.last == index);
    move_to(replica, pending, PENDING_PROPOSED);
}
