// SPDX-License-Identifier: Apache-2.0
//
// reconciler/plan/room.c — whether the new task of a slot will find a node, before the old one is stopped.
//
// A rehearsal, not a placement: the scheduler may choose another node than the one found here, and it knows
// rules that are left out. What counts is that a rollout stops nothing for a task that can run nowhere.
//
// Model        The book holds what each node has free, and how many tasks of the service. A slot gives back
//              what its old task holds, and takes a node that then has enough; the next slot sees the rest. A
//              published host port is a limit of one task for each node.
#include "reconciler/plan/pass.h"

struct room {
    const struct node *node;
    bool is_fit; // all that does not change as slots are filled
    int64_t cpus_free_nano, memory_free_bytes;
    int64_t service_tasks;
};

struct room_book {
    struct room *rooms; // in the order of the view's nodes
    size_t count;
    const struct view *view;
    int64_t cpus_nano, memory_bytes;
    int64_t tasks_per_node; // 0 = no limit
    bool is_global;
};

static int64_t room_tasks_per_node(const struct draft *draft) {
    const struct service_spec *spec = &draft->service->spec;
    for (size_t i = 0; i < spec->ports.count; i++) {
        if (spec->ports.items[i].mode == PUBLISH_HOST && spec->ports.items[i].published > 0) {
            return 1;
        }
    }
    return spec->deploy.placement.max_replicas_per_node;
}

static struct room *room_of(const struct room_book *book, const struct id *node_id) {
    const struct view_node *at = view_node(book->view, node_id);
    return at != NULL ? &book->rooms[at - book->view->nodes.items] : NULL;
}

static bool room_counts(const struct task *task) {
    return view_holds_resources(task) && view_wants_to_run(task);
}

// The draft, not the view: what this pass has stopped leaves its place to others.
static void room_count_tasks(struct room_book *book, const struct draft *draft) {
    for (size_t i = 0; i < draft->slots.count; i++) {
        const struct slot *slot = draft->slots.items[i];
        for (size_t j = 0; j < slot->tasks.count; j++) {
            const struct task *task = slot->tasks.items[j]->task;
            struct room *room = room_counts(task) ? room_of(book, &task->node_id) : NULL;
            if (room != NULL) {
                room->service_tasks++;
            }
        }
    }
}

struct room_book *room_open(const struct draft *draft) {
    const struct view *view = draft->view;
    const struct resource_reservations *wish = &draft->service->spec.deploy.resources.reservations;
    struct room_book *book = ARENA_NEW(draft->arena, struct room_book);
    *book = (struct room_book){
        .rooms = ARENA_ARRAY(draft->arena, struct room, view->nodes.count),
        .count = view->nodes.count,
        .view = view,
        .cpus_nano = wish->cpus_nano,
        .memory_bytes = wish->memory_bytes,
        .tasks_per_node = room_tasks_per_node(draft),
        .is_global = draft->is_global,
    };
    for (size_t i = 0; i < book->count; i++) {
        const struct view_node *at = &view->nodes.items[i];
        book->rooms[i] = (struct room){
            .node = at->node,
            .is_fit = at->node->status.state == NODE_READY &&
                      at->node->spec.availability == AVAILABILITY_ACTIVE && fit_node(&draft->fit, at->node),
            .cpus_free_nano = at->node->description.cpus_nano - at->cpus_reserved_nano,
            .memory_free_bytes = at->node->description.memory_bytes - at->memory_reserved_bytes,
        };
    }
    room_count_tasks(book, draft);
    return book;
}

static bool room_has_enough(const struct room_book *book, const struct room *room) {
    return room->is_fit && (book->cpus_nano == 0 || book->cpus_nano <= room->cpus_free_nano) &&
           (book->memory_bytes == 0 || book->memory_bytes <= room->memory_free_bytes);
}

static bool room_is_below_limit(const struct room_book *book, const struct room *room) {
    return book->tasks_per_node == 0 || room->service_tasks < book->tasks_per_node;
}

// The old task's own node first: there the most is given back. *beyond: a node is kept from it by nothing but
// the number of tasks.
static struct room *room_find(struct room_book *book, struct room *own, bool *beyond) {
    *beyond = false;
    for (size_t i = 0; i <= book->count; i++) {
        struct room *room = i == 0 ? own : &book->rooms[i - 1];
        if (room == NULL || (book->is_global && room != own) || !room_has_enough(book, room)) {
            continue;
        }
        if (room_is_below_limit(book, room)) {
            return room;
        }
        *beyond = true;
    }
    return NULL;
}

static void room_give_back(struct room *own, const struct task *old, int sign) {
    bool holds = own != NULL && view_holds_resources(old);
    if (holds) {
        own->cpus_free_nano += sign * old->cpus_nano;
        own->memory_free_bytes += sign * old->memory_bytes;
        own->service_tasks -= room_counts(old) ? sign : 0;
    }
}

enum room_answer room_take(struct room_book *book, const struct task *old, bool starts_first) {
    struct room *own = room_of(book, &old->node_id);
    bool is_beyond = false;
    struct room *found = starts_first ? room_find(book, own, &is_beyond) : NULL;
    enum room_answer answer = ROOM_BESIDE;
    if (found == NULL && (!starts_first || is_beyond)) {
        answer = ROOM_INSTEAD;
        room_give_back(own, old, 1);
        found = room_find(book, own, &is_beyond);
        if (found == NULL) {
            room_give_back(own, old, -1);
        }
    }
    if (found == NULL) {
        return ROOM_NONE;
    }
    found->cpus_free_nano -= book->cpus_nano;
    found->memory_free_bytes -= book->memory_bytes;
    found->service_tasks++;
    return answer;
}

const char *room_wish(const struct draft *draft) {
    AUTO_BUF text = buf_make(0);
    const struct deploy *deploy = &draft->service->spec.deploy;
    const struct resource_reservations *wish = &deploy->resources.reservations;
    int64_t limit = room_tasks_per_node(draft);
    if (wish->cpus_nano > 0) {
        buf_addf(&text, ", %lld.%03lld cpus", (long long)(wish->cpus_nano / 1000000000),
                 (long long)(wish->cpus_nano / 1000000 % 1000));
    }
    if (wish->memory_bytes > 0) {
        buf_addf(&text, ", %lldM of memory", (long long)(wish->memory_bytes >> 20));
    }
    for (size_t i = 0; i < deploy->placement.constraints.count; i++) {
        buf_addf(&text, ", %s", deploy->placement.constraints.items[i]);
    }
    if (limit > 0) {
        buf_addf(&text, ", at most %lld on a node", (long long)limit);
    }
    return arena_strdup(draft->arena, text.len > 0 ? buf_text(&text) + 2 : "an active node");
}
