// SPDX-License-Identifier: Apache-2.0
//
// specs/manifest_files.c — what a declaration takes from beside its file: env_file, .env, contents of
// secrets and configs, relative paths.
//
// Only regular files are opened (a FIFO would hang the client), each under a limit. What was read replaces
// the name of where it came from, so that nothing in the store depends on a client's disk.
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "base/limits.h"
#include "base/str.h"
#include "specs/manifest_reading.h"
#include "specs/resource.h"

#define ENV_FILE_BYTES_MAX (1 * MIB)

const char *path_resolve(struct arena *arena, const char *directory, const char *text) {
    const char *home = text[0] == '~' && (text[1] == '/' || text[1] == '\0') ? getenv("HOME") : NULL;
    const char *whole = text[0] == '/' ? text
                        : home != NULL ? arena_printf(arena, "%s/%s", home, text + 1)
                                       : arena_printf(arena, "%s/%s", directory, text);
    char *out = arena_alloc(arena, strlen(whole) + 2);
    size_t len = 0;
    while (*whole != '\0') {
        size_t part = strcspn(whole, "/");
        if (part == 2 && strncmp(whole, "..", 2) == 0) {
            while (len > 0 && out[--len] != '/') {
            }
        } else if (part > 0 && !(part == 1 && whole[0] == '.')) {
            out[len++] = '/';
            memcpy(out + len, whole, part);
            len += part;
        }
        whole += part + (whole[part] == '/');
    }
    if (len == 0) {
        out[len++] = '/';
    }
    out[len] = '\0';
    return out;
}

// The file's bytes in the arena. False when it cannot be had: reported at `path`.
static bool read_beside(struct reading *r, const struct draft *draft, const char *path, const char *name,
                        size_t max_bytes, struct bytes *out) {
    const char *file = path_resolve(r->arena, r->directory, name);
    struct stat status;
    struct error err = {0};
    AUTO_BUF content = buf_make(max_bytes + 1);
    int rc = 0;
    if (!r->reads_files) {
        rc = error_set(&err, ERR_DENIED, "a text without a place of its own names no files");
    } else if (stat(file, &status) == 0 && !S_ISREG(status.st_mode)) {
        rc = error_set(&err, ERR_INVALID, "not a regular file");
    } else {
        rc = fs_read(AT_FDCWD, file, max_bytes, &content, &err);
    }
    if (rc < 0) {
        draft_error(r, draft, path, "E0411", "", "cannot read '%s': %s", name, err.root);
        return false;
    }
    *out = (struct bytes){arena_copy(r->arena, buf_text(&content), content.len + 1), content.len};
    return true;
}

// --- env_file ---

static const char *unquoted(struct arena *arena, const char *text, size_t len) {
    while (len > 0 && strchr(" \t\r", text[len - 1]) != NULL) {
        len--;
    }
    bool is_quoted = len >= 2 && (text[0] == '"' || text[0] == '\'') && text[len - 1] == text[0];
    return is_quoted ? arena_strndup(arena, text + 1, len - 2) : arena_strndup(arena, text, len);
}

struct pair_list {
    size_t count;
    struct pair *items;
};

// One line of an env_file. False when it is broken.
static bool env_line(struct reading *r, const char *line, size_t len, struct pair_list *out) {
    while (len > 0 && (*line == ' ' || *line == '\t')) {
        line++;
        len--;
    }
    if (len >= 7 && strncmp(line, "export ", 7) == 0) {
        line += 7;
        len -= 7;
    }
    if (len == 0 || *line == '#' || *line == '\r') {
        return true;
    }
    const char *equal = memchr(line, '=', len);
    size_t name_len = equal != NULL ? (size_t)(equal - line) : len;
    const char *name = unquoted(r->arena, line, name_len);
    if (name[0] == '\0' || strpbrk(name, " \t\"'") != NULL || !str_is_utf8(line, len)) {
        return false;
    }
    const char *value = equal != NULL ? unquoted(r->arena, equal + 1, len - name_len - 1)
                                      : variables_get(&r->variables, name);
    if (value != NULL) {
        *ARENA_PUSH(r->arena, out) = (struct pair){name, value};
    }
    return true;
}

// The number of the first broken line, or 0.
static int64_t env_lines(struct reading *r, struct bytes content, struct pair_list *out) {
    const char *at = (const char *)content.data;
    const char *end = at + content.len;
    for (int64_t number = 1; at < end; number++) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        size_t len = (size_t)((newline != NULL ? newline : end) - at);
        if (!env_line(r, at, len, out)) {
            return number;
        }
        at += len + 1;
    }
    return 0;
}

struct ordered_pair {
    struct pair pair;
    size_t order;
};

static int by_key(const void *a, const void *b) {
    const struct ordered_pair *x = a;
    const struct ordered_pair *y = b;
    int order = strcmp(x->pair.key, y->pair.key);
    return order != 0 ? order : (x->order < y->order) - (x->order > y->order); // the later one first
}

// Later pairs win; the result is sorted.
static struct pairs settle(struct arena *arena, const struct pair_list *list) {
    struct ordered_pair *ordered = ARENA_ARRAY(arena, struct ordered_pair, list->count);
    struct pairs out = {.items = ARENA_ARRAY(arena, struct pair, list->count)};
    for (size_t i = 0; i < list->count; i++) {
        ordered[i] = (struct ordered_pair){list->items[i], i};
    }
    if (list->count > 1) {
        qsort(ordered, list->count, sizeof *ordered, by_key);
    }
    for (size_t i = 0; i < list->count; i++) {
        if (i == 0 || strcmp(ordered[i].pair.key, ordered[i - 1].pair.key) != 0) {
            out.items[out.count++] = ordered[i].pair;
        }
    }
    return out;
}

