// SPDX-License-Identifier: Apache-2.0
//
// test/unit/test_certificate.c — what an authority signs, who is believed, and why others are not.
//
// Time is the test's: NOW, and certificates that were made before or after it.
#include "test/lib/check.h"
#include "test/lib/papers.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "base/str.h"
#include "transport/openssl.h"

#define NOW 1800000000000LL // January 2027

static const struct id node = {"worker00000000000000000wo"}, other = {"other00000000000000000oth"};
static struct papers ours, theirs;

static int begin(void **state) {
    (void)state;
    ours = papers_make(NOW);
    theirs = papers_make(NOW);
    return 0;
}

static int end(void **state) {
    (void)state;
    papers_free(&ours);
    papers_free(&theirs);
    return 0;
}

static int verify(const struct buf *certificate, const struct papers *trusted,
                  struct certificate_wanted wanted, struct identity *out, struct error *err) {
    wanted.unix_ms = wanted.unix_ms == 0 ? NOW : wanted.unix_ms;
    return certificate_verify(buf_bytes(certificate), buf_bytes(&trusted->authority), &wanted, out, err);
}

// Refused for that reason, and `out` is untouched.
static void assert_refused(const struct buf *certificate, const struct papers *trusted,
                           struct certificate_wanted wanted, const char *why) {
    struct error err = {0};
    struct identity who = {.serial = "untouched"};
    assert_int_equal(verify(certificate, trusted, wanted, &who, &err), -ERR_DENIED);
    if (strstr(err.root, why) == NULL) {
        fail_msg("%s", err.root);
    }
    assert_string_equal(who.serial, "untouched");
}

// --- who is believed ---

static void a_certificate_says_who_the_node_is(void **state) {
    (void)state;
    for (int role = ROLE_WORKER; role <= ROLE_MANAGER; role++) {
        struct credentials credentials = papers_issue(&ours, &node, (enum node_role)role, NOW, DAY_MS);
        struct identity who, read;
        struct certificate_wanted wanted = {.cluster_id = &ours.cluster_id,
                                            .is_server = role == ROLE_MANAGER,
                                            .is_manager = role == ROLE_MANAGER};
        assert_int_equal(verify(&credentials.certificate, &ours, wanted, &who, NULL), 0);
        assert_true(id_equal(&who.node_id, &node) && id_equal(&who.cluster_id, &ours.cluster_id));
        assert_int_equal(who.role, role);
        assert_int_equal(who.not_before_unix_ms, NOW - HOUR_MS);
        assert_int_equal(who.not_after_unix_ms, NOW + DAY_MS);
        assert_int_equal(strlen(who.serial), 32);
        assert_int_equal(certificate_read(buf_bytes(&credentials.certificate), &read, NULL), 0);
        assert_memory_equal(&read, &who, sizeof who);
        credentials_free(&credentials);
    }
}

static void a_manager_may_be_a_client_too(void **state) {
    (void)state;
    struct credentials manager = papers_issue(&ours, &node, ROLE_MANAGER, NOW, DAY_MS);
    struct identity who;
    assert_int_equal(verify(&manager.certificate, &ours, (struct certificate_wanted){0}, &who, NULL), 0);
    credentials_free(&manager);
}

static void serials_and_keys_are_new_each_time(void **state) {
    (void)state;
    struct credentials first = papers_issue(&ours, &node, ROLE_WORKER, NOW, DAY_MS);
    struct credentials second = papers_issue(&ours, &node, ROLE_WORKER, NOW, DAY_MS);
    struct identity a, b;
    assert_int_equal(certificate_read(buf_bytes(&first.certificate), &a, NULL), 0);
    assert_int_equal(certificate_read(buf_bytes(&second.certificate), &b, NULL), 0);
    assert_string_not_equal(a.serial, b.serial);
    assert_string_not_equal(first.key.data, second.key.data);
    assert_int_equal(certificate_match_key(buf_bytes(&first.certificate), buf_bytes(&first.key), NULL), 0);
    assert_int_equal(certificate_match_key(buf_bytes(&first.certificate), buf_bytes(&second.key), NULL),
                     -ERR_CONFLICT);
    credentials_free(&first);
    credentials_free(&second);
}

