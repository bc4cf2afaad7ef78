#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# test/e2e/demo.bats — `muster demo`, on three nodes and on one, twice, installed, and its end without a trace.

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
    timeout 120 "$build/muster" demo "$@" 3>&-
}

# It refuses, and says how to look at the one there is, and to end it.
demo_again() {
    exits 5 demo
    matches 'it runs already: .*MUSTER_HOST=unix://.*muster service ls.*muster demo stop' "$output"
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
    says_all "$node/first" 'n3 +Ready +Active' 'web .* 3/3' 'watch .* 3/3' 'kill -KILL [0-9]+' 'cluster\.sh cut 3' 'n3 +Down' 'muster demo stop'
    [ "$(wc -l <"$node/first")" -lt 80 ]
    refute grep -q $'\e' "$node/first"
    on 1 node ls --filter name=n3 | grep -q Ready
    pid=$(cluster_daemon 2)
    demo_again
    same "$pid" "$(cluster_daemon 2)"
    demo status >"$node/status"
    says_all "$node/status" "export MUSTER_HOST=unix://$node/1/run/muster.sock" 'n3 +Ready' 'web .* 3/3'
    kill -KILL "$pid" "$(cluster_daemon 1)"
    demo stop >"$node/end"
    grep -q 'no process, namespace, mount, control group or file' "$node/end"
    same '' "$(many_left)"
    same 'end first status waiting ' "$(ls "$node" | tr '\n' ' ')"
    exits 1 demo status
    matches 'does not run: .*muster demo$' "$output"
    demo stop | grep -q 'no process, namespace, mount, control group or file' # there was nothing
}

@test "what misses is told before anything is begun" {
    exits 2 demo strat
    matches "did you mean 'start'" "$output"
    exits 2 demo stop now
    mkdir "$node/bin"
    ln -s "$(command -v bash)" "$(command -v timeout)" "$node/bin"
    exits 2 unshare --mount bash -c "mount -t tmpfs none /usr/sbin && PATH='$node/bin' exec '$build/muster' demo"
    matches 'the demo needs runc, and it is not here: apt-get install runc' "$output"
    exits 4 setpriv --reuid 65534 --regid 65534 --clear-groups "$build/muster" demo
    matches 'need root: sudo muster demo start' "$output"
    cp "$build/muster" "$node/bin/"
    exits 2 "$node/bin/muster" demo
    matches "files of the demo are not beside this program: neither $node/bin/\.\./share/muster/examples" "$output"
    same bin "$(ls "$node")"
}

@test "installed, it finds its files and images there, and says what to type" {
    make -C "$repo" --no-print-directory install DESTDIR="$node/root" PREFIX=/usr >"$node/make" 2>&1 3>&- || { cat "$node/make" >&2 && false; }
    build=$node/root/usr/bin
    cd "$node"
    MUSTER_DEMO_NODES=1 PATH=$build:$PATH demo >"$node/first" 2>"$node/waiting"
    says_all "$node/first" '^\$ muster apply -f /.*/root/usr/share/muster/examples/shop.yaml' 'web .* 3/3' 'cart .* 1/1' ' muster demo stop'
    MUSTER_DEMO_NODES=1 demo stop >"$node/end"
    nothing_left
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
    for line in 'web .* 3/3' 'cart .* 1/1' 'worker .* 2/2' 'watch .* 1/1' 'kill -KILL [0-9]+' 'muster demo stop'; do
        grep -qE "$line" "$node/first"
    done
    [ "$(wc -l <"$node/first")" -lt 70 ] # short enough to be read
    refute grep -q $'\e' "$node/first"  # no colours off a terminal
    count_is 3 web
    muster service ps web | grep -q ' \\_ web\.'
    pid=$(cat "$node/run/demo.pid")

    demo_again
    count_is 3 web
    demo status | grep -qE 'web .* 3/3'
    same "$pid" "$(cat "$node/run/demo.pid")"

    demo stop >"$node/end"
    grep -q 'no process, namespace, mount, control group or file' "$node/end"
    is_gone "$pid"
    nothing_left
    same 'end first ' "$(ls "$node" | tr '\n' ' ')"
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
