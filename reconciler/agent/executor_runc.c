// SPDX-License-Identifier: Apache-2.0
//
// reconciler/agent/executor_runc.c — runs tasks as containers: image, root file system, bundle, shim, runc.
//
// Model        A task goes one way: its image is got ready (image_store), then it waits for a slot, its
//              files are made on a thread (runc_work.c), a shim creates the container (supervisor) -
//              prepared. Started, it waits for a slot once more - running. Whatever its end is, what
//              running needed is undone on a thread; its log and its exit stay until it is removed. Calls
//              only record what is wanted and push the first step; what a repeated call would hear is told
//              from an idle handle.
// Invariants   (1) One piece of work a task at a time; nothing else touches its files meanwhile. (2) A slot
//              is held only while runc is at work, so parallel_max bounds what runs at once, and nothing
//              that waits for a registry holds one. (3) What cannot be undone yet is tried again, for ever.
// Recovery     runc_recover.c.
#include "reconciler/agent/executor.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "reconciler/agent/content_files.h"
#include "reconciler/agent/rootfs.h"
#include "reconciler/agent/runc_task.h"

#define RUNC_TIMEOUT_MS 30000
#define NO_SPACE_RETRY_MS 2000
#define UNDO_RETRY_MIN_MS 20 // processes need a moment to die
#define UNDO_RETRY_MAX_MS 5000

static struct runc_executor *of(struct executor *executor) {
    return (struct runc_executor *)(void *)executor;
}

// --- telling ---

static void give(struct runc_task *task, struct executor_event event) {
    struct executor *executor = &task->executor->base;
    event.task_id = task->id;
    event.message = event.message == NULL ? "" : event.message;
    event.time_unix_ms = event.time_unix_ms > 0 ? event.time_unix_ms : clock_unix_ms();
    executor->on_event(executor->context, &event);
}

static void tell_running(struct runc_task *task) {
    struct executor_event event = {.kind = EXECUTOR_RUNNING, .pid = task->pid};
    if (task->health != NULL) {
        struct health_news news = health_watch_news(task->health);
        event.health = news.state;
        event.health_results = news.results;
        event.message = news.text;
    }
    give(task, event);
}

static void tell(struct runc_task *task) {
    switch (task->presence) {
    case PRESENCE_PREPARING:
    case PRESENCE_LOST:
        return;
    case PRESENCE_PREPARED:
        give(task, (struct executor_event){.kind = EXECUTOR_PREPARED});
        return;
    case PRESENCE_STARTING: // only in a list
    case PRESENCE_RUNNING:
        tell_running(task);
        return;
    case PRESENCE_EXITED:
        give(task, (struct executor_event){.kind = EXECUTOR_EXITED,
                                           .time_unix_ms = task->end_unix_ms,
                                           .exit = task->exit,
                                           .reason = task->reason});
        return;
    case PRESENCE_FAILED:
        give(task, (struct executor_event){.kind = EXECUTOR_FAILED,
                                           .time_unix_ms = task->end_unix_ms,
                                           .class_ = task->class_,
                                           .reason = task->reason,
                                           .message = task->message});
        return;
    }
}

static void on_idle(uv_idle_t *idle);

static void ask(struct runc_task *task) {
    struct runc_executor *executor = task->executor;
    if (!list_is_linked(&task->asked)) {
        list_append(&executor->asked, &task->asked);
        uv_idle_start(executor->idle, on_idle);
    }
}

// --- tasks ---

struct runc_task *runc_task_get(const struct runc_executor *executor, const struct id *id) {
    return map_get(&executor->tasks, id->text);
}

struct runc_task *runc_task_add(struct runc_executor *executor, const struct id *id) {
    struct runc_task *task = NEW(struct runc_task);
    task->id = *id;
    task->executor = executor;
    task->stop_signal = SIGTERM;
    map_put(&executor->tasks, task->id.text, task);
    return task;
}

static bool is_over(const struct runc_task *task) {
    return task->presence == PRESENCE_EXITED || task->presence == PRESENCE_FAILED;
}

