#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# test/e2e/examples.bats — each example is applied to a real node, does what its comments say, and is removed without a trace.

load ../lib/musterd.bash

setup_file() {
    "$repo/examples/images/build.sh" "$IMAGES"
}

setup() {
    musterd_setup
    musterd_cluster
}

teardown() {
    musterd_remove
}

apply() { # FILE
    muster apply -f "$repo/examples/$1"
}

# Removes what the file declared, as a user would.
remove() { # SERVICE…
    muster service rm "$@"
    nothing_left
}

inside() { # TASK COMMAND…: in its mounts and network
    nsenter --target "$(task_pid "$1")" --mount --net --pid "${@:2}"
}

the_task() { # SERVICE
    tasks "$1" | head -1
}

@test "hello runs and is heard" {
    apply hello.yaml
    count_is 1 hello
    await says_in_log hello 'hello from '
    exits 0 apply hello.yaml # again: nothing to do
    count_is 1 hello
    remove hello
}

says_in_log() { # SERVICE PATTERN
    [[ $(muster service logs "$1") =~ $2 ]]
}

@test "a job does six parts of work, and does them again when asked" {
    apply job.yaml
    count_is 6 job complete
    [[ $(muster service logs job) =~ 'a part of the work' ]]
    first=$(tasks job complete)
    exits 0 apply job.yaml # again: nothing to do
    same "$first" "$(tasks job complete)"
    muster service update --force job
    count_is 6 job complete
    [ "$(tasks job complete)" != "$first" ]
    remove job
}

@test "a cronjob waits for its time, and runs when asked" {
    apply cronjob.yaml
    count_is 0 cronjob complete
    [[ $(muster service ls --format '{{.NextRun}}') =~ T0[01]:30Z ]]
    muster service update --force cronjob
    count_is 1 cronjob complete
    [[ $(muster service logs cronjob) =~ "another night's work is done" ]]
    remove cronjob
}

@test "redis keeps its data when its task dies" {
    apply redis.yaml
    first=$(the_task redis)
    await redis_says PONG "$first" ping
    same OK "$(inside "$first" redis-cli set greeting hello)"
    same OK "$(inside "$first" redis-cli save)"
    kill -KILL "$(task_pid "$first")"
    await runs_another redis "$first"
    await redis_says hello "$(the_task redis)" get greeting
    remove redis
    [ -s "$node/state/volumes/redis-data/dump.rdb" ]
}

redis_says() { # EXPECTED TASK WORD…
    [ "$(inside "$2" redis-cli "${@:3}" 2>/dev/null)" = "$1" ]
}

runs_another() { # SERVICE TASK
    count_is 1 "$1" && [ "$(the_task "$1")" != "$2" ]
}

@test "nginx serves three times on one machine" {
    apply nginx.yaml
    count_is 3 nginx
    for task in $(tasks nginx); do
        await serves "$task" 'It works'
    done
    same 3 "$(for task in $(tasks nginx); do inside "$task" wget -qO- http://127.0.0.1:8080/hostname; done | sort -u | wc -l)"
    remove nginx
}

serves() { # TASK PATTERN
    [[ $(inside "$1" wget -qO- http://127.0.0.1:8080/ 2>/dev/null) =~ $2 ]]
}

@test "the global service has its one task on the one node" {
    apply global.yaml
    count_is 1 monitor
    await says_in_log monitor "$(sed -n 's/^PRETTY_NAME="\([^("]*\).*/\1/p' /etc/os-release).*: load "
    refute inside "$(the_task monitor)" sh -c 'echo x >>/host/os-release'
    remove monitor
}

@test "limits hold, and a failing task is tried again later and later" {
    apply limits.yaml
    count_is 2 limited
    task=$(the_task limited)
    same 33554432 "$(cat "$(group_file "$task" memory memory.limit_in_bytes memory.max)")"
    same 16 "$(cat "$(group_file "$task" pids pids.max pids.max)")"
    same 65534 "$(awk '$1 == "Uid:" { print $2 }' "/proc/$(task_pid "$task")/status")"
    matches 'Max open files +256 +256' "$(cat "/proc/$(task_pid "$task")/limits")"
    count_is 1 flaky
    task=$(the_task flaky)
    pkill -KILL -P "$(task_pid "$task")" sleep # its half minute is over
    await says flaky Error 'non-zero exit \(3\)'
    await runs_another flaky "$task"
    remove limited flaky
}

# group_file TASK CONTROLLER FILE-OF-V1 FILE-OF-V2
group_file() {
    local group
    group=$(group_parent)/$1
    if [ -d "/sys/fs/cgroup/$2" ]; then
        echo "/sys/fs/cgroup/$2/$group/$3"
    else
        echo "/sys/fs/cgroup/$group/$4"
    fi
}

@test "a Compose file becomes a stack" {
    BLOG_JOB=mails apply compose/compose.yaml
    count_is 2 blog_web
    count_is 1 blog_cache
    count_is 1 blog_worker
    await serves "$(the_task blog_web)" 'mounted into the container'
    await says_in_log blog_worker 'mails: done'
    remove blog_web blog_cache blog_worker
}

@test "every example is told as the same when it is applied already" {
    for file in hello redis nginx global limits shop compose/compose; do
        exits 1 muster diff -f "$repo/examples/$file.yaml"
    done
    apply hello.yaml
    exits 0 muster diff -f "$repo/examples/hello.yaml"
    remove hello
}

@test "secrets are where the service names them, and each task has its volume" {
    apply secrets.yaml
    count_is 2 vault
    first=$(the_task vault)
    same hunter2 "$(inside "$first" cat /run/secrets/db_password)"
    same 400 "$(inside "$first" stat -c %a /run/secrets/db_password)"
    for slot in 1 2; do
        same "vault-$slot has a password of 7 bytes" "$(cat "$node/state/volumes/data-$slot/log")"
    done
    same "NODE=$(hostname)" "$(tr '\0' '\n' <"/proc/$(task_pid "$first")/environ" | grep ^NODE=)"
    sed "s|\.\./build/images|$IMAGES|" "$repo/examples/secrets.yaml" >"$node/secrets.yaml"
    printf another >"$node/db_password.txt"
    muster apply -f "$node/secrets.yaml"
    count_is 2 vault
    same another "$(inside "$(the_task vault)" cat /run/secrets/db_password)"
    remove vault
    muster secret rm db_password
    muster config rm motd
}
