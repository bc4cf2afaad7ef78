#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# test/e2e/crash_points.bats — a manager is killed at every kind of call that writes, in every phase of its life, and loses
# nothing (test/lib/crash_points.bash).
#
#     CRASH_ALL=1      all points (make crash-points), CRASH_STEP=n: each nth of them
#     CRASH_SAMPLES=n  otherwise: so many of each call (1), CRASH_SEED says which

load ../lib/crash_points.bash

setup() {
    crash_setup
    CRASH_SEED=${CRASH_SEED:-$RANDOM}
    RANDOM=$CRASH_SEED
}

teardown() {
    crash_remove
}

# swept PHASE…: the points of all calls.
swept() {
    local phase call report
    for phase in "$@"; do
        report=
        crash_count "$phase" || return 1
        for call in $CRASH_CALLS; do
            if [ -n "${CRASH_ALL-}" ]; then
                crash_sweep "$phase" "$call" || return 1
            else
                crash_sample "$phase" "$call" "${CRASH_SAMPLES:-1}" || return 1
            fi
            [ $points = 0 ] || report+=" $call $points"
        done
        echo "# $phase, seed $CRASH_SEED:$report" >&3
        [[ -n ${CRASH_STEP-} || $report == *fdatasync*sendmsg* ]] || return 1 # what every phase does
    done
}

@test "a manager that is killed in its first start, or while it makes a cluster, makes it at the next" {
    swept init
}

@test "a manager that is killed while it takes changes, or starts, has all that it acknowledged" {
    swept changes replay
}

@test "a manager that is killed while it joins is let in, and all agree" {
    swept second third
}

@test "a member that is killed while it catches up, or comes back without its store, agrees with the others" {
    swept catch-up rejoin
}

@test "what a leader acknowledged before it was killed, the others have" {
    swept lead
}

# The checker is checked: each seventh turn of this one is acknowledged and never committed.
@test "a manager that acknowledges what it does not keep is found" {
    local n
    prepare_alone
    crash_traced=$crash_build/planted/musterd
    crash_point changes fdatasync 20 # with no bug it is like the other
    for n in 20 30; do
        BUG=STORE_ACK_BEFORE_SYNC refute crash_point changes fdatasync $n 2>"$crash/verdict"
        grep -q 'not the entry that follows' "$crash/verdict"
    done
}

# And where the store is sound, but of before: only the changes themselves tell.
@test "a manager whose disk forgets what it acknowledged is found" {
    local number
    prepare_alone
    restore fresh 1
    member_again 1
    for number in 1 2 3; do
        change 1 "$number"
    done
    member_end 1
    cp -r "$crash/1/state" "$crash/before"
    member_again 1
    change 1 4
    change 1 5
    holds_changes 1 5
    restore before 1
    member_again 1
    holds_changes 1 3
    holds_changes 1 2 # of the one under way all or nothing
    refute holds_changes 1 5 2>"$crash/verdict"
    grep -q 'after 5 acknowledged changes' "$crash/verdict"
    refute holds_changes 1 1
}
