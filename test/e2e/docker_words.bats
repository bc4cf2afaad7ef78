#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# test/e2e/docker_words.bats — Docker's commands against a real musterd whose containers are pretended: words, columns, exit statuses.

load ../lib/daemon_lib.bash

setup_file() {
    daemon_start --executor fake
}

teardown_file() {
    daemon_stop
}

teardown() {
    local left
    left=$("$MUSTER" service ls -q 2>/dev/null) || :
    # shellcheck disable=SC2086 # ids, one a line
    [ -z "$left" ] || "$MUSTER" service rm $left >/dev/null 2>&1 || :
    [ -z "$left" ] || await services 0
}

# A service that is there at once, and whose changes need not prove themselves for 5 s.
create() { # NAME OPTION…
    works service create --progress none --update-monitor 1ms --name "$1" "${@:2}" busybox sleep 1000
}

@test "before there is a cluster, commands say how to make one" {
    refused 3 'swarm init' service ls
    refused 3 'swarm init' service create --name web busybox
    refused 3 'swarm init' node ls
}

@test "swarm init says who is a manager, and what does not act yet" {
    refused 2 '--cert-expiry' swarm init --cert-expiry soon
    refused 2 '--availability' swarm init --availability maybe
    refused 2 'needs --default-addr-pool' swarm init --default-addr-pool-mask-length 24
    works swarm init --task-history-limit 3 --cert-expiry 100h --autolock --advertise-addr 127.0.0.1 --data-path-addr 127.0.0.1
    [[ $out =~ ^'Swarm initialized: current node ('[0-9a-z]{25}') is now a manager.' ]]
    has "$out" 'muster apply -f FILE'
    has "$err_out" 'autolock is stored, but not yet acting'
    has "$err_out" '--data-path-addr is accepted, but does not act yet'
    has "$out" 'muster swarm join --token MUSTKN-1-[0-9a-z-]* 127.0.0.1:'
    refused 5 'already part of a swarm' swarm init
}

@test "create prints the id, and waits until all runs" {
    muster service create --name web --replicas 3 busybox sleep 1000
    same 0 "$status"
    [[ $out =~ ^[0-9a-z]{25}$ ]]
    has "$err_out" 'web: converged'
    replicas web 3/3
    works service ls
    has "$out" 'ID *NAME *MODE *REPLICAS *IMAGE *PORTS'
    has "$out" 'web *replicated *3/3 *busybox'
    works service ls -q
    [[ $out =~ ^[0-9a-z]{25}$ ]]
}

@test "a service without a name is given one" {
    works service create -d busybox
    works service ls --format '{{.Name}}'
    [[ $out =~ ^[a-z]+_[a-z]+$ ]]
}

@test "what create cannot do is refused, and nothing is made" {
    create web
    refused 5 "already exists" service create --name web busybox
    refused 2 '--replica' service create --replica 3 busybox
    refused 2 '--limit-memory' service create --limit-memory lots busybox
    refused 2 '4' service create --limit-memory 1k busybox
    refused 2 '--replicas can only be used' service create --mode global --replicas 2 busybox
    refused 2 'image' service create --name bad 'Not An Image'
    refused 2 'name' service create --name 'no good' busybox
    refused 2 'at least 1 argument' service create
    refused 2 '--mount' service create --mount type=bind,src=/x busybox
    refused 2 "secret 'absent' not found" service create --name bad --secret absent busybox
    refused 2 'ports' service create --name bad --endpoint-mode dnsrr -p 80:80 busybox
    works service ls --format '{{.Name}}'
    same web "$out"
}

@test "a service that cannot run is told about, and waiting ends at the timeout" {
    muster service create --name lost --constraint node.labels.disk==ssd --timeout 200ms busybox
    same 8 "$status"
    [[ $out =~ ^[0-9a-z]{25}$ ]]
    has "$err_out" 'no suitable node'
    works service ps lost --no-trunc
    has "$out" 'Running *Pending * ago *"no suitable node'
}

