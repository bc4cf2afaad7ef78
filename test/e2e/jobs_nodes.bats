#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# test/e2e/jobs_nodes.bats — jobs of several nodes: once on each, moved when a node is drained, and no manager's death makes anything run twice.

load ../lib/managers.bash

setup() {
    managers_setup
    executor=process
}

teardown() {
    [ -n "$BATS_TEST_COMPLETED" ] || tail -n 20 "$cluster"/*/log >&2
    touch "$cluster/go" # lets go who still waits
    managers_remove
}

worker_join() { # NUMBER
    manager_start "$1"
    on "$1" swarm join --token "$(token 1 worker)" "$(address 1)" >/dev/null
    await has_session "$1"
}

# job NAME DEPLOY: each task writes that it began, waits until it may end, and writes that it did.
job() {
    printf '%s\n' 'kind: service' "name: $1" 'image: none' \
        "command: [sh, -c, 'echo begin >>$cluster/work; until [ -e $cluster/go ]; do sleep 0.1; done; echo end >>$cluster/work']" \
        "deploy: {$2}" >"$cluster/$1.yaml"
    ask apply --detach -f "$cluster/$1.yaml"
}

ask() { # ARGUMENT…: the first that runs and answers
    local number
    for number in $(managers_awake); do
        on "$number" "$@" 2>/dev/null && return
    done
    return 1
}

lines_are() { # PATTERN COUNT
    [ "$({ cat "$cluster/work" 2>/dev/null || :; } | grep -c "$1")" = "$2" ]
}

replicas_are() { # SERVICE REPLICAS
    [ "$(ask service ls --filter "name=$1" --format '{{.Replicas}}')" = "$2" ]
}

@test "a global job runs once on each node, also on one that joins later" {
    managers_cluster 1
    worker_join 2
    job sweep 'mode: global-job'
    await lines_are begin 2
    touch "$cluster/go"
    on 1 wait sweep
    replicas_are sweep '0/0 (2/2 completed)'
    worker_join 3
    await lines_are end 3
    on 1 wait sweep
    replicas_are sweep '0/0 (3/3 completed)'
    same "$(on 1 node ls --format '{{.Hostname}}' | sort)" "$(on 1 service ps sweep --format '{{.Node}}' | sort)"
}

@test "what a drained node was at is done elsewhere, what it has done stays done" {
    managers_cluster 1
    worker_join 2
    touch "$cluster/go"
    job first 'mode: replicated-job, replicas: 4'
    on 1 wait first
    lines_are end 4
    rm "$cluster/go"
    job second 'mode: replicated-job, replicas: 2'
    await lines_are begin 6
    on 1 node update --availability drain n2 >/dev/null
    await lines_are begin 7
    touch "$cluster/go"
    on 1 wait second
    replicas_are first '0/0 (4/4 completed)'
    replicas_are second '0/0 (2/2 completed)'
    lines_are begin 7
}

@test "a leader that is killed midway makes nothing run twice" {
    managers_cluster 3
    job held 'mode: replicated-job, replicas: 6, max_concurrent: 3'
    await lines_are begin 3
    leads=$(leader)
    manager_end "$leads"
    await has_leader
    manager_start "$leads"
    await all_answer 3
    touch "$cluster/go"
    ask wait held
    lines_are begin 6
    lines_are end 6
    replicas_are held '0/0 (6/6 completed)'
}