// While an authority is replaced, what either signed is good.
static void any_of_several_authorities_will_do(void **state) {
    (void)state;
    struct identity who;
    struct papers both = {.cluster_id = ours.cluster_id};
    struct papers newer = {.cluster_id = ours.cluster_id};
    assert_int_equal(authority_make(&ours.cluster_id, NOW, &newer.authority, &newer.authority_key, NULL), 0);
    buf_adds(&both.authority, buf_text(&newer.authority));
    buf_adds(&both.authority, buf_text(&ours.authority));
    struct credentials old_one = papers_issue(&ours, &node, ROLE_WORKER, NOW, DAY_MS);
    struct credentials new_one = papers_issue(&newer, &node, ROLE_WORKER, NOW, DAY_MS);
    struct certificate_wanted wanted = {.cluster_id = &ours.cluster_id};
    assert_int_equal(verify(&old_one.certificate, &both, wanted, &who, NULL), 0);
    assert_int_equal(verify(&new_one.certificate, &both, wanted, &who, NULL), 0);
    assert_refused(&new_one.certificate, &ours, wanted, "not signed by this cluster's authority");
    papers_free(&both);
    papers_free(&newer);
    credentials_free(&old_one);
    credentials_free(&new_one);
}

// --- who is not ---

static void time_is_looked_at_from_both_ends(void **state) {
    (void)state;
    struct credentials credentials = papers_issue(&ours, &node, ROLE_WORKER, NOW, DAY_MS);
    static const struct {
        int64_t unix_ms;
        const char *why; // NULL: good
    } moments[] = {
        {NOW - HOUR_MS, NULL}, // a clock that is slow by an hour
        {NOW - HOUR_MS - 1000,
         "is valid from 2027-01-15T07:00:00.000Z on, and here it is 2027-01-15T06:59:59.000Z"},
        {NOW + DAY_MS - 1000, NULL},
        {NOW + DAY_MS, "expired at 2027-01-16T08:00:00.000Z, and here it is 2027-01-16T08:00:00.000Z"},
    };
    for (size_t i = 0; i < sizeof moments / sizeof *moments; i++) {
        struct certificate_wanted wanted = {.unix_ms = moments[i].unix_ms};
        struct identity who;
        if (moments[i].why == NULL) {
            assert_int_equal(verify(&credentials.certificate, &ours, wanted, &who, NULL), 0);
        } else {
            assert_refused(&credentials.certificate, &ours, wanted, moments[i].why);
        }
    }
    credentials_free(&credentials);
}

static void nobody_else_is_believed(void **state) {
    (void)state;
    struct credentials worker = papers_issue(&ours, &node, ROLE_WORKER, NOW, DAY_MS);
    struct credentials foreign = papers_issue(&theirs, &node, ROLE_MANAGER, NOW, DAY_MS);
    const char *no_worker = "is a worker, where only managers are let in";
    assert_refused(&worker.certificate, &ours, (struct certificate_wanted){.is_manager = true}, no_worker);
    assert_refused(&worker.certificate, &ours, (struct certificate_wanted){.is_server = true}, no_worker);
    assert_refused(&worker.certificate, &ours, (struct certificate_wanted){.cluster_id = &theirs.cluster_id},
                   "is of cluster");
    assert_refused(&foreign.certificate, &ours, (struct certificate_wanted){0},
                   "not signed by this cluster's authority");
    credentials_free(&worker);
    credentials_free(&foreign);
}

// Authorities can bear the same name: the key counts.
static void an_authority_with_our_name_is_a_foreign_one(void **state) {
    (void)state;
    struct papers liar = {.cluster_id = ours.cluster_id};
    assert_int_equal(authority_make(&ours.cluster_id, NOW, &liar.authority, &liar.authority_key, NULL), 0);
    struct credentials foreign = papers_issue(&liar, &node, ROLE_MANAGER, NOW, DAY_MS);
    assert_refused(&foreign.certificate, &ours, (struct certificate_wanted){0},
                   "not signed by this cluster's authority");
    papers_free(&liar);
    credentials_free(&foreign);
}

