// SPDX-License-Identifier: Apache-2.0
//
// test/unit/test_cli_service_flags.c — each flag of `service create` and `update`, to the field it changes.
#include "test/lib/check.h"
#include "test/lib/scratch.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/str.h"
#include "cli/builtin.h"
#include "cli/made_up_name.h"
#include "cli/service_change.h"

#define WORDS_MAX 24

// Words apart by blanks; '_' stands for a blank inside a word after a backquote.
static char **words_of(const char *line, struct arena *arena) {
    char **words = arena_array(arena, WORDS_MAX + 1, sizeof *words);
    char *rest = arena_strdup(arena, line);
    size_t count = 0;
    words[count++] = arena_strdup(arena, "service");
    for (char *word; (word = strsep(&rest, " ")) != NULL;) {
        for (char *p = word; *p != '\0'; p++) {
            *p = *p == '~' ? ' ' : *p;
        }
        assert_true(count < WORDS_MAX);
        words[count++] = word;
    }
    return words;
}

static int read_line(const char *line, struct invocation *in, struct error *err) {
    const struct command_group *group;
    return command_read(builtin_table(NULL), words_of(line, in->arena), in, &group, err);
}

static void add_differences(const struct service_spec *before, const struct service_spec *after,
                            struct arena *arena, struct buf *out) {
    struct differences differences = {0};
    schema_diff(&service_spec_schema, before, after, arena, &differences);
    for (size_t i = 0; i < differences.count; i++) {
        const struct difference *at = &differences.items[i];
        buf_addf(out, "%s%s %s -> %s", i > 0 ? "; " : "", at->path,
                 at->old_text != NULL ? at->old_text : "none", at->new_text != NULL ? at->new_text : "none");
    }
}

// What a line of flags makes of a service; the error when there is one.
static void outcome_of(bool is_update, const char *flags, const struct service_spec *present,
                       struct arena *arena, struct buf *out) {
    struct invocation in = {.arena = arena};
    struct error err = {0};
    AUTO_BUF notes = {0};
    char text[1000];
    struct service_spec created;
    struct service_spec *updated = &created;
    const char *line = is_update ? arena_printf(arena, "update %s web", flags)
                                 : arena_printf(arena, "create --name web %s nginx", flags);
    int rc = read_line(line, &in, &err);
    if (rc == 0) {
        rc = is_update ? service_update_spec(&in, present, &updated, &notes, &err)
                       : service_create_spec(&in, &created, &notes, &err);
    }
    if (rc < 0) {
        assert_int_equal(err.code, -rc);
        buf_adds(out, error_text(&err, text, sizeof text));
        return;
    }
    add_differences(present, updated, arena, out);
    buf_adds(out, buf_text(&notes));
}

static void plain(struct service_spec *spec) {
    schema_init(&service_spec_schema, spec);
    spec->name = "web";
    spec->image = "nginx";
}

struct row {
    const char *flags, *outcome;
};

