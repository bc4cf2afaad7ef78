// SPDX-License-Identifier: Apache-2.0
//
// reconciler/daemon/control_list.c — LIST: objects of a kind, a frame at a time.
//
// A frame is encoded straight from the store's pages. A listing that does not fit one turn goes on after
// the last id it sent, from a newer read; it is then dated by its first read, so that a watch from there
// misses nothing.
#include "reconciler/daemon/control.h"

#include "base/mem.h"
#include "reconciler/daemon/daemon.h"
#include "reconciler/daemon/shown.h"
#include "reconciler/daemon/stream.h"
#include "specs/rollout.h"

struct list_stream {
    struct stream stream;
    struct arena arena;
    struct list_request request; // in the arena
    bool is_by_id;               // `ids` are all there is
    LIST_OF(struct id) ids;      // what the references stand for; the revisions of a service
    size_t next;                 // of ids
    struct id last;              // sent; none at the start
    int64_t revision;            // of the first read
};

static void list_free(struct stream *stream) {
    struct list_stream *list = (struct list_stream *)stream;
    arena_free(&list->arena);
    xfree(list);
}

static int resolve_all(struct list_stream *list, struct store_read *read, struct error *err) {
    enum object_kind kind = (enum object_kind)list->request.kind;
    for (size_t i = 0; i < list->request.references.count; i++) {
        struct id id;
        int rc = control_resolve(read, kind, list->request.references.items[i], &list->arena, &id, err);
        if (rc < 0) {
            return rc;
        }
        *ARENA_PUSH(&list->arena, &list->ids) = id;
    }
    return 0;
}

// Revisions are not found again by their ids, and there are few of them.
static int collect_revisions(struct list_stream *list, struct store_read *read, struct error *err) {
    struct store_cursor cursor;
    struct id id;
    struct bytes bytes;
    int rc = store_each_begin(read, STORE_REVISIONS_OF_SERVICE, KIND_REVISION, &list->request.service,
                              &cursor, err);
    if (rc < 0) {
        return rc;
    }
    while ((rc = store_each_next(&cursor, &id, &bytes, err)) == 0) {
        *ARENA_PUSH(&list->arena, &list->ids) = id;
    }
    store_each_end(&cursor);
    return rc < 0 ? rc : 0;
}

// Rollouts have no index: their service's last number tells their names.
static int collect_rollouts(struct list_stream *list, struct store_read *read, struct error *err) {
    void *object;
    int rc = store_load(read, KIND_SERVICE, &list->request.service, &list->arena, &object, err);
    if (rc != 0) {
        return rc < 0 ? rc : 0;
    }
    const struct service *service = object;
    int64_t first = service->rollout_number > ROLLOUTS_MAX ? service->rollout_number - ROLLOUTS_MAX : 1;
    for (int64_t number = first; rc >= 0 && number <= service->rollout_number; number++) {
        struct id id;
        rc = store_find_name(read, KIND_ROLLOUT, rollout_name(&service->meta.id, number, &list->arena), &id,
                             err);
        if (rc == 0) {
            *ARENA_PUSH(&list->arena, &list->ids) = id;
        }
    }
    return rc < 0 ? rc : 0;
}

static int open_cursor(const struct list_stream *list, struct store_read *read, struct store_cursor *out,
                       struct error *err) {
    const struct list_request *request = &list->request;
    enum object_kind kind = (enum object_kind)request->kind;
    bool of_service = !id_is_none(&request->service) && kind == KIND_TASK;
    bool of_node = !id_is_none(&request->node) && kind == KIND_TASK;
    enum store_index index = of_service ? STORE_TASKS_OF_SERVICE : of_node ? STORE_TASKS_OF_NODE : STORE_ALL;
    int rc = store_each_begin(read, index, kind, of_service ? &request->service : &request->node, out, err);
    if (rc == 0 && !id_is_none(&list->last)) {
        store_each_after(out, &list->last);
    }
    return rc;
}

// Tasks of a service and of a node at once: no index has both.
static int is_wanted(const struct list_stream *list, struct bytes bytes, struct arena *arena, bool *out,
                     struct error *err) {
    const struct list_request *request = &list->request;
    *out = true;
    if (request->kind != KIND_TASK || id_is_none(&request->service) || id_is_none(&request->node)) {
        return 0;
    }
    struct task task;
    int rc = wire_decode(&task_schema, bytes, &task, arena, err);
    *out = rc == 0 && id_equal(&task.node_id, &request->node);
    return rc;
}

