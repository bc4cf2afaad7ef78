#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# test/e2e/secrets.bats — secrets and configs in real containers: what is seen inside, who else sees it, and what a new content does.

load ../lib/musterd.bash

CANARY=canary-7f3a91c2d4 # a value that must be nowhere else

setup_file() {
    "$repo/examples/images/build.sh" "$IMAGES"
}

setup() {
    musterd_setup
    musterd_cluster
    printf %s "$CANARY" >"$node/value"
}

teardown() {
    musterd_remove
}

# service NAME LINE…: a document of a service that sleeps, with these lines in it.
service() {
    printf '%s\n' --- 'kind: service' "name: $1" "image: oci-archive:$IMAGES/busybox.tar" \
        'command: [sh, -c, "trap exit TERM; trap \"echo got HUP\" HUP; echo ready; while :; do sleep 1 & wait; done"]' \
        'stop_grace_period: 5s' 'deploy: {update_config: {monitor: 1ms}}' "${@:2}"
}

secret() { # NAME FILE
    printf '%s\n' --- 'kind: secret' "name: $1" "file: $2"
}

apply() { # the file of this test
    muster apply -f "$node/spec.yaml"
}

inside() { # SERVICE COMMAND…
    nsenter --target "$(task_pid "$(tasks "$1" | head -1)")" --mount --pid "${@:2}"
}

# Files of the daemon, and what it told and logged, that hold the text in any of the forms that it might have.
seen() { # TEXT
    local word
    for word in "$1" "$(printf %s "$1" | base64 | cut -c1-12)"; do
        grep -rlaF --exclude=value --exclude-dir=rootfs -- "$word" "$node/state" "$node/run" "$node/log" "$node/told" 2>/dev/null
    done
    return 0
}

tell_all() { # what clients are told
    mkdir -p "$node/told"
    muster secret inspect pw >"$node/told/inspect"
    muster secret inspect --pretty pw >"$node/told/pretty"
    muster get secret -o yaml >"$node/told/yaml"
    muster get secret -o json >"$node/told/json"
    muster log -o json >"$node/told/log" 2>&1
    muster service inspect web >"$node/told/service"
    muster diff -f "$node/spec.yaml" >"$node/told/diff" 2>&1 || :
    muster get service web -o json >"$node/told/get"
}

@test "files are where, whose and as readable as was said, and cannot be written" {
    muster secret create pw "$node/value"
    echo 'listen 80;' | muster config create conf -
    service web 'secrets: [pw, {source: pw, target: sub/key, uid: "1000", gid: "1001", mode: 0400}, {source: pw, target: /etc/key}]' \
        'configs: [conf, {source: conf, target: /etc/app/conf, mode: 0440}]' >"$node/spec.yaml"
    apply
    same "$CANARY" "$(inside web cat /run/secrets/pw)"
    same "$CANARY" "$(inside web cat /etc/key)"
    same '444 0 0' "$(inside web stat -c '%a %u %g' /run/secrets/pw)"
    same '400 1000 1001' "$(inside web stat -c '%a %u %g' /run/secrets/sub/key)"
    same 'listen 80;' "$(inside web cat /conf)"
    same '440 0 0' "$(inside web stat -c '%a %u %g' /etc/app/conf)"
    for file in /run/secrets/pw /etc/key /conf /run/secrets/new; do
        exits 1 inside web sh -c "echo x >$file"
    done
    same "$CANARY" "$(inside web cat /run/secrets/pw)"
    same tmpfs "$(inside web stat -f -c %T /run/secrets)"
}

@test "a value is in no file, no log and no answer; and is gone with its task" {
    { secret pw value; service web 'secrets: [pw]'; } >"$node/spec.yaml"
    apply
    same "$CANARY" "$(inside web cat /run/secrets/pw)"
    tell_all
    same '' "$(seen "$CANARY")"
    pid=$(task_pid "$(tasks web)")
    tr '\0' '\n' <"/proc/$pid/environ" | grep -F "$CANARY" && return 1
    printf %s-second "$CANARY" >"$node/value"
    apply
    tell_all
    same '' "$(seen "$CANARY")"
    musterd_end KILL
    musterd_start
    same "$CANARY-second" "$(inside web cat /run/secrets/pw)"
    muster service rm web
    nothing_left
    muster secret rm pw
    same '' "$(muster secret ls -q)"
    same '' "$(seen "$CANARY")"
}

# The check above finds what it is for.
@test "a planted value is found" {
    mkdir -p "$node/state/tasks/x"
    printf %s "$CANARY" >"$node/state/tasks/x/leak"
    same "$node/state/tasks/x/leak" "$(seen "$CANARY")"
    rm -r "$node/state/tasks/x"
    printf %s "$CANARY" | base64 >"$node/state/leak"
    same "$node/state/leak" "$(seen "$CANARY")"
}

