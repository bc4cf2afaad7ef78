// SPDX-License-Identifier: Apache-2.0
//
// test/unit/test_transport_tls.c — two ends of TLS in memory: who believes whom, who is told why not, and
// that bytes arrive however they are cut.
#include "test/lib/check.h"
#include "test/lib/papers.h"

#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/prng.h"
#include "transport/tls.h"

static const struct id manager = {"manager0000000000000000ma"}, worker = {"worker00000000000000000wo"};
// `liar` calls itself by our cluster's name, but has an authority of its own; `mistaken` is our authority,
// signing for another cluster.
static struct papers ours, liar, mistaken;
static int64_t now_unix_ms;

static int begin(void **state) {
    (void)state;
    now_unix_ms = clock_unix_ms();
    ours = papers_make(now_unix_ms);
    mistaken = ours;
    mistaken.cluster_id = id_random();
    liar = (struct papers){.cluster_id = ours.cluster_id};
    return authority_make(&liar.cluster_id, now_unix_ms, &liar.authority, &liar.authority_key, NULL);
}

static int end(void **state) {
    (void)state;
    papers_free(&ours);
    papers_free(&liar);
    return 0;
}

// --- two ends ---

struct shown { // a certificate, and how long ago it was made
    const char *what;
    const struct papers *signer;
    enum node_role role;
    int64_t age_ms, valid_ms;
};

// Trusts our authority, whoever signed what it shows.
static struct tls *tls_showing(struct shown shown, bool admits_strangers) {
    struct tls *tls;
    struct credentials credentials =
        papers_issue(shown.signer, shown.role == ROLE_MANAGER ? &manager : &worker, shown.role,
                     now_unix_ms - shown.age_ms, shown.valid_ms);
    buf_clear(&credentials.authorities);
    buf_adds(&credentials.authorities, buf_text(&ours.authority));
    struct tls_options options = {.credentials = &credentials, .admits_strangers = admits_strangers};
    assert_int_equal(tls_new(&options, &tls, NULL), 0);
    credentials_free(&credentials);
    return tls;
}

static struct tls *good_tls(enum node_role role) {
    return tls_showing((struct shown){.signer = &ours, .role = role, .valid_ms = DAY_MS}, false);
}

static struct tls *tls_of_joiner(const struct papers *papers) {
    struct tls *tls;
    struct join_token token;
    uint8_t digest[CERTIFICATE_DIGEST_BYTES];
    assert_int_equal(certificate_digest(buf_bytes(&papers->authority), digest, NULL), 0);
    token = join_token_make(digest);
    assert_int_equal(tls_new(&(struct tls_options){.token = &token}, &tls, NULL), 0);
    assert_false(tls_has_certificate(tls));
    return tls;
}

struct side {
    struct cover *cover;
    struct error failure;
    bool is_over;
    struct buf got; // plain
};

// What the side gives, in pieces of at most `cut` bytes, to the other one. True when there was something.
static bool carry(struct side *from, struct side *to, size_t cut) {
    struct buf given = from->cover->ops->give(from->cover);
    for (size_t at = 0; at < given.len && !to->is_over; at += cut) {
        size_t len = given.len - at < cut ? given.len - at : cut;
        to->cover->ops->lend(to->cover, (const uint8_t *)given.data + at, len);
        for (;;) {
            uint8_t plain[300];
            ssize_t count = to->cover->ops->read(to->cover, plain, sizeof plain, &to->failure);
            to->is_over = count < 0;
            if (count <= 0) {
                break;
            }
            buf_add(&to->got, plain, (size_t)count);
        }
    }
    bool was_something = given.len > 0;
    buf_free(&given);
    return was_something;
}

static void converse(struct side *dialer, struct side *acceptor, size_t cut) {
    while (carry(dialer, acceptor, cut) || carry(acceptor, dialer, cut)) {
    }
}

