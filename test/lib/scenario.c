// SPDX-License-Identifier: Apache-2.0
//
// test/lib/scenario.c — the commands of scenario.h, one row each.
#include "test/lib/scenario.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/str.h"
#include "base/units.h"
#include "test/lib/check.h"
#include "test/lib/world.h"

#define WORDS_MAX 24
#define SETTLE_MAX 50

struct run {
    struct world world;
    struct buf out;
    const char *words[WORDS_MAX];
    size_t count;
};

#define PRINT(run, ...) buf_addf(&(run)->out, "= " __VA_ARGS__)

// The value of `key=…` among the words; NULL when absent.
static const char *given(const struct run *run, const char *key) {
    size_t len = strlen(key);
    for (size_t i = 2; i < run->count; i++) {
        if (strncmp(run->words[i], key, len) == 0 && run->words[i][len] == '=') {
            return run->words[i] + len + 1;
        }
    }
    return NULL;
}

static int index_of(const char *word, const char *const *names, int count) {
    for (int i = 0; i < count; i++) {
        if (str_equal(word, names[i])) {
            return i;
        }
    }
    fail_msg("unknown word '%s'", word);
    return 0;
}

static void take_int(const struct run *run, const char *key, int64_t *out) {
    const char *text = given(run, key);
    if (text != NULL && !str_to_int(text, out)) {
        fail_msg("%s is not a number", key);
    }
}

static void take_duration(const struct run *run, const char *key, int64_t *out_ns) {
    const char *text = given(run, key);
    if (text != NULL && !units_parse_duration(text, out_ns)) {
        fail_msg("%s is not a duration", key);
    }
}

static void take_resources(const struct run *run, int64_t *cpus_nano, int64_t *memory_bytes) {
    const char *cpus = given(run, "cpus");
    const char *memory = given(run, "memory");
    if ((cpus != NULL && !units_parse_cpus(cpus, cpus_nano)) ||
        (memory != NULL && !units_parse_bytes(memory, memory_bytes))) {
        fail_msg("cpus or memory cannot be read");
    }
}

// "a,b" → two texts.
static struct strings split(struct run *run, const char *text) {
    struct strings words = {0};
    char *copy = arena_strdup(&run->world.arena, text);
    for (char *save = NULL, *word = strtok_r(copy, ",", &save); word != NULL;
         word = strtok_r(NULL, ",", &save)) {
        *ARENA_PUSH(&run->world.arena, &words) = word;
    }
    return words;
}

// resource=gpu=a,b;ssd=3
static void take_stock(struct run *run, struct node *node) {
    const char *word = given(run, "resource");
    if (word == NULL) {
        return;
    }
    node->description.generic_resources = (struct generic_stocks){0};
    char *copy = arena_strdup(&run->world.arena, word);
    for (char *save = NULL, *one = strtok_r(copy, ";", &save); one != NULL; one = strtok_r(NULL, ";", &save)) {
        assert_int_equal(generic_add(&node->description.generic_resources, one, &run->world.arena, NULL), 0);
    }
}

static void run_node(struct run *run) {
    struct node *node = world_node(&run->world, run->words[1]);
    node = node != NULL ? node : world_add_node(&run->world, run->words[1]);
    take_resources(run, &node->description.cpus_nano, &node->description.memory_bytes);
    take_stock(run, node);
    const char *word;
    if ((word = given(run, "arch")) != NULL) {
        node->description.arch = word;
    }
    node->status.since_unix_ms = run->world.now_unix_ms;
    if ((word = given(run, "state")) != NULL) {
        node->status.state = (enum node_state)index_of(word, node_state_names, 4);
    }
    if ((word = given(run, "availability")) != NULL) {
        node->spec.availability = (enum node_availability)index_of(word, node_availability_names, 3);
    }
    if ((word = given(run, "labels")) != NULL) {
        char *copy = arena_strdup(&run->world.arena, word);
        for (char *save = NULL, *label = strtok_r(copy, ",", &save); label != NULL;
             label = strtok_r(NULL, ",", &save)) {
            char *equal = strchr(label, '=');
            *equal = '\0';
            node->spec.labels = pairs_set(&run->world.arena, &node->spec.labels, label, equal + 1);
        }
    }
}

