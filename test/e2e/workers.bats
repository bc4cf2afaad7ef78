#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# test/e2e/workers.bats — workers as processes: they hold what the leader assigns to them, and go on without it.

load ../lib/managers.bash

setup() {
    managers_setup
    executor=process
    tag=4$BASHPID$RANDOM # seconds that only our processes sleep
}

teardown() {
    [ -n "$BATS_TEST_COMPLETED" ] || tail -n 20 "$cluster"/*/log >&2
    managers_remove
    for pid in $(sleeping); do
        kill -KILL "$pid" || :
    done
}

sleepers() { # SERVICE REPLICAS [CONSTRAINT]: real processes
    printf '%s\n' 'kind: service' "name: $1" 'image: none' "command: [sleep, '$tag']" \
        "deploy: {replicas: $2, placement: {constraints: [${3:+\"$3\"}]}}" >"$cluster/$1.yaml"
    on 1 apply -f "$cluster/$1.yaml" 2>/dev/null
}

sleeping() {
    pgrep -fx "sleep $tag" | sort -n
}

sleeping_is() { # COUNT
    [ "$(sleeping | grep -c .)" = "$1" ]
}

# Those that a daemon's shims hold, by its state directory.
sleeping_on() { # NUMBER
    local pid
    for pid in $(sleeping); do
        tr '\0' ' ' <"/proc/$(ps -o ppid= -p "$pid" | tr -d ' ')/cmdline" | grep -qF "$cluster/$1/" && echo "$pid"
    done
    return 0
}

sleeping_on_is() { # NUMBER COUNT
    [ "$(sleeping_on "$1" | grep -c .)" = "$2" ]
}

# worker_join NUMBER [MANAGER]
worker_join() {
    manager_start "$1"
    on "$1" swarm join --token "$(token "${2:-1}" worker)" "$(address "${2:-1}")"
}

# Managers 1 to COUNT, and workers behind them up to ALL.
cluster_of() { # COUNT ALL
    local number
    managers_cluster "$1"
    for ((number = $1 + 1; number <= $2; number++)); do
        worker_join "$number" >/dev/null
    done
    for ((number = $1 + 1; number <= $2; number++)); do
        await has_session "$number"
    done
}

# Id, node, state and its time of each task that is to run.
running() { # NUMBER SERVICE
    on "$1" service ps "$2" --filter desired-state=running -o json | jq -c '[.. | objects | select(has("desired")) | [.id, .node, .status.state, .status.since]] | sort'
}

replicas_are() { # SERVICE N/M
    [ "$(on 1 service ls --filter "name=$1" --format '{{.Replicas}}')" = "$2" ]
}

@test "a worker joins, holds what is assigned to it, and shows nothing of the cluster" {
    managers_cluster 1
    same 'This node joined a swarm as a worker.' "$(worker_join 2 2>&1)"
    await has_session_with 2 1
    await has_words 2 Ready ''
    sleepers web 2 node.role==worker
    await sleeping_on_is 2 2
    await replicas_are web 2/2
    exits 3 on 2 node ls
    same "muster: This node is not a swarm manager. Worker nodes can't be used to view or modify cluster state. Please run this command on a manager node or promote the current node to a manager." "$output"
    matches "Is Manager: false.* Session: $(address 1).*Manager Addresses:.*  $(address 1)" "$(on 2 info)"
    same "$(on 1 node ls --filter name=n2 --no-trunc -q)" "$(on 2 info --format '{{.Swarm.NodeID}}')"
    exits 5 on 2 swarm init
    exits 5 on 2 swarm join --token "$(token 1 worker)" "$(address 1)"
    [ ! -e "$cluster/2/state/store/group" ]
}

@test "a worker's daemon is killed and started: its tasks run on, and it finds back" {
    cluster_of 1 2
    sleepers web 3 node.role==worker
    await replicas_are web 3/3
    before=$(running 1 web) pids=$(sleeping)
    for signal in KILL TERM; do
        manager_end 2 "$signal"
        manager_start 2
        await has_session 2
    done
    same "$pids" "$(sleeping)"
    same "$before" "$(running 1 web)"
    on 1 service scale web=1 --detach >/dev/null
    await sleeping_is 1
    await replicas_are web 1/1
}

@test "a worker that dies with its tasks is down after three heartbeats, and its tasks run elsewhere" {
    cluster_of 1 3
    on 1 swarm update --dispatcher-heartbeat 1s >/dev/null
    sleepers web 2 node.role==worker
    await replicas_are web 2/2
    victim=$(($(on 1 service ps web --format '{{.Node}}' | head -n 1 | tr -d n)))
    other=$((5 - victim))
    manager_end "$victim"
    for pid in $(sleeping_on "$victim"); do
        kill -KILL "$(ps -o ppid= -p "$pid" | tr -d ' ')" "$pid"
    done
    has_words "$victim" Ready ''
    await has_words "$victim" Down ''
    matches 'heartbeat failure: not heard since 20' "$(on 1 node inspect "n$victim" | jq -r '.[0].Status.Message // .[0].status.message')"
    await sleeping_on_is "$other" 2
    await replicas_are web 2/2
    manager_start "$victim"
    await has_words "$victim" Ready ''
    sleeping_on_is "$victim" 0
    same 2 "$(running 1 web | jq length)"
}

@test "a worker whose daemon is away: its tasks run elsewhere too, and it stops them when it is back" {
    cluster_of 1 3
    on 1 swarm update --dispatcher-heartbeat 1s >/dev/null
    sleepers web 4 node.role==worker
    await replicas_are web 4/4
    manager_pause 3
    await has_words 3 Down ''
    await sleeping_is 6
    manager_resume 3
    await has_words 3 Ready ''
    await sleeping_is 4
    sleeping_on_is 3 0
    await replicas_are web 4/4
}

@test "the leader is killed: workers find the new one, and no task is restarted" {
    cluster_of 3 5
    sleepers web 6 node.role==worker
    await replicas_are web 6/6
    before=$(running 1 web) pids=$(sleeping)
    for signal in KILL TERM; do
        ended=$(leader)
        manager_end "$ended" "$signal"
        await has_leader
        await has_session_with 4 "$(leader)"
        await has_session_with 5 "$(leader)"
        manager_start "$ended"
        await all_answer 3
    done
    same "$before" "$(running 1 web)"
    same "$pids" "$(sleeping)"
    on "$(follower)" service scale web=2 --detach >/dev/null
    await sleeping_is 2
}

@test "cut off from all managers a worker keeps its tasks, also over a restart, and loses none when they are back" {
    cluster_of 1 2
    sleepers web 3 node.role==worker
    await replicas_are web 3/3
    before=$(running 1 web) pids=$(sleeping)
    manager_end 1
    await has_no_session 2
    matches 'Session: .none.*  Trouble: ' "$(on 2 info)"
    same "$pids" "$(sleeping)"
    manager_end 2
    manager_start 2
    same active "$(on 2 info --format '{{.Swarm.LocalNodeState}}')"
    same "$pids" "$(sleeping)"
    manager_start 1
    await has_session 2
    await has_words 2 Ready ''
    same "$pids" "$(sleeping)"
    same "$before" "$(running 1 web)"
}

@test "a drained worker's tasks move; active again it takes new ones" {
    cluster_of 1 3
    sleepers web 4 'node.role==worker'
    await replicas_are web 4/4
    on 1 node update --availability drain n2 >/dev/null
    await sleeping_on_is 2 0
    await sleeping_on_is 3 4
    on 1 node update --availability active n2 >/dev/null
    on 1 service scale web=8 --detach >/dev/null
    await sleeping_on_is 2 4
}

is_inactive() { # NUMBER
    [ "$(on "$1" info --format '{{.Swarm.LocalNodeState}}' 2>/dev/null)" = inactive ]
}

@test "a worker that is removed is cut, stops its tasks and forgets the swarm; it joins again with a token" {
    cluster_of 1 3
    sleepers web 4 'node.role==worker'
    await replicas_are web 4/4
    exits 9 on 1 node rm n3
    matches "not down and can't be removed" "$output"
    same n3 "$(on 1 node rm --force n3)"
    await is_inactive 3
    sleeping_on_is 3 0
    [ ! -e "$cluster/3/state/certificates" ] && [ ! -e "$cluster/3/state/managers" ]
    await sleeping_on_is 2 4
    worker_join_again 3
    await has_words 3 Ready ''
}

is_manager() { # NUMBER
    [ "$(on "$1" info -o json 2>/dev/null | jq .is_manager)" = true ]
}

@test "a worker is made a manager and a worker again: its tasks run on, and it keeps nothing of the managers'" {
    cluster_of 1 3
    on 1 node update --label-add runs=here n3 >/dev/null
    sleepers web 4 node.labels.runs==here
    await replicas_are web 4/4
    before=$(running 1 web) pids=$(sleeping)
    for round in 1 2; do
        on 1 node promote n3 >/dev/null 2>&1
        await is_manager 3
        await has_words 3 Ready Reachable
        on 3 service create --detach --name "by3-$round" --replicas 0 none >/dev/null
        [ -e "$cluster/3/state/certificates/"*/seal.key ]
        on 1 node demote n3 >/dev/null 2>&1
        await has_session 3
        await has_words 3 Ready ''
        [ ! -e "$cluster/3/state/certificates/"*/seal.key ]
        [ ! -e "$cluster/3/state/store/group" ]
    done
    same "$pids" "$(sleeping)"
    same "$before" "$(running 1 web)"
    on 1 service scale web=1 --detach >/dev/null
    await sleeping_is 1
}

