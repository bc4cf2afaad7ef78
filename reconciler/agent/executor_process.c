// SPDX-License-Identifier: Apache-2.0
//
// reconciler/agent/executor_process.c — runs tasks as plain processes: for development, without root or runc.
//
// A task is the command of its spec in a directory of its own, under a muster-shim with --process. There is
// no image, no isolation, no limit; but start, stop, logs, exit status and recovery are those of
// containers.
//
// On disk      <state>/process/<id>/: `shim/` (TASKDIR of the shim, with the bundle's file `process`),
//              `work/` (working directory), `health` (the spec, if it has a check), `log`, `log.1`….
//              What `list` finds follows from these files alone.
// Model        State rises as in executor_presence; a supervisor per task tells the shim's events. Calls only
//              record what is wanted and send commands; events that answer a repeated call are told from an
//              idle handle, never inside the call.
// Secrets      and configs are files below <run>/contents/<id>, which must be in memory for secrets; the
//              task finds them by MUSTER_SECRETS and MUSTER_CONFIGS in its environment. They go when it
//              ends.
// Not here     Users other than by name or number, and only for root; everything else of a spec that needs a
//              container is not done here, silently: what runs here is no production.
#include "reconciler/agent/executor.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <unistd.h>
#include <uv.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/limits.h"
#include "base/list.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/str.h"
#include "reconciler/agent/content_files.h"
#include "reconciler/agent/health_watch.h"
#include "reconciler/agent/supervisor.h"

#define LOG_MAX_BYTES "10000000"
#define LOG_FILES "3"
#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

#define TRASH ".trash." // and the id: being removed

struct process_executor;

struct process_task {
    struct id id;
    struct process_executor *executor;
    enum executor_presence presence;
    struct supervisor *supervisor; // while the shim lives
    bool is_start_asked, is_stop_asked, is_remove_asked;
    bool is_old;     // found ended: only its end is told
    bool is_phantom; // nothing on disk: an id that was stopped or removed and never known
    int64_t pid, start_unix_ms, end_unix_ms;
    struct task_exit exit;
    int64_t reason;
    enum executor_class class_;
    char *message;
    struct arena check_arena;           // of the spec
    const struct service_spec *checked; // of a task with a health check; NULL = it has none
    struct health_watch *health;        // while it runs and is not to stop
    uv_timer_t *grace;                  // NULL: none runs
    int64_t kill_at_ms;
    struct list_node asked;
};

struct process_executor {
    struct executor base;
    uv_loop_t *loop;
    char *dir, *run_dir, *shim_path, *self_path;
    struct health_pool health;
    struct map tasks;
    struct list asked;
    uv_idle_t *idle; // tells what was asked
    bool is_scanned;
};

static struct process_executor *of(struct executor *executor) {
    return (struct process_executor *)(void *)executor;
}

static char *path_of(const struct process_task *task, const char *name) {
    return xasprintf("%s/%s%s%s", task->executor->dir, task->id.text, name[0] != '\0' ? "/" : "", name);
}

// --- telling ---

static void give(struct process_task *task, struct executor_event *event) {
    struct executor *executor = &task->executor->base;
    event->task_id = task->id;
    event->message = event->message == NULL ? "" : event->message;
    event->time_unix_ms = event->time_unix_ms > 0 ? event->time_unix_ms : clock_unix_ms();
    executor->on_event(executor->context, event);
}

static struct executor_event running_event(const struct process_task *task) {
    struct executor_event event = {
        .kind = EXECUTOR_RUNNING, .time_unix_ms = task->start_unix_ms, .pid = task->pid};
    if (task->health != NULL) {
        struct health_news news = health_watch_news(task->health);
        event.time_unix_ms = 0; // what counts is since when it is well
        event.health = news.state;
        event.health_results = news.results;
        event.message = news.text;
    }
    return event;
}

static void tell(struct process_task *task) {
    struct executor_event event = {.kind = EXECUTOR_PREPARED};
    switch (task->presence) {
    case PRESENCE_PREPARING:
    case PRESENCE_LOST:
        return;
    case PRESENCE_PREPARED:
        break;
    case PRESENCE_STARTING: // only in a list
    case PRESENCE_RUNNING:
        event = running_event(task);
        break;
    case PRESENCE_EXITED:
        event = (struct executor_event){.kind = EXECUTOR_EXITED,
                                        .time_unix_ms = task->end_unix_ms,
                                        .exit = task->exit,
                                        .reason = task->reason};
        break;
    case PRESENCE_FAILED:
        event = (struct executor_event){.kind = EXECUTOR_FAILED,
                                        .time_unix_ms = task->end_unix_ms,
                                        .class_ = task->class_,
                                        .reason = task->reason,
                                        .message = task->message};
        break;
    }
    give(task, &event);
}

