// SPDX-License-Identifier: Apache-2.0
//
// specs/service_check.c — the rules of a service that no single row can say; Swarm's refusals, said with
// the remedy.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/str.h"
#include "base/units.h"
#include "specs/constraint.h"
#include "specs/cron.h"
#include "specs/generic.h"
#include "specs/health.h"
#include "specs/image.h"
#include "specs/service_rules.h"
#include "specs/signal_name.h"
#include "specs/task_template.h"

static void check_template(const char *text, const char *path, struct problem_sink *sink) {
    struct error err = {0};
    if (task_template_check(text, &err) < 0) {
        problem(sink, path, "%s", err.root);
    }
}

void mount_check(const void *object, struct problem_sink *sink) {
    const struct mount *mount = object;
    check_template(mount->source, "source", sink);
    check_template(mount->target, "target", sink);
    if (mount->target[0] != '\0' && mount->target[0] != '/') {
        problem(sink, "target", "'%s' is not an absolute path", mount->target);
    }
    static const char *const kernel[] = {"/proc", "/sys", "/dev"};
    for (size_t i = 0; i < 3; i++) {
        size_t len = strlen(kernel[i]);
        if (strncmp(mount->target, kernel[i], len) == 0 &&
            (mount->target[len] == '\0' || (mount->target[len] == '/' && i < 2))) {
            problem(sink, "target", "'%s' would cover the kernel's files", mount->target);
        }
    }
    if (strcmp(mount->target, "/") == 0 || strstr(mount->target, "/../") != NULL ||
        str_ends(mount->target, "/..")) {
        problem(sink, "target", "'%s' is not a place for a mount", mount->target);
    }
    if (mount->type == MOUNT_BIND && mount->source[0] != '/') {
        problem(sink, "source", "a bind mount needs an absolute path on the node, not '%s'", mount->source);
    } else if (mount->type == MOUNT_VOLUME && mount->source[0] != '\0' &&
               !str_is_name(task_template_blank(mount->source, sink->arena), STORE_NAME_BYTES_MAX)) {
        problem(sink, "source", "'%s' is not a volume name", mount->source);
    } else if (mount->type == MOUNT_TMPFS && mount->source[0] != '\0') {
        problem(sink, "source", "a tmpfs has no source");
    }
}

static void check_number(const char *text, const char *field, struct problem_sink *sink) {
    int64_t number;
    if (!str_to_int(text, &number) || number < 0 || number > UINT32_MAX - 1) {
        problem(sink, field, "'%s' is not a number: names of users are not looked up in images here", text);
    }
}

void file_reference_check(const void *object, struct problem_sink *sink) {
    const struct file_reference *file = object;
    int number;
    check_number(file->uid, "uid", sink);
    check_number(file->gid, "gid", sink);
    size_t len = strlen(file->target);
    if (strstr(file->target, "..") != NULL || (len > 0 && file->target[len - 1] == '/')) {
        problem(sink, "target", "'%s' is not the path of a file", file->target);
    }
    if (file->signal[0] != '\0' && !signal_parse(file->signal, &number)) {
        problem(sink, "signal", "'%s' is not a signal like SIGHUP", file->signal);
    } else if (file->signal[0] != '\0' && file->on_change != ON_CHANGE_SIGNAL) {
        problem(sink, "signal", "is sent with on_change: signal only");
    }
}

void health_check_check(const void *object, struct problem_sink *sink) {
    const struct health_check *health = object;
    const struct {
        const char *name;
        int64_t ns;
    } times[] = {{"interval", health->interval_ns},
                 {"timeout", health->timeout_ns},
                 {"start_period", health->start_period_ns},
                 {"start_interval", health->start_interval_ns}};
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        if (times[i].ns != 0 && times[i].ns < 1000000) {
            problem(sink, times[i].name, "is less than 1ms");
        }
    }
    if (health->disable && health->test.count > 0 && strcmp(health->test.items[0], "NONE") != 0) {
        problem(sink, "disable", "excludes a test");
    }
    struct health_test test;
    struct error err = {0};
    if (health_test_parse(&health->test, sink->arena, &test, &err) < 0) {
        problem(sink, "test", "%s", err.root);
    }
}

