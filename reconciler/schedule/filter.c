// SPDX-License-Identifier: Apache-2.0
//
// reconciler/schedule/filter.c — the table of filters, and the funnel they make.
#include "reconciler/schedule/filter.h"

#include "base/str.h"

#define FUNNEL_NODES_MAX 16

struct filter {
    const char *rule;
    const char *reason;
    bool is_dynamic; // its answer changes as tasks are placed
    // How many steps it has for this demand: 0 or 1; constraints: one each.
    size_t (*steps)(const struct demand *demand);
    bool (*check)(const struct demand *demand, const struct room *room, size_t step);
    // What of the node was in the way.
    const char *(*explain)(const struct demand *demand, const struct room *room, size_t step,
                           struct arena *arena);
};

// --- ready and active ---

static size_t available_steps(const struct demand *demand) {
    (void)demand;
    return 1;
}

static bool available_check(const struct demand *demand, const struct room *room, size_t step) {
    (void)demand;
    (void)step;
    return room->node->status.state == NODE_READY &&
           room->node->spec.availability == AVAILABILITY_ACTIVE;
}

static const char *available_explain(const struct demand *demand, const struct room *room, size_t step,
                                     struct arena *arena) {
    (void)demand;
    (void)step;
    (void)arena;
    return room->node->status.state != NODE_READY
               ? node_state_names[room->node->status.state]
               : node_availability_names[room->node->spec.availability];
}

// --- reservations ---

static size_t cpu_steps(const struct demand *demand) {
    return demand->cpus_nano > 0;
}

static bool cpu_check(const struct demand *demand, const struct room *room, size_t step) {
    (void)step;
    return demand->cpus_nano <= room->cpus_free_nano;
}

// One digit, cut rather than rounded: what is shown must not look as if it were enough.
static const char *one_digit(struct arena *arena, int64_t amount, int64_t unit, const char *name) {
    int64_t tenths = amount > 0 ? amount / (unit / 10) : 0;
    return arena_printf(arena, "has %lld.%lld%s", (long long)(tenths / 10), (long long)(tenths % 10), name);
}

static const char *cpu_explain(const struct demand *demand, const struct room *room, size_t step,
                               struct arena *arena) {
    (void)demand;
    (void)step;
    return one_digit(arena, room->cpus_free_nano, 1000000000, " cpus");
}

static size_t memory_steps(const struct demand *demand) {
    return demand->memory_bytes > 0;
}

static bool memory_check(const struct demand *demand, const struct room *room, size_t step) {
    (void)step;
    return demand->memory_bytes <= room->memory_free_bytes;
}

static const char *memory_explain(const struct demand *demand, const struct room *room, size_t step,
                                  struct arena *arena) {
    (void)step;
    bool in_gib = demand->memory_bytes >= (int64_t)1 << 30;
    return one_digit(arena, room->memory_free_bytes, in_gib ? (int64_t)1 << 30 : (int64_t)1 << 20,
                     in_gib ? "G" : "M");
}

// --- constraints, platform ---

static size_t constraint_steps(const struct demand *demand) {
    return demand->fit.constraints.count;
}

static bool constraint_check(const struct demand *demand, const struct room *room, size_t step) {
    return constraint_matches(&demand->fit.constraints.items[step], room->node);
}

static const char *constraint_explain(const struct demand *demand, const struct room *room, size_t step,
                                      struct arena *arena) {
    (void)arena;
    const char *value = constraint_value(demand->fit.constraints.items[step].key, room->node);
    return value[0] != '\0' ? value : "not set";
}

static size_t platform_steps(const struct demand *demand) {
    return !str_is_empty(demand->spec->platform);
}

static bool platform_check(const struct demand *demand, const struct room *room, size_t step) {
    (void)step;
    return fit_platform(&demand->fit, room->node);
}

static const char *platform_explain(const struct demand *demand, const struct room *room, size_t step,
                                    struct arena *arena) {
    (void)demand;
    (void)step;
    return arena_printf(arena, "%s/%s", room->node->description.os, room->node->description.arch);
}

// --- replicas per node ---

static size_t replicas_steps(const struct demand *demand) {
    return demand->max_replicas_per_node > 0;
}

static bool replicas_check(const struct demand *demand, const struct room *room, size_t step) {
    (void)step;
    return room->service_tasks < demand->max_replicas_per_node;
}

