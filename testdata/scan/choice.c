// One of three numbers by nested conditions: a conditional move, and no hull of them.
// builds: freestanding
// calls: getpid getuid reboot exit_group
// run: some
// not: getppid sync — between the numbers, but none of them
#include "freestanding.h"

NOINLINE nr_t choose(long x) {
  return x == 7 ? NR_getuid : x < 9 ? NR_getpid : NR_reboot;
}

void run(long *stack) {
  sys0(choose(stack[0]));
  quit();
}
