// SPDX-License-Identifier: Apache-2.0
//
// base/error.c — the error record; its table of codes is ERROR_LIST.
#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name, *text;
    int exit_status, retryable;
} codes[ERR_COUNT] = {[ERR_NONE] = {"NONE", "no error", 0, 0},
#define X(name, text, status, retry) [ERR_##name] = {#name, text, status, retry},
                      ERROR_LIST(X)
#undef X
};

// Codes arrive over the wire too: what this version does not know counts as internal.
static int index_of(int code) {
    if (code <= -ERR_COUNT || code >= ERR_COUNT) {
        return ERR_INTERNAL;
    }
    return code < 0 ? -code : code;
}

const char *error_code_text(int code) {
    return codes[index_of(code)].text;
}

const char *error_code_name(int code) {
    return codes[index_of(code)].name;
}

int error_exit_status(int code) {
    return codes[index_of(code)].exit_status;
}

int error_is_retryable(int code) {
    return codes[index_of(code)].retryable;
}

enum error_code error_code_from_name(const char *name) {
    for (int i = 0; i < ERR_COUNT; i++) {
        if (strcmp(codes[i].name, name) == 0) {
            return (enum error_code)i;
        }
    }
    return ERR_INTERNAL;
}

// vsnprintf that marks a cut with an ellipsis and never splits a character.
__attribute__((format(printf, 3, 0))) static void format_cut(char *out, size_t bytes, const char *format,
                                                             va_list args) {
    static const char ellipsis[] = "…";
    int len = vsnprintf(out, bytes, format, args);
    if (len >= 0 && (size_t)len >= bytes) {
        size_t at = bytes - sizeof ellipsis;
        while (at > 0 && ((unsigned char)out[at] & 0xC0) == 0x80) {
            at--;
        }
        memcpy(out + at, ellipsis, sizeof ellipsis);
    }
}

int error_set(struct error *err, enum error_code code, const char *format, ...) {
    if (err != NULL) {
        // The arguments may point into the very record (an error told again): format first.
        char root[ERROR_ROOT_BYTES];
        va_list args;
        va_start(args, format);
        format_cut(root, sizeof root, format, args);
        va_end(args);
        err->code = code;
        err->sys = 0;
        err->frame_count = 0;
        memcpy(err->root, root, sizeof root);
    }
    return -(int)code;
}

int error_sys(struct error *err, int sys, const char *format, ...) {
    enum error_code code = sys == ENOSPC || sys == EDQUOT ? ERR_NO_SPACE : ERR_SYSTEM;
    if (err != NULL) {
        va_list args;
        va_start(args, format);
        char text[ERROR_ROOT_BYTES - 80];
        format_cut(text, sizeof text, format, args);
        va_end(args);
        error_set(err, code, "%s: %s", text,
                  strerrordesc_np(sys) != NULL ? strerrordesc_np(sys) : "unknown error");
        err->sys = sys;
    }
    return -(int)code;
}

int error_wrap(struct error *err, int rc, const char *format, ...) {
    if (err != NULL && rc < 0) {
        int slot = err->frame_count < ERROR_FRAMES_MAX ? err->frame_count++ : ERROR_FRAMES_MAX - 1;
        va_list args;
        va_start(args, format);
        format_cut(err->frame[slot], ERROR_FRAME_BYTES, format, args);
        va_end(args);
    }
    return rc;
}

void error_clear(struct error *err) {
    *err = (struct error){0};
}

const char *error_text(const struct error *err, char *out, size_t out_bytes) {
    const char *root = err->root[0] != '\0' ? err->root : error_code_text((int)err->code);
    size_t root_len = strlen(root);
    size_t used = 0;
    for (int i = err->frame_count - 1; i >= 0; i--) {
        size_t len = strlen(err->frame[i]);
        if (used + len + 2 + root_len + 1 > out_bytes) {
            continue; // the inner frames say more
        }
        memcpy(out + used, err->frame[i], len);
        memcpy(out + used + len, ": ", 2);
        used += len + 2;
    }
    snprintf(out + used, out_bytes - used, "%s", root);
    return out;
}
