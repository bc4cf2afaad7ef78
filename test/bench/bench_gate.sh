#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# test/bench/bench_gate.sh [--agents N] — a real manager with the agents of many nodes (1,000), default settings, and strangers at its port.
#
#     join        all of them join by token, one process plays them (test/bench/agents.c): a second for how many
#     agents      what the manager takes for their heartbeats: resident memory, share of a core over WINDOW_SECONDS (30)
#     tasks       two for each: from apply to all running, as `muster service ls` says
#     strangers   1,500 (test/bench/strangers.c) call and come to nothing: how long the last one stays, how long `muster node ls` takes
#                 meanwhile, and how many agents lose their session
#     return      the manager is killed and started: until all agents have their sessions again, and how many nodes were taken for down
#
# One JSON line a figure; `goal` is the worst that is good enough. All share the machine's cores.
set -euo pipefail
cd "$(dirname "$0")/../.."
BATS_TEST_DIRNAME=$PWD/test/bench
load() { # as bats has it
    # shellcheck source=/dev/null
    . "$BATS_TEST_DIRNAME/$1"
}
load ../lib/managers.bash

agents=1000 strangers=1500
[ "${1-}" != --agents ] || agents=${2-}
[[ $agents =~ ^[1-9][0-9]{0,3}$ ]] || { echo "bench_gate.sh [--agents N]: N is 1 to 9999" >&2 && exit 2; }
window_s=${WINDOW_SECONDS:-30}
tools=$build/test/${FLAVOUR:-release}
players=

cleanup() {
    [ -z "$players" ] || kill -KILL "$players" 2>/dev/null || :
    managers_remove
}

figure() { # NAME VALUE UNIT [GOAL [MORE]]
    printf '{"bench":"gate","agents":%s,"name":"%s","value":%s,"unit":"%s"%s%s}\n' "$agents" "$1" "$2" "$3" "${4:+,\"goal\":$4}" "${5:+,$5}"
}

now_ms() {
    echo $((${EPOCHREALTIME/./} / 1000))
}

await_soon() { # as await, but looks oftener
    local deadline=$((SECONDS + 300))
    until quietly "$@"; do
        [ $SECONDS -lt $deadline ] || { echo "never came true: $*" >&2 && return 1; }
        sleep 0.01
    done
}

players_say() { # FIELD
    jq ".$1" "$cluster/players"
}

are() { # FIELD COUNT
    [ "$(players_say "$1")" = "$2" ]
}

seconds_since() { # MS
    awk -v ms=$(($(now_ms) - $1)) 'BEGIN { printf "%.2f", ms / 1000 }'
}

# --- parts ---

join_figures() {
    local begin
    begin=$(now_ms)
    "$tools/agents" "$(address 1)" "$(token 1 worker)" "$agents" "$cluster/players" 2>"$cluster/players.log" &
    players=$!
    disown
    await_soon are joined "$agents"
    figure joins_a_second "$(awk -v n="$agents" -v s="$(seconds_since "$begin")" 'BEGIN { printf "%.0f", n / s }')" 1/s
    begin=$(now_ms)
    await_soon are open "$agents"
    figure joined_to_all_sessions "$(seconds_since "$begin")" s
}

ticks_of() { # PID: of processor time
    awk '{ print $14 + $15 }' "/proc/$1/stat"
}

resident_mib() {
    awk '$1 == "VmRSS:" { printf "%.1f", $2 / 1024 }' "/proc/${manager_pids[1]}/status"
}

heartbeat_figures() {
    local ticks
    ticks=$(ticks_of "${manager_pids[1]}")
    sleep "$window_s"
    figure core_for_heartbeats "$(awk -v ticks=$(($(ticks_of "${manager_pids[1]}") - ticks)) -v second="$(getconf CLK_TCK)" -v time="$window_s" \
        'BEGIN { printf "%.2f", 100 * ticks / second / time }')" '% of a core'
    figure resident "$(resident_mib)" MiB
}

replicas_are() { # N/M
    [ "$(on 1 service ls --filter name=many --format '{{.Replicas}}')" = "$1" ]
}

task_figures() {
    local begin tasks=$((2 * agents))
    begin=$(now_ms)
    on 1 apply --detach -f - <<<"{kind: service, name: many, image: none, deploy: {replicas: $tasks, placement: {constraints: [node.role==worker]}}}" >/dev/null 2>&1
    await_soon replicas_are "$tasks/$tasks"
    figure tasks_applied_to_running "$(seconds_since "$begin")" s '' "\"tasks\":$tasks"
    figure resident_with_tasks "$(resident_mib)" MiB
}

down() {
    on 1 node ls --format '{{.Status}}' | grep -c Down || :
}

# node ls, again and again until the strangers are gone
look_meanwhile() { # PID
    local begin
    while kill -0 "$1" 2>/dev/null; do
        begin=${EPOCHREALTIME/./}
        on 1 node ls -q >/dev/null
        echo $((${EPOCHREALTIME/./} - begin)) >>"$cluster/took"
    done
}

rank() { # RANK: of the times, in ms
    sort -n "$cluster/took" | awk -v rank="$1" 'NR == rank { printf "%.1f", $1 / 1000 }'
}

stranger_figures() {
    local troubles count calling
    troubles=$(players_say troubles)
    "$tools/strangers" "$(address 1)" $strangers >"$cluster/called" &
    calling=$!
    look_meanwhile $calling
    wait $calling || :
    count=$(wc -l <"$cluster/took")
    figure strangers_gone "$(jq .gone "$cluster/called")" strangers $strangers
    figure stranger_stays_longest "$(jq .longest_ms "$cluster/called")" ms 3000
    figure node_ls_among_strangers_median "$(rank $(((count + 1) / 2)))" ms 500 "\"of\":$count"
    figure node_ls_among_strangers_highest "$(rank "$count")" ms 500 "\"of\":$count"
    figure agents_that_lost_their_session $(($(players_say troubles) - troubles)) agents 0
    figure nodes_down_among_strangers "$(down)" nodes 0
}

return_figures() {
    local begin
    begin=$(now_ms)
    manager_end 1
    await_soon are open 0
    manager_start 1
    await_soon are open "$agents"
    figure killed_to_all_sessions "$(seconds_since "$begin")" s
    await_soon has_leader
    figure nodes_down_after_that "$(down)" nodes 0
    figure nodes_ever_down "$(manager_said 1 node.down)" nodes 0
}

# --- all of it ---

trap cleanup EXIT
managers_setup
managers_cluster 1
figure resident_without_agents "$(resident_mib)" MiB
join_figures
heartbeat_figures
task_figures
stranger_figures
return_figures