static void on_timer_closed(uv_handle_t *handle) {
    xfree(handle);
}

static void stop_timer(struct runc_task *task) {
    if (task->timer != NULL) {
        uv_close((uv_handle_t *)task->timer, on_timer_closed);
        task->timer = NULL;
    }
}

static void start_timer(struct runc_task *task, uv_timer_cb on_time, int64_t after_ms) {
    stop_timer(task);
    task->timer = NEW(uv_timer_t);
    uv_timer_init(task->executor->loop, task->timer);
    task->timer->data = task;
    uv_timer_start(task->timer, on_time, (uint64_t)(after_ms > 0 ? after_ms : 0), 0);
}

static void pump(struct runc_executor *executor);

static void give_slot_back(struct runc_task *task) {
    bool had_any = task->has_slot || task->has_make;
    task->executor->slots_free += task->has_slot;
    task->executor->makes_free += task->has_make;
    task->has_slot = task->has_make = false;
    if (had_any) {
        pump(task->executor);
    }
}

static void forget_details(struct runc_task *task) {
    ASSERT(task->work != RUNC_WORK_MAKE);
    task->assignment = NULL;
    task->image = NULL;
    shelf_items_leave(&task->contents);
    arena_free(&task->arena);
}

static void leave_lists(struct runc_task *task) {
    if (list_is_linked(&task->waiting)) {
        list_remove(&task->waiting);
    }
    if (list_is_linked(&task->asked)) {
        list_remove(&task->asked);
    }
}

static void task_free(struct runc_task *task) {
    stop_timer(task);
    runc_health_end(task);
    arena_free(&task->check_arena);
    supervisor_close(task->supervisor);
    leave_lists(task);
    map_remove(&task->executor->tasks, task->id.text);
    xfree(task->message);
    if (task->work != RUNC_WORK_NONE) {
        task->is_freed = true; // when the work is done
        return;
    }
    shelf_items_leave(&task->contents);
    arena_free(&task->arena);
    xfree(task);
}

// --- the end of a task ---

static void begin_undo(struct runc_task *task, enum runc_work work) {
    if (task->work == RUNC_WORK_NONE) {
        runc_work_undo(task, work);
    }
}

static void task_end(struct runc_task *task, enum executor_presence presence, int64_t time_unix_ms) {
    stop_timer(task);
    supervisor_close(task->supervisor);
    task->supervisor = NULL;
    task->presence = presence;
    runc_health_end(task);
    task->end_unix_ms = time_unix_ms > 0 ? time_unix_ms : clock_unix_ms();
    task->pid = 0;
    if (list_is_linked(&task->waiting)) {
        list_remove(&task->waiting);
    }
    give_slot_back(task);
    if (task->work != RUNC_WORK_MAKE) {
        forget_details(task);
        begin_undo(task, task->is_remove_asked ? RUNC_WORK_REMOVE : RUNC_WORK_END);
    }
}

static void task_fail(struct runc_task *task, enum executor_class class_, int64_t reason, const char *message,
                      int64_t time_unix_ms) {
    char *copy = xstrdup(message);
    xfree(task->message);
    task->message = copy;
    task->class_ = class_;
    task->reason = reason;
    task_end(task, PRESENCE_FAILED, time_unix_ms);
}

// Never ran: nothing to be told of an exit.
static void give_up(struct runc_task *task) {
    task->exit = (struct task_exit){.kind = EXIT_NONE, .time_unix_ms = clock_unix_ms()};
    task_end(task, PRESENCE_EXITED, 0);
}

static void end_lost(struct runc_task *task, int64_t reason) {
    task->reason = reason;
    task->exit = (struct task_exit){.kind = EXIT_UNKNOWN, .time_unix_ms = clock_unix_ms()};
    task->is_told_at_end = true; // its processes may be running still
    task_end(task, PRESENCE_EXITED, 0);
}

