// Variables in memory that is made read-only after relocation, written by start-up code before:
// their first values are no constants. The C library keeps many of its own there.
// builds: freestanding
// calls: getpid getuid getgid exit_group
// run: all
// extra: unlink — the number that is in the file: which of a cell's values comes first is not told
#include "freestanding.h"

__attribute__((section(".data.rel.ro"))) static nr_t number = NR_unlink;
__attribute__((section(".data.rel.ro"))) static int secure = 0;

NOINLINE void start(long *stack) {
  number = NR_getuid;
  secure = stack[0] != 0;
}
NOINLINE void work(void) {
  sys0(NR_getpid);
  sys0(number);
  if (secure) sys0(NR_getgid);
}

void run(long *stack) {
  start(stack);
  work();
  quit();
}
