// SPDX-License-Identifier: Apache-2.0
//
// specs/task_template.c — finds {{…}}, knows a word for each, copies the rest.
#include "specs/task_template.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/limits.h"
#include "base/str.h"

// What a text is filled in with. NULL when it is only checked.
struct filling {
    const struct assignment *assignment;
    const struct task_template_node *node;
};

// --- words ---

static void put_slot(const struct task *task, struct buf *out) {
    if (task->slot > 0) {
        buf_addf(out, "%lld", (long long)task->slot);
    } else {
        buf_adds(out, task->node_id.text); // of a global service, as in Swarm
    }
}

static void put_service_id(const struct filling *f, struct buf *out) {
    buf_adds(out, f->assignment->task.service_id.text);
}
static void put_service_name(const struct filling *f, struct buf *out) {
    buf_adds(out, f->assignment->service_name);
}
static void put_labels(const struct filling *f, struct buf *out) {
    const struct pairs *labels = &f->assignment->spec.deploy.labels;
    buf_adds(out, "map["); // as Go prints a map
    for (size_t i = 0; i < labels->count; i++) {
        buf_addf(out, "%s%s:%s", i > 0 ? " " : "", labels->items[i].key, labels->items[i].value);
    }
    buf_addc(out, ']');
}
static void put_node_id(const struct filling *f, struct buf *out) {
    buf_adds(out, f->assignment->task.node_id.text);
}
static void put_hostname(const struct filling *f, struct buf *out) {
    buf_adds(out, f->assignment->node_hostname);
}
static void put_architecture(const struct filling *f, struct buf *out) {
    buf_adds(out, f->node->architecture);
}
static void put_os(const struct filling *f, struct buf *out) {
    buf_adds(out, f->node->os);
}
static void put_task_id(const struct filling *f, struct buf *out) {
    buf_adds(out, f->assignment->task.meta.id.text);
}
static void put_task_name(const struct filling *f, struct buf *out) {
    buf_addf(out, "%s.", f->assignment->service_name);
    put_slot(&f->assignment->task, out);
    buf_addf(out, ".%s", f->assignment->task.meta.id.text);
}
static void put_task_slot(const struct filling *f, struct buf *out) {
    put_slot(&f->assignment->task, out);
}

// tidy: table
static const struct {
    const char *word;
    void (*put)(const struct filling *f, struct buf *out);
} words[] = {
    {".Service.ID", put_service_id},  {".Service.Name", put_service_name},
    {".Service.Labels", put_labels},  {".Node.ID", put_node_id},
    {".Node.Hostname", put_hostname}, {".Node.Platform.Architecture", put_architecture},
    {".Node.Platform.OS", put_os},    {".Task.ID", put_task_id},
    {".Task.Name", put_task_name},    {".Task.Slot", put_task_slot},
};
enum { WORDS = sizeof words / sizeof *words };

static int refuse(const char *word, struct error *err) {
    const char *names[WORDS];
    for (size_t i = 0; i < WORDS; i++) {
        names[i] = words[i].word;
    }
    const char *near = str_nearest(word, names, WORDS);
    return error_set(err, ERR_INVALID, "{{%.60s}} is no placeholder%s%s%s", word,
                     near != NULL ? ": did you mean {{"
                                  : "; there are .Service.ID .Name .Labels, .Node.ID .Hostname "
                                    ".Platform, .Task.ID .Name .Slot",
                     near != NULL ? near : "", near != NULL ? "}}?" : "");
}

// `index .Service.Labels "key"`: nothing for a label that is not there.
static bool label_key(const char *word, char *out, size_t bytes) {
    static const char head[] = "index .Service.Labels ";
    size_t len = strlen(word);
    if (!str_starts(word, head)) {
        return false;
    }
    const char *key = word + sizeof head - 1;
    key += strspn(key, " ");
    len = strlen(key);
    if (len < 3 || len - 2 >= bytes || key[0] != '"' || key[len - 1] != '"' ||
        memchr(key + 1, '"', len - 2) != NULL) {
        return false;
    }
    memcpy(out, key + 1, len - 2);
    out[len - 2] = '\0';
    return true;
}

