// SPDX-License-Identifier: Apache-2.0
//
// reconciler/agent/image_layout.c — OCI index, manifest and configuration, with jansson.
//
// Source       OCI image specification 1.0 (index.md, manifest.md, config.md); ChainID as in config.md.
//              Docker's schema 2 has the same members; skopeo has turned it into OCI before it comes here.
// Order        The manifest lists blobs and the configuration lists diff ids; they must be equally many, and
//              only both together make layers.
#include "reconciler/agent/image_layout.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/limits.h"
#include "base/str.h"

#define DOCUMENT_BYTES_MAX ((size_t)4 * MIB)
#define DIGEST_PREFIX "sha256:"

_Static_assert(DOCUMENT_BYTES_MAX < ((size_t)64 << 20), "fits a buffer");

// --- digests ---

bool image_is_digest(const char *text) {
    return text != NULL && str_starts(text, DIGEST_PREFIX) && strlen(text) == SHA256_TEXT_BYTES - 1 &&
           strspn(text + strlen(DIGEST_PREFIX), "0123456789abcdef") == 64;
}

void image_digest(struct bytes bytes, char out[SHA256_TEXT_BYTES]) {
    unsigned char raw[EVP_MAX_MD_SIZE] = {0};
    EVP_Digest(bytes.len > 0 ? (const void *)bytes.data : "", bytes.len, raw, NULL, EVP_sha256(), NULL);
    int len = snprintf(out, SHA256_TEXT_BYTES, DIGEST_PREFIX);
    for (int i = 0; i < 32; i++) {
        len += snprintf(out + len, (size_t)(SHA256_TEXT_BYTES - len), "%02x", raw[i]);
    }
}

const char *image_blob_path(const char *blobs_dir, const char *digest, struct arena *arena) {
    return arena_printf(arena, "%s/sha256/%s", blobs_dir, digest + strlen(DIGEST_PREFIX));
}

// --- JSON ---

static void free_json(json_t **json) {
    json_decref(*json);
}
#define AUTO_JSON __attribute__((cleanup(free_json))) json_t

static int load(struct bytes bytes, json_t **out, struct error *err) {
    json_error_t problem;
    if (bytes.len > DOCUMENT_BYTES_MAX) {
        return error_set(err, ERR_LIMIT, "longer than %zu bytes", DOCUMENT_BYTES_MAX);
    }
    json_t *json = json_loadb(bytes.len > 0 ? (const char *)bytes.data : "", bytes.len,
                              JSON_REJECT_DUPLICATES, &problem);
    if (json == NULL) {
        return error_set(err, ERR_INVALID, "not JSON: line %d: %s", problem.line, problem.text);
    }
    if (!json_is_object(json)) {
        json_decref(json);
        return error_set(err, ERR_INVALID, "not an object");
    }
    *out = json;
    return 0;
}

static int wrong(struct error *err, const char *member, const char *wanted) {
    return error_set(err, ERR_INVALID, "'%s' is not %s", member, wanted);
}

// A member that may be absent or null: "".
static int get_text(const json_t *object, const char *member, struct arena *arena, const char **out,
                    struct error *err) {
    const json_t *value = json_object_get(object, member);
    if (value != NULL && !json_is_null(value) && !json_is_string(value)) {
        return wrong(err, member, "a string");
    }
    const char *text = json_is_string(value) ? json_string_value(value) : "";
    if (strlen(text) > STRING_BYTES_MAX) {
        return error_set(err, ERR_LIMIT, "'%s' is longer than %d bytes", member, STRING_BYTES_MAX);
    }
    *out = arena_strdup(arena, text);
    return 0;
}

static int get_digest(const json_t *object, const char *member, struct arena *arena, const char **out,
                      struct error *err) {
    const char *text = json_string_value(json_object_get(object, member));
    if (!image_is_digest(text)) {
        return wrong(err, member, "a digest: sha256: and 64 digits of 0-9a-f");
    }
    *out = arena_strdup(arena, text);
    return 0;
}

// A list that may be absent or null: empty.
static int get_list(const json_t *object, const char *member, size_t count_max, const json_t **out,
                    struct error *err) {
    const json_t *value = json_object_get(object, member);
    if (value != NULL && !json_is_null(value) && !json_is_array(value)) {
        return wrong(err, member, "a list");
    }
    if (json_array_size(value) > count_max) {
        return error_set(err, ERR_LIMIT, "'%s' has more than %zu items", member, count_max);
    }
    *out = value;
    return 0;
}

