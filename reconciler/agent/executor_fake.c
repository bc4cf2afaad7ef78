// SPDX-License-Identifier: Apache-2.0
//
// reconciler/agent/executor_fake.c — an executor whose tasks exist on virtual time only.
//
// Model        Each task waits for at most one thing (`next`, at `due_ms`), in a heap. A call that asks for
//              what is so already puts the task into `asked`, and its event is told in the next advance: no
//              event comes from within a call. A removed id leaves nothing behind.
#include "reconciler/agent/executor_fake.h"

#include <signal.h>
#include <string.h>

#include "base/assert.h"
#include "base/list.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/str.h"
#include "specs/health.h"

#define RETRY_MS 1000
#define FAULTS_MAX 32

enum next {
    NEXT_NOTHING,
    NEXT_PULL,     // tells that it began, then NEXT_PREPARED
    NEXT_PREPARED, //
    NEXT_STARTED,  //
    NEXT_CHECKED,  // its health is known
    NEXT_END,      // by itself
    NEXT_STOPPED,  // by the signal
    NEXT_KILLED,   // by the end of the grace
    NEXT_REMOVED,
};

// Beside those of enum executor_presence.
enum { PRESENCE_GIVEN_UP = PRESENCE_LOST + 1, PRESENCE_REMOVED };

struct fake_task {
    struct id id;
    uint8_t presence, next;
    bool is_stop_asked, was_started, is_oom, is_checked;
    uint8_t health;
    uint16_t profile;
    int16_t reason;
    int32_t heap_index; // -1: waits for nothing
    int32_t pid;
    uint8_t exit_kind, exit_signal, exit_code;
    int64_t due_ms, end_ms;
    struct list_node asked;
};

struct fake_executor {
    struct executor base;
    struct fake_machine *machine;
    bool is_listed;
};

struct fake_machine {
    struct fake_options options;
    struct prng prng;
    int64_t now_ms;
    struct map tasks;
    struct fake_task **heap;
    size_t heap_count, heap_capacity;
    struct list asked;
    struct fake_executor *executor;
    struct fake_fault faults[FAULTS_MAX];
    size_t fault_count;
    int32_t last_pid;
    struct fake_counts counts;
};

// --- what waits ---

static bool is_before(const struct fake_task *a, const struct fake_task *b) {
    return a->due_ms != b->due_ms ? a->due_ms < b->due_ms : id_compare(&a->id, &b->id) < 0;
}

static void heap_set(struct fake_machine *machine, size_t at, struct fake_task *task) {
    machine->heap[at] = task;
    task->heap_index = (int32_t)at;
}

static void heap_sift(struct fake_machine *machine, size_t at) {
    struct fake_task *task = machine->heap[at];
    for (; at > 0 && is_before(task, machine->heap[(at - 1) / 2]); at = (at - 1) / 2) {
        heap_set(machine, at, machine->heap[(at - 1) / 2]);
    }
    for (size_t child; (child = 2 * at + 1) < machine->heap_count; at = child) {
        if (child + 1 < machine->heap_count && is_before(machine->heap[child + 1], machine->heap[child])) {
            child++;
        }
        if (!is_before(machine->heap[child], task)) {
            break;
        }
        heap_set(machine, at, machine->heap[child]);
    }
    heap_set(machine, at, task);
}

static void unwait(struct fake_machine *machine, struct fake_task *task) {
    if (task->heap_index < 0) {
        return;
    }
    size_t at = (size_t)task->heap_index;
    struct fake_task *last = machine->heap[--machine->heap_count];
    task->heap_index = -1;
    task->next = NEXT_NOTHING;
    if (last != task) {
        heap_set(machine, at, last);
        heap_sift(machine, at);
    }
}

static void wait_for(struct fake_machine *machine, struct fake_task *task, enum next next, int64_t after_ms) {
    unwait(machine, task);
    if (machine->heap_count == machine->heap_capacity) {
        machine->heap_capacity = machine->heap_capacity == 0 ? 64 : machine->heap_capacity * 2;
        machine->heap = xrealloc(machine->heap, machine->heap_capacity * sizeof *machine->heap);
    }
    task->next = (uint8_t)next;
    task->due_ms = machine->now_ms + after_ms;
    heap_set(machine, machine->heap_count++, task);
    heap_sift(machine, machine->heap_count - 1);
}

// --- chance ---

