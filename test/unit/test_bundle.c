// SPDX-License-Identifier: Apache-2.0
//
// test/unit/test_bundle.c — config.json of several specs, and everything that is refused before runc sees it.
//
// The host is made up and the root file system is a directory, so the goldens are the same everywhere.
// Needs root: the image's files have owners.
#include "reconciler/agent/bundle.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/str.h"
#include "reconciler/agent/capabilities.h"
#include "test/lib/check.h"
#include "test/lib/golden.h"
#include "test/lib/scratch.h"

#include <jansson.h> // behind schema.h: both know a JSON_COMPACT

struct fixture {
    char top[SCRATCH_BYTES];
    struct arena arena;
    struct assignment assignment;
    struct image_config image;
    struct bundle_host host;
    struct bundle_options options;
    int64_t reason;
    char error[1024];
};

static const char *path(struct fixture *fixture, const char *name) {
    return arena_printf(&fixture->arena, "%s/%s", fixture->top, name);
}

static void put(struct fixture *fixture, const char *name, const char *text) {
    struct error err = {0};
    assert_int_equal(fs_replace(AT_FDCWD, path(fixture, name), text, strlen(text), 0644, false, &err), 0);
}

static int set_up(void **state) {
    static const char *const directories[] = {"rootfs",     "rootfs/etc",  "rootfs/proc", "rootfs/sys",
                                              "rootfs/dev", "rootfs/data", "bundle",      "task",
                                              "volumes",    "source",      "hostetc"};
    struct fixture *fixture = NEW(struct fixture);
    scratch_name(fixture->top, sizeof fixture->top, "bundle");
    assert_non_null(mkdtemp(fixture->top));
    for (size_t i = 0; i < sizeof directories / sizeof *directories; i++) {
        assert_int_equal(mkdir(path(fixture, directories[i]), 0755), 0);
    }
    put(fixture, "rootfs/etc/passwd", "root:x:0:0::/root:/bin/sh\nweb:x:1000:1001::/:/bin/sh\n");
    put(fixture, "rootfs/etc/group", "web:x:1001:\nextra:x:2000:web\naudio:x:29:\n");
    put(fixture, "rootfs/data/file", "kept");
    put(fixture, "hostetc/resolv.conf", "nameserver 10.0.0.1\nsearch example\n");
    put(fixture, "hostetc/hosts", "10.1.1.1 real-host\n");
    assert_int_equal(chown(path(fixture, "rootfs/data"), 1000, 1001), 0);
    schema_init(&assignment_schema, &fixture->assignment);
    assert_true(id_parse("0123456789abcdefghijklmno", &fixture->assignment.task.meta.id));
    fixture->assignment.node_hostname = "node1";
    fixture->assignment.service_name = fixture->assignment.spec.name = "web";
    fixture->image = (struct image_config){.user = "", .working_dir = "", .stop_signal = ""};
    static const char *const command[] = {"httpd", "-f"};
    fixture->image.command = (struct strings){2, arena_copy(&fixture->arena, command, sizeof command)};
    fixture->host =
        (struct bundle_host){.cgroups = {.mode = CGROUPS_HYBRID, .has_cpu = true, .has_swap = true},
                             .has_cgroup_namespaces = true};
    for (int i = 0; i < RLIM_NLIMITS; i++) {
        fixture->host.limits[i] = (struct rlimit){1000, 20000};
    }
    fixture->options = (struct bundle_options){.assignment = &fixture->assignment,
                                               .image_reference = "busybox",
                                               .image = &fixture->image,
                                               .host = &fixture->host,
                                               .directory = path(fixture, "bundle"),
                                               .root_fd = open(path(fixture, "rootfs"), O_PATH | O_CLOEXEC),
                                               .task_dir = path(fixture, "task"),
                                               .volumes_dir = path(fixture, "volumes"),
                                               .group = "/muster/0123456789abcdefghijklmno",
                                               .seccomp = "{\"defaultAction\":\"SCMP_ACT_ERRNO\"}",
                                               .capabilities = capabilities_default,
                                               .shim_path = "/usr/libexec/muster/muster-shim",
                                               .etc_dir = path(fixture, "hostetc")};
    *state = fixture;
    return 0;
}

static int tear_down(void **state) {
    struct fixture *fixture = *state;
    close(fixture->options.root_fd);
    int rc = fs_remove_tree(AT_FDCWD, fixture->top, NULL);
    arena_free(&fixture->arena);
    xfree(fixture);
    return rc;
}

