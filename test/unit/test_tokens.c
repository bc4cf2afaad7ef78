// SPDX-License-Identifier: Apache-2.0
//
// test/unit/test_tokens.c — which join tokens let in, and what those are told that do not.
#include "test/lib/check.h"
#include "test/lib/papers.h"

#include <string.h>

#include "reconciler/daemon/tokens.h"

#define NOW 1800000000000LL

struct tokens {
    struct arena arena;
    struct papers papers;
    struct seal_key key;
    struct token_keeper keeper;
    struct cluster_trust trust;
    struct error err;
};

static int setup(void **state) {
    struct tokens *t = test_calloc(1, sizeof *t);
    t->papers = papers_make(NOW);
    t->keeper = (struct token_keeper){&t->papers.cluster_id, &t->key};
    schema_init(&cluster_trust_schema, &t->trust);
    *ARENA_PUSH(&t->arena, &t->trust.authorities) = buf_text(&t->papers.authority);
    *state = t;
    return seal_key_make(&t->key, NULL) < 0 ||
           tokens_replace(&t->keeper, ROLE_WORKER, &t->trust.worker_token, &t->arena, NULL) < 0 ||
           tokens_replace(&t->keeper, ROLE_MANAGER, &t->trust.manager_token, &t->arena, NULL) < 0;
}

static int teardown(void **state) {
    struct tokens *t = *state;
    papers_free(&t->papers);
    arena_free(&t->arena);
    test_free(t);
    return 0;
}

static struct join_token read_token(struct tokens *t, enum node_role role) {
    struct join_token token;
    assert_int_equal(tokens_read(&t->keeper, &t->trust, role, &token, NULL), 0);
    return token;
}

static int admit(struct tokens *t, const struct join_token *token, int64_t now_unix_ms, enum node_role *out) {
    error_clear(&t->err);
    return tokens_admit(&t->keeper, &t->trust, now_unix_ms, token, out, &t->err);
}

static void refused(struct tokens *t, const struct join_token *token, int64_t now_unix_ms, const char *why) {
    enum node_role role;
    assert_int_equal(admit(t, token, now_unix_ms, &role), -ERR_DENIED);
    if (strstr(t->err.root, why) == NULL || strstr(t->err.root, "muster swarm join-token") == NULL) {
        fail_msg("%s", t->err.root);
    }
    assert_null(strstr(t->err.root, token->secret.text));
}

static void each_token_lets_in_as_its_role(void **state) {
    struct tokens *t = *state;
    for (int role = ROLE_WORKER; role <= ROLE_MANAGER; role++) {
        struct join_token token = read_token(t, (enum node_role)role);
        uint8_t digest[CERTIFICATE_DIGEST_BYTES];
        enum node_role given = (enum node_role) !role;
        assert_int_equal(certificate_digest(buf_bytes(&t->papers.authority), digest, NULL), 0);
        assert_int_equal(join_token_check_authority(&token, digest, NULL), 0);
        assert_int_equal(admit(t, &token, NOW, &given), 0);
        assert_int_equal(given, role);
    }
}

static void a_stranger_is_told_nothing_but_that_it_is_wrong(void **state) {
    struct tokens *t = *state;
    struct join_token token = read_token(t, ROLE_WORKER);
    char last = token.secret.text[ID_LEN - 1];
    token.secret.text[ID_LEN - 1] = last == 'a' ? 'b' : 'a';
    t->trust.worker_token.expires_unix_ms = NOW - 1;
    refused(t, &token, NOW, "is wrong");
    token.secret = id_random();
    refused(t, &token, NOW, "is wrong");
}

static void one_that_was_replaced_is_told_so(void **state) {
    struct tokens *t = *state;
    struct join_token old = read_token(t, ROLE_WORKER), manager = read_token(t, ROLE_MANAGER), older = old;
    enum node_role role;
    for (int i = 0; i < 8; i++) {
        assert_int_equal(tokens_replace(&t->keeper, ROLE_WORKER, &t->trust.worker_token, &t->arena, NULL), 0);
        refused(t, &older, NOW, "was replaced");
        struct join_token now = read_token(t, ROLE_WORKER);
        assert_memory_equal(now.digest, old.digest, sizeof now.digest);
        assert_int_equal(admit(t, &now, NOW, &role), 0);
        refused(t, &old, NOW, "was replaced");
        old = now;
    }
    assert_int_equal(tokens_replace(&t->keeper, ROLE_WORKER, &t->trust.worker_token, &t->arena, NULL), 0);
    refused(t, &older, NOW, "is wrong"); // too long ago
    assert_int_equal(admit(t, &manager, NOW, &role), 0);
}

static void one_expires_at_its_time(void **state) {
    struct tokens *t = *state;
    struct join_token token = read_token(t, ROLE_MANAGER);
    enum node_role role;
    t->trust.manager_token.expires_unix_ms = NOW;
    assert_int_equal(admit(t, &token, NOW - 1, &role), 0);
    refused(t, &token, NOW, "expired at 2027-01-15T08:00:00");
    assert_int_equal(tokens_replace(&t->keeper, ROLE_MANAGER, &t->trust.manager_token, &t->arena, NULL), 0);
    token = read_token(t, ROLE_MANAGER);
    assert_int_equal(admit(t, &token, NOW, &role), 0); // a new one has no limits
}

static void one_is_used_up(void **state) {
    struct tokens *t = *state;
    struct join_token token = read_token(t, ROLE_WORKER);
    enum node_role role;
    t->trust.worker_token.uses_max = 2;
    t->trust.worker_token.uses = 1;
    assert_int_equal(admit(t, &token, NOW, &role), 0);
    t->trust.worker_token.uses = 2;
    refused(t, &token, NOW, "is used up: it was for 2 nodes");
}

static void a_secret_does_not_open_in_the_place_of_the_other(void **state) {
    struct tokens *t = *state;
    struct join_token token;
    t->trust.manager_token.secret = t->trust.worker_token.secret;
    assert_int_equal(tokens_read(&t->keeper, &t->trust, ROLE_MANAGER, &token, NULL), -ERR_CORRUPT);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_token_lets_in_as_its_role, setup, teardown),
        cmocka_unit_test_setup_teardown(a_stranger_is_told_nothing_but_that_it_is_wrong, setup, teardown),
        cmocka_unit_test_setup_teardown(one_that_was_replaced_is_told_so, setup, teardown),
        cmocka_unit_test_setup_teardown(one_expires_at_its_time, setup, teardown),
        cmocka_unit_test_setup_teardown(one_is_used_up, setup, teardown),
        cmocka_unit_test_setup_teardown(a_secret_does_not_open_in_the_place_of_the_other, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
