// SPDX-License-Identifier: Apache-2.0
//
// test/unit/test_trust.c — what a daemon makes of the trust in the cluster's object: made, taken over from a
// version before, opened by who has the seal key.
#include "test/lib/check.h"
#include "test/lib/papers.h"
#include "test/lib/scratch.h"
#include "test/lib/store_fixture.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"
#include "reconciler/daemon/daemon.h"

#define NOW 1800000000000LL

struct trusting {
    struct store_fixture store;
    struct daemon_options options;
    struct daemon daemon;
    char state_dir[64];
    char *dir; // of the certificates
    struct error err;
};

static struct certificates_order order_of(const struct trusting *t) {
    return (struct certificates_order){.state_dir = t->state_dir,
                                       .cluster_id = t->daemon.cluster_id,
                                       .node_id = t->daemon.node_id,
                                       .unix_ms = NOW,
                                       .valid_ms = 100 * HOUR_MS};
}

static struct store_object encode(struct trusting *t, const struct cluster *cluster) {
    AUTO_BUF bytes = {0};
    wire_encode(&cluster_schema, cluster, &bytes);
    return (struct store_object){
        KIND_CLUSTER, cluster->meta.id, {arena_copy(&t->store.arena, bytes.data, bytes.len), bytes.len}};
}

// A cluster with a trust, or as a version before made it.
static void begin(struct trusting *t, bool has_trust) {
    struct cluster cluster;
    struct certificates_order order = order_of(t);
    schema_init(&cluster_schema, &cluster);
    cluster.meta.id = t->daemon.cluster_id;
    cluster.meta.name = "default";
    cluster.spec.cert_expiry_ns = 100 * HOUR_MS * NS_PER_MS;
    if (has_trust) {
        assert_int_equal(trust_found(&order, &cluster, &t->store.arena, NULL), 0);
    }
    assert_int_equal(store_try(&t->store, CHANGE_CREATE, encode(t, &cluster), 0).code, 0);
    proposals_init(&t->daemon.proposals, TAKE(t->store.proposer));
}

static void turn(struct trusting *t) {
    struct proposer *proposer = t->daemon.proposals.proposer;
    assert_int_equal(trust_step(&t->daemon, &t->err), 0);
    assert_int_equal(proposer->ops->turn(proposer, &t->err), 0);
    assert_int_equal(trust_step(&t->daemon, &t->err), 0);
}

static struct cluster *stored(struct trusting *t) {
    struct store_read *read = store_begin_read(&t->store);
    void *object = NULL;
    assert_int_equal(store_load(read, KIND_CLUSTER, &t->daemon.cluster_id, &t->store.arena, &object, &t->err),
                     0);
    store_read_end(read);
    return object;
}

static int setup(void **state) {
    struct trusting *t = test_calloc(1, sizeof *t);
    scratch_name(t->state_dir, sizeof t->state_dir, "trust");
    assert_non_null(mkdtemp(t->state_dir));
    store_fixture_begin(&t->store, NULL);
    schema_init(&daemon_options_schema, &t->options);
    t->options.state_dir = t->state_dir;
    t->daemon.options = &t->options;
    t->daemon.store = t->store.store;
    t->daemon.node_id = id_random();
    t->daemon.cluster_id = id_random();
    t->daemon.now = (struct now){NOW, 1000};
    t->daemon.leads = true;
    t->dir = certificates_dir(t->state_dir, &t->daemon.cluster_id);
    *state = t;
    return 0;
}

static int teardown(void **state) {
    struct trusting *t = *state;
    proposals_deinit(&t->daemon.proposals);
    store_fixture_end(&t->store);
    assert_int_equal(fs_remove_tree(AT_FDCWD, t->state_dir, NULL), 0);
    xfree(t->dir);
    test_free(t);
    return 0;
}

// --- what it is asked for ---

static void check_certificate(struct trusting *t, const struct buf *certificate, struct bytes authorities,
                              enum node_role role) {
    struct identity who;
    const struct certificate_wanted wanted = {.unix_ms = NOW, .cluster_id = &t->daemon.cluster_id};
    assert_int_equal(certificate_verify(buf_bytes(certificate), authorities, &wanted, &who, NULL), 0);
    assert_int_equal(who.role, role);
    assert_int_equal(who.not_after_unix_ms, NOW + 100 * HOUR_MS);
}

