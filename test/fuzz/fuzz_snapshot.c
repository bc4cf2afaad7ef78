// SPDX-License-Identifier: Apache-2.0
//
// test/fuzz/fuzz_snapshot.c — any bytes as the chunks of a snapshot that comes into a store.
//
// Input: pieces, each with its length (2) and a byte of flags before it: bit 0 = the last one, bit 1 = leave
// the head of the chunk as it is instead of making number and checksum right. What is complete is installed;
// then the store must still be one that can be read. The store lies in memory and serves until one was.
#include "test/lib/fuzz.h"
#include "test/lib/scratch.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/fs.h"
#include "base/limits.h"
#include "base/mem.h"
#include "reconciler/store/log.h"
#include "reconciler/store/snapshot.h"
#include "reconciler/store/snapshot_stream.h"

#define PIECE_HEAD_BYTES 3

static char dir[SCRATCH_BYTES];
static struct store *store;

static void close_store(void) {
    store_close(store);
    store = NULL;
    if (dir[0] != '\0') {
        fs_remove_tree(AT_FDCWD, dir, NULL);
        dir[0] = '\0';
    }
}

static void open_store(void) {
    static bool is_cleaned;
    if (store != NULL) {
        return;
    }
    snprintf(dir, sizeof dir, "%s/muster-fuzz.XXXXXX", scratch_memory());
    bool is_made = mkdtemp(dir) != NULL;
    ASSERT(is_made);
    struct store_options options = {.dir = dir, .map_bytes = (size_t)64 * MIB, .reserve_bytes = -1};
    int rc = store_open(&options, &store, NULL);
    ASSERT(rc == 0);
    if (!is_cleaned) {
        is_cleaned = atexit(close_store) == 0;
    }
}

// The next piece as a chunk of its own; false at the end of the input.
static bool take_chunk(struct bytes *from, uint32_t number, struct buf *out) {
    if (from->len < PIECE_HEAD_BYTES) {
        return false;
    }
    size_t len = (size_t)from->data[0] | (size_t)from->data[1] << 8;
    unsigned flags = from->data[2];
    len = len < from->len - PIECE_HEAD_BYTES ? len : from->len - PIECE_HEAD_BYTES;
    buf_clear(out);
    if ((flags & 2) == 0) {
        buf_pad(out, '\0', SNAPSHOT_CHUNK_HEAD_BYTES);
    }
    buf_add(out, from->data + PIECE_HEAD_BYTES, len);
    if ((flags & 2) == 0) {
        snapshot_chunk_seal((uint8_t *)out->data, out->len, number, (flags & 1) != 0);
    }
    from->data += PIECE_HEAD_BYTES + len;
    from->len -= PIECE_HEAD_BYTES + len;
    return true;
}

static void read_all(void) {
    struct store_read *read = NULL;
    uint64_t digest, index;
    struct membership membership;
    AUTO_ARENA arena = {0};
    int rc = store_read_begin(store, &read, NULL);
    rc = rc < 0 ? rc : store_digest(read, &digest, NULL);
    rc = rc < 0 ? rc : store_membership(read, &arena, &membership, &index, NULL);
    ASSERT(rc == 0);
    store_read_end(read);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    open_store();
    struct snapshot_in *in = NULL;
    struct bytes left = {data, size};
    AUTO_BUF chunk = {0};
    int64_t before = store_revision(store);
    int rc = snapshot_in_begin(store, &in, NULL);
    ASSERT(rc == 0);
    while (rc == 0 && take_chunk(&left, snapshot_in_next(in), &chunk)) {
        rc = snapshot_in_add(in, buf_bytes(&chunk), NULL);
    }
    ASSERT(store_revision(store) == before);
    bool is_installed =
        rc == SNAPSHOT_COMPLETE && snapshot_in_install(in, snapshot_in_term(in), 0, NULL) == 0;
    ASSERT(!is_installed || (uint64_t)store_revision(store) == snapshot_in_index(in));
    snapshot_in_end(in);
    read_all();
    if (is_installed) { // the next input finds an empty one
        close_store();
    }
    return 0;
}