// The same flag in both commands.
// tidy: table
static const struct row both[] = {
    {"--entrypoint sh~-c~'a~b'", "entrypoint none -> [sh, -c, a b]"},
    {"-w /srv", "working_dir none -> /srv"},
    {"--workdir /srv", "working_dir none -> /srv"},
    {"-u 1000:100", "user none -> 1000:100"},
    {"--hostname box", "hostname none -> box"},
    {"--init", "init false -> true"},
    {"-t", "tty false -> true"},
    {"--read-only", "read_only false -> true"},
    {"--read-only=false", ""},
    {"--stop-signal SIGINT", "stop_signal none -> SIGINT"},
    {"--drain-delay 5s", "drain_delay 0s -> 5s"},
    {"--stop-grace-period 1m30s", "stop_grace_period 10s -> 1m30s"},
    {"--oom-score-adj 500", "oom_score_adj 0 -> 500"},
    {"--cap-add cap_net_admin --cap-add SYS_TIME", "cap_add none -> [NET_ADMIN, SYS_TIME]"},
    {"--cap-drop all", "cap_drop none -> [ALL]"},
    {"--replicas 3", "deploy.replicas 1 -> 3"},
    {"--replicas 0", "deploy.replicas 1 -> 0"},
    {"--replicas-max-per-node 2", "deploy.placement.max_replicas_per_node 0 -> 2"},
    {"--limit-cpu 0.5", "deploy.resources.limits.cpus 0 -> 0.5"},
    {"--limit-memory 64m", "deploy.resources.limits.memory 0 -> 64M"},
    {"--limit-pids 100", "deploy.resources.limits.pids 0 -> 100"},
    {"--reserve-cpu 1.5", "deploy.resources.reservations.cpus 0 -> 1.5"},
    {"--reserve-memory 1g", "deploy.resources.reservations.memory 0 -> 1G"},
    {"--restart-condition on-failure", "deploy.restart_policy.condition any -> on-failure"},
    {"--restart-delay 1s", "deploy.restart_policy.delay 5s -> 1s"},
    {"--restart-max-attempts 3", "deploy.restart_policy.max_attempts 0 -> 3"},
    {"--restart-window 1h", "deploy.restart_policy.window 0s -> 1h"},
    {"--update-parallelism 0", "deploy.update_config.parallelism 1 -> 0"},
    {"--update-delay 10s", "deploy.update_config.delay 0s -> 10s"},
    {"--update-monitor 20s", "deploy.update_config.monitor 5s -> 20s"},
    {"--update-max-failure-ratio 0.25", "deploy.update_config.max_failure_ratio none -> 0.25"},
    {"--update-failure-action rollback", "deploy.update_config.failure_action pause -> rollback"},
    {"--update-order start-first", "deploy.update_config.order stop-first -> start-first"},
    {"--rollback-parallelism 2", "deploy.rollback_config.parallelism 1 -> 2"},
    {"--rollback-delay 1s", "deploy.rollback_config.delay 0s -> 1s"},
    {"--rollback-monitor 1s", "deploy.rollback_config.monitor 5s -> 1s"},
    {"--rollback-max-failure-ratio 1", "deploy.rollback_config.max_failure_ratio none -> 1"},
    {"--rollback-failure-action continue", "deploy.rollback_config.failure_action pause -> continue"},
    {"--rollback-order start-first", "deploy.rollback_config.order stop-first -> start-first"},
    {"--health-cmd curl~-f~localhost",
     "healthcheck none -> {\"test\":[\"CMD-SHELL\",\"curl -f localhost\"]}"},
    {"--health-cmd x --health-interval 1s --health-timeout 2s --health-retries 4 --health-start-period 5s "
     "--health-start-interval 6s",
     "healthcheck none -> {\"test\":[\"CMD-SHELL\",\"x\"],\"interval\":1000000000,\"timeout\":2000000000,"
     "\"start_period\":5000000000,\"start_interval\":6000000000,\"retries\":4}"},
    {"--no-healthcheck", "healthcheck none -> {\"disable\":true}"},
    {"--no-healthcheck --health-cmd x", "--no-healthcheck conflicts with --health-cmd"},
    {"--endpoint-mode dnsrr", "deploy.endpoint_mode vip -> dnsrr"},
    {"--log-driver local --log-opt max-size=1m --log-opt max-file=3",
     "logging.driver none -> local; logging.options.max-file none -> 3; logging.options.max-size none -> 1m"},
    {"--with-registry-auth", "--with-registry-auth is accepted, but does not act yet\n"},
    {"--no-resolve-image", "--no-resolve-image is accepted, but does not act yet\n"},
};

