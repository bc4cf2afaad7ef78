// SPDX-License-Identifier: Apache-2.0
//
// test/lib/fuzz.h — what a fuzz target defines: one decoder, any bytes.
//
// test/fuzz/fuzz_<name>.c defines the function; libFuzzer (FLAVOUR=fuzz) or test/lib/fuzz_main.c (else)
// calls it. Its corpus is test/fuzz/corpus/<name>/, its dictionary, if there is one, test/fuzz/<name>.dict.
// Found crashers are added to the corpus.
#ifndef MUSTER_TEST_LIB_FUZZ_H
#define MUSTER_TEST_LIB_FUZZ_H

#include <stddef.h>
#include <stdint.h>

// Returns 0. Must not crash, leak, or keep state from one call to the next.
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
