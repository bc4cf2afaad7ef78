#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# test/e2e/cluster.bats — a cluster in network namespaces: started and taken away.

load ../lib/cluster.bash

setup_file() {
    "$repo/examples/images/build.sh" "$build/images"
}

setup() {
    cluster_setup
}

teardown() {
    [ -n "$BATS_TEST_COMPLETED" ] || tail -n 20 "$cluster"/*/log >&2
    cluster_remove
}

script() {
    MUSTER_CLUSTER_DIR=$cluster BUILD=$build "$repo/examples/cluster.sh" "$@" 3>&-
}

@test "a cluster of namespaces runs real containers, and goes without a trace" {
    rmdir "$cluster"
    script start 1 >"$cluster.out"
    rm "$cluster.out"
    on 1 apply -f "$repo/examples/shop.yaml" 2>/dev/null
    [ -n "$(cluster_traces 1)" ]
    exits 1 script start 1
    matches "there is one in $cluster already" "$output"
    script stop
    nothing_left 1
}
