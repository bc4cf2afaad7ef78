// SPDX-License-Identifier: Apache-2.0
//
// test/unit/test_image_store.c — images through the real skopeo, a real registry and the real unpacking
// child: needs root.
//
// skopeo is called through a script that counts its calls, or does harm where a test asks for it.
#include "reconciler/agent/image_store.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/prng.h"
#include "base/str.h"
#include "reconciler/agent/image_job.h"
#include "reconciler/agent/unpack.h"
#include "specs/task.h"
#include "test/lib/check.h"
#include "test/lib/layer.h"
#include "test/lib/registry.h"
#include "test/lib/scratch.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define WAIT_MS 60000

static char *work, *state_dir, *self;
static uv_loop_t loop;
static struct image_store *store;
static struct registry registry;

// --- one who asks ---

struct asker {
    struct id id;
    int done, progress;
    bool is_released;
    struct image_result result; // texts copied
    struct arena arena;
    int64_t reason; // of the last progress
    char message[512];
    int64_t awaited; // stop the loop at a progress with this reason
    bool is_heard;   // it came: what follows in the same turn of the loop does not count
};

static struct asker askers[16];
static int waiting;
static int pulls_seen;

static void on_progress(void *context, int64_t reason, const char *message) {
    struct asker *asker = context;
    asker->progress++;
    pulls_seen = store->pulls > pulls_seen ? store->pulls : pulls_seen;
    if (asker->is_heard) {
        return;
    }
    asker->reason = reason;
    assert_true(str_copy(asker->message, sizeof asker->message, message));
    if (asker->awaited == reason) {
        asker->is_heard = true;
        uv_stop(&loop);
    }
}

static void on_done(void *context, const struct image_result *result) {
    struct asker *asker = context;
    asker->done++;
    asker->result = *result;
    asker->result.message = arena_strdup(&asker->arena, result->message);
    if (--waiting == 0) {
        uv_stop(&loop);
    }
}

static void on_too_long(uv_timer_t *timer) {
    (void)timer;
    for (size_t i = 0; i < COUNT(askers); i++) {
        print_message("asker %zu: done %d, %d times progress, last: %s\n", i, askers[i].done,
                      askers[i].progress, askers[i].message);
    }
    fail_msg("nothing happens any more");
}

static void run_loop(void) {
    uv_timer_t timer;
    uv_timer_init(&loop, &timer);
    uv_timer_start(&timer, on_too_long, WAIT_MS, 0);
    uv_run(&loop, UV_RUN_DEFAULT);
    uv_close((uv_handle_t *)&timer, NULL);
    uv_run(&loop, UV_RUN_NOWAIT);
}

static struct asker *ask(int number, const char *reference, const char *policy) {
    struct asker *asker = &askers[number];
    arena_free(&asker->arena);
    *asker = (struct asker){0};
    memset(asker->id.text, 'a' + number, ID_LEN);
    const char *hosts[] = {registry.host};
    const struct image_request request = {.user = asker->id,
                                          .reference = reference,
                                          .pull_policy = policy,
                                          .insecure_registries = {.count = 1, .items = hosts},
                                          .on_progress = on_progress,
                                          .on_done = on_done,
                                          .context = asker};
    waiting++;
    image_store_ensure(store, &request);
    assert_int_equal(asker->done + asker->progress, 0); // never inside the call
    return asker;
}

static const struct image *get(int number, const char *reference, const char *policy) {
    struct asker *asker = ask(number, reference, policy);
    run_loop();
    if (asker->done != 1 || asker->result.code != 0) {
        print_message("%s: %d: %s\n", reference, asker->result.code, asker->result.message);
    }
    assert_int_equal(asker->done, 1);
    assert_int_equal(asker->result.code, 0);
    return asker->result.image;
}

static void expect_refused(const char *reference, const char *policy, int64_t reason, const char *text) {
    struct asker *asker = ask(15, reference, policy);
    run_loop();
    if (asker->result.code == 0 || asker->result.reason != reason ||
        strstr(asker->result.message, text) == NULL) {
        print_message("%s: reason %d, %s; wanted %d, %s\n", reference, (int)asker->result.reason,
                      asker->result.message, (int)reason, text);
        fail();
    }
}

// Asks and waits until it is told that it goes not well, with this reason.
static struct asker *ask_in_vain(int number, const char *reference, const char *policy, int64_t reason) {
    struct asker *asker = ask(number, reference, policy);
    asker->awaited = reason;
    run_loop();
    assert_int_equal(asker->done, 0);
    assert_int_equal(asker->reason, reason);
    asker->awaited = -1;
    asker->is_heard = false;
    return asker;
}

