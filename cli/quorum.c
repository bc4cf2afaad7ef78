// SPDX-License-Identifier: Apache-2.0
//
// cli/quorum.c — a warning where one more manager is one more that can fail, and nothing else.
#include "cli/quorum.h"

#include <stdio.h>

void quorum_warn(struct client *client, struct arena *arena) {
    struct nothing nothing = {0};
    struct info_reply *info = NULL;
    int rc = client_call(client, MESSAGE_INFO, &nothing, MESSAGE_INFO_REPLY, arena, (void **)&info,
                         CONNECT_CALL_MS, NULL);
    if (rc < 0 || info->managers == 0 || info->managers % 2 != 0) {
        return;
    }
    char spare[24] = "none";
    if (info->managers > 2) {
        snprintf(spare, sizeof spare, "%lld", (long long)(info->managers - 1) / 2);
    }
    fprintf(stderr,
            "warning: of %lld managers %s may fail, no more than of %lld: add one more, or take one away\n",
            (long long)info->managers, spare, (long long)info->managers - 1);
}
