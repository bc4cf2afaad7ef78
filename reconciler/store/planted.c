// SPDX-License-Identifier: Apache-2.0
//
// reconciler/store/planted.c — which planted bug is on; nothing in an ordinary build.
#include "reconciler/store/planted.h"

#ifdef MUSTER_PLANTED

#include <stdlib.h>
#include <string.h>

#include "reconciler/raft/planted.h"

enum replica_bug replica_bug;
enum store_bug store_bug;
enum planted_bug planted_bug;

static const char *const replica_names[] = {
#define X(name, text) [REPLICA_BUG_##name] = "REPLICA_" #name,
    REPLICA_BUG_LIST(X)
#undef X
};
static const char *const store_names[] = {
#define X(name, text) [STORE_BUG_##name] = "STORE_" #name,
    STORE_BUG_LIST(X)
#undef X
};
static const char *const raft_names[] = {
#define X(name, text) [BUG_##name] = #name,
    PLANTED_BUG_LIST(X)
#undef X
};

static unsigned find(const char *const *names, unsigned count, const char *name) {
    for (unsigned i = 1; i < count; i++) {
        if (strcmp(names[i], name) == 0) {
            return i;
        }
    }
    return 0;
}

__attribute__((constructor)) static void take_from_environment(void) {
    const char *name = getenv("BUG");
    if (name != NULL) {
        replica_bug = (enum replica_bug)find(replica_names, REPLICA_BUG_END, name);
        store_bug = (enum store_bug)find(store_names, STORE_BUG_END, name);
        planted_bug = (enum planted_bug)find(raft_names, BUG_END, name);
    }
}

bool store_planted_each(unsigned count) {
    static unsigned asked;
    return ++asked % count == 0;
}

#endif
