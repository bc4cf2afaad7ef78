// SPDX-License-Identifier: Apache-2.0
//
// test/unit/test_cli_output.c — lists of services, tasks and nodes in every form, at several widths,
// filtered.
#include "cli/output.h"

#include <string.h>

#include "base/str.h"
#include "cli/columns.h"
#include "cli/overview.h"
#include "cli/table.h"
#include "test/lib/check.h"
#include "test/lib/golden.h"

#define NOW_UNIX_MS 1700000000000LL

static struct port web_ports[] = {
    {.target = 80, .published = 8080},
    {.target = 81, .published = 8081},
    {.target = 53, .published = 53, .protocol = PROTOCOL_UDP},
    {.target = 9, .published = 9, .mode = PUBLISH_HOST},
};
static struct pair web_labels[] = {{"tier", "front"}};

struct world {
    struct arena arena;
    struct object_list services, tasks, nodes, revisions;
};

static struct service *add_service(struct world *w, const char *id, const char *name, enum service_mode mode,
                                   int64_t replicas) {
    struct service *service = ARENA_NEW(&w->arena, struct service);
    schema_init(&service_schema, service);
    str_copy(service->meta.id.text, sizeof service->meta.id.text, id);
    service->meta.updated_unix_ms = NOW_UNIX_MS - 3600 * 1000;
    service->spec.name = service->meta.name = name;
    service->spec.image = "nginx:1.25@sha256:0123";
    service->spec.deploy.mode = mode;
    service->spec.deploy.replicas = replicas;
    service->revision = service->restart_revision = 2;
    *ARENA_PUSH(&w->arena, &w->services) = service;
    return service;
}

static struct task *add_task(struct world *w, const char *id, const struct service *service, int64_t slot,
                             int64_t state, int64_t created) {
    struct task *task = ARENA_NEW(&w->arena, struct task);
    schema_init(&task_schema, task);
    str_copy(task->meta.id.text, sizeof task->meta.id.text, id);
    task->meta.created = created;
    task->service_id = service->meta.id;
    task->slot = slot;
    task->revision = 2;
    task->desired = task_state_is_over(state) ? TASK_SHUTDOWN : TASK_RUNNING;
    task->status.state = state;
    task->status.since_unix_ms = NOW_UNIX_MS - 120 * 1000;
    if (state != TASK_PENDING) {
        str_copy(task->node_id.text, sizeof task->node_id.text, "n111111111111111111111111");
    }
    *ARENA_PUSH(&w->arena, &w->tasks) = task;
    return task;
}

static void add_node(struct world *w, const char *id, const char *name, enum node_state state) {
    struct node *node = ARENA_NEW(&w->arena, struct node);
    schema_init(&node_schema, node);
    str_copy(node->meta.id.text, sizeof node->meta.id.text, id);
    node->spec.name = node->meta.name = name;
    node->status.state = state;
    node->description.version = "0.1.0";
    node->description.cpus_nano = 4LL * 1000000000;
    node->description.memory_bytes = 8LL << 30;
    node->status.address = "10.0.0.1";
    *ARENA_PUSH(&w->arena, &w->nodes) = node;
}

