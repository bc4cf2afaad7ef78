// SPDX-License-Identifier: Apache-2.0
//
// cli/why.c — `why`: why a task is where it is, with the filter funnel of the real scheduler.
#include <string.h>

#include "base/str.h"
#include "cli/columns.h"
#include "cli/connect.h"

#define REMEDY_NODES_MAX 6

static void add_safe(struct buf *out, const char *text) {
    str_escape(out, text, strlen(text), /* keep_newlines= */ false);
}

static void add_list(const char *title, const struct strings *lines, struct buf *out) {
    if (lines->count > 0) {
        buf_addf(out, "\n%s\n", title);
    }
    for (size_t i = 0; i < lines->count; i++) {
        buf_adds(out, "  ");
        add_safe(out, lines->items[i]);
        buf_addc(out, '\n');
    }
}

static void add_step(const struct funnel_step *step, struct buf *out) {
    AUTO_BUF rule = {0};
    add_safe(&rule, step->rule);
    buf_addf(out, "  %s", buf_text(&rule));
    size_t columns = str_columns(buf_text(&rule));
    buf_pad(out, ' ', columns < 36 ? 36 - columns : 1);
    buf_addf(out, "%4lld left", (long long)step->left);
    if (step->ruled_out > 0) {
        buf_addf(out, ", %lld out (", (long long)step->ruled_out);
        add_safe(out, step->reason);
        buf_addc(out, ')');
    }
    for (size_t i = 0; i < step->nodes.count; i++) {
        buf_adds(out, i == 0 ? ": " : ", ");
        add_safe(out, step->nodes.items[i]);
    }
    if (step->nodes.count > 0 && (int64_t)step->nodes.count < step->ruled_out) {
        buf_addf(out, ", … %lld more", (long long)(step->ruled_out - (int64_t)step->nodes.count));
    }
    buf_addc(out, '\n');
}

static void add_names(const char *title, const struct strings *names, struct buf *out) {
    if (names->count == 0) {
        return;
    }
    buf_addf(out, "\n%s: ", title);
    for (size_t i = 0; i < names->count; i++) {
        buf_adds(out, i > 0 ? ", " : "");
        add_safe(out, names->items[i]);
    }
    buf_addc(out, '\n');
}

static void add_task(const struct task *task, struct buf *out) {
    buf_addf(out, "  task %s, attempt %lld at revision %lld: %s, meant to be %s\n", task->meta.id.text,
             (long long)task->attempt, (long long)task->revision, task_state_name(task->status.state),
             task_state_name(task->desired));
    const char *const texts[] = {task->status.message, task->status.error};
    for (size_t i = 0; i < 2; i++) {
        if (texts[i][0] != '\0') {
            buf_adds(out, "  ");
            add_safe(out, texts[i]);
            buf_addc(out, '\n');
        }
    }
}

// "  node w1 or w3 had the label disk=ssd", "  the service reserved at most 0.70 CPUs (then on w2)"
static void add_remedy(const struct remedy *remedy, struct buf *out) {
    buf_adds(out, remedy->of_service ? "  the service " : "  node ");
    if (remedy->of_service) {
        add_safe(out, remedy->change);
        buf_adds(out, " (then on ");
    }
    for (size_t i = 0; i < remedy->nodes.count && i < REMEDY_NODES_MAX; i++) {
        buf_adds(out, i == 0 ? "" : i + 1 < remedy->nodes.count ? ", " : " or ");
        add_safe(out, remedy->nodes.items[i]);
    }
    if (remedy->nodes.count > REMEDY_NODES_MAX) {
        buf_addf(out, " or one of %zu more", remedy->nodes.count - REMEDY_NODES_MAX);
    }
    buf_adds(out, remedy->of_service ? ")" : " ");
    if (!remedy->of_service) {
        add_safe(out, remedy->change);
    }
    buf_addc(out, '\n');
}

static int why_text(const struct why_reply *why, struct arena *arena, struct buf *out, struct error *err) {
    add_safe(out, why->verdict);
    buf_addc(out, '\n');
    if (why->task.len > 0) {
        struct task task;
        int rc = wire_decode(&task_schema, why->task, &task, arena, err);
        if (rc < 0) {
            return error_wrap(err, rc, "read the daemon's answer");
        }
        add_task(&task, out);
    }
    if (why->funnel.count > 0) {
        buf_adds(out, "\nWhere it could run (each rule, and the nodes it leaves):\n");
    }
    for (size_t i = 0; i < why->funnel.count; i++) {
        add_step(&why->funnel.items[i], out);
    }
    add_names("Nodes that would do", &why->nodes_left, out);
    add_list("What happened, oldest first:", &why->history, out);
    if (why->would_run_if.count > 0) {
        buf_adds(out, "\nIt would run if\n");
    }
    for (size_t i = 0; i < why->would_run_if.count; i++) {
        add_remedy(&why->would_run_if.items[i], out);
    }
    add_list("What would help:", &why->advice, out);
    return 0;
}

static void why_json(const struct why_reply *why, struct buf *out) {
    struct why_reply plain = *why;
    plain.task = plain.service = (struct bytes){0}; // encoded objects say nothing to readers of JSON
    json_write(&why_reply_schema, &plain, JSON_INDENT, TEXT_DEFAULTS | TEXT_STATUS, out);
    buf_addc(out, '\n');
}

static int run_why(struct invocation *in, struct error *err) {
    AUTO_CLIENT *client = NULL;
    AUTO_BUF out = {0};
    struct why_request request;
    struct why_reply *why = NULL;
    schema_init(&why_request_schema, &request);
    request.reference = in->arguments.items[0];
    int rc = connect_open(in, &client, err);
    rc = rc < 0 ? rc
                : client_call(client, MESSAGE_WHY, &request, MESSAGE_WHY_REPLY, in->arena, (void **)&why,
                              CONNECT_CALL_MS, err);
    if (rc == 0 && str_equal(in->shared.output, "json")) {
        why_json(why, &out);
    } else if (rc == 0) {
        rc = why_text(why, in->arena, &out, err);
    }
    output_write(&out);
    return rc;
}

static const struct command rows[] = {
    {.name = "why",
     .summary = "Say why a task or service is where it is",
     .usage = "SERVICE[.SLOT]|TASK",
     .details = "Shows what the task is doing, which rules of the scheduler left which nodes, what happened "
                "in the slot "
                "before, and what would have to change.",
     .example = "muster why web\nmuster why web.3",
     .shared = SHARED_OUTPUT,
     .min = 1,
     .max = 1,
     .names = NAMES_SERVICE,
     .run = run_why},
};
const struct command_group why_commands = COMMAND_GROUP(NULL, "Look", rows);