static bool happens(struct fake_machine *machine, int64_t permille) {
    return permille > 0 && (int64_t)prng_below(&machine->prng, 1000) < permille;
}

static int64_t about(struct fake_machine *machine, int64_t ms) {
    return ms <= 0 ? 0 : ms + (int64_t)prng_below(&machine->prng, (uint64_t)ms / 4 + 1);
}

static bool fault_takes(struct fake_machine *machine, enum fake_fault_kind kind, const struct id *id,
                        int event, struct fake_fault *out) {
    for (size_t i = 0; i < machine->fault_count; i++) {
        struct fake_fault *fault = &machine->faults[i];
        bool is_for_it = id_is_none(&fault->task_id) || id_equal(&fault->task_id, id);
        if (fault->kind == kind && fault->count > 0 && is_for_it &&
            (event < 0 || (int)fault->event == event)) {
            fault->count--;
            *out = *fault;
            return true;
        }
    }
    return false;
}

static const struct fake_profile *profile_of(const struct fake_machine *machine,
                                             const struct fake_task *task) {
    return &machine->options.profiles[task->profile];
}

static uint16_t profile_find(const struct fake_machine *machine, const char *image) {
    size_t i = 0;
    while (i + 1 < machine->options.profile_count && !str_equal(machine->options.profiles[i].image, image)) {
        i++;
    }
    return (uint16_t)i;
}

// --- telling ---

static void give(struct fake_machine *machine, const struct executor_event *event) {
    struct fake_fault fault;
    const struct id *id = &event->task_id;
    if (machine->executor == NULL || happens(machine, machine->options.lose_permille) ||
        fault_takes(machine, FAULT_LOSE_EVENT, id, (int)event->kind, &fault)) {
        return;
    }
    struct executor *executor = &machine->executor->base;
    machine->counts.events++;
    executor->on_event(executor->context, event);
    if (machine->executor != NULL &&
        (happens(machine, machine->options.duplicate_permille) ||
         fault_takes(machine, FAULT_DUPLICATE_EVENT, id, (int)event->kind, &fault))) {
        machine->counts.events++;
        executor->on_event(executor->context, event);
    }
}

static struct executor_event event_of(const struct fake_machine *machine, const struct fake_task *task,
                                      enum executor_event_kind kind) {
    return (struct executor_event){
        .kind = kind, .task_id = task->id, .time_unix_ms = machine->now_ms, .message = ""};
}

static void tell_end(struct fake_machine *machine, const struct fake_task *task) {
    struct executor_event event = event_of(machine, task, EXECUTOR_EXITED);
    event.time_unix_ms = task->end_ms;
    event.reason = task->reason;
    event.exit = (struct task_exit){.kind = (enum exit_kind)task->exit_kind,
                                    .code = task->exit_code,
                                    .signal = task->exit_signal,
                                    .oom = task->is_oom,
                                    .time_unix_ms = task->end_ms};
    give(machine, &event);
}

static void tell_failure(struct fake_machine *machine, const struct fake_task *task) {
    struct executor_event event = event_of(machine, task, EXECUTOR_FAILED);
    event.time_unix_ms = task->end_ms;
    event.class_ = task->was_started ? CLASS_FAIL : CLASS_REJECT;
    event.reason = task->reason;
    event.message = task_reason_text(task->reason);
    give(machine, &event);
}

static void tell(struct fake_machine *machine, const struct fake_task *task) {
    struct executor_event event;
    switch (task->presence) {
    case PRESENCE_PREPARED:
        event = event_of(machine, task, EXECUTOR_PREPARED);
        give(machine, &event);
        break;
    case PRESENCE_RUNNING:
        event = event_of(machine, task, EXECUTOR_RUNNING);
        event.pid = task->pid;
        event.health = (enum health_state)task->health;
        give(machine, &event);
        break;
    case PRESENCE_EXITED:
    case PRESENCE_GIVEN_UP:
        tell_end(machine, task);
        break;
    case PRESENCE_FAILED:
        tell_failure(machine, task);
        break;
    default: // PREPARING, LOST, being removed: nothing to say yet
        break;
    }
}

static void ask(struct fake_machine *machine, struct fake_task *task) {
    if (!list_is_linked(&task->asked)) {
        list_append(&machine->asked, &task->asked);
    }
}

// --- tasks ---

static struct fake_task *task_get(const struct fake_machine *machine, const struct id *id) {
    return map_get(&machine->tasks, id->text);
}

