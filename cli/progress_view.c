// SPDX-License-Identifier: Apache-2.0
//
// cli/progress_view.c — the picture of a change under way: bars, counts, reasons.
//
// One service is shown as Docker shows it, a bar for each task, up to SLOTS_SHOWN; with more, counts of
// states and the worst few. Several services have a line each. What does not fit in half the screen is
// counted.
#include <string.h>

#include "base/str.h"
#include "cli/progress_model.h"

#define SLOTS_SHOWN 20
#define WORST_SHOWN 5
#define BAR_COLUMNS 50
#define SMALL_BAR_COLUMNS 20

struct view {
    const struct progress *progress;
    int columns, lines_left;
    bool color;
    int64_t now_mono_ms;
    struct buf *out;
};

// One line, cut at the terminal's width, so that redrawing knows how many lines there are.
static void add_line(struct view *view, const char *tint, const char *text) {
    AUTO_BUF safe = {0};
    str_escape(&safe, text, strlen(text), /* keep_newlines= */ false);
    bool has_tint = view->color && tint != NULL;
    buf_addf(view->out, "%s", has_tint ? tint : "");
    size_t columns = 0;
    for (const char *p = buf_text(&safe); *p != '\0';) {
        uint32_t codepoint;
        size_t len = str_decode(p, strlen(p), &codepoint);
        len = len > 0 ? len : 1;
        AUTO_BUF one = {0};
        buf_add(&one, p, len);
        columns += str_columns(buf_text(&one));
        if (columns >= (size_t)view->columns) {
            break;
        }
        buf_add(view->out, p, len);
        p += len;
    }
    buf_addf(view->out, "%s\n", has_tint ? "\x1b[0m" : "");
    view->lines_left--;
}

// How far a state is on the way to running, in ninths.
static int step_of(int64_t state) {
    static const int64_t steps[] = {TASK_NEW,       TASK_PENDING, TASK_ASSIGNED, TASK_ACCEPTED,
                                    TASK_PREPARING, TASK_READY,   TASK_STARTING, TASK_RUNNING};
    int step = 1;
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        step = state >= steps[i] ? (int)i + 2 : step;
    }
    return step;
}

static void add_bar(struct buf *out, int64_t part, int64_t whole, int columns) {
    int64_t filled = whole > 0 ? part * columns / whole : columns;
    filled = filled > columns ? columns : filled;
    buf_addc(out, '[');
    buf_pad(out, '=', filled > 0 ? (size_t)filled - 1 : 0);
    buf_adds(out, filled > 0 ? ">" : "");
    buf_pad(out, ' ', (size_t)(columns - filled));
    buf_addc(out, ']');
}

static const char *tint_of(const struct progress *progress, const struct progress_service *service,
                           const struct progress_task *task) {
    if (progress_task_counts(progress, service, task)) {
        return "\x1b[32m";
    }
    return task->state == TASK_FAILED || task->state == TASK_REJECTED ? "\x1b[31m" : "\x1b[33m";
}

static bool says_why(const struct progress_task *task) {
    bool is_over = task->state == TASK_FAILED || task->state == TASK_REJECTED;
    return (is_over || task->state == TASK_PENDING) && task->text[0] != '\0';
}

static void add_slot(struct view *view, const struct progress_service *service,
                     const struct progress_task *task) {
    AUTO_BUF line = {0};
    if (task->slot > 0) {
        buf_addf(&line, "%lld/%lld: ", (long long)task->slot, (long long)service->wanted);
    } else {
        const struct progress_node *node = map_get(&view->progress->nodes, task->node_id.text);
        buf_addf(&line, "%s: ", node != NULL ? node->node.spec.name : "?");
    }
    if (says_why(task)) {
        buf_addf(&line, "%s: %s", task_state_name(task->state), task->text);
    } else {
        bool is_over = task_state_is_over(task->state);
        bool is_old = progress_task_is_old(service, task) || (task->desired > TASK_RUNNING && !is_over);
        const char *word = is_old && !is_over ? "stopping" : task_state_name(task->state);
        buf_addf(&line, "%-10s", word);
        int64_t shown = task->state == TASK_COMPLETE ? TASK_RUNNING : task->state;
        add_bar(&line, step_of(shown > TASK_RUNNING || is_old ? TASK_NEW : shown), 9, BAR_COLUMNS);
    }
    add_line(view, tint_of(view->progress, service, task), buf_text(&line));
}