static void on_idle(uv_idle_t *idle);

static void ask(struct process_task *task) {
    struct process_executor *executor = task->executor;
    if (!list_is_linked(&task->asked)) {
        list_append(&executor->asked, &task->asked);
        uv_idle_start(executor->idle, on_idle);
    }
}

// --- health ---

static void on_news(void *context, const struct health_news *news) {
    (void)news;
    tell(context);
}

static void end_health(struct process_task *task) {
    health_watch_close(task->health);
    task->health = NULL;
}

static void forget_check(struct process_task *task) {
    end_health(task);
    task->checked = NULL;
    arena_free(&task->check_arena);
}

// As the task was started: its environment and nothing else, its directory. It runs as the daemon's user.
static void begin_health(struct process_task *task) {
    AUTO_ARENA arena = {0};
    AUTO_FREE char *work = path_of(task, "work");
    struct strings prefix = {0};
    struct health_check check;
    struct error err = {0};
    if (task->checked == NULL || task->health != NULL || task->is_stop_asked || task->is_remove_asked ||
        !health_check_effective(task->checked->healthcheck, NULL, &check)) {
        return;
    }
    const struct service_spec *spec = task->checked;
    *ARENA_PUSH(&arena, &prefix) = "env";
    *ARENA_PUSH(&arena, &prefix) = "-i";
    *ARENA_PUSH(&arena, &prefix) = "PATH=" DEFAULT_PATH;
    for (size_t i = 0; i < spec->environment.count; i++) {
        const struct pair *variable = &spec->environment.items[i];
        *ARENA_PUSH(&arena, &prefix) = arena_printf(&arena, "%s=%s", variable->key, variable->value);
    }
    *ARENA_PUSH(&arena, &prefix) = NULL;
    struct health_watch_options options = {
        .pool = &task->executor->health,
        .check = &check,
        .prefix = prefix.items,
        .directory = str_is_empty(spec->working_dir) ? work : spec->working_dir,
        .netns = "-",
        .on_news = on_news,
        .context = task,
    };
    if (health_watch_open(&options, &task->health, &err) < 0) {
        log_failure(LOG_WARN, "task.health", &err, LOG_STR("task", task->id.text));
        task->checked = NULL;
    }
}

// The spec is kept on disk, since what runs may be found by another daemon.
static int keep_check(struct process_task *task, const struct assignment *assignment, struct error *err) {
    struct health_check check;
    AUTO_FREE char *path = path_of(task, "health");
    AUTO_BUF encoded = {0};
    if (!health_check_effective(assignment->spec.healthcheck, NULL, &check)) {
        return 0;
    }
    task->checked = schema_copy(&service_spec_schema, &assignment->spec, &task->check_arena);
    wire_encode(&service_spec_schema, &assignment->spec, &encoded);
    return fs_replace(AT_FDCWD, path, encoded.data, encoded.len, 0600, /* sync */ false, err);
}

static void find_check(struct process_task *task) {
    AUTO_FREE char *path = path_of(task, "health");
    AUTO_ARENA arena = {0};
    AUTO_BUF encoded = {0};
    struct service_spec spec;
    struct error err = {0};
    if (fs_read(AT_FDCWD, path, TRANSACTION_BYTES_MAX, &encoded, &err) == 0 &&
        wire_decode(&service_spec_schema, buf_bytes(&encoded), &spec, &arena, &err) == 0) {
        task->checked = schema_copy(&service_spec_schema, &spec, &task->check_arena);
    }
}

// --- tasks ---

static struct process_task *task_get(const struct process_executor *executor, const struct id *id) {
    return map_get(&executor->tasks, id->text);
}

static struct process_task *task_add(struct process_executor *executor, const struct id *id) {
    struct process_task *task = NEW(struct process_task);
    task->id = *id;
    task->executor = executor;
    map_put(&executor->tasks, task->id.text, task);
    return task;
}

