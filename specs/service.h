// SPDX-License-Identifier: Apache-2.0
//
// specs/service.h — a declared workload: Compose's words, Swarm's meaning.
//
// `struct service_spec` is what users write (a Compose service plus a name); `struct service` is what the
// store holds. Field order and nesting follow the Compose Specification, so that a path in an error message
// is the path in the user's file.
#ifndef MUSTER_SPECS_SERVICE_H
#define MUSTER_SPECS_SERVICE_H

#include "specs/object.h"

enum service_mode { MODE_REPLICATED, MODE_GLOBAL, MODE_REPLICATED_JOB, MODE_GLOBAL_JOB };
static inline bool mode_is_job(enum service_mode mode) { // its tasks run to an end
    return mode == MODE_REPLICATED_JOB || mode == MODE_GLOBAL_JOB;
}
static inline bool mode_is_global(enum service_mode mode) { // one task a node
    return mode == MODE_GLOBAL || mode == MODE_GLOBAL_JOB;
}
enum port_protocol { PROTOCOL_TCP, PROTOCOL_UDP, PROTOCOL_SCTP };
enum publish_mode { PUBLISH_INGRESS, PUBLISH_HOST };
enum mount_type { MOUNT_VOLUME, MOUNT_BIND, MOUNT_TMPFS };
enum mount_propagation {
    PROPAGATION_RPRIVATE,
    PROPAGATION_PRIVATE,
    PROPAGATION_RSHARED,
    PROPAGATION_SHARED,
    PROPAGATION_RSLAVE,
    PROPAGATION_SLAVE
};
enum restart_condition { RESTART_ANY, RESTART_ON_FAILURE, RESTART_NONE };
enum failure_action { FAILURE_PAUSE, FAILURE_CONTINUE, FAILURE_ROLLBACK };
enum update_order { ORDER_STOP_FIRST, ORDER_START_FIRST };
enum endpoint_mode { ENDPOINT_VIP, ENDPOINT_DNSRR };
enum network_mode { NETWORK_DEFAULT, NETWORK_NONE, NETWORK_HOST };
enum on_change { ON_CHANGE_RESTART, ON_CHANGE_SIGNAL, ON_CHANGE_NONE };

extern const char *const update_state_names[9];
extern const char *const service_mode_names[4]; // "replicated", "global", "replicated-job", "global-job"

struct port { // "8080:80/tcp"
    int64_t target;
    int64_t published; // 0 = picked by the cluster
    enum port_protocol protocol;
    enum publish_mode mode;
    const char *name;
    const char *host_ip;
    const char *app_protocol;
    struct bytes unknown;
};

struct mount_bind {
    enum mount_propagation propagation;
    bool create_host_path;
    bool recursive_off;
    struct bytes unknown;
};
struct mount_volume {
    bool nocopy;
    const char *subpath;
    struct bytes unknown;
};
struct mount_tmpfs {
    int64_t size_bytes;
    int64_t mode;
    struct bytes unknown;
};
struct mount { // "data:/var/lib/data:ro"
    enum mount_type type;
    const char *source; // host path, or name of a volume; "" = anonymous
    const char *target;
    bool read_only;
    struct mount_bind bind;
    struct mount_volume volume;
    struct mount_tmpfs tmpfs;
    struct bytes unknown;
};

struct file_reference { // a secret or config in a container; short form: its name
    const char *source;
    const char *target; // "" = /run/secrets/<source> or /<source>
    const char *uid, *gid;
    int64_t mode;
    enum on_change on_change;
    const char *signal; // for on_change: signal; "" = SIGHUP
    struct id content;  // hidden: what the tasks of this revision get; none = always the newest
    struct bytes unknown;
};

struct health_check {
    struct strings test; // ["CMD", …], ["CMD-SHELL", "…"], ["TCP", "80"], ["HTTP", "http://…"], ["NONE"]
    int64_t interval_ns, timeout_ns, start_period_ns, start_interval_ns; // 0 = 30 s, 30 s, 0, 5 s
    int64_t retries;                                                     // 0 = 3
    bool disable;
    struct bytes unknown;
};