static int write_it(struct fixture *fixture) {
    struct error err = {0};
    int rc = bundle_write(&fixture->options, &fixture->reason, &fixture->arena, &err);
    error_text(&err, fixture->error, sizeof fixture->error);
    return rc;
}

static void refused(struct fixture *fixture, int64_t reason, const char *part) {
    assert_true(write_it(fixture) < 0);
    if (fixture->reason != reason || strstr(fixture->error, part) == NULL) {
        fail_msg("reason %d: %s", (int)fixture->reason, fixture->error);
    }
}

static void list_of(struct strings *list, struct fixture *fixture, const char *const *items) {
    for (; *items != NULL; items++) {
        *ARENA_PUSH(&fixture->arena, list) = *items;
    }
}
#define LIST(list, ...) list_of(&(list), fixture, (const char *const[]){__VA_ARGS__, NULL})

static struct mount *add_mount(struct fixture *fixture, enum mount_type type, const char *source,
                               const char *target) {
    struct mount *mount = ARENA_PUSH(&fixture->arena, &fixture->assignment.spec.volumes);
    schema_init(&mount_schema, mount);
    mount->type = type;
    mount->source = source;
    mount->target = target;
    return mount;
}

static json_t *config_of(struct fixture *fixture) {
    json_error_t why;
    if (write_it(fixture) != 0) {
        fail_msg("%s", fixture->error);
    }
    json_t *config = json_load_file(path(fixture, "bundle/config.json"), JSON_REJECT_DUPLICATES, &why);
    assert_non_null(config);
    return config;
}

// The golden has TOP where the test's directory was.
static void same_as_golden(struct fixture *fixture, const char *name) {
    json_t *config = config_of(fixture);
    char *text = json_dumps(config, JSON_INDENT(1));
    AUTO_BUF out = {0};
    for (const char *at = text, *next; *at != '\0'; at = next) {
        const char *top = strstr(at, fixture->top);
        next = top != NULL ? top + strlen(fixture->top) : at + strlen(at);
        buf_add(&out, at, (size_t)((top != NULL ? top : next) - at));
        buf_adds(&out, top != NULL ? "TOP" : "");
    }
    buf_addc(&out, '\n');
    golden_check(name, buf_text(&out));
    free(text);
    json_decref(config);
}

static const char *string_at(const json_t *object, const char *key, const char *inner) {
    const char *text = json_string_value(json_object_get(json_object_get(object, key), inner));
    return text != NULL ? text : "";
}

static void args_are(struct fixture *fixture, const char *joined) {
    json_t *config = config_of(fixture);
    const json_t *args = json_object_get(json_object_get(config, "process"), "args");
    AUTO_BUF text = {0};
    for (size_t i = 0; i < json_array_size(args); i++) {
        buf_addf(&text, "%s%s", i == 0 ? "" : "|", json_string_value(json_array_get(args, i)));
    }
    assert_string_equal(buf_text(&text), joined);
    json_decref(config);
}

// --- goldens ---

static void the_simplest_spec(void **state) {
    same_as_golden(*state, "test/golden/bundle/simple.json");
}

static void nearly_every_field(void **state) {
    struct fixture *fixture = *state;
    struct service_spec *spec = &fixture->assignment.spec;
    LIST(spec->entrypoint, "/bin/sh", "-c");
    LIST(spec->command, "echo \"$0\"\n");
    spec->hostname = "web-host";
    spec->user = "web";
    LIST(spec->group_add, "audio", "77");
    spec->working_dir = "/data";
    spec->init = spec->read_only = true;
    spec->oom_score_adj = 300;
    spec->shm_size_bytes = 1 << 20;
    spec->deploy.resources.limits = (struct resource_limits){1500000000, 64 << 20, 50, {NULL, 0}};
    spec->environment = pairs_set(&fixture->arena, &spec->environment, "MODE", "a=b \"c\"");
    fixture->image.environment = pairs_set(&fixture->arena, &fixture->image.environment, "PATH", "/bin");
    fixture->image.environment = pairs_set(&fixture->arena, &fixture->image.environment, "MODE", "image");
    spec->sysctls = pairs_set(&fixture->arena, &spec->sysctls, "net.ipv4.ip_forward", "1");
    struct ulimit *ulimit = ARENA_PUSH(&fixture->arena, &spec->ulimits);
    *ulimit = (struct ulimit){.name = "nofile", .soft = 512, .hard = 1000000};
    add_mount(fixture, MOUNT_BIND, path(fixture, "source"), "/data/inner")->read_only = true;
    add_mount(fixture, MOUNT_VOLUME, "shared", "/data");
    add_mount(fixture, MOUNT_TMPFS, "", "/cache/")->tmpfs.size_bytes = 4096;
    LIST(spec->tmpfs, "/run:size=1m,exec");
    same_as_golden(fixture, "test/golden/bundle/full.json");
}