// --name of create is --name-add of update.
// tidy: table
static const struct row added[] = {
    {"--env A=1 --env B=x=y --env C=",
     "environment.A none -> 1; environment.B none -> x=y; environment.C none -> "},
    {"--env MUSTER_TEST_GIVEN --env MUSTER_TEST_ABSENT", "environment.MUSTER_TEST_GIVEN none -> from here"},
    {"--env =x", "--env: '=x' has no name before the equal sign"},
    {"--group video --group video", "group_add none -> [video]"},
    {"--label a=1 --label b", "deploy.labels.a none -> 1; deploy.labels.b none -> "},
    {"--container-label a=1", "labels.a none -> 1"},
    {"--sysctl net.core.somaxconn=1024", "sysctls.net.core.somaxconn none -> 1024"},
    {"--ulimit nofile=1024:2048 --ulimit nproc=10", "ulimits[nofile]"},
    {"--ulimit nofile=many", "--ulimit: 'nofile=many' is not a limit like nofile=1024:2048"},
    {"--constraint node.role==manager --constraint node.labels.a!=b",
     "deploy.placement.constraints none -> [node.role == manager, node.labels.a != b]"},
    {"--constraint node.role", "--constraint: "},
    {"--placement-pref spread=node.labels.rack", "deploy.placement.preferences"},
    {"--placement-pref rack", "--placement-pref: 'rack' is not a preference like spread=node.labels.rack"},
    {"--generic-resource gpu=2", "deploy.resources.reservations.generic_resources"},
    {"--generic-resource gpu", "--generic-resource: 'gpu' is not a count like gpu=2"},
    {"--network front --network name=back,alias=db,alias=sql,driver-opt=a=b",
     "networks[front] none -> {\"name\":\"front\"}; networks[back] none -> "
     "{\"name\":\"back\",\"aliases\":[\"db\",\"sql\"],\"driver_opts\":{\"a\":\"b\"}}"},
    {"--network alias=x", "--network: 'alias=x' has no name"},
    {"--publish 8080:80", "ports[0] none -> 8080:80"},
    {"--publish published=53,target=53,protocol=udp,mode=host",
     "ports[0] none -> {\"target\":53,\"published\":53,\"protocol\":\"udp\",\"mode\":\"host\"}"},
    {"--publish 8000-8001:80-81/udp", "ports[0] none -> 8000:80/udp; ports[1] none -> 8001:81/udp"},
    {"--publish 8000-8003:80-81",
     "--publish: '8000-8003:80-81' is not a range of ports like 8000-8010:9000-9010"},
    {"--publish published=80", "--publish: 'published=80' has no target port"},
    {"--publish target=80,mod=host", "--publish: unknown key 'mod': did you mean 'mode'?"},
    {"--dns 1.1.1.1", "dns none -> [1.1.1.1]"},
    {"--dns-option ndots:2", "dns_opt none -> [ndots:2]"},
    {"--dns-search example.com", "dns_search none -> [example.com]"},
    {"--host db:10.0.0.1", "extra_hosts none -> [db:10.0.0.1]"},
    {"--mount type=bind,src=/srv,dst=/data,ro,bind-propagation=rslave", "volumes[/data]"},
    {"--mount source=data,target=/data", "volumes[/data] none -> data:/data"},
    {"--mount type=tmpfs,target=/tmp,tmpfs-size=64m,tmpfs-mode=1770", "volumes[/tmp]"},
    {"--mount type=bind,src=/srv", "--mount: 'type=bind,src=/srv' has no target"},
    {"--mount type=bnd,src=/srv,dst=/a", "--mount: type: "},
    {"--mount dst=/a,readonly=maybe", "--mount: readonly: "},
    {"--mount dst=/a,volume-opt=x=y", "--mount: volume-opt: not supported here: declare the volume"},
    {"--mount dst", "--mount: 'dst' wants a value: dst=VALUE"},
    {"--mount \"dst=/a", "--mount: '\"dst=/a' has a quote that is not closed"},
    {"--secret key --secret source=cert,target=/etc/cert,uid=1,gid=2,mode=0400",
     "secrets[key] none -> key; secrets[cert] none -> "
     "{\"source\":\"cert\",\"target\":\"/etc/cert\",\"uid\":\"1\",\"gid\":\"2\",\"mode\":256}"},
    {"--config site", "configs[site] none -> site"},
};

static unsigned mismatches; // all of a table are shown before its test fails

static void expect(bool is_update, const char *flags, const struct service_spec *present,
                   const char *expected) {
    AUTO_ARENA arena = {0};
    AUTO_BUF outcome = {0};
    outcome_of(is_update, flags, present, &arena, &outcome);
    // A table row may leave the end out.
    bool is_same = expected[0] == '\0' ? outcome.len == 0 : str_starts(buf_text(&outcome), expected);
    if (!is_same) {
        print_error("%s: %s\n  expected: %s\n", flags, buf_text(&outcome), expected);
        mismatches++;
    }
}

static void one_value_flags_set_their_field_in_both_commands(void **state) {
    (void)state;
    struct service_spec present;
    mismatches = 0;
    plain(&present);
    for (size_t i = 0; i < sizeof both / sizeof *both; i++) {
        expect(false, both[i].flags, &present, both[i].outcome);
        expect(true, both[i].flags, &present, both[i].outcome);
    }
    assert_int_equal(mismatches, 0);
}

