// Bits of an argument decide what a callee does: a bit that no caller sets leads nowhere.
// builds: gcc -O1 -fno-asynchronous-unwind-tables -s | gcc -O2 | gcc -Os -s | gcc -O3 -fcf-protection=none -fomit-frame-pointer | gcc -O2 -static-pie | musl-gcc -O2 -fno-omit-frame-pointer
// calls: getpid getuid getgid exit_group
// run: all
// not: unlink — behind a bit that nobody sets
#include "freestanding.h"

enum { PROCESS = 1, USER = 2, REMOVE = 4, GROUP = 8 };

NOINLINE void work(unsigned flags, long x) {
  if (flags & PROCESS) sys1(NR_getpid, x);
  if (flags & USER) sys1(NR_getuid, x);
  if (flags & REMOVE) sys1(NR_unlink, x);
  if (flags & GROUP) sys1(NR_getgid, x);
}

void run(long *stack) {
  work(PROCESS, stack[0]);
  work(USER | GROUP, stack[0]);
  quit();
}
