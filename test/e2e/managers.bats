#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# test/e2e/managers.bats — several managers as processes: asked anywhere, killed, paused, restarted; what their users see.

load ../lib/managers.bash
load ../lib/sleepers.bash

setup() {
    managers_setup
    sleepers_setup
    executor=fake # where a test says nothing else
}

teardown() {
    [ -n "$BATS_TEST_COMPLETED" ] || tail -n 20 "$cluster"/*/log >&2
    [ ! -S "$cluster/tmux" ] || terminal kill-server
    managers_remove
    sleepers_remove
}

# create NUMBER NAME: acknowledged by that manager.
create() {
    on "$1" service create --detach --name "$2" --replicas 0 none >/dev/null
}

# created NUMBER NAME…: a read through that manager shows them all.
created() {
    local number=$1 names name
    shift
    names=$(on "$number" service ls --format '{{.Name}}') || return 1
    for name; do
        grep -qx "$name" <<<"$names" || { echo "manager $number does not show $name" >&2 && return 1; }
    done
}

# create_soon NUMBER NAME: with few tries. That it is there already was a try whose answer was lost.
create_soon() {
    local try
    for try in 1 2 3; do
        output=$(on "$1" service create --detach --name "$2" --replicas 0 none 2>&1) && return
        [[ $output != *'already exists'* ]] || return 0
    done
    echo "$output" >&2
    return 1
}

# --- everybody answers ---

@test "each manager takes changes and shows those of the others at once" {
    managers_cluster 3
    for number in 1 2 3; do
        create "$number" "s$number"
        for other in 1 2 3; do
            created "$other" "s$number"
        done
    done
    same 'n1 Ready Leader' "$(on 2 node ls --format '{{.Hostname}} {{.Status}} {{.ManagerStatus}}' | grep Leader)"
    same '2 Reachable' "$(on 3 node ls --format '{{.ManagerStatus}}' | grep Reachable | uniq -c | xargs)"
    matches $'Managers: 3\n  Reachable: 3\n  Quorum: 2\n' "$(on 2 info)"
    same "$(address 1)" "$(on 3 info -o json | jq -r .leader_address)"
}

@test "a join that cannot be is refused at once, with its reason" {
    managers_cluster 2
    manager_start 3
    token=$(token 2)
    exits 2 on 3 swarm join "$(address 1)"
    matches '--token is needed: "muster swarm join-token worker"' "$output"
    exits 2 on 3 swarm join --token MUSTKN-1-nonsense "$(address 1)"
    matches 'it is cut' "$output"
    exits 2 on 3 swarm join --token "$token" nonsense
    matches "'nonsense' is not a numeric address" "$output"
    exits 2 on 3 swarm join --token "$token" "$(address 3)"
    matches 'is this daemon itself' "$output"
    exits 3 on 3 swarm join --token "$token" "$(address 9)"
    matches "ask $(address 9): Connection refused" "$output"
    exits 5 on 2 swarm join --token "$token" "$(address 1)"
    matches 'already part of a swarm' "$output"
    exits 5 on 1 swarm init
    on 3 swarm join --token "$token" "$(address 9)" "$(address 2)" # one of them is there, and says who leads
    await all_answer 3
    manager_start 4 --listen "$host:0"
    exits 2 on 4 swarm join --token "$token" "$(address 1)"
    matches 'listens on no port' "$output"
}

# --- the leader ends ---

@test "the leader is killed 20 times: another one leads, and nothing acknowledged is lost" {
    managers_cluster 3
    names=()
    for round in {1..20}; do
        killed=$(leader)
        create "$(follower)" "before$round"
        manager_end "$killed" KILL
        create_soon "$((killed % 3 + 1))" "after$round"
        names+=("before$round" "after$round")
        manager_start "$killed"
        await has_leader
    done
    for number in 1 2 3; do
        created "$number" "${names[@]}"
    done
}

@test "SIGTERM hands leadership over: the next change waits for no election" {
    managers_cluster 3
    for round in 1 2 3; do
        ended=$(leader)
        term=$(raft_term "$ended")
        other=$((ended % 3 + 1))
        manager_end "$ended" TERM
        same 1 "$(manager_said "$ended" 'manager.hand_over done=true')"
        same $((term + 1)) "$(raft_term "$other")"
        create "$other" "s$round"
        same $((term + 1)) "$(raft_term "$other")"
        rm "$cluster/$ended/log"
        manager_start "$ended"
        await all_answer 3
    done
    created 1 s1 s2 s3
}

@test "a change of leader moves and restarts no task" {
    executor=process
    managers_cluster 3
    sleepers web 6
    await sleep_count_is 6
    before=$(running web)
    same 6 "$(jq length <<<"$before")"
    pids=$(sleeping)
    for signal in KILL TERM KILL TERM KILL TERM KILL TERM KILL TERM; do
        ended=$(leader)
        manager_end "$ended" "$signal"
        manager_start "$ended"
        await has_leader
        await all_answer 3
    done
    same "$before" "$(running web)"
    same "$pids" "$(sleeping)"
}

# --- too few answer ---

@test "with two of three dead, changes and fresh reads end with status 3 and say why; --stale goes on" {
    managers_cluster 3
    create 1 kept
    manager_end 2
    manager_end 3
    await said_often 1 manager.down 2
    exits 3 on 1 service create --detach --name surely-not none # who still leads knows that it reaches nobody
    matches 'of 3 managers 2 do not answer .*: nothing was changed' "$output"
    refute has_leader
    exits 3 on 1 service create --detach --name lost none
    matches 'of 3 managers 2 do not answer \([0-9.:]*, [0-9.:]*\), start them again' "$output"
    exits 3 on 1 service ls
    matches 'of 3 managers 2 do not answer' "$output"
    matches '\-\-stale shows' "$output"
    exits 0 on 1 service ls --stale --format '{{.Name}}'
    matches 'kept' "$output"
    matches 'may be out of date' "$output"
    exits 0 on 1 info
    matches 'WARNING: no manager leads' "$output"
    manager_start 2
    await create 1 later
    matches '2 of 3 managers answer: when one more fails' "$(await warned && on 1 info 2>&1)"
    created 2 kept later
    refute created 2 lost 2>/dev/null
    refute created 2 surely-not 2>/dev/null
}

said_often() { # NUMBER EVENT COUNT
    [ "$(manager_said "$1" "$2")" -ge "$3" ]
}

@test "a change is handed to a leader whose followers are frozen: status 8, for it may yet be made" {
    managers_cluster 3
    leads=$(leader)
    for number in 1 2 3; do
        [ "$number" = "$leads" ] || manager_pause "$number"
    done
    exits 8 on "$leads" service create --detach --name perhaps none
    matches 'outcome unknown: no quorum has answered in time, the change may yet be made' "$output"
    for number in 1 2 3; do
        manager_resume "$number"
    done
    await create_soon "$leads" later
}

warned() {
    on 1 info 2>&1 | grep -q 'one more fails'
}

@test "all killed and started again: everything is there" {
    managers_cluster 3
    create 2 kept
    for number in 1 2 3; do
        manager_end "$number"
    done
    for number in 3 2 1; do
        manager_start "$number"
    done
    await create 3 later
    for number in 1 2 3; do
        created "$number" kept later
    done
}

terminal() {
    env -u TMUX tmux -S "$cluster/tmux" -f /dev/null "$@"
}

screen_has() { # TEXT
    [[ $(terminal capture-pane -p) == *"$1"* ]]
}

@test "a console on a manager that lost its quorum says so, and is live again with it" {
    managers_cluster 3
    create 1 shown
    terminal new-session -d -x 140 -y 20 "env LANG=C.UTF-8 '$build/muster' -H 'unix://$cluster/2/run/muster.sock' console" 3>&-
    await screen_has LIVE
    await screen_has shown
    manager_end 1
    manager_end 3
    await screen_has 'NO QUORUM'
    screen_has 'of 3 managers 2 do not answer'
    manager_start 1
    await screen_has LIVE
    create 2 later
    await screen_has later
}

# --- paused ---

@test "a follower that was paused catches up" {
    managers_cluster 3
    paused=$(follower)
    leads=$(leader)
    manager_pause "$paused"
    create "$leads" meanwhile
    await has_words "$paused" '[A-Z][a-z]*' Unreachable
    manager_resume "$paused"
    created "$paused" meanwhile
    await has_words "$paused" Ready Reachable
    same "$leads" "$(leader)"
}

@test "a leader that was paused shows nothing old when it is back" {
    managers_cluster 3
    for round in 1 2 3; do
        paused=$(leader)
        manager_pause "$paused"
        create_soon "$((paused % 3 + 1))" "s$round"
        on "$paused" service ls --format '{{.Name}}' >"$cluster/seen" & # asked while it sleeps
        asked=$!
        manager_resume "$paused"
        wait "$asked"
        grep -qx "s$round" "$cluster/seen"
        await all_answer 3
    done
}

# --- a node is down ---

@test "the tasks of a node that is down run elsewhere, and it stops them when it is back" {
    executor=process
    managers_cluster 3
    sleepers web 6
    await sleep_count_is 6
    manager_end 3
    await has_words 3 Down Unreachable
    matches 'no answer from it since 20' "$(on 1 node inspect --pretty n3)"
    await replicas_are web 6/6
    await sleep_count_is 8 # two of them on the node that nobody hears of
    manager_start 3
    await has_words 3 Ready Reachable
    await sleep_count_is 6
    same '' "$(on 1 node ps n3 --filter desired-state=running -q)"
    same 2 "$(on 1 node ps n3 --format '{{.CurrentState}}' | grep -c Shutdown)"
    replicas_are web 6/6
}

# --- a store is lost ---

lose_store() { # NUMBER
    manager_end "$1"
    rm -f "$cluster/$1/state/store/"{data,lock}.mdb
}

identity() { # NUMBER
    sed -n 's/^raft //p' "$cluster/$1/state/store/group"
}

is_taken_away() { # IDENTITY: as the first manager has it
    ! grep -q "^member $1" "$cluster/1/state/store/group"
}

# The second manager, whose word is needed, has a slow disk: the leader is yet to let in what was killed when what was started
# after that asks.
@test "a drain waits until the node is empty; start-first tasks stop there when others run" {
    managers_cluster 3
    on 1 node update --availability drain n3
    printf 'kind: service\nname: web\nimage: a:1\ndeploy:\n  replicas: 4\n  update_config: {order: start-first}\n' >"$cluster/web.yaml"
    on 1 apply --timeout 60s "$cluster/web.yaml"
    same 0 "$(on 1 node ps -q n3 | wc -l)"
    exits 2 on 1 node update --availability active --wait n3
    matches 'give it with --availability drain' "$output"
    on 1 node update --availability active n3
    exits 0 on 2 node update --availability drain --wait --timeout 60s n2
    matches 'web: converged' "$output"
    same 0 "$(on 1 ps --filter node=n2 --filter desired-state=running -q | wc -l)"
    replicas_are web 4/4
    # Nothing else has room for them: the wait ends with its time, and what runs there runs on.
    on 1 node update --availability pause n1
    on 1 node update --availability pause n3
    on 1 node update --availability active n2
    on 1 service scale --timeout 60s web=5
    exits 8 on 1 node update --availability drain --wait --timeout 1s n2
    matches 'muster node ps n2' "$output"
    matches 'no suitable node' "$output"
    same 1 "$(on 1 node ps n2 --filter desired-state=running -q | wc -l)"
    replicas_are web 5/5
}

@test "a member without a store that is killed while it is let in is let in at the next start" {
    local old
    managers_cluster 3
    strace -f -qq -o /dev/null -e trace=fdatasync -e inject=fdatasync:delay_enter=200000 -p "${manager_pids[2]}" 3>&- &
    await is_traced "${manager_pids[2]}"
    for _ in {1..5}; do
        old=$(identity 3)
        lose_store 3
        manager_start 3
        await is_taken_away "$old"
        lose_store 3
        manager_start 3
        await quietly on 3 node ls
    done
    create 3 after
    created 1 after
}

nobody_leads() {
    ! has_leader
}

# Who leads may not take its old identity away as long as too few of the others would answer.
@test "a member without a store that is back before enough of the others is let in when they are" {
    managers_cluster 3
    manager_end 2
    await has_words 2 '[A-Z][a-z]*' Unreachable
    lose_store 3
    manager_start 3
    await nobody_leads
    manager_start 2
    await quietly on 3 node ls
    create 3 after
    created 1 after
}

# --- full disks ---

# small_disk NUMBER SIZE: for its state, before it starts.
small_disk() {
    mkdir -p "$cluster/$1/state"
    mount -t tmpfs -o "size=$2,mode=700" tmpfs "$cluster/$1/state"
}

# fat NUMBER NAME: a service whose record takes 180 kB.
fat() {
    {
        printf '%s\n' 'kind: service' "name: $2" 'image: none' 'deploy: {replicas: 0}' 'environment:'
        for key in {1..30}; do
            printf '  K%s: "%06000d"\n' "$key" 0
        done
    } >"$cluster/$2.yaml"
    on "$1" apply --detach -f "$cluster/$2.yaml" >/dev/null
}

@test "a follower whose disk is full keeps nobody from going on, says so, and catches up when there is room" {
    small_disk 3 4m
    managers_cluster 5
    names=()
    for number in {1..40}; do
        fat 1 "fat$number"
        names+=("fat$number")
    done
    await has_words 3 '[A-Z][a-z]*' Unreachable
    [ "$(manager_said 3 store.full)" -ge 1 ]
    matches 'WARNING: the disk of .*/3/state is nearly full' "$(on 3 info 2>&1)"
    same 1 "$(leader)"
    manager_end 5
    await has_words 5 Down Unreachable # silent later than the full one, which answers: that is not down
    has_words 3 Ready Unreachable
    manager_start 5
    mount -o remount,size=400m "$cluster/3/state"
    await has_words 3 Ready Reachable
    created 3 "${names[@]}"
}

@test "a leader whose disk becomes full hands leadership to one that has room" {
    small_disk 1 200m
    managers_cluster 3
    create 1 before
    same 1 "$(leader)"
    fallocate -l 150m "$cluster/1/state/ballast"
    create_soon 2 meanwhile
    refute same 1 "$(leader)" 2>/dev/null
    matches 'WARNING: the disk of .*/1/state is nearly full' "$(on 1 info 2>&1)"
    rm "$cluster/1/state/ballast"
    created 1 before meanwhile
}

@test "swarm init on a full disk leaves nothing behind: it joins another cluster, or makes its own when there is room" {
    small_disk 2 32m
    managers_cluster 1
    manager_start 2
    exits 10 on 2 swarm init
    matches 'less than 64 MiB are free' "$output"
    on 2 swarm join --token "$(token 1)" "$(address 1)" >/dev/null
    await all_answer 2
    small_disk 3 32m
    manager_start 3
    exits 10 on 3 swarm init
    manager_end 3
    manager_start 3
    mount -o remount,size=200m "$cluster/3/state"
    on 3 swarm init >/dev/null
    on 3 service create --detach --name mine --replicas 0 none >/dev/null
}
