#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# test/e2e/demo.bats — the demo, twice, and its end without a trace.

load ../lib/musterd.bash

setup_file() {
    "$repo/examples/images/build.sh" "$IMAGES"
}

setup() {
    musterd_setup
    export MUSTER_DEMO_DIR=$node
}

teardown() {
    if [ -f "$node/run/demo.pid" ]; then # it did not end well
        kill -KILL "$(cat "$node/run/demo.pid")" || :
    fi
    musterd_remove
}

demo() {
    BUILD=$build timeout 120 "$repo/examples/demo.sh" "$@" 3>&-
}

@test "the demo starts, breaks, mends, may be repeated, and goes without a trace" {
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
    grep -q 'no process, mount, control group or file' "$node/end"
    is_gone "$pid"
    nothing_left
    same 'end first second ' "$(ls "$node" | tr '\n' ' ')"
    same '' "$(find /sys/fs/cgroup -mindepth 1 -maxdepth 2 -name "$(group_parent)")"
}

@test "stop takes everything away after the daemon was killed, too" {
    demo >/dev/null
    kill -KILL "$(cat "$node/run/demo.pid")"
    demo stop >"$node/end"
    nothing_left
    same 'end ' "$(ls "$node" | tr '\n' ' ')"
}

@test "stop leaves a daemon alone that it did not start" {
    musterd_cluster
    demo >"$node/first"
    demo stop >"$node/end"
    grep -q 'goes on' "$node/end"
    muster node ls >/dev/null
    same '' "$(muster service ls -q)"
}