static int get_object(const json_t *object, const char *member, const json_t **out, struct error *err) {
    const json_t *value = json_object_get(object, member);
    if (value != NULL && !json_is_null(value) && !json_is_object(value)) {
        return wrong(err, member, "an object");
    }
    if (json_object_size(value) > LIST_ITEMS_MAX) {
        return error_set(err, ERR_LIMIT, "'%s' has more than %d members", member, LIST_ITEMS_MAX);
    }
    *out = value;
    return 0;
}

static int get_strings(const json_t *object, const char *member, struct arena *arena, struct strings *out,
                       struct error *err) {
    const json_t *list = NULL;
    int rc = get_list(object, member, LIST_ITEMS_MAX, &list, err);
    for (size_t i = 0; rc == 0 && i < json_array_size(list); i++) {
        const char *text = json_string_value(json_array_get(list, i));
        if (text == NULL) {
            return wrong(err, member, "a list of strings");
        }
        *ARENA_PUSH(arena, out) = arena_strdup(arena, text);
    }
    return rc;
}

// --- the three documents ---

int image_index_parse(struct bytes json, struct arena *arena, const char **out_manifest, struct error *err) {
    AUTO_JSON *index = NULL;
    const json_t *manifests = NULL;
    int rc = load(json, &index, err);
    rc = rc == 0 ? get_list(index, "manifests", LIST_ITEMS_MAX, &manifests, err) : rc;
    if (rc == 0 && json_array_size(manifests) != 1) {
        rc = error_set(err, ERR_INVALID, "%zu manifests instead of one", json_array_size(manifests));
    }
    rc = rc == 0 ? get_digest(json_array_get(manifests, 0), "digest", arena, out_manifest, err) : rc;
    return error_wrap(err, rc, "index of the image");
}

int image_manifest_parse(struct bytes json, struct arena *arena, struct image_contents *out,
                         struct error *err) {
    AUTO_JSON *manifest = NULL;
    const json_t *layers = NULL;
    const json_t *config = NULL;
    int rc = load(json, &manifest, err);
    rc = rc == 0 ? get_object(manifest, "config", &config, err) : rc;
    rc = rc == 0 ? get_list(manifest, "layers", LAYERS_MAX, &layers, err) : rc;
    if (rc == 0 && (config == NULL || layers == NULL)) {
        rc = error_set(err, ERR_INVALID, "'%s' is missing", config == NULL ? "config" : "layers");
    }
    rc = rc == 0 ? get_digest(config, "digest", arena, &out->config_digest, err) : rc;
    for (size_t i = 0; rc == 0 && i < json_array_size(layers); i++) {
        struct image_layer layer = {.diff_id = "", .chain = ""};
        rc = get_digest(json_array_get(layers, i), "digest", arena, &layer.digest, err);
        *ARENA_PUSH(arena, &out->layers) = layer;
    }
    if (rc == 0 && out->layers.count == 0) {
        rc = error_set(err, ERR_INVALID, "no layers");
    }
    return error_wrap(err, rc, "manifest of the image");
}

// Chain 1 is its diff id; chain n the digest of "chain n-1" and diff id n with a blank between.
static int chain_layers(const json_t *diff_ids, struct arena *arena, struct image_contents *out,
                        struct error *err) {
    char chain[SHA256_TEXT_BYTES] = "";
    for (size_t i = 0; i < out->layers.count; i++) {
        const char *diff_id = json_string_value(json_array_get(diff_ids, i));
        if (!image_is_digest(diff_id)) {
            return wrong(err, "rootfs.diff_ids", "a list of digests");
        }
        const char *text = i == 0 ? diff_id : arena_printf(arena, "%s %s", chain, diff_id);
        if (i == 0) {
            str_copy(chain, sizeof chain, diff_id);
        } else {
            image_digest((struct bytes){(const uint8_t *)text, strlen(text)}, chain);
        }
        out->layers.items[i].diff_id = arena_strdup(arena, diff_id);
        out->layers.items[i].chain = arena_strdup(arena, chain + strlen(DIGEST_PREFIX));
    }
    return 0;
}

static int parse_rootfs(const json_t *config, struct arena *arena, struct image_contents *out,
                        struct error *err) {
    const json_t *rootfs = NULL;
    const json_t *diff_ids = NULL;
    int rc = get_object(config, "rootfs", &rootfs, err);
    rc = rc == 0 ? get_list(rootfs, "diff_ids", LAYERS_MAX, &diff_ids, err) : rc;
    if (rc == 0 && json_array_size(diff_ids) != out->layers.count) {
        rc = error_set(err, ERR_INVALID, "%zu diff ids for %zu layers", json_array_size(diff_ids),
                       out->layers.count);
    }
    return rc == 0 ? chain_layers(diff_ids, arena, out, err) : rc;
}

