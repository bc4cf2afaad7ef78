#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# test/e2e/cli.bats — the declarative verbs against a real musterd with fake tasks: what they print, what they change,
# their exit statuses, and what they say of garbage.

load ../lib/cli_lib.bash

setup() {
    cli_setup
    cat >web.yaml <<END
kind: service
name: web
image: nginx:1
deploy:
  replicas: 3
END
    cat >never.yaml <<END
kind: service
name: never
image: nginx:1
deploy:
  placement:
    constraints: ["node.labels.none == x"]
END
}

teardown() {
    cli_teardown
}

# --- without a daemon ---

@test "without a daemon a command says how to start one, and exits 3" {
    status_is 3 muster ls
    has err "start it with: musterd"
    status_is 3 muster apply -f web.yaml
    status_is 2 muster -H tcp://127.0.0.1:1 ls
    has err "unix:///PATH/TO/muster.sock"
    status_is 0 muster lint web.yaml
    has out "1 object, no errors"
}

@test "usage errors exit 2, name the argument and the nearest word" {
    status_is 2 muster aply
    has err "did you mean 'muster apply'?"
    status_is 2 muster apply --detatch
    has err "did you mean '--detach'?"
    status_is 2 muster apply
    has err "muster apply -f FILE|DIR|-"
    status_is 2 muster ls -o xml
    has err "one of: table, wide, json, yaml, name"
    status_is 2 muster get sevrice
    has err "did you mean 'service'?"
    status_is 2 muster apply -f nowhere.yaml
    has err "nowhere.yaml"
    [ ! -s out ]
}

@test "all mistakes in files come at once, with their places, and nothing is sent" {
    printf 'kind: service\nname: web\nimage: nginx:1\ndeploy: {replica: 3}\n---\nkind: servce\nname: x\n' >bad.yaml
    status_is 2 muster apply -f bad.yaml
    has err "bad.yaml:4:10: error E0231: 'replica' is not a field of 'deploy'"
    has err "did you mean 'replicas'?"
    has err "bad.yaml:6:7: error E0202"
    has err "2 errors in the files, nothing was sent"
    status_is 2 muster lint -o json bad.yaml
    [ "$(jq -r '.diagnostics[0] | "\(.file) \(.line) \(.code)"' err)" = "bad.yaml 4 E0231" ]
    status_is 0 muster explain E0231
    has out "an unknown field"
}

@test "garbage is refused and leaves the terminal alone" {
    head -c 65536 /dev/urandom >garbage.yaml
    status_is 2 muster lint garbage.yaml
    printf 'kind: service\nname: "a\\u001b[31mb"\nimage: x\n' >escape.yaml
    status_is 2 muster lint escape.yaml
    status_is 2 muster get "$(printf 'service\033[31m')"
    ! grep -q "$(printf '\033')" out err
    : >empty.yaml
    status_is 2 muster apply -f empty.yaml
    has err "declare nothing"
    mkdir empty.d
    status_is 2 muster apply -f empty.d
}

@test "explain, schema and man need no daemon; protoc and jq read what they print" {
    status_is 0 muster explain deploy.replicas
    has out "How many tasks"
    status_is 2 muster explain service.deploi
    has err "deploy"
    muster schema --proto >muster.proto
    protoc -I . --descriptor_set_out=/dev/null muster.proto
    muster schema | jq -e '.anyOf | length > 3' >/dev/null
    muster man --to pages
    [ -s pages/muster.1 ] && [ -s pages/muster-apply.1 ]
    [ "$(find pages -name '*.1' | wc -l)" -gt 10 ]
}

@test "bash completes commands, options, values and files from the script" {
    cat >complete.sh <<'END'
source <(muster completion bash)
complete_line() { # prints the candidates for the line
    COMP_LINE=$1 COMP_POINT=${#1}
    IFS=' ' read -r -a COMP_WORDS <<<"$1"
    case $1 in *' ') COMP_WORDS+=('') ;; esac
    COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
    _muster
    echo "${COMPREPLY[*]}"
}
for line in "muster expl" "muster apply --dr" "muster apply --progress " "muster apply --progress=pl" "muster lint we"; do
    complete_line "$line"
done
END
    bash complete.sh >out
    [ "$(sed -n 1p out)" = explain ]
    [ "$(sed -n 2p out)" = --dry-run ]
    [ "$(sed -n 3p out)" = "auto tty plain none" ]
    [ "$(sed -n 4p out)" = --progress=plain ]
    [ "$(sed -n 5p out)" = web.yaml ]
}

