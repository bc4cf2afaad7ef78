// SPDX-License-Identifier: Apache-2.0
//
// reconciler/daemon/certificates.c — an authority, a key, a request, a signature; then two files.
#include "reconciler/daemon/certificates.h"

#include <fcntl.h>

#include "base/fs.h"
#include "base/limits.h"
#include "base/mem.h"
#include "reconciler/daemon/authority.h"
#include "transport/credentials.h"

#define DIRECTORY "certificates"
#define AUTHORITY_KEY_FILE "authority.key"
#define AUTHORITIES_FILE "authorities.pem"
#define FILE_BYTES_MAX (64 * KIB)

char *certificates_dir(const char *state_dir, const struct id *cluster_id) {
    return xasprintf("%s/" DIRECTORY "/%s", state_dir, cluster_id->text);
}

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

static int keep(const struct certificates_order *order, const struct credentials *own, struct error *err) {
    AUTO_FREE char *dir = certificates_dir(order->state_dir, &order->cluster_id);
    int rc = fs_make_dirs(dir, 0700, err);
    return rc < 0 ? rc : credentials_save(dir, own, err);
}

int certificates_make(const struct certificates_order *order, struct buf *out_authority,
                      struct buf *out_authority_key, struct error *err) {
    struct buf authority_key = {0};
    struct credentials own = {0};
    int rc = authority_make(&order->cluster_id, order->unix_ms, &own.authorities, &authority_key, err);
    rc = rc < 0 ? rc : issue(order, buf_bytes(&authority_key), &own, err);
    rc = rc < 0 ? rc : keep(order, &own, err);
    if (rc == 0) {
        buf_add(out_authority, own.authorities.data, own.authorities.len);
        (void)buf_reserve(out_authority_key, authority_key.len); // no copy stays behind
        buf_add(out_authority_key, authority_key.data, authority_key.len);
    }
    certificate_wipe_key(&authority_key);
    credentials_free(&own);
    return error_wrap(err, rc, "make the cluster's authority");
}

int certificates_forget(const char *state_dir, struct error *err) {
    AUTO_FREE char *dir = xasprintf("%s/" DIRECTORY, state_dir);
    return fs_remove_tree(AT_FDCWD, dir, err);
}

// --- of versions before ---

int certificates_find_authority(const char *dir, struct buf *out_authority, struct buf *out_authority_key,
                                struct error *err) {
    AUTO_FREE char *key_path = xasprintf("%s/" AUTHORITY_KEY_FILE, dir);
    AUTO_FREE char *path = xasprintf("%s/" AUTHORITIES_FILE, dir);
    (void)buf_reserve(out_authority_key, 2 * FILE_BYTES_MAX); // no copy stays behind
    int rc = fs_read(AT_FDCWD, key_path, FILE_BYTES_MAX, out_authority_key, err);
    if (rc == 0 && !fs_exists(path)) {
        return error_set(err, ERR_CORRUPT, "%s is gone: restore it, or remove %s too", path,
                         AUTHORITY_KEY_FILE);
    }
    rc = rc < 0 ? rc : fs_read(AT_FDCWD, path, FILE_BYTES_MAX, out_authority, err);
    return rc < 0 ? rc : certificate_match_key(buf_bytes(out_authority), buf_bytes(out_authority_key), err);
}

int certificates_drop_authority_key(const char *dir, struct error *err) {
    AUTO_FREE char *path = xasprintf("%s/" AUTHORITY_KEY_FILE, dir);
    return fs_exists(path) ? fs_remove_tree(AT_FDCWD, path, err) : 0;
}
