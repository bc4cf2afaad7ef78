// SPDX-License-Identifier: Apache-2.0
//
// test/sim/raft_script.c — reads directed cases and makes them happen.
#include "test/sim/raft_script.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/str.h"
#include "reconciler/raft/planted.h"

#define SETTLE_MAX 20000 // messages; a cluster without clocks comes to rest long before
#define FILE_BYTES_MAX 65536
#define ELECTION_TICKS 15

void script_fail(struct script *script, unsigned at, const char *format, ...) {
    if (script->is_failed) {
        return;
    }
    script->is_failed = true;
    unsigned word = at < script->count ? at : script->count - 1;
    int column = script->words[word].column;
    if (at >= script->count) { // something is missing: behind the last word
        column += (int)strlen(script->words[word].text);
    }
    buf_addf(script->out, "%s:%d:%d: ", script->path, script->line, column);
    va_list args;
    va_start(args, format);
    buf_addv(script->out, format, args);
    va_end(args);
    buf_addc(script->out, '\n');
}

// --- words ---

// False when the line is not well-formed.
static bool split(struct script *script, const char *line, size_t len) {
    script->count = 0;
    for (size_t at = 0; at < len && line[at] != '#';) {
        if (line[at] == ' ' || line[at] == '\t') {
            at++;
            continue;
        }
        bool is_quoted = line[at] == '"';
        size_t from = at + is_quoted;
        size_t end = from;
        while (end < len && (is_quoted ? line[end] != '"' : line[end] != ' ' && line[end] != '#')) {
            end++;
        }
        if (script->count == SCRIPT_WORDS_MAX || end - from >= sizeof script->words[0].text) {
            script_fail(script, 0, "too long; at most %d words of 63 characters", SCRIPT_WORDS_MAX);
            return false;
        }
        struct script_word *word = &script->words[script->count++];
        word->column = (int)at + 1;
        memcpy(word->text, line + from, end - from);
        word->text[end - from] = '\0';
        if (is_quoted && end == len) {
            script_fail(script, script->count - 1, "a text without its end; close it with \"");
            return false;
        }
        at = end + is_quoted;
    }
    return true;
}

bool script_is_word(const struct script *script, unsigned at, const char *text) {
    return at < script->count && str_equal(script->words[at].text, text);
}

uint64_t script_number(struct script *script, unsigned at) {
    int64_t number;
    if (at >= script->count) {
        script_fail(script, at, "a number is missing");
        return 0;
    }
    if (!str_to_int(script->words[at].text, &number) || number < 0) {
        script_fail(script, at, "\"%s\" is no number", script->words[at].text);
        return 0;
    }
    return (uint64_t)number;
}

struct sim_node *script_take_node(struct script *script, unsigned at) {
    uint64_t id = script_number(script, at);
    struct sim_node *node = script->is_failed ? NULL : world_node(script->sim, id);
    if (node == NULL) {
        script_fail(script, at, "no node %llu; there are 1 to %llu", (unsigned long long)id,
                    (unsigned long long)script->sim->next_id - 1);
    }
    return node;
}

static struct sim_node *take_running_node(struct script *script, unsigned at) {
    struct sim_node *node = script_take_node(script, at);
    if (node != NULL && !node->is_up) {
        script_fail(script, at, "node %s is down; `start %s` first", script->words[at].text,
                    script->words[at].text);
        return NULL;
    }
    return node;
}

uint64_t script_take_end(struct script *script, unsigned at) {
    if (script_is_word(script, at, "*")) {
        return 0;
    }
    const struct sim_node *node = script_take_node(script, at);
    return node == NULL ? 0 : node->id;
}

const struct script_name *script_take_name(struct script *script, unsigned at,
                                           const struct script_name *names, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (script_is_word(script, at, names[i].name)) {
            return &names[i];
        }
    }
    script_fail(script, at, "no such name; first `propose` or `read` with it, and see that it is done");
    return NULL;
}