static void add_states(struct view *view, const struct progress_slots *slots) {
    // tidy: table
    static const int64_t states[] = {
#define X(name, number, word, over) number,
        TASK_STATE_LIST(X)
#undef X
    };
    AUTO_BUF line = {0};
    for (size_t s = 0; s < sizeof states / sizeof *states; s++) {
        int64_t count = 0;
        for (size_t i = 0; i < slots->count; i++) {
            count += slots->items[i]->state == states[s];
        }
        if (count > 0) {
            buf_addf(&line, "%s%s %lld", line.len > 0 ? ", " : "", task_state_name(states[s]),
                     (long long)count);
        }
    }
    add_line(view, NULL, buf_text(&line));
}

static void add_slots(struct view *view, const struct progress_service *service) {
    AUTO_ARENA arena = {0};
    struct progress_slots slots = progress_slots_of(view->progress, service, &arena);
    int room = view->lines_left - 1; // the last line says what it waits for
    bool is_folded = slots.count > SLOTS_SHOWN || (int)slots.count > room;
    int shown = 0;
    if (is_folded) {
        add_states(view, &slots);
        room = room - 1 < WORST_SHOWN ? room - 1 : WORST_SHOWN;
    }
    for (size_t i = 0; i < slots.count && shown < room; i++) {
        if (!is_folded || says_why(slots.items[i])) {
            add_slot(view, service, slots.items[i]);
            shown++;
        }
    }
}

static int64_t seconds_left(const struct view *view, const struct progress_service *service) {
    int64_t until = service->stable_since_mono_ms + progress_monitor_ms(view->progress, service);
    return (until - view->now_mono_ms + 999) / 1000;
}

static void add_job_counts(struct view *view, const struct progress_service *service) {
    AUTO_BUF line = {0};
    const struct deploy *deploy = &service->service.spec.deploy;
    int64_t left = service->wanted - service->finished;
    bool is_bounded = deploy->max_concurrent > 0 && deploy->max_concurrent < left;
    buf_addf(&line, "job progress: %lld out of %lld complete ", (long long)service->finished,
             (long long)service->wanted);
    add_bar(&line, service->finished, service->wanted, BAR_COLUMNS);
    add_line(view, NULL, buf_text(&line));
    buf_clear(&line);
    buf_addf(&line, "active tasks: %lld out of %lld tasks", (long long)service->live,
             (long long)(is_bounded ? deploy->max_concurrent : left));
    add_line(view, NULL, buf_text(&line));
}

static void add_counts(struct view *view, const struct progress_service *service) {
    AUTO_BUF line = {0};
    bool is_back = service->service.update_status.state == UPDATE_ROLLBACK_STARTED;
    buf_addf(&line, "%s: %lld out of %lld tasks",
             is_back ? "overall progress: rolling back update" : "overall progress",
             (long long)(service->running + service->finished), (long long)service->wanted);
    add_line(view, NULL, buf_text(&line));
}

static void view_one(struct view *view, const struct progress_service *service) {
    AUTO_BUF line = {0};
    bool is_job = progress_is_job(service);
    (is_job ? add_job_counts : add_counts)(view, service);
    add_slots(view, service);
    if (service->verdict == PROGRESS_GOING && service->stable_since_mono_ms > 0) {
        buf_addf(&line, "verify: Waiting %lld seconds to verify that tasks are stable...",
                 (long long)seconds_left(view, service));
    } else if (service->verdict == PROGRESS_CONVERGED && is_job) {
        buf_adds(&line, progress_is_scheduled(service) ? "scheduled" : "job complete");
    } else if (service->verdict == PROGRESS_CONVERGED) {
        buf_addf(&line, "verify: Service %s converged", service->target.name);
    } else if (progress_rollout_waits(service) != NULL) {
        buf_adds(&line, progress_rollout_waits(service));
    } else if (service->surplus > 0) {
        buf_addf(&line, "%lld task%s to stop", (long long)service->surplus, service->surplus == 1 ? "" : "s");
    }
    if (line.len > 0) {
        add_line(view, NULL, buf_text(&line));
    }
}

static void add_reason(const struct progress *progress, const struct progress_service *service,
                       struct buf *out) {
    const struct progress_task *task = progress_culprit(service);
    if (task != NULL) {
        buf_adds(out, "  ");
        progress_task_name(progress, service, task, out);
        buf_addf(out, " %s: %s", task_state_name(task->state), task->text);
    } else if (service->surplus > 0) {
        buf_addf(out, "  %lld to stop", (long long)service->surplus);
    }
}

