// SPDX-License-Identifier: Apache-2.0
//
// test/sim/cluster_hunt.h — many runs of simulated clusters, each in a process that it may end: what they
// find, made smaller, and kept.
#ifndef MUSTER_TEST_SIM_CLUSTER_HUNT_H
#define MUSTER_TEST_SIM_CLUSTER_HUNT_H

#include "test/sim/cluster.h"

#define CLUSTER_SEEDS_FILE "test/sim/cluster_seeds"
#define CLUSTER_FINDINGS_MAX 3

struct cluster_finding {
    struct cluster_run run;
    char what[1024]; // a broken rule, a broken assertion, or how the process ended
};
struct cluster_hunt {
    uint64_t first, count;
    int64_t virtual_ms;
    uint32_t off;
    size_t findings_max;           // ends with the last one; 0 = CLUSTER_FINDINGS_MAX
    void (*before)(void *context); // in each process, before its first run; may be NULL
    void *context;
};
struct cluster_report {
    size_t found_count;
    struct cluster_finding found[CLUSTER_FINDINGS_MAX];
    struct cluster_totals totals;
};
void cluster_hunt(const struct cluster_hunt *hunt, struct cluster_report *out);
// Less time and fewer troubles, as long as something is found. Changes `run` and `what`.
void cluster_shrink(struct cluster_finding *finding);

// The number-th line of the file of kept seeds: "SEED MS OFF what it found". False: there is none.
bool cluster_kept(const char *path, size_t number, struct cluster_run *out);
void cluster_keep(const char *path, const struct cluster_finding *finding); // appends it
// "cut,stop"; "-" or "" = nothing. False for a word that is none.
bool cluster_parse_off(const char *text, uint32_t *out);

#endif
