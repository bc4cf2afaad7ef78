// SPDX-License-Identifier: Apache-2.0
//
// reconciler/daemon/authority.c — two kinds of certificates, put together field by field.
#include "reconciler/daemon/authority.h"

#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "transport/openssl.h"

#define SERIAL_BITS 127 // positive, and not to be guessed

// --- parts ---

static bool set_serial(X509 *certificate) {
    BIGNUM *number = BN_new();
    bool is_set = number != NULL && BN_rand(number, SERIAL_BITS, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) == 1 &&
                  BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate)) != NULL;
    BN_free(number);
    return is_set;
}

static bool set_dates(X509 *certificate, int64_t begin_unix_ms, int64_t end_unix_ms) {
    return ASN1_TIME_set(X509_getm_notBefore(certificate), (time_t)(begin_unix_ms / 1000)) != NULL &&
           ASN1_TIME_set(X509_getm_notAfter(certificate), (time_t)(end_unix_ms / 1000)) != NULL;
}

static bool add_name(X509_NAME *subject, int nid, const char *text) {
    return X509_NAME_add_entry_by_NID(subject, nid, V_ASN1_UTF8STRING, (const unsigned char *)text, -1, -1,
                                      0) == 1;
}

// `issuer` may be the certificate itself.
static bool add_extension(X509 *certificate, X509 *issuer, int nid, const char *text) {
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, text);
    bool is_added = extension != NULL && X509_add_ext(certificate, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return is_added;
}

static bool set_head(X509 *certificate, EVP_PKEY *key, int64_t begin_unix_ms, int64_t end_unix_ms) {
    return X509_set_version(certificate, X509_VERSION_3) == 1 && set_serial(certificate) &&
           set_dates(certificate, begin_unix_ms, end_unix_ms) && X509_set_pubkey(certificate, key) == 1;
}

static bool sign(X509 *certificate, EVP_PKEY *key, struct buf *out) {
    AUTO_BIO bio = BIO_new(BIO_s_mem());
    if (X509_sign(certificate, key, EVP_sha256()) <= 0 || PEM_write_bio_X509(bio, certificate) != 1) {
        return false;
    }
    pem_take(bio, out);
    return true;
}

// --- the authority ---

