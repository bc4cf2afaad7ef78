// SPDX-License-Identifier: Apache-2.0
//
// reconciler/agent/bundle_limits.c — memory, CPU, processes, ulimits and kernel settings of a container.
//
// Swap counts as memory: a task with a memory limit gets none besides it. CPU time is a quota of 100 ms
// periods; below a hundredth of a CPU, of 1 s periods, for the kernel takes no quota under 1 ms.
#include "reconciler/agent/bundle_parts.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/str.h"
#include "base/units.h"
#include "reconciler/agent/oci_json.h"

#define PERIOD_US 100000
#define LONG_PERIOD_US 1000000
#define QUOTA_US_MIN 1000
#define NANO 1000000000LL

// --- refusing ---

static int refuse(int64_t *reason, struct error *err, const char *what, const char *controller) {
    *reason = REASON_UNSUPPORTED;
    return error_set(
        err, ERR_UNSUPPORTED,
        "%s: this node has no %s control group (boot it with that controller, or remove the limit)", what,
        controller);
}

static const char *const namespaced_ipc[] = {"kernel.msgmax", "kernel.msgmnb",         "kernel.msgmni",
                                             "kernel.sem",    "kernel.shmall",         "kernel.shmmax",
                                             "kernel.shmmni", "kernel.shm_rmid_forced"};

static bool is_namespaced(const char *key, bool own_network) {
    if (strstr(key, "..") != NULL || strchr(key, '/') != NULL) {
        return false;
    }
    for (size_t i = 0; i < sizeof namespaced_ipc / sizeof *namespaced_ipc; i++) {
        if (str_equal(key, namespaced_ipc[i])) {
            return true;
        }
    }
    return str_starts(key, "fs.mqueue.") || (own_network && str_starts(key, "net."));
}

static int check_sysctls(const struct service_spec *spec, int64_t *reason, struct error *err) {
    bool own_network = spec->network_mode != NETWORK_HOST;
    for (size_t i = 0; i < spec->sysctls.count; i++) {
        const char *key = spec->sysctls.items[i].key;
        if (!is_namespaced(key, own_network)) {
            *reason = REASON_UNSUPPORTED;
            return error_set(err, ERR_UNSUPPORTED,
                             "sysctls.%s would change the whole node%s; allowed are kernel.msg*, kernel.sem, "
                             "kernel.shm*, fs.mqueue.*%s",
                             key, str_starts(key, "net.") ? " under network_mode: host" : "",
                             own_network ? " and net.*" : "");
        }
    }
    return 0;
}

int bundle_limits_check(const struct bundle_options *options, int64_t *reason, struct error *err) {
    const struct service_spec *spec = bundle_spec(options);
    const struct resource_limits *limits = &spec->deploy.resources.limits;
    const struct cgroups *cgroups = &options->host->cgroups;
    if (limits->memory_bytes > 0 && cgroups->memory < 0) {
        return refuse(reason, err, "limits.memory", "memory");
    }
    if (limits->cpus_nano > 0 && !cgroups->has_cpu) {
        return refuse(reason, err, "limits.cpus", "cpu");
    }
    if (limits->pids > 0 && cgroups->pids < 0) {
        return refuse(reason, err, "limits.pids", "pids");
    }
    return check_sysctls(spec, reason, err);
}

// --- linux.resources, linux.sysctl ---

static void put_memory(const struct bundle_options *options, struct buf *out) {
    int64_t bytes = bundle_spec(options)->deploy.resources.limits.memory_bytes;
    if (bytes > 0) {
        oci_open(out, "memory", '{');
        oci_int(out, "limit", bytes);
        if (options->host->cgroups.has_swap) {
            oci_int(out, "swap", bytes); // memory and swap together
        }
        oci_close(out, '}');
    }
}

static void put_cpu(const struct bundle_options *options, struct buf *out) {
    int64_t nano = bundle_spec(options)->deploy.resources.limits.cpus_nano;
    if (nano > 0) {
        int64_t period_us = nano < NANO / 100 ? LONG_PERIOD_US : PERIOD_US;
        int64_t quota_us = nano / (NANO / period_us);
        oci_open(out, "cpu", '{');
        oci_int(out, "quota", quota_us < QUOTA_US_MIN ? QUOTA_US_MIN : quota_us);
        oci_int(out, "period", period_us);
        oci_close(out, '}');
    }
}

