#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# test/e2e/secrets_nodes.bats — secrets in a cluster: on the nodes that need them and no others, and what happens when managers come and go.
#
# Tasks are plain processes, whose secrets are files below the run directory, which must be in memory for that.

load ../lib/managers.bash

CANARY=canary-58c1e02b97

setup() {
    managers_setup
    executor=process
    rmdir "$cluster"
    cluster=$(mktemp -d /dev/shm/muster-group.XXXXXX)
    printf %s "$CANARY" >"$cluster/value"
}

teardown() {
    [ -n "$BATS_TEST_COMPLETED" ] || tail -n 20 "$cluster"/*/log >&2
    on 1 service rm web >/dev/null 2>&1 && await nothing_runs || :
    managers_remove
}

# Manager 1, and workers 2 and 3.
cluster_of_three() {
    local number
    managers_cluster 1
    for number in 2 3; do
        manager_start "$number"
        on "$number" swarm join --token "$(token 1 worker)" "$(address 1)" >/dev/null
        await is_ready "$number"
    done
}

is_ready() { # NUMBER
    [ "$(on 1 node ls --filter "name=$(name_of "$1")" --format '{{.Status}}')" = Ready ]
}

name_of() { # NUMBER
    on "$1" info -o json | jq -r '[.. | objects | .node_name? // empty][0] // empty'
}

service() { # NUMBER: that runs there
    printf '%s\n' 'kind: secret' 'name: pw' "file: $cluster/value" --- 'kind: service' 'name: web' 'image: none' \
        'command: [sh, -c, "trap exit TERM; while :; do sleep 1 & wait; done"]' 'secrets: [pw]' \
        "deploy: {placement: {constraints: ['node.hostname == $(hostname)', 'node.id == $(id_of "$1")']}}" >"$cluster/web.yaml"
    on 1 apply -f "$cluster/web.yaml"
}

id_of() { # NUMBER
    on "$1" info -o json | jq -r '[.. | objects | .node_id? // empty][0] // empty'
}

files_on() { # NUMBER: that hold the value, outside of its memory
    grep -rlaF -- "$CANARY" "$cluster/$1" 2>/dev/null || :
}

nothing_runs() {
    [ -z "$(find "$cluster"/*/run/contents -name pw 2>/dev/null)" ]
}

# In the memory of its daemon, as far as that can be read.
in_memory_of() { # NUMBER
    local range from to
    while read -r range _; do
        from=$((16#${range%-*})) to=$((16#${range#*-}))
        dd if="/proc/${manager_pids[$1]}/mem" bs=4096 skip=$((from / 4096)) count=$(((to - from) / 4096)) 2>/dev/null |
            grep -qaF -- "$CANARY" && return 0
    done < <(grep ' rw' "/proc/${manager_pids[$1]}/maps" | grep -v 'vvar\|vsyscall')
    return 1
}

@test "a value is on the node whose task needs it, and on no other worker" {
    cluster_of_three
    service 2
    await test -n "$(files_on 2)"
    same 1 "$(files_on 2 | wc -l)"
    [[ $(files_on 2) == $cluster/2/run/contents/*/secrets/pw ]]
    same '' "$(files_on 1)$(files_on 3)"
    in_memory_of 2 # the search finds it where it is
    ! in_memory_of 3
    service 3
    await moved
    same '' "$(files_on 1)$(files_on 2)"
    on 1 service rm web
    await nothing_runs
    same '' "$(files_on 1)$(files_on 2)$(files_on 3)"
}

moved() {
    [ -n "$(files_on 3)" ] && [ -z "$(files_on 2)" ]
}

@test "a worker that starts anew without a manager has its running tasks, and asks for nothing" {
    cluster_of_three
    service 2
    await test -n "$(files_on 2)"
    manager_end 1
    manager_end 2
    manager_start 2
    same 1 "$(files_on 2 | wc -l)"
    manager_start 1
    await is_ready 2
    printf %s-new "$CANARY" >"$cluster/value"
    on 1 apply -f "$cluster/web.yaml"
    same "$CANARY-new" "$(cat "$cluster"/2/run/contents/*/secrets/pw)"
}
