// SPDX-License-Identifier: Apache-2.0
//
// reconciler/dispatch/source_vault.h — the seam to whoever opens sealed values (reconciler/daemon/vault.h).
#ifndef MUSTER_RECONCILER_DISPATCH_SOURCE_VAULT_H
#define MUSTER_RECONCILER_DISPATCH_SOURCE_VAULT_H

#include "base/buf.h"
#include "base/error.h"

// `open` appends the value of the secret of that name; NULL: there is nobody who could.
struct source_vault {
    int (*open)(void *context, const char *name, struct bytes sealed, struct buf *out, struct error *err);
    void *context;
};

#endif
