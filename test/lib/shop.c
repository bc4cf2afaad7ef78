// SPDX-License-Identifier: Apache-2.0
//
// test/lib/shop.c — objects, encoded as the daemon would.
#include "test/lib/shop.h"

#include <stdio.h>
#include <string.h>

#define MINUTE_MS (60 * 1000LL)

struct id shop_id(char letter, int64_t number) {
    char text[64];
    snprintf(text, sizeof text, "%c%0*lld", letter, ID_LEN - 1, (long long)number);
    struct id id;
    memcpy(id.text, text, ID_LEN + 1);
    return id;
}

void shop_init(struct shop *shop) {
    *shop = (struct shop){.now_unix_ms = SHOP_START_UNIX_MS};
}

void shop_free(struct shop *shop) {
    arena_free(&shop->arena);
}

static void *shop_object(struct shop *shop, const struct schema *schema, struct id id) {
    void *object = arena_alloc(&shop->arena, schema->bytes);
    schema_init(schema, object);
    struct meta *meta = object_meta(object);
    meta->id = id;
    meta->created = shop->revision + 1;
    meta->created_unix_ms = meta->updated_unix_ms = shop->now_unix_ms;
    meta->changed_by = "uid:0 root@w1";
    return object;
}

struct node *shop_node(struct shop *shop, int64_t number, const char *name) {
    struct node *node = shop_object(shop, &node_schema, shop_id('n', number));
    node->meta.name = node->spec.name = name;
    node->description.hostname = name;
    node->description.os = "linux";
    node->description.arch = "x86_64";
    node->description.cpus_nano = 4000000000;
    node->description.memory_bytes = 8LL << 30;
    node->description.version = "0.1.0";
    node->description.runtime_version = "runc 1.1.5";
    node->description.cgroup_mode = "v2";
    node->status.state = NODE_READY;
    node->status.since_unix_ms = shop->now_unix_ms;
    node->status.address = arena_printf(&shop->arena, "10.0.0.%lld", (long long)number);
    return node;
}

struct service *shop_service(struct shop *shop, int64_t number, const char *name, int64_t replicas) {
    struct service *service = shop_object(shop, &service_schema, shop_id('s', number));
    service->meta.name = service->spec.name = name;
    service->spec.image = "busybox:1.36";
    service->spec.deploy.replicas = replicas;
    service->revision = service->restart_revision = 1;
    return service;
}

struct task *shop_task(struct shop *shop, int64_t number, const struct id *service, int64_t slot,
                       const struct id *node, int64_t state) {
    struct task *task = shop_object(shop, &task_schema, shop_id('t', number));
    task->service_id = *service;
    task->slot = slot;
    if (node != NULL) {
        task->node_id = *node;
    }
    task->revision = 1;
    task->desired = TASK_RUNNING;
    task->status.state = state;
    task->status.since_unix_ms = shop->now_unix_ms;
    task->status.message = "started";
    return task;
}

static struct event *shop_event(struct shop *shop, enum object_kind kind, const struct id *id) {
    struct event *event = ARENA_PUSH(&shop->arena, &shop->batch.events);
    schema_init(&event_schema, event);
    event->revision = ++shop->revision;
    event->time_unix_ms = shop->now_unix_ms;
    event->kind = kind;
    event->id = *id;
    event->snapshot = shop->is_snapshot;
    return event;
}

void shop_put(struct shop *shop, enum object_kind kind, void *object, const char *why) {
    struct meta *meta = object_meta(object);
    struct event *event = shop_event(shop, kind, &meta->id);
    bool is_new = meta->version == 0;
    meta->version = shop->revision;
    meta->updated_unix_ms = shop->now_unix_ms;
    AUTO_BUF bytes = buf_make(0);
    wire_encode(object_schema(kind), object, &bytes);
    event->op = is_new ? CHANGE_CREATE : CHANGE_UPDATE;
    event->who = meta->changed_by;
    event->why = why;
    event->to = (struct bytes){arena_copy(&shop->arena, bytes.data, bytes.len), bytes.len};
}

