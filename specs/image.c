// SPDX-License-Identifier: Apache-2.0
//
// specs/image.c — image references, read strictly: what is accepted here becomes a skopeo argument and a
// path, so nothing odd passes.
//
// Grammar of registries' references as in the OCI distribution specification: host[:port] is what stands
// before the first slash, if it holds a dot or a colon or is "localhost"; path components are lower case.
#include "specs/image.h"

#include <ctype.h>
#include <string.h>

#include "base/str.h"

#define REPOSITORY_BYTES_MAX 255
#define TAG_BYTES_MAX 128
#define HOST_BYTES_MAX 255
#define IMAGE_PATH_BYTES_MAX 4096
#define SHA256_HEX_BYTES 64

static const struct {
    const char *prefix;
    enum image_source source;
    bool has_selector;
} transports[] = {
    {"oci-archive:", IMAGE_OCI_ARCHIVE, true},
    {"docker-archive:", IMAGE_DOCKER_ARCHIVE, true},
    {"oci:", IMAGE_OCI_DIRECTORY, true},
    {"tar:", IMAGE_ROOTFS_TAR, false},
};
#define TRANSPORT_COUNT (sizeof transports / sizeof *transports)

static bool is_tag(const char *text) {
    size_t len = strlen(text);
    if (len == 0 || len > TAG_BYTES_MAX || !(isalnum((unsigned char)text[0]) || text[0] == '_')) {
        return false;
    }
    for (const char *c = text; *c != '\0'; c++) {
        if (!isalnum((unsigned char)*c) && strchr("_.-", *c) == NULL) {
            return false;
        }
    }
    return true;
}

static bool is_digest(const char *text) {
    if (!str_starts(text, "sha256:")) {
        return false;
    }
    text += strlen("sha256:");
    return strlen(text) == SHA256_HEX_BYTES && strspn(text, "0123456789abcdef") == SHA256_HEX_BYTES;
}

// host, host:port, [::1]:port
static bool is_host(const char *text) {
    const char *port = strrchr(text, ':');
    if (text[0] == '[') {
        const char *close = strchr(text, ']');
        if (close == NULL || strspn(text + 1, "0123456789abcdefABCDEF:") != (size_t)(close - text - 1)) {
            return false;
        }
        port = close[1] == ':' ? close + 1 : NULL;
        return close[1] == '\0' ||
               (port != NULL && port[1] != '\0' && strspn(port + 1, "0123456789") == strlen(port + 1));
    }
    size_t len = port != NULL ? (size_t)(port - text) : strlen(text);
    if (len == 0 || len > HOST_BYTES_MAX || text[0] == '-' || text[0] == '.') {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        if (!isalnum((unsigned char)text[i]) && text[i] != '.' && text[i] != '-') {
            return false;
        }
    }
    int64_t number;
    return port == NULL || (str_to_int(port + 1, &number) && number >= 1 && number <= 65535);
}

// Lower-case components, separated inside by '.', '_', "__" or dashes, never at their ends.
static bool is_repository(const char *text) {
    size_t len = strlen(text);
    if (len == 0 || len > REPOSITORY_BYTES_MAX) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        char before = i > 0 ? text[i - 1] : '/';
        char after = i + 1 < len ? text[i + 1] : '/';
        char c = text[i];
        bool is_word = islower((unsigned char)c) || isdigit((unsigned char)c);
        bool joins = c == '.' || c == '_' || c == '-';
        bool at_end = before == '/' || after == '/';
        if (!is_word && !(c == '/' && before != '/' && i > 0 && i + 1 < len) && !(joins && !at_end)) {
            return false;
        }
        if (c == '.' && (before == '.' || before == '_' || before == '-')) {
            return false;
        }
    }
    return true;
}

static bool has_upper(const char *text) {
    for (; *text != '\0'; text++) {
        if (isupper((unsigned char)*text)) {
            return true;
        }
    }
    return false;
}

// The host is cut off `*rest` when there is one.
static const char *take_host(char **rest) {
    char *slash = strchr(*rest, '/');
    if (slash == NULL) {
        return "docker.io";
    }
    *slash = '\0';
    char *first = *rest;
    if (strchr(first, '.') == NULL && strchr(first, ':') == NULL && strcmp(first, "localhost") != 0) {
        *slash = '/';
        return "docker.io";
    }
    *rest = slash + 1;
    return strcmp(first, "index.docker.io") == 0 ? "docker.io" : first;
}

