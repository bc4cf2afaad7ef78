// SPDX-License-Identifier: Apache-2.0
//
// specs/service.c — the field tables of services: one row for each key that a user may write.
//
// Consequences: what shapes the container restarts tasks; placement moves them; numbers of replicas, labels
// of the service and policies touch no running task. FIELD_LATER marks what is kept for a later release;
// whoever makes it act removes the flag.
#include "specs/service.h"

#include <string.h>

#include "specs/row.h"
#include "specs/service_rules.h"

#define RESTARTS .consequence = CONSEQUENCE_RESTART
#define MOVES .consequence = CONSEQUENCE_MOVE
#define SINCE .since = "0.1"

const char *const service_mode_names[4] = {"replicated", "global", "replicated-job", "global-job"};
static const char *const protocol_names[] = {"tcp", "udp", "sctp"};
static const char *const publish_mode_names[] = {"ingress", "host"};
static const char *const mount_type_names[] = {"volume", "bind", "tmpfs"};
static const char *const propagation_names[] = {"rprivate", "private", "rshared",
                                                "shared",   "rslave",  "slave"};
static const char *const restart_condition_names[] = {"any", "on-failure", "none"};
static const char *const failure_action_names[] = {"pause", "continue", "rollback"};
static const char *const update_order_names[] = {"stop-first", "start-first"};
static const char *const endpoint_mode_names[] = {"vip", "dnsrr"};
static const char *const network_mode_names[] = {"default", "none", "host"};
static const char *const on_change_names[] = {"restart", "signal", "none"};
const char *const update_state_names[9] = {"none",
                                           "updating",
                                           "paused",
                                           "completed",
                                           "rollback_started",
                                           "rollback_paused",
                                           "rollback_completed",
                                           "superseded",
                                           "rolled_back"};

static const struct field port_fields[] = {
    INT(struct port, 1, target, 1, 65535, .flags = FIELD_REQUIRED, RESTARTS, SINCE,
        .help = "Port inside the container.", .example = "80"),
    INT(struct port, 2, published, 0, 65535, RESTARTS, SINCE,
        .help = "Port on the nodes; 0 lets the cluster pick one.", .example = "8080"),
    ENUM(struct port, 3, protocol, protocol_names, PROTOCOL_TCP, RESTARTS, SINCE,
         .help = "Transport protocol."),
    ENUM(struct port, 4, mode, publish_mode_names, PUBLISH_INGRESS, RESTARTS, SINCE,
         .help = "On every node (ingress) or where a task runs (host)."),
    STRING(struct port, 5, name, RESTARTS, SINCE, .help = "Name, for people."),
    STRING(struct port, 6, host_ip, RESTARTS, SINCE, .help = "Address of the node to publish on."),
    STRING(struct port, 7, app_protocol, SINCE, .help = "Protocol spoken on the port, for people."),
};
const struct schema port_schema =
    SCHEMA("port", struct port, port_fields, .help = "A published port, short form 8080:80/tcp.",
           .from_short = port_from_short, .to_short = port_to_short);

static const struct field mount_bind_fields[] = {
    ENUM(struct mount_bind, 1, propagation, propagation_names, PROPAGATION_RPRIVATE, RESTARTS, SINCE,
         .help = "Mount propagation."),
    BOOL(struct mount_bind, 2, create_host_path, RESTARTS, SINCE,
         .help = "Make the directory on the node when it is missing."),
    BOOL(struct mount_bind, 3, recursive_off, RESTARTS, SINCE,
         .help = "Leave out what is mounted below the path."),
};
static const struct schema mount_bind_schema =
    SCHEMA("mount_bind", struct mount_bind, mount_bind_fields, .help = "Options of a bind mount.");
static const struct field mount_volume_fields[] = {
    BOOL(struct mount_volume, 1, nocopy, RESTARTS, SINCE, .help = "Do not fill a new volume from the image."),
    STRING(struct mount_volume, 2, subpath, RESTARTS, SINCE, .help = "Directory inside the volume."),
};
static const struct schema mount_volume_schema =
    SCHEMA("mount_volume", struct mount_volume, mount_volume_fields, .help = "Options of a volume mount.");
static const struct field mount_tmpfs_fields[] = {
    SIZE(struct mount_tmpfs, 1, size_bytes, .name = "size", RESTARTS, SINCE,
         .help = "Largest size; 0 = half of memory.", .example = "64M"),
    MODE(struct mount_tmpfs, 2, mode, .default_int = 01777, RESTARTS, SINCE,
         .help = "Mode of its root directory."),
};
static const struct schema mount_tmpfs_schema =
    SCHEMA("mount_tmpfs", struct mount_tmpfs, mount_tmpfs_fields, .help = "Options of a tmpfs mount.");
