# SPDX-License-Identifier: Apache-2.0
#
# test/lib/registry.bash — a registry of images on a free port of the loopback, for as long as a test needs it.
#
#     registry_start                   $registry is now 127.0.0.1:PORT, its log in $registry_dir/log
#     registry_push ARCHIVE NAME:TAG   brings an OCI archive into it (plain HTTP: list $registry as insecure)
#     registry_stop; registry_start    down, and up again with the same port and content
#     registry_remove                  in teardown: stops it and takes its files away; harmless when there is none

registry_start() {
    local port=0 deadline=$((SECONDS + 30))
    [ -n "${registry_dir-}" ] || registry_dir=$(mktemp -dt muster-registry.XXXXXX)
    [ -z "${registry-}" ] || port=${registry##*:}
    cat >"$registry_dir/config.yml" <<CONFIG
version: 0.1
log: {level: info, formatter: text}
storage: {filesystem: {rootdirectory: $registry_dir/content}, delete: {enabled: true}}
http: {addr: "127.0.0.1:$port"}
CONFIG
    : >"$registry_dir/log"
    OTEL_TRACES_EXPORTER=none docker-registry serve "$registry_dir/config.yml" >"$registry_dir/log" 2>&1 3>&- &
    registry_pid=$!
    until registry=$(grep -oE 'listening on 127\.0\.0\.1:[0-9]+' "$registry_dir/log"); do
        if ! kill -0 "$registry_pid" 2>/dev/null || [ $SECONDS -ge $deadline ]; then
            echo "the registry did not start:" >&2
            cat "$registry_dir/log" >&2
            return 1
        fi
        sleep 0.02
    done
    registry=${registry##* }
}

registry_push() { # ARCHIVE NAME:TAG
    skopeo --insecure-policy copy --quiet --dest-tls-verify=false "oci-archive:$1" "docker://$registry/$2"
}

registry_stop() {
    [ -n "${registry_pid-}" ] || return 0
    kill "$registry_pid" 2>/dev/null || :
    wait "$registry_pid" 2>/dev/null || :
    registry_pid=
}

registry_remove() {
    registry_stop
    [ -z "${registry_dir-}" ] || rm -rf "$registry_dir"
    registry_dir= registry=
}
