// SPDX-License-Identifier: Apache-2.0
//
// test/unit/test_forecast.c — plans are honest: what is foretold of a change of a spec is what then happens,
// and what has no consequence restarts nothing.
//
// 500 random worlds at rest, each with a random change of one service. The forecast is made first; then
// planners, scheduler and agents run on virtual time. Each task that ran before is followed by hand.
#include "reconciler/schedule/forecast.h"

#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "test/lib/check.h"
#include "test/lib/world.h"

#define SEEDS 500
#define STEPS_MAX 400

static struct world world;
static struct prng chance;
static uint64_t seed;

#define MUST(condition, ...)                                                                                 \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            print_error("seed %llu: ", (unsigned long long)seed);                                            \
            fail_msg(__VA_ARGS__);                                                                           \
        }                                                                                                    \
    } while (0)

static uint64_t below(uint64_t bound) {
    return prng_below(&chance, bound);
}

// --- the change ---

static void mutate(struct service_spec *spec) {
    static struct placement_preference preferences[] = {{.spread = "node.labels.zone"}};
    static const char *zone[] = {"node.labels.zone == a"};
    static const char *no_zone[] = {"node.labels.zone != a"};
    static struct pair pairs[] = {{"A", "1"}};
    struct deploy *deploy = &spec->deploy;
    switch (below(16)) {
    case 0:
        spec->image = "a:2";
        break;
    case 1:
        deploy->replicas = (int64_t)below(9);
        break;
    case 2:
        spec->environment = (struct pairs){1, pairs};
        break;
    case 3:
        deploy->labels = (struct pairs){1, pairs};
        break;
    case 4:
        deploy->placement.constraints = (struct strings){1, below(2) == 0 ? zone : no_zone};
        break;
    case 5:
        deploy->placement.preferences.count = 1;
        deploy->placement.preferences.items = preferences;
        break;
    case 6:
        deploy->placement.max_replicas_per_node = (int64_t)below(4);
        break;
    case 7:
        deploy->resources.reservations.cpus_nano = (int64_t)(1 + below(4)) * INT64_C(500000000);
        break;
    case 8:
        deploy->update_config.parallelism = (int64_t)below(4);
        break;
    case 9:
        deploy->update_config.order = ORDER_START_FIRST;
        break;
    case 10:
        deploy->restart_policy.delay_ns = INT64_C(1000000000);
        break;
    case 11:
        spec->stop_grace_period_ns = INT64_C(1000000000);
        break;
    case 12:
        deploy->resources.limits.pids = 7;
        break;
    case 13:
        deploy->rebalance.max_moves = 3;
        break;
    case 14:
        spec->platform = below(4) == 0 ? "linux/arm64" : "linux/amd64";
        break;
    default:
        break; // nothing at all
    }
}

// --- what happens ---

static struct task *live_of(const struct service *service, int64_t slot) {
    struct task *found = NULL;
    for (size_t i = 0; i < world.tasks.count; i++) {
        struct task *task = world.tasks.items[i];
        if (id_equal(&task->service_id, &service->meta.id) && task->slot == slot &&
            task->desired <= TASK_RUNNING && !task_state_is_over(task->status.state)) {
            found = task;
        }
    }
    return found;
}

static void settle(void) {
    int quiet = 0;
    for (int i = 0; i < STEPS_MAX && quiet < 15; i++) {
        AUTO_ARENA arena = {0};
        struct plan plan;
        world_pass(&world, &arena, &plan);
        MUST(world.broken == NULL, "%s", world.broken);
        int64_t before = world.revision;
        world_run_agents(&world);
        world.now_unix_ms += 1000;
        quiet = plan.changes.count == 0 && world.revision == before ? quiet + 1 : 0;
    }
    MUST(quiet == 15, "it does not come to rest");
}

struct seen {
    struct id ids[16], nodes[16]; // of the live task of each slot, from 1
};

static struct seen look(const struct service *service) {
    struct seen seen = {0};
    for (int64_t slot = 1; slot < 16; slot++) {
        const struct task *task = live_of(service, slot);
        if (task != NULL) {
            seen.ids[slot] = task->meta.id;
            seen.nodes[slot] = task->node_id;
        }
    }
    return seen;
}

static struct forecast count(const struct seen *before, const struct seen *after) {
    struct forecast out = {0};
    for (int slot = 1; slot < 16; slot++) {
        bool was = !id_is_none(&before->ids[slot]), is = !id_is_none(&after->ids[slot]);
        bool is_same = was && id_equal(&before->ids[slot], &after->ids[slot]);
        out.kept += is_same;
        out.replaced += was && is && !is_same;
        out.created += !was && is;
        out.stopped += was && !is;
        out.waiting += is && id_is_none(&after->nodes[slot]);
    }
    return out;
}

