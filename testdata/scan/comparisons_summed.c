// Results of comparisons are added up and index a table.
// builds: freestanding
// calls: getpid getuid getgid geteuid getegid getppid exit_group
// run: some
// not: unlink reboot — the numbers around those that such a sum can reach
#include "freestanding.h"

__attribute__((section(".rodata.fixture"))) static const int numbers[5] = {
    NR_unlink, NR_getpid, NR_getuid, NR_getgid, NR_reboot};
__attribute__((section(".rodata.fixture"))) static const int signs[5] = {
    NR_unlink, NR_geteuid, NR_getegid, NR_getppid, NR_reboot};

void run(long *stack) {
  long x = stack[0];
  sys0(numbers[1 + (x > 3) + (x > 9)]);
  sys0(signs[2 + (x > 5) - (x < 5)]);
  quit();
}
