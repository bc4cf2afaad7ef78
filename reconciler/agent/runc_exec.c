// SPDX-License-Identifier: Apache-2.0
//
// reconciler/agent/runc_exec.c — how a command is run beside a container: `runc exec` with a process made
// of the container's own.
//
// The process is that of config.json with another command: same capabilities, limits, no_new_privs. Another
// user than root loses the capabilities, as it would at the start of a container; runc would keep them.
#include "reconciler/agent/runc_task.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h> // after ours, which have a JSON_COMPACT too
#include <string.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/str.h"
#include "reconciler/agent/rootfs_user.h"

#define CONFIG_BYTES_MAX ((size_t)4 * 1024 * 1024)
#define MARK "MUSTER_EXEC"

static void free_json(json_t **json) {
    json_decref(*json);
}
#define AUTO_JSON __attribute__((cleanup(free_json))) json_t

static int read_process(const char *path, json_t **out, struct error *err) {
    AUTO_BUF text = {0};
    json_error_t problem;
    int rc = fs_read(AT_FDCWD, path, CONFIG_BYTES_MAX, &text, err);
    if (rc < 0) {
        return rc;
    }
    AUTO_JSON *config = json_loadb(buf_text(&text), text.len, 0, &problem);
    *out = json_incref(json_object_get(config, "process"));
    return json_is_object(*out) ? 0 : error_set(err, ERR_CORRUPT, "%s tells of no process", path);
}

// "NAME=value": in the place of one of that name.
static void set_variable(json_t *environment, const char *text) {
    size_t len = strcspn(text, "=") + 1;
    for (size_t i = 0; i < json_array_size(environment); i++) {
        const char *present = json_string_value(json_array_get(environment, i));
        if (present != NULL && strncmp(present, text, len) == 0) {
            json_array_set_new(environment, i, json_string(text));
            return;
        }
    }
    json_array_append_new(environment, json_string(text));
}

static void set_command(json_t *process, const struct exec_wish *wish, const char *mark,
                        struct arena *arena) {
    json_t *args = json_array();
    json_t *environment = json_object_get(process, "env");
    for (size_t i = 0; i < wish->command.count; i++) {
        json_array_append_new(args, json_string(wish->command.items[i]));
    }
    json_object_set_new(process, "args", args);
    if (wish->is_tty) {
        set_variable(environment, "TERM=xterm");
    }
    for (size_t i = 0; i < wish->environment.count; i++) {
        const struct pair *variable = &wish->environment.items[i];
        set_variable(environment, arena_printf(arena, "%s=%s", variable->key, variable->value));
    }
    set_variable(environment, mark);
    json_object_set_new(process, "terminal", json_boolean(wish->is_tty));
    if (wish->working_dir[0] != '\0') {
        json_object_set_new(process, "cwd", json_string(wish->working_dir));
    }
}

static int set_user(json_t *process, const struct runc_task *task, const char *name, struct arena *arena,
                    struct error *err) {
    static const char *const own_sets[] = {"effective", "permitted", "inheritable", "ambient"};
    static const struct strings no_groups = {0};
    struct rootfs_user user;
    const char *root = arena_printf(arena, "/proc/%lld/root", (long long)task->pid);
    AUTO_CLOSE int fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return error_sys(err, errno, "open the root of the container");
    }
    int rc = rootfs_user_find(fd, name, &no_groups, &user, err);
    if (rc < 0) {
        return rc;
    }
    json_t *groups = json_array();
    for (size_t i = 0; i < user.group_count; i++) {
        json_array_append_new(groups, json_integer(user.groups[i]));
    }
    json_object_set_new(process, "user",
                        json_pack("{s:I,s:I,s:o}", "uid", (json_int_t)user.uid, "gid", (json_int_t)user.gid,
                                  "additionalGids", groups));
    json_t *capabilities = json_object_get(process, "capabilities");
    for (size_t i = 0; user.uid != 0 && i < sizeof own_sets / sizeof *own_sets; i++) {
        json_object_del(capabilities, own_sets[i]);
    }
    return 0;
}

static int write_process(const struct runc_task *task, const struct exec_wish *wish, const char *mark,
                         const char *path, struct arena *arena, struct error *err) {
    AUTO_JSON *process = NULL;
    const struct runc_place *place = &task->executor->place;
    int rc = read_process(runc_place_path(place, task->id.text, RUNC_RUN, "config.json").text, &process, err);
    rc = rc == 0 && wish->user[0] != '\0' ? set_user(process, task, wish->user, arena, err) : rc;
    if (rc < 0) {
        return rc;
    }
    set_command(process, wish, mark, arena);
    AUTO_FREE char *text = json_dumps(process, JSON_COMPACT);
    return text == NULL ? error_set(err, ERR_INVALID, "the command is not UTF-8")
                        : fs_replace(AT_FDCWD, path, text, strlen(text), 0600, /*sync=*/false, err);
}

int runc_exec(struct executor *base, const struct id *task_id, const struct exec_wish *wish,
              struct exec_plan *out, struct arena *arena, struct error *err) {
    struct runc_executor *executor = (struct runc_executor *)(void *)base;
    struct runc_task *task = runc_task_get(executor, task_id);
    if (task == NULL || task->presence != PRESENCE_RUNNING || task->pid <= 0) {
        return error_set(err, ERR_CONFLICT, "task %s is not running", task_id->text);
    }
    AUTO_FREE char *runc = runc_find_program(executor->runc_path);
    const char *file = arena_printf(arena, "exec-%s.json", wish->id.text);
    const char *pid = arena_printf(arena, "exec-%s.pid", wish->id.text);
    const char *group = runc_place_path(&executor->place, task_id->text, RUNC_GROUP, "").text;
    *out = (struct exec_plan){
        .process_file =
            arena_strdup(arena, runc_place_path(&executor->place, task_id->text, RUNC_RUN, file).text),
        .pid_file = arena_strdup(arena, runc_place_path(&executor->place, task_id->text, RUNC_RUN, pid).text),
        .procs = cgroups_procs(&executor->cgroups, group, arena),
        .mark = arena_printf(arena, MARK "=%s", wish->id.text),
        .self_path = executor->self_path};
    const char *const argv[] = {arena_strdup(arena, runc != NULL ? runc : executor->runc_path),
                                "--root",
                                executor->place.runc_root,
                                "--log", // which it tells on stderr in plain words, too
                                "/dev/null",
                                "exec",
                                "--process",
                                out->process_file,
                                "--pid-file",
                                out->pid_file,
                                arena_strdup(arena, task_id->text),
                                NULL};
    out->argv = arena_copy(arena, argv, sizeof argv);
    return write_process(task, wish, out->mark, out->process_file, arena, err);
}
