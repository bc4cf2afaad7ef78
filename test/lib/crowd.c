// SPDX-License-Identifier: Apache-2.0
//
// test/lib/crowd.c — for each agent a session, the link it has, and how many tasks it holds.
#include "test/lib/crowd.h"

#include <poll.h>
#include <stdio.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/mem.h"
#include "reconciler/agent/session.h"
#include "transport/agent_links.h"

struct player {
    struct session session;
    struct tls *tls;
    uint64_t link; // 0 = none
    bool is_open;
};

struct crowd {
    struct agent_links *links;
    struct prng prng;
    struct id cluster_id;
    size_t count;
    struct player *players;
    size_t *by_link; // number of a link -> player
    size_t by_link_max;
    struct crowd_status status;
    char trouble[ERROR_ROOT_BYTES];
};

// --- what a session wants ---

static void player_step(struct crowd *crowd, size_t number, const struct session_event *event);

static void player_lost(struct crowd *crowd, size_t number, const char *reason) {
    crowd->players[number].link = 0;
    player_step(crowd, number, &(struct session_event){.kind = SESSION_ON_LINK_DOWN, .text = reason});
}

static void remember_link(struct crowd *crowd, uint64_t link, size_t number) {
    while (link >= crowd->by_link_max) {
        crowd->by_link_max = 2 * crowd->by_link_max + 1024;
        crowd->by_link = xrealloc(crowd->by_link, crowd->by_link_max * sizeof *crowd->by_link);
    }
    crowd->by_link[link] = number;
}

static void player_dial(struct crowd *crowd, size_t number, const char *address) {
    struct player *player = &crowd->players[number];
    struct error err = {0};
    struct agent_dial dial = {address, player->tls, crowd->cluster_id};
    if (agent_links_dial(crowd->links, &dial, &player->link, &err) < 0) {
        player_lost(crowd, number, err.root);
        return;
    }
    remember_link(crowd, player->link, number);
}

// What it is assigned runs.
static void player_report(struct crowd *crowd, size_t number, const struct session_actions *did) {
    AUTO_ARENA arena = {0};
    struct session_event event = {.kind = SESSION_ON_REPORTS};
    struct task_report *reports = ARENA_ARRAY(&arena, struct task_report, did->changed.count);
    for (size_t i = 0; i < did->changed.count; i++) {
        schema_init(&task_report_schema, &reports[i]);
        reports[i].task_id = did->changed.items[i].task.meta.id;
        reports[i].status.state = TASK_RUNNING;
    }
    event.reports.items = reports;
    event.reports.count = did->changed.count;
    player_step(crowd, number, &event);
}

static void player_note(struct crowd *crowd, struct player *player, const struct session_actions *did) {
    bool is_open = player->session.machine.state == SESSION_OPEN;
    crowd->status.open += (size_t)is_open - (size_t)player->is_open;
    crowd->status.opened += did->is_opened;
    player->is_open = is_open;
    if (did->trouble != NULL) {
        crowd->status.troubles++;
        snprintf(crowd->trouble, sizeof crowd->trouble, "%s", did->trouble);
    }
}

static void player_do(struct crowd *crowd, size_t number, const struct session_actions *did) {
    struct player *player = &crowd->players[number];
    player_note(crowd, player, did);
    if (did->hang_up) {
        agent_links_hang_up(crowd->links, TAKE(player->link));
    }
    for (size_t i = 0; i < did->messages.count; i++) {
        const struct session_message *message = &did->messages.items[i];
        (void)agent_links_send(crowd->links, player->link, message->number, message->body);
    }
    if (did->changed.count > 0) {
        crowd->status.told += did->changed.count;
        player_report(crowd, number, did);
    }
    if (did->dial != NULL) {
        player_dial(crowd, number, did->dial);
    }
}

