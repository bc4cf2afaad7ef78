#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# examples/images/build.sh — busybox, redis and nginx as OCI archives, made from Debian's packages without a container engine.
#
#     examples/images/build.sh DIRECTORY        leaves DIRECTORY/busybox.tar, redis.tar, redis-cache.tar, nginx.tar
#
# A layer is a directory turned into a tar whose bytes depend on the packages alone: names sorted, times and owners fixed. All images stand
# on the busybox layer, which holds the shell and the merged /usr; a program's layer adds the binary, the libraries that its own loader names,
# and its loader. What belongs to an image (its configuration) lies beside this script, in a folder named after it.
#
# The packages come from Debian's archive through apt-get. Those in DIRECTORY/packages or in apt's cache are used as they are, whichever their
# version: a second run needs no network, and `make clean` forgets them. Nothing is done when nothing changed since the last run.
set -euo pipefail
umask 022
export LC_ALL=C TZ=UTC

here=$(cd "$(dirname "$0")" && pwd)
out=${1:?usage: examples/images/build.sh DIRECTORY}
mkdir -p "$out/packages"
out=$(cd "$out" && pwd)

redis_packages='redis-tools libjemalloc2 liblzf1 libatomic1 libsystemd0 libcap2 libgcrypt20 libgpg-error0 liblz4-1 liblzma5 libzstd1
    libstdc++6 libgcc-s1 libssl3 libc6'
nginx_packages='nginx nginx-common libcrypt1 libpcre2-8-0 libssl3 zlib1g libc6'
images='busybox redis redis-cache nginx'

die() {
    echo "examples/images/build.sh: $*" >&2
    exit 1
}

# --- is there anything to do? ---

exec 9>"$out/.lock"
flock 9 # two builds of one directory take turns

stamp_now() {
    # shellcheck disable=SC2086 # names without blanks
    { find "$here" -type f -print0 | sort -z | xargs -0 sha256sum && sha256sum /bin/busybox && ls "$out/packages" &&
        cd "$out" && sha256sum $(printf '%s.tar ' $images); } 2>/dev/null
}
if [ -f "$out/.stamp" ] && stamp_now | cmp -s - "$out/.stamp"; then
    exit 0
fi

work=$(mktemp -d "$out/.work.XXXXXX")
trap 'rm -rf "$work"' EXIT

# --- packages ---

machine=$(dpkg --print-architecture)
case $machine in
amd64 | arm64 | riscv64 | s390x) oci_machine=$machine ;;
i386) oci_machine=386 ;;
armhf | armel) oci_machine=arm ;;
ppc64el) oci_machine=ppc64le ;;
*) die "no OCI name is known for Debian's architecture '$machine'" ;;
esac

# cached PACKAGE: the newest file of it that is here already.
cached() {
    { find "$out/packages" /var/cache/apt/archives -maxdepth 1 \( -name "$1_*_$machine.deb" -o -name "$1_*_all.deb" \) 2>/dev/null ||
        :; } | sort -t_ -k2 -V | tail -1
}

download() { # PACKAGE...
    (cd "$out/packages" && apt-get -q -q -o APT::Sandbox::User=root download "$@")
}