# --- with one ---

@test "apply waits until all run, and what get prints changes nothing when applied" {
    cli_cluster
    status_is 0 muster apply -f web.yaml
    has out "service web: created"
    has err "web: 3 of 3 running"
    has err "web: converged"
    before=$(store_revision)
    for form in yaml json; do
        muster get service web -o $form >again
        status_is 0 muster apply -f - <again
        has out "service web: unchanged"
        status_is 0 muster diff -f - <again
        [ ! -s out ]
    done
    muster get all -o yaml | muster apply -f - >out 2>err
    muster get node w1 -o yaml | muster apply -f - >out 2>err
    [ "$(store_revision)" = "$before" ]
}

@test "ls, ps, get and info show what runs" {
    cli_cluster
    muster apply -q -f web.yaml
    status_is 0 muster ls
    grep -qE '^web +3/3 +running +nginx:1' out
    status_is 0 muster ps web.2
    [ "$(wc -l <out)" = 2 ]
    grep -qE '^[0-9a-z]{12} +web\.2 +nginx:1 +w1 +Running +Running .* ago' out
    [ "$(muster ps -q | wc -l)" = 3 ]
    [ "$(muster ps --filter name=web.1 --format '{{.Name}}@{{.Node}}')" = web.1@w1 ]
    [ "$(muster ls --format json | jq -r .Name)" = web ]
    [ "$(muster get services -o name)" = service/web ]
    [ "$(muster ls -o json | jq -r '.[0].spec.deploy.replicas')" = 3 ]
    [ "$(muster info --format '{{.Swarm.LocalNodeState}} {{.Swarm.Managers}}')" = "active 1" ]
    status_is 2 muster ls --filter nmae=web
    has err "one of: id, name, state, label, owner"
    status_is 2 muster get service nope
    has err "'nope'"
    status_is 0 muster get nodes -o wide
    has out "ADDRESS"
}

@test "diff tells the consequence of each field and exits 1; a dry run changes nothing" {
    cli_cluster
    muster apply -q -f web.yaml
    sed 's/nginx:1/nginx:2/; s/replicas: 3/replicas: 4/' web.yaml >changed.yaml
    status_is 1 muster diff -f changed.yaml
    has out "service web: changed, 2 fields, consequence: restart"
    has out "image: nginx:1 -> nginx:2  [restart]  changed.yaml:3:1"
    has out "deploy.replicas: 3 -> 4  [nothing]"
    status_is 1 muster diff -q -f changed.yaml
    [ ! -s out ]
    status_is 1 muster diff -f changed.yaml -o json
    [ "$(jq -r '.[0].fields[0].consequence' out)" = restart ]
    before=$(store_revision)
    status_is 0 muster apply -f changed.yaml --dry-run
    has out "service web: would be updated (restart)"
    [ "$(store_revision)" = "$before" ]
    status_is 0 muster apply -f changed.yaml --monitor 0s --why "new pictures"
    [ "$(muster ps --format '{{.Image}}' | sort -u)" = nginx:2 ]
    status_is 0 muster log web
    has out "image nginx:1 -> nginx:2"
    has out "new pictures"
}

@test "what cannot be placed: --timeout exits 8, Ctrl-C 130, and the reason is told" {
    cli_cluster
    status_is 8 muster apply -f never.yaml --timeout 100ms
    has err "constraint node.labels.none == x"
    has err "look again with: muster ps never"
    mkfifo progress
    set -m # a background job of its own is not deaf to SIGINT
    muster apply -f never.yaml 2>progress 3>&- &
    pid=$!
    set +m
    exec 8<progress
    while IFS= read -t 60 -r line <&8; do
        case $line in *waits*) break ;; esac
    done
    kill -INT $pid
    got=0
    wait $pid || got=$?
    cat <&8 >err
    exec 8<&-
    [ $got = 130 ]
    has err "the work goes on, look again with: muster ps never"
    status_is 0 muster apply -d -f never.yaml
    has out "service never: unchanged"
    status_is 0 muster why never
    has out "it waits for a node"
    has out "node.labels.none == x"
    [ "$(muster why never -o json | jq -r '.funnel | last | .left // 0')" = 0 ]
    status_is 0 muster ls
    grep -qE '^never +0/1 +waiting' out
}

