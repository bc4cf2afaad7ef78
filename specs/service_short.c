// SPDX-License-Identifier: Apache-2.0
//
// specs/service_short.c — Compose's short forms: 8080:80/tcp, data:/path:ro, one number for a ulimit.
#include <string.h>

#include "base/str.h"
#include "specs/service_rules.h"

int port_from_short(const char *text, void *object, struct arena *arena, struct error *err) {
    struct port *port = object;
    char *copy = arena_strdup(arena, text);
    char *slash = strchr(copy, '/');
    if (slash != NULL) {
        *slash++ = '\0';
        static const char *const names[] = {"tcp", "udp", "sctp"};
        for (int i = 0;; i++) {
            if (i == 3) {
                return error_set(err, ERR_INVALID, "'%s' is not a protocol; write tcp, udp or sctp", slash);
            }
            if (strcmp(slash, names[i]) == 0) {
                port->protocol = (enum port_protocol)i;
                break;
            }
        }
    }
    char *target = strrchr(copy, ':');
    if (target != NULL) {
        *target++ = '\0';
        char *published = strrchr(copy, ':');
        if (published != NULL) {
            *published++ = '\0';
            port->host_ip = copy;
        } else {
            published = copy;
        }
        if (!str_to_int(published, &port->published)) {
            return error_set(err, ERR_INVALID, "'%s' is not a port number in '%s'", published, text);
        }
    }
    if (!str_to_int(target != NULL ? target : copy, &port->target)) {
        return error_set(err, ERR_INVALID, "'%s' is not a port like 80, 8080:80 or 8080:80/udp", text);
    }
    return 0;
}

static int mount_option(struct mount *mount, const char *option, struct error *err) {
    if (strcmp(option, "ro") == 0) {
        mount->read_only = true;
    } else if (strcmp(option, "rw") != 0 && strcmp(option, "z") != 0 && strcmp(option, "Z") != 0) {
        return error_set(err, ERR_INVALID, "'%s' is not a mount option; write ro or rw", option);
    }
    return 0;
}

int mount_from_short(const char *text, void *object, struct arena *arena, struct error *err) {
    struct mount *mount = object;
    char *copy = arena_strdup(arena, text);
    char *parts[3] = {copy, NULL, NULL};
    for (int i = 1; i < 3 && (parts[i] = strchr(parts[i - 1], ':')) != NULL; i++) {
        *parts[i]++ = '\0';
    }
    if (parts[1] == NULL) {
        mount->target = parts[0]; // an anonymous volume
        return 0;
    }
    mount->source = parts[0];
    mount->target = parts[1];
    mount->type = parts[0][0] == '/' || parts[0][0] == '.' || parts[0][0] == '~' ? MOUNT_BIND : MOUNT_VOLUME;
    for (char *option = parts[2]; option != NULL;) {
        char *comma = strchr(option, ',');
        if (comma != NULL) {
            *comma++ = '\0';
        }
        int rc = mount_option(mount, option, err);
        if (rc < 0) {
            return rc;
        }
        option = comma;
    }
    return 0;
}

int file_reference_from_short(const char *text, void *object, struct arena *arena, struct error *err) {
    (void)err;
    ((struct file_reference *)object)->source = arena_strdup(arena, text);
    return 0;
}

int ulimit_from_short(const char *text, void *object, struct arena *arena, struct error *err) {
    (void)arena;
    struct ulimit *ulimit = object;
    if (!str_to_int(text, &ulimit->soft)) {
        return error_set(err, ERR_INVALID, "'%s' is not a number; write one number, or soft and hard", text);
    }
    ulimit->hard = ulimit->soft;
    return 0;
}

int network_attachment_from_short(const char *text, void *object, struct arena *arena, struct error *err) {
    (void)err;
    ((struct network_attachment *)object)->name = arena_strdup(arena, text);
    return 0;
}

int dependency_from_short(const char *text, void *object, struct arena *arena, struct error *err) {
    (void)err;
    ((struct dependency *)object)->name = arena_strdup(arena, text);
    return 0;
}

// --- and back: false if the object says more than the short form can ---

bool port_to_short(const void *object, struct buf *out) {
    static const char *const protocols[] = {"", "/udp", "/sctp"};
    const struct port *port = object;
    if (port->mode != PUBLISH_INGRESS || port->name[0] != '\0' || port->host_ip[0] != '\0' ||
        port->app_protocol[0] != '\0') {
        return false;
    }
    if (port->published != 0) {
        buf_addf(out, "%lld:", (long long)port->published);
    }
    buf_addf(out, "%lld%s", (long long)port->target, protocols[port->protocol]);
    return true;
}

static bool is_path_word(const char *text) {
    return text[0] == '/' || text[0] == '.' || text[0] == '~';
}

bool mount_to_short(const void *object, struct buf *out) {
    const struct mount *mount = object;
    bool has_options = mount->bind.propagation != PROPAGATION_RPRIVATE || mount->bind.create_host_path ||
                       mount->bind.recursive_off || mount->volume.nocopy ||
                       mount->volume.subpath[0] != '\0' || mount->tmpfs.size_bytes != 0 ||
                       mount->tmpfs.mode != 01777;
    bool is_said = mount->type == MOUNT_BIND ? is_path_word(mount->source)
                                             : mount->type == MOUNT_VOLUME && !is_path_word(mount->source);
    if (has_options || !is_said || strchr(mount->source, ':') != NULL || strchr(mount->target, ':') != NULL) {
        return false;
    }
    if (mount->source[0] == '\0' && mount->read_only) {
        return false;
    }
    buf_addf(out, "%s%s%s%s", mount->source, mount->source[0] != '\0' ? ":" : "", mount->target,
             mount->read_only ? ":ro" : "");
    return true;
}

bool file_reference_to_short(const void *object, struct buf *out) {
    const struct file_reference *file = object;
    if (file->target[0] != '\0' || strcmp(file->uid, "0") != 0 || strcmp(file->gid, "0") != 0 ||
        file->mode != 0444 || file->on_change != ON_CHANGE_RESTART || file->signal[0] != '\0') {
        return false;
    }
    buf_adds(out, file->source);
    return true;
}

bool ulimit_to_short(const void *object, struct buf *out) {
    const struct ulimit *ulimit = object;
    if (ulimit->soft != ulimit->hard || ulimit->soft < 0) {
        return false;
    }
    buf_addf(out, "%lld", (long long)ulimit->soft);
    return true;
}

int schedule_from_short(const char *text, void *object, struct arena *arena, struct error *err) {
    (void)err;
    ((struct schedule *)object)->cron = arena_strdup(arena, text);
    return 0;
}
