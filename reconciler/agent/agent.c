// SPDX-License-Identifier: Apache-2.0
//
// reconciler/agent/agent.c — drives each assigned task through its steps, keeps it on disk, reports it.
//
// Model        Whatever happens to a task is an event of its taskrun; `agent_step` takes the step and carries
//              out its effects. A task whose status changed is put on `unsent`, once; at the end of the turn
//              all of them are reported together and move to `unacknowledged`, oldest first, from where a
//              timer takes those that waited too long back to `unsent`.
// Invariants   (1) A task is on at most one of the two lists. (2) An effect is carried out after what it
//              follows from was kept on disk, if that is possible at all. (3) Work per event does not depend
//              on the number of tasks; a full set or an audit costs one pass over them.
// Limits       5,000 tasks cost about 1 KiB each. Texts of a status are cut at STATUS_TEXT_BYTES.
#include "reconciler/agent/agent.h"

#include <fcntl.h>
#include <string.h>
#include <sys/utsname.h>
#include <uv.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/str.h"
#include "reconciler/agent/agent_file.h"
#include "reconciler/agent/agent_sync.h"
#include "reconciler/agent/content_files.h"
#include "reconciler/agent/taskrun.h"
#include "specs/signal_name.h"
#include "specs/task_template.h"

#define TICK_MS 1000
#define RESEND_MS 5000 // an acknowledgement takes one turn of the manager and one sync of its disk
#define AUDIT_MS 30000 // events are not lost in one process, unless by a defect
#define STATUS_TEXT_BYTES 1024

struct agent_task {
    struct id id;
    struct taskrun run;
    struct list_node node, report, drain;
    bool is_unsent; // which of the lists `report` is on
    bool is_listed;
    bool is_recovered; // it was not over when the daemon before this one ended
    bool is_again;     // it begins anew once nothing of it is left
    enum executor_presence presence;
    int64_t sent_ms;
    uint64_t generation; // of the full set that named it last
    size_t assignment_len;
    uint8_t *assignment;         // encoded
    void *texts;                 // of run.status, and its health results
    struct shelf_items contents; // of the assignment's files, in their order
    bool awaits_contents;        // to be prepared
};

// Closing takes a turn of the loop, so they outlive the agent.
struct handles {
    uv_timer_t timer, drain; // drain: at the end of the next drain delay
    uv_check_t check;
    uv_idle_t idle; // keeps the loop from waiting while there is something to report
    int open;
};

struct agent {
    struct agent_options options;
    struct executor *executor;
    struct shelf shelf;
    int dir_fd;
    struct map by_id;
    struct list tasks, unsent, unacknowledged;
    struct list draining; // tasks whose drain delay runs
    size_t unsent_count;
    struct arena scratch; // of one step
    struct arena pass;    // of one recovery, audit or flush
    struct handles *handles;
    struct agent_sync *sync; // NULL without a loop
    uint64_t generation;
    int64_t audited_ms;
    bool has_unkept;
};

static int64_t agent_now_unix_ms(const struct agent *agent) {
    const struct agent_options *options = &agent->options;
    return options->now_unix_ms != NULL ? options->now_unix_ms(options->context) : clock_unix_ms();
}

// For waiting. A simulation has one clock.
static int64_t agent_now_ms(const struct agent *agent) {
    const struct agent_options *options = &agent->options;
    return options->now_unix_ms != NULL ? options->now_unix_ms(options->context) : clock_mono_ms();
}

// --- reports ---

static void report_unlink(struct agent *agent, struct agent_task *task) {
    if (list_is_linked(&task->report)) {
        list_remove(&task->report);
        agent->unsent_count -= task->is_unsent;
        task->is_unsent = false;
    }
}

static void on_idle(uv_idle_t *idle) {
    (void)idle;
}

static void report_later(struct agent *agent, struct agent_task *task) {
    if (task->run.is_released || task->is_unsent) {
        return;
    }
    report_unlink(agent, task);
    list_append(&agent->unsent, &task->report);
    task->is_unsent = true;
    if (agent->unsent_count++ == 0 && agent->handles != NULL) {
        uv_idle_start(&agent->handles->idle, on_idle);
    }
}