static struct fake_task *task_add(struct fake_machine *machine, const struct id *id, int presence) {
    struct fake_task *task = NEW(struct fake_task);
    task->id = *id;
    task->presence = (uint8_t)presence;
    task->heap_index = -1;
    map_put(&machine->tasks, task->id.text, task);
    return task;
}

static void task_drop(struct fake_machine *machine, struct fake_task *task) {
    unwait(machine, task);
    if (list_is_linked(&task->asked)) {
        list_remove(&task->asked);
    }
    map_remove(&machine->tasks, task->id.text);
    xfree(task);
}

static void task_end(struct fake_machine *machine, struct fake_task *task, enum exit_kind kind, int64_t code,
                     int signal_number) {
    unwait(machine, task);
    task->presence = kind == EXIT_NONE ? PRESENCE_GIVEN_UP : PRESENCE_EXITED;
    task->exit_kind = (uint8_t)kind;
    task->exit_code = (uint8_t)(signal_number > 0 ? 128 + signal_number : code);
    task->exit_signal = (uint8_t)signal_number;
    task->end_ms = machine->now_ms;
    task->pid = 0;
}

static void task_fail(struct fake_machine *machine, struct fake_task *task, int64_t reason) {
    unwait(machine, task);
    task->presence = PRESENCE_FAILED;
    task->reason = (int16_t)reason;
    task->end_ms = machine->now_ms;
    tell(machine, task);
}

// --- what happens ---

static void on_pull(struct fake_machine *machine, struct fake_task *task) {
    struct executor_event event = event_of(machine, task, EXECUTOR_PROGRESS);
    event.reason = REASON_IMAGE_PULLING;
    event.message = "pulling image";
    wait_for(machine, task, NEXT_PREPARED, about(machine, profile_of(machine, task)->prepare_ms));
    give(machine, &event);
}

static void on_prepared(struct fake_machine *machine, struct fake_task *task) {
    static const int64_t reasons[] = {REASON_IMAGE_NOT_FOUND, REASON_IMAGE_INVALID, REASON_CREATE_FAILED};
    struct fake_fault fault;
    if (fault_takes(machine, FAULT_RETRY_PREPARE, &task->id, -1, &fault)) {
        struct executor_event event = event_of(machine, task, EXECUTOR_PROGRESS);
        event.reason = REASON_IMAGE_UNREACHABLE;
        event.message = "registry not reachable, trying again in 1s";
        wait_for(machine, task, NEXT_PREPARED, RETRY_MS);
        give(machine, &event);
    } else if (fault_takes(machine, FAULT_FAIL_PREPARE, &task->id, -1, &fault)) {
        task_fail(machine, task, reasons[fault.phase % 3]);
    } else if (happens(machine, profile_of(machine, task)->reject_permille)) {
        task_fail(machine, task, reasons[prng_below(&machine->prng, 3)]);
    } else {
        task->presence = PRESENCE_PREPARED;
        tell(machine, task);
    }
}

static void live_on(struct fake_machine *machine, struct fake_task *task) {
    int64_t run_ms = profile_of(machine, task)->run_ms;
    if (run_ms > 0) {
        wait_for(machine, task, NEXT_END, about(machine, run_ms));
    }
}

static void on_started(struct fake_machine *machine, struct fake_task *task) {
    const struct fake_profile *profile = profile_of(machine, task);
    struct fake_fault fault;
    machine->counts.second_starts += task->was_started;
    task->was_started = true;
    if (fault_takes(machine, FAULT_FAIL_START, &task->id, -1, &fault)) {
        task_fail(machine, task, REASON_START_FAILED);
        return;
    }
    machine->counts.starts++;
    task->presence = PRESENCE_RUNNING;
    task->pid = ++machine->last_pid;
    task->health = task->is_checked ? HEALTH_STARTING : HEALTH_NONE;
    if (task->is_checked && profile->health_ms >= 0) {
        wait_for(machine, task, NEXT_CHECKED, about(machine, profile->health_ms));
    } else {
        live_on(machine, task);
    }
    tell(machine, task);
}

static void on_checked(struct fake_machine *machine, struct fake_task *task) {
    bool is_sick = happens(machine, profile_of(machine, task)->sick_permille);
    task->health = is_sick ? HEALTH_UNHEALTHY : HEALTH_HEALTHY;
    live_on(machine, task);
    tell(machine, task);
}

