// Setting a handler gives back the one before, which is called: an exchange with memory.
// builds: freestanding
// flags[aarch64]: -mno-outline-atomics
// calls: getpid getuid getgid exit_group
// run: all
// not: unlink — never set
#include "freestanding.h"

typedef void (*function)(long);

static void first(long x) { sys1(NR_getpid, x); }
static void second(long x) { sys1(NR_getuid, x); }
static void third(long x) { sys1(NR_getgid, x); }
void KEEP(never)(long x) { sys1(NR_unlink, x); }

static function handler = first;

NOINLINE function set(function f) { return __atomic_exchange_n(&handler, f, __ATOMIC_SEQ_CST); }

void run(long *stack) {
  set(second)(stack[0]);
  function expected = second;
  if (__atomic_compare_exchange_n(&handler, &expected, third, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
    expected(stack[0]);
  handler(stack[0]);
  quit();
}
