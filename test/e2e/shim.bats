#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# test/e2e/shim.bats — muster-shim with real containers: how tasks end, what is logged, what may go wrong around it.

load ../lib/shim_lib.bash

setup_file() {
    shim_make_rootfs
}

teardown_file() {
    rm -rf "$SHIM_ROOTFS"
}

setup() {
    shim_setup
}

teardown() {
    shim_teardown
}

# --- how a task ends ---

@test "an exit code is kept" {
    shim_run t sh -c 'exit 42'
    same 42 "$(field t exit code)"
    same 0 "$(field t exit signal)"
    same 0 "$(field t exit oom_kills)"
    same 0 "$(field t exit lost_log_lines)"
    matches '^[0-9]{19}$' "$(field t exit time_unix_ns)"
}

@test "created tells a process that waits for start, running tells the same one" {
    shim_task t sh -c 'echo user; exit 0'
    shim_spawn t
    await has t created
    pid=$(field t created pid)
    same "$(cut -d' ' -f22 "/proc/$pid/stat")" "$(field t created start_time)"
    same "$shim" "$(cut -d' ' -f4 "/proc/$pid/stat")"
    [ ! -e "$SHIM_WORK/t/log" ]
    refute has t running
    tell t start
    shim_ends 0
    same "$(grep -v time_unix_ns "$SHIM_WORK/t/dir/created")" "$(grep -v time_unix_ns "$SHIM_WORK/t/dir/running")"
    same 'stdout F user' "$(log_of t)"
}

@test "start may be asked for before the container is made" {
    shim_task t sh -c 'exit 7'
    shim_spawn t
    await has t control
    tell t start
    shim_ends 0
    has t created
    has t running
    same 7 "$(field t exit code)"
}

@test "kill reaches the first process, which may answer as it likes" {
    shim_task t sh -c 'trap "echo got it; exit 3" TERM; echo ready; while :; do sleep 0.05; done'
    shim_spawn t
    tell_when_created t
    await grep -q ready "$SHIM_WORK/t/log"
    tell t 'kill 15'
    shim_ends 0
    same 3 "$(field t exit code)"
    same $'stdout F ready\nstdout F got it' "$(log_of t)"
}

@test "a signal that ends it is told, in the golden form" {
    shim_task t sleep 1000
    shim_spawn t
    tell_when_created t
    await has t running
    tell t 'kill 9'
    shim_ends 0
    same "$(cat "$GOLDEN/shim-exit")" "$(golden_time "$SHIM_WORK/t/dir/exit")"
}

@test "kill before start ends the container, and a start behind it does nothing" {
    shim_task t sh -c 'echo never'
    shim_spawn t
    await has t created
    tell t $'kill 15\nstart'
    shim_ends 0
    same 137 "$(field t exit code)"
    refute has t running
    refute has t failed
    [ ! -s "$SHIM_WORK/t/log" ]
}

@test "kill before the container is made is kept until then" {
    shim_task t sh -c 'echo never'
    slow_runc 'case "$*" in *" create "*) until [ -e '"$SHIM_WORK"'/go ]; do sleep 0.01; done ;; esac'
    shim_spawn t --runc "$SHIM_WORK/slow-runc"
    await has t control
    tell t 'kill 15'
    touch "$SHIM_WORK/go"
    shim_ends 0
    same 137 "$(field t exit code)"
    refute has t running
}

@test "a first process that dies before start is an exit, too" {
    shim_task t sh -c 'echo never'
    shim_spawn t
    await has t created
    kill -KILL "$(field t created pid)"
    shim_ends 0
    same 9 "$(field t exit signal)"
}

@test "running out of memory is told from being killed" {
    shim_run t '.linux.resources.memory = {limit: 16777216}' dd if=/dev/zero of=/dev/null bs=64M count=1
    same 137 "$(field t exit code)"
    [ "$(field t exit oom_kills)" -ge 1 ]
}

@test "who inherited the pipes does not hold the shim up" {
    shim_run t '.linux.namespaces |= map(select(.type != "pid"))' sh -c 'sleep 1000 & echo $!; exit 7'
    same 7 "$(field t exit code)"
    read -r _ _ pid < <(log_of t)
    same sleep "$(cat "/proc/$pid/comm")" # it still holds them
    kill -KILL "$pid"
    await is_gone "$pid"
}

# --- what fails ---

@test "a command that is not there: failed, with runc's own words, in the golden form" {
    shim_task t nosuchcommand
    shim_spawn t
    shim_ends 1
    same "$(cat "$GOLDEN/shim-failed")" "$(golden_time "$SHIM_WORK/t/dir/failed")"
    refute has t created
    refute has t exit
    [ ! -e "$SHIM_WORK/t/log" ]
}

