// SPDX-License-Identifier: Apache-2.0
//
// cli/service_edit.c — Docker's forms of list elements ("type=bind,src=/a,dst=/b"), read into a spec.
//
// Long forms are comma-separated KEY=VALUE, quoted as in CSV. Each sort has a table from its keys to fields
// of the element, and the field's row reads the value.
#include "cli/service_edit.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/limits.h"
#include "base/str.h"
#include "specs/constraint.h"

#define ENV_FILE_BYTES_MAX (1 * MIB)

// --- strings ---

static void strings_add(struct strings *list, const char *text, struct arena *arena) {
    for (size_t i = 0; i < list->count; i++) {
        if (str_equal(list->items[i], text)) {
            return;
        }
    }
    *ARENA_PUSH(arena, list) = arena_strdup(arena, text);
}

static void strings_remove(struct strings *list, const char *text) {
    size_t kept = 0;
    for (size_t i = 0; i < list->count; i++) {
        if (!str_equal(list->items[i], text)) {
            list->items[kept++] = list->items[i];
        }
    }
    list->count = kept;
}

static int add_string(void *member, const char *text, struct arena *arena, struct error *err) {
    (void)err;
    strings_add(member, text, arena);
    return 0;
}

static int remove_string(void *member, const char *key, struct arena *arena, struct error *err) {
    (void)arena;
    (void)err;
    strings_remove(member, key);
    return 0;
}
const struct list_edit edit_strings = {add_string, remove_string};

const char *edit_capability_name(const char *text, struct arena *arena) {
    char *name = arena_strdup(arena, text);
    for (char *p = name; *p != '\0'; p++) {
        *p = (char)toupper((unsigned char)*p);
    }
    return str_starts(name, "CAP_") ? name + 4 : name;
}

static int add_capability(void *member, const char *text, struct arena *arena, struct error *err) {
    (void)err;
    strings_add(member, edit_capability_name(text, arena), arena);
    return 0;
}
const struct list_edit edit_capabilities = {add_capability, NULL};

// "node.role == manager" and "node.role==manager" are the same.
static const char *constraint_plain(const char *text, struct arena *arena) {
    struct constraint constraint;
    if (constraint_parse(text, arena, &constraint, NULL) < 0) {
        return text;
    }
    return arena_printf(arena, "%s %s %s", constraint.key,
                        constraint.negated ? "!=" : "==", constraint.value);
}

static int remove_constraint(void *member, const char *key, struct arena *arena, struct error *err) {
    (void)err;
    struct strings *list = member;
    const char *plain = constraint_plain(key, arena);
    size_t kept = 0;
    for (size_t i = 0; i < list->count; i++) {
        if (!str_equal(constraint_plain(list->items[i], arena), plain)) {
            list->items[kept++] = list->items[i];
        }
    }
    list->count = kept;
    return 0;
}

static int add_constraint(void *member, const char *text, struct arena *arena, struct error *err) {
    struct constraint constraint;
    int rc = constraint_parse(text, arena, &constraint, err);
    if (rc == 0) {
        remove_constraint(member, text, arena, err);
        strings_add(member, constraint_plain(text, arena), arena);
    }
    return rc;
}
const struct list_edit edit_constraints = {add_constraint, remove_constraint};

// --- pairs ---

// Splits "KEY=VALUE"; *value is NULL without an equal sign.
static int split_pair(const char *text, struct arena *arena, const char **key, const char **value,
                      struct error *err) {
    const char *equal = strchr(text, '=');
    *key = equal == NULL ? text : arena_strndup(arena, text, (size_t)(equal - text));
    *value = equal == NULL ? NULL : equal + 1;
    return **key != '\0' ? 0 : error_set(err, ERR_USAGE, "'%s' has no name before the equal sign", text);
}

