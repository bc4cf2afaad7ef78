// SPDX-License-Identifier: Apache-2.0
//
// cli/swarm_change.c — the one object of the cluster, read, changed and shown.
#include "cli/swarm_change.h"

#include <stdio.h>
#include <time.h>

#include "base/clock.h"
#include "base/str.h"
#include "cli/change.h"
#include "cli/connect.h"

static int get_cluster(struct client *client, struct arena *arena, struct cluster **out, struct error *err) {
    void *object = NULL;
    int rc = connect_get(client, KIND_CLUSTER, "default", arena, &object, err);
    *out = object;
    return rc;
}

// --- update ---

// tidy: table
const struct option_row swarm_update_rows[SWARM_UPDATE_ROWS] = {
    OPT_FLAG(struct swarm_update_args, autolock, "autolock", '\0',
             .help = "Keep the managers' keys locked at rest: not in this version"),
    SWARM_SETTINGS_ROWS(struct swarm_update_args),
};

static int check(const struct invocation *in, struct error *err) {
    bool has_one = false;
    for (size_t i = 0; i < SWARM_UPDATE_ROWS; i++) {
        has_one |= in->own.given[i];
    }
    if (!has_one) {
        return error_set(err, ERR_USAGE,
                         "nothing to change: name a setting, as in \"muster swarm update "
                         "--task-history-limit 2\"");
    }
    return ((const struct swarm_update_args *)in->args)->autolock
               ? error_set(err, ERR_UNSUPPORTED,
                           "--autolock is not in this version: the managers' keys lie in their state "
                           "directories, for root only")
               : 0;
}

int swarm_update_run(struct invocation *in, struct error *err) {
    const struct swarm_update_args *args = in->args;
    AUTO_CLIENT *client = NULL;
    struct cluster *cluster = NULL;
    struct change_set set;
    struct applied *applied;
    int rc = check(in, err);
    rc = rc < 0 ? rc : connect_open(in, &client, err);
    rc = rc < 0 ? rc : get_cluster(client, in->arena, &cluster, err);
    if (rc < 0) {
        return rc;
    }
    struct cluster_spec *spec = schema_copy(&cluster_spec_schema, &cluster->spec, in->arena);
    rc = swarm_settings_apply(&args->settings, spec, in->arena, err);
    change_begin(&set, in);
    rc = rc < 0 ? rc : change_add(&set, KIND_CLUSTER, spec, &cluster->spec, cluster->meta.version, err);
    rc = rc < 0 ? rc : change_send(&set, client, &applied, err);
    if (rc == 0) {
        puts("Swarm updated.");
    }
    return rc;
}

// --- ca ---

const struct option_row swarm_ca_rows[SWARM_CA_ROWS] = {
    OPT_FLAG(struct swarm_ca_args, rotate, "rotate", '\0',
             .help = "Replace the authority by a new one, and wait until it is"),
};

static int print_authorities(const struct cluster *cluster, struct error *err) {
    if (cluster->trust == NULL) {
        return error_set(err, ERR_BUSY,
                         "the cluster has no authority yet: the leader makes one, in a moment");
    }
    for (size_t i = 0; i < cluster->trust->authorities.count; i++) {
        fputs(cluster->trust->authorities.items[i], stdout);
    }
    return 0;
}

// How far all nodes are.
struct rotated {
    size_t nodes, believe, have;
    const char *not_believing, *not_having; // one of them; NULL = none
};

static bool believes(const struct node *node, const char *authority) {
    const struct strings *believed = &node->description.authorities;
    bool is_believed = false;
    for (size_t i = 0; i < believed->count; i++) {
        is_believed |= str_equal(believed->items[i], authority);
    }
    return is_believed;
}

static struct rotated count_rotated(const struct object_list *nodes, const char *authority) {
    struct rotated rotated = {0};
    for (size_t i = 0; i < nodes->count; i++) {
        const struct node *node = nodes->items[i];
        if (node->status.left) {
            continue;
        }
        bool does_believe = believes(node, authority),
             has = str_equal(node->description.authority, authority);
        rotated.nodes++;
        rotated.believe += does_believe;
        rotated.have += has;
        rotated.not_believing = does_believe ? rotated.not_believing : node->spec.name;
        rotated.not_having = has ? rotated.not_having : node->spec.name;
    }
    return rotated;
}

