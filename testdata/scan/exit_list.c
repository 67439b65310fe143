// Functions registered at run time in a static list, with an argument each, called at the end.
// builds: freestanding
// calls: getpid getuid exit_group
// run: all
// not: unlink — registered by a function that is never called
#include "freestanding.h"

static struct {
  void (*f)(long);
  long argument;
} list[8];
static int count;

NOINLINE void at_exit(void (*f)(long), long argument) {
  list[count].f = f;
  list[count++].argument = argument;
}
NOINLINE void leave(void) {
  while (count > 0) {
    count--;
    list[count].f(list[count].argument);
  }
  quit();
}

static void a(long x) { sys1(NR_getpid, x); }
static void b(long x) { sys1(NR_getuid, x); }
static void c(long x) { sys1(NR_unlink, x); }

NOINLINE void KEEP(dead)(void) { at_exit(c, 1); }

void run(long *stack) {
  at_exit(a, stack[0]);
  at_exit(b, stack[0]);
  leave();
}
