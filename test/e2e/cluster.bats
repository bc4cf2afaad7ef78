#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# test/e2e/cluster.bats — a cluster of machines that are network namespaces: by one command, and gone by one, whatever was done to it.

load ../lib/cluster.bash

setup_file() {
    "$repo/examples/images/build.sh" "$build/images"
}

setup() {
    cluster_setup
    rmdir "$cluster"
}

teardown() {
    [ -n "$BATS_TEST_COMPLETED" ] || tail -n 20 "$cluster"/*/log >&2
    cluster_remove
    rm -rf "$cluster".*
}

# The directory may have an end that files beside it have, too.
script() {
    MUSTER_CLUSTER_DIR=$cluster BUILD=$build timeout 120 "$repo/examples/cluster.sh" "$@" 3>&-
}

nodes_with_tasks() {
    on 1 ps --filter desired-state=running --format '{{.Node}}' | sort -u | xargs
}

@test "five nodes by one command: three managers and two workers, all run real containers; stop leaves nothing" {
    script start >"$cluster.out"
    same '3 managers 2 workers' "$(on 1 node ls --format '{{if .ManagerStatus}}managers{{else}}workers{{end}}' | sort | uniq -c | xargs)"
    grep -q "export MUSTER_HOST=unix://$cluster/1/run/muster.sock" "$cluster.out"
    on 1 apply -f "$repo/examples/shop.yaml" 2>/dev/null
    same 'n1 n2 n3 n4 n5' "$(nodes_with_tasks)"
    exits 1 script start
    matches "there is one in $cluster already" "$output"
    exits 2 script start 3 4
    exits 2 script cut
    script stop
    cluster_is_gone 5
}

@test "half of it is killed with all that belongs to it: stop leaves nothing, and it starts again" {
    script start 3 1 >/dev/null
    on 1 apply -f "$repo/examples/shop.yaml" 2>/dev/null
    script cut 3
    script kill 2 STOP
    for pid in $(traces_processes "$cluster/1/state" "$cluster/1/run") $(pgrep -f "muster-shim.*$cluster/2/run"); do
        kill -KILL "$pid" 2>/dev/null || :
    done
    refute script kill 1
    script stop
    cluster_is_gone 3
    script start 1 >/dev/null
    script kill 1
    matches 'n1 +10.89.0.1:2377 +does not run' "$(script show)"
    script run 1
    on 1 node ls >/dev/null
    script in 1 ip -o addr show dev eth0 | grep -q 10.89.0.1/16
    script stop
    cluster_is_gone 1
}

@test "where there can be no namespaces, that is said, and nothing is left" {
    mkdir "$cluster.bin"
    printf '#!/bin/sh\necho "not permitted" >&2\nexit 1\n' >"$cluster.bin/ip"
    chmod +x "$cluster.bin/ip"
    PATH=$cluster.bin:$PATH exits 1 script start
    matches 'no network namespaces with a bridge here: not permitted' "$output"
    cluster_is_gone 5
}