static const struct field mount_fields[] = {
    ENUM(struct mount, 1, type, mount_type_names, MOUNT_VOLUME, RESTARTS, SINCE,
         .help = "Kind of the mount."),
    STRING(struct mount, 2, source, RESTARTS, SINCE, .help = "Path on the node, or name of a volume.",
           .example = "data"),
    STRING(struct mount, 3, target, .flags = FIELD_REQUIRED | FIELD_KEY, RESTARTS, SINCE,
           .help = "Path inside the container.", .example = "/var/lib/data"),
    BOOL(struct mount, 4, read_only, RESTARTS, SINCE, .help = "No writing through it."),
    STRUCT(struct mount, 5, bind, &mount_bind_schema, struct mount_bind, RESTARTS, SINCE,
           .help = "Options of a bind mount."),
    STRUCT(struct mount, 6, volume, &mount_volume_schema, struct mount_volume, RESTARTS, SINCE,
           .help = "Options of a volume."),
    STRUCT(struct mount, 7, tmpfs, &mount_tmpfs_schema, struct mount_tmpfs, RESTARTS, SINCE,
           .help = "Options of a tmpfs."),
};
const struct schema mount_schema =
    SCHEMA("mount", struct mount, mount_fields, .help = "A mount, short form data:/path:ro.",
           .from_short = mount_from_short, .to_short = mount_to_short, .check = mount_check);

static const struct field file_reference_fields[] = {
    STRING(struct file_reference, 1, source, .flags = FIELD_REQUIRED | FIELD_KEY, RESTARTS, SINCE,
           .help = "Name of the secret or config."),
    STRING(struct file_reference, 2, target, RESTARTS, SINCE,
           .help = "File inside the container; by default its name."),
    STRING(struct file_reference, 3, uid, .default_text = "0", RESTARTS, SINCE, .help = "Owner of the file."),
    STRING(struct file_reference, 4, gid, .default_text = "0", RESTARTS, SINCE, .help = "Group of the file."),
    MODE(struct file_reference, 5, mode, .default_int = 0444, RESTARTS, SINCE, .help = "Mode of the file."),
    ENUM(struct file_reference, 6, on_change, on_change_names, ON_CHANGE_RESTART, SINCE,
         .help = "What a new content does: replaces tasks, or only the file, with a signal or none."),
    STRING(struct file_reference, 7, signal, SINCE, .help = "Signal of on_change signal; by default SIGHUP.",
           .example = "SIGUSR1"),
    ID(struct file_reference, 8, content, .flags = FIELD_HIDDEN, RESTARTS, SINCE,
       .help = "Content that tasks of this revision get."),
};
const struct schema file_reference_schema = SCHEMA(
    "file_reference", struct file_reference, file_reference_fields,
    .help = "A secret or config as a file, short form its name.", .from_short = file_reference_from_short,
    .to_short = file_reference_to_short, .check = file_reference_check);

static const struct field health_check_fields[] = {
    STRINGS(struct health_check, 1, test, .flags = FIELD_ONE, RESTARTS, SINCE,
            .help = "[CMD, …], [CMD-SHELL, …], [TCP, port], [HTTP, URL] or [NONE]; one text is tcp:PORT, "
                    "http:PORT/PATH, or run by a shell.",
            .example = "[CMD, redis-cli, ping]"),
    DURATION(struct health_check, 2, interval_ns, .name = "interval", RESTARTS, SINCE,
             .help = "Time between two checks; 0 = 30s."),
    DURATION(struct health_check, 3, timeout_ns, .name = "timeout", RESTARTS, SINCE,
             .help = "Longest time of one check; 0 = 30s."),
    DURATION(struct health_check, 4, start_period_ns, .name = "start_period", RESTARTS, SINCE,
             .help = "Time in which failures do not count."),
    DURATION(struct health_check, 5, start_interval_ns, .name = "start_interval", RESTARTS, SINCE,
             .help = "Time between checks in the start period; 0 = 5s."),
    INT(struct health_check, 6, retries, 0, 1000, RESTARTS, SINCE,
        .help = "Failures in a row that make it unhealthy; 0 = 3."),
    BOOL(struct health_check, 7, disable, RESTARTS, SINCE, .help = "No check, not even the image's."),
};
static const struct schema health_check_schema =
    SCHEMA("health_check", struct health_check, health_check_fields,
           .help = "How to tell that a task is well.", .check = health_check_check);

static const struct field logging_fields[] = {
    STRING(struct logging, 1, driver, RESTARTS, SINCE, .help = "Where lines go; only local for now."),
    PAIRS(struct logging, 2, options, .flags = FIELD_PAIRS_LIST, RESTARTS, SINCE,
          .help = "Options: max-size, max-file.", .example = "{max-size: 10M, max-file: '2'}"),
};
static const struct schema logging_schema = SCHEMA("logging", struct logging, logging_fields,
                                                   .help = "What becomes of output.", .check = logging_check);

