// libcap's way: functions that make calls lie in one of two structures that the program can write
// to, whose address is passed down.
// builds: freestanding
// calls: getpid getuid getpgrp exit_group
// doubt[aarch64]: number — with -mcmodel=large addresses of data are among constants in the code
// run: all
// not: unlink — a function that would put something else there is never called
#include "freestanding.h"

struct operations {
  long (*three)(nr_t, long, long, long);
  long (*one)(nr_t, long);
};

NOINLINE long three(nr_t number, long a, long b, long c) { return sys3(number, a, b, c); }
NOINLINE long one(nr_t number, long a) { return sys1(number, a); }
NOINLINE long other(nr_t number, long a) { return sys1(NR_unlink, number + a); }

static struct operations many = {three, one}, single = {three, one};

NOINLINE void KEEP(replace)(void) { many.one = other; }
NOINLINE void low(struct operations *all, nr_t number) { all->one(number, 0); }
NOINLINE void high(struct operations *all) {
  low(all, NR_getpid);
  all->three(NR_getuid, 0, 0, 0);
}

void run(long *stack) {
  high(&many);
  high(stack[0] > 1 ? &many : &single);
  low(&single, NR_getpgrp);
  quit();
}
