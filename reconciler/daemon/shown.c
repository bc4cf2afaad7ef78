// SPDX-License-Identifier: Apache-2.0
//
// reconciler/daemon/shown.c — secrets without their values, and each name once.
#include "reconciler/daemon/shown.h"

#include "reconciler/daemon/decide_content.h"
#include "specs/resource.h"

static struct bytes without_value(struct secret *secret, struct arena *arena) {
    AUTO_BUF bytes = {0};
    secret->spec.data = secret->spec.fingerprint = (struct bytes){0};
    wire_encode(&secret_schema, secret, &bytes);
    return (struct bytes){arena_copy(arena, buf_text(&bytes), bytes.len), bytes.len};
}

bool shown_object(enum object_kind kind, struct bytes *bytes, struct arena *arena) {
    if (!content_is_of(kind) || bytes->len == 0) {
        return true;
    }
    AUTO_ARENA scratch = arena_make(0);
    void *object = arena_alloc(&scratch, object_schema(kind)->bytes);
    if (wire_decode(object_schema(kind), *bytes, object, &scratch, NULL) < 0 ||
        content_is_old(kind, object)) {
        return false;
    }
    if (kind == KIND_SECRET) {
        *bytes = without_value(object, arena);
    }
    return true;
}

bool shown_event(struct event *event, struct arena *arena) {
    enum object_kind kind = (enum object_kind)event->kind;
    return shown_object(kind, &event->from, arena) && shown_object(kind, &event->to, arena);
}
