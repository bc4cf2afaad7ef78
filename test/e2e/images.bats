#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# test/e2e/images.bats — the example images: the same bytes each time, good OCI images, and programs that really run in them.

load ../lib/registry.bash

repo=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
IMAGES=$repo/${BUILD:-build}/images
RUNC=$(command -v runc || echo /usr/sbin/runc)

setup_file() {
    "$repo/examples/images/build.sh" "$IMAGES"
}

setup() {
    work=$(mktemp -dt muster-images-test.XXXXXX)
    container=
}

teardown() {
    [ -z "$container" ] || "$RUNC" --root "$work/runc" delete --force "$container" || :
    registry_remove
    rm -rf "$work"
}

same() { # EXPECTED ACTUAL
    [ "$1" = "$2" ] || { printf 'expected: %s\nactual:   %s\n' "$1" "$2" >&2 && return 1; }
}

await() { # COMMAND…
    local deadline=$((SECONDS + 30))
    until "$@"; do
        [ $SECONDS -lt $deadline ] || { echo "never came true: $*" >&2 && return 1; }
        sleep 0.02
    done
}

# unpack IMAGE: the archive in $work/layout, its root file system in $work/bundle/rootfs, its configuration in $work/config.
unpack() {
    local layer
    mkdir -p "$work/layout" "$work/bundle/rootfs"
    tar -xf "$IMAGES/$1.tar" -C "$work/layout"
    manifest=$(blob "$(jq -r '.manifests[0].digest' "$work/layout/index.json")")
    cp "$(blob "$(jq -r .config.digest "$manifest")")" "$work/config"
    for layer in $(jq -r '.layers[].digest' "$manifest"); do
        tar -xzf "$(blob "$layer")" -C "$work/bundle/rootfs"
    done
}

blob() { # DIGEST
    echo "$work/layout/blobs/sha256/${1#sha256:}"
}

# start IMAGE [COMMAND…]: runs it as its configuration says, in an empty network of its own; output goes to $work/log.
start() {
    local image=$1 user
    shift
    unpack "$image"
    user=$(jq -r '.config.User // "root"' "$work/config")
    jq -n --slurpfile image "$work/config" --arg cgroup "/muster-test-images-$$" \
        --argjson uid "$(sed -n "s/^$user:x:\([0-9]*\):.*/\1/p" "$work/bundle/rootfs/etc/passwd")" '{
        ociVersion: "1.0.2",
        process: {user: {uid: $uid, gid: $uid}, cwd: ($image[0].config.WorkingDir // "/"), env: $image[0].config.Env, noNewPrivileges: true,
                  args: (if $ARGS.positional == [] then $image[0].config.Cmd else $ARGS.positional end)},
        root: {path: "rootfs"},
        mounts: [{destination: "/proc", type: "proc", source: "proc"},
                 {destination: "/dev", type: "tmpfs", source: "tmpfs", options: ["nosuid", "mode=755"]}],
        linux: {cgroupsPath: $cgroup, namespaces: [{type: "pid"}, {type: "ipc"}, {type: "uts"}, {type: "mount"}, {type: "network"}]}
    }' --args -- "$@" >"$work/bundle/config.json"
    container=muster-images-$$
    (cd "$work/bundle" && "$RUNC" --root "$work/runc" run --detach "$container" >"$work/log" 2>&1 </dev/null 3>&-)
}

inside() { # COMMAND…
    "$RUNC" --root "$work/runc" exec "$container" "$@" 2>>"$work/errors"
}

answers() { # EXPECTED COMMAND…
    [ "$(inside "${@:2}")" = "$1" ]
}

is_stopped() {
    [ "$("$RUNC" --root "$work/runc" state "$container" | jq -r .status)" = stopped ]
}

@test "two builds have the same bytes, and the second needs no network" {
    mkdir -p "$work/again"
    cp -r "$IMAGES/packages" "$work/again/packages"
    unshare --net "$repo/examples/images/build.sh" "$work/again"
    for name in busybox redis redis-cache nginx; do
        cmp "$IMAGES/$name.tar" "$work/again/$name.tar"
    done
    same 'busybox.tar nginx.tar packages redis-cache.tar redis.tar ' "$(ls "$work/again" | tr '\n' ' ')"
    before=$(stat -c %y "$work/again/redis.tar")
    same '' "$("$repo/examples/images/build.sh" "$work/again")"
    same "$before" "$(stat -c %y "$work/again/redis.tar")"
    echo damage >>"$work/again/redis.tar"
    "$repo/examples/images/build.sh" "$work/again"
    cmp "$IMAGES/redis.tar" "$work/again/redis.tar"
}