// The owners let go of the settings at once: connections live on.
static void meet(struct tls *dialing, struct tls *accepting, struct side *dialer, struct side *acceptor,
                 size_t cut) {
    uint8_t plain[8];
    *dialer = (struct side){.cover = tls_dial(dialing)};
    *acceptor = (struct side){.cover = tls_accept(accepting)};
    tls_free(dialing);
    tls_free(accepting);
    assert_int_equal(dialer->cover->ops->read(dialer->cover, plain, sizeof plain, NULL), 0);
    converse(dialer, acceptor, cut);
}

static void part(struct side *dialer, struct side *acceptor) {
    dialer->cover->ops->free(dialer->cover);
    acceptor->cover->ops->free(acceptor->cover);
    buf_free(&dialer->got);
    buf_free(&acceptor->got);
}

static bool is_ready(const struct side *side) {
    return !side->is_over && side->cover->ops->is_ready(side->cover);
}

static void assert_says(const struct side *side, const char *text) {
    if (!side->is_over || strstr(side->failure.root, text) == NULL) {
        fail_msg("'%s' is not '%s'", side->failure.root, text);
    }
}

// --- who believes whom ---

static void both_know_who_the_other_is(void **state) {
    (void)state;
    struct side dialer, acceptor;
    meet(good_tls(ROLE_WORKER), good_tls(ROLE_MANAGER), &dialer, &acceptor, SIZE_MAX);
    assert_true(is_ready(&dialer) && is_ready(&acceptor));
    const struct identity *there = dialer.cover->ops->peer(dialer.cover);
    const struct identity *here = acceptor.cover->ops->peer(acceptor.cover);
    assert_true(id_equal(&there->node_id, &manager) && there->role == ROLE_MANAGER);
    assert_true(id_equal(&here->node_id, &worker) && here->role == ROLE_WORKER);
    assert_true(id_equal(&here->cluster_id, &ours.cluster_id));
    part(&dialer, &acceptor);
}

static void bytes_arrive_however_they_are_cut(void **state) {
    (void)state;
    static const size_t cuts[] = {1, 5, 17, 1000, 16409, SIZE_MAX};
    static uint8_t sent[100000];
    for (size_t i = 0; i < sizeof sent; i++) {
        sent[i] = (uint8_t)(i * 7);
    }
    for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++) {
        struct side dialer, acceptor;
        meet(good_tls(ROLE_MANAGER), good_tls(ROLE_MANAGER), &dialer, &acceptor, cuts[i]);
        for (size_t at = 0; at < sizeof sent; at += 20000) {
            assert_int_equal(dialer.cover->ops->write(dialer.cover, sent + at, 20000, NULL), 0);
            assert_int_equal(acceptor.cover->ops->write(acceptor.cover, sent + at, 100, NULL), 0);
            converse(&dialer, &acceptor, cuts[i]);
        }
        assert_int_equal(acceptor.got.len, sizeof sent);
        assert_memory_equal(acceptor.got.data, sent, sizeof sent);
        assert_int_equal(dialer.got.len, 500);
        part(&dialer, &acceptor);
    }
}

static const struct {
    struct shown shown;
    const char *why;  // to who looks at it
    const char *told; // to who shows it
} bad[] = {
    {{"of another authority", &liar, ROLE_MANAGER, 0, DAY_MS},
     "not signed by this cluster's authority",
     "not of its cluster"},
    {{"of another cluster", &mistaken, ROLE_MANAGER, 0, DAY_MS}, "is of cluster", "its log says why"},
    {{"expired", &ours, ROLE_MANAGER, 3 * DAY_MS, DAY_MS}, "expired at", "out of date"},
    {{"not valid yet", &ours, ROLE_MANAGER, -2 * DAY_MS, DAY_MS}, "is valid from", "its log says why"},
    {{"of a worker", &ours, ROLE_WORKER, 0, DAY_MS}, "is a worker, where only managers", "its log says why"},
};
#define BAD_CALLERS (sizeof bad / sizeof *bad - 1) // workers may call

