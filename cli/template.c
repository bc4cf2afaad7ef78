// SPDX-License-Identifier: Apache-2.0
//
// cli/template.c — a template becomes a tree of steps, which is then walked for each object.
//
// Model        A step is text, an action, or a block (if, range, with) with two bodies. An action is a
//              pipeline of commands; a command is a list of operands, of which the first may be a function.
//              Values are jansson's, with a reference owned by whoever holds them.
// Limits       NESTING_MAX blocks and parentheses in each other; ARGUMENTS_MAX operands of a command.
#include "cli/template.h"

#include <ctype.h>
#include <string.h>

#include "base/str.h"
#include "cli/template_call.h"

#define NESTING_MAX 32

enum operand_kind {
    OPERAND_TEXT,
    OPERAND_NUMBER,
    OPERAND_BOOL,
    OPERAND_NIL,
    OPERAND_DOT,
    OPERAND_ROOT,
    OPERAND_FUNCTION,
    OPERAND_PIPELINE
};

struct strings_of_path {
    size_t count;
    const char **items;
};
struct pipeline;
struct operand {
    enum operand_kind kind;
    const char *text;
    int64_t number; // BOOL: 0 or 1
    const struct template_function *function;
    struct pipeline *pipeline;
    struct strings_of_path path; // .A.B after DOT, ROOT and PIPELINE
};
struct command_of {
    size_t count;
    struct operand *items;
};
struct pipeline {
    size_t count;
    struct command_of *items;
};

enum step_kind { STEP_TEXT, STEP_ACTION, STEP_IF, STEP_RANGE, STEP_WITH };
struct step;
struct steps {
    size_t count;
    struct step *items;
};
struct step {
    enum step_kind kind;
    const char *text; // TEXT; else the action as written, for messages
    struct pipeline *pipeline;
    struct steps body, otherwise;
};
struct template {
    struct steps steps;
};

// --- reading an action ---

struct parser {
    const char *at;     // in the template
    const char *action; // text of the action in work
    const char *p;      // in it
    struct arena *arena;
    struct error *err;
    int depth;
    bool trim_next; // the last action ended in -}}
};

static int complain(const struct parser *parser, const char *what) {
    return error_set(parser->err, ERR_USAGE, "in the template at {{%s}}: %s", parser->action, what);
}

static void skip_blanks(struct parser *parser) {
    parser->p += strspn(parser->p, " \t\n\r");
}

static char unescaped(char c) {
    static const char from[] = "ntr", to[] = "\n\t\r";
    const char *found = c != '\0' ? strchr(from, c) : NULL;
    return found != NULL ? to[found - from] : c;
}

static int parse_quoted(struct parser *parser, struct operand *out) {
    char quote = *parser->p++;
    AUTO_BUF text = {0};
    for (; *parser->p != quote; parser->p++) {
        if (*parser->p == '\0') {
            return complain(parser, "a quote is left open");
        }
        if (quote == '"' && *parser->p == '\\' && parser->p[1] != '\0') {
            parser->p++;
            buf_addc(&text, unescaped(*parser->p));
        } else {
            buf_addc(&text, *parser->p);
        }
    }
    parser->p++;
    if (!str_is_utf8(buf_text(&text), text.len)) {
        return complain(parser, "a text is not UTF-8");
    }
    *out = (struct operand){.kind = OPERAND_TEXT, .text = arena_strdup(parser->arena, buf_text(&text))};
    return 0;
}

static int parse_path(struct parser *parser, struct operand *out) {
    while (*parser->p == '.' && (isalpha((unsigned char)parser->p[1]) || parser->p[1] == '_')) {
        size_t len = 1;
        while (isalnum((unsigned char)parser->p[1 + len]) || parser->p[1 + len] == '_') {
            len++;
        }
        *ARENA_PUSH(parser->arena, &out->path) = arena_strndup(parser->arena, parser->p + 1, len);
        parser->p += 1 + len;
    }
    return 0;
}

