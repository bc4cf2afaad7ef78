// SPDX-License-Identifier: Apache-2.0
//
// tui/view_services.c — the columns of services.
#include "specs/image.h"
#include "specs/service.h"
#include "tui/view.h"

static void service_name(const struct model_row *row, const struct view_env *env, struct buf *out) {
    (void)env;
    buf_adds(out, row->label);
}

static void service_replicas(const struct model_row *row, const struct view_env *env, struct buf *out) {
    (void)env;
    bool is_job = mode_is_job(row_service(row)->spec.deploy.mode);
    buf_addf(out, "%lld/%lld", (long long)(row->load.running + (is_job ? row->load.complete : 0)),
             (long long)model_wanted(row));
}

static void service_state(const struct model_row *row, const struct view_env *env, struct buf *out) {
    (void)env;
    buf_adds(out, view_badge(row).word);
}

static void service_mode(const struct model_row *row, const struct view_env *env, struct buf *out) {
    (void)env;
    buf_adds(out, service_mode_names[row_service(row)->spec.deploy.mode]);
}

static void service_image(const struct model_row *row, const struct view_env *env, struct buf *out) {
    (void)env;
    AUTO_ARENA arena = {0};
    buf_adds(out, image_familiar(view_image(row), &arena));
}

static void service_ports(const struct model_row *row, const struct view_env *env, struct buf *out) {
    (void)env;
    const struct service_spec *spec = &row_service(row)->spec;
    for (size_t i = 0; i < spec->ports.count; i++) {
        const struct port *port = &spec->ports.items[i];
        buf_adds(out, i > 0 ? "," : "");
        if (port->published > 0) {
            buf_addf(out, "%lld:", (long long)port->published);
        }
        buf_addf(out, "%lld", (long long)port->target);
    }
}

static void service_revision(const struct model_row *row, const struct view_env *env, struct buf *out) {
    (void)env;
    buf_addf(out, "r%lld", (long long)row_service(row)->revision);
}

static void service_owner(const struct model_row *row, const struct view_env *env, struct buf *out) {
    (void)env;
    const char *owner = row_service(row)->meta.owner;
    buf_adds(out, owner[0] != '\0' ? owner : "by hand");
}

static void service_age(const struct model_row *row, const struct view_env *env, struct buf *out) {
    view_age(row_service(row)->meta.updated_unix_ms, env, out);
}

// tidy: table
static const struct column columns[] = {
    {"NAME", 14, 2, 0, .sort = SORT_NAME, .text = service_name},
    {"HAVE", 7, 0, 1, .is_right = true, .sort = SORT_LOAD, .text = service_replicas},
    {"STATE", 13, 0, 2, .is_styled = true, .sort = SORT_STATE, .text = service_state},
    {"MODE", 14, 0, 6, .sort = SORT_COUNT, .text = service_mode},
    {"IMAGE", 16, 3, 3, .sort = SORT_IMAGE, .text = service_image},
    {"PORTS", 12, 0, 5, .sort = SORT_COUNT, .text = service_ports},
    {"REV", 4, 0, 7, .is_right = true, .sort = SORT_COUNT, .text = service_revision},
    {"CHANGED", 7, 0, 4, .is_right = true, .sort = SORT_AGE, .text = service_age},
    {"OWNER", 14, 1, 8, .sort = SORT_COUNT, .text = service_owner},
};

const struct view view_services = {
    .title = "Services",
    .kind = MODEL_SERVICES,
    .columns = columns,
    .column_count = sizeof columns / sizeof *columns,
    .empty = "No services yet. Make some with: muster apply -f FILE",
};
