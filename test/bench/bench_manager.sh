#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# test/bench/bench_manager.sh [--kills N] — what a manager costs and how long it is missed: real musterd, a real client, default settings.
#
#     memory      of a manager of three that holds 10,000 objects, half of them services, after a list of all; the highest of the three
#     fail-over   the leader of these three is killed (N times, 20), frozen, and asked to end, each time under writes: until a write that
#                 begins then, through another one, is acknowledged. The client is started within that time.
#     restart     after kill -9, with 10,000 objects and 108 MB of configs: from exec to the first read through it, alone in its group and
#                 as a follower of three; against `cat` of the store's file, which has the log too, and etcd with no more than the 108 MB
#
# One JSON line a figure; `goal` is the worst that is good enough. Exit status 1 when a write that was acknowledged is lost.
set -euo pipefail
cd "$(dirname "$0")/../.."
BATS_TEST_DIRNAME=$PWD/test/bench
load() { # as bats has it
    # shellcheck source=/dev/null
    . "$BATS_TEST_DIRNAME/$1"
}
load ../lib/managers.bash

kills=20
[ "${1-}" != --kills ] || kills=${2-}
[[ $kills =~ ^([1-9][0-9]?|100)$ ]] || { echo "bench_manager.sh [--kills N]: N is 1 to 100" >&2 && exit 2; }
hand_overs=20 freezes=5 restarts=5
services=5000 configs=5000 files=10 # an apply takes 2,000 changes, and a service is two: itself and its revision
large=120 large_bytes=900000 # 108 MB
etcd_pid=

cleanup() {
    etcd_end
    managers_remove
}

figure() { # NAME VALUE UNIT GOAL [MORE]
    printf '{"bench":"manager","name":"%s","value":%s,"unit":"%s"%s%s}\n' "$1" "$2" "$3" "${4:+,\"goal\":$4}" "${5:+,$5}"
}

now_us() {
    echo "${EPOCHREALTIME/./}"
}

# until_true FILE COMMAND…: notes the microseconds since $begin
until_true() {
    local deadline=$((SECONDS + 60))
    until "${@:2}" >/dev/null 2>&1; do
        [ $SECONDS -lt $deadline ] || { echo "never came true: ${*:2}" >&2 && return 1; }
        sleep 0.005
    done
    echo $(($(now_us) - begin)) >>"$1"
}

# The figures of a file of microseconds, in milliseconds: median and 99th percentile, which of few is the highest.
times() { # NAME FILE [GOAL-OF-MEDIAN [GOAL-OF-P99]]
    local count
    count=$(wc -l <"$2")
    figure "$1_median" "$(rank "$2" $(((count + 1) / 2)))" ms "${3-}" "\"of\":$count"
    figure "$1_p99" "$(rank "$2" $(((count * 99 + 99) / 100)))" ms "${4-}" "\"of\":$count"
}

rank() { # FILE RANK
    sort -n "$1" | awk -v rank="$2" 'NR == rank { printf "%.1f", $1 / 1000 }'
}

# --- writing ---

declare_service() { # NUMBER
    printf '%s\n' --- 'kind: service' "name: service-$1" 'image: nginx:1.25' 'command: [nginx, -g, "daemon off;"]' \
        "environment: {NUMBER: \"$1\", MODE: production}" 'labels: {team: web, tier: front}' 'deploy: {replicas: 0}'
}

declare_config() { # NUMBER
    printf '%s\n' --- 'kind: config' "name: config-$1" "content: \"listen 80; server_name host-$1.example.org; root /srv/www/$1;\""
}

objects_make() { # MANAGER
    local file number
    for ((file = 0; file < files; file++)); do
        for ((number = file; number < services; number += files)); do declare_service $number; done >"$cluster/objects.yaml"
        for ((number = file; number < configs; number += files)); do declare_config $number; done >>"$cluster/objects.yaml"
        on "$1" apply --quiet --detach -f "$cluster/objects.yaml" >/dev/null
    done
}

store_fill() { # MANAGER: four at a time are what one request holds
    local number until
    head -c $large_bytes /dev/zero | tr '\0' x >"$cluster/large"
    for ((number = 0; number < large; )); do
        for ((until = number + 4; number < until; number++)); do
            printf '%s\n' --- 'kind: config' "name: large-$number" 'file: large'
        done >"$cluster/large.yaml"
        on "$1" apply --quiet --detach -f "$cluster/large.yaml" >/dev/null
    done
}

# --- memory ---

highest_mib() { # FIELD
    local pid
    for pid in "${manager_pids[@]}"; do
        awk -v field="$1:" '$1 == field { print $2 }' "/proc/$pid/status"
    done | sort -n | awk 'END { printf "%.1f", $1 / 1024 }'
}

memory_figures() {
    local number held
    for number in 1 2 3; do
        held=$(for kind in services configs; do on $number get $kind -o name; done | wc -l)
        same $((services + configs)) "$held"
    done
    figure manager_rss_with_10000_objects "$(highest_mib VmRSS)" MiB 48
    figure manager_peak_with_10000_objects "$(highest_mib VmHWM)" MiB 48
}

# --- fail-over ---

