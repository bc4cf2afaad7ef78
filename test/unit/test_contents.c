// SPDX-License-Identifier: Apache-2.0
//
// test/unit/test_contents.c — secrets and configs on their way: who is sent which bytes, how they are held,
// and the files that they become.
#include "test/lib/check.h"
#include "test/lib/session_host.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "reconciler/agent/content_files.h"
#include "specs/resource.h"

// --- what nodes are sent ---

#define OTHER 11 // a service
#define SECRET_NUMBER 60

// Sealed is what has every byte turned.
static int open_turned(void *context, const char *name, struct bytes sealed, struct buf *out,
                       struct error *err) {
    (void)context;
    (void)name;
    for (size_t i = 0; i < sealed.len; i++) {
        buf_addc(out, (char)(sealed.data[i] ^ 0xFF));
    }
    return sealed.len > 0 ? 0 : error_set(err, ERR_BUSY, "no key here");
}

static struct secret secret_of(struct host *h, const char *name, size_t len, char filling) {
    struct secret secret;
    schema_init(&secret_schema, &secret);
    uint8_t *sealed = arena_alloc(&h->store.arena, len);
    memset(sealed, (uint8_t)filling ^ 0xFF, len);
    secret.meta.id = store_id(SECRET_NUMBER);
    secret.meta.name = secret.spec.name = name;
    secret.spec.data = (struct bytes){sealed, len};
    secret.spec.fingerprint = (struct bytes){(const uint8_t *)"f", 1};
    secret.content = store_id(70);
    return secret;
}

static struct service service_with(unsigned number, const char *name, struct file_reference *file) {
    struct service service;
    schema_init(&service_schema, &service);
    schema_init(&file_reference_schema, file);
    file->source = "key";
    service.meta.id = store_id(number);
    service.meta.name = service.spec.name = name;
    service.spec.image = "busybox";
    service.spec.secrets.count = 1;
    service.spec.secrets.items = file;
    service.revision = 1;
    return service;
}

static void open_vault(struct host *h) {
    sessions_free(h->sessions);
    h->sessions = sessions_new(&(struct sessions_options){.cluster_id = store_id(CLUSTER),
                                                          .prng = &h->prng,
                                                          .callbacks = host_callbacks(h),
                                                          .vault = {open_turned, NULL}});
    sessions_lead(h->sessions);
    sessions_tick(h->sessions, h->mono_ms);
}

static void put_tasks_of(struct host *h, unsigned service, unsigned from, unsigned count, unsigned node) {
    for (unsigned i = 0; i < count; i++) {
        struct task task = host_new_task(from + i, node);
        task.service_id = store_id(service);
        host_put(h, CHANGE_CREATE, KIND_TASK, &task);
    }
}

// All that a link was sent.
struct sent {
    size_t contents, bytes, tasks, parts, missing;
    const char *trouble;
    char first; // of the last content
};

static struct sent sent_to(struct host *h, uint64_t link) {
    struct sent sent = {.trouble = ""};
    for (size_t i = 0; i < h->letters.count; i++) {
        const struct letter *letter = &h->letters.items[i];
        struct assign_part part;
        if (letter->link != link || letter->number != MESSAGE_ASSIGN) {
            continue;
        }
        assert_true(letter->body.len <= ASSIGN_PART_BYTES_MAX);
        assert_int_equal(wire_decode(&assign_part_schema, letter->body, &part, &h->store.arena, NULL), 0);
        sent.parts++;
        sent.tasks += part.changed.count;
        sent.contents += part.contents.count;
        for (size_t k = 0; k < part.contents.count; k++) {
            sent.bytes += part.contents.items[k].data.len;
            sent.first = (char)part.contents.items[k].data.data[0];
        }
        for (size_t k = 0; k < part.changed.count; k++) {
            struct assignment assignment;
            assert_int_equal(wire_decode(&assignment_schema, part.changed.items[k].assignment, &assignment,
                                         &h->store.arena, NULL),
                             0);
            sent.missing += assignment.files.count > 0 && assignment.files.items[0].is_missing;
            sent.trouble = assignment.files.count > 0 ? assignment.files.items[0].trouble : "";
        }
    }
    return sent;
}

