// SPDX-License-Identifier: Apache-2.0
//
// test/sim/judge_history.c — judges what clients wrote down (test/lib/history.h says how).
//
//     judge_history FILE…      all files together are one history, of any number of keys
//
// Exit status 0: linearizable. 1: not, or undecided (what is wrong is printed). 2: the files are no history.
#include <stdio.h>

#include "base/clock.h"
#include "test/lib/linear.h"

int main(int argc, char **argv) {
    AUTO_HISTORY history = {0};
    AUTO_BUF report = {0};
    AUTO_BUF graph_report = {0};
    struct error err = {0};
    char text[1024];
    for (int i = 1; i < argc; i++) {
        if (history_read(&history, argv[i], &err) < 0) {
            fprintf(stderr, "judge_history: %s\n", error_text(&err, text, sizeof text));
            return 2;
        }
    }
    if (history.count == 0) {
        fputs("judge_history: no operations\n", stderr);
        return 2;
    }
    size_t unknown = 0;
    for (size_t i = 0; i < history.count; i++) {
        unknown += history.items[i].outcome == OUTCOME_UNKNOWN;
    }
    int64_t start_ns = clock_mono_ns();
    enum linear_verdict verdict = linear_judge(&history, LINEAR_MEMORY_BYTES, &report);
    int64_t end_ns = clock_mono_ns();
    enum linear_verdict graph = linear_graph_judge(&history, &graph_report);
    fputs(buf_text(&report), stdout);
    if (graph == LINEAR_NO) { // if the first judge found nothing: so much the more to be read
        printf("by the order of values:\n%s", buf_text(&graph_report));
    }
    static const char *const verdicts[] = {"linearizable", "NOT linearizable", "undecided"};
    printf("%zu operations (%zu with unknown outcome) on %zu keys: %s (%.2f s)\n", history.count, unknown,
           history.keys.count, verdicts[graph == LINEAR_NO ? LINEAR_NO : verdict],
           (double)(end_ns - start_ns) / NS_PER_S);
    return verdict == LINEAR_YES && graph != LINEAR_NO ? 0 : 1;
}