static const struct field ulimit_fields[] = {
    STRING(struct ulimit, 1, name, .flags = FIELD_REQUIRED | FIELD_KEY, RESTARTS, SINCE,
           .help = "Name, as in limits.conf: nofile, nproc, memlock and so on."),
    INT(struct ulimit, 2, soft, -1, INT64_MAX, RESTARTS, SINCE, .help = "Soft limit; -1 = unlimited."),
    INT(struct ulimit, 3, hard, -1, INT64_MAX, RESTARTS, SINCE, .help = "Hard limit; -1 = unlimited."),
};
static const struct schema ulimit_schema =
    SCHEMA("ulimit", struct ulimit, ulimit_fields, .help = "A resource limit, short form one number.",
           .from_short = ulimit_from_short, .to_short = ulimit_to_short, .check = ulimit_check);

static const struct field network_attachment_fields[] = {
    STRING(struct network_attachment, 1, name, .flags = FIELD_REQUIRED | FIELD_KEY, RESTARTS, SINCE,
           .help = "Name of the network."),
    STRINGS(struct network_attachment, 2, aliases, RESTARTS, SINCE,
            .help = "Other names of the service on it."),
    STRING(struct network_attachment, 3, ipv4_address, RESTARTS, SINCE, .help = "Fixed address."),
    PAIRS(struct network_attachment, 4, driver_opts, RESTARTS, SINCE, .help = "Options for the driver."),
};
static const struct schema network_attachment_schema =
    SCHEMA("network_attachment", struct network_attachment, network_attachment_fields,
           .help = "A network that tasks join.", .from_short = network_attachment_from_short);

static const struct field dependency_fields[] = {
    STRING(struct dependency, 1, name, .flags = FIELD_REQUIRED | FIELD_KEY, SINCE,
           .help = "Service that is needed."),
    STRING(struct dependency, 2, condition, .default_text = "service_started", SINCE,
           .help =
               "service_started, service_healthy or service_completed_successfully, of all its replicas."),
    BOOL(struct dependency, 3, restart, .flags = FIELD_LATER, SINCE,
         .help = "Restart when the other restarts."),
    BOOL(struct dependency, 4, required, .default_int = 1, SINCE, .help = "Whether it must exist."),
};
static const struct schema dependency_schema =
    SCHEMA("dependency", struct dependency, dependency_fields, .help = "A service that must be there first.",
           .from_short = dependency_from_short, .check = dependency_check);

static const struct field generic_resource_fields[] = {
    STRING(struct generic_resource, 1, kind, .flags = FIELD_REQUIRED | FIELD_KEY, RESTARTS, SINCE,
           .help = "Name of the resource."),
    INT(struct generic_resource, 2, value, 1, INT32_MAX, RESTARTS, SINCE, .help = "How many."),
};
static const struct schema generic_resource_schema =
    SCHEMA("generic_resource", struct generic_resource, generic_resource_fields,
           .help = "A counted resource of nodes.");

static const struct field resource_limits_fields[] = {
    CPUS(struct resource_limits, 1, cpus_nano, .name = "cpus", .min = 1000000, .max = INT64_MAX, RESTARTS,
         SINCE, .help = "CPU time per second; 0 = no limit.", .example = "0.5"),
    SIZE(struct resource_limits, 2, memory_bytes, .name = "memory", .min = 4194304, .max = INT64_MAX,
         RESTARTS, SINCE, .help = "Memory; 0 = no limit.", .example = "64M"),
    INT(struct resource_limits, 3, pids, 0, 4194304, RESTARTS, SINCE,
        .help = "Processes and threads; 0 = 1024."),
};
static const struct schema resource_limits_schema =
    SCHEMA("resource_limits", struct resource_limits, resource_limits_fields,
           .help = "What a task may use at most.");
static const struct field resource_reservations_fields[] = {
    CPUS(struct resource_reservations, 1, cpus_nano, .name = "cpus", .min = 1000000, .max = INT64_MAX,
         RESTARTS, SINCE, .help = "CPUs set aside on the node.", .example = "0.25"),
    SIZE(struct resource_reservations, 2, memory_bytes, .name = "memory", .min = 4194304, .max = INT64_MAX,
         RESTARTS, SINCE, .help = "Memory set aside on the node.", .example = "32M"),
    LIST(struct resource_reservations, 3, generic_resources, &generic_resource_schema,
         struct generic_resource, RESTARTS, SINCE,
         .help = "Resources of nodes' own making, as musterd --generic-resource names them.",
         .example = "[{kind: gpu, value: 1}]"),
};
static const struct schema resource_reservations_schema =
    SCHEMA("resource_reservations", struct resource_reservations, resource_reservations_fields,
           .help = "What the scheduler sets aside.");