static int parse_environment(const json_t *config, struct arena *arena, struct pairs *out,
                             struct error *err) {
    struct strings lines = {0};
    int rc = get_strings(config, "Env", arena, &lines, err);
    for (size_t i = 0; rc == 0 && i < lines.count; i++) {
        const char *equals = strchr(lines.items[i], '=');
        if (equals != NULL && equals > lines.items[i]) { // Docker leaves out the others, too
            const char *key = arena_strndup(arena, lines.items[i], (size_t)(equals - lines.items[i]));
            *out = pairs_set(arena, out, key, equals + 1);
        }
    }
    return rc;
}

static int parse_labels(const json_t *config, struct arena *arena, struct pairs *out, struct error *err) {
    const json_t *labels = NULL;
    int rc = get_object(config, "Labels", &labels, err);
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)labels, key, value) {
        if (rc == 0 && !json_is_string(value)) {
            rc = wrong(err, "Labels", "a map of strings");
        }
        if (rc == 0) {
            *out = pairs_set(arena, out, arena_strdup(arena, key),
                             arena_strdup(arena, json_string_value(value)));
        }
    }
    return rc;
}

static int parse_volumes(const json_t *config, struct arena *arena, struct strings *out, struct error *err) {
    const json_t *volumes = NULL;
    int rc = get_object(config, "Volumes", &volumes, err);
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)volumes, key, value) {
        *ARENA_PUSH(arena, out) = arena_strdup(arena, key);
    }
    return rc;
}

// Docker's word beside those of OCI. Numbers that make no sense count as not given: no image fails for them.
static int parse_health(const json_t *config, struct arena *arena, struct health_check **out,
                        struct error *err) {
    const json_t *health = NULL;
    struct health_check check = {0};
    const struct {
        const char *member;
        int64_t *out;
        json_int_t max;
    } numbers[] = {{"Interval", &check.interval_ns, INT64_MAX},
                   {"Timeout", &check.timeout_ns, INT64_MAX},
                   {"StartPeriod", &check.start_period_ns, INT64_MAX},
                   {"StartInterval", &check.start_interval_ns, INT64_MAX},
                   {"Retries", &check.retries, 1000}};
    int rc = get_object(config, "Healthcheck", &health, err);
    rc = rc == 0 ? get_strings(health, "Test", arena, &check.test, err) : rc;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        json_int_t number = json_integer_value(json_object_get(health, numbers[i].member));
        *numbers[i].out = number > 0 && number <= numbers[i].max ? number : 0;
    }
    *out = rc == 0 && json_is_object(health) ? arena_copy(arena, &check, sizeof check) : NULL;
    return rc;
}

static int parse_process(const json_t *config, struct arena *arena, struct image_config *out,
                         struct error *err) {
    int rc = get_strings(config, "Entrypoint", arena, &out->entrypoint, err);
    rc = rc == 0 ? get_strings(config, "Cmd", arena, &out->command, err) : rc;
    rc = rc == 0 ? parse_environment(config, arena, &out->environment, err) : rc;
    rc = rc == 0 ? get_text(config, "User", arena, &out->user, err) : rc;
    rc = rc == 0 ? get_text(config, "WorkingDir", arena, &out->working_dir, err) : rc;
    rc = rc == 0 ? get_text(config, "StopSignal", arena, &out->stop_signal, err) : rc;
    rc = rc == 0 ? parse_volumes(config, arena, &out->volumes, err) : rc;
    rc = rc == 0 ? parse_health(config, arena, &out->health, err) : rc;
    return rc == 0 ? parse_labels(config, arena, &out->labels, err) : rc;
}

int image_config_parse(struct bytes json, struct arena *arena, struct image_contents *out,
                       struct error *err) {
    AUTO_JSON *config = NULL;
    const json_t *process = NULL;
    int rc = load(json, &config, err);
    rc = rc == 0 ? get_text(config, "os", arena, &out->os, err) : rc;
    rc = rc == 0 ? get_text(config, "architecture", arena, &out->arch, err) : rc;
    rc = rc == 0 ? parse_rootfs(config, arena, out, err) : rc;
    rc = rc == 0 ? get_object(config, "config", &process, err) : rc;
    rc = rc == 0 ? parse_process(process, arena, &out->config, err) : rc;
    return error_wrap(err, rc, "configuration of the image");
}

// --- on disk ---

