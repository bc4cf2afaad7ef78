#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# test/e2e/tutorial.bats — Docker's Swarm tutorial (Getting started with Swarm mode), step by step, with `muster` in the place of `docker`.
#
# Three machines in network namespaces: manager1, worker1, worker2. Containers are pretended, so the images need not be there. What is printed
# is compared column by column with what Docker's pages show, in the words of its present version; ids, times and places are made alike first.

load ../lib/cluster.bash

setup() {
    cluster_setup
}

teardown() {
    [ -n "$BATS_TEST_COMPLETED" ] || tail -n 5 "$cluster"/*/log >&2
    cluster_remove
}

names=('' manager1 worker1 worker2)

machines() {
    local number
    mkdir -p -m 700 "$cluster"
    cluster_switch
    for number in 1 2 3; do
        manager_begin $number --node-name "${names[number]}"
    done
    for number in 1 2 3; do
        cluster_await 30 cluster_answers $number
    done
}

docker() { # on manager1, as in the tutorial; what is said on the way is not part of it
    on 1 "$@" 2>"$cluster/said"
}

# Columns by |, ids and times alike. Tabs and runs of blanks divide columns.
columns() {
    sed -E -e 's/\b[0-9a-z]{25}\b/ID/g' -e 's/^[0-9a-z]{12} /ID /' -e 's/(less than a|about a|[0-9]+) (second|minute)s? ago/AGO/' \
        -e 's/[[:space:]]+$//' -e 's/(\t| {2,})+/|/g'
}

# shows EXPECTED COMMAND…: the columns of what it prints
shows() {
    same "$1" "$(docker "${@:2}" | columns)"
}

# shows_among EXPECTED COMMAND…: these lines in this order, and others between them
shows_among() {
    local text left=$1 line
    text=$(docker "${@:2}" | columns)
    while IFS= read -r line; do
        [ "$line" != "${left%%$'\n'*}" ] || { left=${left#*$'\n'} && [ "$line" != "$left" ] || left=; }
    done <<<"$text"
    [ -z "$left" ] || { printf 'not in: %s\n%s\n' "$left" "$text" >&2 && return 1; }
}

# Which of the nodes a task is on is the scheduler's to say.
anywhere() {
    columns | sed -E 's/\|(manager1|worker[12])\|/|NODE|/'
}

running_tasks_are() { # SERVICE COUNT
    [ "$(docker service ps "$1" --filter desired-state=running --format '{{.CurrentState}}' | grep -c '^Running')" = "$2" ]
}

@test "a swarm is made, nodes are added" {
    machines
    said=$(docker swarm init --advertise-addr 10.89.0.1)
    join=$(grep -o 'swarm join --token .*' <<<"$said")
    matches '^Swarm initialized: current node \([0-9a-z]{25}\) is now a manager.
+To add a worker to this swarm, run the following command:
+    muster swarm join --token MUSTKN-1-[0-9a-z]{50}-[0-9a-z]{25} 10.89.0.1:2377
+To add a manager to this swarm, run .muster swarm join-token manager. and follow the instructions.' "$said"
    matches 'Swarm: active
 NodeID: [0-9a-z]{25}
 Is Manager: true
 ClusterID: [0-9a-z]{25}
 Managers: 1
.* Nodes: 1' "$(docker info)"
    shows 'ID|HOSTNAME|STATUS|AVAILABILITY|MANAGER STATUS|ENGINE VERSION
ID *|manager1|Ready|Active|Leader|0.1.0' node ls
    matches "To add a worker to this swarm, run the following command:
+    muster $join" "$(docker swarm join-token worker)"
    # shellcheck disable=SC2086 # the words that were printed
    for number in 2 3; do
        same 'This node joined a swarm as a worker.' "$(on $number $join 2>&1)"
    done
    shows 'ID|HOSTNAME|STATUS|AVAILABILITY|MANAGER STATUS|ENGINE VERSION
ID *|manager1|Ready|Active|Leader|0.1.0
ID|worker1|Ready|Active|0.1.0
ID|worker2|Ready|Active|0.1.0' node ls
    exits 3 on 2 node ls
    matches 'This node is not a swarm manager. Worker nodes can.t be used to view or modify cluster state.' "$output"
}

swarm_of_three() {
    local number join
    machines
    join=$(docker swarm init --advertise-addr 10.89.0.1 | grep -o 'swarm join --token .*')
    for number in 2 3; do
        # shellcheck disable=SC2086 # the words that were printed
        on $number $join >/dev/null 2>&1
    done
}

@test "a service is deployed, inspected, scaled and deleted" {
    swarm_of_three
    matches '^[0-9a-z]{25}$' "$(docker service create --replicas 1 --name helloworld alpine ping docker.com)"
    shows 'ID|NAME|MODE|REPLICAS|IMAGE|PORTS
ID|helloworld|replicated|1/1|alpine:latest' service ls
    shows_among 'ID:|ID
Name:|helloworld
Service Mode:|Replicated
 Replicas:|1
UpdateConfig:
 Parallelism:|1
ContainerSpec:
 Image:|alpine
 Args:|ping docker.com
Endpoint Mode:|vip' service inspect --pretty helloworld
    matches '"image": "alpine",.*"ping",.*"docker.com"' "$(docker service inspect helloworld | tr -d '\n')"
    same 'ID|NAME|IMAGE|NODE|DESIRED STATE|CURRENT STATE|ERROR|PORTS
ID|helloworld.1|alpine:latest|NODE|Running|Running AGO' "$(docker service ps helloworld | anywhere)"
    same 'helloworld scaled to 5' "$(docker service scale helloworld=5)"
    same 'ID|NAME|IMAGE|NODE|DESIRED STATE|CURRENT STATE|ERROR|PORTS
ID|helloworld.1|alpine:latest|NODE|Running|Running AGO
ID|helloworld.2|alpine:latest|NODE|Running|Running AGO
ID|helloworld.3|alpine:latest|NODE|Running|Running AGO
ID|helloworld.4|alpine:latest|NODE|Running|Running AGO
ID|helloworld.5|alpine:latest|NODE|Running|Running AGO' "$(docker service ps helloworld | anywhere)"
    same 3 "$(docker service ps helloworld --format '{{.Node}}' | sort -u | wc -l)" # all have some
    same helloworld "$(docker service rm helloworld)"
    await is_no_service helloworld
    shows 'ID|NAME|MODE|REPLICAS|IMAGE|PORTS' service ls
}

is_no_service() { # NAME: and it says so
    ! docker service inspect "$1" >/dev/null && grep -qi 'no such service\|not found' "$cluster/said"
}

# Docker's pages wait 10 s between the tasks; a second shows the same.
@test "a rolling update" {
    swarm_of_three
    docker service create --replicas 3 --name redis --update-delay 1s redis:3.0.6 >/dev/null
    shows_among 'Name:|redis
Service Mode:|Replicated
 Replicas:|3
UpdateConfig:
 Parallelism:|1
 Delay:|1s
ContainerSpec:
 Image:|redis:3.0.6
Endpoint Mode:|vip' service inspect --pretty redis
    same redis "$(docker service update --image redis:3.0.7 redis)"
    shows_among ' Image:|redis:3.0.7' service inspect --pretty redis
    same 'ID|NAME|IMAGE|NODE|DESIRED STATE|CURRENT STATE|ERROR|PORTS
ID|redis.1|redis:3.0.7|NODE|Running|Running AGO
ID| \_ redis.1|redis:3.0.6|NODE|Shutdown|Shutdown AGO
ID|redis.2|redis:3.0.7|NODE|Running|Running AGO
ID| \_ redis.2|redis:3.0.6|NODE|Shutdown|Shutdown AGO
ID|redis.3|redis:3.0.7|NODE|Running|Running AGO
ID| \_ redis.3|redis:3.0.6|NODE|Shutdown|Shutdown AGO' "$(docker service ps redis | anywhere | sed 's/^ID *|*\\_/ID| \\_/')"
}

# Docker's pages: "If an update to a task returns FAILED, the scheduler pauses the update", and how it is resumed.
@test "an update that fails pauses, and a paused update is resumed" {
    swarm_of_three
    docker service create --replicas 3 --name redis --update-delay 1s redis:3.0.6 >/dev/null
    exits 6 on 1 service update --image missing redis
    shows_among 'Service Mode:|Replicated
UpdateStatus:
 State:|paused
ContainerSpec:
 Image:|missing' service inspect --pretty redis
    docker service inspect --pretty redis | grep -q 'Message: *update paused due to failure or early termination of task [0-9a-z]*$'
    same 2 "$(docker service ps redis --filter desired-state=running --format '{{.Image}} {{.CurrentState}}' | grep -c '^redis:3.0.6 Running')"
    same redis "$(docker service update --image redis:3.0.7 redis)"
    await running_tasks_are redis 3
    docker service update -d --update-delay 1h --image redis:3.2 redis >/dev/null
    docker rollout pause redis >/dev/null
    shows_among 'UpdateStatus:
 State:|paused' service inspect --pretty redis
    docker service update -d --update-delay 0s redis >/dev/null
    same redis "$(docker service update redis)"
    shows_among 'UpdateStatus:
 State:|completed' service inspect --pretty redis
    same 3 "$(docker service ps redis --filter desired-state=running --format '{{.Image}} {{.CurrentState}}' | grep -c '^redis:3.2 Running')"
}

@test "a node is drained, and active again" {
    swarm_of_three
    docker service create --replicas 3 --name redis --update-delay 1s redis:3.0.6 >/dev/null
    same 1 "$(docker node ps worker1 -q --filter desired-state=running | wc -l)"
    same worker1 "$(docker node update --availability drain worker1)"
    shows_among 'ID:|ID
Status:
 State:|Ready
 Availability:|Drain' node inspect --pretty worker1
    await running_tasks_are redis 3
    same '' "$(docker node ps worker1 -q --filter desired-state=running)"
    docker service ps redis | grep -q 'worker1 *Shutdown'
    shows 'ID|HOSTNAME|STATUS|AVAILABILITY|MANAGER STATUS|ENGINE VERSION
ID *|manager1|Ready|Active|Leader|0.1.0
ID|worker1|Ready|Drain|0.1.0
ID|worker2|Ready|Active|0.1.0' node ls
    same worker1 "$(docker node update --availability active worker1)"
    shows_among ' Availability:|Active' node inspect --pretty worker1
    docker service scale redis=6 >/dev/null # it takes tasks again
    docker node ps worker1 -q --filter desired-state=running | grep -q .
}
