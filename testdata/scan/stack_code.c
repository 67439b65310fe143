// An executable stack, and code that the program writes there and calls.
// builds: freestanding
// calls: getpid exit_group
// residuals: code
// run: never — the code that it makes does other calls
// flags: -Wl,-z,execstack
#include "freestanding.h"

NOINLINE long call(long (*f)(void)) { return f(); }

void run(long *stack) {
  (void)stack;
  // mov $102, %eax; syscall; ret
  volatile unsigned long code[1] = {0xc3050f00000066b8};
  sys1(NR_getpid, call((long (*)(void))code));
  quit();
}
