// SPDX-License-Identifier: Apache-2.0
//
// cli/undo.c — `undo` and `rollback`: a change of declared objects is taken back, as a change of its own.
//
// Model        The history holds what each object was before and after. Undoing puts back the specs from before
//              of all objects of one transaction: a change is changed back, what was made is removed, what was
//              removed is made again. It is refused when one of them is no more as that transaction left it,
//              for then it would undo somebody else's work too. Undoing an undo does the change again.
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/str.h"
#include "cli/change.h"
#include "cli/connect.h"
#include "cli/rollout.h"
#include "cli/wait.h"

#define EVENTS_MAX 5000 // of declared objects, the newest
#define FIELDS_SHOWN 8

enum step_kind { STEP_NONE, STEP_CHANGE, STEP_REMOVE, STEP_CREATE };

struct step {
    const struct event *event;
    enum step_kind kind;
    const void *from, *to; // objects; NULL = absent
    const char *name;
};

struct undoing {
    const struct invocation *in;
    struct client *client;
    int64_t wanted; // revision of the store; 0 = the last change
    int64_t first;  // the oldest revision that was read
    LIST_OF(struct step) steps;
};

// --- finding the change ---

static int decode(struct undoing *u, const struct event *event, struct bytes bytes, const void **out,
                  struct error *err) {
    const struct schema *schema = object_schema((enum object_kind)event->kind);
    *out = NULL;
    if (bytes.len == 0 || schema == NULL) {
        return 0;
    }
    void *object = arena_alloc(u->in->arena, schema->bytes);
    struct bytes copy = {arena_copy(u->in->arena, bytes.data, bytes.len), bytes.len};
    int rc = wire_decode(schema, copy, object, u->in->arena, err);
    *out = rc == 0 ? object : NULL;
    return rc;
}

static const void *spec_of(enum object_kind kind, const void *object) {
    return (const char *)object + object_spec_offset(kind);
}

static bool is_leaving(enum object_kind kind, const void *object) {
    return object == NULL || (kind == KIND_SERVICE && ((const struct service *)object)->removing);
}

static enum step_kind kind_of(enum object_kind kind, const void *from, const void *to) {
    if (from == NULL) {
        return STEP_REMOVE;
    }
    if (is_leaving(kind, to)) {
        return is_leaving(kind, from) ? STEP_NONE : STEP_CREATE;
    }
    return schema_equal(object_spec_schema(kind), spec_of(kind, from), spec_of(kind, to)) ? STEP_NONE
                                                                                          : STEP_CHANGE;
}

static int take_event(struct undoing *u, const struct event *event, struct error *err) {
    enum object_kind kind = (enum object_kind)event->kind;
    u->first = u->first == 0 ? event->revision : u->first;
    bool is_asked_for = u->wanted > 0 ? event->revision == u->wanted : !str_starts(event->who, "system:");
    if (!is_asked_for || !object_kind_is_declared(kind)) {
        return 0;
    }
    struct step step = {0};
    int rc = decode(u, event, event->from, &step.from, err);
    rc = rc < 0 ? rc : decode(u, event, event->to, &step.to, err);
    if (rc < 0) {
        return rc;
    }
    step.kind = kind_of(kind, step.from, step.to);
    if (step.kind == STEP_NONE) {
        return 0;
    }
    if (u->steps.count > 0 && u->steps.items[0].event->revision != event->revision) {
        u->steps.count = 0; // of an older one
        u->steps.items = NULL;
    }
    step.event = schema_copy(&event_schema, event, u->in->arena);
    step.name = object_meta_const(step.from != NULL ? step.from : step.to)->name;
    *ARENA_PUSH(u->in->arena, &u->steps) = step;
    return 0;
}

static int take_batch(struct undoing *u, struct bytes body, struct error *err) {
    AUTO_ARENA arena = {0};
    struct event_batch batch;
    int rc = wire_decode(&event_batch_schema, body, &batch, &arena, err);
    for (size_t i = 0; rc == 0 && i < batch.events.count; i++) {
        rc = take_event(u, &batch.events.items[i], err);
    }
    return rc;
}

static int find_change(struct undoing *u, struct error *err) {
    struct history_request request;
    uint64_t conversation;
    schema_init(&history_request_schema, &request);
    request.limit = EVENTS_MAX;
    for (int kind = 1; kind < KIND_END; kind++) {
        request.kinds |= object_kind_is_declared((enum object_kind)kind) ? (int64_t)1 << kind : 0;
    }
    int rc = client_send(u->client, MESSAGE_HISTORY, &request, &conversation, err);
    while (rc >= 0) {
        struct client_frame frame;
        rc = client_next(u->client, CONNECT_CALL_MS, &frame, err);
        if (rc == CLIENT_TIMEOUT) {
            return error_set(err, ERR_UNREACHABLE, "the daemon did not answer in time");
        }
        if (rc != 0 || frame.conversation != conversation) {
            continue;
        }
        if (frame.number == MESSAGE_DONE) {
            break;
        }
        rc = frame.number == MESSAGE_FAILURE  ? client_failure(&frame, err)
             : frame.number == MESSAGE_EVENTS ? take_batch(u, frame.body, err)
                                              : 0;
    }
    if (rc == 0 && u->steps.count == 0 && u->wanted > 0) {
        return error_set(err, ERR_NOT_FOUND,
                         "no change of a declared object at revision %lld that could be undone: the history "
                         "begins at revision %lld (muster log shows it)",
                         (long long)u->wanted, (long long)u->first);
    }
    return rc == 0 && u->steps.count == 0
               ? error_set(err, ERR_NOT_FOUND,
                           "nothing to undo: the history holds no change of a declared object")
               : rc;
}

