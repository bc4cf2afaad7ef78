#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# test/e2e/cluster_logs.bats — what tasks wrote, wherever they run, asked at whichever manager: merged, followed over replaced tasks,
# cut links and killed daemons, with a reader that does not read, and in bulk.
#
# Tasks are plain processes. Each writes lines that name its node and a number, so that none can be missed or come twice unseen.

load ../lib/cluster.bash

setup() {
    cluster_setup
    executor=process
    readers=()
}

teardown() {
    local pid
    for pid in "${readers[@]}"; do
        kill -KILL "$pid" 2>/dev/null || :
    done
    [ -n "$BATS_TEST_COMPLETED" ] || tail -n 20 "$cluster"/*/log >&2
    cluster_remove
}

# talkers MODE SCRIPT [OPTION…]: a service "talk" whose tasks run that.
talkers() {
    printf '%s\n' 'kind: service' 'name: talk' 'image: none' "command: [sh, -c, '$2']" "deploy: {$1}" >"$cluster/talk.yaml"
    on 1 apply -f "$cluster/talk.yaml" 2>/dev/null
}

# follow NUMBER NAME OPTION…: in the background; its lines are in $cluster/NAME, its notes in $cluster/NAME.notes.
follow() {
    on "$1" logs -f "${@:3}" >"$cluster/$2" 2>"$cluster/$2.notes" 3>&- &
    readers+=($!)
    reader=$!
}

lines_are() { # COUNT FILE
    [ "$(grep -c . "$2")" = "$1" ]
}

has_lines() { # COUNT NUMBER OPTION…: what that manager says now
    [ "$(on "$2" logs --raw "${@:3}" 2>/dev/null | grep -c .)" = "$1" ]
}

# asks NUMBER ARGUMENT…: it works; what it says is in $out and $err_out.
asks() {
    local status=0
    out=$(on "$@" 2>"$cluster/err") || status=$?
    err_out=$(cat "$cluster/err")
    same 0 "$status"
}

nodes_of() {
    sed -n 's/.*@\(n[0-9]\).*/\1/p' | sort -u | xargs
}

@test "logs of tasks on all nodes come from each manager, in the order in which they were written" {
    cluster_of 5 3
    talkers 'mode: global' 'for i in 1 2 3 4; do echo line $i; done; exec sleep 1000'
    await has_lines 20 1 talk
    for number in 1 2 3; do
        asks "$number" logs -t talk
        same 20 "$(grep -c . <<<"$out")"
        same 'n1 n2 n3 n4 n5' "$(nodes_of <<<"$out")"
        same "$(sort -s -k1,1 <<<"$out")" "$out"
        same '' "$err_out"
    done
    asks 2 service logs --raw --tail 1 talk
    same 'line 4 line 4 line 4 line 4 line 4' "$(xargs <<<"$out")"
    asks 3 service logs --raw --since 2100-01-01 talk
    same '' "$out"
    asks 3 service logs --raw --until 2001-01-01 talk
    same '' "$out"
    asks 3 service logs --raw --since 10m talk
    same 20 "$(grep -c . <<<"$out")"
    for task in $(on 1 service ps -q talk); do # one alone, wherever it is
        asks 2 task logs --raw -n 2 "$task"
        same $'line 3\nline 4' "$out"
    done
    exits 2 on 2 task logs talk
    exits 2 on 2 task logs nothing
}

@test "followed, lines come of tasks that are replaced, and of those that come on other nodes; a task alone ends it" {
    cluster_of 4 2
    talkers 'replicas: 2' 'echo begun; exec sleep 1000'
    await has_lines 2 1 talk
    follow 2 lines --raw talk
    await lines_are 2 "$cluster/lines"
    task=$(on 1 service ps -q talk | head -1)
    on 1 task logs -f --raw "$task" >"$cluster/one" 3>&- &
    one=$!
    readers+=("$one")
    await lines_are 1 "$cluster/one"
    on 1 service scale talk=8 >/dev/null 2>&1
    await lines_are 8 "$cluster/lines"
    on 1 service update --progress none --update-monitor 1ms --args "sh -c 'echo again; exec sleep 1000'" talk >/dev/null 2>&1
    await lines_are 16 "$cluster/lines"
    same 8 "$(grep -c again "$cluster/lines")"
    await is_gone "$one" # its task has ended
    wait "$one"
    same begun "$(cat "$cluster/one")"
    same '' "$(cat "$cluster/lines.notes")"
    asks 1 logs --raw "$task" # it is there still, as long as its record is
    same begun "$out"
}

