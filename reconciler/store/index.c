// SPDX-License-Identifier: Apache-2.0
//
// reconciler/store/index.c — the index entries of an object, read out of its bytes by tag.
#include "reconciler/store/index.h"

#include <string.h>

#include "reconciler/store/planted.h"

// Tags as in specs/object.c, specs/task.c, specs/service.c; a unit test holds them against the schemas.
enum {
    TAG_OBJECT_META = 1,
    TAG_META_ID = 1,
    TAG_META_VERSION = 2,
    TAG_META_CREATED = 3,
    TAG_META_CREATED_AT = 4,
    TAG_META_NAME = 6,
    TAG_SERVICE_ID = 2, // of tasks and of revisions
    TAG_TASK_NODE_ID = 3,
    TAG_REVISION_NUMBER = 3,
};

// --- the protobuf wire form, as far as needed ---

struct item {
    uint64_t tag, type;
    uint64_t number;    // type 0
    struct bytes bytes; // type 2
};

static bool take_varint(struct bytes *from, uint64_t *out) {
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64 && from->len > 0; shift += 7) {
        uint8_t byte = *from->data++;
        from->len--;
        value |= (uint64_t)(byte & 0x7F) << shift;
        if (byte < 0x80) {
            *out = value;
            return true;
        }
    }
    return false;
}

static bool take_bytes(struct bytes *from, uint64_t len, struct bytes *out) {
    if (len > from->len) {
        return false;
    }
    *out = (struct bytes){from->data, (size_t)len};
    from->data += len;
    from->len -= (size_t)len;
    return true;
}

static bool take_item(struct bytes *from, struct item *out) {
    uint64_t key, len;
    if (!take_varint(from, &key)) {
        return false;
    }
    *out = (struct item){.tag = key >> 3, .type = key & 7};
    switch (out->type) {
    case 0:
        return take_varint(from, &out->number);
    case 1:
        return take_bytes(from, 8, &out->bytes);
    case 2:
        return take_varint(from, &len) && take_bytes(from, len, &out->bytes);
    case 5:
        return take_bytes(from, 4, &out->bytes);
    default:
        return false;
    }
}

// --- views ---

static void set_id(const struct item *item, struct id *out) {
    key_id_at(item->bytes, 0, out);
}

static bool view_meta(struct bytes meta, struct index_view *out) {
    struct item item;
    while (meta.len > 0) {
        if (!take_item(&meta, &item)) {
            return false;
        }
        switch (item.tag) {
        case TAG_META_ID:
            set_id(&item, &out->id);
            break;
        case TAG_META_VERSION:
            out->version = (int64_t)item.number;
            break;
        case TAG_META_CREATED:
            out->created = (int64_t)item.number;
            break;
        case TAG_META_CREATED_AT:
            out->created_unix_ms = (int64_t)item.number;
            break;
        case TAG_META_NAME:
            out->name = item.bytes;
            break;
        default:
            break;
        }
    }
    return true;
}

static void view_member(const struct item *item, struct index_view *out) {
    if (out->kind != KIND_TASK && out->kind != KIND_REVISION) {
        return;
    }
    if (item->tag == TAG_SERVICE_ID) {
        set_id(item, &out->service_id);
    } else if (out->kind == KIND_TASK && item->tag == TAG_TASK_NODE_ID) {
        set_id(item, &out->node_id);
    } else if (out->kind == KIND_REVISION && item->tag == TAG_REVISION_NUMBER) {
        out->revision = (int64_t)item->number;
    }
}

int index_view_of(enum object_kind kind, struct bytes object, struct index_view *out, struct error *err) {
    struct index_view view = {.kind = kind};
    struct item item;
    while (object.len > 0) {
        bool good = take_item(&object, &item);
        if (good && item.tag == TAG_OBJECT_META) {
            good = item.type == 2 && view_meta(item.bytes, &view);
        } else if (good) {
            view_member(&item, &view);
        }
        if (!good) {
            return error_set(err, ERR_CORRUPT, "malformed %s", object_kind_name(kind));
        }
    }
    *out = view;
    return 0;
}

// --- entries ---

// Has room for any view.
static struct key name_key(const struct index_view *view) {
    char name[STORE_NAME_BYTES_MAX + 1] = {0};
    size_t len = view->name.len < STORE_NAME_BYTES_MAX ? view->name.len : STORE_NAME_BYTES_MAX;
    memcpy(name, view->name.data, len);
    return key_named(view->kind, name);
}

size_t index_entries(const struct index_view *view, struct index_entry out[INDEX_ENTRIES_MAX]) {
    size_t count = 0;
    if (view->name.len > 0) {
        out[count++] = (struct index_entry){TABLE_NAMES, name_key(view), view->id};
    }
    if (view->kind == KIND_TASK && !id_is_none(&view->service_id)) {
        out[count++] =
            (struct index_entry){TABLE_TASKS_BY_SERVICE, key_pair(&view->service_id, &view->id), {""}};
    }
    if (view->kind == KIND_TASK && !id_is_none(&view->node_id)) {
        out[count++] = (struct index_entry){TABLE_TASKS_BY_NODE, key_pair(&view->node_id, &view->id), {""}};
    }
    if (view->kind == KIND_REVISION) {
        out[count++] =
            (struct index_entry){TABLE_REVISIONS, key_revision(&view->service_id, view->revision), view->id};
    }
    return count;
}

static bool has_entry(const struct index_entry *entries, size_t count, const struct index_entry *entry) {
    for (size_t i = 0; i < count; i++) {
        if (entries[i].table == entry->table && entries[i].key.len == entry->key.len &&
            memcmp(entries[i].key.data, entry->key.data, entry->key.len) == 0) {
            return true;
        }
    }
    return false;
}

int index_remove(const struct tables *tables, const struct index_view *before, const struct index_view *after,
                 struct error *err) {
    struct index_entry old[INDEX_ENTRIES_MAX], new[INDEX_ENTRIES_MAX];
    size_t old_count = before == NULL ? 0 : index_entries(before, old);
    size_t new_count = after == NULL ? 0 : index_entries(after, new);
    for (size_t i = 0; i < old_count; i++) {
        int rc = has_entry(new, new_count, &old[i]) || STORE_PLANTED(INDEX_KEPT)
                     ? 0
                     : tables_remove(tables, old[i].table, &old[i].key, err);
        if (rc != 0) { // absent: the index does not fit the object
            char text[KEY_TEXT_BYTES];
            key_describe(old[i].table, key_bytes(&old[i].key), text);
            return rc < 0 ? rc : error_set(err, ERR_CORRUPT, "%s: entry misses", text);
        }
    }
    return 0;
}

void index_add(const struct tables *tables, const struct index_view *before, const struct index_view *after) {
    struct index_entry old[INDEX_ENTRIES_MAX], new[INDEX_ENTRIES_MAX];
    size_t old_count = before == NULL ? 0 : index_entries(before, old);
    size_t new_count = after == NULL ? 0 : index_entries(after, new);
    for (size_t i = 0; i < new_count; i++) {
        struct bytes payload = {(const uint8_t *)new[i].id.text, id_is_none(&new[i].id) ? 0 : ID_LEN};
        if (!has_entry(old, old_count, &new[i])) {
            tables_put(tables, new[i].table, &new[i].key, payload);
        }
    }
}
