#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# test/e2e/console.bats — `muster console` in a terminal (tmux) against a real musterd: the stream live, lost and found, and the
# terminal given back after every kind of end.

load ../lib/musterd.bash

setup() {
    musterd_setup
    musterd_cluster --executor fake
    cat >"$node/shop.yaml" <<YAML
name: shop
services:
  web: {image: "busybox:1.36", deploy: {replicas: 3}}
  api: {image: "busybox:1.36", deploy: {replicas: 2}}
YAML
    muster apply -f "$node/shop.yaml" >/dev/null 2>&1
}

teardown() {
    if [ -S "$node/tmux" ]; then
        terminal kill-server || :
    fi
    [ -z "$musterd" ] || kill -CONT "$musterd" 2>/dev/null || :
    musterd_remove
}

terminal() {
    env -u TMUX tmux -S "$node/tmux" -f /dev/null "$@"
}

# terminal_open COLUMNS ROWS: a shell in a terminal of that size; its settings are in $node/before.
terminal_open() {
    terminal new-session -d -x "$1" -y "$2" "env LANG=C.UTF-8 PS1='prompt> ' MUSTER_HOST='$MUSTER_HOST' PATH='$build:$PATH' bash --norc -i" 3>&-
    shell=$(terminal display -p '#{pane_pid}')
    terminal_run "stty -g >$node/before"
    await test -s "$node/before"
}

terminal_run() {
    terminal send-keys -l "$1"
    terminal send-keys Enter
}

keys() {
    terminal send-keys "$@"
}

screen() {
    terminal capture-pane -p
}

screen_has() {
    [[ $(screen) == *"$1"* ]]
}

screen_lacks() {
    [[ $(screen) != *"$1"* ]]
}

shows() { # TEXT…
    local text
    for text in "$@"; do
        await screen_has "$text" || { screen >&2 && return 1; }
    done
}

console_open() {
    terminal_open "${1:-100}" "${2:-24}"
    terminal_run "muster console"
    shows LIVE shop_web
    parent=$(pgrep -P "$shell" -x muster)
    child=$(pgrep -P "$parent" -x muster)
}

is_normal_screen() {
    [ "$(terminal display -p '#{alternate_on} #{cursor_flag} #{mouse_any_flag}')" = '0 1 0' ]
}

# The screen is the shell's again, the cursor is there, and the terminal's settings are those of before.
terminal_is_sane() {
    await is_normal_screen
    rm -f "$node/after"
    terminal_run "stty -g >$node/after"
    await test -s "$node/after"
    same "$(cat "$node/before")" "$(cat "$node/after")"
}

@test "what changes in the cluster appears by itself" {
    console_open
    shows '3/3' '2/2'
    muster service scale -d shop_api=5 >/dev/null
    shows '5/5'
    keys 3
    shows shop_api.5 '[3 Tasks]'
    muster service rm shop_api >/dev/null
    await screen_lacks shop_api.5
    shows shop_web.3
    keys q
    terminal_is_sane
}

@test "keys go into things and come back, and a filter narrows the list" {
    console_open 100 40
    keys Enter
    shows '> shop_api tasks'
    keys Enter
    shows 'TRIES OF THIS SLOT' 'task shop_api.1'
    keys Escape
    await screen_lacks 'Esc back  y yaml  ?'
    keys Escape
    await screen_lacks '> shop_api tasks'
    keys y
    shows '> shop_api yaml' 'kind: service'
    keys Escape
    await screen_lacks '> shop_api yaml'
    keys 3 /
    terminal send-keys -l 'web.2'
    shows '/web.2' '1 of 5'
    keys Escape
    await screen_lacks '/web.2'
    keys '?'
    shows 'leave the console; nothing stops'
    keys Escape
    await screen_lacks 'leave the console; nothing stops'
    keys 1
    shows '[1 Nodes]'
    keys q
    terminal_is_sane
}

@test "every size shows something, and the first one comes back as it was" {
    console_open 100 24
    local size
    for size in '50 12' '20 5' '8 3' '2 1' '160 48'; do
        terminal resize-window -x "${size% *}" -y "${size#* }"
        await is_painted "$size"
    done
    terminal resize-window -x 100 -y 24
    shows '[2 Services]' 'shop_web' 'LIVE'
    keys q
    terminal_is_sane
}

