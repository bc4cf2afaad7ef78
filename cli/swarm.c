// SPDX-License-Identifier: Apache-2.0
//
// cli/swarm.c — the table of `muster swarm …`; and init: a cluster of this one node, join: one more node of
// it, leave: one less.
#include "cli/connect.h"

#include <time.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/str.h"
#include "cli/join_token.h"
#include "cli/quorum.h"
#include "cli/swarm_change.h"

struct init_args {
    const char *advertise, *listen, *data_path, *availability, *mask_length, *data_path_port;
    struct swarm_settings settings;
    struct strings pools, external_ca;
    bool autolock, force_new_cluster;
};

static const char *const availability_words[] = {"active", "pause", "drain", NULL};
#define INIT struct init_args
// tidy: table
static const struct option_row init_rows[] = {
    OPT_STRING(INIT, advertise, "advertise-addr", '\0', .metavar = "ADDRESS",
               .help = "Address that other nodes use"),
    OPT_STRING(INIT, listen, "listen-addr", '\0', .metavar = "ADDRESS",
               .help = "Address to listen on (0.0.0.0:2377)"),
    OPT_STRING(INIT, data_path, "data-path-addr", '\0', .metavar = "ADDRESS",
               .help = "Address for overlay networks"),
    OPT_STRING(INIT, data_path_port, "data-path-port", '\0', .metavar = "PORT",
               .help = "UDP port of overlay networks (4789)"),
    OPT_LIST(INIT, pools, "default-addr-pool", '\0', .metavar = "CIDR",
             .help = "Addresses for overlay networks (10.0.0.0/8)"),
    OPT_STRING(INIT, mask_length, "default-addr-pool-mask-length", '\0', .metavar = "N",
               .help = "Size of each subnet (24)"),
    OPT_STRING(INIT, availability, "availability", '\0', .metavar = "WHAT", .words = availability_words,
               .initial = "active", .help = "Of this node: active, pause, drain"),
    OPT_FLAG(INIT, autolock, "autolock", '\0', .help = "Keep the managers' keys locked at rest"),
    OPT_LIST(INIT, external_ca, "external-ca", '\0', .metavar = "CA",
             .help = "Outside signers of certificates"),
    OPT_FLAG(INIT, force_new_cluster, "force-new-cluster", '\0',
             .help = "Go on alone with the state that is there: the other managers are gone for good"),
    SWARM_SETTINGS_ROWS(INIT),
};
#undef INIT

// Flags whose machinery is not there yet, and no field keeps them.
static const char *const later[] = {"listen-addr", "data-path-addr", "external-ca", NULL};

static int set(struct cluster_spec *spec, const char *option, const char *path, const char *text,
               struct arena *arena, struct error *err) {
    int rc = text == NULL ? 0 : schema_set_text(&cluster_spec_schema, spec, path, text, arena, err);
    return error_wrap(err, rc, "--%s", option);
}

static int fill_spec(const struct init_args *args, struct cluster_spec *spec, struct arena *arena,
                     struct error *err) {
    int rc = swarm_settings_apply(&args->settings, spec, arena, err);
    rc = rc < 0 ? rc : set(spec, "data-path-port", "data_path_port", args->data_path_port, arena, err);
    spec->default_addr_pool = args->pools;
    spec->autolock = args->autolock;
    return rc < 0 ? rc
                  : set(spec, "default-addr-pool-mask-length", "default_addr_pool_mask_length",
                        args->mask_length, arena, err);
}

static int check(const struct init_args *args, const struct cluster_spec *spec, struct arena *arena,
                 struct error *err) {
    struct problems problems = {0};
    if (args->mask_length != NULL && args->pools.count == 0) {
        return error_set(err, ERR_USAGE, "--default-addr-pool-mask-length needs --default-addr-pool");
    }
    schema_validate(&cluster_spec_schema, spec, /* warnings= */ true, arena, &problems);
    for (size_t i = 0; i < problems.count; i++) {
        if (!problems.items[i].is_warning) {
            return error_set(err, ERR_INVALID, "%s: %s", problems.items[i].path, problems.items[i].text);
        }
    }
    for (size_t i = 0; i < problems.count; i++) {
        fprintf(stderr, "warning: %s %s\n", problems.items[i].path, problems.items[i].text);
    }
    return 0;
}