# get PACKAGE...: all of them in $out/packages.
get() {
    local package file missing=()
    for package in "$@"; do
        file=$(cached "$package")
        case $file in
        "$out/packages/"*) ;;
        '') missing+=("$package") ;;
        *) cp "$file" "$out/packages/" ;;
        esac
    done
    [ ${#missing[@]} = 0 ] && return
    echo "  GET   ${missing[*]}"
    download "${missing[@]}" 2>"$work/apt" && return
    # The lists may be missing (a fresh container) or old (the version they name is gone).
    if [ "$(id -u)" = 0 ] && apt-get -q -q update >>"$work/apt" 2>&1 && download "${missing[@]}" 2>>"$work/apt"; then
        return
    fi
    cat "$work/apt" >&2
    die "cannot get the packages: ${missing[*]}; is Debian's archive reachable, and 'apt-get update' done?"
}

# unpack DIRECTORY PACKAGE...
unpack() {
    local directory=$1 package
    shift
    mkdir -p "$directory"
    for package in "$@"; do
        dpkg-deb --extract "$(cached "$package")" "$directory"
    done
}

version_of() { # PACKAGE
    dpkg-deb --field "$(cached "$1")" Version
}

# add_program UNPACKED STAGE BINARY [NAME]: the binary with all that its loader says it needs, into a merged /usr. Libraries come from the
# unpacked packages only: one of this machine would make the image depend on where it was built.
add_program() {
    local from=$1 stage=$2 binary=$3 name=${4:-$3} loader library path
    loader=$(find "$from"/lib*/ -maxdepth 1 -name 'ld-linux*.so.*' -print -quit)
    [ -n "$loader" ] || die "no loader in libc6"
    local libraries=$from/usr/lib/$multiarch:$from/lib/$multiarch
    install -D -m 755 "$from/$binary" "$stage/$name"
    install -D -m 755 "$(readlink -f "$loader")" "$stage/usr/${loader#"$from"/}"
    "$loader" --inhibit-cache --library-path "$libraries" --list "$from/$binary" >"$work/needed" ||
        die "$binary: a library is missing; add its package to the list in this script"
    while read -r library _ path _; do
        case $library in
        linux-vdso* | linux-gate* | */*) continue ;;
        esac
        case $path in
        "$from"/*) install -D -m 644 "$path" "$stage/usr/lib/$multiarch/$library" ;;
        *) die "$binary needs $library; add its package to the list in this script" ;;
        esac
    done <"$work/needed"
}

# --- layers and images ---

blobs=$work/blobs # by digest, for all images
mkdir "$blobs"

digest_of() { # FILE
    local sum
    sum=$(sha256sum "$1")
    echo "${sum%% *}"
}

# keep FILE: moves it among the blobs; its digest and size are then in `digest` and `size`.
keep() {
    digest=$(digest_of "$1")
    size=$(stat -c %s "$1")
    mv "$1" "$blobs/$digest"
}

tar_of() { # OUTPUT OPTION...
    tar --file "$1" --format=ustar --sort=name --mtime=@0 --numeric-owner "${@:2}"
}

# layer NAME STAGE [UID DIRECTORY...]: the stage, owned by root but for the directories. $work/NAME.layer keeps what a manifest needs of it.
layer() {
    local name=$1 stage=$2 uid=${3:-0} owned excluded=() tarball=$work/$1.tar diff_id
    shift 2
    [ $# = 0 ] || shift
    for owned in "$@"; do
        excluded+=("--exclude=$owned")
    done
    # shellcheck disable=SC2046 # our own names, without blanks
    tar_of "$tarball" --create --owner=0 --group=0 --anchored "${excluded[@]}" -C "$stage" $(ls -A "$stage")
    [ $# = 0 ] || tar_of "$tarball" --append --owner="$uid" --group="$uid" -C "$stage" "$@"
    diff_id=$(digest_of "$tarball")
    gzip -n "$tarball"
    keep "$tarball.gz"
    echo "$diff_id $digest $size" >"$work/$name.layer"
}

# image NAME TITLE TAG VERSION CONFIG LAYER...: NAME.tar. CONFIG is the inside of the object `config`.
image() {
    local name=$1 title=$2 tag=$3 version=$4 config=$5 layers='' diff_ids='' part diff digest size config_part
    shift 5
    for part in "$@"; do
        read -r diff digest size <"$work/$part.layer"
        diff_ids+=",\"sha256:$diff\""
        layers+=",{\"mediaType\":\"application/vnd.oci.image.layer.v1.tar+gzip\",\"digest\":\"sha256:$digest\",\"size\":$size}"
    done
    local labels="\"org.opencontainers.image.title\":\"$title\",\"org.opencontainers.image.version\":\"$version\""
    printf '{"created":"1970-01-01T00:00:00Z","architecture":"%s","os":"linux","config":{%s,"Labels":{%s}},"rootfs":{"type":"layers",%s}}' \
        "$oci_machine" "\"Env\":[\"PATH=/usr/sbin:/usr/bin:/sbin:/bin\"],$config" "$labels" "\"diff_ids\":[${diff_ids#,}]" >"$work/json"
    keep "$work/json"
    local config_digest=$digest
    config_part="{\"mediaType\":\"application/vnd.oci.image.config.v1+json\",\"digest\":\"sha256:$digest\",\"size\":$size}"
    printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":%s,"layers":[%s]}' \
        "$config_part" "${layers#,}" >"$work/json"
    keep "$work/json"

    local layout=$work/layout-$name
    mkdir -p "$layout/blobs/sha256"
    ln "$blobs/$digest" "$blobs/$config_digest" "$layout/blobs/sha256/"
    for part in "$@"; do
        read -r _ part _ <"$work/$part.layer"
        ln "$blobs/$part" "$layout/blobs/sha256/"
    done
    printf '{"imageLayoutVersion":"1.0.0"}' >"$layout/oci-layout"
    printf '{"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:%s","size":%s,%s}]}' \
        "$digest" "$size" "\"annotations\":{\"org.opencontainers.image.ref.name\":\"$tag\"}" >"$layout/index.json"
    # A tar of hard links would hold links: --hard-dereference.
    tar_of "$work/$name.tar" --create --hard-dereference --owner=0 --group=0 --mode=u=rwX,go=rX -C "$layout" oci-layout index.json blobs
    mv "$work/$name.tar" "$out/$name.tar"
    echo "  IMAGE $out/$name.tar ($title:$tag, version $version)"
}

# --- busybox: what all stand on ---

[ -x /bin/busybox ] || die "/bin/busybox is missing; install the package busybox-static"
base=$work/base
mkdir -p "$base"/{dev,etc,home,proc,run,sys,var/log} "$base"/usr/{bin,sbin,lib,lib64}
mkdir -m 700 "$base/root"
mkdir -m 1777 "$base/tmp" "$base/var/tmp"
for directory in bin sbin lib lib64; do
    ln -s "usr/$directory" "$base/$directory"
done
install -m 755 /bin/busybox "$base/usr/bin/busybox"
"$base/usr/bin/busybox" --list-full | while IFS= read -r applet; do
    case $applet in
    */busybox) continue ;;
    usr/sbin/* | sbin/*) ln -s ../bin/busybox "$base/usr/sbin/${applet##*/}" ;;
    */*) ln -s busybox "$base/usr/bin/${applet##*/}" ;;
    esac
