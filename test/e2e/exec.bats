#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# test/e2e/exec.bats — commands beside tasks, with real containers: their streams, ends and terminals, and what becomes of them when
# somebody at either end is killed.

load ../lib/musterd.bash

setup_file() {
    "$BATS_TEST_DIRNAME/../../examples/images/build.sh" "$BATS_TEST_DIRNAME/../../${BUILD:-build}/images"
}

setup() {
    musterd_setup
    cli=
    musterd_cluster
    muster service create -d --name web -e COLOUR=red --replicas 2 "oci-archive:$IMAGES/busybox.tar" \
        sh -c 'trap "exit 0" TERM; while :; do sleep 0.05; done' >/dev/null
    await count_is 2 web running
}

teardown() {
    [ -z "$cli" ] || kill -9 "$cli" 2>/dev/null || :
    tmux -L "muster-exec-$$" kill-server 2>/dev/null || :
    musterd_remove
}

# run_exec ARGUMENT…: stdout in $out, stderr in $err, exit status in $status
run_exec() {
    status=0
    out=$(muster exec "$@" 2>"$node/err" </dev/null) || status=$?
    err=$(<"$node/err")
}

runs() { # COMMAND-LINE: the beginning of one that no other test has
    pgrep -f -- "^$1" >/dev/null
}

runs_no_more() { # COMMAND-LINE
    ! runs "$1"
}

nothing_of_exec_left() {
    [ -z "$(ls "$node"/run/tasks/*/exec-* 2>/dev/null)" ]
}

@test "a command runs as the task does: streams apart, its exit status, its environment; others on request" {
    run_exec web sh -c 'echo out; echo err >&2; exit 7'
    same 7 "$status" && same out "$out" && same err "$err"
    run_exec web.2 sh -c 'echo $COLOUR; hostname'
    same 0 "$status"
    [[ $out == red* ]]
    run_exec -u nobody -w /tmp -e COLOUR=blue -e SIZE=9 web sh -c 'id -un; pwd; echo $COLOUR $SIZE; grep CapEff /proc/self/status'
    same 'nobody /tmp blue 9 CapEff: 0000000000000000 ' "$(tr '\n\t' '  ' <<<"$out")"
    run_exec web sh -c 'kill -9 $$'
    same 137 "$status"
    muster task exec "$(tasks web | head -1)" true
    nothing_of_exec_left
    muster service rm web
    nothing_left
}

@test "what cannot be run is told as shells do; what is not there, or not allowed, as muster does" {
    run_exec web no-such-program
    same 127 "$status" && same '' "$out"
    [[ $err == 'muster: exec: exec: "no-such-program": executable file not found in $PATH' ]]
    run_exec web /etc
    same 126 "$status"
    [[ $err == *'permission denied'* ]]
    run_exec nobody true
    [[ $err == *"task 'nobody' not found"* ]]
    run_exec -u stranger web true
    [[ $err == *"user 'stranger' is not in the image's /etc/passwd"* ]]
    run_exec --privileged web true
    same 4 "$status"
    run_exec -it web true
    [[ $err == *'the input device is not a TTY'* ]]
    muster service scale -d web=0 >/dev/null
    nothing_of_web() { [ -z "$(processes_left)" ]; }
    await nothing_of_web
    run_exec web true
    [[ $err == *'service web has no running task'* ]]
    nothing_of_exec_left
}

@test "ten megabytes go through a command and come back unchanged; a slow reader is waited for" {
    head -c 10000000 /dev/urandom >"$node/in"
    muster exec -i web cat <"$node/in" >"$node/out"
    cmp "$node/in" "$node/out"
    # A reader that takes nothing for a while: the daemon does not keep what it does not take.
    before=$(awk '/VmRSS/ { print $2 }' "/proc/$musterd/status")
    mkfifo "$node/slow"
    "$build/muster" exec web sh -c 'yes 4720 | head -c 60000000' >"$node/slow" 3>&- &
    cli=$!
    exec 8<"$node/slow"
    head -c 1 <&8 >/dev/null
    await runs 'sh -c yes 4720'
    # It stands still: what it has written does not change over a whole look.
    after=$(awk '/VmRSS/ { print $2 }' "/proc/$musterd/status")
    [ $((after - before)) -lt 20000 ]
    same 59999999 "$(wc -c <&8)"
    exec 8<&-
    wait "$cli"
    cli=
    muster service rm web
    nothing_left
}

