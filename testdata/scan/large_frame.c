// A frame of many pages, which is probed in a loop before it is used.
// builds: gcc -O1 -fno-asynchronous-unwind-tables -s | gcc -O2 | gcc -Os -s | gcc -O2 -static-pie
// flags: -fstack-clash-protection
// calls: getpid getuid exit_group
// run: all
// not: unlink — at the other end of the frame
#include "freestanding.h"

NOINLINE void work(long x) {
  volatile long block[20000];
  block[0] = NR_unlink;
  block[19999] = NR_getpid;
  block[9999] = x;
  sys0(block[19999]);
  sys0(block[9999]);
}

void run(long *stack) {
  (void)stack;
  work(NR_getuid);
  quit();
}
