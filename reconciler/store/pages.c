// SPDX-License-Identifier: Apache-2.0
//
// reconciler/store/pages.c — a walk over all pages of an LMDB file, of data version 1 (LMDB 0.9).
//
// Layout       page: number (8), pad (2), flags (2), then lower and upper bound (2 + 2) or, for overflow
//              pages, how many there are (4). Bounds are followed by the offsets of the nodes. node: size or
//              child page (6), with the flags of a leaf's node in the last two, key length (2), key, data.
//              meta page: header, magic, version, address, map size, two trees (free list, tables), last
//              page, transaction number.
// Model        LMDB writes meta pages in turn, so transaction n is in page n & 1 and the other holds n - 1. A
//              number that was changed by damage breaks that, where LMDB would take the older one and say
//              nothing.
// Source       mdb.c of LMDB 0.9.24, structs MDB_page, MDB_node, MDB_db, MDB_meta.
#include "reconciler/store/pages.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

#define META_MAGIC 0xBEEFC0DEU
#define META_VERSION 1
#define PAGE_HEAD_BYTES 16
#define NODE_HEAD_BYTES 8
#define TREE_BYTES 48
#define TREE_EMPTY UINT64_MAX
#define TREE_DEPTH_MAX 32
#define MAP_BYTES_MAX (UINT64_C(1) << 42)

enum page_flag { PAGE_BRANCH = 1, PAGE_LEAF = 2, PAGE_OVERFLOW = 4, PAGE_META = 8, PAGE_DIRTY = 16 };
enum node_flag { NODE_OVERFLOW = 1, NODE_TREE = 2 };
enum tree_kind { TREE_FREE, TREE_TABLES, TREE_RECORDS };

struct tree {
    uint64_t flags, depth;
    uint64_t branch_pages, leaf_pages, overflow_pages, entries, root;
};

struct meta_page {
    uint32_t page_bytes;
    uint64_t map_bytes, last_page, txn_id;
    struct tree trees[2]; // by tree_kind
};

struct walk {
    const uint8_t *map;
    uint64_t file_bytes, page_bytes, page_count;
    uint8_t *seen; // one byte a page: 1 reached, 2 free
    struct error *err;
    struct tree counted; // of the tree in work
    enum tree_kind kind;
};

