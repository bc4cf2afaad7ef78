#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# test/e2e/power_cut.bats — the power goes: what was acknowledged is there when it is back.
#
# The state of each manager is on a disk of its own: ext4 in a file. A cut shuts that file system down without its log
# (EXT4_IOC_SHUTDOWN): what was not synced never gets there. Then the manager is killed, the file system mounted again, which
# replays its journal, and the manager started. Clients write down elsewhere what they tried and what was acknowledged.
# A machine without loop devices skips it, except as CI.
#
#     POWER_CUTS=n POWER_SEED=n     cuts of a manager alone, as of one and of all of three (8, 6, 6); when they come (drawn, printed)

load ../lib/managers.bash

CLIENTS=3

setup() {
    [ -e /dev/loop-control ] || [ "${CI-}" = true ] || skip "no loop devices here"
    managers_setup
    clients=()
    POWER_SEED=${POWER_SEED:-$RANDOM}
    RANDOM=$POWER_SEED
    touch "$cluster"/{tried,acknowledged}.{1..3}
}

teardown() {
    [ -n "$BATS_TEST_COMPLETED" ] || tail -n 20 "$cluster"/*/log "$cluster/client" >&2
    [ ${#clients[@]} = 0 ] || kill "${clients[@]}" 2>/dev/null || :
    managers_remove
}

# --- disks ---

disk_make() { # MANAGER
    truncate -s 256M "$cluster/$1.disk"
    mkfs.ext4 -qF "$cluster/$1.disk"
    mkdir -p "$cluster/$1/state"
    disk_mount "$1"
}

disk_mount() { # MANAGER
    mount -o loop "$cluster/$1.disk" "$cluster/$1/state"
}

disk_shut_down() { # MANAGER
    perl -e '$no_log_flush = pack("L", 2);
        open(DISK, "<", $ARGV[0]) && ioctl(DISK, 0x8004587d, $no_log_flush) or die "shut down $ARGV[0]: $!\n"' "$cluster/$1/state"
}

# --- clients ---

client() { # NUMBER MANAGER: services, as long as the manager answers
    local try
    try=$(wc -l <"$cluster/tried.$1")
    while :; do
        echo "s$1-$((++try))" >>"$cluster/tried.$1"
        on "$2" service create --detach --replicas 0 --name "s$1-$try" busybox >/dev/null 2>>"$cluster/client" || return 0
        echo "s$1-$try" >>"$cluster/acknowledged.$1"
    done
}

clients_begin() { # MANAGER
    local number
    for ((number = 1; number <= CLIENTS; number++)); do
        client $number "$1" 3>&- &
        clients+=($!)
    done
}

acknowledged() {
    cat "$cluster"/acknowledged.* | sort
}

are_acknowledged() { # COUNT
    [ "$(acknowledged | wc -l)" -ge "$1" ]
}

# MANAGER has all that was acknowledged, and nothing that was not tried.
holds() {
    on "$1" service ls --format '{{.Name}}' | sort >"$cluster/found" || return 1
    acknowledged | comm -23 - "$cluster/found" >"$cluster/lost"
    sort "$cluster"/tried.* | comm -13 - "$cluster/found" >"$cluster/invented"
    [ ! -s "$cluster/lost" ] && [ ! -s "$cluster/invented" ] || {
        echo "of $(acknowledged | wc -l) acknowledged manager $1 lost: $(tr '\n' ' ' <"$cluster/lost"), invented: $(tr '\n' ' ' <"$cluster/invented")"
        return 1
    } >&2
}

# --- cuts ---

# At some time while clients load the first of them.
cut() { # MANAGER…
    local manager before
    before=$(acknowledged | wc -l)
    clients_begin "$1"
    await are_acknowledged $((before + 1 + RANDOM % 30))
    for manager; do
        disk_shut_down "$manager"
    done
    for manager; do
        manager_end "$manager"
        umount "$cluster/$manager/state"
        disk_mount "$manager"
    done
    wait "${clients[@]}"
    clients=()
}

is_sound() { # MANAGER
    "$build/musterd" --check-store --state-dir "$cluster/$1/state" >/dev/null
}

come_back() { # MANAGER…
    local manager
    for manager; do
        is_sound "$manager" && manager_start "$manager" && same 0 "$(manager_said "$manager" store.quarantine)" || return 1
    done
}

group_holds() {
    local manager
    await all_answer 3
    for manager in 1 2 3; do
        await quietly holds $manager || holds $manager
    done
}

report() { # CUTS
    echo "# $1 cuts, $(acknowledged | wc -l) changes acknowledged, seed $POWER_SEED" >&3
}

three_on_disks() {
    local manager
    for manager in 1 2 3; do
        disk_make $manager
    done
    managers_cluster 3
}

@test "a manager alone has all that it acknowledged before the power went" {
    local n
    disk_make 1
    managers_cluster 1
    for ((n = 1; n <= ${POWER_CUTS:-8}; n++)); do
        cut 1
        come_back 1
        holds 1
    done
    report $((n - 1))
}

@test "a member whose power goes keeps its word, and catches up with the others" {
    local n manager
    three_on_disks
    for ((n = 1; n <= ${POWER_CUTS:-6}; n++)); do
        manager=$(((RANDOM + n) % 3 + 1))
        cut $manager
        come_back $manager
        group_holds
    done
    report $((n - 1))
}

@test "three managers whose power goes at once have all that they acknowledged" {
    local n
    three_on_disks
    for ((n = 1; n <= ${POWER_CUTS:-6}; n++)); do
        cut $((n % 3 + 1)) $(((n + 1) % 3 + 1)) $(((n + 2) % 3 + 1))
        come_back 1 2 3
        group_holds
    done
    report $((n - 1))
}

# The checker is checked: a disk that says "synced" and did nothing. Only the meta page still gets there, by a descriptor
# that syncs each write.
@test "what a lying disk lost is found" {
    local n lost=0
    disk_make 1
    managers_cluster 1
    manager_end 1 TERM
    sync
    cp -a "$cluster/1/state" "$cluster/before"
    for n in 1 2 3; do
        rm -rf "$cluster/1/state/store"
        cp -a "$cluster/before/store" "$cluster/1/state/"
        sync -f "$cluster/1/state"
        rm "$cluster"/{tried,acknowledged}.*
        touch "$cluster"/{tried,acknowledged}.{1..3}
        manager_start 1
        strace -f -qq -o /dev/null -e trace=fdatasync,fsync -e inject=fdatasync,fsync:retval=0 -p "${manager_pids[1]}" 3>&- &
        await is_traced "${manager_pids[1]}"
        cut 1
        is_sound 1 2>>"$cluster/verdict" && manager_start 1 && holds 1 2>>"$cluster/verdict" || lost=$((lost + 1))
        [ -z "${manager_pids[1]-}" ] || manager_end 1
    done
    echo "# data lost in $lost of 3 cuts" >&3
    [ $lost -gt 0 ]
    grep -qE 'lost|damaged|page|checksum' "$cluster/verdict"
}

# --- what a node has to run ---

has_synced() { # MANAGER FILES
    [ "$(grep -o 'agent.sync files=[0-9]*' "$cluster/$1/log" | awk -F= '{ sum += $2 } END { print sum + 0 }')" -ge "$2" ]
}

# A worker: of a manager each commit of the store would do it.
@test "what a node was told to run is known to it after a cut, whole, before any manager has spoken" {
    disk_make 2
    managers_cluster 1
    manager_start 2 --log-level debug
    on 2 swarm join --token "$(token 1 worker)" "$(address 1)" >/dev/null
    on 1 service create --mode global --name a --detach busybox >/dev/null
    on 1 service create --mode global --name b --detach busybox >/dev/null
    await has_synced 2 4 # that they are to run, and that they were started
    disk_shut_down 2
    manager_end 2
    umount "$cluster/2/state"
    disk_mount 2
    same 2 "$(find "$cluster/2/state/assignments" -type f -size +100c | wc -l)"
    manager_end 1
    manager_start 2
    same 0 "$(manager_said 2 task.damaged)"
}
