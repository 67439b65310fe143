// A function in a function, called by address: a piece of code on the stack jumps to it.
// builds: freestanding
// calls: getpid getuid exit_group
// doubt: code target — the piece of code is on an executable stack, and what is written there is not followed
// run: all
// only[llvm]: none — functions in functions are GCC's
// flags: -Wl,-z,execstack
// flags[aarch64]: -Wl,-z,execstack -Wl,-u,__clear_cache -lgcc
#include "freestanding.h"

NOINLINE long call(long (*f)(long), long x) { return f(x); }

NOINLINE long parent(long x) {
  long sum = x;
  long child(long y) { return sum += sys1(NR_getuid, y); }
  return call(child, x);
}

void run(long *stack) {
  sys1(NR_getpid, parent(stack[0]));
  quit();
}
