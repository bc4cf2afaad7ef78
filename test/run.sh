#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# test/run.sh — runs parts of the test suite and says in one last line what came out: N passed, N failed, N skipped.
#
#     test/run.sh PART...        called by the Makefile, which builds first and hands over the names of what it built
#
#   tree      the tree's own rules, the tests of the checkers of those rules and of this script, every header alone
#   unit      unit programs, two at a time, each with a deadline; each cmocka test counts
#   sim       simulated clusters from many seeds: of the Raft core alone, and of whole managers
#   fuzz      each fuzz target over its corpus (FLAVOUR=fuzz: and FUZZ_SECONDS of fuzzing)
#   asan      unit and fuzz once more, built with ASan and UBSan
#   tsan      the tests in which threads meet (transport), built with TSan
#   examples  every example spec file passes `muster lint`
#   e2e       bats files, one after the other (they own network namespaces and cgroups)
#   bench     benchmarks; what they print is the result
#
# Output of what passes is kept to a line; what fails is shown in full. Exit status 1 on a failure, on files that are left behind, and on a
# skip when CI=true, because there everything that a test could miss is installed.
set -u
cd "$(dirname "$0")/.." || exit 1

BUILD=${BUILD:-build}
FLAVOUR=${FLAVOUR:-release}
UNIT_SECONDS=${UNIT_SECONDS:-300}
E2E_SECONDS=${E2E_SECONDS:-900}
FUZZ_SECONDS=${FUZZ_SECONDS:-20}
CI=${CI:-}

passed=0
failed=0
skipped=0
summary=() # one line for each thing that failed or was skipped

# What tests make goes into directories of this run, which are to be empty at its end (test/lib/scratch.h).
work=$(mktemp -d /tmp/muster-test.XXXXXX) || exit 1
export TMPDIR=$work/t TEST_SHM=$work/m
[ ! -w /dev/shm ] || TEST_SHM=$(mktemp -d /dev/shm/muster-test.XXXXXX) || exit 1
mkdir -p "$TMPDIR" "$TEST_SHM"
chmod 0755 "$work" "$TMPDIR" # there are tests of what other users may do
trap 'rm -rf "$work" "$TEST_SHM"' EXIT
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=1:abort_on_error=0:detect_stack_use_after_return=1}
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1:halt_on_error=1}
export TSAN_OPTIONS=${TSAN_OPTIONS:-halt_on_error=1:suppressions=$PWD/test/tsan.supp}

# run_one NAME SECONDS COMMAND...: leaves NAME.log and NAME.rc in $work. Safe to run in the background.
run_one() {
    local name=$1 seconds=$2
    shift 2
    CMOCKA_MESSAGE_OUTPUT=TAP timeout --kill-after=10 "$seconds" "$@" >"$work/$name.log" 2>&1 </dev/null
    echo $? >"$work/$name.rc"
}

# count_one NAME SHOWN: reads TAP out of the log. A program without TAP counts as one test (77 = skipped); one that dies, or that leaves
# out what it planned, has failed however many lines say ok.
count_one() {
    local name=$1 shown=$2 log=$work/$1.log rc ok bad skips planned
    rc=$(cat "$work/$name.rc")
    # cmocka writes a skip as "not ok 2 # SKIP name", bats as "ok 2 name # skip reason"; a subtest is indented.
    skips=$(grep -ciE '^(not )?ok [0-9]+ .*# skip' "$log")
    ok=$(grep -iE '^ok [0-9]+' "$log" | grep -civE '# skip')
    bad=$(grep -iE '^not ok [0-9]+' "$log" | grep -civE '# skip')
    planned=$(grep -oE '^1\.\.[0-9]+' "$log" | awk -F'[.]+' '{ sum += $2 } END { print sum + 0 }')
    if ! grep -qE '^1\.\.[0-9]+' "$log"; then
        case $rc in
        0) ok=1 bad=0 skips=0 planned=1 ;;
        77) ok=0 bad=0 skips=1 planned=1 ;;
        *) ok=0 bad=1 skips=0 planned=1 ;;
        esac
    elif [ "$bad" = 0 ] && { [ "$rc" != 0 ] || [ $((ok + skips)) -lt "$planned" ]; }; then
        bad=1
    fi
    passed=$((passed + ok)) failed=$((failed + bad)) skipped=$((skipped + skips))
    if [ "$bad" != 0 ]; then
        printf '\n--- %s failed' "$shown"
        [ "$rc" != 124 ] && [ "$rc" != 137 ] || printf ' (deadline reached)'
        printf ' (exit status %s) ---\n' "$rc"
        cat "$log"
        printf -- '--- end of %s ---\n\n' "$shown"
        summary+=("failed:  $shown")
    else
        printf '  %-44s %3d passed%s\n' "$shown" "$ok" "$([ "$skips" = 0 ] || echo ", $skips skipped")"
    fi
    if [ "$skips" != 0 ]; then
        while IFS= read -r line; do
            summary+=("skipped: $shown: $line")
        done < <(grep -iE '^(not )?ok [0-9]+ .*# skip' "$log" || echo "exit status 77")
    fi
}

