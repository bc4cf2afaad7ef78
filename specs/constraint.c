// SPDX-License-Identifier: Apache-2.0
//
// specs/constraint.c — placement expressions, Swarm's language: one key, == or !=, one value; all of a
// service's must hold.
//
// An unknown key never matches, neither with == nor with !=, as in Swarm: a typo keeps tasks pending with a
// reason rather than running them anywhere. The parser reports unknown keys too, so that most typos never
// get that far.
#include "specs/constraint.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "base/str.h"

#define NODE_LABELS "node.labels."
#define ENGINE_LABELS "engine.labels."

static const char *const plain_keys[] = {"node.id",     "node.hostname",    "node.ip",
                                         "node.role",   "node.platform.os", "node.platform.arch",
                                         "node.labels", "engine.labels"};
#define PLAIN_KEY_COUNT 6 // those that stand alone; the others are prefixes
#define KEY_COUNT (sizeof plain_keys / sizeof *plain_keys)

static bool is_label_key(const char *key) {
    return (strncasecmp(key, NODE_LABELS, strlen(NODE_LABELS)) == 0 && key[strlen(NODE_LABELS)] != '\0') ||
           (strncasecmp(key, ENGINE_LABELS, strlen(ENGINE_LABELS)) == 0 &&
            key[strlen(ENGINE_LABELS)] != '\0');
}

static bool is_key(const char *key) {
    for (size_t i = 0; i < PLAIN_KEY_COUNT; i++) {
        if (strcasecmp(key, plain_keys[i]) == 0) {
            return true;
        }
    }
    return is_label_key(key);
}

static const char *trimmed(struct arena *arena, const char *start, const char *end) {
    while (start < end && isspace((unsigned char)*start)) {
        start++;
    }
    while (end > start && isspace((unsigned char)end[-1])) {
        end--;
    }
    return arena_strndup(arena, start, (size_t)(end - start));
}

static int unknown_key(const char *key, struct error *err) {
    if (key[0] == '\0') {
        return error_set(err, ERR_INVALID,
                         "nothing stands before the operator; write node.labels.disk == ssd");
    }
    if (strcmp(key, "node.labels") == 0 || strcmp(key, "engine.labels") == 0 || str_ends(key, ".labels.")) {
        return error_set(err, ERR_INVALID, "'%s' names no label; write %s.disk", key,
                         str_starts(key, "node") ? "node.labels" : "engine.labels");
    }
    const char *nearest = str_nearest(key, plain_keys, KEY_COUNT);
    if (nearest != NULL) {
        return error_set(err, ERR_INVALID, "'%s' is not known of nodes; did you mean '%s'?", key, nearest);
    }
    return error_set(
        err, ERR_INVALID,
        "'%s' is not known of nodes; write node.id, node.hostname, node.ip, node.role, node.platform.os, "
        "node.platform.arch, node.labels.* or engine.labels.*",
        key);
}

int constraint_check_key(const char *key, struct error *err) {
    return is_key(key) ? 0 : unknown_key(key, err);
}

int constraint_parse(const char *text, struct arena *arena, struct constraint *out, struct error *err) {
    const char *equal = strstr(text, "==");
    const char *differ = strstr(text, "!=");
    const char *sign = equal == NULL || (differ != NULL && differ < equal) ? differ : equal;
    if (sign == NULL && strchr(text, '=') != NULL) {
        return error_set(err, ERR_INVALID, "'%s' has a single '='; write ==", text);
    }
    if (sign == NULL) {
        return error_set(err, ERR_INVALID,
                         "'%s' has neither == nor !=; write it like node.labels.disk == ssd", text);
    }
    const char *key = trimmed(arena, text, sign);
    const char *value = trimmed(arena, sign + 2, text + strlen(text));
    if (!is_key(key)) {
        return unknown_key(key, err);
    }
    if (value[0] == '\0') {
        return error_set(err, ERR_INVALID, "nothing stands after the operator in '%s'", text);
    }
    if (strpbrk(value, "=!<>") != NULL) {
        return error_set(err, ERR_INVALID, "'%s' holds more than one comparison; give each its own line",
                         text);
    }
    *out = (struct constraint){.key = key, .negated = sign[0] == '!', .value = value};
    return 0;
}

static bool is_machine(const char *arch, const char *const *names, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (str_equal_nocase(arch, names[i])) {
            return true;
        }
    }
    return false;
}