static const struct field resources_fields[] = {
    STRUCT(struct resources, 1, limits, &resource_limits_schema, struct resource_limits, RESTARTS, SINCE,
           .help = "What a task may use at most."),
    STRUCT(struct resources, 2, reservations, &resource_reservations_schema, struct resource_reservations,
           RESTARTS, SINCE, .help = "What the scheduler sets aside."),
};
static const struct schema resources_schema =
    SCHEMA("resources", struct resources, resources_fields, .help = "CPU and memory of a task.",
           .check = resources_check);

static const struct field backoff_fields[] = {
    {.name = "factor",
     .tag = 1,
     .kind = FIELD_RATIO,
     .offset = offsetof(struct backoff, factor),
     .min = 1,
     .max = 100,
     .default_ratio = 1,
     SINCE,
     .help = "Each failure in a row multiplies the delay by this; 1 = fixed.",
     .example = "2"},
    DURATION(struct backoff, 2, max_delay_ns, .name = "max_delay", .default_int = 300000000000, SINCE,
             .help = "The delay grows no further than this."),
};
static const struct schema backoff_schema =
    SCHEMA("backoff", struct backoff, backoff_fields, .help = "How the restart delay grows.");
static const struct field restart_policy_fields[] = {
    ENUM(struct restart_policy, 1, condition, restart_condition_names, RESTART_ANY, SINCE,
         .help = "When a task that ended is replaced."),
    DURATION(struct restart_policy, 2, delay_ns, .name = "delay", .default_int = 5000000000, SINCE,
             .help = "Time between the end of a task and its replacement."),
    INT(struct restart_policy, 3, max_attempts, 0, 1000000, SINCE,
        .help = "Replacements of a slot before giving up; 0 = no end."),
    DURATION(struct restart_policy, 4, window_ns, .name = "window", SINCE,
             .help = "Only attempts within this time count; 0 = all."),
    STRUCT(struct restart_policy, 5, backoff, &backoff_schema, struct backoff, SINCE,
           .help = "How the delay grows."),
};
static const struct schema restart_policy_schema = SCHEMA(
    "restart_policy", struct restart_policy, restart_policy_fields, .help = "What happens when a task ends.");

static const struct field update_config_fields[] = {
    INT(struct update_config, 1, parallelism, 0, 100000, .default_int = 1, SINCE,
        .help = "Tasks replaced at once; 0 = all."),
    DURATION(struct update_config, 2, delay_ns, .name = "delay", SINCE, .help = "Rest after each task."),
    DURATION(struct update_config, 3, monitor_ns, .name = "monitor", .default_int = 5000000000, SINCE,
             .help = "Time in which a new task's end counts as a failure."),
    ENUM(struct update_config, 4, failure_action, failure_action_names, FAILURE_PAUSE, SINCE,
         .help = "What too many failures lead to."),
    RATIO(struct update_config, 5, max_failure_ratio, .max = 1, SINCE,
          .help = "Share of failures that is tolerated."),
    ENUM(struct update_config, 6, order, update_order_names, ORDER_STOP_FIRST, SINCE,
         .help = "Stop the old task first, or start the new one first; also when a node is drained."),
    DURATION(struct update_config, 7, progress_deadline_ns, .name = "progress_deadline", SINCE,
             .help = "Longest time without progress; 0 = none."),
};
const struct schema update_config_schema =
    SCHEMA("update_config", struct update_config, update_config_fields, .help = "How tasks are replaced.");

static const struct field placement_preference_fields[] = {
    STRING(struct placement_preference, 1, spread, .flags = FIELD_REQUIRED, SINCE,
           .help = "What nodes are grouped by: a label, or another key of constraints.",
           .example = "node.labels.rack"),
};
static const struct schema placement_preference_schema =
    SCHEMA("placement_preference", struct placement_preference, placement_preference_fields,
           .help = "A wish for placement.");
static const struct field placement_fields[] = {
    STRINGS(struct placement, 1, constraints, .flags = FIELD_UNORDERED, MOVES, SINCE,
            .help = "All must hold for a node.", .example = "[node.labels.disk == ssd]"),
    LIST(struct placement, 2, preferences, &placement_preference_schema, struct placement_preference, SINCE,
         .help = "Spread evenly over these, one within the other, in this order.",
         .example = "[{spread: node.labels.dc}, {spread: node.labels.rack}]"),
    INT(struct placement, 3, max_replicas_per_node, 0, 1000000, SINCE,
        .help = "Tasks of the service on one node; 0 = no limit."),
};
static const struct schema placement_schema =
    SCHEMA("placement", struct placement, placement_fields, .help = "Where tasks may run.",
           .check = placement_check);

