// SPDX-License-Identifier: Apache-2.0
//
// cli/inspect_page.c — `inspect --pretty`: Docker's pages of a service and of a node, line by line.
#include "cli/inspect.h"

#include <stdarg.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "base/units.h"

// One line "Name:   value", the value safe for a terminal; nothing when the value is empty.
__attribute__((format(printf, 3, 4))) static void line(struct buf *out, const char *name, const char *format,
                                                       ...) {
    AUTO_BUF value = {0};
    va_list args;
    va_start(args, format);
    buf_addv(&value, format, args);
    va_end(args);
    if (value.len > 0) {
        size_t indent = strspn(name, " ");
        buf_addf(out, "%s:", name);
        size_t width = strlen(name) + 1;
        buf_pad(out, ' ', width < 24 + indent ? 24 + indent - width : 1);
        str_escape(out, buf_text(&value), value.len, /* keep_newlines= */ false);
        buf_addc(out, '\n');
    }
}

static void heading(struct buf *out, const char *text) {
    buf_addf(out, "%s:\n", text);
}

static void duration_line(struct buf *out, const char *name, int64_t ns) {
    char text[32];
    line(out, name, "%s", units_format_duration(ns, text, sizeof text));
}

static void joined_line(struct buf *out, const char *name, const struct strings *list) {
    AUTO_BUF text = {0};
    for (size_t i = 0; i < list->count; i++) {
        buf_addf(&text, "%s%s", i > 0 ? " " : "", list->items[i]);
    }
    line(out, name, "%s", buf_text(&text));
}

static void list_lines(struct buf *out, const char *title, const struct strings *list) {
    if (list->count > 0) {
        heading(out, title);
    }
    for (size_t i = 0; i < list->count; i++) {
        buf_adds(out, "  ");
        str_escape(out, list->items[i], strlen(list->items[i]), false);
        buf_addc(out, '\n');
    }
}

static void pair_lines(struct buf *out, const char *title, const struct pairs *pairs) {
    if (pairs->count > 0) {
        heading(out, title);
    }
    for (size_t i = 0; i < pairs->count; i++) {
        AUTO_BUF text = {0};
        buf_addf(&text, "%s%s%s", pairs->items[i].key, pairs->items[i].value[0] != '\0' ? "=" : "",
                 pairs->items[i].value);
        buf_adds(out, "  ");
        str_escape(out, buf_text(&text), text.len, false);
        buf_addc(out, '\n');
    }
}

static const char *value_name(const struct schema *schema, const char *path, int value) {
    const struct field *field = schema_path(schema, path);
    return value >= 0 && (unsigned)value < field->value_count ? field->values[value] : "?";
}

static void time_line(struct buf *out, const char *name, int64_t unix_ms) {
    char text[32];
    if (unix_ms > 0) {
        line(out, name, "%s", clock_format_rfc3339(unix_ms, text, sizeof text));
    }
}

// --- a service ---

static void mode_lines(const struct service_spec *spec, struct buf *out) {
    static const char *const words[] = {"Replicated", "Global", "Replicated Job", "Global Job"};
    const struct deploy *deploy = &spec->deploy;
    line(out, "Service Mode", "%s", words[deploy->mode]);
    if (deploy->mode == MODE_REPLICATED) {
        line(out, " Replicas", "%lld", (long long)deploy->replicas);
    }
    if (deploy->mode == MODE_REPLICATED_JOB) {
        line(out, " Total Completions", "%lld", (long long)deploy->replicas);
        line(out, " Max Concurrent", "%lld",
             (long long)(deploy->max_concurrent != 0 ? deploy->max_concurrent : deploy->replicas));
    }
}

static void schedule_lines(const struct service *service, struct buf *out) {
    const struct schedule *schedule = service->spec.deploy.schedule;
    if (schedule == NULL) {
        return;
    }
    heading(out, "Schedule");
    line(out, " Cron", "%s (%s)", schedule->cron, schedule->time_zone[0] != '\0' ? schedule->time_zone : "UTC");
    time_line(out, " Next Run", service->next_run_unix_ms);
    if (schedule->suspend) {
        line(out, " Suspended", "%s", "true");
    }
    if (service->schedule_note[0] != '\0') {
        line(out, " Note", "%s", service->schedule_note);
    }
}

