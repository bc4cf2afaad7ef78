// SPDX-License-Identifier: Apache-2.0
//
// reconciler/daemon/passport.c — files to links, and what managers give to files.
#include "reconciler/daemon/passport.h"

#include "base/assert.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"
#include "reconciler/daemon/certificates.h"
#include "reconciler/daemon/daemon.h"

bool passport_is_of(const struct passport *passport, const struct id *cluster_id) {
    return passport_is_there(passport) && id_equal(&passport->identity.cluster_id, cluster_id);
}

bool passport_is_expired(const struct passport *passport, int64_t unix_ms) {
    return passport_is_there(passport) && unix_ms >= passport->identity.not_after_unix_ms;
}

bool passport_is_early(const struct passport *passport, int64_t unix_ms) {
    return passport_is_there(passport) && unix_ms < passport->identity.not_before_unix_ms;
}

const char *passport_explain_time(const struct passport *passport, int64_t unix_ms, struct arena *arena) {
    const struct identity *identity = &passport->identity;
    bool is_early = passport_is_early(passport, unix_ms);
    char limit[40], now[40];
    if (!is_early && !passport_is_expired(passport, unix_ms)) {
        return NULL;
    }
    clock_format_rfc3339(is_early ? identity->not_before_unix_ms : identity->not_after_unix_ms, limit,
                         sizeof limit);
    clock_format_rfc3339(unix_ms, now, sizeof now);
    return arena_printf(
        arena,
        "the certificate of this node %s at %s, and its clock says %s: set the clock, if that is "
        "wrong%s",
        is_early ? "begins" : "expired", limit, now,
        is_early ? "" : "; else \"muster swarm join --token\" brings the node back");
}

void passport_free(struct passport *passport) {
    tls_free(passport->next);
    buf_free(&passport->authorities);
    *passport = (struct passport){0};
}

// --- links ---

struct tls *passport_blank(void) {
    static const struct join_token nobodys = {{0}, {{0}}}; // no certificate has such a digest
    struct tls *tls;
    int rc = tls_new(&(struct tls_options){.token = &nobodys}, &tls, NULL);
    ASSERT(rc == 0); // only credentials can be wrong
    return tls;
}

static void set_next(struct passport *passport, struct tls *tls) {
    tls_free(passport->next);
    passport->next = tls;
}

void passport_step(struct daemon *daemon) {
    struct group *group = &daemon->group;
    if (group->passport.next != NULL && group->peers != NULL) {
        peers_set_tls(group->peers, TAKE(group->passport.next));
    }
}

int passport_use_token(struct daemon *daemon, const struct join_token *token, struct error *err) {
    struct tls *tls;
    int rc = tls_new(&(struct tls_options){.token = token}, &tls, err);
    if (rc == 0) {
        set_next(&daemon->group.passport, tls);
    }
    return rc;
}

void passport_use_own(struct daemon *daemon) {
    struct tls *tls = NULL;
    (void)passport_tls(daemon, &tls, NULL); // what cannot be read any more shows nothing
    set_next(&daemon->group.passport, tls != NULL ? tls : passport_blank());
}

// --- files ---

static int read_files(const struct daemon *daemon, const struct id *cluster_id, struct credentials *out,
                      struct error *err) {
    AUTO_FREE char *dir = certificates_dir(daemon->options->state_dir, cluster_id);
    return credentials_load(dir, out, err);
}

static int make_tls(const struct credentials *credentials, struct tls **out, struct error *err) {
    return tls_new(&(struct tls_options){.credentials = credentials, .admits_strangers = true}, out, err);
}

int passport_tls(const struct daemon *daemon, struct tls **out, struct error *err) {
    struct credentials read = {0};
    const struct passport *passport = &daemon->group.passport;
    if (!passport_is_there(passport)) {
        return error_set(err, ERR_NOT_FOUND, "this node has no certificate");
    }
    int rc = read_files(daemon, &passport->identity.cluster_id, &read, err);
    rc = rc < 0 ? rc : make_tls(&read, out, err);
    credentials_free(&read);
    return rc;
}

// What it says must be about this node.
static int show(struct daemon *daemon, const struct credentials *credentials, struct error *err) {
    struct passport *passport = &daemon->group.passport;
    struct identity identity;
    struct tls *tls;
    int rc = certificate_read(buf_bytes(&credentials->certificate), &identity, err);
    if (rc == 0 && !id_equal(&identity.node_id, &daemon->node_id)) {
        rc = error_set(err, ERR_CONFLICT, "the certificate is of node %.12s, and this is %.12s",
                       identity.node_id.text, daemon->node_id.text);
    }
    rc = rc < 0 ? rc : make_tls(credentials, &tls, err);
    if (rc < 0) {
        return rc;
    }
    passport->identity = identity;
    buf_clear(&passport->authorities);
    buf_add(&passport->authorities, credentials->authorities.data, credentials->authorities.len);
    set_next(passport, tls);
    self_see_certificate(daemon, &identity.cluster_id);
    return 0;
}

int passport_load(struct daemon *daemon, const struct id *cluster_id, struct error *err) {
    struct credentials read = {0};
    int rc = read_files(daemon, cluster_id, &read, err);
    rc = rc < 0 ? rc : show(daemon, &read, err);
    credentials_free(&read);
    return rc;
}

// --- what a manager gave ---

static int check(const struct daemon *daemon, const struct passport_given *given, struct identity *out,
                 struct error *err) {
    struct certificate_wanted wanted = {.unix_ms = daemon->now.unix_ms,
                                        .is_manager = given->role == ROLE_MANAGER};
    int rc = certificate_verify(given->certificate, given->authorities, &wanted, out, err);
    return rc < 0 ? rc : certificate_match_key(given->certificate, given->key, err);
}

int passport_take(struct daemon *daemon, const struct passport_given *given, struct error *err) {
    struct credentials own = {0};
    struct identity identity;
    int rc = check(daemon, given, &identity, err);
    if (rc < 0) {
        return error_wrap(err, rc, "use the certificate that was given to this node");
    }
    AUTO_FREE char *dir = certificates_dir(daemon->options->state_dir, &identity.cluster_id);
    (void)buf_reserve(&own.key, given->key.len); // no copy stays behind
    buf_add(&own.key, given->key.data, given->key.len);
    buf_add(&own.certificate, given->certificate.data, given->certificate.len);
    buf_add(&own.authorities, given->authorities.data, given->authorities.len);
    rc = fs_make_dirs(dir, 0700, err);
    rc = rc < 0 ? rc : credentials_save(dir, &own, err);
    rc = rc < 0 ? rc : show(daemon, &own, err);
    credentials_free(&own);
    return rc;
}
