// SPDX-License-Identifier: Apache-2.0
//
// specs/compose_keys.c — Compose keys that are not fields of ours: which are ignored and why, which are
// refused and what to write instead.
#include <string.h>

#include "specs/manifest_bind.h"

#define IGNORED(schema, key, reason)                                                                         \
    { schema, key, false, reason }
#define REFUSED(schema, key, remedy)                                                                         \
    { schema, key, true, remedy }

static const struct foreign_key keys[] = {
    {"service", "restart", false, NULL}, // stands in for deploy.restart_policy
    IGNORED("service", "annotations", "use labels"),
    IGNORED("service", "attach", "it is about the terminal of docker compose"),
    IGNORED("service", "blkio_config", "block I/O is not limited"),
    IGNORED("service", "build", "images are built elsewhere"),
    IGNORED("service", "cgroup", "each task has a control group of its own"),
    IGNORED("service", "cgroup_parent", "each task has a control group of its own"),
    IGNORED("service", "cgroupns_mode", "each task has a control group of its own"),
    IGNORED("service", "container_name", "tasks are named after the service and the slot"),
    IGNORED("service", "credential_spec", "it is about Windows"),
    IGNORED("service", "develop", "it is about development on one machine"),
    IGNORED("service", "device_cgroup_rules", "tasks get no devices of the node"),
    IGNORED("service", "devices", "tasks get no devices of the node"),
    IGNORED("service", "domainname", "use hostname"),
    IGNORED("service", "expose", "it publishes nothing; use ports"),
    IGNORED("service", "external_links", "services find each other by name on a network"),
    IGNORED("service", "ipc", "each task has an IPC namespace of its own"),
    IGNORED("service", "isolation", "it is about Windows"),
    IGNORED("service", "links", "services find each other by name on a network"),
    IGNORED("service", "mac_address", "addresses are given by the cluster"),
    IGNORED("service", "mem_swappiness", "the node's setting holds"),
    IGNORED("service", "oom_kill_disable", "a task over its memory limit is ended"),
    IGNORED("service", "pid", "each task has a PID namespace of its own"),
    IGNORED("service", "post_start", "hooks are not run"),
    IGNORED("service", "pre_stop", "hooks are not run"),
    IGNORED("service", "privileged", "tasks get capabilities one by one: cap_add"),
    IGNORED("service", "runtime", "the node's container runtime is used"),
    IGNORED("service", "security_opt", "the node's profile is used, and no_new_privs is always set"),
    IGNORED("service", "storage_opt", "the node's storage is used"),
    IGNORED("service", "userns_mode", "user namespaces are not used"),
    IGNORED("service", "uts", "each task has a host name of its own"),
    REFUSED("service", "cpu_count", "write deploy.resources.limits.cpus"),
    REFUSED("service", "cpu_percent", "write deploy.resources.limits.cpus"),
    REFUSED("service", "cpu_period", "write deploy.resources.limits.cpus"),
    REFUSED("service", "cpu_quota", "write deploy.resources.limits.cpus"),
    REFUSED("service", "cpu_rt_period", "write deploy.resources.limits.cpus"),
    REFUSED("service", "cpu_rt_runtime", "write deploy.resources.limits.cpus"),
    REFUSED("service", "cpu_shares", "write deploy.resources.reservations.cpus"),
    REFUSED("service", "cpus", "write deploy.resources.limits.cpus"),
    REFUSED("service", "cpuset", "write deploy.resources.limits.cpus"),
    REFUSED("service", "extends", "use a YAML anchor and a merge key: <<: *base"),
    REFUSED("service", "gpus", "write deploy.resources.reservations.generic_resources"),
    REFUSED("service", "mem_limit", "write deploy.resources.limits.memory"),
    REFUSED("service", "mem_reservation", "write deploy.resources.reservations.memory"),
    REFUSED("service", "memswap_limit", "write deploy.resources.limits.memory"),
    REFUSED("service", "net", "write network_mode"),
    REFUSED("service", "pids_limit", "write deploy.resources.limits.pids"),
    REFUSED("service", "scale", "write deploy.replicas"),
    REFUSED("service", "volume_driver", "write driver in the top-level volumes"),
    REFUSED("service", "volumes_from", "declare a volume and mount it in both services"),
    IGNORED("mount", "consistency", "it is about Docker Desktop"),
    REFUSED("mount", "cluster", "cluster volumes are not known; write type: volume"),
    REFUSED("mount", "image", "images are not mounted"),
    IGNORED("mount_bind", "selinux", "labels are not changed"),
    IGNORED("resource_reservations", "devices", "tasks get no devices of the node"),
    REFUSED("resource_reservations", "pids", "write deploy.resources.limits.pids"),
    IGNORED("network_attachment", "gw_priority", "the cluster picks the way out"),
    IGNORED("network_attachment", "interface_name", "the cluster names interfaces"),
    IGNORED("network_attachment", "ipv6_address", "networks have IPv4 addresses"),
    IGNORED("network_attachment", "link_local_ips", "addresses are given by the cluster"),
    IGNORED("network_attachment", "mac_address", "addresses are given by the cluster"),
    IGNORED("network_attachment", "priority", "networks are joined in the order of their names"),
    IGNORED("network", "scope", "networks span the cluster"),
    REFUSED("compose", "include", "give each file with -f, or a directory"),
    IGNORED("compose", "models", "models are not run"),
};

const struct foreign_key *foreign_key_find(const char *schema, const char *key) {
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        if (strcmp(keys[i].key, key) == 0 && strcmp(keys[i].schema, schema) == 0) {
            return &keys[i];
        }
    }
    return NULL;
}