void bundle_limits_put_resources(const struct bundle_options *options, struct buf *out) {
    int64_t pids = bundle_spec(options)->deploy.resources.limits.pids;
    oci_open(out, "resources", '{');
    oci_key(out, "devices");
    // runc adds null, zero, random, tty and their like
    buf_adds(out, "[{\"allow\":false,\"access\":\"rwm\"}]");
    put_memory(options, out);
    put_cpu(options, out);
    if (options->host->cgroups.pids >= 0) {
        oci_open(out, "pids", '{');
        oci_int(out, "limit", pids > 0 ? pids : BUNDLE_PIDS_DEFAULT);
        oci_close(out, '}');
    }
    oci_close(out, '}');
}

void bundle_limits_put_sysctls(const struct bundle_options *options, struct buf *out) {
    const struct pairs *sysctls = &bundle_spec(options)->sysctls;
    if (sysctls->count > 0) {
        oci_open(out, "sysctl", '{');
        for (size_t i = 0; i < sysctls->count; i++) {
            oci_item(out, sysctls->items[i].key);
            buf_addc(out, ':');
            json_write_string(out, sysctls->items[i].value);
        }
        oci_close(out, '}');
    }
}

// --- process.rlimits, process.oomScoreAdj ---

static const struct {
    const char *name; // as in specs and, upper case behind RLIMIT_, in config.json
    int number;
} ulimits[] = {
    {"as", RLIMIT_AS},           {"core", RLIMIT_CORE},         {"cpu", RLIMIT_CPU},
    {"data", RLIMIT_DATA},       {"fsize", RLIMIT_FSIZE},       {"locks", RLIMIT_LOCKS},
    {"memlock", RLIMIT_MEMLOCK}, {"msgqueue", RLIMIT_MSGQUEUE}, {"nice", RLIMIT_NICE},
    {"nofile", RLIMIT_NOFILE},   {"nproc", RLIMIT_NPROC},       {"rss", RLIMIT_RSS},
    {"rtprio", RLIMIT_RTPRIO},   {"rttime", RLIMIT_RTTIME},     {"sigpending", RLIMIT_SIGPENDING},
    {"stack", RLIMIT_STACK},
};

static rlim_t clamp(int64_t wanted, rlim_t limit, bool may_raise) {
    rlim_t value = wanted < 0 ? RLIM_INFINITY : (rlim_t)wanted;
    return !may_raise && value > limit ? limit : value;
}

static void put_ulimit(const struct ulimit *ulimit, const struct bundle_host *host, struct buf *out) {
    for (size_t i = 0; i < sizeof ulimits / sizeof *ulimits; i++) {
        if (strcasecmp(ulimits[i].name, ulimit->name) != 0) {
            continue;
        }
        char name[32] = "RLIMIT_";
        for (size_t j = 0; ulimits[i].name[j] != '\0'; j++) {
            name[7 + j] = (char)(ulimits[i].name[j] - 'a' + 'A');
        }
        rlim_t limit = host->limits[ulimits[i].number].rlim_max;
        oci_open(out, NULL, '{');
        oci_str(out, "type", name);
        oci_key(out, "hard");
        buf_addf(out, "%llu", (unsigned long long)clamp(ulimit->hard, limit, host->may_raise_limits));
        oci_key(out, "soft");
        buf_addf(out, "%llu", (unsigned long long)clamp(ulimit->soft, limit, host->may_raise_limits));
        oci_close(out, '}');
        return;
    }
}

void bundle_limits_put_process(const struct bundle_options *options, struct buf *out) {
    const struct service_spec *spec = bundle_spec(options);
    const struct bundle_host *host = options->host;
    if (spec->ulimits.count > 0) {
        oci_open(out, "rlimits", '[');
        for (size_t i = 0; i < spec->ulimits.count; i++) {
            put_ulimit(&spec->ulimits.items[i], host, out);
        }
        oci_close(out, ']');
    }
    // Going below the daemon's own takes a capability; without it the wish is met as far as it can be.
    if (spec->oom_score_adj != 0) {
        bool is_allowed = host->may_raise_limits || spec->oom_score_adj >= host->oom_score_adj;
        oci_int(out, "oomScoreAdj", is_allowed ? spec->oom_score_adj : host->oom_score_adj);
    }
}
