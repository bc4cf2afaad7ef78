// SPDX-License-Identifier: Apache-2.0
//
// cli/service_change.c — specs from flags, sent on the condition that nobody was quicker, and waited for.
#include "cli/service_change.h"

#include <string.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/str.h"
#include "cli/change.h"
#include "cli/connect.h"
#include "cli/made_up_name.h"
#include "cli/rollout.h"
#include "cli/service_edit.h"
#include "cli/wait.h"

#define NAME_TRIES 10

static void tell(const struct buf *notes) {
    fflush(stdout);
    for (const char *p = buf_text(notes); *p != '\0'; p += strcspn(p, "\n") + 1) {
        fprintf(stderr, "warning: %.*s\n", (int)strcspn(p, "\n"), p);
    }
}

// Waits until what was applied has converged; a cronjob, unless it is told to run
// now, is only scheduled.
static int settle(const struct invocation *in, struct client *client, const struct applied *applied,
                  bool runs_now, struct error *err) {
    struct wait_targets targets = wait_targets_of(applied, in->arena);
    for (size_t i = 0; i < targets.count; i++) {
        targets.items[i].wants_run = runs_now;
    }
    const char *again = arena_printf(in->arena, "muster service ps %s", applied->results.items[0].name);
    return targets.count > 0 ? wait_converged(in, client, &targets, /* monitor_ns= */ -1, again, err) : 0;
}

// --- create ---

static int set_mode(const struct service_args *args, struct service_spec *spec, struct arena *arena,
                    struct error *err) {
    if (args->mode == NULL) {
        return 0;
    }
    int rc = schema_set_text(&service_spec_schema, spec, "deploy.mode", args->mode, arena, err);
    return rc < 0 ? error_wrap(err, rc, "--mode") : 0;
}

int service_create_spec(const struct invocation *in, struct service_spec *spec, struct buf *notes,
                        struct error *err) {
    const struct service_args *args = in->args;
    schema_init(&service_spec_schema, spec);
    spec->image = service_image(in->arguments.items[0], in->arena);
    for (size_t i = 1; i < in->arguments.count; i++) {
        *ARENA_PUSH(in->arena, &spec->command) = in->arguments.items[i];
    }
    spec->name = args->name != NULL ? args->name : "";
    int rc = set_mode(args, spec, in->arena, err);
    service_spec_job_default(spec);
    for (size_t i = 0; rc == 0 && i < args->env_file.count; i++) {
        rc = edit_environment_file(&spec->environment, args->env_file.items[i], in->arena, err);
        rc = rc < 0 ? error_wrap(err, rc, "--env-file") : 0;
    }
    return rc < 0 ? rc : service_flags_apply(in, spec, notes, err);
}

static int create_once(struct invocation *in, struct client *client, struct service_spec *spec,
                       struct applied **out, struct error *err) {
    struct change_set set;
    change_begin(&set, in);
    int rc = change_add(&set, KIND_SERVICE, spec, /* before= */ NULL, 0, err);
    return rc < 0 ? rc : change_send(&set, client, out, err);
}

// A name that was made up is made up again when it is taken.
static int create(struct invocation *in, struct client *client, struct service_spec *spec,
                  struct applied **out, struct error *err) {
    struct prng prng;
    if (spec->name[0] != '\0') {
        return create_once(in, client, spec, out, err);
    }
    prng_seed(&prng, (uint64_t)clock_unix_ns());
    int rc = -ERR_EXISTS;
    for (int i = 0; i < NAME_TRIES && rc == -ERR_EXISTS; i++) {
        error_clear(err);
        spec->name = made_up_name(&prng, in->arena);
        rc = create_once(in, client, spec, out, err);
    }
    return rc;
}

int service_create(struct invocation *in, struct error *err) {
    AUTO_CLIENT *client = NULL;
    AUTO_BUF notes = {0};
    struct service_spec spec;
    struct applied *applied = NULL;
    int rc = service_create_spec(in, &spec, &notes, err);
    rc = rc < 0 ? rc : connect_open(in, &client, err);
    rc = rc < 0 ? rc : create(in, client, &spec, &applied, err);
    if (rc < 0) {
        return rc;
    }
    tell(&notes);
    printf("%s\n", applied->results.items[0].id.text);
    fflush(stdout);
    return settle(in, client, applied, /* runs_now= */ false, err);
}

// --- update, rollback ---

int service_update_spec(const struct invocation *in, const struct service_spec *present,
                        struct service_spec **out, struct buf *notes, struct error *err) {
    const struct service_args *args = in->args;
    struct service_spec *spec = schema_copy(&service_spec_schema, present, in->arena);
    int rc = 0;
    if (args->image != NULL) {
        spec->image = service_image(args->image, in->arena);
    }
    if (args->args != NULL) {
        rc = schema_set_text(&service_spec_schema, spec, "command", args->args, in->arena, err);
        rc = rc < 0 ? error_wrap(err, rc, "--args") : 0;
    }
    spec->force_update += args->force;
    *out = spec;
    return rc < 0 ? rc : service_flags_apply(in, spec, notes, err);
}

