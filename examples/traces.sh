# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# examples/traces.sh — what a musterd leaves behind on a machine, found and swept. To be sourced.
#
# A daemon is known by the directories that it was started with, STATE and RUN. It need not run, nor have ended well.
#
#     traces_group STATE             name of the parent of its tasks' control groups
#     traces_processes STATE RUN     pids: what was started with something below the two, and all that is in those control groups
#     traces_mounts STATE RUN        what is mounted below the two, the innermost first
#     traces_groups STATE            the control groups of its tasks
#     traces_sweep STATE RUN         kills what is ours, unmounts and removes the rest; fails when something is left. Files stay.

# muster for a machine's own daemon, else muster- and CRC-32C of the directory (reconciler/agent/runc_place.c).
traces_group() {
    local crc=$((0xffffffff)) i bit byte
    [ "$1" != /var/lib/muster ] || { echo muster && return; }
    for ((i = 0; i < ${#1}; i++)); do
        printf -v byte %d "'${1:i:1}"
        crc=$((crc ^ byte))
        for ((bit = 0; bit < 8; bit++)); do
            crc=$(((crc >> 1) ^ (0x82f63b78 * (crc & 1))))
        done
    done
    printf 'muster-%08x\n' $((crc ^ 0xffffffff))
}

traces_processes() {
    traces_named "$@"
    traces_grouped "$1"
}

traces_named() { # STATE RUN: pids of what was started with something below them
    local file pid
    # The words to look for come through a pipe, so that grep does not find itself.
    for file in $(grep -lazE -f <(printf '^%s(/|$)\n' "$@") /proc/[0-9]*/cmdline 2>/dev/null); do
        pid=${file#/proc/}
        pid=${pid%/cmdline}
        traces_is_gone "$pid" || echo "$pid"
    done
}

traces_grouped() { # STATE
    find /sys/fs/cgroup -path "*/$(traces_group "$1")/*" -name cgroup.procs -exec cat {} + 2>/dev/null | sort -u
}

# Who reads a log there is named as well, and is none of ours.
traces_ours() { # STATE RUN
    local pid
    for pid in $(traces_named "$@"); do
        ! grep -qsE '^(musterd|muster-shim|runc.*|skopeo)$' "/proc/$pid/comm" || echo "$pid"
    done
    traces_grouped "$1"
}

traces_is_gone() { # PID
    [ ! -d "/proc/$1" ] || grep -qs '^State:.[ZX]' "/proc/$1/status"
}

traces_mounts() {
    awk -v state="$1/" -v run="$2/" 'index($5, state) == 1 || index($5, run) == 1 { print $5 }' /proc/self/mountinfo | sort -r
}

traces_groups() {
    find /sys/fs/cgroup -mindepth 2 -path "*/$(traces_group "$1")/*" -type d 2>/dev/null
}

traces_kill() {
    local pids deadline=$((SECONDS + 20))
    while pids=$(traces_ours "$@"); [ -n "$pids" ]; do
        [ $SECONDS -lt $deadline ] || return 1
        # shellcheck disable=SC2086 # words
        kill -KILL $pids 2>/dev/null || :
        sleep 0.05
    done
}

traces_sweep() {
    local mount group deadline=$((SECONDS + 10))
    traces_kill "$@" || return 1
    for mount in $(traces_mounts "$@"); do
        umount "$mount" 2>/dev/null || umount -l "$mount" || return 1
    done
    group=$(traces_group "$1")
    # A group can be removed a moment after its last process has gone.
    while find /sys/fs/cgroup -depth -type d \( -path "*/$group" -o -path "*/$group/*" \) -exec rmdir {} + 2>/dev/null
        find /sys/fs/cgroup -type d -name "$group" 2>/dev/null | grep -q .; do
        [ $SECONDS -lt $deadline ] || return 1
        sleep 0.05
    done
}
