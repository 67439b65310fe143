// A table of rows: two indexes from the outside, each checked.
// builds: freestanding
// calls: getpid getuid getgid geteuid getegid getppid exit_group
// run: some
#include "freestanding.h"

typedef void (*function)(long);

static void a(long x) { sys1(NR_getpid, x); }
static void b(long x) { sys1(NR_getuid, x); }
static void c(long x) { sys1(NR_getgid, x); }
static void d(long x) { sys1(NR_geteuid, x); }
static void e(long x) { sys1(NR_getegid, x); }
static void f(long x) { sys1(NR_getppid, x); }
static const function table[2][3] = {{a, b, c}, {d, e, f}};

void run(long *stack) {
  unsigned long row = stack[0], column = stack[1];
  if (row < 2 && column < 3) table[row][column](stack[0]);
  table[1][2](stack[0]);
  quit();
}