static int parse_word(struct parser *parser, struct operand *out) {
    size_t len = strcspn(parser->p, " \t\n\r|()");
    const char *word = arena_strndup(parser->arena, parser->p, len);
    int64_t number;
    parser->p += len;
    if (str_equal(word, "true") || str_equal(word, "false")) {
        *out = (struct operand){.kind = OPERAND_BOOL, .number = word[0] == 't'};
    } else if (str_equal(word, "nil")) {
        *out = (struct operand){.kind = OPERAND_NIL};
    } else if (str_to_int(word, &number)) {
        *out = (struct operand){.kind = OPERAND_NUMBER, .number = number};
    } else {
        *out = (struct operand){.kind = OPERAND_FUNCTION, .function = template_function_find(word)};
    }
    if (out->kind == OPERAND_FUNCTION && out->function == NULL) {
        AUTO_BUF known = {0};
        template_function_list(&known);
        return complain(parser, arena_printf(parser->arena, "there is no function '%s'; there are: %s", word,
                                             buf_text(&known)));
    }
    return 0;
}

static int parse_pipeline(struct parser *parser, char end, struct pipeline **out);

static int parse_operand(struct parser *parser, struct operand *out) {
    char c = *parser->p;
    if (c == '"' || c == '`') {
        return parse_quoted(parser, out);
    }
    if (c == '(') {
        parser->p++;
        *out = (struct operand){.kind = OPERAND_PIPELINE};
        int rc = parse_pipeline(parser, ')', &out->pipeline);
        parser->p += rc == 0;
        return rc < 0 ? rc : parse_path(parser, out);
    }
    if (c == '$' && (isalpha((unsigned char)parser->p[1]) || parser->p[1] == '_')) {
        return complain(parser, "variables are not supported");
    }
    if (c == '$' || c == '.') {
        *out = (struct operand){.kind = c == '$' ? OPERAND_ROOT : OPERAND_DOT};
        bool is_bare = c == '$' || !(isalpha((unsigned char)parser->p[1]) || parser->p[1] == '_');
        parser->p += is_bare;
        return parse_path(parser, out);
    }
    return c == ')' ? complain(parser, "a bracket too many") : parse_word(parser, out);
}

static int parse_command(struct parser *parser, char end, struct command_of *out) {
    for (skip_blanks(parser); *parser->p != '|' && *parser->p != end && *parser->p != '\0';
         skip_blanks(parser)) {
        struct operand operand = {0};
        int rc = parse_operand(parser, &operand);
        if (rc < 0) {
            return rc;
        }
        if (out->count == TEMPLATE_ARGUMENTS_MAX) {
            return complain(parser, "too many arguments");
        }
        *ARENA_PUSH(parser->arena, out) = operand;
    }
    return out->count > 0 ? 0 : complain(parser, "a value or a function is missing");
}

static int parse_pipeline(struct parser *parser, char end, struct pipeline **out) {
    struct pipeline *pipeline = ARENA_NEW(parser->arena, struct pipeline);
    if (++parser->depth > NESTING_MAX) {
        return complain(parser, "nested too deep");
    }
    for (;;) {
        struct command_of command = {0};
        int rc = parse_command(parser, end, &command);
        if (rc < 0) {
            return rc;
        }
        *ARENA_PUSH(parser->arena, pipeline) = command;
        if (*parser->p != '|') {
            break;
        }
        parser->p++;
    }
    parser->depth--;
    if (*parser->p != end) {
        return complain(parser, end == ')' ? "a bracket is left open" : "a bracket too many");
    }
    *out = pipeline;
    return 0;
}

// --- reading the template ---

static const char *trimmed_left(const char *text) {
    return text + strspn(text, " \t\n\r");
}

static const char *trim_right(char *text) {
    size_t len = strlen(text);
    while (len > 0 && strchr(" \t\n\r", text[len - 1]) != NULL) {
        text[--len] = '\0';
    }
    return text;
}

// The end of an action: "}}" outside of quotes. NULL when there is none.
static const char *action_end(const char *p) {
    char quote = '\0';
    for (; *p != '\0'; p++) {
        if (quote != '\0') {
            if (quote == '"' && *p == '\\' && p[1] != '\0') {
                p++;
            } else if (*p == quote) {
                quote = '\0';
            }
        } else if (*p == '"' || *p == '`') {
            quote = *p;
        } else if (p[0] == '}' && p[1] == '}') {
            return p;
        }
    }
    return NULL;
}

