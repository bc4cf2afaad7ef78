#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# test/run_test.sh — test/run.sh fails when a test fails, is skipped in CI, dies, says less than it planned, or leaves something behind.
set -u
cd "$(dirname "$0")/.." || exit 1
dir=$(mktemp -dt muster-run-test.XXXXXX) || exit 1
trap 'rm -rf "$dir"' EXIT
bad=0

# expect STATUS WORDS LINE…: a unit program of these lines
expect() {
    local status=$1 words=$2 found rc
    printf '%s\n' '#!/bin/bash' "${@:3}" >"$dir/program"
    chmod +x "$dir/program"
    found=$(CI=true UNIT=$dir/program test/run.sh unit)
    rc=$?
    [ "$rc" = "$status" ] && grep -qF -- "$words" <<<"$found" && return
    printf 'wanted %s and "%s", found %s and:\n%s\n' "$status" "$words" "$rc" "$found"
    bad=1
}

expect 0 '1 passed, 0 failed' 'exit 0'
expect 0 '2 passed, 0 failed' 'printf "1..2\nok 1 a\nok 2 b\n"'
expect 1 '1 failed' 'exit 3'
expect 1 '1 failed' 'printf "1..2\nok 1 a\nnot ok 2 b\n"'
expect 1 '1 failed' 'printf "1..2\nok 1 a\n"'
expect 1 '1 skipped' 'printf "1..1\nok 1 a # skip no reason\n"'
expect 0 '1 passed, 0 failed' 'rm -r "$(mktemp -dt muster-store.XXXXXX)" "$(mktemp -d "$TEST_SHM/muster.XXXXXX")"'
expect 1 'left behind: muster-store.' 'mktemp -dt muster-store.XXXXXX'
expect 1 'left behind: muster-sim.' 'mktemp -d "$TEST_SHM/muster-sim.XXXXXX"'
exit $bad
