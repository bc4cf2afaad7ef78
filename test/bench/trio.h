// SPDX-License-Identifier: Apache-2.0
//
// test/bench/trio.h — three members of a group as three processes on loopback, real disks; load is proposed
// inside whichever leads.
//
// Each process is a store, a replica and its links, in the order of the daemon's turn, and nothing else. The
// leader keeps a number of proposals in flight (closed loop): each creates, later updates, one of 20,000
// objects of about 256 bytes.
#ifndef MUSTER_TEST_BENCH_TRIO_H
#define MUSTER_TEST_BENCH_TRIO_H

#include <stdbool.h>
#include <stdint.h>

struct trio;

struct trio_figures {
    double commits_per_second;
    double median_us, p99_us;
    int64_t resident_bytes; // of the leader
};

// In a new directory under `parent`. Returns once a leader takes proposals.
struct trio *trio_start(const char *parent);
void trio_stop(struct trio *trio); // kills all, removes the directory
struct trio_figures trio_load(struct trio *trio, unsigned in_flight, double warm_seconds, double seconds);
// Kills the leader by SIGKILL and tells after how many ms the next proposal was acknowledged; the killed one
// is started again.
double trio_fail_over_ms(struct trio *trio);
// Asks the leader to hand over: ms until another one has acknowledged a proposal.
double trio_hand_over_ms(struct trio *trio);

#endif
