// SPDX-License-Identifier: Apache-2.0
//
// transport/tls.c — one SSL object for each connection, which reads from what the link lends and writes
// into a buffer that the link takes.
//
// The BIO between them is our own: OpenSSL's memory BIO copies twice and never gives memory back.
#include "transport/tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdatomic.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/mem.h"
#include "transport/openssl.h"

#define SUITES "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_256_GCM_SHA384"
#define CERTIFICATES_BYTES_MAX (16 * KIB) // that a peer may show
// What may wait for the stream: what a link puts in at once, with records' heads, and answers to a peer that
// renews its keys over and over without reading.
#define OUT_BYTES_MAX (256 * KIB)

struct tls {
    atomic_uint users; // the owner and each cover
    SSL_CTX *context;
    BIO_METHOD *method;
    STACK_OF(X509) * authorities; // trusted; NULL = a joiner's
    struct join_token token;      // of a joiner's: the digest alone
    struct id cluster_id;         // of the credentials
    bool has_certificate, admits_strangers;
};

struct end {
    struct cover cover;
    struct tls *tls;
    SSL *ssl;
    bool is_dialer;
    struct bytes in; // lent by the link
    struct buf out;
    bool has_peer;
    struct identity peer;
    struct error *refusal; // why the other side's certificate is not accepted
};

// --- the BIO ---

static int bio_read(BIO *bio, char *out, size_t len, size_t *out_len) {
    struct end *end = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (end->in.len == 0) {
        BIO_set_retry_read(bio);
        return 0;
    }
    *out_len = len < end->in.len ? len : end->in.len;
    memcpy(out, end->in.data, *out_len);
    end->in.data += *out_len;
    end->in.len -= *out_len;
    return 1;
}

static int bio_write(BIO *bio, const char *data, size_t len, size_t *out_len) {
    struct end *end = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    buf_add(&end->out, data, len);
    *out_len = len;
    return end->out.overflow ? 0 : 1;
}

static long bio_control(BIO *bio, int command, long number, void *pointer) {
    (void)bio;
    (void)number;
    (void)pointer;
    return command == BIO_CTRL_FLUSH;
}

// Without a number of its own (BIO_get_new_index): a process has 127 of them, and each renewal would take one.
static BIO_METHOD *make_method(void) {
    BIO_METHOD *method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "link");
    ASSERT(method != NULL); // fails only without memory
    BIO_meth_set_read_ex(method, bio_read);
    BIO_meth_set_write_ex(method, bio_write);
    BIO_meth_set_ctrl(method, bio_control);
    return method;
}

// --- who is at the other end ---

// The authority that a joiner was told of, out of what the other side shows; NULL: it is not among them.
static X509 *find_authority(const struct tls *tls, STACK_OF(X509) * shown, struct error *err) {
    for (int i = sk_X509_num(shown) - 1; i >= 0; i--) {
        uint8_t digest[EVP_MAX_MD_SIZE];
        X509 *certificate = sk_X509_value(shown, i);
        if (X509_digest(certificate, EVP_sha256(), digest, NULL) == 1 &&
            join_token_check_authority(&tls->token, digest, err) == 0) {
            return certificate;
        }
    }
    return NULL;
}

static int check_by_token(struct end *end, X509_STORE_CTX *context, const struct certificate_wanted *wanted,
                          int *out_code, struct error *err) {
    X509 *authority = find_authority(end->tls, X509_STORE_CTX_get0_untrusted(context), err);
    if (authority == NULL) {
        *out_code = X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY;
        return -ERR_DENIED;
    }
    STACK_OF(X509) *trusted = sk_X509_new_null();
    int pushed = sk_X509_push(trusted, authority);
    ASSERT(pushed == 1); // fails only without memory
    int rc = certificate_check(X509_STORE_CTX_get0_cert(context), trusted, wanted, &end->peer, out_code, err);
    sk_X509_free(trusted);
    return rc;
}

static int check_peer(struct end *end, X509_STORE_CTX *context, int *out_code, struct error *err) {
    const struct tls *tls = end->tls;
    struct certificate_wanted wanted = {.unix_ms = clock_unix_ms(),
                                        .cluster_id = tls->has_certificate ? &tls->cluster_id : NULL,
                                        .is_server = end->is_dialer,
                                        .is_manager = end->is_dialer};
    if (tls->authorities == NULL) {
        return check_by_token(end, context, &wanted, out_code, err);
    }
    return certificate_check(X509_STORE_CTX_get0_cert(context), tls->authorities, &wanted, &end->peer,
                             out_code, err);
}

