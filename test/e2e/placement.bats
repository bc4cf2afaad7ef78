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