static void make_world(struct world *w) {
    memset(w, 0, sizeof *w);
    struct service *web10 = add_service(w, "c333333333333333333333333", "web10", MODE_REPLICATED, 1);
    struct service *web = add_service(w, "a111111111111111111111111", "web", MODE_REPLICATED, 3);
    struct service *agent = add_service(w, "b222222222222222222222222", "agent", MODE_GLOBAL, 1);
    web->spec.ports.items = web_ports;
    web->spec.ports.count = 4;
    web->spec.deploy.labels = (struct pairs){1, web_labels};
    web->spec.deploy.placement.max_replicas_per_node = 2;
    web10->spec.image = "r.example/a/b@sha256:99";
    add_node(w, "n222222222222222222222222", "w10", NODE_DOWN);
    add_node(w, "n111111111111111111111111", "w2", NODE_READY);
    ((struct node *)w->nodes.items[1])->manager = ARENA_NEW(&w->arena, struct node_manager);
    ((struct node *)w->nodes.items[1])->manager->leader = true;
    add_task(w, "t111111111111111111111111", web, 1, TASK_RUNNING, 10);
    struct task *failed = add_task(w, "t222222222222222222222222", web, 2, TASK_FAILED, 11);
    failed->status.error = "task: non-zero exit (1)\x1b[31m and a text that is long enough to be cut";
    failed->desired = TASK_SHUTDOWN;
    struct task *again = add_task(w, "t333333333333333333333333", web, 2, TASK_RUNNING, 12);
    again->attempt = 1;
    struct task *pending = add_task(w, "t444444444444444444444444", web, 3, TASK_PENDING, 13);
    pending->status.error = "no suitable node (insufficient memory on 2 nodes)";
    add_task(w, "t555555555555555555555555", agent, 0, TASK_RUNNING, 14);
    struct revision *old = ARENA_NEW(&w->arena, struct revision);
    schema_init(&revision_schema, old);
    old->service_id = web->meta.id;
    old->revision = 1;
    old->spec.image = "nginx:1.24";
    *ARENA_PUSH(&w->arena, &w->revisions) = old;
    failed->revision = 1;
}

static struct columns_source source_of(const struct world *w) {
    struct columns_source source = {&w->services, &w->tasks, &w->nodes, &w->revisions, {{0}}};
    str_copy(source.self.text, sizeof source.self.text, "n111111111111111111111111");
    return source;
}

struct form {
    const char *title, *form, *format;
    bool quiet, no_trunc, color;
    size_t columns;
};

static const struct form forms[] = {
    {"off a terminal", "table", NULL, false, false, false, 0},
    {"-o wide", "wide", NULL, false, false, false, 0},
    {"--no-trunc", "table", NULL, false, true, false, 0},
    {"a terminal of 120 columns, in colour", "table", NULL, false, false, true, 120},
    {"a terminal of 60 columns", "table", NULL, false, false, false, 60},
    {"a terminal of 20 columns", "table", NULL, false, false, false, 20},
    {"-q", "table", NULL, true, false, false, 0},
    {"-o name", "name", NULL, false, false, false, 0},
    {"--format json", "table", "json", false, false, false, 0},
    {"-q --format: the template wins", "table", "{{.ID}}: {{.Name}}", true, false, false, 0},
};

static void add_forms(const struct listing *listing, struct rows rows, const char *table_format,
                      struct buf *out) {
    for (size_t i = 0; i <= sizeof forms / sizeof *forms; i++) {
        bool is_last = i == sizeof forms / sizeof *forms;
        struct form form =
            is_last ? (struct form){table_format, "table", table_format, false, false, false, 0} : forms[i];
        if (form.format != NULL && listing == &columns_nodes && strstr(form.format, ".Name") != NULL) {
            form.format = "{{.ID}}: {{.Hostname}}";
        }
        struct output_options options = {.form = form.form,
                                         .format = form.format,
                                         .quiet = form.quiet,
                                         .no_trunc = form.no_trunc,
                                         .color = form.color,
                                         .columns = form.columns,
                                         .now_unix_ms = NOW_UNIX_MS};
        struct error err = {0};
        AUTO_BUF text = {0};
        buf_addf(out, "==== %s\n", form.title);
        if (output_render(listing, &options, rows, &text, &err) != 0) {
            fail_msg("%s: %s", form.title, err.root);
        }
        for (size_t j = 0; j < text.len; j++) { // colours, to be seen in the golden
            buf_adds(out, text.data[j] == '\x1b' ? "<ESC>" : (char[]){text.data[j], '\0'});
        }
    }
}

static void services_look_as_agreed(void **state) {
    (void)state;
    struct world w;
    AUTO_BUF out = {0};
    make_world(&w);
    struct columns_source source = source_of(&w);
    add_forms(&columns_services, columns_service_rows(&source, &w.arena), "table {{.Name}}\\t{{.Replicas}}",
              &out);
    golden_check("test/golden/cli/services.txt", buf_text(&out));
    arena_free(&w.arena);
}

