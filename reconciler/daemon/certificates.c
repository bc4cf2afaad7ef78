// SPDX-License-Identifier: Apache-2.0
//
// reconciler/daemon/certificates.c — an authority, a key, a request, a signature; then two files.
#include "reconciler/daemon/certificates.h"

#include <dirent.h>
#include <fcntl.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>

#include "base/fs.h"
#include "base/limits.h"
#include "base/mem.h"
#include "reconciler/daemon/authority.h"
#include "transport/credentials.h"
#include "transport/openssl.h"

#define DIRECTORY "certificates"
#define AUTHORITY_KEY_FILE "authority.key"
#define AUTHORITIES_FILE "authorities.pem"
#define FILE_BYTES_MAX (64 * KIB)
#define JOINING_KEY_FILE "joining.key"
#define KEY_BYTES_MAX 4096

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

// --- who signed it ---

void certificates_fingerprint(struct bytes pem, char out[CERTIFICATES_FINGERPRINT_BYTES]) {
    uint8_t digest[CERTIFICATE_DIGEST_BYTES];
    out[0] = '\0';
    if (certificate_digest(pem, digest, NULL) == 0) {
        for (size_t i = 0; i < CERTIFICATES_FINGERPRINT_BYTES / 2; i++) {
            snprintf(out + 2 * i, 3, "%02x", digest[i]);
        }
    }
}

// The next certificate of PEM text, with what stands before it; empty at the end.
static struct bytes next_certificate(const char **at) {
    static const char end[] = "-----END CERTIFICATE-----\n";
    const char *begin = *at, *found = strstr(begin, end);
    *at = found != NULL ? found + sizeof end - 1 : begin + strlen(begin);
    return (struct bytes){(const uint8_t *)begin, found != NULL ? (size_t)(*at - begin) : 0};
}

// Whatever the time: what has expired was signed by somebody too.
static bool has_signed(struct bytes authority, struct bytes certificate) {
    struct identity who;
    return certificate_read(certificate, &who, NULL) == 0 &&
           certificate_verify(certificate, authority,
                              &(struct certificate_wanted){.unix_ms = who.not_before_unix_ms + 1000}, &who,
                              NULL) == 0;
}

void certificates_describe(const char *dir, struct node_description *out, struct arena *arena) {
    struct credentials own = {0};
    out->authority = "";
    out->authorities = (struct strings){0};
    if (credentials_load(dir, &own, NULL) < 0) {
        return;
    }
    const char *at = buf_text(&own.authorities);
    for (struct bytes pem; (pem = next_certificate(&at)).len > 0;) {
        char text[CERTIFICATES_FINGERPRINT_BYTES];
        certificates_fingerprint(pem, text);
        const char *fingerprint = arena_strdup(arena, text);
        *ARENA_PUSH(arena, &out->authorities) = fingerprint;
        out->authority = has_signed(pem, buf_bytes(&own.certificate)) ? fingerprint : out->authority;
    }
    credentials_free(&own);
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

// --- joining ---

static bool has_authority(const struct credentials *credentials,
                          const uint8_t wanted[CERTIFICATE_DIGEST_BYTES]) {
    AUTO_X509_STACK all = pem_certificates(buf_bytes(&credentials->authorities), NULL);
    bool has = false;
    for (int i = 0; all != NULL && i < sk_X509_num(all); i++) {
        uint8_t digest[EVP_MAX_MD_SIZE];
        has |= X509_digest(sk_X509_value(all, i), EVP_sha256(), digest, NULL) == 1 &&
               memcmp(digest, wanted, CERTIFICATE_DIGEST_BYTES) == 0;
    }
    return has;
}

int certificates_find(const char *state_dir, const uint8_t authority_digest[CERTIFICATE_DIGEST_BYTES],
                      struct credentials *out, struct error *err) {
    AUTO_FREE char *path = xasprintf("%s/" DIRECTORY, state_dir);
    DIR *dir = opendir(path);
    bool is_found = false;
    for (const struct dirent *entry; dir != NULL && !is_found && (entry = readdir(dir)) != NULL;) {
        AUTO_FREE char *cluster = xasprintf("%s/%s", path, entry->d_name);
        struct credentials read = {0};
        is_found = entry->d_name[0] != '.' && credentials_load(cluster, &read, NULL) == 0 &&
                   has_authority(&read, authority_digest);
        if (is_found) {
            *out = read;
        } else {
            credentials_free(&read);
        }
    }
    if (dir != NULL) {
        closedir(dir);
    }
    return is_found ? 0 : error_set(err, ERR_NOT_FOUND, "no certificate of that cluster in %s", path);
}

static int make_joining_key(const char *state_dir, const char *path, struct buf *out, struct error *err) {
    AUTO_FREE char *dir = xasprintf("%s/" DIRECTORY, state_dir);
    int rc = fs_make_dirs(dir, 0700, err);
    rc = rc < 0 ? rc : certificate_make_key(out, err);
    return rc < 0 ? rc : fs_replace(AT_FDCWD, path, out->data, out->len, 0600, /*sync=*/true, err);
}

int certificates_joining_key(const char *state_dir, struct buf *out, struct error *err) {
    AUTO_FREE char *path = xasprintf("%s/" DIRECTORY "/" JOINING_KEY_FILE, state_dir);
    struct error failure = {0};
    (void)buf_reserve(out, 2 * KEY_BYTES_MAX); // it does not grow while it is read: no copy stays behind
    int rc = fs_read(AT_FDCWD, path, KEY_BYTES_MAX, out, &failure);
    if (rc == -ERR_NOT_FOUND) {
        return make_joining_key(state_dir, path, out, err);
    }
    if (rc < 0 && err != NULL) {
        *err = failure;
    }
    return rc;
}

int certificates_joined(const char *state_dir, struct error *err) {
    AUTO_FREE char *path = xasprintf("%s/" DIRECTORY "/" JOINING_KEY_FILE, state_dir);
    return fs_remove_tree(AT_FDCWD, path, err);
}