static void on_timer_closed(uv_handle_t *handle) {
    xfree(handle);
}

static void end_grace(struct process_task *task) {
    if (task->grace != NULL) {
        uv_close((uv_handle_t *)task->grace, on_timer_closed);
        task->grace = NULL;
    }
}

static void task_free(struct process_task *task) {
    end_grace(task);
    forget_check(task);
    supervisor_close(task->supervisor);
    if (list_is_linked(&task->asked)) {
        list_remove(&task->asked);
    }
    map_remove(&task->executor->tasks, task->id.text);
    xfree(task->message);
    xfree(task);
}

static char *contents_of(const struct process_task *task) {
    return xasprintf("%s/" CONTENT_FILES_NAME "/%s", task->executor->run_dir, task->id.text);
}

static void remove_contents(const struct process_task *task) {
    AUTO_FREE char *directory = contents_of(task);
    struct error err = {0};
    if (fs_remove_tree(AT_FDCWD, directory, &err) < 0) {
        log_failure(LOG_WARN, "task.contents", &err, LOG_STR("task", task->id.text));
    }
}

static void task_end(struct process_task *task, enum executor_presence presence, int64_t time_unix_ms) {
    end_grace(task);
    forget_check(task);
    remove_contents(task);
    supervisor_close(task->supervisor);
    task->supervisor = NULL;
    task->presence = presence;
    task->end_unix_ms = time_unix_ms > 0 ? time_unix_ms : clock_unix_ms();
    task->pid = 0;
}

static void task_fail(struct process_task *task, enum executor_class class_, int64_t reason,
                      const char *message, int64_t time_unix_ms) {
    task_end(task, PRESENCE_FAILED, time_unix_ms);
    task->class_ = class_;
    task->reason = reason;
    xfree(task->message);
    task->message = xstrdup(message);
}

// Renamed first: a shim that was started a second time, and comes to the directory only now, must find
// nothing to run in there.
static void remove_files(const struct process_executor *executor, const char *name) {
    struct error err = {0};
    AUTO_FREE char *path = xasprintf("%s/%s", executor->dir, name);
    AUTO_FREE char *trash = xasprintf("%s/" TRASH "%s", executor->dir, name);
    int rc = 0;
    if (str_starts(name, TRASH)) {
        rc = fs_remove_tree(AT_FDCWD, path, &err);
    } else if (rename(path, trash) == 0) {
        rc = fs_remove_tree(AT_FDCWD, trash, &err);
    } else if (errno != ENOENT) {
        rc = error_sys(&err, errno, "rename %s", path);
    }
    if (rc < 0) {
        log_failure(LOG_WARN, "task.remove", &err, LOG_STR("name", name));
    }
}

// Nothing runs any more: what is left goes. Asked for from a call, so it is told later.
static void task_remove_files(struct process_task *task) {
    remove_files(task->executor, task->id.text);
    ask(task);
}

static bool is_over(const struct process_task *task) {
    return task->presence >= PRESENCE_EXITED;
}

static void on_asked(struct process_task *task) {
    if (task->is_remove_asked && is_over(task)) {
        struct executor_event event = {.kind = EXECUTOR_REMOVED};
        struct id id = task->id;
        struct executor *executor = &task->executor->base;
        task_free(task);
        event.task_id = id;
        event.message = "";
        event.time_unix_ms = clock_unix_ms();
        executor->on_event(executor->context, &event);
        return;
    }
    tell(task);
}

// Those asked for by what is told wait for the next turn.
static void on_idle(uv_idle_t *idle) {
    struct process_executor *executor = idle->data;
    struct list now;
    list_init(&now);
    uv_idle_stop(idle);
    LIST_EACH(node, &executor->asked) {
        list_remove(node);
        list_append(&now, node);
    }
    for (struct list_node *node; (node = list_first(&now)) != NULL;) {
        list_remove(node);
        on_asked(LIST_ENTRY(node, struct process_task, asked));
    }
}

// --- what the shim tells ---

static void on_created(struct process_task *task) {
    if (task->presence != PRESENCE_PREPARING || task->is_old) {
        return;
    }
    task->presence = PRESENCE_PREPARED;
    if (task->is_stop_asked || task->is_remove_asked) {
        supervisor_kill(task->supervisor, SIGKILL);
    } else {
        tell(task);
    }
}

