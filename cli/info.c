// SPDX-License-Identifier: Apache-2.0
//
// cli/info.c — `info`: the daemon, its node and its cluster, in Docker's lines and some of our own.
#include "base/clock.h"
#include "base/str.h"
#include "base/units.h"
#include "cli/connect.h"
#include "cli/output.h"

static void line(struct buf *out, const char *label, const char *text) {
    buf_addf(out, "%s: ", label);
    buf_adds(out, text);
    buf_addc(out, '\n');
}

static void number(struct buf *out, const char *label, int64_t value) {
    buf_addf(out, "%s: %lld\n", label, (long long)value);
}

static void bytes(struct buf *out, const char *label, int64_t value) {
    char text[32];
    line(out, label, units_human_bytes(value, text, sizeof text));
}

static const char *duration(int64_t ns, char *out, size_t out_bytes) {
    return units_human_duration(ns / NS_PER_MS, out, out_bytes);
}

static void add_manager(const struct info_reply *info, struct buf *out) {
    const struct cluster_spec *spec = &info->cluster;
    char text[64];
    line(out, " ClusterID", info->cluster_id.text);
    number(out, " Managers", info->managers);
    number(out, "  Reachable", info->managers_reachable);
    number(out, "  Quorum", info->quorum);
    number(out, " Nodes", info->nodes);
    for (size_t i = 0; i < spec->default_addr_pool.count; i++) {
        line(out, " Default Address Pool", spec->default_addr_pool.items[i]);
    }
    number(out, " SubnetSize", spec->default_addr_pool_mask_length);
    number(out, " Data Path Port", spec->data_path_port);
    buf_adds(out, " Orchestration:\n");
    number(out, "  Task History Retention Limit", spec->task_history_limit);
    buf_adds(out, " Raft:\n");
    number(out, "  Snapshot Interval", spec->raft.snapshot_interval);
    number(out, "  Number of Old Snapshots to Retain", spec->raft.keep_old_snapshots);
    number(out, "  Heartbeat Tick", spec->raft.heartbeat_tick);
    number(out, "  Election Tick", spec->raft.election_tick);
    line(out, "  Role", info->raft_role);
    number(out, "  Term", info->raft_term);
    number(out, "  Applied Index", info->raft_applied);
    buf_adds(out, " Dispatcher:\n");
    line(out, "  Heartbeat Period", duration(spec->dispatcher_heartbeat_ns, text, sizeof text));
    number(out, "  Agents Here", info->agents);
    number(out, "  Callers Not Let In Yet", info->callers);
    number(out, "  Callers Turned Away", info->turned_away);
    buf_adds(out, " CA Configuration:\n");
    line(out, "  Expiry Duration", duration(spec->cert_expiry_ns, text, sizeof text));
    line(out, " Autolock Managers", spec->autolock ? "true" : "false");
    line(out, " Leader Address", info->leader_address[0] != '\0' ? info->leader_address : "(none)");
    buf_adds(out, " Manager Addresses:\n");
    for (size_t i = 0; i < info->manager_addresses.count; i++) {
        buf_addf(out, "  %s\n", info->manager_addresses.items[i]);
    }
    buf_adds(out, " Store:\n");
    number(out, "  Revision", info->revision);
    number(out, "  First Revision in History", info->history_first_revision);
    bytes(out, "  Size", info->store_bytes);
    bytes(out, "  Free on Its Disk", info->store_disk_free_bytes);
    number(out, " Services", info->services);
    number(out, " Tasks", info->tasks);
    number(out, " Tasks Running", info->tasks_running);
}

static void add_worker(const struct info_reply *info, struct buf *out) {
    char since[40];
    bool is_connected = info->session_manager[0] != '\0';
    clock_format_rfc3339(info->session_since_unix_ms, since, sizeof since);
    line(out, " ClusterID", info->cluster_id.text);
    line(out, " Session", is_connected ? info->session_manager : "(none)");
    line(out, "  Since", since);
    if (!is_connected && info->session_trouble[0] != '\0') {
        line(out, "  Trouble", info->session_trouble);
    }
    buf_adds(out, " Manager Addresses:\n");
    for (size_t i = 0; i < info->manager_addresses.count; i++) {
        buf_addf(out, "  %s\n", info->manager_addresses.items[i]);
    }
    number(out, " Tasks", info->tasks);
}

