# SPDX-License-Identifier: Apache-2.0
#
# test/lib/trio.bash — three managers of one machine that are one cluster, in a network namespace of their own.
#
#     trio_begin                 starts them and makes the cluster; $trio is their directory (state, run, log of each)
#     trio_start N               starts manager N (again); its pid is in ${pids[N]}
#     trio_kill N [SIGNAL]       KILL, and waits for its end
#     trio_deaf N / trio_hear    nothing reaches N's port any more / everything reaches everybody
#     trio_end                   in teardown: ends all, takes everything away
#     m N COMMAND…               muster, talking to manager N

load ../lib/expect.bash

repo=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
build=$repo/${BUILD:-build}
TRIO_PORT=4177

m() {
    MUSTER_HOST=unix://$trio/$1/run/muster.sock "$build/muster" "${@:2}"
}

inside() {
    ip netns exec "$trio_space" "$@"
}

trio_address() {
    echo "127.0.0.$1:$((TRIO_PORT + $1))"
}

trio_start() {
    mkdir -p "$trio/$1"
    ip netns exec "$trio_space" "$build/musterd" --state-dir "$trio/$1/state" --run-dir "$trio/$1/run" --listen "$(trio_address "$1")" --node-name "n$1" \
        --executor fake >>"$trio/$1/log" 2>&1 </dev/null 3>&- &
    pids[$1]=$!
}

trio_answers() {
    m "$1" info >/dev/null 2>&1
}

trio_kill() { # N [SIGNAL]
    kill -"${2:-KILL}" "${pids[$1]}" 2>/dev/null || :
    wait "${pids[$1]}" 2>/dev/null || :
}

trio_has_three_voters() {
    [ "$(m 1 node ls --format '{{.ManagerStatus}}' | grep -cE 'Leader|Reachable')" = 3 ]
}

trio_begin() {
    trio=$(mktemp -dt muster-trio.XXXXXX)
    trio_space=muster-${trio##*.}
    pids=()
    ip netns add "$trio_space"
    inside ip link set lo up
    inside nft add table ip trio
    inside nft add chain ip trio input '{ type filter hook input priority 0; }'
    local n
    for n in 1 2 3; do
        trio_start $n
        await trio_answers $n
    done
    m 1 swarm init >/dev/null
    m 2 swarm join --token "$(m 1 swarm join-token -q manager)" "$(trio_address 1)" >/dev/null
    m 3 swarm join --token "$(m 1 swarm join-token -q manager)" "$(trio_address 2)" >/dev/null
    await trio_has_three_voters
}

trio_deaf() {
    inside nft add rule ip trio input tcp dport $((TRIO_PORT + $1)) drop
}

trio_hear() {
    inside nft flush chain ip trio input
}

trio_end() {
    local n
    [ -n "${trio-}" ] || return 0
    for n in "${!pids[@]}"; do
        kill -CONT "${pids[n]}" 2>/dev/null || :
        trio_kill "$n"
    done
    ip netns del "$trio_space" || :
    rm -rf "$trio"
}
