// SPDX-License-Identifier: Apache-2.0
//
// cli/wait.c — the watch stream in, the model in the middle, a terminal or a log out; and `muster wait`.
#include "cli/wait.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/str.h"
#include "cli/connect.h"

#define REDRAW_MS 100   // at most ten pictures a second
#define WAKE_MS_MAX 200 // a Ctrl-C that came just before the poll is seen this late

enum how { HOW_NONE, HOW_PLAIN, HOW_TTY };

struct waiting {
    const struct invocation *in;
    struct client *client;
    struct progress *progress;
    enum how how;
    uint64_t conversation;
    bool is_once;      // one look, no waiting
    bool is_caught_up; // the first snapshot is in
    bool is_dirty;     // something changed since the last picture
    int64_t drawn_mono_ms;
    int lines_drawn;
    struct buf drawn; // the block on the screen
};

static volatile sig_atomic_t was_interrupted;

static void on_interrupt(int number) {
    (void)number;
    was_interrupted = 1;
}

struct wait_targets wait_targets_of(const struct applied *applied, struct arena *arena) {
    struct wait_targets targets = {0};
    for (size_t i = 0; i < applied->results.count; i++) {
        const struct apply_result *result = &applied->results.items[i];
        if (result->kind == KIND_SERVICE && result->action != ACTION_REMOVED) {
            *ARENA_PUSH(arena, &targets) =
                (struct progress_target){.service = result->id,
                                         .name = result->name,
                                         .revision = result->revision,
                                         .since = applied->revision,
                                         .is_unchanged = result->action == ACTION_UNCHANGED,
                                         .keeps_tasks = result->action != ACTION_CREATED &&
                                                        result->consequence == CONSEQUENCE_NOTHING};
        }
    }
    return targets;
}

static enum how how_to_show(const struct invocation *in) {
    const char *progress = in->shared.progress;
    if (in->shared.quiet || str_equal(progress, "none")) {
        return HOW_NONE;
    }
    if (str_equal(progress, "tty") || str_equal(progress, "plain")) {
        return progress[0] == 't' ? HOW_TTY : HOW_PLAIN;
    }
    return in->screen.err_is_tty ? HOW_TTY : HOW_PLAIN;
}

// --- showing ---

static void erase(struct waiting *waiting, struct buf *out) {
    if (waiting->lines_drawn > 0) {
        buf_addf(out, "\x1b[%dA\r\x1b[J", waiting->lines_drawn);
    }
    waiting->lines_drawn = 0;
}

static void add_stamped(const struct buf *notes, struct buf *out) {
    char now[32];
    clock_format_rfc3339(clock_unix_ms(), now, sizeof now);
    for (const char *p = buf_text(notes); *p != '\0';) {
        size_t len = strcspn(p, "\n");
        buf_addf(out, "%.19sZ ", now);
        str_escape(out, p, len, /* keep_newlines= */ false);
        buf_addc(out, '\n');
        p += len + (p[len] == '\n');
    }
}

static void show_plain(struct waiting *waiting) {
    AUTO_BUF notes = {0};
    AUTO_BUF out = {0};
    progress_notes(waiting->progress, /* only_failures= */ false, &notes);
    add_stamped(&notes, &out);
    fputs(buf_text(&out), stderr);
}

static void show_block(struct waiting *waiting, int64_t now) {
    AUTO_BUF notes = {0};
    AUTO_BUF block = {0};
    AUTO_BUF out = {0};
    const struct screen *screen = &waiting->in->screen;
    progress_notes(waiting->progress, /* only_failures= */ true, &notes);
    progress_block(waiting->progress, screen->columns, screen->lines, screen->color, now, &block);
    if (notes.len == 0 && str_equal(buf_text(&block), buf_text(&waiting->drawn))) {
        return;
    }
    erase(waiting, &out);
    str_escape(&out, buf_text(&notes), notes.len, /* keep_newlines= */ true);
    for (size_t i = 0; i < block.len; i++) {
        waiting->lines_drawn += block.data[i] == '\n';
    }
    buf_add(&out, buf_text(&block), block.len);
    buf_clear(&waiting->drawn);
    buf_add(&waiting->drawn, buf_text(&block), block.len);
    fputs(buf_text(&out), stderr);
    fflush(stderr);
}

static void show(struct waiting *waiting, int64_t now, bool is_last) {
    if (waiting->how == HOW_PLAIN) {
        show_plain(waiting);
    } else if (waiting->how == HOW_TTY && (is_last || now - waiting->drawn_mono_ms >= REDRAW_MS)) {
        show_block(waiting, now);
        waiting->drawn_mono_ms = now;
    }
}

// --- the stream ---