static void release(int number) {
    waiting -= askers[number].done == 0 && !askers[number].is_released ? 1 : 0;
    askers[number].is_released = true;
    image_store_release(store, &askers[number].id);
}

// --- a store ---

static void open_store(const char *skopeo) {
    AUTO_FREE char *path = xasprintf("%s/%s", work, skopeo);
    struct error err = {0};
    const struct image_store_options options = {.loop = &loop,
                                                .state_dir = state_dir,
                                                .self_path = self,
                                                .skopeo_path = path,
                                                .retry_min_ms = 20,
                                                .retry_max_ms = 100};
    int rc = image_store_open(&options, &store, &err);
    if (rc != 0) {
        print_message("%s\n", err.root);
    }
    assert_int_equal(rc, 0);
}

static void close_store(void) {
    image_store_close(store);
    store = NULL;
    waiting = 0; // nobody is called back
    uv_run(&loop, UV_RUN_DEFAULT);
}

static int skopeo_calls(void) {
    AUTO_FREE char *path = xasprintf("%s/calls", work);
    struct stat st;
    return stat(path, &st) == 0 ? (int)st.st_size : 0;
}

static int set_up(void **state) {
    (void)state;
    work = xmalloc(SCRATCH_BYTES);
    scratch_name(work, SCRATCH_BYTES, "images");
    assert_non_null(mkdtemp(work));
    state_dir = xasprintf("%s/state", work);
    layer_run("printf '#!/bin/sh\\nprintf x >>%s/calls\\nexec skopeo --insecure-policy \"$@\"\\n' >%s/skopeo",
              work, work);
    layer_run("chmod +x %s/skopeo", work);
    assert_int_equal(uv_loop_init(&loop), 0);
    waiting = pulls_seen = 0;
    open_store("skopeo");
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    registry_stop(&registry);
    registry = (struct registry){0};
    if (store != NULL) {
        close_store();
    }
    for (size_t i = 0; i < COUNT(askers); i++) {
        arena_free(&askers[i].arena);
        askers[i] = (struct asker){0};
    }
    int failed = uv_loop_close(&loop);
    failed = fs_remove_tree(AT_FDCWD, work, NULL) != 0 ? -1 : failed;
    xfree(work);
    xfree(state_dir);
    return failed;
}

// --- images to ask for ---

static const struct layer_entry base_layer[] = {
    {'f', "bin/tool", 0755, 0, "v1", 0, NULL}, {'f', "etc/conf", 0644, 0, "base", 0, NULL}, {0}};
static const struct layer_entry top_layer[] = {{'f', "etc/conf", 0644, 0, "top", 0, NULL}, {0}};
static const struct layer_entry other_layer[] = {{'f', "etc/conf", 0644, 0, "other", 0, NULL}, {0}};
static const struct layer_entry hostile_layer[] = {{'f', "../evil", 0644, 0, "x", 0, NULL}, {0}};
static const struct layer_entry *const two_layers[] = {base_layer, top_layer};
static const struct layer_entry *const other_layers[] = {base_layer, other_layer};
static const struct layer_entry *const hostile_layers[] = {base_layer, hostile_layer};

static const char config_json[] =
    "{\"Entrypoint\":[\"/bin/tool\"],\"Cmd\":[\"a\",\"\"],\"Env\":[\"PATH=/bin\",\"X=1=2\"],\"User\":\"7:8\","
    "\"WorkingDir\":\"/etc\",\"StopSignal\":\"SIGINT\",\"Volumes\":{\"/data\":{}},\"Labels\":{\"k\":\"v\"}}";

static const char *layout(const char *name, const struct layer_entry *const *layers, const char *arch) {
    static char path[512];
    snprintf(path, sizeof path, "%s/%s", work, name);
    const struct layer_image image = {
        .layers = layers, .layer_count = 2, .config = config_json, .arch = arch, .filter = LAYER_GZIP};
    layer_image_write(path, &image);
    return path;
}

static void expect_file(const struct image *image, const char *path, const char *content) {
    for (size_t i = image->layers.count; i > 0; i--) {
        AUTO_FREE char *full = xasprintf("%s/%s", image->layers.items[i - 1], path);
        AUTO_BUF text = {0};
        if (fs_read(AT_FDCWD, full, 4096, &text, NULL) == 0) {
            assert_string_equal(buf_text(&text), content);
            return;
        }
    }
    fail();
}

static void expect_tidy(void) {
    layer_run("cd %s && [ -z \"$(ls -A pulls)\" ] && [ -z \"$(ls -A layers | grep '^\\.')\" ]", state_dir);
}

