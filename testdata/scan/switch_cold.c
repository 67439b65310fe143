// A switch with a case that the compiler puts elsewhere, in the middle of the table.
// builds: freestanding | gcc -O2 -freorder-blocks-and-partition
// calls: getpid getuid getgid geteuid getegid getppid getpgrp exit_group
// run: some
#include "freestanding.h"

__attribute__((cold, noinline)) static void rare(long x) { sys1(NR_getegid, x); }

NOINLINE long pick(long x) {
  switch (x) {
    case 0: return sys0(NR_getpid) * 3;
    case 1: return sys0(NR_getuid) * 5;
    case 2: return sys0(NR_getgid) * 7;
    case 3: rare(x); return 9;
    case 4: return sys0(NR_geteuid) * 11;
    case 5: return sys0(NR_getppid) * 13;
    case 6: return sys0(NR_getpgrp) * 15;
    default: return 1;
  }
}

void run(long *stack) {
  pick(stack[0]);
  quit();
}
