// SPDX-License-Identifier: Apache-2.0
//
// base/assert.h — assertions that stay on in release builds.
//
// A broken invariant ends the process with its condition and place printed: going on would put wrong data
// into a replicated store. Conditions have no side effects. ASSERT is for programmer errors only; bad
// input, full disks and dead peers are errors (base/error.h).
#ifndef MUSTER_BASE_ASSERT_H
#define MUSTER_BASE_ASSERT_H

#define ASSERT(condition) ((condition) ? (void)0 : assert_fail(#condition, __FILE__, __LINE__, __func__))

// `a` implies `b`: reads like the sentence it checks.
#define IMPLIES(a, b) (!(a) || (b))

// A branch that cannot be reached, with the reason.
#define UNREACHABLE(reason) assert_fail(reason, __FILE__, __LINE__, __func__)

// Prints the condition and its place on stderr and aborts.
_Noreturn void assert_fail(const char *condition, const char *file, int line, const char *function);

#endif