worker_join_again() { # NUMBER
    on "$1" swarm join --token "$(token 1 worker)" "$(address 1)" >/dev/null
}

@test "a worker that was removed while it was away learns of that when it is back" {
    cluster_of 1 2
    on 1 swarm update --dispatcher-heartbeat 1s >/dev/null
    sleepers web 2 node.role==worker
    await sleeping_on_is 2 2
    manager_end 2
    await has_words 2 Down ''
    same n2 "$(on 1 node rm n2)"
    manager_start 2
    await is_inactive 2
    sleeping_is 0
}

@test "a worker leaves: it is down at once, its tasks run elsewhere, and it is as new" {
    cluster_of 1 3
    sleepers web 4 'node.role==worker'
    await replicas_are web 4/4
    same 'Node left the swarm.' "$(on 3 swarm leave)"
    same inactive "$(on 3 info --format '{{.Swarm.LocalNodeState}}')"
    sleeping_on_is 3 0
    has_words 3 Down ''
    same 'it left the swarm' "$(on 1 node inspect n3 | jq -r '.[0].Status.Message // .[0].status.message')"
    await sleeping_on_is 2 4
    worker_join_again 3
    await has_words 3 Ready ''
    same 3 "$(on 1 node ls -q | grep -c .)"
    manager_end 1 # and without a manager
    await has_no_session 3
    same 'Node left the swarm.' "$(on 3 swarm leave)"
    is_inactive 3
}

