// SPDX-License-Identifier: Apache-2.0
//
// reconciler/dispatch/delivery.c — what each session is told: the complete set at first, then what changed.
//
// Model        The history is read once; an event of a task leaves the task's id with the session of its node
//              (it is *dirty*). What is sent of a dirty task is what the store says at that time: it is the
//              node's, as it is now, or it is not. So it does not matter how often a task changed, or how
//              long a session could not be told.
//              A complete set goes in parts, each read when there is room for it, by the index of tasks by
//              node: between two parts the store may move on. What changes behind the place where the set is
//              gets dirty and follows it; what changes before it will be read. When the last part and what is
//              dirty have been sent, the agent has what the store has.
// Bounds       A session that has no room waits on `blocked`, for the link to say that there is some; what
//              was read for it is read again then. Too many dirty tasks, or a history that does not reach
//              back, make a complete set due instead.
#include "reconciler/dispatch/sessions_parts.h"

#include <string.h>

#include "base/assert.h"
#include "base/log.h"
#include "base/mem.h"
#include "reconciler/dispatch/source.h"

#define EVENTS_MAX 1024
#define EVENTS_BYTES_MAX (1 * MIB)
#define EVENTS_ROUNDS_MAX 4 // of so many events, in one step
#define PART_HEAD_BYTES 256 // of a part, beside its items
#define NOT_HERE "this node is not in the cluster"

// --- what is due ---

static void enlist(struct sessions *sessions, struct session_node *node) {
    if (!list_is_linked(&node->work)) {
        list_append(&sessions->work, &node->work);
    }
}

void delivery_resume(struct sessions *sessions, struct session_node *node) {
    if (list_is_linked(&node->work)) {
        list_remove(&node->work);
        enlist(sessions, node);
    }
}

void delivery_tick(struct sessions *sessions) {
    LIST_EACH(at, &sessions->blocked) {
        struct session_node *node = LIST_ENTRY(at, struct session_node, work);
        if (node->delivery.retry_ms <= sessions->now_ms) {
            delivery_resume(sessions, node);
        }
    }
}

static void forget_given(struct delivery *delivery) {
    xfree(delivery->given);
    delivery->given = NULL;
    delivery->given_count = 0;
}

static void forget_dirty(struct delivery *delivery) {
    xfree(delivery->dirty);
    delivery->dirty = NULL;
    delivery->dirty_count = 0;
}

void delivery_again(struct sessions *sessions, struct session_node *node) {
    forget_dirty(&node->delivery);
    forget_given(&node->delivery);
    node->delivery.is_set_due = true;
    node->delivery.is_set_open = false;
    enlist(sessions, node);
}

void delivery_begin(struct sessions *sessions, struct session_node *node) {
    node->delivery.number = 0;
    delivery_again(sessions, node);
}

void delivery_end(struct session_node *node) {
    forget_dirty(&node->delivery);
    forget_given(&node->delivery);
    if (list_is_linked(&node->work)) {
        list_remove(&node->work);
    }
}

// --- routing what the history says ---

static bool is_dirty(const struct delivery *delivery, const struct id *task_id) {
    for (unsigned i = 0; i < delivery->dirty_count; i++) {
        if (id_equal(&delivery->dirty[i], task_id)) {
            return true;
        }
    }
    return false;
}

// Will what is still to be read of a complete set show the task anyway?
static bool will_be_read(const struct delivery *delivery, const struct id *task_id) {
    return delivery->is_set_due || (delivery->is_set_open && id_compare(task_id, &delivery->set_after) > 0);
}

static void mark(struct sessions *sessions, struct session_node *node, const struct id *task_id) {
    struct delivery *delivery = &node->delivery;
    if (will_be_read(delivery, task_id) || is_dirty(delivery, task_id)) {
        return;
    }
    if (delivery->dirty_count == SESSION_DIRTY_MAX) {
        forget_dirty(delivery);
        delivery->is_set_due = true;
    } else {
        unsigned count = delivery->dirty_count++;
        if ((count & (count - 1)) == 0) { // full at powers of two
            size_t capacity = count == 0 ? 1 : 2 * (size_t)count;
            delivery->dirty = xrealloc(delivery->dirty, capacity * sizeof *delivery->dirty);
        }
        delivery->dirty[count] = *task_id;
    }
    enlist(sessions, node);
}