static void a_value_goes_once_to_the_nodes_that_need_it(void **state) {
    struct host *h = *state;
    struct file_reference file;
    struct secret secret = secret_of(h, "key", 1000, 'v');
    struct service service = service_with(OTHER, "other", &file);
    open_vault(h);
    host_put(h, CHANGE_CREATE, KIND_SECRET, &secret);
    host_put(h, CHANGE_CREATE, KIND_SERVICE, &service);
    put_tasks_of(h, OTHER, 20, 5, 1);
    host_put_tasks(h, 30, 3, 2); // of a service without secrets
    host_enter(h, 100, 1);
    host_enter(h, 101, 2);
    host_step(h);
    assert_int_equal(sent_to(h, 100).tasks, 5);
    assert_int_equal(sent_to(h, 100).contents, 1);
    assert_int_equal(sent_to(h, 100).bytes, 1000);
    assert_int_equal(sent_to(h, 100).first, 'v');
    assert_int_equal(sent_to(h, 101).tasks, 3);
    assert_int_equal(sent_to(h, 101).contents, 0);
    put_tasks_of(h, OTHER, 40, 2, 1);
    host_step(h);
    assert_int_equal(sent_to(h, 100).contents, 2); // once in this step too
}

static void large_values_get_parts_of_their_own(void **state) {
    struct host *h = *state;
    struct file_reference files[6];
    struct service service = service_with(OTHER, "other", &files[0]);
    for (unsigned i = 0; i < 6; i++) {
        struct config config;
        schema_init(&config_schema, &config);
        config.meta.id = config.content = store_id(80 + i);
        config.meta.name = config.spec.name = arena_printf(&h->store.arena, "c%u", i);
        config.spec.data = (struct bytes){
            memset(arena_alloc(&h->store.arena, CONFIG_BYTES_MAX), 'c', CONFIG_BYTES_MAX), CONFIG_BYTES_MAX};
        host_put(h, CHANGE_CREATE, KIND_CONFIG, &config);
        schema_init(&file_reference_schema, &files[i]);
        files[i].source = config.meta.name;
    }
    service.spec.secrets.count = 0;
    service.spec.configs.count = 6;
    service.spec.configs.items = files;
    host_put(h, CHANGE_CREATE, KIND_SERVICE, &service);
    host_enter(h, 100, 1);
    host_step(h);
    put_tasks_of(h, OTHER, 20, 3, 1); // an increment that becomes a set
    host_step(h);
    host_pass(h, SESSION_SET_REST_MS);
    host_step(h);
    struct sent sent = sent_to(h, 100);
    assert_int_equal(sent.contents, 6);
    assert_int_equal(sent.bytes, 6 * CONFIG_BYTES_MAX);
    assert_int_equal(sent.tasks, 3);
}

static void what_is_not_there_is_said(void **state) {
    struct host *h = *state;
    struct file_reference file;
    struct service service = service_with(OTHER, "other", &file);
    struct secret secret = secret_of(h, "key", 10, 'v');
    host_put(h, CHANGE_CREATE, KIND_SERVICE, &service);
    put_tasks_of(h, OTHER, 20, 1, 1);
    host_enter(h, 100, 1);
    host_step(h);
    assert_int_equal(sent_to(h, 100).missing, 1);
    host_put(h, CHANGE_CREATE, KIND_SECRET, &secret); // but nobody can open it
    put_tasks_of(h, OTHER, 21, 1, 1);
    host_step(h);
    assert_int_equal(sent_to(h, 100).contents, 0);
    assert_non_null(strstr(sent_to(h, 100).trouble, "nobody here opens"));
}

static void who_follows_the_newest_is_sent_it(void **state) {
    struct host *h = *state;
    struct file_reference file;
    struct secret secret = secret_of(h, "key", 10, 'v');
    struct service service = service_with(OTHER, "other", &file);
    file.on_change = ON_CHANGE_SIGNAL;
    open_vault(h);
    host_put(h, CHANGE_CREATE, KIND_SECRET, &secret);
    host_put(h, CHANGE_CREATE, KIND_SERVICE, &service);
    put_tasks_of(h, OTHER, 20, 2, 1);
    host_enter(h, 100, 1);
    host_step(h);
    assert_int_equal(sent_to(h, 100).contents, 1);
    secret = secret_of(h, "key", 10, 'w');
    secret.content = store_id(71);
    host_put(h, CHANGE_UPDATE, KIND_SECRET, &secret);
    host_step(h);
    assert_int_equal(sent_to(h, 100).contents, 2);
    assert_int_equal(sent_to(h, 100).tasks, 4);
    assert_int_equal(sent_to(h, 100).first, 'w');
}