static void job_status_lines(const struct service *service, struct buf *out) {
    if (mode_is_job(service->spec.deploy.mode)) {
        heading(out, "Job Status");
        line(out, " Iteration", "%lld", (long long)service->job_iteration);
        time_line(out, " Last Execution", service->last_execution_unix_ms);
    }
}

static void update_status_lines(const struct service *service, struct buf *out) {
    const struct update_status *status = &service->update_status;
    if (status->state == UPDATE_NONE) {
        return;
    }
    heading(out, "UpdateStatus");
    line(out, " State", "%s", update_state_names[status->state]);
    time_line(out, " Started", status->started_unix_ms);
    time_line(out, " Completed", status->completed_unix_ms);
    line(out, " Message", "%s", status->message);
}

static void placement_lines(const struct placement *placement, struct buf *out) {
    bool is_empty = placement->constraints.count == 0 && placement->preferences.count == 0 &&
                    placement->max_replicas_per_node == 0;
    if (is_empty) {
        return;
    }
    heading(out, "Placement");
    joined_line(out, " Constraints", &placement->constraints);
    for (size_t i = 0; i < placement->preferences.count; i++) {
        line(out, " Preference", "spread=%s", placement->preferences.items[i].spread);
    }
    if (placement->max_replicas_per_node > 0) {
        line(out, " Max Replicas Per Node", "%lld", (long long)placement->max_replicas_per_node);
    }
}

static void update_config_lines(const char *title, const struct update_config *config, struct buf *out) {
    heading(out, title);
    line(out, " Parallelism", "%lld", (long long)config->parallelism);
    if (config->delay_ns != 0) {
        duration_line(out, " Delay", config->delay_ns);
    }
    line(out, " On failure", "%s",
         value_name(&update_config_schema, "failure_action", (int)config->failure_action));
    duration_line(out, " Monitoring Period", config->monitor_ns);
    line(out, " Max failure ratio", "%g", config->max_failure_ratio);
    line(out, " Update order", "%s", value_name(&update_config_schema, "order", (int)config->order));
}

static void mount_lines(const struct service_spec *spec, struct buf *out) {
    if (spec->volumes.count > 0) {
        heading(out, "Mounts");
    }
    for (size_t i = 0; i < spec->volumes.count; i++) {
        const struct mount *mount = &spec->volumes.items[i];
        line(out, " Target", "%s", mount->target);
        line(out, "  Source", "%s", mount->source);
        line(out, "  ReadOnly", "%s", mount->read_only ? "true" : "false");
        line(out, "  Type", "%s", value_name(&mount_schema, "type", (int)mount->type));
    }
}

static void file_lines(const char *title, size_t count, const struct file_reference *files, struct buf *out) {
    if (count > 0) {
        heading(out, title);
    }
    for (size_t i = 0; i < count; i++) {
        line(out, " Target", "%s", files[i].target[0] != '\0' ? files[i].target : files[i].source);
        line(out, "  Source", "%s", files[i].source);
    }
}

static void container_lines(const struct service_spec *spec, struct buf *out) {
    heading(out, "ContainerSpec");
    line(out, " Image", "%s", spec->image);
    joined_line(out, " Entrypoint", &spec->entrypoint);
    joined_line(out, " Args", &spec->command);
    if (spec->environment.count > 0) {
        pair_lines(out, " Env", &spec->environment);
    }
    line(out, " Dir", "%s", spec->working_dir);
    line(out, " User", "%s", spec->user);
    line(out, " Hostname", "%s", spec->hostname);
    line(out, " Init", "%s", spec->init ? "true" : "false");
    line(out, " StopSignal", "%s", spec->stop_signal);
    duration_line(out, " StopGracePeriod", spec->stop_grace_period_ns);
    if (spec->drain_delay_ns > 0) {
        duration_line(out, " DrainDelay", spec->drain_delay_ns);
    }
    if (spec->cap_add.count > 0 || spec->cap_drop.count > 0) {
        heading(out, " Capabilities");
        joined_line(out, "  Add", &spec->cap_add);
        joined_line(out, "  Drop", &spec->cap_drop);
    }
    pair_lines(out, " Labels", &spec->labels);
    pair_lines(out, " SysCtls", &spec->sysctls);
    if (spec->ulimits.count > 0) {
        heading(out, " Ulimits");
    }
    for (size_t i = 0; i < spec->ulimits.count; i++) {
        const struct ulimit *ulimit = &spec->ulimits.items[i];
        buf_addf(out, "  %s: %lld:%lld\n", ulimit->name, (long long)ulimit->soft, (long long)ulimit->hard);
    }
}