static const char *const overlap_names[] = {"forbid", "replace"};
static const char *const missed_names[] = {"run-once", "skip"};
static const struct field schedule_fields[] = {
    STRING(struct schedule, 1, cron, .flags = FIELD_REQUIRED, SINCE,
           .help = "Minute, hour, day of the month, month, day of the week; or @daily and the like.",
           .example = "'30 2 * * mon-fri'"),
    STRING(struct schedule, 2, time_zone, SINCE, .help = "Zone of that time; without one it is UTC.",
           .example = "Europe/Berlin"),
    ENUM(struct schedule, 3, overlap, overlap_names, OVERLAP_FORBID, SINCE,
         .help = "When the run before is still going: leave the new one out, or stop the old one."),
    ENUM(struct schedule, 4, missed, missed_names, MISSED_RUN_ONCE, SINCE,
         .help = "Runs that came due while no manager led: one for all of them, or none."),
    DURATION(struct schedule, 5, deadline_ns, .name = "deadline", SINCE,
             .help = "A run that could not begin for so long is left out; 0 = never."),
    INT(struct schedule, 6, successful_history, 0, 100, .default_int = 3, SINCE,
        .help = "Complete runs before the present one whose tasks are kept."),
    INT(struct schedule, 7, failed_history, 0, 100, .default_int = 1, SINCE,
        .help = "Failed runs before the present one whose tasks are kept."),
    BOOL(struct schedule, 8, suspend, SINCE, .help = "Begin no runs."),
};
const struct schema schedule_schema =
    SCHEMA("schedule", struct schedule, schedule_fields, .help = "When a job runs.", .check = schedule_check,
           .from_short = schedule_from_short);

static const struct field rebalance_policy_fields[] = {
    BOOL(struct rebalance_policy, 1, on_join, SINCE,
         .help = "Move tasks when a node that has two fewer of them than another joins or returns."),
    INT(struct rebalance_policy, 2, max_moves, 1, 1000, .default_int = 1, SINCE,
        .help = "Tasks that move at once.", .example = "2"),
    DURATION(struct rebalance_policy, 3, cool_down_ns, .name = "cool_down", .default_int = 60000000000, SINCE,
             .help = "Time that a node must have been ready, and between moves.", .example = "5m"),
};
static const struct schema rebalance_policy_schema =
    SCHEMA("rebalance", struct rebalance_policy, rebalance_policy_fields,
           .help = "Whether running tasks move to nodes that have fewer.");

static const struct field deploy_fields[] = {
    ENUM(struct deploy, 1, mode, service_mode_names, MODE_REPLICATED, .flags = FIELD_IMMUTABLE, RESTARTS,
         SINCE, .help = "So many tasks, or one on each node."),
    INT(struct deploy, 2, replicas, 0, 1000000, .default_int = 1, SINCE,
        .help = "How many tasks; of a job, how many are to complete.", .example = "3"),
    INT(struct deploy, 3, max_concurrent, 0, 1000000, SINCE,
        .help = "Tasks of a replicated job at once; 0 = replicas.", .example = "2"),
    ENUM(struct deploy, 4, endpoint_mode, endpoint_mode_names, ENDPOINT_VIP, .flags = FIELD_LATER, RESTARTS,
         SINCE, .help = "One address, or all addresses in DNS."),
    PAIRS(struct deploy, 5, labels, .flags = FIELD_PAIRS_LIST, SINCE, .help = "Labels of the service."),
    STRUCT(struct deploy, 6, update_config, &update_config_schema, struct update_config, SINCE,
           .help = "How tasks are replaced."),
    STRUCT(struct deploy, 7, rollback_config, &update_config_schema, struct update_config, SINCE,
           .help = "How tasks are replaced on a rollback."),
    STRUCT(struct deploy, 8, restart_policy, &restart_policy_schema, struct restart_policy, SINCE,
           .help = "What happens when a task ends."),
    STRUCT(struct deploy, 9, resources, &resources_schema, struct resources, RESTARTS, SINCE,
           .help = "CPU and memory of a task."),
    STRUCT(struct deploy, 10, placement, &placement_schema, struct placement, SINCE,
           .help = "Where tasks may run."),
    OPTIONAL(struct deploy, 23, schedule, &schedule_schema, struct schedule, SINCE,
             .help = "Makes a job a cronjob: when it runs.", .example = "'30 2 * * *'"),
    STRUCT(struct deploy, 27, rebalance, &rebalance_policy_schema, struct rebalance_policy, SINCE,
           .help = "Whether running tasks move to nodes that have fewer."),
};
static const struct schema deploy_schema =
    SCHEMA("deploy", struct deploy, deploy_fields, .help = "How the service is kept.", .check = deploy_check);

