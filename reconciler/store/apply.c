// SPDX-License-Identifier: Apache-2.0
//
// reconciler/store/apply.c — a transaction becomes objects, index entries and events, or is refused as a
// whole.
//
// Model        All changes of a transaction happen at once: each is staged against the store as it was
//              before, then all are written. So a transaction may swap two names, may not change one object
//              twice, and a refused one has written nothing - no nested LMDB transaction is needed
//              (measured: one costs as much as applying a small transaction).
// Invariants   No clock, no randomness: times come from the transaction, versions from its revision.
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/str.h"
#include "reconciler/store/index.h"
#include "reconciler/store/planted.h"
#include "reconciler/store/turn.h"

enum { REFUSED = 1 }; // the outcome says why

struct staged {
    const struct change *change;
    enum object_kind kind;
    bool is_there, will_be_there; // which of the following pairs hold something
    struct bytes from, to;
    struct index_view before, after;
};

// An index entry that only one object may have: a name, a revision number.
struct claim {
    const struct staged *by;
    struct index_entry entry;
};

struct apply {
    struct turn *turn;
    const struct transaction *transaction;
    struct staged *staged;
    const struct staged **by_id; // the same, sorted
    size_t count;
    struct outcome *out;
    struct error *err;
};

__attribute__((format(printf, 3, 4))) static int refuse(struct apply *apply, enum error_code code,
                                                        const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(apply->out->text, sizeof apply->out->text, format, args);
    va_end(args);
    apply->out->code = -(int)code;
    return REFUSED;
}

// "service 'web'", or "task 3x9…" where there is no name.
static const char *title(struct apply *apply, enum object_kind kind, struct bytes name, const struct id *id) {
    struct arena *arena = &apply->turn->arena;
    return name.len > 0 ? arena_printf(arena, "%s '%.*s'", object_kind_name(kind), (int)name.len,
                                       (const char *)name.data)
                        : arena_printf(arena, "%s %s", object_kind_name(kind), id->text);
}

// --- one change ---

static void set_meta(const struct apply *apply, const struct staged *staged, struct meta *meta) {
    meta->id = staged->change->id;
    meta->version = apply->turn->state.applied;
    meta->created = staged->is_there ? staged->before.created : meta->version;
    meta->updated_unix_ms =
        STORE_PLANTED(CLOCK_IN_APPLY) ? clock_unix_ms() : apply->transaction->time_unix_ms;
    meta->created_unix_ms = staged->is_there ? staged->before.created_unix_ms : meta->updated_unix_ms;
    meta->changed_by = apply->transaction->who;
}

static int stage_object(struct apply *apply, struct staged *staged) {
    struct arena *arena = &apply->turn->arena;
    const struct schema *schema = object_schema(staged->kind);
    const struct change *change = staged->change;
    if (change->object.len > OBJECT_BYTES_MAX) {
        return refuse(apply, ERR_LIMIT, "%s %s has %zu bytes, over %d", object_kind_name(staged->kind),
                      change->id.text, change->object.len, OBJECT_BYTES_MAX);
    }
    struct error reason = {0};
    void *object = arena_alloc(arena, schema->bytes);
    if (wire_decode(schema, change->object, object, arena, &reason) < 0) {
        return refuse(apply, ERR_INVALID, "%s %s: %s", object_kind_name(staged->kind), change->id.text,
                      reason.root);
    }
    if (strlen(object_meta(object)->name) > STORE_NAME_BYTES_MAX) {
        return refuse(apply, ERR_LIMIT, "the name of %s %s is longer than %d bytes",
                      object_kind_name(staged->kind), change->id.text, STORE_NAME_BYTES_MAX);
    }
    set_meta(apply, staged, object_meta(object));
    struct buf *encoded = &apply->turn->scratch;
    buf_clear(encoded);
    wire_encode(schema, object, encoded);
    ASSERT(!encoded->overflow);
    staged->to = (struct bytes){arena_copy(arena, encoded->data, encoded->len), encoded->len};
    staged->will_be_there = true;
    return index_view_of(staged->kind, staged->to, &staged->after, apply->err);
}

static int expect(struct apply *apply, const struct staged *staged) {
    const struct change *change = staged->change;
    if (change->op == CHANGE_CREATE) {
        return staged->is_there ? refuse(apply, ERR_EXISTS, "%s already exists",
                                         title(apply, staged->kind, staged->before.name, &change->id))
                                : 0;
    }
    if (!staged->is_there) {
        return refuse(apply, ERR_NOT_FOUND, "no %s %s", object_kind_name(staged->kind), change->id.text);
    }
    if (!STORE_PLANTED(VERSION_NOT_CHECKED) && change->expected_version != 0 &&
        change->expected_version != staged->before.version) {
        return refuse(apply, ERR_CONFLICT, "%s is at version %lld, not %lld",
                      title(apply, staged->kind, staged->before.name, &change->id),
                      (long long)staged->before.version, (long long)change->expected_version);
    }
    return 0;
}