COUNTING='i=0; while :; do i=$((i+1)); echo $i; sleep 0.02; done'

# Each task's numbers are 1, 2, 3… without a gap, in FILE with prefixes.
is_gapless() { # FILE
    awk -F '[.@|]' '{ n = $NF + 0; if (n != last[$3] + 1) { print "after " last[$3] " came " $0; exit 1 } last[$3] = n }' "$1"
}

reaches() { # FILE NODE NUMBER: a line of that node is so far
    awk -v node="@$2 " -v wanted="$3" 'index($0, node) && $NF + 0 >= wanted { found = 1 } END { exit !found }' "$1"
}

last_of() { # FILE NODE
    awk -v node="@$2 " 'index($0, node) { n = $NF } END { print n + 0 }' "$1"
}

@test "a worker that is cut off while it is followed is named, the others go on; healed, nothing is missed and nothing comes twice" {
    cluster_of 5 3
    on 1 swarm update --dispatcher-heartbeat 1s >/dev/null
    talkers 'mode: global' "$COUNTING"
    follow 2 lines talk
    await reaches "$cluster/lines" n5 20
    cluster_cut 5
    await grep -q '^note: node n5' "$cluster/lines.notes"
    at=$(last_of "$cluster/lines" n4)
    await reaches "$cluster/lines" n4 $((at + 50))
    asks 1 logs talk # says what is missing, and ends well
    [[ $err_out == *'note: node n5'*'its logs are not here'* ]]
    cluster_heal
    at=$(last_of "$cluster/lines" n5)
    await reaches "$cluster/lines" n5 $((at + 50))
    await grep -q 'node n5 is heard again' "$cluster/lines.notes"
    is_gapless "$cluster/lines"
}

@test "a worker's daemon is killed while it is followed: its tasks run on, and their lines are all there when it is back" {
    cluster_of 4 3
    talkers 'mode: global' "$COUNTING"
    follow 3 lines talk
    await reaches "$cluster/lines" n4 20
    manager_end 4
    await grep -q '^note: node n4.*its logs end here' "$cluster/lines.notes"
    at=$(last_of "$cluster/lines" n1)
    await reaches "$cluster/lines" n1 $((at + 50))
    manager_start 4
    at=$(last_of "$cluster/lines" n4)
    await reaches "$cluster/lines" n4 $((at + 50))
    is_gapless "$cluster/lines"
}

@test "the manager that is asked dies while it is followed: that is said, with exit status 3" {
    cluster_of 3 3
    talkers 'mode: global' "$COUNTING"
    follow 2 lines talk
    await reaches "$cluster/lines" n3 20
    manager_end 2
    await is_gone "$reader"
    wait "$reader" && status=0 || status=$?
    same 3 "$status"
    grep -q '^muster: ' "$cluster/lines.notes"
    is_gapless "$cluster/lines"
}

resident_kib() { # NUMBER: the most that its daemon ever had
    awk '/^VmHWM/ { print $2 }' "/proc/${manager_pids[$1]}/status"
}

bulk() { # REPLICAS LINES: of 100 bytes, of each task, on workers; then they stay
    printf '%s\n' 'kind: service' 'name: bulk' 'image: none' \
        "command: [sh, -c, 'yes $(printf '%095d' 7) | head -n $2 | cat -n | tr -d \" \\t\"; echo done; exec sleep 1000']" \
        "deploy: {replicas: $1, placement: {constraints: [node.role==worker]}}" >"$cluster/bulk.yaml"
    on 1 apply -f "$cluster/bulk.yaml" 2>/dev/null
    AWAIT_SECONDS=120 await are_done "$1"
}

are_done() { # COUNT
    [ "$(on 1 logs --raw --tail 1 bulk 2>/dev/null | grep -c '^done$')" = "$1" ]
}