static void on_end(struct fake_machine *machine, struct fake_task *task) {
    const struct fake_profile *profile = profile_of(machine, task);
    if (happens(machine, profile->crash_permille)) {
        task_end(machine, task, EXIT_SIGNAL, 0, SIGSEGV);
    } else {
        task_end(machine, task, EXIT_CODE, profile->exit_code, 0);
    }
    tell(machine, task);
}

static void on_removed(struct fake_machine *machine, struct fake_task *task) {
    struct executor_event event = event_of(machine, task, EXECUTOR_REMOVED);
    task_drop(machine, task);
    give(machine, &event);
}

static void on_due(struct fake_machine *machine, struct fake_task *task) {
    enum next next = (enum next)task->next;
    unwait(machine, task);
    switch (next) {
    case NEXT_PULL:
        on_pull(machine, task);
        break;
    case NEXT_PREPARED:
        on_prepared(machine, task);
        break;
    case NEXT_STARTED:
        on_started(machine, task);
        break;
    case NEXT_CHECKED:
        on_checked(machine, task);
        break;
    case NEXT_END:
        on_end(machine, task);
        break;
    case NEXT_STOPPED:
        task_end(machine, task, EXIT_CODE, profile_of(machine, task)->exit_code, 0);
        tell(machine, task);
        break;
    case NEXT_KILLED:
        task_end(machine, task, EXIT_SIGNAL, 0, SIGKILL);
        tell(machine, task);
        break;
    case NEXT_REMOVED:
        on_removed(machine, task);
        break;
    case NEXT_NOTHING:
        UNREACHABLE("it waits for nothing");
    }
}

int64_t fake_machine_now_ms(const struct fake_machine *machine) {
    return machine->now_ms;
}

int64_t fake_machine_next_ms(const struct fake_machine *machine) {
    if (!list_is_empty(&machine->asked)) {
        return machine->now_ms;
    }
    return machine->heap_count > 0 ? machine->heap[0]->due_ms : INT64_MAX;
}

static void tell_asked(struct fake_machine *machine) {
    for (struct list_node *node; (node = list_first(&machine->asked)) != NULL;) {
        struct fake_task *task = LIST_ENTRY(node, struct fake_task, asked);
        list_remove(node);
        tell(machine, task);
    }
}

void fake_machine_advance(struct fake_machine *machine, int64_t to_unix_ms) {
    tell_asked(machine);
    while (machine->heap_count > 0 && machine->heap[0]->due_ms <= to_unix_ms) {
        struct fake_task *task = machine->heap[0];
        machine->now_ms = task->due_ms > machine->now_ms ? task->due_ms : machine->now_ms;
        on_due(machine, task);
        tell_asked(machine);
    }
    machine->now_ms = to_unix_ms > machine->now_ms ? to_unix_ms : machine->now_ms;
}

void fake_machine_set_now(struct fake_machine *machine, int64_t now_unix_ms) {
    int64_t next_ms = fake_machine_next_ms(machine);
    int64_t to_ms = now_unix_ms < next_ms ? now_unix_ms : next_ms;
    machine->now_ms = to_ms > machine->now_ms ? to_ms : machine->now_ms;
}

// --- the executor's calls ---

static struct fake_machine *machine_of(struct executor *executor) {
    return ((struct fake_executor *)(void *)executor)->machine;
}

static int fake_probe(struct executor *executor, struct node_description *out, struct arena *arena,
                      struct error *err) {
    (void)executor, (void)arena, (void)err;
    schema_init(&node_description_schema, out);
    out->hostname = "fake";
    out->os = "linux";
    out->arch = "x86_64";
    out->cpus_nano = 64000000000;
    out->memory_bytes = (int64_t)256 << 30;
    out->runtime_version = "fake";
    return 0;
}

static void fake_prepare(struct executor *executor, const struct assignment *assignment) {
    struct fake_machine *machine = machine_of(executor);
    const struct id *id = &assignment->task.meta.id;
    struct fake_task *task = task_get(machine, id);
    if (task == NULL) {
        task = task_add(machine, id, PRESENCE_PREPARING);
        machine->counts.prepares++;
    }
    struct health_check check;
    task->profile = profile_find(machine, assignment->spec.image);
    task->is_checked = health_check_effective(assignment->spec.healthcheck, NULL, &check);
    if (task->presence == PRESENCE_PREPARING && task->next == NEXT_NOTHING) {
        wait_for(machine, task, NEXT_PULL, 0);
    } else {
        ask(machine, task);
    }
}