static void on_exit(struct process_task *task, const struct supervisor_event *event) {
    bool was_started = task->presence == PRESENCE_RUNNING;
    task_end(task, PRESENCE_EXITED, event->time_unix_ms);
    task->exit = was_started ? event->exit : (struct task_exit){.kind = EXIT_NONE};
    task->exit.time_unix_ms = task->end_unix_ms;
}

static void on_supervisor(void *context, const struct supervisor_event *event) {
    struct process_task *task = context;
    switch (event->kind) {
    case SUPERVISOR_CREATED:
        on_created(task);
        return;
    case SUPERVISOR_RUNNING:
        if (task->presence < PRESENCE_RUNNING) {
            task->presence = PRESENCE_RUNNING;
        }
        task->pid = event->pid;
        task->start_unix_ms = event->time_unix_ms;
        if (task->is_old) {
            return;
        }
        begin_health(task);
        break;
    case SUPERVISOR_EXITED:
        on_exit(task, event);
        break;
    case SUPERVISOR_FAILED:
        task_fail(task, event->was_started ? CLASS_FAIL : CLASS_INTERNAL,
                  event->was_started ? REASON_START_FAILED : REASON_CREATE_FAILED, event->text,
                  event->time_unix_ms);
        break;
    case SUPERVISOR_LOST: {
        AUTO_FREE char *dir = path_of(task, "shim");
        supervisor_kill_orphan(dir);
        task_end(task, PRESENCE_EXITED, event->time_unix_ms);
        task->exit = (struct task_exit){.kind = EXIT_UNKNOWN, .time_unix_ms = task->end_unix_ms};
        task->reason = REASON_SUPERVISOR_LOST;
        break;
    }
    }
    if (is_over(task) && task->is_remove_asked) {
        task_remove_files(task);
    } else {
        tell(task);
    }
}

// --- prepare ---

static void add_string(struct buf *out, const char *text) {
    buf_add(out, text, strlen(text) + 1);
}

struct ids {
    int64_t uid, gid; // -1: as we
};

// "uid[:gid]", or names. Returns false when there is no such user.
static bool find_user(const char *user, struct ids *out) {
    char name[256];
    size_t len = strcspn(user, ":");
    *out = (struct ids){-1, -1};
    if (geteuid() != 0 || len == 0 || len >= sizeof name) {
        return len < sizeof name;
    }
    snprintf(name, sizeof name, "%.*s", (int)len, user);
    const struct passwd *entry = getpwnam(name);
    if (!str_to_int(name, &out->uid)) {
        if (entry == NULL) {
            return false;
        }
        out->uid = (int64_t)entry->pw_uid;
    }
    out->gid = entry != NULL ? (int64_t)entry->pw_gid : out->uid;
    const char *group = user[len] == ':' ? user + len + 1 : "";
    if (group[0] != '\0' && !str_to_int(group, &out->gid)) {
        const struct group *group_entry = getgrnam(group);
        out->gid = group_entry != NULL ? (int64_t)group_entry->gr_gid : -1;
        return group_entry != NULL;
    }
    return true;
}

static void add_id(struct buf *out, int64_t number) {
    if (number >= 0) {
        buf_addf(out, "%lld", (long long)number);
    }
    buf_addc(out, '\0');
}

static void add_environment(struct buf *out, const struct assignment *assignment, const char *work_dir,
                            const char *contents) {
    const struct pairs *environment = &assignment->spec.environment;
    for (size_t i = 0; i < environment->count; i++) {
        buf_addf(out, "%s=%s", environment->items[i].key, environment->items[i].value);
        buf_addc(out, '\0');
    }
    if (pairs_get(environment, "PATH") == NULL) {
        add_string(out, "PATH=" DEFAULT_PATH);
    }
    if (pairs_get(environment, "HOME") == NULL) {
        buf_addf(out, "HOME=%s", work_dir);
        buf_addc(out, '\0');
    }
    if (content_files_any(assignment)) {
        buf_addf(out, "MUSTER_SECRETS=%s/secrets", contents);
        buf_addc(out, '\0');
        buf_addf(out, "MUSTER_CONFIGS=%s/configs", contents);
        buf_addc(out, '\0');
    }
}