// reserve=gpu=2,ssd=1 prefer=node.labels.dc,node.labels.rack port=80,81
static void take_claims(struct run *run, struct service_spec *spec) {
    const char *word;
    struct strings words;
    if ((word = given(run, "reserve")) != NULL) {
        struct resource_reservations *reserved = &spec->deploy.resources.reservations;
        words = split(run, word);
        reserved->generic_resources.count = 0;
        reserved->generic_resources.items = NULL;
        for (size_t i = 0; i < words.count; i++) {
            struct generic_resource *resource = ARENA_PUSH(&run->world.arena, &reserved->generic_resources);
            char *equal = strchr(words.items[i], '=');
            assert_true(equal != NULL && str_to_int(equal + 1, &resource->value));
            *equal = '\0';
            resource->kind = words.items[i];
        }
    }
    if ((word = given(run, "prefer")) != NULL) {
        words = split(run, word);
        spec->deploy.placement.preferences.count = 0;
        spec->deploy.placement.preferences.items = NULL;
        for (size_t i = 0; i < words.count; i++) {
            ARENA_PUSH(&run->world.arena, &spec->deploy.placement.preferences)->spread = words.items[i];
        }
    }
    words = (word = given(run, "port")) != NULL ? split(run, word) : (struct strings){0};
    for (size_t i = 0; i < words.count; i++) {
        struct port *port = ARENA_PUSH(&run->world.arena, &spec->ports);
        schema_init(&port_schema, port);
        port->mode = PUBLISH_HOST;
        port->target = 80;
        assert_true(str_to_int(words.items[i], &port->published));
    }
}

static void run_unnode(struct run *run) {
    world_remove_node(&run->world, world_node(&run->world, run->words[1]));
}

static void take_restart(const struct run *run, struct restart_policy *policy) {
    static const char *const conditions[] = {"any", "on-failure", "none"};
    const char *word;
    if ((word = given(run, "restart")) != NULL) {
        policy->condition = (enum restart_condition)index_of(word, conditions, 3);
    }
    if ((word = given(run, "factor")) != NULL && !str_to_double(word, &policy->backoff.factor)) {
        fail_msg("factor is not a number");
    }
    take_duration(run, "delay", &policy->delay_ns);
    take_duration(run, "window", &policy->window_ns);
    take_duration(run, "longest", &policy->backoff.max_delay_ns);
    take_int(run, "attempts", &policy->max_attempts);
}

static void take_dependencies(struct run *run, struct service_spec *spec) {
    const char *word = given(run, "depends");
    char *copy = arena_strdup(&run->world.arena, word != NULL ? word : "");
    for (char *save = NULL, *one = strtok_r(copy, ",", &save); one != NULL; one = strtok_r(NULL, ",", &save)) {
        char *colon = strchr(one, ':');
        struct dependency *dependency = ARENA_PUSH(&run->world.arena, &spec->depends_on);
        *dependency = (struct dependency){.condition = "service_started", .required = true};
        if (colon != NULL) {
            *colon = '\0';
            dependency->condition = colon + 1;
        }
        dependency->name = one;
    }
}

static void take_policy(const struct run *run, const char *prefix, struct update_config *policy) {
    static const char *const orders[] = {"stop-first", "start-first"};
    static const char *const actions[] = {"pause", "continue", "rollback"};
    const char *word;
    char key[7][32];
    static const char *const names[] = {"order", "action",  "ratio",   "parallelism",
                                        "rest",  "monitor", "deadline"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(key[i], sizeof key[i], "%s%s", prefix, names[i]);
    }
    if ((word = given(run, key[0])) != NULL) {
        policy->order = (enum update_order)index_of(word, orders, 2);
    }
    if ((word = given(run, key[1])) != NULL) {
        policy->failure_action = (enum failure_action)index_of(word, actions, 3);
    }
    if ((word = given(run, key[2])) != NULL && !str_to_double(word, &policy->max_failure_ratio)) {
        fail_msg("ratio is not a number");
    }
    take_int(run, key[3], &policy->parallelism);
    take_duration(run, key[4], &policy->delay_ns);
    take_duration(run, key[5], &policy->monitor_ns);
    take_duration(run, key[6], &policy->progress_deadline_ns);
}

// Blanks of the expression are written as "_".
static const char *take_cron(const struct run *run) {
    struct arena *arena = (struct arena *)(uintptr_t)&run->world.arena;
    char *copy = given(run, "cron") != NULL ? arena_strdup(arena, given(run, "cron")) : NULL;
    for (char *p = copy; p != NULL && *p != '\0'; p++) {
        *p = *p == '_' ? ' ' : *p;
    }
    return copy;
}

