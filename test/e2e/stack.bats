#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# test/e2e/stack.bats — stacks of Compose files by Docker's words: deployed, looked at, deployed again, pruned, removed.

load ../lib/daemon_lib.bash

setup_file() {
    daemon_start --executor fake
    "$MUSTER" swarm init --advertise-addr 127.0.0.1 >/dev/null 2>&1
}

teardown_file() {
    daemon_stop
}

setup() {
    files=$(mktemp -d "$BATS_TEST_TMPDIR/stack.XXXXXX")
    cd "$files"
    cat >compose.yaml <<'END'
services:
  web:
    image: nginx:${TAG}
    deploy: {replicas: 2, update_config: {monitor: 1ms}}
    environment: [MODE=slow]
    volumes: [data:/data]
  db:
    image: redis:7
volumes: {data: {}}
networks: {front: {}}
END
    echo 'TAG=1.25' >.env
}

teardown() {
    "$MUSTER" stack rm shop other >/dev/null 2>&1 || :
    await services 0
}

deploy() { # OPTION…
    works stack deploy --progress none -c compose.yaml "$@" shop
}

@test "a stack is deployed and looked at with Docker's columns" {
    deploy
    has "$out" 'Creating service shop_web'
    has "$out" 'Creating service shop_db'
    has "$out" 'Creating network shop_front'
    works stack ls
    has "$out" 'NAME *SERVICES'
    has "$out" 'shop *2'
    works stack ls --format '{{.Name}}/{{.Services}}'
    same shop/2 "$out"
    works stack services shop
    has "$out" 'ID *NAME *MODE *REPLICAS *IMAGE *PORTS'
    has "$out" 'shop_web *replicated *2/2 *nginx:1.25'
    works stack services -q shop
    same 2 "$(wc -l <<<"$out")"
    works stack ps shop --filter desired-state=running --format '{{.Name}}'
    same $'shop_db.1\nshop_web.1\nshop_web.2' "$(sort <<<"$out")"
    works stack ps -q --no-trunc shop
    same 3 "$(wc -l <<<"$out")"
}

@test "the same file again changes nothing" {
    deploy
    before=$("$MUSTER" stack ps -q shop | sort)
    deploy
    has "$out" 'Unchanged service shop_web'
    lacks "$out" 'Updating'
    same "$before" "$("$MUSTER" stack ps -q shop | sort)"
}

@test "a second file lies on top of the first" {
    printf 'services:\n  web:\n    deploy: {replicas: 3}\n    environment: {MODE: fast}\n' >more.yaml
    deploy -c more.yaml
    replicas shop_web 3/3
    works service inspect -f '{{.spec.environment.MODE}}' shop_web
    same fast "$out"
    works stack config -c compose.yaml -c more.yaml
    has "$out" 'image: nginx:1.25'
    has "$out" 'MODE: fast'
    lacks "$out" slow
    works stack config --skip-interpolation -c compose.yaml
    has "$out" 'image: nginx:${TAG}'
    "$MUSTER" stack config -c compose.yaml -c more.yaml | "$MUSTER" stack deploy -c - shop >out
    has "$(cat out)" 'Unchanged service shop_web'
}

@test "prune removes what the files do not hold any more, but no volume" {
    deploy
    printf 'services:\n  web: {image: "nginx:1.25", deploy: {replicas: 2}}\n' >compose.yaml
    deploy
    works stack services -q shop
    same 2 "$(wc -l <<<"$out")"
    deploy --prune
    has "$out" 'Removing service shop_db'
    has "$out" 'Removing network shop_front'
    works stack services --format '{{.Name}}' shop
    same shop_web "$out"
    works get volume -o name
    has "$out" shop_data
    echo '{services: {}}' >compose.yaml
    deploy --prune
    has "$out" 'Removing service shop_web'
}

@test "rm takes all of a stack but its volumes, and nothing of another" {
    deploy
    works stack deploy --progress none -c compose.yaml other
    works stack rm shop
    has "$out" 'Removing service shop_web'
    has "$out" 'Removing network shop_front'
    lacks "$out" other
    works stack ls --format '{{.Name}}'
    same other "$out"
    works stack rm shop
    has "$err_out" 'Nothing found in stack: shop'
    works stack services shop
    has "$err_out" 'Nothing found in stack: shop'
    refused 2 'nothing found in stack: shop' stack ps shop
    works get volume -o name
    has "$out" shop_data
}

@test "mistakes name the file and the line, and nothing is sent" {
    refused 2 'wants a Compose file' stack deploy shop
    refused 2 "is not a name for a stack" stack deploy -c compose.yaml 'a/b'
    printf 'services:\n  web:\n    deploy: {replicas: many}\n' >bad.yaml
    refused 2 'bad.yaml:3:24: error E0303' stack deploy -c compose.yaml -c bad.yaml shop
    printf 'kind: service\nname: web\nimage: x\n' >typed.yaml
    refused 2 'typed.yaml:1:1: error E0201' stack deploy -c typed.yaml shop
    rm .env
    sed -i 's/${TAG}/${TAG:?say which}/' compose.yaml
    refused 2 'compose.yaml:3:12: error E0402*say which' stack deploy -c compose.yaml shop
    refused 2 'no such file' stack deploy -c gone.yaml shop
    works stack ls -q
    same '' "$out"
}

states() { # SERVICE: of its tasks
    "$MUSTER" service ps --format '{{.CurrentState}}' "$1" | sed 's/ .*//'
}
is_ready() {
    [ "$(states shop_web)" = Ready ]
}

@test "a service waits for what it depends on, then is on its own" {
    cat >one.yaml <<'END'
kind: service
name: shop_web
image: nginx
deploy: {labels: {com.docker.stack.namespace: shop}}
depends_on: {shop_db: {condition: service_healthy}}
END
    sed 's/shop_web/shop_db/; /depends_on/d' one.yaml >two.yaml
    works apply -d -f one.yaml
    await is_ready
    works why shop_web
    has "$out" 'it is ready and waits for shop_db, which is not there'
    works apply --monitor 0s -f two.yaml -f one.yaml
    replicas shop_web 1/1
    works service rm shop_db
    await services 1
    replicas shop_web 1/1
}