static int add_label(void *member, const char *text, struct arena *arena, struct error *err) {
    struct pairs *pairs = member;
    const char *key;
    const char *value;
    int rc = split_pair(text, arena, &key, &value, err);
    if (rc == 0) {
        *pairs = pairs_set(arena, pairs, key, value != NULL ? value : "");
    }
    return rc;
}

static int remove_pair(void *member, const char *key, struct arena *arena, struct error *err) {
    (void)err;
    struct pairs *pairs = member;
    *pairs = pairs_set(arena, pairs, key, NULL);
    return 0;
}
const struct list_edit edit_labels = {add_label, remove_pair};

// A name alone has the value it has here; when it has none here, there is nothing to hand on.
static int add_environment(void *member, const char *text, struct arena *arena, struct error *err) {
    struct pairs *pairs = member;
    const char *key;
    const char *value;
    int rc = split_pair(text, arena, &key, &value, err);
    if (rc == 0 && value == NULL) {
        value = getenv(key);
    }
    if (rc == 0 && value != NULL) {
        *pairs = pairs_set(arena, pairs, key, arena_strdup(arena, value));
    }
    return rc;
}
const struct list_edit edit_environment = {add_environment, remove_pair};

int edit_environment_file(struct pairs *environment, const char *path, struct arena *arena,
                          struct error *err) {
    AUTO_BUF text = {0};
    int rc = fs_read(AT_FDCWD, path, ENV_FILE_BYTES_MAX, &text, err);
    char *rest = arena_strdup(arena, buf_text(&text));
    int64_t number = 0;
    while (rc == 0 && rest != NULL && *rest != '\0') {
        char *line = strsep(&rest, "\n");
        size_t len = strlen(line);
        number++;
        line[len > 0 && line[len - 1] == '\r' ? len - 1 : len] = '\0';
        line += strspn(line, " \t");
        if (*line == '\0' || *line == '#') {
            continue;
        }
        if (strcspn(line, " \t") < strcspn(line, "=")) {
            return error_set(err, ERR_INVALID, "%s:%lld: a name holds no blanks: '%.60s'", path,
                             (long long)number, line);
        }
        rc = add_environment(environment, line, arena, err);
        rc = rc < 0 ? error_wrap(err, rc, "%s:%lld", path, (long long)number) : 0;
    }
    return rc;
}

// --- long forms ---

// Fields of CSV: commas part them, double quotes hold them together.
static int csv_split(const char *text, struct arena *arena, struct strings *out, struct error *err) {
    char *word = arena_alloc(arena, strlen(text) + 1);
    size_t len = 0;
    bool in_quotes = false;
    for (const char *p = text;; p++) {
        if (*p == '"') {
            in_quotes = !in_quotes;
        } else if (*p == '\0' || (*p == ',' && !in_quotes)) {
            *ARENA_PUSH(arena, out) = arena_strndup(arena, word, len);
            len = 0;
            if (*p == '\0') {
                break;
            }
        } else {
            word[len++] = *p;
        }
    }
    return in_quotes ? error_set(err, ERR_USAGE, "'%s' has a quote that is not closed", text) : 0;
}

struct long_key {
    const char *key;  // as Docker spells it
    const char *path; // of the element
    const char *bare; // the value when there is no "=VALUE"; NULL = one is needed
};
#define LONG_KEYS(rows) rows, sizeof rows / sizeof *rows

static const struct long_key *long_key_find(const struct long_key *keys, size_t count, const char *name) {
    for (size_t i = 0; i < count; i++) {
        if (str_equal_nocase(keys[i].key, name)) {
            return &keys[i];
        }
    }
    return NULL;
}

static int long_key_unknown(const struct long_key *keys, size_t count, const char *name, struct error *err) {
    const char *names[32];
    for (size_t i = 0; i < count && i < 32; i++) {
        names[i] = keys[i].key;
    }
    const char *nearest = str_nearest(name, names, count);
    return error_set(err, ERR_USAGE, "unknown key '%s'%s%s%s", name,
                     nearest != NULL ? ": did you mean '" : "", nearest != NULL ? nearest : "",
                     nearest != NULL ? "'?" : "");
}

