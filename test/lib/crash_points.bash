# SPDX-License-Identifier: Apache-2.0
#
# test/lib/crash_points.bash — every system call of a manager that writes is a point at which it is killed.
#
# Model        A phase is a stretch of a manager's life. strace kills the manager at the Nth time that one of its
#              threads enters a call; then it is started again, without help. Of the changes of a client, all that
#              were acknowledged must be there, of the one under way all or nothing, and members of a group must
#              agree. The sweep of a call ends with the first N that the phase never reaches.
# Phases       init       the first start and `swarm init`
#              changes    CHANGES of services, all the ways a client has to change one
#              replay     a start on what a killed manager left
#              second     joining a manager that was alone: from then on its word is needed
#              third      joining a group of two
#              catch-up   a member of a group of three that comes back to a log it has missed part of
#              rejoin     a member whose store is damaged: set aside, a new identity, the whole state again
#              lead       the leader of a group of three, while it takes changes: another takes over
#
#     crash_setup; crash_remove          a directory for it all; everything in it ends and goes
#     crash_count PHASE                  runs it without a fault: in counts[CALL] how often a thread calls
#     crash_point PHASE CALL N           one point; $is_reached tells whether the phase came so far
#     crash_sweep PHASE CALL             all points, or each CRASH_STEPth; how many were reached is in $points
#     crash_sample PHASE CALL COUNT      so many, by chance

CRASH_CALLS=${CRASH_CALLS:-write pwrite64 pwritev writev fdatasync fsync msync ftruncate fallocate rename renameat unlink unlinkat mkdir mkdirat openat sendmsg sendto}

. "$(dirname "${BASH_SOURCE[0]}")/expect.bash"

