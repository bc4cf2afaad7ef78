// SPDX-License-Identifier: Apache-2.0
//
// reconciler/plan/fit.c — constraints and platform of a spec against a node.
#include "reconciler/plan/fit.h"

#include <string.h>

#include "base/str.h"

static void fit_init_platform(struct fit *fit, const char *platform, struct arena *arena) {
    fit->platform_os = fit->platform_arch = "";
    if (str_is_empty(platform)) {
        return;
    }
    const char *slash = strchr(platform, '/');
    if (slash == NULL) {
        fit->platform_os = platform;
        return;
    }
    fit->platform_os = arena_strndup(arena, platform, (size_t)(slash - platform));
    fit->platform_arch = slash + 1; // with its variant: "arm64/v8"
}

void fit_init(struct fit *fit, const struct service_spec *spec, struct arena *arena) {
    *fit = (struct fit){0};
    for (size_t i = 0; i < spec->deploy.placement.constraints.count; i++) {
        const char *text = spec->deploy.placement.constraints.items[i];
        struct constraint *constraint = ARENA_PUSH(arena, &fit->constraints);
        if (constraint_parse(text, arena, constraint, /* err */ NULL) != 0) {
            *constraint = (struct constraint){.key = text, .value = ""};
        }
    }
    fit_init_platform(fit, spec->platform, arena);
}

bool fit_platform(const struct fit *fit, const struct node *node) {
    return (fit->platform_os[0] == '\0' || str_equal_nocase(fit->platform_os, node->description.os)) &&
           (fit->platform_arch[0] == '\0' ||
            constraint_arch_equal(fit->platform_arch, node->description.arch));
}

bool fit_node(const struct fit *fit, const struct node *node) {
    for (size_t i = 0; i < fit->constraints.count; i++) {
        if (!constraint_matches(&fit->constraints.items[i], node)) {
            return false;
        }
    }
    return fit_platform(fit, node);
}
