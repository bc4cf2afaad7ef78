#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# examples/demo.sh — muster on this machine, in a minute: a shop is started, something in it breaks, and is mended. It is what `muster demo`
# runs; `make demo` builds first.
#
#     demo.sh           refuses when it runs already (exit status 5)
#     demo.sh stop      takes everything away that it made, and says so
#     demo.sh status    what of it runs; exit status 1 when nothing does
#
# BUILD is the directory of the programs. Images are in build/images, or where `make install` puts them: images, beside the examples.
# It is three nodes, all managers, each in a network namespace of its own (examples/cluster.sh), in /var/lib/muster-demo. Where there can
# be none, or with MUSTER_DEMO_NODES=1, it is one: the daemon of this machine, started if none runs, with its state in /var/lib/muster.
# All of it goes on when this script ends. MUSTER_DEMO_DIR=/some/where keeps all of it there instead.
set -euo pipefail
from=$PWD
cd "$(dirname "$0")/.."

MUSTER_CLUSTER_DIR=${MUSTER_DEMO_DIR:-/var/lib/muster-demo}
. examples/cluster.sh

build=${BUILD:-build}
state=${MUSTER_DEMO_DIR:+$MUSTER_DEMO_DIR/state}
run=${MUSTER_DEMO_DIR:+$MUSTER_DEMO_DIR/run}
state=${state:-/var/lib/muster}
run=${run:-/run/muster}
log=$state/musterd.log
mark=$state/demo # there if the state is the demo's own, which `stop` removes; $run/demo if that daemon is used
is_many=
services='web cart worker watch'

# As whoever called can type them.
examples=$PWD/examples
[ "$PWD" != "$from" ] || examples=examples
program=$build/muster
if [ "$(command -v muster)" -ef "$program" ]; then
    program=muster
