// SPDX-License-Identifier: Apache-2.0
//
// test/bench/agents.c — the agents of many nodes in one process, for a real cluster: each joins by token,
// and does what an agent does.
//
//     agents HOST:PORT TOKEN COUNT FILE     until it is killed
//
// FILE is replaced whenever something in it changes: one JSON object, how many have joined, how many have a
// session now, how often one was lost or did not come to be, and how many assignments came. What runs on
// these nodes are names only (test/lib/crowd.h).
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/str.h"
#include "test/lib/crowd.h"
#include "transport/peers.h"

#define ASK_MS 20000

struct entrant {
    uint64_t question; // 0 = none is open
    bool is_in;
    struct buf key, csr;
};

struct program {
    const char *address, *token, *file;
    size_t count, joined, next;
    struct id *nodes;
    struct credentials *credentials;
    struct entrant *entrants;
    struct id cluster_id;
    struct peers *peers;
    struct prng prng;
    char status[200];
};

static void tell(struct program *program, const struct crowd_status *status) {
    char text[200], temporary[4096];
    snprintf(text, sizeof text, "{\"joined\":%zu,\"open\":%zu,\"troubles\":%zu,\"told\":%zu}\n",
             program->joined, status->open, status->troubles, status->told);
    if (str_equal(text, program->status)) {
        return;
    }
    snprintf(program->status, sizeof program->status, "%s", text);
    snprintf(temporary, sizeof temporary, "%s.new", program->file);
    FILE *file = fopen(temporary, "we");
    ASSERT(file != NULL);
    fputs(text, file);
    fclose(file);
    int rc = rename(temporary, program->file);
    ASSERT(rc == 0);
}

// --- joining ---

static struct entrant *find_question(const struct program *program, uint64_t question, size_t *out_number) {
    for (size_t i = 0; i < program->count; i++) {
        if (program->entrants[i].question == question) {
            *out_number = i;
            return &program->entrants[i];
        }
    }
    return NULL;
}

static void take_papers(struct program *program, size_t number, const struct join_reply *reply) {
    struct credentials *own = &program->credentials[number];
    struct entrant *entrant = &program->entrants[number];
    own->key = entrant->key;
    entrant->key = (struct buf){0};
    buf_free(&entrant->csr);
    buf_add(&own->certificate, reply->certificate.data, reply->certificate.len);
    buf_add(&own->authorities, reply->authorities.data, reply->authorities.len);
    program->cluster_id = reply->cluster_id;
    entrant->is_in = true;
    program->joined++;
    tell(program, &(struct crowd_status){0});
}

// What is refused as too much at once is asked again.
static void on_answer(void *context, uint64_t ask, const struct error *err, uint16_t number,
                      struct bytes body) {
    AUTO_ARENA arena = {0};
    struct program *program = context;
    struct join_reply reply = {.text = "unreadable"};
    size_t which;
    struct entrant *entrant = find_question(program, ask, &which);
    (void)number;
    ASSERT(entrant != NULL);
    entrant->question = 0;
    if (err == NULL && wire_decode(&join_reply_schema, body, &reply, &arena, NULL) == 0 &&
        str_is_empty(reply.code)) {
        take_papers(program, which, &reply);
    } else {
        fprintf(stderr, "agents: join: %s\n", err != NULL ? err->root : reply.text);
    }
}

static void fill_request(const struct program *program, size_t number, struct arena *arena, struct buf *out) {
    AUTO_BUF node_bytes = {0};
    struct node node;
    struct join_request request;
    schema_init(&node_schema, &node);
    node.meta.id = program->nodes[number];
    node.meta.name = node.spec.name = arena_printf(arena, "agent-%zu", number + 1);
    node.spec.role = ROLE_WORKER;
    node.description.hostname = node.meta.name;
    wire_encode(&node_schema, &node, &node_bytes);
    schema_init(&join_request_schema, &request);
    request.raft_id = (int64_t)number + 1;
    request.node_id = program->nodes[number];
    request.address = "127.0.0.1:2377"; // nobody calls a worker
    request.node = buf_bytes(&node_bytes);
    request.version = MUSTER_VERSION;
    request.token = program->token;
    request.csr = buf_bytes(&program->entrants[number].csr);
    wire_encode(&join_request_schema, &request, out);
}