static int stage_before(struct apply *apply, struct staged *staged) {
    struct turn *turn = apply->turn;
    struct key key = key_object(staged->kind, staged->change->id.text);
    struct bytes found;
    int rc = tables_get(&turn->tables, TABLE_OBJECTS, &key, &found, apply->err);
    if (rc != 0) {
        return rc == STORE_ABSENT ? 0 : rc;
    }
    // LMDB may move what it showed as soon as something is written.
    staged->from = (struct bytes){arena_copy(&turn->arena, found.data, found.len), found.len};
    staged->is_there = true;
    return index_view_of(staged->kind, staged->from, &staged->before, apply->err);
}

static int stage(struct apply *apply, const struct change *change, struct staged *staged) {
    *staged = (struct staged){.change = change, .kind = (enum object_kind)change->kind};
    if (change->kind <= KIND_NONE || change->kind >= KIND_END || id_is_none(&change->id)) {
        return refuse(apply, ERR_INVALID, "a change without an object: kind %lld, id '%s'",
                      (long long)change->kind, change->id.text);
    }
    int rc = stage_before(apply, staged);
    rc = rc != 0 ? rc : expect(apply, staged);
    return rc != 0 || change->op == CHANGE_DELETE ? rc : stage_object(apply, staged);
}

// --- all changes together ---

static int compare_objects(enum object_kind kind_a, const struct id *a, enum object_kind kind_b,
                           const struct id *b) {
    return kind_a != kind_b ? (kind_a < kind_b ? -1 : 1) : id_compare(a, b);
}

static int by_object(const void *a, const void *b) {
    const struct staged *x = *(const struct staged *const *)a, *y = *(const struct staged *const *)b;
    return compare_objects(x->kind, &x->change->id, y->kind, &y->change->id);
}

static int each_once(struct apply *apply) {
    apply->by_id = ARENA_ARRAY(&apply->turn->arena, const struct staged *, apply->count);
    for (size_t i = 0; i < apply->count; i++) {
        apply->by_id[i] = &apply->staged[i];
    }
    if (apply->count > 1) {
        qsort(apply->by_id, apply->count, sizeof(struct staged *), by_object);
    }
    for (size_t i = 1; i < apply->count; i++) {
        const struct staged *one = apply->by_id[i];
        if (by_object(&apply->by_id[i - 1], &apply->by_id[i]) == 0) {
            return refuse(apply, ERR_INVALID, "%s %s is changed twice", object_kind_name(one->kind),
                          one->change->id.text);
        }
    }
    return 0;
}

static int compare_entries(const struct index_entry *a, const struct index_entry *b) {
    if (a->table != b->table || a->key.len != b->key.len) {
        return a->table != b->table ? (a->table < b->table ? -1 : 1) : (a->key.len < b->key.len ? -1 : 1);
    }
    return memcmp(a->key.data, b->key.data, a->key.len);
}

static int by_entry(const void *a, const void *b) {
    return compare_entries(&((const struct claim *)a)->entry, &((const struct claim *)b)->entry);
}

static const struct staged *find_staged(const struct apply *apply, enum object_kind kind,
                                        const struct id *id) {
    size_t from = 0, to = apply->count;
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        const struct staged *here = apply->by_id[middle];
        int order = compare_objects(kind, id, here->kind, &here->change->id);
        if (order == 0) {
            return here;
        }
        *(order < 0 ? &to : &from) = order < 0 ? middle : middle + 1;
    }
    return NULL;
}

// Whether this transaction takes the entry away from the object that has it.
static bool is_given_up(const struct apply *apply, const struct claim *claim, const struct id *owner) {
    const struct staged *staged = find_staged(apply, claim->by->kind, owner);
    if (staged == NULL) {
        return false;
    }
    struct index_entry entries[INDEX_ENTRIES_MAX];
    size_t count = staged->will_be_there ? index_entries(&staged->after, entries) : 0;
    for (size_t i = 0; i < count; i++) {
        if (compare_entries(&entries[i], &claim->entry) == 0) {
            return false;
        }
    }
    return true;
}

static int refuse_claim(struct apply *apply, const struct claim *claim) {
    return refuse(apply, ERR_EXISTS, "%s already exists",
                  title(apply, claim->by->kind, claim->by->after.name, &claim->by->change->id));
}

