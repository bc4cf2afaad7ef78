// SPDX-License-Identifier: Apache-2.0
//
// reconciler/plan/cronjob.c — a job with a schedule: when its time has come, a new run begins.
//
// When the next run is due stands in the service (next_run_unix_ms), so that a new leader, or one that was
// down for a while, knows what came due meanwhile: whatever number of moments that were, they are one run.
// A run that is due and is not begun is left out for good, and a note in the service says why.
//
// Model        Due is what the clock says; then the policies are asked: missed and deadline (is it too late?),
//              overlap (is the run before still going?). Beginning is raising the iteration, and job.c does
//              the rest.
// Limits       A run that is not more than LATE_MS late was not missed: a new leader takes some seconds.
#include "reconciler/plan/pass.h"

#define NS_PER_MS 1000000
#define LATE_MS 60000

static int64_t cronjob_next(const struct cron *cron, const struct zone *zone, int64_t now_unix_ms) {
    int64_t next_s = cron_next(cron, zone, now_unix_ms / 1000);
    return next_s < 0 ? 0 : next_s * 1000;
}

// Why the run that is due is not to begin; NULL = it is.
static const char *cronjob_obstacle(const struct draft *draft, const struct schedule *schedule) {
    int64_t late_ms = draft->view->now_unix_ms - draft->service->next_run_unix_ms;
    if (schedule->missed == MISSED_SKIP && late_ms > LATE_MS) {
        return "a run was missed while no manager led";
    }
    if (schedule->deadline_ns > 0 && late_ms > schedule->deadline_ns / NS_PER_MS) {
        return "a run could not begin before its deadline";
    }
    if (schedule->overlap == OVERLAP_FORBID && job_is_going(draft)) {
        return "a run was left out, for the one before was still going";
    }
    return NULL;
}

static void cronjob_begin(const struct draft *draft, struct service *service, const char *obstacle) {
    service->schedule_note = obstacle != NULL ? obstacle : "";
    if (obstacle == NULL) {
        service->job_iteration++;
        service->last_execution_unix_ms = draft->view->now_unix_ms;
    }
}

static void cronjob_write(struct draft *draft, const struct service *service, const char *why) {
    plan_add(draft->plan, draft->arena,
             &(struct plan_change){
                 .op = CHANGE_UPDATE,
                 .kind = KIND_SERVICE,
                 .object = service,
                 .id = service->meta.id,
                 .expected_version = service->meta.version,
                 .why = why,
             });
    draft->service = service;
}

void cronjob_look(struct draft *draft) {
    const struct schedule *schedule = draft->service->spec.deploy.schedule;
    const struct zone *zone;
    struct cron cron;
    if (schedule == NULL || !draft->is_job || cron_parse(schedule->cron, &cron, /* err= */ NULL) < 0) {
        return;
    }
    struct service *service = arena_copy(draft->arena, draft->service, sizeof *draft->service);
    int64_t now = draft->view->now_unix_ms;
    const char *why = "schedule: the next run";
    if (schedule->suspend) {
        service->next_run_unix_ms = 0;
        why = "schedule: it is suspended";
    } else if (!view_zone(draft->view, schedule->time_zone, &zone)) {
        service->next_run_unix_ms = 0;
        service->schedule_note = "the manager that leads does not know its time zone";
        why = "schedule: its time zone is not known";
    } else if (service->next_run_unix_ms == 0) {
        service->next_run_unix_ms = cronjob_next(&cron, zone, now);
    } else if (now >= service->next_run_unix_ms) {
        const char *obstacle = cronjob_obstacle(draft, schedule);
        cronjob_begin(draft, service, obstacle);
        service->next_run_unix_ms = cronjob_next(&cron, zone, now);
        why = obstacle != NULL ? arena_printf(draft->arena, "schedule: %s", obstacle)
                               : arena_printf(draft->arena, "schedule: run %lld begins",
                                              (long long)service->job_iteration);
    }
    if (!schema_equal(&service_schema, service, draft->service)) {
        cronjob_write(draft, service, why);
    }
    if (service->next_run_unix_ms > 0) {
        plan_wake(draft->plan, service->next_run_unix_ms);
    }
}