struct logging {
    const char *driver;
    struct pairs options;
    struct bytes unknown;
};
struct ulimit {
    const char *name;
    int64_t soft, hard;
    struct bytes unknown;
}; // short form: one number for both
struct network_attachment {
    const char *name;
    struct strings aliases;
    const char *ipv4_address;
    struct pairs driver_opts;
    struct bytes unknown;
};
struct dependency {
    const char *name;
    const char *condition;
    bool restart;
    bool required;
    struct bytes unknown;
};

struct generic_resource {
    const char *kind;
    int64_t value;
    struct bytes unknown;
};
struct resource_limits {
    int64_t cpus_nano;
    int64_t memory_bytes;
    int64_t pids;
    struct bytes unknown;
};
struct resource_reservations {
    int64_t cpus_nano;
    int64_t memory_bytes;
    LIST_OF(struct generic_resource) generic_resources;
    struct bytes unknown;
};
struct resources {
    struct resource_limits limits;
    struct resource_reservations reservations;
    struct bytes unknown;
};

struct backoff {
    double factor;
    int64_t max_delay_ns;
    struct bytes unknown;
}; // factor 1 = fixed delay, as Swarm
struct restart_policy {
    enum restart_condition condition;
    int64_t delay_ns;     // default 5 s
    int64_t max_attempts; // 0 = unlimited
    int64_t window_ns;    // 0 = for ever
    struct backoff backoff;
    struct bytes unknown;
};
struct update_config {
    int64_t parallelism; // 0 = all at once; default 1
    int64_t delay_ns;
    int64_t monitor_ns; // default 5 s
    enum failure_action failure_action;
    double max_failure_ratio;
    enum update_order order;
    int64_t progress_deadline_ns; // 0 = none
    struct bytes unknown;
};
struct placement_preference {
    const char *spread;
    struct bytes unknown;
};
struct placement {
    struct strings constraints; // "node.labels.disk == ssd"
    LIST_OF(struct placement_preference) preferences;
    int64_t max_replicas_per_node; // 0 = no limit
    struct bytes unknown;
};
enum schedule_overlap { OVERLAP_FORBID, OVERLAP_REPLACE };
enum schedule_missed { MISSED_RUN_ONCE, MISSED_SKIP };
struct schedule { // of a job: makes it a cronjob; short form: the expression
    const char *cron;      // specs/cron.h
    const char *time_zone; // "Europe/Berlin"; "" = UTC
    enum schedule_overlap overlap;
    enum schedule_missed missed;
    int64_t deadline_ns; // a run that could not begin for so long is left out; 0 = none
    int64_t successful_history, failed_history; // runs before the present one whose tasks are kept
    bool suspend;
    struct bytes unknown;
};
struct rebalance_policy { // tasks move to where fewer are, when nodes join or return
    bool on_join;
    int64_t max_moves;    // at once
    int64_t cool_down_ns; // that a node was ready, and since the last moves
    struct bytes unknown;
};
struct deploy {
    enum service_mode mode;
    int64_t replicas;       // default 1
    int64_t max_concurrent; // replicated-job: 0 = replicas
    enum endpoint_mode endpoint_mode;
    struct pairs labels; // of the service
    struct update_config update_config;
    struct update_config rollback_config;
    struct restart_policy restart_policy;
    struct resources resources;
    struct placement placement;
    struct schedule *schedule; // NULL = a job runs when it is declared, and when it is changed
    struct rebalance_policy rebalance;
    struct bytes unknown;
};

struct service_spec {
    const char *name;
    const char *image;
    struct strings command;    // arguments (Docker's CMD)
    struct strings entrypoint; // replaces the image's ENTRYPOINT
    struct pairs environment;
    struct strings env_file; // read by the client; never reaches the store
    const char *hostname;
    const char *user; // "uid[:gid]" or names
    struct strings group_add;
    const char *working_dir;
    struct pairs labels; // of the container
    bool init;
    bool tty;
    bool stdin_open;
    bool read_only;
    const char *stop_signal;
    int64_t stop_grace_period_ns; // default 10 s
    struct strings cap_add, cap_drop;
    struct pairs sysctls;
    LIST_OF(struct ulimit) ulimits; // a map in YAML
    int64_t oom_score_adj;
    int64_t shm_size_bytes;           // 0 = 64 MiB
    struct health_check *healthcheck; // NULL = the image's
    struct logging logging;
    enum network_mode network_mode;
    LIST_OF(struct network_attachment) networks; // list of names or a map
    struct strings dns, dns_search, dns_opt, extra_hosts;
    LIST_OF(struct port) ports;
    LIST_OF(struct mount) volumes;
    struct strings tmpfs;
    LIST_OF(struct file_reference) secrets, configs;
    LIST_OF(struct dependency) depends_on; // list of names or a map
    struct strings profiles;
    const char *platform;
    const char *pull_policy; // "", always, missing, never
    struct deploy deploy;
    int64_t force_update; // hidden: raised by `service update --force`
    // Between the order to stop and the signal, so that who sends it work sees it go
    int64_t drain_delay_ns;
    struct bytes unknown;
};
extern const struct schema service_spec_schema, update_config_schema, port_schema, mount_schema,
    file_reference_schema, schedule_schema;

