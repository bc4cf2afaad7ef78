#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# test/e2e/demo.bats — the demo, on three nodes and on one, twice, and its end without a trace.

load ../lib/musterd.bash
load ../lib/cluster.bash

setup_file() {
    "$repo/examples/images/build.sh" "$IMAGES"
}

setup() {
    musterd_setup
    export MUSTER_DEMO_DIR=$node
    cluster=$node
}

teardown() {
    if [ -f "$node/run/demo.pid" ]; then # it did not end well
        kill -KILL "$(cat "$node/run/demo.pid")" || :
    fi
    cluster_stop
    musterd_remove
}

demo() {
    BUILD=$build timeout 120 "$repo/examples/demo.sh" "$@" 3>&-
}

says_all() { # FILE PATTERN…
    local line
    for line in "${@:2}"; do
        grep -qE "$line" "$1" || { echo "no '$line' in:" && cat "$1" && return 1; } >&2
    done
}

many_left() { # what is there of three nodes, but for the directory, which is not the demo's
    cluster_traces 3 | grep -v '^file '
}

@test "three nodes: a shop, a process that dies, a node that is cut off, mended; again; and gone without a trace" {
    demo >"$node/first" 2>"$node/waiting"
    says_all "$node/first" 'n3 +Ready +Active' 'web .* 3/3' 'watch .* 3/3' 'kill -KILL [0-9]+' 'cluster\.sh cut 3' 'n3 +Down' 'demo\.sh stop'
    [ "$(wc -l <"$node/first")" -lt 80 ]
    refute grep -q $'\e' "$node/first"
    on 1 node ls --filter name=n3 | grep -q Ready
    pid=$(cluster_daemon 2)
    demo >"$node/second" 2>>"$node/waiting"
    says_all "$node/second" 'three nodes of the demo run already'
    same "$pid" "$(cluster_daemon 2)"
    kill -KILL "$pid" "$(cluster_daemon 1)"
    demo stop >"$node/end"
    grep -q 'no process, namespace, mount, control group or file' "$node/end"
    same '' "$(many_left)"
    same 'end first second waiting ' "$(ls "$node" | tr '\n' ' ')"
}

@test "where there can be no namespaces, it says why and is one node" {
    mkdir "$node/bin"
    printf '#!/bin/sh\necho "not permitted" >&2\nexit 1\n' >"$node/bin/ip"
    chmod +x "$node/bin/ip"
    PATH=$node/bin:$PATH demo >"$node/first" 2>"$node/waiting"
    says_all "$node/waiting" 'no network namespaces with a bridge here: not permitted'
    says_all "$node/first" 'So it is one node' 'web .* 3/3' 'kill -KILL [0-9]+'
    demo stop >"$node/end"
    nothing_left
    same '' "$(many_left)"
}

# --- one node ---

@test "one node: the demo starts, breaks, mends, may be repeated, and goes without a trace" {
    export MUSTER_DEMO_NODES=1
    demo >"$node/first"
    for line in 'web .* 3/3' 'cart .* 1/1' 'worker .* 2/2' 'watch .* 1/1' 'kill -KILL [0-9]+' 'demo\.sh stop'; do
        grep -qE "$line" "$node/first"
    done
    [ "$(wc -l <"$node/first")" -lt 70 ] # short enough to be read
    refute grep -q $'\e' "$node/first"  # no colours off a terminal
    count_is 3 web
    muster service ps web | grep -q ' \\_ web\.'
    pid=$(cat "$node/run/demo.pid")

    demo >"$node/second"
    grep -q 'runs on this machine already' "$node/second"
    count_is 3 web
    same "$pid" "$(cat "$node/run/demo.pid")"

    demo stop >"$node/end"
    grep -q 'no process, namespace, mount, control group or file' "$node/end"
    is_gone "$pid"
    nothing_left
    same 'end first second ' "$(ls "$node" | tr '\n' ' ')"
    same '' "$(find /sys/fs/cgroup -mindepth 1 -maxdepth 2 -name "$(group_parent)")"
}

@test "stop takes everything away after the daemon was killed, too" {
    export MUSTER_DEMO_NODES=1
    demo >/dev/null
    kill -KILL "$(cat "$node/run/demo.pid")"
    demo stop >"$node/end"
    nothing_left
    same 'end ' "$(ls "$node" | tr '\n' ' ')"
}

@test "stop leaves a daemon alone that it did not start" {
    export MUSTER_DEMO_NODES=1
    musterd_cluster
    demo >"$node/first"
    demo stop >"$node/end"
    grep -q 'goes on' "$node/end"
    muster node ls >/dev/null
    same '' "$(muster service ls -q)"
}
