// SPDX-License-Identifier: Apache-2.0
//
// test/lib/layer.h — layers and images for tests: tars as honest or as hostile as the entries say.
#ifndef MUSTER_TEST_LIB_LAYER_H
#define MUSTER_TEST_LIB_LAYER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/buf.h"

enum layer_filter { LAYER_PLAIN, LAYER_GZIP, LAYER_ZSTD };

struct layer_entry {
    char kind; // f file, d directory, l symbolic link, h hard link, c and b devices, p pipe
    const char *path;
    mode_t mode; // 0: 0755 of a directory, 0644 of the rest
    uid_t uid;
    const char *text; // content, or where a link leads
    dev_t device;
    const char *attribute; // an extended attribute, of value "x"
};

// Fails the test when it cannot. Bytes and files are whole tars, of files given in pax format.
void layer_write(const char *path, const struct layer_entry *entries, size_t count, enum layer_filter filter);
void layer_digest_file(const char *path, char out[72]); // "sha256:…"
void layer_digest(struct bytes bytes, char out[72]);

// An OCI layout directory with one image of these layers (entries end with a zeroed one), for this machine.
// `config` is the "config" object of the image configuration, as JSON.
struct layer_image {
    const struct layer_entry *const *layers;
    size_t layer_count;
    const char *config;
    const char *arch; // NULL = this machine's
    const char *tag;  // NULL = "latest"
    enum layer_filter filter;
};
void layer_image_write(const char *directory, const struct layer_image *image);
const char *layer_machine_arch(void);

// Runs a command line; fails the test when it fails.
void layer_run(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
