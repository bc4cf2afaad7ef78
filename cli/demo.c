// SPDX-License-Identifier: Apache-2.0
//
// cli/demo.c — `muster demo`: a shop on three nodes of this machine, for looking at.
//
// What it does is examples/demo.sh, which is found beside this program: in the share of where it was
// installed, or in the tree in which it was built. Here only what that needs is looked for, so that what
// misses is told before anything is begun.
#include "cli/command.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/str.h"

#define SCRIPT "demo.sh"

static const char *const words[] = {"start", "stop", "status"};
#define WORDS (sizeof words / sizeof *words)

// From the directory of the program, in this order.
static const char *const places[] = {"../share/muster/examples", "../examples", "../../examples"};

// What the script and the daemons run. The packages are Debian's.
static const struct {
    const char *program, *package;
} needs[] = {{"runc", "runc"}, {"skopeo", "skopeo"}, {"ip", "iproute2"}};

static int take_word(const struct invocation *in, const char **out, struct error *err) {
    *out = in->arguments.count > 0 ? in->arguments.items[0] : words[0];
    for (size_t i = 0; i < WORDS; i++) {
        if (str_equal(*out, words[i])) {
            return 0;
        }
    }
    const char *nearest = str_nearest(*out, words, WORDS);
    return error_set(err, ERR_USAGE, "'%s' is not one of start, stop, status%s%s%s", *out,
                     nearest != NULL ? ": did you mean '" : "", nearest != NULL ? nearest : "",
                     nearest != NULL ? "'?" : "");
}

static const char *own_directory(struct arena *arena, struct error *err) {
    char path[PATH_MAX];
    ssize_t len = readlink("/proc/self/exe", path, sizeof path - 1);
    if (len < 0) {
        error_sys(err, errno, "find this program");
        return NULL;
    }
    path[len] = '\0';
    *strrchr(path, '/') = '\0';
    return arena_strdup(arena, path);
}

// NULL: there are none.
static const char *find_examples(const char *directory, struct arena *arena, struct error *err) {
    const char *given = getenv("MUSTER_EXAMPLES");
    if (!str_is_empty(given)) {
        return arena_strdup(arena, given);
    }
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        const char *examples = arena_printf(arena, "%s/%s", directory, places[i]);
        if (access(arena_printf(arena, "%s/" SCRIPT, examples), R_OK) == 0) {
            return examples;
        }
    }
    error_set(err, ERR_NOT_FOUND,
              "the files of the demo are not beside this program: neither %s/../share/muster/examples, which "
              "'make install' makes, nor %s/../examples; MUSTER_EXAMPLES says where they are",
              directory, directory);
    return NULL;
}

static bool is_in_path(const char *program, struct arena *arena) {
    const char *path = getenv("PATH");
    char *all = arena_printf(arena, "%s:/usr/sbin:/sbin", path != NULL ? path : "/usr/bin:/bin"),
         *rest = NULL;
    for (char *at = strtok_r(all, ":", &rest); at != NULL; at = strtok_r(NULL, ":", &rest)) {
        if (access(arena_printf(arena, "%s/%s", at, program), X_OK) == 0) {
            return true;
        }
    }
    return false;
}

static int check_needs(struct arena *arena, struct error *err) {
    for (size_t i = 0; i < sizeof needs / sizeof *needs; i++) {
        if (!is_in_path(needs[i].program, arena)) {
            return error_set(err, ERR_UNSUPPORTED,
                             "the demo needs %s, and it is not here: apt-get install %s", needs[i].program,
                             needs[i].package);
        }
    }
    return 0;
}

static int run_demo(struct invocation *in, struct error *err) {
    const char *word;
    int rc = take_word(in, &word, err);
    if (rc < 0) {
        return rc;
    }
    if (geteuid() != 0) {
        return error_set(err, ERR_DENIED, "containers and network namespaces need root: sudo muster demo %s",
                         word);
    }
    rc = str_equal(word, "start") ? check_needs(in->arena, err) : 0;
    const char *directory = rc < 0 ? NULL : own_directory(in->arena, err);
    const char *examples = directory == NULL ? NULL : find_examples(directory, in->arena, err);
    if (examples == NULL) {
        return err != NULL ? -(int)err->code : -ERR_NOT_FOUND;
    }
    const char *script = arena_printf(in->arena, "%s/" SCRIPT, examples);
    (void)setenv("BUILD", directory, /*overwrite=*/1); // the programs
    (void)execlp("bash", "bash", script, word, (char *)NULL);
    return error_sys(err, errno, "run %s", script);
}

static const struct command rows[] = {
    {.name = "demo",
     .summary = "Show a shop on three nodes here, broken and mended",
     .usage = "[start|stop|status]",
     .details = "Three nodes are started on this machine, each in a network namespace of its\n"
                "own, and a shop on them. Then a process of it dies, and a node is cut off, and\n"
                "both is seen to be mended. All of it goes on until it is stopped, and can be\n"
                "looked at with all other commands; stop leaves nothing behind. It needs root,\n"
                "runc and skopeo.\n\n"
                "Where there can be no namespaces, or with MUSTER_DEMO_NODES=1, it is one node.",
     .example = "sudo muster demo\nsudo muster demo stop",
     .max = 1,
     .run = run_demo},
};
const struct command_group demo_commands = COMMAND_GROUP(NULL, "Learn", rows);