static void add_node(const struct info_reply *info, struct buf *out) {
    const struct node_description *about = &info->description;
    char text[64];
    line(out, "Executor", info->executor);
    line(out, "Runtime", about->runtime_version[0] != '\0' ? about->runtime_version : "(none)");
    line(out, "Cgroup Mode", about->cgroup_mode);
    line(out, "OSType", about->os);
    line(out, "Architecture", about->arch);
    line(out, "CPUs", units_format_cpus(about->cpus_nano, text, sizeof text));
    bytes(out, "Total Memory", about->memory_bytes);
    line(out, "Name", info->node_name);
    line(out, "State Directory", info->state_dir);
    line(out, "Run Directory", info->run_dir);
    buf_addf(out, "Running For: %s\n",
             units_human_duration(clock_unix_ms() - info->started_unix_ms, text, sizeof text));
    bytes(out, "Resident Memory", info->resident_bytes);
}

// Docker's words.
static const char *swarm_state(const struct info_reply *info) {
    return info->is_pending ? "pending" : info->is_initialized ? "active" : "inactive";
}

static void info_text(const struct info_reply *info, struct buf *out) {
    line(out, "Server Version", info->server_version);
    line(out, "Swarm", swarm_state(info));
    if (info->is_initialized) {
        line(out, " NodeID", info->node_id.text);
        line(out, " Is Manager", info->is_manager ? "true" : "false");
    }
    if (info->is_initialized && info->is_manager) {
        add_manager(info, out);
    } else if (info->is_initialized) {
        add_worker(info, out);
    }
    add_node(info, out);
}

static void member(struct buf *out, const char *name, const char *text) {
    buf_addf(out, "\"%s\":", name);
    json_write_string(out, text);
    buf_addc(out, ',');
}

// The document that `docker info --format` templates are written for, as far as it has a meaning here.
static void info_json(const struct info_reply *info, struct buf *out) {
    buf_addc(out, '{');
    member(out, "ID", info->node_id.text);
    member(out, "Name", info->node_name);
    member(out, "ServerVersion", info->server_version);
    member(out, "OSType", info->description.os);
    member(out, "Architecture", info->description.arch);
    member(out, "DockerRootDir", info->state_dir);
    buf_addf(out, "\"NCPU\":%lld,\"MemTotal\":%lld,\"Swarm\":{",
             (long long)(info->description.cpus_nano / NS_PER_S), (long long)info->description.memory_bytes);
    member(out, "NodeID", info->node_id.text);
    member(out, "LocalNodeState", swarm_state(info));
    buf_addf(out,
             "\"ControlAvailable\":%s,\"Nodes\":%lld,\"Managers\":%lld,\"Cluster\":{\"ID\":\"%s\"}},"
             "\"Warnings\":[",
             info->is_manager ? "true" : "false", (long long)info->nodes, (long long)info->managers,
             info->cluster_id.text);
    for (size_t i = 0; i < info->warnings.count; i++) {
        buf_adds(out, i > 0 ? "," : "");
        json_write_string(out, info->warnings.items[i]);
    }
    buf_adds(out, "]}");
}

static int run_info(struct invocation *in, struct error *err) {
    AUTO_CLIENT *client = NULL;
    AUTO_BUF out = {0};
    struct nothing nothing = {0};
    struct info_reply *info = NULL;
    int rc = connect_open(in, &client, err);
    rc = rc < 0 ? rc
                : client_call(client, MESSAGE_INFO, &nothing, MESSAGE_INFO_REPLY, in->arena, (void **)&info,
                              CONNECT_CALL_MS, err);
    if (rc < 0) {
        return rc;
    }
    if (in->shared.format != NULL) {
        AUTO_BUF document = {0};
        info_json(info, &document);
        bool is_json = str_equal(in->shared.format, "json");
        rc = output_template(is_json ? "{{json .}}" : in->shared.format, buf_text(&document), &out, err);
    } else if (str_equal(in->shared.output, "json")) {
        json_write(&info_reply_schema, info, JSON_INDENT, TEXT_DEFAULTS | TEXT_STATUS, &out);
        buf_addc(&out, '\n');
    } else if (str_equal(in->shared.output, "yaml")) {
        yaml_write(&info_reply_schema, info, TEXT_DEFAULTS | TEXT_STATUS, 0, &out);
    } else {
        info_text(info, &out);
    }
    output_write(&out);
    for (size_t i = 0; i < info->warnings.count; i++) {
        fprintf(stderr, "WARNING: %s\n", info->warnings.items[i]);
    }
    return rc;
}

static const struct command rows[] = {
    {.name = "info",
     .summary = "Show the daemon, its node and its cluster",
     .shared = SHARED_OUTPUT | SHARED_FORMAT,
     .example = "muster info --format '{{.Swarm.LocalNodeState}}'",
     .run = run_info},
};
const struct command_group info_commands = COMMAND_GROUP(NULL, "Look", rows);