void agent_flush(struct agent *agent) {
    if (agent->handles != NULL) {
        uv_idle_stop(&agent->handles->idle);
    }
    if (agent->unsent_count == 0) {
        return;
    }
    arena_clear(&agent->pass);
    struct task_report *items = ARENA_ARRAY(&agent->pass, struct task_report, agent->unsent_count);
    size_t count = 0;
    LIST_EACH(node, &agent->unsent) {
        struct agent_task *task = LIST_ENTRY(node, struct agent_task, report);
        items[count++] = (struct task_report){.task_id = task->id, .status = task->run.status};
        report_unlink(agent, task);
        list_append(&agent->unacknowledged, &task->report);
        task->sent_ms = agent_now_ms(agent);
    }
    agent->options.on_reports(agent->options.context, &(struct reports){count, items});
}

void agent_reported(struct agent *agent, const struct id *task_id, int64_t state) {
    struct agent_task *task = map_get(&agent->by_id, task_id->text);
    if (task != NULL && state >= task->run.status.state && !task->is_unsent) {
        report_unlink(agent, task);
    }
}

void agent_resend(struct agent *agent) {
    LIST_EACH(node, &agent->unacknowledged) {
        report_later(agent, LIST_ENTRY(node, struct agent_task, report));
    }
}

static void resend_old(struct agent *agent) {
    int64_t now_ms = agent_now_ms(agent);
    LIST_EACH(node, &agent->unacknowledged) {
        struct agent_task *task = LIST_ENTRY(node, struct agent_task, report);
        if (now_ms - task->sent_ms < RESEND_MS) {
            break;
        }
        report_later(agent, task);
    }
}

// --- tasks ---

static struct agent_task *task_new(struct agent *agent, const struct id *id, const struct taskrun *run) {
    struct agent_task *task = NEW(struct agent_task);
    task->id = *id;
    task->run = *run;
    list_append(&agent->tasks, &task->node);
    map_put(&agent->by_id, task->id.text, task);
    return task;
}

static void task_free(struct agent *agent, struct agent_task *task) {
    report_unlink(agent, task);
    if (list_is_linked(&task->drain)) {
        list_remove(&task->drain);
    }
    list_remove(&task->node);
    map_remove(&agent->by_id, task->id.text);
    shelf_items_leave(&task->contents);
    xfree(task->assignment);
    xfree(task->texts);
    xfree(task);
}

// What programs said ends up in messages, whose strings are short and well-formed UTF-8.
static void add_text(struct buf *out, const char *text) {
    size_t len = strnlen(text, STATUS_TEXT_BYTES);
    while (text[len] != '\0' && len > 0 && ((unsigned char)text[len] & 0xC0) == 0x80) {
        len--; // not in the middle of a character
    }
    if (str_is_utf8(text, len)) {
        buf_add(out, text, len);
    } else {
        str_escape(out, text, len, /* keep_newlines */ true);
    }
    buf_addc(out, '\0');
}

// Texts of a status live as long as the task does: the results of its checks, then all texts.
static void task_own_texts(struct agent_task *task) {
    struct task_status *status = &task->run.status;
    struct health_results *results = &status->health_results;
    AUTO_BUF texts = {0};
    size_t outputs_at[HEALTH_RESULTS_MAX];
    size_t count = results->count < HEALTH_RESULTS_MAX ? results->count : HEALTH_RESULTS_MAX;
    add_text(&texts, status->message == NULL ? "" : status->message);
    size_t error_at = texts.len;
    add_text(&texts, status->error == NULL ? "" : status->error);
    for (size_t i = 0; i < count; i++) {
        outputs_at[i] = texts.len;
        add_text(&texts, results->items[i].output);
    }
    size_t items_bytes = count * sizeof *results->items;
    struct health_result *items = xmalloc(items_bytes + texts.len);
    char *owned = memcpy((char *)items + items_bytes, texts.data, texts.len);
    for (size_t i = 0; i < count; i++) {
        items[i] = (struct health_result){.time_unix_ms = results->items[i].time_unix_ms,
                                          .exit_code = results->items[i].exit_code,
                                          .output = owned + outputs_at[i]};
    }
    xfree(task->texts);
    task->texts = items;
    *results = (struct health_results){count, items};
    status->message = owned;
    status->error = owned + error_at;
}

