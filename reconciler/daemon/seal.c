// SPDX-License-Identifier: Apache-2.0
//
// reconciler/daemon/seal.c — AES-256-GCM by OpenSSL, and a line of hexadecimal digits.
#include "reconciler/daemon/seal.h"

#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/fs.h"
#include "base/limits.h"
#include "base/mem.h"
#include "transport/certificate.h"
#include "transport/openssl.h"

#define VERSION 1
#define NONCE_BYTES 12
#define TAG_BYTES 16
#define HEAD_BYTES (1 + NONCE_BYTES)
_Static_assert(SEAL_OVERHEAD_BYTES == HEAD_BYTES + TAG_BYTES, "of version 1");

// --- the key ---

#define KEY_FILE "seal.key"
#define KEY_WORD "muster-seal-key-1 "
#define KEY_FILE_BYTES (sizeof KEY_WORD - 1 + 2 * SEAL_KEY_BYTES + 1)

void seal_key_wipe(struct seal_key *key) {
    OPENSSL_cleanse(key, sizeof *key);
}

int seal_key_make(struct seal_key *out, struct error *err) {
    return RAND_bytes(out->bytes, sizeof out->bytes) == 1
               ? 0
               : openssl_error(err, ERR_SYSTEM, "make the cluster's seal key");
}