// Reads "KEY=VALUE,…" into an element. A key with the path "" is `extra`'s.
static int long_read(const struct schema *schema, void *element, const struct long_key *keys, size_t count,
                     int (*extra)(void *element, const char *key, const char *value, struct arena *arena,
                                  struct error *err),
                     const char *text, struct arena *arena, struct error *err) {
    struct strings fields = {0};
    int rc = csv_split(text, arena, &fields, err);
    for (size_t i = 0; rc == 0 && i < fields.count; i++) {
        const char *name;
        const char *value;
        rc = split_pair(fields.items[i], arena, &name, &value, err);
        const struct long_key *key = rc == 0 ? long_key_find(keys, count, name) : NULL;
        if (rc < 0) {
            return rc;
        }
        if (key == NULL) {
            return long_key_unknown(keys, count, name, err);
        }
        value = value == NULL ? key->bare : value;
        if (value == NULL) {
            return error_set(err, ERR_USAGE, "'%s' wants a value: %s=VALUE", name, name);
        }
        rc = key->path[0] == '\0' ? extra(element, key->key, value, arena, err)
                                  : schema_set_text(schema, element, key->path, value, arena, err);
        rc = rc < 0 ? error_wrap(err, rc, "%s", name) : 0;
    }
    return rc;
}

// Takes element `i` out of any list.
#define LIST_REMOVE_AT(list, i)                                                                              \
    memmove(&(list)->items[i], &(list)->items[(i) + 1], ((list)->count-- - (i)-1) * sizeof *(list)->items)

// --- mounts ---

typedef LIST_OF(struct mount) mount_list;

static const struct long_key mount_keys[] = {
    {"type", "type", NULL},
    {"source", "source", NULL},
    {"src", "source", NULL},
    {"target", "target", NULL},
    {"destination", "target", NULL},
    {"dst", "target", NULL},
    {"readonly", "read_only", "true"},
    {"ro", "read_only", "true"},
    {"bind-propagation", "bind.propagation", NULL},
    {"bind-nonrecursive", "bind.recursive_off", "true"},
    {"bind-recursive", "", NULL},
    {"volume-nocopy", "volume.nocopy", "true"},
    {"volume-subpath", "volume.subpath", NULL},
    {"tmpfs-size", "tmpfs.size", NULL},
    {"tmpfs-mode", "tmpfs.mode", NULL},
    {"volume-driver", "", NULL},
    {"volume-opt", "", NULL},
    {"volume-label", "", NULL},
    {"consistency", "", NULL},
};

static int mount_extra(void *element, const char *key, const char *value, struct arena *arena,
                       struct error *err) {
    (void)arena;
    struct mount *mount = element;
    if (str_equal(key, "consistency") || (str_equal(key, "volume-driver") && str_equal(value, "local"))) {
        return 0;
    }
    if (str_equal(key, "bind-recursive")) {
        mount->bind.recursive_off = str_equal(value, "disabled");
        return mount->bind.recursive_off || str_equal(value, "enabled")
                   ? 0
                   : error_set(err, ERR_UNSUPPORTED, "'%s' is not supported: write enabled or disabled",
                               value);
    }
    return error_set(err, ERR_UNSUPPORTED,
                     "not supported here: declare the volume in a spec file "
                     "(kind: volume), and name it as the source");
}

static int remove_mount(void *member, const char *key, struct arena *arena, struct error *err) {
    (void)arena;
    (void)err;
    mount_list *list = member;
    for (size_t i = list->count; i-- > 0;) {
        if (str_equal(list->items[i].target, key)) {
            LIST_REMOVE_AT(list, i);
        }
    }
    return 0;
}