static void host_networking(void **state) {
    struct fixture *fixture = *state;
    AUTO_BUF hosts = {0};
    fixture->assignment.spec.network_mode = NETWORK_HOST;
    LIST(fixture->assignment.spec.extra_hosts, "db:10.2.2.2");
    same_as_golden(fixture, "test/golden/bundle/host-network.json");
    assert_int_equal(fs_read(AT_FDCWD, path(fixture, "bundle/hosts"), 4096, &hosts, NULL), 0);
    assert_string_equal(buf_text(&hosts), "10.1.1.1 real-host\n10.2.2.2\tdb\n");
}

// --- command and user ---

static void docker_rules_of_entrypoint_and_command(void **state) {
    struct fixture *fixture = *state;
    struct service_spec *spec = &fixture->assignment.spec;
    args_are(fixture, "httpd|-f");
    LIST(fixture->image.entrypoint, "/entry");
    args_are(fixture, "/entry|httpd|-f");
    LIST(spec->command, "serve");
    args_are(fixture, "/entry|serve");
    LIST(spec->entrypoint, "/mine");
    args_are(fixture, "/mine|serve");
    spec->command.count = 0;
    args_are(fixture, "/mine"); // the image's command was meant for its own entrypoint
    spec->entrypoint.items[0] = "";
    refused(fixture, REASON_CREATE_FAILED, "no command: neither the service nor image busybox names one");
}

static void users_are_looked_up_in_the_image(void **state) {
    struct fixture *fixture = *state;
    struct service_spec *spec = &fixture->assignment.spec;
    static const struct {
        const char *user;
        int uid, gid;
        size_t groups;
    } known[] = {{"", 0, 0, 0},
                 {"root", 0, 0, 0},
                 {"web", 1000, 1001, 1},
                 {"1000", 1000, 1001, 1},
                 {"web:audio", 1000, 29, 0},
                 {"4711", 4711, 0, 0},
                 {"4711:4712", 4711, 4712, 0},
                 {"web:", 1000, 1001, 1}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        spec->user = known[i].user;
        json_t *config = config_of(fixture);
        const json_t *process = json_object_get(config, "process");
        const json_t *user = json_object_get(process, "user");
        const json_t *caps = json_object_get(process, "capabilities");
        assert_int_equal(json_integer_value(json_object_get(user, "uid")), known[i].uid);
        assert_int_equal(json_integer_value(json_object_get(user, "gid")), known[i].gid);
        assert_int_equal(json_array_size(json_object_get(user, "additionalGids")), known[i].groups);
        assert_int_equal(json_array_size(json_object_get(caps, "effective")), known[i].uid == 0 ? 9 : 0);
        assert_int_equal(json_array_size(json_object_get(caps, "bounding")), 9);
        json_decref(config);
    }
    static const struct {
        const char *user, *why;
    } unknown[] = {{"nobody", "user 'nobody' is not in the image's /etc/passwd"},
                   {"web:nogroup", "group 'nogroup' is not in the image's /etc/group"},
                   {"4294967295", "user 4294967295: ids go up to"},
                   {"99999999999999999999", "ids go up to"},
                   {"-1", "user '-1' is not in"}};
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++) {
        spec->user = unknown[i].user;
        refused(fixture, REASON_CREATE_FAILED, unknown[i].why);
    }
}

