// SPDX-License-Identifier: Apache-2.0
//
// reconciler/store/admission.c — the checks in front of the log.
#include "reconciler/store/admission.h"

#include <string.h>

#include "base/limits.h"
#include "reconciler/store/store_handle.h"

#define WHO_BYTES_MAX 256
#define WHY_BYTES_MAX (4 * KIB)

static int check_texts(const struct transaction *transaction, struct error *err) {
    const struct {
        const char *name, *text;
        size_t max;
    } texts[] = {
        {"request_id", transaction->request_id, REQUEST_ID_BYTES_MAX},
        {"who", transaction->who, WHO_BYTES_MAX},
        {"why", transaction->why, WHY_BYTES_MAX},
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        if (strlen(texts[i].text) > texts[i].max) {
            return error_set(err, ERR_LIMIT, "'%s' of the transaction is longer than %zu bytes",
                             texts[i].name, texts[i].max);
        }
    }
    return 0;
}

int admission_check(const struct transaction *transaction, struct error *err) {
    if (transaction->changes.count > TRANSACTION_CHANGES_MAX) {
        return error_set(err, ERR_LIMIT, "%zu changes in one transaction, over %d",
                         transaction->changes.count, TRANSACTION_CHANGES_MAX);
    }
    for (size_t i = 0; i < transaction->changes.count; i++) {
        const struct change *change = &transaction->changes.items[i];
        if (change->object.len > OBJECT_BYTES_MAX) {
            return error_set(err, ERR_LIMIT, "%s %s has %zu bytes, over %d",
                             object_kind_name((enum object_kind)change->kind), change->id.text,
                             change->object.len, OBJECT_BYTES_MAX);
        }
    }
    return check_texts(transaction, err);
}

static bool only_deletes(const struct transaction *transaction) {
    for (size_t i = 0; i < transaction->changes.count; i++) {
        if (transaction->changes.items[i].op != CHANGE_DELETE) {
            return false;
        }
    }
    return transaction->changes.count > 0;
}

int admission_check_space(struct admission *admission, const struct transaction *transaction,
                          size_t queued_bytes, struct error *err) {
    const struct store *store = admission->store;
    if (store->reserve_bytes == 0 || transaction->makes_room) {
        return 0;
    }
    if (!admission->is_headroom_known) {
        admission->headroom = store_headroom(store);
        admission->is_headroom_known = true;
    }
    int64_t extra = only_deletes(transaction) ? store->reserve_bytes / 2 : 0;
    if (admission->headroom + extra >= (int64_t)queued_bytes) {
        return 0;
    }
    admission->is_headroom_known = false; // ask again for the next one: nothing queued, no turn may come
    return error_set(err, ERR_NO_SPACE, "less than %lld MiB are free for the store in '%s'",
                     (long long)(store->reserve_bytes / MIB), store->dir);
}

void admission_turn(struct admission *admission) {
    admission->is_headroom_known = false;
}

int admission_encode(const struct transaction *transaction, struct buf *out, struct error *err) {
    *out = buf_make(TRANSACTION_BYTES_MAX);
    wire_encode(&transaction_schema, transaction, out);
    if (!out->overflow) {
        return 0;
    }
    buf_free(out);
    return error_set(err, ERR_LIMIT, "the transaction has more than %d bytes", TRANSACTION_BYTES_MAX);
}

// The first field that the coder writes is the request id (tag 1, length-delimited), if there is one.
struct bytes admission_request_id(struct bytes transaction) {
    if (transaction.len < 2 || transaction.data[0] != ((1 << 3) | 2)) {
        return (struct bytes){0};
    }
    size_t len = transaction.data[1] & 0x7F;
    size_t at = 2;
    if (transaction.data[1] >= 0x80) { // at most REQUEST_ID_BYTES_MAX: two bytes of length
        len |= transaction.len > 2 ? (size_t)transaction.data[2] << 7 : 0;
        at = 3;
    }
    return len <= transaction.len - at ? (struct bytes){transaction.data + at, len} : (struct bytes){0};
}
