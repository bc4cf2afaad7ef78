// SPDX-License-Identifier: Apache-2.0
//
// test/unit/test_decide.c — what declarations and removals would change: a table of stored, declared,
// decided.
#include "test/lib/check.h"
#include "test/lib/store_fixture.h"

#include <stdio.h>
#include <string.h>

#include "reconciler/daemon/decide_content.h"
#include "specs/manifest.h"
#include "specs/resource.h"

struct decided {
    struct store_fixture store;
    struct decision decision;
    struct error err;
    bool force;
};

static int setup(void **state) {
    struct decided *d = test_calloc(1, sizeof *d);
    store_fixture_begin(&d->store, NULL);
    *state = d;
    return 0;
}

static int teardown(void **state) {
    struct decided *d = *state;
    store_fixture_end(&d->store);
    test_free(d);
    return 0;
}

// As the vault does it, but for the sealing: other bytes each time, and a fingerprint that tells values
// apart.
static void seal(struct secret_spec *spec, struct arena *arena) {
    static uint8_t nonce;
    spec->fingerprint = spec->data;
    uint8_t *sealed = arena_alloc(arena, spec->data.len + 1);
    sealed[0] = ++nonce;
    spec->data = (struct bytes){sealed, spec->data.len + 1};
}

static void declare(struct decided *d, const char *yaml, int64_t expected_version,
                    struct apply_request *request) {
    struct arena *arena = &d->store.arena;
    struct declarations declarations;
    struct diagnostics diagnostics = {0};
    struct manifest_options options = {0};
    schema_init(&apply_request_schema, request);
    request->why = "because";
    if (manifest_parse("t.yaml", yaml, strlen(yaml), &options, arena, &declarations, &diagnostics, &d->err) !=
        0) {
        fail_msg("%s", diagnostics.items[0].text);
    }
    for (size_t i = 0; i < declarations.count; i++) {
        struct apply_item *item = ARENA_PUSH(arena, &request->items);
        AUTO_BUF spec = {0};
        schema_init(&apply_item_schema, item);
        item->kind = declarations.items[i].kind;
        item->name = declarations.items[i].name;
        item->expected_version = expected_version;
        if (item->kind == KIND_SECRET) {
            seal(declarations.items[i].spec, arena);
        }
        wire_encode(object_spec_schema(declarations.items[i].kind), declarations.items[i].spec, &spec);
        item->spec = (struct bytes){arena_copy(arena, spec.data, spec.len), spec.len};
    }
}

static int decide_request(struct decided *d, const struct apply_request *request) {
    struct store_read *read = store_begin_read(&d->store);
    error_clear(&d->err);
    int rc =
        decide_apply(read, request, "uid:0 root@test", 1700000000000, &d->store.arena, &d->decision, &d->err);
    store_read_end(read);
    return rc;
}

static int decide_expecting(struct decided *d, const char *yaml, int64_t expected_version) {
    struct apply_request request;
    declare(d, yaml, expected_version, &request);
    return decide_request(d, &request);
}

static int decide(struct decided *d, const char *yaml) {
    return decide_expecting(d, yaml, 0);
}

static int decide_removal(struct decided *d, enum object_kind kind, const char *name) {
    struct remove_request request;
    struct store_read *read = store_begin_read(&d->store);
    schema_init(&remove_request_schema, &request);
    request.kind = kind;
    request.references.count = 1;
    request.references.items = &name;
    request.force = d->force;
    error_clear(&d->err);
    int rc = decide_remove(read, &request, "uid:0 root@test", 1700000000000, &d->store.arena, &d->decision,
                           &d->err);
    store_read_end(read);
    return rc;
}

// Puts the last decision into the store.
static void commit(struct decided *d) {
    assert_int_equal(d->store.proposer->ops->submit(d->store.proposer, &d->decision.transaction, 99, &d->err),
                     0);
    store_turn(&d->store);
    assert_int_equal(d->store.results.items[d->store.results.count - 1].code, 0);
}

static void given(struct decided *d, const char *yaml) {
    if (decide(d, yaml) != 0) {
        fail_msg("%s", d->err.root);
    }
    commit(d);
}