static void tell_later(const struct invocation *in) {
    for (size_t i = 0; later[i] != NULL; i++) {
        if (invocation_has(in, later[i])) {
            fprintf(stderr, "warning: --%s is accepted, but does not act yet\n", later[i]);
        }
    }
}

// The swarm is there, whatever becomes of the rest.
static void tell_next(const struct invocation *in, struct client *client, const struct init_reply *reply) {
    struct error err = {0};
    printf("Swarm initialized: current node (%s) is now a manager.\n\n", reply->node_id.text);
    (void)command_complain(in, join_token_tell(client, in->arena, &err), &err);
    puts("\nTo run services, declare them in a file and apply it: muster apply -f FILE");
}

#define RETURN_MS 10000
#define LOOK_MS 20

// The daemon begins anew. Until it is what is wanted: whatever the user types next finds that.
static void await_return(const struct invocation *in, bool (*is_wanted)(struct client *client)) {
    const struct timespec rest = {.tv_nsec = LOOK_MS * NS_PER_MS};
    for (int64_t end_ms = clock_mono_ms() + RETURN_MS; clock_mono_ms() < end_ms; nanosleep(&rest, NULL)) {
        AUTO_CLIENT *client = NULL;
        struct error err = {0};
        if (client_open(connect_host(in), "muster " MUSTER_VERSION, RETURN_MS, &client, &err) == 0 &&
            is_wanted(client)) {
            return;
        }
    }
}

static int find_info(struct client *client, struct arena *arena, struct info_reply **out) {
    struct nothing nothing = {0};
    return client_call(client, MESSAGE_INFO, &nothing, MESSAGE_INFO_REPLY, arena, (void **)out,
                       CONNECT_CALL_MS, NULL);
}

// Not the one that still leaves: it may not have known its cluster.
static bool is_outside(struct client *client) {
    AUTO_ARENA arena = arena_make(0);
    struct info_reply *info = NULL;
    return id_is_none(&client_welcome(client)->cluster_id) && find_info(client, &arena, &info) == 0 &&
           !info->is_pending;
}

// --- init, by force ---

// What is there stays as it is, but for the managers.
static int check_force(const struct invocation *in, struct error *err) {
    for (size_t i = 0; i < sizeof init_rows / sizeof *init_rows; i++) {
        const char *name = init_rows[i].name;
        bool is_address = str_equal(name, "advertise-addr") || str_equal(name, "listen-addr") ||
                          str_equal(name, "data-path-addr");
        if (invocation_has(in, name) && !is_address && !str_equal(name, "force-new-cluster")) {
            return error_set(err, ERR_USAGE,
                             "--force-new-cluster keeps the cluster's settings: --%s has no place there",
                             name);
        }
    }
    return 0;
}

static bool leads_alone(struct client *client) {
    AUTO_ARENA arena = arena_make(0);
    struct info_reply *info = NULL;
    return find_info(client, &arena, &info) == 0 && info->quorum == 1 && str_equal(info->raft_role, "leader");
}

static int tell_alone(const struct invocation *in, const struct init_reply *reply, struct error *err) {
    AUTO_CLIENT *client = NULL;
    struct info_reply *info = NULL;
    await_return(in, leads_alone);
    int rc = connect_open(in, &client, err);
    rc = rc < 0 ? rc : find_info(client, in->arena, &info);
    printf(
        "The swarm goes on with this node (%s) as its only manager.\n\n"
        "The other managers are refused from now on, with what they know. To take one back in, run there:\n\n"
        "    muster swarm leave --force\n"
        "    muster swarm join --token TOKEN %s\n\n"
        "with the token that \"muster swarm join-token manager\" prints here.\n",
        reply->node_id.text, rc == 0 ? info->leader_address : "HOST:PORT");
    return rc;
}

// --- init ---

