// SPDX-License-Identifier: Apache-2.0
//
// reconciler/store/replica_reads.c — linearizable reads: ask the core once for all that wait, then wait until
// what it names is applied.
//
// An answer may be lost, or come after its question was asked anew; each question has a number of its own,
// from a random start, so that an answer to an earlier one (or to an earlier life of this member) is no
// answer.
#include "base/mem.h"
#include "reconciler/store/replica_parts.h"

#define ASK_AGAIN_MS 300

bool replica_read(struct replica *replica, replica_read_fn fn, void *context) {
    const struct raft *raft = &replica->raft;
    if (replica->has_group && replica_is_sole(replica) && raft->commit >= raft->term_first_index &&
        replica_applied(replica) == raft->commit) {
        return true;
    }
    struct waiting_read *waiting = NEW(struct waiting_read);
    *waiting = (struct waiting_read){
        .fn = fn,
        .context = context,
        .deadline_mono_ms = replica->now_mono_ms + replica->options.pace.proposal_ms,
    };
    list_append(&replica->reads, &waiting->node);
    replica->read_count++;
    return false;
}

static void drop(struct replica *replica, struct waiting_read *waiting) {
    list_remove(&waiting->node);
    replica->read_count--;
    xfree(waiting);
}

void replica_read_forget(struct replica *replica, void *context) {
    LIST_EACH(node, &replica->reads) {
        struct waiting_read *waiting = LIST_ENTRY(node, struct waiting_read, node);
        if (waiting->context == context) {
            drop(replica, waiting);
        }
    }
}

static bool some_unasked(const struct replica *replica) {
    LIST_EACH(node, (struct list *)(uintptr_t)&replica->reads) {
        if (LIST_ENTRY(node, struct waiting_read, node)->asked == 0) {
            return true;
        }
    }
    return false;
}

// One question for all that came since the last one.
void reads_ask(struct replica *replica) {
    if (replica->read_count == 0 || !some_unasked(replica)) {
        return;
    }
    uint64_t context = ++replica->read_context;
    if (context == 0 || raft_read_index(&replica->raft, context) != RAFT_DONE) {
        return; // again at the next turn
    }
    LIST_EACH(node, &replica->reads) {
        struct waiting_read *waiting = LIST_ENTRY(node, struct waiting_read, node);
        if (waiting->asked == 0) {
            waiting->asked = context;
            waiting->asked_mono_ms = replica->now_mono_ms;
        }
    }
}

static void note_result(struct replica *replica, const struct raft_read_result *result) {
    LIST_EACH(node, &replica->reads) {
        struct waiting_read *waiting = LIST_ENTRY(node, struct waiting_read, node);
        bool is_ours = waiting->asked == result->context || REPLICA_PLANTED(ANY_READ_ANSWERS);
        if (is_ours && waiting->index == 0) {
            waiting->index = result->index;
            waiting->asked = result->index == 0 ? 0 : waiting->asked; // leadership was lost: ask again
        }
    }
}

void reads_take_results(struct replica *replica) {
    for (size_t i = 0; i < replica->raft.result_count; i++) {
        note_result(replica, &replica->raft.results[i]);
    }
    replica->raft.result_count = 0;
}

void reads_release(struct replica *replica) {
    uint64_t applied = replica_applied(replica);
    struct list ready;
    list_init(&ready);
    LIST_EACH(node, &replica->reads) {
        struct waiting_read *waiting = LIST_ENTRY(node, struct waiting_read, node);
        if (waiting->index != 0 && (waiting->index <= applied || REPLICA_PLANTED(READ_BEFORE_APPLIED))) {
            list_remove(node);
            list_append(&ready, node);
            replica->read_count--;
        }
    }
    struct list_node *node;
    while ((node = list_first(&ready)) != NULL) { // a callback may ask anew
        struct waiting_read *waiting = LIST_ENTRY(node, struct waiting_read, node);
        list_remove(node);
        waiting->fn(waiting->context, 0, NULL);
        xfree(waiting);
    }
}

// Whether a turn could get a read on its way now; those that wait for an answer wait for a packet.
bool reads_have_work(const struct replica *replica) {
    const struct raft *raft = &replica->raft;
    return replica->read_count > 0 && (raft->role == RAFT_LEADER || raft->leader != 0) &&
           raft->read_count < RAFT_READS_MAX && some_unasked(replica);
}

void reads_expire(struct replica *replica) {
    LIST_EACH(node, &replica->reads) {
        struct waiting_read *waiting = LIST_ENTRY(node, struct waiting_read, node);
        if (waiting->index == 0 && replica->now_mono_ms - waiting->asked_mono_ms >= ASK_AGAIN_MS) {
            waiting->asked = 0; // question or answer was lost
        }
        if (replica->now_mono_ms >= waiting->deadline_mono_ms) {
            struct error err = {0};
            int rc = error_set(&err, ERR_NO_QUORUM, "no manager leads, or its managers do not answer");
            list_remove(node);
            replica->read_count--;
            waiting->fn(waiting->context, rc, &err);
            xfree(waiting);
        }
    }
}

void reads_deinit(struct replica *replica) {
    LIST_EACH(node, &replica->reads) {
        drop(replica, LIST_ENTRY(node, struct waiting_read, node));
    }
}
