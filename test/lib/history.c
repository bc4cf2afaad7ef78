// SPDX-License-Identifier: Apache-2.0
//
// test/lib/history.c — keeping, printing and reading operations.
#include "test/lib/history.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/fs.h"
#include "base/str.h"

#define FILE_BYTES_MAX ((size_t)1 << 30)
#define WORDS_MAX 8

static const char *const kind_names[] = {"write", "read", "cas", "create", "delete"};
static const char *const outcome_names[] = {"ok", "refused", "unknown"};

void history_free(struct history *history) {
    map_free(&history->key_of_name);
    arena_free(&history->arena);
    *history = (struct history){0};
}

size_t history_key(struct history *history, const char *name) {
    size_t found = (size_t)(uintptr_t)map_get(&history->key_of_name, name);
    if (found == 0) {
        const char *kept = arena_strdup(&history->arena, name);
        *ARENA_PUSH(&history->arena, &history->keys) = kept;
        found = history->keys.count;
        map_put(&history->key_of_name, kept, (void *)(uintptr_t)found);
    }
    return found - 1;
}

struct operation *history_note(struct history *history, const struct operation *operation) {
    struct operation *added = ARENA_PUSH(&history->arena, history);
    *added = *operation;
    return added;
}

// --- text ---

static void print_value(int64_t value, struct buf *out) {
    if (value == HISTORY_NONE) {
        buf_adds(out, " none");
    } else {
        buf_addf(out, " %" PRId64, value);
    }
}

void history_print(const struct operation *operation, const char *key, struct buf *out) {
    buf_addf(out, "%" PRId64 " %s %" PRId64, operation->client, key, operation->start_ns);
    if (operation->outcome == OUTCOME_UNKNOWN) {
        buf_adds(out, " -");
    } else {
        buf_addf(out, " %" PRId64, operation->end_ns);
    }
    buf_addf(out, " %s", kind_names[operation->kind]);
    if (operation->kind == OPERATION_CAS) {
        print_value(operation->expected, out);
    }
    if (operation->kind != OPERATION_DELETE) {
        print_value(operation->value, out);
    }
    buf_addf(out, " %s\n", outcome_names[operation->outcome]);
}

struct words {
    size_t count;
    char *items[WORDS_MAX];
};

static void split(char *line, struct words *out) {
    for (char *p = line; *(p += strspn(p, " ")) != '\0' && out->count < WORDS_MAX;) {
        out->items[out->count++] = p;
        p += strcspn(p, " ");
        if (*p != '\0') {
            *p++ = '\0';
        }
    }
}

static bool find_name(const char *const *names, size_t count, const char *word, size_t *out) {
    for (*out = 0; *out < count && !str_equal(names[*out], word); (*out)++) {
    }
    return *out < count;
}

static bool parse_value(const char *word, bool may_be_none, int64_t *out) {
    if (may_be_none && str_equal(word, "none")) {
        *out = HISTORY_NONE;
        return true;
    }
    return str_to_int(word, out) && *out >= 0;
}

static bool parse_interval(const struct words *words, struct operation *operation) {
    if (!str_to_int(words->items[2], &operation->start_ns)) {
        return false;
    }
    if (operation->outcome == OUTCOME_UNKNOWN) {
        operation->end_ns = HISTORY_NEVER;
        return str_equal(words->items[3], "-");
    }
    return str_to_int(words->items[3], &operation->end_ns) && operation->end_ns >= operation->start_ns &&
           operation->end_ns < HISTORY_NEVER;
}

// NULL, or what is wrong.
static const char *parse_words(const struct words *words, struct operation *operation) {
    static const size_t words_of_kind[] = {7, 7, 8, 7, 6};
    size_t kind = 0, outcome = 0;
    if (words->count < 6 || !find_name(kind_names, 5, words->items[4], &kind) ||
        words->count != words_of_kind[kind]) {
        return "not CLIENT KEY START END write|read|cas|create|delete … OUTCOME";
    }
    bool is_read = kind == OPERATION_READ;
    if (!find_name(outcome_names, 3, words->items[words->count - 1], &outcome) ||
        (is_read && outcome != OUTCOME_OK) || (kind == OPERATION_WRITE && outcome == OUTCOME_REFUSED)) {
        return "no outcome that this kind can have";
    }
    operation->kind = (enum operation_kind)kind;
    operation->outcome = (enum operation_outcome)outcome;
    if (!str_to_int(words->items[0], &operation->client) ||
        strlen(words->items[1]) >= HISTORY_KEY_BYTES_MAX) {
        return "not a client's number and a key";
    }
    if (!parse_interval(words, operation)) {
        return "not an interval: START END, and END is - exactly when the outcome is unknown";
    }
    if ((kind == OPERATION_CAS && !parse_value(words->items[5], false, &operation->expected)) ||
        (kind != OPERATION_DELETE &&
         !parse_value(words->items[words->count - 2], is_read, &operation->value))) {
        return "not a value";
    }
    return NULL;
}

int history_parse(struct history *history, const char *text, struct error *err) {
    int line_number = 1;
    for (const char *p = text; *p != '\0'; line_number++) {
        size_t len = strcspn(p, "\n");
        char line[HISTORY_LINE_BYTES_MAX];
        snprintf(line, sizeof line, "%.*s", (int)(len < sizeof line ? len : sizeof line - 1), p);
        struct words words = {0};
        struct operation operation = {0};
        const char *wrong = len >= sizeof line ? "longer than a line may be" : NULL;
        split(line, &words);
        if (wrong == NULL && words.count > 0 && words.items[0][0] != '#') {
            wrong = p[len] == '\n' ? parse_words(&words, &operation) : "cut off: no line end";
            if (wrong == NULL) {
                operation.key = history_key(history, words.items[1]);
                history_note(history, &operation);
            }
        }
        if (wrong != NULL) {
            return error_set(err, ERR_INVALID, "line %d: %s", line_number, wrong);
        }
        p += len + (p[len] == '\n');
    }
    return 0;
}

int history_read(struct history *history, const char *path, struct error *err) {
    AUTO_BUF text = buf_make(FILE_BYTES_MAX + 1);
    int rc = fs_read(AT_FDCWD, path, FILE_BYTES_MAX, &text, err);
    if (rc == 0 && strlen(buf_text(&text)) != text.len) {
        rc = error_set(err, ERR_INVALID, "a zero byte");
    }
    if (rc == 0) {
        rc = history_parse(history, buf_text(&text), err);
    }
    return rc < 0 ? error_wrap(err, rc, "%s", path) : 0;
}