static void resource_line(struct buf *out, const char *title, int64_t cpus_nano, int64_t memory_bytes,
                          int64_t pids) {
    char text[32];
    if (cpus_nano == 0 && memory_bytes == 0 && pids == 0) {
        return;
    }
    heading(out, title);
    if (cpus_nano != 0) {
        line(out, "  CPU", "%s", units_format_cpus(cpus_nano, text, sizeof text));
    }
    if (memory_bytes != 0) {
        line(out, "  Memory", "%s", units_human_bytes(memory_bytes, text, sizeof text));
    }
    if (pids != 0) {
        line(out, "  Pids", "%lld", (long long)pids);
    }
}

static void resource_lines(const struct resources *resources, struct buf *out) {
    AUTO_BUF inner = {0};
    const struct resource_reservations *reserved = &resources->reservations;
    resource_line(&inner, " Reservations", reserved->cpus_nano, reserved->memory_bytes, 0);
    resource_line(&inner, " Limits", resources->limits.cpus_nano, resources->limits.memory_bytes,
                  resources->limits.pids);
    for (size_t i = 0; i < reserved->generic_resources.count; i++) {
        line(&inner, " Generic", "%s=%lld", reserved->generic_resources.items[i].kind,
             (long long)reserved->generic_resources.items[i].value);
    }
    if (inner.len > 0) {
        heading(out, "Resources");
        buf_adds(out, buf_text(&inner));
    }
}

static void network_lines(const struct service_spec *spec, struct buf *out) {
    AUTO_BUF names = {0};
    for (size_t i = 0; i < spec->networks.count; i++) {
        buf_addf(&names, "%s%s", i > 0 ? " " : "", spec->networks.items[i].name);
    }
    line(out, "Networks", "%s", buf_text(&names));
    line(out, "Endpoint Mode", "%s", spec->deploy.endpoint_mode == ENDPOINT_VIP ? "vip" : "dnsrr");
    if (spec->ports.count > 0) {
        heading(out, "Ports");
    }
    for (size_t i = 0; i < spec->ports.count; i++) {
        const struct port *port = &spec->ports.items[i];
        line(out, " PublishedPort", "%lld", (long long)port->published);
        line(out, "  Protocol", "%s", value_name(&port_schema, "protocol", (int)port->protocol));
        line(out, "  TargetPort", "%lld", (long long)port->target);
        line(out, "  PublishMode", "%s", value_name(&port_schema, "mode", (int)port->mode));
    }
}

static void health_lines(const struct health_check *health, struct buf *out) {
    if (health == NULL) {
        return;
    }
    heading(out, "Healthcheck");
    if (health->disable) {
        line(out, " Disabled", "true");
        return;
    }
    joined_line(out, " Test", &health->test);
    duration_line(out, " Interval", health->interval_ns != 0 ? health->interval_ns : 30000000000);
    duration_line(out, " Timeout", health->timeout_ns != 0 ? health->timeout_ns : 30000000000);
    duration_line(out, " StartPeriod", health->start_period_ns);
    line(out, " Retries", "%lld", (long long)(health->retries != 0 ? health->retries : 3));
}

