#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# test/e2e/docker_logs.bats — `service logs` of real processes: who wrote what, to which stream, before one looks and while one does.

load ../lib/daemon_lib.bash

setup() {
    daemon_start --executor process
    works swarm init
}

teardown() {
    "$MUSTER" service rm talk >/dev/null 2>&1 && await services 0
    daemon_stop
}

@test "lines come with their task, in order, and stderr stays stderr" {
    works service create --progress none --name talk busybox sh -c 'echo one; echo two >&2; echo three; exec sleep 1000'
    all_written() { [ "$("$MUSTER" service logs --raw talk 2>&1 | grep -c .)" = 3 ]; }
    await all_written
    works service logs --raw talk
    same $'one\nthree' "$out"
    same two "$err_out"
    [[ $("$MUSTER" service logs talk 2>/dev/null | head -1) =~ ^talk\.1\.[0-9a-z]{12}@alpha' '{4}'| one'$ ]]
    works service logs --no-task-ids talk
    same $'talk.1@alpha    | one\ntalk.1@alpha    | three' "$out" # between the two streams the order is that of arrival
    works service logs --raw -n 1 talk
    [[ $out$err_out =~ ^(two|three)$ ]]
    works service logs --raw -t talk
    [[ $out =~ ^20[0-9-]{8}T[0-9:]{8}\.[0-9]{9}Z' one' ]]
    works service logs --raw --since 2100-01-01 talk
    same '' "$out$err_out"
    works service logs --raw "$("$MUSTER" service ps -q talk)"
    same $'one\nthree' "$out"
}

@test "with -f lines come as they are written, of tasks that come later too" {
    local pid
    works service create --progress none --update-monitor 1ms --name talk busybox sh -c 'echo first; exec sleep 1000'
    "$MUSTER" service logs -f --raw talk >"$BATS_TEST_TMPDIR/lines" 2>&1 3>&- &
    pid=$!
    await grep -q first "$BATS_TEST_TMPDIR/lines"
    works service update --progress none --args "sh -c 'echo second; exec sleep 1000'" talk
    await grep -q second "$BATS_TEST_TMPDIR/lines"
    kill "$pid"
    wait "$pid" || :
}