static void ask(struct program *program, size_t number) {
    AUTO_ARENA arena = {0};
    AUTO_BUF body = {0};
    struct entrant *entrant = &program->entrants[number];
    if (entrant->key.len == 0) {
        int rc = certificate_make_key(&entrant->key, NULL);
        rc = rc < 0 ? rc : certificate_request(buf_bytes(&entrant->key), &entrant->csr, NULL);
        ASSERT(rc == 0);
    }
    fill_request(program, number, &arena, &body);
    int rc = peers_ask(program->peers, program->address, MESSAGE_JOIN, buf_bytes(&body), ASK_MS,
                       &entrant->question, NULL);
    entrant->question = rc == 0 ? entrant->question : 0;
}

static void ask_some(struct program *program) {
    unsigned open = 0;
    for (size_t i = 0; i < program->count && open < PEERS_ASKS_MAX; i++) {
        if (!program->entrants[i].is_in && program->entrants[i].question == 0) {
            ask(program, i);
        }
        open += program->entrants[i].question != 0;
    }
}

static bool is_its_node(void *context, uint64_t raft_id, const struct id *node_id) {
    (void)context;
    (void)raft_id;
    (void)node_id;
    return false;
}

static void join_all(struct program *program) {
    struct join_token token;
    struct peers_options options = {
        .prng = &program->prng,
        .callbacks = {.context = program, .on_answer = on_answer, .is_its_node = is_its_node}};
    int rc = join_token_parse(program->token, &token, NULL);
    rc = rc < 0 ? rc : tls_new(&(struct tls_options){.token = &token}, &options.tls, NULL);
    rc = rc < 0 ? rc : peers_open(&options, &program->peers, NULL);
    ASSERT(rc == 0);
    while (program->joined < program->count) {
        struct pollfd fd = {.fd = peers_fd(program->peers), .events = POLLIN};
        ask_some(program);
        (void)poll(&fd, 1, 10);
        peers_take(program->peers, 1000);
        peers_tick(program->peers, clock_mono_ms());
    }
    peers_close(program->peers);
}

// --- life ---

static void live(struct program *program) {
    struct crowd_options options = {.nodes = program->nodes,
                                    .count = program->count,
                                    .managers = (const char *const[]){program->address, NULL},
                                    .seed = (uint64_t)clock_mono_ns(),
                                    .credentials = program->credentials,
                                    .cluster_id = program->cluster_id};
    struct crowd *crowd = crowd_new(&options);
    for (;;) {
        crowd_turn(crowd, 10);
        struct crowd_status status = crowd_status(crowd);
        tell(program, &status);
    }
}

static void allow_descriptors(void) {
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
}

int main(int argc, char **argv) {
    int64_t count;
    if (argc != 5 || !str_to_int(argv[3], &count) || count < 1 || count > AGENTS_MAX) {
        fprintf(stderr, "agents HOST:PORT TOKEN COUNT FILE\n");
        return 2;
    }
    struct program program = {.address = argv[1], .token = argv[2], .file = argv[4], .count = (size_t)count};
    allow_descriptors();
    prng_seed(&program.prng, (uint64_t)clock_mono_ns());
    program.nodes = xcalloc(program.count, sizeof *program.nodes);
    program.credentials = xcalloc(program.count, sizeof *program.credentials);
    program.entrants = xcalloc(program.count, sizeof *program.entrants);
    for (size_t i = 0; i < program.count; i++) {
        program.nodes[i] = id_random();
    }
    join_all(&program);
    live(&program);
    return 0;
}
