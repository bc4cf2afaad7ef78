// SPDX-License-Identifier: Apache-2.0
//
// reconciler/daemon/control_info.c — INFO and INIT: what this daemon is, and making a cluster of one node.
#include "reconciler/daemon/control.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "reconciler/daemon/daemon.h"
#include "reconciler/daemon/decide.h"

// --- INFO ---

static int64_t resident_bytes(void) {
    long long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (file != NULL) {
        if (fscanf(file, "%*d %lld", &pages) != 1) {
            pages = 0;
        }
        fclose(file);
    }
    return pages * sysconf(_SC_PAGESIZE);
}

static int count_manager(void *context, void *object, struct arena *arena, struct error *err) {
    struct info_reply *info = context;
    const struct node *node = object;
    (void)arena;
    (void)err;
    bool is_one = node->spec.role == ROLE_MANAGER;
    info->managers += is_one;
    info->managers_reachable += is_one && node->manager != NULL && node->manager->reachable;
    return 0;
}

static int count_running(void *context, void *object, struct arena *arena, struct error *err) {
    int64_t *count = context;
    (void)err;
    *count += ((const struct task *)object)->status.state == TASK_RUNNING;
    arena_clear(arena);
    return 0;
}

static int fill_cluster(const struct daemon *daemon, struct info_reply *info, struct arena *arena,
                        struct error *err) {
    AUTO_ARENA tasks = arena_make(0);
    struct store_read *read;
    void *cluster;
    int rc = store_read_begin(daemon->store, &read, err);
    if (rc < 0) {
        return rc;
    }
    rc = store_load(read, KIND_CLUSTER, &daemon->cluster_id, arena, &cluster, err);
    if (rc == 0) {
        info->cluster = ((struct cluster *)cluster)->spec;
    }
    rc = rc < 0 ? rc : store_each_object(read, STORE_ALL, KIND_NODE, NULL, arena, count_manager, info, err);
    rc = rc < 0 ? rc
                : store_each_object(read, STORE_ALL, KIND_TASK, NULL, &tasks, count_running,
                                    &info->tasks_running, err);
    info->nodes = store_count(read, KIND_NODE);
    info->services = store_count(read, KIND_SERVICE);
    info->tasks = store_count(read, KIND_TASK);
    store_read_end(read);
    return rc < 0 ? rc : 0;
}

static void fill_group(const struct daemon *daemon, struct info_reply *info, struct arena *arena) {
    struct replica_status status;
    replica_status(daemon->replica, &status);
    for (unsigned i = 0; i < status.count; i++) {
        const struct replica_member_status *member = &status.members[i];
        if (member->is_voter) {
            *ARENA_PUSH(arena, &info->manager_addresses) = arena_strdup(arena, member->address);
        }
        if (member->is_leader) {
            info->leader_address = arena_strdup(arena, member->address);
        }
    }
    info->quorum = status.voters / 2 + 1;
    info->raft_role = status.role;
    info->raft_term = (int64_t)status.term;
    info->raft_applied = (int64_t)status.applied;
    if (daemon->group.peers != NULL) {
        info->agents = (int64_t)peers_agent_count(daemon->group.peers);
        info->callers = (int64_t)peers_caller_count(daemon->group.peers);
        info->turned_away = (int64_t)peers_turned_away(daemon->group.peers);
    }
}

static void warn_of_managers(const struct info_reply *info, struct arena *arena, struct strings *out) {
    int64_t voters = (int64_t)info->manager_addresses.count;
    if (info->managers > 0 && info->managers % 2 == 0) {
        *ARENA_PUSH(arena, out) =
            "an even number of managers bears no more failures than one less: add or remove one";
    }
    if (str_is_empty(info->leader_address)) {
        *ARENA_PUSH(arena, out) = arena_printf(arena,
                                               "no manager leads: nothing can be changed until %lld of %lld "
                                               "managers answer each other; if too many "
                                               "are gone for good: muster swarm init --force-new-cluster",
                                               (long long)info->quorum, (long long)voters);
    } else if (voters > 1 && info->managers_reachable < voters && info->managers_reachable <= info->quorum) {
        *ARENA_PUSH(arena, out) =
            arena_printf(arena, "%lld of %lld managers answer: when one more fails, nothing can be changed",
                         (long long)info->managers_reachable, (long long)voters);
    }
}

