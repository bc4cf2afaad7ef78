#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# test/e2e/recover.bats — managers that are gone for good: the last one goes on alone, and who comes back is kept out.

load ../lib/managers.bash

setup() {
    managers_setup
    tag=3$BASHPID$RANDOM # seconds that only our processes sleep
}

teardown() {
    [ -n "$BATS_TEST_COMPLETED" ] || tail -n 20 "$cluster"/*/log >&2
    managers_remove
    for pid in $(pgrep -fx "sleep $tag"); do
        kill -KILL "$pid" || :
    done
}

create() { # NUMBER NAME
    on "$1" service create --detach --name "$2" --replicas 0 none >/dev/null
}

# Three managers with services 1 to 5, of which 2 and 3 are gone.
one_of_three() {
    managers_cluster 3
    for name in {1..5}; do
        create $((name % 3 + 1)) "s$name"
    done
    manager_end 2
    manager_end 3
}

outdated_text() {
    echo "swarm leave --force.*muster swarm join $(address 1)"
}

holds() { # NUMBER NAME…: these services, those of one_of_three, and no others
    same "$(printf '%s\n' s{1..5} "${@:2}" | sort)" "$(on "$1" service ls --format '{{.Name}}' | sort)"
}

cluster_of() { # NUMBER
    on "$1" info -o json 2>/dev/null | jq -r .cluster_id
}

is_outdated() { # NUMBER
    [ "$(manager_said "$1" cluster.outdated)" -ge 1 ]
}

voters_are() { # NUMBER COUNT
    [ "$(on "$1" info -o json 2>/dev/null | jq '.manager_addresses | length')" = "$2" ]
}

@test "the last of three goes on alone with all that was acknowledged; the others are refused, and join again" {
    one_of_three
    id=$(cluster_of 1)
    exits 3 on 1 service create --detach --name none --replicas 0 none
    matches "no manager leads.*swarm init --force-new-cluster" "$(on 1 info 2>&1)"
    output=$(on 1 swarm init --force-new-cluster)
    matches 'as its only manager' "$output"
    matches "muster swarm join $(address 1)" "$output"
    same "$id" "$(cluster_of 1)"
    holds 1
    create 1 after
    same 1 "$(manager_said 1 cluster.alone)"
    same 1 "$(on 1 info -o json 2>/dev/null | jq .managers)"
    has_words 2 Down ''
    has_words 3 Down ''
    matches 'swarm init --force-new-cluster' "$(on 1 log)"

    manager_start 2
    manager_start 3
    await is_outdated 2
    await is_outdated 3
    for number in 2 3; do
        remedy=$(outdated_text)
        matches "$remedy" "$(grep cluster.outdated "$cluster/$number/log")"
        matches "$remedy" "$(on "$number" info 2>&1)"
        exits 3 on "$number" node ls
        matches "$remedy" "$output"
        exits 3 on "$number" service create --detach --name theirs --replicas 0 none
        exits 3 on "$number" swarm leave
        matches "$remedy" "$output"
    done
    manager_end 2 # they know without being told again, and make no quorum of their own
    manager_end 3
    manager_pause 1
    manager_start 2
    manager_start 3
    exits 3 on 2 service create --detach --name theirs --replicas 0 none
    exits 3 on 3 service create --detach --name theirs --replicas 0 none
    manager_resume 1
    create 1 meanwhile
    holds 1 after meanwhile
    same 3 "$(on 1 node ls -q | grep -c .)"
    has_words 2 Down ''

    on 2 swarm leave --force >/dev/null
    matches 'warning: of 2 managers none may fail, no more than of 1' "$(on 2 swarm join "$(address 1)" 2>&1)"
    on 3 swarm leave --force >/dev/null
    same 'This node joined a swarm as a manager.' "$(on 3 swarm join "$(address 1)" 2>&1)"
    await all_answer 3
    same 3 "$(on 1 node ls -q | grep -c .)"
    await voters_are 1 3
    manager_end 1 # and bear the loss of one again
    create 3 last
    holds 2 after last meanwhile
}

@test "all three end at once and one comes back: it goes on alone, also when it ended before its records were as its log" {
    managers_cluster 3
    create 2 s1
    for number in 1 2 3; do
        kill -KILL "${manager_pids[number]}"
    done
    for number in 1 2 3; do
        manager_end "$number"
    done
    manager_start 3
    on 3 swarm init --force-new-cluster >/dev/null
    same s1 "$(on 3 service ls --format '{{.Name}}')"
    create 3 s2
    manager_end 3
    manager_start 3
    same 'n3 Ready Leader' "$(on 3 node ls --filter name=n3 --format '{{.Hostname}} {{.Status}} {{.ManagerStatus}}')"
    same 2 "$(on 3 service ls -q | grep -c .)"
}

@test "refused while a quorum answers, on a node of no swarm, on a worker, and on one that is alone; none of them changes" {
    managers_cluster 3
    manager_end 3
    exits 9 on 1 swarm init --force-new-cluster
    matches '2 of 3 managers answer, which is a quorum.*muster node rm' "$output"
    exits 2 on 1 swarm init --force-new-cluster --task-history-limit 3
    matches "keeps the cluster's settings: --task-history-limit" "$output"
    manager_start 3
    await all_answer 3
    manager_pause 1 # who was away for a while does not know better at first
    await has_leader
    manager_resume 1
    exits 9 on 1 swarm init --force-new-cluster
    create 1 after
    manager_start 4
    exits 5 on 4 swarm init --force-new-cluster
    matches 'not part of a swarm.*muster swarm init' "$output"
    same inactive "$(on 4 info --format '{{.Swarm.LocalNodeState}}')"
    on 1 node demote n3 2>/dev/null
    await voters_are 1 2
    exits 9 on 3 swarm init --force-new-cluster
    matches 'no manager' "$output"
    on 1 node demote n2 >/dev/null
    await voters_are 1 1
    exits 9 on 1 swarm init --force-new-cluster
    matches 'the only manager already' "$output"
    same 0 "$(cat "$cluster"/*/log | grep -c cluster.alone)"
}
