// SPDX-License-Identifier: Apache-2.0
//
// reconciler/daemon/executors.c — a row for each executor; where its programs are.
#include "reconciler/daemon/executors.h"

#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/str.h"
#include "reconciler/daemon/fake.h"

typedef int (*executor_new_fn)(const struct executor_options *options, struct executor **out,
                               struct error *err);

static const executor_new_fn makers[] = {
    [EXECUTOR_RUNC] = executor_runc_new,
    [EXECUTOR_PROCESS] = executor_process_new,
    [EXECUTOR_FAKE] = executor_fake_on_loop_new,
};

// In the build tree muster-shim is beside musterd; installed, it is in ../libexec/muster.
static const char *find_shim(const struct daemon_options *options, const char *self, struct arena *arena) {
    static const char *const places[] = {"muster-shim", "../libexec/muster/muster-shim"};
    const char *slash = strrchr(self, '/');
    for (size_t i = 0; options->shim[0] == '\0' && slash != NULL && i < sizeof places / sizeof *places; i++) {
        const char *path = arena_printf(arena, "%.*s/%s", (int)(slash - self), self, places[i]);
        if (fs_exists(path)) {
            return path;
        }
    }
    return options->shim[0] != '\0' ? options->shim : "muster-shim";
}

int executors_open(struct daemon *daemon, struct executor **out, struct error *err) {
    AUTO_ARENA arena = arena_make(0);
    char self[PATH_MAX];
    const struct daemon_options *options = daemon->options;
    ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
    self[len > 0 ? len : 0] = '\0';
    if (makers[options->executor] == NULL) {
        return error_set(err, ERR_UNSUPPORTED, "this musterd has no executor '%s'",
                         executor_choice_names[options->executor]);
    }
    int rc =
        makers[options->executor](&(struct executor_options){.loop = daemon->loop,
                                                             .state_dir = options->state_dir,
                                                             .run_dir = options->run_dir,
                                                             .self_path = self,
                                                             .shim_path = find_shim(options, self, &arena),
                                                             .runc_path = options->runc,
                                                             .skopeo_path = options->skopeo,
                                                             .allow_bind = options->allow_bind,
                                                             .parallel_max = options->parallel},
                                  out, err);
    return error_wrap(err, rc, "set up the executor '%s'", executor_choice_names[options->executor]);
}