@test "Ctrl-C while waiting leaves the work going on" {
    # Job control, because a background job of a shell without it ignores SIGINT.
    set -m
    "$MUSTER" service create --name lost --constraint node.labels.disk==ssd busybox >"$BATS_TEST_TMPDIR/id" 2>"$BATS_TEST_TMPDIR/said" &
    local pid=$! status=0
    set +m
    await grep -q . "$BATS_TEST_TMPDIR/said"
    kill -INT "$pid"
    wait "$pid" || status=$?
    same 130 "$status"
    has "$(<"$BATS_TEST_TMPDIR/said")" 'muster service ps lost'
    works service ls -q
    same "$(<"$BATS_TEST_TMPDIR/id")" "$out"
}

@test "scale changes services in one step, or none" {
    create web
    create worker
    create every --mode global
    works service scale -d web=3 worker=2
    same $'web scaled to 3\nworker scaled to 2' "$out"
    await replicas web 3/3
    await replicas worker 2/2
    refused 2 'scale can only be used with replicated' service scale web=5 every=2
    refused 2 "not found" service scale web=5 nope=2
    refused 2 'SERVICE=REPLICAS' service scale web
    refused 2 "0 to 1000000, not '-1'" service scale web=-1
    replicas web 3/3
    works service scale --progress none web=0
    replicas web 0/0
}

@test "update changes what is given, and replaces the tasks" {
    create web --replicas 2 --env A=1 --label keep=me
    works service update --progress none --env-add B=2 --env-rm A --limit-memory 64m web
    same web "$out"
    works service inspect -f '{{json .spec.environment}} {{.spec.deploy.resources.limits.memory}} {{json .spec.deploy.labels}}' web
    same '{"B":"2"} 67108864 {"keep":"me"}' "$out"
    works service ps web
    [ "$(grep -c ' \\_ web\.[12] .* Shutdown  *Shutdown ' <<<"$out")" = 2 ]
    works service ps web -q --filter desired-state=running
    [ "$(wc -l <<<"$out")" = 2 ]
    local before=$out
    works service update --progress none web # nothing
    works service ps web -q --filter desired-state=running
    same "$before" "$out"
    works service update --progress none --force web
    works service ps web -q --filter desired-state=running
    [ "$before" != "$out" ]
    refused 2 'not found' service update --force nope
    refused 2 '--env-ad' service update --env-ad C=1 web
    refused 2 'leave --force out' service update --rollback --force web
}

@test "rollback goes back, and once more forward" {
    create web
    refused 2 'no spec before' service rollback web
    works service update -d --image busybox:2 web
    works service rollback -d web
    same web "$out"
    works service inspect -f '{{.spec.image}}' web
    same busybox "$out"
    works service update -d --rollback web
    works service inspect -f '{{.spec.image}}' web
    same busybox:2 "$out"
}

@test "ps has Docker's columns, and goes on after what is not there" {
    create web --replicas 2
    works service ps web
    has "$out" 'ID *NAME *IMAGE *NODE *DESIRED STATE *CURRENT STATE *ERROR *PORTS'
    has "$out" 'web.1 *busybox:latest *alpha *Running *Running *ago'
    works service ps --no-resolve web
    has "$out" "$("$MUSTER" service ls -q).1"
    has "$out" "$("$MUSTER" node ls -q)"
    works service ps --format '{{.Name}} {{.Node}} {{.DesiredState}}' web
    same $'web.1 alpha Running\nweb.2 alpha Running' "$out"
    works service ps -q --filter name=web.2 web
    [[ $out =~ ^[0-9a-z]{25}$ ]]
    muster service ps nope web
    same 2 "$status"
    has "$err_out" "'nope' not found"
    has "$out" 'web.1'
    refused 2 'no such key' service ps --filter nope=1 web
}

