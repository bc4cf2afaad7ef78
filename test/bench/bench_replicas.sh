#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# test/bench/bench_replicas.sh — what muster costs on top of runc, and how fast it answers (root).
#
#     start rate      50 replicas of a busybox `sleep` from `muster apply` to all running, against bare `runc create` and `start` of the same
#                     bundles, over mounts made before, at the same parallelism (cores + 1), in the same run; best of three each
#     memory          the daemon with no tasks; what a running task adds to the daemon, and its shim
#     answers         `muster service ls` with 1,000 tasks and `muster apply --detach` of 200 services, on the fake executor
#
# One JSON line a figure; `goal` is the worst that is good enough.
set -euo pipefail
cd "$(dirname "$0")/../.."

build=$PWD/${BUILD:-build}
replicas=${REPLICAS:-50}
parallel=$(($(nproc) + 1))
RUNC=$(command -v runc || echo /usr/sbin/runc)
node=$(mktemp -d /tmp/muster-bench.XXXXXX)
export MUSTER_HOST=unix://$node/run/muster.sock
daemon=

muster() {
    "$build/muster" "$@"
}

cleanup() {
    local file mount
    [ -z "$daemon" ] || { muster service rm $(muster service ls -q) >/dev/null 2>&1 || :; await no_tasks || :; stop_daemon; }
    for file in "$node"/bare/runc/*/; do
        [ ! -d "$file" ] || "$RUNC" --root "$node/bare/runc" delete --force "$(basename "$file")" || :
    done
    for mount in $(awk -v node="$node/" 'index($5, node) == 1 { print $5 }' /proc/self/mountinfo | sort -r); do
        umount "$mount" || umount -l "$mount"
    done
    find /sys/fs/cgroup -depth -type d -path "*/${node##*/}*" -exec rmdir {} + 2>/dev/null || :
    rm -rf --one-file-system "$node"
}
trap cleanup EXIT

figure() { # NAME VALUE UNIT [MORE]
    printf '{"bench":"replicas","name":"%s","value":%s,"unit":"%s"%s}\n' "$1" "$2" "$3" "${4:+,$4}"
}

calc() { # EXPRESSION
    awk "BEGIN { printf \"%.3f\", ($1) }"
}

now_ns() {
    date +%s%N
}

await() {
    local deadline=$((SECONDS + 60))
    until "$@"; do
        [ $SECONDS -lt $deadline ] || { echo "bench_replicas: never came true: $*" >&2 && return 1; }
        sleep 0.02
    done
}

answers() {
    muster info >/dev/null 2>&1
}

start_daemon() { # STATE OPTION…
    "$build/musterd" --state-dir "$node/$1" --run-dir "$node/run" --listen 127.0.0.1:0 --node-name bench "${@:2}" 2>>"$node/log" &
    daemon=$!
    await answers
    muster swarm init >/dev/null
}

stop_daemon() {
    kill "$daemon"
    wait "$daemon" || :
    daemon=
}

no_tasks() {
    [ -z "$(ls -A "$node/run/tasks" 2>/dev/null)" ]
}

only_warm() {
    [ "$(ls "$node/run/tasks" 2>/dev/null | wc -l)" = 1 ]
}

kib_of() { # PID FIELD FILE: a field of /proc/PID/FILE, in KiB
    awk -v field="$2:" '$1 == field { sum += $2 } END { print sum + 0 }' "/proc/$1/$3"
}

service() { # NAME REPLICAS
    printf '%s\n' 'kind: service' "name: $1" "image: oci-archive:$build/images/busybox.tar" 'command: [sleep, "100000"]' \
        'stop_grace_period: 10ms' "deploy: {replicas: $2}"
}

# --- starting ---

BUILD=$build examples/images/build.sh "$build/images"
start_daemon state
await no_tasks
figure idle_daemon_rss "$(calc "$(kib_of "$daemon" VmRSS status) / 1024")" MiB '"goal":12'

service warm 1 >"$node/warm.yaml" # the image is unpacked once, before
muster apply -q --progress none -f "$node/warm.yaml" >/dev/null
idle_pss=$(kib_of "$daemon" Pss smaps_rollup)

best_ours=0
for round in 1 2 3; do
    service many "$replicas" >"$node/many.yaml"
    begin=$(now_ns)
    muster apply -q --progress none -f "$node/many.yaml" >/dev/null
    rate=$(calc "$replicas / (($(now_ns) - $begin) / 1e9)")
    best_ours=$(calc "$rate > $best_ours ? $rate : $best_ours")
    if [ $round = 3 ]; then
        daemon_kib=$(calc "($(kib_of "$daemon" Pss smaps_rollup) - $idle_pss) / $replicas")
        shims=$(pgrep -f "muster-shim.*$node/")
        shim_kib=$(for pid in $shims; do kib_of "$pid" Pss smaps_rollup; done | awk '{ sum += $1; n++ } END { print sum / n }')
        for task in "$node"/run/tasks/*/; do
            id=$(basename "$task")
            mkdir -p "$node/bare/bundles/$id"
            find "$task" -maxdepth 1 -type f -exec cp -t "$node/bare/bundles/$id" {} +
            # The same configuration, in a place and a control group of its own.
            sed -e "s,$node/run/tasks/$id,$node/bare/bundles/$id,g" -e "s,\"cgroupsPath\": *\"[^\"]*/,\"cgroupsPath\":\"/${node##*/}/," \
                "$task/config.json" >"$node/bare/bundles/$id/config.json"
        done
    fi
    muster service rm many >/dev/null
    await only_warm
done

figure start_rate "$best_ours" tasks/s
figure daemon_per_task "$(calc "$daemon_kib / 1024")" MiB
figure shim_pss "$(calc "$shim_kib / 1024")" MiB
figure memory_per_task "$(calc "($daemon_kib + $shim_kib) / 1024")" MiB '"goal":0.5'

# --- the rival: nothing but runc ---

layer=$(find "$node/state/layers" -path '*/usr/bin/busybox' -printf '%h' -quit)
layer=${layer%/usr/bin}
bare=$node/bare
mkdir "$bare/runc"
ids=$(ls "$bare/bundles" | head -n "$replicas")
for id in $ids; do
    mkdir -p "$bare/bundles/$id"/{rootfs,upper,work}
    mount -t overlay -o "lowerdir=$layer,upperdir=$bare/bundles/$id/upper,workdir=$bare/bundles/$id/work" overlay "$bare/bundles/$id/rootfs"
done

export RUNC bare
bare_start() {
    printf '%s\n' $ids | xargs -P "$parallel" -I{} sh -c \
        '"$RUNC" --root "$bare/runc" create --bundle "$bare/bundles/{}" {} </dev/null >/dev/null 2>"$bare/bundles/{}/errors" &&
         "$RUNC" --root "$bare/runc" start {} 2>>"$bare/bundles/{}/errors" || { cat "$bare/bundles/{}/errors" >&2; exit 255; }'
}
bare_stop() {
    printf '%s\n' $ids | xargs -P "$parallel" -I{} "$RUNC" --root "$bare/runc" delete --force {}
}

best_bare=0
for round in 1 2 3; do
    begin=$(now_ns)
    bare_start
    rate=$(calc "$replicas / (($(now_ns) - $begin) / 1e9)")
    best_bare=$(calc "$rate > $best_bare ? $rate : $best_bare")
    bare_stop
done
for id in $ids; do
    umount "$bare/bundles/$id/rootfs"
done
figure bare_runc_start_rate "$best_bare" tasks/s
figure start_rate_ratio "$(calc "$best_ours / $best_bare")" ratio '"goal":0.7'
muster service rm warm >/dev/null
await no_tasks
stop_daemon

# --- answers ---

best_ms() { # COMMAND…: the best of ten
    local best=1e9 begin
    for _ in {1..10}; do
        begin=$(now_ns)
        "$@" >/dev/null 2>&1
        best=$(calc "($(now_ns) - $begin) / 1e6 < $best ? ($(now_ns) - $begin) / 1e6 : $best")
    done
    echo "$best"
}

start_daemon fake-state --executor fake
service thousand 1000 >"$node/thousand.yaml"
muster apply -q --progress none -f "$node/thousand.yaml" >/dev/null
figure service_ls_with_1000_tasks "$(best_ms muster service ls)" ms '"goal":20'
figure daemon_rss_with_1000_tasks "$(calc "$(kib_of "$daemon" VmRSS status) / 1024")" MiB
figure service_ps_with_1000_tasks "$(best_ms muster service ps thousand)" ms
stop_daemon

start_daemon other-state --executor fake
for i in $(seq 200); do
    service "service-$i" 1
    echo ---
done >"$node/services.yaml"
apply_all() { # a change each time, so that each is stored
    sed "s/100000/$RANDOM$RANDOM/" "$node/services.yaml" >"$node/changed.yaml"
    local begin
    begin=$(now_ns)
    muster apply --detach -f "$node/changed.yaml" >/dev/null
    calc "($(now_ns) - $begin) / 1e6"
}
first_ms=$(apply_all)
figure apply_200_services "$first_ms" ms '"goal":200'
figure apply_200_changes "$(apply_all)" ms
