#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# test/e2e/idle.bats — a cluster with nothing to do writes nothing.

load ../lib/cluster.bash
load ../lib/sleepers.bash

setup() {
    cluster_setup
    sleepers_setup
}

teardown() {
    [ -n "$BATS_TEST_COMPLETED" ] || tail -n 20 "$cluster"/*/log >&2
    cluster_remove
    sleepers_remove
}

@test "three managers and a worker that run tasks write nothing to their stores, however long" {
    cluster_of 4 3
    sleepers web 8
    local before
    await cluster_rests 3 50 # what there was to write is written
    before=$(cluster_writes 3)
    cluster_hears 1 300
    same "$before" "$(cluster_writes 3)"
    replicas_are web 8/8
    ask service update --force web >/dev/null # and this is seen
    refute same "$before" "$(cluster_writes 3)"
}