// --- tests ---

static void an_image_is_read_with_all_it_says(void **state) {
    (void)state;
    AUTO_FREE char *reference = xasprintf("oci:%s", layout("img", two_layers, NULL));
    const struct image *image = get(0, reference, "");
    assert_string_equal(image->reference, reference);
    assert_true(image_is_digest(image->digest));
    assert_string_equal(image->os, "linux");
    assert_string_equal(image->arch, layer_machine_arch());
    assert_int_equal(image->layers.count, 2);
    expect_file(image, "bin/tool", "v1");
    expect_file(image, "etc/conf", "top");
    const struct image_config *config = &image->config;
    assert_int_equal(config->entrypoint.count, 1);
    assert_string_equal(config->entrypoint.items[0], "/bin/tool");
    assert_int_equal(config->command.count, 2);
    assert_string_equal(config->command.items[1], "");
    assert_string_equal(pairs_get(&config->environment, "X"), "1=2");
    assert_string_equal(config->user, "7:8");
    assert_string_equal(config->working_dir, "/etc");
    assert_string_equal(config->stop_signal, "SIGINT");
    assert_string_equal(config->volumes.items[0], "/data");
    assert_string_equal(pairs_get(&config->labels, "k"), "v");
    assert_true(askers[0].progress >= 2);
    // again: nothing is pulled, nobody is told anything but the end
    int calls = skopeo_calls();
    get(1, reference, "missing");
    assert_int_equal(skopeo_calls(), calls);
    assert_int_equal(askers[1].progress, 0);
    expect_tidy();
}

static void archives_and_root_file_systems_are_images_too(void **state) {
    (void)state;
    const char *path = layout("img", two_layers, NULL);
    layer_run("cd %s && skopeo --insecure-policy copy -q oci:%s:latest oci-archive:oci.tar:latest && "
              "skopeo --insecure-policy copy -q oci:%s:latest docker-archive:docker.tar:app:1 && mkdir -p "
              "root/etc && "
              "printf rootfs >root/etc/conf && tar -C root -czf root.tar.gz .",
              work, path, path);
    AUTO_FREE char *oci = xasprintf("oci-archive:%s/oci.tar", work);
    AUTO_FREE char *docker = xasprintf("docker-archive:%s/docker.tar:app:1", work);
    AUTO_FREE char *rootfs = xasprintf("tar:%s/root.tar.gz", work);
    expect_file(get(0, oci, ""), "etc/conf", "top");
    const struct image *image = get(1, docker, "");
    expect_file(image, "etc/conf", "top");
    assert_string_equal(image->config.user, "7:8");
    int calls = skopeo_calls();
    image = get(2, rootfs, "");
    expect_file(image, "etc/conf", "rootfs");
    assert_int_equal(image->layers.count, 1);
    assert_int_equal(skopeo_calls(), calls);
    // the same layers, unpacked once
    assert_string_equal(askers[0].result.image->layers.items[1], askers[1].result.image->layers.items[1]);
    expect_refused("docker-archive:/nowhere.tar", "", REASON_IMAGE_NOT_FOUND, "/nowhere.tar: no such file");
    AUTO_FREE char *unknown = xasprintf("docker-archive:%s/docker.tar:app:2", work);
    expect_refused(unknown, "", REASON_IMAGE_NOT_FOUND, "not found");
    AUTO_FREE char *wrong = xasprintf("oci-archive:%s/root.tar.gz", work);
    expect_refused(wrong, "", REASON_IMAGE_INVALID, "index.json");
    AUTO_FREE char *no_tar = xasprintf("tar:%s/skopeo", work);
    expect_refused(no_tar, "", REASON_IMAGE_INVALID, "not a tar");
    expect_tidy();
}

static void a_file_that_has_changed_is_read_again(void **state) {
    (void)state;
    AUTO_FREE char *rootfs = xasprintf("tar:%s/root.tar", work);
    AUTO_FREE char *oci = xasprintf("oci:%s/img", work);
    layer_run("cd %s && mkdir root && echo -n one >root/conf && tar -C root -cf root.tar .", work);
    layout("img", two_layers, NULL);
    expect_file(get(0, rootfs, ""), "conf", "one");
    expect_file(get(1, oci, ""), "etc/conf", "top");
    layer_run("cd %s && echo -n two >root/conf && tar -C root -cf root.tar . && rm -r img", work);
    layout("img", other_layers, NULL);
    expect_file(get(2, rootfs, ""), "conf", "two");
    expect_file(get(3, oci, ""), "etc/conf", "other");
    expect_file(askers[0].result.image, "conf", "one"); // still held
}

