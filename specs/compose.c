// SPDX-License-Identifier: Apache-2.0
//
// specs/compose.c — a Compose file as a stack, as `docker stack deploy` sees it: names scoped by the stack,
// references checked.
//
// Each service becomes `<stack>_<name>`; volumes, networks, secrets and configs of the top level too,
// unless they have a `name:` of their own or are external: those exist already and are not declared. What a
// service refers to must stand at the top level.
#include <ctype.h>
#include <string.h>

#include "base/limits.h"
#include "base/str.h"
#include "specs/manifest_reading.h"
#include "specs/resource.h"
#include "specs/walk.h"

#define NAMESPACE_LABEL "com.docker.stack.namespace"
#define IMAGE_LABEL "com.docker.stack.image"

static const struct section {
    const char *key;
    enum object_kind kind;
    const char *noun;
} sections[] = {
    {"services", KIND_SERVICE, "service"}, {"networks", KIND_NETWORK, "network"},
    {"volumes", KIND_VOLUME, "volume"},    {"secrets", KIND_SECRET, "secret"},
    {"configs", KIND_CONFIG, "config"},
};
#define SECTION_COUNT (sizeof sections / sizeof *sections)

struct stack {
    struct reading *reading;
    const struct yaml_node *document;
    const char *name;
};

#define report(s, node, code, hint, ...)                                                                     \
    bind_error(&(s)->reading->binder, node, code, NULL, hint, __VA_ARGS__)

// --- the stack's name ---

// Compose's rule for a directory: lower case, and only letters, digits, '-' and '_'.
static const char *name_of_directory(struct arena *arena, const char *directory) {
    const char *slash = strrchr(directory, '/');
    char *name = arena_strdup(arena, slash != NULL ? slash + 1 : directory);
    size_t len = 0;
    for (const char *c = name; *c != '\0'; c++) {
        if (isalnum((unsigned char)*c) || (len > 0 && (*c == '-' || *c == '_'))) {
            name[len++] = (char)tolower((unsigned char)*c);
        }
    }
    name[len] = '\0';
    return name;
}

static void find_name(struct stack *s) {
    struct reading *r = s->reading;
    const struct yaml_node *given = yaml_get(s->document, "name");
    const char *text = r->options->stack_name;
    if (text == NULL && given != NULL) {
        text = bind_text(&r->binder, given, &(struct bind_path){NULL, "name", 0});
    }
    if (text == NULL) {
        text = name_of_directory(r->arena, r->directory);
    }
    s->name = text;
    if (!str_is_name(text, NAME_BYTES_MAX)) {
        bind_error(&r->binder, given != NULL ? given : s->document, "E0208", NULL,
                   "write name: at the top level", "'%.100s' is not a name for a stack", text);
        s->name = "stack";
    }
}

static const char *scoped(struct stack *s, const char *name) {
    return arena_printf(s->reading->arena, "%s_%s", s->name, name);
}

// --- references ---

static bool is_true(const struct yaml_node *node) {
    return node != NULL && yaml_value(node)->kind == YAML_SCALAR &&
           strcmp(yaml_value(node)->text, "true") == 0;
}

// The stored name of what a service calls `name`: its own `name:` or the scoped one; NULL when the top
// level does not have it.
static const char *stored_name(struct stack *s, const char *section, const char *name) {
    const struct yaml_node *all = yaml_get(s->document, section);
    const struct yaml_node *node = all != NULL ? yaml_get(all, name) : NULL;
    if (node == NULL) {
        return NULL;
    }
    const struct yaml_node *own = yaml_get(node, "name");
    if (own != NULL && yaml_value(own)->kind == YAML_SCALAR) {
        const char *text = bind_text(&s->reading->binder, own, NULL);
        return text != NULL ? text : "";
    }
    return is_true(yaml_get(node, "external")) ? name : scoped(s, name);
}

static void refer(struct stack *s, const struct draft *draft, const struct section *section, const char *path,
                  const char **name) {
    const char *stored = stored_name(s, section->key, *name);
    if (stored != NULL) {
        *name = stored;
        return;
    }
    const struct yaml_node *all = yaml_get(s->document, section->key);
    const char *names[64];
    size_t count = 0;
    for (size_t i = 0;
         all != NULL && yaml_value(all)->kind == YAML_MAP && i < yaml_value(all)->count && count < 64; i++) {
        names[count++] = yaml_value(all)->items[2 * i].text;
    }
    const char *nearest = reporter_has_room(&s->reading->reporter) ? str_nearest(*name, names, count) : NULL;
    AUTO_BUF hint = buf_make(1024);
    if (nearest != NULL) {
        buf_addf(&hint, "did you mean '%s'?", nearest);
    } else {
        buf_addf(&hint, "declare it under the top-level '%s:'", section->key);
    }
    draft_error(s->reading, draft, path, "E0501", buf_text(&hint), "%s '%.200s' is not declared in this file",
                section->noun, *name);
}

