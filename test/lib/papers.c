// SPDX-License-Identifier: Apache-2.0
//
// test/lib/papers.c — the way of a real node's certificate, without the messages.
#include "test/lib/papers.h"

#include "base/assert.h"

struct papers papers_make(int64_t unix_ms) {
    struct papers papers = {.cluster_id = id_random()};
    int rc = authority_make(&papers.cluster_id, unix_ms, &papers.authority, &papers.authority_key, NULL);
    ASSERT(rc == 0);
    return papers;
}

void papers_free(struct papers *papers) {
    buf_free(&papers->authority);
    certificate_wipe_key(&papers->authority_key);
}

struct credentials papers_issue(const struct papers *papers, const struct id *node_id, enum node_role role,
                                int64_t unix_ms, int64_t valid_ms) {
    struct credentials out = {0};
    AUTO_BUF request = {0};
    struct authority_order order = {*node_id, papers->cluster_id, role, unix_ms, valid_ms};
    int rc = certificate_make_key(&out.key, NULL);
    rc = rc < 0 ? rc : certificate_request(buf_bytes(&out.key), &request, NULL);
    rc = rc < 0 ? rc
                : authority_sign(buf_bytes(&papers->authority), buf_bytes(&papers->authority_key),
                                 buf_bytes(&request), &order, &out.certificate, NULL);
    ASSERT(rc == 0);
    buf_add(&out.authorities, papers->authority.data, papers->authority.len);
    return out;
}