static void an_authority_that_is_out_of_date_vouches_for_nobody(void **state) {
    (void)state;
    int64_t late = NOW + AUTHORITY_VALID_MS - HOUR_MS;
    struct credentials last = papers_issue(&ours, &node, ROLE_MANAGER, late, DAY_MS);
    struct identity who;
    assert_int_equal(certificate_read(buf_bytes(&last.certificate), &who, NULL), 0);
    assert_int_equal(who.not_after_unix_ms, NOW + AUTHORITY_VALID_MS); // not a day
    credentials_free(&last);
    AUTO_BUF request = {0}, out = {0};
    struct buf key = {0};
    struct error err = {0};
    struct authority_order order = {node, ours.cluster_id, ROLE_WORKER, NOW + AUTHORITY_VALID_MS, DAY_MS};
    assert_int_equal(certificate_make_key(&key, NULL), 0);
    assert_int_equal(certificate_request(buf_bytes(&key), &request, NULL), 0);
    assert_int_equal(authority_sign(buf_bytes(&ours.authority), buf_bytes(&ours.authority_key),
                                    buf_bytes(&request), &order, &out, &err),
                     -ERR_GUARD);
    assert_non_null(strstr(err.root, "expired at 2047-01-10"));
    certificate_wipe_key(&key);
}

// --- what is no certificate of a node ---

struct odd {
    const char *what;
    const char *node_id, *role, *more_field; // a second node id, or another name of that field
    const char *usage, *names, *constraints;
    const char *curve; // of its key
};
#define GOOD_NAMES "DNS:muster-worker,DNS:worker00000000000000000wo"

static bool add_extension(X509 *certificate, X509 *issuer, int nid, const char *text) {
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, text);
    bool is_added = extension != NULL && X509_add_ext(certificate, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return is_added;
}

static void add_name(X509 *certificate, const char *field, const char *text) {
    int rc = X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), field, V_ASN1_UTF8STRING,
                                        (const unsigned char *)text, -1, -1, 0);
    assert_int_equal(rc, 1);
}

// Signed by our authority all the same.
static void make_odd(const struct odd *odd, struct buf *out) {
    AUTO_X509 authority = pem_certificate(buf_bytes(&ours.authority), NULL);
    AUTO_KEY authority_key = pem_key(buf_bytes(&ours.authority_key), NULL);
    AUTO_KEY key = EVP_EC_gen(odd->curve != NULL ? odd->curve : "P-256");
    AUTO_X509 certificate = X509_new();
    AUTO_BIO bio = BIO_new(BIO_s_mem());
    X509_set_version(certificate, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 7);
    ASN1_TIME_set(X509_getm_notBefore(certificate), NOW / 1000);
    ASN1_TIME_set(X509_getm_notAfter(certificate), NOW / 1000 + 3600);
    X509_set_pubkey(certificate, key);
    X509_set_issuer_name(certificate, X509_get_subject_name(authority));
    add_name(certificate, "CN", odd->node_id != NULL ? odd->node_id : node.text);
    add_name(certificate, "OU", odd->role != NULL ? odd->role : "muster-worker");
    add_name(certificate, "O", ours.cluster_id.text);
    if (odd->more_field != NULL) {
        add_name(certificate, odd->more_field, other.text);
    }
    const struct {
        int nid;
        const char *text;
    } extensions[] = {
        {NID_basic_constraints, odd->constraints != NULL ? odd->constraints : "critical,CA:FALSE"},
        {NID_key_usage, "critical,digitalSignature"},
        {NID_ext_key_usage, odd->usage != NULL ? odd->usage : "clientAuth"},
        {NID_subject_key_identifier, "hash"},
        {NID_authority_key_identifier, "keyid:always"},
        {NID_subject_alt_name, odd->names != NULL ? odd->names : GOOD_NAMES},
    };
    for (size_t i = 0; i < sizeof extensions / sizeof *extensions; i++) {
        assert_true(add_extension(certificate, authority, extensions[i].nid, extensions[i].text));
    }
    assert_true(X509_sign(certificate, authority_key, EVP_sha256()) > 0);
    assert_int_equal(PEM_write_bio_X509(bio, certificate), 1);
    pem_take(bio, out);
}