static void add_name(struct script *script, unsigned at, struct script_name *names, size_t *count,
                     struct script_name name) {
    if (*count == 32 || !str_copy(name.name, sizeof name.name, script->words[at].text)) {
        script_fail(script, at, "too many or too long names; at most 32 of 31 characters");
        return;
    }
    names[(*count)++] = name;
}

// --- messages ---

bool script_is_type(const char *text) {
    static const struct sim_parcel pseudo[2] = {{.is_install = true}, {.is_snapshot_end = true}};
    for (size_t i = 0; i < RAFT_MESSAGE_TYPES + 2; i++) {
        const struct sim_parcel parcel = {.message.type = (enum raft_message_type)i};
        const struct sim_parcel *one =
            i < RAFT_MESSAGE_TYPES ? &parcel : &pseudo[i - (size_t)RAFT_MESSAGE_TYPES];
        if (str_equal(text, parcel_name(one))) {
            return true;
        }
    }
    return false;
}

bool script_matches(const struct sim_parcel *parcel, uint64_t from, uint64_t to, const char *type) {
    const struct raft_message *message = &parcel->message;
    return (from == 0 || message->from == from) && (to == 0 || message->to == to) &&
           (type == NULL || str_equal(type, parcel_name(parcel)));
}

// FROM TO [TYPE] [WHICH], from word 1 on.
struct choice {
    uint64_t from, to;
    const char *type; // NULL = any
    bool is_last;
    uint64_t count; // 0 = all
};

static void take_choice(struct script *script, struct choice *out) {
    *out = (struct choice){.from = script_take_end(script, 1), .to = script_take_end(script, 2)};
    unsigned at = 3;
    if (at < script->count && script_is_type(script->words[at].text)) {
        out->type = script->words[at++].text;
    }
    if (at >= script->count || script_is_word(script, at, "all")) {
        return;
    }
    out->is_last = script_is_word(script, at, "last");
    out->count = 1;
    if (!out->is_last && !script_is_word(script, at, "first")) {
        int64_t number;
        if (!str_to_int(script->words[at].text, &number) || number <= 0) {
            script_fail(
                script, at,
                "\"%s\" is neither a kind of message (append, vote-reply …) nor all, first, last or a "
                "count",
                script->words[at].text);
        }
        out->count = (uint64_t)number;
    }
}

// Among what was sent before `limit`; false when there is none.
static bool find_parcel(const struct sim *sim, const struct choice *choice, uint64_t limit,
                        size_t *out_place) {
    bool is_found = false;
    for (size_t i = 0; i < sim->heap_count; i++) {
        const struct sim_parcel *parcel = sim->heap[i];
        if (parcel->order >= limit || !script_matches(parcel, choice->from, choice->to, choice->type)) {
            continue;
        }
        bool is_later = is_found && parcel->order > sim->heap[*out_place]->order;
        if (!is_found || is_later == choice->is_last) {
            *out_place = i;
        }
        is_found = true;
    }
    return is_found;
}

static void hold_parcel(struct script *script, struct sim_parcel *parcel) {
    ASSERT(script->held_count < sizeof script->held / sizeof *script->held);
    script->held[script->held_count++] = parcel;
}

static void use_parcel(struct script *script, size_t place) {
    struct sim *sim = script->sim;
    if (script_is_word(script, 0, "duplicate")) {
        world_post(sim, world_copy(sim->heap[place]), 0);
        return;
    }
    struct sim_parcel *parcel = world_pick(sim, place);
    if (script_is_word(script, 0, "deliver")) {
        world_deliver(sim, parcel);
    } else if (script_is_word(script, 0, "drop")) {
        world_lose(sim, parcel);
    } else {
        hold_parcel(script, parcel);
    }
}

