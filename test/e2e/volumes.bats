#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# test/e2e/volumes.bats — named volumes of a node: one for each task, listed, removed when nobody uses them; and binds where they are allowed.

load ../lib/musterd.bash

setup_file() {
    "$repo/examples/images/build.sh" "$IMAGES"
}

setup() {
    musterd_setup
}

teardown() {
    musterd_remove
}

service() { # LINE…
    printf '%s\n' 'kind: service' 'name: web' "image: oci-archive:$IMAGES/busybox.tar" \
        'command: [sh, -c, "trap exit TERM; hostname >/data/who; while :; do sleep 1 & wait; done"]' "$@" >"$node/web.yaml"
    muster apply -f "$node/web.yaml"
}

@test "each task has its volume, which stays until it is removed" {
    musterd_cluster
    same '' "$(muster volume ls -q)"
    service 'hostname: "{{.Service.Name}}{{.Task.Slot}}"' 'volumes: ["data-{{.Task.Slot}}:/data"]' 'deploy: {replicas: 2}'
    await has_written 1
    await has_written 2
    same $'data-1\ndata-2' "$(muster volume ls -q)"
    same "local data-1" "$(muster volume ls --filter name=1 --format '{{.Driver}} {{.Name}}')"
    same "$node/state/volumes/data-1" "$(muster volume inspect data-1 | jq -r '.[0].Mountpoint')"
    exits 9 muster volume rm data-1
    [[ $output =~ "in use" ]]
    exits 9 muster volume prune
    exits 0 muster volume prune --yes
    same '' "$output"
    muster service scale web=1
    await is_dangling data-2
    same data-2 "$(muster volume rm data-2)"
    exits 2 muster volume rm data-2
    muster service rm web
    await is_dangling data-1
    [ -f "$node/state/volumes/data-1/who" ] # nothing else removes it
    same data-1 "$(muster volume prune -y)"
    same '' "$(ls -A "$node/state/volumes")"
    nothing_left
}

has_written() { # SLOT
    [ "$(cat "$node/state/volumes/data-$1/who" 2>/dev/null)" = "web$1" ]
}

is_dangling() { # NAME
    muster volume ls -q --filter dangling=true | grep -qx "$1"
}

@test "binds reach where the node allows them, and nowhere else" {
    mkdir "$node/mine" "$node/other"
    musterd_start --allow-bind "$node/mine"
    muster swarm init >/dev/null
    service "volumes: ['$node/mine:/data']"
    await test -s "$node/mine/who"
    muster service rm web
    printf '%s\n' 'kind: service' 'name: web' "image: oci-archive:$IMAGES/busybox.tar" "volumes: ['$node/other:/data']" \
        'deploy: {restart_policy: {condition: none}}' >"$node/web.yaml"
    muster apply -f "$node/web.yaml" || :
    await says web Error 'does not allow binds of .*other.*--allow-bind'
}