static const struct odd odds[] = {
    {"nothing", .curve = "P-256"},
    {"a node id of another alphabet", .node_id = "WORKER00000000000000000WO", .names = GOOD_NAMES},
    {"a short node id", .node_id = "worker"},
    {"an unknown role", .role = "muster-administrator"},
    {"a second node id", .more_field = "CN"},
    {"a place", .more_field = "L"},
    {"a worker that may be a server", .usage = "clientAuth,serverAuth"},
    {"a manager that may not", .role = "muster-manager",
     .names = "DNS:muster-manager,DNS:worker00000000000000000wo"},
    {"another node's name", .names = "DNS:muster-worker,DNS:other00000000000000000oth"},
    {"another role's name", .names = "DNS:muster-manager,DNS:worker00000000000000000wo"},
    {"a wildcard", .names = "DNS:*,DNS:muster-worker"},
    {"an authority", .constraints = "critical,CA:TRUE"},
    {"another curve", .curve = "P-384"},
};

static void only_what_the_authority_writes_is_read(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof odds / sizeof *odds; i++) {
        AUTO_BUF certificate = {0};
        struct identity who;
        struct error err = {0};
        make_odd(&odds[i], &certificate);
        int rc = verify(&certificate, &ours, (struct certificate_wanted){0}, &who, &err);
        // the first is in order: the others differ from it in one thing
        if (rc != (i == 0 ? 0 : -ERR_INVALID)) {
            fail_msg("%s: %d %s", odds[i].what, rc, err.root);
        }
    }
}

static void an_authority_is_no_node(void **state) {
    (void)state;
    struct identity who;
    assert_int_equal(certificate_read(buf_bytes(&ours.authority), &who, NULL), -ERR_INVALID);
    assert_int_equal(verify(&ours.authority, &ours, (struct certificate_wanted){0}, &who, NULL),
                     -ERR_INVALID);
}

// --- text ---

static void cut_or_changed_text_is_refused(void **state) {
    (void)state;
    struct credentials credentials = papers_issue(&ours, &node, ROLE_WORKER, NOW, DAY_MS);
    AUTO_BUF text = {0};
    struct identity who;
    struct certificate_wanted wanted = {.unix_ms = NOW};
    size_t len = strcspn(credentials.certificate.data, "\n") + 1; // the base 64 begins there
    size_t end =
        (size_t)(strstr(credentials.certificate.data + len, "-----END") - credentials.certificate.data);
    for (size_t cut = 0; cut < end; cut += 7) {
        buf_clear(&text);
        buf_add(&text, credentials.certificate.data, cut);
        assert_int_equal(
            certificate_verify(buf_bytes(&text), buf_bytes(&ours.authority), &wanted, &who, NULL),
            -ERR_INVALID);
    }
    for (size_t at = len; at < end; at++) {
        buf_clear(&text);
        buf_add(&text, credentials.certificate.data, credentials.certificate.len);
        text.data[at] = text.data[at] == 'A' ? 'B' : 'A';
        int rc = certificate_verify(buf_bytes(&text), buf_bytes(&ours.authority), &wanted, &who, NULL);
        // The last two digits of the base 64 can hold bits of nothing.
        assert_true(rc < 0 || at + 5 > end);
    }
    credentials_free(&credentials);
}

static void every_reader_tells_what_openssl_says(void **state) {
    (void)state;
    static const char broken[] = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    struct bytes pem = {(const uint8_t *)broken, sizeof broken - 1};
    struct error err = {0};
    struct identity who;
    assert_int_equal(certificate_read(pem, &who, &err), -ERR_INVALID);
    assert_non_null(strstr(err.root, "certificate 1 is damaged or cut: "));
    assert_non_null(strstr(err.root, "wrong tag"));
    assert_int_equal(certificate_read((struct bytes){0}, &who, &err), -ERR_INVALID);
    assert_int_equal(certificate_match_key(buf_bytes(&ours.authority), pem, &err), -ERR_INVALID);
    assert_string_equal(err.root,
                        "the private key is damaged, cut or encrypted: unsupported (No supported data "
                        "to decode. Input type: PEM)");
}

static void one_certificate_is_one(void **state) {
    (void)state;
    AUTO_BUF two = {0};
    struct identity who;
    struct error err = {0};
    uint8_t digest[CERTIFICATE_DIGEST_BYTES];
    buf_adds(&two, buf_text(&ours.authority));
    buf_adds(&two, buf_text(&theirs.authority));
    assert_int_equal(certificate_read(buf_bytes(&two), &who, &err), -ERR_INVALID);
    assert_string_equal(err.root, "the text holds 2 certificates, not one");
    assert_int_equal(certificate_digest(buf_bytes(&two), digest, NULL), -ERR_INVALID);
}