int image_layout_manifest(const char *directory, struct arena *arena, const char **out, struct error *err) {
    AUTO_BUF json = {0};
    int rc =
        fs_read(AT_FDCWD, arena_printf(arena, "%s/index.json", directory), DOCUMENT_BYTES_MAX, &json, err);
    return rc == 0 ? image_index_parse(buf_bytes(&json), arena, out, err) : rc;
}

static int read_blob(const char *blobs_dir, const char *digest, struct arena *arena, struct buf *out,
                     struct error *err) {
    char found[SHA256_TEXT_BYTES];
    const char *path = image_blob_path(blobs_dir, digest, arena);
    int rc = fs_read(AT_FDCWD, path, DOCUMENT_BYTES_MAX, out, err);
    if (rc == -ERR_NOT_FOUND) {
        return error_set(err, ERR_CORRUPT, "the blob %s is gone", digest);
    }
    if (rc != 0) {
        return rc;
    }
    image_digest(buf_bytes(out), found);
    if (strcmp(found, digest) != 0) {
        return error_set(err, ERR_CORRUPT, "the blob %s was damaged on disk", digest);
    }
    return 0;
}

int image_layout_read(const char *blobs_dir, const char *manifest, struct arena *arena,
                      struct image_contents *out, struct error *err) {
    AUTO_BUF json = {0};
    struct image_contents contents = {.manifest = arena_strdup(arena, manifest), .config_digest = ""};
    int rc = read_blob(blobs_dir, manifest, arena, &json, err);
    rc = rc == 0 ? image_manifest_parse(buf_bytes(&json), arena, &contents, err) : rc;
    buf_clear(&json);
    if (rc == 0) {
        rc = read_blob(blobs_dir, contents.config_digest, arena, &json, err);
        if (rc == -ERR_CORRUPT) {
            unlink(image_blob_path(blobs_dir, contents.config_digest, arena)); // skopeo trusts what is there
        }
    }
    rc = rc == 0 ? image_config_parse(buf_bytes(&json), arena, &contents, err) : rc;
    if (rc == 0) {
        *out = contents;
    }
    return rc;
}

static const char *machine_arch(void) {
    static const char *const names[][2] = {
        {"x86_64", "amd64"}, {"aarch64", "arm64"},   {"armv7l", "arm"},
        {"armv6l", "arm"},   {"i686", "386"},        {"ppc64le", "ppc64le"},
        {"s390x", "s390x"},  {"riscv64", "riscv64"}, {"loongarch64", "loong64"}};
    struct utsname name;
    for (size_t i = 0; uname(&name) == 0 && i < sizeof names / sizeof *names; i++) {
        if (strcmp(names[i][0], name.machine) == 0) {
            return names[i][1];
        }
    }
    return "";
}

// Images made by hand leave out what they are for; they are taken at their maker's word.
int image_layout_check_machine(const struct image_contents *contents, struct error *err) {
    const char *arch = machine_arch();
    bool is_os = contents->os[0] == '\0' || strcmp(contents->os, "linux") == 0;
    bool is_arch = contents->arch[0] == '\0' || arch[0] == '\0' || strcmp(contents->arch, arch) == 0;
    if (is_os && is_arch) {
        return 0;
    }
    return error_set(err, ERR_UNSUPPORTED, "the image is for %s/%s, this machine is linux/%s",
                     contents->os[0] != '\0' ? contents->os : "linux",
                     contents->arch[0] != '\0' ? contents->arch : "any", arch);
}

static int write_blob(const char *blobs_dir, const char *json, struct arena *arena, const char **out,
                      struct error *err) {
    char digest[SHA256_TEXT_BYTES];
    image_digest((struct bytes){(const uint8_t *)json, strlen(json)}, digest);
    *out = arena_strdup(arena, digest);
    return fs_replace(AT_FDCWD, image_blob_path(blobs_dir, digest, arena), json, strlen(json), 0644,
                      /*sync=*/true, err);
}

int image_layout_write_rootfs(const char *blobs_dir, const char *layer_digest, const char *diff_id,
                              struct arena *arena, const char **out, struct error *err) {
    const char *digest;
    const char *config = arena_printf(
        arena,
        "{\"os\":\"linux\",\"architecture\":\"%s\",\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"%s\"]}}",
        machine_arch(), diff_id);
    int rc = write_blob(blobs_dir, config, arena, &digest, err);
    const char *manifest = arena_printf(
        arena, "{\"schemaVersion\":2,\"config\":{\"digest\":\"%s\"},\"layers\":[{\"digest\":\"%s\"}]}",
        rc == 0 ? digest : "", layer_digest);
    return rc == 0 ? write_blob(blobs_dir, manifest, arena, out, err) : rc;
}
