#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# test/e2e/faults.bats — what goes wrong around a real node: each fault is told with its true reason, and met.

load ../lib/musterd.bash
load ../lib/registry.bash

setup_file() {
    "$repo/examples/images/build.sh" "$IMAGES"
}

setup() {
    musterd_setup
    mounts=()
}

teardown() {
    musterd_remove
    registry_remove
    for mount in "${mounts[@]}"; do
        mountpoint -q "$mount" && umount -l "$mount"
        rm -rf --one-file-system "$node"
    done
}

busybox() {
    echo "oci-archive:$IMAGES/busybox.tar"
}

# declare_service NAME IMAGE [LINE…]: a spec file with the lines added, applied without waiting. Its tasks are replaced soon.
declare_service() {
    printf '%s\n' 'kind: service' "name: $1" "image: $2" "${@:3}" >"$node/$1.yaml"
    grep -q '^deploy:' "$node/$1.yaml" || echo 'deploy: {restart_policy: {delay: 200ms}}' >>"$node/$1.yaml"
    muster apply --detach -f "$node/$1.yaml"
}

forever="command: [sh, -c, 'trap exit TERM; while :; do sleep 5 & wait; done']"

# Everything that is told of a service's tasks.
told() { # SERVICE
    muster service ps "$1" --no-trunc --format '{{.CurrentState}} | {{.Error}} | {{.Message}}'
}

is_told() { # SERVICE PATTERN
    [[ $(told "$1") =~ $2 ]]
}

await_told() { # SERVICE PATTERN
    await is_told "$@" || { told "$1" >&2 && return 1; }
}

# The registry is reached without TLS.
allow_registry() {
    muster get cluster -o yaml >/dev/null
    printf '%s\n' 'kind: cluster' 'name: default' "insecure_registries: ['$registry']" >"$node/cluster.yaml"
    muster apply -f "$node/cluster.yaml"
}

# --- images ---

@test "an image that is not in its registry is rejected, and named" {
    musterd_cluster
    registry_start
    allow_registry
    declare_service lost "$registry/nothing/here:1.0" "$forever"
    await_told lost "Rejected.*$registry/nothing/here"
    exits 8 muster apply --timeout 2s -f "$node/lost.yaml"
    [[ $(muster why lost) == *"$registry/nothing/here"* ]]
}

@test "an archive that is not there is rejected, and named" {
    musterd_cluster
    declare_service lost "oci-archive:$node/no-such.tar" "$forever"
    await_told lost 'Rejected.*no-such\.tar'
}

@test "an image with another digest than the pinned one is rejected" {
    musterd_cluster
    registry_start
    allow_registry
    registry_push "$IMAGES/busybox.tar" busybox:1
    good=$(skopeo inspect --tls-verify=false --format '{{.Digest}}' "docker://$registry/busybox:1")
    declare_service pinned "$registry/busybox:1@$good" "$forever"
    await count_is 1 pinned
    declare_service wrong "$registry/busybox:1@sha256:$(printf '0%.0s' {1..64})" "$forever"
    await_told wrong 'Rejected'
    count_is 0 wrong
}

@test "a registry that is down is tried until it is up, and the reason is told meanwhile" {
    musterd_cluster
    registry_start
    allow_registry
    registry_push "$IMAGES/busybox.tar" busybox:1
    registry_stop
    declare_service patient "$registry/busybox:1" "$forever"
    await_told patient 'Preparing.*connection refused'
    [[ $(muster why patient) == *'connection refused'* ]]
    same 1 "$(muster service ps patient -q | wc -l)" # one task that goes on trying, not a row of failures
    registry_start
    await count_is 1 patient
}

@test "an archive that is cut off does not run, and is named" {
    musterd_cluster
    head -c 500000 "$IMAGES/busybox.tar" >"$node/half.tar"
    declare_service half "oci-archive:$node/half.tar" "$forever"
    await_told half '(Rejected|Preparing).*half\.tar.*EOF'
    count_is 0 half
}

