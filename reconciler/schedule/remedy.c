// SPDX-License-Identifier: Apache-2.0
//
// reconciler/schedule/remedy.c — for each rule: what would have to be otherwise of the node, and of the
// service; said in words, and done to a copy.
#include "reconciler/schedule/remedy.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"

#define NODE_LABELS "node.labels."
#define ENGINE_LABELS "engine.labels."

// A rule that a node breaks, and the step of it.
struct breach {
    enum filter_kind kind;
    size_t step;
};
// A node, and all that it breaks.
struct candidate {
    struct room room; // copied, to be changed
    struct node node; // the room's, copied
    const char *name;
    LIST_OF(struct breach) breaches;
    double lack;      // how far it is from doing, for those that lack amounts
    const char *wish; // what would make it do; NULL = nothing of the node's
};
struct search {
    const struct demand *demand;
    struct arena *arena;
    LIST_OF(struct candidate) candidates;
    size_t fewest; // breaches of the nearest
    struct remedies *out;
};

struct remedying {
    // What would have to be true of the node ("were active"), and making it so; NULL = nothing can.
    const char *(*wish)(const struct search *search, struct candidate *at, size_t step);
    // What the service would have to ask ("asked for no platform"), and asking it.
    const char *(*yield)(const struct search *search, const struct room *room, size_t step,
                         struct demand *demand);
};

// --- amounts ---

// Rounded up, so that what is said is enough.
static const char *cpus_text(struct arena *arena, int64_t nano, bool round_up) {
    int64_t hundredths = (nano + (round_up ? 9999999 : 0)) / 10000000;
    return arena_printf(arena, "%lld.%02lld", (long long)(hundredths / 100), (long long)(hundredths % 100));
}

static const char *memory_text(struct arena *arena, int64_t bytes, bool round_up) {
    const int64_t mib = (int64_t)1 << 20;
    return arena_printf(arena, "%lldM", (long long)((bytes + (round_up ? mib - 1 : 0)) / mib));
}

static double share(int64_t lack, int64_t wanted) {
    return (double)lack / (double)(wanted > 0 ? wanted : 1);
}

// --- of each rule ---

static const char *available_wish(const struct search *search, struct candidate *at, size_t step) {
    (void)step;
    const struct node *node = at->room.node;
    const char *text =
        node->status.state != NODE_READY
            ? arena_printf(search->arena, "were ready (it is %s)", node_state_names[node->status.state])
            : arena_printf(search->arena, "were active (it is set to %s)",
                           node_availability_names[node->spec.availability]);
    if (node->status.state != NODE_READY && node->spec.availability != AVAILABILITY_ACTIVE) {
        text = arena_printf(search->arena, "were ready and active (it is %s, and set to %s)",
                            node_state_names[node->status.state],
                            node_availability_names[node->spec.availability]);
    }
    at->node.status.state = NODE_READY;
    at->node.spec.availability = AVAILABILITY_ACTIVE;
    return text;
}

static const char *cpu_wish(const struct search *search, struct candidate *at, size_t step) {
    (void)step;
    int64_t lack = search->demand->cpus_nano - at->room.cpus_free_nano;
    at->room.cpus_free_nano += lack;
    at->lack += share(lack, search->demand->cpus_nano);
    return arena_printf(search->arena, "had %s more CPUs free", cpus_text(search->arena, lack, true));
}

static const char *cpu_yield(const struct search *search, const struct room *room, size_t step,
                             struct demand *demand) {
    (void)step;
    int64_t hundredth = 10000000;
    demand->cpus_nano = room->cpus_free_nano / hundredth * hundredth;
    return demand->cpus_nano > 0 ? arena_printf(search->arena, "reserved at most %s CPUs",
                                                cpus_text(search->arena, demand->cpus_nano, false))
                                 : NULL;
}

static const char *memory_wish(const struct search *search, struct candidate *at, size_t step) {
    (void)step;
    int64_t lack = search->demand->memory_bytes - at->room.memory_free_bytes;
    at->room.memory_free_bytes += lack;
    at->lack += share(lack, search->demand->memory_bytes);
    return arena_printf(search->arena, "had %s more memory free", memory_text(search->arena, lack, true));
}

static const char *memory_yield(const struct search *search, const struct room *room, size_t step,
                                struct demand *demand) {
    (void)step;
    demand->memory_bytes = room->memory_free_bytes >> 20 << 20;
    return demand->memory_bytes >= (int64_t)4 << 20 // the least that a spec may reserve
               ? arena_printf(search->arena, "reserved at most %s of memory",
                              memory_text(search->arena, demand->memory_bytes, false))
               : NULL;
}

