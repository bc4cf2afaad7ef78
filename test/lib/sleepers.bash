# SPDX-License-Identifier: Apache-2.0
#
# test/lib/sleepers.bash — tasks that are plain processes (executor=process), and what becomes of them. After test/lib/managers.bash.
#
#     sleepers_setup             seconds that only our processes sleep, in $tag
#     sleepers SERVICE REPLICAS  declares them, and waits until they run
#     sleeping, sleeping_on N    their pids, in order; on one node
#     sleeping_since             each pid with its start time: the same process, not another one of that number
#     sleepers_remove            in teardown

sleepers_setup() {
    executor=process
    tag=$((RANDOM % 9 + 1))$BASHPID$RANDOM
}

# ask ARGUMENT…: the first that runs and answers.
ask() {
    local number
    for number in $(managers_awake); do
        on "$number" "$@" 2>/dev/null && return
    done
    return 1
}

sleepers() {
    printf '%s\n' 'kind: service' "name: $1" 'image: none' "command: [sleep, '$tag']" "deploy: {replicas: $2}" >"$cluster/$1.yaml"
    on 1 apply -f "$cluster/$1.yaml" 2>/dev/null
}

sleeping() {
    pgrep -fx "sleep $tag" | sort -n
}

# Those that a daemon's shims hold, by its state directory.
sleeping_on() { # NUMBER
    local pid
    for pid in $(sleeping); do
        ! tr '\0' ' ' <"/proc/$(ps -o ppid= -p "$pid" | tr -d ' ')/cmdline" | grep -qF "$cluster/$1/" || echo "$pid"
    done
}

sleeping_since() {
    local pid
    for pid in $(sleeping); do
        echo "$pid $(cut -d' ' -f22 "/proc/$pid/stat")"
    done
}

sleep_count_is() { # COUNT
    [ "$(sleeping | grep -c .)" = "$1" ]
}

# Id, node, state and its time of each task that is to run.
running() { # SERVICE
    ask service ps "$1" --filter desired-state=running -o json |
        jq -c '[.. | objects | select(has("desired")) | [.id, .node, .status.state, .status.since]] | sort'
}

replicas_are() { # SERVICE N/M
    [ "$(ask service ls --filter "name=$1" --format '{{.Replicas}}')" = "$2" ]
}

sleepers_remove() {
    local pid
    for pid in $(sleeping); do
        kill -KILL "$pid" || :
    done
}