static void take_schedule(struct run *run, struct deploy *deploy) {
    static const char *const overlaps[] = {"forbid", "replace"};
    static const char *const misseds[] = {"run-once", "skip"};
    struct schedule *schedule = ARENA_NEW(&run->world.arena, struct schedule);
    const char *cron = take_cron(run);
    const char *word;
    if (cron == NULL && deploy->schedule == NULL) {
        return;
    }
    schema_init(&schedule_schema, schedule);
    *schedule = deploy->schedule != NULL ? *deploy->schedule : *schedule;
    schedule->cron = cron != NULL ? cron : schedule->cron;
    if ((word = given(run, "overlap")) != NULL) {
        schedule->overlap = (enum schedule_overlap)index_of(word, overlaps, 2);
    }
    if ((word = given(run, "missed")) != NULL) {
        schedule->missed = (enum schedule_missed)index_of(word, misseds, 2);
    }
    if ((word = given(run, "suspend")) != NULL) {
        schedule->suspend = str_equal(word, "true");
    }
    take_int(run, "good", &schedule->successful_history);
    take_int(run, "bad", &schedule->failed_history);
    take_duration(run, "late", &schedule->deadline_ns);
    deploy->schedule = schedule;
}

static void run_service(struct run *run) {
    struct service *old = world_service(&run->world, run->words[1]);
    struct service_spec spec;
    if (old != NULL) {
        spec = old->spec;
    } else {
        schema_init(&service_spec_schema, &spec);
    }
    spec.name = run->words[1];
    const char *word;
    if ((word = given(run, "image")) != NULL) {
        spec.image = word;
    }
    if ((word = given(run, "platform")) != NULL) {
        spec.platform = word;
    }
    if ((word = given(run, "mode")) != NULL) {
        spec.deploy.mode = (enum service_mode)index_of(word, service_mode_names, 4);
    }
    take_policy(run, "", &spec.deploy.update_config);
    take_policy(run, "back.", &spec.deploy.rollback_config);
    if (given(run, "ports") != NULL) {
        struct port *port = ARENA_PUSH(&run->world.arena, &spec.ports);
        schema_init(&port_schema, port);
        port->mode = PUBLISH_HOST;
        port->target = port->published = 80;
    }
    if ((word = given(run, "constraint")) != NULL) {
        const char **items = ARENA_ARRAY(&run->world.arena, const char *, 1);
        items[0] = word;
        spec.deploy.placement.constraints = (struct strings){1, items};
    }
    take_int(run, "replicas", &spec.deploy.replicas);
    take_schedule(run, &spec.deploy);
    take_int(run, "at_once", &spec.deploy.max_concurrent);
    take_int(run, "force", &spec.force_update);
    take_int(run, "max", &spec.deploy.placement.max_replicas_per_node);
    take_resources(run, &spec.deploy.resources.reservations.cpus_nano,
                   &spec.deploy.resources.reservations.memory_bytes);
    take_restart(run, &spec.deploy.restart_policy);
    take_dependencies(run, &spec);
    take_claims(run, &spec);
    spec.deploy.rebalance.on_join = given(run, "join") != NULL || spec.deploy.rebalance.on_join;
    take_int(run, "moves", &spec.deploy.rebalance.max_moves);
    take_int(run, "parallel", &spec.deploy.update_config.parallelism);
    take_duration(run, "cool", &spec.deploy.rebalance.cool_down_ns);
    world_put_service(&run->world, &spec);
}

static void run_rollback(struct run *run) {
    struct service *service = world_service(&run->world, run->words[1]);
    int64_t revision = service->revision - 1;
    assert_true(run->count < 3 || str_to_int(run->words[2], &revision));
    assert_true(world_roll_back(&run->world, service, revision));
}

static void run_pause(struct run *run) {
    world_pause(&run->world, world_service(&run->world, run->words[1]), str_equal(run->words[0], "pause"));
}

static void run_remove(struct run *run) {
    world_service(&run->world, run->words[1])->removing = true;
}

static void run_history(struct run *run) {
    assert_true(str_to_int(run->words[1], &run->world.cluster.spec.task_history_limit));
}

// --- what is printed ---

static const char *node_name(const struct world *world, const struct id *id) {
    for (size_t i = 0; i < world->nodes.count; i++) {
        if (id_equal(&world->nodes.items[i]->meta.id, id)) {
            return world->nodes.items[i]->spec.name;
        }
    }
    return id_is_none(id) ? "-" : "gone";
}