static void tasks_look_as_agreed(void **state) {
    (void)state;
    struct world w;
    AUTO_BUF out = {0};
    make_world(&w);
    struct columns_source source = source_of(&w);
    add_forms(&columns_tasks, columns_task_rows(&source, &w.arena), "table {{.Name}}\\t{{.CurrentState}}",
              &out);
    golden_check("test/golden/cli/tasks.txt", buf_text(&out));
    arena_free(&w.arena);
}

static void nodes_look_as_agreed(void **state) {
    (void)state;
    struct world w;
    AUTO_BUF out = {0};
    make_world(&w);
    struct columns_source source = source_of(&w);
    add_forms(&columns_nodes, columns_node_rows(&source, &w.arena), "table {{.Hostname}}\\t{{.Self}}", &out);
    golden_check("test/golden/cli/nodes.txt", buf_text(&out));
    arena_free(&w.arena);
}

static void the_overview_looks_as_agreed(void **state) {
    (void)state;
    struct world w;
    AUTO_BUF out = {0};
    make_world(&w);
    struct columns_source source = source_of(&w);
    add_forms(&overview_services, overview_rows(&source, &w.arena), "table {{.Name}}\\t{{.State}}", &out);
    golden_check("test/golden/cli/overview.txt", buf_text(&out));
    arena_free(&w.arena);
}

// --- filters ---

static const char *filtered(const struct listing *listing, struct rows rows, const char *filters,
                            struct arena *arena, struct error *err) {
    struct strings list = {0};
    for (const char *p = filters; *p != '\0';) {
        size_t len = strcspn(p, " ");
        *ARENA_PUSH(arena, &list) = arena_strndup(arena, p, len);
        p += len + (p[len] == ' ');
    }
    AUTO_BUF names = {0};
    if (output_filter(listing, &list, &rows, arena, err) < 0) {
        return NULL;
    }
    for (size_t i = 0; i < rows.count; i++) {
        buf_addf(&names, "%s%s", i > 0 ? " " : "", listing->name(rows.items[i]));
    }
    return arena_strdup(arena, buf_text(&names));
}

static void one_key_again_is_either_and_two_keys_are_both(void **state) {
    (void)state;
    // tidy: table
    static const struct {
        int list; // 0 services, 1 tasks, 2 nodes
        const char *filters, *wanted;
    } cases[] = {
        {0, "", "agent web web10"},
        {0, "name=web", "web web10"},
        {0, "name=web10 name=ag", "agent web10"},
        {0, "name=web mode=global", ""},
        {0, "mode=global mode=replicated name=a", "agent"},
        {0, "label=tier", "web"},
        {0, "label=tier=front", "web"},
        {0, "label=tier=back", ""},
        {0, "id=c33", "web10"},
        {1, "desired-state=running", "agent.n111111111111111111111111 web.1 web.2 web.3"},
        {1, "desired-state=shutdown", "web.2"},
        {1, "state=pending state=failed", "web.2 web.3"},
        {1, "node=w2 service=web", "web.1 web.2 web.2"},
        {1, "name=web.3", "web.3"},
        {2, "role=worker", "w2 w10"},
        {2, "membership=pending", ""},
    };
    struct world w;
    make_world(&w);
    struct columns_source source = source_of(&w);
    const struct listing *const listings[] = {&columns_services, &columns_tasks, &columns_nodes};
    const struct rows rows[] = {columns_service_rows(&source, &w.arena), columns_task_rows(&source, &w.arena),
                                columns_node_rows(&source, &w.arena)};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error err = {0};
        const char *got =
            filtered(listings[cases[i].list], rows[cases[i].list], cases[i].filters, &w.arena, &err);
        if (!str_equal(got, cases[i].wanted) || got == NULL) {
            fail_msg("'%s' lets '%s' pass, not '%s' (%s)", cases[i].filters, got, cases[i].wanted, err.root);
        }
    }
    arena_free(&w.arena);
}

