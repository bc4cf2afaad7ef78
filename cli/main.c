// SPDX-License-Identifier: Apache-2.0
//
// cli/main.c — the program `muster`.
#include "cli/builtin.h"

int main(int argc, char **argv) {
    return command_main(builtin_table(/* extra= */ NULL), argc, argv);
}