static void add_warnings(const struct daemon *daemon, struct info_reply *info, struct arena *arena) {
    if (!str_is_empty(daemon->self.trouble)) {
        *ARENA_PUSH(arena, &info->warnings) =
            arena_printf(arena, "this node cannot run tasks: %s", daemon->self.trouble);
    }
    if (info->store_disk_free_bytes < (int64_t)STORE_RESERVE_BYTES) {
        *ARENA_PUSH(arena, &info->warnings) =
            arena_printf(arena, "the disk of %s is nearly full: changes are refused below %llu MiB",
                         daemon->options->state_dir, STORE_RESERVE_BYTES / MIB);
    }
    const char *untimely = passport_explain_time(&daemon->group.passport, daemon->now.unix_ms, arena);
    if (untimely != NULL) {
        *ARENA_PUSH(arena, &info->warnings) = untimely;
    }
    if (outdated_is(daemon)) {
        struct error err = {0};
        outdated_explain(daemon, &err);
        *ARENA_PUSH(arena, &info->warnings) = arena_strdup(arena, err.root);
    } else if (info->is_manager) {
        warn_of_managers(info, arena, &info->warnings);
    }
}

static int fill_info(const struct daemon *daemon, struct info_reply *info, struct arena *arena,
                     struct error *err) {
    struct store_usage usage;
    schema_init(&info_reply_schema, info);
    info->server_version = MUSTER_VERSION;
    info->node_name = daemon->node_name;
    info->state_dir = daemon->options->state_dir;
    info->run_dir = daemon->options->run_dir;
    info->executor = executor_choice_names[daemon->options->executor];
    info->description = daemon->self.description;
    info->started_unix_ms = daemon->started_unix_ms;
    info->resident_bytes = resident_bytes();
    info->is_initialized = daemon_is_initialized(daemon);
    info->is_manager = group_is_manager(daemon);
    info->is_pending = group_is_pending(daemon);
    info->revision = store_revision(daemon->store);
    store_usage(daemon->store, &usage);
    info->store_bytes = usage.used_bytes;
    info->store_disk_free_bytes = usage.disk_free_bytes;
    info->history_first_revision = usage.history_first_revision;
    int rc = 0;
    if (info->is_initialized) {
        info->node_id = daemon->node_id;
        info->cluster_id = daemon->cluster_id;
        if (worker_is(daemon)) {
            worker_fill_info(daemon, info, arena);
        } else {
            rc = fill_cluster(daemon, info, arena, err);
            fill_group(daemon, info, arena);
        }
    }
    add_warnings(daemon, info, arena);
    return rc;
}

void control_info(const struct request *request) {
    AUTO_ARENA arena = arena_make(0);
    struct info_reply info;
    struct error err = {0};
    if (fill_info(request->daemon, &info, &arena, &err) < 0) {
        server_fail(request->conversation, &err);
        return;
    }
    server_send(request->conversation, MESSAGE_INFO_REPLY, &info);
    server_done(request->conversation, info.revision);
}

// --- INIT ---

struct initializing {
    struct answer answer; // first: the conversation's state
    struct id cluster_id;
};

static void on_closed(struct answer *answer) {
    (void)answer;
}

static int refuse_again(struct error *err) {
    return error_set(err, ERR_CONFLICT,
                     "This node is already part of a swarm. \"muster info\" tells which one, \"muster swarm "
                     "leave\" takes it out.");
}

static void on_result(void *context, const struct proposal_result *result) {
    struct initializing *initializing = context;
    struct daemon *daemon = initializing->answer.daemon;
    struct conversation *conversation = initializing->answer.conversation;
    struct error err = {0};
    int rc = result->code;
    if (rc == -ERR_EXISTS) { // another one was faster
        rc = refuse_again(&err);
    } else if (rc < 0) {
        error_set(&err, (enum error_code) - rc, "%s", result->text);
    } else {
        rc = daemon_find_cluster(daemon, &err);
        log_event(LOG_INFO, "cluster.init", LOG_STR("cluster", initializing->cluster_id.text),
                  LOG_STR("node", daemon->node_id.text));
    }
    if (conversation != NULL && rc < 0) {
        server_fail(conversation, &err);
    } else if (conversation != NULL) {
        struct init_reply reply = {.node_id = daemon->node_id, .cluster_id = initializing->cluster_id};
        server_send(conversation, MESSAGE_INIT_REPLY, &reply);
        server_done(conversation, result->revision);
    }
    xfree(initializing);
}

