// SPDX-License-Identifier: Apache-2.0
//
// test/bench/contender.h — what bench_consensus.c measures: a cluster of three members on this machine that
// takes puts.
//
// Load       256-byte values under 20,000 keys, closed loop: so many puts are in flight, and each
//            acknowledged one is followed by the next. The leader gets them, through the contender's own
//            network protocol, from this process.
#ifndef MUSTER_TEST_BENCH_CONTENDER_H
#define MUSTER_TEST_BENCH_CONTENDER_H

#include <stdint.h>

#include "base/error.h"

#define LOAD_KEYS 20000
#define LOAD_VALUE_BYTES 256
#define MEMBERS 3

struct load {
    int in_flight;
    int64_t warm_up_ms, measured_ms;
    uint64_t seed;
};

struct load_figures {
    double puts_per_s; // acknowledged
    double median_ms, p99_ms;
    double resident_mib; // of the leader, at the end
};

struct contender {
    const char *name;
    // Starts three members with their data below `dir`, which exists and is empty, and waits until they have
    // a leader.
    int (*start)(const char *dir, void **out, struct error *err);
    // A failed put fails the run.
    int (*run)(void *self, const struct load *load, struct load_figures *out, struct error *err);
    // Kills the leader (SIGKILL) while nothing else goes on, and tries puts on the others at short intervals:
    // *out_ms is the time from the kill to the first acknowledged one. Then starts it again and waits until
    // it has caught up.
    int (*fail_over)(void *self, double *out_ms, struct error *err);
    // The leader is asked to hand over: ms until another one has acknowledged a put. NULL: not measured.
    int (*hand_over)(void *self, double *out_ms, struct error *err);
    void (*stop)(void *self); // accepts NULL
};

extern const struct contender etcd_contender; // test/bench/etcd.c
// test/bench/trio.c: members of muster, loaded by proposals made inside the leader, without a client.
extern const struct contender replica_contender;

#endif
