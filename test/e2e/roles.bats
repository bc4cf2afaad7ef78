#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# test/e2e/roles.bats — managers come and go: promoted, demoted, leaving, removed, and coming back.

load ../lib/managers.bash

setup() {
    managers_setup
    tag=2$BASHPID$RANDOM # seconds that only our processes sleep
}

teardown() {
    [ -n "$BATS_TEST_COMPLETED" ] || tail -n 20 "$cluster"/*/log >&2
    managers_remove
    for pid in $(sleeping); do
        kill -KILL "$pid" || :
    done
}

sleepers() { # SERVICE REPLICAS: real processes
    executor=process
    printf '%s\n' 'kind: service' "name: $1" 'image: none' "command: [sleep, '$tag']" "deploy: {replicas: $2}" >"$cluster/$1.yaml"
    on 1 apply -f "$cluster/$1.yaml" 2>/dev/null
}

sleeping() {
    pgrep -fx "sleep $tag"
}

# Those that a daemon's shims hold, by its state directory.
sleeping_on() { # NUMBER
    local pid
    for pid in $(sleeping); do
        tr '\0' ' ' <"/proc/$(ps -o ppid= -p "$pid" | tr -d ' ')/cmdline" | grep -qF "$cluster/$1/" && echo "$pid"
    done
    return 0
}

sleeping_is() { # COUNT
    [ "$(sleeping | grep -c .)" = "$1" ]
}

create() { # NUMBER NAME
    on "$1" service create --detach --name "$2" --replicas 0 none >/dev/null
}

quorum_is() { # NUMBER QUORUM
    [ "$(on "$1" info -o json 2>/dev/null | jq .quorum)" = "$2" ]
}

is_manager() { # NUMBER
    [ "$(on "$1" info -o json 2>/dev/null | jq .is_manager)" = true ]
}

is_worker() { # NUMBER
    [ "$(on "$1" info -o json 2>/dev/null | jq .is_manager)" = false ]
}

swarm_state() { # NUMBER
    on "$1" info --format '{{.Swarm.LocalNodeState}}'
}

is_active() { # NUMBER
    [ "$(swarm_state "$1" 2>/dev/null)" = active ]
}

is_inactive() { # NUMBER
    [ "$(swarm_state "$1" 2>/dev/null)" = inactive ]
}

# --- promote, demote ---

@test "a demoted manager votes no more and goes on to run its tasks; promoted, it votes again" {
    executor=process
    managers_cluster 3
    sleepers web 6
    await sleeping_is 6
    pids=$(sleeping | sort -n)
    same 'Manager n3 demoted in the swarm.' "$(on 1 node demote n3)"
    await quorum_is 1 2
    await has_words 3 Ready ''
    await is_worker 3
    same '0 1' "$(manager_said 3 store.quarantine) $(manager_said 3 store.discard)" # nothing is wrong with it
    same '' "$(find "$cluster/3/state/store" -name 'quarantine-*')"
    same 'Node n3 is already a worker.' "$(on 1 node demote n3)"
    exits 3 on 3 node ls
    matches 'This node is not a swarm manager' "$output"
    same "$pids" "$(sleeping | sort -n)"
    create 2 without-it
    manager_end 3 # and a worker finds back
    manager_start 3
    await is_active 3
    is_worker 3
    same 'Node n3 promoted to a manager in the swarm.' "$(on 2 node promote n3)"
    await has_words 3 Ready Reachable
    await is_manager 3
    matches without-it "$(on 3 service ls)"
    same "$pids" "$(sleeping | sort -n)"
}

@test "a leader that is demoted hands over first" {
    managers_cluster 3
    led=$(leader)
    on "$led" node demote self >/dev/null
    await has_words "$led" Ready ''
    other=$((led % 3 + 1))
    refute same "$led" "$(leader)" 2>/dev/null
    create "$other" after
    manager_end "$led" # nobody's vote
    create "$other" alone
}

@test "what would leave no quorum is refused, with the remedy" {
    managers_cluster 3
    manager_end 3
    await has_words 3 Down Unreachable
    exits 9 on 1 node demote n2
    matches "of the 2 managers left 1 would answer, which is no quorum: start the others again, or first remove .*muster node rm" "$output"
    exits 9 on 1 node rm --force n2
    exits 9 on 2 swarm leave
    matches 'no quorum' "$output"
    matches '\-\-force leaves all the same' "$output"
    on 1 node rm n3 # the remedy
    await quorum_is 1 2
    on 1 node demote n2
    await quorum_is 1 1
    exits 9 on 1 node demote n1
    matches 'it is the last manager of the swarm' "$output"
    printf '%s\n' 'kind: node' 'name: n1' 'role: worker' >"$cluster/n1.yaml"
    exits 9 on 1 apply -f "$cluster/n1.yaml"
}

@test "all are demoted at the same moment: the last one stays a manager" {
    managers_cluster 3
    local asked=()
    for number in 1 2 3; do
        on "$number" node demote self >/dev/null 2>&1 3>&- & # each looks at a group of three, or of two
        asked+=($!)
    done
    wait "${asked[@]}" || :
    await one_manager_is_left
}

one_manager_is_left() {
    local led
    led=$(leader) && quorum_is "$led" 1 &&
        [ "$(on "$led" node ls --filter role=manager --format '{{.Hostname}}' 2>/dev/null)" = "n$led" ]
}

# --- leave ---

@test "a manager leaves: its tasks run elsewhere, it forgets the swarm, and joins again" {
    executor=process
    managers_cluster 3
    sleepers web 6
    await sleeping_is 6
    same 'Node left the swarm.' "$(on 3 swarm leave)"
    same inactive "$(swarm_state 3)"
    same '' "$(sleeping_on 3)"
    await sleeping_is 6
    has_words 3 Down ''
    same 'it left the swarm' "$(on 1 node inspect n3 | jq -r '.[0].Status.Message // .[0].status.message')"
    await quorum_is 1 2
    exits 5 on 3 swarm leave
    matches 'not part of a swarm' "$output"
    exits 9 on 1 node promote n3
    matches 'it left the swarm' "$output"
    manager_end 3 # nothing of it comes back
    manager_start 3
    same inactive "$(swarm_state 3)"
    on 3 swarm join --token "$(token 1)" "$(address 1)" >/dev/null
    await has_words 3 Ready Reachable
    same 3 "$(on 3 node ls -q | grep -c .)"
}

@test "each leader leaves until the last one, which is asked twice and erases everything" {
    managers_cluster 3
    create 1 kept
    for round in 1 2; do
        led=$(leader)
        on "$led" swarm leave >/dev/null
        is_inactive "$led"
        [ ! -e "$cluster/$led/state/certificates" ]
        other=$(leader)
        on "$other" node rm "n$led" >/dev/null
        create "$other" "s$round"
    done
    last=$(leader)
    exits 9 on "$last" swarm leave
    matches 'last manager.*--force' "$output"
    on "$last" swarm leave --force >/dev/null
    same inactive "$(swarm_state "$last")"
    on "$last" swarm init >/dev/null
    [ "$(ls "$cluster/$last/state/certificates" | wc -l)" = 1 ]
    same '' "$(on "$last" service ls -q)"
}

@test "a daemon that is killed while it stops the tasks of the swarm it left goes on with that" {
    executor=process
    managers_cluster 1
    cat >"$cluster/deaf.yaml" <<YAML
kind: service
name: deaf
image: none
command: [sh, -c, "trap '' TERM; while :; do sleep $tag; done"]
stop_grace_period: 1h
deploy: {replicas: 2}
YAML
    on 1 apply -f "$cluster/deaf.yaml" 2>/dev/null
    await sleeping_is 2
    on 1 swarm leave --force 3>&- &
    asked=$!
    await test -e "$cluster/1/state/leaving"
    exits 3 on 1 service ls
    matches 'this node left its swarm, and 2 of its tasks are still being stopped' "$output"
    manager_end 1
    wait "$asked" || :
    manager_start 1
    same pending "$(swarm_state 1)"
    exits 3 on 1 swarm init
    for pid in $(sleeping); do # they end now
        kill -KILL "$(ps -o ppid= -p "$pid" | tr -d ' ')" "$pid"
    done
    await on 1 swarm init >/dev/null 2>&1
    [ ! -e "$cluster/1/state/leaving" ]
    same '' "$(on 1 ps -q)"
}

@test "without a quorum a manager leaves by force only; the others remove it when they are back" {
    managers_cluster 3
    manager_end 2
    manager_end 3
    exits 3 on 1 swarm leave
    matches 'of 3 managers 2 do not answer' "$output"
    matches '\-\-force leaves all the same' "$output"
    on 1 swarm leave --force >/dev/null
    same inactive "$(swarm_state 1)"
    manager_start 2
    manager_start 3
    await has_words 1 Down Unreachable
    on 2 node rm n1 >/dev/null
    await quorum_is 3 2
    same 2 "$(on 3 info -o json 2>/dev/null | jq .managers)"
    on 1 swarm join --token "$(token 3)" "$(address 3)" >/dev/null
    await all_answer 3
}

@test "a worker leaves, and one that lost its store comes back as a worker" {
    managers_cluster 3
    on 1 node demote n2 n3 >/dev/null
    await is_worker 2
    await is_worker 3
    manager_end 3
    rm "$cluster/3/state/store/data.mdb" "$cluster/3/state/store/lock.mdb"
    manager_start 3
    await is_active 3
    is_worker 3
    await has_session 3 # or nobody would hear that it leaves
    on 3 swarm leave >/dev/null
    has_words 3 Down ''
    on 2 swarm leave >/dev/null
    quorum_is 1 1
    create 1 alone
}

# --- rm ---

@test "a node that is up is removed by force only: it stops its tasks and forgets the swarm" {
    executor=process
    managers_cluster 3
    sleepers web 6
    await sleeping_is 6
    exits 9 on 1 node rm n3
    matches "node 'n3' is not down and can't be removed" "$output"
    same n3 "$(on 1 node rm --force n3)"
    same '' "$(on 1 node ls --filter name=n3 -q)"
    await is_inactive 3
    same '' "$(sleeping_on 3)"
    await sleeping_is 6
    await quorum_is 1 2
    exits 2 on 1 node rm n3
    matches "node 'n3' not found" "$output"
}

@test "a node that was removed while it was down learns of that when it comes back" {
    executor=process
    managers_cluster 3
    sleepers web 6
    await sleeping_is 6
    manager_end 3
    await has_words 3 Down Unreachable
    same n3 "$(on 1 node rm n3)"
    await sleeping_is 8
    manager_start 3
    await is_inactive 3
    await sleeping_is 6
    same '' "$(sleeping_on 3)"
    on 3 swarm join --token "$(token 2)" "$(address 2)" >/dev/null
    await all_answer 3
}

@test "a node that was removed while it was frozen learns of that when it goes on" {
    managers_cluster 3
    manager_pause 3
    await has_words 3 Down Unreachable
    same n3 "$(on 1 node rm n3)"
    manager_resume 3
    await is_inactive 3
    on 3 swarm join --token "$(token 1)" "$(address 1)" >/dev/null
    await all_answer 3
}

# --- join ---

@test "who is part of a swarm does not join one; it leaves first, and its services are gone" {
    managers_cluster 2
    exits 5 on 2 swarm join --token "$(token 1)" "$(address 1)"
    matches 'muster swarm leave' "$output"
    manager_start 3
    on 3 swarm init >/dev/null
    create 3 mine
    create 1 theirs
    exits 5 on 3 swarm join --token "$(token 1)" "$(address 1)"
    on 3 swarm leave --force >/dev/null
    on 3 swarm join --token "$(token 1)" "$(address 1)" >/dev/null
    same theirs "$(on 3 service ls --format '{{.Name}}')"
}

@test "two joins of one daemon at once: it joins once" {
    managers_cluster 2
    manager_start 3
    on 3 swarm join --token "$(token 1)" "$(address 1)" >"$cluster/first" 2>&1 3>&- &
    asked=$!
    output=$(on 3 swarm join --token "$(token 2)" "$(address 2)" 2>&1) && second=0 || second=$?
    wait "$asked" && first=0 || first=$?
    [ $((first == 0)) != $((second == 0)) ] # the other is told that it is joining, or has joined
    matches 'joining already|already part of a swarm' "$output$(<"$cluster/first")"
    await all_answer 3
    same 3 "$(on 1 node ls -q | grep -c .)"
}

@test "a machine that lost its whole state joins under its old name once the old node is removed" {
    managers_cluster 3
    manager_end 3
    rm -r "$cluster/3/state"
    manager_start 3
    exits 5 on 3 swarm join --token "$(token 1)" "$(address 1)"
    matches "there is another node 'n3': remove that .muster node rm., or start this one with another --node-name" "$output"
    await has_words 3 Down Unreachable
    on 1 node rm n3 >/dev/null
    await quorum_is 1 2
    on 3 swarm join --token "$(token 1)" "$(address 1)" >/dev/null
    await all_answer 3
}

@test "who joins walks through a past without its leader" {
    managers_cluster 3
    for number in {1..30}; do
        create 1 "before$number" # not all of it comes at once
    done
    on 1 swarm leave >/dev/null # who made the cluster
    await has_leader
    manager_start 4
    on 4 swarm join --token "$(token 2)" "$(address 2)" "$(address 3)" >/dev/null
    await all_answer 3
    matches 'before30' "$(on 4 service ls)"
}

# --- strangers ---

# stranger NUMBER COMMAND…: its output is said to that manager, and then nothing any more.
stranger() {
    exec 9<>"/dev/tcp/$host/$((2376 + $1))"
    "${@:2}" >&9 2>/dev/null || :
    cat <&9 >/dev/null 2>&1 || : # until it is thrown out
}

@test "noise and silence of strangers disturb nobody, and they are thrown out" {
    managers_cluster 3
    term=$(raft_term 1)
    local strangers=()
    for number in {1..40}; do
        (stranger 1 head -c 100000 /dev/urandom) 3>&- &
        strangers+=($!)
        (stranger 1 true) 3>&- &
        strangers+=($!)
    done
    create 2 meanwhile
    matches meanwhile "$(on 3 service ls)"
    wait "${strangers[@]}" || :
    same "$term" "$(raft_term 1)"
    all_answer 3
}