static void fake_start(struct executor *executor, const struct id *task_id) {
    struct fake_machine *machine = machine_of(executor);
    struct fake_task *task = task_get(machine, task_id);
    if (task == NULL) {
        return; // only what was prepared can be started
    }
    if (task->presence == PRESENCE_PREPARED && task->next == NEXT_NOTHING) {
        wait_for(machine, task, NEXT_STARTED, about(machine, profile_of(machine, task)->start_ms));
    } else if (task->presence != PRESENCE_PREPARED) {
        ask(machine, task);
    }
}

static void stop_running(struct fake_machine *machine, struct fake_task *task, int64_t grace_ms) {
    const struct fake_profile *profile = profile_of(machine, task);
    struct fake_fault fault;
    bool ends_by_itself = task->next != NEXT_NOTHING && task->next != NEXT_CHECKED;
    int64_t due_ms = ends_by_itself ? task->due_ms : INT64_MAX;
    bool is_deaf = profile->stop_ms < 0 || fault_takes(machine, FAULT_HANG_STOP, &task->id, -1, &fault);
    int64_t stop_ms = is_deaf ? INT64_MAX : about(machine, profile->stop_ms);
    if (!task->is_stop_asked && stop_ms < grace_ms && machine->now_ms + stop_ms < due_ms) {
        wait_for(machine, task, NEXT_STOPPED, stop_ms);
    } else if (machine->now_ms + grace_ms < due_ms) {
        wait_for(machine, task, NEXT_KILLED, grace_ms);
    }
    task->is_stop_asked = true;
}

static void fake_stop(struct executor *executor, const struct id *task_id, int number, int64_t grace_ms) {
    struct fake_machine *machine = machine_of(executor);
    struct fake_task *task = task_get(machine, task_id);
    (void)number;
    if (task == NULL) {
        task = task_add(machine, task_id, PRESENCE_PREPARING);
    }
    switch (task->presence) {
    case PRESENCE_RUNNING:
        stop_running(machine, task, grace_ms);
        break;
    case PRESENCE_PREPARING:
    case PRESENCE_PREPARED:
        task_end(machine, task, EXIT_NONE, 0, 0);
        ask(machine, task);
        break;
    case PRESENCE_LOST:
        task->reason = REASON_NODE_REBOOTED;
        task_end(machine, task, EXIT_UNKNOWN, 0, 0);
        ask(machine, task);
        break;
    default:
        ask(machine, task);
        break;
    }
}

static void fake_remove(struct executor *executor, const struct id *task_id) {
    struct fake_machine *machine = machine_of(executor);
    struct fake_task *task = task_get(machine, task_id);
    if (task == NULL) {
        task = task_add(machine, task_id, PRESENCE_REMOVED);
    }
    if (task->next != NEXT_REMOVED) {
        task->presence = PRESENCE_REMOVED;
        wait_for(machine, task, NEXT_REMOVED, about(machine, profile_of(machine, task)->remove_ms));
    }
}

static int fake_list(struct executor *executor, executor_list_fn each, void *context, struct error *err) {
    struct fake_executor *fake = (struct fake_executor *)(void *)executor;
    struct fake_machine *machine = fake->machine;
    size_t cursor = 0;
    (void)err;
    for (struct fake_task *task; (task = map_next(&machine->tasks, &cursor)) != NULL;) {
        if (!fake->is_listed) {
            ask(machine, task);
        }
        bool is_starting = task->presence == PRESENCE_RUNNING && task->is_checked &&
                           task->health != HEALTH_HEALTHY && !task->is_stop_asked;
        each(context, &task->id,
             task->presence > PRESENCE_LOST ? PRESENCE_EXITED
             : is_starting                  ? PRESENCE_STARTING
                                            : (enum executor_presence)task->presence);
    }
    fake->is_listed = true;
    return 0;
}

static const char *fake_log_path(struct executor *executor, const struct id *task_id, struct arena *arena) {
    (void)executor, (void)task_id, (void)arena;
    return NULL;
}