static const char *generic_wish(const struct search *search, struct candidate *at, size_t step) {
    const struct generic_stock *wanted = &search->demand->generic.items[step];
    int64_t lack = wanted->count - room_generic_free(&at->room, wanted->kind, 0, NULL, NULL);
    at->lack += share(lack, wanted->count);
    at->room.claims = claims_copy(&at->room.claims, search->arena);
    bool is_there = generic_find(&at->node.description.generic_resources, wanted->kind) != NULL;
    struct generic_stocks stocks = {0};
    for (size_t i = 0; i < at->node.description.generic_resources.count; i++) {
        const struct generic_stock *stock = &at->node.description.generic_resources.items[i];
        if (!str_equal(stock->kind, wanted->kind)) {
            *ARENA_PUSH(search->arena, &stocks) = *stock;
        }
    }
    struct generic_stock *stock = ARENA_PUSH(search->arena, &stocks);
    schema_init(&generic_stock_schema, stock);
    stock->kind = wanted->kind;
    stock->count = wanted->count + claims_count(&at->room.claims, wanted->kind);
    at->node.description.generic_resources = stocks;
    return arena_printf(search->arena, is_there ? "had %lld more %s free" : "had %lld %s", (long long)lack,
                        wanted->kind);
}

static const char *generic_yield(const struct search *search, const struct room *room, size_t step,
                                 struct demand *demand) {
    const struct generic_stock *wanted = &search->demand->generic.items[step];
    int64_t left = room_generic_free(room, wanted->kind, 0, NULL, NULL);
    demand->generic.items = arena_copy(search->arena, demand->generic.items,
                                       demand->generic.count * sizeof *demand->generic.items);
    demand->generic.items[step].count = left;
    return left > 0 ? arena_printf(search->arena, "reserved at most %lld %s", (long long)left, wanted->kind)
                    : arena_printf(search->arena, "reserved no %s", wanted->kind);
}

static const char *constraint_wish(const struct search *search, struct candidate *at, size_t step) {
    const struct constraint *constraint = &search->demand->fit.constraints.items[step];
    bool is_label = strncasecmp(constraint->key, NODE_LABELS, strlen(NODE_LABELS)) == 0;
    if (!is_label && strncasecmp(constraint->key, ENGINE_LABELS, strlen(ENGINE_LABELS)) != 0) {
        return NULL; // its name, address, machine: not to be had otherwise
    }
    const char *name = constraint->key + (is_label ? strlen(NODE_LABELS) : strlen(ENGINE_LABELS));
    struct pairs *labels = is_label ? &at->node.spec.labels : &at->node.description.labels;
    *labels = pairs_set(search->arena, labels, name, constraint->negated ? NULL : constraint->value);
    return arena_printf(search->arena, "%s the %s %s=%s", constraint->negated ? "did not have" : "had",
                        is_label ? "label" : "engine label", name, constraint->value);
}

static const char *constraint_yield(const struct search *search, const struct room *room, size_t step,
                                    struct demand *demand) {
    (void)room;
    const struct constraint *constraint = &search->demand->fit.constraints.items[step];
    size_t count = demand->fit.constraints.count;
    struct constraint *items =
        arena_copy(search->arena, demand->fit.constraints.items, count * sizeof *items);
    memmove(&items[step], &items[step + 1], (count - step - 1) * sizeof *items);
    demand->fit.constraints.items = items;
    demand->fit.constraints.count--;
    return arena_printf(search->arena, "had no constraint %s %s %s", constraint->key,
                        constraint->negated ? "!=" : "==", constraint->value);
}

static const char *platform_yield(const struct search *search, const struct room *room, size_t step,
                                  struct demand *demand) {
    (void)step;
    const struct node_description *description = &room->node->description;
    demand->fit.platform_os = demand->fit.platform_arch = "";
    return arena_printf(search->arena, "were for platform %s/%s", description->os, description->arch);
}

static const char *port_wish(const struct search *search, struct candidate *at, size_t step) {
    const char *port = search->demand->host_ports.items[step];
    at->room.claims = claims_copy(&at->room.claims, search->arena);
    const char *key = arena_printf(search->arena, ":%s", port);
    claims_add(&at->room.claims, key, -claims_count(&at->room.claims, key), search->arena);
    return arena_printf(search->arena, "had the port %s free", port);
}

static const char *port_yield(const struct search *search, const struct room *room, size_t step,
                              struct demand *demand) {
    (void)room;
    const char *port = search->demand->host_ports.items[step];
    struct strings kept = {0};
    for (size_t i = 0; i < demand->host_ports.count; i++) {
        if (i != step) {
            *ARENA_PUSH(search->arena, &kept) = demand->host_ports.items[i];
        }
    }
    demand->host_ports = kept;
    return arena_printf(search->arena, "did not publish %s in mode host", port);
}

static const char *replicas_yield(const struct search *search, const struct room *room, size_t step,
                                  struct demand *demand) {
    (void)step;
    demand->max_replicas_per_node = room->service_tasks + 1;
    return arena_printf(search->arena, "had max_replicas_per_node of %lld",
                        (long long)demand->max_replicas_per_node);
}

// tidy: table
static const struct remedying remedyings[FILTER_COUNT] = {
    [FILTER_AVAILABLE] = {available_wish, NULL},
    [FILTER_CPU] = {cpu_wish, cpu_yield},
    [FILTER_MEMORY] = {memory_wish, memory_yield},
    [FILTER_GENERIC] = {generic_wish, generic_yield},
    [FILTER_CONSTRAINT] = {constraint_wish, constraint_yield},
    [FILTER_PLATFORM] = {NULL, platform_yield},
    [FILTER_PORT] = {port_wish, port_yield},
    [FILTER_REPLICAS] = {NULL, replicas_yield},
};

