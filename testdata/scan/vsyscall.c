// The old page at a fixed address where the kernel itself serves three calls: a filter sees them.
// builds: freestanding
// only: x86_64 — no other architecture has that page
// calls: time getpid exit_group
// run: never — not every kernel has the page, and a trace does not show such calls
#include "freestanding.h"

void run(long *stack) {
  sys0(NR_getpid);
  ((long (*)(long *))0xffffffffff600400)(stack);
  quit();
}
