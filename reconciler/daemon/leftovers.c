// SPDX-License-Identifier: Apache-2.0
//
// reconciler/daemon/leftovers.c — a look at all revisions every minute in which the store moved.
#include "reconciler/daemon/leftovers.h"

#include "base/log.h"
#include "reconciler/daemon/daemon.h"
#include "reconciler/daemon/decide_content.h"

#define LOOK_MS 60000

static void on_result(void *context, const struct proposal_result *result) {
    struct daemon *daemon = context;
    daemon->leftovers.is_proposed = false;
    if (result->code < 0 && result->code != -ERR_CONFLICT) { // looked for again in a minute
        log_event(LOG_WARN, "contents.leftovers", LOG_STR("error", result->text));
    }
}

static int collect(struct store_read *read, struct decision *decision, struct arena *arena,
                   struct error *err) {
    struct contents contents = {.read = read, .arena = arena, .out = decision};
    int rc = store_count(read, KIND_SECRET) > 0 ? content_collect(&contents, KIND_SECRET, "", err) : 0;
    return rc == 0 && store_count(read, KIND_CONFIG) > 0 ? content_collect(&contents, KIND_CONFIG, "", err)
                                                         : rc;
}

int leftovers_step(struct daemon *daemon, struct error *err) {
    struct leftovers *leftovers = &daemon->leftovers;
    int64_t revision = store_revision(daemon->store);
    if (!daemon->leads || leftovers->is_proposed || daemon->now.mono_ms < leftovers->due_mono_ms ||
        leftovers->looked_revision == revision) {
        return 0;
    }
    AUTO_ARENA arena = arena_make(0);
    struct decision decision = {0};
    struct store_read *read;
    struct error refused = {0};
    schema_init(&transaction_schema, &decision.transaction);
    int rc = store_read_begin(daemon->store, &read, err);
    if (rc < 0) {
        return rc;
    }
    rc = collect(read, &decision, &arena, err);
    store_read_end(read);
    leftovers->due_mono_ms = daemon->now.mono_ms + LOOK_MS;
    leftovers->looked_revision = revision;
    if (rc < 0 || decision.transaction.changes.count == 0) {
        return error_wrap(err, rc, "look for contents that nobody names");
    }
    decision.transaction.who = "system:contents";
    decision.transaction.why = "no revision of a service names it any more";
    decision.transaction.time_unix_ms = daemon->now.unix_ms;
    decision.transaction.only_here = decision.transaction.makes_room = true;
    leftovers->is_proposed =
        proposals_submit(&daemon->proposals, &decision.transaction, on_result, daemon, &refused) == 0;
    return 0;
}
