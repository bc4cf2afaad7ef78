#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# test/e2e/joining.bats — who is let into a cluster and who is not: tokens, certificates, and strangers in between.

load ../lib/managers.bash

setup() {
    managers_setup
    fake=
}

teardown() {
    [ -n "$BATS_TEST_COMPLETED" ] || tail -n 20 "$cluster"/*/log >&2
    [ -z "$fake" ] || kill "$fake" 2>/dev/null || :
    managers_remove
}

joins() { # NUMBER TOKEN [ADDRESS]
    on "$1" swarm join --token "$2" "${3:-$(address 1)}"
}

papers() { # NUMBER: where its certificate is
    echo "$cluster/$1"/state/certificates/?????????????????????????
}

says_certificate() { # NUMBER: its subject
    openssl x509 -in "$(papers "$1")/node.pem" -noout -subject -nameopt multiline
}

node_id() { # NUMBER
    cat "$cluster/$1/state/node-id"
}

# Another digit in the secret.
wrong() { # TOKEN
    echo "${1%?}$([ "${1: -1}" = 0 ] && echo 1 || echo 0)"
}

later_than() { # SECONDS
    [ "$EPOCHSECONDS" -gt "$1" ]
}

no_trace_of() { # NUMBER: it is in no cluster, and the others have no record of it
    same inactive "$(on "$1" info --format '{{.Swarm.LocalNodeState}}')"
    refute grep -q "n$1" <(on 1 node ls --format '{{.Hostname}}')
}

# --- the role is the token's ---

@test "a manager's token makes a manager, a worker's a worker; each has the certificate of its role" {
    managers_cluster 1
    manager_start 2
    manager_start 3
    same 'This node joined a swarm as a manager.' "$(joins 2 "$(token 1)" 2>/dev/null)"
    same 'This node joined a swarm as a worker.' "$(joins 3 "$(token 1 worker)" "$(address 2)")" # who leads is told
    matches "commonName += $(node_id 2)" "$(says_certificate 2)"
    matches 'organizationalUnitName += muster-manager' "$(says_certificate 2)"
    matches "commonName += $(node_id 3)" "$(says_certificate 3)"
    matches 'organizationalUnitName += muster-worker' "$(says_certificate 3)"
    same worker "$(on 1 node inspect n3 --format '{{.spec.role}}')"
    same 600 "$(stat -c %a "$(papers 3)/node.pem")"
    [ -e "$(papers 2)/seal.key" ]
    refute ls "$(papers 3)/seal.key"
    refute ls "$cluster"/[23]/state/certificates/joining.key
    [ -s "$cluster/3/state/managers" ]
    refute grep -qF "$(address 3)" <(on 1 info -o json)
}

@test "availability and address come with the join" {
    managers_cluster 1
    manager_start 2 --listen "0.0.0.0:$((2376 + 2))"
    on 2 swarm join --token "$(token 1)" --availability drain --advertise-addr "${host%.*}.254" "$(address 1)" >/dev/null 2>&1
    same drain "$(on 1 node inspect n2 --format '{{.spec.availability}}')"
    same "${host%.*}.254" "$(on 1 node inspect n2 --format '{{.status.address}}')"
    await all_answer 2
    manager_end 2
    manager_start 2 --listen "0.0.0.0:$((2376 + 2))"
    await all_answer 2
}

# --- tokens that do not let in ---

@test "a wrong token, one of before a rotation, one that has expired, and one that is used up are refused" {
    managers_cluster 1
    manager_start 2
    manager_start 3
    first=$(token 1)
    exits 4 joins 2 "$(wrong "$first")"
    no_trace_of 2
    on 1 swarm join-token --rotate -q manager >"$cluster/second"
    exits 4 joins 2 "$first"
    matches 'replaced by a newer one' "$output"
    no_trace_of 2
    short=$(on 1 swarm join-token --rotate --ttl 1s -q manager)
    await later_than $((EPOCHSECONDS + 2))
    exits 4 joins 2 "$short"
    matches 'expired' "$output"
    once=$(on 1 swarm join-token --rotate --uses 1 -q worker)
    joins 3 "$once" >/dev/null
    exits 4 joins 2 "$once"
    matches 'used' "$output"
    no_trace_of 2
    on 1 swarm join-token --rotate -q worker >"$cluster/third"
    joins 2 "$(<"$cluster/third")" >/dev/null
}

@test "a token of another cluster, and an address of another cluster: nothing is said to it" {
    managers_cluster 1
    manager_start 2
    on 2 swarm init >/dev/null
    manager_start 3
    exits 4 joins 3 "$(token 2)" "$(address 1)"
    matches "authority" "$output"
    no_trace_of 3
    joins 3 "$(token 2)" "$(address 2)" >/dev/null 2>&1
}

# Somebody who answers at that address, with the certificate of a manager of another cluster.
begin_fake() { # NUMBER ADDRESS
    mkfifo "$cluster/words"
    exec 8<>"$cluster/words"
    openssl s_server -accept "$2" -tls1_3 -cert "$(papers "$1")/node.pem" -key "$(papers "$1")/node.pem" \
        -cert_chain "$(papers "$1")/authorities.pem" -quiet <&8 >"$cluster/heard" 2>"$cluster/fake" 3>&- &
    fake=$!
    await is_called "$2"
}

is_called() { # ADDRESS
    (exec 7<>"/dev/tcp/${1%:*}/${1##*:}") 2>/dev/null
}

@test "a foreign authority between joiner and leader hears no secret" {
    managers_cluster 1
    manager_start 2
    on 2 swarm init >/dev/null
    manager_start 3
    ours=$(token 1)
    theirs=$(token 2)
    begin_fake 2 "$(address 7)"
    exits 4 joins 3 "$ours" "$(address 7)"
    matches 'authority' "$output"
    refute test -s "$cluster/heard" # not a byte
    # Who trusts that authority speaks to it.
    on 3 swarm join --token "$theirs" "$(address 7)" >/dev/null 2>&1 3>&- &
    await test -s "$cluster/heard"
    wait $! || :
}

# --- who is who ---

@test "nobody takes the place of a node by its name or its id" {
    managers_cluster 2
    manager_start 3
    joins 3 "$(token 1 worker)" >/dev/null
    manager_end 3
    before=$(on 1 node inspect n2 n3)
    mkdir -p "$cluster/4/state" "$cluster/5/state"
    cp "$cluster/3/state/node-id" "$cluster/4/state"
    cp "$cluster/2/state/node-id" "$cluster/5/state"
    manager_start 4
    manager_start 5
    exits 4 joins 4 "$(token 1 worker)"
    matches 'part of this swarm already' "$output"
    exits 4 joins 5 "$(token 1)"
    matches 'part of this swarm already' "$output"
    await all_answer 2
    same "$(jq '.[].spec' <<<"$before")" "$(on 1 node inspect n2 n3 | jq '.[].spec')"
}

@test "one that is killed while it joins joins by the same command" {
    managers_cluster 1
    manager_start 2
    tracer=(strace -f -qq -o "$cluster/trace" -e trace=fdatasync,fsync,rename,renameat -e inject=fdatasync,fsync:signal=KILL:when=1 -p "${manager_pids[2]}")
    "${tracer[@]}" 3>&- &
    await grep -qs "TracerPid:.[1-9]" "/proc/${manager_pids[2]}/status"
    joins 2 "$(token 1)" >/dev/null 2>&1 || :
    manager_end 2
    manager_start 2
    joins 2 "$(token 1)" >/dev/null 2>&1 || matches 'already part' "$(joins 2 "$(token 1)" 2>&1)"
    await all_answer 2
    same 2 "$(on 1 node ls -q | grep -c .)"
}

@test "a node that was removed is told so when it asks with what it had" {
    managers_cluster 2
    manager_start 3
    joins 3 "$(token 1)" >/dev/null 2>&1
    await all_answer 3
    manager_end 3
    await has_words 3 Down Unreachable
    on 1 node rm n3 >/dev/null 2>&1 || on 1 node rm --force n3 >/dev/null
    rm -r "$cluster/3/state/store" # it keeps its certificate
    manager_start 3
    exits 4 joins 3 "$(token 1)"
    matches 'was removed from this swarm.*swarm leave --force' "$output"
}

# --- renewal ---

serial() { # NUMBER
    openssl x509 -in "$(papers "$1")/node.pem" -noout -serial
}

lives_an_hour() { # NUMBER
    openssl x509 -in "$(papers "$1")/node.pem" -noout -checkend 0 >/dev/null && ! openssl x509 -in "$(papers "$1")/node.pem" -noout -checkend 3700 >/dev/null
}

@test "shorter lives of certificates: all are renewed at once, and no link breaks" {
    managers_cluster 3
    before=$(serial 1)$(serial 2)$(serial 3)
    downs=$(cat "$cluster"/*/log | grep -c manager.down || :)
    on 1 swarm update --cert-expiry 1h >/dev/null
    for number in 1 2 3; do
        await lives_an_hour "$number"
    done
    same "$downs" "$(cat "$cluster"/*/log | grep -c manager.down || :)"
    [ "$before" != "$(serial 1)$(serial 2)$(serial 3)" ]
    manager_end 2
    manager_start 2
    await all_answer 3
}
