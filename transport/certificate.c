// SPDX-License-Identifier: Apache-2.0
//
// transport/certificate.c — certificates of nodes, by OpenSSL, with the strictness that it leaves to its
// users.
#include "transport/certificate.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/str.h"
#include "transport/openssl.h"

const char *const certificate_role_names[2] = {"muster-worker", "muster-manager"};

// --- keys and requests ---

int certificate_make_key(struct buf *out, struct error *err) {
    AUTO_KEY key = EVP_EC_gen(SN_X9_62_prime256v1);
    AUTO_BIO bio = BIO_new(BIO_s_secmem()); // wiped when freed
    if (key == NULL || PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) != 1) {
        return openssl_error(err, ERR_SYSTEM, "make a private key");
    }
    pem_take(bio, out);
    return 0;
}

void certificate_wipe_key(struct buf *key) {
    if (key->data != NULL) {
        OPENSSL_cleanse(key->data, key->capacity);
    }
    buf_free(key);
}

int certificate_request(struct bytes key_pem, struct buf *out, struct error *err) {
    AUTO_KEY key = pem_key(key_pem, err);
    if (key == NULL) {
        return -ERR_INVALID;
    }
    AUTO_REQUEST request = X509_REQ_new();
    AUTO_BIO bio = BIO_new(BIO_s_mem());
    if (X509_REQ_set_version(request, X509_REQ_VERSION_1) != 1 || X509_REQ_set_pubkey(request, key) != 1 ||
        X509_REQ_sign(request, key, EVP_sha256()) <= 0 || PEM_write_bio_X509_REQ(bio, request) != 1) {
        return openssl_error(err, ERR_SYSTEM, "make a certificate request");
    }
    pem_take(bio, out);
    return 0;
}

int certificate_match_key(struct bytes pem, struct bytes key_pem, struct error *err) {
    AUTO_X509 certificate = pem_certificate(pem, err);
    AUTO_KEY key = certificate == NULL ? NULL : pem_key(key_pem, err);
    if (key == NULL) {
        return -ERR_INVALID;
    }
    bool is_match = X509_check_private_key(certificate, key) == 1;
    ERR_clear_error();
    return is_match ? 0 : error_set(err, ERR_CONFLICT, "the private key is not that of the certificate");
}

static int check_request(X509_REQ *request, struct error *err) {
    EVP_PKEY *key = request == NULL ? NULL : X509_REQ_get0_pubkey(request);
    bool is_signed = key != NULL && X509_REQ_verify(request, key) == 1;
    ERR_clear_error();
    return is_signed ? 0
                     : error_set(err, ERR_INVALID, "the certificate request is not signed by its own key");
}

int certificate_match_request(struct bytes pem, struct bytes request_pem, struct error *err) {
    AUTO_X509 certificate = pem_certificate(pem, err);
    AUTO_REQUEST request = certificate == NULL ? NULL : pem_request(request_pem, err);
    int rc = request == NULL ? -ERR_INVALID : check_request(request, err);
    if (rc < 0) {
        return rc;
    }
    bool is_match = EVP_PKEY_eq(X509_get0_pubkey(certificate), X509_REQ_get0_pubkey(request)) == 1;
    ERR_clear_error();
    return is_match ? 0 : error_set(err, ERR_DENIED, "the request is not for the key of the certificate");
}

int certificate_request_digest(struct bytes request_pem, char out[CERTIFICATE_KEY_DIGEST_BYTES],
                               struct error *err) {
    uint8_t digest[CERTIFICATE_DIGEST_BYTES];
    AUTO_REQUEST request = pem_request(request_pem, err);
    int rc = request == NULL ? -ERR_INVALID : check_request(request, err);
    if (rc < 0) {
        return rc;
    }
    unsigned char *encoded = NULL;
    int len = i2d_PUBKEY(X509_REQ_get0_pubkey(request), &encoded);
    bool is_made = len > 0 && EVP_Digest(encoded, (size_t)len, digest, NULL, EVP_sha256(), NULL) == 1;
    OPENSSL_free(encoded);
    if (!is_made) {
        return openssl_error(err, ERR_SYSTEM, "digest a key");
    }
    for (size_t i = 0; i < sizeof digest; i++) {
        snprintf(out + 2 * i, 3, "%02x", digest[i]);
    }
    return 0;
}

// --- reading ---

// A string of the type that the authority writes; false else.
static bool take_name(const X509_NAME *subject, int nid, char *out, size_t out_bytes) {
    int at = X509_NAME_get_index_by_NID(subject, nid, -1);
    if (at < 0) {
        return false;
    }
    const ASN1_STRING *name = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at));
    size_t len = (size_t)ASN1_STRING_length(name);
    if (ASN1_STRING_type(name) != V_ASN1_UTF8STRING || len == 0 || len >= out_bytes ||
        memchr(ASN1_STRING_get0_data(name), '\0', len) != NULL) {
        return false;
    }
    memcpy(out, ASN1_STRING_get0_data(name), len);
    out[len] = '\0';
    return true;
}