static int check_spec(const struct cluster_spec *spec, struct arena *arena, struct error *err) {
    struct problems problems = {0};
    schema_validate(&cluster_spec_schema, spec, /*warnings=*/false, arena, &problems);
    return problems.count == 0
               ? 0
               : error_set(err, ERR_INVALID, "%s: %s", problems.items[0].path, problems.items[0].text);
}

static void make_objects(const struct request *request, struct cluster *cluster, struct node *node,
                         struct node_manager *manager, struct arena *arena) {
    const struct init_request *init = request->payload;
    struct daemon *daemon = request->daemon;
    schema_init(&cluster_schema, cluster);
    cluster->meta.id = id_random();
    cluster->meta.name = "default";
    cluster->spec = init->spec;
    cluster->feature_level = 1;
    schema_init(&node_schema, node);
    node->meta.id = daemon->node_id;
    node->meta.name = daemon->node_name;
    node->spec.name = daemon->node_name;
    node->spec.role = ROLE_MANAGER;
    node->spec.availability = init->availability;
    self_describe(daemon, node);
    const char *asked =
        str_is_empty(init->advertise_address) ? daemon->options->advertise : init->advertise_address;
    const char *address = self_with_port(self_address(asked, arena), daemon->options->listen, arena);
    if (daemon->group.address[0] != '\0') { // where other nodes find it
        address = daemon->group.address;
    }
    node->status.address = self_host(address, arena);
    *manager = (struct node_manager){.leader = true, .reachable = true, .address = address};
    node->manager = manager;
}

// After the proposal was let in: one that is refused (a full disk) leaves no group without a cluster behind.
// A process that died between the two may have.
static int ensure_group(struct daemon *daemon, const char *address, struct error *err) {
    return replica_has_group(daemon->replica)
               ? 0
               : replica_found(daemon->replica, &daemon->node_id, address, err);
}

static int make_trust(const struct daemon *daemon, struct cluster *cluster, struct arena *arena,
                      struct error *err) {
    const struct certificates_order order = {.state_dir = daemon->options->state_dir,
                                             .cluster_id = cluster->meta.id,
                                             .node_id = daemon->node_id,
                                             .unix_ms = daemon->now.unix_ms,
                                             .valid_ms = cluster->spec.cert_expiry_ns / NS_PER_MS};
    return trust_found(&order, cluster, arena, err);
}

static int propose(const struct request *request, struct arena *arena, struct error *err) {
    struct cluster cluster;
    struct node node;
    struct node_manager manager;
    struct decision decision = {0};
    make_objects(request, &cluster, &node, &manager, arena);
    int rc = make_trust(request->daemon, &cluster, arena, err);
    if (rc < 0) {
        return rc;
    }
    self_see_certificate(request->daemon, &cluster.meta.id);
    node.description = request->daemon->self.description;
    schema_init(&transaction_schema, &decision.transaction);
    transaction_add(&decision.transaction, CHANGE_CREATE, KIND_CLUSTER, &cluster, arena);
    transaction_add(&decision.transaction, CHANGE_CREATE, KIND_NODE, &node, arena);
    decision.transaction.who = request->who;
    decision.transaction.why = "swarm init";
    decision.transaction.time_unix_ms = request->daemon->now.unix_ms;
    struct initializing *initializing = NEW(struct initializing);
    *initializing = (struct initializing){.answer = {request->daemon, request->conversation, on_closed},
                                          .cluster_id = cluster.meta.id};
    rc = proposals_submit(&request->daemon->proposals, &decision.transaction, on_result, initializing, err);
    if (rc < 0) {
        xfree(initializing);
        return rc;
    }
    rc = ensure_group(request->daemon, manager.address, err);
    if (rc < 0) {
        initializing->answer.conversation = NULL; // told now; the proposal expires
    } else {
        conversation_set_state(request->conversation, initializing);
    }
    return rc;
}

void control_init(const struct request *request) {
    AUTO_ARENA arena = arena_make(0);
    struct error err = {0};
    const struct init_request *init = request->payload;
    if (init->force_new_cluster) {
        alone_start(request);
        return;
    }
    int rc =
        daemon_is_initialized(request->daemon) ? refuse_again(&err) : check_spec(&init->spec, &arena, &err);
    rc = rc < 0 ? rc : group_advertise(request->daemon, init->advertise_address, &err);
    rc = rc < 0 ? rc : group_listen(request->daemon, &err);
    rc = rc < 0 ? rc : propose(request, &arena, &err);
    if (rc < 0) {
        server_fail(request->conversation, &err);
    }
}
