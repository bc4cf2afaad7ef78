// SPDX-License-Identifier: Apache-2.0
//
// reconciler/daemon/self.c — probing, comparing, writing; and which address a machine has.
#include "reconciler/daemon/self.h"

#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "reconciler/daemon/daemon.h"

void self_deinit(struct self *self) {
    arena_free(&self->arena);
}

int64_t self_wake_mono_ms(const struct self *self) {
    return self->is_news && !self->is_proposed ? 0 : self->probe_mono_ms;
}

// --- what the machine is ---

static const char *or_else(const char *text, const char *otherwise, struct arena *arena) {
    return str_is_empty(text) ? arena_strdup(arena, otherwise) : text;
}

// Until it is seen anew.
static void keep_certificate(const struct node_description *before, struct node_description *out,
                             struct arena *arena) {
    out->authority = arena_strdup(arena, before->authority != NULL ? before->authority : "");
    out->authorities = (struct strings){0};
    for (size_t i = 0; i < before->authorities.count; i++) {
        *ARENA_PUSH(arena, &out->authorities) = arena_strdup(arena, before->authorities.items[i]);
    }
}

static void complete(const struct daemon *daemon, struct node_description *description, struct arena *arena) {
    struct utsname machine;
    if (uname(&machine) != 0) {
        memset(&machine, 0, sizeof machine);
    }
    description->hostname = arena_strdup(arena, daemon->hostname);
    description->os = or_else(description->os, "linux", arena);
    description->arch = or_else(description->arch, machine.machine, arena);
    description->version = MUSTER_VERSION;
    description->labels = daemon->options->labels;
    description->generic_resources = (struct generic_stocks){0};
    for (size_t i = 0; i < daemon->options->generic_resources.count; i++) { // checked when they were read
        generic_add(&description->generic_resources, daemon->options->generic_resources.items[i], arena,
                    NULL);
    }
    keep_certificate(&daemon->self.description, description, arena);
}

void self_probe(struct daemon *daemon) {
    struct self *self = &daemon->self;
    struct arena arena = arena_make(0);
    struct node_description description;
    struct error err = {0};
    char text[512];
    schema_init(&node_description_schema, &description);
    self->probe_mono_ms = daemon->now.mono_ms + PROBE_MS;
    const char *trouble = "";
    if (daemon->executor->ops->probe(daemon->executor, &description, &arena, &err) < 0) {
        trouble = arena_strdup(&arena, error_text(&err, text, sizeof text));
        if (!str_equal(trouble, self->trouble)) {
            log_failure(LOG_WARN, "executor.probe", &err, LOG_STR("executor", daemon->executor->ops->name));
        }
        if (self->description.hostname != NULL) { // what it was before
            description =
                *(struct node_description *)schema_copy(&node_description_schema, &self->description, &arena);
        }
    }
    complete(daemon, &description, &arena);
    arena_free(&self->arena);
    self->arena = arena;
    self->description = description;
    self->trouble = trouble;
    self->is_news = true;
}

void self_see_certificate(struct daemon *daemon, const struct id *cluster_id) {
    AUTO_FREE char *dir = certificates_dir(daemon->options->state_dir, cluster_id);
    certificates_describe(dir, &daemon->self.description, &daemon->self.arena);
    daemon->self.is_news = true;
}

// --- keeping the record true ---

static const char *message_of(const struct self *self, struct arena *arena) {
    return self->trouble[0] == '\0' ? "" : arena_printf(arena, "cannot run tasks: %s", self->trouble);
}

static bool is_true(const struct node *node, const struct self *self, const char *message) {
    bool is_ready = node->status.state == NODE_READY;
    return (!is_ready || str_equal(node->status.message, message)) &&
           schema_equal(&node_description_schema, &node->description, &self->description);
}

static void on_result(void *context, const struct proposal_result *result) {
    struct daemon *daemon = context;
    daemon->self.is_proposed = false;
    if (result->code == -ERR_CONFLICT) {
        daemon->self.is_news = true;
    } else if (result->code < 0) { // tried again with the next probe
        log_event(LOG_WARN, "node.refused", LOG_STR("error", result->text));
    }
}

