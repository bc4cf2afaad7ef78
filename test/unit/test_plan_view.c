// SPDX-License-Identifier: Apache-2.0
//
// test/unit/test_plan_view.c — order, lookups and sums of views, and plans put into effect on paper.
#include "test/lib/check.h"
#include "test/lib/world.h"

static void fill(struct world *world) {
    world_init(world, 7);
    world_add_node(world, "n1");
    world_add_node(world, "n2");
    struct service_spec spec;
    schema_init(&service_spec_schema, &spec);
    spec.deploy.replicas = 3;
    spec.deploy.resources.reservations.memory_bytes = 1000;
    spec.name = "web";
    world_put_service(world, &spec);
    spec.name = "api";
    world_put_service(world, &spec);
    AUTO_ARENA arena = {0};
    struct plan plan;
    world_pass(world, &arena, &plan);
    assert_null(world->broken);
}

static void tasks_stand_by_service_slot_and_age(void **state) {
    (void)state;
    struct world world;
    fill(&world);
    world_service(&world, "web")->spec.deploy.replicas = 3;
    world_run_agents(&world);
    world_report(&world, world.tasks.items[0], TASK_FAILED, REASON_NONE);
    AUTO_ARENA arena = {0};
    struct plan plan;
    world_pass(&world, &arena, &plan);
    struct view view;
    struct prng shuffle;
    prng_seed(&shuffle, 3);
    world_view(&world, &shuffle, &arena, &view);
    assert_int_equal(view.tasks.count, 7);
    for (size_t i = 1; i < view.tasks.count; i++) {
        const struct task *a = view.tasks.items[i - 1];
        const struct task *b = view.tasks.items[i];
        int order = id_compare(&a->service_id, &b->service_id);
        assert_true(order < 0 || (order == 0 && (a->slot < b->slot || (a->slot == b->slot &&
                                                                       a->meta.created > b->meta.created))));
    }
    world_free(&world);
}

static void lookups_find_what_is_there_only(void **state) {
    (void)state;
    struct world world;
    fill(&world);
    AUTO_ARENA arena = {0};
    struct view view;
    world_view(&world, NULL, &arena, &view);
    const struct service *web = world_service(&world, "web");
    const struct id nobody = {{"zzz"}};
    assert_ptr_equal(view_service(&view, &web->meta.id), web);
    assert_null(view_service(&view, &nobody));
    assert_ptr_equal(view_node(&view, &world.nodes.items[1]->meta.id)->node, world.nodes.items[1]);
    assert_null(view_node(&view, &nobody));
    assert_int_equal(view_tasks_of(&view, &web->meta.id).count, 3);
    assert_int_equal(view_tasks_of(&view, &nobody).count, 0);
    assert_ptr_equal(view_spec(&view, web, 1), &web->spec);
    assert_null(view_spec(&view, web, 2));
    size_t count;
    assert_non_null(view_revisions_of(&view, &web->meta.id, &count));
    assert_int_equal(count, 1);
    world_free(&world);
}

static void nodes_count_what_is_assigned_and_not_over(void **state) {
    (void)state;
    struct world world;
    fill(&world);
    world_report(&world, world.tasks.items[0], TASK_FAILED, REASON_NONE);
    world.tasks.items[1]->desired = TASK_SHUTDOWN;
    AUTO_ARENA arena = {0};
    struct view view;
    world_view(&world, NULL, &arena, &view);
    struct task foreign = {.node_id = view.nodes.items[0].node->meta.id,
                           .status.state = TASK_RUNNING,
                           .desired = TASK_RUNNING,
                           .memory_bytes = 50};
    view_count_task(&view, &foreign, &arena);
    const struct view_node *nodes = view.nodes.items;
    assert_int_equal(nodes[0].memory_reserved_bytes + nodes[1].memory_reserved_bytes, 5050);
    assert_int_equal(nodes[0].active_tasks + nodes[1].active_tasks, 5);
    struct plan nothing = {0};
    struct view after;
    plan_apply(&view, &nothing, &arena, &after); // keeps what only view_count_task knew
    assert_int_equal(after.nodes.items[0].memory_reserved_bytes, nodes[0].memory_reserved_bytes);
    assert_int_equal(after.nodes.items[0].active_tasks, nodes[0].active_tasks);
    world_free(&world);
}

static void a_plan_on_paper_equals_the_plan_committed(void **state) {
    (void)state;
    struct world world;
    fill(&world);
    world_remove_node(&world, world.nodes.items[0]);
    world_service(&world, "api")->removing = true;
    AUTO_ARENA arena = {0};
    struct view view;
    struct view paper;
    struct view real;
    struct plan plan;
    world_view(&world, NULL, &arena, &view);
    world_plan(&view, world.prng, &arena, &plan);
    plan_apply(&view, &plan, &arena, &paper);
    world_commit(&world, &plan);
    assert_null(world.broken);
    world_view(&world, NULL, &arena, &real);
    assert_int_equal(paper.tasks.count, real.tasks.count);
    for (size_t i = 0; i < real.tasks.count; i++) {
        assert_true(id_equal(&paper.tasks.items[i]->meta.id, &real.tasks.items[i]->meta.id));
        assert_int_equal(paper.tasks.items[i]->desired, real.tasks.items[i]->desired);
    }
    for (size_t i = 0; i < real.nodes.count; i++) {
        assert_int_equal(paper.nodes.items[i].memory_reserved_bytes,
                         real.nodes.items[i].memory_reserved_bytes);
        assert_int_equal(paper.nodes.items[i].active_tasks, real.nodes.items[i].active_tasks);
    }
    world_free(&world);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(tasks_stand_by_service_slot_and_age),
    cmocka_unit_test(lookups_find_what_is_there_only),
    cmocka_unit_test(nodes_count_what_is_assigned_and_not_over),
    cmocka_unit_test(a_plan_on_paper_equals_the_plan_committed),
};

CHECK_MAIN(tests)