static void on_undo_again(uv_timer_t *timer) {
    struct runc_task *task = timer->data;
    stop_timer(task);
    begin_undo(task, task->is_remove_asked ? RUNC_WORK_REMOVE : RUNC_WORK_END);
}

static void undo_later(struct runc_task *task, int rc, const struct error *err) {
    int64_t after_ms = UNDO_RETRY_MIN_MS << (task->failures < 8 ? task->failures : 8);
    task->failures++;
    if (rc != -ERR_BUSY || task->failures == 8) {
        log_failure(LOG_WARN, "task.undo", err, LOG_STR("task", task->id.text));
    }
    start_timer(task, on_undo_again, after_ms < UNDO_RETRY_MAX_MS ? after_ms : UNDO_RETRY_MAX_MS);
}

static void on_removed(struct runc_task *task) {
    struct executor *executor = &task->executor->base;
    struct executor_event event = {
        .kind = EXECUTOR_REMOVED, .task_id = task->id, .time_unix_ms = clock_unix_ms(), .message = ""};
    image_store_release(task->executor->images, &task->id);
    bool is_asked = task->is_remove_asked;
    task_free(task);
    if (is_asked) {
        executor->on_event(executor->context, &event);
    }
}

void runc_undone(struct runc_task *task, enum runc_work work, int rc, const struct error *err) {
    if (rc < 0) {
        undo_later(task, rc, err);
        return;
    }
    task->failures = 0;
    if (work == RUNC_WORK_REMOVE) {
        on_removed(task);
        return;
    }
    if (TAKE(task->is_told_at_end)) {
        tell(task);
    }
    if (task->is_remove_asked) {
        begin_undo(task, RUNC_WORK_REMOVE);
    }
}

// --- what the shim tells ---

// What runc says, without the words that say only that it is runc; and whom it is to blame.
static void fail_by_words(struct runc_task *task, const struct supervisor_event *event) {
    static const struct {
        const char *part;
        enum executor_class class_;
        int64_t reason;
    } rows[] = {
        {"did not answer within", CLASS_INTERNAL, REASON_RUNTIME_MISSING},
        {"execute /", CLASS_INTERNAL, REASON_RUNTIME_MISSING},
        {"muster-shim was killed by signal", CLASS_FAIL, REASON_SUPERVISOR_LOST}, // its runc may be at work
        {"no space left on device", CLASS_INTERNAL, REASON_NO_SPACE},
        {"No space left on device", CLASS_INTERNAL, REASON_NO_SPACE},
    };
    static const char *const noise[] = {
        "runc create failed: ", "runc start failed: ", "unable to start container process: ",
        "error during container init: "};
    const char *text = event->text;
    for (size_t i = 0; i < sizeof noise / sizeof *noise; i++) {
        text += str_starts(text, noise[i]) ? strlen(noise[i]) : 0;
    }
    enum executor_class class_ = event->was_started ? CLASS_FAIL : CLASS_REJECT;
    int64_t reason = event->was_started ? REASON_START_FAILED : REASON_CREATE_FAILED;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (strstr(text, rows[i].part) != NULL) {
            class_ = rows[i].class_;
            reason = rows[i].reason;
            break;
        }
    }
    task_fail(task, class_, reason, text, event->time_unix_ms);
}

// The container's own mount namespace keeps it: nothing is left to unmount when we are killed, and a thousand
// containers do not make the machine's mount table long, which each new container copies.
static void unmount_root(struct runc_task *task) {
    struct runc_path root = runc_place_path(&task->executor->place, task->id.text, RUNC_RUN, "rootfs");
    struct error err = {0};
    if (rootfs_unmount(root.text, &err) < 0) {
        log_failure(LOG_WARN, "task.unmount", &err, LOG_STR("task", task->id.text));
    }
    struct runc_path contents =
        runc_place_path(&task->executor->place, task->id.text, RUNC_RUN, CONTENT_FILES_NAME);
    if (!task->follows_contents && content_files_unmount(contents.text, &err) < 0) {
        log_failure(LOG_WARN, "task.unmount", &err, LOG_STR("task", task->id.text));
    }
}