static int run_init(struct invocation *in, struct error *err) {
    const struct init_args *args = in->args;
    AUTO_CLIENT *client = NULL;
    struct init_request request;
    void *reply = NULL;
    schema_init(&init_request_schema, &request);
    int rc = fill_spec(args, &request.spec, in->arena, err);
    rc = rc < 0 ? rc : check(args, &request.spec, in->arena, err);
    rc = rc < 0 || !args->force_new_cluster ? rc : check_force(in, err);
    rc = rc < 0 ? rc
                : schema_set_text(&init_request_schema, &request, "availability", args->availability,
                                  in->arena, err);
    request.advertise_address = args->advertise != NULL ? args->advertise : "";
    request.listen_address = args->listen != NULL ? args->listen : "";
    request.force_new_cluster = args->force_new_cluster;
    rc = rc < 0 ? rc : connect_open(in, &client, err);
    rc = rc < 0 ? rc
                : client_call(client, MESSAGE_INIT, &request, MESSAGE_INIT_REPLY, in->arena, &reply,
                              CONNECT_CALL_MS, err);
    if (rc < 0) {
        return rc;
    }
    tell_later(in);
    if (args->force_new_cluster) {
        client_close(TAKE(client)); // the daemon waits for that
        return tell_alone(in, reply, err);
    }
    tell_next(in, client, reply);
    return 0;
}

#define JOIN_MS 30000

struct join_args {
    const char *token, *advertise, *listen, *data_path, *availability;
};
#define JOIN struct join_args
// tidy: table
static const struct option_row join_rows[] = {
    OPT_STRING(JOIN, token, "token", '\0', .metavar = "TOKEN",
               .help = "Join token of the cluster (required)"),
    OPT_STRING(JOIN, advertise, "advertise-addr", '\0', .metavar = "ADDRESS",
               .help = "Address that other nodes use"),
    OPT_STRING(JOIN, listen, "listen-addr", '\0', .metavar = "ADDRESS",
               .help = "Address to listen on (0.0.0.0:2377)"),
    OPT_STRING(JOIN, data_path, "data-path-addr", '\0', .metavar = "ADDRESS",
               .help = "Address for overlay networks"),
    OPT_STRING(JOIN, availability, "availability", '\0', .metavar = "WHAT", .words = availability_words,
               .initial = "active", .help = "Of this node: active, pause, drain"),
};
#undef JOIN

static int fill_join(const struct invocation *in, struct swarm_join_request *request, struct error *err) {
    const struct join_args *args = in->args;
    schema_init(&swarm_join_request_schema, request);
    request->remotes = (struct strings){in->arguments.count, in->arguments.items};
    request->token = args->token != NULL ? args->token : "";
    request->advertise_address = args->advertise != NULL ? args->advertise : "";
    if (str_is_empty(request->token)) {
        return error_set(err, ERR_USAGE,
                         "--token is needed: \"muster swarm join-token worker\" (or manager) on a manager "
                         "prints the whole command");
    }
    return schema_set_text(&swarm_join_request_schema, request, "availability", args->availability, in->arena,
                           err);
}

static int run_join(struct invocation *in, struct error *err) {
    AUTO_CLIENT *client = NULL;
    struct swarm_join_request request;
    void *out = NULL;
    int rc = fill_join(in, &request, err);
    rc = rc < 0 ? rc : connect_open(in, &client, err);
    rc = rc < 0 ? rc
                : client_call(client, MESSAGE_SWARM_JOIN, &request, MESSAGE_INIT_REPLY, in->arena, &out,
                              JOIN_MS, err);
    if (rc < 0) {
        return rc;
    }
    tell_later(in);
    const struct init_reply *reply = out;
    printf("This node joined a swarm as a %s.\n", node_role_names[reply->role]);
    if (reply->role == ROLE_MANAGER) {
        quorum_warn(client, in->arena);
    }
    return 0;
}

struct leave_args {
    bool force;
};
static const struct option_row leave_rows[] = {
    OPT_FLAG(struct leave_args, force, "force", 'f',
             .help = "Also when no quorum answers, and as the last manager, which erases all state"),
};

#define LEAVE_MS 120000 // its tasks may take a while to stop

static int run_leave(struct invocation *in, struct error *err) {
    AUTO_CLIENT *client = NULL;
    struct swarm_leave_request request;
    void *reply = NULL;
    schema_init(&swarm_leave_request_schema, &request);
    request.force = ((const struct leave_args *)in->args)->force;
    int rc = connect_open(in, &client, err);
    rc = rc < 0 ? rc
                : client_call(client, MESSAGE_SWARM_LEAVE, &request, MESSAGE_INIT_REPLY, in->arena, &reply,
                              LEAVE_MS, err);
    if (rc == 0) {
        client_close(TAKE(client)); // it waits for that
        await_return(in, is_outside);
        puts("Node left the swarm.");
    }
    return rc;
}

