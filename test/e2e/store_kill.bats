#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# test/e2e/store_kill.bats — kill -9 and failing disks at every system call that writes: strace injects them.
#
# The writer opens a store (making it at the first time) and commits; it prints a revision once that is
# acknowledged. For each call, the run is repeated with the fault at its 1st, 2nd, … time, until a run ends by itself.
# After each, the store must open without help and hold all that was acknowledged, and at most one more.

setup() {
    program=${BUILD:-build}/test/${FLAVOUR:-release}/test_store_kill
    [ -x "$program" ]
    work=$(mktemp -dt muster-store-kill.XXXXXX)
    source=$(mktemp -dt s.XXXXXX) # paths of stores are short
}

teardown() {
    rm -rf "$work" "$source"
}

# run_with FAULT DIR COUNT: what the writer acknowledged is in $acknowledged, its exit status in $status.
run_with() {
    status=0
    strace -f -o /dev/null -e "inject=$1" "$program" writer "$2" "$3" >"$work/acks" 2>"$work/err" || status=$?
    acknowledged=$(tail -n 1 "$work/acks")
    acknowledged=${acknowledged:-0}
}

# sweep CALL FIRST: a kill at each time of the call; FIRST names a directory that every run gets a copy of, or none.
sweep() {
    local call=$1 first=$2 n=1
    while :; do
        rm -rf "$work/store"
        [ -z "$first" ] || cp -r "$first" "$work/store"
        run_with "$call:signal=KILL:when=$n" "$work/store" 4
        [ "$status" != 0 ] || break
        [ -n "$first" ] && [ "$acknowledged" = 0 ] && acknowledged=20
        "$program" verify "$work/store" "$acknowledged" >/dev/null || {
            echo "$call, time $n: $(cat "$work/err")"
            return 1
        }
        n=$((n + 1))
        [ $n -lt 200 ]
    done
    echo "$((n - 1)) points of $call" >&3
    [ $n -gt 1 ] # else the call is not what LMDB uses, and nothing was tried
}

@test "a kill at any write, sync, rename or truncation of a new store loses nothing acknowledged" {
    for call in pwrite64 writev fdatasync fsync rename ftruncate unlinkat openat; do
        sweep "$call" ''
    done
}

@test "a kill at any write, sync or truncation of a store in use loses nothing acknowledged" {
    "$program" writer "$work/first" 20 >/dev/null
    for call in pwrite64 writev fdatasync ftruncate; do
        sweep "$call" "$work/first"
    done
}

@test "after a failed sync or write of the meta page the writer ends and acknowledges nothing more" {
    "$program" writer "$work/first" 20 >/dev/null
    local n fault
    for fault in fdatasync:error=EIO pwrite64:error=EIO; do
        for n in 1 2 3 4 5 6; do
            rm -rf "$work/store"
            cp -r "$work/first" "$work/store"
            run_with "$fault:when=$n" "$work/store" 10
            [ "$acknowledged" != 0 ] || acknowledged=20
            # The note of the pid may fail: that is no data. Everything else ends the writer.
            [ "$status" != 0 ] || [ "$acknowledged" = 30 ]
            [ "$status" = 0 ] || grep -q 'Input/output error' "$work/err"
            "$program" verify "$work/store" "$acknowledged"
        done
    done
}

@test "a disk that is full is refused, and the store goes on when there is space again" {
    "$program" writer "$work/first" 20 >/dev/null
    local n
    for n in 2 3 4 5 6 7 8; do
        rm -rf "$work/store"
        cp -r "$work/first" "$work/store"
        run_with "pwrite64,writev:error=ENOSPC:when=$n" "$work/store" 10
        [ "$acknowledged" != 0 ] || acknowledged=20
        "$program" verify "$work/store" "$acknowledged"
        # A full disk at a data page is an outcome; at the meta page LMDB gives up, and the writer ends.
        [ "$status" = 0 ] || grep -q 'No space left\|fatal\|Panic\|panic\|LMDB' "$work/err"
    done
}

# Snapshots: the store must be the old one or the new one, and the new one once that was said.
@test "a kill at any write, sync or truncation while a snapshot is installed leaves the old store or the new one" {
    snapshot=${program%/*}/test_store_snapshot_kill
    "$snapshot" old "$work/first"
    local call n found status points=0
    for call in pwrite64 writev fdatasync ftruncate; do
        for ((n = 1; ; n++)); do
            rm -rf "$work/store" "${source:?}"/*
            cp -r "$work/first" "$work/store"
            status=0
            # The source of the snapshot is made first, by the same calls: only those that touch the store count.
            # Whoever is killed does not take it away.
            TMPDIR=$source strace -f -o /dev/null -P "$work/store/data.mdb" -P "$work/store/lock" \
                -e "inject=$call:signal=KILL:when=$n" "$snapshot" install "$work/store" >"$work/out" 2>"$work/err" || status=$?
            [ "$status" != 0 ] || break
            found=$("$snapshot" verify "$work/store")
            [ "$found" = new ] || ! grep -q installed "$work/out"
            [ "$found" = old ] || [ "$found" = new ]
            [ $n -lt 300 ]
        done
        echo "$((n - 1)) points of $call" >&3
        points=$((points + n - 1))
    done
    [ $points -gt 20 ]
}
