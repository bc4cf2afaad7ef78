#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# test/e2e/placement.bats — where tasks go, on a manager and workers: preferences, resources of nodes' own making, platforms, ports; and what
# is said when no node will do.

load ../lib/managers.bash

setup() {
    managers_setup
}

teardown() {
    [ -n "$BATS_TEST_COMPLETED" ] || tail -n 20 "$cluster"/*/log >&2
    managers_remove
}

# One manager, then workers up to that number; options of node N are in options[N].
nodes() { # COUNT
    local number
    managers_cluster 1 ${options[1]-}
    for ((number = 2; number <= $1; number++)); do
        manager_start "$number" ${options[number]-}
        on "$number" swarm join --token "$(token 1 worker)" "$(address 1)" >/dev/null
    done
    for ((number = 2; number <= $1; number++)); do
        await has_session "$number"
        await has_words "$number" Ready ''
    done
}

label() { # NODE KEY=VALUE
    on 1 node update --label-add "$2" "$1" >/dev/null
}

# "n1 n1 n2": where the running tasks of a service are.
places() { # SERVICE
    on 1 service ps "$1" --filter desired-state=running --format '{{.Node}}' | sort | xargs
}

places_are() { # SERVICE NODES
    [ "$(places "$1")" = "$2" ]
}

per_node() { # SERVICE: "2xn1 3xn2"
    places "$1" | tr ' ' '\n' | uniq -c | awk '{ print $1 "x" $2 }' | xargs
}

error_of() { # SERVICE: of its newest task that waits
    on 1 service ps "$1" --no-trunc --format '{{.CurrentState}}|{{.Error}}' | sed -n 's/^Pending.*|"\(.*\)"$/\1/p' | head -1
}

@test "tasks spread over data centres before they spread over nodes, and say so by Docker's flags" {
    nodes 4
    label n1 dc=a && label n2 dc=a && label n3 dc=a && label n4 dc=b
    on 1 service create --name web --replicas 6 --placement-pref spread=node.labels.dc none >/dev/null 2>&1
    same '1xn1 1xn2 1xn3 3xn4' "$(per_node web)"
    on 1 service update --placement-pref-rm spread=node.labels.dc --placement-pref-add spread=node.hostname web >/dev/null 2>&1
    same '1xn1 1xn2 1xn3 3xn4' "$(per_node web)" # what runs stays
    same node.hostname "$(on 1 service inspect web | jq -r '.[0].Spec.TaskTemplate.Placement.Preferences[0].Spread.SpreadDescriptor // .[0].spec.deploy.placement.preferences[0].spread')"
    on 1 service scale web=8 >/dev/null 2>&1
    same '2xn1 2xn2 1xn3 3xn4' "$(per_node web)" || same '2xn1 1xn2 2xn3 3xn4' "$(per_node web)" || same '1xn1 2xn2 2xn3 3xn4' "$(per_node web)"
    exits 2 on 1 service create --name odd --placement-pref spread=node.rack none
    matches "node.rack" "$output"
}

@test "resources with names are held by one task each, and the task is told which" {
    executor=process
    options=([1]='--generic-resource gpu=u1,u2 --generic-resource ssd=3')
    nodes 2
    matches 'gpu=u1,u2' "$(on 1 node inspect --pretty n1)"
    printf '%s\n' 'kind: service' 'name: learn' 'image: none' \
        "command: [sh, -c, 'echo got \$MUSTER_RESOURCE_GPU and \$MUSTER_RESOURCE_SSD; exec sleep 1000']" \
        'deploy: {replicas: 2, resources: {reservations: {generic_resources: [{kind: gpu, value: 1}, {kind: ssd, value: 1}]}}}' >"$cluster/learn.yaml"
    on 1 apply -f "$cluster/learn.yaml" 2>/dev/null
    same 'n1 n1' "$(places learn)"
    both_said() {
        [ "$(on 1 service logs --raw learn 2>/dev/null | sort | xargs)" = 'got u1 and 1 got u2 and 1' ]
    }
    await both_said
    on 1 service scale --detach learn=3 >/dev/null 2>&1
    is_told() {
        same 'no suitable node (insufficient gpu on 2 nodes)' "$(error_of learn)"
    }
    await is_told
    matches 'n1: 0 of 2 free' "$(on 1 why learn)"
    matches 'node n1 had 1 more gpu free' "$(on 1 why learn)"
    same 'had 1 more gpu free' "$(on 1 why learn -o json | jq -r '.would_run_if[] | select(.nodes[0] == "n1" and (.of_service | not)).change')"
    exits 2 "$build/musterd" --generic-resource gpu
    matches 'KIND=NUMBER' "$output"
}

@test "managers that do not lead explain and plan as well" {
    managers_cluster 2
    on 1 service create --name web --replicas 4 none >/dev/null 2>&1
    for number in 1 2; do
        matches 'it runs on n[12]' "$(on "$number" why web)"
        same 'web: is balanced' "$(on "$number" rebalance --plan web)"
        on "$number" service inspect web >/dev/null
    done
    printf '%s\n' 'kind: service' 'name: web' 'image: none' 'deploy: {replicas: 6}' >"$cluster/web.yaml"
    same "$(on 1 plan -f "$cluster/web.yaml")" "$(on 2 plan -f "$cluster/web.yaml")"
    on 2 rebalance >/dev/null
    same '2xn1 2xn2' "$(per_node web)"
}

@test "a platform that no node has keeps a task waiting, with the reason" {
    nodes 1
    printf '%s\n' 'kind: service' 'name: arm' 'image: none' 'platform: linux/s390x' >"$cluster/arm.yaml"
    on 1 apply --detach -f "$cluster/arm.yaml" 2>/dev/null
    is_told() {
        [ "$(error_of arm)" = 'no suitable node (unsupported platform on 1 node)' ]
    }
    await is_told
    sed -i 's/s390x/amd64/' "$cluster/arm.yaml"
    on 1 apply -f "$cluster/arm.yaml" 2>/dev/null
    same n1 "$(places arm)"
}

@test "a node joins: the plan says what would move, and rebalance moves it, one task at a time" {
    nodes 2
    on 1 service create --name web --replicas 6 none >/dev/null 2>&1
    on 1 service create --name all --mode global none >/dev/null 2>&1
    on 1 rebalance --plan >"$cluster/out"
    same 'nothing to move' "$(cat "$cluster/out")"
    manager_start 3
    on 3 swarm join --token "$(token 1 worker)" "$(address 1)" >/dev/null
    await has_session 3
    await places_are all 'n1 n2 n3'
    same '3xn1 3xn2' "$(per_node web)" # nothing moves by itself
    on 1 rebalance --plan web >"$cluster/out"
    matches 'web: 2 moves' "$(cat "$cluster/out")"
    matches 'then: .*n3 2 \(now 0\)' "$(cat "$cluster/out")"
    same '3xn1 3xn2' "$(per_node web)"
    same 'all: not now: only replicated services are balanced' "$(on 1 rebalance all)"
    on 1 rebalance >/dev/null
    is_balanced() {
        [ "$(per_node web)" = '2xn1 2xn2 2xn3' ]
    }
    await is_balanced
    is_at_rest() {
        [ "$(on 1 rebalance --plan web)" = 'web: is balanced' ]
    }
    await is_at_rest
    same '[]' "$(on 1 rebalance --plan web -o json | jq -c '.services[0].moves')"
    exits 2 on 1 rebalance nosuch
}

@test "with deploy.rebalance.on_join a returning node gets tasks by itself" {
    nodes 2
    printf '%s\n' 'kind: service' 'name: web' 'image: none' \
        'deploy: {replicas: 6, rebalance: {on_join: true, max_moves: 2, cool_down: 1s}, placement: {constraints: [node.role == worker]}}' >"$cluster/web.yaml"
    manager_start 3
    on 3 swarm join --token "$(token 1 worker)" "$(address 1)" >/dev/null
    await has_session 3
    await has_words 3 Ready ''
    on 1 apply -f "$cluster/web.yaml" 2>/dev/null
    same '3xn2 3xn3' "$(per_node web)"
    on 1 node update --availability drain n3 >/dev/null
    all_on_n2() {
        [ "$(per_node web)" = 6xn2 ]
    }
    await all_on_n2
    on 1 node update --availability active n3 >/dev/null
    is_balanced() {
        [ "$(per_node web)" = '3xn2 3xn3' ]
    }
    await is_balanced
}

@test "a plan says what becomes of tasks, and it comes so" {
    nodes 2
    spec() { # REPLICAS IMAGE [LABEL]
        printf '%s\n' 'kind: service' 'name: web' "image: $2" "deploy: {replicas: $1, labels: {${3-}}, update_config: {monitor: 0s}}" >"$cluster/web.yaml"
    }
    plan() {
        on 1 plan -f "$cluster/web.yaml"
    }
    spec 4 one
    matches 'service web: tasks: 4 new' "$(plan)"
    matches 'then on: (n1|n2) 2 \(now 0\), (n1|n2) 2 \(now 0\)' "$(plan)"
    same '' "$(on 1 service ls -q)" # nothing was written
    on 1 apply -f "$cluster/web.yaml" 2>/dev/null
    same 'nothing would change' "$(plan)"
    exits 0 on 1 plan -f "$cluster/web.yaml" --check
    spec 4 one 'a: b'
    matches 'service web: tasks: 4 untouched' "$(plan)"
    exits 1 on 1 plan -f "$cluster/web.yaml" --check
    spec 6 one
    matches 'service web: tasks: 2 new, 4 untouched' "$(plan)"
    spec 3 two
    matches 'service web: tasks: 3 restarted.* 1 stopped' "$(plan)"
    on 1 apply -f "$cluster/web.yaml" 2>/dev/null
    same '3' "$(on 1 service ps web --filter desired-state=running -q | wc -l)"
    printf '%s\n' 'kind: service' 'name: arm' 'image: none' 'platform: linux/s390x' >"$cluster/web.yaml"
    matches '1 without a node: no suitable node \(unsupported platform on 2 nodes\)' "$(plan)"
    same 1 "$(on 1 plan -f "$cluster/web.yaml" -o json | jq '.services[0].waiting')"
    printf '%s\n' 'kind: service' 'name: bad' 'imag: none' >"$cluster/web.yaml"
    exits 2 on 1 plan -f "$cluster/web.yaml"
}
