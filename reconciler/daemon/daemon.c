// SPDX-License-Identifier: Apache-2.0
//
// reconciler/daemon/daemon.c — the parts of a daemon made in order and ended in the opposite one.
//
// The store comes first: it forks a checking child, which must happen before any thread exists, and its
// lock keeps a second daemon off the state directory. The socket comes last, so that whoever can connect is
// answered.
#include "reconciler/daemon/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/str.h"
#include "reconciler/daemon/control.h"
#include "reconciler/daemon/executors.h"
#include "reconciler/daemon/stream.h"
#include "reconciler/daemon/vault.h"

// --- identity ---

// The id of the node is made once, before anything is stored under it.
static int find_node_id(struct daemon *daemon, struct error *err) {
    AUTO_FREE char *path = xasprintf("%s/node-id", daemon->options->state_dir);
    AUTO_BUF text = {0};
    int rc = fs_read(AT_FDCWD, path, 128, &text, err);
    if (rc == 0) {
        text.data[strcspn(buf_text(&text), "\n")] = '\0';
        return id_parse(text.data, &daemon->node_id)
                   ? 0
                   : error_set(err, ERR_CORRUPT,
                               "%s does not hold a node id: restore it, or move %s away to start anew", path,
                               daemon->options->state_dir);
    }
    if (rc != -ERR_NOT_FOUND) {
        return rc;
    }
    error_clear(err);
    daemon->node_id = id_random();
    AUTO_FREE char *line = xasprintf("%s\n", daemon->node_id.text);
    return fs_replace(AT_FDCWD, path, line, strlen(line), 0600, /*sync=*/true, err);
}

static void find_names(struct daemon *daemon, char *hostname, size_t bytes) {
    if (gethostname(hostname, bytes) != 0 || hostname[0] == '\0') {
        memcpy(hostname, "localhost", sizeof "localhost");
    }
    hostname[bytes - 1] = '\0';
    daemon->hostname = hostname;
    daemon->node_name = str_is_empty(daemon->options->node_name) ? hostname : daemon->options->node_name;
}

void daemon_introduce(struct daemon *daemon) {
    struct welcome welcome;
    if (daemon->server == NULL) {
        return;
    }
    schema_init(&welcome_schema, &welcome);
    welcome.node_id = daemon->node_id;
    welcome.cluster_id = daemon->cluster_id;
    welcome.node_name = daemon->node_name;
    welcome.server_version = MUSTER_VERSION;
    welcome.is_manager = group_is_manager(daemon);
    server_set_welcome(daemon->server, &welcome);
}

int daemon_find_cluster(struct daemon *daemon, struct error *err) {
    struct store_read *read;
    struct bytes bytes;
    struct id id = {{0}};
    int rc = store_read_begin(daemon->store, &read, err);
    if (rc < 0) {
        return rc;
    }
    rc = store_get(read, KIND_NODE, &daemon->node_id, &bytes, err);
    rc = rc == 0 ? store_find_name(read, KIND_CLUSTER, "default", &id, err) : rc;
    store_read_end(read);
    if (rc < 0) {
        return rc;
    }
    daemon->cluster_id = rc == 0 ? id : (struct id){{0}};
    if (rc == 0) {
        group_introduce(daemon, &id, replica_membership(daemon->replica)->epoch);
    }
    daemon->assign.node_id = daemon->node_id;
    daemon->assign.vault = (struct source_vault){vault_open, daemon};
    daemon_introduce(daemon);
    return 0;
}

// --- parts ---

static int open_store(struct daemon *daemon, struct error *err) {
    AUTO_FREE char *dir = xasprintf("%s/store", daemon->options->state_dir);
    int rc = fs_make_dirs(daemon->options->state_dir, 0700, err);
    rc = rc < 0 ? rc : leaving_forget(daemon, dir, err);
    rc = rc < 0 ? rc : rejoin_open_store(daemon, dir, err);
    rc = rc < 0 ? rc : find_node_id(daemon, err);
    rc = rc < 0 ? rc : group_open(daemon, err);
    if (rc == 0) {
        planner_init(&daemon->planner, daemon->store, &daemon->proposals, (uint64_t)clock_unix_ns());
        rejoin_start(daemon, dir);
    }
    return rc;
}

