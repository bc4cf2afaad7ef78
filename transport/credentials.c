// SPDX-License-Identifier: Apache-2.0
//
// transport/credentials.c — the two files, read and written whole.
#include "transport/credentials.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/limits.h"
#include "base/mem.h"

#define NODE_FILE "node.pem"
#define AUTHORITIES_FILE "authorities.pem"
#define FILE_BYTES_MAX (64 * KIB)
#define KEY_BEGIN "-----BEGIN PRIVATE KEY-----"

static int open_directory(const char *dir, struct error *err) {
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        return fd;
    }
    return errno == ENOENT ? error_set(err, ERR_NOT_FOUND, "open %s: no such directory", dir)
                           : error_sys(err, errno, "open %s", dir);
}

// --- loading ---

static int does_not_fit(struct error *err) {
    return error_set(err, ERR_CORRUPT, "%s; with %s and %s removed, the node can join again",
                     err != NULL ? err->root : "", NODE_FILE, AUTHORITIES_FILE);
}

// The certificate ends where the key begins.
static int split_node_file(const struct buf *node, struct credentials *out, struct error *err) {
    const char *text = buf_text(node);
    const char *key = strstr(text, KEY_BEGIN);
    if (key == NULL) {
        (void)error_set(err, ERR_CORRUPT, "%s holds no private key", NODE_FILE);
        return does_not_fit(err);
    }
    buf_add(&out->certificate, text, (size_t)(key - text));
    buf_add(&out->key, key, node->len - (size_t)(key - text));
    return 0;
}

static int read_files(int dir_fd, struct credentials *out, struct error *err) {
    AUTO_BUF node = {0};
    (void)buf_reserve(&node, 2 * FILE_BYTES_MAX); // it does not grow while it is read: no copy stays behind
    int rc = fs_read(dir_fd, NODE_FILE, FILE_BYTES_MAX, &node, err);
    rc = rc < 0 ? rc : fs_read(dir_fd, AUTHORITIES_FILE, FILE_BYTES_MAX, &out->authorities, err);
    rc = rc < 0 ? rc : split_node_file(&node, out, err);
    certificate_wipe_key(&node);
    return rc;
}

// Dates are not looked at: what has expired is ours all the same.
static int match(const struct credentials *read, struct error *err) {
    struct identity who;
    int rc = certificate_read(buf_bytes(&read->certificate), &who, err);
    rc = rc < 0 ? rc : certificate_match_key(buf_bytes(&read->certificate), buf_bytes(&read->key), err);
    return rc < 0 ? does_not_fit(err) : 0;
}

int credentials_load(const char *dir, struct credentials *out, struct error *err) {
    struct credentials read = {0};
    AUTO_CLOSE int dir_fd = open_directory(dir, err);
    int rc = dir_fd < 0 ? dir_fd : read_files(dir_fd, &read, err);
    rc = rc < 0 ? rc : match(&read, err);
    if (rc < 0) {
        credentials_free(&read);
        return error_wrap(err, rc, "read this node's certificate in %s", dir);
    }
    *out = read;
    return 0;
}

// --- saving ---

static int replace(int dir_fd, const char *name, const struct buf *content, mode_t mode, struct error *err) {
    return fs_replace(dir_fd, name, buf_text(content), content->len, mode, /*sync=*/true, err);
}

int credentials_save(const char *dir, const struct credentials *credentials, struct error *err) {
    AUTO_BUF node = {0};
    AUTO_CLOSE int dir_fd = open_directory(dir, err);
    (void)buf_reserve(&node, credentials->certificate.len + credentials->key.len); // no copy stays behind
    buf_add(&node, credentials->certificate.data, credentials->certificate.len);
    buf_add(&node, credentials->key.data, credentials->key.len);
    int rc = dir_fd < 0 ? dir_fd : replace(dir_fd, AUTHORITIES_FILE, &credentials->authorities, 0644, err);
    rc = rc < 0 ? rc : replace(dir_fd, NODE_FILE, &node, 0600, err);
    certificate_wipe_key(&node);
    return error_wrap(err, rc, "keep this node's certificate in %s", dir);
}

// --- the rest ---

int credentials_check(const struct credentials *credentials, int64_t unix_ms, struct identity *out,
                      struct error *err) {
    struct certificate_wanted wanted = {.unix_ms = unix_ms};
    return certificate_verify(buf_bytes(&credentials->certificate), buf_bytes(&credentials->authorities),
                              &wanted, out, err);
}

void credentials_free(struct credentials *credentials) {
    certificate_wipe_key(&credentials->key);
    buf_free(&credentials->certificate);
    buf_free(&credentials->authorities);
}
