// SPDX-License-Identifier: Apache-2.0
//
// reconciler/agent/bundle.c — config.json, from the top to the bottom.
//
// Source       OCI runtime specification 1.0.2; the defaults of Docker's oci/defaults.go where nothing else
//              is said.
#include "reconciler/agent/bundle.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/units.h"
#include "reconciler/agent/bundle_parts.h"
#include "reconciler/agent/capabilities.h"
#include "reconciler/agent/oci_json.h"
#include "reconciler/agent/rootfs_user.h"
#include "specs/signal_name.h"

#define PATH_DEFAULT "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define CONFIG_BYTES_MAX ((size_t)4 * 1024 * 1024)
#define LOG_BYTES_DEFAULT (10LL * 1024 * 1024)
#define LOG_FILES_DEFAULT 2

static const char *const masked_paths[] = {"/proc/asound",
                                           "/proc/acpi",
                                           "/proc/kcore",
                                           "/proc/keys",
                                           "/proc/latency_stats",
                                           "/proc/timer_list",
                                           "/proc/timer_stats",
                                           "/proc/sched_debug",
                                           "/proc/scsi",
                                           "/sys/firmware",
                                           "/sys/devices/virtual/powercap"};
static const char *const read_only_paths[] = {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys",
                                              "/proc/sysrq-trigger"};

void bundle_host_read(struct bundle_host *out) {
    AUTO_BUF score = {0};
    out->capabilities = capabilities_available();
    out->may_raise_limits = (out->capabilities >> CAP_SYS_RESOURCE & 1) != 0;
    out->has_cgroup_namespaces = fs_exists("/proc/self/ns/cgroup");
    out->oom_score_adj = 0;
    if (fs_read(AT_FDCWD, "/proc/self/oom_score_adj", 32, &score, NULL) == 0 && score.len > 0) {
        score.data[strcspn(score.data, "\n")] = '\0';
        bool is_negative = score.data[0] == '-';
        if (str_to_int(score.data + is_negative, &out->oom_score_adj) && is_negative) {
            out->oom_score_adj = -out->oom_score_adj;
        }
    }
    for (int i = 0; i < RLIM_NLIMITS; i++) {
        getrlimit((__rlimit_resource_t)i, &out->limits[i]);
    }
}

// --- the process ---

const char *bundle_hostname(const struct bundle_options *options, struct arena *arena) {
    const struct service_spec *spec = bundle_spec(options);
    if (spec->hostname[0] != '\0') {
        return spec->hostname;
    }
    if (spec->network_mode == NETWORK_HOST && options->assignment->node_hostname[0] != '\0') {
        return options->assignment->node_hostname;
    }
    return arena_strndup(arena, options->assignment->task.meta.id.text, ID_SHORT_LEN);
}

static void add_strings(struct strings *out, const struct strings *from, struct arena *arena) {
    for (size_t i = 0; i < from->count; i++) {
        *ARENA_PUSH(arena, out) = from->items[i];
    }
}

// Docker's rules: an entrypoint of the spec does away with the image's command, too.
static int put_args(const struct bundle_options *options, struct buf *out, int64_t *reason,
                    struct arena *arena, struct error *err) {
    const struct service_spec *spec = bundle_spec(options);
    const struct image_config *image = options->image;
    bool clears = spec->entrypoint.count == 1 && spec->entrypoint.items[0][0] == '\0';
    struct strings args = {0};
    if (spec->init) {
        *ARENA_PUSH(arena, &args) = BUNDLE_INIT_PATH;
        *ARENA_PUSH(arena, &args) = "--init";
    }
    size_t before = args.count;
    if (spec->entrypoint.count > 0 && !clears) {
        add_strings(&args, &spec->entrypoint, arena);
    } else if (!clears) {
        add_strings(&args, &image->entrypoint, arena);
    }
    bool takes_image_command = spec->command.count == 0 && spec->entrypoint.count == 0;
    add_strings(&args, takes_image_command ? &image->command : &spec->command, arena);
    if (args.count == before) {
        *reason = REASON_CREATE_FAILED;
        return error_set(err, ERR_INVALID,
                         "no command: neither the service nor image %s names one (set `command`)",
                         options->image_reference);
    }
    oci_open(out, "args", '[');
    for (size_t i = 0; i < args.count; i++) {
        oci_item(out, args.items[i]);
    }
    oci_close(out, ']');
    return 0;
}

static void put_variable(struct buf *out, const char *key, const char *value, struct arena *arena) {
    oci_item(out, arena_printf(arena, "%s=%s", key, value));
}

