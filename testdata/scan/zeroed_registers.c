// Functions that clear the registers they used before they return: none survives in a caller.
// builds: gcc -O0 | gcc -O2 | gcc -Os -s | gcc -O3 | gcc -O2 -static-pie | gcc -O1 -fno-asynchronous-unwind-tables -s
// flags: -fzero-call-used-regs=all
// calls: getpid getuid getgid exit_group
// run: all
// only[llvm]: none — LLVM 14 has not this option
#include "freestanding.h"

NOINLINE long make(long number, long x) { return sys1(number, x); }
NOINLINE long twice(long number, long x) { return make(number, x) + make(number + 2, x); }

void run(long *stack) {
  make(NR_getpid, stack[0]);
  twice(NR_getuid, stack[0]);
  quit();
}
