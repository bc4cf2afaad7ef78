// SPDX-License-Identifier: Apache-2.0
//
// transport/peer_address.h — where a manager listens: "ADDRESS:PORT" with a numeric address, "[::1]:4242" for
// IPv6.
//
// Plain TCP is allowed on this machine's loopback only: between machines it would carry the cluster's secrets
// readable and believe whoever speaks. Names are not looked up: that can take seconds, and what a name stands
// for can change behind the membership's back.
#ifndef MUSTER_TRANSPORT_PEER_ADDRESS_H
#define MUSTER_TRANSPORT_PEER_ADDRESS_H

#include <stdbool.h>

#include "base/error.h"

#define PEER_URL_BYTES 64

// The URL to listen on or to dial. Port 0 is allowed; a dial of it fails. -ERR_INVALID: not an address and a
// port. -ERR_UNSUPPORTED: not loopback, for a link that is not secure.
int peer_address_url(const char *address, bool is_secure, char out[PEER_URL_BYTES], struct error *err);

#endif
