#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# test/e2e/damage.bats — a manager on a damaged copy of its store refuses it, or serves exactly what was there; a member of
# three gets the state from the others. Nothing dies of a signal.
#
# (test/unit/test_store_damage.c does the same to the store alone, hundreds of times.)
#
#     DAMAGE_COPIES=n DAMAGE_SEED=n     copies of a lone manager's store (64); where they are damaged (drawn, printed)

load ../lib/managers.bash

PAGE=4096
KINDS=(flip_bit zero_page swap_pages cut)

setup() {
    managers_setup
    DAMAGE_SEED=${DAMAGE_SEED:-$RANDOM}
    RANDOM=$DAMAGE_SEED
    work=$cluster/work
    mkdir "$work"
}

teardown() {
    [ -n "$BATS_TEST_COMPLETED" ] || tail -n 20 "$cluster"/*/log >&2
    managers_remove
}

# --- damage ---

below() { # LIMIT
    echo $(((RANDOM << 15 | RANDOM) % $1))
}

pages() { # FILE
    echo $(($(stat -c %s "$1") / PAGE))
}

put_page() { # FROM-FILE PAGE TO-FILE PAGE
    dd if="$1" skip="$2" of="$3" seek="$4" bs=$PAGE count=1 conv=notrunc status=none
}

flip_bit() { # FILE
    local at byte
    at=$(below "$(stat -c %s "$1")")
    byte=$(od -An -tu1 -j "$at" -N 1 "$1")
    # shellcheck disable=SC2059 # an octal escape is made
    printf "\\x$(printf %x $((byte ^ 1 << RANDOM % 8)))" | dd of="$1" bs=1 seek="$at" conv=notrunc status=none
}

zero_page() { # FILE
    put_page /dev/zero 0 "$1" "$(below "$(pages "$1")")"
}

swap_pages() { # FILE
    local one other
    one=$(below "$(pages "$1")")
    other=$(below "$(pages "$1")")
    cp "$1" "$work/unswapped"
    put_page "$work/unswapped" "$one" "$1" "$other"
    put_page "$work/unswapped" "$other" "$1" "$one"
}

cut() { # FILE
    truncate -s "$(below "$(stat -c %s "$1")")" "$1"
}

# --- what a manager makes of it ---

data() { # MANAGER
    echo "$cluster/$1/state/store/data.mdb"
}

verdict() { # MANAGER: the exit status of the store's own check
    local status=0
    "$build/musterd" --check-store --state-dir "$cluster/$1/state" >"$work/verdict" 2>&1 || status=$?
    echo $status
}

declared() { # MANAGER
    on "$1" get services -o json
}

are_gone() { # MANAGER SERVICE…: a removed one stays until its tasks are gone
    ! on "$1" service ls --format '{{.Name}}' | grep -xF -f <(printf '%s\n' "${@:2}")
}

declare_some() { # MANAGER
    local n
    for n in {1..12}; do
        on "$1" service create --detach --replicas $((n % 3)) --env "FILL=$(printf "%0$((n * 300))d" $n)" --name "s$n" busybox >/dev/null
    done
    on "$1" service rm s1 s4 >/dev/null
    on "$1" service update --detach --env-add X=1 s7 >/dev/null
    await quietly are_gone "$1" s1 s4
}

refused() { # MANAGER: with the reason, the place and the documented status; the store stays as it was
    cp "$(data "$1")" "$work/damaged"
    exits 10 timeout 30 "$build/musterd" --state-dir "$cluster/$1/state" --run-dir "$cluster/$1/run" --listen "$(address "$1")" --executor fake &&
        matches "musterd: open the store in .*$cluster/$1/state/store.*: ." "$output" && cmp "$(data "$1")" "$work/damaged"
}

ends_well() { # MANAGER
    kill -TERM "${manager_pids[$1]}" && wait "${manager_pids[$1]}" && unset "manager_pids[$1]"
}

unharmed() { # MANAGER: all is there, and it goes on
    manager_start "$1" && declared "$1" >"$work/found" && cmp "$work/found" "$work/declared" &&
        on "$1" service create --detach --name later busybox >/dev/null && ends_well "$1" && same 0 "$(verdict "$1")"
}

# A lone manager and a copy of its state, in $work/state, whose declared objects are $work/declared.
a_manager() {
    managers_cluster 1
    declare_some 1
    declared 1 >"$work/declared"
    manager_end 1 TERM
    cp -r "$cluster/1/state" "$work/state"
}

anew() { # KIND: a damaged copy
    rm -rf "$cluster/1/state"
    cp -r "$work/state" "$cluster/1/state"
    "$1" "$(data 1)"
}

@test "a manager refuses a damaged store, or serves exactly what was there" {
    local n kind refusals=0
    a_manager
    for ((n = 0; n < ${DAMAGE_COPIES:-64}; n++)); do
        kind=${KINDS[n % ${#KINDS[@]}]}
        anew "$kind"
        case $(verdict 1) in
        0) unharmed 1 ;;
        10) refused 1 && refusals=$((refusals + 1)) ;;
        *) false ;;
        esac || { echo "$kind, copy $n, seed $DAMAGE_SEED: $(cat "$work/verdict")" >&2 && return 1; }
    done
    echo "# $refusals of $n copies refused, the others unharmed, seed $DAMAGE_SEED" >&3
    [ $refusals -gt $((n / 4)) ]
    [ $refusals -lt "$n" ]
}

is_back() { # MANAGER: it votes, and has what the next one has
    all_answer 3 && declared "$1" >"$work/found" && declared $(($1 % 3 + 1)) | cmp "$work/found" -
}

# The damage is drawn until it is one that matters.
damage_that_matters() { # MANAGER KIND
    cp "$(data "$1")" "$work/whole"
    until [ "$(verdict "$1")" = 10 ]; do
        cp "$work/whole" "$(data "$1")"
        "$2" "$(data "$1")"
    done
}

@test "a member of three sets a damaged store aside and has everything again from the others" {
    local n member id count
    managers_cluster 3
    declare_some 1
    for ((n = 0; n < ${#KINDS[@]}; n++)); do
        member=$((n % 3 + 1))
        id=$(grep ^raft "$cluster/$member/state/store/group")
        count=$(manager_said $member store.quarantine)
        manager_end $member
        damage_that_matters $member "${KINDS[n]}"
        on $((member % 3 + 1)) service create --detach --replicas 0 --name "meanwhile$n" busybox >/dev/null
        manager_start $member
        same $((count + 1)) "$(manager_said $member store.quarantine)"
        await quietly is_back $member
        refute grep -q "^$id" "$cluster/$member/state/store/group"
        on $member service create --detach --replicas 0 --name "after$n" busybox >/dev/null
    done
    echo "# $n times set aside, seed $DAMAGE_SEED" >&3
}

# The checker is checked: a manager that believes every record.
@test "a manager that serves damaged data is found" {
    a_manager
    anew true
    # Each copy of some content: in objects, log and history.
    LC_ALL=C sed -i 's/0000000000/0000010000/g' "$(data 1)"
    same 10 "$(verdict 1)"
    mkdir "$work/planted"
    ln -s "$build/muster" "$build/planted/musterd" "$work/planted"
    build=$work/planted
    export BUG=STORE_CRC_NOT_CHECKED
    same 0 "$(verdict 1)"
    refute unharmed 1 >"$work/verdict"
    matches 'declared differ' "$(cat "$work/verdict")"
}