void shop_delete(struct shop *shop, enum object_kind kind, const struct id *id) {
    shop_event(shop, kind, id)->op = CHANGE_DELETE;
}

struct event_batch shop_take(struct shop *shop) {
    struct event_batch batch = shop->batch;
    batch.revision = shop->revision;
    batch.caught_up = true;
    shop->batch = (struct event_batch){0};
    return batch;
}

// --- the shop ---

static void fill_nodes(struct shop *shop) {
    static const char *const names[] = {"m1", "w1", "w2", "w3", "w4"};
    for (int i = 0; i < 5; i++) {
        struct node *node = shop_node(shop, i + 1, names[i]);
        if (i == 0) {
            node->spec.role = ROLE_MANAGER;
            node->manager = ARENA_NEW(&shop->arena, struct node_manager);
            *node->manager =
                (struct node_manager){.leader = true, .reachable = true, .address = "10.0.0.1:2377"};
        }
        node->spec.availability = i == 3 ? AVAILABILITY_DRAIN : AVAILABILITY_ACTIVE;
        if (i == 4) {
            node->status.state = NODE_DOWN;
            node->status.message = "heartbeat failure for node in ready state";
        }
        shop_put(shop, KIND_NODE, node, "");
    }
}

static void fill_web(struct shop *shop) {
    struct service *web = shop_service(shop, 1, "shop-web", 3);
    web->spec.image = "reg.local:5000/shop/web:2.5.0";
    web->spec.ports.count = 1;
    web->spec.ports.items = ARENA_NEW(&shop->arena, struct port);
    schema_init(&port_schema, web->spec.ports.items);
    web->spec.ports.items->target = 80;
    web->spec.ports.items->published = 8080;
    web->revision = web->restart_revision = 2;
    web->meta.owner = "file:shop";
    web->meta.origin = "examples/shop.yaml:4";
    web->update_status.state = UPDATE_UPDATING;
    web->update_status.started_unix_ms = shop->now_unix_ms - 30000;
    shop_put(shop, KIND_SERVICE, web, "apply examples/shop.yaml");
    for (int slot = 1; slot <= 3; slot++) {
        struct id node = shop_id('n', slot);
        struct task *task = shop_task(shop, slot, &web->meta.id, slot, &node, TASK_RUNNING);
        task->revision = slot == 3 ? 1 : 2;
        task->cpus_nano = 500000000;
        task->memory_bytes = 256LL << 20;
        shop_put(shop, KIND_TASK, task, "");
    }
}

// A slot that fails again and again.
static void fill_api(struct shop *shop) {
    struct service *api = shop_service(shop, 2, "shop-api", 2);
    api->spec.image = "reg.local:5000/shop/api:1.0";
    shop_put(shop, KIND_SERVICE, api, "apply examples/shop.yaml");
    struct id node = shop_id('n', 2);
    shop_put(shop, KIND_TASK, shop_task(shop, 10, &api->meta.id, 1, &node, TASK_RUNNING), "");
    for (int attempt = 0; attempt < 3; attempt++) {
        shop->now_unix_ms += 5000;
        struct task *task = shop_task(shop, 11 + attempt, &api->meta.id, 2, &node, TASK_FAILED);
        task->attempt = attempt;
        task->status.reason = REASON_EXIT_NONZERO;
        task->status.error = "task: non-zero exit (78): the configuration names no data base: set DB_URL in "
                             "the environment of the "
                             "service, or give the secret db_url";
        task->status.exit.kind = EXIT_CODE;
        task->status.exit.code = 78;
        task->status.exit.time_unix_ms = shop->now_unix_ms;
        shop_put(shop, KIND_TASK, task, "");
    }
}

