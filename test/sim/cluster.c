// SPDX-License-Identifier: Apache-2.0
//
// test/sim/cluster.c — one run: what it is like, from its seed; troubles; healing; and what must be so then.
#include "test/sim/cluster.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "test/lib/scratch.h"
#include "test/sim/cluster_world.h"

#define CONVERGE_MS 60000
#define REST_MS 1000

const char *const cluster_trouble_words[TROUBLE_END] = {
#define X(name, word) word,
    CLUSTER_TROUBLE_LIST(X)
#undef X
};

static struct cluster_totals totals;
struct cluster_totals *cluster_totals = &totals;
const char *cluster_base_dir;

// --- knobs ---

static int64_t one_of(struct cluster_sim *c, const int64_t *items, size_t count) {
    return items[cluster_below(c, count)];
}
#define PICK(...)                                                                                            \
    one_of(c, (const int64_t[]){__VA_ARGS__}, sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t))

// Usual time between two troubles of a kind. A run has about half of them, each often or seldom.
static void draw_troubles(struct cluster_sim *c) {
    static const int64_t seldom_ms[TROUBLE_END] = {
        [TROUBLE_CUT] = 20000,         [TROUBLE_CRASH] = 20000,       [TROUBLE_CRASH_BEFORE] = 15000,
        [TROUBLE_CRASH_AFTER] = 15000, [TROUBLE_CRASH_INSTALL] = 500, [TROUBLE_RESTART_ALL] = 60000,
        [TROUBLE_STOP] = 30000,        [TROUBLE_FULL] = 40000,        [TROUBLE_BROKEN] = 30000,
        [TROUBLE_SLOW] = 30000,        [TROUBLE_CLOCK] = 20000,       [TROUBLE_DAMAGE] = 60000,
        [TROUBLE_MEMBERS] = 15000,     [TROUBLE_TRANSFER] = 15000,    [TROUBLE_EXECUTOR] = 30000,
        [TROUBLE_ROLLBACK] = 20000,
    };
    for (int i = 0; i < TROUBLE_END; i++) {
        int64_t factor = PICK(0, 0, 0, 1, 1, 4);
        c->knobs.every_ms[i] = factor > 0 && seldom_ms[i] > 0 ? seldom_ms[i] / factor : 0;
    }
}

static void draw_knobs(struct cluster_sim *c) {
    c->knobs = (struct cluster_knobs){
        .managers = (unsigned)PICK(1, 3, 3, 3, 3, 5, 5, 7),
        .clients = (unsigned)PICK(2, 3, 5, 8),
        .keys = (unsigned)PICK(2, 4, 8),
        .services = (unsigned)PICK(1, 3, 6),
        .loss = (unsigned)PICK(0, 0, 10, 50, 200),
        .duplicate = (unsigned)PICK(0, 0, 20, 200),
        .delay_long = (unsigned)PICK(0, 0, 5, 50),
        .delay_ms = (unsigned)PICK(1, 5, 40, 150),
        .think_ms = PICK(300, 1000, 3000, 10000),
        .user_ms = PICK(5000, 15000, 40000),
        .pace = {.proposal_ms = PICK(3000, 10000),
                 .keep_entries = PICK(10, 30, 100, 1000),
                 .digest_interval = PICK(20, 100, 500)},
    };
    draw_troubles(c);
    const struct {
        enum cluster_trouble trouble;
        unsigned *knob;
    } rates[] = {{TROUBLE_LOSS, &c->knobs.loss},
                 {TROUBLE_DUPLICATE, &c->knobs.duplicate},
                 {TROUBLE_DELAY, &c->knobs.delay_long}};
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++) {
        *rates[i].knob = (c->run.without >> rates[i].trouble & 1) == 0 ? *rates[i].knob : 0;
    }
}

// --- a run ---

// Maps order what they hold by a secret of the process; a run must not depend on it. (The C library has
// taken what it needs of these bytes before main.)
static void fix_hashes(void) {
    static bool is_fixed;
    if (!is_fixed) {
        memset((void *)(uintptr_t)getauxval(AT_RANDOM), 7, 16);
        is_fixed = true;
    }
}

static void keep_quiet(void) {
    static int fd = -1;
    if (fd < 0) {
        fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
        log_configure(&(struct log_options){.level = LOG_ERROR, .fd = fd});
    }
}

