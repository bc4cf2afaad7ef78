// SPDX-License-Identifier: Apache-2.0
//
// tui/model.c — applies events to rows, keeps tables in order and sums right.
//
// Invariants   (1) A table that is not `is_unsorted` is in its order. (2) A load is the sum over the rows
//              that point to it. (3) A place is in the map while it has tasks. The unit test checks all
//              three against a model that computes them anew after every event.
#include "tui/model.h"

#include <string.h>

#include "base/assert.h"
#include "base/str.h"

#define COMPACT_BYTES_MIN ((size_t)1024 * 1024)

static const struct {
    enum object_kind kind;
    const struct schema *schema;
} kinds[MODEL_KIND_COUNT] = {
    [MODEL_NODES] = {KIND_NODE, &node_schema},
    [MODEL_SERVICES] = {KIND_SERVICE, &service_schema},
    [MODEL_TASKS] = {KIND_TASK, &task_schema},
};

void model_init(struct model *model) {
    *model = (struct model){.compact_at_bytes = COMPACT_BYTES_MIN, .is_first = true};
}

void model_deinit(struct model *model) {
    for (int i = 0; i < MODEL_KIND_COUNT; i++) {
        map_free(&model->tables[i].by_id);
    }
    map_free(&model->places);
    arena_free(&model->objects);
    arena_free(&model->rows);
    *model = (struct model){0};
}

// --- what tasks are ---

enum task_class model_task_class(const struct task *task) {
    int64_t state = task->status.state;
    if (state == TASK_COMPLETE) {
        return CLASS_COMPLETE;
    }
    if (task_state_is_over(state)) {
        bool is_stopped = state == TASK_SHUTDOWN || state == TASK_REMOVE || task->desired > TASK_RUNNING;
        return is_stopped ? CLASS_STOPPED : CLASS_FAILED;
    }
    if (task->desired > TASK_RUNNING) {
        return CLASS_LEAVING;
    }
    return state == TASK_RUNNING ? CLASS_RUNNING : state <= TASK_PENDING ? CLASS_PENDING : CLASS_STARTING;
}

bool model_is_current(const struct model_row *task) {
    return !task_state_is_over(row_task(task)->status.state) || task->place->newest == task;
}

bool model_is_old(const struct model_row *task) {
    if (task->service == NULL) {
        return false;
    }
    const struct service *service = row_service(task->service);
    return mode_is_job(service->spec.deploy.mode) ? row_task(task)->job_iteration < service->job_iteration
                                                  : service_is_outdated(service, row_task(task)->revision);
}

int64_t model_wanted(const struct model_row *row) {
    const struct deploy *deploy = &row_service(row)->spec.deploy;
    const struct model_load *load = &row->load;
    if (!mode_is_global(deploy->mode)) {
        return deploy->replicas;
    }
    return load->running + load->starting + load->pending + load->failed + load->complete;
}

// --- sums ---

static void load_count(struct model_load *load, const struct model_row *row, int64_t sign) {
    const struct task *task = row_task(row);
    if (!task_state_is_over(task->status.state)) {
        load->tasks += sign;
        load->cpus_nano += sign * task->cpus_nano;
        load->memory_bytes += sign * task->memory_bytes;
    }
    enum task_class class = model_task_class(task);
    int64_t *counts[] = {
        [CLASS_RUNNING] = &load->running,   [CLASS_STARTING] = &load->starting,
        [CLASS_PENDING] = &load->pending,   [CLASS_FAILED] = &load->failed,
        [CLASS_COMPLETE] = &load->complete, [CLASS_LEAVING] = &load->leaving,
        [CLASS_STOPPED] = &load->stopped,
    };
    if (row->place->newest == row || class == CLASS_RUNNING) {
        *counts[class] += sign;
        load->old += class == CLASS_RUNNING && model_is_old(row) ? sign : 0;
    }
}

static void row_count(struct model_row *task, int64_t sign) {
    struct model_row *rows[] = {task->service, task->node};
    for (int i = 0; i < 2; i++) {
        if (rows[i] != NULL) {
            load_count(&rows[i]->load, task, sign);
            rows[i]->match = 0; // what a filter said of it hung on its tasks
        }
    }
}