write_one() { # MANAGER NAME: notes what was acknowledged
    on "$1" apply --quiet --detach -f - >/dev/null 2>>"$cluster/refusals" <<<"{kind: config, name: $2, content: x}" &&
        echo "$2" >>"$cluster/acknowledged"
}

write_until_it_ends() { # MANAGER PREFIX
    local number=0
    while write_one "$1" "$2-$number"; do
        number=$((number + 1))
    done
}

acknowledged_lines() { # AT-LEAST
    [ "$(wc -l <"$cluster/acknowledged")" -ge "$1" ]
}

fail_over() { # SIGNAL NAME
    local leads other writer begin
    leads=$(leader)
    other=$(follower)
    write_until_it_ends "$leads" "$2-before" &
    writer=$!
    await acknowledged_lines $(($(wc -l <"$cluster/acknowledged") + 5))
    begin=$(now_us)
    kill "-$1" "${manager_pids[leads]}"
    until_true "$cluster/$1" write_one "$other" "$2-after"
    manager_end "$leads" "${1/STOP/KILL}"
    wait $writer || :
    manager_start "$leads"
    await all_answer 3
}

fail_overs() { # SIGNAL COUNT
    local number
    for ((number = 0; number < $2; number++)); do
        await has_leader
        fail_over "$1" "write-${1,,}-$number"
    done
}

missing_writes() { # what was acknowledged and some manager does not show
    local number
    for number in 1 2 3; do
        comm -23 <(sort "$cluster/acknowledged") <(on $number get configs -o name | sed 's,.*/,,' | sort)
    done | sort -u
}

fail_over_figures() {
    local lost
    : >"$cluster/acknowledged"
    fail_overs KILL "$kills"
    fail_overs STOP $freezes
    fail_overs TERM $hand_overs
    times leader_killed_to_write "$cluster/KILL" 1500 2500
    times leader_frozen_to_write "$cluster/STOP"
    times leader_terminated_to_write "$cluster/TERM" 300 300
    lost=$(missing_writes | wc -l)
    figure acknowledged_writes_lost "$lost" writes 0 "\"of\":$(wc -l <"$cluster/acknowledged")"
    [ "$lost" = 0 ]
}

# --- restart ---

restart_figures() { # NAME MANAGER
    local round begin store=$cluster/$2/state/store/data.mdb
    for ((round = 0; round < restarts; round++)); do
        manager_end "$2"
        begin=$(now_us)
        manager_begin "$2"
        until_true "$cluster/$1" on "$2" get config large-0 -o name
        begin=$(now_us)
        until_true "$cluster/$1.cat" cat "$store"
    done
    times "$1" "$cluster/$1" 2000
    figure "$1_cat_of_its_file" "$(rank "$cluster/$1.cat" 1)" ms '' "\"bytes\":$(stat -c %s "$store")"
}

# --- the rival ---

etcd_ask() { # PATH BODY-FILE: HTTP over a socket of the shell
    local status
    exec {link}<>"/dev/tcp/$host/2479" || return 1
    { printf 'POST /v3/kv/%s HTTP/1.0\r\nContent-Length: %s\r\n\r\n' "$1" "$(stat -c %s "$2")" && cat "$2"; } >&"$link"
    read -r -u "$link" status
    exec {link}>&-
    [[ $status == *' 200 '* ]]
}

etcd_begin() {
    etcd --data-dir "$cluster/etcd" --listen-client-urls "http://$host:2479" --advertise-client-urls "http://$host:2479" \
        --listen-peer-urls "http://$host:2480" --initial-advertise-peer-urls "http://$host:2480" \
        --initial-cluster "default=http://$host:2480" >>"$cluster/etcd.log" 2>&1 </dev/null &
    etcd_pid=$!
}

etcd_end() {
    [ -z "$etcd_pid" ] || { kill -KILL "$etcd_pid" && wait "$etcd_pid"; } 2>/dev/null || :
    etcd_pid=
}

etcd_figures() {
    local round begin number value
    value=$(base64 -w 0 "$cluster/large")
    printf '{"key":"%s"}' "$(base64 <<<0)" >"$cluster/range"
    etcd_begin
    await etcd_ask range "$cluster/range" 2>/dev/null
    for ((number = 0; number < large; number++)); do
        printf '{"key":"%s","value":"%s"}' "$(base64 <<<$number)" "$value" >"$cluster/put"
        etcd_ask put "$cluster/put"
    done
    for ((round = 0; round < restarts; round++)); do
        etcd_end
        begin=$(now_us)
        etcd_begin
        until_true "$cluster/etcd.times" etcd_ask range "$cluster/range"
    done
    times restart_of_etcd "$cluster/etcd.times"
    figure restart_of_etcd_file "$(stat -c %s "$cluster/etcd/member/snap/db")" bytes
    etcd_end
}

# --- all of it ---

trap cleanup EXIT
managers_setup
managers_cluster 3
objects_make 1
memory_figures
fail_over_figures
managers_remove

managers_setup
managers_cluster 1
objects_make 1
store_fill 1
restart_figures restart_alone 1
for number in 2 3; do
    manager_start $number
    on $number swarm join --token "$(token 1)" "$(address 1)" >/dev/null
done
await all_answer 3
restart_figures restart_as_follower 3
etcd_figures