static const struct apply_result *result(const struct decided *d, size_t i) {
    return &d->decision.applied.results.items[i];
}

static const struct service *changed_service(struct decided *d) {
    for (size_t i = 0; i < d->decision.transaction.changes.count; i++) {
        const struct change *change = &d->decision.transaction.changes.items[i];
        if (change->kind == KIND_SERVICE) {
            struct service *service = ARENA_NEW(&d->store.arena, struct service);
            assert_int_equal(wire_decode(&service_schema, change->object, service, &d->store.arena, &d->err),
                             0);
            return service;
        }
    }
    fail_msg("no service in the transaction");
    return NULL;
}

#define WEB "kind: service\nname: web\nimage: busybox:1\n"

static void a_new_service_is_created_with_its_first_revision(void **state) {
    struct decided *d = *state;
    assert_int_equal(decide(d, WEB), 0);
    assert_int_equal(result(d, 0)->action, ACTION_CREATED);
    assert_int_equal(result(d, 0)->revision, 1);
    assert_int_equal(d->decision.transaction.changes.count, 2);
    assert_int_equal(d->decision.transaction.changes.items[1].kind, KIND_REVISION);
    assert_int_equal(changed_service(d)->restart_revision, 1);
}

static void the_same_declaration_changes_nothing(void **state) {
    struct decided *d = *state;
    given(d, WEB "cap_add: [NET_RAW, SYS_TIME]\n");
    assert_int_equal(decide(d, WEB "cap_add: [SYS_TIME, NET_RAW]\n"), 0); // order has no meaning there
    assert_int_equal(result(d, 0)->action, ACTION_UNCHANGED);
    assert_int_equal(result(d, 0)->version, 1);
    assert_int_equal(d->decision.transaction.changes.count, 0);
}

// tidy: table
static const struct {
    const char *changed;
    enum consequence consequence;
    int64_t restart_revision;
} changes[] = {
    {WEB "deploy: {replicas: 3}\n", CONSEQUENCE_NOTHING, 1},
    {"kind: service\nname: web\nimage: busybox:2\n", CONSEQUENCE_RESTART, 2},
    {WEB "environment: {A: b}\n", CONSEQUENCE_RESTART, 2},
};

static void a_change_raises_the_revision_and_says_what_it_costs(void **state) {
    struct decided *d = *state;
    given(d, WEB);
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        assert_int_equal(decide(d, changes[i].changed), 0);
        assert_int_equal(result(d, 0)->action, ACTION_UPDATED);
        assert_int_equal(result(d, 0)->consequence, changes[i].consequence);
        assert_int_equal(changed_service(d)->revision, 2);
        assert_int_equal(changed_service(d)->restart_revision, changes[i].restart_revision);
        assert_int_equal(d->decision.transaction.changes.items[0].expected_version, 1);
    }
}

static int decide_turn(struct decided *d, enum rollout_verb verb, int64_t revision, int64_t expected_version) {
    struct rollout_request request;
    struct store_read *read = store_begin_read(&d->store);
    schema_init(&rollout_request_schema, &request);
    assert_int_equal(store_find_name(read, KIND_SERVICE, "web", &request.service, NULL), 0);
    request.verb = verb;
    request.revision = revision;
    request.expected_version = expected_version;
    error_clear(&d->err);
    int rc = decide_rollout(read, &request, "uid:0 root@test", 1700000000000, &d->store.arena, &d->decision,
                            &d->err);
    store_read_end(read);
    return rc;
}