@test "ls speaks JSON, YAML, names and templates" {
    create web --label tier=front
    create db
    works service ls -o json
    same '["db","web"]' "$(jq -c 'map(.spec.name)' <<<"$out")"
    works service ls --format json
    same '"db" "web"' "$(jq -c .Name <<<"$out" | paste -sd ' ')"
    works service ls -o name
    same $'service/db\nservice/web' "$out"
    works service ls --filter label=tier=front --format 'table {{.Name}}\t{{.Image}}'
    same $'NAME      IMAGE\nweb       busybox:latest' "$(sed 's/ *$//' <<<"$out")"
    works service ls -o yaml
    has "$out" 'kind: service'
    refused 2 '--output' service ls -o csv
    refused 2 '.Nam' service ls --format '{{.Nam}}'
}

@test "inspect shows all, as JSON, by a template, or as a page" {
    create web --publish 8080:80 --mount type=tmpfs,target=/tmp --health-cmd true --limit-cpu 0.5
    works service inspect web
    same 'web 8080 tmpfs 500000000' "$(jq -r '.[0].spec | "\(.name) \(.ports[0].published) \(.volumes[0].type) \(.deploy.resources.limits.cpus * 1000000000)"' <<<"$out")"
    works service inspect --pretty web
    has "$out" 'Name: *web*Service Mode: *Replicated*ContainerSpec:*Image: *busybox*Mounts:*/tmp*Limits:*CPU: *0.5*PublishedPort: *8080*Healthcheck:'
    refused 2 'incompatible' service inspect --pretty -f x web
    muster service inspect nope web
    same 2 "$status"
    same web "$(jq -r '.[].spec.name' <<<"$out")"
}

@test "nodes are listed, drained, labelled; self is the one asked" {
    create web --replicas 2
    works node ls
    has "$out" 'ID *HOSTNAME *STATUS *AVAILABILITY *MANAGER STATUS *ENGINE VERSION'
    has "$out" ' \* *alpha *Ready *Active *Leader'
    works node ps self
    has "$out" 'web.1'
    works node update --availability drain --label-add disk=ssd --why maintenance self
    same self "$out"
    same '' "$err_out"
    await replicas web 0/2
    works node inspect self
    same 'drain ssd' "$(jq -r '.[0].spec | "\(.availability) \(.labels.disk)"' <<<"$out")"
    works node inspect --pretty alpha
    has "$out" 'Availability: *Drain'
    works node update --availability active --label-rm disk alpha
    await replicas web 2/2
    refused 2 "has no label 'disk'" node update --label-rm disk alpha
    refused 2 '--availability' node update --availability gone alpha
    refused 2 'not found' node update --availability drain beta
    refused 9 'last manager' node update --role worker alpha
    works log
    has "$out" maintenance
}

@test "rm echoes what it removed, goes on after what is not there, and tasks go" {
    create web --replicas 2
    create db
    muster service rm web nope db
    same 2 "$status"
    same $'web\ndb' "$out"
    has "$err_out" "'nope' not found"
    await services 0
    works node ps -q self --filter desired-state=running
    same '' "$out"
}

@test "logs of nothing, and what logs refuses" {
    create web
    works service logs --tail 5 --since 10m web
    refused 2 'no such service or task' service logs nope
    refused 2 '--tail' service logs --tail some web
    refused 2 'is no time' service logs --since yesterday web
}

@test "no daemon, and a daemon of somebody else" {
    refused 3 'start it with: musterd' -H "unix://$DAEMON_DIR/none.sock" service ls
    refused 2 'is not a host' -H tcp://127.0.0.1:2377 service ls
    local status=0
    chmod 711 "$DAEMON_DIR"
    setpriv --reuid 65534 --clear-groups "$MUSTER" service ls 2>"$BATS_TEST_TMPDIR/said" || status=$?
    same 4 "$status"
    has "$(<"$BATS_TEST_TMPDIR/said")" 'use sudo'
}

@test "words that are none are refused with the nearest one" {
    refused 2 "did you mean 'muster service scale'" service scal web=1
    refused 2 "did you mean" servce ls
    refused 2 'takes no arguments' service ls web
}