static void hostile_passwd_files_do_no_harm(void **state) {
    struct fixture *fixture = *state;
    const char *passwd = path(fixture, "rootfs/etc/passwd");
    fixture->assignment.spec.user = "web";
    put(fixture, "rootfs/etc/passwd",
        "web\nweb:x\nweb:x:-1:0\nweb:x:99999999999:0\n:x:5:5\n:::::::::\nweb:x:12:x\nweb:x:7:8:::\n");
    json_t *config = config_of(fixture);
    const json_t *user = json_object_get(json_object_get(config, "process"), "user");
    assert_int_equal(json_integer_value(json_object_get(user, "uid")), 7);
    json_decref(config);
    assert_int_equal(unlink(passwd), 0);
    assert_int_equal(symlink("/../../../../etc/passwd", passwd), 0); // the image's own: itself, a loop
    refused(fixture, REASON_CREATE_FAILED, "/etc/passwd of the image");
    assert_int_equal(unlink(passwd), 0);
    assert_int_equal(symlink("/proc/self/root/etc/passwd", passwd), 0);
    refused(fixture, REASON_CREATE_FAILED, "user 'web' is not in the image's /etc/passwd");
    assert_int_equal(unlink(passwd), 0);
    assert_int_equal(mkfifo(passwd, 0644), 0);
    refused(fixture, REASON_CREATE_FAILED, "not a plain file");
    assert_int_equal(unlink(passwd), 0);
    refused(fixture, REASON_CREATE_FAILED, "user 'web' is not in the image's /etc/passwd");
}

// --- mounts ---

static void nothing_is_mounted_over_what_is_the_kernels(void **state) {
    struct fixture *fixture = *state;
    static const char *const targets[] = {"/proc",    "/proc/sys", "/sys/", "//sys/fs",  "/dev",
                                          "/dev/pts", "/./dev",    "/link", "/link/sys", "/dev/shm/x"};
    assert_int_equal(symlink("/proc", path(fixture, "rootfs/link")), 0);
    struct mount *mount = add_mount(fixture, MOUNT_TMPFS, "", "");
    for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
        mount->target = targets[i];
        refused(fixture, REASON_MOUNT_INVALID, "nothing may be mounted over /proc, /sys or /dev");
    }
    mount->target = "/a/../proc";
    refused(fixture, REASON_MOUNT_INVALID, "an absolute path without '..'");
    mount->target = "relative";
    refused(fixture, REASON_MOUNT_INVALID, "an absolute path without '..'");
    mount->target = "//";
    refused(fixture, REASON_MOUNT_INVALID, "the root itself");
    mount->target = "/dev/shm";
    assert_int_equal(write_it(fixture), 0);
    mount->target = "/developer";
    assert_int_equal(write_it(fixture), 0);
}

// --- where a node allows binds ---

static int bind_of(struct fixture *fixture, const char *source) {
    fixture->assignment.spec.volumes.count = 0;
    add_mount(fixture, MOUNT_BIND, source, "/data");
    return write_it(fixture);
}

static void binds_stay_where_the_node_allows_them(void **state) {
    struct fixture *fixture = *state;
    const char *source = path(fixture, "source"), *link = path(fixture, "source/link");
    assert_int_equal(symlink(path(fixture, "hostetc"), link), 0);
    fixture->options.allow_bind = arena_printf(&fixture->arena, "/absent:%s/", source);
    assert_int_equal(bind_of(fixture, source), 0);
    assert_int_equal(bind_of(fixture, link), -ERR_INVALID); // it leads elsewhere
    assert_int_equal(fixture->reason, REASON_MOUNT_INVALID);
    assert_non_null(strstr(fixture->error, "--allow-bind"));
    assert_int_equal(bind_of(fixture, path(fixture, "hostetc")), -ERR_INVALID);
    assert_int_equal(bind_of(fixture, arena_printf(&fixture->arena, "%s/../hostetc", source)), -ERR_INVALID);
    assert_int_equal(bind_of(fixture, arena_printf(&fixture->arena, "%sy", source)), -ERR_INVALID);
    fixture->options.allow_bind = "none";
    assert_int_equal(bind_of(fixture, source), -ERR_INVALID);
    fixture->options.allow_bind = "/";
    assert_int_equal(bind_of(fixture, path(fixture, "hostetc")), 0);
}

static void sources_of_binds_must_exist(void **state) {
    struct fixture *fixture = *state;
    struct mount *mount = add_mount(fixture, MOUNT_BIND, path(fixture, "absent/dir"), "/data");
    refused(fixture, REASON_MOUNT_INVALID, "does not exist on node node1 (create it there");
    mount->bind.create_host_path = true;
    assert_int_equal(write_it(fixture), 0);
    assert_true(fs_exists(path(fixture, "absent/dir")));
    mount->source = "./relative";
    refused(fixture, REASON_MOUNT_INVALID, "not an absolute path");
    mount->source = "/proc/self/fd/0";
    refused(fixture, REASON_MOUNT_INVALID, "cannot be used");
    mount->source = path(fixture, "source");
    add_mount(fixture, MOUNT_TMPFS, "", "/data/");
    refused(fixture, REASON_MOUNT_INVALID, "the target of two mounts");
}