static void a_registry_is_asked_as_the_policy_says(void **state) {
    (void)state;
    AUTO_FREE char *directory = xasprintf("%s/registry", work);
    registry_start(&registry, directory);
    AUTO_FREE char *reference = xasprintf("%s/team/app:1", registry.host);
    expect_refused(reference, "never", REASON_IMAGE_NOT_FOUND, "not on this node, and pull_policy is never");
    registry_push(&registry, layout("img", two_layers, NULL), "team/app:1");
    expect_file(get(0, reference, ""), "etc/conf", "top");
    AUTO_FREE char *pinned = xasprintf("%s@%s", reference, askers[0].result.image->digest);
    registry_push(&registry, layout("other", other_layers, NULL), "team/app:1");
    int calls = skopeo_calls();
    expect_file(get(1, reference, "missing"), "etc/conf", "top");
    expect_file(get(1, reference, "never"), "etc/conf", "top");
    assert_int_equal(skopeo_calls(), calls);
    expect_file(get(2, reference, "always"), "etc/conf", "other");
    assert_int_equal(skopeo_calls(), calls + 1);
    // tag and digest: the digest says which
    const struct image *image = get(3, pinned, "");
    expect_file(image, "etc/conf", "top");
    assert_string_equal(image->digest, strchr(pinned, '@') + 1);
    calls = skopeo_calls();
    get(4, pinned, "always");
    assert_int_equal(skopeo_calls(), calls);
    expect_tidy();
}

static void an_image_that_is_not_there_is_refused(void **state) {
    (void)state;
    AUTO_FREE char *directory = xasprintf("%s/registry", work);
    registry_start(&registry, directory);
    registry_push(&registry, layout("img", two_layers, NULL), "app:1");
    AUTO_FREE char *tag = xasprintf("%s/app:2", registry.host);
    AUTO_FREE char *name = xasprintf("%s/timeout:1", registry.host);
    AUTO_FREE char *digest = xasprintf("%s/app@sha256:%064d", registry.host, 7);
    expect_refused(tag, "", REASON_IMAGE_NOT_FOUND, "manifest unknown");
    expect_refused(name, "", REASON_IMAGE_NOT_FOUND, "manifest unknown");
    expect_refused(digest, "", REASON_IMAGE_NOT_FOUND, "manifest unknown");
    expect_refused("UPPER", "", REASON_IMAGE_INVALID, "lower case");
    expect_refused("oci:/a\nb", "", REASON_IMAGE_INVALID, "control characters");
    expect_tidy();
}

static void credentials_open_what_is_closed(void **state) {
    (void)state;
    AUTO_FREE char *directory = xasprintf("%s/registry", work);
    registry.wants_login = true;
    registry_start(&registry, directory);
    registry_push(&registry, layout("img", two_layers, NULL), "app:1");
    AUTO_FREE char *reference = xasprintf("%s/app:1", registry.host);
    expect_refused(reference, "", REASON_IMAGE_DENIED, "unauthorized: authentication required");
    layer_run("printf '{\"auths\":{\"%s\":{\"auth\":\"%%s\"}}}' $(printf u:secret | base64) >%s/auth.json",
              registry.host, state_dir);
    expect_file(get(0, reference, ""), "etc/conf", "top");
}

static void a_registry_that_is_down_is_waited_for(void **state) {
    (void)state;
    AUTO_FREE char *directory = xasprintf("%s/registry", work);
    registry_start(&registry, directory);
    registry_push(&registry, layout("img", two_layers, NULL), "app:1");
    AUTO_FREE char *reference = xasprintf("%s/app:1", registry.host);
    registry_stop(&registry);
    struct asker *asker = ask_in_vain(0, reference, "", REASON_IMAGE_UNREACHABLE);
    assert_non_null(strstr(asker->message, "connection refused; trying again"));
    struct asker *second = ask_in_vain(1, reference, "", REASON_IMAGE_UNREACHABLE);
    registry_start(&registry, directory);
    run_loop();
    assert_int_equal(asker->done, 1);
    assert_int_equal(second->done, 1);
    assert_int_equal(asker->result.code, 0);
    expect_tidy();
}

static void plain_http_is_for_listed_registries_only(void **state) {
    (void)state;
    AUTO_FREE char *directory = xasprintf("%s/registry", work);
    registry_start(&registry, directory);
    AUTO_FREE char *reference = xasprintf("%s/app:1", registry.host);
    registry.host[0] = '\0'; // what ask() lists
    struct asker *asker = ask_in_vain(0, reference, "", REASON_IMAGE_UNREACHABLE);
    assert_non_null(strstr(asker->message, "list the registry as insecure to use plain HTTP"));
    release(0);
}