is_painted() { # "COLUMNS ROWS": the console knows the size once its child is idle again and something stands there
    [ "$(terminal display -p '#{pane_width} #{pane_height}')" = "$1" ] && [ -n "$(screen | tr -d ' \n')" ]
}

@test "the terminal is given back after q, TERM, HUP, SEGV and KILL, and the reason is told" {
    local how
    console_open
    for how in TERM HUP SEGV KILL; do
        kill -"$how" "$child"
        terminal_is_sane
        case $how in SEGV | KILL) shows 'the console was ended by signal' ;; esac
        terminal_run clear
        terminal_run "muster console"
        shows LIVE shop_web
        parent=$(pgrep -P "$shell" -x muster)
        child=$(pgrep -P "$parent" -x muster)
    done
    keys q
    terminal_is_sane
}

@test "a parent that is killed takes the console with it, and the terminal comes back" {
    console_open
    kill -KILL "$parent"
    await is_gone "$child"
    await is_normal_screen
}

@test "the console stops with Ctrl-Z and comes back with fg" {
    console_open
    keys C-z
    shows Stopped
    await is_normal_screen
    terminal_run fg
    shows LIVE shop_web '[2 Services]'
    keys q
    terminal_is_sane
}

@test "a daemon that dies leaves the picture with its age; when it is back the stream goes on" {
    console_open
    musterd_end KILL
    shows 'STALE' shop_web 'again in'
    musterd_start --executor fake
    shows LIVE
    muster service scale -d shop_web=4 >/dev/null
    shows '4/4'
    keys q
    terminal_is_sane
}

@test "a daemon that does not answer is called silent" {
    console_open
    kill -STOP "$musterd"
    shows 'SILENT' 'the daemon does not answer' shop_web
    keys 3
    shows '[3 Tasks]' # keys work meanwhile
    kill -CONT "$musterd"
    shows LIVE
    keys q
    terminal_is_sane
}

@test "an unknown terminal gets the tables once, and a hint" {
    terminal_open 120 40
    terminal_run 'TERM=no-such-terminal muster console'
    shows "the terminal type 'no-such-terminal' is not known" shop_web.3 'Services'
    terminal_is_sane
}

@test "NO_COLOR and --color never leave colours out" {
    terminal_open 100 24
    terminal_run 'NO_COLOR=1 muster console'
    shows LIVE
    refute grep -q $'\e\[[0-9;]*38;5' <(terminal capture-pane -p -e)
    keys q
    terminal_is_sane
    terminal_run 'clear; TERM=tmux-256color muster console --color always'
    shows LIVE
    grep -q $'\e\[[0-9;]*38;5' <(terminal capture-pane -p -e)
    keys q
    terminal_is_sane
}

@test "without a terminal the console says what to do, and --plain prints the tables" {
    run muster console </dev/null
    same 2 "$status"
    matches '--plain' "$output"
    run muster console --plain
    same 0 "$status"
    matches 'shop_web +3/3 +running' "$output"
    matches 'shop_api\.2 +n1 +running' "$output"
    musterd_end
    run muster console --plain
    same 3 "$status"
}

@test "a recording shows again what a script saw live" {
    printf 'feed all\nuntil shop_web.3\nkey 3\nsnap tasks\n' >"$node/keys"
    sed -i 's/until shop_web.3/until 3\/3/' "$node/keys"
    mkdir "$node/live" "$node/again"
    muster console --record "$node/rec" --script "$node/keys" --snap "$node/live"
    muster console --replay "$node/rec" --script "$node/keys" --snap "$node/again"
    grep -q shop_web.3 "$node/again/tasks.txt"
    # Ages and the freshness differ; what the rows say otherwise does not.
    same "$(grep -oE 'shop_[a-z]+\.[0-9]+ +n1 +[a-z]+' "$node/live/tasks.txt")" \
        "$(grep -oE 'shop_[a-z]+\.[0-9]+ +n1 +[a-z]+' "$node/again/tasks.txt")"
}