// Its node died in the middle of an update: nobody will ever say that it has stopped.
static void what_was_to_stop_on_a_node_that_is_down_does_not_count_as_running(void **state) {
    (void)state;
    struct world w;
    make_world(&w);
    struct task *old = add_task(&w, "t666666666666666666666666", w.services.items[1], 3, TASK_RUNNING, 15);
    old->desired = TASK_SHUTDOWN;
    struct columns_source source = source_of(&w);
    for (int is_down = 0; is_down < 2; is_down++) {
        str_copy(old->node_id.text, sizeof old->node_id.text,
                 is_down ? "n222222222222222222222222" : "n111111111111111111111111");
        struct rows rows = columns_service_rows(&source, &w.arena);
        assert_int_equal(((const struct service_row *)rows.items[1])->running, is_down ? 2 : 3);
    }
    arena_free(&w.arena);
}

static void wrong_filters_name_the_right_ones(void **state) {
    (void)state;
    struct world w;
    make_world(&w);
    struct columns_source source = source_of(&w);
    struct rows rows = columns_service_rows(&source, &w.arena);
    static const char *const cases[][2] = {
        {"nmae=x", "--filter 'nmae=x': there is no such key; write KEY=VALUE with one of: id, name, label, "
                   "mode, runtime"},
        {"name",
         "--filter 'name': there is no value; write KEY=VALUE with one of: id, name, label, mode, runtime"},
        {"mode=x", "--filter 'mode=x': the key has no such value; write KEY=VALUE with one of: id, name, "
                   "label, mode, runtime"},
    };
    for (size_t i = 0; i < 3; i++) {
        struct error err = {0};
        assert_null(filtered(&columns_services, rows, cases[i][0], &w.arena, &err));
        assert_int_equal(err.code, ERR_USAGE);
        assert_string_equal(err.root, cases[i][1]);
    }
    arena_free(&w.arena);
}

static void manifests_name_their_kind(void **state) {
    (void)state;
    struct world w;
    AUTO_BUF yaml = {0};
    AUTO_BUF json = {0};
    make_world(&w);
    output_manifest(KIND_SERVICE, w.services.items[2], &yaml);
    output_manifest_json(KIND_SERVICE, w.services.items[2], JSON_COMPACT, &json);
    assert_string_equal(
        buf_text(&yaml),
        "kind: service\nname: agent\nimage: nginx:1.25@sha256:0123\ndeploy:\n  mode: global\n");
    assert_string_equal(buf_text(&json),
                        "{\"kind\":\"service\",\"name\":\"agent\",\"image\":\"nginx:1.25@sha256:0123\","
                        "\"deploy\":{\"mode\":\"global\"}}");
    arena_free(&w.arena);
}

static void wide_characters_keep_columns_straight(void **state) {
    (void)state;
    AUTO_ARENA arena = {0};
    AUTO_BUF out = {0};
    struct table table = {.arena = &arena};
    table_add_column(&table, "A", TABLE_CUT);
    table_add_cell(&table, "日本語日本語日本語日本語", NULL);
    table_add_cell(&table, "x", NULL);
    table_add_column(&table, "B", TABLE_KEEP);
    table_add_cell(&table, "1", NULL);
    table_add_cell(&table, "2", NULL);
    table_render(&table, 20, &out);
    assert_string_equal(buf_text(&out), "A                  B\n日本語日本語日…    1\nx                  2\n");
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(services_look_as_agreed),
        cmocka_unit_test(tasks_look_as_agreed),
        cmocka_unit_test(nodes_look_as_agreed),
        cmocka_unit_test(the_overview_looks_as_agreed),
        cmocka_unit_test(one_key_again_is_either_and_two_keys_are_both),
        cmocka_unit_test(wrong_filters_name_the_right_ones),
        cmocka_unit_test(what_was_to_stop_on_a_node_that_is_down_does_not_count_as_running),
        cmocka_unit_test(manifests_name_their_kind),
        cmocka_unit_test(wide_characters_keep_columns_straight),
    };
    return cmocka_run_group_tests_name(__FILE__, tests, NULL, NULL);
}
