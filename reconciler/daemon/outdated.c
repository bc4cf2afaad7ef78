// SPDX-License-Identifier: Apache-2.0
//
// reconciler/daemon/outdated.c — the cluster went on without this manager: another one made a group of itself
// by force (alone.c), and this one comes back.
//
// Whom it calls refuses it for its epoch, which is of the past. From then on it says nothing to the others
// and hears none of them, not even those who are of its own epoch: with them it would decide on, and two
// clusters would run the same services. It keeps what it has, in case that the wrong one was forced, and
// its tasks run. What takes it back in is for a person to type. The card of the group keeps that over a
// restart.
#include "base/log.h"
#include "base/str.h"
#include "reconciler/daemon/daemon.h"

bool outdated_is(const struct daemon *daemon) {
    return daemon->group.outdated_by[0] != '\0';
}

int outdated_explain(const struct daemon *daemon, struct error *err) {
    return error_set(
        err, ERR_OUTDATED,
        "the cluster went on without this manager, by force: what this one knows counts no more. "
        "\"muster swarm leave --force\", then \"muster swarm join --token TOKEN %s\", takes it back in",
        daemon->group.outdated_by);
}

void outdated_note(struct daemon *daemon, const char *address) {
    struct group *group = &daemon->group;
    struct error err = {0};
    if (outdated_is(daemon) || str_is_empty(address) ||
        !str_copy(group->outdated_by, sizeof group->outdated_by, address)) {
        return;
    }
    outdated_explain(daemon, &err);
    log_failure(LOG_ERROR, "cluster.outdated", &err, LOG_STR("cluster", group->cluster_id.text));
    group->has_news = true; // links end, and the card is written
}
