// A weak function that only the library defines, and one that nobody does.
// builds: dynamic
// library: yes
// scope: program
// calls: getpid exit_group
// run: all
// not: unlink — behind the check for a function that nobody defines
#include "freestanding.h"

#ifdef LIBRARY
long present(long x) { return sys1(NR_getpid, x); }
#else
__attribute__((weak)) long present(long);
__attribute__((weak)) long absent(long);

void run(long *stack) {
  if (absent) sys1(NR_unlink, absent(stack[0]));
  if (present) present(stack[0]);
  quit();
}
#endif