static void on_created(struct runc_task *task) {
    if (task->presence != PRESENCE_PREPARING || task->is_old) {
        return;
    }
    task->presence = PRESENCE_PREPARED;
    unmount_root(task);
    forget_details(task);
    give_slot_back(task);
    if (task->is_stop_asked || task->is_remove_asked) {
        supervisor_kill(task->supervisor, SIGKILL);
    } else {
        tell(task);
    }
}

static void on_running(struct runc_task *task, int64_t pid) {
    task->presence = task->presence < PRESENCE_RUNNING ? PRESENCE_RUNNING : task->presence;
    task->pid = pid;
    give_slot_back(task);
    if (!task->is_old) {
        runc_health_begin(task);
        tell(task);
    }
}

void runc_tell(struct runc_task *task) {
    tell(task);
}

static void on_exit(struct runc_task *task, const struct supervisor_event *event) {
    bool was_started = task->presence == PRESENCE_RUNNING;
    int64_t now_unix_ms = event->time_unix_ms > 0 ? event->time_unix_ms : clock_unix_ms();
    task->exit = was_started ? event->exit : (struct task_exit){.kind = EXIT_NONE};
    task->exit.time_unix_ms = now_unix_ms;
    // not for a child of it that was killed
    task->exit.oom = task->exit.oom && task->exit.code == 128 + SIGKILL;
    task->reason = task->exit.oom ? REASON_OUT_OF_MEMORY : REASON_NONE;
    if (event->lost_log_lines > 0) {
        log_event(LOG_WARN, "task.log.lost", LOG_STR("task", task->id.text),
                  LOG_INT("lines", event->lost_log_lines));
    }
    task_end(task, PRESENCE_EXITED, now_unix_ms);
}

void runc_on_supervisor(void *context, const struct supervisor_event *event) {
    struct runc_task *task = context;
    switch (event->kind) {
    case SUPERVISOR_CREATED:
        on_created(task);
        return;
    case SUPERVISOR_RUNNING:
        on_running(task, event->pid);
        return;
    case SUPERVISOR_EXITED:
        on_exit(task, event);
        break;
    case SUPERVISOR_FAILED:
        fail_by_words(task, event);
        break;
    case SUPERVISOR_LOST:
        end_lost(task, REASON_SUPERVISOR_LOST);
        return;
    }
    if (!task->is_remove_asked) {
        tell(task);
    }
}

// --- the way to a container ---

static void fail_and_tell(struct runc_task *task, enum executor_class class_, int64_t reason,
                          const struct error *err) {
    char text[ERROR_ROOT_BYTES + ERROR_FRAMES_MAX * ERROR_FRAME_BYTES];
    task_fail(task, class_, reason, error_text(err, text, sizeof text), 0);
    if (!task->is_remove_asked) {
        ask(task); // we may be inside a call
    }
}

static void want_slot(struct runc_task *task) {
    if (!list_is_linked(&task->waiting) && !task->has_slot) {
        bool is_to_be_made = task->presence == PRESENCE_PREPARING && !task->is_made;
        list_append(is_to_be_made ? &task->executor->waiting : &task->executor->ready, &task->waiting);
        pump(task->executor);
    }
}

static int open_shim(struct runc_task *task, struct error *err) {
    struct runc_executor *executor = task->executor;
    AUTO_FREE char *runc = runc_find_program(executor->runc_path);
    if (runc == NULL) {
        return error_set(err, ERR_NOT_FOUND,
                         "no program '%s' (install the package runc, or name it with --runc)",
                         executor->runc_path);
    }
    AUTO_ARENA arena = {0};
    struct runc_path dir = runc_place_path(&executor->place, task->id.text, RUNC_SHIM, "");
    struct supervisor_options options = {executor->loop, dir.text, runc_work_shim_argv(task, runc, &arena),
                                         runc_on_supervisor, task};
    return supervisor_open(&options, &task->supervisor, err);
}

