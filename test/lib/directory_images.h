// SPDX-License-Identifier: Apache-2.0
//
// test/lib/directory_images.h — an image store whose images are directories: for programs that test what
// uses images.
//
// It defines the functions of image_store.h, so that the linker leaves the real ones out. One file of a
// program includes it. A reference is the name of a directory in <state>/../images: "busybox", "dev-link"
// (whose /dev is a symlink), "volume" (VOLUME /data), "quit" (STOPSIGNAL SIGQUIT, a command of its own);
// any other does not exist.
#ifndef MUSTER_TEST_LIB_DIRECTORY_IMAGES_H
#define MUSTER_TEST_LIB_DIRECTORY_IMAGES_H

#include <string.h>
#include <uv.h>

#include "base/fs.h"
#include "base/list.h"
#include "base/mem.h"
#include "base/str.h"
#include "reconciler/agent/image_store.h"
#include "specs/task.h"

struct image_store {
    char *images;
    struct list requests;
    uv_timer_t timer;
    bool is_closing;
};
struct request {
    struct list_node node;
    struct image_request request;
    char *reference;
};

static void answer(struct image_store *store, const struct image_request *request, const char *reference) {
    AUTO_ARENA arena = {0};
    const struct image *image = NULL;
    struct error err = {0};
    char text[512];
    int rc = image_store_adopt(store, &request->user, reference, &arena, &image, &err);
    struct image_result result = {.code = rc, .message = ""};
    if (rc == 0) {
        result.image = image;
    } else {
        result.reason = REASON_IMAGE_NOT_FOUND;
        result.message = error_text(&err, text, sizeof text);
    }
    request->on_done(request->context, &result);
}

static void on_requests(uv_timer_t *timer) {
    struct image_store *store = timer->data;
    for (struct list_node *node; (node = list_first(&store->requests)) != NULL;) {
        struct request *request = LIST_ENTRY(node, struct request, node);
        list_remove(node);
        answer(store, &request->request, request->reference);
        xfree(request->reference);
        xfree(request);
    }
}

int image_store_open(const struct image_store_options *options, struct image_store **out, struct error *err) {
    struct image_store *store = NEW(struct image_store);
    (void)err;
    store->images = xasprintf("%s/../images", options->state_dir);
    list_init(&store->requests);
    uv_timer_init(options->loop, &store->timer);
    store->timer.data = store;
    *out = store;
    return 0;
}

static void on_closed(uv_handle_t *handle) {
    struct image_store *store = handle->data;
    xfree(store->images);
    xfree(store);
}

static void drop(struct request *request) {
    list_remove(&request->node);
    xfree(request->reference);
    xfree(request);
}

void image_store_close(struct image_store *store) {
    if (store != NULL) {
        LIST_EACH(node, &store->requests) {
            drop(LIST_ENTRY(node, struct request, node));
        }
        uv_close((uv_handle_t *)&store->timer, on_closed);
    }
}

void image_store_ensure(struct image_store *store, const struct image_request *request) {
    struct request *kept = NEW(struct request);
    kept->request = *request;
    kept->reference = xstrdup(request->reference);
    list_append(&store->requests, &kept->node);
    uv_timer_start(&store->timer, on_requests, 0, 0);
}

void image_store_release(struct image_store *store, const struct id *user) {
    LIST_EACH(node, &store->requests) {
        struct request *request = LIST_ENTRY(node, struct request, node);
        if (id_equal(&request->request.user, user)) {
            drop(request);
        }
    }
}

int image_store_adopt(struct image_store *store, const struct id *user, const char *reference,
                      struct arena *arena, const struct image **out, struct error *err) {
    (void)user;
    const char *layer = arena_printf(arena, "%s/%s", store->images, reference);
    if (strchr(reference, '/') != NULL || !fs_exists(layer)) {
        return error_set(err, ERR_NOT_FOUND, "no image %s", reference);
    }
    struct image *image = ARENA_NEW(arena, struct image);
    *image =
        (struct image){.reference = arena_strdup(arena, reference), .digest = "", .os = "linux", .arch = ""};
    *ARENA_PUSH(arena, &image->layers) = layer;
    image->config.user = image->config.working_dir = image->config.stop_signal = "";
    if (str_equal(reference, "volume")) {
        *ARENA_PUSH(arena, &image->config.volumes) = "/data";
    }
    if (str_equal(reference, "quit")) {
        image->config.stop_signal = "SIGQUIT";
        *ARENA_PUSH(arena, &image->config.entrypoint) = "/bin/sh";
        *ARENA_PUSH(arena, &image->config.command) = "-c";
        *ARENA_PUSH(arena, &image->config.command) =
            "trap 'exit 5' QUIT; echo ready; while :; do sleep 0.05; done";
    }
    *out = image;
    return 0;
}

void image_store_collect(struct image_store *store, int64_t keep_ms) {
    (void)store;
    (void)keep_ms;
}

#endif
