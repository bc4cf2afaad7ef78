#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# test/tidy_test.sh — each rule of test/tidy.c must find its planted violation, and nothing in a clean tree. TAP.
set -u
cd "$(dirname "$0")/.." || exit 1
tidy=$(realpath "${BUILD:-build}/tidy") || exit 1
tree=$(mktemp -dt muster-tidy.XXXXXX) || exit 1
trap 'rm -rf "$tree"' EXIT
count=0
bad=0

# file PATH LINE...: a file with a proper head and these lines.
file() {
    local path=$1
    shift
    mkdir -p "$tree/$(dirname "$path")"
    printf '%s\n' '// SPDX-License-Identifier: Apache-2.0' '//' "// $path — a file of this test." "$@" >"$tree/$path"
}

header() { # PATH LINE...
    local path=$1 guard
    shift
    guard=MUSTER_$(echo "$path" | tr 'a-z/.' 'A-Z__')
    file "$path" "#ifndef $guard" "#define $guard" "$@" '#endif'
}

fresh() {
    rm -rf "${tree:?}"/*
    header base/a.h
    header specs/b.h
    header transport/c.h
    header cli/d.h
    header tui/e.h
    header reconciler/store/f.h
}

result() { # OK NAME
    count=$((count + 1))
    if [ "$1" = 0 ]; then
        echo "ok $count - $2"
    else
        echo "not ok $count - $2"
        "$tidy" "$tree" | sed 's/^/# /'
        bad=1
    fi
}

finds() { # WHERE-AND-WHAT NAME: exactly one problem, and it is this one
    local out
    out=$("$tidy" "$tree")
    [ $? = 1 ] && grep -qF "$1" <<<"$out" && [ "$(wc -l <<<"$out")" = 2 ]
    result $? "$2"
    fresh
}

passes() { # NAME
    "$tidy" "$tree" >/dev/null
    result $? "$1"
    fresh
}

lines() { # COUNT TEXT
    for ((i = 0; i < $1; i++)); do echo "$2"; done
}

fresh
passes 'a clean tree'

# arrows
file specs/x.c '#include "transport/c.h"' && finds 'specs/x.c:4: this folder must not include transport/c.h' 'specs may not include transport'
file base/x.c '#include "specs/b.h"' && finds 'must not include specs/b.h' 'base includes base only'
file cli/x.c '#include "reconciler/store/f.h"' && finds 'must not include reconciler' 'cli may not include reconciler'
file tui/x.c '#include "cli/d.h"' && finds 'must not include cli/d.h' 'tui may not include cli'
file cli/x.c '#include "tui/e.h"' && finds 'must not include tui/e.h' 'cli may not include tui'
file cli/main.c '#include "tui/e.h"' && passes 'cli/main.c starts the console'
file reconciler/raft/x.c '#include "specs/b.h"' && finds 'must not include specs/b.h' 'raft knows no objects'
file reconciler/plan/x.c '#include "reconciler/store/f.h"' && finds 'must not include reconciler/store' 'plan does not see the store'
file reconciler/agent/x.c '#include "reconciler/store/f.h"' && finds 'must not include' 'the agent does not see the store'
file reconciler/daemon/x.c '#include "reconciler/store/f.h"' '#include "transport/c.h"' && passes 'the daemon wires everything'
file base/x.c '#include "a.h"' && finds 'written from the repository root: a.h' 'includes from the root'
file reconciler/plan/x.c '#include <lmdb.h>' && finds 'only reconciler/store includes <lmdb.h>' 'lmdb has one home'
file cli/x.c '#include <nng/nng.h>' && finds 'only transport includes <nng' 'nng has one home'
file tui/view.c '#include <ncurses.h>' && finds 'only tui/term.c' 'ncurses has one file'
file tui/term.c '#include <ncurses.h>' && passes 'and that file may'
file transport/x.c '#include <openssl/ssl.h>' && finds 'only transport/tls.c' 'TLS has one file'
file base/x.c '#include <assert.h>' && finds 'use ASSERT' 'no assert.h'
file base/a.c '#include <stdio.h>' '#include "base/a.h"' && finds 'base/a.c:4: the first include' 'own header first'

# calls
for call in strcpy strcat sprintf strtok atoi strtol gets localtime rand sleep usleep system alloca assert malloc strdup; do
    file base/x.c 'void f(void) {' "    $call(0);" '}' && finds "base/x.c:5: banned call $call()" "no $call"
done
file base/x.c '// strcpy(a, b)' 'const char *x = "strcpy(a)";' 'int y = x->system(1) + x.rand();' 'int my_atoi(int);' &&
    passes 'comments, literals, members and longer names are no calls'
file base/x.c '#define COPY(a, b) strcpy(a, b)' && finds 'banned call strcpy' 'a call in a macro is a call'
file base/mem.c 'void *f(void) {' '    return malloc(1);' '}' && passes 'base/mem.c is the door to malloc'
file reconciler/agent/shim.c 'void *f(void) {' '    return malloc(1);' '}' && passes 'the shim stands alone'
file reconciler/store/x.c 'int f = MDB_NOSYNC;' && finds 'forbidden LMDB flag MDB_NOSYNC' 'honest sync'
file reconciler/store/x.c 'int f = MDB_WRITEMAP;' && finds 'forbidden LMDB flag MDB_WRITEMAP' 'no writable map'

# purity
for call in time clock_gettime clock_mono_ms getenv xmalloc id_random printf socket log_event; do
    file reconciler/plan/x.c 'void f(void) {' "    $call(0);" '}' && finds "a pure file must not call $call()" "plan calls no $call"
done
for path in reconciler/schedule/x.c reconciler/raft/x.c reconciler/agent/taskrun.c tui/model.c tui/grid.c tui/view_nodes.c; do
    file "$path" 'long f(void) {' '    return time(0);' '}' && finds "$path:5: a pure file" "$path is pure"
done
file reconciler/agent/runc.c 'long f(void) {' '    return time(0);' '}' && passes 'the rest of the agent is not'
file reconciler/plan/x.c 'static int counter;' && finds 'static mutable data' 'no static counter'
file reconciler/plan/x.c 'void f(void) {' '    static const char *last = 0;' '}' && finds 'static mutable data' 'no static pointer'
file reconciler/plan/x.c 'static const char *const names[] = {"a"};' 'static int f(int x) {' '    return x;' '}' && passes 'tables and functions are fine'

# lengths
file base/x.c 'void f(void) {' "$(lines 69 '    ;')" '}' && finds 'base/x.c:4: a function of 71 lines' 'a function of 71 lines'
file base/x.c 'void f(void) {' "$(lines 68 '    ;')" '}' && passes 'a function of 70 lines'
file base/x.c '// tidy: flat switch' 'void f(void) {' "$(lines 90 '    ;')" '}' && passes 'a flat switch'
file base/x.c 'static const int t[] = {' "$(lines 90 '    1,')" '};' && passes 'a table'
file base/x.c '#define OPEN {' 'void f(void) {' "$(lines 69 '    ;')" '}' && finds 'a function of 71' 'braces in macros do not count'
file base/x.c "$(lines 998 'int x;')" && finds '1001 lines; at most 1000' 'a file of 1001 lines'
header base/x.h "$(lines 395 'extern int x;')" && finds '401 lines; at most 400' 'a header of 401 lines'
file base/x.c "// $(lines 40 äöü | tr -d '\n')" && finds 'base/x.c:4: a line of more than 120 columns' 'a line of 123 columns'
file base/x.c "// $(lines 39 äöü | tr -d '\n')" && passes 'columns are counted, not bytes'

# text
file base/x.c 'int x; ' && finds 'base/x.c:4: blanks at the end' 'blanks at the end'
file base/x.c $'\tint x;' && finds 'base/x.c:4: a tab' 'a tab'
file base/x.c '// FIX''ME: later' && finds 'a note to oneself' 'notes'
file base/x.c '// TO''DO: later' && finds 'a note to oneself' 'more notes'
printf 'int x;\n' >"$tree/base/x.c" && finds 'a file begins with its licence' 'no head'
printf '%s\n' '// SPDX-License-Identifier: Apache-2.0' '//' '// base/y.c — another.' >"$tree/base/x.c" && finds 'a file begins with' 'the path of another file'
file base/x.h '#ifndef X_H' '#define X_H' '#endif' && finds 'the header guard is MUSTER_BASE_X_H' 'a wrong guard'
printf '%s' "$(cat "$tree/base/a.h")" >"$tree/base/z" && mv "$tree/base/z" "$tree/base/a.h" && finds 'no line end at the end' 'a line without an end'

echo "1..$count"
exit $bad