static void make(struct runc_task *task) {
    struct error err = {0};
    int rc = runc_work_make(task, &err);
    if (rc < 0) {
        fail_and_tell(task, CLASS_INTERNAL, REASON_UNSUPPORTED, &err);
    }
}

static void create(struct runc_task *task) {
    struct error err = {0};
    task->has_make = false;
    task->executor->makes_free++;
    if (open_shim(task, &err) < 0) {
        fail_and_tell(task, CLASS_INTERNAL, REASON_RUNTIME_MISSING, &err);
    }
}

// The next files are made while runc is at work on the last, but not many ahead: each is a mount.
static void pump(struct runc_executor *executor) {
    struct list_node *node;
    while (executor->slots_free > 0 && (node = list_first(&executor->ready)) != NULL) {
        struct runc_task *task = LIST_ENTRY(node, struct runc_task, waiting);
        list_remove(node);
        executor->slots_free--;
        task->has_slot = true;
        if (task->presence == PRESENCE_PREPARING) {
            create(task);
        } else {
            supervisor_start(task->supervisor);
        }
    }
    while (executor->makes_free > 0 && (node = list_first(&executor->waiting)) != NULL) {
        struct runc_task *task = LIST_ENTRY(node, struct runc_task, waiting);
        list_remove(node);
        executor->makes_free--;
        task->has_make = true;
        make(task);
    }
}

static void on_space_again(uv_timer_t *timer) {
    struct runc_task *task = timer->data;
    stop_timer(task);
    task->is_half_made = true;
    want_slot(task);
}

static void wait_for_space(struct runc_task *task, const struct error *err) {
    char text[ERROR_ROOT_BYTES + ERROR_FRAMES_MAX * ERROR_FRAME_BYTES];
    give_slot_back(task);
    start_timer(task, on_space_again, NO_SPACE_RETRY_MS);
    give(task, (struct executor_event){.kind = EXECUTOR_PROGRESS,
                                       .reason = REASON_NO_SPACE,
                                       .message = error_text(err, text, sizeof text)});
}

void runc_made(struct runc_task *task, int rc, int64_t reason, const struct error *err) {
    if (task->is_stop_asked || task->is_remove_asked) {
        give_up(task);
        if (!task->is_remove_asked) {
            tell(task);
        }
        return;
    }
    if (rc == -ERR_NO_SPACE) {
        wait_for_space(task, err);
    } else if (rc < 0) {
        fail_and_tell(task, rc == -ERR_SYSTEM ? CLASS_INTERNAL : CLASS_REJECT, reason, err);
    } else {
        task->is_made = true;
        want_slot(task);
    }
}

// --- prepare ---

static void on_image_progress(void *context, int64_t reason, const char *message) {
    give(context, (struct executor_event){.kind = EXECUTOR_PROGRESS, .reason = reason, .message = message});
}

static const struct image *copy_image(const struct image *image, struct arena *arena) {
    struct image *copy = arena_copy(arena, image, sizeof *image);
    struct strings *const lists[] = {&copy->layers, &copy->config.entrypoint, &copy->config.command,
                                     &copy->config.volumes};
    struct pairs *environment = &copy->config.environment;
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        lists[i]->items = arena_copy(arena, lists[i]->items, lists[i]->count * sizeof *lists[i]->items);
        for (size_t j = 0; j < lists[i]->count; j++) {
            lists[i]->items[j] = arena_strdup(arena, lists[i]->items[j]);
        }
    }
    environment->items =
        arena_copy(arena, environment->items, environment->count * sizeof *environment->items);
    for (size_t i = 0; i < environment->count; i++) {
        environment->items[i].key = arena_strdup(arena, environment->items[i].key);
        environment->items[i].value = arena_strdup(arena, environment->items[i].value);
    }
    copy->config.user = arena_strdup(arena, image->config.user);
    copy->config.working_dir = arena_strdup(arena, image->config.working_dir);
    copy->config.stop_signal = arena_strdup(arena, image->config.stop_signal);
    copy->config.labels = (struct pairs){0};
    copy->config.health = health_check_copy(image->config.health, arena);
    copy->reference = copy->digest = copy->os = copy->arch = ""; // of no use here
    return copy;
}

