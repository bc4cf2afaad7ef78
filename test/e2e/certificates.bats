#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# test/e2e/certificates.bats — certificates in the course of months: renewed in time, and what becomes of those that were not.
#
# All daemons of a test share a clock that it moves (test/lib/preload/clock_shift.c).

load ../lib/managers.bash

DAY=86400

setup() {
    managers_setup
    echo 0 >"$cluster/clock"
    export CLOCK_SHIFT=$cluster/clock
}

teardown() {
    [ -n "$BATS_TEST_COMPLETED" ] || tail -n 20 "$cluster"/*/log >&2
    managers_remove
}

manager_begins() { # NUMBER
    LD_PRELOAD=$build/test/${FLAVOUR:-release}/clock_shift.so manager_start "$@"
}

days() { # NUMBER: after the beginning
    echo $(($1 * DAY)) >"$cluster/clock.next"
    cat "$cluster/clock.next" >"$cluster/clock" # the file that they have open
}

papers() { # NUMBER: where its certificate is
    echo "$cluster/$1"/state/certificates/?????????????????????????
}

serial() { # NUMBER
    openssl x509 -in "$(papers "$1")/node.pem" -noout -serial
}

is_another() { # NUMBER SERIAL
    [ "$(serial "$1")" != "$2" ]
}

joins() { # NUMBER [ROLE]
    on "$1" swarm join --token "$(token 1 "${2:-manager}")" "$(address 1)"
}

cluster_of() { # COUNT
    local number
    for ((number = 1; number <= $1; number++)); do
        manager_begins "$number"
    done
    on 1 swarm init >/dev/null
    for ((number = 2; number <= $1; number++)); do
        joins "$number" >/dev/null 2>&1
    done
    await all_answer "$1"
}

@test "certificates of 90 days are renewed after 45 to 72 of them, by each node itself, and links go on" {
    cluster_of 3
    before=("" "$(serial 1)" "$(serial 2)" "$(serial 3)")
    term=$(raft_term 1)
    days 44
    on 1 service create --detach --name early --replicas 0 none >/dev/null
    for number in 1 2 3; do
        same "${before[number]}" "$(serial "$number")"
    done
    days 73
    for number in 1 2 3; do
        await is_another "$number" "${before[number]}"
    done
    days 120 # those before would have run out
    on 2 service create --detach --name late --replicas 0 none >/dev/null
    same $'early\nlate' "$(on 3 service ls --format '{{.Name}}' | sort)"
    same "$term" "$(raft_term 1)" # nobody was elected anew
}

# The third one is off while the others renew theirs, until its own has run out.
third_misses_it() {
    on 1 service create --detach --name web --replicas 0 none >/dev/null
    for ((until = EPOCHSECONDS + 2; EPOCHSECONDS < until; )); do # what it knows is on its disk after a while
        on 1 service update --detach --label-add "at=$EPOCHREALTIME" web >/dev/null
    done
    manager_end 3 TERM
    before=("" "$(serial 1)" "$(serial 2)")
    days 73
    await is_another 1 "${before[1]}"
    await is_another 2 "${before[2]}"
    days 91
}

@test "a manager whose certificate ran out while it was off comes back by itself" {
    cluster_of 3
    before3=$(serial 3)
    third_misses_it
    manager_begins 3
    await has_words 3 Ready Reachable
    await is_another 3 "$before3"
}

@test "without its store it comes back by one command, as the node that it was" {
    cluster_of 3
    id=$(on 1 node inspect n3 --format '{{.meta.id}}')
    third_misses_it
    rm -r "$cluster/3/state/store"
    manager_begins 3
    exits 5 on 3 swarm join --token "$(token 1 worker)" "$(address 1)"
    matches 'is a manager of the swarm, and the token is one for a worker' "$output"
    same 'This node joined a swarm as a manager.' "$(joins 3 2>/dev/null)"
    await has_words 3 Ready Reachable
    same "$id" "$(on 3 node inspect self --format '{{.meta.id}}')"
    same 3 "$(on 1 node ls -q | grep -c .)"
    exits 5 joins 3 # it is there
}

@test "three managers that were all off for a year find each other again" {
    cluster_of 3
    on 1 service create --detach --name web --replicas 0 none >/dev/null
    for number in 1 2 3; do
        manager_end "$number" TERM
    done
    days 365
    for number in 1 2 3; do
        manager_begins "$number"
    done
    await all_answer 3
    same web "$(on 3 service ls --format '{{.Name}}')"
}

@test "a cluster of one that was off for a year goes on, with a new certificate" {
    cluster_of 1
    before=$(serial 1)
    manager_end 1
    days 365
    manager_begins 1
    on 1 service create --detach --name web --replicas 0 none >/dev/null
    await is_another 1 "$before"
    manager_begins 2
    joins 2 >/dev/null 2>&1
    await all_answer 2
}

# --- workers ---

worker_joins() { # NUMBER
    manager_begins "$1"
    joins "$1" worker >/dev/null
    await is_ready "$1"
}

is_ready() { # NUMBER
    manager_words | grep -qE "^n$1 Ready( |\$)"
}

is_down() { # NUMBER
    manager_words | grep -qE "^n$1 Down( |\$)"
}

believes() { # NUMBER FILE: these authorities
    [ "$(openssl crl2pkcs7 -nocrl -certfile "$(papers "$1")/authorities.pem" | openssl pkcs7 -print_certs)" = "$(openssl crl2pkcs7 -nocrl -certfile "$2" | openssl pkcs7 -print_certs)" ]
}

@test "a worker renews its certificate in time, and when it is told of shorter lives and of another authority" {
    cluster_of 1
    worker_joins 2
    before=$(serial 2)
    days 73
    await is_another 2 "$before"
    before=$(serial 2)
    on 1 swarm update --cert-expiry 24h >/dev/null
    await is_another 2 "$before"
    on 1 swarm ca >"$cluster/old.pem"
    believes 2 "$cluster/old.pem"
    timeout 100 "$build/muster" -H "unix://$cluster/1/run/muster.sock" swarm ca --rotate >"$cluster/new.pem" 2>/dev/null
    on 1 swarm ca >"$cluster/new.pem"
    refute cmp -s "$cluster/old.pem" "$cluster/new.pem"
    await believes 2 "$cluster/new.pem"
    manager_end 2 TERM
    await is_down 2
    manager_begins 2
    await is_ready 2
}

@test "a worker whose certificate ran out while it was off comes back by one command, as the node that it was" {
    cluster_of 1
    worker_joins 2
    id=$(on 1 node inspect n2 --format '{{.meta.id}}')
    before1=$(serial 1)
    manager_end 2 TERM
    days 73
    await is_another 1 "$before1"
    days 91
    manager_begins 2
    exits 5 on 2 swarm join --token "$(token 1 manager)" "$(address 1)"
    matches 'is a worker of the swarm, and the token is one for a manager' "$output"
    same 'This node joined a swarm as a worker.' "$(joins 2 worker)"
    await is_ready 2
    same "$id" "$(on 1 node inspect n2 --format '{{.meta.id}}')"
    same 2 "$(on 1 node ls -q | grep -c .)"
    exits 5 joins 2 worker # it is there
}
