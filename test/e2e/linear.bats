#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# test/e2e/linear.bats — clients of three real managers that are killed, paused and cut off: what they were told must be
# explained by one order of everything. And a manager whose store was damaged meanwhile comes back by itself.
#
#     LINEAR_SECONDS=n LINEAR_SEED=n     longer, or another course of events (90 s; drawn, and printed)

load ../lib/trio.bash

setup() {
    programs=$build/test/${FLAVOUR:-release}
    trio_begin
}

teardown() {
    [ -n "$BATS_TEST_COMPLETED" ] || tail -n 30 "$trio"/*/log >&2
    trio_end
}

sockets() {
    printf 'unix://%s/%s/run/muster.sock ' "$trio" 1 "$trio" 2 "$trio" 3
}

clients_begin() { # SECONDS
    local n
    clients=()
    for n in 1 2 3 4 5 6 7 8; do
        # shellcheck disable=SC2046 # words
        "$programs/register_client" "$trio/history.$n" "$n" "$1" "$((RANDOM + n))" $(sockets) 3>&- &
        clients+=($!)
    done
}

some_client_runs() {
    local pid
    for pid in "${clients[@]}"; do
        is_gone "$pid" || return 0
    done
    return 1
}

# Time passes between troubles: the load is what is waited for, not a state.
pause() {
    sleep "$1"
}

trouble() {
    local n=$((RANDOM % 3 + 1))
    case $((RANDOM % 4)) in
    0) trio_kill "$n" && pause 0.$((RANDOM % 9)) && trio_start "$n" ;;
    1) kill -STOP "${pids[n]}" && pause $((RANDOM % 3)).$((RANDOM % 9)) && kill -CONT "${pids[n]}" ;;
    2) trio_deaf "$n" && pause $((RANDOM % 3 + 1)) && trio_hear ;;
    3) trio_kill 1 && trio_kill 2 && trio_kill 3 && trio_start 1 && trio_start 2 && trio_start 3 ;;
    esac
    troubles=$((troubles + 1))
}

judge() {
    "$programs/judge_history" "$trio"/history.*
}

@test "what clients were told under kills, pauses and cuts is linearizable" {
    RANDOM=${LINEAR_SEED:-$RANDOM}
    troubles=0
    clients_begin "${LINEAR_SECONDS:-90}"
    while some_client_runs; do
        trouble
        pause 1
    done
    wait "${clients[@]}"
    run judge
    echo "# $troubles troubles; $output" >&3
    [ "$status" = 0 ]
    [ "$(cat "$trio"/history.* | grep -c ' ok$')" -gt 2000 ]
    # All have the same in the end.
    local n
    for n in 1 2 3; do
        m $n get config -o json >"$trio/configs.$n"
    done
    cmp "$trio/configs.1" "$trio/configs.2"
    cmp "$trio/configs.1" "$trio/configs.3"
}

@test "a stale read is found by the judge" {
    # The checker is checked: a manager that is cut off is asked for what it last knew, and that is called a read.
    printf '1 r 10 20 write 1 ok\n1 r 30 40 write 2 ok\n' >"$trio/history.1"
    printf '2 r 50 60 read 1 ok\n' >"$trio/history.2"
    run judge
    [ "$status" = 1 ]
}

damage() { # FILE: a byte near the end of each page, where records are
    local at size
    size=$(stat -c %s "$1")
    for ((at = 8192 + 3990; at < size; at += 4096)); do
        printf U | dd of="$1" bs=1 seek=$at conv=notrunc status=none
    done
}

quarantined() {
    grep -q 'store.quarantine' "$trio/$1/log"
}

is_back() { # N: it votes again, as the leader sees it
    trio_has_three_voters && m "$1" get config -o json 2>/dev/null | cmp -s - "$trio/before"
}

@test "a manager whose store is damaged, or gone, comes back by itself under a new identity" {
    local id
    clients_begin 2
    wait "${clients[@]}"
    m 1 get config -o json >"$trio/before"
    id=$(grep ^raft "$trio/3/state/store/group")
    trio_kill 3
    damage "$trio/3/state/store/data.mdb"
    trio_start 3
    await quarantined 3
    await is_back 3
    [ -f "$trio/3/state/store/quarantine-1/reason" ]
    [ "$(grep ^raft "$trio/3/state/store/group")" != "$id" ]
    trio_kill 2
    rm "$trio/2/state/store/data.mdb" "$trio/2/state/store/lock.mdb"
    trio_start 2
    await is_back 2
    "$build/muster" --host "unix://$trio/2/run/muster.sock" service create --name after --detach busybox >/dev/null
}