// It signs, its tokens let in, and the node's own certificate is by the same authority.
static void works(struct trusting *t) {
    struct credentials own;
    struct bytes authorities;
    struct id node = id_random();
    struct buf key = {0};
    AUTO_BUF request = {0}, certificate = {0};
    assert_int_equal(trust_authorities(&t->daemon, &t->store.arena, &authorities, &t->err), 0);
    assert_int_equal(credentials_load(t->dir, &own, NULL), 0);
    assert_int_equal(own.authorities.len, authorities.len);
    assert_memory_equal(own.authorities.data, authorities.data, authorities.len);
    check_certificate(t, &own.certificate, authorities, ROLE_MANAGER);
    assert_int_equal(certificate_make_key(&key, NULL), 0);
    assert_int_equal(certificate_request(buf_bytes(&key), &request, NULL), 0);
    assert_int_equal(trust_sign(&t->daemon, buf_bytes(&request), &node, ROLE_WORKER, &certificate, &t->err),
                     0);
    check_certificate(t, &certificate, authorities, ROLE_WORKER);
    for (int role = ROLE_WORKER; role <= ROLE_MANAGER; role++) {
        char token[JOIN_TOKEN_LEN + 1];
        enum node_role given;
        assert_int_equal(trust_token(&t->daemon, (enum node_role)role, token, &t->err), 0);
        assert_int_equal(trust_admit(&t->daemon, token, &given, &t->err), 0);
        assert_int_equal(given, role);
    }
    certificate_wipe_key(&key);
    credentials_free(&own);
}

static void a_new_cluster_has_it(void **state) {
    struct trusting *t = *state;
    begin(t, /*has_trust=*/true);
    works(t);
    int64_t revision = store_revision(t->store.store);
    turn(t);
    assert_int_equal(store_revision(t->store.store), revision); // nothing is taken over
    enum node_role role;
    assert_int_equal(trust_admit(&t->daemon, "MUSTKN-1-", &role, &t->err), -ERR_INVALID);
}

// --- taken over ---

// Files of a version before: certificate and key of the authority, and the node's own.
static void make_files_of_before(struct trusting *t, struct buf *authority, struct buf *key) {
    struct certificates_order order = order_of(t);
    AUTO_FREE char *path = xasprintf("%s/authority.key", t->dir);
    assert_int_equal(certificates_make(&order, authority, key, NULL), 0);
    assert_int_equal(fs_replace(AT_FDCWD, path, key->data, key->len, 0600, false, NULL), 0);
}

static bool has_key_file(const struct trusting *t) {
    AUTO_FREE char *path = xasprintf("%s/authority.key", t->dir);
    return fs_exists(path);
}

static void the_authority_of_a_version_before_is_taken_over(void **state) {
    struct trusting *t = *state;
    AUTO_BUF authority = {0};
    struct buf key = {0};
    make_files_of_before(t, &authority, &key);
    begin(t, /*has_trust=*/false);
    assert_int_equal(trust_step(&t->daemon, &t->err), 0);
    assert_true(has_key_file(t)); // it is not in the store yet
    turn(t);
    assert_false(has_key_file(t));
    assert_string_equal(stored(t)->trust->authorities.items[0], buf_text(&authority));
    works(t);
    certificate_wipe_key(&key);
}

static void a_cluster_without_one_gets_one_of_who_leads(void **state) {
    struct trusting *t = *state;
    struct bytes none;
    begin(t, /*has_trust=*/false);
    t->daemon.leads = false;
    turn(t);
    assert_null(stored(t)->trust);
    assert_int_equal(trust_authorities(&t->daemon, &t->store.arena, &none, &t->err), -ERR_BUSY);
    t->daemon.leads = true;
    turn(t);
    works(t);
}

static void a_key_that_does_not_fit_is_not_taken_over(void **state) {
    struct trusting *t = *state;
    AUTO_BUF authority = {0};
    struct buf key = {0};
    AUTO_FREE char *path = xasprintf("%s/authority.key", t->dir);
    make_files_of_before(t, &authority, &key);
    certificate_wipe_key(&key);
    assert_int_equal(certificate_make_key(&key, NULL), 0);
    assert_int_equal(fs_replace(AT_FDCWD, path, key.data, key.len, 0600, false, NULL), 0);
    begin(t, /*has_trust=*/false);
    turn(t);
    assert_null(stored(t)->trust);
    AUTO_FREE char *authorities = xasprintf("%s/authorities.pem", t->dir);
    assert_int_equal(fs_remove_tree(AT_FDCWD, authorities, NULL), 0);
    t->daemon.now.mono_ms += 3600000;
    turn(t);
    assert_null(stored(t)->trust);
    assert_true(has_key_file(t));
    certificate_wipe_key(&key);
}

