// SPDX-License-Identifier: Apache-2.0
//
// test/lib/scratch.h — where tests put their files: under TMPDIR, which test/run.sh gives to each run and looks
// into at its end, or /tmp.
#ifndef MUSTER_TEST_LIB_SCRATCH_H
#define MUSTER_TEST_LIB_SCRATCH_H

#include <stddef.h>

#define SCRATCH_BYTES 64

// A name for mkdtemp or mkstemp: muster-NAME.XXXXXX there.
void scratch_name(char *out, size_t out_bytes, const char *name);
// For stores that are synced often: in memory, where there is such a place (TEST_SHM, /dev/shm).
const char *scratch_memory(void);

#endif