// Three entries, one of each kind.
static bool take_subject(const X509_NAME *subject, struct identity *out) {
    char node_id[64], role[64], cluster_id[64];
    if (X509_NAME_entry_count(subject) != 3 || !take_name(subject, NID_commonName, node_id, sizeof node_id) ||
        !take_name(subject, NID_organizationalUnitName, role, sizeof role) ||
        !take_name(subject, NID_organizationName, cluster_id, sizeof cluster_id)) {
        return false;
    }
    bool is_manager = strcmp(role, certificate_role_names[ROLE_MANAGER]) == 0;
    out->role = is_manager ? ROLE_MANAGER : ROLE_WORKER;
    return (is_manager || strcmp(role, certificate_role_names[ROLE_WORKER]) == 0) &&
           id_parse(node_id, &out->node_id) && id_parse(cluster_id, &out->cluster_id);
}

static bool has_san(X509 *certificate, const char *name) {
    return X509_check_host(certificate, name, 0,
                           X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_WILDCARDS, NULL) == 1;
}

static bool take_serial(const X509 *certificate, char out[CERTIFICATE_SERIAL_BYTES]) {
    BIGNUM *number = ASN1_INTEGER_to_BN(X509_get0_serialNumber(certificate), NULL);
    char *text = number == NULL ? NULL : BN_bn2hex(number);
    bool is_taken = text != NULL && text[0] != '-' && str_copy(out, CERTIFICATE_SERIAL_BYTES, text);
    OPENSSL_free(text);
    BN_free(number);
    return is_taken;
}

// What each role may be used for, as the authority writes it: nothing more, nothing less.
static bool has_usage(X509 *certificate, enum node_role role) {
    uint32_t wanted = role == ROLE_MANAGER ? XKU_SSL_CLIENT | XKU_SSL_SERVER : XKU_SSL_CLIENT;
    (void)X509_check_purpose(certificate, -1, 0); // fills in what the next calls read
    return X509_get_extended_key_usage(certificate) == wanted &&
           X509_get_key_usage(certificate) == KU_DIGITAL_SIGNATURE &&
           (X509_get_extension_flags(certificate) & EXFLAG_CA) == 0;
}

static const char *why_not_of_a_node(X509 *certificate, struct identity *out) {
    const EVP_PKEY *key = X509_get0_pubkey(certificate);
    if (key == NULL || !key_is_p256(key) || X509_get_signature_nid(certificate) != NID_ecdsa_with_SHA256) {
        return "its key or its signature is not P-256 with SHA-256";
    }
    if (!take_subject(X509_get_subject_name(certificate), out)) {
        return "its subject is not a node id, a role and a cluster id";
    }
    if (!has_san(certificate, out->node_id.text) ||
        !has_san(certificate, certificate_role_names[out->role])) {
        return "its alternative names are not those of its subject";
    }
    if (!has_usage(certificate, out->role)) {
        return "it may be used for other things than its role's";
    }
    if (!asn1_unix_ms(X509_get0_notBefore(certificate), &out->not_before_unix_ms) ||
        !asn1_unix_ms(X509_get0_notAfter(certificate), &out->not_after_unix_ms) ||
        !take_serial(certificate, out->serial)) {
        return "its dates or its number cannot be read";
    }
    return NULL;
}

static int identify(X509 *certificate, struct identity *out, struct error *err) {
    struct identity read = {0};
    const char *why = why_not_of_a_node(certificate, &read);
    ERR_clear_error();
    if (why != NULL) {
        return error_set(err, ERR_INVALID, "not the certificate of a node of muster: %s", why);
    }
    *out = read;
    return 0;
}

int certificate_read(struct bytes pem, struct identity *out, struct error *err) {
    AUTO_X509 certificate = pem_certificate(pem, err);
    return certificate == NULL ? -ERR_INVALID : identify(certificate, out, err);
}

int certificate_digest(struct bytes pem, uint8_t out[CERTIFICATE_DIGEST_BYTES], struct error *err) {
    AUTO_X509 certificate = pem_certificate(pem, err);
    if (certificate == NULL) {
        return -ERR_INVALID;
    }
    unsigned len = CERTIFICATE_DIGEST_BYTES;
    return X509_digest(certificate, EVP_sha256(), out, &len) == 1
               ? 0
               : openssl_error(err, ERR_SYSTEM, "digest a certificate");
}