// --- the seal key ---

static void without_the_seal_key_nothing_opens_until_it_is_given(void **state) {
    struct trusting *t = *state;
    char token[JOIN_TOKEN_LEN + 1];
    struct buf key = {0};
    AUTO_FREE char *path = xasprintf("%s/seal.key", t->dir);
    begin(t, /*has_trust=*/true);
    assert_int_equal(trust_seal_key(&t->daemon, &key, &t->err), 0);
    assert_int_equal(fs_remove_tree(AT_FDCWD, path, NULL), 0);
    assert_int_equal(trust_token(&t->daemon, ROLE_WORKER, token, &t->err), -ERR_BUSY);
    assert_int_equal(trust_seal_key(&t->daemon, &key, &t->err), -ERR_BUSY);
    const struct id *cluster_id = &t->daemon.cluster_id;
    struct bytes cut = {(const uint8_t *)key.data, key.len - 1};
    assert_int_equal(trust_keep_seal_key(t->state_dir, cluster_id, cut, &t->err), -ERR_INVALID);
    assert_int_equal(trust_keep_seal_key(t->state_dir, cluster_id, buf_bytes(&key), &t->err), 0);
    works(t);
    key.data[0] ^= 1; // that of another cluster
    assert_int_equal(trust_keep_seal_key(t->state_dir, cluster_id, buf_bytes(&key), &t->err), 0);
    assert_int_equal(trust_token(&t->daemon, ROLE_WORKER, token, &t->err), -ERR_CORRUPT);
    certificate_wipe_key(&key);
}

// --- uses ---

static int spend(struct trusting *t, enum node_role role, struct transaction *out) {
    struct store_read *read = store_begin_read(&t->store);
    schema_init(&transaction_schema, out);
    out->who = "test";
    int rc = trust_spend(&t->daemon, read, &t->store.arena, role, out, &t->err);
    store_read_end(read);
    return rc;
}

static void ignore(void *context, const struct proposal_result *result) {
    *(int *)context = result->code;
}

static int submit(struct trusting *t, const struct transaction *transaction) {
    struct proposer *proposer = t->daemon.proposals.proposer;
    int code = 1;
    assert_int_equal(proposals_submit(&t->daemon.proposals, transaction, ignore, &code, &t->err), 0);
    assert_int_equal(proposer->ops->turn(proposer, &t->err), 0);
    return code;
}

static void a_use_is_counted_where_uses_are_limited(void **state) {
    struct trusting *t = *state;
    struct transaction one, other;
    begin(t, /*has_trust=*/true);
    assert_int_equal(spend(t, ROLE_WORKER, &one), 0);
    assert_int_equal(one.changes.count, 0);
    struct cluster *cluster = stored(t);
    cluster->trust->worker_token.uses_max = 2;
    transaction_add(&one, CHANGE_UPDATE, KIND_CLUSTER, cluster, &t->store.arena);
    assert_int_equal(submit(t, &one), 0);
    assert_int_equal(spend(t, ROLE_MANAGER, &one), 0);
    assert_int_equal(one.changes.count, 0);
    assert_int_equal(spend(t, ROLE_WORKER, &one), 0);
    assert_int_equal(spend(t, ROLE_WORKER, &other), 0); // two at once: one of them has to look again
    assert_int_equal(submit(t, &one), 0);
    assert_int_equal(submit(t, &other), -ERR_CONFLICT);
    assert_int_equal(spend(t, ROLE_WORKER, &other), 0);
    assert_int_equal(submit(t, &other), 0);
    assert_int_equal(stored(t)->trust->worker_token.uses, 2);
    assert_int_equal(spend(t, ROLE_WORKER, &one), -ERR_DENIED);
}

// --- another authority ---

static void write_object(struct trusting *t, enum change_op op, enum object_kind kind, const void *object) {
    struct transaction transaction;
    schema_init(&transaction_schema, &transaction);
    transaction.who = "test";
    transaction_add(&transaction, op, kind, object, &t->store.arena);
    assert_int_equal(submit(t, &transaction), 0);
}

static void say(struct trusting *t, const char *authority, struct strings believed) {
    struct store_read *read = store_begin_read(&t->store);
    void *object = NULL;
    assert_int_equal(store_load(read, KIND_NODE, &t->daemon.node_id, &t->store.arena, &object, &t->err), 0);
    store_read_end(read);
    struct node *node = object;
    node->description.authority = authority;
    node->description.authorities = believed;
    write_object(t, CHANGE_UPDATE, KIND_NODE, node);
}

