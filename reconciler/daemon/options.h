// SPDX-License-Identifier: Apache-2.0
//
// reconciler/daemon/options.h — what musterd can be told: one field table for the command line, the
// configuration file and the help text.
//
// An option `--state-dir D` (or `--state-dir=D`) is the row `state_dir`; in the file of --config it is
// `state_dir: D`. The command line wins over the file.
#ifndef MUSTER_RECONCILER_DAEMON_OPTIONS_H
#define MUSTER_RECONCILER_DAEMON_OPTIONS_H

#include "base/log.h"
#include "specs/schema.h"

enum executor_choice { EXECUTOR_RUNC, EXECUTOR_PROCESS, EXECUTOR_FAKE };
enum log_format { LOG_FORMAT_LOGFMT, LOG_FORMAT_JSON };
enum daemon_action { ACTION_RUN, ACTION_CHECK_STORE, ACTION_VERSION, ACTION_HELP };

extern const char *const executor_choice_names[3];

struct daemon_options {
    const char *state_dir, *run_dir;
    const char *listen, *advertise; // ADDR:PORT; advertise "" = found out
    const char *node_name;          // "" = the host name
    const char *config;             // path of the settings file; "" = none
    enum executor_choice executor;
    enum log_level log_level;
    enum log_format log_format;
    struct pairs labels;              // engine.labels.* of this node
    const char *runc, *skopeo, *shim; // paths or names of programs; shim "" = found beside musterd
    int64_t parallel;                 // tasks prepared and started at once; 0 = cores + 1
    const char *allow_bind;           // paths, with colons; "" = any, "none"
    struct strings generic_resources; // "KIND=NUMBER", "KIND=NAME,NAME"
    struct bytes unknown;
};
extern const struct schema daemon_options_schema;

// Defaults, then the file of --config, then the command line, all in the arena. -ERR_USAGE, -ERR_INVALID
// with what is wrong and what to write instead.
int daemon_options_read(int argc, char *const *argv, struct arena *arena, struct daemon_options *out,
                        enum daemon_action *out_action, struct error *err);
void daemon_options_help(struct buf *out);

#endif
