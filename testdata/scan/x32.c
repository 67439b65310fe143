// Numbers of the x32 table have bit 30: flagged, and no calls of this table.
// builds: freestanding
// only: x86_64 — no other architecture has that table
// calls: getuid exit_group
// warnings: PC0202
// run: some
// not: getpid — the number without its bit
#include "freestanding.h"

void run(long *stack) {
  sys0(NR_getuid);
  if (stack[0] > 1) sys0(0x40000000 + NR_getpid);
  quit();
}
