// A function that leaves in its middle and goes on there when it is called again: a static label says where.
// builds: gcc -O1 -fno-asynchronous-unwind-tables -s | gcc -O2 | gcc -Os -s | gcc -O3 -fcf-protection=none -fomit-frame-pointer | gcc -O2 -static-pie | musl-gcc -O2 -fno-omit-frame-pointer
// calls: getpid getuid getgid exit_group
// flags: -Wno-dangling-pointer
// run: all
#include "freestanding.h"

static void *state;

NOINLINE long thread(long x) {
  if (state) goto *state;
  sys1(NR_getpid, x);
  state = &&second;
  return 1;
second:
  sys1(NR_getuid, x);
  state = &&third;
  return 2;
third:
  sys1(NR_getgid, x);
  return 0;
}

void run(long *stack) {
  while (thread(stack[0])) {
  }
  quit();
}