static void an_older_content_is_found_under_its_own_name(void **state) {
    struct host *h = *state;
    struct file_reference file;
    struct secret secret = secret_of(h, "key", 10, 'w'), old = secret_of(h, "key", 10, 'v');
    struct service service = service_with(OTHER, "other", &file);
    struct id content = store_id(69);
    file.content = old.content = content;
    old.meta.id = store_id(SECRET_NUMBER + 1);
    old.meta.name = arena_printf(&h->store.arena, "key~%s", content.text);
    old.is_old = true;
    open_vault(h);
    host_put(h, CHANGE_CREATE, KIND_SECRET, &secret);
    host_put(h, CHANGE_CREATE, KIND_SECRET, &old);
    host_put(h, CHANGE_CREATE, KIND_SERVICE, &service);
    put_tasks_of(h, OTHER, 20, 1, 1);
    host_enter(h, 100, 1);
    host_step(h);
    assert_int_equal(sent_to(h, 100).first, 'v');
}

// --- the shelf ---

static void a_content_is_there_once_and_goes_with_its_last_user(void **state) {
    struct shelf shelf = {0};
    struct id id = store_id(1);
    const struct bytes data = {(const uint8_t *)"value", 5};
    (void)state;
    assert_null(shelf_use(&shelf, &id));
    struct shelf_item *item = shelf_put(&shelf, &id, data);
    assert_ptr_equal(shelf_put(&shelf, &id, (struct bytes){0}), item); // immutable
    assert_ptr_equal(shelf_use(&shelf, &id), item);
    assert_memory_equal(item->data.data, "value", 5);
    shelf_leave(item);
    shelf_leave(item);
    assert_ptr_equal(shelf_use(&shelf, &id), item);
    shelf_leave(item);
    shelf_leave(item);
    assert_null(shelf_use(&shelf, &id));
    item = shelf_put(&shelf, &id, data);
    shelf_deinit(&shelf); // a user that is late
    assert_memory_equal(item->data.data, "value", 5);
    shelf_leave(item);
}

// --- files ---

struct files {
    struct shelf shelf;
    struct assignment assignment;
    struct file_reference references[3];
    struct assigned_file files[3];
    struct shelf_items items;
    char directory[64];
    struct content_order order;
};

static void put(struct files *f, unsigned i, unsigned content, const char *text) {
    struct id id = store_id(content);
    struct shelf_item *before = f->items.items[i];
    f->files[i].content = id;
    f->items.items[i] = shelf_put(&f->shelf, &id, (struct bytes){(const uint8_t *)text, strlen(text)});
    shelf_leave(before);
}

static int files_setup(void **state) {
    struct files *f = test_calloc(1, sizeof *f);
    static const char *const names[] = {"a", "b", "c"};
    schema_init(&assignment_schema, &f->assignment);
    snprintf(f->directory, sizeof f->directory, "/dev/shm/muster-contents.XXXXXX");
    assert_non_null(mkdtemp(f->directory));
    f->items = (struct shelf_items){3, test_calloc(3, sizeof(struct shelf_item *))};
    for (unsigned i = 0; i < 3; i++) {
        schema_init(&file_reference_schema, &f->references[i]);
        schema_init(&assigned_file_schema, &f->files[i]);
        f->references[i].source = f->files[i].name = names[i];
        f->files[i].kind = i == 2 ? KIND_CONFIG : KIND_SECRET;
        put(f, i, 90 + i, names[i]);
    }
    f->references[1].target = "sub/key";
    f->references[1].mode = 0400;
    f->references[1].on_change = ON_CHANGE_SIGNAL;
    f->references[1].signal = "SIGUSR1";
    f->references[2].on_change = ON_CHANGE_NONE;
    f->assignment.spec.secrets.count = 2;
    f->assignment.spec.secrets.items = f->references;
    f->assignment.spec.configs.count = 1;
    f->assignment.spec.configs.items = &f->references[2];
    f->assignment.files.count = 3;
    f->assignment.files.items = f->files;
    f->order = (struct content_order){&f->assignment, &f->items, f->directory, /*is_plain=*/true};
    *state = f;
    return 0;
}

static int files_teardown(void **state) {
    struct files *f = *state;
    for (size_t i = 0; i < 3; i++) {
        shelf_leave(f->items.items[i]);
    }
    test_free(f->items.items);
    shelf_deinit(&f->shelf);
    fs_remove_tree(AT_FDCWD, f->directory, NULL);
    test_free(f);
    return 0;
}

