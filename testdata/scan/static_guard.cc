// A static object of a function is made at the first call, behind a guard.
// builds: g++ -O0 | g++ -O2 | g++ -Os -s | g++ -O1 -fno-asynchronous-unwind-tables | g++ -O2 -static-pie | g++ -O0 -static-pie -s
// calls: getpid getuid sched_yield exit_group
// run: some
// flags: -fno-rtti -fno-exceptions
// not: unlink — of an object in a function that is never called
#include "freestanding.h"

EXTERN_C int __cxa_guard_acquire(volatile char *guard) {
  if (guard[0]) return 0;
  if (guard[1]) sys0(NR_sched_yield);
  guard[1] = 1;
  return 1;
}
EXTERN_C void __cxa_guard_release(volatile char *guard) { guard[0] = 1; }

struct Number {
  long value;
  NOINLINE explicit Number(long number) : value(sys0(number)) {}
};

NOINLINE long once(long x) {
  static Number made(NR_getpid);
  return sys1(NR_getuid, made.value + x);
}
NOINLINE long never(long x) {
  static Number made(NR_unlink);
  return made.value + x;
}
long (*const KEEP(unused))(long) = never;

void run(long *stack) {
  once(stack[0]);
  once(stack[0]);
  quit();
}
