// The program defines a function that the library has as well: the library's own is not called.
// builds: dynamic
// library: yes
// scope: program
// calls: getpid getuid exit_group
// run: all
// not: unlink — in the function that is interposed
#include "freestanding.h"

long hook(long x);
long use(long x);

#ifdef LIBRARY
NOINLINE long hook(long x) { return sys1(NR_unlink, x); }
long use(long x) { return hook(x) + sys0(NR_getuid); }
#else
NOINLINE long hook(long x) { return sys1(NR_getpid, x); }

void run(long *stack) {
  use(stack[0]);
  quit();
}
#endif
