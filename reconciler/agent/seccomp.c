// SPDX-License-Identifier: Apache-2.0
//
// reconciler/agent/seccomp.c — groups of the profile are kept or left out, and written in OCI's words.
//
// Model        A group is kept when each of its `includes` holds and none of its `excludes` does. Lists of
//              architectures hold when the native one is among them, lists of capabilities when all
//              (includes) or one (excludes) of them are granted, `minKernel` when the kernel is new enough.
// Source       containers/common, pkg/seccomp: the format of the profile and the meaning of its conditions.
#include "reconciler/agent/seccomp.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include <jansson.h>

#include "base/buf.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/str.h"
#include "specs/signal_name.h"

#define PROFILE_BYTES_MAX ((size_t)1024 * 1024)
#define CACHE_MAX 64 // sets of capabilities; few services name any

#if defined(__x86_64__)
#define NATIVE "SCMP_ARCH_X86_64"
#define NATIVE_GO "amd64"
#elif defined(__aarch64__)
#define NATIVE "SCMP_ARCH_AARCH64"
#define NATIVE_GO "arm64"
#elif defined(__arm__)
#define NATIVE "SCMP_ARCH_ARM"
#define NATIVE_GO "arm"
#elif defined(__riscv)
#define NATIVE "SCMP_ARCH_RISCV64"
#define NATIVE_GO "riscv64"
#elif defined(__powerpc64__)
#define NATIVE "SCMP_ARCH_PPC64LE"
#define NATIVE_GO "ppc64le"
#elif defined(__s390x__)
#define NATIVE "SCMP_ARCH_S390X"
#define NATIVE_GO "s390x"
#else
#error "name this architecture as libseccomp and as Go do"
#endif

struct profile {
    uint64_t capabilities;
    char *text;
};

struct seccomp {
    char *path;
    json_t *root; // NULL until read
    size_t count;
    struct profile cache[CACHE_MAX];
};

struct seccomp *seccomp_new(const char *path) {
    struct seccomp *seccomp = NEW(struct seccomp);
    seccomp->path = xstrdup(str_is_empty(path) ? SECCOMP_PROFILE_PATH : path);
    return seccomp;
}

static void forget(struct seccomp *seccomp) {
    for (size_t i = 0; i < seccomp->count; i++) {
        xfree(seccomp->cache[i].text);
    }
    seccomp->count = 0;
}

void seccomp_free(struct seccomp *seccomp) {
    if (seccomp != NULL) {
        forget(seccomp);
        json_decref(seccomp->root);
        xfree(seccomp->path);
        xfree(seccomp);
    }
}

// --- conditions ---

static bool list_has(const json_t *list, const char *word) {
    for (size_t i = 0; i < json_array_size(list); i++) {
        if (str_equal(json_string_value(json_array_get(list, i)), word)) {
            return true;
        }
    }
    return false;
}

static bool is_granted(const char *name, uint64_t capabilities) {
    int number;
    return name != NULL && capability_parse(name, &number) && (capabilities >> number & 1) != 0;
}

static size_t granted_count(const json_t *list, uint64_t capabilities) {
    size_t count = 0;
    for (size_t i = 0; i < json_array_size(list); i++) {
        count += is_granted(json_string_value(json_array_get(list, i)), capabilities);
    }
    return count;
}

static bool is_kernel_at_least(const char *version) {
    struct utsname name;
    unsigned major = 0;
    unsigned minor = 0;
    unsigned wanted_major = 0;
    unsigned wanted_minor = 0;
    if (uname(&name) != 0 || sscanf(name.release, "%u.%u", &major, &minor) != 2 ||
        sscanf(version, "%u.%u", &wanted_major, &wanted_minor) != 2) {
        return false;
    }
    return major > wanted_major || (major == wanted_major && minor >= wanted_minor);
}

static bool is_kept(const json_t *group, uint64_t capabilities) {
    const json_t *includes = json_object_get(group, "includes");
    const json_t *excludes = json_object_get(group, "excludes");
    const json_t *arches = json_object_get(includes, "arches");
    const json_t *caps = json_object_get(includes, "caps");
    const char *kernel = json_string_value(json_object_get(includes, "minKernel"));
    const char *old_kernel = json_string_value(json_object_get(excludes, "minKernel"));
    return (json_array_size(arches) == 0 || list_has(arches, NATIVE_GO)) &&
           granted_count(caps, capabilities) == json_array_size(caps) &&
           (kernel == NULL || is_kernel_at_least(kernel)) &&
           !list_has(json_object_get(excludes, "arches"), NATIVE_GO) &&
           granted_count(json_object_get(excludes, "caps"), capabilities) == 0 &&
           (old_kernel == NULL || !is_kernel_at_least(old_kernel));
}