static void add(struct objects *out, struct bytes bytes, struct arena *arena, size_t *len) {
    struct object_item *item = ARENA_PUSH(arena, &out->items);
    item->object = bytes;
    *len += bytes.len;
}

// STORE_END when there is nothing after this frame.
static int fill_by_id(struct list_stream *list, struct store_read *read, struct objects *out,
                      struct arena *arena, struct error *err) {
    size_t len = 0;
    for (; list->next < list->ids.count && len < FRAME_CHUNK_BYTES; list->next++) {
        struct bytes bytes;
        int rc =
            store_get(read, (enum object_kind)list->request.kind, &list->ids.items[list->next], &bytes, err);
        if (rc < 0) {
            return rc;
        }
        // else it went since the listing began
        if (rc == 0 && shown_object((enum object_kind)list->request.kind, &bytes, arena)) {
            add(out, bytes, arena, &len);
        }
    }
    return list->next < list->ids.count ? 0 : STORE_END;
}

static int fill(struct list_stream *list, struct store_read *read, struct objects *out, struct arena *arena,
                struct error *err) {
    struct store_cursor cursor;
    struct id id;
    struct bytes bytes;
    size_t len = 0;
    int rc = open_cursor(list, read, &cursor, err);
    if (rc < 0) {
        return rc;
    }
    AUTO_ARENA scratch = arena_make(0);
    while (len < FRAME_CHUNK_BYTES && (rc = store_each_next(&cursor, &id, &bytes, err)) == 0) {
        bool wanted;
        arena_clear(&scratch);
        rc = is_wanted(list, bytes, &scratch, &wanted, err);
        if (rc < 0) {
            break;
        }
        list->last = id;
        if (wanted && shown_object((enum object_kind)list->request.kind, &bytes, arena)) {
            add(out, bytes, arena, &len);
        }
    }
    store_each_end(&cursor);
    return rc;
}

static enum stream_outcome list_step(struct stream *stream, struct store_read *read) {
    struct list_stream *list = (struct list_stream *)stream;
    AUTO_ARENA arena = arena_make(0);
    struct error err = {0};
    struct objects objects = {.kind = list->request.kind};
    if (list->revision == 0) {
        list->revision = store_read_revision(read);
    }
    int rc = list->is_by_id ? fill_by_id(list, read, &objects, &arena, &err)
                            : fill(list, read, &objects, &arena, &err);
    if (rc < 0) {
        return stream_fail(stream, &err);
    }
    if (objects.items.count > 0) {
        server_send(stream->answer.conversation, MESSAGE_OBJECTS, &objects);
    }
    if (rc == STORE_END) {
        server_done(stream->answer.conversation, list->revision);
        return STREAM_ENDED;
    }
    return STREAM_MORE;
}

static int prepare(struct list_stream *list, struct daemon *daemon, struct error *err) {
    if (object_schema((enum object_kind)list->request.kind) == NULL) {
        return error_set(err, ERR_UNSUPPORTED, "this daemon (%s) knows no objects of kind %lld",
                         MUSTER_VERSION, (long long)list->request.kind);
    }
    struct store_read *read;
    int rc = store_read_begin(daemon->store, &read, err);
    if (rc == 0) {
        bool is_of_service = !id_is_none(&list->request.service);
        bool is_history = list->request.kind == KIND_REVISION && is_of_service;
        bool is_rollouts = list->request.kind == KIND_ROLLOUT && is_of_service;
        list->is_by_id = is_history || is_rollouts || list->request.references.count > 0;
        rc = list->request.references.count > 0 ? resolve_all(list, read, err)
             : is_history                       ? collect_revisions(list, read, err)
             : is_rollouts                      ? collect_rollouts(list, read, err)
                                                : 0;
        store_read_end(read);
    }
    return rc;
}

void control_list(const struct request *request) {
    struct list_stream *list = NEW(struct list_stream);
    struct error err = {0};
    list->stream.step = list_step;
    list->stream.free = list_free;
    list->request = *(struct list_request *)schema_copy(&list_request_schema, request->payload, &list->arena);
    if (prepare(list, request->daemon, &err) < 0) {
        server_fail(request->conversation, &err);
        list_free(&list->stream);
        return;
    }
    stream_start(request->daemon, &list->stream, request->conversation);
}
