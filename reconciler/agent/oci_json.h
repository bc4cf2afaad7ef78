// SPDX-License-Identifier: Apache-2.0
//
// reconciler/agent/oci_json.h — writes JSON straight into a buffer: config.json is ours from end to end, so
// no tree of it is built first.
//
// The comma before a value is found by looking at what stands before it. Keys are ours and are not escaped.
#ifndef MUSTER_RECONCILER_AGENT_OCI_JSON_H
#define MUSTER_RECONCILER_AGENT_OCI_JSON_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "specs/schema.h"

static inline void oci_next(struct buf *out) {
    char last = out->len > 0 ? out->data[out->len - 1] : '{';
    if (last != '{' && last != '[' && last != ':') {
        buf_addc(out, ',');
    }
}
static inline void oci_key(struct buf *out, const char *key) {
    oci_next(out);
    buf_addf(out, "\"%s\":", key);
}
static inline void oci_open(struct buf *out, const char *key, char bracket) { // key NULL: inside a list
    if (key != NULL) {
        oci_key(out, key);
    } else {
        oci_next(out);
    }
    buf_addc(out, bracket);
}
static inline void oci_close(struct buf *out, char bracket) {
    buf_addc(out, bracket);
}
static inline void oci_item(struct buf *out, const char *text) {
    oci_next(out);
    json_write_string(out, text);
}
static inline void oci_str(struct buf *out, const char *key, const char *text) {
    oci_key(out, key);
    json_write_string(out, text);
}
static inline void oci_int(struct buf *out, const char *key, int64_t number) {
    oci_key(out, key);
    buf_addf(out, "%lld", (long long)number);
}
static inline void oci_bool(struct buf *out, const char *key, bool is) {
    oci_key(out, key);
    buf_adds(out, is ? "true" : "false");
}

#endif