static void task_set_assignment(struct agent_task *task, struct bytes encoded) {
    xfree(task->assignment);
    task->assignment = encoded.len == 0 ? NULL : memcpy(xmalloc(encoded.len), encoded.data, encoded.len);
    task->assignment_len = encoded.len;
}

// --- secrets and configs ---

static void task_hold_contents(struct agent *agent, struct agent_task *task,
                               const struct assignment *assignment) {
    struct shelf_items fresh = {0};
    if (!taskrun_is_over(&task->run)) {
        fresh = shelf_use_all(&agent->shelf, assignment);
    }
    shelf_items_leave(&task->contents);
    task->contents = fresh;
}

// The first file that cannot be given; NULL = the task has all of them.
static const struct assigned_file *task_lacks(const struct agent_task *task,
                                              const struct assignment *assignment) {
    for (size_t i = 0; i < assignment->files.count; i++) {
        if (i >= task->contents.count || task->contents.items[i] == NULL) {
            return &assignment->files.items[i];
        }
    }
    return NULL;
}

static void agent_step(struct agent *agent, struct agent_task *task, const struct taskrun_event *event);

// True when it can be prepared. One that lacks something waits for it, or is rejected.
static bool agent_has_contents(struct agent *agent, struct agent_task *task,
                               const struct assignment *assignment) {
    const struct assigned_file *file = task_lacks(task, assignment);
    struct executor_event event = {.task_id = task->id, .time_unix_ms = agent_now_unix_ms(agent)};
    task->awaits_contents = file != NULL && !file->is_missing;
    if (file == NULL) {
        return true;
    }
    const char *kind = object_kind_name((enum object_kind)file->kind);
    if (file->is_missing) {
        event.kind = EXECUTOR_FAILED;
        event.class_ = CLASS_REJECT;
        event.reason = REASON_CONTENT_NOT_FOUND;
        event.message = arena_printf(&agent->scratch, "%s '%s' not found", kind, file->name);
    } else {
        event.kind = EXECUTOR_PROGRESS;
        event.reason = REASON_CONTENT_AWAITED;
        event.message = arena_printf(&agent->scratch, "waiting for %s '%s': %s", kind, file->name,
                                     str_is_empty(file->trouble)
                                         ? "it is kept in memory only, and no manager has sent it yet"
                                         : file->trouble);
    }
    agent_step(agent, task, &(struct taskrun_event){.kind = TASKRUN_ON_EXECUTOR, .executor = &event});
    return false;
}

// --- draining ---

static void on_drained(uv_timer_t *timer);

// Puts the end of the next drain delay on the timer; a simulation looks at every tick.
static void drain_arm(struct agent *agent) {
    int64_t next_unix_ms = INT64_MAX;
    LIST_EACH(node, &agent->draining) {
        int64_t until_unix_ms = LIST_ENTRY(node, struct agent_task, drain)->run.drain_until_unix_ms;
        next_unix_ms = until_unix_ms < next_unix_ms ? until_unix_ms : next_unix_ms;
    }
    if (agent->handles != NULL && next_unix_ms != INT64_MAX) {
        int64_t wait_ms = next_unix_ms - agent_now_unix_ms(agent);
        uv_timer_start(&agent->handles->drain, on_drained, (uint64_t)(wait_ms > 0 ? wait_ms : 1), 0);
    }
}