// The daemon dies: what it was doing stays half done.
static void fake_free(struct executor *executor) {
    struct fake_machine *machine = machine_of(executor);
    size_t cursor = 0;
    machine->executor = NULL;
    for (struct fake_task *task; (task = map_next(&machine->tasks, &cursor)) != NULL;) {
        if (list_is_linked(&task->asked)) {
            list_remove(&task->asked);
        }
        if (task->next == NEXT_REMOVED && task->exit_kind == EXIT_NONE) {
            task_end(machine, task, EXIT_UNKNOWN, 0, 0); // half removed: nobody will know
        }
        if (task->next == NEXT_PULL || task->next == NEXT_PREPARED || task->next == NEXT_KILLED ||
            task->next == NEXT_REMOVED) {
            unwait(machine, task);
        }
        task->is_stop_asked = task->is_stop_asked && task->next == NEXT_STOPPED;
    }
    xfree(executor);
}

static const struct executor_ops fake_ops = {
    .name = "fake",
    .probe = fake_probe,
    .prepare = fake_prepare,
    .start = fake_start,
    .stop = fake_stop,
    .remove = fake_remove,
    .list = fake_list,
    .log_path = fake_log_path,
    .free = fake_free,
};

// --- machines ---

struct executor *executor_fake_new(struct fake_machine *machine, executor_event_fn on_event, void *context) {
    ASSERT(machine->executor == NULL);
    struct fake_executor *executor = NEW(struct fake_executor);
    executor->base = (struct executor){&fake_ops, on_event, context, NULL};
    executor->machine = machine;
    machine->executor = executor;
    return &executor->base;
}

struct fake_machine *fake_machine_new(const struct fake_options *options) {
    ASSERT(options->profile_count > 0);
    struct fake_machine *machine = NEW(struct fake_machine);
    machine->options = *options;
    machine->now_ms = options->now_unix_ms;
    prng_seed(&machine->prng, options->seed);
    list_init(&machine->asked);
    return machine;
}

void fake_machine_free(struct fake_machine *machine) {
    size_t cursor = 0;
    for (struct fake_task *task; (task = map_next(&machine->tasks, &cursor)) != NULL;) {
        xfree(task);
    }
    map_free(&machine->tasks);
    xfree(machine->heap);
    xfree(machine);
}

void fake_machine_reboot(struct fake_machine *machine) {
    size_t cursor = 0;
    for (struct fake_task *task; (task = map_next(&machine->tasks, &cursor)) != NULL;) {
        if (task->presence == PRESENCE_RUNNING || task->next == NEXT_STARTED) {
            unwait(machine, task);
            task->presence = PRESENCE_LOST;
        }
    }
}

void fake_machine_set_faults(struct fake_machine *machine, int64_t lose_permille,
                             int64_t duplicate_permille) {
    machine->options.lose_permille = lose_permille;
    machine->options.duplicate_permille = duplicate_permille;
}

void fake_machine_fault(struct fake_machine *machine, const struct fake_fault *fault) {
    size_t at = 0;
    while (at < machine->fault_count && machine->faults[at].count > 0) {
        at++;
    }
    ASSERT(at < FAULTS_MAX);
    machine->faults[at] = *fault;
    machine->fault_count = at < machine->fault_count ? machine->fault_count : at + 1;
}

void fake_machine_health(struct fake_machine *machine, const struct id *task_id, enum health_state health,
                         const char *text) {
    struct fake_task *task = task_get(machine, task_id);
    if (task == NULL || task->presence != PRESENCE_RUNNING || !task->is_checked) {
        return;
    }
    struct health_result result = {
        .time_unix_ms = machine->now_ms, .exit_code = health == HEALTH_UNHEALTHY, .output = text};
    struct health_results results = {1, &result};
    task->health = (uint8_t)health;
    struct executor_event event = event_of(machine, task, EXECUTOR_RUNNING);
    event.pid = task->pid;
    event.health = health;
    event.health_results = &results;
    event.message = text;
    give(machine, &event);
}

struct fake_counts fake_machine_counts(const struct fake_machine *machine) {
    struct fake_counts counts = machine->counts;
    size_t cursor = 0;
    for (struct fake_task *task; (task = map_next(&machine->tasks, &cursor)) != NULL;) {
        counts.present++;
        counts.preparing += task->presence == PRESENCE_PREPARING;
        counts.prepared += task->presence == PRESENCE_PREPARED;
        counts.running += task->presence == PRESENCE_RUNNING;
        counts.over += task->presence >= PRESENCE_EXITED;
    }
    return counts;
}

size_t fake_machine_task_bytes(void) {
    return sizeof(struct fake_task) + sizeof(struct fake_task *);
}