static const char *item_path(struct stack *s, const char *list, size_t i) {
    return arena_printf(&s->reading->scratch, "%s[%zu]", list, i);
}

static void refer_all(struct stack *s, const struct draft *draft, struct service_spec *spec) {
    for (size_t i = 0; i < spec->volumes.count; i++) {
        struct mount *mount = &spec->volumes.items[i];
        if (mount->type == MOUNT_VOLUME && mount->source[0] != '\0') {
            refer(s, draft, &sections[2], item_path(s, "volumes", i), &mount->source);
        }
    }
    for (size_t i = 0; i < spec->networks.count; i++) {
        const char *name = spec->networks.items[i].name;
        if (strcmp(name, "default") == 0 && stored_name(s, "networks", name) == NULL) {
            spec->networks.items[i].name = scoped(s, name); // the one that Compose makes by itself
        } else {
            refer(s, draft, &sections[1], item_path(s, "networks", i), &spec->networks.items[i].name);
        }
    }
    for (size_t i = 0; i < spec->secrets.count; i++) {
        struct file_reference *file = &spec->secrets.items[i];
        file->target = file->target[0] != '\0' ? file->target : file->source;
        refer(s, draft, &sections[3], item_path(s, "secrets", i), &file->source);
    }
    for (size_t i = 0; i < spec->configs.count; i++) {
        struct file_reference *file = &spec->configs.items[i];
        file->target =
            file->target[0] != '\0' ? file->target : arena_printf(s->reading->arena, "/%s", file->source);
        refer(s, draft, &sections[4], item_path(s, "configs", i), &file->source);
    }
    for (size_t i = 0; i < spec->depends_on.count; i++) {
        refer(s, draft, &sections[0], item_path(s, "depends_on", i), &spec->depends_on.items[i].name);
    }
}

// --- objects ---

static void finish_service(struct stack *s, struct draft *draft, const char *key) {
    struct service_spec *spec = draft->spec;
    struct reading *r = s->reading;
    if (yaml_get(draft->where.root, "name") != NULL) {
        draft_error(r, draft, "name", "E0231", "the key above it is its name",
                    "'name' is not a field of a service in a Compose file");
    }
    spec->name = scoped(s, key);
    refer_all(s, draft, spec);
    spec->labels = pairs_set(r->arena, &spec->labels, NAMESPACE_LABEL, s->name);
    spec->deploy.labels = pairs_set(r->arena, &spec->deploy.labels, NAMESPACE_LABEL, s->name);
    spec->deploy.labels = pairs_set(r->arena, &spec->deploy.labels, IMAGE_LABEL, spec->image);
}

// Networks, volumes, secrets and configs all have a name and labels.
static void finish_resource(struct stack *s, struct draft *draft, const struct section *section,
                            const char *key) {
    const struct schema *schema = object_spec_schema(draft->kind);
    const char *name = stored_name(s, section->key, key);
    memcpy(member_at(schema_field(schema, "name"), draft->spec), &name, sizeof name);
    struct pairs *labels = member_at(schema_field(schema, "labels"), draft->spec);
    *labels = pairs_set(s->reading->arena, labels, NAMESPACE_LABEL, s->name);
}

static void read_object(struct stack *s, const struct section *section, const struct yaml_node *pair) {
    struct reading *r = s->reading;
    enum yaml_kind shape = (enum yaml_kind)yaml_value(&pair[1])->kind;
    if (shape != YAML_MAP && shape != YAML_NULL) {
        report(s, &pair[1], "E0301", "", "%s '%.200s' needs a map", section->noun, pair[0].text);
        return;
    }
    struct draft draft = {.kind = section->kind,
                          .spec = draft_new(r, section->kind),
                          .stack = s->name,
                          .where = {r->reporter.sources, &pair[0], &pair[1]}};
    r->binder.root = object_spec_schema(section->kind);
    bind_object(&r->binder, r->binder.root, &pair[1], draft.spec, NULL, NULL);
    bool is_external = is_true(yaml_get(&pair[1], "external"));
    if (is_external && section->kind != KIND_SERVICE) {
        return; // it exists already
    }
    if (section->kind == KIND_SERVICE) {
        finish_service(s, &draft, pair[0].text);
    } else {
        finish_resource(s, &draft, section, pair[0].text);
    }
    draft_finish(r, &draft);
}

static void read_section(struct stack *s, const struct section *section, const struct yaml_node *node) {
    const struct yaml_node *value = yaml_value(node);
    if (value->kind == YAML_NULL) {
        return;
    }
    if (value->kind != YAML_MAP) {
        report(s, node, "E0301", "", "'%s' needs a map of names", section->key);
        return;
    }
    for (size_t i = 0; i < value->count && !s->reading->binder.is_over; i++) {
        const struct yaml_node *pair = &value->items[2 * i];
        if (str_starts(pair[0].text, "x-")) {
            continue;
        }
        s->reading->errors_before = s->reading->reporter.out->error_count;
        read_object(s, section, pair);
        arena_clear(&s->reading->scratch);
    }
}