static void view_row(struct view *view, const struct progress_service *service, size_t widest) {
    AUTO_BUF line = {0};
    buf_adds(&line, service->target.name);
    buf_pad(&line, ' ', widest + 2 - str_columns(service->target.name));
    int64_t there = service->finished + (progress_is_job(service) ? 0 : service->running);
    buf_addf(&line, "%3lld/%-3lld ", (long long)there, (long long)service->wanted);
    add_bar(&line, there, service->wanted, SMALL_BAR_COLUMNS);
    bool is_verifying = service->verdict == PROGRESS_GOING && service->stable_since_mono_ms > 0;
    if (service->verdict == PROGRESS_CONVERGED) {
        buf_adds(&line, progress_is_job(service) ? "  job complete" : "  converged");
    } else if (is_verifying) {
        buf_addf(&line, "  verifying, %lld s", (long long)seconds_left(view, service));
    } else {
        add_reason(view->progress, service, &line);
    }
    bool is_done = service->verdict == PROGRESS_CONVERGED;
    const char *tint = is_done ? "\x1b[32m" : progress_culprit(service) != NULL ? "\x1b[31m" : "\x1b[33m";
    add_line(view, tint, buf_text(&line));
}

// Those that have not converged come first: they are what one waits for.
static void view_many(struct view *view) {
    const struct progress *progress = view->progress;
    size_t widest = 0;
    size_t shown = 0;
    size_t converged = 0;
    for (size_t i = 0; i < progress->count; i++) {
        size_t columns = str_columns(progress->services[i]->target.name);
        widest = columns > widest ? columns : widest;
        converged += progress->services[i]->verdict == PROGRESS_CONVERGED;
    }
    bool fits = progress->count <= (size_t)view->lines_left;
    int room = fits ? view->lines_left : view->lines_left - 1;
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < progress->count && (int)shown < room; i++) {
            bool is_done = progress->services[i]->verdict == PROGRESS_CONVERGED;
            if (fits ? pass == 0 : is_done == (pass == 1)) {
                view_row(view, progress->services[i], widest);
                shown++;
            }
        }
    }
    if (!fits) {
        AUTO_BUF line = {0};
        buf_addf(&line, "… and %zu more; %zu of %zu services converged", progress->count - shown, converged,
                 progress->count);
        add_line(view, NULL, buf_text(&line));
    }
}

void progress_block(const struct progress *progress, int columns, int lines, bool color, int64_t now_mono_ms,
                    struct buf *out) {
    int room = lines / 2 > 3 ? lines / 2 : 3;
    struct view view = {.progress = progress,
                        .columns = columns > 20 ? columns : 20,
                        .lines_left = room,
                        .color = color,
                        .now_mono_ms = now_mono_ms,
                        .out = out};
    if (progress->count == 1) {
        view_one(&view, progress->services[0]);
    } else {
        view_many(&view);
    }
}

static void add_summary(const struct progress *progress, const struct progress_service *service,
                        struct buf *out) {
    bool is_job = progress_is_job(service);
    buf_addf(out, "%s: %lld of %lld %s", service->target.name,
             (long long)(is_job ? service->finished : service->running), (long long)service->wanted,
             is_job ? "complete" : "running");
    if (service->finished > 0 && !is_job) {
        buf_addf(out, ", %lld finished", (long long)service->finished);
    }
    const struct update_status *status = &service->service.update_status;
    if (service->verdict != PROGRESS_CONVERGED) {
        const struct progress_task *task = progress_culprit(service);
        bool is_over = service->verdict != PROGRESS_GOING && !str_is_empty(status->message);
        bool is_told = is_over || progress_rollout_waits(service) != NULL;
        buf_addf(out, "%s%s", is_told ? "; " : "", is_told ? status->message : "");
        if (task != NULL) {
            buf_adds(out, "; ");
            progress_task_name(progress, service, task, out);
            buf_addf(out, " %s: %s", task_state_name(task->state), task->text);
        }
    }
}

void progress_summary(const struct progress *progress, struct buf *out) {
    for (size_t i = 0; i < progress->count; i++) {
        AUTO_BUF line = {0};
        add_summary(progress, progress->services[i], &line);
        str_escape(out, buf_text(&line), line.len, /* keep_newlines= */ false);
        buf_addc(out, '\n');
    }
}

void progress_reasons(const struct progress *progress, struct buf *out) {
    bool is_first = true;
    for (size_t i = 0; i < progress->count; i++) {
        if (progress->services[i]->verdict != PROGRESS_CONVERGED) {
            buf_adds(out, is_first ? "" : "; ");
            add_summary(progress, progress->services[i], out);
            is_first = false;
        }
    }
}