// The shim's file `process` (format: shim_process.c).
static void make_spec(const struct assignment *assignment, const struct ids *ids, const char *work_dir,
                      const char *contents, struct buf *out) {
    const struct service_spec *spec = &assignment->spec;
    add_string(out, str_is_empty(spec->working_dir) ? work_dir : spec->working_dir);
    add_id(out, ids->uid);
    add_id(out, ids->gid);
    buf_addf(out, "%zu", spec->entrypoint.count + spec->command.count);
    buf_addc(out, '\0');
    for (size_t i = 0; i < spec->entrypoint.count; i++) {
        add_string(out, spec->entrypoint.items[i]);
    }
    for (size_t i = 0; i < spec->command.count; i++) {
        add_string(out, spec->command.items[i]);
    }
    add_environment(out, assignment, work_dir, contents);
}

static int make_contents(const struct process_task *task, const struct assignment *assignment,
                         const char *directory, struct error *err) {
    const struct process_executor *executor = task->executor;
    if (!content_files_any(assignment)) {
        return 0;
    }
    if (assignment->spec.secrets.count > 0 && !content_files_in_memory(executor->run_dir)) {
        return error_set(
            err, ERR_LIMIT,
            "secrets are kept in memory only, and %s is on a disk: give musterd a --run-dir below /run or "
            "/dev/shm",
            executor->run_dir);
    }
    struct shelf_items items = shelf_use_all(executor->base.shelf, assignment);
    const struct content_order order = {assignment, &items, directory, /*is_plain=*/true};
    int rc = content_files_make(&order, err);
    shelf_items_leave(&items);
    return rc;
}

static int make_files(const char *shim, const char *work, const char *contents,
                      const struct assignment *assignment, const struct ids *ids, struct error *err) {
    AUTO_FREE char *process = xasprintf("%s/process", shim);
    AUTO_BUF spec = {0};
    make_spec(assignment, ids, work, contents, &spec);
    int rc = fs_make_dirs(shim, 0700, err);
    rc = rc < 0 ? rc : fs_make_dirs(work, 0755, err);
    if (rc == 0 && ids->uid >= 0 && chown(work, (uid_t)ids->uid, (gid_t)ids->gid) != 0) {
        rc = error_sys(err, errno, "give %s to its user", work);
    }
    return rc < 0 ? rc : fs_replace(AT_FDCWD, process, spec.data, spec.len, 0600, /* sync */ false, err);
}

static int begin(struct process_task *task, const struct assignment *assignment, const struct ids *ids,
                 struct error *err) {
    AUTO_FREE char *shim = path_of(task, "shim"), *work = path_of(task, "work"), *log = path_of(task, "log");
    AUTO_FREE char *contents = contents_of(task);
    int rc = make_contents(task, assignment, contents, err);
    rc = rc < 0 ? rc : make_files(shim, work, contents, assignment, ids, err);
    rc = rc < 0 ? rc : keep_check(task, assignment, err);
    if (rc < 0) {
        return rc;
    }
    const char *const argv[] = {task->executor->shim_path,
                                "--process",
                                "--id",
                                task->id.text,
                                "--bundle",
                                shim,
                                "--dir",
                                shim,
                                "--log",
                                log,
                                "--log-max-bytes",
                                LOG_MAX_BYTES,
                                "--log-files",
                                LOG_FILES,
                                NULL};
    struct supervisor_options options = {task->executor->loop, shim, argv, on_supervisor, task};
    return supervisor_open(&options, &task->supervisor, err);
}

static void fail_begin(struct process_task *task, int rc, const struct error *err) {
    char text[600];
    int64_t reason = rc == -ERR_NO_SPACE    ? REASON_NO_SPACE
                     : rc == -ERR_LIMIT     ? REASON_MEMORY_MISSING
                     : rc == -ERR_NOT_FOUND ? REASON_RUNTIME_MISSING
                                            : REASON_CREATE_FAILED;
    task_fail(task, rc == -ERR_LIMIT ? CLASS_REJECT : CLASS_INTERNAL, reason,
              error_text(err, text, sizeof text), 0);
}

