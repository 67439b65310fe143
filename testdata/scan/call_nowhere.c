// A call through a pointer that is zero when the program starts and that the kernel writes:
// control does not end there. (That a pointer to code leads to a function whose address reached
// code or data has is what the set rests on.)
// builds: freestanding
// calls: read getpid getuid exit_group
// run: never — what is read decides where control goes
#include "freestanding.h"

typedef long (*function)(long);
static function hook;
static long known(long x) { return sys1(NR_getuid, x); }
static const function table[1] = {known};

void run(long *stack) {
  sys3(NR_read, 0, (long)&hook, sizeof hook);
  table[stack[0] & 0](1);
  if (hook) hook(stack[0]);
  sys0(NR_getpid);
  quit();
}
