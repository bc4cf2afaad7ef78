// SPDX-License-Identifier: Apache-2.0
//
// reconciler/agent/health_probe.h — `musterd probe …`: one check of a task from outside its container, in a
// short-lived process of its own.
//
//     musterd probe tcp NETNS HOST PORT        a connection is made
//     musterd probe http NETNS HOST PORT PATH  GET answers 2xx or 3xx
//     musterd probe sweep PROCS MARK           kills what a check left running: each process listed in PROCS
//                                              (cgroup.procs) that has MARK in its environment
//
// NETNS is a file like /proc/PID/ns/net, or "-". Exit status 0: well; 1: not, with a line on stdout that says
// why. Nothing here knows a deadline: who starts it kills it.
#ifndef MUSTER_RECONCILER_AGENT_HEALTH_PROBE_H
#define MUSTER_RECONCILER_AGENT_HEALTH_PROBE_H

int health_probe_main(int argc, char **argv);

#endif