static void fill_homeless(struct shop *shop) {
    struct service *img = shop_service(shop, 3, "shop-img", 1);
    shop_put(shop, KIND_SERVICE, img, "");
    struct task *task = shop_task(shop, 20, &img->meta.id, 1, NULL, TASK_PENDING);
    task->status.reason = REASON_NO_SUITABLE_NODE;
    task->status.message = "pending task scheduling";
    task->status.error = "no suitable node (insufficient memory on 2 nodes; 1 node not active)";
    static const struct funnel_step steps[] = {{.rule = "ready", .left = 4, .ruled_out = 1},
                                               {.rule = "active", .left = 3, .ruled_out = 1},
                                               {.rule = "memory", .left = 0, .ruled_out = 3}};
    static const char *const nodes[] = {"w4", "w3", "m1: has 1G, w1: has 0.8G, w2: has 0.2G"};
    for (int i = 0; i < 3; i++) {
        struct funnel_step *step = ARENA_PUSH(&shop->arena, &task->funnel);
        *step = steps[i];
        step->reason = "";
        step->nodes.count = 1;
        step->nodes.items = ARENA_ARRAY(&shop->arena, const char *, 1);
        step->nodes.items[0] = nodes[i];
    }
    shop_put(shop, KIND_TASK, task, "");
}

static void fill_others(struct shop *shop) {
    struct service *agent = shop_service(shop, 4, "agent", 1);
    agent->spec.deploy.mode = MODE_GLOBAL;
    shop_put(shop, KIND_SERVICE, agent, "");
    for (int i = 1; i <= 3; i++) {
        struct id node = shop_id('n', i);
        int64_t state = i == 3 ? TASK_STARTING : TASK_RUNNING;
        shop_put(shop, KIND_TASK, shop_task(shop, 30 + i, &agent->meta.id, 0, &node, state), "");
    }
    struct service *wide = shop_service(shop, 5, "データ-e\u0301\u202e", 1);
    wide->spec.deploy.mode = MODE_REPLICATED_JOB;
    shop_put(shop, KIND_SERVICE, wide, "");
    struct id node = shop_id('n', 4);
    struct task *job = shop_task(shop, 40, &wide->meta.id, 1, &node, TASK_COMPLETE);
    job->status.message = "finished";
    shop_put(shop, KIND_TASK, job, "");
    struct service *leaving = shop_service(shop, 6, "old-cache", 1);
    leaving->removing = true;
    shop_put(shop, KIND_SERVICE, leaving, "");
    struct id silent = shop_id('n', 5);
    struct task *task = shop_task(shop, 50, &leaving->meta.id, 1, &silent, TASK_RUNNING);
    task->desired = TASK_REMOVE;
    task->desired_reason = REASON_SERVICE_REMOVED;
    shop_put(shop, KIND_TASK, task, "");
}

void shop_fill(struct shop *shop) {
    shop->is_snapshot = true;
    struct cluster *cluster = shop_object(shop, &cluster_schema, shop_id('c', 1));
    cluster->spec.name = "prod-eu";
    shop_put(shop, KIND_CLUSTER, cluster, "");
    fill_nodes(shop);
    shop->now_unix_ms += 3 * MINUTE_MS;
    fill_web(shop);
    fill_api(shop);
    fill_homeless(shop);
    fill_others(shop);
    shop->is_snapshot = false;
    shop->now_unix_ms += 42 * 1000;
}

void shop_fill_large(struct shop *shop, int64_t tasks) {
    shop->is_snapshot = true;
    for (int64_t i = 1; i <= 100; i++) {
        shop_put(shop, KIND_NODE, shop_node(shop, i, arena_printf(&shop->arena, "w%lld", (long long)i)), "");
    }
    for (int64_t i = 0; i < tasks; i++) {
        struct id service = shop_id('s', i / 10 + 1);
        struct id node = shop_id('n', i % 100 + 1);
        if (i % 10 == 0) {
            const char *name = arena_printf(&shop->arena, "service-%lld", (long long)(i / 10 + 1));
            shop_put(shop, KIND_SERVICE, shop_service(shop, i / 10 + 1, name, 10), "");
        }
        shop_put(shop, KIND_TASK, shop_task(shop, i + 1, &service, i % 10 + 1, &node, TASK_RUNNING), "");
    }
    shop->is_snapshot = false;
}