static int take_events(struct waiting *waiting, struct bytes body, struct error *err) {
    AUTO_ARENA arena = {0};
    struct event_batch batch;
    int rc = wire_decode(&event_batch_schema, body, &batch, &arena, err);
    if (rc == 0 && batch.skipped) {
        progress_forget(waiting->progress);
    }
    for (size_t i = 0; rc == 0 && i < batch.events.count; i++) {
        rc = progress_event(waiting->progress, &batch.events.items[i], err);
    }
    waiting->is_caught_up = waiting->is_caught_up || (rc == 0 && batch.caught_up);
    return error_wrap(err, rc, "read the stream of events");
}

// One frame, or the time is over. Outcome CLIENT_TIMEOUT.
static int take_frame(struct waiting *waiting, int64_t timeout_ms, struct error *err) {
    struct client_frame frame;
    int rc = client_next(waiting->client, timeout_ms, &frame, err);
    if (rc != 0 || frame.conversation != waiting->conversation) {
        return rc;
    }
    if (frame.number == MESSAGE_FAILURE) {
        return client_failure(&frame, err);
    }
    if (frame.number == MESSAGE_DONE) {
        return error_set(err, ERR_INTERNAL, "the daemon ended the stream of events");
    }
    return frame.number == MESSAGE_EVENTS ? take_events(waiting, frame.body, err) : 0;
}

static int start_stream(struct waiting *waiting, struct error *err) {
    struct watch_request request;
    schema_init(&watch_request_schema, &request);
    request.kinds = 1 << KIND_SERVICE | 1 << KIND_TASK | 1 << KIND_NODE;
    return client_send(waiting->client, MESSAGE_WATCH, &request, &waiting->conversation, err);
}

// --- the verdict ---

static int end_with(struct waiting *waiting, enum progress_verdict verdict, struct error *err) {
    static const struct {
        enum error_code code;
        const char *words;
    } ends[] = {
        [PROGRESS_STOPPED] = {ERR_STOPPED, "it stopped and will not go on by itself"},
        [PROGRESS_ROLLED_BACK] = {ERR_ROLLED_BACK, "it was rolled back"},
        [PROGRESS_GONE] = {ERR_CONFLICT, "it was removed meanwhile"},
    };
    if (verdict == PROGRESS_CONVERGED) {
        return 0;
    }
    AUTO_BUF reasons = {0};
    progress_reasons(waiting->progress, &reasons);
    return error_set(err, ends[verdict].code, "%s: %s", ends[verdict].words, buf_text(&reasons));
}

static int end_early(struct waiting *waiting, bool is_interrupt, const char *again, struct error *err) {
    AUTO_BUF reasons = {0};
    progress_reasons(waiting->progress, &reasons);
    if (is_interrupt) {
        return error_set(err, ERR_INTERRUPTED, "interrupted; the work goes on, look again with: %s", again);
    }
    return error_set(err, ERR_TIMEOUT, "still going; the work goes on, look again with: %s (%s)", again,
                     reasons.len > 0 ? buf_text(&reasons) : "nothing is known yet");
}

static int64_t next_wake(const struct waiting *waiting, int64_t now, int64_t deadline, int64_t wake) {
    int64_t until = now + WAKE_MS_MAX;
    until = deadline < until ? deadline : until;
    until = wake > 0 && wake < until ? wake : until;
    if (waiting->how == HOW_TTY && waiting->is_dirty && waiting->drawn_mono_ms + REDRAW_MS < until) {
        until = waiting->drawn_mono_ms + REDRAW_MS;
    }
    return until > now ? until - now : 0;
}

static int wait_loop(struct waiting *waiting, int64_t deadline, const char *again, struct error *err) {
    for (;;) {
        int64_t now = clock_mono_ms();
        int64_t wake = 0;
        enum progress_verdict verdict =
            waiting->is_caught_up ? progress_look(waiting->progress, now, &wake) : PROGRESS_GOING;
        bool is_over = verdict != PROGRESS_GOING || now >= deadline || was_interrupted != 0 ||
                       (waiting->is_once && waiting->is_caught_up);
        if (waiting->is_caught_up) {
            show(waiting, now, is_over);
        }
        if (verdict != PROGRESS_GOING) {
            return end_with(waiting, verdict, err);
        }
        if (waiting->is_once && waiting->is_caught_up) {
            return COMMAND_NO;
        }
        if (is_over) {
            return end_early(waiting, was_interrupted != 0, again, err);
        }
        int rc = take_frame(waiting, next_wake(waiting, now, deadline, wake), err);
        waiting->is_dirty = rc == 0;
        while (rc == 0) { // all that is there already, before anything is judged
            rc = take_frame(waiting, 0, err);
        }
        if (rc < 0) {
            return error_wrap(err, rc, "the work goes on, look again with: %s", again);
        }
    }
}

