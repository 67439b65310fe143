// Calls and addresses by way of the linkage table, which the linker turns into direct ones with a prefix.
// builds: gcc -O0 | gcc -O2 | gcc -Os -s | gcc -O2 -static-pie | gcc -O0 -static-pie -s | gcc -O2 -Wl,--no-relax
// flags: -fPIC -fno-plt -fsemantic-interposition
// calls: getpid getuid getgid exit_group
// run: all
// not: unlink — a function that nobody refers to
#include "freestanding.h"

typedef long (*function)(long);

NOINLINE long one(long x) { return sys1(NR_getpid, x); }
NOINLINE long two(long x) { return sys1(NR_getuid, x); }
NOINLINE long three(long x) { return sys1(NR_getgid, x); }
NOINLINE long never(long x) { return sys1(NR_unlink, x); }
NOINLINE long tail(long x) { return two(x + 1); }
NOINLINE long through(function f, long x) { return f(x); }
function hook = three;

void run(long *stack) {
  one(stack[0]);
  tail(stack[0]);
  through(hook, stack[0]);
  quit();
}