// --- checking ---

// Both ends of the validity against the clock, which may be the one that is wrong.
static int explain_time(const struct identity *who, bool is_early, int64_t unix_ms, struct error *err) {
    char limit[32], now[32];
    clock_format_rfc3339(is_early ? who->not_before_unix_ms : who->not_after_unix_ms, limit, sizeof limit);
    clock_format_rfc3339(unix_ms, now, sizeof now);
    return error_set(err, ERR_DENIED,
                     is_early
                         ? "the certificate of node %.12s is valid from %s on, and here it is %s: set the "
                           "clocks of both machines"
                         : "the certificate of node %.12s expired at %s, and here it is %s: if this clock "
                           "is right, \"muster swarm join --token\" there brings the node back",
                     who->node_id.text, limit, now);
}

static int explain_chain(const struct identity *who, int code, int64_t unix_ms, struct error *err) {
    switch (code) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CERT_NOT_YET_VALID:
        if (unix_ms < who->not_before_unix_ms || unix_ms >= who->not_after_unix_ms) {
            return explain_time(who, code == X509_V_ERR_CERT_NOT_YET_VALID, unix_ms, err);
        }
        return error_set(err, ERR_DENIED,
                         "the authority that signed the certificate of node %.12s is itself out of date: the "
                         "cluster needs a new authority",
                         who->node_id.text);
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
        return error_set(
            err, ERR_DENIED,
            "the certificate of node %.12s is not signed by this cluster's authority: it belongs "
            "to another cluster, or to one that was made anew",
            who->node_id.text);
    default:
        return error_set(err, ERR_DENIED, "the certificate of node %.12s does not hold: %s",
                         who->node_id.text, X509_verify_cert_error_string(code));
    }
}

// X509_V_OK, or why not.
static int verify_chain(X509 *certificate, STACK_OF(X509) * authorities, int64_t unix_ms, bool is_server) {
    X509_STORE_CTX *context = X509_STORE_CTX_new();
    int rc = X509_STORE_CTX_init(context, NULL, certificate, NULL);
    ASSERT(rc == 1); // fails only without memory
    X509_STORE_CTX_set0_trusted_stack(context, authorities);
    X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(context);
    X509_VERIFY_PARAM_set_time(param, (time_t)(unix_ms / 1000));
    X509_VERIFY_PARAM_set_depth(param, 0); // nothing between a node and its authority
    X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_X509_STRICT);
    X509_VERIFY_PARAM_set_purpose(param, is_server ? X509_PURPOSE_SSL_SERVER : X509_PURPOSE_SSL_CLIENT);
    bool is_good = X509_verify_cert(context) == 1;
    int code = X509_STORE_CTX_get_error(context);
    X509_STORE_CTX_free(context);
    ERR_clear_error();
    return is_good ? X509_V_OK : code != X509_V_OK ? code : X509_V_ERR_UNSPECIFIED;
}

int certificate_check(X509 *certificate, STACK_OF(X509) * authorities,
                      const struct certificate_wanted *wanted, struct identity *out, int *out_code,
                      struct error *err) {
    struct identity who;
    *out_code = X509_V_ERR_APPLICATION_VERIFICATION;
    int rc = identify(certificate, &who, err);
    if (rc < 0) {
        return rc;
    }
    int code = verify_chain(certificate, authorities, wanted->unix_ms, wanted->is_server);
    if (code != X509_V_OK && code != X509_V_ERR_INVALID_PURPOSE) {
        *out_code = code;
        return explain_chain(&who, code, wanted->unix_ms, err);
    }
    if (code == X509_V_ERR_INVALID_PURPOSE || (wanted->is_manager && who.role != ROLE_MANAGER)) {
        return error_set(err, ERR_DENIED, "node %.12s is a %s, where only managers are let in",
                         who.node_id.text, node_role_names[who.role]);
    }
    if (wanted->cluster_id != NULL && !id_equal(&who.cluster_id, wanted->cluster_id)) {
        return error_set(err, ERR_DENIED, "node %.12s is of cluster %.12s, not of %.12s", who.node_id.text,
                         who.cluster_id.text, wanted->cluster_id->text);
    }
    *out_code = X509_V_OK;
    *out = who;
    return 0;
}

int certificate_verify(struct bytes pem, struct bytes authorities_pem,
                       const struct certificate_wanted *wanted, struct identity *out, struct error *err) {
    int code;
    AUTO_X509 certificate = pem_certificate(pem, err);
    AUTO_X509_STACK authorities = certificate == NULL ? NULL : pem_certificates(authorities_pem, err);
    return authorities == NULL ? -ERR_INVALID
                               : certificate_check(certificate, authorities, wanted, out, &code, err);
}
