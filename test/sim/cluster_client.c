// SPDX-License-Identifier: Apache-2.0
//
// test/sim/cluster_client.c — clients that read, write and count, at any manager, and do not give up easily.
//
// Model        A client has one operation at a time, and a request at one manager for it. When no answer
//              comes it asks another manager: a write again with the same request id, until it is told what
//              became of it; now and then it gives up, and the outcome stays unknown. What is read carries
//              the version that wrote it, so each operation is judged at once: it must not fall behind any
//              that was over when it began (versions are the order of writes).
#include "test/sim/cluster_world.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "specs/resource.h"

#define PATIENCE_MS 12000
#define AGAIN_MS 100
#define GIVE_UP_PER_1000 20

// --- keys ---

struct value {
    uint64_t op, count;
};

void cluster_key_encode(const struct cluster_key *key, uint64_t op, uint64_t count, struct buf *out) {
    struct config config;
    const struct value value = {op, count};
    schema_init(&config_schema, &config);
    config.meta.id = key->id;
    config.meta.name = config.spec.name = key->name;
    config.spec.data = (struct bytes){(const uint8_t *)&value, sizeof value};
    wire_encode(&config_schema, &config, out);
}

bool cluster_key_decode(struct bytes object, int64_t *version, uint64_t *op, uint64_t *count) {
    AUTO_ARENA arena = arena_make(0);
    struct config config;
    struct value value;
    if (wire_decode(&config_schema, object, &config, &arena, NULL) < 0 ||
        config.spec.data.len != sizeof value) {
        return false;
    }
    memcpy(&value, config.spec.data.data, sizeof value);
    *version = config.meta.version;
    *op = value.op;
    *count = value.count;
    return true;
}

void cluster_clients_begin(struct cluster_sim *c) {
    for (unsigned i = 0; i < c->knobs.keys; i++) {
        struct cluster_key *key = &c->keys[i];
        *key = (struct cluster_key){.id = id_from_prng(&c->prng), .is_counter = i % 2 == 1};
        snprintf(key->name, sizeof key->name, "key%u", i);
    }
    for (unsigned i = 0; i < c->knobs.clients; i++) {
        c->clients[i] = (struct cluster_client){.number = i, .next_ms = c->now_ms + cluster_about(c, 100)};
    }
}

// --- at the manager ---

static void drop(struct cluster_request *request) {
    list_remove(&request->node);
    xfree(request);
}

void cluster_requests_drop(struct cluster_manager *m) {
    LIST_EACH(node, &m->requests) {
        drop(LIST_ENTRY(node, struct cluster_request, node));
    }
}

static struct cluster_key *key_of(struct cluster_sim *c, const struct cluster_request *request) {
    return &c->keys[c->ops[c->clients[request->client].op].key];
}

static struct cluster_answer answer_to(const struct cluster_request *request, int code) {
    return (struct cluster_answer){
        .client = request->client, .serial = request->serial, .is_read = request->is_read, .code = code};
}

static bool is_wanted(const struct cluster_request *request) {
    return request->manager->sim->clients[request->client].serial == request->serial;
}

static void on_written(void *context, const struct proposal_result *result) {
    struct cluster_request *request = context;
    struct cluster_answer answer = answer_to(request, result->code);
    answer.revision = result->revision;
    cluster_tell(request->manager, &answer);
    drop(request);
}

static void look(struct cluster_request *request) {
    struct cluster_manager *m = request->manager;
    struct cluster_answer answer = answer_to(request, 0);
    struct store_read *read;
    struct bytes object;
    if (!is_wanted(request)) {
        return;
    }
    int rc = store_read_begin(m->store, &read, NULL);
    ASSERT(rc == 0);
    rc = store_get(read, KIND_CONFIG, &key_of(m->sim, request)->id, &object, NULL);
    if (rc != 0 || !cluster_key_decode(object, &answer.revision, &answer.op, &answer.count)) {
        answer.code = -ERR_NOT_FOUND;
    }
    store_read_end(read);
    cluster_tell(m, &answer);
}

static void on_read(void *context, int rc, const struct error *err) {
    struct cluster_request *request = context;
    (void)err;
    if (rc == 0) {
        look(request);
    } else {
        const struct cluster_answer answer = answer_to(request, rc);
        cluster_tell(request->manager, &answer);
    }
    drop(request);
}

