// Indirect calls and tail calls by way of retpolines: the target is written over a return address.
// builds: gcc -O0 | gcc -O2 | gcc -Os -s | gcc -O2 -static-pie | gcc -O2 -mfunction-return=thunk
// only: x86_64 — a guard against speculation of its processors
// flags: -mindirect-branch=thunk -fcf-protection=none
// calls: getpid getuid getgid exit_group
// run: all
// not: unlink — in a table that nothing refers to
#include "freestanding.h"

typedef long (*function)(long);

static long a(long x) { return sys1(NR_getpid, x); }
static long b(long x) { return sys1(NR_getuid, x); }
static long c(long x) { return sys1(NR_getgid, x); }
static long d(long x) { return sys1(NR_unlink, x); }

static const function table[] = {a, b};
const function KEEP(unused)[] = {d, d};

NOINLINE long through(function f, long x) { return f(x); }
NOINLINE long pass(function f, long x) { return f(x) + 1; }

void run(long *stack) {
  for (int i = 0; i < 2; i++) table[i](stack[0]);
  through(c, stack[0]);
  pass(c, stack[0]);
  quit();
}