static const char *name_of(struct world *world, const struct task *task) {
    const char *name = "?";
    for (size_t i = 0; i < world->services.count; i++) {
        if (id_equal(&world->services.items[i]->meta.id, &task->service_id)) {
            name = world->services.items[i]->spec.name;
        }
    }
    return task->slot > 0 ? arena_printf(&world->arena, "%s.%lld", name, (long long)task->slot)
                          : arena_printf(&world->arena, "%s.%s", name, node_name(world, &task->node_id));
}

static void print_task(struct run *run, const char *verb, const struct task *task) {
    PRINT(run, "%s%s %s/%s on %s r%lld", verb, name_of(&run->world, task),
          task_state_name(task->status.state), task_state_name(task->desired),
          node_name(&run->world, &task->node_id), (long long)task->revision);
    if (task->job_iteration > 0) {
        buf_addf(&run->out, " run %lld", (long long)task->job_iteration);
    }
    if (task->attempt > 0) {
        buf_addf(&run->out, " attempt %lld", (long long)task->attempt);
    }
    for (size_t i = 0; i < task->generic_resources.count && task->status.state >= TASK_ASSIGNED; i++) {
        buf_adds(&run->out, " with ");
        generic_write(&task->generic_resources.items[i], &run->out);
    }
    if (task->start_after_unix_ms > run->world.now_unix_ms) {
        char delay[32];
        buf_addf(&run->out, " in %s",
                 units_format_duration((task->start_after_unix_ms - run->world.now_unix_ms) * 1000000, delay,
                                       sizeof delay));
    }
}

static void print_rollout(struct run *run, const char *verb, const struct rollout *rollout) {
    PRINT(run, "%srollout %lld r%lld>r%lld %s, batch %lld/%lld, %lld/%lld done, %lld/%lld failed (%s)", verb,
          (long long)rollout->number, (long long)rollout->from_revision, (long long)rollout->to_revision,
          update_state_names[rollout->state], (long long)rollout->batch, (long long)rollout->batches,
          (long long)rollout->slots_updated, (long long)rollout->slots_total,
          (long long)rollout->failures_used, (long long)rollout->failures_allowed, rollout->message);
}

static const struct task *task_of(const struct world *world, const struct id *id) {
    for (size_t i = 0; i < world->tasks.count; i++) {
        if (id_equal(&world->tasks.items[i]->meta.id, id)) {
            return world->tasks.items[i];
        }
    }
    return NULL;
}

static bool is_cronjob(const struct service *service) {
    return service != NULL && service->spec.deploy.schedule != NULL;
}

static void print_schedule(struct run *run, const struct service *service) {
    char at[32];
    buf_addf(&run->out, " run %lld, next %s", (long long)service->job_iteration,
             service->next_run_unix_ms > 0 ? clock_format_rfc3339(service->next_run_unix_ms, at, sizeof at)
                                           : "never");
}

static void print_change(struct run *run, const struct plan_change *change) {
    static const char *const verbs[] = {"create ", "update ", "delete "};
    if (change->kind == KIND_TASK) {
        const struct task *task = change->object != NULL ? change->object : task_of(&run->world, &change->id);
        print_task(run, verbs[change->op], task);
    } else if (change->kind == KIND_ROLLOUT && change->object != NULL) {
        print_rollout(run, verbs[change->op], change->object);
    } else if (change->kind == KIND_SERVICE && is_cronjob(change->object)) {
        PRINT(run, "%sservice", verbs[change->op]);
        print_schedule(run, change->object);
    } else if (change->kind == KIND_SERVICE && change->object != NULL) {
        const struct service *service = change->object;
        PRINT(run, "%sservice r%lld %s", verbs[change->op], (long long)service->revision,
              update_state_names[service->update_status.state]);
    } else {
        PRINT(run, "%s%s", verbs[change->op], object_kind_name(change->kind));
    }
    buf_addf(&run->out, ": %s\n", change->why);
}

static size_t step(struct run *run) {
    AUTO_ARENA arena = {0};
    struct view view;
    struct plan plan;
    world_view(&run->world, NULL, &arena, &view);
    world_plan(&view, run->world.prng, &arena, &plan);
    prng_seed(&run->world.prng, prng_next(&run->world.prng)); // ids never repeat
    for (size_t i = 0; i < plan.changes.count; i++) {
        print_change(run, &plan.changes.items[i]);
    }
    world_commit(&run->world, &plan);
    if (plan.wake_unix_ms != 0) {
        char delay[32];
        PRINT(run, "again in %s\n",
              units_format_duration((plan.wake_unix_ms - run->world.now_unix_ms) * 1000000, delay,
                                    sizeof delay));
    }
    return plan.changes.count;
}