static int send_spec(const struct invocation *in, struct client *client, const struct service *service,
                     struct service_spec *spec, struct error *err) {
    struct change_set set;
    struct applied *applied;
    change_begin(&set, in);
    int rc = change_add(&set, KIND_SERVICE, spec, &service->spec, service->meta.version, err);
    rc = rc < 0 ? rc : change_send(&set, client, &applied, err);
    if (rc < 0) {
        return rc;
    }
    printf("%s\n", in->arguments.items[0]);
    fflush(stdout);
    return settle(in, client, applied, spec->force_update != service->spec.force_update, err);
}

// --rollback stands alone.
static int check_rollback(const struct invocation *in, struct error *err) {
    for (size_t i = 0; i < in->own.count; i++) {
        if (in->own.given[i] && !str_equal(in->own.rows[i].name, "rollback")) {
            return error_set(err, ERR_USAGE, "--rollback goes back to a whole spec: leave --%s out",
                             in->own.rows[i].name);
        }
    }
    return 0;
}

// Docker's way to have a paused update go on: an update that changes nothing.
static bool is_resume(const struct service *service, const struct service_spec *spec) {
    enum update_state state = service->update_status.state;
    return (state == UPDATE_PAUSED || state == UPDATE_ROLLBACK_PAUSED) &&
           schema_equal(&service_spec_schema, &service->spec, spec);
}

int service_update(struct invocation *in, struct error *err) {
    const struct service_args *args = in->args;
    AUTO_CLIENT *client = NULL;
    AUTO_BUF notes = {0};
    void *service = NULL;
    struct service_spec *spec = NULL;
    int rc = args->rollback ? check_rollback(in, err) : 0;
    rc = rc < 0 ? rc : connect_open(in, &client, err);
    if (rc == 0 && args->rollback) {
        return rollout_roll_back(in, client, /* revision */ 0, err);
    }
    rc = rc < 0 ? rc : connect_get(client, KIND_SERVICE, in->arguments.items[0], in->arena, &service, err);
    rc = rc < 0 ? rc : service_update_spec(in, &((struct service *)service)->spec, &spec, &notes, err);
    if (rc < 0) {
        return rc;
    }
    tell(&notes);
    if (is_resume(service, spec)) {
        return rollout_go_on(in, client, service, err);
    }
    return send_spec(in, client, service, spec, err);
}

// --- scale ---

int service_scale_parse(const char *text, struct arena *arena, const char **name, int64_t *replicas,
                        struct error *err) {
    const char *equal = strrchr(text, '=');
    if (equal == NULL || equal == text) {
        return error_set(err, ERR_USAGE, "'%s' is not SERVICE=REPLICAS, like web=3", text);
    }
    *name = arena_strndup(arena, text, (size_t)(equal - text));
    if (!str_to_int(equal + 1, replicas) || *replicas < 0 || *replicas > REPLICAS_MAX) {
        return error_set(err, ERR_USAGE, "'%s': the number of replicas is 0 to %d, not '%s'", text,
                         REPLICAS_MAX, equal + 1);
    }
    return 0;
}

static int scale_one(struct change_set *set, struct client *client, const char *name, int64_t replicas,
                     struct error *err) {
    void *object;
    int rc = connect_get(client, KIND_SERVICE, name, set->in->arena, &object, err);
    if (rc < 0) {
        return rc;
    }
    struct service *service = object;
    if (mode_is_global(service->spec.deploy.mode)) {
        return error_set(err, ERR_USAGE, "%s: scale can only be used with replicated or replicated-job mode",
                         name);
    }
    struct service_spec *spec = schema_copy(&service_spec_schema, &service->spec, set->in->arena);
    spec->deploy.replicas = replicas;
    return change_add(set, KIND_SERVICE, spec, &service->spec, service->meta.version, err);
}

int service_scale(struct invocation *in, struct error *err) {
    AUTO_CLIENT *client = NULL;
    struct change_set set;
    struct applied *applied;
    const size_t count = in->arguments.count;
    const char **names = arena_array(in->arena, count, sizeof *names);
    int64_t *replicas = arena_array(in->arena, count, sizeof *replicas);
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < count; i++) {
        rc = service_scale_parse(in->arguments.items[i], in->arena, &names[i], &replicas[i], err);
    }
    rc = rc < 0 ? rc : connect_open(in, &client, err);
    change_begin(&set, in);
    for (size_t i = 0; rc == 0 && i < count; i++) {
        rc = scale_one(&set, client, names[i], replicas[i], err);
    }
    rc = rc < 0 ? rc : change_send(&set, client, &applied, err);
    if (rc < 0) {
        return rc;
    }
    for (size_t i = 0; i < count; i++) {
        printf("%s scaled to %lld\n", names[i], (long long)replicas[i]);
    }
    fflush(stdout);
    return settle(in, client, applied, /* runs_now= */ false, err);
}

// --- rm ---

int service_remove(struct invocation *in, struct error *err) {
    AUTO_CLIENT *client = NULL;
    int rc = connect_open(in, &client, err);
    return rc < 0 ? rc : change_remove(in, client, KIND_SERVICE, /*force=*/false, err);
}
