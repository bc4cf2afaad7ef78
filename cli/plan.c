// SPDX-License-Identifier: Apache-2.0
//
// cli/plan.c — `plan`: what apply would change, and what would come of it: which tasks run on, which are
// replaced, and where they would land.
#include <string.h>

#include "base/str.h"
#include "cli/apply.h"
#include "cli/connect.h"
#include "cli/output.h"

struct plan_args {
    struct declare_source source;
    bool check;
};
static const struct option_row plan_options[] = {
    SOURCE_OPTIONS(struct plan_args),
    OPT_FLAG(struct plan_args, check, "check", '\0', .help = "Exit with 1 when anything would change"),
};

static void add_safe(struct buf *out, const char *text) {
    str_escape(out, text, strlen(text), /* keep_newlines= */ false);
}

static void add_counts(const struct plan_service *service, struct buf *out) {
    const struct {
        int64_t count;
        const char *what;
    } parts[] = {
        {service->replaced, "restarted"},
        {service->created, "new"},
        {service->stopped, "stopped"},
        {service->kept, "untouched"},
    };
    bool any = false;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        if (parts[i].count > 0) {
            buf_addf(out, "%s%lld %s", any ? ", " : "", (long long)parts[i].count, parts[i].what);
            any = true;
            if (i == 0 && service->moved > 0) {
                buf_addf(out, " (%lld on another node)", (long long)service->moved);
            }
        }
    }
    buf_adds(out, any ? "\n" : "no tasks\n");
}

static void add_service(const struct plan_service *service, struct buf *out) {
    buf_adds(out, "service ");
    add_safe(out, service->name);
    buf_adds(out, ": tasks: ");
    add_counts(service, out);
    for (size_t i = 0; i < service->places.count; i++) {
        const struct rebalance_place *place = &service->places.items[i];
        buf_adds(out, i == 0 ? (service->is_cut ? "  on the way: " : "  then on: ") : ", ");
        add_safe(out, place->node);
        buf_addf(out, " %lld", (long long)place->after);
        if (place->after != place->before) {
            buf_addf(out, " (now %lld)", (long long)place->before);
        }
    }
    buf_adds(out, service->places.count > 0 ? "\n" : "");
    if (service->waiting > 0) {
        buf_addf(out, "  %lld without a node: ", (long long)service->waiting);
        add_safe(out, service->reason);
        buf_addc(out, '\n');
    }
}

static int ask(struct client *client, const struct invocation *in, const struct plan_args *args,
               const struct declarations *declared, struct plan_reply **out, struct error *err) {
    struct apply_request request;
    apply_make_request(in, &args->source, declared, /* dry_run= */ true, &request);
    return client_call(client, MESSAGE_PLAN, &request, MESSAGE_PLAN_REPLY, in->arena, (void **)out,
                       CONNECT_CALL_MS, err);
}

static bool changes_anything(const struct plan_reply *reply) {
    for (size_t i = 0; i < reply->results.count; i++) {
        if (reply->results.items[i].action != ACTION_UNCHANGED) {
            return true;
        }
    }
    return false;
}

static void print(const struct invocation *in, const struct comparisons *comparisons,
                  const struct plan_reply *reply) {
    AUTO_BUF out = {0};
    if (str_equal(in->shared.output, "json")) {
        json_write(&plan_reply_schema, reply, JSON_INDENT, TEXT_DEFAULTS, &out);
        buf_addc(&out, '\n');
    } else if (!in->shared.quiet) {
        apply_diff_text(comparisons, in->screen.color, &out);
        for (size_t i = 0; i < reply->services.count; i++) {
            add_service(&reply->services.items[i], &out);
        }
        buf_adds(&out, changes_anything(reply) ? "" : "nothing would change\n");
    }
    output_write(&out);
}

static int run_plan(struct invocation *in, struct error *err) {
    struct plan_args args = *(const struct plan_args *)in->args;
    struct declarations declared = {0};
    struct diagnostics diagnostics = {0};
    struct comparisons comparisons = {0};
    struct plan_reply *reply = NULL;
    AUTO_CLIENT *client = NULL;
    int rc = apply_want_files(in, &args.source, err);
    rc = rc < 0 ? rc : declare_read(in, &args.source, &declared, &diagnostics, err);
    rc = rc < 0 ? rc : connect_open(in, &client, err);
    rc = rc < 0 ? rc
                : declare_compare(client, &args.source, &declared, /* prune= */ false, in->arena,
                                  &comparisons, err);
    rc = rc < 0 ? rc : ask(client, in, &args, &declared, &reply, err);
    if (rc < 0) {
        return rc;
    }
    print(in, &comparisons, reply);
    return args.check && changes_anything(reply) ? COMMAND_NO : 0;
}

static const struct command rows[] = {
    {.name = "plan",
     .summary = "Show what apply would do to tasks, and where they would run",
     .usage = "-f FILE|DIR|-",
     .details =
         "The manager decides as for apply, then follows its own planners and scheduler on paper until "
         "all is done, without writing anything. Shown is each changed field with its consequence, and "
         "of each service how many tasks are restarted, new, stopped or untouched, and on which nodes "
         "they would be then: if all goes well, and nothing else changes meanwhile.",
     .example = "muster plan -f shop.yaml\nmuster plan -f specs/ --check",
     COMMAND_OPTIONS(struct plan_args, plan_options),
     .shared = SHARED_OUTPUT | SHARED_QUIET,
     .max = COMMAND_MANY,
     .names = NAMES_FILE,
     .run = run_plan},
};
const struct command_group plan_commands = COMMAND_GROUP(NULL, "Declare", rows);