static void put_environment(const struct bundle_options *options, struct buf *out, struct arena *arena) {
    const struct pairs *image = &options->image->environment;
    const struct pairs *spec = &bundle_spec(options)->environment;
    oci_open(out, "env", '[');
    if (pairs_get(image, "PATH") == NULL && pairs_get(spec, "PATH") == NULL) {
        put_variable(out, "PATH", PATH_DEFAULT, arena);
    }
    if (pairs_get(image, "HOSTNAME") == NULL && pairs_get(spec, "HOSTNAME") == NULL) {
        put_variable(out, "HOSTNAME", bundle_hostname(options, arena), arena);
    }
    for (size_t i = 0; i < image->count; i++) {
        if (pairs_get(spec, image->items[i].key) == NULL) {
            put_variable(out, image->items[i].key, image->items[i].value, arena);
        }
    }
    for (size_t i = 0; i < spec->count; i++) {
        put_variable(out, spec->items[i].key, spec->items[i].value, arena);
    }
    oci_close(out, ']');
}

static void put_capabilities(const struct bundle_options *options, bool is_root, struct buf *out) {
    static const char *const sets[] = {"bounding", "effective", "permitted"};
    oci_open(out, "capabilities", '{');
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
        oci_open(out, sets[i], '[');
        for (int number = 0; number < CAPABILITY_COUNT; number++) {
            if ((options->capabilities >> number & 1) != 0 && (is_root || i == 0)) {
                oci_item(out, capability_name(number));
            }
        }
        oci_close(out, ']');
    }
    oci_close(out, '}');
}

static int put_user(const struct bundle_options *options, struct buf *out, int64_t *reason,
                    struct error *err) {
    const struct service_spec *spec = bundle_spec(options);
    struct rootfs_user user;
    const char *wanted = spec->user[0] != '\0' ? spec->user : options->image->user;
    int rc = rootfs_user_find(options->root_fd, wanted != NULL ? wanted : "", &spec->group_add, &user, err);
    if (rc < 0) {
        *reason = REASON_CREATE_FAILED;
        return error_wrap(err, rc, "user of image %s", options->image_reference);
    }
    oci_open(out, "user", '{');
    oci_int(out, "uid", user.uid);
    oci_int(out, "gid", user.gid);
    if (user.group_count > 0) {
        oci_open(out, "additionalGids", '[');
        for (size_t i = 0; i < user.group_count; i++) {
            oci_next(out);
            buf_addf(out, "%u", user.groups[i]);
        }
        oci_close(out, ']');
    }
    oci_close(out, '}');
    put_capabilities(options, user.uid == 0, out);
    return 0;
}

static int put_process(const struct bundle_options *options, struct buf *out, int64_t *reason,
                       struct arena *arena, struct error *err) {
    const struct service_spec *spec = bundle_spec(options);
    const char *directory = spec->working_dir[0] != '\0' ? spec->working_dir : options->image->working_dir;
    directory = str_is_empty(directory) ? "/" : directory;
    if (directory[0] != '/') {
        *reason = REASON_CREATE_FAILED;
        return error_set(err, ERR_INVALID, "working_dir '%s' is not an absolute path", directory);
    }
    oci_open(out, "process", '{');
    int rc = put_user(options, out, reason, err);
    rc = rc == 0 ? put_args(options, out, reason, arena, err) : rc;
    put_environment(options, out, arena);
    oci_str(out, "cwd", directory);
    oci_bool(out, "noNewPrivileges", true);
    bundle_limits_put_process(options, out);
    oci_close(out, '}');
    return rc;
}

// --- the rest ---

static void put_mounts(const struct bundle_mounts *mounts, struct buf *out) {
    oci_open(out, "mounts", '[');
    for (size_t i = 0; i < mounts->count; i++) {
        const struct bundle_mount *mount = &mounts->items[i];
        oci_open(out, NULL, '{');
        oci_str(out, "destination", mount->target);
        oci_str(out, "type", mount->type);
        oci_str(out, "source", mount->source);
        oci_open(out, "options", '[');
        for (size_t j = 0; j < mount->options.count; j++) {
            oci_item(out, mount->options.items[j]);
        }
        oci_close(out, ']');
        oci_close(out, '}');
    }
    oci_close(out, ']');
}

static void put_list(struct buf *out, const char *key, const char *const *items, size_t count) {
    oci_open(out, key, '[');
    for (size_t i = 0; i < count; i++) {
        oci_item(out, items[i]);
    }
    oci_close(out, ']');
}