// Text up to the next action, then that action's text, or NULL at the end of the template.
static int next_action(struct parser *parser, struct steps *out, const char **action) {
    const char *open = strstr(parser->at, "{{");
    size_t len = open != NULL ? (size_t)(open - parser->at) : strlen(parser->at);
    char *text = arena_strndup(parser->arena, parser->at, len);
    bool trims_before = open != NULL && open[2] == '-' && isspace((unsigned char)open[3]);
    const char *shown = parser->trim_next ? trimmed_left(text) : text;
    shown = trims_before ? trim_right(arena_strdup(parser->arena, shown)) : shown;
    if (shown[0] != '\0') {
        *ARENA_PUSH(parser->arena, out) = (struct step){.kind = STEP_TEXT, .text = shown};
    }
    parser->trim_next = false;
    *action = NULL;
    parser->at += len;
    if (open == NULL) {
        return 0;
    }
    const char *begin = open + (trims_before ? 3 : 2);
    const char *end = action_end(begin);
    if (end == NULL) {
        return error_set(parser->err, ERR_USAGE, "the template ends inside an action: '%s'", open);
    }
    parser->at = end + 2;
    parser->trim_next = end - begin > 1 && end[-1] == '-' && isspace((unsigned char)end[-2]);
    char *inner = arena_strndup(parser->arena, begin, (size_t)(end - begin) - parser->trim_next);
    trim_right(inner);
    *action = trimmed_left(inner);
    parser->action = *action;
    return 0;
}

static bool word_is(const char *action, const char *word) {
    size_t len = strlen(word);
    return strncmp(action, word, len) == 0 && (action[len] == '\0' || isspace((unsigned char)action[len]));
}

static int parse_expression(struct parser *parser, const char *text, struct step *step) {
    parser->p = text;
    parser->depth = 0;
    step->text = parser->action;
    return parse_pipeline(parser, '\0', &step->pipeline);
}

static int parse_steps(struct parser *parser, int depth, struct steps *out, const char **ended_by);

static int parse_block(struct parser *parser, int depth, enum step_kind kind, const char *expression,
                       struct step *out) {
    *out = (struct step){.kind = kind};
    const char *ended_by = NULL;
    int rc = depth >= NESTING_MAX ? complain(parser, "nested too deep") : 0;
    rc = rc < 0 ? rc : parse_expression(parser, expression, out);
    rc = rc < 0 ? rc : parse_steps(parser, depth + 1, &out->body, &ended_by);
    if (rc == 0 && ended_by != NULL && word_is(ended_by, "else")) {
        const char *rest = trimmed_left(ended_by + strlen("else"));
        if (word_is(rest, "if")) { // the chain shares one {{end}}
            struct step inner;
            rc = parse_block(parser, depth + 1, STEP_IF, rest + strlen("if"), &inner);
            if (rc == 0) {
                *ARENA_PUSH(parser->arena, &out->otherwise) = inner;
            }
            return rc;
        }
        rc = parse_steps(parser, depth + 1, &out->otherwise, &ended_by);
    }
    if (rc == 0 && (ended_by == NULL || !word_is(ended_by, "end"))) {
        return error_set(parser->err, ERR_USAGE, "in the template: {{%s}} has no {{end}}", out->text);
    }
    return rc;
}

static int parse_action(struct parser *parser, int depth, const char *action, struct step *out) {
    static const struct {
        const char *word;
        enum step_kind kind;
    } blocks[] = {{"if", STEP_IF}, {"range", STEP_RANGE}, {"with", STEP_WITH}};
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) {
        if (word_is(action, blocks[i].word)) {
            return parse_block(parser, depth, blocks[i].kind, action + strlen(blocks[i].word), out);
        }
    }
    *out = (struct step){.kind = STEP_ACTION};
    return parse_expression(parser, action, out);
}

