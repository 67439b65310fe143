// The library's wrapper gets its numbers from the program, and calls the program back.
// builds: dynamic
// library: yes
// scope: program
// calls: getpid getppid exit_group
// doubt: number — the loader's jump to the entry point may enter any function whose address is taken, with anything
// run: all
#include "freestanding.h"

#ifdef LIBRARY
long call(nr_t number, long a) { return sys1(number, a); }
long with(long (*f)(long), long x) { return f(x) + 1; }
#else
long call(nr_t, long), with(long (*)(long), long);
static long back(long x) { return sys1(NR_getppid, x); }

void run(long *stack) {
  call(NR_getpid, stack[0]);
  with(back, stack[0]);
  call(NR_exit_group, 0);
}
#endif