static void run_message(struct script *script) {
    struct choice choice;
    take_choice(script, &choice);
    uint64_t limit = script->sim->next_order;
    uint64_t done = 0;
    size_t place = 0;
    while (!script->is_failed && (choice.count == 0 || done < choice.count) &&
           find_parcel(script->sim, &choice, limit, &place)) {
        if (script_is_word(script, 0, "duplicate")) { // it stays where it is
            choice.count = done + 1;
        }
        use_parcel(script, place);
        done++;
    }
    if (done == 0 || done < choice.count) {
        script_fail(script, 0, "there is no such message: %llu on the way, %llu wanted",
                    (unsigned long long)done, (unsigned long long)(choice.count == 0 ? 1 : choice.count));
    }
}

static void run_release(struct script *script) {
    struct choice choice;
    take_choice(script, &choice);
    size_t kept = 0;
    size_t all = script->held_count;
    for (size_t i = 0; i < all; i++) {
        struct sim_parcel *parcel = script->held[i];
        if (script_matches(parcel, choice.from, choice.to, choice.type)) {
            world_post(script->sim, parcel, 0);
        } else {
            script->held[kept++] = parcel;
        }
    }
    script->held_count = kept;
    if (kept == all) {
        script_fail(script, 0, "no such message is held");
    }
}

bool script_field(const struct raft_message *message, const char *name, uint64_t *out) {
    const struct {
        const char *name;
        uint64_t value;
    } fields[] = {
        {"term", message->term},        {"index", message->index},          {"log-term", message->log_term},
        {"commit", message->commit},    {"sequence", message->sequence},    {"context", message->context},
        {"reject", message->is_reject}, {"transfer", message->is_transfer}, {"count", message->count},
    };
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        if (str_equal(name, fields[i].name)) {
            *out = fields[i].value;
            return true;
        }
    }
    return false;
}

static void set_field(struct script *script, unsigned at, struct raft_message *message) {
    uint64_t number = script_number(script, at + 1);
    if (script_is_word(script, at, "term")) {
        message->term = number;
    } else if (script_is_word(script, at, "index")) {
        message->index = number;
    } else if (script_is_word(script, at, "log-term")) {
        message->log_term = number;
    } else if (script_is_word(script, at, "commit")) {
        message->commit = number;
    } else if (script_is_word(script, at, "sequence")) {
        message->sequence = number;
    } else if (script_is_word(script, at, "reject")) {
        message->is_reject = number != 0;
    } else if (script_is_word(script, at, "transfer")) {
        message->is_transfer = number != 0;
    } else {
        script_fail(script, at, "no field \"%s\"; term, index, log-term, commit, sequence, reject, transfer",
                    script->words[at].text);
    }
}

static void run_send(struct script *script) {
    struct raft_message message = {.from = script_number(script, 1), .to = script_take_end(script, 2)};
    for (size_t i = 0; i < RAFT_MESSAGE_TYPES; i++) {
        const struct sim_parcel one = {.message.type = (enum raft_message_type)i};
        message.type = script_is_word(script, 3, parcel_name(&one)) ? one.message.type : message.type;
    }
    if (!script_is_type(script->words[3].text)) {
        script_fail(script, 3, "no kind of message \"%s\"", script->words[3].text);
    }
    for (unsigned at = 4; at < script->count; at += 2) {
        set_field(script, at, &message);
    }
    struct sim_parcel *parcel = NEW(struct sim_parcel);
    parcel->message = message;
    world_post(script->sim, parcel, 0);
}

static void run_settle(struct script *script) {
    for (int i = 0; i < SETTLE_MAX; i++) {
        struct sim_parcel *parcel = script->sim->broken[0] == '\0' ? world_take(script->sim) : NULL;
        if (parcel == NULL) {
            return;
        }
        world_deliver(script->sim, parcel);
    }
    script_fail(script, 0, "the cluster does not come to rest");
}

static void run_cut(struct script *script) {
    struct sim *sim = script->sim;
    uint64_t from = script_take_end(script, 1);
    uint64_t to = script_take_end(script, 2);
    for (unsigned i = 0; i < sim->node_count; i++) {
        for (unsigned j = 0; j < sim->node_count; j++) {
            bool is_meant =
                (from == 0 || sim->nodes[i].id == from) && (to == 0 || sim->nodes[j].id == to) && i != j;
            sim->cut[i][j] = sim->cut[i][j] || is_meant;
            sim->cut[j][i] = sim->cut[j][i] || is_meant;
        }
    }
}