static void requests_for_one_image_share_the_work(void **state) {
    (void)state;
    AUTO_FREE char *reference = xasprintf("oci:%s", layout("img", two_layers, NULL));
    for (int i = 0; i < 8; i++) {
        ask(i, reference, "");
    }
    run_loop();
    assert_int_equal(skopeo_calls(), 1);
    for (int i = 0; i < 8; i++) {
        assert_int_equal(askers[i].result.code, 0);
        assert_true(askers[i].progress >= 1);
    }
}

static void pulls_at_once_are_bounded(void **state) {
    (void)state;
    for (int i = 0; i < 9; i++) {
        AUTO_FREE char *name = xasprintf("img%d", i);
        AUTO_FREE char *reference = xasprintf("oci:%s", layout(name, two_layers, NULL));
        ask(i, reference, "");
    }
    run_loop();
    assert_int_equal(skopeo_calls(), 9);
    assert_true(pulls_seen >= 2 && pulls_seen <= 3);
    for (int i = 0; i < 9; i++) {
        assert_int_equal(askers[i].result.code, 0);
    }
    layer_run("[ $(ls %s/layers | wc -l) = 2 ]", state_dir);
    expect_tidy();
}

static void on_turn(uv_check_t *check) {
    LIST_EACH(node, &store->jobs) {
        if (LIST_ENTRY(node, struct image_job, in_store)->readings > 0) {
            uv_check_stop(check);
            layer_run("echo >%s/go", work);
            return;
        }
    }
}

// skopeo writes manifests in place: here one that another pull of the same image is about to read.
static void a_manifest_that_another_pull_writes_is_read_when_it_is_whole(void **state) {
    (void)state;
    uv_check_t check;
    AUTO_FREE char *first = xasprintf("oci:%s", layout("img0", two_layers, NULL));
    AUTO_FREE char *second = xasprintf("oci:%s", layout("img1", two_layers, NULL));
    close_store();
    layer_run(
        "cd %s && mkfifo done cut go && printf '#!/bin/sh\ncd %s; printf x >>calls\n"
        "skopeo --insecure-policy \"$@\" || exit 1\n"
        "case \"$*\" in *img0*) echo >done; read gone <cut; exit 0;; esac\n"
        "manifest=state/blobs/sha256/$(grep -o \"sha256:[0-9a-f]*\" img1/index.json | cut -d: -f2)\n"
        "cp $manifest whole; read first <done; : >$manifest; echo >cut; read on <go; cat whole >$manifest\n' "
        ">skopeo-two && chmod +x skopeo-two",
        work, work);
    open_store("skopeo-two");
    uv_check_init(&loop, &check);
    uv_check_start(&check, on_turn);
    ask(0, first, "");
    ask(1, second, "");
    run_loop();
    uv_close((uv_handle_t *)&check, NULL);
    uv_run(&loop, UV_RUN_NOWAIT);
    assert_int_equal(skopeo_calls(), 2);
    expect_file(askers[0].result.image, "etc/conf", "top");
    expect_file(askers[1].result.image, "etc/conf", "top");
    expect_tidy();
}

static void a_missing_skopeo_is_named_until_it_is_there(void **state) {
    (void)state;
    AUTO_FREE char *reference = xasprintf("oci:%s", layout("img", two_layers, NULL));
    close_store();
    open_store("late-skopeo");
    struct asker *asker = ask_in_vain(0, reference, "", REASON_RUNTIME_MISSING);
    assert_non_null(strstr(asker->message, "skopeo is not installed (apt install skopeo)"));
    layer_run("cp %s/skopeo %s/late-skopeo", work, work);
    run_loop();
    assert_int_equal(asker->result.code, 0);
}

static void a_damaged_blob_is_fetched_once_more(void **state) {
    (void)state;
    AUTO_FREE char *reference = xasprintf("oci:%s", layout("img", two_layers, NULL));
    get(0, reference, "");
    // every kind of blob: manifest and configuration, then the layers
    layer_run("cd %s && rm -r layers/* && for f in blobs/sha256/*; do printf X | dd of=$f bs=1 seek=40 "
              "conv=notrunc "
              "2>/dev/null; done",
              state_dir);
    expect_file(get(1, reference, ""), "etc/conf", "top");
    layer_run("cd %s && rm -r layers/* && cd blobs/sha256 && for f in *; do head -c2 $f | grep -q '{' || : "
              ">$f; done",
              state_dir);
    expect_file(get(2, reference, ""), "etc/conf", "top");
    expect_tidy();
}

