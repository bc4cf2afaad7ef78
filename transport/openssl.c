// SPDX-License-Identifier: Apache-2.0
//
// transport/openssl.c — PEM blocks read under a limit, errors gathered.
#include "transport/openssl.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>

#include "base/assert.h"
#include "base/limits.h"

// --- errors ---

// The data of an entry names the file, the tag or the field that its reason is about.
static void add_reasons(struct buf *text) {
    const char *data;
    int flags;
    unsigned long code;
    while ((code = ERR_get_error_all(NULL, NULL, NULL, &data, &flags)) != 0) {
        const char *reason = ERR_reason_error_string(code);
        buf_addf(text, ": %s", reason != NULL ? reason : "unknown OpenSSL error");
        if ((flags & ERR_TXT_STRING) != 0 && data != NULL && data[0] != '\0') {
            buf_addf(text, " (%s)", data);
        }
    }
}

int openssl_error(struct error *err, enum error_code code, const char *format, ...) {
    AUTO_BUF text = buf_make(4 * KIB);
    va_list args;
    va_start(args, format);
    buf_addv(&text, format, args);
    va_end(args);
    add_reasons(&text);
    return error_set(err, code, "%s", buf_text(&text));
}

// --- reading PEM ---

static BIO *pem_open(struct bytes pem, const char *what, struct error *err) {
    if (pem.len == 0 || pem.len > PEM_BYTES_MAX) {
        error_set(err, ERR_INVALID, "read %s: %zu bytes, not 1 to %d of PEM text", what, pem.len,
                  PEM_BYTES_MAX);
        return NULL;
    }
    ERR_clear_error();
    BIO *bio = BIO_new_mem_buf(pem.data, (int)pem.len);
    ASSERT(bio != NULL);
    return bio;
}

// OpenSSL would ask for the password of an encrypted key on the terminal.
static int no_password(char *out, int bytes, int is_writing, void *context) {
    (void)out;
    (void)bytes;
    (void)is_writing;
    (void)context;
    return -1;
}

// The end of the text, as opposed to a block that cannot be read.
static bool is_end_of_pem(void) {
    unsigned long code = ERR_peek_last_error();
    return ERR_GET_LIB(code) == ERR_LIB_PEM && ERR_GET_REASON(code) == PEM_R_NO_START_LINE;
}

STACK_OF(X509) * pem_certificates(struct bytes pem, struct error *err) {
    AUTO_BIO bio = pem_open(pem, "certificates", err);
    if (bio == NULL) {
        return NULL;
    }
    STACK_OF(X509) *certificates = sk_X509_new_null();
    ASSERT(certificates != NULL);
    X509 *next;
    while ((next = PEM_read_bio_X509(bio, NULL, no_password, NULL)) != NULL) {
        int pushed = sk_X509_push(certificates, next);
        ASSERT(pushed > 0); // fails only without memory
    }
    int count = sk_X509_num(certificates);
    if (!is_end_of_pem()) {
        openssl_error(err, ERR_INVALID, "certificate %d is damaged or cut", count + 1);
    } else if (count == 0 || count > PEM_CERTIFICATES_MAX) {
        error_set(err, ERR_INVALID, "the text holds %d certificates, not 1 to %d", count,
                  PEM_CERTIFICATES_MAX);
    } else {
        ERR_clear_error();
        return certificates;
    }
    ERR_clear_error();
    x509_stack_free_at(&certificates);
    return NULL;
}

X509 *pem_certificate(struct bytes pem, struct error *err) {
    AUTO_X509_STACK certificates = pem_certificates(pem, err);
    if (certificates == NULL) {
        return NULL;
    }
    if (sk_X509_num(certificates) != 1) {
        error_set(err, ERR_INVALID, "the text holds %d certificates, not one", sk_X509_num(certificates));
        return NULL;
    }
    return sk_X509_pop(certificates);
}

X509_REQ *pem_request(struct bytes pem, struct error *err) {
    AUTO_BIO bio = pem_open(pem, "a certificate request", err);
    X509_REQ *request = bio == NULL ? NULL : PEM_read_bio_X509_REQ(bio, NULL, no_password, NULL);
    if (bio != NULL && request == NULL) {
        openssl_error(err, ERR_INVALID, "the certificate request is damaged or cut");
    }
    return request;
}

EVP_PKEY *pem_key(struct bytes pem, struct error *err) {
    AUTO_BIO bio = pem_open(pem, "a private key", err);
    EVP_PKEY *key = bio == NULL ? NULL : PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL);
    if (bio != NULL && key == NULL) {
        openssl_error(err, ERR_INVALID, "the private key is damaged, cut or encrypted");
    } else if (key != NULL && !key_is_p256(key)) {
        error_set(err, ERR_INVALID, "the private key is not one on the curve P-256");
        key_free_at(&key);
    }
    ERR_clear_error();
    return key;
}

bool asn1_unix_ms(const ASN1_TIME *time, int64_t *out_unix_ms) {
    struct tm parts;
    if (ASN1_TIME_to_tm(time, &parts) != 1) {
        return false;
    }
    *out_unix_ms = (int64_t)timegm(&parts) * 1000;
    return true;
}

bool key_is_p256(const EVP_PKEY *key) {
    char group[32];
    return EVP_PKEY_is_a(key, "EC") && EVP_PKEY_get_group_name(key, group, sizeof group, NULL) == 1 &&
           strcmp(group, SN_X9_62_prime256v1) == 0;
}

// --- writing, freeing ---

void pem_take(BIO *bio, struct buf *out) {
    char *data;
    long len = BIO_get_mem_data(bio, &data);
    buf_add(out, data, (size_t)len);
}

void bio_free_at(BIO **bio) {
    BIO_free(*bio);
}

void key_free_at(EVP_PKEY **key) {
    EVP_PKEY_free(*key);
    *key = NULL;
}

void x509_free_at(X509 **certificate) {
    X509_free(*certificate);
}

void x509_stack_free_at(STACK_OF(X509) * *certificates) {
    sk_X509_pop_free(*certificates, X509_free);
}

void request_free_at(X509_REQ **request) {
    X509_REQ_free(*request);
}