static int propose(struct daemon *daemon, struct node *node, const char *message, struct arena *arena) {
    struct error err = {0};
    if (node->status.state == NODE_READY) { // else the leader has the word
        node->status.message = message;
    }
    node->description = daemon->self.description;
    struct transaction transaction = {.request_id = "",
                                      .who = arena_printf(arena, "node:%s", daemon->node_name),
                                      .why = "description of the node",
                                      .time_unix_ms = daemon->now.unix_ms};
    transaction_add(&transaction, CHANGE_UPDATE, KIND_NODE, node, arena);
    int rc = proposals_submit(&daemon->proposals, &transaction, on_result, daemon, &err);
    if (rc < 0) {
        log_failure(LOG_WARN, "node.refused", &err, LOG_NONE);
    }
    daemon->self.is_proposed = rc == 0;
    return 0;
}

int self_step(struct daemon *daemon, struct error *err) {
    struct self *self = &daemon->self;
    if (daemon->now.mono_ms >= self->probe_mono_ms) {
        self_probe(daemon);
    }
    if (!self->is_news || self->is_proposed) {
        return 0;
    }
    AUTO_ARENA arena = arena_make(0);
    struct store_read *read;
    void *object;
    int rc = store_read_begin(daemon->store, &read, err);
    if (rc < 0) {
        return rc;
    }
    rc = store_load(read, KIND_NODE, &daemon->node_id, &arena, &object, err);
    store_read_end(read);
    if (rc != 0) {
        self->is_news = false;
        return rc < 0 ? rc : 0;
    }
    if (str_is_empty(self->description.authority)) {
        self_see_certificate(daemon, &daemon->cluster_id);
    }
    self->is_news = false;
    const char *message = message_of(self, &arena);
    return is_true(object, self, message) ? 0 : propose(daemon, object, message, &arena);
}

void self_describe(const struct daemon *daemon, struct node *node) {
    node->description = daemon->self.description;
    node->status.state = NODE_READY;
    node->status.since_unix_ms = daemon->now.unix_ms;
}

// --- addresses ---

// The kernel's choice for the way out: connecting a datagram socket sends nothing.
static bool default_route_address(char out[INET_ADDRSTRLEN]) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(9)}, from;
    socklen_t len = sizeof from;
    AUTO_CLOSE int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    inet_pton(AF_INET, "192.0.2.1", &to.sin_addr); // TEST-NET-1, RFC 5737
    return fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof to) == 0 &&
           getsockname(fd, (struct sockaddr *)&from, &len) == 0 &&
           inet_ntop(AF_INET, &from.sin_addr, out, INET_ADDRSTRLEN) != NULL;
}

const char *self_address(const char *advertise, struct arena *arena) {
    char found[INET_ADDRSTRLEN];
    if (!str_is_empty(advertise)) {
        return arena_strdup(arena, advertise);
    }
    return arena_strdup(arena, default_route_address(found) ? found : "127.0.0.1");
}

// Where the port begins, with its colon; NULL: an IPv6 address has colons of its own.
static const char *port_of(const char *address) {
    const char *colon = strrchr(address, ':');
    bool is_port =
        colon != NULL && (address[0] == '[' ? colon > strrchr(address, ']') : colon == strchr(address, ':'));
    return is_port ? colon : NULL;
}

const char *self_with_port(const char *address, const char *listen, struct arena *arena) {
    const char *port = strrchr(listen, ':');
    if (port_of(address) != NULL || port == NULL) {
        return arena_strdup(arena, address);
    }
    bool is_bare = address[0] != '[' && strchr(address, ':') != NULL;
    return arena_printf(arena, is_bare ? "[%s]%s" : "%s%s", address, port);
}

const char *self_host(const char *address, struct arena *arena) {
    const char *port = port_of(address);
    size_t len = port != NULL ? (size_t)(port - address) : strlen(address);
    bool is_bracketed = len >= 2 && address[0] == '[' && address[len - 1] == ']';
    return is_bracketed ? arena_strndup(arena, address + 1, len - 2) : arena_strndup(arena, address, len);
}