static void propose(struct cluster_request *request) {
    struct cluster_manager *m = request->manager;
    struct cluster_sim *c = m->sim;
    const struct cluster_client *client = &c->clients[request->client];
    const struct cluster_key *key = key_of(c, request);
    bool is_add = c->ops[client->op].kind == OP_ADD;
    struct error err = {0};
    char id[32];
    AUTO_BUF object = {0};
    cluster_key_encode(key, client->op, is_add ? client->count + 1 : 0, &object);
    snprintf(id, sizeof id, "op%zu.%lld", client->op, (long long)(is_add ? client->version : 0));
    struct change change = {.op = CHANGE_UPDATE,
                            .kind = KIND_CONFIG,
                            .id = key->id,
                            .expected_version = is_add ? client->version : 0,
                            .object = buf_bytes(&object)};
    const struct transaction transaction = {.request_id = id,
                                            .who = "client",
                                            .why = "test",
                                            .time_unix_ms = cluster_wall_ms(m),
                                            .changes = {1, &change}};
    int rc = proposals_submit(&m->proposals, &transaction, on_written, request, &err);
    if (rc < 0) {
        on_written(request, &(struct proposal_result){.code = rc, .text = err.root});
    }
}

void cluster_request_take(struct cluster_request *request) {
    struct cluster_manager *m = request->manager;
    request->is_taken = true;
    if (!is_wanted(request) || !replica_has_group(m->replica)) {
        const struct cluster_answer answer = answer_to(request, -ERR_NO_QUORUM);
        cluster_tell(m, &answer);
        drop(request);
    } else if (!request->is_read) {
        propose(request);
    } else if (replica_read(m->replica, on_read, request)) {
        look(request);
        drop(request);
    }
}

// --- operations ---

static size_t new_op(struct cluster_sim *c, const struct cluster_client *client) {
    if (c->op_count == c->op_capacity) {
        c->op_capacity = c->op_capacity == 0 ? 256 : c->op_capacity * 2;
        c->ops = xrealloc(c->ops, c->op_capacity * sizeof *c->ops);
    }
    size_t number = c->op_count++;
    unsigned at = (unsigned)cluster_below(c, c->knobs.keys);
    const struct cluster_key *key = &c->keys[at];
    c->ops[number] = (struct cluster_op){
        .client = client->number,
        .key = at,
        .kind = cluster_below(c, 2) == 0 ? OP_READ
                : key->is_counter        ? OP_ADD
                                         : OP_PUT,
        .floor = key->floor,
        .begin = ++c->clock + 1,
    };
    return number;
}

static void rest(struct cluster_sim *c, struct cluster_client *client) {
    client->has_op = false;
    client->tries = 0;
    client->was_read = false;
    client->next_ms = c->now_ms + cluster_about(c, c->knobs.think_ms);
}

static void end_op(struct cluster_sim *c, struct cluster_client *client, enum op_state state) {
    c->ops[client->op].state = state;
    c->ops[client->op].end = ++c->clock + 1;
    cluster_totals->unknown += state == OP_UNKNOWN;
    cluster_totals->refused += state == OP_REFUSED;
    rest(c, client);
}

static void ask(struct cluster_sim *c, struct cluster_client *client) {
    struct cluster_manager *m = &c->managers[cluster_below(c, c->count)];
    client->serial = ++c->next_serial; // what was asked before is not waited for
    if (m->replica == NULL || !replica_has_group(m->replica)) {
        client->next_ms = c->now_ms + cluster_about(c, AGAIN_MS);
        return;
    }
    struct cluster_request *request = NEW(struct cluster_request);
    *request = (struct cluster_request){.manager = m,
                                        .client = client->number,
                                        .serial = client->serial,
                                        .is_read = c->ops[client->op].kind == OP_READ ||
                                                   (c->ops[client->op].kind == OP_ADD && !client->was_read),
                                        .since_ms = c->now_ms};
    list_append(&m->requests, &request->node);
    cluster_note(c, "client %u, operation %zu%s: asks %s", client->number, client->op,
                 request->is_read ? " (read)" : "", m->name);
    client->is_waiting = true;
    client->tries += !request->is_read;
    client->next_ms = c->now_ms + PATIENCE_MS;
    m->wake_ms = c->now_ms;
}

void cluster_client_step(struct cluster_client *client, struct cluster_sim *c) {
    client->is_waiting = false;
    if (!client->has_op && c->clients_rest) {
        client->next_ms = NEVER;
        return;
    }
    if (!client->has_op) {
        client->op = new_op(c, client);
        client->has_op = true;
    } else if (client->tries > 0 && !c->is_healing && cluster_chance(c, GIVE_UP_PER_1000)) {
        end_op(c, client, OP_UNKNOWN);
        return;
    }
    ask(c, client);
}

