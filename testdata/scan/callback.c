// Callbacks that are passed as arguments, with their data beside them.
// builds: freestanding | layouts
// calls: getpid getuid write exit_group
// gap: getpid getuid — a load through a pointer into the caller's frame
// run: all
// not: unlink — the callback of a call that is never made
#include "freestanding.h"

NOINLINE long each(long (*f)(void *), void *data, int n) {
  long sum = 0;
  for (int i = 0; i < n; i++) sum += f(data);
  return sum;
}

static long number(void *data) { return sys0(*(nr_t *)data); }
static long say(void *data) { return sys3(NR_write, 1, (long)data, 0); }
static long bad(void *data) { return sys1(NR_unlink, (long)data); }

NOINLINE void KEEP(dead)(void) { each(bad, 0, 1); }

void run(long *stack) {
  (void)stack;
  nr_t pid = NR_getpid, uid = NR_getuid;
  each(number, &pid, 2);
  each(number, &uid, 1);
  each(say, (void *)"", 1);
  quit();
}