static void file_is(const struct files *f, const char *name, const char *text) {
    char path[128];
    AUTO_BUF found = {0};
    snprintf(path, sizeof path, "%s/%s", f->directory, name);
    assert_int_equal(fs_read(AT_FDCWD, path, 4096, &found, NULL), 0);
    assert_string_equal(buf_text(&found), text);
}

static ino_t inode_of(const struct files *f, const char *name, unsigned *out_mode) {
    char path[128];
    struct stat status;
    snprintf(path, sizeof path, "%s/%s", f->directory, name);
    assert_int_equal(stat(path, &status), 0);
    *out_mode = status.st_mode & 07777;
    return status.st_ino;
}

static void files_are_made_and_said_where_to_mount(void **state) {
    struct files *f = *state;
    AUTO_ARENA arena = arena_make(0);
    struct content_mount mount;
    unsigned mode;
    struct error err = {0};
    assert_int_equal(content_files_make(&f->order, &err), 0);
    file_is(f, "secrets/a", "a");
    file_is(f, "secrets/sub/key", "b");
    file_is(f, "configs/c", "c");
    inode_of(f, "secrets/sub/key", &mode);
    assert_int_equal(mode, 0400);
    f->order.is_plain = false;
    assert_true(content_files_mount(&f->order, 0, &arena, &mount));
    assert_string_equal(mount.target, "/run/secrets");
    assert_true(content_files_mount(&f->order, 1, &arena, &mount));
    assert_string_equal(mount.target, "/c");
    assert_non_null(strstr(mount.source, "/files/2"));
    assert_false(content_files_mount(&f->order, 2, &arena, &mount));
}

static void what_follows_is_replaced_and_the_signal_told(void **state) {
    struct files *f = *state;
    struct error err = {0};
    unsigned mode;
    int number = 0;
    assert_int_equal(content_files_make(&f->order, &err), 0);
    assert_int_equal(content_files_refresh(&f->order, &number, &err), 0);
    assert_int_equal(number, 0); // nothing is new
    ino_t secret = inode_of(f, "secrets/sub/key", &mode);
    put(f, 0, 95, "another a"); // it restarts
    put(f, 1, 96, "another b");
    assert_int_equal(content_files_refresh(&f->order, &number, &err), 0);
    assert_int_equal(number, SIGUSR1);
    file_is(f, "secrets/a", "a");
    file_is(f, "secrets/sub/key", "another b");
    assert_int_not_equal(inode_of(f, "secrets/sub/key", &mode), secret); // another file in its place
    assert_int_equal(mode, 0400);
    put(f, 2, 97, "");
    assert_int_equal(content_files_refresh(&f->order, &number, &err), 0);
    assert_int_equal(number, 0);
    file_is(f, "configs/c", "");
}

static void nothing_is_written_to_a_disk(void **state) {
    struct files *f = *state;
    struct error err = {0};
    int number;
    char disk[] = "/var/tmp/muster-contents.XXXXXX";
    assert_non_null(mkdtemp(disk));
    if (!content_files_in_memory(disk)) {
        f->order.directory = disk;
        assert_int_equal(content_files_refresh(&f->order, &number, &err), -ERR_INTERNAL);
        assert_int_equal(rmdir(disk), 0); // empty
        return;
    }
    assert_int_equal(rmdir(disk), 0);
}

static void what_is_not_on_the_shelf_is_an_error(void **state) {
    struct files *f = *state;
    struct error err = {0};
    shelf_leave(f->items.items[1]);
    f->items.items[1] = NULL;
    assert_int_equal(content_files_make(&f->order, &err), -ERR_NOT_FOUND);
    assert_non_null(strstr(err.root, "secret 'b'"));
}

#define HOST(name) cmocka_unit_test_setup_teardown(name, host_setup, host_teardown)
#define FILES(name) cmocka_unit_test_setup_teardown(name, files_setup, files_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        HOST(a_value_goes_once_to_the_nodes_that_need_it),
        HOST(large_values_get_parts_of_their_own),
        HOST(what_is_not_there_is_said),
        HOST(who_follows_the_newest_is_sent_it),
        HOST(an_older_content_is_found_under_its_own_name),
        cmocka_unit_test(a_content_is_there_once_and_goes_with_its_last_user),
        FILES(files_are_made_and_said_where_to_mount),
        FILES(what_follows_is_replaced_and_the_signal_told),
        FILES(nothing_is_written_to_a_disk),
        FILES(what_is_not_on_the_shelf_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