static int wait_for(struct waiting *waiting, const struct wait_targets *targets, int64_t monitor_ns,
                    const char *again, struct error *err) {
    const struct invocation *in = waiting->in;
    int64_t deadline =
        in->shared.timeout_ns > 0 ? clock_mono_ms() + in->shared.timeout_ns / NS_PER_MS : INT64_MAX;
    struct sigaction before;
    struct sigaction action = {.sa_handler = on_interrupt}; // no SA_RESTART: poll must end
    waiting->progress = progress_new(monitor_ns);
    for (size_t i = 0; i < targets->count; i++) {
        progress_add(waiting->progress, &targets->items[i]);
    }
    fflush(stdout); // what was printed before comes before
    was_interrupted = 0;
    sigaction(SIGINT, &action, &before);
    int rc = start_stream(waiting, err);
    rc = rc < 0 ? rc : wait_loop(waiting, deadline, again, err);
    sigaction(SIGINT, &before, NULL);
    client_cancel(waiting->client, waiting->conversation);
    progress_free(waiting->progress);
    buf_free(&waiting->drawn);
    return rc;
}

int wait_converged(const struct invocation *in, struct client *client, const struct wait_targets *targets,
                   int64_t monitor_ns, const char *again, struct error *err) {
    if (targets->count == 0 || in->shared.detach) {
        return 0;
    }
    struct waiting waiting = {.in = in, .client = client, .how = how_to_show(in)};
    return wait_for(&waiting, targets, monitor_ns, again, err);
}

// --- the command ---

struct wait_args {
    const char *until;
    bool once;
};
static const char *const conditions[] = {"converged", "completed", NULL};
static const struct option_row wait_rows[] = {
    OPT_STRING(struct wait_args, until, "for", '\0', .metavar = "CONDITION", .words = conditions,
               .initial = "converged",
               .help = "What to wait for: converged (all tasks run, a job is done), or completed (jobs only)"),
    OPT_FLAG(struct wait_args, once, "once", '\0', .help = "Do not wait: exit status 1 if it is not so yet"),
};

static int check_are_jobs(const struct object_list *services, struct error *err) {
    for (size_t i = 0; i < services->count; i++) {
        const struct service *service = services->items[i];
        if (!mode_is_job(service->spec.deploy.mode)) {
            return error_set(err, ERR_USAGE,
                             "--for completed: %s is no job and never completes: use --for converged",
                             service->spec.name);
        }
    }
    return 0;
}

static int run_wait(struct invocation *in, struct error *err) {
    const struct wait_args *args = in->args;
    AUTO_CLIENT *client = NULL;
    struct object_list services;
    struct wait_targets targets = {0};
    const struct strings names = {in->arguments.count, in->arguments.items};
    int rc = connect_open(in, &client, err);
    rc = rc < 0 ? rc : connect_list(client, KIND_SERVICE, &names, in->arena, &services, err);
    rc = rc == 0 && str_equal(args->until, "completed") ? check_are_jobs(&services, err) : rc;
    for (size_t i = 0; rc == 0 && i < services.count; i++) {
        const struct service *service = services.items[i];
        *ARENA_PUSH(in->arena, &targets) = (struct progress_target){.service = service->meta.id,
                                                                    .name = service->spec.name,
                                                                    .revision = service->revision,
                                                                    .since = INT64_MAX,
                                                                    .is_unchanged = true,
                                                                    .keeps_tasks = true,
                                                                    .wants_run = true};
    }
    if (rc < 0) {
        return rc;
    }
    struct waiting waiting = {.in = in, .client = client, .how = how_to_show(in), .is_once = args->once};
    return wait_for(&waiting, &targets, /* monitor_ns= */ -1, in->path, err);
}

static const struct command rows[] = {
    {.name = "wait",
     .summary = "Wait until services have converged, or jobs are complete",
     .usage = "SERVICE…",
     .details = "Exit status 0: so it is. 6: it stopped and will not go on by itself, a job that failed for "
                "instance. 8: "
                "still going at the end of --timeout; 1: with --once, not yet.",
     .example = "muster wait migrate && muster service update --image shop:2 shop\n"
                "muster wait --for completed --timeout 10m backup",
     COMMAND_OPTIONS(struct wait_args, wait_rows),
     .shared = SHARED_PATIENCE | SHARED_QUIET,
     .min = 1,
     .max = COMMAND_MANY,
     .names = NAMES_SERVICE,
     .run = run_wait},
};
const struct command_group wait_commands = COMMAND_GROUP(NULL, "Look", rows);
