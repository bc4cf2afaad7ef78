// SPDX-License-Identifier: Apache-2.0
//
// reconciler/agent/unpack.c — the unpacking child: two processes, of which only the trusted one can name
// files.
//
//     outer   makes the work directory, forks, waits; then syncs, renames, cleans up
//     inner   own namespaces (mounts, processes, network, IPC), root inside the overlay, few capabilities:
//             reads the hostile bytes, and tells its counts and digests through a pipe
//
// The inner one dies with the outer one, and its mounts with it. What was hashed decides: bytes that cannot
// be unpacked are read to their end all the same, because only the digest tells a damaged disk from a bad
// image.
#include "reconciler/agent/unpack.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/str.h"
#include "reconciler/agent/unpack_entry.h"
#include "reconciler/agent/unpack_root.h"

#define HEX_DIGITS 64

struct options {
    const char *blob, *work, *layers, *digest, *diff_id, *chain_id, *sweep;
    const char *lowers[LAYERS_MAX];
    size_t lower_count;
    struct unpack_counts max;
};

// --- arguments ---

static bool is_hex(const char *text) {
    return strlen(text) == HEX_DIGITS && strspn(text, "0123456789abcdef") == HEX_DIGITS;
}

static bool is_sha256(const char *text) {
    return str_starts(text, "sha256:") && is_hex(text + strlen("sha256:"));
}

static bool is_absolute(const char *text) {
    return text[0] == '/';
}

static bool is_count(const char *text) {
    int64_t number;
    return str_to_int(text, &number) && number > 0;
}

enum option_index {
    OPTION_BLOB,
    OPTION_WORK,
    OPTION_LAYERS,
    OPTION_DIGEST,
    OPTION_DIFF_ID,
    OPTION_CHAIN_ID,
    OPTION_SWEEP,
    OPTION_LOWER,
    OPTION_ENTRIES_MAX,
    OPTION_BYTES_MAX,
    OPTION_COUNT
};
static const struct {
    const char *name;
    bool (*is_valid)(const char *text);
    const char *wanted;
} option_rows[OPTION_COUNT] = {
    [OPTION_BLOB] = {"blob", is_absolute, "an absolute path"},
    [OPTION_WORK] = {"work", is_absolute, "an absolute path"},
    [OPTION_LAYERS] = {"layers", is_absolute, "an absolute path"},
    [OPTION_DIGEST] = {"digest", is_sha256, "sha256: and 64 digits"},
    [OPTION_DIFF_ID] = {"diff-id", is_sha256, "sha256: and 64 digits"},
    [OPTION_CHAIN_ID] = {"chain-id", is_hex, "64 digits"},
    [OPTION_SWEEP] = {"sweep", is_absolute, "an absolute path"},
    [OPTION_LOWER] = {"lower", is_absolute, "an absolute path"},
    [OPTION_ENTRIES_MAX] = {"entries-max", is_count, "a number above 0"},
    [OPTION_BYTES_MAX] = {"bytes-max", is_count, "a number above 0"},
};

static int set_option(struct options *options, int index, const char *value, struct error *err) {
    const char **texts[] = {&options->blob,    &options->work,     &options->layers, &options->digest,
                            &options->diff_id, &options->chain_id, &options->sweep};
    if (!option_rows[index].is_valid(value)) {
        return error_set(err, ERR_USAGE, "--%s wants %s, not '%s'", option_rows[index].name,
                         option_rows[index].wanted, value);
    }
    if (index < OPTION_LOWER) {
        *texts[index] = value;
    } else if (index == OPTION_ENTRIES_MAX) {
        str_to_int(value, &options->max.entries);
    } else if (index == OPTION_BYTES_MAX) {
        str_to_int(value, &options->max.bytes);
    } else if (options->lower_count == LAYERS_MAX) {
        return error_set(err, ERR_USAGE, "more than %d lower directories", LAYERS_MAX);
    } else {
        options->lowers[options->lower_count++] = value;
    }
    return 0;
}