static const struct field service_spec_fields[] = {
    STRING(struct service_spec, 1, name, .flags = FIELD_REQUIRED | FIELD_IMMUTABLE, SINCE,
           .help = "Name of the service.", .example = "web"),
    STRING(struct service_spec, 2, image, .flags = FIELD_REQUIRED, RESTARTS, SINCE,
           .help = "Image: registry reference, or oci-archive:, docker-archive:, oci:, tar: and a path.",
           .example = "redis:7.0"),
    STRINGS(struct service_spec, 3, command, .flags = FIELD_SPLIT, RESTARTS, SINCE,
            .help = "Arguments; replaces the image's CMD.", .example = "[sleep, '3600']"),
    STRINGS(struct service_spec, 4, entrypoint, .flags = FIELD_SPLIT, RESTARTS, SINCE,
            .help = "Replaces the image's ENTRYPOINT and clears its CMD."),
    PAIRS(struct service_spec, 5, environment, .flags = FIELD_PAIRS_LIST, RESTARTS, SINCE,
          .help = "Environment variables.", .example = "{MODE: fast}"),
    STRINGS(struct service_spec, 6, env_file, .flags = FIELD_ONE, RESTARTS, SINCE,
            .help = "Files of NAME=VALUE lines, read by the client."),
    STRING(struct service_spec, 7, hostname, RESTARTS, SINCE, .help = "Host name inside the container."),
    STRING(struct service_spec, 8, user, RESTARTS, SINCE, .help = "User and group, names or numbers.",
           .example = "'1000:1000'"),
    STRINGS(struct service_spec, 9, group_add, .flags = FIELD_UNORDERED, RESTARTS, SINCE,
            .help = "Further groups."),
    STRING(struct service_spec, 10, working_dir, RESTARTS, SINCE, .help = "Directory to start in.",
           .example = "/srv"),
    PAIRS(struct service_spec, 11, labels, .flags = FIELD_PAIRS_LIST, RESTARTS, SINCE,
          .help = "Labels of the containers."),
    BOOL(struct service_spec, 12, init, RESTARTS, SINCE,
         .help = "Run a small init that reaps children and forwards signals."),
    BOOL(struct service_spec, 13, tty, .flags = FIELD_LATER, RESTARTS, SINCE, .help = "Allocate a terminal."),
    BOOL(struct service_spec, 14, stdin_open, .flags = FIELD_LATER, RESTARTS, SINCE,
         .help = "Keep standard input open."),
    BOOL(struct service_spec, 15, read_only, RESTARTS, SINCE,
         .help = "The root file system cannot be written."),
    STRING(struct service_spec, 16, stop_signal, RESTARTS, SINCE, .help = "Signal that asks a task to stop.",
           .example = "SIGTERM"),
    DURATION(struct service_spec, 17, stop_grace_period_ns, .name = "stop_grace_period",
             .default_int = 10000000000, RESTARTS, SINCE,
             .help = "Time between the stop signal and SIGKILL."),
    STRINGS(struct service_spec, 18, cap_add, .flags = FIELD_UNORDERED, RESTARTS, SINCE,
            .help = "Capabilities to add.", .example = "[NET_RAW]"),
    STRINGS(struct service_spec, 19, cap_drop, .flags = FIELD_UNORDERED, RESTARTS, SINCE,
            .help = "Capabilities to drop.", .example = "[ALL]"),
    PAIRS(struct service_spec, 20, sysctls, .flags = FIELD_PAIRS_LIST, RESTARTS, SINCE,
          .help = "Kernel settings of the container's own namespaces."),
    LIST(struct service_spec, 21, ulimits, &ulimit_schema, struct ulimit,
         .flags = FIELD_AS_MAP | FIELD_UNORDERED, RESTARTS, SINCE, .help = "Resource limits.",
         .example = "{nofile: 1024}"),
    INT(struct service_spec, 22, oom_score_adj, -1000, 1000, RESTARTS, SINCE,
        .help = "How readily the kernel kills it without memory."),
    SIZE(struct service_spec, 23, shm_size_bytes, .name = "shm_size", RESTARTS, SINCE,
         .help = "Size of /dev/shm; 0 = 64M."),
    OPTIONAL(struct service_spec, 24, healthcheck, &health_check_schema, struct health_check, RESTARTS, SINCE,
             .help = "How to tell that a task is well."),
    STRUCT(struct service_spec, 25, logging, &logging_schema, struct logging, RESTARTS, SINCE,
           .help = "What becomes of output."),
    ENUM(struct service_spec, 26, network_mode, network_mode_names, NETWORK_DEFAULT, RESTARTS, SINCE,
         .help = "none: an empty network of its own; host: the node's network."),
    LIST(struct service_spec, 27, networks, &network_attachment_schema, struct network_attachment,
         .flags = FIELD_AS_MAP | FIELD_UNORDERED | FIELD_LATER, RESTARTS, SINCE, .help = "Networks to join."),
    STRINGS(struct service_spec, 28, dns, .flags = FIELD_ONE | FIELD_LATER, RESTARTS, SINCE,
            .help = "Name servers."),
    STRINGS(struct service_spec, 29, dns_search, .flags = FIELD_ONE | FIELD_LATER, RESTARTS, SINCE,
            .help = "Search domains."),
    STRINGS(struct service_spec, 30, dns_opt, .flags = FIELD_LATER, RESTARTS, SINCE,
            .help = "Resolver options."),
    STRINGS(struct service_spec, 31, extra_hosts, .flags = FIELD_LATER, RESTARTS, SINCE,
            .help = "Further lines of /etc/hosts, name:address."),
    LIST(struct service_spec, 32, ports, &port_schema, struct port, .flags = FIELD_LATER, RESTARTS, SINCE,
         .help = "Published ports.", .example = "['8080:80']"),
    LIST(struct service_spec, 33, volumes, &mount_schema, struct mount, .flags = FIELD_UNORDERED, .max = 1000,
         RESTARTS, SINCE, .help = "Mounts.", .example = "['data:/data']"),
    STRINGS(struct service_spec, 34, tmpfs, .flags = FIELD_ONE | FIELD_UNORDERED, RESTARTS, SINCE,
            .help = "Paths of tmpfs mounts, with options after a colon.", .example = "[/tmp]"),
    LIST(struct service_spec, 35, secrets, &file_reference_schema, struct file_reference,
         .flags = FIELD_UNORDERED, RESTARTS, SINCE, .help = "Secrets as files."),
    LIST(struct service_spec, 36, configs, &file_reference_schema, struct file_reference,
         .flags = FIELD_UNORDERED, RESTARTS, SINCE, .help = "Configs as files."),
    LIST(struct service_spec, 37, depends_on, &dependency_schema, struct dependency,
         .flags = FIELD_AS_MAP | FIELD_UNORDERED, SINCE,
         .help = "Services that must be there first: at the first start, and at each update."),
    STRINGS(struct service_spec, 38, profiles, .flags = FIELD_UNORDERED, SINCE,
            .help = "Only with these profiles."),
    STRING(struct service_spec, 39, platform, RESTARTS, SINCE,
           .help = "Platform of the image, os/arch: only such nodes run it.", .example = "linux/amd64"),
    STRING(struct service_spec, 40, pull_policy, .flags = FIELD_LATER, SINCE,
           .help = "missing, always or never."),
    STRUCT(struct service_spec, 41, deploy, &deploy_schema, struct deploy, SINCE,
           .help = "How the service is kept."),
    INT(struct service_spec, 42, force_update, 0, INT64_MAX, .flags = FIELD_HIDDEN, RESTARTS, SINCE,
        .help = "Raised to replace tasks without another change."),
    DURATION(struct service_spec, 54, drain_delay_ns, .name = "drain_delay", RESTARTS, SINCE,
             .help = "Time that a task still serves after it was told to stop, before the stop signal.",
             .example = "5s"),
};
const struct schema service_spec_schema =
    SCHEMA("service", struct service_spec, service_spec_fields,
           .help = "A workload that the cluster keeps running: a Compose service with a name.",
           .check = service_spec_check);