// Takes the place of OpenSSL's own verification. The code decides which alert the other side gets.
static int on_certificate(X509_STORE_CTX *context, void *unused) {
    (void)unused;
    SSL *ssl = X509_STORE_CTX_get_ex_data(context, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct end *end = SSL_get_app_data(ssl);
    struct error err = {0};
    int code = X509_V_OK;
    if (check_peer(end, context, &code, &err) == 0) {
        end->has_peer = true;
        X509_STORE_CTX_set_error(context, X509_V_OK);
        return 1;
    }
    end->refusal = NEW(struct error);
    *end->refusal = err;
    X509_STORE_CTX_set_error(context, code);
    return 0;
}

// --- settings ---

static SSL_CTX *make_context(void) {
    SSL_CTX *context = SSL_CTX_new(TLS_method());
    ASSERT(context != NULL);
    bool is_set = SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) == 1 &&
                  SSL_CTX_set_max_proto_version(context, TLS1_3_VERSION) == 1 &&
                  SSL_CTX_set_ciphersuites(context, SUITES) == 1 &&
                  SSL_CTX_set1_groups_list(context, "X25519:P-256") == 1 &&
                  SSL_CTX_set1_sigalgs_list(context, "ECDSA+SHA256") == 1 &&
                  SSL_CTX_set_num_tickets(context, 0) == 1;
    ASSERT(is_set);
    SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_max_cert_list(context, CERTIFICATES_BYTES_MAX);
    SSL_CTX_set_cert_verify_callback(context, on_certificate, NULL);
    return context;
}

// A joiner finds the authority it was told of among what a manager shows.
static bool show_authorities(struct tls *tls) {
    for (int i = 0; i < sk_X509_num(tls->authorities); i++) {
        if (SSL_CTX_add1_chain_cert(tls->context, sk_X509_value(tls->authorities, i)) != 1) {
            return false;
        }
    }
    return true;
}

static int use_credentials(struct tls *tls, const struct credentials *credentials, struct error *err) {
    struct identity self;
    int rc = certificate_match_key(buf_bytes(&credentials->certificate), buf_bytes(&credentials->key), err);
    rc = rc < 0 ? rc : certificate_read(buf_bytes(&credentials->certificate), &self, err);
    if (rc < 0) {
        return rc;
    }
    AUTO_X509 certificate = pem_certificate(buf_bytes(&credentials->certificate), err);
    AUTO_KEY key = pem_key(buf_bytes(&credentials->key), err);
    tls->authorities = pem_certificates(buf_bytes(&credentials->authorities), err);
    if (certificate == NULL || key == NULL || tls->authorities == NULL) {
        return -ERR_INVALID;
    }
    tls->has_certificate = true;
    tls->cluster_id = self.cluster_id;
    if (SSL_CTX_use_certificate(tls->context, certificate) != 1 ||
        SSL_CTX_use_PrivateKey(tls->context, key) != 1 || !show_authorities(tls)) {
        return openssl_error(err, ERR_INVALID, "use the certificate for TLS");
    }
    return 0;
}

static void tls_leave(struct tls *tls) {
    if (atomic_fetch_sub(&tls->users, 1) == 1) {
        SSL_CTX_free(tls->context);
        BIO_meth_free(tls->method);
        x509_stack_free_at(&tls->authorities);
        xfree(tls);
    }
}

int tls_new(const struct tls_options *options, struct tls **out, struct error *err) {
    ASSERT((options->credentials == NULL) != (options->token == NULL));
    struct tls *tls = NEW(struct tls);
    atomic_init(&tls->users, 1);
    tls->context = make_context();
    tls->method = make_method();
    tls->admits_strangers = options->admits_strangers;
    int rc = 0;
    if (options->credentials != NULL) {
        rc = use_credentials(tls, options->credentials, err);
    } else {
        memcpy(tls->token.digest, options->token->digest, sizeof tls->token.digest);
    }
    if (rc < 0) {
        tls_leave(tls);
        return error_wrap(err, rc, "prepare TLS");
    }
    *out = tls;
    return 0;
}

bool tls_has_certificate(const struct tls *tls) {
    return tls->has_certificate;
}

void tls_free(struct tls *tls) {
    if (tls != NULL) {
        tls_leave(tls);
    }
}

// --- what went wrong ---

#define NOT_ACCEPTED "it does not accept this node's certificate: its log says why"

// What the other side's alert means to who reads it here.
static const struct {
    int alert;
    const char *meaning;
} alerts[] = {
    {SSL_AD_CERTIFICATE_EXPIRED,
     "it says that this node's certificate is out of date: check both clocks; if they "
     "are right, \"muster swarm join --token TOKEN HOST:PORT\" brings this node back"},
    {SSL_AD_UNKNOWN_CA, "it says that this node's certificate is not of its cluster"},
    {SSL_AD_CERTIFICATE_UNKNOWN, NOT_ACCEPTED},
    {SSL_AD_BAD_CERTIFICATE, NOT_ACCEPTED},
    {SSL_AD_HANDSHAKE_FAILURE, NOT_ACCEPTED},
    {TLS13_AD_CERTIFICATE_REQUIRED,
     "it talks to nodes of its cluster only, and this one has no certificate: join "
     "first"},
};