static void a_rollback_is_a_revision_with_an_older_spec(void **state) {
    struct decided *d = *state;
    given(d, WEB);
    assert_int_equal(decide_turn(d, ROLLOUT_ROLL_BACK, 0, 0), -ERR_NOT_FOUND);
    assert_string_equal(d->err.root, "service 'web' has no spec before the present one");
    given(d, WEB "environment: {A: b}\n");
    given(d, WEB "environment: {A: c}\n");
    assert_int_equal(decide_turn(d, ROLLOUT_ROLL_BACK, 9, 0), -ERR_NOT_FOUND);
    assert_string_equal(d->err.root, "service 'web' has no revision 9: kept are 1, 2, 3");
    assert_int_equal(decide_turn(d, ROLLOUT_ROLL_BACK, 3, 0), 0);
    assert_int_equal(result(d, 0)->action, ACTION_UNCHANGED);
    assert_int_equal(decide_turn(d, ROLLOUT_ROLL_BACK, 1, 1), -ERR_CONFLICT);
    assert_int_equal(decide_turn(d, ROLLOUT_ROLL_BACK, 1, 0), 0);
    const struct service *service = changed_service(d);
    assert_int_equal(service->revision, 4);
    assert_int_equal(service->restart_revision, 4);
    assert_int_equal(service->spec.environment.count, 0);
    assert_int_equal(service->update_status.state, UPDATE_ROLLBACK_STARTED);
    assert_false(service_is_outdated(service, 1)); // its tasks run that spec already
    assert_true(service_is_outdated(service, 2));
    commit(d);
    assert_int_equal(decide_turn(d, ROLLOUT_ROLL_BACK, 0, 0), 0); // and forward again
    assert_int_equal(changed_service(d)->spec.environment.count, 1);
}

// What the planners tell a service of its rollout is no change of its spec.
static void a_word_of_the_rollout_is_no_conflict(void **state) {
    struct decided *d = *state;
    given(d, WEB);
    given(d, WEB "environment: {A: b}\n");
    assert_int_equal(decide_turn(d, ROLLOUT_ROLL_BACK, 1, 0), 0);
    struct service told = *changed_service(d);
    told.revision = told.restart_revision = 2; // as it was, but for what is said of the rollout
    d->decision.transaction.changes.count = 0;
    transaction_add(&d->decision.transaction, CHANGE_UPDATE, KIND_SERVICE, &told, &d->store.arena);
    commit(d);
    assert_int_equal(decide_expecting(d, WEB "environment: {A: c}\n", 2), 0);
    assert_int_equal(decide_expecting(d, WEB "environment: {A: c}\n", 1), -ERR_CONFLICT);
    assert_int_equal(decide_expecting(d, WEB "environment: {A: c}\n", 9), -ERR_CONFLICT);
}

static void only_a_rollout_that_is_under_way_can_be_paused(void **state) {
    struct decided *d = *state;
    given(d, WEB);
    assert_int_equal(decide_turn(d, ROLLOUT_PAUSE, 0, 0), -ERR_NOT_FOUND);
    assert_string_equal(d->err.root, "service 'web' has no rollout");
}

static void new_constraints_restart_nothing_by_themselves(void **state) {
    struct decided *d = *state;
    given(d, WEB);
    assert_int_equal(decide(d, WEB "deploy: {placement: {constraints: [node.role == manager]}}\n"), 0);
    assert_int_equal(result(d, 0)->consequence, CONSEQUENCE_MOVE);
    assert_int_equal(changed_service(d)->restart_revision, 1);
}

static void what_is_fixed_for_life_is_refused(void **state) {
    struct decided *d = *state;
    given(d, WEB);
    assert_int_equal(decide(d, WEB "deploy: {mode: global}\n"), -ERR_UNSUPPORTED);
    assert_string_equal(d->err.root,
                        "service 'web': deploy.mode cannot be changed (from replicated to global): "
                        "remove the service and create it anew");
}

static void expected_versions_are_held_against_the_store(void **state) {
    struct decided *d = *state;
    assert_int_equal(decide_expecting(d, WEB, 4), -ERR_NOT_FOUND);
    assert_int_equal(decide_expecting(d, WEB, -1), 0);
    commit(d);
    assert_int_equal(decide_expecting(d, WEB, -1), -ERR_EXISTS);
    assert_string_equal(d->err.root, "service 'web': already exists");
    assert_int_equal(decide_expecting(d, WEB "deploy: {replicas: 2}\n", 1), 0);
    assert_int_equal(decide_expecting(d, WEB "deploy: {replicas: 2}\n", 7), -ERR_CONFLICT);
    assert_string_equal(d->err.root, "service 'web': was changed meanwhile: it is at version 1, not 7");
}