static const struct field update_status_fields[] = {
    ENUM(struct update_status, 1, state, update_state_names, UPDATE_NONE, .help = "Where the update is."),
    TIME(struct update_status, 2, started_unix_ms, .name = "started_at", .help = "When it began."),
    TIME(struct update_status, 3, completed_unix_ms, .name = "completed_at", .help = "When it ended."),
    STRING(struct update_status, 4, message, .help = "In words."),
};
static const struct schema update_status_schema =
    SCHEMA("update_status", struct update_status, update_status_fields, .help = "State of the last update.");

static const struct field revision_ref_fields[] = {
    INT(struct revision_ref, 1, revision, 0, INT64_MAX, .help = "Number of a revision."),
};
static const struct schema revision_ref_schema =
    SCHEMA("revision_ref", struct revision_ref, revision_ref_fields, .help = "A revision of a service.");

static const struct field service_fields[] = {
    STRUCT(struct service, 1, meta, &meta_schema, struct meta, .help = "What all objects share."),
    STRUCT(struct service, 2, spec, &service_spec_schema, struct service_spec, .help = "What is declared."),
    INT(struct service, 3, revision, 0, INT64_MAX, .help = "Revision of the spec."),
    INT(struct service, 4, restart_revision, 0, INT64_MAX,
        .help = "Tasks of older revisions are out of date."),
    STRUCT(struct service, 5, update_status, &update_status_schema, struct update_status,
           .help = "State of the last update."),
    BOOL(struct service, 6, removing, .help = "Being removed."),
    LIST(struct service, 20, same_revisions, &revision_ref_schema, struct revision_ref,
         .help = "Older revisions whose tasks are up to date all the same."),
    INT(struct service, 21, rollout_number, 0, INT64_MAX, .help = "Number of its last rollout."),
    INT(struct service, 25, job_iteration, 0, INT64_MAX, .help = "Jobs: number of the present run."),
    TIME(struct service, 26, last_execution_unix_ms, .name = "last_execution",
         .help = "Jobs: when the present run was asked for."),
    TIME(struct service, 27, next_run_unix_ms, .name = "next_run", .help = "Cronjobs: when the next run is due."),
    STRING(struct service, 28, schedule_note,
           .help = "Cronjobs: why the last run that was due was not begun."),
    TIME(struct service, 29, rebalance_asked_unix_ms, .name = "rebalance_asked_at",
         .help = "When moving its tasks was last asked for."),
};
const struct schema service_schema =
    SCHEMA("service_object", struct service, service_fields, .help = "A service as stored.");

