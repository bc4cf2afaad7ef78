# SPDX-License-Identifier: Apache-2.0
#
# test/lib/expect.bash — what process tests expect, and how they wait.

same() { # EXPECTED ACTUAL
    [ "$1" = "$2" ] || { printf 'expected: %s\nactual:   %s\n' "$1" "$2" >&2 && return 1; }
}

matches() { # PATTERN ACTUAL
    [[ $2 =~ $1 ]] || { printf 'expected: %s\nactual:   %s\n' "$1" "$2" >&2 && return 1; }
}

# A bare `! command` fails no bats test.
refute() { # COMMAND…
    if "$@"; then
        echo "succeeded: $*" >&2
        return 1
    fi
}

# exits STATUS COMMAND…: expects the status; what was printed is in `output`.
exits() {
    local expected=$1 actual=0
    shift
    output=$("$@" 2>&1) || actual=$?
    [ "$actual" = "$expected" ] || { printf 'exit status %s, not %s: %s\n%s\n' "$actual" "$expected" "$*" "$output" >&2 && return 1; }
}

# await COMMAND…: until it succeeds. No event can be waited for from a shell: it looks again.
await() {
    local deadline=$((SECONDS + ${AWAIT_SECONDS:-60}))
    until "$@"; do
        [ $SECONDS -lt $deadline ] || { echo "never came true: $*" >&2 && return 1; }
        sleep 0.05
    done
}

is_gone() { # PID
    [ ! -d "/proc/$1" ] || grep -qs '^State:.Z' "/proc/$1/status"
}

is_traced() { # PID: all of its threads, or it has ended
    is_gone "$1" || ! grep -sL '^TracerPid:.[1-9]' "/proc/$1/task"/*/status | grep -q .
}

quietly() { # COMMAND…
    "$@" >/dev/null 2>&1
}
