#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# test/e2e/install.bats — what `make install` leaves, and that it works from there.

load ../lib/musterd.bash

setup() {
    musterd_setup
}

teardown() {
    musterd_remove
}

@test "programs, man pages, completion, examples and the unit are installed" {
    make -C "$repo" --no-print-directory install DESTDIR="$node/root" PREFIX=/usr >"$node/make" 2>&1 3>&- || { cat "$node/make" >&2 && false; }
    cd "$node/root/usr"
    for file in bin/muster bin/musterd libexec/muster/muster-shim; do
        [ -x "$file" ]
    done
    [ -s share/man/man1/muster.1 ]
    bash -n share/bash-completion/completions/muster
    grep -qx 'ExecStart=/usr/bin/musterd' lib/systemd/system/musterd.service
    grep -qx 'KillMode=process' lib/systemd/system/musterd.service
    for file in demo.sh cluster.sh traces.sh shop.yaml compose/compose.yaml compose/site/index.html; do
        [ -s "share/muster/examples/$file" ]
    done
    # What an installed example names is there.
    grep -qx 'image: oci-archive:../images/nginx.tar' share/muster/examples/shop.yaml
    for image in $(sed -n 's/.*oci-archive://p' share/muster/examples/shop.yaml); do
        [ -s "share/muster/examples/$image" ]
    done
    # The installed daemon finds its shim where it was installed.
    build=$node/root/usr/bin
    musterd_cluster
    muster node ls | grep -q n1
}