// --- converting ---

static int refuse(const struct seccomp *seccomp, struct error *err, const char *what) {
    return error_set(err, ERR_INVALID, "seccomp profile %s: %s (reinstall golang-github-containers-common)",
                     seccomp->path, what);
}

static bool is_list_of_names(const json_t *list) {
    for (size_t i = 0; i < json_array_size(list); i++) {
        if (!json_is_string(json_array_get(list, i))) {
            return false;
        }
    }
    return json_array_size(list) > 0;
}

static bool are_args(const json_t *list) {
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *arg = json_array_get(list, i);
        if (!json_is_integer(json_object_get(arg, "index")) ||
            !json_is_integer(json_object_get(arg, "value")) || !json_is_string(json_object_get(arg, "op"))) {
            return false;
        }
    }
    return true;
}

// What OCI knows of a group; NULL when it is malformed.
static json_t *convert_group(json_t *group) {
    static const char *const kept[] = {"names", "action", "errnoRet", "args"};
    if (!is_list_of_names(json_object_get(group, "names")) ||
        !json_is_string(json_object_get(group, "action")) || !are_args(json_object_get(group, "args"))) {
        return NULL;
    }
    json_t *out = json_object();
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
        json_t *value = json_object_get(group, kept[i]);
        if (value != NULL && !json_is_null(value) && (!json_is_array(value) || json_array_size(value) > 0)) {
            json_object_set(out, kept[i], value);
        }
    }
    return out;
}

static int convert_groups(const struct seccomp *seccomp, uint64_t capabilities, json_t *out,
                          struct error *err) {
    const json_t *groups = json_object_get(seccomp->root, "syscalls");
    for (size_t i = 0; i < json_array_size(groups); i++) {
        json_t *group = json_array_get(groups, i);
        json_t *converted = is_kept(group, capabilities) ? convert_group(group) : json_null();
        if (converted == NULL) {
            char what[64];
            snprintf(what, sizeof what, "syscalls[%zu] is malformed", i);
            return refuse(seccomp, err, what);
        }
        if (!json_is_null(converted)) {
            json_array_append_new(out, converted);
        }
    }
    return 0;
}

static int convert(const struct seccomp *seccomp, uint64_t capabilities, char **out, struct error *err) {
    json_t *action = json_object_get(seccomp->root, "defaultAction");
    json_t *errno_ret = json_object_get(seccomp->root, "defaultErrnoRet");
    if (!json_is_string(action) || !json_is_array(json_object_get(seccomp->root, "syscalls"))) {
        return refuse(seccomp, err, "no defaultAction or no syscalls in it");
    }
    json_t *profile =
        json_pack("{s:O, s:[s], s:[]}", "defaultAction", action, "architectures", NATIVE, "syscalls");
    if (json_is_integer(errno_ret)) {
        json_object_set(profile, "defaultErrnoRet", errno_ret);
    }
    int rc = convert_groups(seccomp, capabilities, json_object_get(profile, "syscalls"), err);
    if (rc == 0) {
        *out = json_dumps(profile, JSON_COMPACT);
    }
    json_decref(profile);
    return rc;
}

static int load(struct seccomp *seccomp, struct error *err) {
    AUTO_BUF text = {0};
    json_error_t why;
    int rc = fs_read(AT_FDCWD, seccomp->path, PROFILE_BYTES_MAX, &text, err);
    if (rc < 0) {
        return error_wrap(err, rc, "seccomp profile (package golang-github-containers-common)");
    }
    seccomp->root = json_loadb(buf_text(&text), text.len, JSON_REJECT_DUPLICATES, &why);
    return seccomp->root == NULL ? refuse(seccomp, err, why.text) : 0;
}

int seccomp_get(struct seccomp *seccomp, uint64_t capabilities, const char **out, struct error *err) {
    for (size_t i = 0; i < seccomp->count; i++) {
        if (seccomp->cache[i].capabilities == capabilities) {
            *out = seccomp->cache[i].text;
            return 0;
        }
    }
    int rc = seccomp->root == NULL ? load(seccomp, err) : 0;
    if (rc < 0) {
        return rc;
    }
    if (seccomp->count == CACHE_MAX) {
        forget(seccomp);
    }
    struct profile *profile = &seccomp->cache[seccomp->count];
    rc = convert(seccomp, capabilities, &profile->text, err);
    if (rc < 0) {
        json_decref(seccomp->root); // it may have been repaired by the next time
        seccomp->root = NULL;
        return rc;
    }
    profile->capabilities = capabilities;
    seccomp->count++;
    *out = profile->text;
    return 0;
}