static int open_loop(struct daemon *daemon, struct error *err) {
    daemon->loop = NEW(struct uv_loop_s);
    int rc = uv_loop_init(daemon->loop);
    if (rc != 0) {
        xfree(TAKE(daemon->loop));
        return error_set(err, ERR_SYSTEM, "make the event loop: %s", uv_strerror(rc));
    }
    return 0;
}

// Called by the agent in between turns.
static void on_reports(void *context, const struct reports *reports) {
    struct daemon *daemon = context;
    if (worker_is(daemon)) {
        worker_report(daemon, reports);
        return;
    }
    for (size_t i = 0; i < reports->count; i++) {
        status_post(&daemon->status, &daemon->node_id, &reports->items[i]);
    }
}

static int open_agent(struct daemon *daemon, struct error *err) {
    int rc = executors_open(daemon, &daemon->executor, err);
    if (rc < 0) {
        return rc;
    }
    rc = agent_new(&(struct agent_options){.loop = daemon->loop,
                                           .state_dir = daemon->options->state_dir,
                                           .executor = daemon->executor,
                                           .on_reports = on_reports,
                                           .context = daemon},
                   &daemon->agent, err);
    if (rc == 0) {
        daemon->executor->on_event = agent_on_event;
        daemon->executor->context = daemon->agent;
        rc = agent_recover(daemon->agent, err);
    }
    return rc;
}

static int open_server(struct daemon *daemon, struct error *err) {
    AUTO_FREE char *path = xasprintf("%s/muster.sock", daemon->options->run_dir);
    struct server_options options = {.socket_path = path,
                                     .callbacks = {.on_request = control_on_request,
                                                   .on_closed = control_on_closed,
                                                   .on_writable = control_on_writable,
                                                   .context = daemon}};
    schema_init(&welcome_schema, &options.welcome);
    return server_open(&options, &daemon->server, err);
}

int daemon_open(struct daemon *daemon, const struct daemon_options *options, struct error *err) {
    static char hostname[HOST_NAME_MAX + 1];
    daemon->options = options;
    daemon->now = (struct now){clock_unix_ms(), clock_mono_ms()};
    daemon->started_unix_ms = daemon->now.unix_ms;
    list_init(&daemon->execs);
    list_init(&daemon->streams);
    find_names(daemon, hostname, sizeof hostname);
    int rc = open_store(daemon, err);
    rc = rc < 0 ? rc : open_loop(daemon, err);
    rc = rc < 0 ? rc : open_agent(daemon, err);
    if (rc == 0) {
        self_probe(daemon);
    }
    rc = rc < 0 ? rc : open_server(daemon, err);
    rc = rc < 0 ? rc : daemon_find_cluster(daemon, err);
    rc = rc < 0 ? rc : group_begin(daemon, err);
    return rc < 0 ? rc : roles_begin(daemon, err);
}

// Clients are told what became of the changes under way.
static void close_server(struct daemon *daemon) {
    if (daemon->server == NULL) {
        return;
    }
    struct error err = {0};
    struct proposer *proposer = daemon->proposals.proposer;
    if (!daemon->is_broken && proposer->ops->turn(proposer, &err) < 0) {
        log_failure(LOG_ERROR, "store.write", &err, LOG_NONE);
    }
    server_close(TAKE(daemon->server));
}

static void close_loop(struct daemon *daemon) {
    if (daemon->loop == NULL) {
        return;
    }
    while (uv_run(daemon->loop, UV_RUN_NOWAIT) != 0) {
        // what was closed says good-bye
    }
    uv_loop_close(daemon->loop);
    xfree(daemon->loop);
}

void daemon_close(struct daemon *daemon) {
    close_server(daemon);
    streams_free(daemon);
    relay_free(daemon);
    group_close(daemon);
    dispatcher_free(daemon);
    worker_free(daemon);
    if (daemon->agent != NULL) {
        agent_free(daemon->agent);
    }
    if (daemon->executor != NULL) {
        daemon->executor->ops->free(daemon->executor);
    }
    close_loop(daemon);
    planner_deinit(&daemon->planner);
    proposals_deinit(&daemon->proposals);
    status_free(&daemon->status);
    self_deinit(&daemon->self);
    store_close(daemon->store);
}