static void run_heal(struct script *script) {
    memset(script->sim->cut, 0, sizeof script->sim->cut);
}

// --- nodes ---

static void run_nodes(struct script *script) {
    uint64_t voters = script_number(script, 1);
    uint64_t learners = script_is_word(script, 2, "learners") ? script_number(script, 3) : 0;
    if (voters == 0 || voters + learners > SIM_NODES_MAX) {
        script_fail(script, 1, "1 to %d nodes", SIM_NODES_MAX);
        return;
    }
    script->sim = sim_new_manual((unsigned)voters, (unsigned)learners);
    script->sim->next_value = 1000000; // below: of entries that are given
    script->sim->trace = &script->trace;
}

static void run_bites(struct script *script) {
    static const char *const names[] = {
#define X(name, text) #name,
        PLANTED_BUG_LIST(X)
#undef X
    };
    for (unsigned i = 1; i < script->count; i++) {
        bool is_known = false;
        for (size_t j = 0; j < sizeof names / sizeof *names; j++) {
            is_known = is_known || script_is_word(script, i, names[j]);
        }
        if (!is_known) {
            script_fail(script, i, "no planted bug \"%s\"; they are listed in reconciler/raft/planted.h",
                        script->words[i].text);
        }
    }
}

static void give_log(struct script *script, unsigned at, struct sim_node *node) {
    const char *p = script->words[at].text;
    while (*p != '\0') {
        char number[24];
        int64_t term;
        size_t len = strcspn(p, " ");
        snprintf(number, sizeof number, "%.*s", (int)len, p);
        if (!str_to_int(number, &term) || term <= 0) {
            script_fail(script, at, "a log is a list of terms, like \"1 1 2\"");
            return;
        }
        uint64_t index = ++node->disk.last_index;
        node->disk_log[index] = (struct sim_entry){
            .term = (uint64_t)term, .value = (uint64_t)term * 1000 + index, .type = RAFT_ENTRY_DATA};
        p += len + (p[len] == ' ');
    }
}

static void run_given(struct script *script) {
    struct sim_node *node = script_take_node(script, 1);
    if (node == NULL) {
        return;
    }
    node->disk.last_index = 0;
    for (unsigned at = 2; at + 1 < script->count; at += 2) {
        if (script_is_word(script, at, "term")) {
            node->disk.term = script_number(script, at + 1);
        } else if (script_is_word(script, at, "vote")) {
            node->disk.vote = script_number(script, at + 1);
        } else if (script_is_word(script, at, "log")) {
            give_log(script, at + 1, node);
        } else {
            script_fail(script, at, "\"%s\" cannot be given; term, vote and log can", script->words[at].text);
        }
    }
    world_start(script->sim, node);
}

static void run_append_limit(struct script *script) {
    struct sim *sim = script->sim;
    sim->knobs.append_bytes = (unsigned)script_number(script, 1);
    for (unsigned i = 0; i < sim->node_count; i++) {
        sim->nodes[i].raft.options.append_bytes_max = sim->knobs.append_bytes;
    }
}

static void run_campaign(struct script *script) {
    struct sim_node *node = take_running_node(script, 1);
    if (node != NULL) {
        raft_campaign(&node->raft);
        world_turn(script->sim, node);
    }
}

static void run_tick(struct script *script) {
    struct sim_node *node = take_running_node(script, 1);
    uint64_t count = script->count > 2 ? script_number(script, 2) : 1;
    for (uint64_t i = 0; node != NULL && i < count; i++) {
        node->raft.timeout = ELECTION_TICKS; // a story draws no lots
        raft_tick(&node->raft);
        world_turn(script->sim, node);
    }
}

