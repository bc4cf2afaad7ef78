#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# test/e2e/rollout.bats — rolling updates of real containers: order, parallelism, failures and what they lead to, and the ways back.
#
# How many tasks served at every moment is read from the history: each state of each task is in it.

load ../lib/musterd.bash

setup_file() {
    "$repo/examples/images/build.sh" "$IMAGES"
}

setup() {
    musterd_setup
    musterd_cluster
}

teardown() {
    musterd_remove
}

# web MODE [LINE…]: the spec file of a service whose tasks tell the mode; lines of deploy follow, indented by two.
web() {
    cat >"$node/web.yaml" <<YAML
kind: service
name: web
image: oci-archive:$IMAGES/busybox.tar
command: [sh, -c, 'case \$MODE in bad) exit 3;; esac; trap exit TERM; while :; do sleep 5 & wait; done']
environment: {MODE: $1}
stop_grace_period: 5s
deploy:
  replicas: ${replicas:-5}
  restart_policy: {delay: 300ms}
YAML
    [ $# = 1 ] || printf '  %s\n' "${@:2}" >>"$node/web.yaml"
}

# apply STATUS MODE [LINE…]: as web, applied and waited for; it must end with this status.
apply() {
    web "${@:2}"
    status=0
    said=$(muster apply --progress plain --timeout 60s -f "$node/web.yaml" 2>&1) || status=$?
    [ "$status" = "$1" ] || { printf 'exit status %s, not %s\n%s\n' "$status" "$1" "$said" >&2 && return 1; }
}

# rollout FIELD [NUMBER]: of the last rollout, or of one.
rollout() {
    muster rollout history web --format "{{.$1}}" | sed -n "${2:-\$}p"
}

is_rollout() { # FIELD VALUE
    [ "$(rollout "$1")" = "$2" ]
}

status_of() {
    muster service inspect -f '{{.update_status.state}}' web
}

# The least and the most tasks that ran after a revision of the store, as "LEAST MOST"; START ran before.
served() { # SINCE-REVISION START
    muster events --since 1h --until 0s -f type=task --format '{{.Revision}}|{{.Text}}' |
        awk -F'|' -v since="$1" -v n="$2" 'BEGIN { least = most = n }
            function look() { least = n < least ? n : least; most = n > most ? n : most }
            $1 <= since { next }
            $1 != last { look(); last = $1 }
            $2 ~ /(^|; )[a-z]+ -> running/ { n++ }
            $2 ~ /(^|; )running -> / { n-- }
            END { look(); print least, most }'
}

revision() {
    muster info -o json | sed -n 's/.*"revision": *\([0-9]*\).*/\1/p' | head -1
}

@test "stop-first: no more are stopped at once than parallelism says" {
    apply 0 a 'update_config: {parallelism: 2, monitor: 200ms}'
    local from
    from=$(revision)
    apply 0 b 'update_config: {parallelism: 2, monitor: 200ms}'
    count_is 5 web
    await is_rollout State completed
    is_rollout Slots 5/5
    is_rollout Batch 3/3
    read -r least most < <(served "$from" 5)
    [ "$least" -ge 3 ] && [ "$most" -le 5 ]
}

@test "start-first: never fewer serve than before, and no more come than parallelism says" {
    apply 0 a 'update_config: {parallelism: 2, monitor: 200ms, order: start-first}'
    local from
    from=$(revision)
    apply 0 b 'update_config: {parallelism: 2, monitor: 200ms, order: start-first}'
    await is_rollout State completed
    read -r least most < <(served "$from" 5)
    [ "$least" -ge 5 ] && [ "$most" -gt 5 ]
    await count_is 5 web
}

@test "a global service: start-first on its node" {
    apply 0 a
    muster service rm web
    await nothing_left
    replicas=1 apply 0 a 'mode: global' 'update_config: {monitor: 100ms, order: start-first}'
    local from
    from=$(revision)
    replicas=1 apply 0 b 'mode: global' 'update_config: {monitor: 100ms, order: start-first}'
    await is_rollout State completed
    read -r least most < <(served "$from" 1)
    [ "$least" = 1 ] && [ "$most" = 2 ]
}

@test "failures pause it; a user resumes, or goes back; a newer spec supersedes it" {
    apply 0 a 'update_config: {monitor: 2s}'
    apply 6 bad 'update_config: {monitor: 2s}'
    [[ $said =~ 'update paused due to failure or early termination of task ' ]]
    [ "$(status_of)" = paused ]
    [ "$(muster service ps web --filter desired-state=running --format '{{.Name}} {{.CurrentState}}' | grep -c Running)" -ge 3 ]
    exits 6 muster rollout status web
    exits 6 muster rollout resume --timeout 60s web
    await is_rollout State paused
    exits 0 muster rollback --timeout 60s web
    [ "$(status_of)" = rollback_completed ]
    count_is 5 web
    apply 6 bad 'update_config: {monitor: 2s}'
    apply 0 good 'update_config: {monitor: 200ms}'
    [ "$(muster rollout history web --format '{{.State}}' | tail -2 | tr '\n' ' ')" = 'superseded completed ' ]
    count_is 5 web
}

@test "failures roll back: exit status 7, and the tasks that were left alone are the same" {
    apply 0 a 'update_config: {monitor: 2s, failure_action: rollback}' 'rollback_config: {monitor: 100ms}'
    local before
    before=$(tasks web | sort)
    apply 7 bad 'update_config: {monitor: 2s, failure_action: rollback}' 'rollback_config: {monitor: 100ms}'
    [ "$(status_of)" = rollback_completed ]
    [ "$(muster service inspect -f '{{.spec.environment.MODE}}' web)" = a ]
    await count_is 5 web
    [ "$(comm -12 <(echo "$before") <(tasks web | sort) | wc -l)" -ge 3 ]
}

@test "failures may be of no account" {
    apply 0 a 'update_config: {monitor: 100ms, parallelism: 5}'
    web bad 'update_config: {monitor: 1s, parallelism: 5, failure_action: continue}'
    muster apply --detach -f "$node/web.yaml"
    await is_rollout State completed
    [[ $(rollout Message) =~ 'tasks failed in 5 of 5 slots' ]]
}

@test "an image that is not there pauses it" {
    apply 0 a 'update_config: {monitor: 1s}'
    exits 6 muster service update --timeout 60s --progress none --image "oci-archive:$IMAGES/missing.tar" web
    [ "$(status_of)" = paused ]
    [ "$(tasks web | wc -l)" -ge 4 ]
}

@test "a rollout that finds no room stops nothing, and says so; with room it goes on" {
    replicas=2 apply 0 a 'update_config: {monitor: 100ms}'
    local before
    before=$(tasks web | sort)
    web b 'update_config: {monitor: 100ms}' 'resources: {reservations: {memory: 900T}}'
    sed -i 's/replicas: 5/replicas: 2/' "$node/web.yaml"
    exits 8 muster apply --progress plain --timeout 2s -f "$node/web.yaml"
    [[ $output =~ 'no room: nothing is stopped until a node can take a task that needs ' ]]
    [[ $(rollout Message) =~ 'no room' ]]
    [ "$before" = "$(tasks web | sort)" ]
    replicas=2 apply 0 b 'update_config: {monitor: 100ms}'
    count_is 2 web
}

@test "pause and resume by a user" {
    apply 0 a 'update_config: {monitor: 100ms}'
    web b 'update_config: {monitor: 100ms, delay: 500ms}'
    muster apply --detach -f "$node/web.yaml"
    await is_rollout State updating
    muster rollout pause --why 'let me look' web
    [[ $(rollout Message) =~ 'let me look' ]]
    exits 6 muster rollout status web
    [ "$(rollout Slots)" != 5/5 ]
    muster rollout resume --timeout 60s web
    is_rollout Slots 5/5
    exits 2 muster rollout pause web
}

@test "a newer spec midway: the rest goes to it at once, and never too few serve" {
    apply 0 a 'update_config: {monitor: 100ms}'
    local from
    from=$(revision)
    web b 'update_config: {monitor: 100ms, delay: 300ms}'
    muster apply --detach -f "$node/web.yaml"
    await is_rollout Slots 2/5
    apply 0 c 'update_config: {monitor: 100ms}'
    [ "$(rollout State 1)" = superseded ]
    read -r least _ < <(served "$from" 5)
    [ "$least" -ge 3 ] # one at a time, and one that was not started yet
    count_is 5 web
}

@test "the manager is killed midway, and goes on where it was" {
    apply 0 a 'update_config: {monitor: 100ms}'
    web b 'update_config: {monitor: 100ms, delay: 400ms}'
    muster apply --detach -f "$node/web.yaml"
    await is_rollout Slots 2/5
    musterd_end KILL
    musterd_start
    await is_rollout State completed
    [ "$(muster rollout history web -q | wc -l)" = 1 ]
    is_rollout Slots 5/5
    count_is 5 web
}

@test "rollback --to any kept revision; undo takes the last change back, and not what changed since" {
    replicas=2 apply 0 a 'update_config: {monitor: 100ms}' 'rollback_config: {monitor: 100ms}'
    replicas=2 apply 0 b 'update_config: {monitor: 100ms}' 'rollback_config: {monitor: 100ms}'
    replicas=2 apply 0 c 'update_config: {monitor: 100ms}' 'rollback_config: {monitor: 100ms}'
    muster service rollback --to 1 web
    [ "$(muster service inspect -f '{{.spec.environment.MODE}}' web)" = a ]
    status=0
    said=$(muster service rollback --to 77 web 2>&1) || status=$?
    [ "$status" = 2 ] && [[ $said =~ 'kept are 1, 2, 3, 4' ]]
    exits 9 muster undo
    muster undo --yes
    [ "$(muster service inspect -f '{{.spec.environment.MODE}}' web)" = c ]
    local changed
    changed=$(revision)
    muster service scale web=1
    muster undo --yes # the scaling
    [ "$(muster service inspect -f '{{.spec.deploy.replicas}}' web)" = 2 ]
    muster service rm web
    exits 5 muster undo --yes 1000000 || exits 2 muster undo --yes 1000000
    muster undo --yes
    count_is 2 web
    [ -n "$changed" ]
}

@test "--force replaces the tasks; the rollouts that are kept are bounded" {
    replicas=1 apply 0 a 'update_config: {monitor: 0s}'
    local before i
    before=$(tasks web)
    for i in {1..23}; do
        muster service update --progress none --timeout 60s --force web
    done
    [ "$before" != "$(tasks web)" ]
    await is_rollout Number 23
    [ "$(muster rollout history web -q | wc -l)" = 20 ]
}