// --- places ---

static bool row_is_newer(const struct model_row *a, const struct model_row *b) {
    const struct meta *one = &row_task(a)->meta;
    const struct meta *other = &row_task(b)->meta;
    return one->created != other->created ? one->created > other->created : id_compare(&a->id, &b->id) > 0;
}

static void place_key(const struct task *task, char out[static sizeof(((struct model_place *)0)->key)]) {
    char *at = out;
    memcpy(at, task->service_id.text, ID_LEN);
    at += strnlen(task->service_id.text, ID_LEN);
    *at++ = '/';
    if (task->slot == 0) {
        memcpy(at, task->node_id.text, ID_LEN + 1);
        return;
    }
    char digits[24];
    int count = 0;
    for (uint64_t slot = (uint64_t)task->slot; slot > 0; slot /= 10) {
        digits[count++] = (char)('0' + slot % 10);
    }
    while (count > 0) {
        *at++ = digits[--count];
    }
    *at = '\0';
}

static struct model_place *place_take(struct model *model, const struct task *task) {
    char key[sizeof(((struct model_place *)0)->key)];
    place_key(task, key);
    struct model_place *place = map_get(&model->places, key);
    if (place != NULL) {
        return place;
    }
    place = model->free_places;
    if (place != NULL) {
        model->free_places = place->next_free;
        *place = (struct model_place){0};
    } else {
        place = ARENA_NEW(&model->rows, struct model_place);
    }
    memcpy(place->key, key, sizeof key);
    map_put(&model->places, place->key, place);
    return place;
}

// The newest of a place changes hands; `counted` is the one of the two that is summed up at this moment.
static void place_set_newest(struct model_place *place, struct model_row *newest, struct model_row *counted) {
    if (counted != NULL) {
        row_count(counted, -1);
    }
    place->newest = newest;
    if (counted != NULL) {
        row_count(counted, +1);
    }
}

static void place_add(struct model *model, struct model_row *row) {
    struct model_place *place = place_take(model, row_task(row));
    row->place = place;
    row->place_before = NULL;
    row->place_next = place->first;
    if (place->first != NULL) {
        place->first->place_before = row;
    }
    place->first = row;
    place->count++;
    if (place->newest == NULL || row_is_newer(row, place->newest)) {
        place_set_newest(place, row, place->newest);
    }
}

// The row itself is not counted at this moment.
static void place_remove(struct model *model, struct model_row *row) {
    struct model_place *place = row->place;
    *(row->place_before != NULL ? &row->place_before->place_next : &place->first) = row->place_next;
    if (row->place_next != NULL) {
        row->place_next->place_before = row->place_before;
    }
    place->count--;
    row->place = NULL;
    if (place->newest == row) {
        struct model_row *newest = place->first;
        for (struct model_row *at = newest; at != NULL; at = at->place_next) {
            newest = row_is_newer(at, newest) ? at : newest;
        }
        place_set_newest(place, newest, newest);
    }
    if (place->count == 0) {
        map_remove(&model->places, place->key);
        place->next_free = model->free_places;
        model->free_places = place;
    }
}

struct model_rows model_tries(const struct model_place *place, struct arena *arena) {
    struct model_rows rows = {0};
    for (const struct model_row *row = place->first; row != NULL; row = row->place_next) {
        *ARENA_PUSH(arena, &rows) = row;
        for (size_t i = rows.count - 1; i > 0 && row_is_newer(rows.items[i], rows.items[i - 1]); i--) {
            const struct model_row *older = rows.items[i - 1];
            rows.items[i - 1] = rows.items[i];
            rows.items[i] = older;
        }
    }
    return rows;
}

// --- order ---

static int compare_numbers(int64_t a, int64_t b) {
    return (a > b) - (a < b);
}

