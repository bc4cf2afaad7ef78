// SPDX-License-Identifier: Apache-2.0
//
// test/fuzz/fuzz_image.c — OCI index, manifest and configuration from any bytes: read, or refused with a
// reason.
//
// An input is read as each of the three; a manifest and a configuration may stand together, divided by a NUL.
#include <stdlib.h>
#include <string.h>

#include "reconciler/agent/image_layout.h"
#include "test/lib/fuzz.h"

static void require(int condition) {
    if (!condition) {
        abort();
    }
}

static void check_layers(const struct image_contents *contents) {
    for (size_t i = 0; i < contents->layers.count; i++) {
        require(image_is_digest(contents->layers.items[i].digest)); // they become paths
        require(strlen(contents->layers.items[i].chain) == 64);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    AUTO_ARENA arena = {0};
    struct image_contents contents = {0};
    struct error err = {0};
    const uint8_t *nul = size > 0 ? memchr(data, 0, size) : NULL;
    size_t first = nul != NULL ? (size_t)(nul - data) : size;
    const char *manifest;
    int rc = image_index_parse((struct bytes){data, size}, &arena, &manifest, &err);
    require(rc == 0 ? image_is_digest(manifest) : err.root[0] != '\0');
    rc = image_manifest_parse((struct bytes){data, first}, &arena, &contents, &err);
    if (rc != 0) {
        contents = (struct image_contents){0};
    }
    struct bytes rest = nul != NULL ? (struct bytes){nul + 1, size - first - 1} : (struct bytes){data, size};
    if (image_config_parse(rest, &arena, &contents, &err) == 0) {
        check_layers(&contents);
        require(contents.config.user != NULL && contents.os != NULL);
        image_layout_check_machine(&contents, &err);
    }
    return 0;
}
