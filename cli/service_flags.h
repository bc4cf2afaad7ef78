// SPDX-License-Identifier: Apache-2.0
//
// cli/service_flags.h — the flags of `service create` and `service update`, all from cli/service_flags.def.
#ifndef MUSTER_CLI_SERVICE_FLAGS_H
#define MUSTER_CLI_SERVICE_FLAGS_H

#include "cli/command.h"
#include "specs/service.h"

enum service_flag_id {
#define TEXT(id, ...) SERVICE_FLAG_##id,
#define FLAG(id, ...) SERVICE_FLAG_##id,
#define PAIR(id, ...) SERVICE_FLAG_##id,
#define LIST(id, ...) SERVICE_FLAG_##id,
#include "cli/service_flags.def"
#undef TEXT
#undef FLAG
#undef PAIR
#undef LIST
    SERVICE_FLAG_COUNT
};

// What the rows fill; the commands' own come after.
struct service_args {
    const char *text[SERVICE_FLAG_COUNT];
    bool on[SERVICE_FLAG_COUNT];
    struct strings added[SERVICE_FLAG_COUNT], removed[SERVICE_FLAG_COUNT];
    // of create
    const char *name, *mode;
    struct strings env_file;
    // of update
    const char *image, *args;
    bool force, rollback;
};
// How many rows come from the table: for pairs `update` has two.
enum {
#define TEXT(...) +1
#define FLAG(...) +1
#define PAIR(...) +1
#define LIST(...) +1
    SERVICE_CREATE_ROWS = 3
#include "cli/service_flags.def"
    ,
#undef PAIR
#define PAIR(...) +2
    SERVICE_UPDATE_ROWS = 4
#include "cli/service_flags.def"
#undef TEXT
#undef FLAG
#undef PAIR
#undef LIST
};
extern const struct option_row service_create_rows[SERVICE_CREATE_ROWS],
    service_update_rows[SERVICE_UPDATE_ROWS];

// One row of the table, as tests walk it.
struct service_flag {
    const char *name;
    const char *path; // NULL = acts on no field
    bool is_pair;
    bool is_list;
};
extern const struct service_flag service_flags[SERVICE_FLAG_COUNT];

// Puts all flags that were given into the spec: what is to be removed first, then what is to be added. The
// error names the flag. Flags that do not act yet are told about as lines in `notes`.
int service_flags_apply(const struct invocation *in, struct service_spec *spec, struct buf *notes,
                        struct error *err);
// A relative path of an archive ("oci-archive:./x.tar") becomes absolute, as in spec files.
const char *service_image(const char *image, struct arena *arena);

#endif
