#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# test/e2e/jobs.bats — jobs on real nodes: how often, how many at once, what becomes of failures, and of daemons that die meanwhile.
#
# Tasks write to $node/share what they do: a line each time one begins or ends.

load ../lib/musterd.bash

setup_file() {
    "$repo/examples/images/build.sh" "$IMAGES"
}

setup() {
    musterd_setup
    mkdir "$node/share"
    musterd_cluster
}

teardown() {
    [ -n "$BATS_TEST_COMPLETED" ] || tail -n 20 "$node/log" >&2
    musterd_remove
}

# job NAME SCRIPT FLAG…: each task runs the script, in /share.
job() {
    muster service create --name "$1" --mode replicated-job --mount "type=bind,source=$node/share,target=/share" --workdir /share "${@:3}" \
        "oci-archive:$IMAGES/busybox.tar" sh -c "$2"
}

lines() { # PATTERN: how many of them tasks wrote
    { cat "$node/share/log" 2>/dev/null || :; } | grep -c "$1" || :
}

lines_are() { # PATTERN COUNT
    [ "$(lines "$1")" = "$2" ]
}

replicas() { # SERVICE
    muster service ls --filter "name=$1" --format '{{.Replicas}}'
}

# A task that begins, and ends when it is let.
held='echo begin >>log; until [ -e go ]; do sleep 0.1; done; echo end >>log'

@test "five are to complete, two at once, and are shown as Docker shows them" {
    run job batch 'echo begin >>log; sleep 0.2; echo end >>log' --replicas 5 --max-concurrent 2
    [ "$status" = 0 ]
    [[ $output =~ 'batch: 5 of 5 complete, 0 running' ]]
    [[ $output =~ 'batch: job complete' ]]
    same 5 "$(lines begin)"
    same 2 "$(awk '{ now += $1 == "begin" ? 1 : -1; most = now > most ? now : most } END { print most }' "$node/share/log")"
    same '0/0 (5/5 completed)' "$(replicas batch)"
    same 'Complete Complete' "$(muster service ps batch --format '{{.DesiredState}} {{.CurrentState}}' | cut -d' ' -f1,2 | sort -u)"
    muster service inspect --pretty batch | grep -q 'Total Completions: *5'
    muster ls --format '{{.Name}} {{.State}}' | grep -qx 'batch complete'
    exits 0 muster wait --for completed --once batch
    exits 2 muster service update --update-parallelism 2 batch
    muster service rm batch
    nothing_left
}

@test "what fails is tried again so many times, then the job has failed, and says so" {
    run job bad 'echo begin >>log; exit 3' --replicas 2 --restart-max-attempts 1 --restart-delay 10ms
    [ "$status" = 6 ]
    [[ $output =~ 'bad: 0 of 2 complete; bad.'[12]' failed: task: non-zero exit (3)' ]]
    same 4 "$(lines begin)"
    same '0/0 (0/2 completed)' "$(replicas bad)"
    muster ls --format '{{.Name}} {{.State}}' | grep -qx 'bad failed'
    exits 6 muster wait bad
    # Once it can succeed, --force gives it another chance: a new run.
    muster service update --detach --args 'true' bad
    exits 0 muster wait bad
    same '0/0 (2/2 completed)' "$(replicas bad)"
    same 4 "$(lines begin)"
}

@test "--force and another number of completions run a job again, a label does not" {
    job again 'echo begin >>log' --replicas 2
    same 2 "$(lines begin)"
    muster service update --label-add color=blue again
    same 2 "$(lines begin)"
    muster service update --force again
    same 4 "$(lines begin)"
    muster service scale again=3
    same 7 "$(lines begin)"
    same '0/0 (3/3 completed)' "$(replicas again)"
    same 3 "$(muster service ps -q again | wc -l)" # those of the runs before are gone
}

@test "a daemon that is killed midway makes nothing run twice" {
    job held "$held" --replicas 3 --max-concurrent 2 --detach
    await lines_are begin 2
    musterd_end KILL
    musterd_start
    same '2/2 (0/3 completed)' "$(replicas held)"
    musterd_end KILL
    touch "$node/share/go" # both end while nobody looks
    await lines_are end 2
    musterd_start
    muster wait held
    same 3 "$(lines begin)"
    same '0/0 (3/3 completed)' "$(replicas held)"
}