static void read_top_key(struct stack *s, const struct yaml_node *pair) {
    static const char *const known[] = {"services", "networks", "volumes", "secrets",
                                        "configs",  "name",     "version"};
    const char *key = pair[0].text;
    if (str_starts(key, "x-") || strcmp(key, "name") == 0) {
        return;
    }
    if (strcmp(key, "version") == 0) {
        const struct yaml_node *version = yaml_value(&pair[1]);
        if (version->kind == YAML_SCALAR &&
            (str_starts(version->text, "1") || str_starts(version->text, "2"))) {
            report(s, &pair[1], "E0207", "take away version:, and check the file",
                   "Compose files of version %s mean other things", version->text);
        }
        return;
    }
    for (size_t i = 0; i < SECTION_COUNT; i++) {
        if (strcmp(key, sections[i].key) == 0) {
            read_section(s, &sections[i], &pair[1]);
            return;
        }
    }
    const struct foreign_key *foreign = foreign_key_find("compose", key);
    if (foreign != NULL) {
        report(s, &pair[0], foreign->is_error ? "E0233" : "W0602", foreign->text, "'%s' is %s", key,
               foreign->is_error ? "not accepted" : "ignored");
        return;
    }
    const char *nearest = str_nearest(key, known, sizeof known / sizeof *known);
    AUTO_BUF hint = buf_make(256);
    if (nearest != NULL) {
        buf_addf(&hint, "did you mean '%s'?", nearest);
    }
    report(s, &pair[0], "E0231", buf_text(&hint), "'%.200s' is not a top-level key of a Compose file", key);
}

// --- circles ---

// Services of the stack that wait for each other, found by following what each depends on.
struct walk {
    struct stack *stack;
    size_t first;   // of the stack's declarations
    uint8_t *marks; // by declaration
    struct buf way; // "a → b"
};
enum { MARK_NEW, MARK_OPEN, MARK_DONE };

static bool find_service(const struct walk *walk, const char *name, size_t *out) {
    const struct declarations *all = walk->stack->reading->out;
    for (size_t i = walk->first; i < all->count; i++) {
        if (all->items[i].kind == KIND_SERVICE && strcmp(all->items[i].name, name) == 0) {
            *out = i;
            return true;
        }
    }
    return false;
}

static const char *unscoped(const struct stack *s, const char *name) {
    return name + strlen(s->name) + 1;
}

static void refuse_circle(struct walk *walk, size_t at, const char *name) {
    struct reading *r = walk->stack->reading;
    const struct declaration *declaration = &r->out->items[at];
    const struct draft draft = {
        .kind = KIND_SERVICE, .spec = declaration->spec, .where = *declaration->positions};
    draft_error(r, &draft, "depends_on", "E0330", "take one of them away",
                "services that wait for each other would never start: %s → %s", buf_text(&walk->way),
                unscoped(walk->stack, name));
}

static void follow(struct walk *walk, size_t at, int depth) {
    const struct service_spec *spec = walk->stack->reading->out->items[at].spec;
    size_t len = walk->way.len;
    walk->marks[at - walk->first] = MARK_OPEN;
    buf_addf(&walk->way, "%s%s", len > 0 ? " → " : "", unscoped(walk->stack, spec->name));
    for (size_t i = 0; i < spec->depends_on.count && depth < YAML_DEPTH_MAX; i++) {
        const char *name = spec->depends_on.items[i].name;
        size_t next;
        if (!find_service(walk, name, &next) || next == at || walk->marks[next - walk->first] == MARK_DONE) {
            continue; // what names itself is refused already
        }
        if (walk->marks[next - walk->first] == MARK_OPEN) {
            refuse_circle(walk, at, name);
        } else {
            follow(walk, next, depth + 1);
        }
    }
    walk->marks[at - walk->first] = MARK_DONE;
    walk->way.len = len;
    walk->way.data[len] = '\0';
}

static void refuse_circles(struct stack *s, size_t first) {
    const struct declarations *all = s->reading->out;
    struct walk walk = {.stack = s,
                        .first = first,
                        .marks = ARENA_ARRAY(&s->reading->scratch, uint8_t, all->count - first + 1)};
    for (size_t i = first; i < all->count; i++) {
        if (all->items[i].kind == KIND_SERVICE && walk.marks[i - first] == MARK_NEW) {
            follow(&walk, i, 0);
        }
    }
    buf_free(&walk.way);
}

void compose_read(struct reading *r, const struct yaml_node *document) {
    struct stack s = {.reading = r, .document = document};
    size_t first = r->out->count;
    r->binder.interpolates = true;
    find_name(&s);
    for (size_t i = 0; i < document->count; i++) {
        read_top_key(&s, &document->items[2 * i]);
    }
    r->binder.interpolates = false;
    refuse_circles(&s, first);
}
