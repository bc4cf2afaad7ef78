// SPDX-License-Identifier: Apache-2.0
//
// specs/image.c — image references after the grammar of the distribution project, and the local sources that skopeo knows.
#include "specs/image.h"

#include <string.h>

#include "base/str.h"

static const struct {
    const char *prefix;
    enum image_source source;
} sources[] = {
    {"oci-archive:", IMAGE_OCI_ARCHIVE},
    {"docker-archive:", IMAGE_DOCKER_ARCHIVE},
    {"oci:", IMAGE_OCI_DIRECTORY},
    {"tar:", IMAGE_ROOTFS_TAR},
};

static int parse_local(const char *text, size_t prefix_len, struct arena *arena, struct image_reference *out, struct error *err) {
    char *path = arena_strdup(arena, text + prefix_len);
    char *colon = strchr(path, ':');
    if (colon != NULL) {
        *colon++ = '\0';
    }
    if (path[0] != '/' || strstr(path, "/../") != NULL) {
        return error_set(err, ERR_INVALID, "'%s' needs an absolute path, like %.*s/srv/app.tar", text, (int)prefix_len, text);
    }
    out->path = path;
    out->selector = colon != NULL ? colon : "";
    return 0;
}

static bool is_digest(const char *text) {
    return str_starts(text, "sha256:") && strlen(text) == 7 + 64 && strspn(text + 7, "0123456789abcdef") == 64;
}

static bool is_tag(const char *text) {
    return str_is_name(text, 128) || (text[0] == '_' && str_is_name(text + 1, 127));
}

// Lower-case path components, separated by one slash.
static bool is_repository(const char *text) {
    bool edge = true; // at the start of a component: a letter or digit must come
    for (; *text != '\0'; text++) {
        bool alnum = (*text >= 'a' && *text <= 'z') || (*text >= '0' && *text <= '9');
        if (!alnum && (edge || strchr("._-/", *text) == NULL)) {
            return false;
        }
        edge = *text == '/';
    }
    return !edge;
}

// "host" is what stands before the first slash, if it can be one: with a dot, a port, or "localhost".
static void split_host(char *text, struct image_reference *out) {
    char *slash = strchr(text, '/');
    if (slash != NULL) {
        *slash = '\0';
        if (strpbrk(text, ".:") != NULL || strcmp(text, "localhost") == 0) {
            out->host = text;
            out->repository = slash + 1;
            return;
        }
        *slash = '/';
    }
    out->host = "docker.io";
    out->repository = text;
}

static int parse_registry(const char *text, struct arena *arena, struct image_reference *out, struct error *err) {
    char *copy = arena_strdup(arena, text);
    char *at = strchr(copy, '@');
    if (at != NULL) {
        *at++ = '\0';
        if (!is_digest(at)) {
            return error_set(err, ERR_INVALID, "'%s' has a digest that is not sha256: and 64 hex digits", text);
        }
        out->digest = at;
    }
    char *slash = strrchr(copy, '/');
    char *colon = strchr(slash != NULL ? slash : copy, ':');
    if (colon != NULL) {
        *colon++ = '\0';
        if (!is_tag(colon)) {
            return error_set(err, ERR_INVALID, "'%s' has a tag that is not letters, digits, '.', '_', '-'", text);
        }
        out->tag = colon;
    } else if (at == NULL) {
        out->tag = "latest";
    }
    split_host(copy, out);
    if (!is_repository(out->repository)) {
        return error_set(err, ERR_INVALID, "'%s' is not an image reference: repository names are lower-case letters, digits and ._-/", text);
    }
    if (strcmp(out->host, "docker.io") == 0 && strchr(out->repository, '/') == NULL) {
        out->repository = arena_printf(arena, "library/%s", out->repository);
    }
    return 0;
}

int image_parse(const char *text, struct arena *arena, struct image_reference *out, struct error *err) {
    *out = (struct image_reference){.host = "", .repository = "", .tag = "", .digest = "", .path = "", .selector = ""};
    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++) {
        if (str_starts(text, sources[i].prefix)) {
            out->source = sources[i].source;
            return parse_local(text, strlen(sources[i].prefix), arena, out, err);
        }
    }
    return parse_registry(text, arena, out, err);
}

const char *image_familiar(const char *text, struct arena *arena) {
    struct image_reference image;
    if (image_parse(text, arena, &image, NULL) < 0) {
        return arena_strdup(arena, text);
    }
    if (image.source != IMAGE_REGISTRY) {
        const char *slash = strrchr(image.path, '/');
        return arena_printf(arena, "%s%s%s", slash + 1, image.selector[0] != '\0' ? ":" : "", image.selector);
    }
    const char *repository = image.repository;
    bool hub = strcmp(image.host, "docker.io") == 0;
    if (hub && str_starts(repository, "library/")) {
        repository += 8;
    }
    return arena_printf(arena, "%s%s%s%s%s", hub ? "" : image.host, hub ? "" : "/", repository,
                        image.tag[0] != '\0' ? ":" : "@", image.tag[0] != '\0' ? image.tag : image.digest);
}