@test "no runc: failed, with the reason" {
    shim_task t true
    shim_spawn t --runc /nonexistent/runc
    shim_ends 1
    same create "$(field t failed stage)"
    same 'execute /nonexistent/runc: No such file or directory' "$(field t failed text)"
}

@test "a runc that dies with words on stderr: they are kept, without control bytes" {
    shim_task t true
    printf '#!/bin/sh\nprintf "panic:\\033[1m it\\tbroke\\n\\n" >&2\nexit 2\n' >"$SHIM_WORK/broken"
    chmod +x "$SHIM_WORK/broken"
    shim_spawn t --runc "$SHIM_WORK/broken"
    shim_ends 1
    same 'panic: [1m it broke' "$(field t failed text)"
}

@test "a runc that claims success without a container: failed" {
    shim_task t true
    shim_spawn t --runc /bin/true
    shim_ends 1
    same 'runc create ended with status 0 and left no process' "$(field t failed text)"
}

@test "a runc that names somebody else's process: failed, and that process lives" {
    shim_task t true
    sleep 1000 3>&- &
    bystander=$!
    shim_pids+=("$bystander")
    printf '#!/bin/sh\necho %s >"${11}"\n' "$bystander" >"$SHIM_WORK/liar" # … create --bundle DIR --pid-file FILE ID
    chmod +x "$SHIM_WORK/liar"
    shim_spawn t --runc "$SHIM_WORK/liar"
    shim_ends 1
    same "$bystander" "$(cat "$SHIM_WORK/t/dir/pid")"
    same 'runc create ended with status 0 and left no process' "$(field t failed text)"
    kill -0 "$bystander"
}

@test "runc create hangs: it is killed with what it started, and failed" {
    shim_task t true
    slow_runc 'sleep 1000 & echo $! >'"$SHIM_WORK"'/child; wait'
    shim_spawn t --runc "$SHIM_WORK/slow-runc" --create-timeout-ms 500
    shim_ends 1
    same create "$(field t failed stage)"
    same 'runc create did not answer within 500 ms' "$(field t failed text)"
    await is_gone "$(cat "$SHIM_WORK/child")"
}

@test "runc start hangs: the container is killed, and failed" {
    shim_task t sleep 1000
    slow_runc 'case "$*" in *" start "*) sleep 1000 ;; esac'
    shim_spawn t --runc "$SHIM_WORK/slow-runc" --create-timeout-ms 2000
    tell_when_created t
    shim_ends 1
    same start "$(field t failed stage)"
    same 'runc start did not answer within 2 s' "$(field t failed text)"
    await is_gone "$(field t created pid)"
    refute has t exit
}

@test "runc start fails: the container is killed, and failed with its words" {
    shim_task t sleep 1000
    slow_runc 'case "$*" in *" start "*)
        echo "time=\"x\" level=warning msg=\"not this\"" >>"$4"
        echo "time=\"x\" level=error msg=\"no \\\"luck\\\"\"" >>"$4"
        echo "time=\"x\" level=error msg=twice" >>"$4"
        exit 1 ;; esac'
    shim_spawn t --runc "$SHIM_WORK/slow-runc"
    tell_when_created t
    shim_ends 1
    same start "$(field t failed stage)"
    same 'no "luck"; twice' "$(field t failed text)"
    await is_gone "$(field t created pid)"
}

@test "the words of runc are cut at 2 KiB, the newest kept" {
    shim_task t true
    slow_runc 'for i in $(seq 100); do echo "level=error msg=\"number $i of many words that fill the room\"" >>"$4"; done; exit 1'
    shim_spawn t --runc "$SHIM_WORK/slow-runc"
    shim_ends 1
    text=$(field t failed text)
    [ "${#text}" -le 2048 ]
    matches 'number 99 of many words that fill the room; number 100 of many words that fill the room$' "$text"
}

@test "bad arguments are told at once" {
    shim_task t true
    for wrong in '--id ../x' '--dir relative' '--log-files 0' '--log-max-bytes 1x' '--unknown 1'; do
        shim_command t $wrong
        run "${command[@]}"
        same 2 "$status"
        matches "^muster-shim: .*${wrong%% *}$" "$output"
    done
    run "$SHIM" --id x
    same 2 "$status"
    same 'muster-shim: missing option --bundle' "$output"
    refute has t lock
}

# --- the shim among other processes ---

@test "the one that started the shim may be killed: the shim lives on and keeps the exit code" {
    shim_task t sh -c 'trap "exit 42" TERM; echo ready; while :; do sleep 0.05; done'
    shim_command t
    bash -c '"$@" & echo $! >"$0"; wait' "$SHIM_WORK/shim-pid" "${command[@]}" 3>&- &
    driver=$!
    tell_when_created t
    await grep -q ready "$SHIM_WORK/t/log"
    kill -KILL "$driver"
    wait "$driver" || :
    shim=$(cat "$SHIM_WORK/shim-pid")
    kill -0 "$shim"
    tell t 'kill 15'
    await has t exit
    same 42 "$(field t exit code)"
    await is_gone "$shim"
}