static int put_word(const char *word, const struct filling *filling, struct buf *out, struct error *err) {
    char key[256];
    for (size_t i = 0; i < WORDS; i++) {
        if (str_equal(words[i].word, word)) {
            if (filling != NULL) {
                words[i].put(filling, out);
            }
            return 0;
        }
    }
    if (!label_key(word, key, sizeof key)) {
        return refuse(word, err);
    }
    const char *value = filling != NULL ? pairs_get(&filling->assignment->spec.deploy.labels, key) : NULL;
    buf_adds(out, value != NULL ? value : "");
    return 0;
}

// --- texts ---

bool task_template_is(const char *text) {
    return strstr(text, "{{") != NULL;
}

static int fill(const char *text, const struct filling *filling, struct buf *out, struct error *err) {
    for (const char *open; (open = strstr(text, "{{")) != NULL;) {
        const char *close = strstr(open, "}}");
        char word[300];
        buf_add(out, text, (size_t)(open - text));
        if (close == NULL) {
            return error_set(err, ERR_INVALID, "'%.60s' has no }} to end it", open);
        }
        open += 2 + strspn(open + 2, " ");
        size_t len = open < close ? (size_t)(close - open) : 0;
        while (len > 0 && open[len - 1] == ' ') {
            len--;
        }
        snprintf(word, sizeof word, "%.*s", (int)(len < sizeof word ? len : sizeof word - 1), open);
        int rc = put_word(word, filling, out, err);
        if (rc < 0) {
            return rc;
        }
        text = close + 2;
    }
    buf_adds(out, text);
    return 0;
}

int task_template_check(const char *text, struct error *err) {
    AUTO_BUF out = {0};
    return task_template_is(text) ? fill(text, NULL, &out, err) : 0;
}

const char *task_template_blank(const char *text, struct arena *arena) {
    AUTO_BUF out = {0};
    for (const char *open, *close;
         (open = strstr(text, "{{")) != NULL && (close = strstr(open, "}}")) != NULL; text = close + 2) {
        buf_add(&out, text, (size_t)(open - text));
        buf_addc(&out, 'x');
    }
    buf_adds(&out, text);
    return arena_strdup(arena, buf_text(&out));
}

// --- a spec ---

static int fill_text(const char **text, const char *path, const struct filling *filling, struct arena *arena,
                     struct error *err) {
    AUTO_BUF out = buf_make(STRING_BYTES_MAX);
    if (!task_template_is(*text)) {
        return 0;
    }
    int rc = fill(*text, filling, &out, err);
    if (rc < 0) {
        return error_wrap(err, rc, "%s", path);
    }
    *text = arena_strdup(arena, buf_text(&out));
    return 0;
}

int task_template_fill(struct assignment *assignment, const struct task_template_node *node,
                       struct arena *arena, struct error *err) {
    struct service_spec *spec = &assignment->spec;
    const struct filling filling = {assignment, node};
    int rc = fill_text(&spec->hostname, "hostname", &filling, arena, err);
    spec->environment.items =
        arena_copy(arena, spec->environment.items, spec->environment.count * sizeof *spec->environment.items);
    spec->volumes.items =
        arena_copy(arena, spec->volumes.items, spec->volumes.count * sizeof *spec->volumes.items);
    for (size_t i = 0; rc == 0 && i < spec->environment.count; i++) {
        rc = fill_text(&spec->environment.items[i].value, "environment", &filling, arena, err);
    }
    for (size_t i = 0; rc == 0 && i < spec->volumes.count; i++) {
        rc = fill_text(&spec->volumes.items[i].source, "volumes", &filling, arena, err);
        rc = rc < 0 ? rc : fill_text(&spec->volumes.items[i].target, "volumes", &filling, arena, err);
    }
    return rc;
}