static void process_prepare(struct executor *base, const struct assignment *assignment) {
    struct process_executor *executor = of(base);
    const struct id *id = &assignment->task.meta.id;
    struct process_task *task = task_get(executor, id);
    struct error err = {0};
    struct ids ids;
    task = task != NULL ? task : task_add(executor, id);
    if (task->presence != PRESENCE_PREPARING || task->supervisor != NULL || task->is_remove_asked) {
        ask(task);
        return;
    }
    bool is_known_user = find_user(assignment->spec.user, &ids);
    if (assignment->spec.entrypoint.count + assignment->spec.command.count == 0) {
        task_fail(task, CLASS_REJECT, REASON_UNSUPPORTED,
                  "no command: a plain process has no image to take one from; give `command`", 0);
    } else if (!is_known_user) {
        AUTO_FREE char *text = xasprintf("no user %s on this machine", assignment->spec.user);
        task_fail(task, CLASS_REJECT, REASON_CREATE_FAILED, text, 0);
    } else {
        int rc = begin(task, assignment, &ids, &err);
        if (rc < 0) {
            fail_begin(task, rc, &err);
        }
    }
    if (task->presence == PRESENCE_FAILED) {
        ask(task);
    }
}

static void process_refresh(struct executor *base, const struct assignment *assignment) {
    struct process_executor *executor = of(base);
    struct process_task *task = task_get(executor, &assignment->task.meta.id);
    struct error err = {0};
    int number = 0;
    if (task == NULL || task->supervisor == NULL || is_over(task)) {
        return;
    }
    AUTO_FREE char *directory = contents_of(task);
    struct shelf_items items = shelf_use_all(base->shelf, assignment);
    const struct content_order order = {assignment, &items, directory, /*is_plain=*/true};
    if (content_files_refresh(&order, &number, &err) < 0) {
        log_failure(LOG_WARN, "task.refresh", &err, LOG_STR("task", task->id.text));
    } else if (number != 0 && task->presence == PRESENCE_RUNNING) {
        supervisor_kill(task->supervisor, number);
    }
    shelf_items_leave(&items);
}

// --- start, stop, remove ---

static void process_start(struct executor *base, const struct id *task_id) {
    struct process_task *task = task_get(of(base), task_id);
    if (task == NULL) {
        return; // only what was prepared can be started
    }
    if (task->presence != PRESENCE_PREPARED) {
        ask(task);
    } else if (!task->is_start_asked && !task->is_stop_asked && !task->is_remove_asked) {
        task->is_start_asked = true;
        supervisor_start(task->supervisor);
    }
}

static void on_grace(uv_timer_t *timer) {
    struct process_task *task = timer->data;
    end_grace(task);
    if (task->supervisor != NULL) {
        supervisor_kill(task->supervisor, SIGKILL);
    }
}

static void begin_grace(struct process_task *task, int64_t grace_ms) {
    int64_t kill_at_ms = clock_mono_ms() + grace_ms;
    if (task->grace != NULL && task->kill_at_ms <= kill_at_ms) {
        return;
    }
    if (task->grace == NULL) {
        task->grace = NEW(uv_timer_t);
        uv_timer_init(task->executor->loop, task->grace);
        task->grace->data = task;
    }
    task->kill_at_ms = kill_at_ms;
    uv_timer_start(task->grace, on_grace, (uint64_t)(grace_ms > 0 ? grace_ms : 0), 0);
}

static void end_lost(struct process_task *task) {
    AUTO_FREE char *dir = path_of(task, "shim");
    supervisor_kill_orphan(dir);
    task_end(task, PRESENCE_EXITED, 0);
    task->exit = (struct task_exit){.kind = EXIT_UNKNOWN, .time_unix_ms = task->end_unix_ms};
    task->reason = REASON_SUPERVISOR_LOST;
}

static void give_up(struct process_task *task) {
    task_end(task, PRESENCE_EXITED, 0);
    task->exit = (struct task_exit){.kind = EXIT_NONE, .time_unix_ms = task->end_unix_ms};
}

static void process_stop(struct executor *base, const struct id *task_id, int number, int64_t grace_ms) {
    struct process_executor *executor = of(base);
    struct process_task *task = task_get(executor, task_id);
    if (task == NULL) {
        task = task_add(executor, task_id);
        task->is_phantom = true;
    }
    if (task->presence == PRESENCE_LOST) {
        end_lost(task);
    } else if (task->presence == PRESENCE_PREPARING && task->supervisor == NULL) {
        give_up(task);
    }
    if (is_over(task)) {
        ask(task);
        return;
    }
    bool is_first = !task->is_stop_asked;
    task->is_stop_asked = true;
    end_health(task);
    if (task->presence == PRESENCE_PREPARING) {
        return; // on_created goes on with it
    }
    if (is_first) {
        supervisor_kill(task->supervisor, number > 0 ? number : SIGTERM);
    }
    begin_grace(task, grace_ms);
}

