// Tail calls, direct and through a pointer, and a wrapper that is entered by one.
// builds: freestanding
// calls: getpid getuid getgid exit_group
// run: all
#include "freestanding.h"

NOINLINE long call(nr_t number, long a) { return sys1(number, a); }
NOINLINE long jump(long a) { return call(NR_getpid, a); }
NOINLINE long last(long a) { return sys1(NR_getgid, a); }
NOINLINE long through(long (*f)(long), long a) { return f(a); }
NOINLINE long chain(long a) { return a ? call(NR_getuid, a) : jump(a); }

void run(long *stack) {
  (void)stack;
  chain(0);
  chain(1);
  through(last, 2);
  call(NR_exit_group, 0);
}
