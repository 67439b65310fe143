// What goes out of scope is cleaned up on every way out of it, the early ones too.
// builds: freestanding
// calls: getpid getuid getgid exit_group
// run: some
// not: unlink — the cleanup of a variable behind a return that is always taken
#include "freestanding.h"

static void leave(long *x) { sys1(NR_getuid, *x); }
static void close(long *x) { sys1(NR_getgid, *x); }
static void never(long *x) { sys1(NR_unlink, *x); }

NOINLINE long work(long x, int done) {
  __attribute__((cleanup(leave))) long a = x;
  if (x > 3) return a;
  __attribute__((cleanup(close))) long b = x + 1;
  if (done) return sys2(NR_getpid, a, b);
  __attribute__((cleanup(never))) long c = x + 2;
  return a + b + c;
}

void run(long *stack) {
  work(stack[0], 1);
  quit();
}