// A total order of names: service by service, slot by slot, newest try first. Labels cannot serve, since
// "web.3" is also a fine name of a service.
static int compare_names(const struct model_row *a, const struct model_row *b) {
    if (a->kind != MODEL_TASKS) {
        return str_compare_natural(a->label, b->label);
    }
    const struct task *one = row_task(a);
    const struct task *other = row_task(b);
    int order = 0;
    if (!id_equal(&one->service_id, &other->service_id)) {
        order = str_compare_natural(a->service != NULL ? a->service->label : one->service_id.text,
                                    b->service != NULL ? b->service->label : other->service_id.text);
        order = order != 0 ? order : id_compare(&one->service_id, &other->service_id);
    }
    if (order == 0) {
        order = compare_numbers(one->slot, other->slot);
    }
    if (order == 0 && one->slot == 0) {
        order = str_compare_natural(a->node != NULL ? a->node->label : one->node_id.text,
                                    b->node != NULL ? b->node->label : other->node_id.text);
        order = order != 0 ? order : id_compare(&one->node_id, &other->node_id);
    }
    return order != 0 ? order : compare_numbers(other->meta.created, one->meta.created);
}

// Worst first.
static int64_t task_urgency(const struct model_row *row) {
    static const int64_t urgency[] = {
        [CLASS_FAILED] = 0,  [CLASS_PENDING] = 1,  [CLASS_STARTING] = 2, [CLASS_LEAVING] = 3,
        [CLASS_RUNNING] = 4, [CLASS_COMPLETE] = 5, [CLASS_STOPPED] = 6};
    return urgency[model_task_class(row_task(row))];
}

static int64_t service_urgency(const struct model_row *row) {
    const struct model_load *load = &row->load;
    return load->failed > 0 ? 0 : load->pending > 0 ? 1 : load->running < model_wanted(row) ? 2 : 3;
}

static int64_t row_urgency(const struct model_row *row) {
    switch (row->kind) {
    case MODEL_TASKS:
        return task_urgency(row);
    case MODEL_SERVICES:
        return service_urgency(row);
    case MODEL_NODES: {
        const struct node *node = row_node(row);
        return node->status.state != NODE_READY ? 0 : node->spec.availability != AVAILABILITY_ACTIVE ? 1 : 2;
    }
    case MODEL_KIND_COUNT:
        break;
    }
    return 0;
}

static const char *row_node_name(const struct model_row *row) {
    return row->kind == MODEL_TASKS && row->node != NULL ? row->node->label : "";
}

static const char *row_image(const struct model_row *row) {
    if (row->kind == MODEL_TASKS) {
        row = row->service;
    }
    return row != NULL && row->kind == MODEL_SERVICES ? row_service(row)->spec.image : "";
}

static int64_t row_age_from(const struct model_row *row) {
    return row->kind == MODEL_TASKS ? row_task(row)->status.since_unix_ms
                                    : object_meta_const(row->object)->updated_unix_ms;
}

static int compare_by(const struct model_row *a, const struct model_row *b, enum model_sort by) {
    switch (by) {
    case SORT_STATE:
        return compare_numbers(row_urgency(a), row_urgency(b));
    case SORT_NODE:
        return str_compare_natural(row_node_name(a), row_node_name(b));
    case SORT_AGE:
        return compare_numbers(row_age_from(b), row_age_from(a));
    case SORT_LOAD:
        return compare_numbers(b->load.tasks, a->load.tasks);
    case SORT_IMAGE:
        return str_compare_natural(row_image(a), row_image(b));
    case SORT_NAME:
    case SORT_COUNT:
        break;
    }
    return 0;
}

int model_compare(const struct model_row *a, const struct model_row *b, struct model_order order) {
    int result = compare_by(a, b, order.by);
    result = result != 0 ? result : compare_names(a, b);
    result = result != 0 ? result : id_compare(&a->id, &b->id);
    return order.is_reverse ? -result : result;
}

// --- tables ---

static struct model_table *table_of(struct model *model, const struct model_row *row) {
    return &model->tables[row->kind];
}