// The first two are killed as if by the kernel when memory is short.
static void an_unpacking_child_that_is_killed_is_started_again(void **state) {
    (void)state;
    AUTO_FREE char *reference = xasprintf("oci:%s", layout("img", two_layers, NULL));
    AUTO_FREE char *kept = self;
    close_store();
    layer_run("printf '#!/bin/sh\\nprintf x >>%s/tries\\n[ $(wc -c <%s/tries) -gt 2 ] || { mkdir -p "
              "\"$5\"/upper/half && "
              "kill -9 $$; }\\nexec %s \"$@\"\\n' >%s/killed && chmod +x %s/killed",
              work, work, self, work, work);
    self = xasprintf("%s/killed", work);
    open_store("skopeo");
    struct asker *asker = ask_in_vain(0, reference, "", REASON_INTERNAL);
    assert_non_null(
        strstr(asker->message, "unpack layer 1 of 2: unpacking was killed by signal 9; trying again"));
    run_loop();
    assert_int_equal(asker->result.code, 0);
    expect_tidy();
    xfree(self);
    self = TAKE(kept);
}

static void what_is_damaged_twice_is_refused(void **state) {
    (void)state;
    AUTO_FREE char *reference = xasprintf("oci:%s", layout("img", two_layers, NULL));
    close_store();
    layer_run("printf '#!/bin/sh\\nskopeo --insecure-policy \"$@\" && for f in %s/blobs/sha256/*; do "
              "head -c1 $f | grep -q \"{\" || printf X | dd of=$f bs=1 seek=30 conv=notrunc 2>/dev/null; "
              "done; exit 0\\n' "
              ">%s/skopeo-bad && chmod +x %s/skopeo-bad",
              state_dir, work, work);
    open_store("skopeo-bad");
    expect_refused(reference, "", REASON_IMAGE_INVALID, "unpack layer 1 of 2: the blob has the digest");
    close_store();
    layer_run("printf '#!/bin/sh\\nskopeo --insecure-policy \"$@\" && for f in %s/blobs/sha256/*; do head "
              "-c1 $f | grep -q "
              "\"{\" || rm $f; done; exit 0\\n' >%s/skopeo-bad",
              state_dir, work);
    open_store("skopeo-bad"); // one that brings no layers
    expect_refused(reference, "", REASON_IMAGE_INVALID, "is gone");
    expect_tidy();
}

static void hostile_and_foreign_images_are_refused(void **state) {
    (void)state;
    AUTO_FREE char *hostile = xasprintf("oci:%s", layout("hostile", hostile_layers, NULL));
    expect_refused(hostile, "", REASON_IMAGE_INVALID,
                   "unpack layer 2 of 2: '../evil' leads out of the image");
    AUTO_FREE char *foreign = xasprintf("oci:%s", layout("foreign", two_layers, "mips"));
    expect_refused(foreign, "", REASON_UNSUPPORTED, "the image is for linux/mips, this machine is linux/");
    expect_tidy();
}

static void who_asks_no_more_is_not_called(void **state) {
    (void)state;
    AUTO_FREE char *reference = xasprintf("oci:%s", layout("img", two_layers, NULL));
    struct asker *asker = ask(0, reference, "");
    asker->awaited = REASON_IMAGE_PULLING; // skopeo runs
    run_loop();
    release(0);
    release(0);
    int progress = asker->progress;
    get(1, reference, ""); // a new job: the other one is being killed
    assert_int_equal(asker->done, 0);
    assert_int_equal(asker->progress, progress);
    ask(2, reference, "always")->awaited = REASON_IMAGE_PULLING;
    run_loop();
    close_store(); // while it pulls
    assert_int_equal(askers[2].done, 0);
    open_store("skopeo");
    get(3, reference, "");
    close_store();
    expect_tidy();
}