static void read_env_files(struct reading *r, const struct draft *draft, struct service_spec *spec) {
    struct pair_list all = {0};
    for (size_t i = 0; i < spec->env_file.count; i++) {
        const char *path = arena_printf(&r->scratch, "env_file[%zu]", i);
        struct bytes content;
        if (!read_beside(r, draft, path, spec->env_file.items[i], ENV_FILE_BYTES_MAX, &content)) {
            continue;
        }
        int64_t broken = env_lines(r, content, &all);
        if (broken > 0) {
            draft_error(r, draft, path, "E0412", "write NAME=VALUE", "line %lld of '%s' is not NAME=VALUE",
                        (long long)broken, spec->env_file.items[i]);
        }
    }
    if (spec->env_file.count > 0) {
        for (size_t i = 0; i < spec->environment.count; i++) {
            *ARENA_PUSH(r->arena, &all) = spec->environment.items[i];
        }
        spec->environment = settle(r->arena, &all);
        spec->env_file = (struct strings){0};
    }
}

void variables_read_dotenv(struct reading *r) {
    r->variables.dotenv = (struct pairs){0};
    const char *file = arena_printf(r->arena, "%s/.env", r->directory);
    struct stat status;
    AUTO_BUF content = buf_make(ENV_FILE_BYTES_MAX + 1);
    if (!r->reads_files || stat(file, &status) != 0 || !S_ISREG(status.st_mode) ||
        fs_read(AT_FDCWD, file, ENV_FILE_BYTES_MAX, &content, NULL) < 0) {
        return; // optional: what it should have set is reported where it is used
    }
    struct bytes bytes = {arena_copy(r->arena, buf_text(&content), content.len + 1), content.len};
    struct pair_list all = {0};
    env_lines(r, bytes, &all);
    r->variables.dotenv = settle(r->arena, &all);
}

// --- relative paths ---

static void resolve_image(struct reading *r, struct service_spec *spec) {
    static const char *const prefixes[] = {"oci-archive:", "docker-archive:", "oci:", "tar:"};
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++) {
        const char *path = spec->image + strlen(prefixes[i]);
        if (!str_starts(spec->image, prefixes[i]) || path[0] == '/' || path[0] == '\0' ||
            (path[0] != '.' && path[0] != '~' && strchr(path, '/') == NULL && strchr(path, '.') == NULL)) {
            continue;
        }
        size_t len = strcspn(path, ":");
        const char *file = path_resolve(r->arena, r->directory, arena_strndup(r->arena, path, len));
        spec->image = arena_printf(r->arena, "%s%s%s", prefixes[i], file, path + len);
        return;
    }
}

static void resolve_mounts(struct reading *r, struct service_spec *spec) {
    for (size_t i = 0; i < spec->volumes.count; i++) {
        struct mount *mount = &spec->volumes.items[i];
        if (mount->type == MOUNT_BIND && mount->source[0] != '\0' && mount->source[0] != '/') {
            mount->source = path_resolve(r->arena, r->directory, mount->source);
        }
    }
}

// --- secrets and configs ---

// One source of content, and where it was named.
struct content {
    const char *file, *environment, *text;
    struct bytes *data;
    size_t max_bytes;
};

static void read_content(struct reading *r, const struct draft *draft, const struct content *content,
                         bool external) {
    int given = (content->file[0] != '\0') + (content->environment[0] != '\0') + (content->text[0] != '\0') +
                (content->data->len > 0);
    if (external) {
        if (given > 0) {
            draft_error(r, draft, "external", "E0421", "", "an external one has no content here");
        }
        return;
    }
    if (given != 1) {
        if (r->reporter.out->error_count == r->errors_before) { // content that could not be read was reported
            draft_error(r, draft, "", "E0421", "write file, environment or data",
                        given == 0 ? "no content is given" : "content is given more than once");
        }
        return;
    }
    if (content->file[0] != '\0') {
        read_beside(r, draft, "file", content->file, content->max_bytes, content->data);
    } else if (content->environment[0] != '\0') {
        const char *value = variables_get(&r->variables, content->environment);
        if (value == NULL) {
            draft_error(r, draft, "environment", "E0402", "", "variable %s is not set", content->environment);
            return;
        }
        *content->data = (struct bytes){(const uint8_t *)value, strlen(value)};
    } else if (content->text[0] != '\0') {
        *content->data = (struct bytes){(const uint8_t *)content->text, strlen(content->text)};
    }
}

void draft_read_files(struct reading *r, struct draft *draft) {
    if (draft->kind == KIND_SERVICE) {
        struct service_spec *spec = draft->spec;
        read_env_files(r, draft, spec);
        resolve_image(r, spec);
        resolve_mounts(r, spec);
    } else if (draft->kind == KIND_SECRET) {
        struct secret_spec *spec = draft->spec;
        read_content(r, draft,
                     &(struct content){spec->file, spec->environment, "", &spec->data, SECRET_BYTES_MAX},
                     spec->external);
        spec->file = spec->environment = "";
    } else if (draft->kind == KIND_CONFIG) {
        struct config_spec *spec = draft->spec;
        read_content(
            r, draft,
            &(struct content){spec->file, spec->environment, spec->content, &spec->data, CONFIG_BYTES_MAX},
            spec->external);
        spec->file = spec->environment = spec->content = "";
    }
}
