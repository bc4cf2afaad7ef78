#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# test/e2e/strangers.bats — whoever calls a manager's port and comes to nothing: they go, and nobody else notices.
#
# test/bench/strangers.c plays them; how long they stay, and how a manager answers meanwhile, test/bench/bench_gate.sh measures.

load ../lib/cluster.bash
load ../lib/sleepers.bash

setup() {
    cluster_setup
    sleepers_setup
    strangers=$build/test/${FLAVOUR:-release}/strangers
}

teardown() {
    [ -n "$BATS_TEST_COMPLETED" ] || tail -n 20 "$cluster"/*/log >&2
    [ -z "${calling-}" ] || kill "$calling" 2>/dev/null || :
    cluster_remove
    sleepers_remove
}

# about FIELD: what the manager says of itself
about() {
    on 1 info -o json | jq ".$1"
}

callers_are() { # HIGHEST
    [ "$(about callers)" -le "$1" ]
}

# Enough of them to fill all places that are kept for callers; where they come from has a network of its own.
call() { # COUNT [NUMBER]
    cluster_in "${2:-3}" "$strangers" "$(address 1)" "$1" >"$cluster/called" 2>&1 3>&- &
    calling=$!
}

came_to_nothing() { # COUNT
    wait "$calling" || { cat "$cluster/called" >&2 && return 1; }
    same "$1" "$(jq .gone "$cluster/called")"
    calling=
}

@test "strangers by the hundred, silent or in the middle of a handshake: sessions stay, the manager answers, all are sent away and counted" {
    cluster_of 3 1
    sleepers web 6
    since=$(sleeping_since)
    opened=$(manager_said 2 session.open)
    same 0 "$(about turned_away)"
    same 2 "$(about agents)"
    for round in 1 2; do
        call 600
        same 3 "$(on 1 node ls -q | wc -l)"
        on 1 service create --detach --name "meanwhile-$round" --replicas 0 none >/dev/null
        came_to_nothing 600
    done
    await callers_are 0
    same 1200 "$(about turned_away)"
    same 2 "$(about agents)"
    same "$opened" "$(manager_said 2 session.open)"
    same 3 "$(on 1 node ls --format '{{.Status}}' | grep -c Ready)"
    same 0 "$(manager_said 1 node.down)"
    same "$since" "$(sleeping_since)"
}

@test "a worker whose daemon starts among strangers gets its session, and a machine that joins among them is let in" {
    cluster_of 3 1
    opened=$(manager_said 2 session.open)
    manager_end 2
    call 600
    manager_start 2
    await said_more_often 2 session.open "$opened"
    manager_start 4
    on 4 swarm join --token "$(token 1 worker)" "$(address 1)" >/dev/null
    await has_words 4 Ready ''
    came_to_nothing 600
}
