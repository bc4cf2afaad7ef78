// SPDX-License-Identifier: Apache-2.0
//
// specs/interpolate.h — variables in the values of Compose files: $V ${V} ${V:-d} ${V-d} ${V:?e} ${V?e}
// ${V:+a} ${V+a} $$.
//
// Works on parsed scalars, never on the text of the file, so that a value cannot inject structure. Defaults
// may hold variables in turn, INTERPOLATION_DEPTH_MAX deep. Private to specs/.
#ifndef MUSTER_SPECS_INTERPOLATE_H
#define MUSTER_SPECS_INTERPOLATE_H

#include "specs/schema.h"

#define INTERPOLATION_DEPTH_MAX 8
#define INTERPOLATION_BYTES_MAX (64 * 1024)

// Where variables come from: `given` alone if it is not NULL, else the process environment; then `dotenv`.
struct variables {
    const struct pairs *given;
    struct pairs dotenv; // sorted or not
};
const char *variables_get(const struct variables *variables, const char *name); // NULL when not set

enum interpolation { INTERPOLATION_DONE, INTERPOLATION_SYNTAX, INTERPOLATION_REQUIRED };

// Yields the text with its variables filled in (`text` itself when there are none). Otherwise `*out` is the
// reason. `*unset` names the first variable that was not set and had no default, or NULL.
enum interpolation interpolate(const char *text, const struct variables *variables, struct arena *arena,
                               const char **out, const char **unset);

#endif
