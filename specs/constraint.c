// SPDX-License-Identifier: Apache-2.0
//
// specs/constraint.c — parsing and matching of placement expressions.
#include "specs/constraint.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

#include "base/str.h"

static char *trim(char *text) {
    text += strspn(text, " \t");
    size_t len = strlen(text);
    while (len > 0 && (text[len - 1] == ' ' || text[len - 1] == '\t')) {
        text[--len] = '\0';
    }
    return text;
}

static bool is_key(const char *key) {
    static const char *const known[] = {"node.id", "node.hostname", "node.ip", "node.role", "node.platform.os", "node.platform.arch"};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strcasecmp(key, known[i]) == 0) {
            return true;
        }
    }
    return (strncasecmp(key, "node.labels.", 12) == 0 && key[12] != '\0') || (strncasecmp(key, "engine.labels.", 14) == 0 && key[14] != '\0');
}

int constraint_parse(const char *text, struct arena *arena, struct constraint *out, struct error *err) {
    char *copy = arena_strdup(arena, text);
    char *equal = strstr(copy, "==");
    char *differ = strstr(copy, "!=");
    char *operator= equal == NULL || (differ != NULL && differ < equal) ? differ : equal;
    if (operator== NULL) {
        return error_set(err, ERR_INVALID, "'%s' has no operator: write key == value or key != value", text);
    }
    bool negated = operator[0] == '!';
    *operator= '\0';
    const char *key = trim(copy);
    const char *value = trim(operator+ 2);
    if (key[0] == '\0' || value[0] == '\0') {
        return error_set(err, ERR_INVALID, "'%s' lacks a %s", text, key[0] == '\0' ? "key" : "value");
    }
    if (!is_key(key)) {
        return error_set(err, ERR_INVALID, "'%s' is not a key; keys are node.id, node.hostname, node.ip, node.role, node.platform.os, node.platform.arch, node.labels.NAME, engine.labels.NAME", key);
    }
    *out = (struct constraint){.key = key, .negated = negated, .value = value};
    return 0;
}

const char *constraint_value(const char *key, const struct node *node) {
    const char *label = NULL;
    if (strcasecmp(key, "node.id") == 0) {
        return node->meta.id.text;
    }
    if (strcasecmp(key, "node.hostname") == 0) {
        return node->description.hostname;
    }
    if (strcasecmp(key, "node.ip") == 0) {
        return node->status.address;
    }
    if (strcasecmp(key, "node.role") == 0) {
        return node_role_names[node->spec.role];
    }
    if (strcasecmp(key, "node.platform.os") == 0) {
        return node->description.os;
    }
    if (strcasecmp(key, "node.platform.arch") == 0) {
        return node->description.arch;
    }
    if (strncasecmp(key, "node.labels.", 12) == 0) {
        label = pairs_get(&node->spec.labels, key + 12);
    } else if (strncasecmp(key, "engine.labels.", 14) == 0) {
        label = pairs_get(&node->description.labels, key + 14);
    }
    return label != NULL ? label : "";
}

bool constraint_arch_equal(const char *a, const char *b) {
    static const char *const same[][2] = {{"x86_64", "amd64"}, {"aarch64", "arm64"}};
    for (size_t i = 0; i < 2; i++) {
        a = strcasecmp(a, same[i][0]) == 0 ? same[i][1] : a;
        b = strcasecmp(b, same[i][0]) == 0 ? same[i][1] : b;
    }
    return strcasecmp(a, b) == 0;
}

// An address, or a network in CIDR form that holds it. IPv4 and IPv6.
static bool address_matches(const char *address, const char *wanted) {
    char net[64];
    int64_t bits = -1;
    const char *slash = strchr(wanted, '/');
    if (!str_copy(net, sizeof net, wanted)) {
        return false;
    }
    if (slash != NULL) {
        net[slash - wanted] = '\0';
        if (!str_to_int(slash + 1, &bits)) {
            return false;
        }
    }
    for (int i = 0; i < 2; i++) {
        int family = i == 0 ? AF_INET : AF_INET6;
        int64_t width = i == 0 ? 32 : 128;
        unsigned char a[16];
        unsigned char b[16];
        if (inet_pton(family, address, a) != 1 || inet_pton(family, net, b) != 1) {
            continue;
        }
        int64_t length = bits < 0 ? width : bits;
        if (length > width) {
            return false;
        }
        for (int64_t bit = 0; bit < length; bit++) {
            unsigned mask = 0x80U >> (bit % 8);
            if ((a[bit / 8] & mask) != (b[bit / 8] & mask)) {
                return false;
            }
        }
        return true;
    }
    return false;
}

bool constraint_matches(const struct constraint *constraint, const struct node *node) {
    const char *value = constraint_value(constraint->key, node);
    bool equal;
    if (strcasecmp(constraint->key, "node.ip") == 0) {
        equal = address_matches(value, constraint->value);
    } else if (strcasecmp(constraint->key, "node.platform.arch") == 0) {
        equal = constraint_arch_equal(value, constraint->value);
    } else {
        equal = strcasecmp(value, constraint->value) == 0;
    }
    return equal != constraint->negated;
}
