// Function pointers in writable data: one from the start, one stored at run time.
// builds: freestanding | layouts
// calls: getpid getuid exit_group
// run: all
// not: unlink — a function whose address only a dead function stores
#include "freestanding.h"

static long a(void) { return sys0(NR_getpid); }
static long b(void) { return sys0(NR_getuid); }
static long d(void) { return sys0(NR_unlink); }

static long (*hook)(void) = a;
static long (*late)(void);

NOINLINE void install(void) { late = b; }
NOINLINE void KEEP(dead)(void) { late = d; }
NOINLINE void fire(void) {
  if (hook) hook();
  if (late) late();
}

void run(long *stack) {
  (void)stack;
  install();
  fire();
  quit();
}