static int parse(int argc, char **argv, struct options *out, struct error *err) {
    struct option rows[OPTION_COUNT + 1] = {{0}};
    for (int i = 0; i < OPTION_COUNT; i++) {
        rows[i] = (struct option){.name = option_rows[i].name, .has_arg = required_argument};
    }
    int index = 0;
    int rc = 0;
    optind = 0; // anew, whoever has read arguments before
    opterr = 0;
    for (int found; rc == 0 && (found = getopt_long(argc, argv, "", rows, &index)) != -1;) {
        rc = found == 0 ? set_option(out, index, optarg, err)
                        : error_set(err, ERR_USAGE, "unknown or unfinished option '%s'", argv[optind - 1]);
    }
    bool is_whole = out->sweep != NULL || (out->blob != NULL && out->work != NULL && out->layers != NULL);
    if (rc == 0 && (optind < argc || !is_whole)) {
        return error_set(err, ERR_USAGE, "wants --blob, --work and --layers, or --sweep, and no other word");
    }
    if (rc == 0 && out->chain_id == NULL && out->lower_count > 0) {
        return error_set(err, ERR_USAGE, "a layer over others wants a --chain-id");
    }
    return rc;
}

// --- the inner process ---

static int check_digest(const struct options *options, struct unpack_stream *stream,
                        struct unpack_result *out, struct error *err) {
    int rc = unpack_stream_digest(stream, out->digest, err);
    if (rc == 0 && options->digest != NULL && strcmp(options->digest, out->digest) != 0) {
        return error_set(err, ERR_CORRUPT, "the blob has the digest %s, not %s", out->digest,
                         options->digest);
    }
    return rc;
}

static int read_layer(const struct options *options, int upper_fd, struct unpack_stream *stream,
                      struct unpack_result *out, struct error *err) {
    struct error damage = {0};
    struct unpack_counts counts = {0};
    int rc = unpack_stream_start(stream, err);
    rc = rc == 0 ? unpack_entries(stream, upper_fd, &options->max, &counts, err) : rc;
    rc = rc == 0 ? unpack_stream_drain(stream, out->diff_id, err) : rc;
    if (rc != 0 && rc != -ERR_INVALID && rc != -ERR_LIMIT) {
        return rc;
    }
    if (check_digest(options, stream, out, &damage) != 0) {
        *err = damage;
        return -(int)damage.code;
    }
    if (rc == 0 && options->diff_id != NULL && strcmp(options->diff_id, out->diff_id) != 0) {
        return error_set(err, ERR_INVALID, "what is inside has the digest %s, not %s as the image says",
                         out->diff_id, options->diff_id);
    }
    out->entries = counts.entries;
    out->bytes = counts.bytes;
    return rc;
}

static int status_of(int rc, const struct error *err) {
    if (rc == 0) {
        return UNPACK_DONE;
    }
    char text[1024];
    fprintf(stderr, "%s\n", error_text(err, text, sizeof text));
    switch (-rc) {
    case ERR_USAGE:
        return UNPACK_USAGE;
    case ERR_INVALID:
    case ERR_LIMIT:
        return UNPACK_HOSTILE;
    case ERR_CORRUPT:
        return UNPACK_DAMAGED;
    case ERR_NO_SPACE:
        return UNPACK_NO_SPACE;
    default:
        return UNPACK_FAILED;
    }
}

static _Noreturn void inner(const struct options *options, int blob_fd, int result_fd) {
    struct unpack_root root = {options->work, options->lowers, options->lower_count};
    struct unpack_result result = {0};
    struct unpack_stream *stream = NULL;
    struct error err = {0};
    int upper_fd = -1;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    int rc = unpack_stream_open(blob_fd, options->max.bytes, &stream, &err);
    rc = rc == 0 ? unpack_root_enter(&root, &upper_fd, &err) : rc;
    rc = rc == 0 ? read_layer(options, upper_fd, stream, &result, &err) : rc;
    if (rc == 0 && fs_write_all(result_fd, &result, sizeof result) != 0) {
        rc = error_sys(&err, errno, "tell the result");
    }
    _exit(status_of(rc, &err));
}

// --- the outer process ---

static int await(pid_t pid) {
    int status;
    while (waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR) {
            return UNPACK_FAILED;
        }
    }
    if (WIFSIGNALED(status)) {
        fprintf(stderr, "unpacking was killed by signal %d\n", WTERMSIG(status));
        return UNPACK_FAILED;
    }
    return WEXITSTATUS(status);
}

