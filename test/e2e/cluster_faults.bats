#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# test/e2e/cluster_faults.bats — what happens to a cluster of several machines: killed, frozen, cut off, filled, damaged, cloned.
#
# Three managers. Tasks are plain processes: what happens to them is seen at their pids. (Workers: test/e2e/cluster_workers.bats.)

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

# create NUMBER NAME: acknowledged by that manager. That it is there already was a try whose answer was lost.
create() {
    output=$(on "$1" service create --detach --name "$2" --replicas 0 none 2>&1) || [[ $output == *'already exists'* ]] ||
        { echo "$output" >&2 && return 1; }
}

created() { # NUMBER NAME: a read through that manager shows it
    on "$1" service ls --format '{{.Name}}' | grep -qx "$2"
}

# The manager that leads, and one that does not.
take_leader() {
    led=$(leader)
    other=$((led % 3 + 1))
    third=$((other % 3 + 1))
}

# --- the leader ---

@test "the leader is killed: no task is touched anywhere, and the next change is accepted" {
    cluster_of 3 3
    sleepers web 6
    before=$(running web)
    since=$(sleeping_since)
    same 6 "$(wc -l <<<"$since")"
    take_leader
    manager_end "$led" KILL
    create "$other" after
    same "$since" "$(sleeping_since)"
    manager_start "$led"
    await has_words "$led" Ready Reachable
    created "$led" after
    same "$before" "$(running web)"
    same "$since" "$(sleeping_since)"
}

@test "the leader is frozen until it counts as down: back, it shows nothing old and stops what runs elsewhere" {
    cluster_of 3 3
    sleepers web 6
    take_leader
    manager_pause "$led"
    await create "$other" meanwhile
    await has_words "$led" Down Unreachable
    await replicas_are web 6/6
    await sleep_count_is 8
    on "$led" service ls --format '{{.Name}}' >"$cluster/seen" & # asked while it is frozen
    asked=$!
    manager_resume "$led"
    wait "$asked"
    grep -qx meanwhile "$cluster/seen"
    await has_words "$led" Ready Reachable
    await sleep_count_is 6
    same 1 "$(ask node ls --format '{{.ManagerStatus}}' | grep -c Leader)"
}

# --- the network ---

@test "a leader that is cut off refuses changes and reads, the others go on; healed, it has what they did" {
    cluster_of 3 3
    sleepers web 3
    since=$(sleeping_since)
    take_leader
    cluster_cut "$led"
    await create "$other" meanwhile
    await no_longer_leads "$led"
    exits 3 on "$led" service create --detach --name lost none
    exits 3 on "$led" service ls
    exits 0 on "$led" service ls --stale --format '{{.Name}}'
    refute matches meanwhile "$output" 2>/dev/null
    await has_words "$led" Down Unreachable
    await replicas_are web 3/3
    same '' "$(comm -23 <(sort <<<"$since") <(sleeping_since | sort))"
    cluster_heal
    await has_words "$led" Ready Reachable
    created "$led" meanwhile
    refute created "$led" lost
    await sleep_count_is 3
}

no_longer_leads() { # NUMBER
    [ "$(on "$1" info -o json | jq -r .raft_role)" != leader ]
}

# cut_link ONE OTHER: packets pass between each of the two and the third. Until both have noticed.
cut_link() {
    local one other
    one=$(manager_said "$1" peer.down)
    other=$(manager_said "$2" peer.down)
    cluster_cut "$1" "$2"
    await said_more_often "$1" peer.down "$one"
    await said_more_often "$2" peer.down "$other"
}

# takes_changes NUMBER NAME: eight of them, at once
takes_changes() {
    local n
    for n in 1 2 3 4 5 6 7 8; do
        create "$1" "$2$n" || return 1
    done
}

@test "the link between two followers is cut: nothing happens" {
    cluster_of 3 3
    take_leader
    term=$(raft_term "$led")
    cut_link "$other" "$third"
    for n in 1 2 3; do
        takes_changes "$n" "by$n."
    done
    created 1 by3.8
    same "$term" "$(raft_term "$led")"
    same "$led" "$(leader)"
}

@test "the link between leader and a follower is cut: leadership moves once at most, and two of three take every change" {
    cluster_of 3 3
    take_leader
    term=$(raft_term "$led")
    cut_link "$led" "$other"
    await create "$third" first
    takes_changes "$third" second
    [ "$(raft_term "$third")" -le $((term + 1)) ]
    cluster_heal
    for n in 1 2 3; do
        await created "$n" second8
    done
    [ "$(raft_term "$third")" -le $((term + 1)) ]
}