void logging_check(const void *object, struct problem_sink *sink) {
    const struct logging *logging = object;
    if (logging->driver[0] != '\0' && strcmp(logging->driver, "local") != 0 &&
        strcmp(logging->driver, "json-file") != 0) {
        problem_warn(sink, "driver",
                     "'%s' is stored, but not yet acting in this version: output is kept locally",
                     logging->driver);
    }
    for (size_t i = 0; i < logging->options.count; i++) {
        const struct pair *option = &logging->options.items[i];
        int64_t number;
        if (strcmp(option->key, "max-size") == 0 &&
            (!units_parse_bytes(option->value, &number) || number < 4096)) {
            problem(sink, "options.max-size", "'%s' is not a size of at least 4k", option->value);
        } else if (strcmp(option->key, "max-file") == 0 &&
                   (!str_to_int(option->value, &number) || number < 1 || number > 100)) {
            problem(sink, "options.max-file", "'%s' is not a number from 1 to 100", option->value);
        }
    }
}

void ulimit_check(const void *object, struct problem_sink *sink) {
    const struct ulimit *ulimit = object;
    static const char *const names[] = {"as",      "core",     "cpu",        "data",   "fsize", "locks",
                                        "memlock", "msgqueue", "nice",       "nofile", "nproc", "rss",
                                        "rtprio",  "rttime",   "sigpending", "stack"};
    for (size_t i = 0;; i++) {
        if (i == sizeof names / sizeof *names) {
            const char *near = str_nearest(ulimit->name, names, i);
            problem(sink, "", "'%s' is not a resource limit%s%s%s", ulimit->name,
                    near != NULL ? "; did you mean '" : "", near != NULL ? near : "",
                    near != NULL ? "'?" : "");
            break;
        }
        if (strcmp(names[i], ulimit->name) == 0) {
            break;
        }
    }
    if (ulimit->hard != -1 && (ulimit->soft == -1 || ulimit->soft > ulimit->hard)) {
        problem(sink, "soft", "is above hard");
    }
}

static void check_generic(const struct resource_reservations *reservations, struct problem_sink *sink) {
    for (size_t i = 0; i < reservations->generic_resources.count; i++) {
        const char *kind = reservations->generic_resources.items[i].kind;
        char where[64];
        snprintf(where, sizeof where, "reservations.generic_resources[%zu]", i);
        if (!generic_is_kind(kind)) {
            problem(sink, where, "'%s' is no kind: letters, digits, '-', '_' and '.', like gpu", kind);
        }
        for (size_t j = 0; j < i; j++) {
            if (strcmp(reservations->generic_resources.items[j].kind, kind) == 0) {
                problem(sink, where, "kind '%s' is given twice: write one number for it", kind);
                break;
            }
        }
    }
    if (reservations->generic_resources.count > RESERVATION_KINDS_MAX) {
        problem(sink, "reservations.generic_resources", "%zu kinds are over the limit of %d",
                reservations->generic_resources.count, RESERVATION_KINDS_MAX);
    }
}

void resources_check(const void *object, struct problem_sink *sink) {
    const struct resources *resources = object;
    if (resources->limits.cpus_nano != 0 && resources->reservations.cpus_nano > resources->limits.cpus_nano) {
        problem(sink, "reservations.cpus", "is more than limits.cpus");
    }
    if (resources->limits.memory_bytes != 0 &&
        resources->reservations.memory_bytes > resources->limits.memory_bytes) {
        problem(sink, "reservations.memory", "is more than limits.memory");
    }
    check_generic(&resources->reservations, sink);
}

void placement_check(const void *object, struct problem_sink *sink) {
    const struct placement *placement = object;
    for (size_t i = 0; i < placement->constraints.count; i++) {
        struct constraint constraint;
        struct error err = {0};
        if (constraint_parse(placement->constraints.items[i], sink->arena, &constraint, &err) < 0) {
            char where[48];
            snprintf(where, sizeof where, "constraints[%zu]", i);
            problem(sink, where, "%s", err.root);
        }
    }
    for (size_t i = 0; i < placement->preferences.count; i++) {
        const char *key = placement->preferences.items[i].spread;
        struct error err = {0};
        if (key[0] != '\0' && constraint_check_key(key, &err) < 0) {
            char where[48];
            snprintf(where, sizeof where, "preferences[%zu].spread", i);
            problem(sink, where, "%s", err.root);
        }
    }
    if (placement->preferences.count > PREFERENCES_MAX) {
        problem(sink, "preferences", "%zu levels are over the limit of %d", placement->preferences.count,
                PREFERENCES_MAX);
    }
}

