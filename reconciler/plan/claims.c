// SPDX-License-Identifier: Apache-2.0
//
// reconciler/plan/claims.c — claims as texts, counted.
#include "reconciler/plan/claims.h"

#include <string.h>

#include "base/str.h"

void claims_each(const struct task *task, void (*visit)(void *context, const char *key, int64_t count),
                 void *context) {
    AUTO_BUF key = {0};
    for (size_t i = 0; i < task->generic_resources.count; i++) {
        const struct generic_stock *held = &task->generic_resources.items[i];
        visit(context, held->kind, held->count);
        for (size_t j = 0; j < held->names.count; j++) {
            buf_clear(&key);
            buf_addf(&key, "%s=%s", held->kind, held->names.items[j]);
            visit(context, buf_text(&key), 1);
        }
    }
    for (size_t i = 0; i < task->host_ports.count; i++) {
        buf_clear(&key);
        buf_addf(&key, ":%s", task->host_ports.items[i]);
        visit(context, buf_text(&key), 1);
    }
}

static struct claim *find(const struct claims *claims, const char *key) {
    for (size_t i = 0; i < claims->count; i++) {
        if (strcmp(claims->items[i].key, key) == 0) {
            return &claims->items[i];
        }
    }
    return NULL;
}

int64_t claims_count(const struct claims *claims, const char *key) {
    const struct claim *claim = find(claims, key);
    return claim != NULL ? claim->count : 0;
}

bool claims_has_name(const struct claims *claims, const char *kind, const char *name) {
    size_t len = strlen(kind);
    for (size_t i = 0; i < claims->count; i++) {
        const char *key = claims->items[i].key;
        if (claims->items[i].count > 0 && strncmp(key, kind, len) == 0 && key[len] == '=' &&
            strcmp(key + len + 1, name) == 0) {
            return true;
        }
    }
    return false;
}

bool claims_has_port(const struct claims *claims, const char *port) {
    for (size_t i = 0; i < claims->count; i++) {
        const struct claim *claim = &claims->items[i];
        if (claim->count > 0 && claim->key[0] == ':' && strcmp(claim->key + 1, port) == 0) {
            return true;
        }
    }
    return false;
}

void claims_add(struct claims *claims, const char *key, int64_t count, struct arena *arena) {
    struct claim *claim = find(claims, key);
    if (claim == NULL) {
        claim = ARENA_PUSH(arena, claims);
        *claim = (struct claim){.key = arena_strdup(arena, key)};
    }
    claim->count += count;
}

struct adding {
    struct claims *claims;
    struct arena *arena;
    int sign;
};

static void add_one(void *context, const char *key, int64_t count) {
    const struct adding *adding = context;
    claims_add(adding->claims, key, adding->sign * count, adding->arena);
}

void claims_add_task(struct claims *claims, const struct task *task, int sign, struct arena *arena) {
    if (task_has_claims(task)) {
        claims_each(task, add_one, &(struct adding){claims, arena, sign});
    }
}

struct claims claims_copy(const struct claims *claims, struct arena *arena) {
    struct claims copy = {0};
    for (size_t i = 0; i < claims->count; i++) {
        *ARENA_PUSH(arena, &copy) = claims->items[i];
    }
    return copy;
}

struct claims claims_without(const struct claims *claims, const struct claims *other, struct arena *arena) {
    struct claims left = claims_copy(claims, arena);
    for (size_t i = 0; i < other->count; i++) {
        claims_add(&left, other->items[i].key, -other->items[i].count, arena);
    }
    return left;
}

void claims_of_spec(const struct service_spec *spec, struct arena *arena, struct generic_stocks *generic,
                    struct strings *ports) {
    static const char *const protocols[] = {"tcp", "udp", "sctp"};
    *generic = (struct generic_stocks){0};
    *ports = (struct strings){0};
    for (size_t i = 0; i < spec->deploy.resources.reservations.generic_resources.count; i++) {
        const struct generic_resource *wanted =
            &spec->deploy.resources.reservations.generic_resources.items[i];
        struct generic_stock *stock = ARENA_PUSH(arena, generic);
        schema_init(&generic_stock_schema, stock);
        stock->kind = wanted->kind;
        stock->count = wanted->value;
    }
    for (size_t i = 0; i < spec->ports.count; i++) {
        const struct port *port = &spec->ports.items[i];
        if (port->mode == PUBLISH_HOST && port->published != 0) {
            *ARENA_PUSH(arena, ports) =
                arena_printf(arena, "%lld/%s", (long long)port->published,
                             protocols[port->protocol <= PROTOCOL_SCTP ? port->protocol : 0]);
        }
    }
}