static void run_step(struct run *run) {
    if (step(run) == 0) {
        PRINT(run, "no changes\n");
    }
}

static void run_agents(struct run *run) {
    world_run_agents(&run->world);
}

static void run_settle(struct run *run) {
    for (int i = 0; i < SETTLE_MAX; i++) {
        int64_t before = run->world.revision;
        size_t changes = step(run);
        world_run_agents(&run->world);
        if (changes == 0 && run->world.revision == before + 1) {
            return;
        }
    }
    PRINT(run, "does not settle\n");
}

// "web.3", or "web.3@n1" for the one on that node.
static bool is_meant(struct world *world, const struct task *task, const char *word) {
    const char *at = strchr(word, '@');
    const char *name = at != NULL ? arena_strndup(&world->arena, word, (size_t)(at - word)) : word;
    return str_equal(name_of(world, task), name) &&
           (at == NULL || str_equal(node_name(world, &task->node_id), at + 1));
}

static void run_report(struct run *run) {
    for (size_t i = run->world.tasks.count; i > 0; i--) { // those made last first
        struct task *task = run->world.tasks.items[i - 1];
        if (task_state_is_over(task->status.state) || !is_meant(&run->world, task, run->words[1])) {
            continue;
        }
        int64_t state;
        assert_true(task_state_parse(run->words[2], &state));
        bool is_exit = run->count > 3 && str_equal(run->words[3], "exit");
        if (is_exit) {
            task->status.exit = (struct task_exit){.kind = EXIT_CODE, .code = 1};
        }
        world_report(&run->world, task, state, is_exit ? REASON_EXIT_NONZERO : REASON_NONE);
        return;
    }
    fail_msg("no task '%s'", run->words[1]);
}

static void run_clock(struct run *run) {
    int64_t ns;
    bool is_back = run->words[1][0] == '-'; // it is set
    assert_true(units_parse_duration(run->words[1] + is_back, &ns));
    run->world.now_unix_ms += (is_back ? -ns : ns) / 1000000;
}

static void run_tasks(struct run *run) {
    AUTO_ARENA arena = {0};
    struct view view;
    world_view(&run->world, NULL, &arena, &view);
    for (size_t i = 0; i < view.tasks.count; i++) {
        const struct task *task = view.tasks.items[i];
        print_task(run, "", task);
        buf_addf(&run->out, "%s%s%s%s\n", task->desired_reason != 0 ? " (" : "",
                 task_reason_text(task->desired_reason), task->desired_reason != 0 ? ")" : "",
                 task->status.error[0] != '\0' ? arena_printf(&arena, ": %s", task->status.error) : "");
    }
}

static void run_rollouts(struct run *run) {
    AUTO_ARENA arena = {0};
    struct view view;
    const struct rollout *const *rollouts;
    const struct service *service = world_service(&run->world, run->words[1]);
    world_view(&run->world, NULL, &arena, &view);
    size_t count = view_rollouts_of(&view, &service->meta.id, &rollouts);
    for (size_t i = 0; i < count; i++) {
        print_rollout(run, "", rollouts[i]);
        buf_addc(&run->out, '\n');
    }
    PRINT(run, "service r%lld %s: %s\n", (long long)service->revision,
          update_state_names[service->update_status.state], service->update_status.message);
}

static void print_remedies(struct run *run, const struct view *view, const struct service *service) {
    struct remedies remedies;
    schedule_remedies(view, service, &service->spec, NULL, &run->world.arena, &remedies);
    for (size_t i = 0; i < remedies.count; i++) {
        const struct remedy *remedy = &remedies.items[i];
        PRINT(run, "would run if %s", remedy->of_service ? "the service" : "");
        for (size_t j = 0; j < remedy->nodes.count && !remedy->of_service; j++) {
            buf_addf(&run->out, "%s%s", j > 0 ? " or " : "", remedy->nodes.items[j]);
        }
        buf_addf(&run->out, " %s\n", remedy->change);
    }
}