@test "a root file system whose /dev is a link is refused" {
    musterd_cluster
    mkdir -p "$node/rootfs/bin" "$node/rootfs/proc" "$node/rootfs/sys" "$node/rootfs/tmp"
    cp /bin/busybox "$node/rootfs/bin/sh"
    ln -s /tmp "$node/rootfs/dev"
    tar -C "$node/rootfs" -cf "$node/rootfs.tar" .
    declare_service sly "tar:$node/rootfs.tar" "command: [/bin/sh, -c, 'sleep 100']"
    await_told sly 'Rejected.*/dev.*not a directory'
    count_is 0 sly
}

# --- what a service asks for ---

@test "a command that is not in the image fails with its name" {
    musterd_cluster
    declare_service typo "$(busybox)" 'command: [slep, "5"]'
    await_told typo 'Failed.*slep.*not found|Rejected.*slep.*not found'
}

@test "a bind source that is missing is rejected, and named; made, it works" {
    musterd_cluster
    declare_service bound "$(busybox)" "$forever" "volumes: ['$node/not-there:/data']"
    await_told bound "Rejected.*$node/not-there"
    mkdir "$node/not-there"
    await count_is 1 bound
}

@test "a memory limit is refused by name on a node that cannot limit memory" {
    if [ ! -d /sys/fs/cgroup/memory ]; then
        skip "control groups of version 1 are not mounted"
    fi
    cat >"$node/without" <<SH
#!/bin/sh
umount /sys/fs/cgroup/memory && exec "$build/musterd" "\$@"
SH
    mkdir "$node/bin"
    printf '#!/bin/sh\nexec unshare --mount --propagation private sh "%s" "$@"\n' "$node/without" >"$node/bin/musterd"
    chmod +x "$node/bin/musterd"
    real=$build
    ln -s "$build/muster" "$node/bin/muster"
    build=$node/bin
    musterd_cluster
    build=$real
    declare_service small "$(busybox)" "$forever" 'deploy: {resources: {limits: {memory: 16M}}}'
    await_told small 'Rejected.*memory'
    declare_service free "$(busybox)" "$forever"
    await count_is 1 free
}

# --- the runtime ---

@test "a runtime that is missing is told on the task" {
    musterd_cluster --runc "$node/no-runc"
    declare_service norun "$(busybox)" "$forever"
    await_told norun '(Rejected|Failed|Pending).*(runtime|no-runc)'
}

@test "a runtime that hangs holds up its own task only as long as its deadline" {
    cat >"$node/runc" <<SH
#!/bin/sh
case " \$* " in
*" create "*) [ -e "$node/well" ] || { touch "$node/hung" && exec sleep 1000; } ;;
esac
exec "$RUNC" "\$@"
SH
    chmod +x "$node/runc"
    musterd_cluster --runc "$node/runc"
    declare_service stuck "$(busybox)" "$forever"
    await test -e "$node/hung"
    is_told stuck '(Preparing|Starting)'
    muster node ls >/dev/null # the daemon answers meanwhile
    touch "$node/well"
    declare_service fine "$(busybox)" "$forever"
    await count_is 1 fine
    AWAIT_SECONDS=100 await_told stuck '(Rejected|Failed).*runc'
    await count_is 1 stuck
}

@test "runc is killed in the middle: the task fails, another one takes its slot" {
    cat >"$node/runc" <<SH
#!/bin/sh
case " \$* " in
*" create "*) if mkdir "$node/killed" 2>/dev/null; then "$RUNC" "\$@" & sleep 0.01; kill -KILL \$! \$\$; fi ;;
esac
exec "$RUNC" "\$@"
SH
    chmod +x "$node/runc"
    musterd_cluster --runc "$node/runc"
    declare_service hit "$(busybox)" "$forever"
    await count_is 1 hit
    await_told hit '(Failed|Rejected)'
    muster service rm hit
    nothing_left_of_tasks
}

# --- the disk ---

# disk SIZE DIRECTORY: of a size that can be changed.
disk() {
    mkdir -p "$2"
    mount -t tmpfs -o "size=$1,mode=700" tmpfs "$2"
    mounts+=("$2")
}

@test "a disk that is full while an image is unpacked is told, and waited for" {
    disk 4M "$node/state/layers"
    musterd_cluster
    declare_service fat "oci-archive:$IMAGES/nginx.tar" 'tmpfs: [/tmp]'
    await_told fat 'Preparing.*[nN]o space'
    count_is 0 fat
    mount -o remount,size=128M "$node/state/layers"
    await count_is 1 fat
}

