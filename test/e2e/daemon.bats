#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# test/e2e/daemon.bats — musterd as a process: how it starts and ends, what it says, what it leaves behind.

setup() {
    MUSTERD=${BUILD:-build}/musterd
    dir=$(mktemp -dt muster-daemon.XXXXXX)
    pid=
}

teardown() {
    [ -z "$pid" ] || { kill -9 "$pid" 2>/dev/null || true; wait "$pid" 2>/dev/null || true; }
    rm -rf "$dir"
}

# start OPTION...: returns once the daemon says that it is ready; its log goes on in $dir/log.
start() {
    rm -f "$dir/log" && mkfifo "$dir/said"
    "$MUSTERD" --state-dir "$dir/state" --run-dir "$dir/run" --listen 127.0.0.1:0 --executor fake --node-name n1 "$@" 2>"$dir/said" 3>&- &
    pid=$!
    exec 7<"$dir/said"
    rm "$dir/said"
    local line
    while IFS= read -r -u 7 line; do
        echo "$line" >>"$dir/log"
        [[ $line != *daemon.ready* ]] || return 0
    done
    return 1
}

# stop SIGNAL: the exit status, and the rest of the log.
stop() {
    kill "-$1" "$pid"
    local status=0
    wait "$pid" || status=$?
    pid=
    cat <&7 >>"$dir/log"
    exec 7<&-
    return "$status"
}

@test "SIGTERM and SIGINT end it with status 0 and remove the socket" {
    for signal in TERM INT; do
        start
        [ -S "$dir/run/muster.sock" ]
        [ "$(stat -c %a "$dir/run")" = 700 ]
        stop "$signal"
        grep -q "daemon.stop signal=SIG$signal" "$dir/log"
        [ ! -e "$dir/run/muster.sock" ]
    done
}

@test "a reader of its log that goes away does not end it" {
    start
    exec 7<&-
    kill -TERM "$pid"
    wait "$pid"
    pid=
}

@test "after kill -9 it takes the place of its own dead socket" {
    start
    ! stop KILL
    [ -S "$dir/run/muster.sock" ]
    start
    stop TERM
}

@test "what is durable is readable by root only" {
    start
    [ "$(stat -c %a "$dir/state")" = 700 ]
    [ "$(stat -c %a "$dir/state/store")" = 700 ]
    [ "$(stat -c %a "$dir/state/store/data.mdb")" = 600 ]
    stop TERM
}

@test "the node keeps its id, whatever happens to its name" {
    start
    id=$(cat "$dir/state/node-id")
    [[ $id =~ ^[0-9a-z]{25}$ ]]
    stop TERM
    start --node-name other
    [ "$(cat "$dir/state/node-id")" = "$id" ]
    stop TERM
}

@test "the log is JSON when asked for, and nothing of an idle daemon" {
    start --log-format json
    stop TERM
    jq -es 'length == 2 and (map(.event) == ["daemon.ready", "daemon.stop"])' "$dir/log" >/dev/null || {
        cat "$dir/log"
        false
    }
}

@test "a second daemon on the state directory, or on the socket, says who is there" {
    start
    run "$MUSTERD" --state-dir "$dir/state" --run-dir "$dir/other" --executor fake
    [ "$status" = 3 ]
    [[ $output == *"in use by process $pid"* ]]
    run "$MUSTERD" --state-dir "$dir/other-state" --run-dir "$dir/run" --executor fake
    [ "$status" = 3 ]
    [[ $output == *"$dir/run/muster.sock"* ]]
    stop TERM
}

@test "version, help and the check of a store" {
    run "$MUSTERD" --version
    [ "$status" = 0 ] && [[ $output == "musterd "* ]]
    run "$MUSTERD" --help
    [ "$status" = 0 ] && [[ $output == *"--state-dir"*"/var/lib/muster"* ]]
    start
    stop TERM
    run "$MUSTERD" --state-dir "$dir/state" --check-store
    [ "$status" = 0 ] && [[ $output == *"is sound" ]]
    run "$MUSTERD" --state-dir "$dir/nothing" --check-store
    [ "$status" != 0 ]
}

@test "a state directory that cannot be made is told with its reason" {
    touch "$dir/file"
    run "$MUSTERD" --state-dir "$dir/file/state" --run-dir "$dir/run" --executor fake
    [ "$status" = 10 ]
    [[ $output == *"$dir/file"*"Not a directory"* ]]
}

# declare_service NAME: two processes that only wait.
declare_service() {
    printf -- '---\nkind: service\nname: %s\nimage: none\ncommand: [sleep, "%s"]\ndeploy: {replicas: 2}\n' "$1" "$tag"
}

# Waits until none of them is left.
wait_until_none() {
    local process
    while process=$(pgrep -fx "sleep $tag" | head -1) && [ -n "$process" ]; do
        tail --pid="$process" -f /dev/null
    done
}

@test "kill -9 at any moment: what was acknowledged is there, once" {
    muster() { "${BUILD:-build}/muster" -H "unix://$dir/run/muster.sock" "$@"; }
    tag=7$$
    acknowledged=
    start --executor process
    muster swarm init
    for round in 1 2 3 4 5 6; do
        # The daemon dies while the changes come in: some moments after the round began.
        (for _ in $(seq $((round * 7))); do muster info >/dev/null 2>&1 || true; done; kill -9 "$pid") 3>&- &
        for number in $(seq 100); do
            declare_service "s$round-$number" >"$dir/file.yaml"
            muster apply -d -f "$dir/file.yaml" >/dev/null 2>&1 || break
            acknowledged="$acknowledged s$round-$number"
        done
        wait "$pid" || true
        exec 7<&-
        start --executor process
    done
    [ -n "$acknowledged" ]
    for name in $acknowledged; do
        muster service inspect "$name" >/dev/null
    done
    # One that was stored, but not acknowledged, may be there too. All of them run, and nothing runs twice.
    muster service ls --format '{{.Name}}' >"$dir/names"
    while read -r name; do declare_service "$name"; done <"$dir/names" >"$dir/file.yaml"
    muster apply -f "$dir/file.yaml" >/dev/null 2>&1
    [ "$(pgrep -c -fx "sleep $tag")" = $((2 * $(wc -l <"$dir/names"))) ]
    xargs "${BUILD:-build}/muster" -H "unix://$dir/run/muster.sock" service rm <"$dir/names" >/dev/null
    wait_until_none
    stop TERM
}
