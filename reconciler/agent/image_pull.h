// SPDX-License-Identifier: Apache-2.0
//
// reconciler/agent/image_pull.h — skopeo's command line for a reference, and what its words mean.
#ifndef MUSTER_RECONCILER_AGENT_IMAGE_PULL_H
#define MUSTER_RECONCILER_AGENT_IMAGE_PULL_H

#include "specs/image.h"
#include "specs/schema.h"

struct image_pull {
    const char *skopeo_path; // NULL = by PATH
    const char *auth_file;   // NULL = none
    const char *blobs_dir;   // shared between images
    const char *layout_dir;  // where the image goes; its parent takes temporary files
    const char *tmp_dir;
    bool is_insecure;
};
// The command line, ending in NULL.
const char *const *image_pull_argv(const struct image_pull *pull, const struct image_reference *reference,
                                   struct arena *arena);
// As skopeo names it: "docker://host/name:tag", "oci-archive:/srv/app.tar". The same for all that say the
// same.
const char *image_pull_source(const struct image_reference *reference, struct arena *arena);
// The first file with credentials for registries that there is: of muster, of skopeo and podman, of Docker.
const char *image_pull_auth_file(const char *state_dir, struct arena *arena);

struct image_failure {
    int64_t reason; // enum task_reason
    bool is_final;  // trying again cannot help
    const char *text;
};
// What skopeo's stderr tells of a failed pull.
struct image_failure image_pull_classify(const char *errors, const struct image_reference *reference,
                                         struct arena *arena);

#endif
