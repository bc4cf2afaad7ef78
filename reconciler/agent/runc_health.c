// SPDX-License-Identifier: Apache-2.0
//
// reconciler/agent/runc_health.c — the health check of a container: commands by `runc exec`, connections from
// within its network.
//
// A command runs as the container's first process does: its user, environment, directory, capabilities and
// limits, as Docker has it. A variable marks what it starts, so that what outlives its time is found.
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "reconciler/agent/runc_task.h"

#define MARK "MUSTER_HEALTH_CHECK"

void runc_health_keep(struct runc_task *task, const struct service_spec *spec,
                      const struct image_config *image) {
    struct health_check check;
    arena_free(&task->check_arena);
    task->check = NULL;
    if (health_check_effective(spec->healthcheck, image != NULL ? image->health : NULL, &check)) {
        task->check = health_check_copy(&check, &task->check_arena);
    }
}

static void on_news(void *context, const struct health_news *news) {
    struct runc_task *task = context;
    if (news->state != HEALTH_STARTING) {
        log_event(news->state == HEALTH_UNHEALTHY ? LOG_WARN : LOG_INFO, "task.health",
                  LOG_STR("task", task->id.text), LOG_STR("health", health_state_name(news->state)),
                  LOG_STR("why", news->text));
    }
    runc_tell(task);
}

void runc_health_begin(struct runc_task *task) {
    struct runc_executor *executor = task->executor;
    AUTO_ARENA arena = {0};
    struct error err = {0};
    if (task->check == NULL || task->health != NULL || task->is_stop_asked || task->is_remove_asked) {
        return;
    }
    AUTO_FREE char *runc = runc_find_program(executor->runc_path);
    const char *group = runc_place_path(&executor->place, task->id.text, RUNC_GROUP, "").text;
    const char *mark = arena_printf(&arena, MARK "=%s", task->id.text);
    const char *const prefix[] = {runc != NULL ? runc : executor->runc_path,
                                  "--root",
                                  executor->place.runc_root,
                                  "exec",
                                  "--env",
                                  mark,
                                  task->id.text,
                                  NULL};
    struct health_watch_options options = {
        .pool = &executor->health,
        .check = task->check,
        .prefix = prefix,
        .netns = arena_printf(&arena, "/proc/%lld/ns/net", (long long)task->pid),
        .procs = cgroups_procs(&executor->cgroups, group, &arena),
        .mark = mark,
        .is_adopted = !task->is_start_asked,
        .on_news = on_news,
        .context = task,
    };
    if (health_watch_open(&options, &task->health, &err) < 0) {
        log_failure(LOG_WARN, "task.health", &err, LOG_STR("task", task->id.text));
        task->check = NULL; // an image's that nobody understands
    }
}

void runc_health_end(struct runc_task *task) {
    health_watch_close(task->health);
    task->health = NULL;
    if (task->presence >= PRESENCE_EXITED) {
        task->check = NULL;
        arena_free(&task->check_arena);
    }
}

// One that is being adopted counts as awaited until its shim has told that it runs.
bool runc_health_is_awaited(const struct runc_task *task) {
    if (task->health == NULL) {
        return task->check != NULL && !task->is_stop_asked && !task->is_remove_asked;
    }
    return health_watch_news(task->health).state != HEALTH_HEALTHY;
}