static void route_to(struct sessions *sessions, const struct id *node_id, const struct id *task_id,
                     const struct task *from, const struct task *to) {
    struct session_node *node = sessions_find(sessions, node_id);
    bool is_held = to != NULL && source_is_held(to, node_id);
    bool was_held = from != NULL && source_is_held(from, node_id);
    if (node != NULL && node->is_open && (is_held ? source_is_news(from, to, node_id) : was_held)) {
        mark(sessions, node, task_id);
    }
}

static int route_task(struct sessions *sessions, const struct event *event, struct error *err) {
    struct task storage[2];
    const struct task *from, *to;
    int rc = source_decode_task(event->from, &storage[0], &from, &sessions->arena, err);
    rc = rc < 0 ? rc : source_decode_task(event->to, &storage[1], &to, &sessions->arena, err);
    if (rc < 0) {
        return rc;
    }
    if (to != NULL) {
        route_to(sessions, &to->node_id, &event->id, from, to);
    }
    if (from != NULL && (to == NULL || !id_equal(&from->node_id, &to->node_id))) {
        route_to(sessions, &from->node_id, &event->id, from, to);
    }
    return 0;
}

static int route_follower(void *context, const struct task *task, struct error *err) {
    struct sessions *sessions = context;
    struct session_node *node = sessions_find(sessions, &task->node_id);
    (void)err;
    if (node != NULL && node->is_open) {
        mark(sessions, node, &task->meta.id);
    }
    return 0;
}

static int route_event(struct sessions *sessions, struct store_read *read, const struct event *event,
                       struct error *err) {
    if (event->kind == KIND_TASK) {
        return route_task(sessions, event, err);
    }
    if (event->kind != KIND_NODE) {
        return event->op == CHANGE_UPDATE ? source_each_follower(read, (enum object_kind)event->kind,
                                                                 event->name, route_follower, sessions, err)
                                          : 0;
    }
    struct session_node *node = sessions_find(sessions, &event->id);
    if (event->op == CHANGE_DELETE && node != NULL) {
        sessions_forget(sessions, node, NOT_HERE);
    } else if (node != NULL && node->is_open) {
        enlist(sessions, node); // its record is looked at
    }
    return 0;
}

static int route_some(struct sessions *sessions, struct store_read *read, struct error *err) {
    const uint64_t kinds = UINT64_C(1) << KIND_TASK | UINT64_C(1) << KIND_NODE | UINT64_C(1) << KIND_SECRET |
                           UINT64_C(1) << KIND_CONFIG;
    struct events events = {0};
    arena_clear(&sessions->arena);
    int rc = store_history(read, &sessions->position, kinds, EVENTS_MAX, EVENTS_BYTES_MAX, &sessions->arena,
                           &events, err);
    for (size_t i = 0; rc == 0 && i < events.count; i++) {
        rc = route_event(sessions, read, &events.items[i], err);
    }
    sessions->is_behind = events.count > 0;
    return rc;
}

static void begin_here(struct sessions *sessions, const struct store_read *read) {
    LIST_EACH(at, &sessions->heard) {
        struct session_node *node = LIST_ENTRY(at, struct session_node, age);
        if (node->is_open) {
            node->delivery.is_set_due = true;
            enlist(sessions, node);
        }
    }
    sessions->position = store_position_after(store_read_revision(read));
    sessions->is_started = true;
    sessions->is_behind = false;
}

static int route(struct sessions *sessions, struct store_read *read, struct error *err) {
    int64_t revision = store_read_revision(read);
    int rc = 0;
    if (!sessions->is_started || sessions->by_link.count == 0) {
        begin_here(sessions, read);
    } else if (revision != sessions->routed_revision || sessions->is_behind) {
        sessions->is_behind = true;
        for (int i = 0; rc == 0 && i < EVENTS_ROUNDS_MAX && sessions->is_behind; i++) {
            rc = route_some(sessions, read, err);
        }
        if (rc == STORE_SKIPPED) {
            begin_here(sessions, read);
        }
    }
    sessions->routed_revision = revision;
    return rc < 0 ? rc : 0;
}

