// SPDX-License-Identifier: Apache-2.0
//
// reconciler/agent/image_pull.c — skopeo copy, and the classes of its failures.
//
// Every failure of skopeo has the exit status 1; only its words tell an image that is not there (the task is
// rejected) from a registry that is not there (kept trying). What no row knows is tried again when a registry
// is at the other end, and is final for a file, which will say the same next time.
// A tag and a digest together are refused by skopeo: the digest alone says which image it is.
#include "reconciler/agent/image_pull.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fs.h"
#include "base/str.h"
#include "specs/task.h"

#define TEXT_BYTES_MAX 400

// --- the command line ---

const char *image_pull_source(const struct image_reference *reference, struct arena *arena) {
    static const char *const transports[] = {[IMAGE_REGISTRY] = "docker://",
                                             [IMAGE_OCI_ARCHIVE] = "oci-archive:",
                                             [IMAGE_DOCKER_ARCHIVE] = "docker-archive:",
                                             [IMAGE_OCI_DIRECTORY] = "oci:",
                                             [IMAGE_ROOTFS_TAR] = "tarball:"};
    const char *transport = transports[reference->source];
    if (reference->source == IMAGE_REGISTRY) {
        bool is_pinned = reference->digest[0] != '\0';
        return arena_printf(arena, "%s%s/%s%s%s", transport, reference->host, reference->repository,
                            is_pinned ? "@" : ":", is_pinned ? reference->digest : reference->tag);
    }
    bool has_selector = reference->selector[0] != '\0';
    return arena_printf(arena, "%s%s%s%s", transport, reference->path, has_selector ? ":" : "",
                        has_selector ? reference->selector : "");
}

const char *const *image_pull_argv(const struct image_pull *pull, const struct image_reference *reference,
                                   struct arena *arena) {
    struct strings argv = {0};
    const char *const fixed[] = {pull->skopeo_path != NULL ? pull->skopeo_path : "skopeo",
                                 "--tmpdir",
                                 pull->tmp_dir,
                                 "copy",
                                 "--quiet",
                                 "--dest-shared-blob-dir",
                                 pull->blobs_dir};
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++) {
        *ARENA_PUSH(arena, &argv) = fixed[i];
    }
    if (pull->auth_file != NULL) {
        *ARENA_PUSH(arena, &argv) = "--src-authfile";
        *ARENA_PUSH(arena, &argv) = pull->auth_file;
    }
    if (pull->is_insecure) {
        *ARENA_PUSH(arena, &argv) = "--src-tls-verify=false";
    }
    *ARENA_PUSH(arena, &argv) = image_pull_source(reference, arena);
    *ARENA_PUSH(arena, &argv) = arena_printf(arena, "oci:%s:image", pull->layout_dir);
    *ARENA_PUSH(arena, &argv) = NULL;
    return argv.items;
}

const char *image_pull_auth_file(const char *state_dir, struct arena *arena) {
    const char *home = getenv("HOME");
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    const char *const candidates[] = {
        arena_printf(arena, "%s/auth.json", state_dir),
        getenv("REGISTRY_AUTH_FILE"),
        runtime != NULL ? arena_printf(arena, "%s/containers/auth.json", runtime) : NULL,
        arena_printf(arena, "/run/containers/%u/auth.json", (unsigned)getuid()),
        home != NULL ? arena_printf(arena, "%s/.config/containers/auth.json", home) : NULL,
        home != NULL ? arena_printf(arena, "%s/.docker/config.json", home) : NULL,
    };
    for (size_t i = 0; i < sizeof candidates / sizeof *candidates; i++) {
        if (!str_is_empty(candidates[i]) && fs_exists(candidates[i])) {
            return candidates[i];
        }
    }
    return NULL;
}

// --- its words ---

#define FINAL true
#define RETRY false