@test "signals and nonsense commands do not disturb it" {
    shim_task t sh -c 'exit 5'
    shim_spawn t
    await has t created
    kill -TERM "$shim"
    kill -INT "$shim"
    kill -HUP "$shim"
    kill -USR1 "$shim"
    tell t ''
    tell t 'starting'
    tell t 'kill'
    tell t 'kill 0'
    tell t 'kill 99'
    tell t 'kill 9x'
    tell t "$(head -c 3000 /dev/zero | tr '\0' x)"
    tell t "$(head -c 64 /dev/zero | tr '\0' ' ')kill 9"
    tell t start
    shim_ends 0
    same 5 "$(field t exit code)"
}

@test "a second shim leaves the first alone; one that comes afterwards has nothing to do" {
    shim_task t sh -c 'exit 5'
    shim_spawn t
    first=$shim
    await has t created
    inode=$(stat -c %i "$SHIM_WORK/t/dir/lock")
    grep -E "POSIX +ADVISORY +WRITE $first .*:$inode " /proc/locks
    before=$(stat -c '%n %i %s %z' "$SHIM_WORK/t/dir" "$SHIM_WORK/t/dir"/*)
    shim_spawn t
    shim_ends 3
    same "$before" "$(stat -c '%n %i %s %z' "$SHIM_WORK/t/dir" "$SHIM_WORK/t/dir"/*)"
    tell t start
    shim=$first
    shim_ends 0
    before=$(stat -c '%n %i %s %z' "$SHIM_WORK/t/dir"/*)
    shim_spawn t
    shim_ends 0
    same "$before" "$(stat -c '%n %i %s %z' "$SHIM_WORK/t/dir"/*)"
    same 5 "$(field t exit code)"
}

@test "the container inherits nothing of the shim nor of its parent" {
    shim_task t sh -c 'ls /proc/self/fd; grep -E "^Sig(Blk|Ign)" /proc/self/status; cat /proc/self/oom_score_adj; cat; env'
    shim_command t
    (
        trap '' PIPE TERM USR1
        export NOTIFY_SOCKET=/nonexistent SECRET=1
        exec "${command[@]}" 3>&- 7</etc/passwd 8>"$SHIM_WORK/eight" 9<"$SHIM_WORK"
    ) &
    shim=$!
    shim_pids+=("$shim")
    tell_when_created t
    shim_ends 0
    same "$(printf 'stdout F %s\n' 0 1 2 3 $'SigBlk:\t0000000000000000' $'SigIgn:\t0000000000000000' \
        "$(cat /proc/self/oom_score_adj)")" "$(log_of t | head -n 7)"
    refute grep -E "SECRET|NOTIFY" "$SHIM_WORK/t/log"
    same 0 "$(field t exit code)"
}

@test "the shim holds nothing but its own" {
    shim_task t true
    cd "$SHIM_WORK"
    shim_spawn t 7</etc/passwd
    await has t created
    same / "$(readlink "/proc/$shim/cwd")"
    same "$shim" "$(cut -d' ' -f6 "/proc/$shim/stat")" # session
    fds=$(for fd in /proc/"$shim"/fd/*; do readlink "$fd" | sed "s,$SHIM_WORK/t/,,; s/pipe:.*/pipe/"; done | sort | uniq -c | tr -s ' \n' ' ')
    same ' 3 /dev/null 1 dir 1 dir/control 1 dir/lock 2 pipe ' "$fds"
    tell t 'kill 9'
    shim_ends 0
}

@test "an end is told even when the directory's disk is full" {
    shim_task t sh -c 'trap "exit 6" TERM; echo ready; while :; do sleep 0.05; done'
    small_disk "$SHIM_WORK/t/dir" 64k
    shim_spawn t
    tell_when_created t
    await has t running
    await grep -q ready "$SHIM_WORK/t/log"
    refute dd if=/dev/zero of="$SHIM_WORK/t/dir/filler" bs=4k
    tell t 'kill 15'
    shim_ends 0
    same 6 "$(field t exit code)"
}

# --- the log ---

@test "each line has a stamp in UTC, its stream and a tag" {
    before=$(date -u +%Y-%m-%dT%H:%M:%S)
    shim_run t sh -c 'echo one; echo two >&2; echo; printf "no end"'
    after=$(date -u +%Y-%m-%dT%H:%M:%S)
    same "$(printf '%s\n' 'stderr F two' 'stdout F ' 'stdout F one' 'stdout P no end')" "$(log_of t | sort)"
    while read -r stamp _; do
        matches '^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{9}Z$' "$stamp"
        [[ ! ${stamp%.*} < $before && ! ${stamp%.*} > $after ]]
    done <"$SHIM_WORK/t/log"
    same 600 "$(stat -c %a "$SHIM_WORK/t/log")"
}

@test "a long line comes in pieces, and none of it is lost" {
    shim_run t sh -c 'head -c 40000 /dev/zero | tr "\0" x; echo; head -c 16384 /dev/zero | tr "\0" y; echo; echo end'
    same 'P 16384 P 16384 F 7232 F 16384 F 3' "$(log_of t | awk '{ printf "%s%s %d", (NR > 1 ? " " : ""), $2, length($3) }')"
}

@test "files are rotated at their limit, the newest lines are kept without a gap" {
    shim_task t seq 1 1000
    shim_spawn t --log-max-bytes 4096 --log-files 3
    tell_when_created t
    shim_ends 0
    same 'log log.1 log.2' "$(cd "$SHIM_WORK/t" && echo log*)"
    for file in "$SHIM_WORK"/t/log*; do
        [ "$(stat -c %s "$file")" -le 4096 ]
    done
    [ "$(stat -c %s "$SHIM_WORK/t/log.1")" -gt 4000 ]
    first=$(log_of t | sed -n '1s/stdout F //p')
    [ "$first" -gt 700 ]
    same "$(seq "$first" 1000 | sed 's/^/stdout F /')" "$(log_of t)"
}

@test "twenty megabytes come through whole" {
    separator=$(printf ' %060d\n_' 0) # 68 bytes a line
    shim_task t seq -s "${separator%_}" 100001 400000
    shim_spawn t --log-max-bytes 10000000 --log-files 5
    tell_when_created t
    shim_ends 0
    same "$(seq -s "${separator%_}" 100001 400000 | sed 's/^/stdout F /' | sha256sum)" "$(log_of t | sha256sum)"
    same 'log log.1 log.2 log.3' "$(cd "$SHIM_WORK/t" && echo log*)"
    same 0 "$(field t exit lost_log_lines)"
}

@test "a full disk loses lines, tells how many, and never stops the container" {
    mkdir "$SHIM_WORK/small" "$SHIM_WORK/shared"
    small_disk "$SHIM_WORK/small" 1m
    refute dd if=/dev/zero of="$SHIM_WORK/small/filler" bs=4k
    truncate -s -20k "$SHIM_WORK/small/filler"
    shim_task t '.mounts += [{destination: "/tmp", type: "bind", source: "'"$SHIM_WORK/shared"'", options: ["bind"]}]' \
        sh -c 'trap "echo back; exit 0" USR1; seq 1 100000; : >/tmp/printed; while :; do sleep 0.05; done'
    shim_spawn t --log "$SHIM_WORK/small/log"
    tell_when_created t
    await [ -e "$SHIM_WORK/shared/printed" ]
    rm "$SHIM_WORK/small/filler"
    tell t 'kill 10'
    shim_ends 0
    same 0 "$(field t exit code)"
    log=$SHIM_WORK/small/log
    refute grep -vE '^[-0-9]{10}T[:0-9]{8}\.[0-9]{9}Z (stdout F ([0-9]+|back)|stderr F \[muster: [0-9]+ lines lost: No space left on device\])$' "$log"
    lost=$(sed -n 's/.*\[muster: \([0-9]*\) lines lost.*/\1/p' "$log" | awk '{ sum += $1 } END { print sum + 0 }')
    [ "$lost" -gt 50000 ]
    same "$lost" "$(field t exit lost_log_lines)"
    same 100000 $(($(grep -cE 'stdout F [0-9]+$' "$log") + lost))
    matches 'stdout F back$' "$(tail -n 1 "$log")"
}

@test "a log that cannot be opened costs its lines only" {
    shim_task t sh -c 'echo one; echo two; exit 4'
    shim_spawn t --log /nonexistent/log
    tell_when_created t
    shim_ends 0
    same 4 "$(field t exit code)"
    same 2 "$(field t exit lost_log_lines)"
}

# --- helpers of this file ---

tell_when_created() { # TASK
    await has "$1" created
    tell "$1" start
}

golden_time() { # FILE
    sed 's/^time_unix_ns=.*/time_unix_ns=1700000000000000000/' "$1"
}

# A script in the place of runc, that does something of its own first.
slow_runc() { # SCRIPT
    printf '#!/bin/sh\n%s\nexec %s "$@"\n' "$1" "$RUNC" >"$SHIM_WORK/slow-runc"
    chmod +x "$SHIM_WORK/slow-runc"
}

small_disk() { # DIR SIZE
    mount -t tmpfs -o "size=$2,mode=700" tmpfs "$1"
    shim_mounts+=("$1")
}