// --- parts ---

// What one call of sessions_step works with.
struct step {
    struct sessions *sessions;
    struct task_source source;
    struct arena arena;   // of the source
    struct arena scratch; // of one part
    const char *hostname; // of the node in work
    int budget;           // of tasks that may be looked at
    size_t without_spec, too_large;
};

enum outcome { DELIVERED, BLOCKED, SPENT };

struct part {
    struct assign_part payload;
    size_t bytes;
};

static void part_begin(struct step *step, const struct session_node *node, struct part *out) {
    arena_clear(&step->scratch);
    schema_init(&assign_part_schema, &out->payload);
    out->payload.session_id = node->id;
    out->payload.number = node->delivery.number + 1;
    out->bytes = PART_HEAD_BYTES;
}

// The first task of a part is there with all that it needs, if that is possible at all.
static size_t part_bytes_max(const struct part *part) {
    bool is_begun = part->payload.contents.count > 0 && part->payload.changed.count == 0 &&
                    part->payload.removed.count == 0;
    return is_begun ? ASSIGN_PART_BYTES_MAX : FRAME_CHUNK_BYTES;
}

// --- secrets and configs in a part ---

static bool is_given(const struct delivery *delivery, const struct part *part, const struct id *content) {
    for (unsigned i = 0; i < delivery->given_count; i++) {
        if (id_equal(&delivery->given[i], content)) {
            return true;
        }
    }
    for (size_t i = 0; i < part->payload.contents.count; i++) {
        if (id_equal(&part->payload.contents.items[i].id, content)) {
            return true;
        }
    }
    return false;
}

static void note_given(struct delivery *delivery, const struct part *part) {
    size_t count = part->payload.contents.count;
    if (count > 0) {
        delivery->given =
            xrealloc(delivery->given, (delivery->given_count + count) * sizeof *delivery->given);
    }
    for (size_t i = 0; i < count; i++) {
        delivery->given[delivery->given_count++] = part->payload.contents.items[i].id;
    }
}

// False: the part is full, and what is missing goes into the next. One content always fits into an empty
// part.
static bool part_add_contents(struct step *step, const struct delivery *delivery, struct part *part,
                              const struct assignment *assignment) {
    for (size_t i = 0; i < assignment->files.count; i++) {
        const struct assigned_content *content =
            source_content(&step->source, &assignment->files.items[i].content);
        if (content == NULL || is_given(delivery, part, &content->id)) {
            continue;
        }
        size_t bytes = content->data.len + ID_LEN + 32;
        if (part->bytes > PART_HEAD_BYTES && part->bytes + bytes > part_bytes_max(part)) {
            return false;
        }
        *ARENA_PUSH(&step->scratch, &part->payload.contents) = *content;
        part->bytes += bytes;
    }
    return true;
}

// False: the part is full, and the task goes into the next.
static bool part_add(struct step *step, struct part *part, const struct assignment *assignment) {
    AUTO_BUF bytes = {0};
    wire_encode(&assignment_schema, assignment, &bytes);
    size_t item_bytes = bytes.len + 16;
    if (item_bytes > ASSIGN_PART_BYTES_MAX - PART_HEAD_BYTES) {
        step->too_large++;
        return true;
    }
    if (part->bytes > PART_HEAD_BYTES && part->bytes + item_bytes > part_bytes_max(part)) {
        return false;
    }
    struct assign_item *item = ARENA_PUSH(&step->scratch, &part->payload.changed);
    schema_init(&assign_item_schema, item);
    item->assignment = (struct bytes){arena_copy(&step->scratch, buf_text(&bytes), bytes.len), bytes.len};
    part->bytes += item_bytes;
    return true;
}

// False as above.
static int part_add_task(struct step *step, const struct delivery *delivery, struct part *part,
                         const struct task *task, bool *out_is_in, struct error *err) {
    struct assignment assignment;
    *out_is_in = true;
    int rc = source_assignment(&step->source, task, step->hostname, &assignment, err);
    if (rc == SOURCE_WITHOUT_SPEC) {
        step->without_spec++;
    } else if (rc == 0) {
        *out_is_in =
            part_add_contents(step, delivery, part, &assignment) && part_add(step, part, &assignment);
    }
    return rc < 0 ? rc : 0;
}

