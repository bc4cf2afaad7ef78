// SPDX-License-Identifier: Apache-2.0
//
// reconciler/daemon/roles.c — manager or worker: found at the start, and held against the certificate since.
#include "reconciler/daemon/roles.h"

#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "reconciler/agent/managers_file.h"
#include "reconciler/daemon/certificates.h"
#include "reconciler/daemon/daemon.h"
#include "reconciler/store/group_card.h"

#define AGAIN_MS 5000 // who is let into no group may be no manager any more, and asks

// --- files ---

void roles_keep_managers(const struct daemon *daemon, const struct strings *addresses) {
    AUTO_ARENA arena = arena_make(0);
    const char *state_dir = daemon->options->state_dir;
    const struct managers_file file = {.cluster_id = daemon->group.cluster_id, .addresses = *addresses};
    struct managers_file kept;
    struct error err = {0};
    if (addresses->count == 0 || id_is_none(&file.cluster_id)) {
        return;
    }
    bool is_same = managers_file_read(state_dir, &kept, &arena, NULL) == 0 &&
                   id_equal(&kept.cluster_id, &file.cluster_id) && kept.addresses.count == addresses->count;
    for (size_t i = 0; is_same && i < addresses->count; i++) {
        is_same = str_equal(kept.addresses.items[i], addresses->items[i]);
    }
    if (!is_same && managers_file_write(state_dir, &file, &err) < 0) {
        log_failure(LOG_ERROR, "session.managers", &err, LOG_NONE);
    }
}

// The cluster of the file, and what this node's certificate says that it is there. -ERR_NOT_FOUND: it is in
// none.
static int find(struct daemon *daemon, struct managers_file *out, enum node_role *out_role,
                struct arena *arena, struct error *err) {
    int rc = managers_file_read(daemon->options->state_dir, out, arena, err);
    rc = rc < 0 ? rc : passport_load(daemon, &out->cluster_id, err);
    if (rc == 0) {
        *out_role = daemon->group.passport.identity.role;
    }
    return rc;
}

bool roles_is_worker(struct daemon *daemon) {
    AUTO_ARENA arena = arena_make(0);
    struct managers_file file;
    enum node_role role = ROLE_MANAGER;
    return find(daemon, &file, &role, &arena, NULL) == 0 && role == ROLE_WORKER;
}

// --- at the start ---

static void begin_anew(struct daemon *daemon, enum node_role role) {
    log_event(LOG_INFO, "node.role", LOG_STR("role", node_role_names[role]));
    daemon->must_stop = daemon->begins_anew = true;
    daemon->discards_store = role == ROLE_WORKER;
}

static int ask_for_group(struct daemon *daemon, const struct managers_file *file, struct error *err) {
    const struct joining_order order = {.remotes = &file->addresses, .cluster_id = file->cluster_id};
    return joining_start(daemon, &order, err);
}

// What only managers have to know.
static void forget_group(const struct daemon *daemon, const struct id *cluster_id) {
    AUTO_FREE char *dir = certificates_dir(daemon->options->state_dir, cluster_id);
    AUTO_FREE char *key = xasprintf("%s/seal.key", dir);
    AUTO_FREE char *card = xasprintf("%s/store/" GROUP_CARD_FILE, daemon->options->state_dir);
    (void)unlink(key);
    (void)unlink(card);
}

static int begin_as(struct daemon *daemon, enum node_role role, const struct managers_file *file,
                    struct error *err) {
    if (role == ROLE_MANAGER) {
        return ask_for_group(daemon, file, err);
    }
    forget_group(daemon, &file->cluster_id);
    group_introduce(daemon, &file->cluster_id, 0);
    return worker_start(daemon, &file->cluster_id, err);
}

int roles_begin(struct daemon *daemon, struct error *err) {
    AUTO_ARENA arena = arena_make(0);
    struct managers_file file;
    struct error why = {0};
    enum node_role role = ROLE_WORKER;
    if (daemon->group.peers == NULL || daemon->group.leaving != NULL || daemon->group.joining != NULL) {
        return 0;
    }
    int rc = find(daemon, &file, &role, &arena, &why);
    bool has_group = replica_has_group(daemon->replica);
    if (rc < 0) {
        if (rc != -ERR_NOT_FOUND && !has_group) {
            log_failure(LOG_ERROR, "node.role", &why, LOG_NONE);
        }
        return 0;
    }
    if (has_group && role == ROLE_WORKER) { // killed before the store was put away
        begin_anew(daemon, role);
        return 0;
    }
    return has_group ? 0 : begin_as(daemon, role, &file, err);
}

// --- since then ---

// Members refuse it: what it is now, the leader knows.
static void ask_what_it_is(struct daemon *daemon) {
    struct group *group = &daemon->group;
    const char *serial = group->passport.identity.serial;
    if (!passport_is_there(&group->passport) ||
        (group->asked_with[0] != '\0' && group->renewal.refused == ERR_DENIED)) {
        group->is_removed = true;
    } else if (group->asked_with[0] == '\0') {
        (void)str_copy(group->asked_with, sizeof group->asked_with, serial);
        group->renewal.refused = ERR_NONE;
        renewal_hurry(daemon);
    } else if (!str_equal(group->asked_with, serial)) { // that is the answer
        group->asked_with[0] = '\0';
        group->must_ask_role = group->is_refused = false;
    }
}

// Let into no group though it has a manager's certificate: it may have been demoted since it got that.
static void ask_again(struct daemon *daemon) {
    struct group *group = &daemon->group;
    AUTO_ARENA arena = arena_make(0);
    struct managers_file file;
    struct error err = {0};
    if (daemon->now.mono_ms < group->role_mono_ms) {
        return;
    }
    bool is_first = group->role_mono_ms == 0;
    group->role_mono_ms = daemon->now.mono_ms + AGAIN_MS;
    renewal_hurry(daemon);
    if (!is_first && managers_file_read(daemon->options->state_dir, &file, &arena, &err) == 0 &&
        ask_for_group(daemon, &file, &err) < 0) {
        log_failure(LOG_WARN, "cluster.refused", &err, LOG_NONE);
    }
}

void roles_step(struct daemon *daemon) {
    struct group *group = &daemon->group;
    bool has_group = replica_has_group(daemon->replica);
    if (group->leaving != NULL || group->joining != NULL || daemon->must_stop) {
        return;
    }
    if (group->must_ask_role && !worker_is(daemon)) {
        ask_what_it_is(daemon);
    }
    if (!passport_is_there(&group->passport)) {
        return;
    }
    enum node_role role = group->passport.identity.role;
    if ((role == ROLE_WORKER && !worker_is(daemon)) || (role == ROLE_MANAGER && worker_is(daemon))) {
        begin_anew(daemon, role);
    } else if (role == ROLE_MANAGER && !has_group && !daemon_is_initialized(daemon)) {
        ask_again(daemon);
    }
}