static int parse_steps(struct parser *parser, int depth, struct steps *out, const char **ended_by) {
    for (;;) {
        const char *action;
        int rc = next_action(parser, out, &action);
        if (rc < 0 || action == NULL) {
            return rc;
        }
        if (word_is(action, "end") || word_is(action, "else")) {
            *ended_by = action;
            return depth > 0 ? 0 : complain(parser, "there is no block to end");
        }
        struct step step;
        if (str_starts(action, "/*")) {
            continue;
        }
        rc = parse_action(parser, depth, action, &step);
        if (rc < 0) {
            return rc;
        }
        *ARENA_PUSH(parser->arena, out) = step;
    }
}

// As Docker does: what a shell leaves as two characters becomes one.
static const char *with_escapes(const char *text, struct arena *arena) {
    char *out = arena_strdup(arena, text);
    char *to = out;
    for (const char *p = text; *p != '\0'; p++) {
        bool is_escape = p[0] == '\\' && (p[1] == 't' || p[1] == 'n');
        *to++ = is_escape ? unescaped(*++p) : *p;
    }
    *to = '\0';
    return out;
}

int template_parse(const char *text, struct arena *arena, struct template **out, struct error *err) {
    struct parser parser = {.at = with_escapes(text, arena), .arena = arena, .err = err, .action = ""};
    struct template *template = ARENA_NEW(arena, struct template);
    const char *ended_by = NULL;
    int rc = parse_steps(&parser, 0, &template->steps, &ended_by);
    if (rc == 0) {
        *out = template;
    }
    return rc;
}

// --- walking ---

struct walk {
    json_t *root;
    const char *action; // for messages
    struct error *err;
};

static int walk_complain(const struct walk *walk, const char *what) {
    return error_set(walk->err, ERR_USAGE, "in the template at {{%s}}: %s", walk->action, what);
}

static int no_field(const struct walk *walk, json_t *object, const char *name) {
    AUTO_ARENA arena = {0};
    struct strings_of_path known = {0};
    AUTO_BUF list = {0};
    const char *key;
    json_t *value;
    json_object_foreach(object, key, value) {
        *ARENA_PUSH(&arena, &known) = key;
        buf_addf(&list, "%s%s", list.len > 0 ? ", " : "", key);
    }
    if (!json_is_object(object)) {
        return walk_complain(walk, arena_printf(&arena, "'.%s' is asked of what has no fields", name));
    }
    const char *nearest = str_nearest(name, known.items, known.count);
    return walk_complain(
        walk, nearest != NULL
                  ? arena_printf(&arena, "there is no field '.%s': did you mean '.%s'?", name, nearest)
                  : arena_printf(&arena, "there is no field '.%s'; there are: %s", name, buf_text(&list)));
}

// Follows .A.B; takes over the reference to `from`.
static int follow(const struct walk *walk, const struct strings_of_path *path, json_t *from, json_t **out) {
    for (size_t i = 0; i < path->count; i++) {
        json_t *next = json_object_get(from, path->items[i]);
        int rc = next == NULL ? no_field(walk, from, path->items[i]) : 0;
        json_incref(next);
        json_decref(from);
        from = next;
        if (rc < 0) {
            return rc;
        }
    }
    *out = from;
    return 0;
}

static int run_pipeline(const struct walk *walk, const struct pipeline *pipeline, json_t *dot, json_t **out);

static int run_operand(const struct walk *walk, const struct operand *operand, json_t *dot, json_t **out) {
    json_t *value = NULL;
    int rc = 0;
    switch (operand->kind) {
    case OPERAND_TEXT:
        value = json_string(operand->text);
        break;
    case OPERAND_NUMBER:
        value = json_integer(operand->number);
        break;
    case OPERAND_BOOL:
        value = json_boolean(operand->number != 0);
        break;
    case OPERAND_NIL:
        value = json_null();
        break;
    case OPERAND_DOT:
        value = json_incref(dot);
        break;
    case OPERAND_ROOT:
        value = json_incref(walk->root);
        break;
    case OPERAND_PIPELINE:
        rc = run_pipeline(walk, operand->pipeline, dot, &value);
        break;
    case OPERAND_FUNCTION: {
        struct error reason = {0};
        rc = template_function_call(operand->function, NULL, 0, &value, &reason);
        rc = rc < 0 ? walk_complain(walk, reason.root) : 0;
        break;
    }
    }
    return rc < 0 ? rc : follow(walk, &operand->path, value, out);
}

