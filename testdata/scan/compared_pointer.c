// A function's address is compared with a pointer that is then called.
// builds: freestanding
// calls: getpid getuid exit_group
// run: all
#include "freestanding.h"

typedef long (*function)(void);

static long a(void) { return sys0(NR_getpid); }
static long b(void) { return sys0(NR_getuid); }

NOINLINE long use(function f) {
  if (f == b) return f() + 1;
  return f();
}

void run(long *stack) {
  (void)stack;
  use(a);
  use(b);
  quit();
}
