// Numbers in the halves of a 128-bit integer that is passed in two registers.
// builds: freestanding
// calls: getpid getuid getgid exit_group
// run: all
// not: unlink — the other half
#include "freestanding.h"

typedef unsigned __int128 wide;

NOINLINE long upper(wide x) { return sys0((long)(x >> 64)); }
NOINLINE long lower(wide x) { return sys0((long)x); }
NOINLINE long pass(long x, wide y) { return x > 5 ? lower(y) : upper(y); }

void run(long *stack) {
  upper((wide)NR_getpid << 64 | NR_unlink);
  lower((wide)NR_unlink << 64 | NR_getuid);
  pass(stack[0], (wide)NR_getgid << 64 | NR_getgid);
  quit();
}
