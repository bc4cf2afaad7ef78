#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# examples/cluster.sh — a cluster of several machines on this one: each node is a musterd in a network namespace of its own, on a
# switch in another one. Nothing of this machine's network is touched. `make cluster` builds first.
#
#     examples/cluster.sh start [NODES [MANAGERS]]   5 nodes, 3 of them managers; the others join the first by token
#     examples/cluster.sh stop                       takes everything away, also what was killed has left behind
#     examples/cluster.sh show                       node, address, pid
#     examples/cluster.sh kill N [SIGNAL]            its daemon (KILL; STOP and CONT freeze it and let it go on); run N starts it again
#     examples/cluster.sh cut N [M]                  nothing passes between N and all others, or M alone
#     examples/cluster.sh heal                       everything passes again
#     examples/cluster.sh in N COMMAND…              runs a command in the network of a node
#
# Node N is called nN, has the address 10.89.0.N and the directory N in /var/lib/muster-cluster, or where MUSTER_CLUSTER_DIR says:
# N/state, N/run with the socket, N/log, N/pid. The namespaces have names that begin with that of the directory, so several clusters
# can be there. What runs containers and where images come from is the machine's: paths mean the same on all nodes.
#
# Scripts source it: `cluster` is the directory, then, and the functions are the words above with cluster_ before them.

CLUSTER_PORT=2377
CLUSTER_NODES_MAX=250

cluster_here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=examples/traces.sh
. "$cluster_here/traces.sh"
cluster_build=${BUILD:-build}
case $cluster_build in /*) ;; *) cluster_build=${cluster_here%/*}/$cluster_build ;; esac
cluster=${MUSTER_CLUSTER_DIR:-/var/lib/muster-cluster}
PATH=$PATH:/usr/sbin:/sbin

cluster_fail() {
    echo "cluster: $*" >&2
    return 1
}

# cluster_await SECONDS COMMAND…: until it succeeds.
cluster_await() {
    local deadline=$((SECONDS + $1))
    until "${@:2}"; do
        [ $SECONDS -lt $deadline ] || cluster_fail "never came true: ${*:2}" || return
        sleep 0.05
    done
}

# --- names ---

cluster_space() { # N, or switch: the namespace
    echo "${cluster##*/}-$1"
}

cluster_address() { # N
    echo "10.89.0.$1:$CLUSTER_PORT"
}

cluster_host() { # N: for `muster -H`
    echo "unix://$cluster/$1/run/muster.sock"
}

cluster_on() { # N ARGUMENT…: muster, asking that one
    "$cluster_build/muster" -H "$(cluster_host "$1")" "${@:2}"
}

# The numbers of the nodes that there are, in order.
cluster_numbers() {
    local dir
    for dir in "$cluster"/[0-9]*/; do
        dir=${dir%/}
        [ ! -d "$dir" ] || echo "${dir##*/}"
    done | sort -n
}

cluster_spaces() {
    ip netns list | awk -v name="${cluster##*/}-" 'index($1, name) == 1 && substr($1, length(name) + 1) ~ /^(switch|[0-9]+)$/ { print $1 }'
}

# --- the network ---

