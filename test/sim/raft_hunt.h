// SPDX-License-Identifier: Apache-2.0
//
// test/sim/raft_hunt.h — runs many seeds in several processes, and makes small what they find.
//
// Model        Workers take the next seed from a counter that they share. One that dies (a broken assertion)
//              has found something, too, and is replaced. What was found is shrunk: shorter, then with as
//              many knobs off as it still fails without; what comes out is one line that repeats it.
// Kept         test/sim/seeds has a line for each seed that once found something: SEED MS OFF what it found.
//              They are run again each time.
// Ledger       test/sim/ledger has a line for each soak: what was run at which commit, and that nothing was
//              found.
#ifndef MUSTER_TEST_SIM_RAFT_HUNT_H
#define MUSTER_TEST_SIM_RAFT_HUNT_H

#include "base/buf.h"
#include "test/sim/raft_sim.h"

#define HUNT_FOUND_MAX 3 // then it ends
#define HUNT_SEEDS_FILE "test/sim/seeds"
#define HUNT_LEDGER_FILE "test/sim/ledger"

struct hunt_finding {
    struct sim_case run;
    struct sim_result result;
};

struct hunt {
    uint64_t first, count; // seeds
    uint64_t virtual_ms;
    unsigned processes;
    unsigned seconds; // no new runs after that; 0 = no limit
    bool is_quiet;    // drops what dying workers say
};

struct hunt_report {
    struct sim_totals totals;
    uint64_t next_seed; // the first that was not run
    size_t found_count;
    struct hunt_finding found[HUNT_FOUND_MAX];
};

void hunt_run(const struct hunt *hunt, struct hunt_report *out);

// One run in a child. Returns out->is_fine.
bool hunt_try(const struct sim_case *run, struct sim_result *out);
// Makes it smaller as long as it still fails.
void hunt_shrink(struct hunt_finding *finding);

// "SEED=7 SEED_MS=1200 SIM_OFF=loss,cut"; and back, for the last part ("-" = none).
void hunt_describe(const struct sim_case *run, struct buf *out);
bool hunt_parse_off(const char *text, unsigned *out);

// Appends to the file of kept seeds.
void hunt_keep(const char *path, const struct hunt_finding *finding, const char *note);
// Reads line number `line` (from 0) of it that is no comment; false = there is none. Dies on a line that is
// not well-formed.
bool hunt_kept(const char *path, size_t line, struct sim_case *out);

// The first seed that no soak has run; and a line more.
uint64_t hunt_ledger_next(const char *path);
void hunt_ledger_add(const char *path, const char *commit, uint64_t first_seed,
                     const struct hunt_report *report);

#endif
