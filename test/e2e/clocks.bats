#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# test/e2e/clocks.bats — wall clocks that are wrong, or set while daemons run: by an hour, beyond the life of certificates, before it began.
#
# Each daemon has a clock of its own (test/lib/preload/clock_shift.c). Deadlines are on the monotonic clock, which nobody can set.

load ../lib/managers.bash
load ../lib/sleepers.bash

HOUR=3600
BEYOND=$((100 * 24 * HOUR)) # certificates are good for 90 days
BEFORE=$((-400 * 24 * HOUR))

setup() {
    managers_setup
    sleepers_setup
}

teardown() {
    [ -n "$BATS_TEST_COMPLETED" ] || tail -n 20 "$cluster"/*/log >&2
    managers_remove
    sleepers_remove
}

clock() { # NUMBER SECONDS: what it is wrong by
    mkdir -p "$cluster/$1"
    [ -e "$cluster/$1/clock" ] || touch "$cluster/$1/clock"
    printf '%-20s' "$2" | dd of="$cluster/$1/clock" conv=notrunc status=none
}

clocked_start() { # NUMBER
    LD_PRELOAD=$build/test/${FLAVOUR:-release}/clock_shift.so CLOCK_SHIFT=$cluster/$1/clock manager_start "$1"
}

# The same while it runs, and it has seen that.
set_clock() { # NUMBER SECONDS
    local before
    before=$(manager_said "$1" clock.set)
    clock "$1" "$2"
    await said_more_often "$1" clock.set "$before"
}

# Three managers and the worker 4, whose clocks are right.
cluster_of_four() {
    local number
    for number in 1 2 3 4; do
        clock "$number" 0
        clocked_start "$number"
    done
    on 1 swarm init >/dev/null
    for number in 2 3; do
        on "$number" swarm join --token "$(token 1)" "$(address 1)" >/dev/null 2>&1
    done
    await all_answer 3
    on 4 swarm join --token "$(token 1 worker)" "$(address 1)" >/dev/null
    await has_session 4
    await has_words 4 Ready '.*'
}

warned() { # NUMBER: in the words of its certificate
    on "$1" info 2>&1 | grep WARNING
}

is_content() { # NUMBER: with its certificate
    [[ $(warned "$1") != *certificate* ]]
}

all_are_ready() {
    [ "$(ask node ls --format '{{.Status}}' | grep -c Ready)" = 4 ] && all_answer 3
}

nothing_happened() {
    same "$term" "$(raft_term "$led")"
    same "$opened" "$(manager_said 4 session.open)"
    same 4 "$(on "$led" node ls --format '{{.Status}}' | grep -c Ready)"
    same 0 "$(cat "$cluster"/[123]/log | grep -c ' node.down ')"
    same "$since" "$(sleeping_since)"
}

@test "clocks are set while daemons run, by an hour, beyond certificates and before them: no session ends, no node is down, no task is touched" {
    cluster_of_four
    sleepers web 8
    since=$(sleeping_since) opened=$(manager_said 4 session.open) before=$(running web)
    led=$(leader) term=$(raft_term "$led")
    for number in "$led" "$(follower)" 4; do
        for shift in $HOUR $BEYOND 0 -$HOUR $BEFORE 0; do
            set_clock "$number" "$shift"
            on "$led" service create --detach --name "s$number.$shift.$RANDOM" --replicas 0 none >/dev/null
            nothing_happened
            case "$number $shift" in
            "4 $BEYOND") matches 'certificate of this node expired at 20.*, and its clock says 20.*: set the clock' "$(warned 4)" ;;
            "4 $BEFORE") matches 'certificate of this node begins at 20.*, and its clock says 20.*: set the clock' "$(warned 4)" ;;
            esac
        done
        await is_content "$number"
    done
    for number in 1 2 3 4; do # and what they signed meanwhile holds nobody out
        manager_end "$number" TERM
        clocked_start "$number"
        await all_are_ready
    done
    same "$since" "$(sleeping_since)"
    same "$before" "$(running web)"
}

# A daemon that starts by a wrong clock.
starts_wrong() { # NUMBER SECONDS
    manager_end "$1"
    clock "$1" "$2"
    clocked_start "$1"
}

says_why() { # NUMBER PATTERN
    [[ $(on "$1" info 2>&1) =~ $2 ]]
}

@test "a worker that starts by a clock beyond certificates, or before them, says why it is let in nowhere; its tasks go on, and when the clock is right it is back" {
    cluster_of_four
    on 1 swarm update --dispatcher-heartbeat 60s >/dev/null # time enough
    sleepers web 8
    since=$(sleeping_since) before=$(running web)
    for shift in $BEYOND $BEFORE; do
        starts_wrong 4 "$shift"
        await says_why 4 "Trouble: .*certificate of node .*20.* here it is 20"
        says_why 4 'WARNING: the certificate of this node .* set the clock'
        set_clock 4 0
        await has_session 4
        await all_are_ready
    done
    same "$since" "$(sleeping_since)"
    same "$before" "$(running web)"
}

@test "a manager that starts by a clock beyond certificates, or before them, is out of reach; when the clock is right it is back by itself" {
    cluster_of_four
    sleepers web 8
    since=$(sleeping_since)
    number=$(follower)
    for shift in $BEYOND $BEFORE; do
        starts_wrong "$number" "$shift"
        await cluster_refuses
        set_clock "$number" 0
        await all_are_ready
        await quietly on "$number" node ls
        on "$number" service create --detach --name "by.$number.$shift" --replicas 0 none >/dev/null
    done
    same "$since" "$(sleeping_since)"
}

cluster_refuses() { # one side says of the other that dates do not fit
    grep -q 'certificate of node .*, and here it is ' "$cluster"/[123]/log
}