static void on_image(void *context, const struct image_result *result) {
    struct runc_task *task = context;
    if (is_over(task)) {
        return;
    }
    if (result->code < 0) {
        task_fail(task, CLASS_REJECT, result->reason, result->message, 0);
        tell(task);
        return;
    }
    task->image = copy_image(result->image, &task->arena);
    task->stop_signal = bundle_stop_signal(&task->assignment->spec, &task->image->config);
    runc_health_keep(task, &task->assignment->spec, &task->image->config);
    want_slot(task);
}

static void runc_prepare(struct executor *base, const struct assignment *assignment) {
    struct runc_executor *executor = of(base);
    const struct id *id = &assignment->task.meta.id;
    struct runc_task *task = runc_task_get(executor, id);
    task = task != NULL ? task : runc_task_add(executor, id);
    if (task->presence != PRESENCE_PREPARING || task->assignment != NULL || task->supervisor != NULL ||
        task->is_remove_asked) {
        ask(task);
        return;
    }
    task->assignment = schema_copy(&assignment_schema, assignment, &task->arena);
    task->follows_contents = content_files_follow(assignment);
    task->contents = shelf_use_all(base->shelf, assignment);
    image_store_ensure(executor->images,
                       &(struct image_request){.user = *id,
                                               .reference = task->assignment->spec.image,
                                               .pull_policy = task->assignment->spec.pull_policy,
                                               .insecure_registries = task->assignment->insecure_registries,
                                               .on_progress = on_image_progress,
                                               .on_done = on_image,
                                               .context = task});
}

// What lies in memory is written at once.
static void runc_refresh(struct executor *base, const struct assignment *assignment) {
    struct runc_executor *executor = of(base);
    struct runc_task *task = runc_task_get(executor, &assignment->task.meta.id);
    struct error err = {0};
    int number = 0;
    if (task == NULL || task->supervisor == NULL || task->assignment != NULL || is_over(task) ||
        task->presence < PRESENCE_PREPARED) {
        return; // it is being made, or nothing of it is left
    }
    struct runc_path directory =
        runc_place_path(&executor->place, task->id.text, RUNC_RUN, CONTENT_FILES_NAME);
    struct shelf_items items = shelf_use_all(executor->base.shelf, assignment);
    const struct content_order order = {assignment, &items, directory.text, /*is_plain=*/false};
    if (content_files_refresh(&order, &number, &err) < 0) {
        log_failure(LOG_WARN, "task.refresh", &err, LOG_STR("task", task->id.text));
    } else if (number != 0 && task->presence == PRESENCE_RUNNING) {
        supervisor_kill(task->supervisor, number);
    }
    shelf_items_leave(&items);
}

// --- start, stop, remove ---

static void runc_start(struct executor *base, const struct id *task_id) {
    struct runc_task *task = runc_task_get(of(base), task_id);
    if (task == NULL) {
        return; // only what was prepared can be started
    }
    if (task->presence != PRESENCE_PREPARED) {
        ask(task);
    } else if (!task->is_start_asked && !task->is_stop_asked && !task->is_remove_asked) {
        task->is_start_asked = true;
        want_slot(task);
    }
}

static void on_grace(uv_timer_t *timer) {
    struct runc_task *task = timer->data;
    stop_timer(task);
    if (task->supervisor != NULL) {
        supervisor_kill(task->supervisor, SIGKILL);
    }
}

static void begin_grace(struct runc_task *task, int64_t grace_ms) {
    int64_t kill_at_ms = clock_mono_ms() + grace_ms;
    if (task->timer == NULL || kill_at_ms < task->kill_at_ms) {
        task->kill_at_ms = kill_at_ms;
        start_timer(task, on_grace, grace_ms);
    }
}

static struct runc_task *task_or_phantom(struct runc_executor *executor, const struct id *id) {
    struct runc_task *task = runc_task_get(executor, id);
    return task != NULL ? task : runc_task_add(executor, id);
}