@test "digests and sizes are what the manifests say, and the busybox layer is shared" {
    for name in busybox redis redis-cache nginx; do
        rm -rf "$work/layout" "$work/bundle"
        unpack "$name"
        for file in "$work"/layout/blobs/sha256/*; do
            same "${file##*/}" "$(sha256sum "$file" | cut -d' ' -f1)"
        done
        while read -r digest size; do
            same "$size" "$(stat -c %s "$(blob "$digest")")"
        done < <(jq -r '.config, .layers[] | "\(.digest) \(.size)"' "$manifest")
        same "$(jq -r '.rootfs.diff_ids[]' "$work/config")" "$(for layer in $(jq -r '.layers[].digest' "$manifest"); do
            echo "sha256:$(zcat "$(blob "$layer")" | sha256sum | cut -d' ' -f1)"
        done)"
        jq -r '.layers[0].digest' "$manifest" >>"$work/bases"
    done
    same 1 "$(sort -u "$work/bases" | wc -l)"
}

@test "skopeo takes them for good images, alone and through a registry" {
    registry_start
    registry_push "$IMAGES/busybox.tar" busybox:latest
    registry_push "$IMAGES/redis.tar" redis:7.0
    registry_push "$IMAGES/redis-cache.tar" redis:7.0-cache
    registry_push "$IMAGES/nginx.tar" team/nginx:1.22
    same "$(skopeo inspect --format '{{.Digest}}' "oci-archive:$IMAGES/redis.tar")" \
        "$(skopeo inspect --tls-verify=false --format '{{.Digest}}' "docker://$registry/redis:7.0")"
    same '7.0 7.0-cache' "$(skopeo list-tags --tls-verify=false "docker://$registry/redis" | jq -r '.Tags | sort | join(" ")')"
    before=$registry
    registry_stop
    run skopeo inspect --tls-verify=false "docker://$registry/redis:7.0"
    [[ $output == *'connection refused'* ]]
    registry_start
    same "$before" "$registry"
    skopeo inspect --tls-verify=false "docker://$registry/redis:7.0-cache" >/dev/null
}

@test "busybox has a shell and its applets" {
    start busybox sh -c 'echo "$(id -u) $(ls -ld /tmp | cut -c1-10) $(readlink /bin)"; [ -d /dev ] && [ -d /sys ]'
    await is_stopped
    same '0 drwxrwxrwt usr/bin' "$(cat "$work/log")"
}

@test "redis answers as a user of its own, and ends cleanly" {
    start redis
    await answers PONG redis-cli ping
    same 999 "$(inside id -u)"
    same OK "$(inside redis-cli set greeting hello)"
    same hello "$(inside redis-cli get greeting)"
    same OK "$(inside redis-cli save)"
    same dump.rdb "$(inside ls /data)"
    "$RUNC" --root "$work/runc" kill "$container" TERM
    await is_stopped
    grep -q 'bye bye' "$work/log"
}

@test "redis-cache differs in its configuration only" {
    start redis-cache
    await answers PONG redis-cli ping
    same $'maxmemory\n33554432' "$(inside redis-cli config get maxmemory)"
    same $'save' "$(inside redis-cli config get save)"
}

@test "nginx serves without root, logs to the container's output, and ends on its signal" {
    start nginx
    await answers "$(cat "$repo/examples/images/nginx/index.html")" wget -qO- http://127.0.0.1:8080/
    same "$(inside hostname)" "$(inside wget -qO- http://127.0.0.1:8080/hostname)"
    same 101 "$(inside id -u)"
    await grep -q '"GET /hostname HTTP/1.1" 200' "$work/log"
    "$RUNC" --root "$work/runc" kill "$container" "$(jq -r .config.StopSignal "$work/config")"
    await is_stopped
    grep -q 'gracefully shutting down' "$work/log"
}