static int digit_of(char c) {
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool parse_key(const struct buf *text, struct seal_key *out) {
    const char *digits = buf_text(text) + sizeof KEY_WORD - 1;
    if (text->len != KEY_FILE_BYTES || memcmp(text->data, KEY_WORD, sizeof KEY_WORD - 1) != 0 ||
        text->data[text->len - 1] != '\n') {
        return false;
    }
    for (size_t i = 0; i < SEAL_KEY_BYTES; i++) {
        int high = digit_of(digits[2 * i]), low = digit_of(digits[2 * i + 1]);
        if (high < 0 || low < 0) {
            return false;
        }
        out->bytes[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

int seal_key_load(const char *dir, struct seal_key *out, struct error *err) {
    AUTO_FREE char *path = xasprintf("%s/" KEY_FILE, dir);
    struct buf text = {0};
    struct seal_key key AUTO_SEAL_KEY;
    (void)buf_reserve(&text, 4 * KIB); // it does not grow while it is read: no copy stays behind
    int rc = fs_read(AT_FDCWD, path, KIB, &text, err);
    if (rc == 0 && !parse_key(&text, &key)) {
        rc = error_set(err, ERR_CORRUPT, "%s holds no seal key: restore it; a copy is on each other manager",
                       path);
    }
    certificate_wipe_key(&text);
    if (rc == 0) {
        *out = key;
    }
    return rc;
}

int seal_key_save(const char *dir, const struct seal_key *key, struct error *err) {
    AUTO_FREE char *path = xasprintf("%s/" KEY_FILE, dir);
    char text[KEY_FILE_BYTES + 1] = KEY_WORD;
    for (size_t i = 0; i < SEAL_KEY_BYTES; i++) {
        snprintf(text + sizeof KEY_WORD - 1 + 2 * i, 3, "%02x", key->bytes[i]);
    }
    text[KEY_FILE_BYTES - 1] = '\n';
    int rc = fs_replace(AT_FDCWD, path, text, KEY_FILE_BYTES, 0600, /*sync=*/true, err);
    OPENSSL_cleanse(text, sizeof text);
    return error_wrap(err, rc, "keep the cluster's seal key");
}

// --- sealing ---

static void free_cipher(EVP_CIPHER_CTX **cipher) {
    EVP_CIPHER_CTX_free(*cipher);
}
#define AUTO_CIPHER __attribute__((cleanup(free_cipher))) EVP_CIPHER_CTX *

// Ready for the bytes: key, nonce and what is authenticated beside them. `head` is version and nonce.
static bool begin(EVP_CIPHER_CTX *cipher, const struct seal_key *key, const uint8_t *head,
                  const struct seal_label *label, bool closes) {
    int len;
    const char *id = label->cluster_id->text;
    ASSERT(strlen(id) == ID_LEN); // so that it cannot run into the purpose
    return cipher != NULL &&
           EVP_CipherInit_ex2(cipher, EVP_aes_256_gcm(), key->bytes, head + 1, closes, NULL) == 1 &&
           EVP_CipherUpdate(cipher, NULL, &len, head, 1) == 1 &&
           EVP_CipherUpdate(cipher, NULL, &len, (const uint8_t *)id, ID_LEN) == 1 &&
           EVP_CipherUpdate(cipher, NULL, &len, (const uint8_t *)label->purpose,
                            (int)strlen(label->purpose)) == 1;
}

int seal_close(const struct seal_key *key, const struct seal_label *label, struct bytes plain,
               struct buf *out, struct error *err) {
    uint8_t head[HEAD_BYTES] = {VERSION}, tag[TAG_BYTES];
    int len = 0;
    AUTO_CIPHER cipher = EVP_CIPHER_CTX_new();
    ASSERT(plain.len > 0 && plain.len <= SEAL_BYTES_MAX - SEAL_OVERHEAD_BYTES);
    AUTO_FREE uint8_t *text = xmalloc(plain.len + 1);
    if (RAND_bytes(head + 1, NONCE_BYTES) != 1 || !begin(cipher, key, head, label, /*closes=*/true) ||
        EVP_CipherUpdate(cipher, text, &len, plain.data, (int)plain.len) != 1 ||
        EVP_CipherFinal_ex(cipher, text + len, &len) != 1 ||
        EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_GCM_GET_TAG, TAG_BYTES, tag) != 1) {
        return openssl_error(err, ERR_SYSTEM, "seal the %s", label->purpose);
    }
    buf_add(out, head, sizeof head);
    buf_add(out, text, plain.len);
    buf_add(out, tag, sizeof tag);
    return 0;
}

static int check_sealed(struct bytes sealed, const struct seal_label *label, struct error *err) {
    if (sealed.len > 0 && sealed.data[0] > VERSION) {
        return error_set(err, ERR_UNSUPPORTED,
                         "the %s is sealed in a newer way (%u) than this version knows: use that version",
                         label->purpose, sealed.data[0]);
    }
    if (sealed.len <= SEAL_OVERHEAD_BYTES || sealed.len > SEAL_BYTES_MAX || sealed.data[0] != VERSION) {
        return error_set(err, ERR_CORRUPT, "the sealed %s is damaged: %zu bytes that are no seal",
                         label->purpose, sealed.len);
    }
    return 0;
}

int seal_open(const struct seal_key *key, const struct seal_label *label, struct bytes sealed,
              struct buf *out, struct error *err) {
    int len = 0;
    int rc = check_sealed(sealed, label, err);
    if (rc < 0) {
        return rc;
    }
    size_t plain_len = sealed.len - SEAL_OVERHEAD_BYTES;
    uint8_t tag[TAG_BYTES];
    AUTO_CIPHER cipher = EVP_CIPHER_CTX_new();
    memcpy(tag, sealed.data + sealed.len - TAG_BYTES, TAG_BYTES);
    uint8_t *plain = (uint8_t *)buf_reserve(out, plain_len + 1);
    ASSERT(plain != NULL);
    if (!begin(cipher, key, sealed.data, label, /*closes=*/false) ||
        EVP_CipherUpdate(cipher, plain, &len, sealed.data + HEAD_BYTES, (int)plain_len) != 1 ||
        EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_GCM_SET_TAG, TAG_BYTES, tag) != 1 ||
        EVP_CipherFinal_ex(cipher, plain + len, &len) != 1) {
        OPENSSL_cleanse(plain, plain_len); // nobody sees what was not proven
        return openssl_error(err, ERR_CORRUPT,
                             "the sealed %s is damaged, or of another seal key than this manager's",
                             label->purpose);
    }
    out->len += plain_len;
    out->data[out->len] = '\0';
    return 0;
}
