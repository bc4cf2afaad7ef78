// SPDX-License-Identifier: Apache-2.0
//
// test/bench/bench_schedule.c — 100,000 pending tasks placed on 1,000 nodes in one pass, without and with
// preferences, and what a pass over the placed world costs.
//
// One JSON line a figure. CPU time, not wall clock.
#include <stdio.h>
#include <sys/resource.h>

#include "base/assert.h"
#include "base/limits.h"
#include "test/lib/world.h"

#define NODES 1000
#define SERVICES 100
#define REPLICAS 1000

static double cpu_ms(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e3 +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e3;
}

static void report(const char *figure, double ms, const struct arena *arena, size_t changes) {
    printf("{\"bench\":\"schedule\",\"figure\":\"%s\",\"value\":%.1f,\"unit\":\"ms\",\"arena_kib\":%zu,"
           "\"changes\":%zu,\"us_per_task\":%.2f}\n",
           figure, ms, arena->used_bytes / KIB, changes, ms * 1e3 / (SERVICES * REPLICAS));
}

static void fill(struct world *world, bool with_preferences) {
    char name[16];
    for (int i = 0; i < NODES; i++) {
        snprintf(name, sizeof name, "n%d", i);
        struct node *node = world_add_node(world, name);
        node->description.cpus_nano = INT64_C(128000000000);
        const char *zone = i % 3 == 0 ? "a" : "b";
        node->spec.labels = pairs_set(&world->arena, &node->spec.labels, "zone", zone);
        const char *rack = arena_printf(&world->arena, "rack-%d", i % 40);
        node->spec.labels = pairs_set(&world->arena, &node->spec.labels, "rack", rack);
    }
    for (int i = 0; i < SERVICES; i++) {
        static const char *constraint[] = {"node.labels.zone == b"};
        struct service_spec spec;
        schema_init(&service_spec_schema, &spec);
        spec.name = arena_printf(&world->arena, "s%d", i);
        spec.image = "a";
        spec.deploy.replicas = REPLICAS;
        spec.deploy.resources.reservations.cpus_nano = 100000000;
        if (with_preferences) {
            static struct placement_preference levels[] = {{.spread = "node.labels.zone"},
                                                           {.spread = "node.labels.rack"}};
            spec.deploy.placement.preferences.count = 2;
            spec.deploy.placement.preferences.items = levels;
        }
        if (i % 2 == 0) {
            spec.deploy.placement.constraints = (struct strings){1, constraint};
        }
        world_put_service(world, &spec);
    }
}

static void run(bool with_preferences) {
    struct world world;
    struct view view, placed;
    struct plan plan, second;
    struct arena arena = arena_make((size_t)4096 * MIB);
    world_init(&world, 1);
    fill(&world, with_preferences);
    world_view(&world, NULL, &arena, &view);
    double start = cpu_ms();
    world_plan(&view, world.prng, &arena, &plan);
    report(with_preferences ? "the same, spread over zones and racks"
                            : "plan and place 100000 tasks on 1000 nodes",
           cpu_ms() - start, &arena, plan.changes.count);
    size_t assigned = 0;
    for (size_t i = 0; i < plan.changes.count; i++) {
        const struct task *task = plan.changes.items[i].object;
        assigned += task->status.state == TASK_ASSIGNED;
    }
    ASSERT(assigned == (size_t)SERVICES * REPLICAS);
    start = cpu_ms();
    plan_apply(&view, &plan, &arena, &placed);
    report("apply the plan to the view", cpu_ms() - start, &arena, plan.changes.count);
    start = cpu_ms();
    world_plan(&placed, world.prng, &arena, &second);
    report("a pass over the placed world", cpu_ms() - start, &arena, second.changes.count);
    ASSERT(second.changes.count == 0);
    arena_free(&arena);
    world_free(&world);
}

int main(void) {
    run(/* with_preferences */ false);
    run(/* with_preferences */ true);
    return 0;
}
