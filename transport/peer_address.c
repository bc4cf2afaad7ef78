// SPDX-License-Identifier: Apache-2.0
//
// transport/peer_address.c — takes an address apart and looks at whose it is.
#include "transport/peer_address.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"

static int not_an_address(const char *address, struct error *err) {
    return error_set(err, ERR_INVALID,
                     "'%s' is not a numeric address and a port (like 127.0.0.1:4242 or [::1]:4242)", address);
}

// The host without brackets; false when it is too long or the brackets do not match.
static bool take_host(const char *address, const char *colon, char *out, size_t out_bytes, bool *out_is_v6) {
    size_t len = (size_t)(colon - address);
    *out_is_v6 = len >= 2 && address[0] == '[' && colon[-1] == ']';
    if (*out_is_v6) {
        address++;
        len -= 2;
    }
    if (len == 0 || len >= out_bytes) {
        return false;
    }
    memcpy(out, address, len);
    out[len] = '\0';
    return true;
}

static bool is_loopback(bool is_v6, const uint8_t *bytes) {
    static const uint8_t v6[16] = {[15] = 1};
    return is_v6 ? memcmp(bytes, v6, sizeof v6) == 0 : bytes[0] == 127;
}

int peer_address_url(const char *address, bool is_secure, char out[PEER_URL_BYTES], struct error *err) {
    char host[48];
    uint8_t bytes[16];
    int64_t port;
    bool is_v6;
    const char *colon = strrchr(address, ':');
    if (colon == NULL || !take_host(address, colon, host, sizeof host, &is_v6) ||
        !str_to_int(colon + 1, &port) || port < 0 || port > 65535 ||
        inet_pton(is_v6 ? AF_INET6 : AF_INET, host, bytes) != 1) {
        return not_an_address(address, err);
    }
    if (!is_secure && !is_loopback(is_v6, bytes)) {
        return error_set(
            err, ERR_UNSUPPORTED,
            "%s is not a loopback address (127.0.0.0/8 or [::1]): links without TLS do not leave this "
            "machine",
            address);
    }
    snprintf(out, PEER_URL_BYTES, is_v6 ? "tcp://[%s]:%d" : "tcp://%s:%d", host, (int)port);
    return 0;
}