static struct cluster_sim *begin(const struct cluster_run *run, struct buf *trace) {
    struct cluster_sim *c = NEW(struct cluster_sim);
    c->run = *run;
    c->trace = trace;
    c->operator_ms = c->user_ms = c->look_ms = NEVER;
    for (int i = 0; i < TROUBLE_END; i++) {
        c->trouble_ms[i] = NEVER;
    }
    c->cut_until_ms = NEVER;
    prng_seed(&c->prng, run->seed);
    snprintf(c->dir, sizeof c->dir, "%s/muster-run.XXXXXX",
             cluster_base_dir != NULL ? cluster_base_dir : scratch_memory());
    char *made = mkdtemp(c->dir);
    ASSERT(made != NULL);
    draw_knobs(c);
    c->now_ms = 1000;
    return c;
}

static void end(struct cluster_sim *c) {
    cluster_drop_parcels(c);
    for (unsigned i = 0; i < c->count; i++) {
        cluster_manager_free(&c->managers[i]);
    }
    size_t cursor = 0;
    for (struct cluster_task *task; (task = map_next(&c->truth.tasks, &cursor)) != NULL;) {
        xfree(task);
    }
    map_free(&c->truth.tasks);
    xfree(c->truth.terms);
    xfree(c->truth.sums);
    xfree(c->truth.digests);
    xfree(c->heap);
    xfree(c->ops);
    int rc = fs_remove_tree(AT_FDCWD, c->dir, &c->err);
    ASSERT(rc == 0);
    xfree(c);
}

static void want_leader(struct cluster_sim *c) {
    int64_t until_ms = c->now_ms + 10 * 10 * 100; // ten election times
    while (cluster_leader(c) == NULL && c->now_ms < until_ms && !cluster_is_broken(c)) {
        cluster_step(c, until_ms);
    }
    if (cluster_leader(c) == NULL) {
        cluster_break(c, "liveness: ten election times after all was healed nobody leads");
    }
}

static void want_convergence(struct cluster_sim *c) {
    AUTO_BUF why = buf_make(0);
    int64_t until_ms = c->now_ms + CONVERGE_MS;
    while (c->now_ms < until_ms && !cluster_is_broken(c)) {
        int64_t look_ms = c->now_ms + REST_MS;
        while (c->now_ms < look_ms && !cluster_is_broken(c)) {
            cluster_step(c, look_ms);
        }
        if (cluster_has_converged(c, &why)) {
            return;
        }
    }
    cluster_break(c, "liveness: %d s after all was healed: %s", CONVERGE_MS / 1000, buf_text(&why));
}

static void live(struct cluster_sim *c) {
    cluster_clients_begin(c);
    for (unsigned i = 0; i < c->knobs.clients; i++) {
        c->clients[i].next_ms = NEVER;
    }
    cluster_operator_found(c);
    for (unsigned i = 0; i < c->knobs.clients; i++) {
        c->clients[i].next_ms = c->now_ms + 1;
    }
    c->user_ms = c->now_ms + 1;
    cluster_troubles_begin(c);
    int64_t until_ms = c->now_ms + c->run.virtual_ms;
    while (c->now_ms < until_ms && !cluster_is_broken(c)) {
        cluster_step(c, until_ms);
    }
    if (cluster_is_broken(c)) {
        return;
    }
    cluster_heal(c);
    want_leader(c);
    c->clients_rest = true;
    want_convergence(c);
    if (!cluster_is_broken(c)) {
        cluster_check_end(c);
        cluster_judge(c);
    }
}

bool cluster_run(const struct cluster_run *run, struct buf *out, struct buf *trace) {
    fix_hashes();
    keep_quiet();
    struct cluster_sim *c = begin(run, trace);
    live(c);
    cluster_totals->runs++;
    cluster_totals->virtual_ms += (uint64_t)c->now_ms;
    cluster_note(c, "ends: %llu packets, %zu operations, %llu entries", (unsigned long long)c->next_order,
                 c->op_count, (unsigned long long)c->truth.last);
    bool is_fine = !cluster_is_broken(c);
    if (!is_fine) {
        cluster_note_managers(c);
        buf_adds(out, c->broken);
    }
    end(c);
    return is_fine;
}
