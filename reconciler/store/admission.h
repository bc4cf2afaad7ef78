// SPDX-License-Identifier: Apache-2.0
//
// reconciler/store/admission.h — what may be proposed at all: sizes, texts, and room for it.
//
// Asked before a transaction enters the log, because what is in the log is applied by every manager: refusing
// must happen here, early, or not at all.
#ifndef MUSTER_RECONCILER_STORE_ADMISSION_H
#define MUSTER_RECONCILER_STORE_ADMISSION_H

#include "reconciler/store/store.h"

// Room is asked for once a turn, because asking costs a call to the system.
struct admission {
    struct store *store;
    bool is_headroom_known;
    int64_t headroom;
};

// -ERR_LIMIT for a transaction that is too large in any way.
int admission_check(const struct transaction *transaction, struct error *err);
// -ERR_NO_SPACE when less than the reserve would be left; queued_bytes have been let in already. Deleting may
// take half of the reserve: a full store must be able to become less full. What stops or removes tasks is
// always let in, for they may be what fills the disk (store_hold_blocks).
int admission_check_space(struct admission *admission, const struct transaction *transaction,
                          size_t queued_bytes, struct error *err);
// A new turn: room is asked for anew.
void admission_turn(struct admission *admission);
// The wire form. -ERR_LIMIT over TRANSACTION_BYTES_MAX, and `out` is empty.
int admission_encode(const struct transaction *transaction, struct buf *out, struct error *err);
// The request id inside a transaction's wire form, without decoding the rest; empty = none. Borrowed.
struct bytes admission_request_id(struct bytes transaction);

#endif