static void player_step(struct crowd *crowd, size_t number, const struct session_event *event) {
    AUTO_ARENA arena = {0};
    struct session_actions did;
    session_step(&crowd->players[number].session, event, clock_mono_ms(), &crowd->prng, &arena, &did);
    player_do(crowd, number, &did);
}

// --- what links say ---

static void on_connected(void *context, uint64_t link) {
    struct crowd *crowd = context;
    player_step(crowd, crowd->by_link[link], &(struct session_event){.kind = SESSION_ON_CONNECTED});
}

static void on_message(void *context, uint64_t link, uint16_t number, struct bytes body) {
    struct crowd *crowd = context;
    struct session_event event = {.kind = SESSION_ON_MESSAGE, .number = number, .body = body};
    player_step(crowd, crowd->by_link[link], &event);
}

static void on_down(void *context, uint64_t link, const char *reason) {
    struct crowd *crowd = context;
    player_lost(crowd, crowd->by_link[link], reason);
}

// --- life ---

static struct tls *make_tls(const struct credentials *credentials) {
    struct tls *tls;
    int rc = tls_new(&(struct tls_options){.credentials = credentials}, &tls, NULL);
    ASSERT(rc == 0);
    return tls;
}

static struct tls *issue_tls(const struct papers *papers, const struct id *node_id) {
    struct credentials credentials = papers_issue(papers, node_id, ROLE_WORKER, clock_unix_ms(), DAY_MS);
    struct tls *tls = make_tls(&credentials);
    credentials_free(&credentials);
    return tls;
}

struct crowd *crowd_new(const struct crowd_options *options) {
    struct crowd *crowd = NEW(struct crowd);
    struct agent_links_options links = {{on_connected, on_message, on_down, NULL, crowd}};
    struct strings managers = {.items = (const char **)(uintptr_t)options->managers};
    while (managers.items[managers.count] != NULL) {
        managers.count++;
    }
    prng_seed(&crowd->prng, options->seed);
    crowd->cluster_id = options->papers != NULL ? options->papers->cluster_id : options->cluster_id;
    crowd->count = options->count;
    crowd->players = xcalloc(options->count, sizeof *crowd->players);
    int rc = agent_links_open(&links, &crowd->links, NULL);
    ASSERT(rc == 0);
    for (size_t i = 0; i < crowd->count; i++) {
        struct player *player = &crowd->players[i];
        player->tls = options->papers != NULL ? issue_tls(options->papers, &options->nodes[i])
                                              : make_tls(&options->credentials[i]);
        session_init(&player->session, &crowd->cluster_id, &options->nodes[i], &managers, clock_mono_ms());
    }
    return crowd;
}

void crowd_free(struct crowd *crowd) {
    agent_links_close(crowd->links);
    for (size_t i = 0; i < crowd->count; i++) {
        session_deinit(&crowd->players[i].session);
        tls_free(crowd->players[i].tls);
    }
    xfree(crowd->players);
    xfree(crowd->by_link);
    xfree(crowd);
}

void crowd_turn(struct crowd *crowd, int timeout_ms) {
    struct pollfd fd = {.fd = agent_links_fd(crowd->links), .events = POLLIN};
    (void)poll(&fd, 1, timeout_ms);
    agent_links_take(crowd->links, 1000);
    int64_t now_ms = clock_mono_ms();
    agent_links_tick(crowd->links, now_ms);
    for (size_t i = 0; i < crowd->count; i++) {
        if (session_wake_ms(&crowd->players[i].session) <= now_ms) {
            player_step(crowd, i, &(struct session_event){.kind = SESSION_ON_TIME});
        }
    }
}

void crowd_cut(struct crowd *crowd, size_t count) {
    for (size_t i = 0; i < count && i < crowd->count; i++) {
        agent_links_hang_up(crowd->links, crowd->players[i].link);
        player_lost(crowd, i, "cut off");
    }
}

struct crowd_status crowd_status(const struct crowd *crowd) {
    struct crowd_status status = crowd->status;
    status.trouble = crowd->trouble;
    return status;
}