@test "100 MB come through whole and in order; a reader that stands still holds nobody up and costs the daemons no memory to speak of" {
    cluster_of 5 3
    bulk 16 60000
    talkers 'mode: global' "$COUNTING"
    on 2 logs -t --no-task-ids bulk >"$cluster/all"
    same 960016 "$(wc -l <"$cluster/all")"
    sort -C -s -k1,1 "$cluster/all"
    rm "$cluster/all"
    before=$(resident_kib 3)
    mkfifo "$cluster/pipe"
    on 3 logs --raw bulk >"$cluster/pipe" 3>&- &
    slow=$!
    readers+=("$slow")
    exec 5<"$cluster/pipe"
    read -r _ <&5 # it has begun; nobody reads on
    follow 3 lines talk
    await reaches "$cluster/lines" n4 20
    await reaches "$cluster/lines" n5 20
    at=$(last_of "$cluster/lines" n5)
    await reaches "$cluster/lines" n5 $((at + 750)) # three heartbeats and more
    for number in 1 2 3; do
        same 0 "$(manager_said "$number" node.down)"
    done
    same 5 "$(on 1 node ls --format '{{.Status}}' | grep -c Ready)"
    [ $(($(resident_kib 3) - before)) -lt 65536 ]
    [ "$(resident_kib 4)" -lt 65536 ] && [ "$(resident_kib 5)" -lt 65536 ]
    same 960015 "$(wc -l <&5)" # and it was only waited for
    exec 5<&-
    wait "$slow"
    is_gapless "$cluster/lines"
}

@test "a worker that is down is named at once; logs of ended tasks stay as long as their records, and no longer" {
    cluster_of 4 3
    on 1 swarm update --dispatcher-heartbeat 1s --task-history-limit 2 >/dev/null
    talkers 'mode: global' 'echo begun; exec sleep 1000'
    await has_lines 4 1 talk
    manager_end 4
    await has_words 4 Down '[A-Za-z]*'
    asks 2 logs --raw talk
    same 'note: node n4 is down: its logs are not here' "$err_out"
    same 3 "$(grep -c begun <<<"$out")"
    on 1 service rm talk >/dev/null
    talkers 'replicas: 1' 'echo first; exec sleep 1000'
    await has_lines 1 1 talk
    old=$(on 1 service ps -q --no-trunc talk)
    log=$(find "$cluster"/*/state -path "*$old/log")
    [ -f "$log" ]
    on 1 service update --progress none --update-monitor 1ms --args "sh -c 'echo second; exec sleep 1000'" talk >/dev/null 2>&1
    await has_lines 2 2 talk
    asks 2 logs --raw "$old"
    same first "$out"
    on 1 service update --progress none --update-monitor 1ms --args "sh -c 'echo third; exec sleep 1000'" talk >/dev/null 2>&1
    await test ! -e "$log" # its record went, and its log with it
    exits 2 on 2 logs "$old"
}

@test "a worker that cannot reach the manager that is asked is named; when the leader dies, lines go on at another without a gap" {
    cluster_of 4 3
    talkers 'mode: global' "$COUNTING"
    await has_nodes 4
    cluster_cut 4 2
    asks 2 logs --tail 1 talk
    [[ $err_out == 'note: node n4: '*': its logs are not here' ]]
    same 'n1 n2 n3' "$(nodes_of <<<"$out")"
    asks 1 logs --tail 1 talk
    same 'n1 n2 n3 n4' "$(nodes_of <<<"$out")"
    cluster_heal
    follow 2 lines talk
    await reaches "$cluster/lines" n4 20
    manager_end 1
    await grep -q '^note: node n1.*its logs end here' "$cluster/lines.notes"
    await has_leader
    for node in n3 n4; do
        at=$(last_of "$cluster/lines" "$node")
        await reaches "$cluster/lines" "$node" $((at + 100))
    done
    is_gapless "$cluster/lines"
}

has_nodes() { # COUNT: that have written something
    [ "$(on 1 logs --tail 1 talk 2>/dev/null | nodes_of | wc -w)" = "$1" ]
}
