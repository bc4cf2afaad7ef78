#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# test/e2e/health.bats — health checks and the drain delay with real containers: what is not well does not count as running, what
# becomes unwell is replaced, and a check that hangs leaves nothing behind.

load ../lib/musterd.bash

setup_file() {
    "$BATS_TEST_DIRNAME/../../examples/images/build.sh" "$BATS_TEST_DIRNAME/../../${BUILD:-build}/images"
}

setup() {
    musterd_setup
    BUSYBOX=oci-archive:$IMAGES/busybox.tar
    FOREVER='trap "exit 0" TERM; while :; do sleep 0.05; done'
}

teardown() {
    musterd_remove
}

# inside TASK COMMAND…: runs it in the container
inside() {
    "$RUNC" --root "$node/run/runc" exec "$@"
}

# processes TASK PATTERN: how many processes of the container have it in their command line
processes() {
    inside "$1" ps -o args | grep -v 'ps -o' | grep -c "$2" || :
}

no_processes() {
    [ "$(processes "$@")" = 0 ]
}

status_of() { # TASK FIELD
    muster get task "$1" -o json | jq -r ".status.$2"
}

message_of() { # TASK
    status_of "$1" message
}

has_failed() { # TASK
    [ "$(status_of "$1" state)" = failed ]
}

checked() { # TASK: a check has been made
    [[ $(message_of "$1") == "health: starting:"* ]]
}

@test "a task is starting until it is well, then running; when it is not any more it is replaced" {
    musterd_cluster
    muster service create -d --name web --health-cmd 'echo looking; test -e /tmp/ok' --health-interval 300ms --health-retries 2 \
        --health-start-period 1h --health-start-interval 100ms --restart-delay 0s "$BUSYBOX" sh -c "$FOREVER" >/dev/null
    await count_is 1 web starting
    first=$(tasks web starting)
    await checked "$first"
    same 'health: starting: exit 1: looking' "$(message_of "$first")"
    same 0 "$(tasks web running | wc -l)"
    [[ $(muster service ls --format '{{.Replicas}}') == 0/1 ]]
    inside "$first" touch /tmp/ok
    await count_is 1 web running
    same "$first" "$(tasks web running)"
    same healthy "$(status_of "$first" health)"

    inside "$first" rm /tmp/ok
    await says web Error 'task: unhealthy container: exit 1: looking' # said before it has stopped
    await has_failed "$first"
    same 'unhealthy container' "$(status_of "$first" reason)"
    same 'looking' "$(status_of "$first" 'health_results[-1].output' | head -1)"
    await count_is 1 web starting # the next one waits for its own
    [ "$(tasks web starting)" != "$first" ]
    muster service rm web
    nothing_left
}

@test "a check that takes too long is killed with all that it started" {
    musterd_cluster
    # One of its children has a session of its own, and a parent that is gone.
    muster service create -d --name web --health-cmd '(setsid sleep 4711 &) ; sleep 4712' --health-timeout 400ms --health-interval 1h \
        --health-start-interval 200ms "$BUSYBOX" sh -c "$FOREVER" >/dev/null
    await count_is 1 web starting
    task=$(tasks web starting)
    await checked "$task"
    [[ $(message_of "$task") == 'health: starting: Health check exceeded timeout (400 ms)'* ]]
    # The next one is not made before the last one is swept: at no time are there two.
    muster service update -d --health-cmd true web >/dev/null
    await count_is 1 web running
    muster service rm web
    nothing_left
}

@test "a daemon that is killed in the midst of a check: the next one sweeps, and what ran is running" {
    musterd_cluster
    muster service create -d --name web --health-cmd 'test -e /tmp/hang || exit 0; exec sleep 4713' --health-timeout 1h \
        --health-interval 100ms "$BUSYBOX" sh -c "$FOREVER" >/dev/null
    await count_is 1 web running
    task=$(tasks web running)
    pid=$(task_pid "$task")
    inside "$task" touch /tmp/hang
    hangs() { [ "$(processes "$task" 'sleep 4713')" = 1 ]; }
    await hangs
    musterd_end KILL
    hangs
    inside "$task" rm /tmp/hang
    musterd_start
    await no_processes "$task" 'sleep 4713'
    is_healthy() { [ "$(status_of "$task" health)" = healthy ]; }
    await is_healthy
    same "$task" "$(tasks web running)"
    same "$pid" "$(task_pid "$task")"
    same 1 "$(grep -c "task.state task=$task .* to=running" "$node/log")"
    muster service rm web
    nothing_left
}