else
    program=${program#"$from/"}
fi
demo="${MUSTER_DEMO_DIR:+MUSTER_DEMO_DIR=$MUSTER_DEMO_DIR }$program demo"

if [ -t 1 ] && [ -z "${NO_COLOR-}" ]; then
    bold=$'\e[1m' dim=$'\e[2m' plain=$'\e[0m'
else
    bold='' dim='' plain=''
fi

say() {
    printf '\n%s%s%s\n' "$bold" "$*" "$plain"
}

# prompt COMMAND…, show COMMAND…: as if it had been typed.
prompt() {
    local line=${*/#muster/$program}
    printf '%s$ %s%s\n' "$dim" "${line//examples\//$examples/}" "$plain"
}

show() {
    prompt "$@"
    "$@"
}

muster() {
    "$build/muster" "$@"
}

die() { # [-STATUS] WORD…
    local status=10
    case $1 in -[0-9]*) status=${1#-} && shift ;; esac
    echo "demo: $*" >&2
    exit "$status"
}

is_running() {
    muster info >/dev/null 2>&1
}

# The pid of the daemon that this script started, if it still runs.
daemon_pid() {
    local pid
    pid=$(cat "$run/demo.pid" 2>/dev/null) || return 1
    [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = musterd ] && echo "$pid"
}

# until_true SECONDS COMMAND…
until_true() {
    local deadline=$((SECONDS + $1))
    shift
    until "$@"; do
        [ $SECONDS -lt $deadline ] || return 1
        sleep 0.1
    done
}

# --- start: three nodes ---

# Sets is_many.
choose() {
    if [ "${MUSTER_DEMO_NODES-3}" = 1 ]; then
        is_many=
    elif cluster_is_there || cluster_can; then
        is_many=1
    else
        say "So it is one node, not three."
    fi
    export MUSTER_HOST=unix://$run/muster.sock
    if [ -n "$is_many" ]; then
        MUSTER_HOST=$(cluster_host 1)
        log="$cluster/*/log"
    fi
}

start_nodes() {
    ! is_running || runs_already
    say "Starting three nodes, each in a network namespace of its own (logs: $log)"
    cluster_stop # what is left of another time
    cluster_start 3 3 || die "the nodes did not start"
    show muster node ls
}

runs_already() {
    die -5 "it runs already: look at it with MUSTER_HOST=$MUSTER_HOST $program service ls; take it away with $demo stop"
}

# One that is no longer heard has no tasks that are to run, and nothing of the shop is missing.
is_moved() {
    [ -z "$(muster node ps n3 -q --filter desired-state=running)" ] && has_all
}

has_all() {
    ! muster service ls --format '{{.Replicas}}' | awk -F'[/ ]' '$1 != $2' | grep -q .
}

node_is() { # STATUS
    [ "$(muster node ls --filter name=n3 --format '{{.Status}}')" = "$1" ]
}

lose_node() {
    say "Breaking more: the network cable of n3 is pulled"
    prompt examples/cluster.sh cut 3
    cluster_cut 3
    until_true 60 node_is Down && until_true 60 is_moved || die "its tasks did not move within a minute; see $log"
    show muster node ls
    show muster ps --filter desired-state=running
    say "What ran there runs elsewhere. The cable is back: n3 stops its old tasks, and has its one of 'watch' again."
    prompt examples/cluster.sh heal
    cluster_heal
    until_true 60 node_is Ready && until_true 60 has_all || die "n3 is not back within a minute; see $log"
}

# --- start: one node ---

start_daemon() {
    if is_running; then
        [ ! -e "$run/demo" ] || runs_already
        say "A musterd runs on this machine already; it is used."
        touch "$run/demo"
        return
    fi
    say "Starting musterd on this machine (log: $log)"
    if [ ! -e "$state" ]; then
        mkdir -p -m 700 "$state"
        touch "$mark"
    fi
    mkdir -p -m 700 "$run"
    setsid "$build/musterd" --state-dir "$state" --run-dir "$run" --listen 127.0.0.1:2377 >>"$log" 2>&1 </dev/null &
    echo $! >"$run/demo.pid"
    touch "$run/demo"
    until_true 30 is_running || { tail -5 "$log" >&2 && die "musterd did not start"; }
}

join_cluster() {
    muster node ls -q >/dev/null 2>&1 && return
    prompt muster swarm init
    muster swarm init | sed -n 1p
}

running_of() { # SERVICE
    muster service ps "$1" --no-trunc --filter state=running --format '{{.ID}}'
}

pid_of() { # TASK
    muster get task "$1" -o yaml | sed -n 's/^ *pid: //p'
}

is_replaced() { # TASK: it no longer runs, and three do
    local now
    now=$(running_of web)
    [[ $now != *"$1"* ]] && [ "$(wc -l <<<"$now")" = 3 ]
}

break_something() {
    local task pid
    task=$(running_of web | head -1)
    pid=$(pid_of "$task")
    grep -qs "$task" "/proc/$pid/cgroup" || die "process '$pid' is not one of task $task"
    say "Breaking it: the first process of a web server dies"
    show kill -KILL "$pid"
    until_true 60 is_replaced "$task" || die "the task was not replaced within a minute; see $log"
    show muster service ps web
    say "A new task fills its slot; the old one is kept as history."
}

goodbye() {
    say "Go on:"
    [ -z "$is_many${MUSTER_DEMO_DIR-}" ] || printf '  export MUSTER_HOST=%s\n' "$MUSTER_HOST"
    cat <<TEXT
  $program service ls                  what runs
  $program service logs worker         what it says
  $program service scale web=5         more of it
  $program apply -f $examples/shop.yaml change the file, apply it again
  $program console                     all of it, live
  $program --help

Stop and remove everything:
  $demo stop
TEXT
}

start() {
    local file
    for file in muster musterd; do
        [ -x "$build/$file" ] || die -2 "$build/$file is not there: run 'make demo'"
    done
    [ -e build/images/nginx.tar ] || [ -e images/nginx.tar ] || die -2 "its images are not there: run 'make images'"
    choose
    if [ -n "$is_many" ]; then
        start_nodes
    else
        start_daemon
        join_cluster
    fi
    say "The shop, as examples/shop.yaml declares it"
    show muster apply -f examples/shop.yaml
    say "What runs"
    show muster service ls
    show muster ps
    break_something
    [ -z "$is_many" ] || lose_node
    goodbye
}

# --- stop ---

has_no_services() {
    local name all
    all=" $(muster service ls --format '{{.Name}}' 2>/dev/null | tr '\n' ' ') "
    for name in $services; do
        [[ $all != *" $name "* ]] || return 1
    done
}

has_no_tasks() {
    [ -z "$(ls -A "$run/tasks" 2>/dev/null)" ]
}

remove_services() {
    local name
    for name in $services; do
        muster service rm "$name" >/dev/null 2>&1 || :
    done
    # Those of other examples too, if the machine's state is the demo's own.
    if ! is_running; then
        echo "musterd does not answer: what it left is killed."
    elif [ -e "$mark" ]; then
        for name in $(muster service ls -q 2>/dev/null); do
            muster service rm "$name" >/dev/null 2>&1 || :
        done
        until_true 60 has_no_tasks || echo "demo: tasks are left in $run/tasks; they are killed" >&2
    else
        until_true 60 has_no_services || die "the services are not gone within a minute"
    fi
}

stop() {
    if cluster_is_there; then
        say "Stopping the three nodes"
        cluster_stop || die "not all of it could be taken away"
    fi
    export MUSTER_HOST=unix://$run/muster.sock
    if [ -e "$mark" ] || [ -e "$run/demo" ]; then
        stop_daemon
    else
        nothing_is_left
    fi
}

nothing_is_left() {
    say "Done: no process, namespace, mount, control group or file of the demo is left."
}

stop_daemon() {
    local pid
    say "Removing the services"
    remove_services
    rm -f "$run/demo"
    if ! pid=$(daemon_pid); then
        if is_running; then
            say "Done. musterd was not started by the demo and goes on."
            return
        fi
    else
        say "Stopping musterd"
        kill -TERM "$pid"
        until_true 30 test ! -d "/proc/$pid" || kill -KILL "$pid"
    fi
    if [ ! -e "$mark" ]; then
        rm -f "$run/demo.pid"
        say "Done. The state in $state is older than the demo and stays."
        return
    fi
    traces_sweep "$state" "$run" || die "something is left: $(traces_processes "$state" "$run") $(traces_mounts "$state" "$run")"
    rm -rf --one-file-system "$state" "$run"
    [ -z "${MUSTER_DEMO_DIR-}" ] || rmdir "$MUSTER_DEMO_DIR" 2>/dev/null || :
    nothing_is_left
}

# --- status ---

status() {
    if cluster_is_there; then
        MUSTER_HOST=$(cluster_host 1)
    elif [ -e "$run/demo" ]; then
        MUSTER_HOST=unix://$run/muster.sock
    else
        echo "The demo does not run: $demo"
        exit 1
    fi
    export MUSTER_HOST
    is_running || { echo "Something of the demo is left, and does not answer: $demo stop" && exit 1; }
    echo "The demo runs: export MUSTER_HOST=$MUSTER_HOST"
    muster node ls
    muster service ls
}

[ "$(id -u)" = 0 ] || die -4 "containers need root"
case ${1:-start} in
start | stop | status) "${1:-start}" ;;
*) die -2 "unknown word '$1': start, stop or status" ;;
esac