static void put_namespaces(const struct bundle_options *options, struct buf *out) {
    static const char *const always[] = {"pid", "ipc", "uts", "mount"};
    oci_open(out, "namespaces", '[');
    for (size_t i = 0; i < sizeof always / sizeof *always; i++) {
        oci_open(out, NULL, '{');
        oci_str(out, "type", always[i]);
        oci_close(out, '}');
    }
    buf_adds(out, options->host->has_cgroup_namespaces ? ",{\"type\":\"cgroup\"}" : "");
    // A new one has only lo, which runc brings up.
    buf_adds(out, bundle_spec(options)->network_mode == NETWORK_HOST ? "" : ",{\"type\":\"network\"}");
    oci_close(out, ']');
}

static void put_linux(const struct bundle_options *options, const char *propagation, struct buf *out) {
    oci_open(out, "linux", '{');
    oci_str(out, "cgroupsPath", options->group);
    put_namespaces(options, out);
    bundle_limits_put_resources(options, out);
    bundle_limits_put_sysctls(options, out);
    if (propagation[0] != '\0') {
        oci_str(out, "rootfsPropagation", propagation);
    }
    put_list(out, "maskedPaths", masked_paths, sizeof masked_paths / sizeof *masked_paths);
    put_list(out, "readonlyPaths", read_only_paths, sizeof read_only_paths / sizeof *read_only_paths);
    oci_key(out, "seccomp");
    buf_adds(out, options->seccomp);
    oci_close(out, '}');
}

static int put_config(const struct bundle_options *options, const struct bundle_mounts *mounts,
                      const char *propagation, struct buf *out, int64_t *reason, struct arena *arena,
                      struct error *err) {
    buf_addc(out, '{');
    oci_str(out, "ociVersion", "1.0.2");
    int rc = put_process(options, out, reason, arena, err);
    oci_open(out, "root", '{');
    oci_str(out, "path", "rootfs");
    oci_bool(out, "readonly", bundle_spec(options)->read_only);
    oci_close(out, '}');
    oci_str(out, "hostname", bundle_hostname(options, arena));
    put_mounts(mounts, out);
    put_linux(options, propagation, out);
    buf_adds(out, "}\n");
    return rc == 0 && out->overflow
               ? error_set(err, ERR_LIMIT, "config.json is over %zu bytes", CONFIG_BYTES_MAX)
               : rc;
}

static int check_supported(const struct bundle_options *options, int64_t *reason, struct error *err) {
    if (bundle_spec(options)->tty) {
        *reason = REASON_UNSUPPORTED;
        return error_set(err, ERR_UNSUPPORTED,
                         "tty: true is not supported yet (remove it; output is logged by line)");
    }
    return bundle_limits_check(options, reason, err);
}

int bundle_write(const struct bundle_options *options, int64_t *reason, struct arena *arena,
                 struct error *err) {
    AUTO_BUF text = buf_make(CONFIG_BYTES_MAX);
    struct bundle_mounts mounts = {0};
    const char *propagation = "";
    *reason = REASON_CREATE_FAILED;
    int rc = check_supported(options, reason, err);
    rc = rc == 0 ? bundle_mounts_make(options, &mounts, &propagation, reason, arena, err) : rc;
    rc = rc == 0 ? bundle_files_make(options, &mounts, arena, err) : rc;
    rc = rc == 0 ? put_config(options, &mounts, propagation, &text, reason, arena, err) : rc;
    if (rc == 0) {
        rc = fs_replace(AT_FDCWD, arena_printf(arena, "%s/config.json", options->directory), buf_text(&text),
                        text.len, 0600, /*sync=*/false, err);
    }
    if (rc == -ERR_NO_SPACE) {
        *reason = REASON_NO_SPACE;
    }
    return rc;
}

// --- what is not in config.json ---

int bundle_stop_signal(const struct service_spec *spec, const struct image_config *image) {
    int number;
    if (spec->stop_signal[0] != '\0' && signal_parse(spec->stop_signal, &number)) {
        return number;
    }
    return image != NULL && !str_is_empty(image->stop_signal) && signal_parse(image->stop_signal, &number)
               ? number
               : SIGTERM;
}

void bundle_log_limits(const struct service_spec *spec, int64_t *out_bytes, int64_t *out_files) {
    const char *size = pairs_get(&spec->logging.options, "max-size");
    const char *files = pairs_get(&spec->logging.options, "max-file");
    *out_bytes = LOG_BYTES_DEFAULT;
    *out_files = LOG_FILES_DEFAULT;
    if (size != NULL && (!units_parse_bytes(size, out_bytes) || *out_bytes < 4096)) {
        *out_bytes = LOG_BYTES_DEFAULT;
    }
    if (files != NULL && (!str_to_int(files, out_files) || *out_files < 1 || *out_files > 100)) {
        *out_files = LOG_FILES_DEFAULT;
    }
}