crash_repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
crash_build=${BUILD:-build}
case $crash_build in /*) ;; *) crash_build=$crash_repo/$crash_build ;; esac
crash_musterd=$crash_build/musterd
crash_traced=$crash_musterd # what is killed; what is started after that is always the other

# --- members ---

crash_setup() {
    local member
    crash=$(mktemp -dt muster-crash.XXXXXX)
    declare -ga pids=('' '' '' '') ports=('' '' '' '')
    for member in 1 2 3; do
        ports[member]=$(free_port)
    done
    crash_group='' crash_names=0
    crash_changes_make
}

crash_remove() {
    local member
    [ -n "${crash-}" ] || return 0
    for member in 1 2 3; do
        member_end "$member"
    done
    rm -rf "$crash"
}

# Not one of those that the kernel gives to those who ask for any.
free_port() {
    local port
    while :; do
        port=$((15000 + RANDOM % 15000))
        if [[ " ${ports[*]} " != *" $port "* ]] && ! { : >"/dev/tcp/127.0.0.1/$port"; } 2>/dev/null; then
            echo "$port"
            return
        fi
    done
}

# The command that kills MEMBER at the Nth CALL of a thread, in `tracer`; for CALL `count` it notes all calls.
tracer_of() { # MEMBER CALL N [IS-RUNNING]
    local state=$crash/$1/state store=$crash/$1/state/store path
    if [ "$2" = count ]; then
        tracer=(strace -f -qq -o "$crash/trace" -e "trace=${CRASH_CALLS// /,}")
        return
    fi
    tracer=(strace -f -qq -o "$crash/trace" -e "trace=$2" -e "inject=$2:signal=KILL:when=$3")
    # Only what may make a file of the state: any program that starts opens a hundred others.
    [ "$2" != openat ] || [ -n "${4-}" ] || for path in "$state"{,/node-id.tmp,/assignments} \
        "$store"{,/lock,/lock.mdb,/data.mdb,/group.tmp,/new/lock.mdb,/new/data.mdb}; do
        tracer+=(-P "$path")
    done
}

# member_start MEMBER [CALL N]: until it is ready or has ended.
member_start() {
    local member=$1 dir=$crash/$1 tracer=() musterd=$crash_musterd
    mkdir -p "$dir"
    : >"$dir/log"
    if [ -n "${2-}" ]; then
        tracer_of "$@"
        tracer+=(-D)
        musterd=$crash_traced
    fi
    "${tracer[@]}" "$musterd" --state-dir "$dir/state" --run-dir "$dir/run" --node-name "m$member" \
        --listen "127.0.0.1:${ports[member]}" --executor fake >>"$dir/log" 2>&1 </dev/null 3>&- &
    pids[member]=$!
    disown # bash tells of each that is killed, else
    await member_is_ready_or_gone "$member"
}

member_is_ready_or_gone() {
    grep -q daemon.ready "$crash/$1/log" || member_is_gone "$1"
}

member_is_gone() {
    [ -z "${pids[$1]}" ] || is_gone "${pids[$1]}"
}

member_end() { # MEMBER
    [ -n "${pids[$1]}" ] || return 0
    kill -KILL "${pids[$1]}" 2>/dev/null || :
    await member_is_gone "$1" && pids[$1]=
}

# Once more, without help and without faults. It must come up.
member_again() {
    member_end "$1"
    member_start "$1"
    ! member_is_gone "$1" || { echo "member $1 does not start again:" && cat "$crash/$1/log" && return 1; } >&2
}

muster() { # MEMBER ARGUMENT…
    "$crash_build/muster" --host "unix://$crash/$1/run/muster.sock" "${@:2}"
}

# --- what the clients do ---

# The changes, one a line; files beside. No two neighbours leave the same behind. A command that names several services
# changes them one by one: none of those.
crash_changes_make() {
    local name
    for name in a b c; do
        printf -- '---\nkind: service\nname: %s\nimage: busybox\ndeploy: {replicas: 2}\n' "$name"
    done >"$crash/three.yaml"
    sed 's/^name: /name: other-/' "$crash/three.yaml" >"$crash/other.yaml"
    sed 's/busybox/redis/; s/replicas: 2/replicas: 3/' "$crash/three.yaml" >"$crash/changed.yaml"
    {
        echo "apply --detach -f $crash/three.yaml"
        for name in 1 2 3 4 5 6; do
            echo "service create --detach --name s$name --replicas $name busybox"
        done
        echo "apply --detach -f $crash/changed.yaml"
        for name in 1 2 3 4 5 6; do
            echo "service scale --detach s$name=$((name + 2))"
            echo "service update --detach --image nginx:$name s$name"
        done
        for name in 1 2 3; do
            echo "service rm s$name"
            echo "service create --detach --name t$name --env X=$name --replicas 2 busybox"
        done
        for name in a b c; do
            echo "service rm $name"
        done
        echo "apply --detach -f $crash/other.yaml"
        echo "service update --detach --env-add Y=2 t1"
    } >"$crash/changes"
    CHANGES=$(wc -l <"$crash/changes")
}

# What is declared, as MEMBER tells. A removed service is there, marked, until its tasks are gone.
declared() {
    local removing
    removing=$(muster "$1" service ls --format '{{if eq .UpdateStatus "removing"}}{{.Name}}{{end}}') || return 1
    muster "$1" get services -o json | grep -vx -e --- |
        jq -s --arg gone "$removing" '($gone | split("\n")) as $gone | .[] | select(.name | IN($gone[]) | not)'
}

# change MEMBER NUMBER: the change of that number.
change() {
    local words
    read -ra words < <(sed -n "$2p" "$crash/changes")
    muster "$1" "${words[@]}" </dev/null >/dev/null 2>>"$crash/client"
}

# All changes, until one is refused; how many were acknowledged is in $acknowledged.
change_all() { # MEMBER
    local number
    acknowledged=0
    for ((number = 1; number <= CHANGES; number++)); do
        change "$1" "$number" || return 0
        acknowledged=$number
    done
}

# What each change leaves behind, from a run without faults: expected.0, expected.1, …
expect_changes() {
    local number
    declared 1 >"$crash/expected.0"
    for ((number = 1; number <= CHANGES; number++)); do
        change 1 "$number" || { cat "$crash/client" >&2 && return 1; }
        declared 1 >"$crash/expected.$number"
        ! cmp -s "$crash/expected.$number" "$crash/expected.$((number - 1))" ||
            { echo "change $number changes nothing" >&2 && return 1; }
    done
    printf x >"$crash/expected.$((CHANGES + 1))" # there is none
}

# The changes that were acknowledged are there, and the next one whole or not at all.
holds_changes() { # MEMBER ACKNOWLEDGED
    declared "$1" >"$crash/found" || return 1
    cmp -s "$crash/found" "$crash/expected.$2" || cmp -s "$crash/found" "$crash/expected.$(($2 + 1))" || {
        echo "after $2 acknowledged changes member $1 has:" && diff "$crash/expected.$2" "$crash/found"
        return 1
    } >&2
}

accepts() { # MEMBER: a change, at last
    local name=new$((++crash_names))
    await quietly muster "$1" service create --detach --name "$name" busybox && await quietly muster "$1" service rm "$name"
}

scale() { # MEMBER SERVICE: to another number each time
    muster "$1" service scale --detach "$2=$((++crash_names % 7 + 1))" >/dev/null 2>>"$crash/client"
}

# One that has just come finds the others first.
scale_soon() { # MEMBER SERVICE: as soon as it can; or it was killed
    await scale_or_gone "$@"
}

scale_or_gone() {
    member_is_gone "$1" || scale "$@"
}

# --- groups ---

view() { # MEMBER: what must be the same at all
    declared "$1" && muster "$1" node ls --format '{{.ID}} {{.Hostname}} {{.ManagerStatus}}' &&
        muster "$1" ps --no-trunc --format '{{.ID}} {{.Name}}'
}

managers_are() { # MEMBER COUNT: so many, all reachable, as it says
    [ "$(muster "$1" node ls --format '{{.ManagerStatus}}' | grep -cE 'Leader|Reachable')" = "$2" ]
}

agree() { # MEMBER…
    local member
    view "$1" >"$crash/view" && for member in "${@:2}"; do
        view "$member" >"$crash/view.other" && cmp -s "$crash/view" "$crash/view.other" || return 1
    done
}

agreed() { # MEMBER…
    await quietly managers_are "$1" $# || { muster "$1" node ls >&2 && return 1; }
    await quietly agree "$@" || { diff "$crash/view" "$crash/view.other" >&2 || :; return 1; }
}

# MEMBER is in the group: by itself, or because it is told once more where nothing was acknowledged.
joined() { # MEMBER IS-ACKNOWLEDGED
    if [ "$2" = 1 ]; then
        await quietly muster "$1" node ls
    else
        await quietly join_or_is_in "$1"
    fi
}

token() {
    muster 1 swarm join-token -q manager
}

join_or_is_in() {
    muster "$1" swarm join --token "$(token)" "127.0.0.1:${ports[1]}" || muster "$1" node ls
}

# --- before a phase ---

# A manager alone, before and after the changes: $crash/{fresh,changed}.
prepare_alone() {
    member_again 1 && muster 1 swarm init >/dev/null || return 1
    member_end 1
    cp -r "$crash/1/state" "$crash/fresh"
    member_again 1 && expect_changes || return 1
    member_end 1
    cp -r "$crash/1/state" "$crash/changed"
}

restore() { # COPY MEMBER
    crash_group=
    member_end "$2"
    rm -rf "$crash/$2/state"
    cp -r "$crash/$1" "$crash/$2/state"
}

# A group of MEMBER…, that stays while a phase is swept.
prepare_group() {
    local member
    [ "$crash_group" != "$*" ] || return 0
    for member in 1 2 3; do
        member_end "$member"
        rm -rf "$crash/$member/state"
    done
    for member in "$@"; do
        member_again "$member" || return 1
    done
    muster 1 swarm init >/dev/null || return 1
    for member in "${@:2}"; do
        muster "$member" swarm join --token "$(token)" "127.0.0.1:${ports[1]}" >/dev/null || return 1
    done
    muster 1 apply --detach -f "$crash/three.yaml" >/dev/null && agreed "$@" && crash_group=$*
}

# As a machine that has lost what it had as a manager, but for its certificate.
forget() { # MEMBER
    member_end "$1"
    rm -rf "$crash/$1/state/store"
}

notice() { # MEMBER: whether it was killed. An end of another kind is none of a point.
    ! member_is_gone "$1" || { await grep -q 'killed by SIGKILL' "$crash/trace" && is_reached=1; }
}

# --- one point of each phase: CALL N ---

point_init() {
    local acknowledged=0
    crash_group=
    member_end 1
    rm -rf "$crash/1/state"
    member_start 1 "$@"
    muster 1 swarm init >/dev/null 2>&1 && acknowledged=1
    notice 1 && member_again 1 && { [ $acknowledged = 1 ] || quietly muster 1 swarm init || :; } && muster 1 node ls >/dev/null && accepts 1
}

point_changes() {
    restore fresh 1
    member_start 1 "$@"
    change_all 1
    notice 1 && member_again 1 && holds_changes 1 "$acknowledged" && accepts 1
}

point_replay() {
    restore changed 1
    member_start 1 "$@"
    quietly muster 1 service scale --detach other-a=7 || :
    notice 1 && member_again 1 && muster 1 service scale --detach other-a=2 >/dev/null && holds_changes 1 "$CHANGES"
}

join_point() { # JOINER CALL N
    local acknowledged=0 token
    forget "$1"
    member_start "$@"
    token=$(token)
    quietly muster "$1" swarm join --token "$token" "127.0.0.1:${ports[1]}" && acknowledged=1
    [ $acknowledged = 0 ] || scale_soon "$1" a || return 1
    notice "$1" && member_again "$1" && joined "$1" $acknowledged
}

point_second() {
    restore fresh 1
    member_end 2
    rm -rf "$crash/2/state/certificates" # of a time that this cluster knows nothing of any more
    member_again 1 && muster 1 apply --detach -f "$crash/three.yaml" >/dev/null && join_point 2 "$@" && agreed 1 2 && accepts 2
}

point_third() {
    prepare_group 1 2 3 && join_point 3 "$@" && agreed 1 2 3
}

point_catch-up() {
    prepare_group 1 2 3 && scale 1 a || return 1
    member_end 3
    scale 1 b || return 1
    member_start 3 "$@"
    scale_soon 3 c && notice 3 && member_again 3 && agreed 1 2 3
}

point_rejoin() {
    prepare_group 1 2 3 || return 1
    member_end 3
    dd if=/dev/zero of="$crash/3/state/store/data.mdb" bs=4096 seek=2 count=6 conv=notrunc status=none
    member_start 3 "$@"
    scale_soon 3 a && notice 3 && member_again 3 && joined 3 1 && agreed 1 2 3 && rm -rf "$crash"/3/state/store/quarantine-*
}

leader_of() { # MEMBER: by what it says; fails where nobody leads, or two
    local leader
    leader=$(muster "$1" node ls --format '{{.Hostname}} {{.ManagerStatus}}' | sed -n 's/^m\(.\) Leader$/\1/p')
    [[ $leader == [123] ]] && echo "$leader"
}

answers_or_gone() { # MEMBER: a client is refused a moment before it is gone
    member_is_gone "$1" || quietly muster "$1" info
}

point_lead() {
    local leader other value told=1 name tracer tracer_pid
    prepare_group 1 2 3 && await quietly leader_of 1 && leader=$(leader_of 1) || return 1
    other=$((leader % 3 + 1))
    name=lead$((++crash_names))
    muster "$leader" service create --detach --name $name --replicas 1 busybox >/dev/null || return 1
    tracer_of "$leader" "$@" running
    "${tracer[@]}" -p "${pids[leader]}" 2>/dev/null 3>&- &
    tracer_pid=$!
    await is_traced "${pids[leader]}" || return 1
    for ((value = 2; value <= 7; value++)); do
        muster "$leader" service scale --detach $name=$value >/dev/null 2>>"$crash/client" || break
        told=$value
    done
    await answers_or_gone "$leader" && notice "$leader" || return 1
    member_end "$leader" # its tracer ends with it: one that is told to, while a member dies, may wait forever
    wait "$tracer_pid" 2>/dev/null || :
    # While it is down, what it acknowledged is there.
    await quietly muster "$other" node ls || return 1
    value=$(muster "$other" get service $name -o json | jq '.deploy.replicas // 1')
    [ "$value" = $told ] || [ "$value" = $((told + 1)) ] || {
        echo "$told was acknowledged, member $other has $value" && return 1
    } >&2
    member_again "$leader" && agreed 1 2 3 && muster "$other" service rm $name >/dev/null
}

# --- sweeps ---

crash_point() { # PHASE CALL N
    is_reached=0
    [ -d "$crash/changed" ] || prepare_alone || return 1
    "point_$1" "$2" "$3" || {
        echo "phase $1, killed at $2 number $3"
        tail -n 20 "$crash"/[123]/log "$crash/client"
        return 1
    } >&2
}

crash_count() { # PHASE
    local call
    crash_point "$1" count 0 || return 1
    declare -gA counts=()
    for call in $CRASH_CALLS; do
        counts[$call]=$(awk -v call="$call(" 'index($2, call) == 1 && (call != "openat(" || /O_CREAT/) && ++count[$1] > most { most = count[$1] }
            END { print most + 0 }' "$crash/trace")
    done
}

# What runs beside has its hour, and now and then a call fewer is made: an end is an end only after the count.
crash_sweep() { # PHASE CALL
    local step=${CRASH_STEP:-1} n
    points=0
    for ((n = 1 + RANDOM % step; ; n += step)); do
        crash_point "$1" "$2" $n || return 1
        points=$((points + is_reached))
        [ $is_reached = 1 ] || [ $n -lt "${counts[$2]}" ] || return 0
    done
}

# A point that was not reached this time is tried nearer to the beginning.
crash_sample() { # PHASE CALL COUNT
    local n
    points=0
    while [ $points -lt "$3" ] && [ $points -lt "${counts[$2]}" ]; do
        for ((n = 1 + RANDOM % counts[$2]; ; n = 1 + RANDOM % (n - 1))); do
            crash_point "$1" "$2" $n || return 1
            [ $is_reached = 0 ] && [ $n -gt 1 ] || break
        done
        [ $is_reached = 1 ] || return 0
        points=$((points + 1))
    done
}
