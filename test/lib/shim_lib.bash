# SPDX-License-Identifier: Apache-2.0
#
# test/lib/shim_lib.bash — containers of busybox under a real muster-shim, without a daemon.
#
# Everything is under $SHIM_WORK; a task `t` has its directory t/dir, its bundle t/bundle and its log t/log.

shim_repo=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
SHIM=${SHIM:-$shim_repo/build/muster-shim}
GOLDEN=$shim_repo/test/golden/format/v1
RUNC=$(command -v runc || echo /usr/sbin/runc)

# Once for a file: a root file system that all containers share, read-only.
shim_make_rootfs() {
    local applet
    SHIM_ROOTFS=$(mktemp -dt muster-shim-rootfs.XXXXXX)
    mkdir "$SHIM_ROOTFS"/{bin,proc,dev,tmp}
    cp /bin/busybox "$SHIM_ROOTFS/bin/busybox"
    for applet in sh cat dd env grep head id ls printf seq sleep tail test true tr wc yes; do
        ln -s busybox "$SHIM_ROOTFS/bin/$applet"
    done
    export SHIM_ROOTFS
}

# Once for a test.
shim_setup() {
    SHIM_WORK=$(mktemp -dt muster-shim-test.XXXXXX)
    CGROUP=muster-test-$$-$BATS_TEST_NUMBER
    shim_pids=()
    shim_tasks=()
    shim_mounts=()
}

shim_teardown() {
    local task mount pid
    for task in "${shim_tasks[@]}"; do
        "$RUNC" --root "$SHIM_WORK/runc" delete --force "$task" 2>/dev/null || :
    done
    for pid in "${shim_pids[@]}"; do # a shim ends with its container; one that does not is a failure told elsewhere
        kill -KILL "$pid" 2>/dev/null || :
        wait "$pid" 2>/dev/null || :
    done
    for mount in "${shim_mounts[@]}"; do
        umount "$mount" || :
    done
    find /sys/fs/cgroup -depth -type d -path "*/$CGROUP*" -exec rmdir {} + 2>/dev/null || :
    rm -rf "$SHIM_WORK"
}

# shim_task NAME [JQ-FILTER] COMMAND…: makes the bundle of a task, its configuration changed by the filter if that begins with a dot.
shim_task() {
    local task=$1 filter=. here=$SHIM_WORK/$1
    shift
    case ${1-} in .*) filter=$1 && shift ;; esac
    mkdir -p "$here/bundle" "$SHIM_WORK/runc"
    mkdir -m 700 "$here/dir"
    shim_tasks+=("$task-${SHIM_WORK##*.}")
    jq -n --arg rootfs "$SHIM_ROOTFS" --arg cgroup "/$CGROUP/$task" '{
        ociVersion: "1.0.2",
        process: {user: {uid: 0, gid: 0}, cwd: "/", env: ["PATH=/bin"], args: $ARGS.positional, noNewPrivileges: true},
        root: {path: $rootfs, readonly: true},
        mounts: [{destination: "/proc", type: "proc", source: "proc"},
                 {destination: "/dev", type: "tmpfs", source: "tmpfs", options: ["nosuid", "mode=755"]},
                 {destination: "/tmp", type: "tmpfs", source: "tmpfs"}],
        linux: {cgroupsPath: $cgroup, namespaces: [{type: "pid"}, {type: "ipc"}, {type: "uts"}, {type: "mount"}]}
    } | '"$filter" --args -- "$@" >"$here/bundle/config.json"
}

# The cgroup's count of OOM kills, in whichever version of cgroups holds the memory controller here.
shim_memory_events() {
    if [ -d /sys/fs/cgroup/memory ]; then
        echo "/sys/fs/cgroup/memory/$CGROUP/$1/memory.oom_control"
    else
        echo "/sys/fs/cgroup/$CGROUP/$1/memory.events"
    fi
}

# shim_command NAME [OPTION…]: the command line of a task's shim, in `command`. An option that is given again holds.
shim_command() {
    local task=$1 here=$SHIM_WORK/$1
    shift
    command=("$SHIM" --id "$task-${SHIM_WORK##*.}" --bundle "$here/bundle" --dir "$here/dir" --log "$here/log"
        --log-max-bytes 10000000 --log-files 3 --runc "$RUNC" --runc-root "$SHIM_WORK/runc"
        --memory-events "$(shim_memory_events "$task")" "$@")
}

# Starts the shim of a task; its pid is in `shim`.
shim_spawn() {
    local command
    shim_command "$@"
    "${command[@]}" 3>&- &
    shim=$!
    shim_pids+=("$shim")
}

# await CONDITION…: until the command succeeds. No event can be waited for from a shell: it looks again.
await() {
    local deadline=$((SECONDS + 30))
    until "$@"; do
        [ $SECONDS -lt $deadline ] || { echo "never came true: $*" >&2 && return 1; }
        sleep 0.01
    done
}

has() { # TASK FILE
    [ -e "$SHIM_WORK/$1/dir/$2" ]
}

is_gone() { # PID
    [ ! -d "/proc/$1" ] || grep -q '^State:.Z' "/proc/$1/status"
}

tell() { # TASK COMMAND: a command line for the shim
    echo "$2" >"$SHIM_WORK/$1/dir/control"
}

field() { # TASK FILE KEY
    sed -n "s/^$3=//p" "$SHIM_WORK/$1/dir/$2"
}

# Expects the shim that was spawned last to end with this status.
shim_ends() {
    local status=0
    wait "$shim" || status=$?
    [ "$status" = "$1" ] || { echo "exit status $status, not $1" >&2 && return 1; }
}

# shim_run NAME […]: makes a task of the arguments (as shim_task), runs it to its end.
shim_run() {
    shim_task "$@"
    shim_spawn "$1"
    await has "$1" created
    tell "$1" start
    shim_ends 0
}

# The text of a task's log without its stamps: "stdout F text", oldest first.
log_of() {
    local file files=()
    for file in "$SHIM_WORK/$1/log".{9..1} "$SHIM_WORK/$1/log"; do
        [ ! -e "$file" ] || files+=("$file")
    done
    cut -d' ' -f2- "${files[@]}"
}

same() { # EXPECTED ACTUAL
    [ "$1" = "$2" ] || { printf 'expected: %s\nactual:   %s\n' "$1" "$2" >&2 && return 1; }
}

# A bare `! command` fails no bats test.
refute() { # COMMAND…
    if "$@"; then
        echo "succeeded: $*" >&2
        return 1
    fi
}

matches() { # PATTERN ACTUAL
    [[ $2 =~ $1 ]] || { printf 'expected: %s\nactual:   %s\n' "$1" "$2" >&2 && return 1; }
}