static void run_persist(struct script *script) {
    bool is_off = script_is_word(script, 1, "off");
    struct sim_node *node = take_running_node(script, 2);
    if (!is_off && !script_is_word(script, 1, "on")) {
        script_fail(script, 1, "`persist off NODE` or `persist on NODE`");
    } else if (node != NULL) {
        node->is_disk_slow = is_off;
        world_turn(script->sim, node);
    }
}

static void run_crash(struct script *script) {
    struct sim_node *node = take_running_node(script, 1);
    if (node == NULL) {
        return;
    }
    if (script_is_word(script, 2, "after-sync")) {
        world_crash_after_sync(script->sim, node);
    } else if (script->count == 2 || script_is_word(script, 2, "before-sync")) {
        world_crash(script->sim, node);
    } else {
        script_fail(script, 2, "before-sync or after-sync");
    }
}

static void run_start(struct script *script) {
    struct sim_node *node = script_take_node(script, 1);
    if (node != NULL && node->is_up) {
        script_fail(script, 1, "node %s is up; `crash` it first", script->words[1].text);
    } else if (node != NULL) {
        world_start(script->sim, node);
    }
}

// --- clients ---

static void run_propose(struct script *script) {
    struct sim_node *node = take_running_node(script, 1);
    uint64_t index;
    if (node == NULL) {
        return;
    }
    script->outcome = world_propose(script->sim, node, 1, &index);
    if (script->outcome == RAFT_DONE) {
        add_name(script, 2, script->entries, &script->entry_count,
                 (struct script_name){.number = index, .term = node->raft.term});
    }
    world_turn(script->sim, node);
}

static void run_read(struct script *script) {
    struct sim_node *node = take_running_node(script, 1);
    if (node == NULL) {
        return;
    }
    script->outcome = world_read(script->sim, node);
    if (script->outcome == RAFT_DONE) {
        add_name(script, 2, script->reads, &script->read_count,
                 (struct script_name){.number = script->sim->next_context});
    }
    world_turn(script->sim, node);
}

static void add_member(struct script *script, struct raft_configuration *next, uint64_t id) {
    if (world_node(script->sim, id) == NULL) {
        if (id != script->sim->next_id) {
            script_fail(script, 3, "the next new node is %llu; ids are not used twice",
                        (unsigned long long)script->sim->next_id);
            return;
        }
        world_start(script->sim, world_add(script->sim, &(struct raft_configuration){0}));
    }
    configuration_insert(next, (struct raft_member){id, /*is_voter=*/false});
}

static void change_member(struct script *script, struct raft_configuration *next, uint64_t id) {
    for (unsigned i = 0; i < next->count; i++) {
        if (next->members[i].id != id) {
            continue;
        }
        if (script_is_word(script, 2, "remove")) {
            configuration_remove(next, i);
        } else if (script_is_word(script, 2, "promote") || script_is_word(script, 2, "demote")) {
            next->members[i].is_voter = script_is_word(script, 2, "promote");
        } else {
            script_fail(script, 2, "add, promote, demote or remove");
        }
        return;
    }
    script_fail(script, 3, "not a member there; `change … add` first");
}

static void run_change(struct script *script) {
    struct sim_node *node = take_running_node(script, 1);
    uint64_t id = script_number(script, 3);
    if (node == NULL || script->is_failed) {
        return;
    }
    struct raft_configuration next = *raft_configuration_now(&node->raft);
    if (script_is_word(script, 2, "add")) {
        add_member(script, &next, id);
    } else {
        change_member(script, &next, id);
    }
    if (!script->is_failed) {
        script->outcome = world_configure(script->sim, node, &next);
        world_turn(script->sim, node);
    }
}

static void run_transfer(struct script *script) {
    struct sim_node *node = take_running_node(script, 1);
    const struct sim_node *to = script_take_node(script, 2);
    if (node != NULL && to != NULL) {
        script->outcome = raft_transfer(&node->raft, to->id);
        world_turn(script->sim, node);
    }
}