static void references_must_exist_or_be_declared_along(void **state) {
    struct decided *d = *state;
    static const char uses[] =
        WEB "networks: [front]\nsecrets: [key]\nconfigs: [conf]\nvolumes: ['data:/d']\n";
    static const char all[] = WEB "networks: [front]\n---\nkind: network\nname: front\n";
    assert_int_equal(decide(d, uses), -ERR_NOT_FOUND);
    assert_string_equal(d->err.root,
                        "service 'web': networks: network 'front' not found: create it first, or "
                        "declare it in the same files (and 2 more)");
    assert_int_equal(d->decision.mistakes.count, 3);
    assert_int_equal(decide(d, all), 0);
    assert_int_equal(d->decision.transaction.changes.count, 3);
    commit(d);
    assert_int_equal(decide(d, WEB "networks: [front]\nvolumes: ['data:/d']\n"), 0);
    bool is_told = false;
    for (size_t i = 0; i < result(d, 0)->warnings.count; i++) {
        is_told |= strstr(result(d, 0)->warnings.items[i], "volume 'data' is not declared") != NULL;
    }
    assert_true(is_told);
}

static void fields_that_do_not_act_yet_are_warned_about(void **state) {
    struct decided *d = *state;
    assert_int_equal(decide(d, WEB "ports: ['8080:80']\n"), 0);
    assert_int_equal(result(d, 0)->warnings.count, 1);
    assert_string_equal(result(d, 0)->warnings.items[0],
                        "ports is stored, but not yet acting in this version");
}

static void one_mistake_refuses_all(void **state) {
    struct decided *d = *state;
    struct apply_request request;
    declare(d, WEB "---\nkind: service\nname: api\nimage: busybox\n", 0, &request);
    request.items.items[1].spec.len--; // not a spec any more
    assert_true(decide_request(d, &request) < 0);
    declare(d, WEB "---\nkind: service\nname: api\nimage: busybox\n", 0, &request);
    request.items.items[1].name = "other";
    assert_int_equal(decide_request(d, &request), -ERR_INVALID);
    assert_string_equal(d->err.root, "service 'other': its spec has another name: 'api'");
    declare(d, WEB "---\nkind: service\nname: api\nimage: busybox\n", 0, &request);
    request.items.items[1] = request.items.items[0];
    assert_int_equal(decide_request(d, &request), -ERR_INVALID);
    declare(d, WEB, 0, &request);
    request.items.items[0].kind = KIND_TASK;
    assert_int_equal(decide_request(d, &request), -ERR_INVALID);
}

static void the_server_checks_what_a_client_did_not(void **state) {
    struct decided *d = *state;
    struct apply_request request;
    struct service_spec spec;
    AUTO_BUF bytes = {0};
    declare(d, WEB, 0, &request);
    schema_init(&service_spec_schema, &spec);
    spec.name = "web"; // without an image
    spec.deploy.replicas = -4;
    wire_encode(&service_spec_schema, &spec, &bytes);
    request.items.items[0].spec = buf_bytes(&bytes);
    assert_int_equal(decide_request(d, &request), -ERR_INVALID);
    assert_true(d->decision.mistakes.count >= 2);
}

static void nodes_are_not_made_by_declaring_them(void **state) {
    struct decided *d = *state;
    assert_int_equal(decide(d, "kind: node\nname: w7\navailability: drain\n"), -ERR_NOT_FOUND);
    assert_string_equal(d->err.root, "node 'w7': not found: nodes join a cluster, they are not declared");
}

// --- managers that can be spared ---

enum put { M_ANSWERS, M_SILENT, M_LEFT, W };