// The first row that is found holds: what is certain comes before what is general.
static const struct {
    const char *words;
    int64_t reason;
    bool is_final;
    const char *hint; // what to do about it; NULL = its words say it
} rows[] = {
    {"/policy.json: no such file", REASON_RUNTIME_MISSING, RETRY,
     "apt install golang-github-containers-common"},
    {"no space left on device", REASON_NO_SPACE, RETRY, NULL},
    {"disk quota exceeded", REASON_NO_SPACE, RETRY, NULL},
    {"toomanyrequests", REASON_IMAGE_UNREACHABLE, RETRY, NULL},
    {"too many requests", REASON_IMAGE_UNREACHABLE, RETRY, NULL},
    {"connection refused", REASON_IMAGE_UNREACHABLE, RETRY, NULL},
    {"no such host", REASON_IMAGE_UNREACHABLE, RETRY, NULL},
    {"x509:", REASON_IMAGE_UNREACHABLE, RETRY, NULL},
    {"server gave http response to https client", REASON_IMAGE_UNREACHABLE, RETRY,
     "list the registry as insecure to use plain HTTP"},
    {"timeout", REASON_IMAGE_UNREACHABLE, RETRY, NULL},
    {"deadline exceeded", REASON_IMAGE_UNREACHABLE, RETRY, NULL},
    {"connection reset", REASON_IMAGE_UNREACHABLE, RETRY, NULL},
    {"no route to host", REASON_IMAGE_UNREACHABLE, RETRY, NULL},
    {"network is unreachable", REASON_IMAGE_UNREACHABLE, RETRY, NULL},
    {"unexpected eof", REASON_IMAGE_UNREACHABLE, RETRY, NULL},
    {"no image found in manifest list", REASON_UNSUPPORTED, FINAL, NULL},
    {"no image found in image index", REASON_UNSUPPORTED, FINAL, NULL},
    {"manifest unknown", REASON_IMAGE_NOT_FOUND, FINAL, NULL},
    {"name unknown", REASON_IMAGE_NOT_FOUND, FINAL, NULL},
    {"repository name not known", REASON_IMAGE_NOT_FOUND, FINAL, NULL},
    {"no descriptor found for reference", REASON_IMAGE_NOT_FOUND, FINAL, NULL},
    {"unauthorized", REASON_IMAGE_DENIED, FINAL, NULL},
    {"requested access to the resource is denied", REASON_IMAGE_DENIED, FINAL, NULL},
    {"authentication required", REASON_IMAGE_DENIED, FINAL, NULL},
    {"invalid username/password", REASON_IMAGE_DENIED, FINAL, NULL},
    {"403 (forbidden)", REASON_IMAGE_DENIED, FINAL, NULL},
    {"denied:", REASON_IMAGE_DENIED, FINAL, NULL},
    {"source image rejected", REASON_IMAGE_DENIED, FINAL, NULL},
    {"does not match provided manifest digest", REASON_IMAGE_INVALID, FINAL, NULL},
    {"digest did not match", REASON_IMAGE_INVALID, FINAL, NULL},
    {"blob unknown", REASON_IMAGE_INVALID, FINAL, NULL},
    {"index.json: no such file", REASON_IMAGE_INVALID, FINAL, NULL},
    {"loading tar component", REASON_IMAGE_INVALID, FINAL, NULL},
    {"no such file or directory", REASON_IMAGE_NOT_FOUND, FINAL, NULL},
    {"404 (not found)", REASON_IMAGE_NOT_FOUND, FINAL, NULL},
    {"\" not found", REASON_IMAGE_NOT_FOUND, FINAL, NULL},
};

// The message of the first fatal line, without the frame that logrus puts round it; else the first line.
static void unframe(const char *errors, struct buf *out) {
    static const char mark[] = "msg=\"";
    const char *fatal = strstr(errors, "level=fatal");
    const char *from = strstr(fatal != NULL ? fatal : errors, mark);
    if (from == NULL) {
        buf_add(out, errors, strcspn(errors, "\n"));
        return;
    }
    for (from += strlen(mark); *from != '\0' && *from != '"' && *from != '\n'; from++) {
        if (*from == '\\' && from[1] != '\0') {
            from++;
            buf_addc(out, *from == 'n' || *from == 't' ? ' ' : *from);
        } else {
            buf_addc(out, *from);
        }
    }
}

// Takes away "initializing source docker://host/name:tag: " and a cause that is said twice at the end.
static const char *shorten(char *text) {
    static const char opening[] = "initializing source ";
    char *end = str_starts(text, opening) ? strstr(text + strlen(opening), ": ") : NULL;
    text = end != NULL ? end + 2 : text;
    char *last = text;
    for (char *colon; (colon = strstr(last, ": ")) != NULL;) {
        size_t len = (size_t)(colon - last);
        if (strlen(colon + 2) == len && memcmp(last, colon + 2, len) == 0) {
            *colon = '\0';
            break;
        }
        last = colon + 2;
    }
    return text;
}

static void blank(char *text, const char *words) {
    size_t len = strlen(words);
    for (char *at = text; len > 0 && (at = strstr(at, words)) != NULL; at += len) {
        memset(at, ' ', len);
    }
}

// In small letters, and without the names that the user chose: an image may be called "timeout".
static const char *plain_words(const char *text, const struct image_reference *reference,
                               struct arena *arena) {
    char *copy = arena_strdup(arena, text);
    blank(copy, image_pull_source(reference, arena));
    blank(copy, reference->path);
    if (reference->source == IMAGE_REGISTRY) {
        blank(copy, arena_printf(arena, "%s/%s", reference->host, reference->repository));
        blank(copy, arena_printf(arena, "manifest %s in", reference->tag));
    }
    for (char *c = copy; *c != '\0'; c++) {
        *c = *c >= 'A' && *c <= 'Z' ? (char)(*c - 'A' + 'a') : *c;
    }
    return copy;
}

struct image_failure image_pull_classify(const char *errors, const struct image_reference *reference,
                                         struct arena *arena) {
    AUTO_BUF message = {0};
    unframe(errors, &message);
    bool is_registry = reference->source == IMAGE_REGISTRY;
    struct image_failure failure = {.reason = is_registry ? REASON_IMAGE_UNREACHABLE : REASON_IMAGE_INVALID,
                                    .is_final = !is_registry};
    const char *hint = NULL;
    const char *words = plain_words(buf_text(&message), reference, arena);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (strstr(words, rows[i].words) != NULL) {
            failure.reason = rows[i].reason;
            failure.is_final = rows[i].is_final;
            hint = rows[i].hint;
            break;
        }
    }
    const char *text = shorten(arena_strdup(arena, buf_text(&message)));
    failure.text = arena_printf(arena, "%.*s%s%s%s%s", TEXT_BYTES_MAX,
                                text[0] != '\0' ? text : "skopeo failed without a word",
                                strlen(text) > TEXT_BYTES_MAX ? "…" : "", hint != NULL ? " (" : "",
                                hint != NULL ? hint : "", hint != NULL ? ")" : "");
    return failure;
}
