// SPDX-License-Identifier: Apache-2.0
//
// specs/service_rules.h — short forms and cross-field rules that the tables of specs/service.c name.
// Private to specs/.
#ifndef MUSTER_SPECS_SERVICE_RULES_H
#define MUSTER_SPECS_SERVICE_RULES_H

#include "specs/service.h"

int port_from_short(const char *text, void *object, struct arena *arena, struct error *err);
int mount_from_short(const char *text, void *object, struct arena *arena, struct error *err);
int file_reference_from_short(const char *text, void *object, struct arena *arena, struct error *err);
int ulimit_from_short(const char *text, void *object, struct arena *arena, struct error *err);
int network_attachment_from_short(const char *text, void *object, struct arena *arena, struct error *err);
int dependency_from_short(const char *text, void *object, struct arena *arena, struct error *err);

int schedule_from_short(const char *text, void *object, struct arena *arena, struct error *err);

bool port_to_short(const void *object, struct buf *out);
bool mount_to_short(const void *object, struct buf *out);
bool file_reference_to_short(const void *object, struct buf *out);
bool ulimit_to_short(const void *object, struct buf *out);

void mount_check(const void *object, struct problem_sink *sink);
void file_reference_check(const void *object, struct problem_sink *sink);
void health_check_check(const void *object, struct problem_sink *sink);
void logging_check(const void *object, struct problem_sink *sink);
void ulimit_check(const void *object, struct problem_sink *sink);
void resources_check(const void *object, struct problem_sink *sink);
void placement_check(const void *object, struct problem_sink *sink);
void dependency_check(const void *object, struct problem_sink *sink);
void schedule_check(const void *object, struct problem_sink *sink);
void deploy_check(const void *object, struct problem_sink *sink);
void service_spec_check(const void *object, struct problem_sink *sink);

#endif