static void run_compact(struct script *script) {
    struct sim_node *node = take_running_node(script, 1);
    uint64_t index = script_number(script, 2);
    if (node != NULL && index > node->raft.applied) {
        script_fail(script, 2, "only what is applied can go; that is up to %llu",
                    (unsigned long long)node->raft.applied);
    } else if (node != NULL) {
        raft_compact(&node->raft, index);
        world_turn(script->sim, node);
    }
}

// --- lines ---

static const struct statement {
    const char *name;
    unsigned words_min, words_max; // with the name
    void (*run)(struct script *script);
    const char *usage;
} statements[] = {
    {"nodes", 2, 4, run_nodes, "nodes VOTERS [learners COUNT]"},
    {"bites", 2, SCRIPT_WORDS_MAX, run_bites, "bites BUG…"},
    {"given", 4, 8, run_given, "given NODE term T [vote V] [log \"TERMS\"]"},
    {"append-limit", 2, 2, run_append_limit, "append-limit BYTES"},
    {"campaign", 2, 2, run_campaign, "campaign NODE"},
    {"tick", 2, 3, run_tick, "tick NODE [COUNT]"},
    {"deliver", 3, 5, run_message, "deliver FROM TO [TYPE] [all|first|last|COUNT]"},
    {"drop", 3, 5, run_message, "drop FROM TO [TYPE] [all|first|last|COUNT]"},
    {"duplicate", 3, 5, run_message, "duplicate FROM TO [TYPE] [first|last]"},
    {"hold", 3, 5, run_message, "hold FROM TO [TYPE] [all|first|last|COUNT]"},
    {"release", 3, 4, run_release, "release FROM TO [TYPE]"},
    {"send", 4, SCRIPT_WORDS_MAX, run_send, "send FROM TO TYPE [FIELD NUMBER]…"},
    {"settle", 1, 1, run_settle, "settle"},
    {"cut", 3, 3, run_cut, "cut FROM TO"},
    {"heal", 1, 1, run_heal, "heal"},
    {"persist", 3, 3, run_persist, "persist off|on NODE"},
    {"crash", 2, 3, run_crash, "crash NODE [before-sync|after-sync]"},
    {"start", 2, 2, run_start, "start NODE"},
    {"propose", 3, 3, run_propose, "propose NODE NAME"},
    {"read", 3, 3, run_read, "read NODE NAME"},
    {"change", 4, 4, run_change, "change NODE add|promote|demote|remove ID"},
    {"transfer", 3, 3, run_transfer, "transfer NODE NODE"},
    {"compact", 3, 3, run_compact, "compact NODE INDEX"},
    {"expect", 2, SCRIPT_WORDS_MAX, script_expect, "expect [not] WHAT …"},
};

static const struct statement *find_statement(struct script *script) {
    const char *names[sizeof statements / sizeof *statements];
    for (size_t i = 0; i < sizeof statements / sizeof *statements; i++) {
        names[i] = statements[i].name;
        if (script_is_word(script, 0, names[i])) {
            return &statements[i];
        }
    }
    const char *near = str_nearest(script->words[0].text, names, sizeof names / sizeof *names);
    script_fail(script, 0, "no statement \"%s\"%s%s%s", script->words[0].text,
                near != NULL ? "; did you mean \"" : "", near != NULL ? near : "", near != NULL ? "\"?" : "");
    return NULL;
}

static void look(struct script *script) {
    struct sim *sim = script->sim;
    for (unsigned i = 0; sim != NULL && i < sim->node_count; i++) {
        if (sim->nodes[i].is_up) {
            check_node(sim, &sim->nodes[i]);
            check_reads(sim, &sim->nodes[i]);
        }
    }
    if (sim != NULL) {
        check_pairs(sim);
    }
    if (sim != NULL && sim->broken[0] != '\0') {
        script_fail(script, 0, "a checker found: %s", sim->broken);
    }
}

