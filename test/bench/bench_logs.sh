#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# test/bench/bench_logs.sh — how fast `muster logs` brings the logs of tasks on a worker, asked at a manager, against the same bytes
# through a plain TLS connection (openssl s_server) between the same network namespaces.
#
# The logs of 16 tasks hold MEGABYTES (100) of lines of 100 bytes; that is what counts, though the files have 40 bytes more a line. The
# highest of the runs is the figure: the others were disturbed.
set -eu
cd "$(dirname "$0")/../.."
dir=$(mktemp -d /tmp/muster-bench-logs.XXXXXX)
MUSTER_CLUSTER_DIR=$dir/net.$$
# shellcheck source=examples/cluster.sh
. examples/cluster.sh
server=

finish() {
    [ -z "$server" ] || kill "$server" 2>/dev/null || :
    cluster_stop >/dev/null 2>&1 || :
    rm -rf --one-file-system "$dir"
}
trap finish EXIT

tasks=16
lines=$((${MEGABYTES:-100} * 10000 / tasks)) # of each
cluster_start 3 2 --executor process
printf '%s\n' 'kind: service' 'name: talk' 'image: none' \
    "command: [sh, -c, 'yes $(printf '%099d' 7) | head -n $lines; exec sleep 1000']" \
    "deploy: {replicas: $tasks, placement: {constraints: [node.role==worker]}}" >"$dir/talk.yaml"
cluster_on 1 apply -f "$dir/talk.yaml" >/dev/null 2>&1

logs() {
    find "$cluster/3/state" -name 'log*' -path '*/*/*/log*' -size +0
}
is_written() {
    [ "$(logs | xargs cat /dev/null | grep -c 0000007$)" = "$((lines * tasks))" ]
}
cluster_await 120 is_written
mkdir "$dir/www"
logs | xargs cat >"$dir/www/log"

# best COMMAND…: MB of text a second
best() {
    local from took least=
    for _ in 1 2 3; do
        from=${EPOCHREALTIME/./}
        "$@"
        took=$((${EPOCHREALTIME/./} - from))
        [ -n "$least" ] && [ "$least" -le "$took" ] || least=$took
    done
    awk -v us="$least" -v bytes="$((lines * tasks * 100))" 'BEGIN { printf "%.1f", bytes / us }'
}

logs_at() { # NUMBER
    [ "$(cluster_on "$1" logs --raw talk | wc -l)" = "$((lines * tasks))" ]
}

fetch() {
    printf 'GET /log HTTP/1.0\r\n\r\n' | cluster_in 2 openssl s_client -quiet -connect 10.89.0.3:9999 2>/dev/null
}
tls() {
    [ "$(fetch | wc -l)" -ge "$((lines * tasks))" ]
}

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=bench -keyout "$dir/key" -out "$dir/cert" 2>/dev/null
(cd "$dir/www" && exec nsenter --net="/run/netns/$(cluster_space 3)" openssl s_server -WWW -accept 9999 -key "$dir/key" -cert "$dir/cert" \
    >/dev/null 2>&1 </dev/null) &
server=$!
answers() {
    [ "$(fetch | head -c 4)" = HTTP ]
}
cluster_await 10 answers

figure() { # NAME VALUE UNIT
    printf '{"bench":"logs","figure":"%s","value":%s,"unit":"%s","budget":null}\n' "$1" "$2" "$3"
}

plain=$(best tls)
relayed=$(best logs_at 2)
leader=$(best logs_at 1)
figure logs_of_a_worker_at_a_follower "$relayed" MB/s
figure logs_of_a_worker_at_the_leader "$leader" MB/s
figure same_file_over_tls_openssl "$plain" MB/s
figure relayed_to_tls "$(awk -v a="$relayed" -v b="$plain" 'BEGIN { printf "%.2f", a / b }')" ratio