static void a_bad_caller_is_refused_and_told_why(void **state) {
    (void)state;
    for (size_t i = 0; i < BAD_CALLERS; i++) {
        for (int admits_strangers = 0; admits_strangers < 2; admits_strangers++) {
            struct side dialer, acceptor;
            struct shown good = {.signer = &ours, .role = ROLE_MANAGER, .valid_ms = DAY_MS};
            meet(tls_showing(bad[i].shown, false), tls_showing(good, admits_strangers), &dialer, &acceptor,
                 100);
            if (bad[i].shown.signer == &mistaken) {
                assert_says(&dialer, bad[i].why); // to it, ours is the foreign cluster
            } else {
                assert_says(&acceptor, bad[i].why);
                assert_says(&dialer, bad[i].told); // it had thought itself ready
            }
            assert_false(acceptor.cover->ops->is_ready(acceptor.cover));
            assert_null(acceptor.cover->ops->peer(acceptor.cover));
            part(&dialer, &acceptor);
        }
    }
}

static void one_that_answers_badly_is_refused_and_told_why(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct side dialer, acceptor;
        meet(good_tls(ROLE_MANAGER), tls_showing(bad[i].shown, true), &dialer, &acceptor, 100);
        assert_says(&dialer, bad[i].why);
        assert_says(&acceptor, bad[i].told);
        assert_false(is_ready(&dialer) || is_ready(&acceptor));
        assert_null(dialer.cover->ops->peer(dialer.cover));
        part(&dialer, &acceptor);
    }
}

// --- joining ---

static void a_joiner_believes_the_authority_of_its_token(void **state) {
    (void)state;
    struct side dialer, acceptor;
    struct shown good = {.signer = &ours, .role = ROLE_MANAGER, .valid_ms = DAY_MS};
    meet(tls_of_joiner(&ours), tls_showing(good, true), &dialer, &acceptor, 100);
    assert_true(is_ready(&dialer) && is_ready(&acceptor));
    assert_true(id_equal(&dialer.cover->ops->peer(dialer.cover)->node_id, &manager));
    assert_null(acceptor.cover->ops->peer(acceptor.cover)); // nobody that is known
    part(&dialer, &acceptor);
}

static void a_joiner_says_nothing_to_others(void **state) {
    (void)state;
    struct side dialer, acceptor;
    struct shown good = {.signer = &ours, .role = ROLE_MANAGER, .valid_ms = DAY_MS};
    meet(tls_of_joiner(&liar), tls_showing(good, true), &dialer, &acceptor, 100);
    assert_says(&dialer, "not of the cluster that the token is for");
    assert_false(is_ready(&dialer));
    part(&dialer, &acceptor);
    // Who shows the right authority, but is not signed by it, or no manager.
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (bad[i].shown.signer == &mistaken) {
            continue; // the joiner knows of no cluster's id yet
        }
        meet(tls_of_joiner(&ours), tls_showing(bad[i].shown, true), &dialer, &acceptor, 100);
        assert_says(&dialer, bad[i].why);
        assert_false(is_ready(&dialer));
        part(&dialer, &acceptor);
    }
}

static void without_a_certificate_nobody_gets_in_unless_told_to(void **state) {
    (void)state;
    struct side dialer, acceptor;
    meet(tls_of_joiner(&ours), good_tls(ROLE_MANAGER), &dialer, &acceptor, 100);
    assert_says(&acceptor, "it has no certificate");
    assert_says(&dialer, "join first");
    part(&dialer, &acceptor);
}

// --- those that do not speak TLS ---

static void tell(struct side *side, const void *data, size_t len) {
    uint8_t plain[100];
    side->cover->ops->lend(side->cover, data, len);
    side->is_over = side->cover->ops->read(side->cover, plain, sizeof plain, &side->failure) < 0;
}

