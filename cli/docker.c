// SPDX-License-Identifier: Apache-2.0
//
// cli/docker.c — the page that tells somebody who knows Docker what is the same here.
#include "cli/docker.h"

#include <stdio.h>
#include <string.h>

#include "base/str.h"

#define LINE_COLUMNS 100
#define FLAGS_COLUMN 11

static const struct docker_command {
    const char *words, *flags;
} commands[] = {
#define DOCKER_COMMAND(words, flags) {words, flags},
#define DOCKER_EXCEPT(words, flag, verdict, why)
#include "cli/docker.def"
#undef DOCKER_COMMAND
#undef DOCKER_EXCEPT
};
#define COMMAND_COUNT (sizeof commands / sizeof *commands)

static const struct exception {
    const char *words, *flag;
    enum docker_verdict verdict;
    const char *why;
} exceptions[] = {
#define DOCKER_COMMAND(words, flags)
#define DOCKER_EXCEPT(words, flag, verdict, why) {words, flag, DOCKER_##verdict, why},
#include "cli/docker.def"
#undef DOCKER_COMMAND
#undef DOCKER_EXCEPT
};
#define EXCEPTION_COUNT (sizeof exceptions / sizeof *exceptions)

static const char *const verdict_words[] = {"same", "better", "later", "not"};

static const struct exception *exception_of(const char *words, const char *flag) {
    for (size_t i = 0; i < EXCEPTION_COUNT; i++) {
        if (str_equal(exceptions[i].words, words) && str_equal(exceptions[i].flag, flag)) {
            return &exceptions[i];
        }
    }
    return NULL;
}

static void tell(docker_each_fn each, void *context, const char *words, const char *flag) {
    const struct exception *found = exception_of(words, flag);
    each(context, words, flag, found != NULL ? found->verdict : DOCKER_SAME, found != NULL ? found->why : "");
}

static void each_of_command(const struct docker_command *command, docker_each_fn each, void *context) {
    tell(each, context, command->words, "");
    for (const char *at = command->flags; *at != '\0';) {
        char flag[64];
        size_t len = strcspn(at, " ");
        snprintf(flag, sizeof flag, "%.*s", (int)len, at);
        tell(each, context, command->words, flag);
        at += len + strspn(at + len, " ");
    }
}

void docker_each(docker_each_fn each, void *context) {
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        each_of_command(&commands[i], each, context);
    }
}

// --- what excepts nothing ---

struct search {
    const struct exception *exception;
    bool is_found;
};

static void look(void *context, const char *words, const char *flag, enum docker_verdict verdict,
                 const char *why) {
    struct search *search = context;
    (void)verdict, (void)why;
    search->is_found |=
        str_equal(words, search->exception->words) && str_equal(flag, search->exception->flag);
}

const char *docker_stray_exception(void) {
    for (size_t i = 0; i < EXCEPTION_COUNT; i++) {
        struct search search = {.exception = &exceptions[i]};
        docker_each(look, &search);
        if (!search.is_found) {
            return exceptions[i].words;
        }
    }
    return NULL;
}

// --- the page ---

struct page {
    struct buf *out;
    size_t column;
    bool is_refused; // the command itself: its flags need no words
};

// What is the same stands together; what is not has a line of its own, with its reason.
static void add_same(struct page *page, const char *flag) {
    size_t columns = strlen(flag) + strlen(" --");
    if (page->column == 0 || page->column + columns > LINE_COLUMNS) {
        buf_addf(page->out, "\n  %-*s", FLAGS_COLUMN - 3, verdict_words[DOCKER_SAME]);
        page->column = FLAGS_COLUMN;
    }
    buf_addf(page->out, " --%s", flag);
    page->column += columns;
}

static void add_row(void *context, const char *words, const char *flag, enum docker_verdict verdict,
                    const char *why) {
    struct page *page = context;
    if (flag[0] == '\0') {
        buf_addf(page->out, "%sdocker %s: %s%s%s", page->out->len > 0 ? "\n" : "", words,
                 verdict_words[verdict], why[0] != '\0' ? ", " : "", why);
        page->column = 0;
        page->is_refused = verdict == DOCKER_NOT;
    } else if (verdict == DOCKER_SAME && !page->is_refused) {
        add_same(page, flag);
    }
}

static void add_exception(void *context, const char *words, const char *flag, enum docker_verdict verdict,
                          const char *why) {
    (void)words;
    if (flag[0] != '\0' && verdict != DOCKER_SAME) {
        buf_addf(context, "\n  %-*s --%s: %s", FLAGS_COLUMN - 3, verdict_words[verdict], flag, why);
    }
}

void docker_page(struct buf *out) {
    struct page page = {.out = out};
    buf_adds(out,
             "Docker's commands, with muster in the place of docker. same: means what Docker means by it; "
             "better: and more;\nlater: known, does not act (yet); not: unknown here, with the reason.\n");
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        each_of_command(&commands[i], add_row, &page);
        if (!page.is_refused) {
            each_of_command(&commands[i], add_exception, out);
        }
        buf_addc(out, '\n');
    }
}