enum update_state {
    UPDATE_NONE,
    UPDATE_UPDATING,
    UPDATE_PAUSED,
    UPDATE_COMPLETED,
    UPDATE_ROLLBACK_STARTED,
    UPDATE_ROLLBACK_PAUSED,
    UPDATE_ROLLBACK_COMPLETED,
    // Of rollouts only; a service is by then on another one.
    UPDATE_SUPERSEDED,
    UPDATE_ROLLED_BACK
};
struct update_status {
    enum update_state state;
    int64_t started_unix_ms, completed_unix_ms;
    const char *message;
    struct bytes unknown;
};

struct revision_ref {
    int64_t revision;
    struct bytes unknown;
};

struct service {
    struct meta meta; // name = spec.name
    struct service_spec spec;
    int64_t revision; // 1, 2, 3…: raised when the spec changes; tasks name the one they run
    // Last revision that changed a field of consequence restart or worse: older tasks are out of date
    int64_t restart_revision;
    struct update_status update_status;
    bool removing; // deleted by the user: tasks stop first, then the record goes
    // Older revisions than restart_revision whose spec asks for the same tasks all the same (a rollback leads
    // back to them): their tasks are not out of date.
    LIST_OF(struct revision_ref) same_revisions;
    int64_t rollout_number; // of the last rollout, 0 = there was none
    // Jobs: number of the present run, from 1, and when it was asked for. Raised with a spec that changes what
    // runs or how often (service_starts_run); the tasks of the runs before go.
    int64_t job_iteration;
    int64_t last_execution_unix_ms;
    int64_t next_run_unix_ms;  // of a cronjob; 0 = not known yet, or suspended
    const char *schedule_note; // what became of the last run that was due, when it was not begun
    int64_t rebalance_asked_unix_ms; // `muster rebalance` was given then; 0 = never
    struct bytes unknown;
};
extern const struct schema service_schema;

// Would a task of that revision be replaced, because a newer one asks for another?
bool service_is_outdated(const struct service *service, int64_t task_revision);

// A kept spec of a service: the last SPEC_REVISIONS_MAX and every one that a task still runs. meta.name =
// "<service id>/<revision>".
struct revision {
    struct meta meta;
    struct id service_id;
    int64_t revision;
    const char *who, *why;
    struct service_spec spec;
    struct bytes unknown;
};
extern const struct schema revision_schema;

// The service's spec becomes `spec`, as its next revision. `kept` are older specs, for same_revisions; the list
// is in the arena. Returns what the change leads to; the record of the new revision is the caller's to make.
struct revision_spec {
    int64_t revision;
    const struct service_spec *spec;
};
enum consequence service_take_spec(struct service *service, const struct service_spec *spec,
                                   const struct revision_spec *kept, size_t count, struct arena *arena);

// What a job's restart condition is where nobody says one: on-failure. (The field's default is any, which jobs
// do not take.) Nothing for other services.
void service_spec_job_default(struct service_spec *spec);

// Does going from one spec of a job to the other make it run again? With all that changes its tasks, and with
// another number of completions; what only says how to go on concerns the run at hand. A cronjob waits for its
// time, unless it is told to run (--force).
bool service_starts_run(const struct service_spec *old_spec, const struct service_spec *new_spec,
                        enum consequence consequence);

// The worst consequence of going from one spec to the other, as diff says it.
enum consequence service_spec_consequence(const struct service_spec *old_spec,
                                          const struct service_spec *new_spec, struct arena *arena);

#endif