# cluster_can: whether there may be one here; else says why not.
cluster_can() {
    local space=${cluster##*/}-probe why
    [ "$(id -u)" = 0 ] || cluster_fail "network namespaces need root" || return
    command -v ip nsenter >/dev/null || cluster_fail "no network namespaces without iproute2 and util-linux" || return
    if why=$({ ip netns add "$space" && ip -n "$space" link add br0 type bridge && ip -n "$space" link add n0 type veth peer name eth0; } 2>&1); then
        ip netns del "$space"
    else
        ip netns del "$space" 2>/dev/null || :
        cluster_fail "no network namespaces with a bridge here: $why"
    fi
}

cluster_switch() {
    local space
    space=$(cluster_space switch)
    ip netns add "$space" && ip -n "$space" link add br0 type bridge && ip -n "$space" link set br0 up
}

# cluster_plug N: a namespace with an address, on the switch.
cluster_plug() {
    local space switch
    space=$(cluster_space "$1")
    switch=$(cluster_space switch)
    ip netns add "$space" &&
        ip -n "$space" link set lo up &&
        ip -n "$switch" link add "n$1" type veth peer name eth0 netns "$space" &&
        ip -n "$switch" link set "n$1" master br0 up &&
        ip -n "$space" addr add "10.89.0.$1/16" dev eth0 &&
        ip -n "$space" link set eth0 up &&
        cluster_await 10 cluster_is_plugged "$space"
}

# Without that the first packets are lost.
cluster_is_plugged() { # NAMESPACE
    ip -n "$1" -o link show eth0 | grep -q 'state UP'
}

cluster_in() { # N COMMAND…: with this machine's files, sysfs included (`ip netns exec` would mount another)
    nsenter --net="/run/netns/$(cluster_space "$1")" "${@:2}"
}

cluster_nft() {
    command -v nft >/dev/null || cluster_fail "what passes is cut by nft: apt-get install nftables" || return
    cluster_in switch nft "$@"
}

# cluster_cut N [M]: the cable of N is pulled, or packets between two are dropped, of which nobody is told.
cluster_cut() {
    local way
    [ $# = 2 ] || { ip -n "$(cluster_space switch)" link set "n$1" down && return; }
    cluster_nft add table bridge cluster
    cluster_nft add chain bridge cluster cut '{ type filter hook forward priority 0; }' || return
    for way in "n$1 n$2" "n$2 n$1"; do
        cluster_nft add rule bridge cluster cut iifname "${way% *}" oifname "${way#* }" drop
    done
}

cluster_heal() {
    local number
    for number in $(cluster_numbers); do
        ip -n "$(cluster_space switch)" link set "n$number" up
    done
    ! command -v nft >/dev/null || cluster_nft flush ruleset
}

# --- daemons ---

# cluster_begin N [OPTION…]: does not wait; the pid is in `cluster_pid`.
cluster_begin() {
    local dir=$cluster/$1
    mkdir -p -m 700 "$dir"
    [ -e "/run/netns/$(cluster_space "$1")" ] || cluster_plug "$1" || return
    setsid nsenter --net="/run/netns/$(cluster_space "$1")" "$cluster_build/musterd" --state-dir "$dir/state" --run-dir "$dir/run" \
        --listen "$(cluster_address "$1")" --node-name "n$1" "${@:2}" >>"$dir/log" 2>&1 </dev/null 3>&- &
    cluster_pid=$!
    disown # bash tells of each that is killed, else
    echo "$cluster_pid" >"$dir/pid"
}

cluster_daemon() { # N: its pid, if it runs
    local pid
    pid=$(cat "$cluster/$1/pid" 2>/dev/null) || return
    # What came later with that number is another one.
    grep -qsxzF -- "$cluster/$1/state" "/proc/$pid/cmdline" && ! traces_is_gone "$pid" && echo "$pid"
}

cluster_answers() { # N
    cluster_on "$1" info >/dev/null 2>&1
}

cluster_run() { # N [OPTION…]
    [ -d "$cluster/$1" ] || cluster_fail "there is no node $1" || return
    ! cluster_daemon "$1" >/dev/null || cluster_fail "node $1 runs" || return
    cluster_begin "$@" && cluster_await 30 cluster_answers "$1"
}

cluster_kill() { # N [SIGNAL]
    local pid
    pid=$(cluster_daemon "$1") || cluster_fail "node $1 does not run" || return
    kill -"${2:-KILL}" "$pid"
    case ${2:-KILL} in KILL | TERM) cluster_await 30 traces_is_gone "$pid" ;; esac
}

cluster_show() {
    local number
    for number in $(cluster_numbers); do
        printf 'n%-4s %-16s %s\n' "$number" "$(cluster_address "$number")" "$(cluster_daemon "$number" || echo 'does not run')"
    done
}

# --- start, stop ---

# cluster_join N ROLE
cluster_join() {
    local token said
    token=$(cluster_on 1 swarm join-token -q "$2") || return
    said=$(cluster_on "$1" swarm join --token "$token" "$(cluster_address 1)" 2>&1) || cluster_fail "node $1 did not join: $said"
}

cluster_are_ready() { # COUNT
    [ "$(cluster_on 1 node ls --format '{{.Status}}' 2>/dev/null | grep -c Ready)" = "$1" ]
}

cluster_is_there() {
    [ -n "$(cluster_spaces)$(cluster_numbers)" ]
}

# cluster_start NODES MANAGERS [OPTION…]: with options for each daemon. All nodes are ready when it returns.
cluster_start() {
    local nodes=$1 managers=$2 number
    mkdir -p -m 700 "$cluster"
    cluster_switch || return
    for ((number = 1; number <= nodes; number++)); do
        cluster_begin "$number" "${@:3}" || return
    done
    for ((number = 1; number <= nodes; number++)); do
        cluster_await 30 cluster_answers "$number" || { tail -n 5 "$cluster/$number/log" >&2 && return 1; }
    done
    cluster_on 1 swarm init >/dev/null || return
    for ((number = 2; number <= nodes; number++)); do
        cluster_join "$number" "$([ "$number" -le "$managers" ] && echo manager || echo worker)" || return
    done
    cluster_await 60 cluster_are_ready "$nodes" || { cluster_on 1 node ls >&2 && return 1; }
}

# Whatever is left of it: it may have been killed, or have come half way.
cluster_stop() {
    local number space mount failed=0
    for number in $(cluster_numbers); do
        traces_sweep "$cluster/$number/state" "$cluster/$number/run" || failed=1
    done
    for space in $(cluster_spaces); do
        # Tasks that are plain processes, and those of the node's network.
        cluster_await 10 cluster_is_empty "$space" && ip netns del "$space" || failed=1
    done
    for mount in $(traces_mounts "$cluster" "$cluster"); do
        umount "$mount" || failed=1
    done
    [ $failed = 0 ] || cluster_fail "not all of it could be taken away" || return
    for number in $(cluster_numbers); do
        rm -rf --one-file-system "${cluster:?}/$number"
    done
    rmdir "$cluster" 2>/dev/null || : # what else is in it is not ours
}

cluster_is_empty() { # NAMESPACE
    local pids
    pids=$(ip netns pids "$1")
    # shellcheck disable=SC2086 # words
    [ -z "$pids" ] || { kill -KILL $pids 2>/dev/null && false; }
}

# --- as a program ---

cluster_usage() {
    sed -n 's/^#     \(examples.*\)/\1/p' "${BASH_SOURCE[0]}" >&2
    exit 2
}

cluster_hints() {
    cat <<TEXT
Talk to any manager, from this machine:
  export MUSTER_HOST=$(cluster_host 1)
  $cluster_build/muster node ls
  $cluster_build/muster apply -f examples/shop.yaml
Break it, and mend it:
  examples/cluster.sh kill 1    run 1    kill 1 STOP    kill 1 CONT    cut 5    cut 1 2    heal
Take it away:
  ${MUSTER_CLUSTER_DIR:+MUSTER_CLUSTER_DIR=$cluster }examples/cluster.sh stop
TEXT
}

cluster_is_number() { # WORD MAX
    [[ $1 =~ ^[1-9][0-9]{0,2}$ ]] && [ "$1" -le "$2" ]
}

cluster_start_here() { # [NODES [MANAGERS]]
    local nodes=${1:-5} managers
    managers=${2:-$((nodes < 3 ? 1 : 3))}
    if ! cluster_is_number "$nodes" $CLUSTER_NODES_MAX || ! cluster_is_number "$managers" "$nodes"; then
        cluster_usage
    fi
    cluster_can || exit
    ! cluster_is_there || cluster_fail "there is one in $cluster already: examples/cluster.sh stop" || exit
    if ! cluster_start "$nodes" "$managers"; then
        cluster_stop
        exit 1
    fi
    cluster_on 1 node ls
    cluster_hints
}

cluster_main() {
    set -u
    case "$# ${1-}" in
    [123]' start') cluster_start_here "${@:2}" ;;
    '1 stop') cluster_stop && echo "Nothing of the cluster in $cluster is left." ;;
    '1 show' | '1 heal' | [23]' kill' | [23]' cut' | [2-9]*' run' | [3-9]*' in') "cluster_$1" "${@:2}" ;;
    *) cluster_usage ;;
    esac
}

[ "${BASH_SOURCE[0]}" != "$0" ] || cluster_main "$@"
