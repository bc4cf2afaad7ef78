// SPDX-License-Identifier: Apache-2.0
//
// reconciler/daemon/certificates.c — an authority, a key, a request, a signature; then three files.
#include "reconciler/daemon/certificates.h"

#include <fcntl.h>

#include "base/fs.h"
#include "base/mem.h"
#include "reconciler/daemon/authority.h"
#include "transport/credentials.h"

#define DIRECTORY "certificates"

// The node's own, signed by the authority that is in `out` already.
static int issue(const struct certificates_order *order, struct bytes authority_key, struct credentials *out,
                 struct error *err) {
    AUTO_BUF request = {0};
    const struct authority_order wanted = {.node_id = order->node_id,
                                           .cluster_id = order->cluster_id,
                                           .role = ROLE_MANAGER,
                                           .unix_ms = order->unix_ms,
                                           .valid_ms = order->valid_ms};
    int rc = certificate_make_key(&out->key, err);
    rc = rc < 0 ? rc : certificate_request(buf_bytes(&out->key), &request, err);
    return rc < 0 ? rc
                  : authority_sign(buf_bytes(&out->authorities), authority_key, buf_bytes(&request), &wanted,
                                   &out->certificate, err);
}

static int keep(const struct certificates_order *order, const struct buf *authority_key,
                const struct credentials *own, struct error *err) {
    AUTO_FREE char *dir = xasprintf("%s/" DIRECTORY "/%s", order->state_dir, order->cluster_id.text);
    AUTO_FREE char *key_path = xasprintf("%s/authority.key", dir);
    int rc = fs_make_dirs(dir, 0700, err);
    rc = rc < 0 ? rc
                : fs_replace(AT_FDCWD, key_path, authority_key->data, authority_key->len, 0600, /*sync=*/true,
                             err);
    return rc < 0 ? rc : credentials_save(dir, own, err);
}

int certificates_make(const struct certificates_order *order, struct error *err) {
    struct buf authority_key = {0};
    struct credentials own = {0};
    int rc = authority_make(&order->cluster_id, order->unix_ms, &own.authorities, &authority_key, err);
    rc = rc < 0 ? rc : issue(order, buf_bytes(&authority_key), &own, err);
    rc = rc < 0 ? rc : keep(order, &authority_key, &own, err);
    certificate_wipe_key(&authority_key);
    credentials_free(&own);
    return error_wrap(err, rc, "make the cluster's authority");
}

int certificates_forget(const char *state_dir, struct error *err) {
    AUTO_FREE char *dir = xasprintf("%s/" DIRECTORY, state_dir);
    return fs_remove_tree(AT_FDCWD, dir, err);
}
