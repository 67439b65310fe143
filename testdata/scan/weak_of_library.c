// A weak function that only a library has, and one that nobody has: the loader fills the words of the
// linkage table that have a relocation, and no others.
// builds: dynamic
// library: yes
// scope: program
// calls: getpid getuid exit_group
// run: all
// not: unlink — behind the check for a function that nobody has
#include "freestanding.h"

#ifdef LIBRARY
long there(long x) { return sys1(NR_getpid, x); }
long use(long x) { return x; }
#else
__attribute__((weak)) long there(long);
__attribute__((weak)) long absent(long);
long use(long);
void run(long *stack) {
  if (there) there(stack[0]);
  if (absent) sys1(NR_unlink, absent(stack[0]));
  sys1(NR_getuid, use(stack[0]));
  quit();
}
#endif