static void restart_lines(const struct restart_policy *policy, struct buf *out) {
    heading(out, "RestartPolicy");
    line(out, " Condition", "%s",
         value_name(&service_spec_schema, "deploy.restart_policy.condition", (int)policy->condition));
    duration_line(out, " Delay", policy->delay_ns);
    line(out, " Max attempts", "%lld", (long long)policy->max_attempts);
    if (policy->window_ns != 0) {
        duration_line(out, " Window", policy->window_ns);
    }
}

void inspect_service_page(const void *at, struct buf *out) {
    const struct service *service = at;
    const struct service_spec *spec = &service->spec;
    line(out, "ID", "%s", service->meta.id.text);
    line(out, "Name", "%s", spec->name);
    pair_lines(out, "Labels", &spec->deploy.labels);
    mode_lines(spec, out);
    line(out, "Revision", "%lld", (long long)service->revision);
    line(out, "Declared by", "%s", service->meta.owner);
    schedule_lines(service, out);
    job_status_lines(service, out);
    update_status_lines(service, out);
    placement_lines(&spec->deploy.placement, out);
    if (!mode_is_job(spec->deploy.mode)) {
        update_config_lines("UpdateConfig", &spec->deploy.update_config, out);
        update_config_lines("RollbackConfig", &spec->deploy.rollback_config, out);
    }
    restart_lines(&spec->deploy.restart_policy, out);
    container_lines(spec, out);
    mount_lines(spec, out);
    file_lines("Configs", spec->configs.count, spec->configs.items, out);
    file_lines("Secrets", spec->secrets.count, spec->secrets.items, out);
    if (spec->logging.driver[0] != '\0') {
        heading(out, "Log Driver");
        line(out, " Name", "%s", spec->logging.driver);
        pair_lines(out, " LogOpts", &spec->logging.options);
    }
    resource_lines(&spec->deploy.resources, out);
    network_lines(spec, out);
    list_lines(out, "DNS", &spec->dns);
    list_lines(out, "Hosts", &spec->extra_hosts);
    health_lines(spec->healthcheck, out);
}

// --- a node ---

static void capitalised_line(struct buf *out, const char *name, const char *word) {
    line(out, name, "%c%s", word[0] >= 'a' && word[0] <= 'z' ? word[0] - 32 : word[0],
         word + (word[0] != '\0'));
}

void inspect_node_page(const void *at, struct buf *out) {
    const struct node *node = at;
    const struct node_description *description = &node->description;
    char text[32];
    line(out, "ID", "%s", node->meta.id.text);
    line(out, "Name", "%s", node->spec.name);
    pair_lines(out, "Labels", &node->spec.labels);
    line(out, "Hostname", "%s", description->hostname);
    time_line(out, "Joined at", node->meta.created_unix_ms);
    heading(out, "Status");
    capitalised_line(out, " State", node_state_names[node->status.state]);
    line(out, " Message", "%s", node->status.message);
    capitalised_line(out, " Availability", node_availability_names[node->spec.availability]);
    line(out, " Address", "%s", node->status.address);
    if (node->manager != NULL) {
        heading(out, "Manager Status");
        line(out, " Address", "%s", node->manager->address);
        line(out, " Raft Status", "%s", node->manager->reachable ? "Reachable" : "Unreachable");
        line(out, " Leader", "%s", node->manager->leader ? "Yes" : "No");
    }
    heading(out, "Platform");
    line(out, " Operating System", "%s", description->os);
    line(out, " Architecture", "%s", description->arch);
    heading(out, "Resources");
    line(out, " CPUs", "%s", units_format_cpus(description->cpus_nano, text, sizeof text));
    line(out, " Memory", "%s", units_human_bytes(description->memory_bytes, text, sizeof text));
    for (size_t i = 0; i < description->generic_resources.count; i++) {
        AUTO_BUF stock = {0};
        generic_write(&description->generic_resources.items[i], &stock);
        line(out, " Generic", "%s", buf_text(&stock));
    }
    line(out, "Engine Version", "%s", description->version);
    line(out, "Runtime", "%s", description->runtime_version);
    line(out, "Cgroups", "%s", description->cgroup_mode);
    pair_lines(out, "Engine Labels", &description->labels);
}
