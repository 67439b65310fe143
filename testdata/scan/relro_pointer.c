// A function pointer there, without a value in the file, that start-up code fills in.
// builds: freestanding | layouts
// calls: getpid getuid getgid exit_group
// run: all
#include "freestanding.h"

typedef long (*function)(long);

__attribute__((section(".data.rel.ro"))) static function hook = 0;

static long late(long x) { return sys1(NR_getuid, x); }

NOINLINE void start(function f) { hook = f; }
NOINLINE long work(long x) { return hook(x) + sys0(NR_getgid); }

void run(long *stack) {
  sys0(NR_getpid);
  start(late);
  work(stack[0]);
  quit();
}
