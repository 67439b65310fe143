// The compiler's own setjmp and longjmp: the way back leads to a label whose address is in a buffer.
// builds: freestanding
// calls: getpid getuid getgid exit_group
// run: all
// gap[x86_64]: getgid — without optimisation, a variable of a frame that is returned to
// only[llvm]: x86_64 — LLVM has it not for aarch64
// gap[x86_64 llvm]: none
#include "freestanding.h"

static void *buffer[5];

NOINLINE void work(long x) {
  sys1(NR_getuid, x);
  __builtin_longjmp(buffer, 1);
}

NOINLINE long guarded(long x) {
  if (!__builtin_setjmp(buffer)) {
    sys1(NR_getpid, x);
    work(x);
    return 1;
  }
  return sys0(NR_getgid);
}

void run(long *stack) {
  guarded(stack[0]);
  quit();
}