static bool part_send(struct step *step, struct session_node *node, const struct part *part) {
    if (!session_send(step->sessions, node, MESSAGE_ASSIGN, &part->payload)) {
        node->delivery.retry_ms = step->sessions->now_ms + SESSION_RETRY_MS;
        return false;
    }
    node->delivery.number++;
    return true;
}

// --- the complete set ---

// Fills the part from after *after, which it moves, to the end of the set, of the part, or of the budget.
static int fill_from_set(struct step *step, const struct session_node *node, struct part *part,
                         struct id *after, struct error *err) {
    const struct id *node_id = &node->node_id;
    struct store_cursor cursor;
    struct id id;
    struct bytes bytes;
    bool is_in = true;
    int rc = store_each_begin(step->source.read, STORE_TASKS_OF_NODE, KIND_TASK, node_id, &cursor, err);
    if (rc < 0) {
        return rc;
    }
    if (!id_is_none(after)) {
        store_each_after(&cursor, after);
    }
    while (is_in && step->budget > 0 && (rc = store_each_next(&cursor, &id, &bytes, err)) == 0) {
        struct task task;
        step->budget--;
        rc = wire_decode(&task_schema, bytes, &task, &step->scratch, err);
        if (rc == 0 && source_is_held(&task, node_id)) {
            rc = part_add_task(step, &node->delivery, part, &task, &is_in, err);
        }
        if (rc < 0) {
            break;
        }
        *after = is_in ? id : *after;
    }
    store_each_end(&cursor);
    return rc;
}

static int send_set_part(struct step *step, struct session_node *node, struct error *err) {
    struct delivery *delivery = &node->delivery;
    struct id after = delivery->set_after;
    struct part part;
    part_begin(step, node, &part);
    int rc = fill_from_set(step, node, &part, &after, err);
    if (rc < 0) {
        return rc;
    }
    part.payload.is_complete = true;
    part.payload.is_first = !delivery->is_set_begun;
    part.payload.is_last = rc == STORE_END;
    if (!part_send(step, node, &part)) {
        return BLOCKED;
    }
    delivery->is_set_begun = true;
    delivery->is_set_open = !part.payload.is_last;
    if (delivery->is_set_open) {
        note_given(delivery, &part);
    } else {
        forget_given(delivery);
    }
    delivery->set_after = after;
    return DELIVERED;
}

static int begin_set(struct sessions *sessions, struct delivery *delivery) {
    if (sessions->now_ms < delivery->set_rest_ms) {
        delivery->retry_ms = delivery->set_rest_ms;
        return BLOCKED;
    }
    forget_dirty(delivery);
    delivery->is_set_due = false;
    delivery->is_set_open = true;
    delivery->is_set_begun = false;
    delivery->set_after = (struct id){{0}};
    forget_given(delivery);
    delivery->set_rest_ms = sessions->now_ms + SESSION_SET_REST_MS;
    return DELIVERED;
}

// --- increments ---

// One task as the store has it now.
static int add_dirty(struct step *step, const struct session_node *node, const struct id *task_id,
                     struct part *part, bool *out_is_in, struct error *err) {
    void *object;
    int rc = store_load(step->source.read, KIND_TASK, task_id, &step->scratch, &object, err);
    if (rc == 0 && source_is_held(object, &node->node_id)) {
        static const struct delivery nothing_given;
        return part_add_task(step, &nothing_given, part, object, out_is_in, err);
    }
    *out_is_in = true;
    if (rc >= 0) {
        struct assign_removed *removed = ARENA_PUSH(&step->scratch, &part->payload.removed);
        *removed = (struct assign_removed){*task_id, {0}};
        part->bytes += ID_LEN + 16;
    }
    return rc < 0 ? rc : 0;
}

