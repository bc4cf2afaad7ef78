#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# test/e2e/trust.bats — the authority and the join tokens of a cluster: what its commands say, what they change, and that no
# secret of theirs is anywhere to be found.

load ../lib/daemon_lib.bash

# A loopback address of the test's own, as in test/lib/managers.bash.
setup() {
    daemon_start --executor fake --listen "127.$((64 + (BASHPID >> 16 & 63))).$((BASHPID >> 8 & 255)).$((BASHPID & 255)):2377"
}

teardown() {
    daemon_stop
}

token() { # worker|manager
    "$MUSTER" swarm join-token -q "$1"
}

secret_of() { # TOKEN
    echo "${1##*-}"
}

# The SHA-256 of a certificate as a token has it: 50 digits of base 36.
digest_of() { # FILE
    local alphabet=0123456789abcdefghijklmnopqrstuvwxyz text='' bytes rest i
    read -ra bytes <<<"$(openssl x509 -in "$1" -outform DER | openssl dgst -sha256 -binary | od -An -v -tu1 | tr '\n' ' ')"
    while [ ${#text} -lt 50 ]; do
        rest=0
        for i in "${!bytes[@]}"; do
            rest=$((rest << 8 | bytes[i])) bytes[i]=$((rest / 36)) rest=$((rest % 36))
        done
        text=${alphabet:rest:1}$text
    done
    echo "$text"
}

@test "swarm init tells how workers join, and how to find out how managers do" {
    works swarm init --advertise-addr 127.0.0.9
    has "$out" "To add a worker to this swarm, run the following command:

    muster swarm join --token $(token worker) 127.0.0.9:2377"
    has "$out" "To add a manager to this swarm, run 'muster swarm join-token manager' and follow the instructions."
}

@test "tokens hold the authority's digest; rotated, only the secret is another" {
    works swarm init
    local worker manager
    worker=$(token worker) manager=$(token manager)
    [[ $worker =~ ^MUSTKN-1-[0-9a-z]{50}-[0-9a-z]{25}$ ]]
    same "${worker%-*}" "${manager%-*}"
    [ "$(secret_of "$worker")" != "$(secret_of "$manager")" ]
    "$MUSTER" swarm ca >"$DAEMON_DIR/ca.pem"
    same "MUSTKN-1-$(digest_of "$DAEMON_DIR/ca.pem")" "${worker%-*}"
    works swarm join-token --rotate worker
    has "$out" "Successfully rotated worker join token."
    has "$out" "muster swarm join --token $(token worker) "
    [ "$(secret_of "$(token worker)")" != "$(secret_of "$worker")" ]
    same "${worker%-*}" "$(token worker | sed 's/-[^-]*$//')"
    same "$manager" "$(token manager)"
    works log
    has "$out" 'swarm join-token --rotate worker'
}

@test "time and uses limit the token that counts, until it is rotated" {
    works swarm init
    local before
    before=$(token manager)
    works swarm join-token --ttl 90m --uses 3 manager
    has "$out" "It lets nobody in after 20"
    has "$out" "It is for 3 nodes, 0 of which have joined by it."
    same "$before" "$(token manager)"
    works swarm join-token manager
    has "$out" "It is for 3 nodes"
    works swarm join-token --ttl 0 manager
    [[ $out != *"lets nobody in"* && $out == *"It is for 3 nodes"* ]]
    works swarm join-token --ttl 1ms manager
    works swarm join-token manager
    has "$out" "It expired at 20*--rotate"
    works swarm join-token --rotate --uses 1 manager
    [[ $out != *expired* && $out == *"It is for 1 node, "* ]]
    works swarm join-token --rotate manager
    [[ $out != *"It is for"* ]]
}

@test "what is no role, no time and no number is refused before anything is done" {
    refused 3 'swarm init' swarm join-token worker
    refused 3 'swarm init' swarm ca
    works swarm init
    local before
    before=$(token worker)
    refused 2 'worker or manager' swarm join-token boss
    refused 2 'join-token' swarm join-token
    refused 2 'ttl' swarm join-token --rotate --ttl soon worker
    refused 2 'ttl' swarm join-token --rotate --ttl -1h worker
    refused 2 'uses' swarm join-token --rotate --uses -1 worker
    refused 2 'at most 1000000' swarm join-token --rotate --uses 1000001 worker
    refused 2 'needs --rotate' swarm ca --detach
    refused 2 'not in this version' swarm update --autolock
    refused 2 'nothing to change' swarm update
    refused 2 'cert-expiry' swarm update --cert-expiry soon
    refused 2 'cert_expiry' swarm update --cert-expiry 1m
    same "$before" "$(token worker)"
}

@test "a daemon without a port for others has no use for another authority" {
    daemon_stop
    daemon_start --executor fake --listen 127.0.0.1:0
    works swarm init
    refused 9 'has no port for other nodes' swarm ca --rotate
}

@test "swarm update changes what is named, and nothing else" {
    works swarm init --task-history-limit 3
    local before
    before=$(token worker)
    works swarm update --dispatcher-heartbeat 7s --cert-expiry 720h --why "shorter lives"
    same 'Swarm updated.' "$out"
    works get cluster -o json
    same '3 7000000000 2592000000000000' \
        "$(jq -r ' "\(.task_history_limit) \(.dispatcher_heartbeat) \(.cert_expiry)"' <<<"$out")"
    works swarm update --task-history-limit -5
    works log
    has "$out" 'shorter lives'
    same "$before" "$(token worker)"
}

@test "the authority's certificate is one that OpenSSL verifies, and has signed this node's" {
    works swarm init
    "$MUSTER" swarm ca >"$DAEMON_DIR/ca.pem"
    openssl verify -CAfile "$DAEMON_DIR/ca.pem" "$DAEMON_DIR/ca.pem"
    openssl verify -CAfile "$DAEMON_DIR/ca.pem" "$DAEMON_DIR"/state/certificates/*/node.pem
}

@test "the authority of one manager is replaced in a moment; detached, it goes on by itself" {
    works swarm init
    "$MUSTER" swarm ca >"$DAEMON_DIR/before.pem"
    works swarm ca --rotate --timeout 60s
    has "$err_out" 'rotated TLS certificates: 1/1 nodes'
    echo "$out" >"$DAEMON_DIR/after.pem"
    [ "$(<"$DAEMON_DIR/before.pem")" != "$out" ]
    openssl verify -CAfile "$DAEMON_DIR/after.pem" "$DAEMON_DIR"/state/certificates/*/node.pem
    works swarm ca --rotate --detach -q
    same '' "$out$err_out"
    await is_replaced
    works log
    has "$out" 'all nodes have certificates by the new authority'
}

is_replaced() {
    [ "$("$MUSTER" swarm ca | grep -c BEGIN)" = 1 ] && ! "$MUSTER" swarm ca | cmp -s - "$DAEMON_DIR/after.pem"
}

@test "neither secrets nor keys are anywhere but where they belong" {
    works swarm init
    local secret secrets=()
    for role in worker manager worker manager; do
        secrets+=("$(secret_of "$(token $role)")")
        "$MUSTER" swarm join-token --rotate -q $role >/dev/null
    done
    secrets+=("$(secret_of "$(token worker)")" "$(secret_of "$(token manager)")")
    works swarm ca --rotate --detach
    {
        for format in json yaml wide; do
            "$MUSTER" get cluster -o $format
        done
        "$MUSTER" log -o json
        "$MUSTER" info -o json
    } >"$DAEMON_DIR/shown"
    [ -s "$DAEMON_DIR/shown" ]
    # The whole state, what clients were shown, and the log.
    for secret in "${secrets[@]}"; do
        same 25 ${#secret}
        same '' "$(grep -ralF -e "$secret" "$DAEMON_DIR")"
    done
    same "$(echo "$DAEMON_DIR"/state/certificates/*/node.pem)" "$(grep -ralF 'PRIVATE KEY' "$DAEMON_DIR")"
    same 600 "$(stat -c %a "$DAEMON_DIR"/state/certificates/*/seal.key)"
}
