#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# test/e2e/cluster_workers.bats — what happens to workers, and to what they run: killed, cut off, cloned.
#
# Tasks are plain processes: what happens to them is seen at their pids.

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

@test "a worker that is cut off keeps its tasks while they run elsewhere; healed, it stops what is superseded" {
    cluster_of 5 3
    sleepers web 10
    since=$(sleeping_since)
    mine=$(sleeping_on 5)
    same 2 "$(wc -w <<<"$mine")"
    cluster_cut 5
    await has_words 5 Down '[A-Za-z]*'
    await replicas_are web 10/10
    await sleep_count_is 12
    same '' "$(comm -23 <(sort <<<"$since") <(sleeping_since | sort))" # nobody was stopped
    cluster_heal
    await has_words 5 Ready '[A-Za-z]*'
    await sleep_count_is 10
    for pid in $mine; do
        is_gone "$pid"
    done
    same 8 "$(comm -12 <(sort <<<"$since") <(sleeping_since | sort) | wc -l)" # those of the others
    replicas_are web 10/10
}

@test "a worker is killed, or cut off: its tasks run elsewhere, with default settings" {
    cluster_of 5 3
    sleepers web 10
    manager_end 4
    cluster_cut 5
    await has_words 4 Down '[A-Za-z]*'
    await has_words 5 Down '[A-Za-z]*'
    await replicas_are web 10/10
    await sleep_count_is 14
    same '' "$(ask node ps n4 n5 --filter desired-state=running -q)"
    cluster_heal
    manager_start 4
    await sleep_count_is 10
    replicas_are web 10/10
}

has_sessions() { # NUMBER COUNT: so often it was given one
    [ "$(manager_said "$1" session.open)" = "$2" ]
}

# Nothing of it says so: no packet, of what its sockets or tasks had to say, gets out.
power_off() { # NUMBER
    local pids
    ip -n "$(cluster_space switch)" link del "n$1"
    manager_end "$1"
    pids=$(ip netns pids "$(cluster_space "$1")")
    # shellcheck disable=SC2086 # words
    [ -z "$pids" ] || kill -KILL $pids
    ip netns del "$(cluster_space "$1")"
    rm -rf "$cluster/$1/run"
}

@test "a worker loses power and is back within seconds: it has a session at once, though nothing had ended the one before" {
    executor=fake
    cluster_of 2 1
    on 1 swarm update --dispatcher-heartbeat 60s >/dev/null # silence alone would tell after three minutes
    manager_end 2
    manager_start 2
    await has_sessions 2 2
    for round in 3 4; do
        power_off 2
        manager_start 2
        await has_sessions 2 $round
        has_words 2 Ready '.*'
    done
    same 0 "$(manager_said 1 node.down)"
    same 0 "$(manager_said 1 session.duplicate)"
}

says() { # NUMBER WORDS
    grep -q -- "$2" "$cluster/$1/log"
}

@test "a worker is there twice: the copy gets no session and no task while the first is there, and takes its place when it ends" {
    executor=fake
    cluster_of 2 1
    await has_sessions 2 1
    manager_end 2
    mkdir "$cluster/3"
    cp -r "$cluster/2/state" "$cluster/3/state"
    manager_start 2
    await has_sessions 2 2
    manager_begin 3
    await says 1 session.duplicate
    await says 3 'two machines have its identity'
    on 1 service create --name web --replicas 4 none >/dev/null
    same 2 "$(on 1 node ps n2 -q --filter desired-state=running | wc -l)"
    has_sessions 3 0
    has_sessions 2 2
    refute says 3 task.state
    manager_end 2
    await has_sessions 3 1
    await says 3 task.state
}
