// SPDX-License-Identifier: Apache-2.0
//
// test/lib/scenario.h — planner tests as text: commands in, transcript out.
//
// A golden file holds commands, one a line, each followed by what it printed, marked with "= ". The runner
// carries the commands out anew and wants the same text. UPDATE_GOLDEN=1 rewrites the files; read the diff.
//
//     node NAME [cpus=2] [memory=4G] [labels=disk=ssd,zone=a] [state=down] [availability=drain]
//     unnode NAME
//     service NAME [replicas=3] [mode=global] [image=x] [cpus=1] [memory=1G] [constraint=node.role==manager]
//             [max=1] [restart=on-failure] [delay=5s] [attempts=3] [window=1m] [factor=2] [longest=1m]
//             [depends=db:service_healthy,cache] [ports=host]
//             [order=start-first] [parallelism=2] [rest=1s] [monitor=1s] [ratio=0.5] [action=rollback]
//             [deadline=1m]; the policy of rollbacks: back.order=… back.parallelism=…
//             [at_once=2] [force=1] [cron=0_*_*_*_*] [overlap=replace] [missed=skip] [late=1m] [good=3] [bad=1]
//             [suspend=true]
//             (again: only what is given changes, as a new revision)
//     rollback NAME [REVISION]
//     pause NAME, resume NAME: its rollout
//     rollouts NAME       prints them
//     remove NAME
//     history N
//     step                one pass: prints its changes, and when it wants to be called again
//     agents              all do what is wanted of them
//     settle              step and agents until nothing changes, printing the changes
//     report TASK STATE [exit]
//                         TASK as web.3, web.3@NODE or agent.NODE: the newest that is not over; exit: code 1
//     clock DURATION
//     tasks [SERVICE]     prints the tasks
//     why SERVICE         prints the funnel
#ifndef MUSTER_TEST_LIB_SCENARIO_H
#define MUSTER_TEST_LIB_SCENARIO_H

// Fails the test when the transcript differs from test/golden/plan/<name>.txt, or a rule is broken.
void scenario_check(const char *name);

#endif