static void garbage_ends_the_handshake(void **state) {
    (void)state;
    static const char *const texts[] = {"GET / HTTP/1.1\r\nHost: muster\r\n\r\n", "SSH-2.0-OpenSSH_9.2\r\n",
                                        "\x10\x10\x10\x10\xC0\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct tls *tls = good_tls(ROLE_MANAGER);
        struct side side = {.cover = tls_accept(tls)};
        tell(&side, texts[i], strlen(texts[i]));
        assert_says(&side, "what it says is not the TLS 1.3 of a node: ");
        side.cover->ops->free(side.cover);
        tls_free(tls);
    }
}

// Any byte of the first flight, changed: the connection ends, or waits for more.
static void no_damage_lets_anybody_in(void **state) {
    (void)state;
    struct prng prng;
    prng_seed(&prng, 3);
    struct tls *dialing = good_tls(ROLE_MANAGER), *accepting = good_tls(ROLE_MANAGER);
    for (int i = 0; i < 300; i++) {
        struct side dialer = {.cover = tls_dial(dialing)}, acceptor = {.cover = tls_accept(accepting)};
        tell(&dialer, NULL, 0);
        struct buf given = dialer.cover->ops->give(dialer.cover);
        given.data[prng_below(&prng, given.len)] ^= (char)(1 + prng_below(&prng, 255));
        tell(&acceptor, given.data, given.len);
        buf_free(&given);
        converse(&dialer, &acceptor, 100);
        assert_false(is_ready(&dialer) && is_ready(&acceptor));
        part(&dialer, &acceptor);
    }
    tls_free(dialing);
    tls_free(accepting);
}

static void a_changed_record_ends_the_connection(void **state) {
    (void)state;
    struct side dialer, acceptor;
    meet(good_tls(ROLE_MANAGER), good_tls(ROLE_MANAGER), &dialer, &acceptor, SIZE_MAX);
    assert_int_equal(dialer.cover->ops->write(dialer.cover, (const uint8_t *)"word", 4, NULL), 0);
    struct buf given = dialer.cover->ops->give(dialer.cover);
    given.data[given.len - 1] ^= 1;
    tell(&acceptor, given.data, given.len);
    assert_true(acceptor.is_over);
    assert_int_equal(acceptor.got.len, 0);
    buf_free(&given);
    part(&dialer, &acceptor);
}

// --- settings ---

static void credentials_that_do_not_fit_are_refused(void **state) {
    (void)state;
    struct error err = {0};
    struct tls *tls;
    struct credentials credentials = papers_issue(&ours, &manager, ROLE_MANAGER, now_unix_ms, DAY_MS);
    struct credentials other = papers_issue(&ours, &manager, ROLE_MANAGER, now_unix_ms, DAY_MS);
    struct credentials mixed = {other.key, credentials.certificate, credentials.authorities};
    struct credentials nobodys = {credentials.key, credentials.certificate, {0}};
    struct credentials authoritys = {ours.authority_key, ours.authority, ours.authority};
    assert_int_equal(tls_new(&(struct tls_options){.credentials = &mixed}, &tls, &err), -ERR_CONFLICT);
    assert_int_equal(tls_new(&(struct tls_options){.credentials = &nobodys}, &tls, &err), -ERR_INVALID);
    assert_int_equal(tls_new(&(struct tls_options){.credentials = &authoritys}, &tls, &err), -ERR_INVALID);
    credentials_free(&credentials);
    credentials_free(&other);
    tls_free(NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
static const struct CMUnitTest tests[] = {
    TEST(both_know_who_the_other_is),
    TEST(bytes_arrive_however_they_are_cut),
    TEST(a_bad_caller_is_refused_and_told_why),
    TEST(one_that_answers_badly_is_refused_and_told_why),
    TEST(a_joiner_believes_the_authority_of_its_token),
    TEST(a_joiner_says_nothing_to_others),
    TEST(without_a_certificate_nobody_gets_in_unless_told_to),
    TEST(garbage_ends_the_handshake),
    TEST(no_damage_lets_anybody_in),
    TEST(a_changed_record_ends_the_connection),
    TEST(credentials_that_do_not_fit_are_refused),
};
CHECK_MAIN(tests)
