// SPDX-License-Identifier: Apache-2.0
//
// specs/signal_name.h — "SIGTERM", "term", "15" → 15; and the names of capabilities.
#ifndef MUSTER_SPECS_SIGNAL_NAME_H
#define MUSTER_SPECS_SIGNAL_NAME_H

#include <stdbool.h>
#include <stddef.h>

bool signal_parse(const char *text, int *out);

#define CAPABILITY_COUNT 41
// "NET_RAW", "CAP_NET_RAW", any case → its number, and back to "CAP_NET_RAW".
bool capability_parse(const char *text, int *out);
const char *capability_name(int number);

#endif