// "--env A=1 --env B" as "--env-add A=1 --env-add B".
static const char *as_update(const char *flags, const char *suffix, struct arena *arena) {
    AUTO_BUF out = {0};
    for (const char *p = flags; *p != '\0';) {
        size_t len = strcspn(p, " ");
        buf_add(&out, p, len);
        buf_adds(&out, strncmp(p, "--", 2) == 0 ? suffix : "");
        p += len;
        buf_adds(&out, *p == ' ' ? " " : "");
        p += *p == ' ';
    }
    return arena_strdup(arena, buf_text(&out));
}

static void lists_grow_in_both_commands(void **state) {
    (void)state;
    struct service_spec present;
    plain(&present);
    setenv("MUSTER_TEST_GIVEN", "from here", 1);
    unsetenv("MUSTER_TEST_ABSENT");
    for (size_t i = 0; i < sizeof added / sizeof *added; i++) {
        AUTO_ARENA arena = {0};
        expect(false, added[i].flags, &present, added[i].outcome);
        expect(true, as_update(added[i].flags, "-add", &arena), &present, added[i].outcome);
    }
    assert_int_equal(mismatches, 0);
}

static void every_flag_is_in_these_tables(void **state) {
    (void)state;
    for (int id = 0; id < SERVICE_FLAG_COUNT; id++) {
        AUTO_BUF flag = {0};
        buf_addf(&flag, "--%s ", service_flags[id].name);
        bool is_there = false;
        for (size_t i = 0; i < sizeof both / sizeof *both; i++) {
            AUTO_BUF line = {0};
            buf_addf(&line, "%s ", both[i].flags);
            is_there |= strstr(buf_text(&line), buf_text(&flag)) != NULL;
        }
        for (size_t i = 0; i < sizeof added / sizeof *added; i++) {
            is_there |= strstr(added[i].flags, buf_text(&flag)) != NULL;
        }
        bool has_letter_only = str_equal(service_flags[id].name, "user") ||
                               str_equal(service_flags[id].name, "tty") ||
                               str_equal(service_flags[id].name, "max-concurrent") ||
                               str_equal(service_flags[id].name, "schedule") ||
                               str_equal(service_flags[id].name, "time-zone"); // tried below
        if (!is_there && !has_letter_only) {
            fail_msg("no test for --%s", service_flags[id].name);
        }
        const struct field *field =
            service_flags[id].path == NULL ? NULL : schema_path(&service_spec_schema, service_flags[id].path);
        assert_true(service_flags[id].path == NULL || field != NULL);
    }
}

static void what_was_added_is_taken_away_again(void **state) {
    (void)state;
    static const struct row rows[] = {
        {"--env A=1 --env B=2", "--env-rm A --env-rm B --env-rm ABSENT"},
        {"--group video", "--group-rm video"},
        {"--label a=1", "--label-rm a"},
        {"--container-label a=1", "--container-label-rm a"},
        {"--sysctl net.core.somaxconn=1", "--sysctl-rm net.core.somaxconn"},
        {"--ulimit nofile=1:2", "--ulimit-rm nofile"},
        {"--constraint node.role==manager", "--constraint-rm node.role~==~manager"},
        {"--placement-pref spread=node.labels.a", "--placement-pref-rm spread=node.labels.a"},
        {"--generic-resource gpu=2", "--generic-resource-rm gpu"},
        {"--network name=back,alias=x", "--network-rm back"},
        {"--publish 8080:80 --publish 53:53/udp", "--publish-rm 80 --publish-rm 53/udp"},
        {"--dns 1.1.1.1", "--dns-rm 1.1.1.1"},
        {"--dns-option a", "--dns-option-rm a"},
        {"--dns-search a", "--dns-search-rm a"},
        {"--host a:1.2.3.4", "--host-rm a:1.2.3.4"},
        {"--mount src=a,dst=/a", "--mount-rm /a"},
        {"--secret a", "--secret-rm a"},
        {"--config a", "--config-rm a"},
    };
    struct service_spec present;
    mismatches = 0;
    plain(&present);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        AUTO_ARENA arena = {0};
        AUTO_BUF notes = {0};
        struct invocation in = {.arena = &arena};
        struct service_spec created;
        struct invocation again = {.arena = &arena};
        struct service_spec *updated;
        const char *create = arena_printf(&arena, "create --name web %s nginx", rows[i].flags);
        assert_int_equal(read_line(create, &in, NULL), 0);
        assert_int_equal(service_create_spec(&in, &created, &notes, NULL), 0);
        assert_false(schema_equal(&service_spec_schema, &present, &created));
        assert_int_equal(read_line(arena_printf(&arena, "update %s web", rows[i].outcome), &again, NULL), 0);
        assert_int_equal(service_update_spec(&again, &created, &updated, &notes, NULL), 0);
        if (!schema_equal(&service_spec_schema, &present, updated)) {
            AUTO_BUF left = {0};
            add_differences(&present, updated, &arena, &left);
            fail_msg("%s leaves %s", rows[i].outcome, buf_text(&left));
        }
    }
}

