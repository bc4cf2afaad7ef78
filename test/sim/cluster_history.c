// SPDX-License-Identifier: Apache-2.0
//
// test/sim/cluster_history.c — the operations of a run as a history, for judges that know nothing of versions
// (test/lib/linear.h).
//
// The clock of the history counts what clients do and hear, so that nothing happens at the same time. What a
// register holds is the number of the operation that wrote it, and one more.
#include "test/lib/linear.h"
#include "test/sim/cluster_world.h"

#define BEGINNING 0 // what the operator wrote

static int64_t value_of(uint64_t op) {
    return op == UINT64_MAX ? BEGINNING : (int64_t)op + 1;
}

static bool translate(const struct cluster_op *op, size_t number, struct operation *out) {
    bool is_unknown = op->state == OP_UNKNOWN || op->state == OP_OPEN;
    if (op->state == OP_REFUSED || (is_unknown && op->kind == OP_READ) ||
        (is_unknown && op->kind == OP_ADD && !op->has_seen)) {
        return false;
    }
    *out = (struct operation){
        .client = op->client,
        .outcome = is_unknown ? OUTCOME_UNKNOWN : OUTCOME_OK,
        .start_ns = (int64_t)op->begin,
        .end_ns = is_unknown ? HISTORY_NEVER : (int64_t)op->end,
    };
    switch (op->kind) {
    case OP_READ:
        out->kind = OPERATION_READ;
        out->value = value_of(op->seen);
        break;
    case OP_PUT:
        out->kind = OPERATION_WRITE;
        out->value = value_of(number);
        break;
    case OP_ADD:
        out->kind = OPERATION_CAS;
        out->expected = value_of(op->seen);
        out->value = value_of(number);
        break;
    }
    return true;
}

void cluster_judge(struct cluster_sim *c) {
    AUTO_HISTORY history = {0};
    AUTO_BUF report = buf_make(0);
    for (unsigned i = 0; i < c->knobs.keys; i++) {
        const struct operation first = {.client = CLIENTS_MAX,
                                        .key = history_key(&history, c->keys[i].name),
                                        .kind = OPERATION_WRITE,
                                        .value = BEGINNING,
                                        .end_ns = 1};
        history_note(&history, &first);
    }
    for (size_t i = 0; i < c->op_count; i++) {
        struct operation operation;
        if (translate(&c->ops[i], i, &operation)) {
            operation.key = history_key(&history, c->keys[c->ops[i].key].name);
            history_note(&history, &operation);
        }
    }
    if (linear_graph_judge(&history, &report) == LINEAR_NO ||
        linear_judge(&history, LINEAR_MEMORY_BYTES, &report) == LINEAR_NO) {
        cluster_note(c, "%s", buf_text(&report));
        cluster_break(c, "the history of the clients is not linearizable: %.600s", buf_text(&report));
    }
    cluster_totals->registers += c->knobs.keys;
}
