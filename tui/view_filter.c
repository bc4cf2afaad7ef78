// SPDX-License-Identifier: Apache-2.0
//
// tui/view_filter.c — reads filters and asks them. Ages change by themselves, so they are asked each time;
// all else is remembered.
#include "tui/view_filter.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "base/units.h"

static const struct {
    const char *word;
    enum filter_field field;
} fields[] = {
    {"name", FILTER_NAME},       {"state", FILTER_STATE}, {"node", FILTER_NODE},
    {"service", FILTER_SERVICE}, {"image", FILTER_IMAGE}, {"error", FILTER_ERROR},
};

static bool parse_age(struct filter *filter, struct filter_term *term, const char *word) {
    if (!str_starts(word, "age<") && !str_starts(word, "age>")) {
        return false;
    }
    int64_t ns;
    if (!units_parse_duration(word + 4, &ns)) {
        snprintf(filter->problem, sizeof filter->problem, "'%.40s': write a duration, as in age<5m", word);
        return true;
    }
    *term = (struct filter_term){FILTER_AGE, .is_less = word[3] == '<', .ms = ns / NS_PER_MS, .word = ""};
    filter->count++;
    return true;
}

static void parse_word(struct filter *filter, char *word) {
    struct filter_term *term = &filter->terms[filter->count];
    if (parse_age(filter, term, word)) {
        return;
    }
    *term = (struct filter_term){.is_not = word[0] == '!'};
    term->word = word + term->is_not;
    char *colon = strchr(word, ':');
    for (size_t i = 0; colon != NULL && i < sizeof fields / sizeof *fields; i++) {
        size_t len = strlen(fields[i].word);
        if (strncmp(term->word, fields[i].word, len) == 0 && term->word + len == colon) {
            term->field = fields[i].field;
            term->word = colon + 1;
            break;
        }
    }
    filter->count += term->word[0] != '\0';
}

void filter_parse(struct filter *filter, uint64_t serial) {
    filter->serial = serial;
    filter->count = 0;
    filter->problem[0] = '\0';
    memcpy(filter->words, filter->text, sizeof filter->words);
    for (char *at = filter->words; *at != '\0' && filter->count < FILTER_TERMS_MAX;) {
        at += strspn(at, " ");
        char *end = at + strcspn(at, " ");
        bool is_last = *end == '\0';
        *end = '\0';
        if (at < end) {
            parse_word(filter, at);
        }
        at = is_last ? end : end + 1;
    }
}

static bool contains(const char *text, const char *word) {
    return text != NULL && strcasestr(text, word) != NULL;
}

static const char *row_service_name(const struct model_row *row) {
    return row->kind == MODEL_SERVICES ? row->label : row->service != NULL ? row->service->label : "";
}

static bool term_finds(const struct filter_term *term, const struct model_row *row) {
    const char *node = row->kind == MODEL_TASKS   ? view_node_name(row)
                       : row->kind == MODEL_NODES ? row->label
                                                  : "";
    const char *in[] = {
        [FILTER_NAME] = row->label,
        [FILTER_STATE] = view_badge(row).word,
        [FILTER_NODE] = node,
        [FILTER_SERVICE] = row_service_name(row),
        [FILTER_IMAGE] = view_image(row),
        [FILTER_ERROR] = view_remark(row),
    };
    if (term->field != FILTER_ANY) {
        return contains(in[term->field], term->word);
    }
    for (size_t i = FILTER_NAME; i < sizeof in / sizeof *in; i++) {
        if (contains(in[i], term->word)) {
            return true;
        }
    }
    return str_starts(row->id.text, term->word);
}

static int64_t row_age_ms(const struct model_row *row, const struct view_env *env) {
    int64_t since = row->kind == MODEL_TASKS   ? row_task(row)->status.since_unix_ms
                    : row->kind == MODEL_NODES ? row_node(row)->status.since_unix_ms
                                               : row_service(row)->meta.updated_unix_ms;
    return env->now_unix_ms - since;
}

bool filter_match(const struct filter *filter, struct model_row *row, const struct view_env *env) {
    bool remembers = row->match == filter->serial;
    bool is_match = !remembers || row->is_match;
    bool is_young = true;
    for (size_t i = 0; i < filter->count; i++) {
        const struct filter_term *term = &filter->terms[i];
        if (term->field == FILTER_AGE) {
            is_young = is_young && (row_age_ms(row, env) < term->ms) == term->is_less;
        } else if (!remembers && is_match) {
            is_match = term_finds(term, row) != term->is_not;
        }
    }
    row->match = filter->serial;
    row->is_match = is_match;
    return is_match && is_young;
}
