#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# test/bench/bench_rollout.sh [--rounds N] — a rolling update of 20 real containers, 5 at a time, against bare runc that does the same work.
#
# Bare: the same configurations (of the tasks that run), five at work together, each container killed, waited for, deleted, and a new
# one created and started in its place; start-first: the new one before that. Both sides take turns, N rounds (3), and the median of the
# rounds' ratios counts. One JSON line a figure; `goal` is the worst that is good enough.
set -euo pipefail
cd "$(dirname "$0")/../.."
BATS_TEST_DIRNAME=$PWD/test/bench
load() { # as bats has it
    # shellcheck source=/dev/null
    . "$BATS_TEST_DIRNAME/$1"
}
load ../lib/musterd.bash

tasks=20
at_once=5
rounds=3
[ "${1-}" != --rounds ] || rounds=${2-}
[[ $rounds =~ ^[1-9][0-9]?$ ]] || { echo "bench_rollout.sh [--rounds N]: N is 1 to 99" >&2 && exit 2; }

figure() { # NAME VALUE UNIT [GOAL]
    printf '{"bench":"rollout","name":"%s","value":%s,"unit":"%s"%s}\n' "$1" "$2" "$3" "${4:+,\"goal\":$4}"
}

now_us() {
    echo "${EPOCHREALTIME/./}"
}

# --- bare runc ---

bare_runc() {
    "$RUNC" --root "$node/bare/root" "$@"
}

# The configuration of a task that runs, with a control group and a place of its own.
bare_bundle() { # NUMBER TASK
    local dir=$node/bare/$1 from=$node/run/tasks/$2
    mkdir -p "$dir"
    sed -E -e "s#(\"cgroupsPath\": *\"[^\"]*/)[^\"/]*\"#\1bare-$1-ID\"#" -e "s#(\"path\": *\")rootfs\"#\1$node/rootfs\"#" \
        "$from/config.json" >"$dir/template"
}

bare_start() { # NUMBER ROUND
    local dir=$node/bare/$1/$2
    mkdir -p "$dir"
    sed "s#-ID\"#-$2\"#" "$node/bare/$1/template" >"$dir/config.json"
    bare_runc create --bundle "$dir" --pid-file "$dir/pid" "bare-$1-$2" </dev/null >"$dir/out" 2>&1 || { cat "$dir/out" >&2 && return 1; }
    bare_runc start "bare-$1-$2"
}

bare_stop() { # NUMBER ROUND
    local pid
    pid=$(<"$node/bare/$1/$2/pid")
    bare_runc kill "bare-$1-$2" TERM
    while [ -e "/proc/$pid/exe" ]; do # not of a zombie, which whoever adopted it reaps at leisure
        sleep 0.005
    done
    bare_runc delete --force "bare-$1-$2"
}

bare_replace() { # NUMBER ROUND ORDER
    case $3 in
    stop-first) bare_stop "$1" $(($2 - 1)) && bare_start "$1" "$2" ;;
    start-first) bare_start "$1" "$2" && bare_stop "$1" $(($2 - 1)) ;;
    esac
}

bare_round() { # ROUND ORDER: microseconds
    local begin
    begin=$(now_us)
    seq "$tasks" | xargs -P "$at_once" -I{} bash -c 'bare_replace "$@"' _ {} "$1" "$2"
    echo $(($(now_us) - begin))
}

# The files of the image, unpacked once: what a container finds there costs bare runc nothing.
bare_files() {
    local layer
    mkdir -p "$node/image" "$node/rootfs"
    tar -C "$node/image" -xf "$IMAGES/busybox.tar"
    for layer in "$node"/image/blobs/sha256/*; do
        tar -C "$node/rootfs" -xf "$layer" 2>/dev/null || : # some are no layers
    done
}

bare_all() { # prepares, and starts those of round 0
    local number=0 task
    for task in $(tasks web); do
        number=$((number + 1))
        bare_bundle "$number" "$task"
        bare_start "$number" 0
    done
}

bare_end() { # ROUND
    local number
    for number in $(seq "$tasks"); do
        bare_stop "$number" "$1"
    done
    rm -rf "$node/bare"
}

# --- the rollout ---

muster_round() { # ORDER: microseconds
    local begin
    begin=$(now_us)
    muster service update --progress none --force --update-order "$1" web >/dev/null
    echo $(($(now_us) - begin))
}

run_order() { # ORDER
    local round bare ours name=${1//-/_}
    : >"$node/ratios" && : >"$node/bare_us" && : >"$node/ours_us"
    for round in $(seq "$rounds"); do
        bare_all
        bare=$(bare_round 1 "$1")
        bare_end 1
        ours=$(muster_round "$1")
        await count_is "$tasks" web
        echo "$bare" >>"$node/bare_us"
        echo "$ours" >>"$node/ours_us"
        awk -v a="$ours" -v b="$bare" 'BEGIN { printf "%.3f\n", a / b }' >>"$node/ratios"
    done
    figure "${name}_bare" "$(median "$node/bare_us")" us
    figure "$name" "$(median "$node/ours_us")" us
    figure "${name}_ratio" "$(median "$node/ratios")" ratio 1.5
}

median() { # FILE
    sort -n "$1" | sed -n "$((($(wc -l <"$1") + 1) / 2))p"
}

export -f bare_replace bare_start bare_stop bare_runc
"$repo/examples/images/build.sh" "$IMAGES" >&2
trap musterd_remove EXIT
musterd_setup
export node RUNC
musterd_cluster
muster service create --progress none --name web --replicas "$tasks" --update-parallelism "$at_once" --update-monitor 0s \
    --stop-grace-period 5s "oci-archive:$IMAGES/busybox.tar" sh -c 'trap exit TERM; while :; do sleep 5 & wait; done' >/dev/null
bare_files
run_order stop-first
run_order start-first