// Ends what has no shim that could end it. True when the task is (being) ended.
static bool end_without_shim(struct runc_task *task) {
    if (task->presence == PRESENCE_LOST) {
        end_lost(task, task->reason != REASON_NONE ? task->reason : REASON_SUPERVISOR_LOST);
    } else if (task->presence == PRESENCE_PREPARING && task->supervisor == NULL &&
               task->work == RUNC_WORK_NONE) {
        image_store_release(task->executor->images, &task->id);
        give_up(task);
    }
    return is_over(task);
}

static void runc_stop(struct executor *base, const struct id *task_id, int number, int64_t grace_ms) {
    struct runc_task *task = task_or_phantom(of(base), task_id);
    if (end_without_shim(task)) {
        if (!task->is_told_at_end) {
            ask(task);
        }
        return;
    }
    bool is_first = !task->is_stop_asked;
    task->is_stop_asked = true;
    runc_health_end(task);
    if (task->presence == PRESENCE_PREPARING) {
        return; // runc_made or on_created go on with it
    }
    if (is_first) {
        supervisor_kill(task->supervisor, number > 0 ? number : task->stop_signal);
    }
    begin_grace(task, grace_ms);
}

static void runc_remove(struct executor *base, const struct id *task_id) {
    struct runc_task *task = task_or_phantom(of(base), task_id);
    bool was_over = is_over(task);
    task->is_remove_asked = true;
    task->is_told_at_end = false;
    if (was_over) {
        stop_timer(task);
        begin_undo(task, RUNC_WORK_REMOVE); // or runc_undone goes on with it
    } else if (!end_without_shim(task) && task->presence != PRESENCE_PREPARING) {
        supervisor_kill(task->supervisor, SIGKILL);
    }
    task->is_told_at_end = false;
}

// --- the rest ---

static void on_asked(struct runc_task *task) {
    if (!task->is_remove_asked) {
        tell(task);
    }
}

// Those asked for by what is told wait for the next turn.
static void on_idle(uv_idle_t *idle) {
    struct runc_executor *executor = idle->data;
    struct list now;
    list_init(&now);
    uv_idle_stop(idle);
    LIST_EACH(node, &executor->asked) {
        list_remove(node);
        list_append(&now, node);
    }
    for (struct list_node *node; (node = list_first(&now)) != NULL;) {
        list_remove(node);
        on_asked(LIST_ENTRY(node, struct runc_task, asked));
    }
}

static enum executor_presence presence_now(const struct runc_task *task) {
    if (is_over(task) || task->supervisor == NULL) {
        return task->presence;
    }
    // An end that the supervisor is about to tell is one already.
    struct runc_path dir = runc_place_path(&task->executor->place, task->id.text, RUNC_SHIM, "");
    struct supervisor_view view = supervisor_look(dir.text);
    enum executor_presence presence = view.is_exited   ? PRESENCE_EXITED
                                      : view.is_failed ? PRESENCE_FAILED
                                                       : task->presence;
    return presence == PRESENCE_RUNNING && runc_health_is_awaited(task) ? PRESENCE_STARTING : presence;
}

static int runc_list(struct executor *base, executor_list_fn each, void *context, struct error *err) {
    struct runc_executor *executor = of(base);
    size_t cursor = 0;
    int rc = executor->is_scanned ? 0 : runc_recover(executor, err);
    executor->is_scanned = executor->is_scanned || rc == 0;
    for (struct runc_task *task; rc == 0 && (task = map_next(&executor->tasks, &cursor)) != NULL;) {
        // What ended is there until it is removed: who is told that it is not removes nothing.
        if (task->assignment != NULL || task->supervisor != NULL || task->is_known ||
            (is_over(task) && !task->is_remove_asked)) {
            each(context, &task->id, presence_now(task));
        }
    }
    return rc;
}

static int runc_probe_op(struct executor *base, struct node_description *out, struct arena *arena,
                         struct error *err) {
    return runc_probe(of(base), out, arena, err);
}

