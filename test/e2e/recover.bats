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
    echo "swarm leave --force.*muster swarm join --token TOKEN $(address 1)"
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
    matches "muster swarm join --token TOKEN $(address 1)" "$output"
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
    matches 'warning: of 2 managers none may fail, no more than of 1' "$(on 2 swarm join --token "$(token 1)" "$(address 1)" 2>&1)"
    on 3 swarm leave --force >/dev/null
    same 'This node joined a swarm as a manager.' "$(on 3 swarm join --token "$(token 1)" "$(address 1)" 2>&1)"
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
    await has_session 3
    exits 9 on 3 swarm init --force-new-cluster
    matches 'no manager' "$output"
    on 1 node demote n2 >/dev/null
    await voters_are 1 1
    exits 9 on 1 swarm init --force-new-cluster
    matches 'the only manager already' "$output"
    same 0 "$(cat "$cluster"/*/log | grep -c cluster.alone)"
}

@test "the wrong one went on alone: who is outdated can do so as well, and the first one joins it" {
    managers_cluster 3
    create 1 s1
    manager_end 2
    manager_end 3
    on 1 swarm init --force-new-cluster >/dev/null
    manager_start 2
    manager_start 3
    await is_outdated 2
    on 2 swarm init --force-new-cluster >/dev/null
    create 2 s2
    manager_end 2 # the card of before says nothing about the group of now
    manager_start 2
    create 2 s3
    on 1 swarm leave --force >/dev/null
    on 1 swarm join --token "$(token 2)" "$(address 2)" >/dev/null 2>&1
    await is_outdated 3
    on 3 swarm leave --force >/dev/null
    on 3 swarm join --token "$(token 2)" "$(address 2)" >/dev/null
    await all_answer 3
    same 's1 s2 s3' "$(on 1 service ls --format '{{.Name}}' | sort | xargs)"
}

# --- even numbers ---

@test "what makes the number of managers even warns, and is done" {
    managers_cluster 3
    manager_start 4
    same 'warning: of 4 managers 1 may fail, no more than of 3: add one more, or take one away' "$(on 4 swarm join --token "$(token 1)" "$(address 1)" 2>&1 >/dev/null)"
    same 'Manager n4 demoted in the swarm.' "$(on 1 node demote n4 2>&1)"
    matches 'warning: of 4 managers 1 may fail' "$(on 1 node promote n4 2>&1 >/dev/null)"
    same n4 "$(on 1 node update --role worker n4 2>&1)"
    matches 'warning: of 2 managers none may fail, no more than of 1' "$(on 1 node update --role worker n3 2>&1 >/dev/null)"
    same '' "$(on 1 node demote n2 2>&1 >/dev/null)"
}

# --- tasks ---

sleepers() { # SERVICE REPLICAS: real processes
    printf '%s\n' 'kind: service' "name: $1" 'image: none' "command: [sleep, '$tag']" "deploy: {replicas: $2}" >"$cluster/$1.yaml"
    on 1 apply -f "$cluster/$1.yaml" 2>/dev/null
}

sleeping_is() { # COUNT
    [ "$(pgrep -cfx "sleep $tag")" = "$1" ]
}

# Those that a daemon's shims hold, by its state directory.
sleeping_on() { # NUMBER
    local pid
    for pid in $(pgrep -fx "sleep $tag"); do
        tr '\0' ' ' <"/proc/$(ps -o ppid= -p "$pid" | tr -d ' ')/cmdline" | grep -qF "$cluster/$1/" && echo "$pid"
    done
    return 0
}

@test "tasks of the others are replaced, its own and those of workers run on; a worker finds the new leader by itself" {
    executor=process
    managers_cluster 3
    on 1 node demote n3 2>/dev/null
    await voters_are 1 2
    sleepers web 6
    await sleeping_is 6
    own=$(sleeping_on 1) of_worker=$(sleeping_on 3)
    same '2 2' "$(wc -w <<<"$own") $(wc -w <<<"$of_worker")"
    manager_end 2
    on 1 swarm init --force-new-cluster >/dev/null
    await has_session_with 3 1
    await sleeping_is 8 # two of a node whose daemon is gone
    for pid in $own $of_worker; do
        kill -0 "$pid"
    done
    has_words 3 Ready ''
    manager_start 2
    await is_outdated 2
    same 2 "$(sleeping_on 2 | wc -w)" # until a person decides
    on 2 swarm leave --force >/dev/null
    await sleeping_is 6
    on 2 swarm join --token "$(token 1)" "$(address 1)" >/dev/null 2>&1
    await has_words 2 Ready Reachable
    for pid in $own $of_worker; do
        kill -0 "$pid"
    done
}

# --- killed on the way ---

# Copies of manager 1, each with a tracer that kills it at one call on the way.
begin_points() { # CALL:N…
    local point number=10
    for point; do
        number=$((number + 1))
        cp -r "$cluster/1" "$cluster/$number"
        manager_start "$number"
        strace -f -qq -o "$cluster/$number/trace" -e "trace=${point%:*}" -e "inject=${point%:*}:signal=KILL:when=${point#*:}" \
            -p "${manager_pids[number]}" 2>/dev/null 3>&- &
        tracers+=($!)
        await is_traced "${manager_pids[number]}"
        (quietly on "$number" swarm init --force-new-cluster && touch "$cluster/$number/acknowledged") 3>&- &
        clients+=($!)
    done
}

# In the old group or in the new one, and in the new one if that was said; either way it goes on.
end_point() { # NUMBER
    local status=0
    if is_gone "${manager_pids[$1]}"; then
        reached=$((reached + 1))
    fi
    manager_end "$1"
    manager_start "$1"
    on "$1" swarm init --force-new-cluster >"$cluster/again" 2>&1 || status=$?
    case $status in
    0) [ ! -e "$cluster/$1/acknowledged" ] && old=$((old + 1)) ;;
    9) new=$((new + 1)) ;;
    *) cat "$cluster/again" >&2 && return 1 ;;
    esac
    create "$1" after && holds "$1" after
    same 'Down Down Ready Leader' "$(on "$1" node ls --format '{{.Status}} {{.ManagerStatus}}' | sort | xargs)"
}

@test "killed at any call that writes on the way alone, it starts in the old group or in the new one" {
    one_of_three
    manager_end 1
    reached=0 old=0 new=0
    for points in 'pwrite64:1 pwrite64:2 pwrite64:3 pwrite64:4 pwrite64:5 pwrite64:6 pwrite64:8' \
        'writev:1 writev:2 writev:3 fdatasync:1 fdatasync:2 fdatasync:3 fdatasync:4' 'unlink:1 ftruncate:1 fallocate:1 fsync:1 renameat:1 fsync:2'; do
        tracers=() clients=()
        # shellcheck disable=SC2086 # points, one a word
        begin_points $points
        wait "${clients[@]}" || :
        kill "${tracers[@]}" 2>/dev/null || :
        wait "${tracers[@]}" || :
        for number in "$cluster"/[1-9][0-9]; do
            end_point "${number##*/}"
            manager_end "${number##*/}"
            rm -r "$number"
        done
    done
    echo "# killed at $reached points: $old in the old group, $new in the new one" >&3
    [ $reached -ge 12 ] && [ $old -gt 0 ] && [ $new -gt 0 ]
}