// An exit status; its reason has been told.
static int run_inner(const struct options *options, struct unpack_result *out) {
    struct error err = {0};
    int ends[2] = {-1, -1};
    AUTO_CLOSE int blob_fd = open(options->blob, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (blob_fd < 0) {
        return status_of(error_sys(&err, errno, "open %s", options->blob), &err);
    }
    if (pipe2(ends, O_CLOEXEC) != 0) {
        return status_of(error_sys(&err, errno, "make a pipe"), &err);
    }
    // As fork, but into namespaces of its own.
    unsigned long flags = CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | SIGCHLD;
    pid_t pid = (pid_t)syscall(SYS_clone, flags, NULL, NULL, NULL, NULL);
    if (pid == 0) {
        close(ends[0]);
        inner(options, blob_fd, ends[1]);
    }
    close(ends[1]);
    int status =
        pid < 0
            ? status_of(error_sys(&err, errno, "make a process with namespaces of its own (root is needed)"),
                        &err)
            : await(pid);
    if (status == UNPACK_DONE && read(ends[0], out, sizeof *out) != (ssize_t)sizeof *out) {
        status = status_of(error_set(&err, ERR_SYSTEM, "unpacking ended without a result"), &err);
    }
    close(ends[0]);
    return status;
}

// All of it is on disk before its name is.
static int keep(const struct options *options, const char *chain_id, struct error *err) {
    AUTO_FREE char *upper = xasprintf("%s/upper", options->work);
    AUTO_FREE char *target = xasprintf("%s/%s", options->layers, chain_id);
    AUTO_CLOSE int layers_fd = open(options->layers, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (layers_fd < 0 || syncfs(layers_fd) != 0) {
        return error_sys(err, errno, "sync %s", options->layers);
    }
    if (rename(upper, target) != 0 && errno != ENOTEMPTY && errno != EEXIST) { // another has made the same
        return error_sys(err, errno, "rename %s to %s", upper, target);
    }
    return fsync(layers_fd) != 0 ? error_sys(err, errno, "sync %s", options->layers) : 0;
}

static int unpack(const struct options *options) {
    struct unpack_root root = {options->work, options->lowers, options->lower_count};
    struct unpack_result result = {0};
    struct error err = {0};
    int rc = unpack_root_make(&root, &err);
    int status = rc == 0 ? run_inner(options, &result) : status_of(rc, &err);
    if (status == UNPACK_DONE) {
        const char *diff_hex = result.diff_id + strlen("sha256:");
        status =
            status_of(keep(options, options->chain_id != NULL ? options->chain_id : diff_hex, &err), &err);
    }
    rc = fs_remove_tree(AT_FDCWD, options->work, &err);
    if (rc != 0 && status == UNPACK_DONE) {
        return status_of(rc, &err);
    }
    if (status == UNPACK_DONE) {
        printf("digest=%s diff_id=%s entries=%lld bytes=%lld\n", result.digest, result.diff_id,
               (long long)result.entries, (long long)result.bytes);
    }
    return status;
}

static int sweep(const char *path) {
    struct error err = {0};
    DIR *list = opendir(path);
    if (list == NULL) {
        return errno == ENOENT ? UNPACK_DONE : status_of(error_sys(&err, errno, "open %s", path), &err);
    }
    int status = UNPACK_DONE;
    for (struct dirent *entry; (entry = readdir(list)) != NULL;) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            int rc = fs_remove_tree(dirfd(list), entry->d_name, &err);
            status = rc == 0 ? status : status_of(rc, &err); // the others go all the same
        }
    }
    closedir(list);
    return status;
}

bool unpack_result_parse(const char *line, struct unpack_result *out) {
    struct unpack_result result = {0};
    long long entries = -1;
    long long bytes = -1;
    // The widths are DIGEST_BYTES - 1
    if (sscanf(line, "digest=%71s diff_id=%71s entries=%lld bytes=%lld", result.digest, result.diff_id,
               &entries, &bytes) != 4 ||
        !is_sha256(result.digest) || !is_sha256(result.diff_id) || entries < 0 || bytes < 0) {
        return false;
    }
    result.entries = entries;
    result.bytes = bytes;
    *out = result;
    return true;
}

int unpack_main(int argc, char **argv) {
    struct options options = {.max = {.entries = LAYER_ENTRIES_MAX, .bytes = (int64_t)IMAGE_BYTES_MAX}};
    struct error err = {0};
    int rc = parse(argc, argv, &options, &err);
    if (rc != 0) {
        return status_of(error_wrap(&err, rc, "unpack"), &err);
    }
    return options.sweep != NULL ? sweep(options.sweep) : unpack(&options);
}
