# SPDX-License-Identifier: Apache-2.0
#
# test/lib/managers.bash — several managers on this machine: started, joined, killed, paused, and taken away.
#
#     managers_setup                    makes $cluster, a directory for all of them; each has its own in it: $cluster/NUMBER
#     managers_cluster COUNT [OPTION…]  starts that many: the first makes a cluster, the others join it
#     token NUMBER [worker]             what that one lets in by: a manager
#     manager_start NUMBER [OPTION…]    starts one on its state, and waits until it is ready (manager_begin does not wait)
#     manager_end NUMBER [SIGNAL]       ends it (KILL) and waits
#     manager_pause, manager_resume     SIGSTOP, SIGCONT
#     on NUMBER ARGUMENT…               muster, asking that one
#     managers_remove                   in teardown
#
# Addresses are found without a race: each test has a loopback address of its own, made of the number of its process, and
# a test that had that number before has taken its managers away. (test/lib/trio.bash has a network to cut.)

load ../lib/expect.bash

repo=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
build=$repo/${BUILD:-build}

managers_setup() {
    cluster=$(mktemp -dt muster-group.XXXXXX) || return 1
    host=127.$((64 + (BASHPID >> 16 & 63))).$((BASHPID >> 8 & 255)).$((BASHPID & 255))
    manager_pids=()
    executor=fake
    unset MUSTER_HOST
}

on() { # NUMBER ARGUMENT…
    "$build/muster" -H "unix://$cluster/$1/run/muster.sock" "${@:2}"
}

address() { # NUMBER
    echo "$host:$((2376 + $1))"
}

token() { # NUMBER [ROLE]
    on "$1" swarm join-token -q "${2:-manager}"
}

# How often its log has a line of that event.
manager_said() { # NUMBER EVENT
    { cat "$cluster/$1/log" 2>/dev/null || :; } | grep -c " $2\b" || :
}

said_more_often() { # NUMBER EVENT COUNT
    [ "$(manager_said "$1" "$2")" -gt "$3" ]
}

manager_begin() { # NUMBER [OPTION…]
    local dir=$cluster/$1
    mkdir -p "$dir"
    "$build/musterd" --state-dir "$dir/state" --run-dir "$dir/run" --listen "$(address "$1")" --node-name "n$1" --executor "$executor" \
        "${@:2}" >>"$dir/log" 2>&1 </dev/null 3>&- &
    manager_pids[$1]=$!
}

manager_start() { # NUMBER [OPTION…]
    local ready
    ready=$(manager_said "$1" daemon.ready)
    manager_begin "$@"
    await manager_is_ready_or_gone "$1" "$ready"
    [ "$(manager_said "$1" daemon.ready)" -gt "$ready" ] || { cat "$cluster/$1/log" >&2 && return 1; }
}

manager_is_ready_or_gone() { # NUMBER READY-BEFORE
    [ "$(manager_said "$1" daemon.ready)" -gt "$2" ] || is_gone "${manager_pids[$1]}"
}

manager_end() { # NUMBER [SIGNAL]
    kill -"${2:-KILL}" "${manager_pids[$1]}" 2>/dev/null || :
    wait "${manager_pids[$1]}" 2>/dev/null || :
    unset "manager_pids[$1]"
}

manager_pause() { # NUMBER
    kill -STOP "${manager_pids[$1]}"
}

manager_resume() { # NUMBER
    kill -CONT "${manager_pids[$1]}"
}

managers_cluster() { # COUNT [OPTION…]
    local number
    for ((number = 1; number <= $1; number++)); do
        manager_start "$number" "${@:2}"
    done
    on 1 swarm init >/dev/null
    for ((number = 2; number <= $1; number++)); do
        on "$number" swarm join --token "$(token 1)" "$(address 1)" >/dev/null
    done
    await all_answer "$1"
}

# The numbers of those that run and are not paused.
managers_awake() {
    local number
    for number in "${!manager_pids[@]}"; do
        ! grep -qs '^State:.[^TZX]' "/proc/${manager_pids[number]}/status" || echo "$number"
    done
}

# NAME STATUS MANAGER-STATUS of each node, as the first that runs says.
manager_words() {
    local number
    for number in $(managers_awake); do
        on "$number" node ls --format '{{.Hostname}} {{.Status}} {{.ManagerStatus}}' 2>/dev/null && return
    done
    return 1
}

all_answer() { # COUNT: and the records of nodes say so
    [ "$(manager_words | grep -cE 'Leader|Reachable')" = "$1" ]
}

has_words() { # NUMBER STATUS MANAGER-STATUS
    manager_words | grep -q "^n$1 $2 $3\$"
}

# The number of the manager that leads, as it says itself; fails when none does.
leader() {
    local number
    for number in $(managers_awake); do
        if [ "$(on "$number" info -o json 2>/dev/null | jq -r .raft_role)" = leader ]; then
            echo "$number"
            return
        fi
    done
    return 1
}

has_leader() {
    leader >/dev/null
}

# One that runs and does not lead.
follower() {
    local number leads
    leads=$(leader) || return 1
    for number in $(managers_awake); do
        [ "$number" = "$leads" ] || { echo "$number" && return; }
    done
    return 1
}

session_of() { # NUMBER: the manager that this worker has a session with
    on "$1" info -o json 2>/dev/null | jq -r .session_manager
}

has_session() { # NUMBER
    [ -n "$(session_of "$1")" ]
}

has_session_with() { # NUMBER MANAGER
    [ "$(session_of "$1")" = "$(address "$2")" ]
}

has_no_session() { # NUMBER
    [ -z "$(session_of "$1")" ]
}

raft_term() { # NUMBER
    on "$1" info -o json 2>/dev/null | jq -r .raft_term
}

# Tasks of the process executor outlive their daemons; their shims carry the directory in their command line.
managers_remove() {
    local number file
    [ -n "${cluster-}" ] || return 0
    for number in "${!manager_pids[@]}"; do
        manager_end "$number"
    done
    for file in $(grep -laF -f <(echo "$cluster/") /proc/[0-9]*/cmdline 2>/dev/null); do
        file=${file#/proc/}
        kill -KILL "${file%/cmdline}" 2>/dev/null || :
    done
    while read -r mount; do
        umount -l "$mount"
    done < <(awk -v dir="$cluster/" 'index($5, dir) == 1 { print $5 }' /proc/self/mountinfo | sort -r)
    rm -rf --one-file-system "$cluster"
}