void dependency_check(const void *object, struct problem_sink *sink) {
    static const char *const conditions[] = {"service_started", "service_healthy",
                                             "service_completed_successfully"};
    const struct dependency *dependency = object;
    for (size_t i = 0; i < sizeof conditions / sizeof *conditions; i++) {
        if (strcmp(conditions[i], dependency->condition) == 0) {
            return;
        }
    }
    problem(sink, "condition", "'%.100s' is not one of %s, %s, %s", dependency->condition, conditions[0],
            conditions[1], conditions[2]);
}

static bool has_policy(const struct update_config *config) {
    struct update_config untouched;
    schema_init(&update_config_schema, &untouched);
    return !schema_equal(&update_config_schema, config, &untouched);
}

void schedule_check(const void *object, struct problem_sink *sink) {
    const struct schedule *schedule = object;
    struct cron cron;
    struct error err = {0};
    if (schedule->cron[0] != '\0' && cron_parse(schedule->cron, &cron, &err) < 0) {
        problem(sink, "cron", "%s", err.root);
    } else if (schedule->cron[0] != '\0' && cron_next(&cron, NULL, /* after_unix_s= */ 0) < 0) {
        problem(sink, "cron", "'%s' never comes: no such day in any year", schedule->cron);
    }
    if (schedule->time_zone[0] != '\0' && !zone_name_is_valid(schedule->time_zone)) {
        problem(sink, "time_zone", "'%s' is not a time zone like Europe/Berlin", schedule->time_zone);
    }
}

static void job_check(const struct deploy *deploy, struct problem_sink *sink) {
    const char *mode = service_mode_names[deploy->mode];
    if (has_policy(&deploy->update_config)) {
        problem(sink, "update_config", "does not go with mode %s: a job runs once", mode);
    }
    if (has_policy(&deploy->rollback_config)) {
        problem(sink, "rollback_config", "does not go with mode %s: a job runs once", mode);
    }
    if (deploy->restart_policy.condition == RESTART_ANY) {
        problem(sink, "restart_policy.condition",
                "'any' does not go with mode %s, for a job would never end: write on-failure or none", mode);
    }
}

void deploy_check(const void *object, struct problem_sink *sink) {
    const struct deploy *deploy = object;
    bool is_global = mode_is_global(deploy->mode);
    if (is_global && deploy->replicas != 1) {
        problem(sink, "replicas", "does not go with mode %s: there is one task on each node",
                service_mode_names[deploy->mode]);
    }
    if (is_global && deploy->placement.max_replicas_per_node != 0) {
        problem(sink, "placement.max_replicas_per_node", "does not go with mode %s",
                service_mode_names[deploy->mode]);
    }
    if (deploy->max_concurrent != 0 && deploy->mode != MODE_REPLICATED_JOB) {
        problem(sink, "max_concurrent", "does not go with mode %s: it is about replicated-job",
                service_mode_names[deploy->mode]);
    }
    if (mode_is_job(deploy->mode)) {
        job_check(deploy, sink);
    } else if (deploy->schedule != NULL) {
        problem(sink, "schedule", "does not go with mode %s: write mode: replicated-job or global-job",
                service_mode_names[deploy->mode]);
    }
    if (deploy->rollback_config.failure_action == FAILURE_ROLLBACK) {
        problem(sink, "rollback_config.failure_action",
                "a rollback cannot be rolled back: write pause or continue");
    }
}

static void check_image(const struct service_spec *spec, struct problem_sink *sink) {
    struct image_reference image;
    struct error err = {0};
    if (spec->image[0] != '\0' && image_parse(spec->image, sink->arena, &image, &err) < 0) {
        problem(sink, "image", "%s", err.root);
    }
    if (spec->pull_policy[0] != '\0' && strcmp(spec->pull_policy, "missing") != 0 &&
        strcmp(spec->pull_policy, "always") != 0 && strcmp(spec->pull_policy, "never") != 0 &&
        strcmp(spec->pull_policy, "if_not_present") != 0) {
        problem(sink, "pull_policy", "'%s' is not one of missing, always, never", spec->pull_policy);
    }
}

static void check_capabilities(const struct strings *list, const char *name, struct problem_sink *sink) {
    for (size_t i = 0; i < list->count; i++) {
        int number;
        char where[48];
        snprintf(where, sizeof where, "%s[%zu]", name, i);
        if (!str_equal_nocase(list->items[i], "ALL") && !capability_parse(list->items[i], &number)) {
            problem(sink, where, "'%s' is not a capability like NET_RAW", list->items[i]);
        }
    }
}