static void drain_follow(struct agent *agent, struct agent_task *task) {
    bool is_draining = task->run.drain_until_unix_ms > 0 && !taskrun_is_over(&task->run);
    if (is_draining && !list_is_linked(&task->drain)) {
        list_append(&agent->draining, &task->drain);
        drain_arm(agent);
    } else if (!is_draining && list_is_linked(&task->drain)) {
        list_remove(&task->drain);
    }
}

static void drain_look(struct agent *agent) {
    LIST_EACH(node, &agent->draining) {
        struct agent_task *task = LIST_ENTRY(node, struct agent_task, drain);
        if (task->run.drain_until_unix_ms <= agent_now_unix_ms(agent)) {
            arena_clear(&agent->scratch);
            agent_step(agent, task, &(struct taskrun_event){.kind = TASKRUN_ON_TIME});
        }
    }
}

static void on_drained(uv_timer_t *timer) {
    drain_look(timer->data);
    drain_arm(timer->data);
}

// --- steps and their effects ---

static void agent_keep(struct agent *agent, struct agent_task *task) {
    struct error err = {0};
    char text[ERROR_ROOT_BYTES + ERROR_FRAME_BYTES];
    struct agent_file file = {{task->assignment, task->assignment_len}, task->run.status};
    struct taskrun_event event = {.kind = TASKRUN_ON_KEPT};
    if (agent_file_write(agent->dir_fd, &task->id, &file, &err) < 0) {
        event = (struct taskrun_event){.kind = TASKRUN_ON_NOT_KEPT, .text = text};
        error_text(&err, text, sizeof text);
        log_failure(LOG_WARN, "task.not_kept", &err, LOG_STR("task", task->id.text));
        agent->has_unkept = true;
    } else if (agent->sync != NULL) {
        agent_sync_note(agent->sync, &task->id);
    }
    agent_step(agent, task, &event);
}

// To the executor, with its placeholders filled in, once all that it needs is there.
static void agent_hand_over(struct agent *agent, struct agent_task *task,
                            const struct assignment *assignment) {
    struct assignment filled = *assignment;
    struct utsname names;
    struct error err = {0};
    if (!agent_has_contents(agent, task, assignment)) {
        return;
    }
    (void)uname(&names);
    const struct task_template_node node = {names.machine, "linux"};
    if (task_template_fill(&filled, &node, &agent->scratch, &err) < 0) {
        char text[ERROR_ROOT_BYTES + ERROR_FRAME_BYTES];
        struct executor_event event = {.kind = EXECUTOR_FAILED,
                                       .task_id = task->id,
                                       .time_unix_ms = agent_now_unix_ms(agent),
                                       .class_ = CLASS_REJECT,
                                       .reason = REASON_UNSUPPORTED,
                                       .message = error_text(&err, text, sizeof text)};
        agent_step(agent, task, &(struct taskrun_event){.kind = TASKRUN_ON_EXECUTOR, .executor = &event});
        return;
    }
    agent->executor->ops->prepare(agent->executor, &filled);
}

static bool task_uses_volume(const struct agent_task *task, const char *name, struct arena *arena) {
    struct assignment assignment;
    struct bytes encoded = {task->assignment, task->assignment_len};
    const struct task_template_node node = {"", ""};
    if (wire_decode(&assignment_schema, encoded, &assignment, arena, NULL) < 0 ||
        task_template_fill(&assignment, &node, arena, NULL) < 0) {
        return true; // nobody knows
    }
    for (size_t i = 0; i < assignment.spec.volumes.count; i++) {
        const struct mount *mount = &assignment.spec.volumes.items[i];
        if (mount->type == MOUNT_VOLUME && str_equal(mount->source, name)) {
            return true;
        }
    }
    return false;
}

bool agent_uses_volume(struct agent *agent, const char *name) {
    LIST_EACH(node, &agent->tasks) {
        const struct agent_task *task = LIST_ENTRY(node, struct agent_task, node);
        arena_clear(&agent->scratch);
        if (!taskrun_is_over(&task->run) && task_uses_volume(task, name, &agent->scratch)) {
            return true;
        }
    }
    return false;
}