static void digests_tell_authorities_apart(void **state) {
    (void)state;
    uint8_t first[CERTIFICATE_DIGEST_BYTES], again[CERTIFICATE_DIGEST_BYTES],
        second[CERTIFICATE_DIGEST_BYTES];
    assert_int_equal(certificate_digest(buf_bytes(&ours.authority), first, NULL), 0);
    assert_int_equal(certificate_digest(buf_bytes(&ours.authority), again, NULL), 0);
    assert_int_equal(certificate_digest(buf_bytes(&theirs.authority), second, NULL), 0);
    assert_memory_equal(first, again, sizeof first);
    assert_memory_not_equal(first, second, sizeof first);
}

// --- signing ---

static int sign_with(struct bytes key, struct bytes request, int64_t valid_ms, struct error *err) {
    AUTO_BUF out = {0};
    struct authority_order order = {other, ours.cluster_id, ROLE_WORKER, NOW, valid_ms};
    int rc = authority_sign(buf_bytes(&ours.authority), key, request, &order, &out, err);
    assert_int_equal(out.len, 0);
    return rc;
}

static void what_cannot_be_signed_is_refused(void **state) {
    (void)state;
    struct buf key = {0};
    AUTO_BUF request = {0}, changed = {0};
    struct error err = {0};
    assert_int_equal(certificate_make_key(&key, NULL), 0);
    assert_int_equal(certificate_request(buf_bytes(&key), &request, NULL), 0);
    struct bytes right = buf_bytes(&ours.authority_key);
    assert_int_equal(sign_with(buf_bytes(&theirs.authority_key), buf_bytes(&request), DAY_MS, &err),
                     -ERR_CONFLICT);
    assert_int_equal(sign_with(right, buf_bytes(&request), HOUR_MS - 1, &err), -ERR_INVALID);
    assert_int_equal(sign_with(right, buf_bytes(&ours.authority), DAY_MS, &err), -ERR_INVALID);
    // The signature is at the end: another one shows that the sender has not the key.
    buf_add(&changed, request.data, request.len);
    char *at = strstr(changed.data, "\n-----END") - 12;
    *at = *at == 'x' ? 'y' : 'x';
    assert_int_equal(sign_with(right, buf_bytes(&changed), DAY_MS, &err), -ERR_INVALID);
    assert_non_null(strstr(err.root, "not signed by its own key"));
    assert_string_equal(err.frame[0], "sign a certificate for node other0000000");
    certificate_wipe_key(&key);
}

static void a_request_on_another_curve_is_refused(void **state) {
    (void)state;
    AUTO_KEY key = EVP_EC_gen("P-384");
    AUTO_REQUEST request = X509_REQ_new();
    AUTO_BIO bio = BIO_new(BIO_s_mem());
    AUTO_BUF text = {0};
    struct error err = {0};
    X509_REQ_set_pubkey(request, key);
    assert_true(X509_REQ_sign(request, key, EVP_sha256()) > 0);
    assert_int_equal(PEM_write_bio_X509_REQ(bio, request), 1);
    pem_take(bio, &text);
    assert_int_equal(sign_with(buf_bytes(&ours.authority_key), buf_bytes(&text), DAY_MS, &err), -ERR_INVALID);
    assert_non_null(strstr(err.root, "P-256"));
}

// --- whose request it is ---

static void a_request_is_by_who_has_the_key_of_a_certificate(void **state) {
    (void)state;
    struct credentials first = papers_issue(&ours, &node, ROLE_WORKER, NOW, DAY_MS);
    struct credentials second = papers_issue(&ours, &node, ROLE_WORKER, NOW, DAY_MS);
    AUTO_BUF request = {0};
    struct error err = {0};
    assert_int_equal(certificate_request(buf_bytes(&first.key), &request, NULL), 0);
    assert_int_equal(certificate_match_request(buf_bytes(&first.certificate), buf_bytes(&request), &err), 0);
    assert_int_equal(certificate_match_request(buf_bytes(&second.certificate), buf_bytes(&request), &err),
                     -ERR_DENIED);
    credentials_free(&first);
    credentials_free(&second);
}