static void volumes_begin_as_the_image_has_it(void **state) {
    struct fixture *fixture = *state;
    struct stat st;
    AUTO_BUF text = {0};
    struct mount *mount = add_mount(fixture, MOUNT_VOLUME, "v1", "/data");
    assert_int_equal(symlink("/etc/passwd", path(fixture, "rootfs/data/out")), 0);
    assert_int_equal(mkfifo(path(fixture, "rootfs/data/fifo"), 0644), 0);
    assert_int_equal(write_it(fixture), 0);
    assert_int_equal(stat(path(fixture, "volumes/v1"), &st), 0);
    assert_int_equal(st.st_uid, 1000);
    assert_int_equal(st.st_gid, 1001);
    assert_int_equal(fs_read(AT_FDCWD, path(fixture, "volumes/v1/file"), 100, &text, NULL), 0);
    assert_string_equal(buf_text(&text), "kept");
    assert_int_equal(lstat(path(fixture, "volumes/v1/out"), &st), 0);
    assert_true(S_ISLNK(st.st_mode));
    assert_false(fs_exists(path(fixture, "volumes/v1/fifo")));
    put(fixture, "volumes/v1/file", "changed");
    assert_int_equal(write_it(fixture), 0); // used again, not filled again
    buf_clear(&text);
    assert_int_equal(fs_read(AT_FDCWD, path(fixture, "volumes/v1/file"), 100, &text, NULL), 0);
    assert_string_equal(buf_text(&text), "changed");
    mount->source = "empty";
    mount->volume.nocopy = true;
    assert_int_equal(write_it(fixture), 0);
    assert_false(fs_exists(path(fixture, "volumes/empty/file")));
    mount->volume.subpath = "../v1";
    refused(fixture, REASON_MOUNT_INVALID, "is not a path inside volume empty");
    mount->source = "../escape";
    refused(fixture, REASON_MOUNT_INVALID, "is no name of a volume");
}

static void the_images_volumes_are_anonymous_ones(void **state) {
    struct fixture *fixture = *state;
    LIST(fixture->image.volumes, "/data");
    assert_int_equal(write_it(fixture), 0);
    assert_true(fs_exists(path(fixture, "task/volumes/0/file")));
    fixture->image.volumes.items[0] = "/proc";
    refused(fixture, REASON_MOUNT_INVALID, "nothing may be mounted over");
}

static void options_of_tmpfs_are_known_ones(void **state) {
    struct fixture *fixture = *state;
    static const char *const bad[] = {"/run:nosuch", "/run:size", "/run:mode=755,context=x", "/run:ro=1",
                                      "/run:,"};
    LIST(fixture->assignment.spec.tmpfs, "");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        fixture->assignment.spec.tmpfs.items[0] = bad[i];
        refused(fixture, REASON_MOUNT_INVALID, "is no option of a tmpfs");
    }
}

// --- limits ---

static void limits_that_cannot_be_kept_are_refused(void **state) {
    struct fixture *fixture = *state;
    struct resource_limits *limits = &fixture->assignment.spec.deploy.resources.limits;
    limits->memory_bytes = 64 << 20;
    fixture->host.cgroups.memory = -1;
    refused(fixture, REASON_UNSUPPORTED, "limits.memory: this node has no memory control group");
    *limits = (struct resource_limits){.cpus_nano = 1000000000};
    fixture->host.cgroups.has_cpu = false;
    refused(fixture, REASON_UNSUPPORTED, "limits.cpus: this node has no cpu control group");
    *limits = (struct resource_limits){.pids = 10};
    fixture->host.cgroups.pids = -1;
    refused(fixture, REASON_UNSUPPORTED, "limits.pids: this node has no pids control group");
    limits->pids = 0;
    assert_int_equal(write_it(fixture), 0); // the default is best effort
}