static const char *runc_log_path(struct executor *base, const struct id *task_id, struct arena *arena) {
    return arena_strdup(arena, runc_place_path(&of(base)->place, task_id->text, RUNC_STATE, "log").text);
}

static void on_idle_closed(uv_handle_t *handle) {
    runc_executor_unref(handle->data);
    xfree(handle);
}

void runc_executor_unref(struct runc_executor *executor) {
    if (--executor->references > 0) {
        return;
    }
    runc_place_deinit(&executor->place);
    seccomp_free(executor->seccomp);
    map_free(&executor->tasks);
    xfree(executor->shim_path);
    xfree(executor->self_path);
    xfree(executor->allow_bind);
    xfree(executor->runc_path);
    xfree(executor->runc_version);
    xfree(executor);
}

// Tasks run on; what was half made or half undone is found by the next daemon.
static void runc_free(struct executor *base) {
    struct runc_executor *executor = of(base);
    executor->is_closing = true;
    for (size_t cursor = 0; executor->tasks.count > 0; cursor = 0) {
        task_free(map_next(&executor->tasks, &cursor));
    }
    image_store_close(executor->images);
    cgroups_remove_unused(&executor->cgroups, executor->place.group_parent);
    uv_close((uv_handle_t *)executor->idle, on_idle_closed);
}

static const struct executor_ops runc_ops = {
    .name = "runc",
    .probe = runc_probe_op,
    .prepare = runc_prepare,
    .start = runc_start,
    .stop = runc_stop,
    .remove = runc_remove,
    .refresh = runc_refresh,
    .list = runc_list,
    .exec = runc_exec,
    .log_path = runc_log_path,
    .free = runc_free,
};

static int read_machine(struct runc_executor *executor, const struct executor_options *options,
                        struct error *err) {
    int rc = cgroups_read("/proc/self/mountinfo", &executor->cgroups, err);
    rc = rc < 0 ? rc : runc_place_init(&executor->place, options->state_dir, options->run_dir, err);
    bundle_host_read(&executor->host);
    executor->host.cgroups = executor->cgroups;
    struct image_store_options images = {.loop = options->loop,
                                         .state_dir = options->state_dir,
                                         .self_path = options->self_path,
                                         .skopeo_path = options->skopeo_path};
    return rc < 0 ? rc : image_store_open(&images, &executor->images, err);
}

static int slots_of(const struct executor_options *options) {
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    return options->parallel_max > 0 ? (int)options->parallel_max : (int)cores + 1;
}

int executor_runc_new(const struct executor_options *options, struct executor **out, struct error *err) {
    if (geteuid() != 0) {
        return error_set(err, ERR_DENIED,
                         "running containers needs root (for development: --executor process)");
    }
    struct runc_executor *executor = NEW(struct runc_executor);
    executor->references = 1;
    int rc = read_machine(executor, options, err);
    if (rc < 0) {
        runc_executor_unref(executor);
        return rc;
    }
    executor->base = (struct executor){&runc_ops, options->on_event, options->context, NULL};
    executor->loop = options->loop;
    executor->seccomp = seccomp_new(options->seccomp_path);
    executor->shim_path = xstrdup(options->shim_path);
    executor->allow_bind = xstrdup(options->allow_bind != NULL ? options->allow_bind : "");
    executor->runc_path = xstrdup(options->runc_path != NULL ? options->runc_path : "runc");
    executor->self_path = xstrdup(options->self_path);
    health_pool_init(&executor->health, options->loop, executor->self_path);
    executor->runc_timeout_ms = options->runc_timeout_ms > 0 ? options->runc_timeout_ms : RUNC_TIMEOUT_MS;
    executor->slots_free = executor->makes_free = slots_of(options);
    list_init(&executor->asked);
    list_init(&executor->waiting);
    list_init(&executor->ready);
    executor->idle = NEW(uv_idle_t);
    executor->idle->data = executor;
    uv_idle_init(options->loop, executor->idle);
    *out = &executor->base;
    return 0;
}