static void what_has_the_same_key_is_replaced(void **state) {
    (void)state;
    static const struct row rows[] = {
        {"--mount-add src=new,dst=/a", "volumes[/a] a:/a -> new:/a"},
        {"--env-add A=2", "environment.A 1 -> 2"},
        {"--secret-rm s --secret-add source=t,target=s", "secrets[s] s -> none; secrets[t]"},
        {"--cap-drop NET_ADMIN", "cap_add [NET_ADMIN] -> none; cap_drop none -> [NET_ADMIN]"},
        {"--ulimit-add nofile=9", "ulimits[nofile] 1 -> 9"},
        {"--image redis:7 --args redis-server~--appendonly~yes",
         "image nginx -> redis:7; command none -> [redis-server, --appendonly, yes]"},
        {"--force", "force_update 0 -> 1"},
        {"--log-opt b=2", "logging.options.a 1 -> none; logging.options.b none -> 2"},
        {"--args 'open", "--args: "},
    };
    AUTO_ARENA arena = {0};
    AUTO_BUF notes = {0};
    struct invocation in = {.arena = &arena};
    struct service_spec present;
    assert_int_equal(
        read_line("create --name web --mount src=a,dst=/a --env A=1 --secret s --cap-add net_admin "
                  "--ulimit nofile=1 --log-opt a=1 nginx",
                  &in, NULL),
        0);
    assert_int_equal(service_create_spec(&in, &present, &notes, NULL), 0);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        expect(true, rows[i].flags, &present, rows[i].outcome);
    }
    assert_int_equal(mismatches, 0);
}

static void flags_that_do_not_fit_the_mode_are_refused(void **state) {
    (void)state;
    static const struct row rows[] = {
        {"--mode global", "deploy.mode replicated -> global"},
        {"--mode replicated-job --max-concurrent 2",
         "deploy.mode replicated -> replicated-job; deploy.max_concurrent 0 -> 2"},
        {"--mode replicated-job --update-order stop-first",
         "--update-order: update and rollback configuration is not supported for jobs"},
        {"--mode global-job --rollback-delay 1s",
         "--rollback-delay: update and rollback configuration is not supported for jobs"},
        {"--mode global-job --restart-condition any", "--restart-condition any: a job would never end"},
        {"--schedule @daily", "--schedule can only be used with replicated-job or global-job mode"},
        {"--mode global-job --time-zone Europe/Berlin", "--time-zone goes with a --schedule"},
        {"--mode global --replicas 2", "--replicas can only be used with replicated or replicated-job mode"},
        {"--mode global --replicas-max-per-node 2", "--replicas-max-per-node can only be used with"},
        {"--max-concurrent 2", "--max-concurrent can only be used with replicated-job mode"},
        {"--mode globl", "--mode: "},
    };
    struct service_spec present;
    mismatches = 0;
    plain(&present);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        expect(false, rows[i].flags, &present, rows[i].outcome);
    }
    assert_int_equal(mismatches, 0);
}

static void words_after_the_image_are_the_command(void **state) {
    (void)state;
    AUTO_ARENA arena = {0};
    AUTO_BUF notes = {0};
    struct invocation in = {.arena = &arena};
    struct service_spec spec;
    assert_int_equal(read_line("create -d --name web busybox ls -l --all", &in, NULL), 0);
    assert_int_equal(service_create_spec(&in, &spec, &notes, NULL), 0);
    assert_true(in.shared.detach);
    assert_int_equal(spec.command.count, 3);
    assert_string_equal(spec.command.items[2], "--all");
    assert_string_equal(spec.image, "busybox");
    char here[4096];
    assert_non_null(getcwd(here, sizeof here));
    assert_string_equal(service_image("oci-archive:./x.tar", &arena),
                        arena_printf(&arena, "oci-archive:%s/x.tar", here));
    assert_string_equal(service_image("oci-archive:/x.tar", &arena), "oci-archive:/x.tar");
    assert_string_equal(service_image("redis:7", &arena), "redis:7");
}