static bool set_authority(X509 *certificate, EVP_PKEY *key, const struct id *cluster_id, int64_t unix_ms) {
    X509_NAME *subject = X509_get_subject_name(certificate);
    return set_head(certificate, key, unix_ms - CERTIFICATE_SLACK_MS, unix_ms + AUTHORITY_VALID_MS) &&
           add_name(subject, NID_commonName, "muster-authority") &&
           add_name(subject, NID_organizationName, cluster_id->text) &&
           X509_set_issuer_name(certificate, subject) == 1 &&
           add_extension(certificate, certificate, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
           add_extension(certificate, certificate, NID_key_usage, "critical,keyCertSign") &&
           add_extension(certificate, certificate, NID_subject_key_identifier, "hash") &&
           add_extension(certificate, certificate, NID_authority_key_identifier, "keyid:always");
}

int authority_make(const struct id *cluster_id, int64_t unix_ms, struct buf *out_certificate,
                   struct buf *out_key, struct error *err) {
    AUTO_BUF text = {0};
    struct buf key_text = {0};
    int rc = certificate_make_key(&key_text, err);
    AUTO_KEY key = rc < 0 ? NULL : pem_key(buf_bytes(&key_text), err);
    AUTO_X509 certificate = X509_new();
    if (rc == 0 && !(set_authority(certificate, key, cluster_id, unix_ms) && sign(certificate, key, &text))) {
        rc = openssl_error(err, ERR_SYSTEM, "make the cluster's authority");
    }
    if (rc == 0) {
        buf_add(out_certificate, text.data, text.len);
        (void)buf_reserve(out_key, key_text.len); // no copy stays behind
        buf_add(out_key, key_text.data, key_text.len);
    }
    certificate_wipe_key(&key_text);
    return rc;
}

// --- certificates of nodes ---

static bool set_node(X509 *certificate, X509 *authority, EVP_PKEY *key, const struct authority_order *order,
                     int64_t end_unix_ms) {
    AUTO_ARENA arena = arena_make(0);
    const char *role = certificate_role_names[order->role];
    const char *names = arena_printf(&arena, "DNS:%s,DNS:%s", role, order->node_id.text);
    const char *usage = order->role == ROLE_MANAGER ? "serverAuth,clientAuth" : "clientAuth";
    X509_NAME *subject = X509_get_subject_name(certificate);
    return set_head(certificate, key, order->unix_ms - CERTIFICATE_SLACK_MS, end_unix_ms) &&
           X509_set_issuer_name(certificate, X509_get_subject_name(authority)) == 1 &&
           add_name(subject, NID_commonName, order->node_id.text) &&
           add_name(subject, NID_organizationalUnitName, role) &&
           add_name(subject, NID_organizationName, order->cluster_id.text) &&
           add_extension(certificate, authority, NID_basic_constraints, "critical,CA:FALSE") &&
           add_extension(certificate, authority, NID_key_usage, "critical,digitalSignature") &&
           add_extension(certificate, authority, NID_ext_key_usage, usage) &&
           add_extension(certificate, authority, NID_subject_key_identifier, "hash") &&
           add_extension(certificate, authority, NID_authority_key_identifier, "keyid:always") &&
           add_extension(certificate, authority, NID_subject_alt_name, names);
}

static int check_request(X509_REQ *request, struct error *err) {
    EVP_PKEY *key = X509_REQ_get0_pubkey(request);
    if (key == NULL || !key_is_p256(key)) {
        return openssl_error(err, ERR_INVALID,
                             "the key of the certificate request is not one on the curve P-256");
    }
    if (X509_REQ_verify(request, key) != 1) {
        return openssl_error(err, ERR_INVALID, "the certificate request is not signed by its own key");
    }
    return 0;
}

// The end of the new certificate's life: the authority's own at the latest.
static int find_end(const X509 *authority, const struct authority_order *order, int64_t *out_unix_ms,
                    struct error *err) {
    int64_t end_unix_ms;
    if (order->valid_ms < AUTHORITY_NODE_VALID_MS_MIN) {
        return error_set(err, ERR_INVALID, "a certificate of %lld ms: it must be valid for an hour at least",
                         (long long)order->valid_ms);
    }
    if (!asn1_unix_ms(X509_get0_notAfter(authority), &end_unix_ms)) {
        return openssl_error(err, ERR_INVALID, "read the dates of the cluster's authority");
    }
    if (end_unix_ms <= order->unix_ms) {
        char text[32];
        return error_set(err, ERR_GUARD,
                         "the cluster's authority expired at %s: check this machine's clock; if it is right, "
                         "the cluster needs a new authority",
                         clock_format_rfc3339(end_unix_ms, text, sizeof text));
    }
    int64_t wanted_unix_ms = order->unix_ms + order->valid_ms;
    *out_unix_ms = wanted_unix_ms < end_unix_ms ? wanted_unix_ms : end_unix_ms;
    return 0;
}

static int sign_request(X509 *authority, EVP_PKEY *key, X509_REQ *request,
                        const struct authority_order *order, struct buf *out, struct error *err) {
    int64_t end_unix_ms = 0;
    if (X509_check_private_key(authority, key) != 1) {
        return openssl_error(err, ERR_CONFLICT, "the key is not that of the cluster's authority");
    }
    int rc = check_request(request, err);
    rc = rc < 0 ? rc : find_end(authority, order, &end_unix_ms, err);
    if (rc < 0) {
        return rc;
    }
    AUTO_X509 certificate = X509_new();
    EVP_PKEY *node_key = X509_REQ_get0_pubkey(request);
    if (!set_node(certificate, authority, node_key, order, end_unix_ms) || !sign(certificate, key, out)) {
        return openssl_error(err, ERR_SYSTEM, "put the certificate together");
    }
    return 0;
}

int authority_sign(struct bytes certificate_pem, struct bytes key_pem, struct bytes request_pem,
                   const struct authority_order *order, struct buf *out, struct error *err) {
    AUTO_X509 authority = pem_certificate(certificate_pem, err);
    AUTO_KEY key = authority == NULL ? NULL : pem_key(key_pem, err);
    AUTO_REQUEST request = key == NULL ? NULL : pem_request(request_pem, err);
    int rc = request == NULL ? -ERR_INVALID : sign_request(authority, key, request, order, out, err);
    return error_wrap(err, rc, "sign a certificate for node %.12s", order->node_id.text);
}
