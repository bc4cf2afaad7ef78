#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# test/e2e/readme.bats — what the README says of the tree is so.

load ../lib/expect.bash

repo=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)

setup() {
    cd "$repo"
}

@test "it is short enough to be read" {
    [ "$(wc -l <README.md)" -le 250 ]
    refute grep -n '@@' README.md
}

@test "the files it links and names are there" {
    while read -r path; do
        [ -e "$path" ] || { echo "missing: $path" >&2 && false; }
    done < <(grep -oE '\]\([a-zA-Z][^):]*\)' README.md | tr -d ']()'
        grep -oE '`(base|specs|transport|reconciler|cli|tui|test|examples)/[a-z_/]+\.[a-z]+' README.md | tr -d '`')
}

@test "the functions it names are in the files it names" {
    grep -oE '`[a-z_/]+\.c: [a-z_]+`' README.md | tr -d '`' >"$BATS_TEST_TMPDIR/names"
    [ "$(wc -l <"$BATS_TEST_TMPDIR/names")" -ge 10 ]
    while IFS=': ' read -r file function; do
        grep -qE "(^|[ *])$function\(" "$file" || { echo "$file has no $function" >&2 && false; }
    done <"$BATS_TEST_TMPDIR/names"
}

@test "each package that the Makefile wants has its reason" {
    for package in $(sed -e ':a' -e '/\\$/N; s/\\\n//; ta' Makefile | sed -nE 's/^(BUILD|RUN|TEST)_DEPS := //p'); do
        grep -qE "^\|[^|]*\b$package\b[^|]*\|" README.md || { echo "no reason for $package" >&2 && false; }
    done
}