// --- the nearest nodes ---

static void look_at(struct search *search, const struct room *room) {
    struct candidate *at = ARENA_PUSH(search->arena, &search->candidates);
    at->room = *room;
    at->node = *room->node;
    at->name = room_name(room);
    for (int kind = 0; kind < FILTER_COUNT; kind++) {
        for (size_t step = 0; step < filter_steps((enum filter_kind)kind, search->demand); step++) {
            if (!filter_check((enum filter_kind)kind, search->demand, room, step)) {
                *ARENA_PUSH(search->arena, &at->breaches) = (struct breach){(enum filter_kind)kind, step};
            }
        }
    }
}

// Does to the copy what would help, and tries it. NULL = it does not help.
static const char *wish_for(const struct search *search, struct candidate *at) {
    AUTO_BUF text = {0};
    at->room.node = &at->node;
    for (size_t i = 0; i < at->breaches.count; i++) {
        const struct breach *breach = &at->breaches.items[i];
        const char *wish = remedyings[breach->kind].wish != NULL
                               ? remedyings[breach->kind].wish(search, at, breach->step)
                               : NULL;
        if (wish == NULL) {
            return NULL;
        }
        buf_addf(&text, "%s%s", i > 0 ? " and " : "", wish);
    }
    return filter_passes(search->demand, &at->room) ? arena_strdup(search->arena, buf_text(&text)) : NULL;
}

static int compare_candidates(const void *a, const void *b) {
    const struct candidate *x = a;
    const struct candidate *y = b;
    if (x->lack != y->lack) {
        return x->lack < y->lack ? -1 : 1;
    }
    int order = strcmp(x->wish != NULL ? x->wish : "", y->wish != NULL ? y->wish : "");
    return order != 0 ? order : strcmp(x->name, y->name);
}

static struct remedy *add(struct search *search, const char *change) {
    struct remedy *remedy = ARENA_PUSH(search->arena, search->out);
    schema_init(&remedy_schema, remedy);
    remedy->change = change;
    return remedy;
}

static void add_wishes(struct search *search) {
    struct remedy *last = NULL;
    for (size_t i = 0; i < search->candidates.count; i++) {
        const struct candidate *at = &search->candidates.items[i];
        if (at->wish == NULL) {
            continue;
        }
        if (last == NULL || !str_equal(last->change, at->wish)) {
            if (search->out->count == REMEDIES_MAX / 2) {
                return;
            }
            last = add(search, at->wish);
        }
        *ARENA_PUSH(search->arena, &last->nodes) = at->name;
    }
}

// One rule is in the way of these nodes: what if the service asked less? Each saying once.
static void add_yields(struct search *search, const struct room *rooms) {
    size_t first = search->out->count;
    for (size_t i = 0; search->fewest == 1 && i < search->candidates.count; i++) {
        const struct candidate *at = &search->candidates.items[i];
        const struct breach *breach = &at->breaches.items[0];
        const struct room *room = rooms;
        while (!id_equal(&room->node->meta.id, &at->node.meta.id)) {
            room++;
        }
        struct demand less = *search->demand;
        const char *text = remedyings[breach->kind].yield != NULL
                               ? remedyings[breach->kind].yield(search, room, breach->step, &less)
                               : NULL;
        struct remedy *same = NULL;
        for (size_t j = first; text != NULL && j < search->out->count; j++) {
            same = str_equal(search->out->items[j].change, text) ? &search->out->items[j] : same;
        }
        if (text == NULL || !filter_passes(&less, room) ||
            (same == NULL && search->out->count == REMEDIES_MAX)) {
            continue;
        }
        same = same != NULL ? same : add(search, text);
        same->of_service = true;
        *ARENA_PUSH(search->arena, &same->nodes) = room_name(room);
    }
}

void remedies_find(const struct demand *demand, const struct room *rooms, size_t count, struct arena *arena,
                   struct remedies *out) {
    struct search search = {.demand = demand, .arena = arena, .fewest = SIZE_MAX, .out = out};
    *out = (struct remedies){0};
    for (size_t i = 0; i < count; i++) {
        look_at(&search, &rooms[i]);
        size_t breaches = search.candidates.items[i].breaches.count;
        search.fewest = breaches < search.fewest ? breaches : search.fewest;
    }
    if (search.fewest == 0 || count == 0) {
        return;
    }
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (search.candidates.items[i].breaches.count == search.fewest) {
            search.candidates.items[kept++] = search.candidates.items[i];
        }
    }
    search.candidates.count = kept;
    for (size_t i = 0; i < kept; i++) {
        search.candidates.items[i].wish = wish_for(&search, &search.candidates.items[i]);
    }
    qsort(search.candidates.items, kept, sizeof *search.candidates.items, compare_candidates);
    add_wishes(&search);
    add_yields(&search, rooms);
}