static void sysctls_of_the_whole_node_are_refused(void **state) {
    struct fixture *fixture = *state;
    static const char *const bad[] = {
        "kernel.panic",    "vm.swappiness", "net/ipv4/x",     "net.ipv4/../../kernel/panic",
        "kernel.shmmax.x", "fs.file-max",   "kernel.hostname"};
    static const char *const good[] = {"net.core.somaxconn", "kernel.shmmax", "kernel.sem",
                                       "fs.mqueue.msg_max"};
    struct pairs *sysctls = &fixture->assignment.spec.sysctls;
    *sysctls = pairs_set(&fixture->arena, sysctls, "net.x", "1");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        sysctls->items[0].key = bad[i];
        refused(fixture, REASON_UNSUPPORTED, "would change the whole node");
    }
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        sysctls->items[0].key = good[i];
        assert_int_equal(write_it(fixture), 0);
    }
    fixture->assignment.spec.network_mode = NETWORK_HOST;
    sysctls->items[0].key = "net.core.somaxconn";
    refused(fixture, REASON_UNSUPPORTED, "under network_mode: host");
}

static void a_terminal_is_refused(void **state) {
    struct fixture *fixture = *state;
    fixture->assignment.spec.tty = true;
    refused(fixture, REASON_UNSUPPORTED, "tty: true is not supported yet");
}

static void capabilities_follow_dockers_rules(void **state) {
    struct fixture *fixture = *state;
    struct service_spec *spec = &fixture->assignment.spec;
    uint64_t all = (UINT64_C(1) << 41) - 1;
    uint64_t missing = 1;
    assert_int_equal(capabilities_of(spec, all, &missing), capabilities_default);
    assert_int_equal(missing, 0);
    assert_false(capabilities_default >> CAP_NET_RAW & 1);
    LIST(spec->cap_drop, "ALL");
    assert_int_equal(capabilities_of(spec, all, &missing), 0);
    LIST(spec->cap_add, "net_raw", "CAP_SYS_TIME");
    assert_int_equal(capabilities_of(spec, all, &missing), 1 << CAP_NET_RAW | 1 << CAP_SYS_TIME);
    assert_int_equal(capabilities_of(spec, all & ~(UINT64_C(1) << CAP_SYS_TIME), &missing), 1 << CAP_NET_RAW);
    assert_int_equal(missing, 1 << CAP_SYS_TIME);
    spec->cap_add.items[0] = "ALL";
    spec->cap_drop.items[0] = "KILL";
    assert_int_equal(capabilities_of(spec, all, &missing), all & ~(UINT64_C(1) << CAP_KILL));
}

static void the_stop_signal_is_the_specs_then_the_images(void **state) {
    struct fixture *fixture = *state;
    assert_int_equal(bundle_stop_signal(&fixture->assignment.spec, &fixture->image), SIGTERM);
    fixture->image.stop_signal = "SIGQUIT";
    assert_int_equal(bundle_stop_signal(&fixture->assignment.spec, &fixture->image), SIGQUIT);
    fixture->assignment.spec.stop_signal = "INT";
    assert_int_equal(bundle_stop_signal(&fixture->assignment.spec, &fixture->image), SIGINT);
    fixture->image.stop_signal = "nonsense";
    fixture->assignment.spec.stop_signal = "";
    assert_int_equal(bundle_stop_signal(&fixture->assignment.spec, &fixture->image), SIGTERM);
}

static void no_new_privileges_and_a_relative_root(void **state) {
    struct fixture *fixture = *state;
    json_t *config = config_of(fixture);
    assert_string_equal(string_at(config, "root", "path"), "rootfs");
    assert_true(json_is_true(json_object_get(json_object_get(config, "process"), "noNewPrivileges")));
    json_decref(config);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
static const struct CMUnitTest tests[] = {
    TEST(the_simplest_spec),
    TEST(nearly_every_field),
    TEST(host_networking),
    TEST(docker_rules_of_entrypoint_and_command),
    TEST(users_are_looked_up_in_the_image),
    TEST(hostile_passwd_files_do_no_harm),
    TEST(nothing_is_mounted_over_what_is_the_kernels),
    TEST(binds_stay_where_the_node_allows_them),
    TEST(sources_of_binds_must_exist),
    TEST(volumes_begin_as_the_image_has_it),
    TEST(the_images_volumes_are_anonymous_ones),
    TEST(options_of_tmpfs_are_known_ones),
    TEST(limits_that_cannot_be_kept_are_refused),
    TEST(sysctls_of_the_whole_node_are_refused),
    TEST(a_terminal_is_refused),
    TEST(capabilities_follow_dockers_rules),
    TEST(the_stop_signal_is_the_specs_then_the_images),
    TEST(no_new_privileges_and_a_relative_root),
};
CHECK_MAIN(tests)
