// SPDX-License-Identifier: Apache-2.0
//
// test/unit/test_rotation.c — an authority is replaced: who signs, whose key is kept, and what is waited for.
#include "test/lib/check.h"
#include "test/lib/papers.h"

#include <string.h>

#include "reconciler/daemon/certificates.h"
#include "reconciler/daemon/rotation.h"

#define NOW 1800000000000LL

struct rotating {
    struct arena arena;
    struct papers papers;
    struct seal_key key;
    struct cluster_trust trust;
    struct error err;
    const char *fingerprints[2]; // of the authority there was, and the new one
};

static const char *fingerprint(struct rotating *r, const char *pem) {
    char text[CERTIFICATES_FINGERPRINT_BYTES];
    certificates_fingerprint((struct bytes){(const uint8_t *)pem, strlen(pem)}, text);
    assert_int_equal(strlen(text), 16);
    return arena_strdup(&r->arena, text);
}

static void seal_key_of_papers(struct rotating *r) {
    AUTO_BUF sealed = {0};
    const struct seal_label label = {&r->papers.cluster_id, ROTATION_KEY_PURPOSE};
    assert_int_equal(seal_close(&r->key, &label, buf_bytes(&r->papers.authority_key), &sealed, NULL), 0);
    r->trust.authority_key = (struct bytes){arena_copy(&r->arena, sealed.data, sealed.len), sealed.len};
}

static int setup(void **state) {
    struct rotating *r = test_calloc(1, sizeof *r);
    r->papers = papers_make(NOW);
    assert_int_equal(seal_key_make(&r->key, NULL), 0);
    schema_init(&cluster_trust_schema, &r->trust);
    *ARENA_PUSH(&r->arena, &r->trust.authorities) = buf_text(&r->papers.authority);
    seal_key_of_papers(r);
    assert_int_equal(
        rotation_begin(&r->key, &r->papers.cluster_id, NOW + DAY_MS, &r->trust, &r->arena, &r->err), 0);
    r->fingerprints[0] = fingerprint(r, r->trust.authorities.items[1]);
    r->fingerprints[1] = fingerprint(r, r->trust.authorities.items[0]);
    *state = r;
    return 0;
}

static int teardown(void **state) {
    struct rotating *r = *state;
    papers_free(&r->papers);
    arena_free(&r->arena);
    test_free(r);
    return 0;
}

// The key that is kept is that of the authority that signs.
static void check_signer(struct rotating *r, const char *pem) {
    struct buf key = {0};
    const struct seal_label label = {&r->papers.cluster_id, ROTATION_KEY_PURPOSE};
    const struct bytes signer = {(const uint8_t *)pem, strlen(pem)};
    assert_string_equal(rotation_signer(&r->trust), pem);
    assert_int_equal(seal_open(&r->key, &label, r->trust.authority_key, &key, NULL), 0);
    assert_int_equal(certificate_match_key(signer, buf_bytes(&key), NULL), 0);
    certificate_wipe_key(&key);
}

static void the_one_before_signs_until_all_believe_the_new_one(void **state) {
    struct rotating *r = *state;
    const char *newest = r->trust.authorities.items[0], *before = r->trust.authorities.items[1];
    struct bytes sealed_before = r->trust.authority_key;
    assert_int_equal(rotation_state(&r->trust), ROTATION_ANNOUNCED);
    assert_int_equal(r->trust.authorities.count, 2);
    assert_string_equal(before, buf_text(&r->papers.authority));
    check_signer(r, before);
    assert_int_equal(rotation_begin(&r->key, &r->papers.cluster_id, NOW, &r->trust, &r->arena, &r->err),
                     -ERR_CONFLICT);
    rotation_advance(&r->trust);
    assert_int_equal(rotation_state(&r->trust), ROTATION_SIGNING);
    assert_int_equal(r->trust.authorities.count, 2);
    check_signer(r, newest);
    assert_ptr_not_equal(r->trust.authority_key.data, sealed_before.data);
    rotation_advance(&r->trust);
    assert_int_equal(rotation_state(&r->trust), ROTATION_NONE);
    assert_int_equal(r->trust.authorities.count, 1);
    check_signer(r, newest);
}

static void a_node_is_through_when_it_says_so_of_itself(void **state) {
    struct rotating *r = *state;
    const char *both[] = {r->fingerprints[1], r->fingerprints[0]};
    struct node node;
    schema_init(&node_schema, &node);
    assert_false(rotation_has(&r->trust, &node)); // it says nothing
    node.description.authority = r->fingerprints[0];
    node.description.authorities = (struct strings){1, both + 1};
    assert_false(rotation_has(&r->trust, &node));
    node.description.authorities = (struct strings){2, both};
    assert_true(rotation_has(&r->trust, &node));
    rotation_advance(&r->trust);
    assert_false(rotation_has(&r->trust, &node)); // its certificate is by the one before
    node.description.authority = r->fingerprints[1];
    assert_true(rotation_has(&r->trust, &node));
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_one_before_signs_until_all_believe_the_new_one, setup, teardown),
        cmocka_unit_test_setup_teardown(a_node_is_through_when_it_says_so_of_itself, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