@test "a daemon that is killed before the first success: the task waits on for it" {
    musterd_cluster
    muster service create -d --name web --health-cmd 'test -e /tmp/ok' --health-start-period 1h --health-start-interval 100ms "$BUSYBOX" \
        sh -c "$FOREVER" >/dev/null
    await count_is 1 web starting
    task=$(tasks web starting)
    await checked "$task"
    musterd_end KILL
    musterd_start
    await count_is 1 web starting
    same "$task" "$(tasks web starting)"
    inside "$task" touch /tmp/ok
    await count_is 1 web running
    same "$task" "$(tasks web running)"
    muster service rm web
    nothing_left
}

@test "tcp and http are tried from within the task's network" {
    musterd_cluster
    muster service create -d --name tcp --health-cmd tcp:7000 --health-start-period 1h --health-start-interval 100ms "$BUSYBOX" sh -c "$FOREVER" >/dev/null
    muster service create -d --name http --health-cmd http:8080/health --health-start-period 1h --health-start-interval 100ms "$BUSYBOX" \
        sh -c "mkdir /www; httpd -p 127.0.0.1:8080 -h /www; $FOREVER" >/dev/null
    await count_is 1 tcp starting
    await count_is 1 http starting
    tcp=$(tasks tcp starting)
    http=$(tasks http starting)
    await checked "$tcp"
    same 'health: starting: exit 1: connect to localhost port 7000: Connection refused' "$(message_of "$tcp")"
    await not_found
    inside --detach "$tcp" sh -c 'exec nc -ll -p 7000 -e cat'
    inside "$http" sh -c 'echo fine >/www/health'
    await count_is 1 tcp running
    await count_is 1 http running
    muster service rm tcp http
    nothing_left
}

not_found() {
    [ "$(message_of "$http")" = 'health: starting: exit 1: HTTP/1.1 404 Not Found' ]
}

@test "NONE and --no-healthcheck make no check; the page and explain tell of it" {
    musterd_cluster
    muster service create -d --name web --health-cmd 'exit 1' --no-healthcheck "$BUSYBOX" true >/dev/null 2>&1 && false
    muster service create -d --name web --no-healthcheck "$BUSYBOX" sh -c "$FOREVER" >/dev/null
    await count_is 1 web running
    same null "$(status_of "$(tasks web running)" health)"
    [[ $(muster service inspect --pretty web) == *Healthcheck:*Disabled:*true* ]]
    [[ $(muster explain service.healthcheck.test) == *HTTP* ]]
    muster service rm web
    nothing_left
}

@test "told to stop, a task serves on for its drain delay, well and running; a second order ends the delay" {
    musterd_cluster
    muster service create -d --name web --drain-delay 2s --health-cmd true --health-interval 100ms "$BUSYBOX" \
        sh -c 'trap "echo signalled; exit 0" TERM; while :; do sleep 0.05; done' >/dev/null
    await count_is 1 web running
    task=$(tasks web running)
    before=$(date +%s%N)
    muster service scale -d web=0 >/dev/null
    await draining "$task"
    same running "$(status_of "$task" state)"
    await nothing_runs web
    [ $(($(date +%s%N) - before)) -ge 2000000000 ]

    muster service update -d --drain-delay 1h --replicas 1 web >/dev/null
    await count_is 1 web running
    task=$(tasks web running)
    muster service update -d --image "$BUSYBOX" --env-add A=b web >/dev/null # shut down: the first order
    await draining "$task"
    muster service rm web # removed: the second
    await nothing_runs web
    nothing_left
}

draining() { # TASK
    [ "$(message_of "$1")" = 'started, draining before it stops' ]
}

nothing_runs() { # SERVICE
    [ -z "$(processes_left)" ]
}
