// What stands after a call that never returns is not reached: the exit is two calls away.
// builds: freestanding | gcc -O2 -fno-builtin -fno-ipa-pure-const
// calls: getpid exit_group
// run: all
// not: unlink mount — after calls that do not return, which is derived and not declared
#include "freestanding.h"

NOINLINE void leave(long code) {
  for (;;) sys1(NR_exit_group, code);
}
NOINLINE void die(long code) {
  leave(code + 1);
  sys0(NR_mount);
}

void run(long *stack) {
  (void)stack;
  sys0(NR_getpid);
  die(-1);
  sys1(NR_unlink, 0);
}