static void environment_files_are_read(void **state) {
    (void)state;
    AUTO_ARENA arena = {0};
    AUTO_BUF notes = {0};
    struct error err = {0};
    char text[1000];
    char dir[SCRATCH_BYTES];
    scratch_name(dir, sizeof dir, "flags");
    assert_non_null(mkdtemp(dir));
    char *path = arena_printf(&arena, "%s/env", dir);
    static const char good[] = "# comment\n\nA=1\r\n  B=with blanks \nMUSTER_TEST_GIVEN\nA=2";
    setenv("MUSTER_TEST_GIVEN", "from here", 1);
    assert_int_equal(fs_replace(AT_FDCWD, path, good, sizeof good - 1, 0600, false, NULL), 0);
    struct invocation in = {.arena = &arena};
    struct service_spec spec;
    const char *line = arena_printf(&arena, "create --name web --env-file %s --env B=flag nginx", path);
    assert_int_equal(read_line(line, &in, NULL), 0);
    assert_int_equal(service_create_spec(&in, &spec, &notes, NULL), 0);
    assert_int_equal(spec.environment.count, 3);
    assert_string_equal(pairs_get(&spec.environment, "A"), "2");
    assert_string_equal(pairs_get(&spec.environment, "B"), "flag"); // flags win
    assert_string_equal(pairs_get(&spec.environment, "MUSTER_TEST_GIVEN"), "from here");
    assert_int_equal(fs_replace(AT_FDCWD, path, "A=1\nA B=2\n", 10, 0600, false, NULL), 0);
    assert_int_equal(service_create_spec(&in, &spec, &notes, &err), -ERR_INVALID);
    assert_non_null(strstr(error_text(&err, text, sizeof text), "env:2: a name holds no blanks"));
    fs_remove_tree(AT_FDCWD, dir, NULL);
    assert_int_equal(service_create_spec(&in, &spec, &notes, &err), -ERR_NOT_FOUND);
}

static void scale_wants_service_and_number(void **state) {
    (void)state;
    AUTO_ARENA arena = {0};
    const char *name;
    int64_t replicas;
    assert_int_equal(service_scale_parse("web=3", &arena, &name, &replicas, NULL), 0);
    assert_string_equal(name, "web");
    assert_int_equal(replicas, 3);
    static const char *const bad[] = {"web", "web=", "=3", "web=-1", "web=many", "web=1000001", "web=3.5"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(service_scale_parse(bad[i], &arena, &name, &replicas, NULL), -ERR_USAGE);
    }
}

static void names_that_are_made_up_are_good_names(void **state) {
    (void)state;
    AUTO_ARENA arena = {0};
    struct prng prng;
    prng_seed(&prng, 1);
    unsigned same = 0;
    for (int i = 0; i < 200; i++) {
        const char *name = made_up_name(&prng, &arena);
        struct service_spec spec;
        struct problems problems = {0};
        plain(&spec);
        spec.name = name;
        schema_validate(&service_spec_schema, &spec, false, &arena, &problems);
        assert_int_equal(problems.count, 0);
        same += str_equal(name, made_up_name(&prng, &arena));
    }
    assert_true(same < 5);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(one_value_flags_set_their_field_in_both_commands),
    cmocka_unit_test(lists_grow_in_both_commands),
    cmocka_unit_test(every_flag_is_in_these_tables),
    cmocka_unit_test(what_was_added_is_taken_away_again),
    cmocka_unit_test(what_has_the_same_key_is_replaced),
    cmocka_unit_test(flags_that_do_not_fit_the_mode_are_refused),
    cmocka_unit_test(words_after_the_image_are_the_command),
    cmocka_unit_test(environment_files_are_read),
    cmocka_unit_test(scale_wants_service_and_number),
    cmocka_unit_test(names_that_are_made_up_are_good_names),
};
CHECK_MAIN(tests)
