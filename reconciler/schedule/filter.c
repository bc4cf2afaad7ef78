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
    // How many steps it has for this demand: 0 or 1; constraints, counted resources, ports: one each.
    size_t (*steps)(const struct demand *demand);
    bool (*check)(const struct demand *demand, const struct room *room, size_t step);
    // What of the node was in the way.
    const char *(*explain)(const struct demand *demand, const struct room *room, size_t step,
                           struct arena *arena);
    // Says rule and reason of a step, where the row's own do not; may be NULL.
    void (*name)(const struct demand *demand, size_t step, struct arena *arena, struct funnel_step *out);
};

// --- ready and active ---

static size_t available_steps(const struct demand *demand) {
    (void)demand;
    return 1;
}

static bool available_check(const struct demand *demand, const struct room *room, size_t step) {
    (void)demand;
    (void)step;
    return room->node->status.state == NODE_READY && room->node->spec.availability == AVAILABILITY_ACTIVE;
}

static const char *available_explain(const struct demand *demand, const struct room *room, size_t step,
                                     struct arena *arena) {
    (void)demand;
    (void)step;
    (void)arena;
    return room->node->status.state != NODE_READY ? node_state_names[room->node->status.state]
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

// --- counted resources, ports ---

int64_t room_generic_free(const struct room *room, const char *kind, int64_t wanted, struct arena *arena,
                          struct strings *out) {
    const struct generic_stock *stock = generic_find(&room->node->description.generic_resources, kind);
    int64_t left = stock != NULL ? stock->count - claims_count(&room->claims, kind) : 0;
    if (stock == NULL || stock->names.count == 0 || left <= 0) {
        return left > 0 ? left : 0;
    }
    int64_t named = 0;
    for (size_t i = 0; i < stock->names.count; i++) {
        if (!claims_has_name(&room->claims, kind, stock->names.items[i])) {
            if (out != NULL && named < wanted) {
                *ARENA_PUSH(arena, out) = stock->names.items[i];
            }
            named++;
        }
    }
    return named < left ? named : left;
}

static size_t generic_steps(const struct demand *demand) {
    return demand->generic.count;
}

static bool generic_check(const struct demand *demand, const struct room *room, size_t step) {
    const struct generic_stock *wanted = &demand->generic.items[step];
    return wanted->count <= room_generic_free(room, wanted->kind, 0, NULL, NULL);
}

static const char *generic_explain(const struct demand *demand, const struct room *room, size_t step,
                                   struct arena *arena) {
    const char *kind = demand->generic.items[step].kind;
    const struct generic_stock *stock = generic_find(&room->node->description.generic_resources, kind);
    return stock == NULL ? arena_printf(arena, "has no %s", kind)
                         : arena_printf(arena, "%lld of %lld free",
                                        (long long)room_generic_free(room, kind, 0, NULL, NULL),
                                        (long long)stock->count);
}

static void generic_name(const struct demand *demand, size_t step, struct arena *arena,
                         struct funnel_step *out) {
    const struct generic_stock *wanted = &demand->generic.items[step];
    out->rule = arena_printf(arena, "%s %lld", wanted->kind, (long long)wanted->count);
    out->reason = arena_printf(arena, "insufficient %s", wanted->kind);
}

static size_t port_steps(const struct demand *demand) {
    return demand->host_ports.count;
}

static bool port_check(const struct demand *demand, const struct room *room, size_t step) {
    return !claims_has_port(&room->claims, demand->host_ports.items[step]);
}

static const char *port_explain(const struct demand *demand, const struct room *room, size_t step,
                                struct arena *arena) {
    (void)demand;
    (void)room;
    (void)step;
    (void)arena;
    return "in use";
}

static void port_name(const struct demand *demand, size_t step, struct arena *arena,
                      struct funnel_step *out) {
    out->rule = arena_printf(arena, "host port %s", demand->host_ports.items[step]);
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

static void constraint_name(const struct demand *demand, size_t step, struct arena *arena,
                            struct funnel_step *out) {
    const struct constraint *constraint = &demand->fit.constraints.items[step];
    out->rule = arena_printf(arena, "constraint %s %s %s", constraint->key,
                             constraint->negated ? "!=" : "==", constraint->value);
    out->reason = arena_printf(arena, "%s not satisfied", out->rule);
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
static const struct filter filters[FILTER_COUNT] = {
    [FILTER_AVAILABLE] = {"available", "node not available", false, available_steps, available_check,
                          available_explain, NULL},
    [FILTER_CPU] = {"cpu", "insufficient cpus", true, cpu_steps, cpu_check, cpu_explain, NULL},
    [FILTER_MEMORY] = {"memory", "insufficient memory", true, memory_steps, memory_check, memory_explain,
                       NULL},
    [FILTER_GENERIC] = {"generic", "", true, generic_steps, generic_check, generic_explain, generic_name},
    [FILTER_CONSTRAINT] = {"constraint", "", false, constraint_steps, constraint_check, constraint_explain,
                           constraint_name},
    [FILTER_PLATFORM] = {"platform", "unsupported platform", false, platform_steps, platform_check,
                         platform_explain, NULL},
    [FILTER_PORT] = {"port", "host-mode port already in use", true, port_steps, port_check, port_explain,
                     port_name},
    [FILTER_REPLICAS] = {"max replicas per node", "max replicas reached", true, replicas_steps,
                         replicas_check, replicas_explain, NULL},
};

void demand_init(struct demand *demand, const struct service_spec *spec, struct arena *arena) {
    *demand = (struct demand){
        .spec = spec,
        .cpus_nano = spec->deploy.resources.reservations.cpus_nano,
        .memory_bytes = spec->deploy.resources.reservations.memory_bytes,
        .max_replicas_per_node = spec->deploy.placement.max_replicas_per_node,
    };
    claims_of_spec(spec, arena, &demand->generic, &demand->host_ports);
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

size_t filter_steps(enum filter_kind kind, const struct demand *demand) {
    return filters[kind].steps(demand);
}

bool filter_check(enum filter_kind kind, const struct demand *demand, const struct room *room, size_t step) {
    return filters[kind].check(demand, room, step);
}

bool filter_passes(const struct demand *demand, const struct room *room) {
    return passes(demand, room, /* dynamic_only */ false);
}

bool filter_still_passes(const struct demand *demand, const struct room *room) {
    return passes(demand, room, /* dynamic_only */ true);
}

// --- the funnel ---

const char *room_name(const struct room *room) {
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
    if (filter->name != NULL) {
        filter->name(demand, step, arena, out);
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
            *ARENA_PUSH(arena, &out->nodes) = arena_printf(arena, "%s: %s", room_name(&rooms[i]),
                                                           filter->explain(demand, &rooms[i], step, arena));
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