@test "a disk that is full refuses changes with the reason, loses none, and goes on when there is room" {
    disk 160M "$node/state"
    musterd_cluster
    declare_service kept "$(busybox)" "$forever"
    await count_is 1 kept
    head -c 200000000 /dev/zero >"$node/state/filler" 2>/dev/null || :
    status=0
    output=$(declare_service more "$(busybox)" "$forever" 2>&1) || status=$?
    [ "$status" != 0 ]
    matches "MiB are free for the store in '$node/state/store'|[nN]o space" "$output"
    count_is 1 kept
    same kept "$(muster service ls --format '{{.Name}}')"
    rm "$node/state/filler"
    declare_service more "$(busybox)" "$forever"
    await count_is 1 more
    musterd_end KILL
    musterd_start
    count_is 1 kept
    count_is 1 more
}

disk_is_full() { # DIRECTORY
    [ "$(stat -f -c %a "$1")" -lt 16 ]
}

has_room() { # DIRECTORY
    [ "$(stat -f -c %a "$1")" -gt 20000 ]
}

is_told_less_than() { # COUNT: of services that are being removed
    [ "$(muster service ls -q --filter name=greedy | wc -l)" -lt "$1" ]
}

# What is full by what runs there must be helped by the words that stop it.
@test "a container that has filled the disk can be removed, and what waited for room goes on" {
    disk 160M "$node/state"
    musterd_cluster
    declare_service kept "$(busybox)" "$forever"
    declare_service greedy "$(busybox)" "command: [sh, -c, 'cat /dev/zero >/filler; trap exit TERM; while :; do sleep 5 & wait; done']"
    await disk_is_full "$node/state"
    task=$(muster service ps kept -q)
    # Its slot is empty now, and its next task cannot be kept yet: that must not hold up the removal.
    kill -9 "$(pgrep -f "muster-shim.*--id $task")"
    exits 10 muster service scale --detach kept=2
    muster service rm greedy
    await has_room "$node/state"
    await count_is 1 kept
    await is_told_less_than 1
    muster service scale kept=2
}

# --- the store and the daemon ---

@test "a store that is damaged is refused, not served" {
    musterd_cluster
    for i in {1..20}; do
        declare_service "s$i" "$(busybox)" 'deploy: {replicas: 0}'
    done
    musterd_end
    exits 0 "$build/musterd" --check-store --state-dir "$node/state"
    file=$(find "$node/state/store" -name '*.mdb' ! -name 'lock*' -size +8k | head -1)
    # All pages but the two at the head.
    dd if=/dev/urandom of="$file" bs=4096 seek=2 count=$(($(stat -c %s "$file") / 4096 - 2)) conv=notrunc 2>/dev/null
    status=0
    output=$("$build/musterd" --check-store --state-dir "$node/state" 2>&1) || status=$?
    [ "$status" != 0 ]
    matches "$node/state/store.*(damage|checksum|page)" "$output"
    status=0
    output=$(timeout 20 "$build/musterd" --state-dir "$node/state" --run-dir "$node/run" --listen 127.0.0.1:0 2>&1) || status=$?
    [ "$status" != 0 ] && [ "$status" != 124 ]
    matches "$node/state.*(damage|checksum|page)" "$output"
}

@test "two daemons do not share a state directory" {
    musterd_cluster
    status=0
    output=$(timeout 20 "$build/musterd" --state-dir "$node/state" --run-dir "$node/other" --listen 127.0.0.1:0 2>&1) || status=$?
    [ "$status" != 0 ] && [ "$status" != 124 ]
    matches "$node/state" "$output"
    status=0
    output=$(timeout 20 "$build/musterd" --state-dir "$node/second" --run-dir "$node/run" --listen 127.0.0.1:0 2>&1) || status=$?
    [ "$status" != 0 ] && [ "$status" != 124 ]
    matches "$node/run" "$output"
    muster node ls >/dev/null
}