static void put_node(struct decided *d, char name, enum put how) {
    struct arena *arena = &d->store.arena;
    struct node node;
    struct node_manager manager = {.reachable = how == M_ANSWERS, .address = "127.0.0.1:1"};
    struct decision decision = {0};
    schema_init(&node_schema, &node);
    memset(node.meta.id.text, name, ID_LEN);
    node.meta.name = node.spec.name = arena_printf(arena, "n%c", name);
    node.spec.role = how == W ? ROLE_WORKER : ROLE_MANAGER;
    node.status.state = how == M_SILENT ? NODE_DOWN : NODE_READY;
    node.status.left = how == M_LEFT;
    node.manager = how == M_ANSWERS || how == M_SILENT ? &manager : NULL;
    schema_init(&transaction_schema, &decision.transaction);
    transaction_add(&decision.transaction, CHANGE_CREATE, KIND_NODE, &node, arena);
    d->decision = decision;
    commit(d);
}

static void managers_are_spared_while_a_quorum_of_the_others_answers(void **state) {
    // Which nodes there are (a, b, c…), and whether `a` may go, and `a` and `b` in one transaction.
    static const struct {
        enum put nodes[5];
        unsigned count;
        int one, both;
    } rows[] = {
        {{M_ANSWERS, W}, 2, -ERR_GUARD, -ERR_GUARD},
        {{M_ANSWERS, M_LEFT}, 2, -ERR_GUARD, -ERR_GUARD},
        {{M_ANSWERS, M_ANSWERS}, 2, 0, -ERR_GUARD},
        {{M_ANSWERS, M_SILENT}, 2, -ERR_GUARD, -ERR_GUARD},
        {{M_SILENT, M_ANSWERS}, 2, 0, -ERR_GUARD},
        {{M_ANSWERS, M_ANSWERS, M_ANSWERS}, 3, 0, 0},
        {{M_ANSWERS, M_ANSWERS, M_SILENT}, 3, -ERR_GUARD, -ERR_GUARD},
        {{M_SILENT, M_ANSWERS, M_ANSWERS}, 3, 0, 0},
        {{M_ANSWERS, M_ANSWERS, M_ANSWERS, M_SILENT}, 4, 0, -ERR_GUARD},
        {{M_ANSWERS, M_ANSWERS, M_ANSWERS, M_SILENT, M_SILENT}, 5, -ERR_GUARD, -ERR_GUARD},
        {{M_SILENT, M_SILENT, M_ANSWERS, M_ANSWERS, M_ANSWERS}, 5, 0, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct decided *d;
        setup((void **)&d);
        for (unsigned j = 0; j < rows[i].count; j++) {
            put_node(d, (char)('a' + j), rows[i].nodes[j]);
        }
        assert_int_equal(decide(d, "kind: node\nname: na\nrole: worker\n"), rows[i].one);
        if (rows[i].nodes[1] == M_ANSWERS || rows[i].nodes[1] == M_SILENT) {
            assert_int_equal(decide(d, "kind: node\nname: na\nrole: worker\n---\n"
                                       "kind: node\nname: nb\nrole: worker\n"),
                             rows[i].both);
        }
        teardown((void **)&d);
    }
    (void)state;
}

static void a_node_goes_when_it_is_down_or_by_force(void **state) {
    struct decided *d = *state;
    put_node(d, 'a', M_ANSWERS);
    put_node(d, 'b', M_ANSWERS);
    put_node(d, 'c', M_SILENT);
    put_node(d, 'd', W);
    assert_int_equal(decide_removal(d, KIND_NODE, "nd"), -ERR_GUARD);
    assert_non_null(strstr(d->err.root, "is not down and can't be removed"));
    d->force = true;
    assert_int_equal(decide_removal(d, KIND_NODE, "nd"), 0);
    assert_int_equal(decide_removal(d, KIND_NODE, "na"), -ERR_GUARD); // then one of two would answer
    assert_non_null(strstr(d->err.root, "of the 2 managers left 1 would answer"));
    d->force = false;
    assert_int_equal(decide_removal(d, KIND_NODE, "nc"), 0);
    assert_int_equal(d->decision.transaction.changes.items[0].op, CHANGE_DELETE);
}

static void who_left_gets_its_role_when_it_joins_again(void **state) {
    struct decided *d = *state;
    put_node(d, 'a', M_ANSWERS);
    put_node(d, 'b', M_LEFT);
    assert_int_equal(decide(d, "kind: node\nname: nb\nrole: worker\n"), -ERR_GUARD);
    assert_non_null(strstr(d->err.root, "it left the swarm"));
}

static void external_objects_must_be_there_already(void **state) {
    struct decided *d = *state;
    assert_int_equal(decide(d, "kind: network\nname: front\nexternal: true\n"), -ERR_NOT_FOUND);
    given(d, "kind: network\nname: front\n");
    assert_int_equal(decide(d, "kind: network\nname: front\nexternal: true\n"), 0);
    assert_int_equal(d->decision.transaction.changes.count, 0);
}

static void a_service_goes_after_its_tasks(void **state) {
    struct decided *d = *state;
    given(d, WEB);
    assert_int_equal(decide_removal(d, KIND_SERVICE, "wet"), -ERR_NOT_FOUND);
    assert_string_equal(d->err.root, "service 'wet' not found");
    assert_int_equal(decide_removal(d, KIND_SERVICE, "web"), 0);
    assert_int_equal(d->decision.transaction.changes.items[0].op, CHANGE_UPDATE);
    assert_true(changed_service(d)->removing);
    commit(d);
    assert_int_equal(decide_removal(d, KIND_SERVICE, "web"), -ERR_NOT_FOUND);
}

static void the_name_of_a_service_that_goes_is_free_at_once(void **state) {
    struct decided *d = *state;
    given(d, WEB);
    assert_int_equal(decide_removal(d, KIND_SERVICE, "web"), 0);
    commit(d);
    assert_int_equal(decide_expecting(d, WEB, -1), 0);
    assert_int_equal(result(d, 0)->action, ACTION_CREATED);
    assert_int_equal(result(d, 0)->revision, 1);
    commit(d);
    assert_int_equal(decide(d, WEB), 0);
    assert_int_equal(result(d, 0)->action, ACTION_UNCHANGED);
}

static void what_is_in_use_stays(void **state) {
    struct decided *d = *state;
    given(d, "kind: secret\nname: key\ndata: c2VjcmV0\n---\n" WEB "secrets: [key]\n");
    assert_int_equal(decide_removal(d, KIND_SECRET, "key"), -ERR_GUARD);
    assert_string_equal(d->err.root, "secret 'key' is in use by the following service: web");
    given(d, WEB);
    assert_int_equal(decide_removal(d, KIND_SECRET, "key"), 0);
    assert_int_equal(d->decision.transaction.changes.items[0].op, CHANGE_DELETE);
    assert_int_equal(decide_removal(d, KIND_TASK, "x"), -ERR_NOT_FOUND);
}

// --- contents of secrets and configs ---

#define SECRET(data) "kind: secret\nname: key\ndata: " data "\n---\n"
#define ONE "b25l"
#define TWO "dHdv"

static const void *stored(struct decided *d, enum object_kind kind, const char *name) {
    struct store_read *read = store_begin_read(&d->store);
    struct id id;
    void *object = NULL;
    if (store_find_name(read, kind, name, &id, &d->err) == 0) {
        assert_int_equal(store_load(read, kind, &id, &d->store.arena, &object, &d->err), 0);
    }
    store_read_end(read);
    return object;
}

static const struct service *stored_service(struct decided *d, const char *name) {
    const struct service *service = stored(d, KIND_SERVICE, name);
    assert_non_null(service);
    return service;
}

static struct id newest(struct decided *d) {
    const struct secret *secret = stored(d, KIND_SECRET, "key");
    assert_non_null(secret);
    return *content_id(KIND_SECRET, secret);
}

static const void *stored_old(struct decided *d, const struct id *content) {
    return stored(d, KIND_SECRET, arena_printf(&d->store.arena, "key~%s", content->text));
}

static void a_new_content_is_a_new_revision_of_all_that_use_it(void **state) {
    struct decided *d = *state;
    given(d,
          SECRET(ONE) WEB "secrets: [key]\n---\nkind: service\nname: other\nimage: a\nsecrets: [key]\n---\n"
                          "kind: service\nname: aside\nimage: a\n");
    struct id first = newest(d);
    assert_true(id_equal(&stored_service(d, "web")->spec.secrets.items[0].content, &first));
    given(d, SECRET(TWO));
    assert_int_equal(d->decision.applied.results.count, 3);
    assert_int_equal(result(d, 0)->action, ACTION_UPDATED);
    assert_int_equal(result(d, 1)->kind, KIND_SERVICE);
    assert_int_equal(result(d, 1)->consequence, CONSEQUENCE_RESTART);
    struct id second = newest(d);
    assert_false(id_equal(&first, &second));
    const char *const names[] = {"web", "other"};
    for (size_t i = 0; i < 2; i++) {
        const struct service *service = stored_service(d, names[i]);
        assert_true(id_equal(&service->spec.secrets.items[0].content, &second));
        assert_int_equal(service->revision, 2);
        assert_int_equal(service->restart_revision, 2);
    }
    assert_int_equal(stored_service(d, "aside")->revision, 1);
    assert_non_null(stored_old(d, &first)); // for the way back
}

static void the_same_value_sealed_anew_changes_nothing(void **state) {
    struct decided *d = *state;
    given(d, SECRET(ONE) WEB "secrets: [key]\n");
    assert_int_equal(decide(d, SECRET(ONE) WEB "secrets: [key]\n"), 0);
    assert_int_equal(d->decision.transaction.changes.count, 0);
    given(d, "kind: secret\nname: key\ndata: " ONE "\nlabels: {a: b}\n"); // labels are not the value
    assert_int_equal(d->decision.applied.results.count, 1);
    assert_int_equal(stored_service(d, "web")->revision, 1);
}

static void declared_together_each_changes_once(void **state) {
    struct decided *d = *state;
    given(d, SECRET(ONE) WEB "secrets: [key]\n");
    given(d, WEB "secrets: [key]\nenvironment: {A: b}\n---\n" SECRET(TWO)); // services may come first
    assert_int_equal(d->decision.applied.results.count, 2);
    assert_int_equal(stored_service(d, "web")->revision, 2);
    struct id now = newest(d);
    assert_true(id_equal(&stored_service(d, "web")->spec.secrets.items[0].content, &now));
}

static void who_follows_the_newest_names_none(void **state) {
    struct decided *d = *state;
    given(d, SECRET(ONE) WEB "secrets: [{source: key, on_change: signal}]\n");
    assert_true(id_is_none(&stored_service(d, "web")->spec.secrets.items[0].content));
    struct id first = newest(d);
    given(d, SECRET(TWO));
    assert_int_equal(d->decision.applied.results.count, 1);
    assert_int_equal(stored_service(d, "web")->revision, 1);
    assert_null(stored_old(d, &first)); // nobody can come back to it
}

static void collect(struct decided *d) {
    struct store_read *read = store_begin_read(&d->store);
    memset(&d->decision, 0, sizeof d->decision);
    schema_init(&transaction_schema, &d->decision.transaction);
    struct contents contents = {.read = read, .arena = &d->store.arena, .out = &d->decision};
    assert_int_equal(content_collect(&contents, KIND_SECRET, "", &d->err), 0);
    store_read_end(read);
}

static void what_came_before_stays_as_long_as_it_is_named(void **state) {
    struct decided *d = *state;
    given(d, SECRET(ONE) WEB "secrets: [key]\n");
    struct id first = newest(d);
    given(d, SECRET(TWO));
    collect(d);
    assert_int_equal(d->decision.transaction.changes.count, 0);
    struct apply_request back; // a spec that names it, as a rollback does
    declare(d, WEB "secrets: [key]\n", 0, &back);
    struct service_spec spec = stored_service(d, "web")->spec;
    spec.secrets.items[0].content = first;
    AUTO_BUF bytes = {0};
    wire_encode(&service_spec_schema, &spec, &bytes);
    back.items.items[0].spec = buf_bytes(&bytes);
    assert_int_equal(decide_request(d, &back), 0);
    assert_int_equal(result(d, 0)->consequence, CONSEQUENCE_RESTART);
    commit(d);
    assert_true(id_equal(&stored_service(d, "web")->spec.secrets.items[0].content, &first));
    given(d, WEB "secrets: [key]\n"); // declared again, it is the newest
    assert_false(id_equal(&stored_service(d, "web")->spec.secrets.items[0].content, &first));
    given(d, WEB);
    assert_int_equal(decide_removal(d, KIND_SECRET, "key"), 0);
    assert_int_equal(d->decision.transaction.changes.count, 2); // with what came before
    commit(d);
    assert_null(stored_old(d, &first));
}

static void what_nobody_names_any_more_is_collected(void **state) {
    struct decided *d = *state;
    given(d, SECRET(ONE) WEB "secrets: [key]\n");
    given(d, SECRET(TWO));
    struct store_read *read = store_begin_read(&d->store); // all revisions of the service go
    memset(&d->decision, 0, sizeof d->decision);
    schema_init(&transaction_schema, &d->decision.transaction);
    void *revision;
    struct id id;
    const char *name = arena_printf(&d->store.arena, "%s/1", stored_service(d, "web")->meta.id.text);
    assert_int_equal(store_find_name(read, KIND_REVISION, name, &id, &d->err), 0);
    assert_int_equal(store_load(read, KIND_REVISION, &id, &d->store.arena, &revision, &d->err), 0);
    transaction_add(&d->decision.transaction, CHANGE_DELETE, KIND_REVISION, revision, &d->store.arena);
    store_read_end(read);
    commit(d);
    collect(d);
    assert_int_equal(d->decision.transaction.changes.count, 1);
    assert_int_equal(d->decision.transaction.changes.items[0].op, CHANGE_DELETE);
}

static void a_value_that_was_not_sealed_is_not_stored(void **state) {
    struct decided *d = *state;
    struct apply_request request;
    struct secret_spec spec;
    AUTO_BUF bytes = {0};
    declare(d, SECRET(ONE), 0, &request);
    schema_init(&secret_spec_schema, &spec);
    spec.name = "key";
    spec.data = (struct bytes){(const uint8_t *)"plain", 5};
    wire_encode(&secret_spec_schema, &spec, &bytes);
    request.items.items[0].spec = buf_bytes(&bytes);
    assert_int_equal(decide_request(d, &request), -ERR_INTERNAL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_new_content_is_a_new_revision_of_all_that_use_it),
        TEST(the_same_value_sealed_anew_changes_nothing),
        TEST(declared_together_each_changes_once),
        TEST(who_follows_the_newest_names_none),
        TEST(what_came_before_stays_as_long_as_it_is_named),
        TEST(what_nobody_names_any_more_is_collected),
        TEST(a_value_that_was_not_sealed_is_not_stored),
        TEST(a_new_service_is_created_with_its_first_revision),
        TEST(the_same_declaration_changes_nothing),
        TEST(a_change_raises_the_revision_and_says_what_it_costs),
        TEST(a_rollback_is_a_revision_with_an_older_spec),
        TEST(a_word_of_the_rollout_is_no_conflict),
        TEST(only_a_rollout_that_is_under_way_can_be_paused),
        TEST(new_constraints_restart_nothing_by_themselves),
        TEST(what_is_fixed_for_life_is_refused),
        TEST(expected_versions_are_held_against_the_store),
        TEST(references_must_exist_or_be_declared_along),
        TEST(fields_that_do_not_act_yet_are_warned_about),
        TEST(one_mistake_refuses_all),
        TEST(the_server_checks_what_a_client_did_not),
        TEST(nodes_are_not_made_by_declaring_them),
        TEST(managers_are_spared_while_a_quorum_of_the_others_answers),
        TEST(a_node_goes_when_it_is_down_or_by_force),
        TEST(who_left_gets_its_role_when_it_joins_again),
        TEST(external_objects_must_be_there_already),
        TEST(a_service_goes_after_its_tasks),
        TEST(the_name_of_a_service_that_goes_is_free_at_once),
        TEST(what_is_in_use_stays),
    };
    return cmocka_run_group_tests_name(__FILE__, tests, NULL, NULL);
}