static void agent_prepare(struct agent *agent, struct agent_task *task) {
    struct assignment assignment;
    struct error err = {0};
    struct bytes encoded = {task->assignment, task->assignment_len};
    if (wire_decode(&assignment_schema, encoded, &assignment, &agent->scratch, &err) < 0) {
        char text[ERROR_ROOT_BYTES + ERROR_FRAME_BYTES];
        error_text(&err, text, sizeof text);
        agent_step(agent, task, &(struct taskrun_event){.kind = TASKRUN_ON_DAMAGE, .text = text});
        return;
    }
    agent_hand_over(agent, task, &assignment);
}

static void agent_act(struct agent *agent, struct agent_task *task, const struct taskrun_effects *effects) {
    struct executor *executor = agent->executor;
    struct id id = task->id;
    if ((effects->mask & EFFECT_REPORT) != 0) {
        report_later(agent, task);
    }
    if ((effects->mask & EFFECT_FORGET) != 0) {
        agent_file_remove(agent->dir_fd, &id);
        task_free(agent, task);
        return;
    }
    if ((effects->mask & EFFECT_KEEP) != 0) {
        agent_keep(agent, task); // never to be forgotten by that
    }
    if ((effects->mask & EFFECT_PREPARE) != 0) {
        agent_prepare(agent, task);
    }
    if ((effects->mask & EFFECT_START) != 0) {
        executor->ops->start(executor, &id);
    }
    if ((effects->mask & EFFECT_STOP) != 0) {
        executor->ops->stop(executor, &id, effects->signal, effects->grace_ms);
    }
    if ((effects->mask & EFFECT_REMOVE) != 0) {
        executor->ops->remove(executor, &id);
    }
}

// The task may be gone afterwards.
static void agent_step(struct agent *agent, struct agent_task *task, const struct taskrun_event *event) {
    struct taskrun before = task->run;
    struct taskrun_effects effects = {0};
    taskrun_step(&before, event, agent_now_unix_ms(agent), &agent->scratch, &task->run, &effects);
    if (task->run.status.message != before.status.message || task->run.status.error != before.status.error ||
        task->run.status.health_results.items != before.status.health_results.items) {
        task_own_texts(task);
    }
    drain_follow(agent, task);
    if (task->run.machine.state != before.machine.state) {
        log_event(LOG_INFO, "task.state", LOG_STR("task", task->id.text),
                  LOG_STR("from", before.machine.table->states[before.machine.state].name),
                  LOG_STR("to", sm_name(&task->run.machine)), LOG_STR("why", task->run.status.error));
    }
    if (taskrun_is_over(&task->run)) {
        shelf_items_leave(&task->contents);
        task->awaits_contents = false;
    }
    agent_act(agent, task, &effects);
}

// --- beginning anew ---

static void begin_again(struct agent *agent, struct agent_task *task) {
    task->is_again = task->is_recovered = false;
    task->run = taskrun_again(&task->run);
    task_own_texts(task);
    log_event(LOG_WARN, "task.again", LOG_STR("task", task->id.text));
    report_later(agent, task);
    agent_keep(agent, task);
}

size_t agent_start_again(struct agent *agent) {
    size_t count = 0;
    LIST_EACH(node, &agent->tasks) {
        struct agent_task *task = LIST_ENTRY(node, struct agent_task, node);
        if (!task->is_recovered || task->is_again || !taskrun_is_lost(&task->run)) {
            continue;
        }
        count++;
        arena_clear(&agent->scratch);
        if (task->run.is_held) {
            task->is_again = true;
            agent->executor->ops->remove(agent->executor, &task->id);
        } else {
            begin_again(agent, task);
        }
    }
    return count;
}

void agent_on_event(void *context, const struct executor_event *event) {
    struct agent *agent = context;
    struct agent_task *task = map_get(&agent->by_id, event->task_id.text);
    if (task != NULL && task->is_again && event->kind == EXECUTOR_REMOVED) {
        arena_clear(&agent->scratch);
        task->run.is_held = false;
        begin_again(agent, task);
    } else if (task != NULL) {
        arena_clear(&agent->scratch);
        agent_step(agent, task, &(struct taskrun_event){.kind = TASKRUN_ON_EXECUTOR, .executor = event});
    }
}

