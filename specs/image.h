// SPDX-License-Identifier: Apache-2.0
//
// specs/image.h — image references: what users write, taken apart and put together.
//
//     redis, redis:7, reg.local:5000/team/app:1.2@sha256:…      from a registry (docker.io/library is implied)
//     oci-archive:/srv/app.tar[:tag]    docker-archive:/srv/app.tar[:name:tag]
//     oci:/srv/layout[:tag]             tar:/srv/rootfs.tar
#ifndef MUSTER_SPECS_IMAGE_H
#define MUSTER_SPECS_IMAGE_H

#include "base/arena.h"
#include "base/error.h"

enum image_source {
    IMAGE_REGISTRY,
    IMAGE_OCI_ARCHIVE,
    IMAGE_DOCKER_ARCHIVE,
    IMAGE_OCI_DIRECTORY,
    IMAGE_ROOTFS_TAR
};

struct image_reference {
    enum image_source source;
    const char *host;       // registry host[:port]
    const char *repository; // "library/redis"
    const char *tag;        // "" when a digest stands alone; "latest" by default
    const char *digest;     // "sha256:…" or ""
    const char *path;       // file or directory of the other sources
    const char *selector;   // their ":tag" part or ""
};

int image_parse(const char *text, struct arena *arena, struct image_reference *out, struct error *err);
// As shown in tables: the digest left out when a tag is present, library/ and docker.io left out, archives
// as their file name.
const char *image_familiar(const char *text, struct arena *arena);

#endif