static int parse_registry(const char *text, struct arena *arena, struct image_reference *out,
                          struct error *err) {
    struct image_reference image = {
        .source = IMAGE_REGISTRY, .tag = "", .digest = "", .path = "", .selector = ""};
    char *rest = arena_strdup(arena, text);
    char *at = strchr(rest, '@');
    if (at != NULL) {
        *at++ = '\0';
        image.digest = at;
        if (!is_digest(at)) {
            return error_set(err, ERR_INVALID, "'%s' is not a digest: sha256: and 64 digits of 0-9a-f", at);
        }
    }
    image.host = take_host(&rest);
    char *colon = strrchr(rest, ':');
    if (colon != NULL) {
        *colon++ = '\0';
        image.tag = colon;
        if (!is_tag(colon)) {
            return error_set(err, ERR_INVALID,
                             "'%s' is not a tag: letters, digits, '_', '.' and '-', at most %d", colon,
                             TAG_BYTES_MAX);
        }
    } else if (image.digest[0] == '\0') {
        image.tag = "latest";
    }
    if (!is_host(image.host)) {
        return error_set(err, ERR_INVALID, "'%s' is not a registry's host[:port]", image.host);
    }
    if (!is_repository(rest)) {
        return has_upper(rest)
                   ? error_set(err, ERR_INVALID, "'%s' is not an image name: write it in lower case", rest)
                   : error_set(err, ERR_INVALID,
                               "'%s' is not an image name like redis:7 or reg.local:5000/team/app:1.2", text);
    }
    bool is_official = strcmp(image.host, "docker.io") == 0 && strchr(rest, '/') == NULL;
    image.repository = is_official ? arena_printf(arena, "library/%s", rest) : rest;
    *out = image;
    return 0;
}

// A path holds no colon, as skopeo has it: what follows the first one selects an image inside.
static int parse_path(const char *text, size_t transport, struct arena *arena, struct image_reference *out,
                      struct error *err) {
    const char *prefix = transports[transport].prefix;
    struct image_reference image = {.source = transports[transport].source,
                                    .host = "",
                                    .repository = "",
                                    .tag = "",
                                    .digest = "",
                                    .selector = ""};
    char *path = arena_strdup(arena, text + strlen(prefix));
    char *colon = strchr(path, ':');
    if (colon != NULL) {
        if (!transports[transport].has_selector) {
            return error_set(err, ERR_INVALID,
                             "'%s': a root file system has no tag; take away what follows the colon", text);
        }
        *colon = '\0';
        image.selector = colon + 1;
    }
    size_t len = strlen(path);
    if (path[0] != '/' || strstr(path, "/../") != NULL || str_ends(path, "/..")) {
        return error_set(err, ERR_INVALID, "'%s' needs an absolute path without '..', like %s/srv/app.tar",
                         text, prefix);
    }
    if (len > IMAGE_PATH_BYTES_MAX || !str_is_utf8(path, len)) {
        return error_set(err, ERR_INVALID, "the path of the image is too long or not UTF-8");
    }
    image.path = path;
    *out = image;
    return 0;
}

int image_parse(const char *text, struct arena *arena, struct image_reference *out, struct error *err) {
    if (text[0] == '\0') {
        return error_set(err, ERR_INVALID, "an image is needed, like redis:7 or oci-archive:/srv/app.tar");
    }
    for (const char *c = text; *c != '\0'; c++) {
        if ((unsigned char)*c <= ' ' || *c == 0x7F) {
            return error_set(err, ERR_INVALID, "an image reference holds no blanks");
        }
    }
    for (size_t i = 0; i < TRANSPORT_COUNT; i++) {
        if (str_starts(text, transports[i].prefix) && !is_tag(text + strlen(transports[i].prefix))) {
            return parse_path(text, i, arena, out, err);
        }
    }
    return parse_registry(text, arena, out, err);
}

const char *image_familiar(const char *text, struct arena *arena) {
    struct image_reference image = {.host = "", .repository = "", .tag = "", .path = "", .selector = ""};
    if (image_parse(text, arena, &image, NULL) < 0) {
        return text;
    }
    if (image.source != IMAGE_REGISTRY) {
        const char *slash = strrchr(image.path, '/');
        const char *name = slash != NULL && slash[1] != '\0' ? slash + 1 : image.path;
        return image.selector[0] != '\0' ? arena_printf(arena, "%s:%s", name, image.selector) : name;
    }
    const char *name = image.repository;
    if (strcmp(image.host, "docker.io") != 0) {
        name = arena_printf(arena, "%s/%s", image.host, name);
    } else if (str_starts(name, "library/")) {
        name += strlen("library/");
    }
    return image.tag[0] != '\0' ? arena_printf(arena, "%s:%s", name, image.tag)
                                : arena_printf(arena, "%s@%s", name, image.digest);
}