// --- assignments ---

static struct taskrun_wish wish_of(const struct assignment *assignment) {
    struct taskrun_wish wish = {.desired = assignment->task.desired,
                                .grace_ms = assignment->spec.stop_grace_period_ns / NS_PER_MS,
                                .drain_ms = assignment->spec.drain_delay_ns / NS_PER_MS};
    if (!str_is_empty(assignment->spec.stop_signal) &&
        !signal_parse(assignment->spec.stop_signal, &wish.signal)) {
        wish.signal = 0; // validated where it was declared; a newer version may know more names
    }
    return wish;
}

static bool is_refreshable(const struct agent_task *task) {
    return task->run.machine.state >= TASKRUN_READY && task->run.machine.state <= TASKRUN_RUNNING &&
           !task->run.is_stop_asked;
}

// What it waited for may be there now; and what follows the newest content may be another.
static void agent_use_contents(struct agent *agent, struct agent_task *task,
                               const struct assignment *assignment) {
    if (task->awaits_contents && !task->run.is_stop_asked) {
        agent_hand_over(agent, task, assignment);
    } else if (task->contents.count > 0 && agent->executor->ops->refresh != NULL && is_refreshable(task) &&
               content_files_follow(assignment)) {
        agent->executor->ops->refresh(agent->executor, assignment);
    }
}

static void agent_take(struct agent *agent, const struct assignment *assignment) {
    AUTO_BUF encoded = {0};
    arena_clear(&agent->scratch);
    struct agent_task *task = map_get(&agent->by_id, assignment->task.meta.id.text);
    wire_encode(&assignment_schema, assignment, &encoded);
    bool is_new = task == NULL;
    if (is_new) {
        struct taskrun run = taskrun_new(&assignment->task.status);
        task = task_new(agent, &assignment->task.meta.id, &run);
        task_own_texts(task);
    }
    task->generation = agent->generation;
    task->is_again = task->is_recovered = false; // who assigns it hears how it ended
    task_hold_contents(agent, task, assignment);
    if (task->assignment_len == encoded.len && memcmp(task->assignment, encoded.data, encoded.len) == 0 &&
        !task->run.is_released) {
        agent_use_contents(agent, task, assignment);
        return;
    }
    task_set_assignment(task, buf_bytes(&encoded));
    if (is_new && task->run.status.state > assignment->task.status.state) {
        report_later(agent, task);
    }
    struct id id = task->id;
    agent_step(agent, task, &(struct taskrun_event){.kind = TASKRUN_ON_WISH, .wish = wish_of(assignment)});
    task = map_get(&agent->by_id, id.text);
    if (task != NULL && !is_new) {
        agent_use_contents(agent, task, assignment);
    }
}

// What comes with a step is used by the step until its tasks do.
static struct shelf_items agent_shelve(struct agent *agent, const struct assignments *step) {
    struct shelf_items shelved = {.count = step->content_count};
    shelved.items = shelved.count > 0 ? xcalloc(shelved.count, sizeof *shelved.items) : NULL;
    for (size_t i = 0; i < shelved.count; i++) {
        shelved.items[i] = shelf_put(&agent->shelf, &step->contents[i].id, step->contents[i].data);
    }
    return shelved;
}

static void agent_release(struct agent *agent, struct agent_task *task) {
    arena_clear(&agent->scratch);
    task->is_again = false;
    report_unlink(agent, task);
    agent_step(agent, task, &(struct taskrun_event){.kind = TASKRUN_ON_RELEASE});
}