@test "a worker finds the managers that went on by force" {
    cluster_of 3 4
    sleepers web 2 node.role==worker
    await sleeping_on_is 4 2
    pids=$(sleeping)
    manager_end 2
    manager_end 3
    on 1 swarm init --force-new-cluster >/dev/null
    await has_session_with 4 1
    manager_start 2
    manager_start 3
    manager_end 4
    manager_start 4
    await has_session_with 4 1
    same "$pids" "$(sleeping)"
    on 1 service scale web=1 --detach >/dev/null
    await sleeping_is 1
}

# As after a power cut: nothing of the tasks runs, and what is only in memory is gone.
reboot() { # NUMBER
    local pid
    manager_end "$1"
    for pid in $(sleeping_on "$1"); do
        kill -KILL "$(ps -o ppid= -p "$pid" | tr -d ' ')" "$pid"
    done
    rm -rf "$cluster/$1/run"
    manager_start "$1"
}

@test "after a reboot without managers a worker starts again what it held, and gives it up when it is told" {
    cluster_of 1 2
    sleepers web 2 node.role==worker
    await replicas_are web 2/2
    before=$(running 1 web)
    manager_end 1
    reboot 2
    sleeping_is 0
    await sleeping_is 2
    pids=$(sleeping)
    manager_start 1
    await has_session 2
    await has_words 2 Ready ''
    same "$pids" "$(sleeping)"
    same "$(jq -c 'map(.[0])' <<<"$before")" "$(running 1 web | jq -c 'map(.[0])')"
    on 1 service scale web=1 --detach >/dev/null
    await sleeping_is 1
}

@test "after a reboot with managers the tasks of a worker are replaced" {
    cluster_of 1 2
    sleepers web 2 node.role==worker
    await replicas_are web 2/2
    reboot 2
    await sleeping_is 2
    await replicas_are web 2/2
    same 2 "$(on 1 service ps web --format '{{.CurrentState}}' | grep -c Failed)"
}