// Only settings that live in the container's own namespaces; the rest would reach the node.
static void check_sysctls(const struct service_spec *spec, struct problem_sink *sink) {
    static const char *const allowed[] = {"kernel.shm", "kernel.msg", "kernel.sem", "fs.mqueue."};
    for (size_t i = 0; i < spec->sysctls.count; i++) {
        const char *name = spec->sysctls.items[i].key;
        bool is_net = str_starts(name, "net.");
        bool is_ours = is_net && spec->network_mode != NETWORK_HOST;
        for (size_t k = 0; k < sizeof allowed / sizeof *allowed; k++) {
            is_ours |= str_starts(name, allowed[k]);
        }
        if (!is_ours) {
            problem(sink, "sysctls", "'%s' %s", name,
                    is_net ? "would change the node's network: network_mode is host"
                           : "is not a setting of a container: allowed are net.*, kernel.shm*, kernel.msg*, "
                             "kernel.sem, fs.mqueue.*");
        }
    }
}

// --- duplicates: sorted, since lists may be long ---

// Something that may be there once only, and where it was given.
struct claim {
    const char *text;
    const char *list; // "volumes"
    size_t index;
};
struct claims {
    size_t count;
    struct claim *items;
};

static void claim(struct claims *claims, struct arena *arena, const char *text, const char *list,
                  size_t index) {
    *ARENA_PUSH(arena, claims) = (struct claim){text, list, index};
}

static int by_claim(const void *a, const void *b) {
    const struct claim *x = a;
    const struct claim *y = b;
    int order = strcmp(x->text, y->text);
    order = order != 0 ? order : strcmp(y->list, x->list);
    return order != 0 ? order : (x->index > y->index) - (x->index < y->index);
}

// Reports all but the first of equal claims: what is wrong, then the text.
static void check_claims(struct claims *claims, const char *what, struct problem_sink *sink) {
    if (claims->count > 1) {
        qsort(claims->items, claims->count, sizeof *claims->items, by_claim);
    }
    for (size_t i = 1; i < claims->count; i++) {
        const struct claim *again = &claims->items[i];
        if (strcmp(claims->items[i - 1].text, again->text) == 0) {
            char where[48];
            snprintf(where, sizeof where, "%s[%zu]", again->list, again->index);
            problem(sink, where, "%s '%s'", what, again->text);
        }
    }
}

// "/data/" and "/data" are one place.
static const char *target_of(struct arena *arena, const char *path) {
    size_t len = strcspn(path, ":");
    while (len > 1 && path[len - 1] == '/') {
        len--;
    }
    return arena_strndup(arena, path, len);
}

static void check_targets(const struct service_spec *spec, struct problem_sink *sink) {
    struct claims targets = {0};
    for (size_t i = 0; i < spec->volumes.count; i++) {
        claim(&targets, sink->arena, target_of(sink->arena, spec->volumes.items[i].target), "volumes", i);
    }
    for (size_t i = 0; i < spec->tmpfs.count; i++) {
        claim(&targets, sink->arena, target_of(sink->arena, spec->tmpfs.items[i]), "tmpfs", i);
    }
    check_claims(&targets, "two mounts at", sink);
}

static void check_file_targets(const struct service_spec *spec, struct problem_sink *sink) {
    struct claims targets = {0};
    for (size_t i = 0; i < spec->secrets.count; i++) {
        const struct file_reference *file = &spec->secrets.items[i];
        const char *target = file->target[0] != '\0' ? file->target : file->source;
        claim(&targets, sink->arena,
              target[0] == '/' ? target : arena_printf(sink->arena, "/run/secrets/%s", target), "secrets", i);
    }
    for (size_t i = 0; i < spec->configs.count; i++) {
        const struct file_reference *file = &spec->configs.items[i];
        const char *target = file->target[0] != '\0' ? file->target : file->source;
        claim(&targets, sink->arena, target[0] == '/' ? target : arena_printf(sink->arena, "/%s", target),
              "configs", i);
    }
    check_claims(&targets, "two files at", sink);
}