static int add_mount(void *member, const char *text, struct arena *arena, struct error *err) {
    struct mount mount;
    schema_init(&mount_schema, &mount);
    int rc = long_read(&mount_schema, &mount, LONG_KEYS(mount_keys), mount_extra, text, arena, err);
    if (rc == 0 && mount.target[0] == '\0') {
        rc = error_set(err, ERR_USAGE, "'%s' has no target", text);
    }
    if (rc == 0) {
        remove_mount(member, mount.target, arena, err);
        *ARENA_PUSH(arena, (mount_list *)member) = mount;
    }
    return rc;
}
const struct list_edit edit_mounts = {add_mount, remove_mount};

// --- ports ---

typedef LIST_OF(struct port) port_list;

static const struct long_key port_keys[] = {
    {"published", "published", NULL}, {"target", "target", NULL}, {"protocol", "protocol", NULL},
    {"mode", "mode", NULL},           {"name", "name", NULL},
};

static void put_port(port_list *list, const struct port *port, struct arena *arena) {
    for (size_t i = list->count; i-- > 0;) {
        const struct port *old = &list->items[i];
        if (old->target == port->target && old->protocol == port->protocol &&
            (old->published == port->published || old->published == 0)) {
            LIST_REMOVE_AT(list, i);
        }
    }
    *ARENA_PUSH(arena, list) = *port;
}

// "8000-8002" or one number.
static bool parse_range(const char *text, int64_t *first, int64_t *last) {
    char copy[16];
    if (!str_copy(copy, sizeof copy, text)) {
        return false;
    }
    char *dash = strchr(copy, '-');
    if (dash != NULL) {
        *dash++ = '\0';
    }
    return str_to_int(copy, first) && str_to_int(dash != NULL ? dash : copy, last) && *first > 0 &&
           *last >= *first && *last <= 65535;
}

static int add_port_range(port_list *list, const char *text, struct arena *arena, struct error *err) {
    char *ports = arena_strdup(arena, text);
    char *protocol = strchr(ports, '/');
    if (protocol != NULL) {
        *protocol++ = '\0';
    }
    char *target = strchr(ports, ':');
    if (target != NULL) {
        *target++ = '\0';
    }
    int64_t from[2] = {0};
    int64_t to[2] = {0};
    if (!parse_range(ports, &from[0], &from[1]) ||
        !parse_range(target != NULL ? target : ports, &to[0], &to[1]) || from[1] - from[0] != to[1] - to[0] ||
        from[1] - from[0] >= LIST_ITEMS_MAX) {
        return error_set(err, ERR_USAGE, "'%s' is not a range of ports like 8000-8010:9000-9010", text);
    }
    for (int64_t i = 0; i <= to[1] - to[0]; i++) {
        struct port port;
        schema_init(&port_schema, &port);
        port.target = to[0] + i;
        port.published = target != NULL ? from[0] + i : 0;
        int rc =
            protocol == NULL ? 0 : schema_set_text(&port_schema, &port, "protocol", protocol, arena, err);
        if (rc < 0) {
            return rc;
        }
        put_port(list, &port, arena);
    }
    return 0;
}

static int add_port(void *member, const char *text, struct arena *arena, struct error *err) {
    struct port port;
    schema_init(&port_schema, &port);
    bool is_long = strchr(text, '=') != NULL;
    if (!is_long && strchr(text, '-') != NULL) {
        return add_port_range(member, text, arena, err);
    }
    int rc = is_long ? long_read(&port_schema, &port, LONG_KEYS(port_keys), NULL, text, arena, err)
                     : port_schema.from_short(text, &port, arena, err);
    if (rc == 0 && port.target == 0) {
        rc = error_set(err, ERR_USAGE, "'%s' has no target port", text);
    }
    if (rc == 0) {
        put_port(member, &port, arena);
    }
    return rc;
}