# --- disks ---

@test "a manager's disk is full: leadership goes to one that has room, its tasks go on, and it is back when there is room" {
    mkdir -p -m 700 "$cluster/1/state"
    mount -t tmpfs -o size=200m,mode=700 tmpfs "$cluster/1/state"
    cluster_of 3 3
    sleepers web 3
    since=$(sleeping_since)
    same 1 "$(leader)"
    fallocate -l 150m "$cluster/1/state/ballast"
    await create 2 meanwhile
    refute same 1 "$(leader)" 2>/dev/null
    matches 'WARNING: the disk of .*/1/state is nearly full' "$(on 1 info 2>&1)"
    same "$since" "$(sleeping_since)"
    rm "$cluster/1/state/ballast"
    await has_words 1 Ready Reachable
    created 1 meanwhile
    same "$since" "$(sleeping_since)"
}

# A byte near the end of each page, where records are.
damage() { # FILE
    local at size
    size=$(stat -c %s "$1")
    for ((at = 8192 + 3990; at < size; at += 4096)); do
        printf U | dd of="$1" bs=1 seek=$at conv=notrunc status=none
    done
}

@test "a manager's store is damaged: set aside, had again from the others, and the tasks of the node are not touched" {
    cluster_of 3 3
    sleepers web 6
    since=$(sleeping_since)
    before=$(running web)
    id=$(grep ^raft "$cluster/3/state/store/group")
    manager_end 3
    damage "$cluster/3/state/store/data.mdb"
    manager_start 3
    same 1 "$(manager_said 3 store.quarantine)"
    await quietly on 3 node ls
    refute grep -q "^$id" "$cluster/3/state/store/group"
    create 3 after
    created 1 after
    same "$since" "$(sleeping_since)"
    same "$before" "$(running web)"
}

# --- clocks ---

clock() { # NUMBER SECONDS
    printf '%-20s' "$2" | dd of="$cluster/$1/clock" conv=notrunc status=none
}

# Those of a leader and of a follower, one after the other.
@test "wall clocks jump to and fro: nobody is down, no task ends, leadership stays" {
    cluster_of 3 3
    for n in 1 2 3; do
        clock $n 0
        manager_end $n TERM
        LD_PRELOAD=$build/test/${FLAVOUR:-release}/clock_shift.so CLOCK_SHIFT=$cluster/$n/clock manager_start $n
        await has_leader
    done
    sleepers web 6
    since=$(sleeping_since)
    before=$(running web)
    take_leader
    term=$(raft_term "$led")
    for shift in 7200 -1800 86400 0; do
        for n in "$led" "$other"; do
            clock "$n" "$shift"
            create "$third" "s$n.$shift"
            created "$led" "s$n.$shift"
        done
        create "$led" "mine.$shift" # which shows that its time is another one
        at=$(on "$third" service inspect "mine.$shift" | jq -r '.[0].meta.created_at')
        [ $((($(date -d "$at" +%s) - $(date +%s) - shift) / 900)) = 0 ]
    done
    same "$term" "$(raft_term "$led")"
    same 3 "$(on "$third" node ls --format '{{.Status}}' | grep -c Ready)"
    same "$since" "$(sleeping_since)"
    same "$before" "$(running web)"
}

# --- a machine that is there twice ---

says_twice() { # NUMBER
    grep -q 'two machines have its identity' "$cluster/$1/log"
}

@test "a manager is there twice: the copy is let in by nobody, both sides say why, and the cluster is not disturbed" {
    cluster_of 3 3
    sleepers web 6
    manager_end 3
    mkdir "$cluster/4"
    cp -r "$cluster/3/state" "$cluster/4/state"
    manager_start 3
    await has_words 3 Ready Reachable
    since=$(sleeping_since)
    take_leader
    term=$(raft_term "$led")
    executor=fake manager_begin 4 # with plain processes it would take those of the other for its own, at their pids
    await says_twice 4
    await says_twice "$led"
    create 3 meanwhile
    created 1 meanwhile
    exits 3 on 4 service create --detach --name lost none
    same "$term" "$(raft_term "$led")"
    same '' "$(comm -23 <(sort <<<"$since") <(sleeping_since | sort))"
    manager_end 4
    refute created 1 lost
    has_words 3 Ready Reachable
}