static void process_remove(struct executor *base, const struct id *task_id) {
    struct process_executor *executor = of(base);
    struct process_task *task = task_get(executor, task_id);
    if (task == NULL) {
        task = task_add(executor, task_id);
        task->is_phantom = true;
    }
    task->is_remove_asked = true;
    if (task->presence == PRESENCE_LOST) {
        end_lost(task);
    } else if (task->presence == PRESENCE_PREPARING && task->supervisor == NULL) {
        give_up(task);
    }
    if (is_over(task)) {
        task_remove_files(task);
    } else if (task->presence != PRESENCE_PREPARING) {
        supervisor_kill(task->supervisor, SIGKILL);
    }
}

// --- list ---

static void adopt(struct process_executor *executor, const struct id *id) {
    struct process_task *task = task_add(executor, id);
    AUTO_FREE char *dir = path_of(task, "shim");
    struct supervisor_view view = supervisor_look(dir);
    struct supervisor_options options = {executor->loop, dir, NULL, on_supervisor, task};
    struct error err = {0};
    bool has_ended = view.is_exited || view.is_failed;
    if (!has_ended) {
        find_check(task);
    }
    task->presence = view.is_exited    ? PRESENCE_EXITED
                     : view.is_failed  ? PRESENCE_FAILED
                     : view.is_alive   ? (view.is_running   ? PRESENCE_RUNNING
                                          : view.is_created ? PRESENCE_PREPARED
                                                            : PRESENCE_PREPARING)
                     : view.is_created ? PRESENCE_LOST
                                       : PRESENCE_PREPARING;
    if ((view.is_alive || has_ended) && supervisor_open(&options, &task->supervisor, &err) < 0) {
        log_failure(LOG_WARN, "task.adopt", &err, LOG_STR("task", id->text));
        task->presence = PRESENCE_LOST;
    }
    if (has_ended && task->supervisor != NULL) {
        task->is_old = true;
        task->presence = view.is_running ? PRESENCE_RUNNING : PRESENCE_PREPARED; // until it tells the rest
    }
}

static int scan(struct process_executor *executor, struct error *err) {
    DIR *dir = opendir(executor->dir);
    if (dir == NULL) {
        return error_sys(err, errno, "list %s", executor->dir);
    }
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        struct id id;
        if (id_parse(entry->d_name, &id) && task_get(executor, &id) == NULL) {
            adopt(executor, &id);
        } else if (str_starts(entry->d_name, TRASH)) {
            remove_files(executor, entry->d_name);
        }
    }
    closedir(dir);
    executor->is_scanned = true;
    return 0;
}

// An end that the supervisor is about to tell is one already.
static enum executor_presence presence_of(const struct process_task *task) {
    AUTO_FREE char *dir = path_of(task, "shim");
    if (is_over(task) || task->supervisor == NULL) {
        return task->presence;
    }
    struct supervisor_view view = supervisor_look(dir);
    enum executor_presence presence = view.is_exited   ? PRESENCE_EXITED
                                      : view.is_failed ? PRESENCE_FAILED
                                                       : task->presence;
    // One whose shim has not told yet that it runs may have become unwell meanwhile.
    bool is_well = task->checked == NULL || task->is_stop_asked ||
                   (task->health != NULL && health_watch_news(task->health).state == HEALTH_HEALTHY);
    return presence == PRESENCE_RUNNING && !is_well ? PRESENCE_STARTING : presence;
}

static int process_list(struct executor *base, executor_list_fn each, void *context, struct error *err) {
    struct process_executor *executor = of(base);
    size_t cursor = 0;
    int rc = executor->is_scanned ? 0 : scan(executor, err);
    for (struct process_task *task; rc == 0 && (task = map_next(&executor->tasks, &cursor)) != NULL;) {
        if (!task->is_phantom) {
            each(context, &task->id, presence_of(task));
        }
    }
    return rc;
}

// --- the rest ---