// By the port inside: "80" or "80/udp"; "8080:80" is understood too.
static int remove_port(void *member, const char *key, struct arena *arena, struct error *err) {
    port_list *list = member;
    struct port port;
    schema_init(&port_schema, &port);
    bool has_protocol = strchr(key, '/') != NULL;
    int rc = port_schema.from_short(key, &port, arena, err);
    for (size_t i = rc == 0 ? list->count : 0; i-- > 0;) {
        const struct port *old = &list->items[i];
        if (old->target == port.target && (!has_protocol || old->protocol == port.protocol) &&
            (port.published == 0 || port.published == old->published)) {
            LIST_REMOVE_AT(list, i);
        }
    }
    return rc;
}
const struct list_edit edit_ports = {add_port, remove_port};

// --- secrets and configs ---

typedef LIST_OF(struct file_reference) file_list;

static const struct long_key file_keys[] = {
    {"source", "source", NULL}, {"src", "source", NULL}, {"target", "target", NULL},
    {"uid", "uid", NULL},       {"gid", "gid", NULL},    {"mode", "mode", NULL},
};

static int remove_file(void *member, const char *key, struct arena *arena, struct error *err) {
    (void)arena;
    (void)err;
    file_list *list = member;
    for (size_t i = list->count; i-- > 0;) {
        if (str_equal(list->items[i].source, key)) {
            LIST_REMOVE_AT(list, i);
        }
    }
    return 0;
}

static int add_file(void *member, const char *text, struct arena *arena, struct error *err) {
    struct file_reference file;
    schema_init(&file_reference_schema, &file);
    int rc = strchr(text, '=') == NULL
                 ? file_reference_schema.from_short(text, &file, arena, err)
                 : long_read(&file_reference_schema, &file, LONG_KEYS(file_keys), NULL, text, arena, err);
    if (rc == 0 && file.source[0] == '\0') {
        rc = error_set(err, ERR_USAGE, "'%s' has no source", text);
    }
    if (rc == 0) {
        *ARENA_PUSH(arena, (file_list *)member) = file;
    }
    return rc;
}
const struct list_edit edit_files = {add_file, remove_file};

// --- networks ---

typedef LIST_OF(struct network_attachment) network_list;

static const struct long_key network_keys[] = {
    {"name", "name", NULL}, {"ip", "ipv4_address", NULL}, {"alias", "", NULL}, {"driver-opt", "", NULL}};

static int network_extra(void *element, const char *key, const char *value, struct arena *arena,
                         struct error *err) {
    struct network_attachment *network = element;
    if (str_equal(key, "alias")) {
        strings_add(&network->aliases, value, arena);
        return 0;
    }
    return add_label(&network->driver_opts, value, arena, err);
}

static int remove_network(void *member, const char *key, struct arena *arena, struct error *err) {
    (void)arena;
    (void)err;
    network_list *list = member;
    for (size_t i = list->count; i-- > 0;) {
        if (str_equal(list->items[i].name, key)) {
            LIST_REMOVE_AT(list, i);
        }
    }
    return 0;
}

static int add_network(void *member, const char *text, struct arena *arena, struct error *err) {
    const struct schema *schema = schema_field(&service_spec_schema, "networks")->schema;
    struct network_attachment network;
    schema_init(schema, &network);
    int rc = strchr(text, '=') == NULL
                 ? schema->from_short(text, &network, arena, err)
                 : long_read(schema, &network, LONG_KEYS(network_keys), network_extra, text, arena, err);
    if (rc == 0 && network.name[0] == '\0') {
        rc = error_set(err, ERR_USAGE, "'%s' has no name", text);
    }
    if (rc == 0) {
        remove_network(member, network.name, arena, err);
        *ARENA_PUSH(arena, (network_list *)member) = network;
    }
    return rc;
}
const struct list_edit edit_networks = {add_network, remove_network};

// --- ulimits, generic resources, preferences ---

typedef LIST_OF(struct ulimit) ulimit_list;

