# SPDX-License-Identifier: Apache-2.0
#
# test/lib/musterd.bash — a musterd of a test's own, with real containers, and what it leaves behind.
#
#     musterd_setup              makes $node (state, run, log in it) and points `muster` at it
#     musterd_start [OPTION…]    starts it and waits until it is ready; its pid is in $musterd
#     musterd_end [SIGNAL]       ends it (TERM) and waits; tasks go on
#     musterd_remove             in teardown: ends the daemon, the shims and the containers, and takes everything away
#     nothing_left               fails, and tells, when a process, a mount or a control group of it is still there

load ../lib/expect.bash
load ../../examples/traces.sh

repo=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
build=$repo/${BUILD:-build}
IMAGES=$build/images
RUNC=$(command -v runc || echo /usr/sbin/runc)

muster() {
    "$build/muster" "$@"
}

musterd_setup() {
    node=$(mktemp -dt muster-e2e.XXXXXX)
    musterd=
    export MUSTER_HOST=unix://$node/run/muster.sock
}

musterd_start() {
    local ready
    ready=$(grep -c daemon.ready "$node/log" 2>/dev/null || :)
    "$build/musterd" --state-dir "$node/state" --run-dir "$node/run" --listen 127.0.0.1:0 --node-name n1 "$@" >>"$node/log" 2>&1 </dev/null 3>&- &
    musterd=$!
    await musterd_is_ready_or_gone "${ready:-0}"
    musterd_is_ready "${ready:-0}" || { cat "$node/log" >&2 && return 1; }
}

musterd_is_ready() { # READY-BEFORE
    [ "$(grep -c daemon.ready "$node/log")" -gt "$1" ]
}

musterd_is_ready_or_gone() {
    musterd_is_ready "$1" || is_gone "$musterd"
}

musterd_end() { # [SIGNAL]
    [ -n "$musterd" ] || return 0
    kill -"${1:-TERM}" "$musterd" 2>/dev/null || :
    wait "$musterd" 2>/dev/null || :
    musterd=
}

# A cluster of this one node.
musterd_cluster() {
    musterd_start "$@"
    muster swarm init >/dev/null
}

# The parent of the control groups of this daemon's tasks.
group_parent() {
    traces_group "$node/state"
}

# All but the daemon.
processes_left() {
    traces_processes "$node/state" "$node/run" | grep -vx "${musterd:-none}" || :
}

mounts_left() {
    traces_mounts "$node/state" "$node/run"
}

groups_left() {
    traces_groups "$node/state"
}

is_nothing_left() {
    [ -z "$(processes_left)$(mounts_left)$(groups_left)" ]
}

nothing_left() {
    await is_nothing_left && return
    printf 'processes:\n'
    for pid in $(processes_left); do
        printf '%s %s\n' "$pid" "$(tr '\0' ' ' <"/proc/$pid/cmdline")"
    done
    printf 'mounts:\n%s\ncontrol groups:\n%s\n' "$(mounts_left)" "$(groups_left)"
    return 1
} >&2

musterd_remove() {
    [ -n "${node-}" ] || return 0
    musterd_end KILL
    traces_sweep "$node/state" "$node/run" && rm -rf --one-file-system "$node"
}

# --- what tests ask ---

# tasks SERVICE [STATE]: ids of its tasks in that observed state (running).
tasks() {
    muster service ps "$1" --no-trunc --filter "state=${2:-running}" --format '{{.ID}}'
}

count_is() { # NUMBER SERVICE [STATE]
    [ "$(tasks "${@:2}" | wc -l)" = "$1" ]
}

# newest SERVICE FIELD: of its newest task (State, Error, …).
newest() {
    muster service ps "$1" --no-trunc --format "{{.$2}}" | head -1
}

says() { # SERVICE FIELD PATTERN
    [[ $(muster service ps "$1" --no-trunc --format "{{.$2}}") =~ $3 ]]
}

task_pid() { # ID
    sed -n 's/^pid=//p' "$node/run/tasks/$1/shim/running"
}

shim_pid() { # ID
    local pid
    for pid in $(processes_left); do
        if { tr '\0' ' ' <"/proc/$pid/cmdline"; } 2>/dev/null | grep -q "muster-shim .*$1"; then
            echo "$pid"
        fi
    done
}
