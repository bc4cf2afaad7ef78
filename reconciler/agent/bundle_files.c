// SPDX-License-Identifier: Apache-2.0
//
// reconciler/agent/bundle_files.c — /etc/hostname, /etc/hosts and /etc/resolv.conf of one task, and its init.
//
// They lie in the bundle and are mounted over the image's, so that the image is not written to. What the host
// says of names is taken over where it holds inside too: its resolvers always, its hosts under host
// networking.
#include "reconciler/agent/bundle_parts.h"

#include <fcntl.h>
#include <string.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/str.h"

#define FILE_BYTES_MAX ((size_t)64 * 1024)

static void read_host(const struct bundle_options *options, const char *name, struct buf *out) {
    AUTO_FREE char *path = xasprintf("%s/%s", options->etc_dir != NULL ? options->etc_dir : "/etc", name);
    fs_read(AT_FDCWD, path, FILE_BYTES_MAX, out, NULL); // without it, the container has none
    if (out->len > 0 && out->data[out->len - 1] != '\n') {
        buf_addc(out, '\n');
    }
}

static int put_file(const struct bundle_options *options, const char *name, const struct buf *text,
                    struct bundle_mounts *out, struct arena *arena, struct error *err) {
    const char *target = arena_printf(arena, "/etc/%s", name);
    const char *path = arena_printf(arena, "%s/%s", options->directory, name);
    for (size_t i = 0; i < out->count; i++) {
        if (str_equal(out->items[i].target, target)) {
            return 0; // the spec has its own
        }
    }
    int rc = fs_replace(AT_FDCWD, path, buf_text(text), text->len, 0644, /*sync=*/false, err);
    if (rc == 0) {
        bundle_mount_add(out, target, "bind", path, "bind,rprivate,nosuid,nodev,noexec", arena);
    }
    return rc;
}

// --- their text ---

static void put_hosts(const struct bundle_options *options, const char *hostname, struct buf *out) {
    const struct service_spec *spec = bundle_spec(options);
    if (spec->network_mode == NETWORK_HOST) {
        read_host(options, "hosts", out);
    } else {
        buf_adds(out, "127.0.0.1\tlocalhost\n"
                      "::1\tlocalhost ip6-localhost ip6-loopback\n"
                      "fe00::\tip6-localnet\nff00::\tip6-mcastprefix\n"
                      "ff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n");
        buf_addf(out, "127.0.0.1\t%s\n", hostname);
    }
    for (size_t i = 0; i < spec->extra_hosts.count; i++) {
        const char *entry = spec->extra_hosts.items[i]; // "name:address", or "name=address"
        size_t len = strcspn(entry, "=:");
        if (entry[len] != '\0') {
            buf_addf(out, "%s\t%.*s\n", entry + len + 1, (int)len, entry);
        }
    }
}

static void put_joined(struct buf *out, const char *keyword, const struct strings *list) {
    if (list->count > 0) {
        buf_adds(out, keyword);
        for (size_t i = 0; i < list->count; i++) {
            buf_addf(out, " %s", list->items[i]);
        }
        buf_addc(out, '\n');
    }
}

static bool is_replaced(const struct service_spec *spec, const char *line) {
    return (spec->dns.count > 0 && str_starts(line, "nameserver")) ||
           (spec->dns_search.count > 0 && (str_starts(line, "search") || str_starts(line, "domain"))) ||
           (spec->dns_opt.count > 0 && str_starts(line, "options"));
}

static void put_resolv_conf(const struct bundle_options *options, struct buf *out) {
    const struct service_spec *spec = bundle_spec(options);
    AUTO_BUF host = {0};
    read_host(options, "resolv.conf", &host);
    for (char *line = host.data; line != NULL && *line != '\0';) {
        char *end = strchr(line, '\n');
        *end = '\0';
        if (line[0] != '#' && line[0] != ';' && !is_replaced(spec, line)) {
            buf_addf(out, "%s\n", line);
        }
        line = end + 1;
    }
    for (size_t i = 0; i < spec->dns.count; i++) {
        buf_addf(out, "nameserver %s\n", spec->dns.items[i]);
    }
    put_joined(out, "search", &spec->dns_search);
    put_joined(out, "options", &spec->dns_opt);
}

int bundle_files_make(const struct bundle_options *options, struct bundle_mounts *out, struct arena *arena,
                      struct error *err) {
    const char *hostname = bundle_hostname(options, arena);
    AUTO_BUF name = {0};
    AUTO_BUF hosts = {0};
    AUTO_BUF resolv_conf = {0};
    buf_addf(&name, "%s\n", hostname);
    put_hosts(options, hostname, &hosts);
    put_resolv_conf(options, &resolv_conf);
    int rc = put_file(options, "hostname", &name, out, arena, err);
    rc = rc == 0 ? put_file(options, "hosts", &hosts, out, arena, err) : rc;
    rc = rc == 0 ? put_file(options, "resolv.conf", &resolv_conf, out, arena, err) : rc;
    if (rc == 0 && bundle_spec(options)->init) {
        bundle_mount_add(out, BUNDLE_INIT_PATH, "bind", options->shim_path, "bind,rprivate,nosuid,nodev,ro",
                         arena);
    }
    return rc;
}
