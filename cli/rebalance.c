// SPDX-License-Identifier: Apache-2.0
//
// cli/rebalance.c — `rebalance`: running tasks move to nodes that have fewer, or would.
#include <string.h>

#include "base/str.h"
#include "cli/connect.h"
#include "cli/output.h"

struct rebalance_args {
    bool plan;
};
static const struct option_row rebalance_options[] = {
    OPT_FLAG(struct rebalance_args, plan, "plan", '\0', .help = "Show what would move, move nothing"),
};

static void add_safe(struct buf *out, const char *text) {
    str_escape(out, text, strlen(text), /* keep_newlines= */ false);
}

static void add_moves(const struct rebalance_service *service, struct buf *out) {
    for (size_t i = 0; i < service->moves.count; i++) {
        const struct rebalance_move *move = &service->moves.items[i];
        const char *const words[] = {"  ",     move->task, ": ",      move->from, " -> ",
                                     move->to, "  (",      move->why, ")\n"};
        for (size_t j = 0; j < sizeof words / sizeof *words; j++) {
            if (j % 2 == 1) {
                add_safe(out, words[j]);
            } else {
                buf_adds(out, words[j]);
            }
        }
    }
    for (size_t i = 0; i < service->places.count; i++) {
        const struct rebalance_place *place = &service->places.items[i];
        buf_adds(out, i == 0 ? "  then: " : ", ");
        add_safe(out, place->node);
        buf_addf(out, " %lld", (long long)place->after);
        if (place->after != place->before) {
            buf_addf(out, " (now %lld)", (long long)place->before);
        }
    }
    buf_adds(out, service->places.count > 0 ? "\n" : "");
}

static void rebalance_text(const struct rebalance_reply *reply, bool is_named, struct buf *out) {
    size_t said = 0;
    for (size_t i = 0; i < reply->services.count; i++) {
        const struct rebalance_service *service = &reply->services.items[i];
        if (service->moves.count == 0 && !is_named) {
            continue; // of all services only those that move
        }
        said++;
        add_safe(out, service->name);
        if (service->moves.count > 0) {
            buf_addf(out, ": %zu move%s\n", service->moves.count, service->moves.count == 1 ? "" : "s");
        } else if (service->obstacle[0] != '\0') {
            buf_adds(out, ": not now: ");
            add_safe(out, service->obstacle);
            buf_addc(out, '\n');
        } else {
            buf_adds(out, ": is balanced\n");
        }
        add_moves(service, out);
    }
    if (said == 0) {
        buf_adds(out, "nothing to move\n");
    }
}

static int run_rebalance(struct invocation *in, struct error *err) {
    AUTO_CLIENT *client = NULL;
    AUTO_BUF out = {0};
    struct rebalance_request request;
    struct rebalance_reply *reply = NULL;
    schema_init(&rebalance_request_schema, &request);
    request.references = (struct strings){in->arguments.count, in->arguments.items};
    request.plan_only = ((const struct rebalance_args *)in->args)->plan;
    request.why = in->shared.why;
    int rc = connect_open(in, &client, err);
    rc = rc < 0 ? rc
                : client_call(client, MESSAGE_REBALANCE, &request, MESSAGE_REBALANCE_REPLY, in->arena,
                              (void **)&reply, CONNECT_CALL_MS, err);
    if (rc == 0 && str_equal(in->shared.output, "json")) {
        json_write(&rebalance_reply_schema, reply, JSON_INDENT, TEXT_DEFAULTS, &out);
        buf_addc(&out, '\n');
    } else if (rc == 0 && !in->shared.quiet) {
        rebalance_text(reply, in->arguments.count > 0, &out);
    }
    output_write(&out);
    return rc;
}

static const struct command rows[] = {
    {.name = "rebalance",
     .summary = "Move running tasks to nodes that have fewer",
     .usage = "[SERVICE…]",
     .details =
         "A task moves only where that leaves both nodes better off: from one that has at least two "
         "tasks of the service more than the other, or by what the service prefers to be spread over. "
         "Tasks move as an update replaces them, update_config.parallelism at once, in its order, and "
         "only while all others run; the command does not wait for them. With deploy.rebalance.on_join "
         "a service does the same by itself when a node joins or returns.",
     .example = "muster rebalance --plan\nmuster rebalance web",
     COMMAND_OPTIONS(struct rebalance_args, rebalance_options),
     .shared = SHARED_OUTPUT | SHARED_QUIET | SHARED_WHY,
     .max = COMMAND_MANY,
     .names = NAMES_SERVICE,
     .run = run_rebalance},
};
const struct command_group rebalance_commands = COMMAND_GROUP(NULL, "Change", rows);
