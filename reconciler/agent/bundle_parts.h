// SPDX-License-Identifier: Apache-2.0
//
// reconciler/agent/bundle_parts.h — what the parts of bundle.c share. Private to them.
#ifndef MUSTER_RECONCILER_AGENT_BUNDLE_PARTS_H
#define MUSTER_RECONCILER_AGENT_BUNDLE_PARTS_H

#include "reconciler/agent/bundle.h"

#define BUNDLE_INIT_PATH "/dev/muster-init" // where the shim is mounted that serves as init

// One row of `mounts` in config.json.
struct bundle_mount {
    const char *target, *type, *source;
    struct strings options;
};
struct bundle_mounts {
    size_t count;
    struct bundle_mount *items;
};

static inline const struct service_spec *bundle_spec(const struct bundle_options *options) {
    return &options->assignment->spec;
}
const char *bundle_hostname(const struct bundle_options *options, struct arena *arena);

// Options come comma-separated.
void bundle_mount_add(struct bundle_mounts *out, const char *target, const char *type, const char *source,
                      const char *mount_options, struct arena *arena);

// bundle_mounts.c: what every container has, then the spec's and the image's, outer ones first. `propagation`
// becomes what the root file system must have for them; "" = nothing special.
int bundle_mounts_make(const struct bundle_options *options, struct bundle_mounts *out,
                       const char **propagation, int64_t *reason, struct arena *arena, struct error *err);

// bundle_files.c: hostname, hosts, resolv.conf, init.
int bundle_files_make(const struct bundle_options *options, struct bundle_mounts *out, struct arena *arena,
                      struct error *err);

// bundle_limits.c: checks what can be refused, then writes `linux.resources`, `linux.sysctl`,
// `process.rlimits` and `process.oomScoreAdj`.
int bundle_limits_check(const struct bundle_options *options, int64_t *reason, struct error *err);
void bundle_limits_put_resources(const struct bundle_options *options, struct buf *out);
void bundle_limits_put_sysctls(const struct bundle_options *options, struct buf *out);
void bundle_limits_put_process(const struct bundle_options *options, struct buf *out);

#endif