static int send_increment(struct step *step, struct session_node *node, struct error *err) {
    struct delivery *delivery = &node->delivery;
    unsigned taken = 0;
    bool is_in = true;
    struct part part;
    part_begin(step, node, &part);
    while (taken < delivery->dirty_count) {
        int rc = add_dirty(step, node, &delivery->dirty[taken], &part, &is_in, err);
        if (rc < 0) {
            return rc;
        }
        if (!is_in) {
            break;
        }
        step->budget--;
        taken++;
    }
    if (taken == 0) { // with its contents it is too much for one part: a complete set has several
        forget_dirty(delivery);
        delivery->is_set_due = true;
        return DELIVERED;
    }
    part.payload.is_first = part.payload.is_last = true;
    if (!part_send(step, node, &part)) {
        return BLOCKED;
    }
    delivery->dirty_count -= taken;
    memmove(delivery->dirty, delivery->dirty + taken, delivery->dirty_count * sizeof *delivery->dirty);
    if (delivery->dirty_count == 0) {
        forget_dirty(delivery);
    }
    return DELIVERED;
}

// --- one session after the other ---

static int deliver_next(struct step *step, struct session_node *node, struct error *err) {
    if (node->delivery.is_set_open) {
        return send_set_part(step, node, err);
    }
    if (node->delivery.is_set_due) {
        return begin_set(step->sessions, &node->delivery);
    }
    return send_increment(step, node, err);
}

static bool is_due(const struct delivery *delivery) {
    return delivery->is_set_open || delivery->is_set_due || delivery->dirty_count > 0;
}

static int tell_role(struct sessions *sessions, struct session_node *node, const struct node *record) {
    node->is_manager = record->spec.role == ROLE_MANAGER;
    if (node->is_manager == node->was_told_manager || session_tell(sessions, node)) {
        return DELIVERED;
    }
    node->delivery.retry_ms = sessions->now_ms + SESSION_RETRY_MS;
    return BLOCKED;
}

// The node is on no list when it comes in.
static int deliver(struct step *step, struct session_node *node, struct error *err) {
    const struct node *record;
    int rc = source_node(&step->source, &node->node_id, &record, err);
    if (rc == STORE_ABSENT || (rc == 0 && record->status.left)) {
        sessions_forget(step->sessions, node, rc == 0 ? "this node left the cluster" : NOT_HERE);
        return 0;
    }
    if (rc == 0) {
        step->hostname = record->description.hostname;
        step->budget--;
        rc = tell_role(step->sessions, node, record);
    }
    while (rc == DELIVERED && is_due(&node->delivery)) {
        rc = step->budget > 0 ? deliver_next(step, node, err) : SPENT;
    }
    if (rc == BLOCKED) {
        list_append(&step->sessions->blocked, &node->work);
    } else if (rc != DELIVERED) {
        list_append(&step->sessions->work, &node->work); // behind the others
    }
    return rc < 0 ? rc : 0;
}

static int deliver_all(struct step *step, struct error *err) {
    int rc = 0;
    while (rc == 0 && step->budget > 0 && !list_is_empty(&step->sessions->work)) {
        struct list_node *first = list_first(&step->sessions->work);
        list_remove(first);
        rc = deliver(step, LIST_ENTRY(first, struct session_node, work), err);
    }
    return rc;
}

int sessions_step(struct sessions *sessions, struct store_read *read, struct error *err) {
    ASSERT(sessions->leads);
    int rc = route(sessions, read, err);
    if (rc < 0 || list_is_empty(&sessions->work)) {
        return error_wrap(err, rc, "what changed for agents");
    }
    struct step step = {.sessions = sessions, .budget = SESSIONS_STEP_TASKS_MAX};
    rc = source_init(&step.source, read, &step.arena, err);
    step.source.vault = sessions->options.vault;
    rc = rc < 0 ? rc : deliver_all(&step, err);
    source_deinit(&step.source);
    arena_free(&step.arena);
    arena_free(&step.scratch);
    if (step.without_spec + step.too_large > 0) {
        log_event(LOG_ERROR, "session.left_out", LOG_INT("without_spec", step.without_spec),
                  LOG_INT("too_large", step.too_large));
    }
    return error_wrap(err, rc, "tell agents what to hold");
}

bool sessions_has_work(const struct sessions *sessions) {
    return sessions->is_behind || !list_is_empty(&sessions->work);
}