bool cluster_clients_are_idle(const struct cluster_sim *c) {
    for (unsigned i = 0; i < c->knobs.clients; i++) {
        if (c->clients[i].has_op) {
            return false;
        }
    }
    return true;
}

// --- answers ---

static void on_seen(struct cluster_sim *c, struct cluster_client *client, const struct cluster_answer *seen) {
    struct cluster_op *op = &c->ops[client->op];
    struct cluster_key *key = &c->keys[op->key];
    cluster_totals->judged++;
    if (seen->revision < op->floor) {
        cluster_break(c, "%s: a read shows version %lld, though %lld was there when it began", key->name,
                      (long long)seen->revision, (long long)op->floor);
        return;
    }
    const struct cluster_op *writer = seen->op < c->op_count ? &c->ops[seen->op] : NULL;
    if (writer != NULL && (writer->state == OP_REFUSED || writer->key != op->key)) {
        cluster_break(c, "%s: a read shows what operation %llu wrote, which was refused", key->name,
                      (unsigned long long)seen->op);
        return;
    }
    key->floor = seen->revision > key->floor ? seen->revision : key->floor;
    op->seen = seen->op;
    op->has_seen = true;
    if (op->kind == OP_READ) {
        cluster_totals->reads++;
        end_op(c, client, OP_DONE);
        return;
    }
    client->was_read = true;
    client->version = seen->revision;
    client->count = seen->count;
    client->next_ms = c->now_ms;
}

static void on_done(struct cluster_sim *c, struct cluster_client *client, const struct cluster_answer *done) {
    struct cluster_op *op = &c->ops[client->op];
    struct cluster_key *key = &c->keys[op->key];
    cluster_totals->judged++;
    cluster_totals->writes++;
    op->told = done->revision;
    if (done->revision <= op->floor) {
        cluster_break(c, "%s: a write at %lld, though %lld was there when it began", key->name,
                      (long long)done->revision, (long long)op->floor);
    } else if (op->revision != 0 && op->revision != done->revision) {
        cluster_break(c, "%s: operation %zu was applied at %lld, and its client is told %lld", key->name,
                      client->op, (long long)op->revision, (long long)done->revision);
    }
    if ((uint64_t)done->revision > c->truth.acknowledged) {
        c->truth.acknowledged = (uint64_t)done->revision;
    }
    key->floor = done->revision > key->floor ? done->revision : key->floor;
    if (op->kind == OP_ADD) {
        key->added++;
        cluster_totals->increments++;
    }
    end_op(c, client, OP_DONE);
}

// Another has counted meanwhile: read again. With a new version comes a new request id.
static void on_conflict(struct cluster_sim *c, struct cluster_client *client) {
    const struct cluster_op *op = &c->ops[client->op];
    if (op->revision != 0) {
        cluster_break(c, "operation %zu was applied at %lld, and its client is told of a conflict",
                      client->op, (long long)op->revision);
    }
    client->was_read = false;
    client->tries = 0;
    client->next_ms = c->now_ms;
}

static void on_refused(struct cluster_sim *c, struct cluster_client *client,
                       const struct cluster_answer *answer) {
    const struct cluster_op *op = &c->ops[client->op];
    bool is_first = client->tries == 1 && !answer->is_read; // no earlier try may yet be applied
    // That nothing was done is taken at its word.
    if (is_first && answer->code != -ERR_TIMEOUT && cluster_below(c, 2) == 0) {
        if (op->revision != 0) {
            cluster_break(c, "operation %zu was applied at %lld, and its client is told that it was not",
                          client->op, (long long)op->revision);
        }
        end_op(c, client, OP_REFUSED);
        return;
    }
    client->next_ms = c->now_ms + cluster_about(c, AGAIN_MS);
}

void cluster_client_answered(struct cluster_sim *c, const struct cluster_answer *answer) {
    struct cluster_client *client = &c->clients[answer->client];
    if (!client->is_waiting || client->serial != answer->serial) {
        return;
    }
    client->is_waiting = false;
    cluster_note(c, "client %u, operation %zu%s: %d, %lld", answer->client, client->op,
                 answer->is_read ? " (read)" : "", answer->code, (long long)answer->revision);
    if (answer->code == 0 && answer->is_read) {
        on_seen(c, client, answer);
    } else if (answer->code == 0) {
        on_done(c, client, answer);
    } else if (answer->code == -ERR_CONFLICT && c->ops[client->op].kind == OP_ADD) {
        on_conflict(c, client);
    } else {
        on_refused(c, client, answer);
    }
}