static const char *replicas_explain(const struct demand *demand, const struct room *room, size_t step,
                                    struct arena *arena) {
    (void)demand;
    (void)step;
    return arena_printf(arena, "has %lld", (long long)room->service_tasks);
}

// tidy: table
static const struct filter filters[] = {
    {"available", "node not available", false, available_steps, available_check, available_explain},
    {"cpu", "insufficient cpus", true, cpu_steps, cpu_check, cpu_explain},
    {"memory", "insufficient memory", true, memory_steps, memory_check, memory_explain},
    {"constraint", NULL /* names itself */, false, constraint_steps, constraint_check, constraint_explain},
    {"platform", "unsupported platform", false, platform_steps, platform_check, platform_explain},
    {"max replicas per node", "max replicas reached", true, replicas_steps, replicas_check, replicas_explain},
};
#define FILTER_COUNT (sizeof filters / sizeof *filters)

void demand_init(struct demand *demand, const struct service_spec *spec, struct arena *arena) {
    *demand = (struct demand){
        .spec = spec,
        .cpus_nano = spec->deploy.resources.reservations.cpus_nano,
        .memory_bytes = spec->deploy.resources.reservations.memory_bytes,
        .max_replicas_per_node = spec->deploy.placement.max_replicas_per_node,
    };
    fit_init(&demand->fit, spec, arena);
}

static bool passes(const struct demand *demand, const struct room *room, bool dynamic_only) {
    for (size_t i = 0; i < FILTER_COUNT; i++) {
        size_t steps = !dynamic_only || filters[i].is_dynamic ? filters[i].steps(demand) : 0;
        for (size_t step = 0; step < steps; step++) {
            if (!filters[i].check(demand, room, step)) {
                return false;
            }
        }
    }
    return true;
}

bool filter_passes(const struct demand *demand, const struct room *room) {
    return passes(demand, room, /* dynamic_only */ false);
}

bool filter_still_passes(const struct demand *demand, const struct room *room) {
    return passes(demand, room, /* dynamic_only */ true);
}

// --- the funnel ---

static const char *room_name(const struct room *room) {
    const struct node *node = room->node;
    if (!str_is_empty(node->spec.name)) {
        return node->spec.name;
    }
    return !str_is_empty(node->description.hostname) ? node->description.hostname : node->meta.id.text;
}

static void name_step(const struct filter *filter, const struct demand *demand, size_t step,
                      struct arena *arena, struct funnel_step *out) {
    out->rule = filter->rule;
    out->reason = filter->reason;
    if (filter->reason == NULL) {
        const struct constraint *constraint = &demand->fit.constraints.items[step];
        out->rule = arena_printf(arena, "constraint %s %s %s", constraint->key,
                                 constraint->negated ? "!=" : "==", constraint->value);
        out->reason = arena_printf(arena, "%s not satisfied", out->rule);
    }
}

static void run_step(const struct filter *filter, const struct demand *demand, size_t step,
                     const struct room *rooms, size_t count, struct arena *arena, bool *is_left,
                     struct funnel_step *out) {
    name_step(filter, demand, step, arena, out);
    for (size_t i = 0; i < count; i++) {
        if (!is_left[i]) {
            continue;
        }
        if (filter->check(demand, &rooms[i], step)) {
            out->left++;
            continue;
        }
        is_left[i] = false;
        out->ruled_out++;
        if (out->nodes.count < FUNNEL_NODES_MAX) {
            *ARENA_PUSH(arena, &out->nodes) = arena_printf(
                arena, "%s: %s", room_name(&rooms[i]), filter->explain(demand, &rooms[i], step, arena));
        }
    }
}

void filter_funnel(const struct demand *demand, const struct room *rooms, size_t count, struct arena *arena,
                   struct funnel *out, bool *is_left) {
    *out = (struct funnel){0};
    is_left = is_left != NULL ? is_left : ARENA_ARRAY(arena, bool, count);
    for (size_t i = 0; i < count; i++) {
        is_left[i] = true;
    }
    for (size_t i = 0; i < FILTER_COUNT; i++) {
        for (size_t step = 0; step < filters[i].steps(demand); step++) {
            run_step(&filters[i], demand, step, rooms, count, arena, is_left, ARENA_PUSH(arena, out));
        }
    }
}