@test "the end of the client ends the command, its children and who is deaf to a hangup" {
    "$build/muster" exec web sh -c 'trap "" HUP; (setsid sleep 4721 &); sleep 4722; sleep 4723' 3>&- &
    cli=$!
    await runs 'sleep 4722'
    await runs 'sleep 4721'
    kill -9 "$cli"
    await runs_no_more 'sleep 472'
    await nothing_of_exec_left
    "$build/muster" exec -i web cat - - 3>&- </dev/zero >/dev/null &
    cli=$!
    await runs 'cat - -'
    kill -TERM "$cli"
    await runs_no_more 'cat - -'
    muster service rm web
    nothing_left
}

@test "the end of the task, or of the daemon, ends the command" {
    status=0
    "$build/muster" exec web sleep 4724 3>&- &
    cli=$!
    await runs 'sleep 4724'
    muster service rm web
    wait "$cli" || status=$?
    cli=
    same 137 "$status"
    nothing_left
    muster service create -d --name web "oci-archive:$IMAGES/busybox.tar" sh -c 'trap "exit 0" TERM; while :; do sleep 0.05; done' >/dev/null
    await count_is 1 web running
    "$build/muster" exec web sleep 4725 3>&- 2>"$node/err" &
    cli=$!
    await runs 'sleep 4725'
    musterd_end KILL
    status=0
    wait "$cli" || status=$?
    cli=
    same 3 "$status"
    musterd_start
    count_is 1 web running
    muster service rm web
    nothing_left
}

terminal() { # ARGUMENT…: a key, or text, into the terminal
    tmux -L "muster-exec-$$" send-keys "$@"
}

shows() { # PATTERN
    tmux -L "muster-exec-$$" capture-pane -p | grep -q -- "$1"
}

has_size() { # ROWS-COLUMNS: asked now; what the shell answers takes a moment
    local look
    terminal 'stty size' Enter
    for look in {1..40}; do
        ! shows "^$1" || return 0
        sleep 0.05
    done
    return 1
}

@test "a terminal: lines, an interrupt, a new size, the exit status; and it is as it was afterwards" {
    echo 'set -g status off' >"$node/tmux"
    tmux -L "muster-exec-$$" -f "$node/tmux" new-session -d -x 90 -y 30 "env MUSTER_HOST=$MUSTER_HOST PS1='outside> ' sh"
    await shows 'outside>'
    terminal "$build/muster exec -it -e PS1='inside> ' web sh" Enter
    await shows 'inside>'
    await has_size '30 90'
    terminal 'echo $TERM' Enter
    await shows '^xterm'
    terminal 'sleep 4726' Enter
    await runs 'sleep 4726'
    terminal C-c
    await runs_no_more 'sleep 4726'
    tmux -L "muster-exec-$$" resize-window -x 70 -y 20
    await has_size '20 70'
    terminal 'exit 5' Enter
    await shows 'outside>'
    terminal 'clear; echo status $?; stty -a | grep -o " -\?icanon"' Enter
    await shows '^status 0' # of clear
    await shows '^ icanon'
    # Killed in the midst of it, it leaves the terminal as it was, too.
    terminal "$build/muster exec -it -e PS1='inside> ' web sh" Enter
    await shows 'inside>'
    terminal 'sleep 4727' Enter
    await runs 'sleep 4727'
    kill -TERM "$(pgrep -f "^$build/muster exec -it" | head -1)"
    await runs_no_more 'sleep 4727'
    terminal 'clear; stty -a | grep -o " -\?icanon"' Enter
    await shows '^ icanon'
    muster service rm web
    nothing_left
}