static void check_ports(const struct service_spec *spec, struct problem_sink *sink) {
    static const char *const protocols[] = {"tcp", "udp", "sctp"};
    struct claims published = {0};
    for (size_t i = 0; i < spec->ports.count; i++) {
        const struct port *port = &spec->ports.items[i];
        if (port->published != 0) {
            claim(&published, sink->arena,
                  arena_printf(sink->arena, "%lld/%s", (long long)port->published, protocols[port->protocol]),
                  "ports", i);
        }
        if (port->mode == PUBLISH_INGRESS && spec->deploy.endpoint_mode == ENDPOINT_DNSRR) {
            char where[48];
            snprintf(where, sizeof where, "ports[%zu]", i);
            problem(sink, where,
                    "port %lld in mode ingress does not go with endpoint_mode dnsrr: write mode: host",
                    (long long)port->target);
        }
    }
    check_claims(&published, "published twice:", sink);
}

// --- names ---

static bool is_hostname(const char *text) {
    size_t len = strlen(text);
    return len <= 63 &&
           strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._") == len &&
           text[0] != '-';
}

// name or number, then maybe a colon and another
static bool is_user(const char *text) {
    const char *colon = strchr(text, ':');
    size_t len = colon != NULL ? (size_t)(colon - text) : strlen(text);
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._$";
    bool is_good = len > 0 && len <= 32 && text[0] != '-' && strspn(text, allowed) == len;
    return is_good && (colon == NULL || (colon[1] != '\0' && colon[1] != '-' &&
                                         strspn(colon + 1, allowed) == strlen(colon + 1)));
}

static void check_lists(const struct service_spec *spec, struct problem_sink *sink) {
    char where[48];
    for (size_t i = 0; i < spec->group_add.count; i++) {
        if (!is_user(spec->group_add.items[i]) || strchr(spec->group_add.items[i], ':') != NULL) {
            snprintf(where, sizeof where, "group_add[%zu]", i);
            problem(sink, where, "'%s' is not a group: a name or a number", spec->group_add.items[i]);
        }
    }
    for (size_t i = 0; i < spec->tmpfs.count; i++) {
        if (spec->tmpfs.items[i][0] != '/') {
            snprintf(where, sizeof where, "tmpfs[%zu]", i);
            problem(sink, where, "'%s' is not an absolute path", spec->tmpfs.items[i]);
        }
    }
    for (size_t i = 0; i < spec->extra_hosts.count; i++) {
        if (strpbrk(spec->extra_hosts.items[i], ":=") == NULL) {
            snprintf(where, sizeof where, "extra_hosts[%zu]", i);
            problem(sink, where, "'%s' is not name:address", spec->extra_hosts.items[i]);
        }
    }
}

void service_spec_check(const void *object, struct problem_sink *sink) {
    const struct service_spec *spec = object;
    if (spec->name[0] != '\0' && !str_is_name(spec->name, NAME_BYTES_MAX)) {
        problem(sink, "name",
                "'%s' is not a name: a letter or digit, then letters, digits, '-', '_' or '.', at most %d",
                spec->name, NAME_BYTES_MAX);
    }
    int number;
    if (spec->stop_signal[0] != '\0' && !signal_parse(spec->stop_signal, &number)) {
        problem(sink, "stop_signal", "'%s' is not a signal like SIGTERM", spec->stop_signal);
    }
    check_template(spec->hostname, "hostname", sink);
    if (spec->hostname[0] != '\0' && !is_hostname(task_template_blank(spec->hostname, sink->arena))) {
        problem(sink, "hostname", "'%s' is not a host name", spec->hostname);
    }
    if (spec->user[0] != '\0' && !is_user(spec->user)) {
        problem(sink, "user", "'%s' is not a user: name or number, then maybe ':' and a group", spec->user);
    }
    if (spec->working_dir[0] != '\0' && spec->working_dir[0] != '/') {
        problem(sink, "working_dir", "'%s' is not an absolute path", spec->working_dir);
    }
    if (spec->network_mode != NETWORK_DEFAULT && spec->networks.count > 0) {
        problem(sink, "networks", "does not go with network_mode");
    }
    for (size_t i = 0; i < spec->environment.count; i++) {
        check_template(spec->environment.items[i].value,
                       arena_printf(sink->arena, "environment.%s", spec->environment.items[i].key), sink);
    }
    for (size_t i = 0; i < spec->depends_on.count; i++) {
        if (strcmp(spec->depends_on.items[i].name, spec->name) == 0) {
            problem(sink, "depends_on", "does not take the service itself");
        }
    }
    check_image(spec, sink);
    check_capabilities(&spec->cap_add, "cap_add", sink);
    check_capabilities(&spec->cap_drop, "cap_drop", sink);
    check_sysctls(spec, sink);
    check_targets(spec, sink);
    check_file_targets(spec, sink);
    check_ports(spec, sink);
    check_lists(spec, sink);
}