// LMDB's numbers are in the order of the machine.
static uint16_t take_u16(const uint8_t *at) {
    uint16_t value;
    memcpy(&value, at, sizeof value);
    return value;
}
static uint32_t take_u32(const uint8_t *at) {
    uint32_t value;
    memcpy(&value, at, sizeof value);
    return value;
}
static uint64_t take_u64(const uint8_t *at) {
    uint64_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

static struct tree take_tree(const uint8_t *at) {
    return (struct tree){take_u16(at + 4),  take_u16(at + 6),  take_u64(at + 8), take_u64(at + 16),
                         take_u64(at + 24), take_u64(at + 32), take_u64(at + 40)};
}

static int broken(const struct walk *walk, uint64_t page, const char *what) {
    return error_set(walk->err, ERR_CORRUPT, "page %llu: %s", (unsigned long long)page, what);
}

// --- trees ---

static int mark(struct walk *walk, uint64_t page, uint8_t as) {
    if (page < 2 || page >= walk->page_count) {
        return broken(walk, page, "outside the file");
    }
    if (walk->seen[page] != 0) {
        return broken(walk, page, walk->seen[page] != as ? "in use and free" : "reached twice");
    }
    walk->seen[page] = as;
    return 0;
}

// Marks the page and yields its address, checked for number and kind.
static int enter(struct walk *walk, uint64_t page, unsigned kind, const uint8_t **out) {
    int rc = mark(walk, page, 1);
    if (rc < 0) {
        return rc;
    }
    if ((page + 1) * walk->page_bytes > walk->file_bytes) {
        return broken(walk, page, "beyond the end of the file");
    }
    const uint8_t *at = walk->map + page * walk->page_bytes;
    if (take_u64(at) != page || (take_u16(at + 10) & ~(unsigned)PAGE_DIRTY) != kind) {
        return broken(walk, page, "not the page that belongs here");
    }
    *out = at;
    return 0;
}

static int walk_overflow(struct walk *walk, uint64_t page, uint64_t bytes, const uint8_t **out) {
    const uint8_t *at = NULL;
    int rc = enter(walk, page, PAGE_OVERFLOW, &at);
    if (rc < 0) {
        return rc;
    }
    uint64_t pages = (PAGE_HEAD_BYTES - 1 + bytes) / walk->page_bytes + 1;
    if (take_u32(at + 12) != pages || (page + pages) * walk->page_bytes > walk->file_bytes) {
        return broken(walk, page, "wrong length");
    }
    for (uint64_t i = 1; rc == 0 && i < pages; i++) {
        rc = mark(walk, page + i, 1);
    }
    walk->counted.overflow_pages += pages;
    *out = at + PAGE_HEAD_BYTES;
    return rc;
}

// A list of free pages: a count, then so many numbers.
static int walk_free_list(struct walk *walk, uint64_t page, const uint8_t *data, uint64_t bytes) {
    uint64_t count = bytes >= 8 ? take_u64(data) : 0;
    if (bytes < 8 || count > bytes / 8 - 1) {
        return broken(walk, page, "malformed list of free pages");
    }
    int rc = 0;
    for (uint64_t i = 1; rc == 0 && i <= count; i++) {
        rc = mark(walk, take_u64(data + 8 * i), 2);
    }
    return rc;
}

static int walk_tree(struct walk *walk, enum tree_kind kind, const struct tree *tree);

static int walk_leaf_node(struct walk *walk, uint64_t page, const uint8_t *node, uint64_t room) {
    uint64_t bytes = take_u16(node) | (uint64_t)take_u16(node + 2) << 16;
    unsigned flags = take_u16(node + 4);
    uint64_t key_bytes = take_u16(node + 6);
    uint64_t inside = NODE_HEAD_BYTES + key_bytes + (flags == NODE_OVERFLOW ? 8 : bytes);
    if (inside > room || (flags & ~(unsigned)(NODE_OVERFLOW | NODE_TREE)) != 0) {
        return broken(walk, page, "malformed node");
    }
    const uint8_t *data = node + NODE_HEAD_BYTES + key_bytes;
    walk->counted.entries++;
    int rc = 0;
    if (flags == NODE_OVERFLOW) {
        rc = walk_overflow(walk, take_u64(data), bytes, &data);
    }
    if (rc == 0 && walk->kind == TREE_FREE) {
        return walk_free_list(walk, page, data, bytes);
    }
    if (rc < 0 || walk->kind == TREE_RECORDS) {
        return rc == 0 && (flags & NODE_TREE) != 0 ? broken(walk, page, "a tree among records") : rc;
    }
    if (flags != NODE_TREE || bytes != TREE_BYTES) {
        return broken(walk, page, "not a table");
    }
    struct tree table = take_tree(data), counted = walk->counted;
    rc = walk_tree(walk, TREE_RECORDS, &table);
    walk->counted = counted;
    walk->kind = TREE_TABLES;
    return rc;
}

// NOLINTNEXTLINE(misc-no-recursion): the depth is bounded
static int walk_page(struct walk *walk, uint64_t page, unsigned levels) {
    const uint8_t *at = NULL;
    unsigned kind = levels > 1 ? PAGE_BRANCH : PAGE_LEAF;
    int rc = enter(walk, page, kind, &at);
    if (rc < 0) {
        return rc;
    }
    uint64_t lower = take_u16(at + 12), upper = take_u16(at + 14);
    if (lower < PAGE_HEAD_BYTES || lower > upper || upper > walk->page_bytes || lower % 2 != 0 ||
        (lower - PAGE_HEAD_BYTES) / 2 < (kind == PAGE_BRANCH ? 2U : 1U)) {
        return broken(walk, page, "malformed page");
    }
    *(kind == PAGE_BRANCH ? &walk->counted.branch_pages : &walk->counted.leaf_pages) += 1;
    for (uint64_t offset = PAGE_HEAD_BYTES; rc == 0 && offset < lower; offset += 2) {
        uint64_t start = take_u16(at + offset);
        if (start < upper || start + NODE_HEAD_BYTES > walk->page_bytes) {
            return broken(walk, page, "node outside its page");
        }
        const uint8_t *node = at + start;
        if (kind == PAGE_LEAF) {
            rc = walk_leaf_node(walk, page, node, walk->page_bytes - start);
        } else if (start + NODE_HEAD_BYTES + take_u16(node + 6) > walk->page_bytes) {
            return broken(walk, page, "node outside its page");
        } else {
            uint64_t child =
                take_u16(node) | (uint64_t)take_u16(node + 2) << 16 | (uint64_t)take_u16(node + 4) << 32;
            rc = walk_page(walk, child, levels - 1);
        }
    }
    return rc;
}

static int walk_tree(struct walk *walk, enum tree_kind kind, const struct tree *tree) {
    walk->counted = (struct tree){.flags = tree->flags, .depth = tree->depth, .root = tree->root};
    walk->kind = kind;
    if (tree->depth > TREE_DEPTH_MAX || (tree->root == TREE_EMPTY) != (tree->depth == 0)) {
        return error_set(walk->err, ERR_CORRUPT, "malformed root of a table");
    }
    int rc = tree->root == TREE_EMPTY ? 0 : walk_page(walk, tree->root, (unsigned)tree->depth);
    if (rc == 0 && memcmp(&walk->counted, tree, sizeof *tree) != 0) {
        rc = error_set(walk->err, ERR_CORRUPT, "a table holds %llu entries where its root says %llu",
                       (unsigned long long)walk->counted.entries, (unsigned long long)tree->entries);
    }
    return rc;
}

// --- meta pages ---

static int meta_read(const uint8_t *page, uint64_t number, struct meta_page *out, struct error *err) {
    const uint8_t *at = page + PAGE_HEAD_BYTES;
    *out = (struct meta_page){
        .page_bytes = take_u32(at + 24),
        .map_bytes = take_u64(at + 16),
        .last_page = take_u64(at + 120),
        .txn_id = take_u64(at + 128),
        .trees = {take_tree(at + 24), take_tree(at + 72)},
    };
    uint32_t size = out->page_bytes;
    if (take_u64(page) != number || (take_u16(page + 10) & PAGE_META) == 0 || take_u32(at) != META_MAGIC ||
        take_u32(at + 4) != META_VERSION || size < 512 || size > 65536 || (size & (size - 1)) != 0 ||
        out->map_bytes > MAP_BYTES_MAX || out->trees[TREE_FREE].flags != MDB_INTEGERKEY ||
        out->trees[TREE_TABLES].flags != 0) {
        return error_set(err, ERR_CORRUPT, "page %llu is no meta page of LMDB", (unsigned long long)number);
    }
    return 0;
}

#define META_BYTES 512 // more than what is read of it

static int meta_choose(const uint8_t *map, uint64_t file_bytes, struct meta_page *out, struct error *err) {
    struct meta_page pages[2];
    int rc = meta_read(map, 0, &pages[0], err);
    if (rc == 0 && file_bytes < (uint64_t)pages[0].page_bytes + META_BYTES) {
        return error_set(err, ERR_CORRUPT, "cut short");
    }
    rc = rc < 0 ? rc : meta_read(map + pages[0].page_bytes, 1, &pages[1], err);
    if (rc < 0) {
        return rc;
    }
    const struct meta_page *newer = &pages[pages[1].txn_id > pages[0].txn_id];
    const struct meta_page *older = &pages[newer == &pages[0]];
    if (newer->txn_id != older->txn_id + 1 || (newer->txn_id & 1) != (uint64_t)(newer - pages) ||
        pages[0].page_bytes != pages[1].page_bytes) {
        return error_set(err, ERR_CORRUPT,
                         "the two meta pages do not fit each other (transactions %llu and %llu)",
                         (unsigned long long)pages[0].txn_id, (unsigned long long)pages[1].txn_id);
    }
    if (newer->last_page >= MAP_BYTES_MAX / newer->page_bytes || newer->last_page < 1) {
        return error_set(err, ERR_CORRUPT, "malformed meta page");
    }
    *out = *newer;
    return 0;
}

static int check_mapped(const uint8_t *map, uint64_t file_bytes, struct error *err) {
    struct meta_page meta;
    int rc = meta_choose(map, file_bytes, &meta, err);
    if (rc < 0) {
        return rc;
    }
    // Pages at the end may never have been written, but not many: they were freed in the transaction that
    // took them.
    uint64_t file_pages = file_bytes / meta.page_bytes;
    if (meta.last_page > 2 * file_pages + 131072) {
        return error_set(err, ERR_CORRUPT, "cut short, or a malformed meta page");
    }
    struct walk walk = {.map = map, .file_bytes = file_bytes, .page_bytes = meta.page_bytes, .err = err};
    walk.page_count = meta.last_page + 1;
    AUTO_FREE uint8_t *seen = xcalloc(walk.page_count, 1);
    walk.seen = seen;
    rc = walk_tree(&walk, TREE_TABLES, &meta.trees[TREE_TABLES]);
    return rc < 0 ? rc : walk_tree(&walk, TREE_FREE, &meta.trees[TREE_FREE]);
}

int pages_check(const char *path, struct error *err) {
    AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0) {
        return error_sys(err, errno, "open '%s'", path);
    }
    if (!S_ISREG(st.st_mode) || st.st_size < 2 * META_BYTES) {
        return error_set(err, ERR_CORRUPT, "%lld bytes are no LMDB file", (long long)st.st_size);
    }
    size_t bytes = (size_t)st.st_size;
    void *map = mmap(NULL, bytes, PROT_READ, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED) {
        return error_sys(err, errno, "map '%s'", path);
    }
    int rc = check_mapped(map, bytes, err);
    munmap(map, bytes);
    return rc;
}

int64_t pages_free_count(MDB_txn *txn) {
    MDB_cursor *cursor;
    if (mdb_cursor_open(txn, 0, &cursor) != 0) { // 0 is the list of free pages
        return 0;
    }
    MDB_val key, value;
    uint64_t count = 0, listed;
    while (mdb_cursor_get(cursor, &key, &value, MDB_NEXT) == 0 && value.mv_size >= sizeof listed) {
        memcpy(&listed, value.mv_data, sizeof listed);
        count += listed;
    }
    mdb_cursor_close(cursor);
    return (int64_t)count;
}
