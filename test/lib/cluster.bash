# SPDX-License-Identifier: Apache-2.0
#
# test/lib/cluster.bash — managers and workers as machines of their own: in network namespaces, by examples/cluster.sh.
#
#     cluster_setup                        makes $cluster, a directory for all of them; each has its own in it: $cluster/NUMBER
#     cluster_of NODES MANAGERS [OPTION…]  starts that many, joined by token
#     cluster_cut N [M], cluster_heal      nothing passes between N and all others, or M alone / all passes again
#     cluster_hears N COUNT                waits until N got that many packets more: of heartbeats, when there is nothing else
#     cluster_writes MANAGERS              how far their stores are, and when and by which transaction their files were written last
#     cluster_rests MANAGERS COUNT         whether nothing is written while manager 1 gets that many packets
#     cluster_remove                       in teardown
#     cluster_is_gone N                    fails, and tells, when a process, namespace, mount, control group or file is still there
#
# What is in test/lib/managers.bash works with them, each by its number: manager_end, manager_start, manager_pause, on, leader …

load ../lib/managers.bash
load ../../examples/cluster.sh

cluster_setup() {
    cluster=$(mktemp -dt muster-net.XXXXXX) || return 1
    manager_pids=()
    executor=fake
    unset MUSTER_HOST
}

address() { # NUMBER
    cluster_address "$1"
}

manager_begin() { # NUMBER [OPTION…]
    cluster_begin "$1" --executor "$executor" "${@:2}" || return
    manager_pids[$1]=$cluster_pid
}

manager_end() { # NUMBER [SIGNAL]
    kill -"${2:-KILL}" "${manager_pids[$1]}" 2>/dev/null || :
    await is_gone "${manager_pids[$1]}"
    unset "manager_pids[$1]"
}

cluster_of() {
    local number
    cluster_start "$1" "$2" --executor "$executor" "${@:3}" || return
    for ((number = 1; number <= $1; number++)); do
        manager_pids[number]=$(cluster_daemon "$number")
    done
}

cluster_packets() { # NUMBER
    ip -n "$(cluster_space "$1")" -j -s link show eth0 | jq '.[0].stats64.rx.packets'
}

cluster_has_heard() { # NUMBER PACKETS
    [ "$(cluster_packets "$1")" -ge "$2" ]
}

cluster_hears() { # NUMBER COUNT
    await cluster_has_heard "$1" $(($(cluster_packets "$1") + $2))
}

# The first two pages of a store name its last two transactions.
cluster_writes() { # MANAGERS
    local number store
    for number in $(seq "$1"); do
        store=$cluster/$number/state/store/data.mdb
        echo "n$number $(on "$number" info --stale -o json 2>/dev/null | jq -c '[.revision, .raft_applied]') $(stat -c '%y %s' "$store")" \
            "$(head -c 8192 "$store" | cksum)"
    done
}

cluster_rests() { # MANAGERS COUNT
    local before
    before=$(cluster_writes "$1")
    cluster_hears 1 "$2"
    [ "$before" = "$(cluster_writes "$1")" ]
}

cluster_remove() {
    [ -n "${cluster-}" ] || return 0
    cluster_stop && rm -rf --one-file-system "$cluster"
}

# What is still there of the cluster in $cluster, or of the directory given.
cluster_traces() { # [DIRECTORY NODES]
    local number
    for number in $(seq "$1"); do
        traces_processes "$cluster/$number/state" "$cluster/$number/run" | sed 's/^/process /'
        traces_groups "$cluster/$number/state" | sed 's/^/control group /'
        find /sys/fs/cgroup -type d -name "$(traces_group "$cluster/$number/state")" | sed 's/^/control group /'
    done
    traces_mounts "$cluster" "$cluster" | sed 's/^/mount /'
    cluster_spaces | sed 's/^/namespace /'
    ls -d "$cluster" 2>/dev/null | sed 's/^/file /'
}

cluster_is_gone() { # NODES
    same '' "$(cluster_traces "$1")"
}