// What Go and image registries call it, then what kernels and people do.
static const char *const families[][5] = {
    {"amd64", "x86_64", "x86-64", "amd64/v1", "amd64"},
    {"arm64", "aarch64", "arm64/v8", "armv8", "arm64"},
    {"arm/v7", "armv7l", "armv7", "armhf", "arm/v7"},
    {"arm/v6", "armv6l", "armv6", "armel", "arm/v6"},
    {"386", "i386", "i486", "i586", "i686"},
    {"ppc64le", "powerpc64le", "ppc64el", "ppc64le", "ppc64le"},
    {"loong64", "loongarch64", "loong64", "loong64", "loong64"},
};
#define ARM_FIRST 2 // of the families that "arm" without a version means
#define ARM_LAST 3

// The family's place in the table; -1 = none.
static int family_of(const char *arch) {
    for (size_t i = 0; i < sizeof families / sizeof *families; i++) {
        if (is_machine(arch, families[i], sizeof families[i] / sizeof *families[i])) {
            return (int)i;
        }
    }
    return -1;
}

bool constraint_arch_equal(const char *a, const char *b) {
    int family[2] = {family_of(a), family_of(b)};
    if (str_equal_nocase(a, b)) {
        return true;
    }
    if (str_equal_nocase(a, "arm") || str_equal_nocase(b, "arm")) {
        int other = str_equal_nocase(a, "arm") ? family[1] : family[0];
        return other >= ARM_FIRST && other <= ARM_LAST;
    }
    return family[0] >= 0 && family[0] == family[1];
}

static const char *label(const struct pairs *labels, const char *name) {
    const char *value = pairs_get(labels, name);
    return value != NULL ? value : "";
}

const char *constraint_value(const char *key, const struct node *node) {
    const struct {
        const char *key, *value;
    } values[] = {
        {"node.id", node->meta.id.text},
        {"node.hostname", node->description.hostname},
        {"node.ip", node->status.address},
        {"node.role", node_role_names[node->spec.role == ROLE_MANAGER]},
        {"node.platform.os", node->description.os},
        {"node.platform.arch", node->description.arch},
    };
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        if (strcasecmp(key, values[i].key) == 0) {
            return values[i].value != NULL ? values[i].value : "";
        }
    }
    if (!is_label_key(key)) {
        return "";
    }
    return tolower((unsigned char)key[0]) == 'n'
               ? label(&node->spec.labels, key + strlen(NODE_LABELS))
               : label(&node->description.labels, key + strlen(ENGINE_LABELS));
}

// An address of either family as 16 bytes; false if it is none. `bits` is the length of its family's address.
static bool parse_address(const char *text, uint8_t out[16], unsigned *bits) {
    memset(out, 0, 16);
    *bits = 32;
    if (inet_pton(AF_INET, text, out) == 1) {
        return true;
    }
    *bits = 128;
    return inet_pton(AF_INET6, text, out) == 1;
}

static bool ip_matches(const char *wanted, const char *address) {
    char text[64];
    uint8_t net[16];
    uint8_t host[16];
    unsigned net_bits;
    unsigned host_bits;
    if (!str_copy(text, sizeof text, wanted)) {
        return false;
    }
    char *slash = strchr(text, '/');
    if (slash != NULL) {
        *slash++ = '\0';
    }
    if (!parse_address(text, net, &net_bits) || !parse_address(address, host, &host_bits) ||
        net_bits != host_bits) {
        return false;
    }
    int64_t prefix = net_bits;
    if (slash != NULL && (!str_to_int(slash, &prefix) || prefix < 0 || prefix > (int64_t)net_bits)) {
        return false;
    }
    size_t whole = (size_t)prefix / 8;
    unsigned rest = (unsigned)prefix % 8;
    uint8_t mask = (uint8_t)(0xFF00u >> rest);
    return memcmp(net, host, whole) == 0 && (rest == 0 || ((net[whole] ^ host[whole]) & mask) == 0);
}

bool constraint_matches(const struct constraint *constraint, const struct node *node) {
    if (!is_key(constraint->key)) {
        return false;
    }
    const char *value = constraint_value(constraint->key, node);
    bool is_equal;
    if (strcasecmp(constraint->key, "node.ip") == 0) {
        is_equal = ip_matches(constraint->value, value);
    } else if (strcasecmp(constraint->key, "node.platform.arch") == 0) {
        is_equal = constraint_arch_equal(constraint->value, value);
    } else {
        is_equal = str_equal_nocase(constraint->value, value);
    }
    return is_equal != constraint->negated;
}
