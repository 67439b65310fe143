// A weak function that only the library defines, and one that nobody does. (A library that only weak
// symbols refer to would not be loaded.)
// builds: dynamic
// library: yes
// scope: program
// calls: getpid exit_group
// run: all
// not: unlink — behind the check for a function that nobody defines
#include "freestanding.h"

#ifdef LIBRARY
long always(long x) { return x; }
long present(long x) { return sys1(NR_getpid, x); }
#else
long always(long);
__attribute__((weak)) long present(long);
__attribute__((weak)) long absent(long);

void run(long *stack) {
  if (absent) sys1(NR_unlink, absent(stack[0]));
  always(stack[0]);
  if (present) present(stack[0]);
  quit();
}
#endif
