// Code with marks for branch targets: calls and jumps through tables go to them.
// builds: gcc -O0 | gcc -O2 | gcc -Os -s | gcc -O2 -static-pie
// only: x86_64 — marks of its branch targets; the other builds have those of aarch64
// flags: -fcf-protection=full
// calls: getpid getuid getgid geteuid getegid getppid exit_group
// run: some
#include "freestanding.h"

static void a(long x) { sys1(NR_getegid, x); }
static void b(long x) { sys1(NR_getppid, x); }
static void (*const table[])(long) = {a, b};

NOINLINE void choose(long x) {
  switch (x) {
    case 0: sys0(NR_getpid); break;
    case 1: sys1(NR_getuid, x); break;
    case 2: sys2(NR_getgid, x, 1); break;
    case 3: sys1(NR_geteuid, 4); break;
    case 4: sys2(NR_getpid, 3, 4); break;
    default: break;
  }
}

void run(long *stack) {
  choose(stack[0]);
  for (int i = 0; i < 2; i++) table[i](stack[0]);
  quit();
}