static int explain_alert(int alert, struct error *err) {
    ERR_clear_error();
    for (size_t i = 0; i < sizeof alerts / sizeof *alerts; i++) {
        if (alerts[i].alert == alert) {
            return error_set(err, ERR_DENIED, "%s", alerts[i].meaning);
        }
    }
    return error_set(err, ERR_DENIED, "it ends the connection: %s", SSL_alert_desc_string_long(alert));
}

static int explain(struct end *end, struct error *err) {
    unsigned long code = ERR_peek_error();
    int reason = ERR_GET_LIB(code) == ERR_LIB_SSL ? ERR_GET_REASON(code) : 0;
    if (end->refusal != NULL) {
        ERR_clear_error();
        if (err != NULL) {
            *err = *end->refusal;
        }
        return -(int)end->refusal->code;
    }
    if (reason > SSL_AD_REASON_OFFSET && reason < SSL_AD_REASON_OFFSET + 256) {
        return explain_alert(reason - SSL_AD_REASON_OFFSET, err);
    }
    if (reason == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE) {
        ERR_clear_error();
        return error_set(err, ERR_DENIED, "it has no certificate of this cluster");
    }
    return openssl_error(err, ERR_DENIED, "what it says is not the TLS 1.3 of a node");
}

// --- a connection ---

static struct end *end_of(const struct cover *cover) {
    return (struct end *)(uintptr_t)cover;
}

static void end_lend(struct cover *cover, const uint8_t *data, size_t len) {
    end_of(cover)->in = (struct bytes){data, len};
}

static ssize_t end_read(struct cover *cover, uint8_t *out, size_t out_bytes, struct error *err) {
    struct end *end = end_of(cover);
    ERR_clear_error();
    int count = SSL_read(end->ssl, out, (int)out_bytes);
    if (count > 0) {
        return count;
    }
    switch (SSL_get_error(end->ssl, count)) {
    case SSL_ERROR_WANT_READ:
        return 0;
    case SSL_ERROR_ZERO_RETURN:
        return error_set(err, ERR_UNREACHABLE, "it hung up");
    default:
        return explain(end, err);
    }
}

static int end_write(struct cover *cover, const uint8_t *data, size_t len, struct error *err) {
    struct end *end = end_of(cover);
    ERR_clear_error();
    int count = SSL_write(end->ssl, data, (int)len);
    return count == (int)len ? 0 : openssl_error(err, ERR_SYSTEM, "encrypt what is to be sent");
}

static struct buf end_give(struct cover *cover) {
    struct end *end = end_of(cover);
    struct buf out = end->out;
    end->out = buf_make(OUT_BYTES_MAX);
    return out;
}

static bool end_is_ready(const struct cover *cover) {
    return SSL_is_init_finished(end_of(cover)->ssl) == 1;
}

static const struct identity *end_peer(const struct cover *cover) {
    const struct end *end = end_of(cover);
    return end->has_peer ? &end->peer : NULL;
}

static void end_free(struct cover *cover) {
    struct end *end = end_of(cover);
    SSL_free(end->ssl);
    buf_free(&end->out);
    xfree(end->refusal);
    tls_leave(end->tls);
    xfree(end);
}

static const struct cover_ops end_ops = {end_lend,     end_read, end_write, end_give,
                                         end_is_ready, end_peer, end_free};

static struct end *end_new(struct tls *tls, bool is_dialer) {
    struct end *end = NEW(struct end);
    end->cover.ops = &end_ops;
    end->tls = tls;
    atomic_fetch_add(&tls->users, 1);
    end->is_dialer = is_dialer;
    end->out = buf_make(OUT_BYTES_MAX);
    end->ssl = SSL_new(tls->context);
    BIO *bio = BIO_new(tls->method);
    ASSERT(end->ssl != NULL && bio != NULL); // fail only without memory
    BIO_set_data(bio, end);
    BIO_set_init(bio, 1);
    SSL_set_bio(end->ssl, bio, bio);
    SSL_set_app_data(end->ssl, end);
    return end;
}

struct cover *tls_dial(struct tls *tls) {
    struct end *end = end_new(tls, /*is_dialer=*/true);
    SSL_set_verify(end->ssl, SSL_VERIFY_PEER, NULL);
    SSL_set_connect_state(end->ssl);
    return &end->cover;
}

struct cover *tls_accept(struct tls *tls) {
    ASSERT(tls->has_certificate);
    struct end *end = end_new(tls, /*is_dialer=*/false);
    int wanted = SSL_VERIFY_PEER | (tls->admits_strangers ? 0 : SSL_VERIFY_FAIL_IF_NO_PEER_CERT);
    SSL_set_verify(end->ssl, wanted, NULL);
    SSL_set_accept_state(end->ssl);
    return &end->cover;
}