void agent_assign(struct agent *agent, const struct assignments *set) {
    struct shelf_items shelved = agent_shelve(agent, set);
    agent->generation++;
    for (size_t i = 0; i < set->count; i++) {
        agent_take(agent, &set->items[i]);
    }
    shelf_items_leave(&shelved);
    LIST_EACH(node, &agent->tasks) {
        struct agent_task *task = LIST_ENTRY(node, struct agent_task, node);
        if (task->generation != agent->generation && !task->run.is_released) {
            agent_release(agent, task);
        }
    }
}

void agent_assign_update(struct agent *agent, const struct assignments *changed, const struct id *removed,
                         size_t removed_count) {
    struct shelf_items shelved = agent_shelve(agent, changed);
    for (size_t i = 0; i < changed->count; i++) {
        agent_take(agent, &changed->items[i]);
    }
    shelf_items_leave(&shelved);
    for (size_t i = 0; i < removed_count; i++) {
        struct agent_task *task = map_get(&agent->by_id, removed[i].text);
        if (task != NULL && !task->run.is_released) {
            agent_release(agent, task);
        }
    }
}

// --- comparing with the executor ---

struct listing {
    struct agent *agent;
    LIST_OF(struct id) unknown;
};

static void on_listed(void *context, const struct id *task_id, enum executor_presence presence) {
    struct listing *listing = context;
    struct agent_task *task = map_get(&listing->agent->by_id, task_id->text);
    if (task == NULL) {
        *ARENA_PUSH(&listing->agent->pass, &listing->unknown) = *task_id;
        return;
    }
    task->is_listed = true;
    task->presence = presence;
}

static void agent_step_on_list(struct agent *agent, struct agent_task *task) {
    struct taskrun_event event = {
        .kind = TASKRUN_ON_LIST, .is_present = task->is_listed, .presence = task->presence};
    task->is_listed = false;
    arena_clear(&agent->scratch);
    agent_step(agent, task, &event);
}

static int agent_compare(struct agent *agent, struct error *err) {
    struct listing listing = {.agent = agent};
    struct executor *executor = agent->executor;
    arena_clear(&agent->pass);
    agent->audited_ms = agent_now_ms(agent);
    int rc = executor->ops->list(executor, on_listed, &listing, err);
    if (rc < 0) {
        return error_wrap(err, rc, "list the tasks of the %s executor", executor->ops->name);
    }
    for (size_t i = 0; i < listing.unknown.count; i++) {
        log_event(LOG_WARN, "task.unknown", LOG_STR("task", listing.unknown.items[i].text));
        executor->ops->remove(executor, &listing.unknown.items[i]);
    }
    LIST_EACH(node, &agent->tasks) {
        agent_step_on_list(agent, LIST_ENTRY(node, struct agent_task, node));
    }
    return 0;
}

static void keep_again(struct agent *agent) {
    agent->has_unkept = false;
    LIST_EACH(node, &agent->tasks) {
        struct agent_task *task = LIST_ENTRY(node, struct agent_task, node);
        if (!task->run.is_kept && !taskrun_is_over(&task->run)) {
            arena_clear(&agent->scratch);
            agent_keep(agent, task);
        }
    }
}

void agent_tick(struct agent *agent) {
    struct error err = {0};
    resend_old(agent);
    drain_look(agent); // a clock that was set does not hold it up
    if (agent->has_unkept) {
        keep_again(agent);
    }
    if (agent->sync != NULL) {
        agent_sync_tick(agent->sync);
    }
    if (agent_now_ms(agent) - agent->audited_ms >= AUDIT_MS && agent_compare(agent, &err) < 0) {
        log_failure(LOG_WARN, "agent.audit", &err, LOG_NONE);
    }
}

// --- recovery ---