static int check_claim(struct apply *apply, const struct claim *claim) {
    struct bytes payload;
    struct id owner;
    int rc = tables_get(&apply->turn->tables, claim->entry.table, &claim->entry.key, &payload, apply->err);
    rc = rc != 0 ? rc : format_id_read(payload, &owner, apply->err);
    if (rc != 0) {
        return rc == STORE_ABSENT ? 0 : rc;
    }
    bool is_free = STORE_PLANTED(NAME_TAKEN_TWICE) || id_equal(&owner, &claim->by->change->id) ||
                   is_given_up(apply, claim, &owner);
    return is_free ? 0 : refuse_claim(apply, claim);
}

static int check_claims(struct apply *apply) {
    LIST_OF(struct claim) claims = {0};
    for (size_t i = 0; i < apply->count; i++) {
        struct index_entry entries[INDEX_ENTRIES_MAX];
        const struct staged *staged = &apply->staged[i];
        size_t count = staged->will_be_there ? index_entries(&staged->after, entries) : 0;
        for (size_t j = 0; j < count; j++) {
            if (!id_is_none(&entries[j].id)) {
                *ARENA_PUSH(&apply->turn->arena, &claims) = (struct claim){staged, entries[j]};
            }
        }
    }
    if (claims.count > 1) {
        qsort(claims.items, claims.count, sizeof *claims.items, by_entry);
    }
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < claims.count; i++) {
        bool is_taken = i > 0 && by_entry(&claims.items[i - 1], &claims.items[i]) == 0;
        rc = is_taken ? refuse_claim(apply, &claims.items[i]) : check_claim(apply, &claims.items[i]);
    }
    return rc;
}

// --- writing ---

static int write_object(const struct apply *apply, const struct staged *staged) {
    struct turn *turn = apply->turn;
    struct key key = key_object(staged->kind, staged->change->id.text);
    turn->state.objects[staged->kind] += (int)staged->will_be_there - (int)staged->is_there;
    if (staged->will_be_there) {
        tables_put(&turn->tables, TABLE_OBJECTS, &key, staged->to);
        return 0;
    }
    return tables_remove(&turn->tables, TABLE_OBJECTS, &key, apply->err);
}

static int write_event(const struct apply *apply, const struct staged *staged) {
    struct turn *turn = apply->turn;
    struct bytes name = staged->will_be_there ? staged->after.name : staged->before.name;
    struct event event = {
        .revision = turn->state.applied,
        .index = staged - apply->staged,
        .time_unix_ms = apply->transaction->time_unix_ms,
        .who = apply->transaction->who,
        .why = apply->transaction->why,
        .op = staged->change->op,
        .kind = staged->kind,
        .id = staged->change->id,
        .name = arena_strndup(&turn->arena, (const char *)name.data, name.len),
        .from = staged->from,
        .to = staged->to,
    };
    return history_add(turn, &event, apply->err);
}

static int write_all(const struct apply *apply) {
    const struct tables *tables = &apply->turn->tables;
    int rc = 0;
    // First what goes, so that a name may move from one object to another.
    for (size_t i = 0; rc == 0 && i < apply->count; i++) {
        const struct staged *staged = &apply->staged[i];
        rc = index_remove(tables, staged->is_there ? &staged->before : NULL,
                          staged->will_be_there ? &staged->after : NULL, apply->err);
    }
    for (size_t i = 0; rc == 0 && i < apply->count; i++) {
        const struct staged *staged = &apply->staged[i];
        index_add(tables, staged->is_there ? &staged->before : NULL,
                  staged->will_be_there ? &staged->after : NULL);
        rc = write_object(apply, staged);
        rc = rc < 0 ? rc : write_event(apply, staged);
    }
    return rc;
}

int apply_transaction(struct turn *turn, const struct transaction *transaction, struct outcome *out,
                      struct error *err) {
    struct apply apply = {.turn = turn, .transaction = transaction, .out = out, .err = err};
    apply.count = transaction->changes.count;
    if (apply.count > TRANSACTION_CHANGES_MAX) {
        refuse(&apply, ERR_LIMIT, "%zu changes, over %d", apply.count, TRANSACTION_CHANGES_MAX);
        return 0;
    }
    apply.staged = ARENA_ARRAY(&turn->arena, struct staged, apply.count);
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < apply.count; i++) {
        rc = stage(&apply, &transaction->changes.items[i], &apply.staged[i]);
    }
    rc = rc != 0 ? rc : each_once(&apply);
    rc = rc != 0 ? rc : check_claims(&apply);
    rc = rc != 0 ? rc : write_all(&apply);
    return rc == REFUSED ? 0 : rc;
}
