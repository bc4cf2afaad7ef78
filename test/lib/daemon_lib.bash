# SPDX-License-Identifier: Apache-2.0
#
# test/lib/daemon_lib.bash — a musterd of one's own: started, waited for, stopped by its pid; and `muster` that talks to it.
#
# daemon_start [OPTION…] makes $DAEMON_DIR and exports MUSTER_HOST; daemon_stop removes all of it.

daemon_repo=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
MUSTER=$daemon_repo/${BUILD:-build}/muster
MUSTERD=$daemon_repo/${BUILD:-build}/musterd

daemon_start() {
    DAEMON_DIR=$(mktemp -dt muster-daemon-test.XXXXXX)
    export DAEMON_DIR MUSTER_HOST=unix://$DAEMON_DIR/run/muster.sock
    daemon_again "$@"
}

# Once more on the same state.
daemon_again() {
    "$MUSTERD" --state-dir "$DAEMON_DIR/state" --run-dir "$DAEMON_DIR/run" --node-name alpha --listen 127.0.0.1:0 "$@" >>"$DAEMON_DIR/log" 2>&1 3>&- &
    DAEMON_PID=$!
    export DAEMON_PID
    await "$MUSTER" version >/dev/null || { cat "$DAEMON_DIR/log" >&2 && return 1; }
}

daemon_stop() {
    [ -z "${DAEMON_PID:-}" ] || { kill "$DAEMON_PID" && wait "$DAEMON_PID"; } 2>/dev/null || :
    [ -z "${DAEMON_DIR:-}" ] || rm -rf "$DAEMON_DIR"
}

await() { # COMMAND…
    local deadline=$((SECONDS + 30))
    until "$@" >/dev/null 2>&1; do
        [ $SECONDS -lt $deadline ] || { echo "never came true: $*" >&2 && return 1; }
        sleep 0.02
    done
}

same() { # EXPECTED ACTUAL
    [ "$1" = "$2" ] || { printf 'expected: %s\nactual:   %s\n' "$1" "$2" >&2 && return 1; }
}

has() { # TEXT PATTERN: a glob, anywhere in the text
    # shellcheck disable=SC2053 # a pattern is wanted
    [[ $1 == *$2* ]] || { printf 'not found: %s\nin: %s\n' "$2" "$1" >&2 && return 1; }
}

lacks() { # TEXT PATTERN
    # shellcheck disable=SC2053 # a pattern is wanted
    [[ $1 != *$2* ]] || { printf 'found: %s\nin: %s\n' "$2" "$1" >&2 && return 1; }
}

# muster ARGUMENT…: leaves what it said in $out and $err_out, and its exit status in $status.
muster() {
    status=0
    out=$("$MUSTER" "$@" 2>"$BATS_TEST_TMPDIR/stderr") || status=$?
    err_out=$(<"$BATS_TEST_TMPDIR/stderr")
}

# works ARGUMENT…: the same, and it must exit with 0.
works() {
    muster "$@"
    [ "$status" = 0 ] || { printf 'muster %s: exit status %s\n%s\n%s\n' "$*" "$status" "$out" "$err_out" >&2 && return 1; }
}

# refused STATUS PATTERN ARGUMENT…: it exits with this status, says something like this on stderr, and nothing on stdout.
refused() {
    muster "${@:3}"
    same "$1" "$status" && same '' "$out" && has "$err_out" "$2"
}

# replicas SERVICE N/M
replicas() {
    [ "$("$MUSTER" service ls --filter "name=$1" --format '{{.Replicas}}')" = "$2" ]
}

# services N: so many are there
services() {
    [ "$("$MUSTER" service ls -q | grep -c .)" = "$1" ]
}