one() { # NAME SHOWN SECONDS COMMAND...
    run_one "$1" "$3" "${@:4}"
    count_one "$1" "$2"
}

# two_at_a_time LABEL PROGRAM...
two_at_a_time() {
    local label=$1 program
    shift
    for program in "$@"; do
        while [ "$(jobs -rp | wc -l)" -ge 2 ]; do wait -n; done
        run_one "$label-${program##*/}" "$UNIT_SECONDS" "$program" &
    done
    wait
    for program in "$@"; do
        count_one "$label-${program##*/}" "$label ${program##*/}"
    done
}

fuzz_one() { # LABEL PROGRAM
    local label=$1 program=$2 name=${2##*/fuzz_} corpus seconds=0
    local arguments=()
    corpus=test/fuzz/corpus/$name
    [ ! -d "$corpus" ] || arguments+=("$corpus")
    if [ "$label" = fuzz ] && [ "$FLAVOUR" = fuzz ]; then
        seconds=$FUZZ_SECONDS
        mkdir -p "$work/found-$name"
        arguments=("-max_total_time=$seconds" -rss_limit_mb=2048 -timeout=10 "-artifact_prefix=$work/found-$name/" "$work/found-$name"
            "${arguments[@]}")
        [ ! -f "test/fuzz/$name.dict" ] || arguments=("-dict=test/fuzz/$name.dict" "${arguments[@]}")
    fi
    one "$label-fuzz_$name" "$label fuzz_$name" $((UNIT_SECONDS + seconds)) "$program" "${arguments[@]}"
    local crash
    for crash in "$work/found-$name"/{crash,leak,oom,timeout}-*; do
        [ ! -f "$crash" ] || { mkdir -p "$BUILD/crashes/$name" && cp "$crash" "$BUILD/crashes/$name/" &&
            echo "kept: $BUILD/crashes/$name/${crash##*/}"; }
    done
}

part_tree() {
    one tidy 'tree tidy' 60 "$BUILD/tidy"
    one tidy-test 'tree tidy_test' 60 env BUILD="$BUILD" test/tidy_test.sh
    one run-test 'tree run_test' 60 test/run_test.sh
    one headers 'tree headers' 600 "${MAKE:-make}" --no-print-directory -j2 hdr-check
}

part_unit() {
    # shellcheck disable=SC2086 # names without blanks, from the Makefile
    two_at_a_time unit ${UNIT:-}
}

# On both cores at once; each says how many runs and hours it was.
part_sim() {
    run_one sim-raft 1200 env SEEDS="${SIM_SEEDS:-1000}" SIM_PROCESSES=1 "$BUILD/test/$FLAVOUR/test_raft_sim" &
    run_one sim-cluster 1200 env SEEDS="${SIM_SEEDS:-1000}" SEED_MS=216000 "$BUILD/test/$FLAVOUR/test_cluster_sim" &
    wait
    grep -h '^# .* runs, ' "$work"/sim-raft.log "$work"/sim-cluster.log || :
    count_one sim-raft 'sim test_raft_sim'
    count_one sim-cluster 'sim test_cluster_sim'
}

part_fuzz() {
    local program
    for program in ${FUZZ:-}; do
        fuzz_one fuzz "$program"
    done
}

part_asan() {
    local program programs=()
    for program in ${ASAN_TESTS:-}; do
        case ${program##*/} in
        fuzz_*) fuzz_one asan "$program" ;;
        *) programs+=("$program") ;;
        esac
    done
    two_at_a_time asan "${programs[@]}"
}

part_tsan() {
    # shellcheck disable=SC2086 # names without blanks, from the Makefile
    two_at_a_time tsan ${TSAN_TESTS:-}
}

part_examples() {
    local file
    [ -x "$BUILD/muster" ] || return 0
    for file in examples/*.yaml examples/*/*.yaml; do
        [ ! -f "$file" ] || one "example-${file//\//-}" "example ${file#examples/}" 60 "$BUILD/muster" lint "$file"
    done
}

part_e2e() {
    local file
    for file in ${E2E:-test/e2e/*.bats}; do
        [ ! -f "$file" ] || one "e2e-${file##*/}" "e2e ${file##*/}" "$E2E_SECONDS" bats --tap "$file"
    done
}

part_bench() {
    local program
    for program in ${BENCH:-} test/bench/bench_*.sh; do
        [ -f "$program" ] || continue
        if ! timeout "$E2E_SECONDS" "$program"; then
            failed=$((failed + 1))
            summary+=("failed:  ${program##*/}")
        else
            passed=$((passed + 1))
        fi
    done
}

for part in "$@"; do
    case $part in
    tree | unit | sim | fuzz | asan | tsan | examples | e2e | bench) "part_$part" ;;
    *)
        echo "test/run.sh: no part '$part'" >&2
        exit 2
        ;;
    esac
done

while IFS= read -r place; do
    failed=$((failed + 1))
    summary+=("failed:  something was left behind: ${place##*/}")
done < <(find "$TMPDIR" "$TEST_SHM" -mindepth 1 -maxdepth 1)

[ ${#summary[@]} = 0 ] || printf '%s\n' '' "${summary[@]}"
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ] && { [ "$CI" != true ] || [ "$skipped" = 0 ]; }