static enum rotation_state rotate_on(struct trusting *t) {
    struct proposer *proposer = t->daemon.proposals.proposer;
    assert_int_equal(rotation_step(&t->daemon, &t->err), 0);
    assert_int_equal(proposer->ops->turn(proposer, &t->err), 0);
    return rotation_state(stored(t)->trust);
}

static const char *fingerprint(struct trusting *t, const char *pem) {
    char text[CERTIFICATES_FINGERPRINT_BYTES];
    certificates_fingerprint((struct bytes){(const uint8_t *)pem, strlen(pem)}, text);
    return arena_strdup(&t->store.arena, text);
}

// A node that this one has, and one that left and is not waited for.
static void add_nodes(struct trusting *t) {
    struct node node;
    schema_init(&node_schema, &node);
    node.meta.id = t->daemon.node_id;
    node.meta.name = "here";
    node.spec.name = "here";
    write_object(t, CHANGE_CREATE, KIND_NODE, &node);
    node.meta.id = id_random();
    node.meta.name = "left";
    node.spec.name = "left";
    node.status.left = true;
    write_object(t, CHANGE_CREATE, KIND_NODE, &node);
}

static void begin_rotation(struct trusting *t) {
    struct store_read *read = store_begin_read(&t->store);
    struct trust_opened opened AUTO_TRUST = {0};
    assert_int_equal(trust_open(&t->daemon, read, &t->store.arena, &opened, &t->err), 0);
    store_read_end(read);
    assert_int_equal(rotation_begin(&opened.key, &t->daemon.cluster_id, NOW, opened.cluster->trust,
                                    &t->store.arena, &t->err),
                     0);
    write_object(t, CHANGE_UPDATE, KIND_CLUSTER, opened.cluster);
}

static void the_authority_is_replaced_as_nodes_say_that_they_are_through(void **state) {
    struct trusting *t = *state;
    char before[JOIN_TOKEN_LEN + 1], announced[JOIN_TOKEN_LEN + 1], after[JOIN_TOKEN_LEN + 1];
    begin(t, /*has_trust=*/true);
    add_nodes(t);
    assert_int_equal(rotate_on(t), ROTATION_NONE);
    assert_int_equal(trust_token(&t->daemon, ROLE_WORKER, before, &t->err), 0);
    begin_rotation(t);
    const struct strings pem = stored(t)->trust->authorities;
    const char *both[] = {fingerprint(t, pem.items[0]), fingerprint(t, pem.items[1])};
    say(t, both[1], (struct strings){1, both + 1});
    assert_int_equal(rotate_on(t), ROTATION_ANNOUNCED); // it does not believe the new one yet
    assert_int_equal(trust_token(&t->daemon, ROLE_WORKER, announced, &t->err), 0);
    assert_string_equal(announced, before);
    t->daemon.leads = false;
    say(t, both[1], (struct strings){2, both});
    assert_int_equal(rotate_on(t), ROTATION_ANNOUNCED); // another one leads
    t->daemon.leads = true;
    assert_int_equal(rotate_on(t), ROTATION_SIGNING);
    assert_int_equal(rotate_on(t), ROTATION_SIGNING); // its certificate is by the one before
    say(t, both[0], (struct strings){2, both});
    assert_int_equal(rotate_on(t), ROTATION_NONE);
    assert_int_equal(stored(t)->trust->authorities.count, 1);
    assert_string_equal(stored(t)->trust->authorities.items[0], pem.items[0]);
    assert_int_equal(trust_token(&t->daemon, ROLE_WORKER, after, &t->err), 0);
    assert_string_equal(strrchr(after, '-'), strrchr(before, '-'));
    assert_string_not_equal(after, before);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_new_cluster_has_it, setup, teardown),
        cmocka_unit_test_setup_teardown(the_authority_of_a_version_before_is_taken_over, setup, teardown),
        cmocka_unit_test_setup_teardown(a_cluster_without_one_gets_one_of_who_leads, setup, teardown),
        cmocka_unit_test_setup_teardown(a_key_that_does_not_fit_is_not_taken_over, setup, teardown),
        cmocka_unit_test_setup_teardown(without_the_seal_key_nothing_opens_until_it_is_given, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_use_is_counted_where_uses_are_limited, setup, teardown),
        cmocka_unit_test_setup_teardown(the_authority_is_replaced_as_nodes_say_that_they_are_through, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