done
printf '%s\n' 'root:x:0:0:root:/root:/bin/sh' 'nobody:x:65534:65534:nobody:/:/bin/false' >"$base/etc/passwd"
printf '%s\n' 'root:x:0:' 'nogroup:x:65534:' >"$base/etc/group"
printf '%s\n' 'NAME="muster example image"' 'ID=busybox' >"$base/etc/os-release"
layer base "$base"
busybox_version=$("$base/usr/bin/busybox" | sed -n '1s/^BusyBox v\([0-9.]*\).*/\1/p')

# user NAME ID STAGE: a user of its own, beside those of the base.
user() {
    mkdir -p "$3/etc"
    { cat "$base/etc/passwd" && echo "$1:x:$2:$2:$1:/:/bin/false"; } >"$3/etc/passwd"
    { cat "$base/etc/group" && echo "$1:x:$2:"; } >"$3/etc/group"
}

# --- redis and nginx ---

# shellcheck disable=SC2046,SC2086 # names without blanks
get $(printf '%s\n' $redis_packages $nginx_packages | sort -u)

# shellcheck disable=SC2086
unpack "$work/redis" $redis_packages
multiarch=$(find "$work/redis/lib" -name libc.so.6 -printf '%h' -quit)
multiarch=${multiarch##*/}
redis=$work/stage-redis
add_program "$work/redis" "$redis" usr/bin/redis-check-rdb usr/bin/redis-server # one program under three names
add_program "$work/redis" "$redis" usr/bin/redis-cli
add_program "$work/redis" "$redis" usr/bin/redis-benchmark
user redis 999 "$redis"
mkdir "$redis/data"
layer redis "$redis" 999 data
for name in redis redis-cache; do
    install -D -m 644 "$here/$name/redis.conf" "$work/stage-$name-conf/etc/redis/redis.conf"
    layer "$name-conf" "$work/stage-$name-conf"
done

# shellcheck disable=SC2086
unpack "$work/nginx" $nginx_packages
nginx=$work/stage-nginx
add_program "$work/nginx" "$nginx" usr/sbin/nginx
install -D -m 644 "$work/nginx/etc/nginx/mime.types" "$nginx/etc/nginx/mime.types"
install -m 644 "$here/nginx/nginx.conf" "$nginx/etc/nginx/nginx.conf"
install -D -m 644 "$here/nginx/index.html" "$nginx/usr/share/nginx/html/index.html"
user nginx 101 "$nginx"
layer nginx "$nginx"

redis_version=$(version_of redis-tools)
redis_config='"User":"redis","WorkingDir":"/data","Cmd":["redis-server","/etc/redis/redis.conf"],"ExposedPorts":{"6379/tcp":{}}'
image busybox busybox "$busybox_version" "$busybox_version" '"Cmd":["sh"]' base
image redis redis 7.0 "$redis_version" "$redis_config" base redis redis-conf
image redis-cache redis 7.0-cache "$redis_version" "$redis_config" base redis redis-cache-conf
image nginx nginx 1.22 "$(version_of nginx)" \
    '"User":"nginx","Cmd":["nginx","-e","stderr","-g","daemon off;"],"StopSignal":"SIGQUIT","ExposedPorts":{"8080/tcp":{}}' base nginx

stamp_now >"$out/.stamp"