static int process_probe(struct executor *base, struct node_description *out, struct arena *arena,
                         struct error *err) {
    struct utsname names;
    struct sysinfo info;
    (void)base;
    if (uname(&names) != 0 || sysinfo(&info) != 0) {
        return error_sys(err, errno, "ask for the machine's resources");
    }
    schema_init(&node_description_schema, out);
    out->hostname = arena_strdup(arena, names.nodename);
    out->os = "linux";
    out->arch = arena_strdup(arena, names.machine);
    out->cpus_nano = sysconf(_SC_NPROCESSORS_ONLN) * INT64_C(1000000000);
    out->memory_bytes = (int64_t)info.totalram * (int64_t)info.mem_unit;
    out->runtime_version = "process";
    return 0;
}

// With the daemon's environment: a plain process has no container whose it could be.
static int process_exec(struct executor *base, const struct id *task_id, const struct exec_wish *wish,
                        struct exec_plan *out, struct arena *arena, struct error *err) {
    struct process_task *task = task_get(of(base), task_id);
    struct strings argv = {0};
    if (task == NULL || task->presence != PRESENCE_RUNNING) {
        return error_set(err, ERR_CONFLICT, "task %s is not running", task_id->text);
    }
    if (wish->user[0] != '\0') {
        return error_set(err, ERR_UNSUPPORTED, "plain processes run as the daemon's user: leave --user out");
    }
    AUTO_FREE char *work = path_of(task, "work");
    *ARENA_PUSH(arena, &argv) = "env";
    for (size_t i = 0; i < wish->environment.count; i++) {
        const struct pair *variable = &wish->environment.items[i];
        *ARENA_PUSH(arena, &argv) = arena_printf(arena, "%s=%s", variable->key, variable->value);
    }
    for (size_t i = 0; i < wish->command.count; i++) {
        *ARENA_PUSH(arena, &argv) = wish->command.items[i];
    }
    *ARENA_PUSH(arena, &argv) = NULL;
    *out = (struct exec_plan){
        .argv = argv.items,
        .directory = arena_strdup(arena, wish->working_dir[0] != '\0' ? wish->working_dir : work)};
    return 0;
}

static const char *process_log_path(struct executor *base, const struct id *task_id, struct arena *arena) {
    return arena_printf(arena, "%s/%s/log", of(base)->dir, task_id->text);
}

static void on_idle_closed(uv_handle_t *handle) {
    xfree(handle);
}

static void process_free(struct executor *base) {
    struct process_executor *executor = of(base);
    for (size_t cursor = 0; executor->tasks.count > 0; cursor = 0) {
        task_free(map_next(&executor->tasks, &cursor));
    }
    map_free(&executor->tasks);
    uv_close((uv_handle_t *)executor->idle, on_idle_closed);
    xfree(executor->dir);
    xfree(executor->run_dir);
    xfree(executor->shim_path);
    xfree(executor->self_path);
    xfree(executor);
}

static const struct executor_ops process_ops = {
    .name = "process",
    .probe = process_probe,
    .prepare = process_prepare,
    .start = process_start,
    .stop = process_stop,
    .remove = process_remove,
    .refresh = process_refresh,
    .list = process_list,
    .exec = process_exec,
    .log_path = process_log_path,
    .free = process_free,
};

int executor_process_new(const struct executor_options *options, struct executor **out, struct error *err) {
    AUTO_FREE char *dir = xasprintf("%s/process", options->state_dir);
    if (dir[0] != '/') {
        return error_set(err, ERR_INVALID, "the state directory %s is not an absolute path",
                         options->state_dir);
    }
    int rc = fs_make_dirs(dir, 0700, err);
    if (rc < 0) {
        return rc;
    }
    struct process_executor *executor = NEW(struct process_executor);
    executor->base = (struct executor){&process_ops, options->on_event, options->context, NULL};
    executor->loop = options->loop;
    executor->dir = TAKE(dir);
    executor->run_dir = xstrdup(options->run_dir != NULL ? options->run_dir : options->state_dir);
    executor->shim_path = xstrdup(options->shim_path);
    executor->self_path = xstrdup(options->self_path != NULL ? options->self_path : "musterd");
    health_pool_init(&executor->health, options->loop, executor->self_path);
    list_init(&executor->asked);
    executor->idle = NEW(uv_idle_t);
    executor->idle->data = executor;
    uv_idle_init(options->loop, executor->idle);
    *out = &executor->base;
    return 0;
}