static void run_why(struct run *run) {
    AUTO_ARENA arena = {0};
    struct view view;
    struct funnel funnel;
    struct strings left;
    world_view(&run->world, NULL, &arena, &view);
    const struct service *service = world_service(&run->world, run->words[1]);
    schedule_explain(&view, service, &service->spec, &arena, &funnel, &left);
    for (size_t i = 0; i < funnel.count; i++) {
        const struct funnel_step *at = &funnel.items[i];
        PRINT(run, "%s: %lld left", at->rule, (long long)at->left);
        for (size_t j = 0; j < at->nodes.count; j++) {
            buf_addf(&run->out, "%s%s", j == 0 ? ", not " : ", ", at->nodes.items[j]);
        }
        buf_addc(&run->out, '\n');
    }
    PRINT(run, "%zu nodes pass\n", left.count);
    if (left.count == 0) {
        print_remedies(run, &view, service);
    }
}

static void run_moves(struct run *run) {
    AUTO_ARENA arena = {0};
    struct view view;
    struct moves moves;
    const char *obstacle;
    world_view(&run->world, NULL, &arena, &view);
    rebalance_plan(&view, world_service(&run->world, run->words[1]), &arena, &moves, &obstacle);
    for (size_t i = 0; i < moves.count; i++) {
        const struct move *move = &moves.items[i];
        PRINT(run, "%s from %s to %s: %s\n", name_of(&run->world, move->task), move->from->spec.name,
              move->to->spec.name, move->why);
    }
    if (moves.count == 0) {
        PRINT(run, "no moves%s%s\n", obstacle != NULL ? ": " : "", obstacle != NULL ? obstacle : "");
    }
}

static void run_ask(struct run *run) {
    world_service(&run->world, run->words[1])->rebalance_asked_unix_ms = run->world.now_unix_ms;
}

// --- running ---

static const struct {
    const char *name;
    void (*run)(struct run *run);
} commands[] = {
    {"node", run_node},         {"unnode", run_unnode}, {"service", run_service}, {"remove", run_remove},
    {"history", run_history},   {"step", run_step},     {"agents", run_agents},   {"settle", run_settle},
    {"report", run_report},     {"clock", run_clock},   {"tasks", run_tasks},     {"why", run_why},
    {"rollback", run_rollback}, {"pause", run_pause},   {"resume", run_pause},    {"rollouts", run_rollouts},
    {"moves", run_moves},     {"ask", run_ask},
};

static void run_command(struct run *run, const char *line) {
    char *copy = arena_strdup(&run->world.arena, line);
    run->count = 0;
    for (char *save = NULL, *word = strtok_r(copy, " ", &save); word != NULL && run->count < WORDS_MAX;
         word = strtok_r(NULL, " ", &save)) {
        run->words[run->count++] = word;
    }
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        if (str_equal(commands[i].name, run->words[0])) {
            commands[i].run(run);
            return;
        }
    }
    fail_msg("unknown command '%s'", line);
}

static void run_all(struct run *run, const char *text) {
    for (const char *line = text; *line != '\0';) {
        size_t len = strcspn(line, "\n");
        const char *copy = arena_strndup(&run->world.arena, line, len);
        line += len + (line[len] == '\n');
        if (str_starts(copy, "=")) {
            continue;
        }
        buf_addf(&run->out, "%s\n", copy);
        if (copy[0] != '\0' && copy[0] != '#') {
            run_command(run, copy);
        }
        if (run->world.broken != NULL) {
            fail_msg("after '%s': %s", copy, run->world.broken);
        }
    }
}

void scenario_check(const char *name) {
    char path[256];
    snprintf(path, sizeof path, "test/golden/plan/%s.txt", name);
    AUTO_BUF expected = buf_make(0);
    if (fs_read(AT_FDCWD, path, (size_t)1 << 20, &expected, NULL) != 0) {
        fail_msg("cannot read %s", path);
    }
    struct run run = {.out = buf_make(0)};
    world_init(&run.world, 1);
    run_all(&run, buf_text(&expected));
    if (getenv("UPDATE_GOLDEN") != NULL) {
        FILE *file = fopen(path, "w");
        assert_non_null(file);
        fputs(buf_text(&run.out), file);
        fclose(file);
    } else if (strcmp(buf_text(&run.out), buf_text(&expected)) != 0) {
        print_message("%s now gives:\n%s", path, buf_text(&run.out));
        fail_msg("%s differs", path);
    }
    buf_free(&run.out);
    world_free(&run.world);
}
