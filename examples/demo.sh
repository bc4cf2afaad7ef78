#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# examples/demo.sh — muster on this machine, in a minute: a shop is started, something in it breaks, and is mended. `make demo` builds first.
#
#     examples/demo.sh         may be run again at any time
#     examples/demo.sh stop    takes everything away that it made, and says so
#
# The daemon is the one of this machine: it is started if none runs, with its state in /var/lib/muster, and goes on when this script ends.
# MUSTER_DEMO_DIR=/some/where keeps all of it there instead, beside a daemon that runs already.
set -euo pipefail
cd "$(dirname "$0")/.."
. examples/traces.sh

build=${BUILD:-build}
state=${MUSTER_DEMO_DIR:+$MUSTER_DEMO_DIR/state}
run=${MUSTER_DEMO_DIR:+$MUSTER_DEMO_DIR/run}
state=${state:-/var/lib/muster}
run=${run:-/run/muster}
log=$state/musterd.log
mark=$state/demo # there if the state is the demo's own, which `stop` removes
export MUSTER_HOST=unix://$run/muster.sock
services='web cart worker watch'

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
    printf '%s$ %s%s\n' "$dim" "${*/#muster/$build/muster}" "$plain"
}

show() {
    prompt "$@"
    "$@"
}

muster() {
    "$build/muster" "$@"
}

die() {
    echo "demo: $*" >&2
    exit 1
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

# --- start ---

start_daemon() {
    if is_running; then
        say "A musterd runs on this machine already; it is used."
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
    [ -z "${MUSTER_DEMO_DIR-}" ] || printf '  export MUSTER_HOST=%s\n' "$MUSTER_HOST"
    cat <<TEXT
  $build/muster service ls                  what runs
  $build/muster service logs worker         what it says
  $build/muster service scale web=5         more of it
  $build/muster apply -f examples/shop.yaml change the file, apply it again
  $build/muster console                     all of it, live
  $build/muster --help

Stop and remove everything:
  ${MUSTER_DEMO_DIR:+MUSTER_DEMO_DIR=$MUSTER_DEMO_DIR }examples/demo.sh stop
TEXT
}

start() {
    local program
    for program in muster musterd muster-shim; do
        [ -x "$build/$program" ] || die "$build/$program is not there: run 'make demo'"
    done
    start_daemon
    join_cluster
    say "The shop, as examples/shop.yaml declares it"
    show muster apply -f examples/shop.yaml
    say "What runs"
    show muster service ls
    show muster ps
    break_something
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
    local pid
    say "Removing the services"
    remove_services
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
    say "Done: no process, mount, control group or file of the demo is left."
}

[ "$(id -u)" = 0 ] || die "containers need root: sudo make demo"
case ${1:-start} in
start) start ;;
stop) stop ;;
*) die "unknown word '$1': nothing, or stop" ;;
esac