// tidy: table
static const struct command rows[] = {
    {.name = "init",
     .summary = "Make a cluster of this one node",
     .details =
         "With --force-new-cluster this manager goes on alone with the cluster that it is in, when so "
         "many others are gone for good that no quorum is left; its daemon starts without them. All that "
         "is in its log counts then, including what may not have been acknowledged; services, secrets "
         "and settings stay, and workers come over by themselves. The other managers are listed as down, "
         "their tasks run elsewhere, and when they come back they are refused until they leave and join "
         "again. Refused while a quorum answers: `muster node rm` takes out who is gone then.",
     .example = "muster swarm init\nmuster swarm init --task-history-limit 2\nmuster swarm init "
                "--force-new-cluster",
     COMMAND_OPTIONS(struct init_args, init_rows),
     .run = run_init},
    {.name = "join",
     .summary = "Join a cluster as a worker or a manager",
     .details =
         "The role is that of the token. The token also names the cluster's authority: who listens at "
         "HOST:PORT (a numeric address) is told nothing before it has shown that this authority vouches for "
         "it. A node whose certificate ran out while it was off comes back by the same command, and is the "
         "node that it was. Of 3 managers 1 may fail, of 5 managers 2; of an even number no more than of one "
         "less, which it warns of.",
     .usage = "HOST:PORT…",
     .min = 1,
     .max = COMMAND_MANY,
     .example = "muster swarm join --token MUSTKN-1-… 10.0.0.1:2377",
     COMMAND_OPTIONS(struct join_args, join_rows),
     .run = run_join},
    {.name = "leave",
     .summary = "Leave the cluster",
     .details = "This node votes no more, its tasks are stopped and run elsewhere, and it forgets the "
                "cluster. It stays listed as down until `muster node rm`; it may join again. Refused when "
                "those managers that answer would be no quorum of those that are left.",
     .example = "muster swarm leave",
     COMMAND_OPTIONS(struct leave_args, leave_rows),
     .run = run_leave},
    {.name = "join-token",
     .summary = "Show how to join as a worker or as a manager, or make a new token for it",
     .details =
         "A token says which authority to believe, and holds a secret: whoever has it can join until it is "
         "rotated. Nodes that have joined do not need it any more. --ttl and --uses limit the token that "
         "counts from then on: with --rotate the new one, without it the present one, whose secret stays. "
         "A new one has no limits but those that are given with it.",
     .usage = "worker|manager",
     .min = 1,
     .max = 1,
     .example =
         "muster swarm join-token worker\nmuster swarm join-token --rotate --ttl 1h --uses 3 -q manager",
     .options = join_token_rows,
     .option_count = JOIN_TOKEN_ROWS,
     .args_bytes = sizeof(struct join_token_args),
     .run = join_token_run},
    {.name = "update",
     .summary = "Change the settings of the cluster",
     .details =
         "What is not named stays as it is. Certificates that live longer than --cert-expiry allows now are "
         "renewed.",
     .example = "muster swarm update --task-history-limit 2 --cert-expiry 720h",
     .options = swarm_update_rows,
     .option_count = SWARM_UPDATE_ROWS,
     .args_bytes = sizeof(struct swarm_update_args),
     .shared = SHARED_WHY,
     .run = swarm_update_run},
    {.name = "ca",
     .summary = "Show the certificate of the cluster's authority, or replace it",
     .details =
         "It signs the certificates of all nodes; join tokens hold its digest. With --rotate a new one is "
         "announced, then it signs, and when all nodes have certificates by it the one before is believed no "
         "more; nodes talk to each other all the while. A node that is down holds it open until it is back, "
         "or removed. Join tokens change when the new one signs; their secrets stay.",
     .example = "muster swarm ca >authority.pem\nmuster swarm ca --rotate --timeout 2m",
     .shared = SHARED_WAIT | SHARED_QUIET,
     .options = swarm_ca_rows,
     .option_count = SWARM_CA_ROWS,
     .args_bytes = sizeof(struct swarm_ca_args),
     .run = swarm_ca_run},
};
const struct command_group swarm_commands = COMMAND_GROUP("swarm", "Manage the cluster", rows);
