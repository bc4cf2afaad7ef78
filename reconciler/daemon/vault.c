// SPDX-License-Identifier: Apache-2.0
//
// reconciler/daemon/vault.c — seals with the cluster's seal key, under a label that names the secret.
//
// The fingerprint is HMAC-SHA-256 under a key derived from the seal key, over cluster, name and value:
// without the key, nobody can try values against it, and equal values of two secrets look different.
#include "reconciler/daemon/vault.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

#include "base/mem.h"
#include "reconciler/daemon/daemon.h"
#include "reconciler/daemon/trust.h"
#include "specs/resource.h"
#include "transport/certificate.h"
#include "transport/openssl.h"

#define DERIVE "muster fingerprints of secrets 1"

void vault_wipe(struct bytes bytes) {
    if (bytes.len > 0) {
        OPENSSL_cleanse((void *)(uintptr_t)bytes.data, bytes.len);
    }
}

static const char *purpose_of(const char *name, char out[CONTENT_NAME_BYTES_MAX + 16]) {
    snprintf(out, CONTENT_NAME_BYTES_MAX + 16, "secret %.*s", CONTENT_NAME_BYTES_MAX, name);
    return out;
}

static int make_fingerprint(const struct seal_key *key, const struct id *cluster_id, const char *name,
                            struct bytes value, uint8_t *out, struct error *err) {
    uint8_t derived[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    AUTO_BUF text = {0};
    (void)buf_reserve(&text, ID_LEN + strlen(name) + value.len + 2); // it does not grow: no copy stays behind
    buf_add(&text, cluster_id->text, ID_LEN);
    buf_add(&text, name, strlen(name) + 1);
    buf_add(&text, value.data, value.len);
    bool is_made =
        HMAC(EVP_sha256(), key->bytes, SEAL_KEY_BYTES, (const uint8_t *)DERIVE, sizeof DERIVE - 1, derived,
             &len) != NULL &&
        HMAC(EVP_sha256(), derived, (int)len, (const uint8_t *)text.data, text.len, out, &len) != NULL;
    OPENSSL_cleanse(derived, sizeof derived);
    vault_wipe(buf_bytes(&text));
    return is_made ? 0 : openssl_error(err, ERR_SYSTEM, "make the fingerprint of a secret");
}

int vault_seal(const struct seal_key *key, const struct id *cluster_id, const char *name, struct bytes value,
               struct buf *out_sealed, uint8_t *out_fingerprint, struct error *err) {
    char purpose[CONTENT_NAME_BYTES_MAX + 16];
    const struct seal_label label = {cluster_id, purpose_of(name, purpose)};
    int rc = seal_close(key, &label, value, out_sealed, err);
    return rc < 0 ? rc : make_fingerprint(key, cluster_id, name, value, out_fingerprint, err);
}

static int load_key(struct daemon *daemon, struct seal_key *out, struct error *err) {
    struct buf bytes = {0};
    int rc = trust_seal_key(daemon, &bytes, err);
    if (rc == 0) {
        memcpy(out->bytes, bytes.data, sizeof out->bytes);
    }
    certificate_wipe_key(&bytes);
    return rc;
}

static int check_value(const struct secret_spec *spec, struct error *err) {
    if (spec->fingerprint.len > 0) {
        return error_set(err, ERR_INVALID, "secret '%s': values come as they are, not sealed", spec->name);
    }
    if (spec->data.len > SECRET_BYTES_MAX) {
        return error_set(err, ERR_INVALID, "secret '%s': %zu bytes are over the limit of %zu KiB", spec->name,
                         spec->data.len, SECRET_BYTES_MAX / KIB);
    }
    return 0;
}

static struct bytes keep(struct arena *arena, const struct buf *buf) {
    return (struct bytes){arena_copy(arena, buf_text(buf), buf->len), buf->len};
}

static int seal_item(struct daemon *daemon, const struct seal_key *key, struct apply_item *item,
                     struct arena *arena, struct error *err) {
    AUTO_ARENA scratch = arena_make(0);
    AUTO_BUF sealed = {0};
    AUTO_BUF encoded = buf_make(2 * OBJECT_BYTES_MAX);
    struct secret_spec spec;
    uint8_t fingerprint[VAULT_FINGERPRINT_BYTES];
    if (wire_decode(&secret_spec_schema, item->spec, &spec, &scratch, NULL) < 0) {
        return 0; // told where everything is read
    }
    int rc = check_value(&spec, err);
    if (rc < 0 || spec.data.len == 0) {
        vault_wipe(spec.data);
        return rc;
    }
    rc = vault_seal(key, &daemon->cluster_id, spec.name, spec.data, &sealed, fingerprint, err);
    vault_wipe(spec.data);
    vault_wipe(item->spec);
    if (rc == 0) {
        spec.data = buf_bytes(&sealed);
        spec.fingerprint = (struct bytes){fingerprint, sizeof fingerprint};
        wire_encode(&secret_spec_schema, &spec, &encoded);
        item->spec = keep(arena, &encoded);
    }
    return rc;
}

int vault_seal_request(struct daemon *daemon, struct apply_request *request, struct arena *arena,
                       struct error *err) {
    struct seal_key key AUTO_SEAL_KEY = {0};
    bool has_key = false;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < request->items.count; i++) {
        struct apply_item *item = &request->items.items[i];
        if (item->kind != KIND_SECRET) {
            continue;
        }
        rc = has_key ? 0 : load_key(daemon, &key, err);
        has_key = rc == 0;
        rc = rc < 0 ? rc : seal_item(daemon, &key, item, arena, err);
    }
    return error_wrap(err, rc, "seal what is secret");
}

int vault_open(void *context, const char *name, struct bytes sealed, struct buf *out, struct error *err) {
    struct daemon *daemon = context;
    char purpose[CONTENT_NAME_BYTES_MAX + 16];
    const struct seal_label label = {&daemon->cluster_id, purpose_of(name, purpose)};
    struct seal_key key AUTO_SEAL_KEY = {0};
    int rc = load_key(daemon, &key, err);
    return rc < 0 ? rc : seal_open(&key, &label, sealed, out, err);
}
