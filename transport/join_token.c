// SPDX-License-Identifier: Apache-2.0
//
// transport/join_token.c — numbers in base 36, most significant digit first, and a comparison that takes as
// long for any two secrets.
//
// No OpenSSL here, so that programs without it can look at a token too.
#include "transport/join_token.h"

#include <string.h>

#define DIGITS "0123456789abcdefghijklmnopqrstuvwxyz"
#define PREFIX_LEN (sizeof JOIN_TOKEN_PREFIX - 1)

struct join_token join_token_make(const uint8_t authority_digest[JOIN_TOKEN_DIGEST_BYTES]) {
    struct join_token token = {.secret = id_random()};
    memcpy(token.digest, authority_digest, sizeof token.digest);
    return token;
}

// --- base 36 ---

// Divides the number by 36 in place; the remainder is its last digit.
static unsigned divide(uint8_t number[JOIN_TOKEN_DIGEST_BYTES]) {
    unsigned rest = 0;
    for (int i = 0; i < JOIN_TOKEN_DIGEST_BYTES; i++) {
        unsigned value = rest << 8 | number[i];
        number[i] = (uint8_t)(value / 36);
        rest = value % 36;
    }
    return rest;
}

// Multiplies by 36 and adds a digit; false when the number does not fit any more.
static bool multiply(uint8_t number[JOIN_TOKEN_DIGEST_BYTES], unsigned digit) {
    unsigned carry = digit;
    for (int i = JOIN_TOKEN_DIGEST_BYTES - 1; i >= 0; i--) {
        unsigned value = number[i] * 36U + carry;
        number[i] = (uint8_t)value;
        carry = value >> 8;
    }
    return carry == 0;
}

static bool parse_digest(const char *digits, uint8_t out[JOIN_TOKEN_DIGEST_BYTES]) {
    uint8_t number[JOIN_TOKEN_DIGEST_BYTES] = {0};
    for (int i = 0; i < JOIN_TOKEN_DIGEST_DIGITS; i++) {
        if (!multiply(number, (unsigned)(strchr(DIGITS, digits[i]) - DIGITS))) {
            return false;
        }
    }
    memcpy(out, number, sizeof number);
    return true;
}

// --- text ---

void join_token_format(const struct join_token *token, char out[JOIN_TOKEN_LEN + 1]) {
    uint8_t number[JOIN_TOKEN_DIGEST_BYTES];
    char *digest = out + PREFIX_LEN;
    memcpy(number, token->digest, sizeof number);
    memcpy(out, JOIN_TOKEN_PREFIX, PREFIX_LEN);
    for (int i = JOIN_TOKEN_DIGEST_DIGITS - 1; i >= 0; i--) {
        digest[i] = DIGITS[divide(number)];
    }
    digest[JOIN_TOKEN_DIGEST_DIGITS] = '-';
    memcpy(digest + JOIN_TOKEN_DIGEST_DIGITS + 1, token->secret.text, ID_LEN + 1);
}

static const char *why_no_token(const char *text) {
    const size_t secret_at = JOIN_TOKEN_LEN - ID_LEN;
    if (strncmp(text, JOIN_TOKEN_PREFIX, PREFIX_LEN) != 0) {
        return "it does not begin with " JOIN_TOKEN_PREFIX;
    }
    if (strlen(text) != JOIN_TOKEN_LEN) {
        return strlen(text) < JOIN_TOKEN_LEN ? "it is cut" : "it is too long";
    }
    if (strspn(text + PREFIX_LEN, DIGITS) != JOIN_TOKEN_DIGEST_DIGITS || text[secret_at - 1] != '-' ||
        strspn(text + secret_at, DIGITS) != ID_LEN) {
        return "it holds other characters than digits and small letters";
    }
    return NULL;
}

int join_token_parse(const char *text, struct join_token *out, struct error *err) {
    struct join_token token;
    const char *why = why_no_token(text);
    if (why == NULL && !parse_digest(text + PREFIX_LEN, token.digest)) {
        why = "its first number is too large";
    }
    if (why != NULL) {
        return error_set(
            err, ERR_INVALID,
            "this is no join token: %s; a manager shows the right one by 'muster swarm join-token'", why);
    }
    memcpy(token.secret.text, text + JOIN_TOKEN_LEN - ID_LEN, ID_LEN + 1);
    *out = token;
    return 0;
}

// --- comparing ---

static bool is_equal(const void *a, const void *b, size_t len) {
    const volatile uint8_t *left = a, *right = b;
    uint8_t difference = 0;
    for (size_t i = 0; i < len; i++) {
        difference |= left[i] ^ right[i];
    }
    return difference == 0;
}

int join_token_check_authority(const struct join_token *token,
                               const uint8_t authority_digest[JOIN_TOKEN_DIGEST_BYTES], struct error *err) {
    if (is_equal(token->digest, authority_digest, JOIN_TOKEN_DIGEST_BYTES)) {
        return 0;
    }
    return error_set(
        err, ERR_DENIED,
        "the manager there is not of the cluster that the token is for: check the address, and get "
        "the token anew by 'muster swarm join-token' if the cluster's authority was changed");
}

bool join_token_has_secret(const struct join_token *token, const struct id *secret) {
    return is_equal(token->secret.text, secret->text, ID_LEN);
}