// Of all that run: a task may wait for one in its place to find a node.
static void check_places(const struct forecast *foretold, const struct service *service) {
    for (size_t i = 0; i < foretold->places.count; i++) {
        int64_t there = 0;
        for (size_t j = 0; j < world.tasks.count; j++) {
            const struct task *task = world.tasks.items[j];
            there += id_equal(&task->service_id, &service->meta.id) && view_holds_resources(task) &&
                     view_wants_to_run(task) &&
                     id_equal(&task->node_id, &foretold->places.items[i].node->meta.id);
        }
        MUST(there == foretold->places.items[i].after, "%s has %lld tasks, foretold were %lld",
             foretold->places.items[i].node->spec.name, (long long)there,
             (long long)foretold->places.items[i].after);
    }
}

static void begin(void) {
    char name[16];
    world_init(&world, seed);
    for (unsigned i = 0; i < 1 + (unsigned)below(4); i++) {
        snprintf(name, sizeof name, "n%u", i);
        struct node *node = world_add_node(&world, name);
        node->description.cpus_nano = (int64_t)(2 + below(4)) * INT64_C(1000000000);
        node->spec.labels = pairs_set(&world.arena, &node->spec.labels, "zone", below(2) == 0 ? "a" : "b");
    }
    struct service_spec spec;
    schema_init(&service_spec_schema, &spec);
    spec.image = "a:1";
    spec.name = "other";
    spec.deploy.replicas = (int64_t)below(4);
    spec.deploy.resources.reservations.cpus_nano = INT64_C(500000000);
    world_put_service(&world, &spec);
    spec.name = "web";
    spec.deploy.replicas = (int64_t)below(6);
    for (uint64_t i = below(3); i > 0; i--) {
        mutate(&spec);
    }
    world_put_service(&world, &spec);
    settle();
}

static size_t restarts;

static void one_world(void) {
    AUTO_ARENA arena = {0};
    struct view view;
    struct forecasts forecasts;
    prng_seed(&chance, seed);
    begin();
    struct service *web = world_service(&world, "web");
    struct service_spec changed = web->spec;
    for (uint64_t i = 1 + below(3); i > 0; i--) {
        mutate(&changed);
    }
    enum consequence worst = service_spec_consequence(&web->spec, &changed, &arena);
    struct seen before = look(web);
    bool is_waiting = count(&before, &before).waiting > 0;
    world_put_service(&world, &changed);
    world_view(&world, NULL, &arena, &view);
    struct prng prng;
    prng_seed(&prng, ~seed); // not the ids that there are
    forecast_services(&view, &web->meta.id, 1, &prng, &arena, &forecasts);
    assert_int_equal(forecasts.count, 1);
    const struct forecast *foretold = &forecasts.items[0];
    settle();
    struct seen after = look(web);
    struct forecast happened = count(&before, &after);
    MUST(
        !foretold->is_cut && foretold->replaced == happened.replaced && foretold->kept == happened.kept &&
            foretold->created == happened.created && foretold->stopped == happened.stopped &&
            foretold->waiting == happened.waiting,
        "foretold: %lld replaced, %lld kept, %lld created, %lld stopped, %lld waiting; happened: %lld, %lld, "
        "%lld, %lld, %lld",
        (long long)foretold->replaced, (long long)foretold->kept, (long long)foretold->created,
        (long long)foretold->stopped, (long long)foretold->waiting, (long long)happened.replaced,
        (long long)happened.kept, (long long)happened.created, (long long)happened.stopped,
        (long long)happened.waiting);
    check_places(foretold, web);
    MUST(worst != CONSEQUENCE_NOTHING || happened.replaced == 0, "no consequence, but %lld restarts",
         (long long)happened.replaced);
    MUST(worst != CONSEQUENCE_RESTART || is_waiting || happened.waiting > 0 || happened.kept == 0 ||
             web->update_status.state != UPDATE_COMPLETED,
         "it was to restart, but %lld run on", (long long)happened.kept);
    restarts += (size_t)happened.replaced;
    world_free(&world);
}

static void what_is_foretold_happens(void **state) {
    (void)state;
    restarts = 0;
    for (seed = 1; seed <= SEEDS; seed++) {
        one_world();
    }
    assert_true(restarts > SEEDS / 2); // the changes are not idle ones
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(what_is_foretold_happens),
};

CHECK_MAIN(tests)