static void what_is_held_stays_and_the_rest_goes(void **state) {
    (void)state;
    AUTO_FREE char *kept = xasprintf("oci:%s", layout("kept", two_layers, NULL));
    AUTO_FREE char *gone = xasprintf("oci:%s", layout("gone", other_layers, NULL));
    get(0, kept, "");
    get(1, gone, "");
    image_store_collect(store, 3600 * 1000LL); // asked for just now
    layer_run("[ $(ls %s/layers | wc -l) = 3 ]", state_dir);
    release(1);
    image_store_collect(store, 3600 * 1000LL);
    layer_run("[ $(ls %s/layers | wc -l) = 3 ]", state_dir);
    image_store_collect(store, 0);
    layer_run("[ $(ls %s/layers | wc -l) = 2 ] && [ $(ls %s/images | wc -l) = 1 ]", state_dir, state_dir);
    layer_run("[ $(ls %s/blobs/sha256 | wc -l) = 4 ]", state_dir);
    expect_file(askers[0].result.image, "etc/conf", "top");
    expect_file(get(1, gone, ""), "etc/conf", "other"); // read anew
    release(0);
    release(1);
    image_store_collect(store, 0);
    uv_run(&loop, UV_RUN_DEFAULT); // the sweeper
    layer_run("cd %s && [ -z \"$(ls -A layers images image-holds trash blobs/sha256 | grep -v :)\" ]",
              state_dir);
}

// The reference means another image by now; the task goes on with what it started on.
static void holds_outlive_the_daemon(void **state) {
    (void)state;
    AUTO_FREE char *reference = xasprintf("oci:%s", layout("img", two_layers, NULL));
    AUTO_ARENA arena = {0};
    const struct image *image;
    struct error err = {0};
    get(0, reference, "");
    layer_run("rm -r %s/img", work);
    layout("img", other_layers, NULL);
    get(1, reference, "");
    close_store();
    open_store("skopeo");
    assert_int_equal(image_store_adopt(store, &askers[0].id, reference, &arena, &image, &err), 0);
    expect_file(image, "etc/conf", "top");
    assert_string_equal(image->config.user, "7:8");
    image_store_collect(store, 0);
    expect_file(image, "etc/conf", "top");
    layer_run("[ $(ls %s/layers | wc -l) = 2 ]", state_dir); // the other hold was not adopted
    assert_int_equal(image_store_adopt(store, &askers[1].id, reference, &arena, &image, &err),
                     -ERR_NOT_FOUND);
}

static void a_full_disk_is_told_and_passes(void **state) {
    (void)state;
    close_store();
    layer_run("cd %s && mkdir -p state root && head -c 3000000 /dev/urandom >root/file && tar -C root -cf "
              "root.tar . && "
              "skopeo --insecure-policy copy -q tarball:root.tar oci:img:latest",
              work);
    // too small for the pull, then for the unpacking, then large enough
    static const char *const sizes[] = {"size=1m", "size=4m", "size=16m"};
    assert_int_equal(mount("tmpfs", state_dir, "tmpfs", 0, sizes[0]), 0);
    open_store("skopeo");
    AUTO_FREE char *reference = xasprintf("oci:%s/img", work);
    struct asker *asker = ask_in_vain(0, reference, "", REASON_NO_SPACE);
    assert_non_null(strstr(asker->message, "no space left on device"));
    assert_int_equal(mount(NULL, state_dir, NULL, MS_REMOUNT, sizes[1]), 0);
    asker->awaited = REASON_NO_SPACE;
    do {
        asker->is_heard = false;
        run_loop();
        assert_int_equal(asker->done, 0);
    } while (strstr(asker->message, "unpack layer 1 of 1: write 'file': No space left on device") == NULL);
    asker->awaited = -1;
    asker->is_heard = false;
    assert_int_equal(mount(NULL, state_dir, NULL, MS_REMOUNT, sizes[2]), 0);
    run_loop();
    assert_int_equal(asker->done, 1);
    assert_int_equal(asker->result.code, 0);
    close_store();
    expect_tidy();
    assert_int_equal(umount(state_dir), 0);
}

static void what_a_crash_left_is_swept(void **state) {
    (void)state;
    close_store();
    layer_run("cd %s && mkdir -p pulls/7/layout layers/.new-9/upper/a trash/3/b && echo "
              ">pulls/7/layout/oci-put-blob1 "
              "&& echo >images/x.tmp",
              state_dir);
    open_store("skopeo");
    uv_run(&loop, UV_RUN_DEFAULT);
    layer_run("cd %s && [ -z \"$(ls -A pulls layers images trash | grep -v :)\" ]", state_dir);
    layer_run("printf garbage >%s/images/abc", state_dir); // a record that is no record
    AUTO_FREE char *reference = xasprintf("oci:%s", layout("img", two_layers, NULL));
    get(0, reference, "");
    layer_run("cd %s/images && for f in *; do printf 'format=1\\nrefer' >$f; done", state_dir);
    get(1, reference, "");
    expect_tidy();
}