static void recover_file(void *context, const struct id *id) {
    struct agent *agent = context;
    struct agent_file file;
    struct assignment assignment;
    struct error err = {0};
    arena_clear(&agent->scratch);
    if (agent_file_read(agent->dir_fd, id, &file, &assignment, &agent->scratch, &err) == 0) {
        struct taskrun_wish wish = wish_of(&assignment);
        struct taskrun run = taskrun_recovered(&file.status, &wish);
        struct agent_task *task = task_new(agent, id, &run);
        task->is_recovered = !taskrun_is_over(&run);
        task_own_texts(task);
        task_set_assignment(task, file.assignment);
        report_later(agent, task);
        return;
    }
    char text[ERROR_ROOT_BYTES + ERROR_FRAME_BYTES];
    error_text(&err, text, sizeof text);
    log_failure(LOG_ERROR, "task.damaged", &err, LOG_STR("task", id->text));
    struct taskrun run = taskrun_new(&(struct task_status){.state = TASK_ASSIGNED});
    agent_step(agent, task_new(agent, id, &run),
               &(struct taskrun_event){.kind = TASKRUN_ON_DAMAGE, .text = text});
}

int agent_recover(struct agent *agent, struct error *err) {
    int rc = agent_file_each(agent->dir_fd, recover_file, agent, err);
    return rc < 0 ? rc : agent_compare(agent, err);
}

// --- the loop ---

static void on_timer(uv_timer_t *timer) {
    agent_tick(timer->data);
}

static void on_check(uv_check_t *check) {
    agent_flush(check->data);
}

static void handles_open(struct agent *agent) {
    struct handles *handles = NEW(struct handles);
    uv_timer_init(agent->options.loop, &handles->timer);
    uv_timer_init(agent->options.loop, &handles->drain);
    uv_check_init(agent->options.loop, &handles->check);
    uv_idle_init(agent->options.loop, &handles->idle);
    handles->timer.data = handles->drain.data = handles->check.data = agent;
    uv_timer_start(&handles->timer, on_timer, TICK_MS, TICK_MS);
    uv_check_start(&handles->check, on_check);
    uv_unref((uv_handle_t *)&handles->timer);
    uv_unref((uv_handle_t *)&handles->drain);
    uv_unref((uv_handle_t *)&handles->check);
    handles->open = 4;
    agent->handles = handles;
}

static void on_handle_closed(uv_handle_t *handle) {
    struct handles *handles = handle->data;
    if (--handles->open == 0) {
        xfree(handles);
    }
}

static void handles_close(struct handles *handles) {
    handles->timer.data = handles->drain.data = handles->check.data = handles->idle.data = handles;
    uv_close((uv_handle_t *)&handles->timer, on_handle_closed);
    uv_close((uv_handle_t *)&handles->drain, on_handle_closed);
    uv_close((uv_handle_t *)&handles->check, on_handle_closed);
    uv_close((uv_handle_t *)&handles->idle, on_handle_closed);
}

int agent_new(const struct agent_options *options, struct agent **out, struct error *err) {
    int dir_fd;
    int rc = agent_file_open_dir(options->state_dir, &dir_fd, err);
    if (rc < 0) {
        return error_wrap(err, rc, "open the agent's state");
    }
    struct agent *agent = NEW(struct agent);
    agent->options = *options;
    agent->executor = options->executor;
    agent->executor->shelf = &agent->shelf;
    agent->dir_fd = dir_fd;
    list_init(&agent->tasks);
    list_init(&agent->unsent);
    list_init(&agent->unacknowledged);
    list_init(&agent->draining);
    agent->audited_ms = agent_now_ms(agent);
    if (options->loop != NULL) {
        handles_open(agent);
        agent->sync = agent_sync_new(options->loop, dir_fd);
    }
    *out = agent;
    return 0;
}

size_t agent_task_count(const struct agent *agent) {
    return agent->by_id.count;
}

void agent_free(struct agent *agent) {
    if (agent == NULL) {
        return;
    }
    if (agent->handles != NULL) {
        handles_close(agent->handles);
    }
    agent_sync_free(agent->sync);
    LIST_EACH(node, &agent->tasks) {
        task_free(agent, LIST_ENTRY(node, struct agent_task, node));
    }
    map_free(&agent->by_id);
    shelf_deinit(&agent->shelf);
    arena_free(&agent->scratch);
    arena_free(&agent->pass);
    close_at(&agent->dir_fd);
    xfree(agent);
}
