// SPDX-License-Identifier: Apache-2.0
//
// transport/openssl.h — what every user of OpenSSL's keys and certificates needs: PEM in and out, its
// errors as ours, clean-up at the end of a scope.
//
// OpenSSL's error queue belongs to the thread and outlives the call that filled it: each function here that
// fails has emptied it into the error record, and openssl_error is how others do the same.
#ifndef MUSTER_TRANSPORT_OPENSSL_H
#define MUSTER_TRANSPORT_OPENSSL_H

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include "base/buf.h"
#include "base/error.h"

#define PEM_BYTES_MAX (64 * KIB)

// error_set, with all that OpenSSL has to say behind the text; its queue is empty afterwards.
int openssl_error(struct error *err, enum error_code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

// Each reads out of PEM text what it names; other blocks and text between them are skipped. -ERR_INVALID, and
// NULL: garbage, a cut, none there, or more than may be. The caller frees.
X509 *pem_certificate(struct bytes pem, struct error *err); // exactly one
#define PEM_CERTIFICATES_MAX 8
STACK_OF(X509) * pem_certificates(struct bytes pem, struct error *err); // one or several
X509_REQ *pem_request(struct bytes pem, struct error *err);
EVP_PKEY *pem_key(struct bytes pem, struct error *err); // private, not encrypted

// Appends what was written to the memory BIO.
void pem_take(BIO *bio, struct buf *out);

// False: no time that there is.
bool asn1_unix_ms(const ASN1_TIME *time, int64_t *out_unix_ms);

// An elliptic key on P-256: the only kind that the cluster uses.
bool key_is_p256(const EVP_PKEY *key);

// `AUTO_X509 certificate = …;` frees at the end of the scope.
void bio_free_at(BIO **bio);
void key_free_at(EVP_PKEY **key);
void x509_free_at(X509 **certificate);
void x509_stack_free_at(STACK_OF(X509) * *certificates);
void request_free_at(X509_REQ **request);
#define AUTO_BIO __attribute__((cleanup(bio_free_at))) BIO *
#define AUTO_KEY __attribute__((cleanup(key_free_at))) EVP_PKEY *
#define AUTO_X509 __attribute__((cleanup(x509_free_at))) X509 *
#define AUTO_X509_STACK __attribute__((cleanup(x509_stack_free_at))) STACK_OF(X509) *
#define AUTO_REQUEST __attribute__((cleanup(request_free_at))) X509_REQ *

#endif