// --- may it be undone ---

static int find_present(struct undoing *u, const struct step *step, const void **out, struct error *err) {
    void *object = NULL;
    struct error why = {0};
    int rc = connect_get(u->client, (enum object_kind)step->event->kind, step->event->id.text, u->in->arena,
                         &object, &why);
    *out = rc == 0 ? object : NULL;
    if (rc < 0 && rc != -ERR_NOT_FOUND) {
        *err = why;
        return rc;
    }
    return 0;
}

static int refuse(const struct undoing *u, const struct step *step, const char *why, struct error *err) {
    return error_set(err, ERR_CONFLICT, "revision %lld cannot be undone: %s '%s' %s",
                     (long long)u->steps.items[0].event->revision,
                     object_kind_name((enum object_kind)step->event->kind), step->name, why);
}

// What stands there now must be what the change left behind.
static int check_step(struct undoing *u, struct step *step, int64_t *version, struct error *err) {
    enum object_kind kind = (enum object_kind)step->event->kind;
    const void *present;
    int rc = find_present(u, step, &present, err);
    if (rc < 0) {
        return rc;
    }
    if (kind == KIND_SECRET && step->kind != STEP_REMOVE) {
        return refuse(u, step, "is a secret: its value is not handed out again", err);
    }
    if (step->kind == STEP_CREATE) {
        bool is_back = !is_leaving(kind, present);
        return is_back ? refuse(u, step, "is there again", err) : 0;
    }
    if (is_leaving(kind, present)) {
        return refuse(u, step, "was removed since", err);
    }
    if (!schema_equal(object_spec_schema(kind), spec_of(kind, present), spec_of(kind, step->to))) {
        const struct meta *meta = object_meta_const(present);
        return refuse(u, step,
                      arena_printf(u->in->arena, "was changed since, last by %s at revision %lld",
                                   meta->changed_by, (long long)meta->version),
                      err);
    }
    *version = object_meta_const(present)->version;
    return 0;
}

// --- telling, asking ---

static void add_safe(struct buf *out, const char *text) {
    str_escape(out, text, strlen(text), /* keep_newlines= */ false);
}

static void tell_step(const struct undoing *u, const struct step *step, struct buf *out) {
    enum object_kind kind = (enum object_kind)step->event->kind;
    static const char *const words[] = {"", "is changed back", "is removed", "is made again"};
    buf_addf(out, "  %s ", object_kind_name(kind));
    add_safe(out, step->name);
    buf_addf(out, " %s\n", words[step->kind]);
    if (step->kind != STEP_CHANGE) {
        return;
    }
    struct differences differences = {0};
    schema_diff(object_spec_schema(kind), spec_of(kind, step->to), spec_of(kind, step->from), u->in->arena,
                &differences);
    for (size_t i = 0; i < differences.count && i < FIELDS_SHOWN; i++) {
        const struct difference *at = &differences.items[i];
        buf_addf(out, "    %s: ", at->path);
        add_safe(out, at->old_text != NULL ? at->old_text : "(none)");
        buf_adds(out, " -> ");
        add_safe(out, at->new_text != NULL ? at->new_text : "(none)");
        buf_addf(out, "  (%s)\n", consequence_names[at->consequence]);
    }
    if (differences.count > FIELDS_SHOWN) {
        buf_addf(out, "    … and %zu more fields\n", differences.count - FIELDS_SHOWN);
    }
}

static void tell(const struct undoing *u) {
    AUTO_BUF out = {0};
    char when[32];
    const struct event *event = u->steps.items[0].event;
    buf_addf(&out, "undo revision %lld (%s, ", (long long)event->revision,
             clock_format_rfc3339(event->time_unix_ms, when, sizeof when));
    add_safe(&out, event->who);
    buf_adds(&out, event->why[0] != '\0' ? "; " : "");
    add_safe(&out, event->why);
    buf_adds(&out, "):\n");
    for (size_t i = 0; i < u->steps.count; i++) {
        tell_step(u, &u->steps.items[i], &out);
    }
    fputs(buf_text(&out), stderr);
}