@test "a new content replaces the tasks of all that use it, and is shown beforehand" {
    { secret pw value; service web 'secrets: [pw]'; } >"$node/spec.yaml"
    service other 'secrets: [pw]' >"$node/other.yaml"
    service aside >"$node/aside.yaml"
    apply
    muster apply -f "$node/other.yaml" -f "$node/aside.yaml"
    first=$(tasks web) second=$(tasks other) third=$(tasks aside)
    exits 0 apply
    exits 0 muster diff -f "$node/spec.yaml"
    printf changed >"$node/value"
    exits 1 muster diff -f "$node/spec.yaml"
    [[ $output =~ "secret pw: changed" && $output =~ "service web: changed" && $output =~ "service other: changed" ]]
    [[ $output =~ "secrets[pw]: the content so far -> the new content  [restart]" ]]
    exits 0 muster apply --dry-run -f "$node/spec.yaml"
    [[ $output =~ "service other: would be updated (restart)" ]]
    same "$CANARY" "$(inside web cat /run/secrets/pw)"
    apply
    same changed "$(inside web cat /run/secrets/pw)"
    same changed "$(inside other cat /run/secrets/pw)"
    [ "$(tasks web)" != "$first" ] && [ "$(tasks other)" != "$second" ]
    same "$third" "$(tasks aside)"
    same pw "$(muster secret ls --format '{{.Name}}')" # what came before is shown to nobody
}

@test "with on_change signal or none, the file alone is replaced" {
    echo one >"$node/conf"
    {
        secret pw value
        printf '%s\n' --- 'kind: config' 'name: conf' 'file: conf'
        service web 'secrets: [{source: pw, on_change: signal}]' 'configs: [{source: conf, on_change: none}]'
    } >"$node/spec.yaml"
    apply
    first=$(tasks web)
    await logged ready
    printf changed >"$node/value"
    apply
    await logged 'got HUP'
    same changed "$(inside web cat /run/secrets/pw)"
    echo two >"$node/conf"
    apply
    await has_inside two /conf
    musterd_end KILL # the next daemon finds its way to the files too
    musterd_start
    printf 'changed once more' >"$node/value"
    apply
    await has_inside 'changed once more' /run/secrets/pw
    same "$first" "$(tasks web)"
    muster service rm web
    nothing_left
}

logged() { # TEXT
    [[ $(muster service logs web 2>&1) == *"$1"* ]]
}

has_inside() { # TEXT FILE
    [ "$(inside web cat "$2")" = "$1" ]
}

@test "what is missing, too large or in use is refused, with the place" {
    service web 'secrets: [nowhere]' >"$node/spec.yaml"
    exits 2 apply
    [[ $output =~ "secret 'nowhere' not found" ]]
    service web 'secrets: [{source: pw, uid: root}]' >"$node/spec.yaml"
    exits 2 muster lint "$node/spec.yaml"
    [[ $output =~ spec.yaml:[0-9]+:[0-9]+ ]]
    { secret pw absent; } >"$node/spec.yaml"
    exits 2 apply
    [[ $output =~ spec.yaml:3:7 || $output =~ spec.yaml:[0-9]+:[0-9]+ ]]
    head -c 512001 /dev/zero >"$node/large"
    exits 2 muster secret create pw "$node/large"
    exits 2 muster secret create pw /dev/null
    muster secret create pw "$node/value"
    exits 5 muster secret create pw "$node/value"
    service web 'secrets: [pw]' >"$node/spec.yaml"
    apply
    exits 9 muster secret rm pw
    [[ $output =~ "secret 'pw' is in use by the following service: web" ]]
    muster service update --secret-rm pw web
    exits 1 inside web test -e /run/secrets/pw
    muster secret rm pw
}

@test "flags of services: short and long forms, added and taken away" {
    muster secret create pw "$node/value"
    echo conf | muster config create conf -
    muster service create --name web --secret source=pw,target=key,mode=0400 --config conf \
        "oci-archive:$IMAGES/busybox.tar" sh -c 'trap exit TERM; while :; do sleep 1 & wait; done'
    same "$CANARY" "$(inside web cat /run/secrets/key)"
    same conf "$(inside web cat /conf)"
    muster service update --secret-add source=pw,target=other --config-rm conf web
    same "$CANARY" "$(inside web cat /run/secrets/other)"
    exits 1 inside web test -s /conf
}

@test "a rollback brings the older content back, and what nobody can go back to goes" {
    { secret pw value; service web 'secrets: [pw]'; } >"$node/spec.yaml"
    apply
    printf changed >"$node/value"
    apply
    same changed "$(inside web cat /run/secrets/pw)"
    muster service rollback web
    same "$CANARY" "$(inside web cat /run/secrets/pw)"
    same 1 "$(muster secret ls -q | wc -l)"
    apply # declared again, it is the newest
    same changed "$(inside web cat /run/secrets/pw)"
    muster service rm web
    await muster secret rm pw
    same '' "$(muster secret ls -q)"
}