static const struct field revision_fields[] = {
    STRUCT(struct revision, 1, meta, &meta_schema, struct meta, .help = "What all objects share."),
    ID(struct revision, 2, service_id, .help = "The service."),
    INT(struct revision, 3, revision, 0, INT64_MAX, .help = "Number of the revision."),
    STRING(struct revision, 4, who, .help = "Who made it."),
    STRING(struct revision, 5, why, .help = "Why."),
    STRUCT(struct revision, 6, spec, &service_spec_schema, struct service_spec, .help = "The spec."),
};
const struct schema revision_schema =
    SCHEMA("revision", struct revision, revision_fields, .help = "A kept spec of a service.");

enum consequence service_spec_consequence(const struct service_spec *old_spec,
                                          const struct service_spec *new_spec, struct arena *arena) {
    struct differences differences;
    schema_diff(&service_spec_schema, old_spec, new_spec, arena, &differences);
    return differences.worst;
}

bool service_is_outdated(const struct service *service, int64_t task_revision) {
    if (task_revision >= service->restart_revision) {
        return false;
    }
    for (size_t i = 0; i < service->same_revisions.count; i++) {
        if (service->same_revisions.items[i].revision == task_revision) {
            return false;
        }
    }
    return true;
}

// Not the worst consequence: a change that moves tasks and restarts them is to do both.
static bool service_asks_the_same(const struct differences *differences) {
    for (size_t i = 0; i < differences->count; i++) {
        enum consequence consequence = differences->items[i].consequence;
        if (consequence == CONSEQUENCE_RESTART || consequence == CONSEQUENCE_DATA_LOSS) {
            return false;
        }
    }
    return true;
}

enum consequence service_take_spec(struct service *service, const struct service_spec *spec,
                                   const struct revision_spec *kept, size_t count, struct arena *arena) {
    struct differences differences, to_kept;
    schema_diff(&service_spec_schema, &service->spec, spec, arena, &differences);
    service->spec = *spec;
    service->revision++;
    if (service_asks_the_same(&differences)) {
        return differences.worst;
    }
    service->restart_revision = service->revision;
    service->same_revisions.items = NULL;
    service->same_revisions.count = 0;
    for (size_t i = 0; i < count; i++) {
        schema_diff(&service_spec_schema, kept[i].spec, spec, arena, &to_kept);
        if (service_asks_the_same(&to_kept)) {
            struct revision_ref *ref = ARENA_PUSH(arena, &service->same_revisions);
            *ref = (struct revision_ref){.revision = kept[i].revision};
        }
    }
    return differences.worst;
}

bool service_starts_run(const struct service_spec *old_spec, const struct service_spec *new_spec,
                        enum consequence consequence) {
    if (new_spec->deploy.schedule != NULL) {
        return new_spec->force_update != old_spec->force_update;
    }
    return mode_is_job(new_spec->deploy.mode) &&
           (consequence >= CONSEQUENCE_RESTART || old_spec->deploy.replicas != new_spec->deploy.replicas);
}

void service_spec_job_default(struct service_spec *spec) {
    if (mode_is_job(spec->deploy.mode)) {
        spec->deploy.restart_policy.condition = RESTART_ON_FAILURE;
    }
}