// Where the row is, or belongs.
static size_t table_find(const struct model_table *table, const struct model_row *row) {
    size_t low = 0;
    size_t high = table->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (model_compare(table->rows[middle], row, table->order) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static void table_reserve(struct model *model, struct model_table *table) {
    if (table->count < table->capacity) {
        return;
    }
    size_t capacity = table->capacity == 0 ? 64 : table->capacity * 2;
    struct model_row **rows = ARENA_ARRAY(&model->rows, struct model_row *, capacity);
    if (table->count > 0) {
        memcpy(rows, table->rows, table->count * sizeof *rows);
    }
    table->rows = rows;
    table->capacity = capacity;
}

static void table_insert(struct model *model, struct model_row *row) {
    struct model_table *table = table_of(model, row);
    table_reserve(model, table);
    size_t at = table->is_unsorted ? table->count : table_find(table, row);
    memmove(table->rows + at + 1, table->rows + at, (table->count - at) * sizeof *table->rows);
    table->rows[at] = row;
    table->count++;
}

static void table_drop(struct model_table *table, size_t at) {
    memmove(table->rows + at, table->rows + at + 1, (table->count - at - 1) * sizeof *table->rows);
    table->count--;
}

static size_t table_index(const struct model_table *table, const struct model_row *row) {
    if (!table->is_unsorted) {
        size_t at = table_find(table, row);
        ASSERT(at < table->count && table->rows[at] == row);
        return at;
    }
    size_t at = 0;
    while (table->rows[at] != row) {
        at++;
        ASSERT(at < table->count);
    }
    return at;
}

// A row whose key may have changed stays where it is if its neighbours allow it.
static void table_restore(struct model *model, struct model_row *row, size_t at) {
    struct model_table *table = table_of(model, row);
    if (table->is_unsorted ||
        ((at == 0 || model_compare(table->rows[at - 1], row, table->order) < 0) &&
         (at + 1 == table->count || model_compare(row, table->rows[at + 1], table->order) < 0))) {
        return;
    }
    table_drop(table, at);
    table_insert(model, row);
}

static void sort_rows(struct model_row **rows, struct model_row **spare, size_t count,
                      struct model_order order) {
    if (count < 2) {
        return;
    }
    size_t half = count / 2;
    sort_rows(rows, spare, half, order);
    sort_rows(rows + half, spare, count - half, order);
    if (model_compare(rows[half - 1], rows[half], order) <= 0) {
        return; // as after a change of few rows
    }
    memcpy(spare, rows, half * sizeof *rows);
    size_t left = 0;
    size_t right = half;
    for (size_t out = 0; left < half; out++) {
        bool takes_left = right == count || model_compare(spare[left], rows[right], order) <= 0;
        rows[out] = takes_left ? spare[left++] : rows[right++];
    }
}

static void table_sort(struct model_table *table) {
    AUTO_ARENA scratch = {0};
    sort_rows(table->rows, ARENA_ARRAY(&scratch, struct model_row *, table->count), table->count,
              table->order);
    table->is_unsorted = false;
}

void model_set_order(struct model *model, enum model_kind kind, struct model_order order) {
    struct model_table *table = &model->tables[kind];
    if (table->order.by != order.by || table->order.is_reverse != order.is_reverse) {
        table->order = order;
        table->is_unsorted = true;
        model->generation++;
    }
}

const struct model_row *model_find(const struct model *model, enum model_kind kind, const char *id) {
    return map_get(&model->tables[kind].by_id, id);
}

// --- rows ---

// A change to a task moves what its service and node sum up, and with it their places in their tables.
struct neighbours {
    struct model_row *rows[2];
    size_t at[2];
};

static struct neighbours neighbours_hold(struct model *model, const struct model_row *task) {
    struct model_row *rows[2] = {task->service, task->node};
    struct neighbours held = {0};
    for (int i = 0; i < 2; i++) {
        if (rows[i] != NULL && !rows[i]->is_gone && !table_of(model, rows[i])->is_unsorted) {
            held.rows[i] = rows[i];
            held.at[i] = table_index(table_of(model, rows[i]), rows[i]);
        }
    }
    return held;
}

static void neighbours_release(struct model *model, const struct neighbours *held) {
    for (int i = 0; i < 2; i++) {
        if (held->rows[i] != NULL) {
            table_restore(model, held->rows[i], held->at[i]);
        }
    }
}

static struct model_row *row_new(struct model *model, enum model_kind kind, const struct id *id) {
    struct model_row *row = model->free_rows;
    if (row != NULL) {
        model->free_rows = row->place_next;
        *row = (struct model_row){0};
    } else {
        row = ARENA_NEW(&model->rows, struct model_row);
    }
    row->id = *id;
    row->kind = kind;
    return row;
}

static void row_free(struct model *model, struct model_row *row) {
    row->place_next = model->free_rows;
    model->free_rows = row;
}

static const char *task_label(const struct model_row *row, struct arena *arena) {
    const struct task *task = row_task(row);
    const char *service = row->service != NULL ? row->service->label : "";
    if (row->service == NULL) {
        service = arena_strndup(arena, task->service_id.text, ID_SHORT_LEN);
    }
    if (task->slot > 0) {
        return arena_printf(arena, "%s.%lld", service, (long long)task->slot);
    }
    return arena_printf(arena, "%s.%s", service,
                        row->node != NULL ? row->node->label
                                          : arena_strndup(arena, task->node_id.text, ID_SHORT_LEN));
}

static const char *row_label(const struct model_row *row, struct arena *arena) {
    switch (row->kind) {
    case MODEL_NODES: {
        const struct node *node = row_node(row);
        return !str_is_empty(node->spec.name) ? node->spec.name : node->description.hostname;
    }
    case MODEL_SERVICES:
        return row_service(row)->meta.name;
    case MODEL_TASKS:
        return task_label(row, arena);
    case MODEL_KIND_COUNT:
        break;
    }
    return "";
}

// A service or node came, went or was renamed: tasks are linked, labelled and ordered anew at the next
// settle, and so is what they are summed up in.
static void names_changed(struct model *model) {
    model->is_renamed = true;
    for (int kind = 0; kind < MODEL_KIND_COUNT; kind++) {
        model->tables[kind].is_unsorted = true;
    }
}

static void task_link(struct model *model, struct model_row *row) {
    const struct task *task = row_task(row);
    row->service = map_get(&model->tables[MODEL_SERVICES].by_id, task->service_id.text);
    row->node = map_get(&model->tables[MODEL_NODES].by_id, task->node_id.text);
    row->label = row_label(row, &model->objects);
}

static void task_put(struct model *model, struct model_row *row, const struct task *task) {
    row->object = task;
    task_link(model, row);
    struct neighbours held = neighbours_hold(model, row);
    place_add(model, row);
    row_count(row, +1);
    neighbours_release(model, &held);
}

static void task_take(struct model *model, struct model_row *row) {
    struct neighbours held = neighbours_hold(model, row);
    row_count(row, -1);
    place_remove(model, row);
    neighbours_release(model, &held);
}

static void task_update(struct model *model, struct model_row *row, const struct task *task) {
    struct model_table *table = &model->tables[MODEL_TASKS];
    size_t at = table->is_unsorted ? 0 : table_index(table, row);
    task_take(model, row);
    task_put(model, row, task);
    table_restore(model, row, at);
}

// Did something change that tasks show, or that decides what counts as old?
static bool shows_in_tasks(const struct model_row *row, const void *before, const char *label_before) {
    if (row->kind == MODEL_SERVICES) {
        const struct service *service = before;
        return !str_equal(label_before, row->label) ||
               !str_equal(service->spec.image, row_service(row)->spec.image) ||
               service->restart_revision != row_service(row)->restart_revision;
    }
    const struct node *node = before;
    return !str_equal(label_before, row->label) || node->status.state != row_node(row)->status.state;
}

static void other_update(struct model *model, struct model_row *row, const void *object) {
    struct model_table *table = table_of(model, row);
    size_t at = table->is_unsorted ? 0 : table_index(table, row);
    const void *before = row->object;
    const char *label_before = row->label;
    row->object = object;
    row->label = row_label(row, &model->objects);
    if (shows_in_tasks(row, before, label_before)) {
        names_changed(model);
    }
    table_restore(model, row, at);
}

static void row_insert(struct model *model, struct model_row *row, const void *object) {
    map_put(&table_of(model, row)->by_id, row->id.text, row);
    if (row->kind == MODEL_TASKS) {
        task_put(model, row, object);
    } else {
        row->object = object;
        row->label = row_label(row, &model->objects);
        names_changed(model);
    }
    table_insert(model, row);
}

// The row has left its table. Tasks still point to services and nodes: those are freed at the next settle.
static void row_forget(struct model *model, struct model_row *row) {
    map_remove(&table_of(model, row)->by_id, row->id.text);
    row->is_gone = true;
    if (row->kind == MODEL_TASKS) {
        task_take(model, row);
        row_free(model, row);
    } else {
        names_changed(model);
        row->place_next = model->gone_rows;
        model->gone_rows = row;
    }
}

static void row_remove(struct model *model, struct model_row *row) {
    struct model_table *table = table_of(model, row);
    table_drop(table, table_index(table, row));
    row_forget(model, row);
}

// --- events ---

void model_begin_snapshot(struct model *model) {
    model->is_loading = true;
    model->snapshot++;
    model->resyncs += !model->is_first;
    model->generation++;
}

// What the snapshot did not name is gone. Tasks first: they count into the others.
static void model_sweep(struct model *model) {
    for (int kind = MODEL_KIND_COUNT - 1; kind >= 0; kind--) {
        AUTO_ARENA scratch = {0};
        struct model_table *table = &model->tables[kind];
        struct model_row **gone = ARENA_ARRAY(&scratch, struct model_row *, table->count);
        size_t gone_count = 0;
        size_t kept = 0;
        for (size_t i = 0; i < table->count; i++) {
            struct model_row *row = table->rows[i];
            if (row->snapshot == model->snapshot) {
                table->rows[kept++] = row;
            } else {
                gone[gone_count++] = row;
            }
        }
        table->count = kept;
        for (size_t i = 0; i < gone_count; i++) {
            row_forget(model, gone[i]);
        }
    }
}

static void model_end_snapshot(struct model *model) {
    if (model->is_loading) {
        model_sweep(model);
        model->is_loading = false;
        model->is_first = false;
    }
}

static int decode_object(struct model *model, const struct event *event, const struct schema *schema,
                         const void **out, struct error *err) {
    void *object = arena_alloc(&model->objects, schema->bytes);
    int rc = wire_decode(schema, event->to, object, &model->objects, err);
    if (rc < 0) {
        return error_wrap(err, rc, "read %s %s of revision %lld", schema->name, event->id.text,
                          (long long)event->revision);
    }
    *out = object;
    return 0;
}

static void row_note(struct model *model, struct model_row *row, const struct event *event, bool is_new,
                     bool is_same, int64_t now_ms) {
    row->snapshot = model->snapshot;
    row->match = 0;
    if (!(model->is_loading && (model->is_first || is_same))) {
        row->changed_ms = now_ms;
        row->created_ms = is_new ? now_ms : row->created_ms;
    }
    if (!event->snapshot) {
        row->who = arena_strdup(&model->objects, event->who);
        row->why = arena_strdup(&model->objects, event->why);
    }
}

static int apply_row(struct model *model, enum model_kind kind, const struct event *event, int64_t now_ms,
                     struct error *err) {
    struct model_row *row = map_get(&model->tables[kind].by_id, event->id.text);
    if (event->op == CHANGE_DELETE) {
        if (row != NULL) {
            row_remove(model, row);
        }
        return 0;
    }
    const void *object = NULL;
    int rc = decode_object(model, event, kinds[kind].schema, &object, err);
    if (rc < 0) {
        return rc;
    }
    bool is_new = row == NULL;
    bool is_same = !is_new && object_meta_const(row->object)->version == object_meta_const(object)->version;
    if (is_new) {
        row = row_new(model, kind, &event->id);
        row->who = row->why = "";
        row_insert(model, row, object);
    } else if (kind == MODEL_TASKS) {
        task_update(model, row, object);
    } else {
        other_update(model, row, object);
    }
    row_note(model, row, event, is_new, is_same, now_ms);
    return 0;
}

static int apply_event(struct model *model, const struct event *event, int64_t now_ms, struct error *err) {
    if (event->snapshot && !model->is_loading) {
        model_begin_snapshot(model);
    } else if (!event->snapshot) {
        model_end_snapshot(model);
    }
    model->events++;
    model->event_unix_ms = event->time_unix_ms > 0 ? event->time_unix_ms : model->event_unix_ms;
    if (event->kind == KIND_CLUSTER && event->op != CHANGE_DELETE) {
        const void *cluster = NULL;
        int rc = decode_object(model, event, &cluster_schema, &cluster, err);
        model->cluster = rc == 0 ? cluster : model->cluster;
        return rc;
    }
    for (int kind = 0; kind < MODEL_KIND_COUNT; kind++) {
        if (event->kind == (int64_t)kinds[kind].kind) {
            return apply_row(model, (enum model_kind)kind, event, now_ms, err);
        }
    }
    return 0;
}

int model_apply(struct model *model, const struct event_batch *batch, int64_t now_ms, struct error *err) {
    model->generation++;
    if (batch->skipped) {
        model_begin_snapshot(model);
    }
    for (size_t i = 0; i < batch->events.count; i++) {
        int rc = apply_event(model, &batch->events.items[i], now_ms, err);
        if (rc < 0) {
            return rc;
        }
    }
    if (batch->caught_up) {
        model_end_snapshot(model);
        model->is_caught_up = true;
    }
    model->revision = batch->revision;
    if (!batch->caught_up && !model->is_loading && batch->events.count > 0) {
        // The rest of a large transaction may still be to come; to see a part of it twice does no harm.
        int64_t whole = batch->events.items[batch->events.count - 1].revision - 1;
        model->revision = whole < batch->revision ? whole : batch->revision;
    }
    return 0;
}

// --- settling ---

// Links and counts all tasks anew, and lets go of the rows that tasks may have pointed to.
static void model_relink(struct model *model) {
    for (int kind = 0; kind < MODEL_TASKS; kind++) {
        struct model_table *table = &model->tables[kind];
        for (size_t i = 0; i < table->count; i++) {
            table->rows[i]->load = (struct model_load){0};
        }
    }
    const struct model_table *tasks = &model->tables[MODEL_TASKS];
    for (size_t i = 0; i < tasks->count; i++) {
        task_link(model, tasks->rows[i]);
        tasks->rows[i]->match = 0;
        row_count(tasks->rows[i], +1);
    }
    while (model->gone_rows != NULL) {
        struct model_row *row = model->gone_rows;
        model->gone_rows = row->place_next;
        row_free(model, row);
    }
    model->is_renamed = false;
}

static void model_compact(struct model *model) {
    struct arena fresh = {0};
    for (int kind = 0; kind < MODEL_KIND_COUNT; kind++) {
        const struct model_table *table = &model->tables[kind];
        for (size_t i = 0; i < table->count; i++) {
            struct model_row *row = table->rows[i];
            row->object = schema_copy(kinds[kind].schema, row->object, &fresh);
            row->who = arena_strdup(&fresh, row->who);
            row->why = arena_strdup(&fresh, row->why);
            row->label = kind == MODEL_TASKS ? arena_strdup(&fresh, row->label) : row_label(row, &fresh);
        }
    }
    if (model->cluster != NULL) {
        model->cluster = schema_copy(&cluster_schema, model->cluster, &fresh);
    }
    arena_free(&model->objects);
    model->objects = fresh;
    model->compact_at_bytes = 2 * fresh.used_bytes + COMPACT_BYTES_MIN;
}

void model_settle(struct model *model) {
    if (model->is_renamed) {
        model_relink(model);
    }
    for (int kind = 0; kind < MODEL_KIND_COUNT; kind++) {
        if (model->tables[kind].is_unsorted) {
            table_sort(&model->tables[kind]);
        }
    }
    if (model->objects.used_bytes >= model->compact_at_bytes) {
        model_compact(model);
    }
}