@test "the daemon is killed: tasks go on, what ended meanwhile is known, no line is lost, nothing is started twice" {
    musterd_cluster
    declare_service stays "$(busybox)" "command: [sh, -c, 'trap exit TERM; n=0; while :; do n=\$((n + 1)); echo line \$n; sleep 0.05; done']"
    mkdir "$node/flags"
    declare_service goes "$(busybox)" "command: [sh, -c, 'while [ ! -e /host/go ]; do sleep 0.05; done; echo last words; exit 42']" \
        "volumes: ['$node/flags:/host']"
    await count_is 1 stays
    await count_is 1 goes
    stays=$(tasks stays)
    goes=$(tasks goes)
    pid=$(task_pid "$stays")
    musterd_end KILL
    touch "$node/flags/go"
    await has_exit "$goes"
    rm "$node/flags/go"
    [ -d "/proc/$pid" ]
    musterd_start
    await_told goes 'Failed.*non-zero exit \(42\)'
    same "$stays" "$(tasks stays)"
    same "$pid" "$(task_pid "$stays")"
    same 1 "$(muster service ps stays -q | wc -l)"
    await has_lines 60
    muster service logs --raw stays | sed -n 's/^.*line //p' >"$node/lines"
    same "$(seq "$(wc -l <"$node/lines")")" "$(cat "$node/lines")"
    [[ $(muster service logs goes) == *'last words'* ]]
    await count_is 1 goes
}

has_exit() { # TASK
    [ -e "$node/run/tasks/$1/shim/exit" ]
}

has_lines() { # NUMBER
    [ "$(muster service logs --raw stays | wc -l)" -ge "$1" ]
}

@test "the shim is killed: the container goes with it, the slot is filled again" {
    musterd_cluster
    declare_service orphan "$(busybox)" "$forever"
    await count_is 1 orphan
    task=$(tasks orphan)
    pid=$(task_pid "$task")
    kill -KILL "$(shim_pid "$task")"
    await is_gone "$pid"
    await_told orphan '(Failed).*'
    await count_is 1 orphan
    [ "$(tasks orphan)" != "$task" ]
}

@test "the shim is killed while no daemon runs: found at the next start" {
    musterd_cluster
    declare_service orphan "$(busybox)" "$forever"
    await count_is 1 orphan
    task=$(tasks orphan)
    pid=$(task_pid "$task")
    musterd_end KILL
    kill -KILL "$(shim_pid "$task")"
    musterd_start
    await_told orphan 'Failed.*supervisor lost'
    await is_gone "$pid"
    await count_is 1 orphan
}

@test "the unpacking child is killed at any moment: the image is there in the end" {
    musterd_cluster
    head -c 40000000 /dev/urandom >"$node/noise"
    mkdir -p "$node/rootfs"/{bin,dev,proc,sys,tmp}
    cp /bin/busybox "$node/rootfs/bin/busybox"
    ln -s busybox "$node/rootfs/bin/sh"
    mv "$node/noise" "$node/rootfs/noise"
    tar -C "$node/rootfs" -cf "$node/rootfs.tar" .
    declare_service big "tar:$node/rootfs.tar" "command: [/bin/sh, -c, 'trap exit TERM; while :; do /bin/busybox sleep 5 & wait; done']"
    for i in 1 2 3; do
        await has_unpacker
        kill -KILL $unpacker 2>/dev/null || :
        await is_gone "$unpacker"
    done
    AWAIT_SECONDS=120 await count_is 1 big
    task=$(tasks big)
    same "$(sha256sum <"$node/rootfs/noise")" "$(sha256sum <"/proc/$(task_pid "$task")/root/noise")"
}

# A child that unpacks, in `unpacker`; or the task runs already.
has_unpacker() {
    local pid
    for pid in $(processes_left); do
        if { tr '\0' ' ' <"/proc/$pid/cmdline"; } 2>/dev/null | grep -q 'musterd unpack'; then
            unpacker=$pid
            return
        fi
    done
    unpacker=1073741823
    count_is 1 big
}

nothing_left_of_tasks() {
    nothing_left_but_daemon() {
        [ -z "$(ls -A "$node/run/tasks")$(groups_left)$(mounts_left)" ]
    }
    await nothing_left_but_daemon
}
