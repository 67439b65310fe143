// The function that is called is what another one returns.
// builds: freestanding
// calls: getpid getuid exit_group
// run: all
#include "freestanding.h"

typedef long (*function)(void);

static long a(void) { return sys0(NR_getpid); }
static long b(void) { return sys0(NR_getuid); }
static long c(void) { return sys0(NR_unlink); }

NOINLINE function choose(long kind) {
  if (kind == 0) return a;
  if (kind == 1) return b;
  return c;
}

void run(long *stack) {
  (void)stack;
  choose(0)();
  choose(1)();
  quit();
}
