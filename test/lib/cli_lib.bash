# SPDX-License-Identifier: Apache-2.0
#
# test/lib/cli_lib.bash — a musterd of one's own for tests of the command line, in a directory that goes with it.
#
# Nothing here waits by the clock: the daemon's log is a pipe, and its line "daemon.ready" is read from it.

cli_repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cli_build=${BUILD:-build}
case $cli_build in /*) ;; *) cli_build=$cli_repo/$cli_build ;; esac
case ${FLAVOUR:-release} in release) ;; *) cli_build=$cli_build/$FLAVOUR ;; esac

# cli_setup: an empty directory with the program in $PATH, and no daemon.
cli_setup() {
    WORK=$(mktemp -dt muster-cli.XXXXXX)
    PATH=$cli_build:$PATH
    export MUSTER_HOST=unix://$WORK/run/muster.sock
    unset NO_COLOR
    cd "$WORK" || return 1
}

# cli_daemon [OPTION…]: starts musterd and returns when it answers.
cli_daemon() {
    mkdir -p "$WORK/run"
    rm -f "$WORK/log.pipe"
    mkfifo "$WORK/log.pipe"
    musterd --state-dir "$WORK/state" --run-dir "$WORK/run" --listen 127.0.0.1:0 --node-name w1 --executor fake "$@" \
        2>"$WORK/log.pipe" 3>&- &
    DAEMON=$!
    exec 9<"$WORK/log.pipe"
    local line
    while IFS= read -t 60 -r line <&9; do
        echo "$line" >>"$WORK/log"
        case $line in *daemon.ready*) break ;; esac
    done
    case $line in *daemon.ready*) ;; *) cat "$WORK/log" && return 1 ;; esac
    cat <&9 >>"$WORK/log" 3>&- &
    READER=$!
    exec 9<&-
}

cli_cluster() {
    cli_daemon "$@" && muster swarm init --advertise-addr 127.0.0.1 >/dev/null 2>"$WORK/init" || {
        cat "$WORK/init"
        return 1
    }
}

cli_kill() {
    [ -z "${DAEMON:-}" ] || kill -9 "$DAEMON" 2>/dev/null || true
    [ -z "${DAEMON:-}" ] || wait "$DAEMON" 2>/dev/null || true
    [ -z "${READER:-}" ] || wait "$READER" 2>/dev/null || true
    DAEMON=
    READER=
}

cli_teardown() {
    cli_kill
    cd / && rm -rf "$WORK"
}

# status_is WANTED COMMAND…: stdout goes to $WORK/out, stderr to $WORK/err.
status_is() {
    local wanted=$1 got=0
    shift
    "$@" >"$WORK/out" 2>"$WORK/err" || got=$?
    [ "$got" = "$wanted" ] || {
        echo "$*: exit status $got, not $wanted"
        cat "$WORK/out" "$WORK/err"
        return 1
    }
}

# has FILE TEXT, lacks FILE TEXT: fixed strings.
has() {
    grep -qF -- "$2" "$1" || {
        echo "'$2' is not in $1:"
        cat "$1"
        return 1
    }
}
lacks() {
    ! grep -qF -- "$2" "$1" || {
        echo "'$2' is in $1:"
        cat "$1"
        return 1
    }
}

store_revision() {
    muster info -o json | jq .revision
}