@test "a daemon killed while one waits is told as such" {
    cli_cluster
    mkfifo progress
    muster apply -f never.yaml 2>progress 3>&- &
    pid=$!
    exec 8<progress
    while IFS= read -t 60 -r line <&8; do
        case $line in *waits*) break ;; esac
    done
    cli_kill
    got=0
    wait $pid || got=$?
    cat <&8 >err
    exec 8<&-
    [ $got = 3 ]
    has err "the work goes on, look again with: muster ps never"
    cli_daemon
    status_is 0 muster get service never -o yaml
    has out "node.labels.none == x"
}

@test "prune removes what a set declares no more, and a guard keeps it from much" {
    cli_cluster
    for i in 1 2 3 4 5 6 7; do
        printf -- '---\nkind: service\nname: s%s\nimage: x:1\n' $i
    done >set.yaml
    muster apply -q -f set.yaml
    muster apply -q -f web.yaml
    head -4 set.yaml >first.yaml
    status_is 0 muster apply -f first.yaml --set s # of another set: nothing to remove
    head -12 set.yaml >short.yaml && mv short.yaml set.yaml # s1 to s3
    status_is 1 muster diff -f set.yaml --prune
    has out "service s7: removed"
    status_is 0 muster apply -f set.yaml --prune
    has out "service s7: removed"
    lacks out "service web"
    head -4 set.yaml >all.yaml
    for i in $(seq 10 16); do
        printf -- '---\nkind: service\nname: s%s\nimage: x:1\n' "$i"
    done >many.yaml
    muster apply -q -f many.yaml --set big
    status_is 9 muster apply -f first.yaml --set big --prune
    has err "say --yes"
    status_is 0 muster get service s16
    status_is 0 muster apply -f first.yaml --set big --prune --yes
    has out "service s16: removed"
}

@test "log and events tell what changed, in every form" {
    cli_cluster
    muster apply -q -f web.yaml
    status_is 0 muster log
    has out "service web: created, replicated, image nginx:1"
    grep -q 'task web\.3: .*running' out
    [ "$(muster log -n 1 --format '{{.Type}}')" = task ]
    [ "$(muster log web --since 1h --format json | jq -r .Type | sort -u | tr '\n' ' ')" = "service task " ]
    status_is 0 muster events --since 1h --until 0s -f type=service -f event=create
    grep -qE 'service create [0-9a-z]{25} \(name=web, ' out
    [ "$(wc -l <out)" = 1 ]
    status_is 2 muster events -f colour=red
    has err "type, event, id, name, service, node"
    status_is 2 muster log --since yesterday
    has err "10m"
    mkfifo follow
    muster log -f -n 1 >follow 3>&- &
    pid=$!
    exec 8<follow
    IFS= read -t 60 -r line <&8 # the newest entry: from here on nothing is missed
    muster apply -q -f never.yaml -d
    while IFS= read -t 60 -r line <&8; do
        case $line in *"service never: created"*) break ;; esac
    done
    kill $pid
    wait $pid || true
    exec 8<&-
    case $line in *"service never: created"*) ;; *) false ;; esac
}

@test "on a terminal there is one block, redrawn in place; elsewhere plain lines without colour" {
    cli_cluster
    status_is 0 script -qec "stty cols 80 rows 24; muster apply -f web.yaml" /dev/null
    has out "overall progress: 3 out of 3 tasks"
    has out "verify: Service web converged"
    grep -q "$(printf '\033')" out
    sed -i 's/replicas: 3/replicas: 2/' web.yaml
    status_is 0 muster apply -f web.yaml
    ! grep -q "$(printf '\033')" out err
    grep -qE '^20[0-9-]+T[0-9:]+Z web: converged$' err
    status_is 0 env NO_COLOR=1 script -qec "muster ls" /dev/null
    ! grep -q "$(printf '\033')" out
    status_is 0 muster ls --color always
    grep -q "$(printf '\033')" out
}

@test "a full disk behind standard output is an error, a closed pipe ends quietly" {
    cli_cluster
    muster apply -q -f web.yaml
    status=0
    muster ls >/dev/full 2>err || status=$?
    [ $status = 10 ]
    has err "No space left on device"
    muster log --since 1h 2>err | head -n 1 >/dev/null
    [ ! -s err ]
}