// One command, with the value that came through the pipe (NULL = none) as its last argument.
static int run_command(const struct walk *walk, const struct command_of *command, json_t *dot, json_t *piped,
                       json_t **out) {
    const struct operand *first = &command->items[0];
    bool is_call = first->kind == OPERAND_FUNCTION;
    if (!is_call && (command->count > 1 || piped != NULL)) {
        return walk_complain(walk, "a value takes no arguments: put a function before them");
    }
    if (!is_call) {
        return run_operand(walk, first, dot, out);
    }
    json_t *arguments[TEMPLATE_ARGUMENTS_MAX + 1] = {0};
    size_t count = 0;
    int rc = 0;
    for (size_t i = 1; rc == 0 && i < command->count; i++) {
        rc = run_operand(walk, &command->items[i], dot, &arguments[count]);
        count += rc == 0;
    }
    if (rc == 0 && piped != NULL) {
        arguments[count++] = json_incref(piped);
    }
    if (rc == 0) {
        struct error reason = {0};
        rc = template_function_call(first->function, arguments, count, out, &reason);
        rc = rc < 0 ? walk_complain(walk, reason.root) : 0;
    }
    for (size_t i = 0; i < count; i++) {
        json_decref(arguments[i]);
    }
    return rc;
}

static int run_pipeline(const struct walk *walk, const struct pipeline *pipeline, json_t *dot, json_t **out) {
    json_t *value = NULL;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < pipeline->count; i++) {
        json_t *next = NULL;
        rc = run_command(walk, &pipeline->items[i], dot, value, &next);
        json_decref(value);
        value = next;
    }
    if (rc == 0) {
        *out = value;
    }
    return rc;
}

static int run_steps(struct walk *walk, const struct steps *steps, json_t *dot, struct buf *out);

static int run_range(struct walk *walk, const struct step *step, json_t *value, json_t *dot,
                     struct buf *out) {
    int rc = 0;
    if (json_is_array(value) && json_array_size(value) > 0) {
        for (size_t i = 0; rc == 0 && i < json_array_size(value); i++) {
            rc = run_steps(walk, &step->body, json_array_get(value, i), out);
        }
        return rc;
    }
    if (json_is_object(value) && json_object_size(value) > 0) {
        const char *key;
        json_t *each;
        json_object_foreach(value, key, each) {
            rc = rc < 0 ? rc : run_steps(walk, &step->body, each, out);
        }
        return rc;
    }
    if (template_is_true(value) && !json_is_array(value)) {
        return walk_complain(walk, "range wants a list or a map");
    }
    return run_steps(walk, &step->otherwise, dot, out);
}

static int run_step(struct walk *walk, const struct step *step, json_t *dot, struct buf *out) {
    if (step->kind == STEP_TEXT) {
        buf_adds(out, step->text);
        return 0;
    }
    json_t *value = NULL;
    walk->action = step->text;
    int rc = run_pipeline(walk, step->pipeline, dot, &value);
    if (rc < 0) {
        return rc;
    }
    if (step->kind == STEP_ACTION) {
        template_print(value, out);
    } else if (step->kind == STEP_RANGE) {
        rc = run_range(walk, step, value, dot, out);
    } else if (template_is_true(value)) {
        rc = run_steps(walk, &step->body, step->kind == STEP_WITH ? value : dot, out);
    } else {
        rc = run_steps(walk, &step->otherwise, dot, out);
    }
    json_decref(value);
    return rc;
}

static int run_steps(struct walk *walk, const struct steps *steps, json_t *dot, struct buf *out) {
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < steps->count; i++) {
        rc = run_step(walk, &steps->items[i], dot, out);
    }
    return rc;
}

int template_render(const struct template *template, json_t *data, struct buf *out, struct error *err) {
    struct walk walk = {.root = data, .action = "", .err = err};
    return run_steps(&walk, &template->steps, data, out);
}