// The key of another one in a request that somebody else signed.
static void a_request_that_its_key_did_not_sign_shows_nothing(void **state) {
    (void)state;
    struct credentials victim = papers_issue(&ours, &node, ROLE_WORKER, NOW, DAY_MS);
    char digest[CERTIFICATE_KEY_DIGEST_BYTES];
    AUTO_KEY key = pem_key(buf_bytes(&victim.key), NULL);
    AUTO_KEY other_key = EVP_EC_gen("P-256");
    AUTO_REQUEST request = X509_REQ_new();
    AUTO_BIO bio = BIO_new(BIO_s_mem());
    AUTO_BUF text = {0};
    struct error err = {0};
    X509_REQ_set_pubkey(request, key);
    assert_true(X509_REQ_sign(request, other_key, EVP_sha256()) > 0);
    assert_int_equal(PEM_write_bio_X509_REQ(bio, request), 1);
    pem_take(bio, &text);
    assert_int_equal(certificate_match_request(buf_bytes(&victim.certificate), buf_bytes(&text), &err),
                     -ERR_INVALID);
    assert_int_equal(certificate_request_digest(buf_bytes(&text), digest, &err), -ERR_INVALID);
    credentials_free(&victim);
}

static void the_digest_of_a_request_is_that_of_its_key(void **state) {
    (void)state;
    char digests[3][CERTIFICATE_KEY_DIGEST_BYTES];
    struct credentials first = papers_issue(&ours, &node, ROLE_WORKER, NOW, DAY_MS);
    struct credentials second = papers_issue(&ours, &node, ROLE_WORKER, NOW, DAY_MS);
    for (int i = 0; i < 3; i++) {
        AUTO_BUF request = {0};
        const struct buf *key = i < 2 ? &first.key : &second.key;
        assert_int_equal(certificate_request(buf_bytes(key), &request, NULL), 0);
        assert_int_equal(certificate_request_digest(buf_bytes(&request), digests[i], NULL), 0);
        assert_int_equal(strspn(digests[i], "0123456789abcdef"), 64);
    }
    assert_string_equal(digests[0], digests[1]);
    assert_string_not_equal(digests[0], digests[2]);
    credentials_free(&first);
    credentials_free(&second);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(a_certificate_says_who_the_node_is, begin, end),
    cmocka_unit_test_setup_teardown(a_manager_may_be_a_client_too, begin, end),
    cmocka_unit_test_setup_teardown(serials_and_keys_are_new_each_time, begin, end),
    cmocka_unit_test_setup_teardown(any_of_several_authorities_will_do, begin, end),
    cmocka_unit_test_setup_teardown(time_is_looked_at_from_both_ends, begin, end),
    cmocka_unit_test_setup_teardown(nobody_else_is_believed, begin, end),
    cmocka_unit_test_setup_teardown(an_authority_with_our_name_is_a_foreign_one, begin, end),
    cmocka_unit_test_setup_teardown(an_authority_that_is_out_of_date_vouches_for_nobody, begin, end),
    cmocka_unit_test_setup_teardown(only_what_the_authority_writes_is_read, begin, end),
    cmocka_unit_test_setup_teardown(an_authority_is_no_node, begin, end),
    cmocka_unit_test_setup_teardown(cut_or_changed_text_is_refused, begin, end),
    cmocka_unit_test_setup_teardown(every_reader_tells_what_openssl_says, begin, end),
    cmocka_unit_test_setup_teardown(one_certificate_is_one, begin, end),
    cmocka_unit_test_setup_teardown(digests_tell_authorities_apart, begin, end),
    cmocka_unit_test_setup_teardown(what_cannot_be_signed_is_refused, begin, end),
    cmocka_unit_test_setup_teardown(a_request_on_another_curve_is_refused, begin, end),
    cmocka_unit_test_setup_teardown(a_request_is_by_who_has_the_key_of_a_certificate, begin, end),
    cmocka_unit_test_setup_teardown(a_request_that_its_key_did_not_sign_shows_nothing, begin, end),
    cmocka_unit_test_setup_teardown(the_digest_of_a_request_is_that_of_its_key, begin, end),
};
CHECK_MAIN(tests)