static int remove_ulimit(void *member, const char *key, struct arena *arena, struct error *err) {
    (void)arena;
    (void)err;
    ulimit_list *list = member;
    for (size_t i = list->count; i-- > 0;) {
        if (str_equal(list->items[i].name, key)) {
            LIST_REMOVE_AT(list, i);
        }
    }
    return 0;
}

static int add_ulimit(void *member, const char *text, struct arena *arena, struct error *err) {
    const char *name;
    const char *value;
    int rc = split_pair(text, arena, &name, &value, err);
    if (rc < 0) {
        return rc;
    }
    char *soft = arena_strdup(arena, value != NULL ? value : "");
    char *hard = strchr(soft, ':');
    if (hard != NULL) {
        *hard++ = '\0';
    }
    struct ulimit ulimit;
    schema_init(schema_field(&service_spec_schema, "ulimits")->schema, &ulimit);
    ulimit.name = name;
    if (!str_to_int(soft, &ulimit.soft) || !str_to_int(hard != NULL ? hard : soft, &ulimit.hard)) {
        return error_set(err, ERR_USAGE, "'%s' is not a limit like nofile=1024:2048", text);
    }
    remove_ulimit(member, name, arena, err);
    *ARENA_PUSH(arena, (ulimit_list *)member) = ulimit;
    return 0;
}
const struct list_edit edit_ulimits = {add_ulimit, remove_ulimit};

typedef LIST_OF(struct generic_resource) generic_list;

static int remove_generic(void *member, const char *key, struct arena *arena, struct error *err) {
    (void)arena;
    (void)err;
    generic_list *list = member;
    for (size_t i = list->count; i-- > 0;) {
        if (str_equal(list->items[i].kind, key)) {
            LIST_REMOVE_AT(list, i);
        }
    }
    return 0;
}

static int add_generic(void *member, const char *text, struct arena *arena, struct error *err) {
    struct generic_resource resource;
    const char *value;
    schema_init(schema_path(&service_spec_schema, "deploy.resources.reservations.generic_resources")->schema,
                &resource);
    int rc = split_pair(text, arena, &resource.kind, &value, err);
    if (rc == 0 && (value == NULL || !str_to_int(value, &resource.value))) {
        rc = error_set(err, ERR_USAGE, "'%s' is not a count like gpu=2", text);
    }
    if (rc == 0) {
        remove_generic(member, resource.kind, arena, err);
        *ARENA_PUSH(arena, (generic_list *)member) = resource;
    }
    return rc;
}
const struct list_edit edit_generic = {add_generic, remove_generic};

typedef LIST_OF(struct placement_preference) preference_list;

static int preference_of(const char *text, struct arena *arena, const char **out, struct error *err) {
    const char *key;
    const char *value;
    int rc = split_pair(text, arena, &key, &value, err);
    if (rc == 0 && (!str_equal(key, "spread") || str_is_empty(value))) {
        rc = error_set(err, ERR_USAGE, "'%s' is not a preference like spread=node.labels.rack", text);
    }
    *out = value;
    return rc;
}

static int remove_preference(void *member, const char *key, struct arena *arena, struct error *err) {
    preference_list *list = member;
    const char *spread = NULL;
    int rc = preference_of(key, arena, &spread, err);
    for (size_t i = rc == 0 ? list->count : 0; i-- > 0;) {
        if (str_equal(list->items[i].spread, spread)) {
            LIST_REMOVE_AT(list, i);
        }
    }
    return rc;
}

static int add_preference(void *member, const char *text, struct arena *arena, struct error *err) {
    struct placement_preference preference;
    schema_init(schema_path(&service_spec_schema, "deploy.placement.preferences")->schema, &preference);
    int rc = preference_of(text, arena, &preference.spread, err);
    if (rc == 0) {
        *ARENA_PUSH(arena, (preference_list *)member) = preference;
    }
    return rc;
}
const struct list_edit edit_preferences = {add_preference, remove_preference};