// Who keeps the present step from ending.
static const char *waits_for(const struct rotated *rotated) {
    return rotated->not_believing != NULL ? rotated->not_believing
           : rotated->not_having != NULL  ? rotated->not_having
                                          : "the leader";
}

static void tell_rotated(const struct invocation *in, const struct rotated *now, struct rotated *told) {
    bool is_news = now->nodes != told->nodes || now->believe != told->believe || now->have != told->have;
    if (is_news && !in->shared.quiet && !str_equal(in->shared.progress, "none")) {
        fprintf(stderr, "rotated CA certificates: %zu/%zu nodes, rotated TLS certificates: %zu/%zu nodes\n",
                now->believe, now->nodes, now->have, now->nodes);
    }
    *told = *now;
}

// One look: 0 it is done, COMMAND_NO not yet.
static int look_at_rotation(const struct invocation *in, struct client *client, const char *authority,
                            struct rotated *told, const char **out_waits_for, struct error *err) {
    AUTO_ARENA arena = arena_make(0);
    struct object_list nodes = {0};
    struct cluster *cluster = NULL;
    int rc = get_cluster(client, &arena, &cluster, err);
    rc = rc < 0 ? rc : connect_list(client, KIND_NODE, NULL, &arena, &nodes, err);
    if (rc < 0) {
        return rc;
    }
    struct rotated now = count_rotated(&nodes, authority);
    tell_rotated(in, &now, told);
    *out_waits_for = arena_strdup(in->arena, waits_for(&now));
    return cluster->trust != NULL && cluster->trust->rotation == NULL ? 0 : COMMAND_NO;
}

#define LOOK_NS (200 * NS_PER_MS)

static int await_rotation(const struct invocation *in, struct client *client, const char *authority,
                          struct error *err) {
    const struct timespec rest = {.tv_nsec = LOOK_NS};
    int64_t end_ms = clock_mono_ms() + in->shared.timeout_ns / NS_PER_MS;
    struct rotated told = {0};
    const char *name = "";
    int rc;
    while ((rc = look_at_rotation(in, client, authority, &told, &name, err)) == COMMAND_NO) {
        if (in->shared.timeout_ns > 0 && clock_mono_ms() >= end_ms) {
            return error_set(
                err, ERR_TIMEOUT,
                "the authority is still being replaced, which waits for %s: it goes on by itself; "
                "a node that is gone for good is taken out by \"muster node rm\"",
                name);
        }
        nanosleep(&rest, NULL);
    }
    return error_wrap(err, rc, "see how the authority is replaced, which goes on");
}

static int rotate(const struct invocation *in, struct client *client, struct error *err) {
    struct nothing nothing = {0};
    struct ca_rotate_reply *reply = NULL;
    int rc = client_call(client, MESSAGE_CA_ROTATE, &nothing, MESSAGE_CA_ROTATE_REPLY, in->arena,
                         (void **)&reply, CONNECT_CALL_MS, err);
    if (rc == 0 && !in->shared.quiet) {
        fprintf(stderr, "desired authority: %s\n", reply->authority);
    }
    return rc < 0 || in->shared.detach ? rc : await_rotation(in, client, reply->authority, err);
}

int swarm_ca_run(struct invocation *in, struct error *err) {
    bool rotates = ((const struct swarm_ca_args *)in->args)->rotate;
    AUTO_CLIENT *client = NULL;
    struct cluster *cluster = NULL;
    if (!rotates && in->shared.detach) {
        return error_set(err, ERR_USAGE, "--detach needs --rotate: there is nothing to wait for");
    }
    int rc = connect_open(in, &client, err);
    rc = rc < 0 || !rotates ? rc : rotate(in, client, err);
    if (rc < 0 || (rotates && in->shared.detach)) {
        return rc;
    }
    rc = get_cluster(client, in->arena, &cluster, err);
    return rc < 0 ? rc : print_authorities(cluster, err);
}
