// SPDX-License-Identifier: Apache-2.0
//
// base/error.h — the error record: a code, the root cause, and the context each level added.
//
// Three kinds of "not OK" are never mixed. A programmer's mistake is an ASSERT. A documented outcome is a
// positive return value that the direct caller handles. A failure is a negative return value, `-ERR_x`,
// forwarded as it is, with a `struct error` that tells the story: the root cause is set once and never
// lost, each level may wrap it in one more frame. Nothing here allocates, so an error can be reported when
// memory is what failed.
//
// Messages are lower-case fragments without a full stop. Printed, the outermost frame comes first:
//     start task 3x9…: unpack layer 2 of busybox: write 'bin/busybox': No space left on device
//
// `err` may be NULL where the caller needs only the code.
#ifndef MUSTER_BASE_ERROR_H
#define MUSTER_BASE_ERROR_H

#include <stddef.h>

// name, text, exit status of the CLI (see design §12), may the same request be tried again unchanged
#define ERROR_LIST(X)                                                                                        \
    X(INVALID, "invalid input", 2, 0)                                                                        \
    X(USAGE, "wrong usage", 2, 0)                                                                            \
    X(NOT_FOUND, "not found", 2, 0)                                                                          \
    X(AMBIGUOUS, "ambiguous", 2, 0)                                                                          \
    X(LIMIT, "over a limit", 2, 0)                                                                           \
    X(UNREACHABLE, "cannot reach a manager", 3, 1)                                                           \
    X(NO_QUORUM, "no quorum", 3, 1)                                                                          \
    X(BUSY, "busy", 3, 1)                                                                                    \
    X(DENIED, "not allowed", 4, 0)                                                                           \
    X(CONFLICT, "conflict", 5, 0)                                                                            \
    X(EXISTS, "already exists", 5, 0)                                                                        \
    X(STOPPED, "rollout stopped itself", 6, 0)                                                               \
    X(ROLLED_BACK, "rolled back", 7, 0)                                                                      \
    X(TIMEOUT, "timed out", 8, 1)                                                                            \
    X(GUARD, "refused by a guard", 9, 0)                                                                     \
    X(INTERNAL, "internal error", 10, 0)                                                                     \
    X(SYSTEM, "system error", 10, 0)                                                                         \
    X(CORRUPT, "damaged data", 10, 0)                                                                        \
    X(NO_SPACE, "no space left", 10, 1)                                                                      \
    X(UNSUPPORTED, "not supported", 2, 0)                                                                    \
    X(INTERRUPTED, "interrupted", 130, 1)                                                                    \
    X(OUTDATED, "outdated", 3, 0)

enum error_code {
    ERR_NONE = 0,
#define X(name, text, status, retry) ERR_##name,
    ERROR_LIST(X)
#undef X
        ERR_COUNT
};

#define ERROR_FRAMES_MAX 6
#define ERROR_ROOT_BYTES 480
#define ERROR_FRAME_BYTES 112

// Caller-owned; zero-initialised means "no error". All fields are private to error.c but `code` and `sys`.
struct error {
    enum error_code code;
    int sys; // errno of the root cause, or 0
    int frame_count;
    char root[ERROR_ROOT_BYTES];
    char frame[ERROR_FRAMES_MAX][ERROR_FRAME_BYTES];
};

// Sets the root cause and returns `-code`. A longer text is cut at its end, with an ellipsis.
int error_set(struct error *err, enum error_code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

// Sets a root cause that ends in the text of `sys` (an errno value, positive); the code follows from `sys`
// (ENOSPC/EDQUOT: NO_SPACE, EACCES/EPERM: DENIED only where the caller says so; else SYSTEM). Returns
// `-code`.
int error_sys(struct error *err, int sys, const char *format, ...) __attribute__((format(printf, 3, 4)));

// Adds one frame of context outside the ones already there and returns `rc` unchanged. When all frames are
// used, the outermost is overwritten: the root stays.
int error_wrap(struct error *err, int rc, const char *format, ...) __attribute__((format(printf, 3, 4)));

// Back to "no error".
void error_clear(struct error *err);

// Writes the whole chain, outermost first, root last, NUL-terminated; what does not fit is cut from the
// frames, never from the root. Returns `out`.
const char *error_text(const struct error *err, char *out, size_t out_bytes);

// The static text of a code ("no quorum"), its name ("NO_QUORUM"), the CLI's exit status, and whether a
// retry can help. All accept the code or its negative.
const char *error_code_text(int code);
const char *error_code_name(int code);
int error_exit_status(int code);
int error_is_retryable(int code);

// The code with this name, or ERR_INTERNAL for a name this version does not know.
enum error_code error_code_from_name(const char *name);

#endif