static int ask(const struct undoing *u, struct error *err) {
    char answer[16] = "";
    if (u->in->shared.yes) {
        return 0;
    }
    if (isatty(STDIN_FILENO) != 1 || !u->in->screen.err_is_tty) {
        return error_set(err, ERR_GUARD, "nothing is undone without a yes: say --yes");
    }
    fputs("undo it? [y/N] ", stderr);
    if (fgets(answer, sizeof answer, stdin) == NULL || (answer[0] != 'y' && answer[0] != 'Y')) {
        return error_set(err, ERR_GUARD, "nothing was undone");
    }
    return 0;
}

// --- doing ---

static int send_specs(struct undoing *u, const int64_t *versions, struct wait_targets *targets,
                      struct error *err) {
    struct change_set set;
    struct applied *applied;
    int rc = 0;
    change_begin(&set, u->in);
    if (set.request.why[0] == '\0') {
        set.request.why =
            arena_printf(u->in->arena, "undo of revision %lld", (long long)u->steps.items[0].event->revision);
    }
    for (size_t i = 0; rc == 0 && i < u->steps.count; i++) {
        const struct step *step = &u->steps.items[i];
        enum object_kind kind = (enum object_kind)step->event->kind;
        if (step->kind != STEP_REMOVE) {
            const struct schema *schema = object_spec_schema(kind);
            void *spec = schema_copy(schema, spec_of(kind, step->from), u->in->arena);
            const void *before = step->kind == STEP_CHANGE ? spec_of(kind, step->to) : NULL;
            rc = change_add(&set, kind, spec, before, versions[i], err);
        }
    }
    if (rc < 0 || set.request.items.count == 0) {
        return rc;
    }
    rc = change_send(&set, u->client, &applied, err);
    if (rc == 0) {
        *targets = wait_targets_of(applied, u->in->arena);
    }
    return rc;
}

// After the specs: what refers to a made object is gone by then.
static int send_removals(struct undoing *u, struct error *err) {
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < u->steps.count; i++) {
        const struct step *step = &u->steps.items[i];
        const char *name = step->event->id.text;
        struct strings references = {1, &name};
        struct applied *applied;
        if (step->kind == STEP_REMOVE) {
            rc = connect_remove(
                u->client, (enum object_kind)step->event->kind, &references,
                arena_printf(u->in->arena, "undo of revision %lld", (long long)step->event->revision),
                /* force= */ false, u->in->arena, &applied, err);
        }
    }
    return rc;
}

static int read_revision(const struct invocation *in, int64_t *out, struct error *err) {
    *out = 0;
    if (in->arguments.count == 0) {
        return 0;
    }
    const char *text = in->arguments.items[0];
    if (!str_to_int(text + (text[0] == 'r'), out) || *out < 1) {
        return error_set(err, ERR_USAGE, "'%s' is no revision: write 31 or r31, as muster log shows them",
                         text);
    }
    return 0;
}

static int run_undo(struct invocation *in, struct error *err) {
    AUTO_CLIENT *client = NULL;
    struct undoing u = {.in = in};
    struct wait_targets targets = {0};
    int rc = read_revision(in, &u.wanted, err);
    rc = rc < 0 ? rc : connect_open(in, &client, err);
    u.client = client;
    rc = rc < 0 ? rc : find_change(&u, err);
    int64_t *versions = ARENA_ARRAY(in->arena, int64_t, u.steps.count);
    for (size_t i = 0; rc == 0 && i < u.steps.count; i++) {
        rc = check_step(&u, &u.steps.items[i], &versions[i], err);
    }
    if (rc < 0) {
        return rc;
    }
    tell(&u);
    rc = ask(&u, err);
    rc = rc < 0 ? rc : send_specs(&u, versions, &targets, err);
    rc = rc < 0 ? rc : send_removals(&u, err);
    if (rc < 0 || targets.count == 0) {
        return rc;
    }
    const char *again = arena_printf(in->arena, "muster rollout watch %s", targets.items[0].name);
    return wait_converged(in, client, &targets, /* monitor_ns= */ -1, again, err);
}

// tidy: table
static const struct command rows[] = {
    {.name = "undo",
     .summary = "Take back the last change of declared objects, or that of a revision",
     .usage = "[REVISION]",
     .details = "Shows what is to be done and asks; --yes answers. Refused, with names, when something was "
                "changed since, and when the history does not reach back so far. Undoing an undo does the "
                "change again. What tasks did is not undone: data that is gone stays gone.",
     .example = "muster undo\nmuster undo --yes r31",
     .shared = SHARED_WAIT | SHARED_QUIET | SHARED_WHY | SHARED_YES,
     .max = 1,
     .run = run_undo},
    {.name = "rollback",
     .summary = "Go back to the spec a service had before, or to a kept revision",
     .usage = "SERVICE",
     .details = "The same as `muster service rollback`.",
     .example = "muster rollback --to 3 web",
     .options = rollback_rows,
     .option_count = 1,
     .args_bytes = sizeof(struct rollback_args),
     .shared = SHARED_WAIT | SHARED_QUIET | SHARED_WHY,
     .min = 1,
     .max = 1,
     .names = NAMES_SERVICE,
     .run = rollout_run_rollback},
};
const struct command_group undo_commands = COMMAND_GROUP(NULL, "Change", rows);