@test "a task whose container is killed is done again, the others are not" {
    job held "$held" --replicas 2 --restart-delay 10ms --detach
    await lines_are begin 2
    kill -KILL "$(task_pid "$(tasks held | head -1)")"
    await lines_are begin 3
    touch "$node/share/go"
    muster wait held
    same 3 "$(lines begin)"
}

@test "a job that is removed, or begun anew, stops what is at it" {
    job held "$held" --replicas 2 --detach
    await lines_are begin 2
    muster service update --detach --force held
    await lines_are begin 4
    same '2/2 (0/2 completed)' "$(replicas held)"
    muster service rm held
    nothing_left
}

# --- cronjobs: the daemon's clock is moved (test/lib/preload/clock_shift.c) ---

clocked_start() {
    export CLOCK_SHIFT=$node/clock
    [ -e "$CLOCK_SHIFT" ] || echo 0 >"$CLOCK_SHIFT"
    LD_PRELOAD=$build/test/${FLAVOUR:-release}/clock_shift.so musterd_start
}

# Moves the clock to a second after the next run of the service is due.
clock_to_next_run() { # SERVICE
    local next
    next=$(date -d "$(muster service inspect -f '{{.next_run}}' "$1")" +%s)
    echo "$((next - $(date +%s) + 1))" >"$node/clock.new"
    cat "$node/clock.new" >"$node/clock" # the file that the daemon has open
}

run_is() { # SERVICE NUMBER: of the run, which is complete
    [ "$(muster service inspect -f '{{.job_iteration}}' "$1") $(replicas "$1")" = "$2 0/0 (1/1 completed)" ]
}

@test "a cronjob runs when its time has come, once for what was missed, and at once when asked" {
    musterd_end
    clocked_start
    run job hourly 'echo begin >>log' --schedule '0 * * * *' --time-zone Europe/Berlin
    [ "$status" = 0 ]
    [[ $output =~ 'hourly: scheduled' ]]
    muster ls --format '{{.Name}} {{.State}}' | grep -qx 'hourly scheduled'
    muster why hourly | grep -q 'it waits for its time: the next run is at '
    clock_to_next_run hourly
    await run_is hourly 1
    muster log | grep -q 'hourly: run 1 begins'
    clock_to_next_run hourly
    await run_is hourly 2
    same 2 "$(lines begin)"
    same 2 "$(muster service ps -q hourly | wc -l)" # the run before is kept
    musterd_end KILL
    later=$(($(cat "$node/clock") + 5 * 3600)) # five runs are missed
    echo $later >"$node/clock"
    clocked_start
    await run_is hourly 3
    same 3 "$(lines begin)"
    muster service update --force hourly
    run_is hourly 4
    same 4 "$(lines begin)"
    muster service update --label-add a=b --env-add C=d hourly # no reason to run
    run_is hourly 4
    muster service inspect --pretty hourly | grep -q 'Cron: *0 \* \* \* \* (Europe/Berlin)'
}

@test "a schedule that is wrong is refused where it is wrong" {
    exits 2 job bad true --schedule '0 25 * * *'
    matches "character 3: '25' is not a value for hour" "$output"
    exits 2 job bad true --schedule '0 0 30 2 *'
    matches 'never comes' "$output"
    exits 2 job bad true --schedule @daily --time-zone Europe/Berln
    matches "there is no time zone 'Europe/Berln'" "$output"
    printf '%s\n' 'kind: service' 'name: bad' 'image: x' 'deploy:' '  mode: replicated-job' "  schedule: '* * * * mox'" >"$node/bad.yaml"
    exits 2 muster lint -f "$node/bad.yaml"
    matches "bad.yaml:6:3: .*character 9: 'mox' is not a value for day of the week" "$output"
    printf '%s\n' 'kind: service' 'name: bad' 'image: x' 'deploy: {schedule: "@daily"}' >"$node/bad.yaml"
    exits 2 muster lint -f "$node/bad.yaml"
    matches "does not go with mode replicated: write mode: replicated-job or global-job" "$output"
    same '' "$(muster service ls -q)"
}
