// A hardware transaction: where it goes on when it is aborted stands in the instruction that begins it.
// builds: freestanding
// only: x86_64 — its assembly
// calls: getpid getuid exit_group
// run: never — few processors have it
// flags: -mrtm
#include "freestanding.h"

void run(long *stack) {
  (void)stack;
  __asm__ goto("xbegin %l0" ::: "eax", "memory" : aborted);
  __asm__ volatile("xend");
  sys0(NR_getpid);
  quit();
aborted:
  sys0(NR_getuid);
  quit();
}
