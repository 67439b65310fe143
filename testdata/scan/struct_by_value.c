// The number in a structure that is passed by value: in two registers, and in memory.
// builds: freestanding
// calls: getpid getuid getgid geteuid exit_group
// run: all
// gap[aarch64 llvm]: geteuid getgid — what a part of the caller that the outliner made writes to the frame
// not: unlink — the other fields
#include "freestanding.h"

struct small {
  int other, number;
  long argument;
};
struct large {
  long other, number, more[2];
};

NOINLINE long by_registers(struct small s) { return sys1(s.number, s.argument); }
NOINLINE long by_memory(struct large l) { return sys1(l.number, l.more[1]); }

void run(long *stack) {
  by_registers((struct small){NR_unlink, NR_getpid, stack[0]});
  by_registers((struct small){NR_unlink, NR_getuid, stack[0]});
  by_memory((struct large){NR_unlink, NR_getgid, {NR_unlink, stack[0]}});
  by_memory((struct large){NR_unlink, NR_geteuid, {NR_unlink, stack[0]}});
  quit();
}
