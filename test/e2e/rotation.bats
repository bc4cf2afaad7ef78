#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# test/e2e/rotation.bats — the cluster's authority is replaced under managers that go on working, and nobody is left behind.

load ../lib/managers.bash

setup() {
    managers_setup
}

teardown() {
    [ -n "$BATS_TEST_COMPLETED" ] || tail -n 20 "$cluster"/*/log >&2
    managers_remove
}

certificates() { # NUMBER: where that one keeps its own
    echo "$cluster/$1"/state/certificates/*
}

# The one authority that this manager believes is the one in FILE, and has signed its certificate.
is_of() { # NUMBER FILE
    cmp -s "$2" "$(certificates "$1")/authorities.pem" && openssl verify -CAfile "$2" "$(certificates "$1")/node.pem" >/dev/null
}

leader() {
    on 1 node ls --format '{{.Hostname}} {{.ManagerStatus}}' | sed -n 's/^n\([0-9]*\) Leader$/\1/p'
}

@test "the authority is replaced while managers work: all have certificates by the new one, and the old one is believed no more" {
    managers_cluster 3
    on 1 swarm ca >"$cluster/before.pem"
    local token number
    token=$(on 1 swarm join-token -q worker)
    on 2 swarm ca --rotate --timeout 60s >"$cluster/after.pem" 2>"$cluster/progress"
    matches 'desired authority: [0-9a-f]{16}' "$(<"$cluster/progress")"
    matches 'rotated TLS certificates: 3/3 nodes' "$(<"$cluster/progress")"
    openssl verify -CAfile "$cluster/after.pem" "$cluster/after.pem"
    ! cmp "$cluster/before.pem" "$cluster/after.pem" || false
    same "$(<"$cluster/after.pem")" "$(on 3 swarm ca)"
    for number in 1 2 3; do
        await is_of "$number" "$cluster/after.pem"
    done
    on 2 service create --detach --name after --replicas 0 none >/dev/null
    same "${token##*-}" "$(on 1 swarm join-token -q worker | sed 's/.*-//')"
    [ "${token%-*}" != "$(on 1 swarm join-token -q worker | sed 's/-[^-]*$//')" ]
    manager_start 4 # by the token of the new one
    on 4 swarm join --token "$(on 3 swarm join-token -q manager)" "$(address 2)" >/dev/null
    await all_answer 4
    is_of 4 "$cluster/after.pem"
}

@test "a manager that is down holds it open; back, it catches up; another rotation waits for that" {
    managers_cluster 3
    manager_end 3
    exits 8 on 1 swarm ca --rotate --timeout 4s
    matches 'waits for n3' "$output"
    exits 5 on 1 swarm ca --rotate
    matches 'node rm' "$output"
    same 2 "$(on 1 swarm ca | grep -c BEGIN)"
    on 1 service create --detach --name meanwhile --replicas 0 none >/dev/null
    manager_start 3
    await all_answer 3
    await authorities 1 1
    on 1 swarm ca >"$cluster/after.pem"
    for number in 1 2 3; do
        await is_of "$number" "$cluster/after.pem"
    done
}

authorities() { # NUMBER COUNT
    [ "$(on "$1" swarm ca | grep -c BEGIN)" = "$2" ]
}

@test "the leader that began it is killed: another one ends it" {
    managers_cluster 3
    local first second
    first=$(leader)
    second=$((first % 3 + 1))
    on "$first" swarm ca --rotate --detach -q
    manager_end "$first"
    await on "$second" service create --detach --name between --replicas 0 none
    manager_start "$first"
    await authorities "$second" 1
    on "$second" swarm ca >"$cluster/after.pem"
    for number in 1 2 3; do
        await is_of "$number" "$cluster/after.pem"
    done
    await all_answer 3
}

worker_join() { # NUMBER
    manager_start "$1"
    on "$1" swarm join --token "$(on 1 swarm join-token -q worker)" "$(address 1)" >/dev/null
}

@test "workers are told with their heartbeats, and one that is away holds it open" {
    managers_cluster 1
    on 1 swarm update --dispatcher-heartbeat 1s
    worker_join 2
    worker_join 3
    on 1 swarm ca --rotate --timeout 60s >"$cluster/after.pem"
    for number in 1 2 3; do
        await is_of "$number" "$cluster/after.pem"
    done
    exits 3 on 2 swarm join-token worker
    matches 'not a swarm manager' "$output"
    exits 3 on 2 swarm ca
    manager_end 3
    exits 8 on 1 swarm ca --rotate --timeout 6s
    matches 'waits for n3' "$output"
    manager_start 3
    await authorities 1 1
    on 1 swarm ca >"$cluster/after.pem"
    for number in 1 2 3; do
        await is_of "$number" "$cluster/after.pem"
    done
}

# STATUS ARGUMENT…: what that one says is told at the end.
says_exit() {
    local status=0
    on 1 "${@:2}" >/dev/null 2>&1 || status=$?
    [ "$status" = "$1" ] || echo "$*: exit status $status" >>"$cluster/wrong"
}

@test "without a quorum nothing of it is changed, nor is a token shown that may be replaced already" {
    managers_cluster 3
    manager_end 2
    manager_end 3
    local pids=() # at once, for each of them waits for others to answer
    says_exit 3 swarm join-token worker 3>&- & pids+=($!)
    says_exit 3 swarm join-token --rotate manager 3>&- & pids+=($!)
    says_exit 3 swarm ca --rotate 3>&- & pids+=($!)
    says_exit 3 swarm update --task-history-limit 1 3>&- & pids+=($!)
    wait "${pids[@]}"
    same '' "$(cat "$cluster/wrong" 2>/dev/null)"
}
