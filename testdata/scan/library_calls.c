// A program and its library: calls through the linkage table and through a pointer from it.
// builds: dynamic
// library: yes
// scope: program
// calls: getpid getuid getgid exit_group
// run: all
// not: unlink — exported by the library and never asked for
#include "freestanding.h"

#ifdef LIBRARY
long first(long x) { return sys1(NR_getpid, x); }
NOINLINE static long hidden(long x) { return sys1(NR_getuid, x); }
long second(long x) { return hidden(x) + 1; }
long third(long x) { return sys1(NR_getgid, x); }
long fourth(long x) { return sys1(NR_unlink, x); }
#else
long first(long), second(long), third(long);
long (*volatile pointer)(long) = third;

void run(long *stack) {
  first(stack[0]);
  second(stack[0]);
  pointer(stack[0]);
  quit();
}
#endif
