#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# test/bench/bench_cluster.sh [--rounds N] — machines that fail, in network namespaces: 3 managers and 2 workers, default settings.
#
#     a worker is killed, or cut off (N times each, 3): until all of its tasks run elsewhere; from the moment at which the last of the three
#         heartbeats that it may miss could have come, which is 15 s after that, or earlier
#     the leader is killed (N times): until a write that begins then, through another manager, is acknowledged; and that no task ended
#     idle: 3 managers without tasks, for IDLE_SECONDS (60): resident memory of each, what it takes of a core, how many wrote to their stores
#
# One JSON line a figure; `goal` is the worst that is good enough. Exit status 1 when a task ended that should not have.
set -euo pipefail
cd "$(dirname "$0")/../.."
BATS_TEST_DIRNAME=$PWD/test/bench
load() { # as bats has it
    # shellcheck source=/dev/null
    . "$BATS_TEST_DIRNAME/$1"
}
load ../lib/cluster.bash
load ../lib/sleepers.bash

rounds=3
[ "${1-}" != --rounds ] || rounds=${2-}
[[ $rounds =~ ^[1-9][0-9]?$ ]] || { echo "bench_cluster.sh [--rounds N]: N is 1 to 99" >&2 && exit 2; }
idle_s=${IDLE_SECONDS:-60}

cleanup() {
    cluster_remove
    sleepers_remove
}

figure() { # NAME VALUE UNIT [GOAL [MORE]]
    printf '{"bench":"cluster","name":"%s","value":%s,"unit":"%s"%s%s}\n' "$1" "$2" "$3" "${4:+,\"goal\":$4}" "${5:+,$5}"
}

now_us() {
    echo "${EPOCHREALTIME/./}"
}

# took FILE COMMAND…: notes the microseconds since $begin at which the command succeeded
took() {
    AWAIT_SECONDS=90 await_soon "${@:2}"
    echo $(($(now_us) - begin)) >>"$1"
}

await_soon() { # as await, but looks oftener
    local deadline=$((SECONDS + AWAIT_SECONDS))
    until quietly "$@"; do
        [ $SECONDS -lt $deadline ] || { echo "never came true: $*" >&2 && return 1; }
        sleep 0.01
    done
}

# Median and highest, in seconds, after SECONDS that are not counted.
seconds_of() { # NAME FILE GOAL [SECONDS]
    local count
    count=$(wc -l <"$2")
    sort -n "$2" | awk -v less="${4:-0}" '{ printf "%.3f\n", $1 / 1e6 - less }' >"$2.s"
    figure "$1" "$(sed -n "$(((count + 1) / 2))p" "$2.s")" s "$3" "\"highest\":$(tail -n 1 "$2.s"),\"of\":$count"
}

# --- a worker is lost ---

runs_elsewhere() { # NUMBER: nothing of the service is to run on it, and all of it runs
    [ -z "$(ask node ps "n$1" --filter desired-state=running -q)" ] && replicas_are web 20/20
}

spread() { # so that the worker has some
    ask service update --force web >/dev/null
    ask node ps n5 --filter desired-state=running -q | grep -q .
}

worker_lost() { # HOW
    local begin
    await spread
    await replicas_are web 20/20
    begin=$(now_us)
    case $1 in
    killed) manager_end 5 ;;
    cut_off) cluster_cut 5 ;;
    esac
    took "$cluster/$1" runs_elsewhere 5
    case $1 in
    killed) manager_start 5 ;;
    cut_off) cluster_heal ;;
    esac
    await has_words 5 Ready '.*'
    await sleep_count_is 20
}

# --- the leader is lost ---

write_one() { # MANAGER NAME
    on "$1" apply --quiet --detach -f - <<<"{kind: config, name: $2, content: x}"
}

leader_killed() { # ROUND
    local begin led since
    await has_leader
    led=$(leader)
    since=$(sleeping_since)
    begin=$(now_us)
    kill -KILL "${manager_pids[led]}"
    took "$cluster/leader" write_one $((led % 3 + 1)) "after-$1"
    manager_end "$led"
    manager_start "$led"
    await has_words "$led" Ready Reachable
    same "$since" "$(sleeping_since)"
}

# --- nothing is asked for ---

ticks_of() { # PID: of processor time
    awk '{ print $14 + $15 }' "/proc/$1/stat"
}

idle_figures() {
    local number ticks=() second before
    second=$(getconf CLK_TCK)
    await cluster_rests 3 20
    before=$(cluster_writes 3)
    for number in 1 2 3; do
        ticks[number]=$(ticks_of "${manager_pids[number]}")
    done
    sleep "$idle_s"
    for number in 1 2 3; do
        figure "idle_resident_n$number" "$(awk '$1 == "VmRSS:" { printf "%.1f", $2 / 1024 }' "/proc/${manager_pids[number]}/status")" MiB 16
        figure "idle_core_n$number" "$(awk -v ticks=$(($(ticks_of "${manager_pids[number]}") - ticks[number])) -v second="$second" -v time="$idle_s" \
            'BEGIN { printf "%.2f", 100 * ticks / second / time }')" '% of a core' 0.3
    done
    figure idle_writes "$(comm -13 <(echo "$before") <(cluster_writes 3) | wc -l)" 'managers that wrote' 0
}

# --- all of it ---

trap cleanup EXIT
cluster_setup
sleepers_setup
cluster_of 3 3
idle_figures
cluster_remove

cluster_setup
sleepers_setup
cluster_of 5 3
sleepers web 20 >/dev/null
for ((round = 0; round < rounds; round++)); do
    worker_lost killed
    worker_lost cut_off
    leader_killed "$round"
done
seconds_of worker_killed_to_tasks_elsewhere "$cluster/killed" 10 15
seconds_of worker_cut_off_to_tasks_elsewhere "$cluster/cut_off" 10 15
seconds_of leader_killed_to_write "$cluster/leader" 1.5
