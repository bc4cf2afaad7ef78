// SPDX-License-Identifier: Apache-2.0
//
// reconciler/agent/unpack.h — the contract of the unpacking child, `musterd unpack …`: one layer becomes one
// directory, or nothing.
//
//     unpack --blob FILE --work DIR --layers DIR [--digest SHA256:…] [--diff-id SHA256:…] [--chain-id HEX]
//            [--lower DIR]… [--entries-max N] [--bytes-max N]
//     unpack --sweep DIR
//
// Unpacks FILE (a tar, plain or compressed) over the lower directories (the lowest first) and leaves what it
// changes as LAYERS/HEX, which appears at once and synced. A digest that is given must be the blob's, a diff
// id that of what is inside it. Without a chain id the diff id names the layer: a first layer of unknown
// content. DIR of --work is the child's own, on the file system of LAYERS; it is emptied before, and gone
// after. --sweep empties a directory.
//
// All file names are absolute. On success it prints one line for its parent (struct unpack_result); else its
// one line on stderr says why, and the exit status says what to do about it. It may be killed at any moment:
// LAYERS then holds a whole layer or none, and the next try with the same --work cleans up.
#ifndef MUSTER_RECONCILER_AGENT_UNPACK_H
#define MUSTER_RECONCILER_AGENT_UNPACK_H

#include <stdbool.h>
#include <stdint.h>

#include "reconciler/agent/unpack_stream.h"

enum unpack_status {
    UNPACK_DONE = 0,
    UNPACK_FAILED = 1,   // this machine's failure: may pass
    UNPACK_USAGE = 2,    // wrong arguments
    UNPACK_HOSTILE = 3,  // no such layer can be unpacked: malformed, hostile, over a limit, not what it says
    UNPACK_DAMAGED = 4,  // the blob is not what its digest says: fetch it again
    UNPACK_NO_SPACE = 5, // may pass
};

struct unpack_result {
    char digest[DIGEST_BYTES], diff_id[DIGEST_BYTES];
    int64_t entries, bytes;
};
// Reads the line that a successful child prints.
bool unpack_result_parse(const char *line, struct unpack_result *out);

// What `musterd unpack ARGUMENTS…` runs; argv[0] is "unpack". Returns the exit status.
int unpack_main(int argc, char **argv);

#endif