// The daemon, and with it every child, is killed at any moment of a pull: the next one finds what it can use.
static void a_kill_of_the_daemon_at_any_moment_is_survived(void **state) {
    (void)state;
    AUTO_FREE char *reference = xasprintf("oci:%s", layout("img", two_layers, NULL));
    struct prng prng = {0};
    prng_seed(&prng, 11);
    for (int i = 0; i < 15; i++) {
        close_store();
        layer_run("[ $((%d %% 3)) = 0 ] || rm -rf %s", i, state_dir); // from the start, or over what is there
        pid_t pid = fork();
        if (pid == 0) {
            uv_loop_init(&loop);
            open_store("skopeo");
            ask(0, reference, "always");
            uv_run(&loop, UV_RUN_DEFAULT);
            _exit(0);
        }
        poll(NULL, 0, (int)prng_below(&prng, 120)); // where the kill falls is free
        kill(pid, SIGKILL);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        open_store("skopeo");
        const struct image *image = get(1, reference, "");
        expect_file(image, "bin/tool", "v1");
        expect_file(image, "etc/conf", "top");
        expect_tidy();
    }
}

// One index, two images: ours is taken; without ours it is refused.
static void the_image_for_this_machine_is_chosen(void **state) {
    (void)state;
    AUTO_FREE char *path = xstrdup(layout("img", other_layers, "mips"));
    layer_run("cp %s/index.json %s/mips.json", path, work);
    layout("img", two_layers, NULL);
    layer_run(
        "cd %s && jq -cj --slurpfile other ../mips.json '{schemaVersion: 2, mediaType: "
        "\"application/vnd.oci.image.index.v1+json\", manifests: [($other[0].manifests[0] | "
        "del(.annotations) | "
        ".platform = {os: \"linux\", architecture: \"mips\"}), (.manifests[0] | del(.annotations) | "
        ".platform = "
        "{os: \"linux\", architecture: \"%s\"})]}' index.json >both && "
        "jq -cj 'del(.manifests[1])' both >one && for f in both one; do d=$(sha256sum <$f | cut -d' ' -f1); "
        "cp $f blobs/sha256/$d; jq -n --arg d sha256:$d --arg t $f --argjson s $(stat -c %%s $f) "
        "'{mediaType: \"application/vnd.oci.image.index.v1+json\", digest: $d, size: $s, annotations: "
        "{\"org.opencontainers.image.ref.name\": $t}}'; done | jq -s '{schemaVersion: 2, manifests: .}' >new "
        "&& mv new "
        "index.json",
        path, layer_machine_arch());
    AUTO_FREE char *both = xasprintf("oci:%s:both", path);
    AUTO_FREE char *one = xasprintf("oci:%s:one", path);
    const struct image *image = get(0, both, "");
    expect_file(image, "etc/conf", "top");
    assert_string_equal(image->arch, layer_machine_arch());
    expect_refused(one, "", REASON_UNSUPPORTED, "no image found");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(int argc, char **argv) {
    if (argc > 1 && strcmp(argv[1], "unpack") == 0) {
        return unpack_main(argc - 1, argv + 1);
    }
    self = realpath("/proc/self/exe", NULL);
    log_configure(&(struct log_options){.level = LOG_WARN, .fd = 2});
    static const struct CMUnitTest tests[] = {
        TEST(an_image_is_read_with_all_it_says),
        TEST(archives_and_root_file_systems_are_images_too),
        TEST(a_file_that_has_changed_is_read_again),
        TEST(a_registry_is_asked_as_the_policy_says),
        TEST(an_image_that_is_not_there_is_refused),
        TEST(credentials_open_what_is_closed),
        TEST(a_registry_that_is_down_is_waited_for),
        TEST(plain_http_is_for_listed_registries_only),
        TEST(requests_for_one_image_share_the_work),
        TEST(pulls_at_once_are_bounded),
        TEST(a_manifest_that_another_pull_writes_is_read_when_it_is_whole),
        TEST(a_missing_skopeo_is_named_until_it_is_there),
        TEST(a_damaged_blob_is_fetched_once_more),
        TEST(an_unpacking_child_that_is_killed_is_started_again),
        TEST(what_is_damaged_twice_is_refused),
        TEST(hostile_and_foreign_images_are_refused),
        TEST(who_asks_no_more_is_not_called),
        TEST(what_is_held_stays_and_the_rest_goes),
        TEST(holds_outlive_the_daemon),
        TEST(a_full_disk_is_told_and_passes),
        TEST(what_a_crash_left_is_swept),
        TEST(a_kill_of_the_daemon_at_any_moment_is_survived),
        TEST(the_image_for_this_machine_is_chosen),
    };
    int failed = cmocka_run_group_tests_name(__FILE__, tests, NULL, NULL);
    xfree(self);
    return failed;
}