static void run_line(struct script *script, const char *line, size_t len) {
    if (!split(script, line, len) || script->count == 0) {
        return;
    }
    const struct statement *statement = find_statement(script);
    if (statement == NULL) {
        return;
    }
    bool is_first = str_equal(statement->name, "nodes") || str_equal(statement->name, "bites");
    if (script->count < statement->words_min || script->count > statement->words_max) {
        unsigned at = script->count < statement->words_min ? script->count : statement->words_max;
        script_fail(script, at, "%s: %s", script->count < statement->words_min ? "too short" : "too long",
                    statement->usage);
    } else if (is_first == (script->sim != NULL)) {
        script_fail(script, 0, "a story begins with `bites`, if at all, then `nodes`, once");
    } else {
        if (script->sim != NULL) {
            script->sim->now_ms = (uint64_t)script->line;
            world_note(script->sim, "--- %.*s", (int)len, line);
        }
        statement->run(script);
        look(script);
    }
}

static void finish(struct script *script) {
    if (script->is_failed && script->sim != NULL) {
        world_note_nodes(script->sim);
        buf_adds(script->out, "what happened, by line:\n");
        buf_adds(script->out, buf_text(&script->trace));
    }
    for (size_t i = 0; i < script->held_count; i++) {
        parcel_free(script->held[i]);
    }
    if (script->sim != NULL) {
        sim_free(script->sim);
    }
    buf_free(&script->trace);
}

bool script_run(const char *path, const char *text, struct buf *out) {
    struct script script = {.path = path, .out = out, .trace = buf_make(0)};
    while (*text != '\0' && !script.is_failed) {
        size_t len = strcspn(text, "\n");
        script.line++;
        run_line(&script, text, len);
        text += len + (text[len] == '\n');
    }
    if (!script.is_failed && script.sim == NULL) {
        script.words[script.count = 0].column = 1;
        script.count = 1;
        script.line = script.line > 0 ? script.line : 1;
        script_fail(&script, 0, "there is no story: it begins with `nodes`");
    }
    finish(&script);
    return !script.is_failed;
}

// --- the folder ---

static void read_name(const char *name, struct buf *out_path, struct buf *out_text) {
    buf_addf(out_path, SCRIPT_FOLDER "/%s.raft", name);
    int rc = fs_read(AT_FDCWD, buf_text(out_path), FILE_BYTES_MAX, out_text, NULL);
    if (rc != 0) {
        buf_clear(out_text); // an empty story fails
    }
}

bool script_run_name(const char *name, struct buf *out) {
    AUTO_BUF path = buf_make(0);
    AUTO_BUF text = buf_make(0);
    read_name(name, &path, &text);
    return script_run(buf_text(&path), buf_text(&text), out);
}

bool script_bites(const char *name, const char *bug) {
    AUTO_BUF path = buf_make(0);
    AUTO_BUF text = buf_make(0);
    AUTO_BUF out = buf_make(0);
    struct script script = {.out = &out};
    read_name(name, &path, &text);
    for (const char *line = buf_text(&text); *line != '\0';) {
        size_t len = strcspn(line, "\n");
        if (split(&script, line, len) && script_is_word(&script, 0, "bites")) {
            for (unsigned i = 1; i < script.count; i++) {
                if (script_is_word(&script, i, bug)) {
                    return true;
                }
            }
        }
        line += len + (line[len] == '\n');
    }
    return false;
}

static int compare_names(const void *a, const void *b) {
    return strcmp(a, b);
}

void script_list_load(struct script_list *out) {
    out->count = 0;
    DIR *folder = opendir(SCRIPT_FOLDER);
    ASSERT(folder != NULL);
    const struct dirent *entry;
    while ((entry = readdir(folder)) != NULL) {
        const char *name = entry->d_name;
        if (str_ends(name, ".raft")) {
            ASSERT(out->count < SCRIPT_FILES_MAX);
            int len = (int)(strlen(name) - strlen(".raft"));
            char *to = out->names[out->count++];
            ASSERT(snprintf(to, sizeof out->names[0], "%.*s", len, name) == len);
        }
    }
    closedir(folder);
    qsort(out->names, out->count, sizeof out->names[0], compare_names);
}
