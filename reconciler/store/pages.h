// SPDX-License-Identifier: Apache-2.0
//
// reconciler/store/pages.h — what LMDB does not check about its own file: the pages beneath the records.
//
// Records prove their bytes; they cannot prove that none of them is missing. A flipped bit in a page of
// pointers, in the list of free pages or in a transaction number makes LMDB serve an older state, miss keys,
// or write over live pages later. So the file is walked once at each opening, as it lies on the disk.
#ifndef MUSTER_RECONCILER_STORE_PAGES_H
#define MUSTER_RECONCILER_STORE_PAGES_H

#include <lmdb.h>

#include "base/error.h"

// 0 when both meta pages fit each other and every page that the newer one reaches is reached once, is of the
// right kind and number, and is not free. -ERR_CORRUPT naming the page; -ERR_SYSTEM. Maps the file: a file
// that is cut meanwhile ends the process.
int pages_check(const char *path, struct error *err);

// Pages in the list of free pages, as LMDB shows it.
int64_t pages_free_count(MDB_txn *txn);

#endif
