// Functions of another convention: the number is in rcx or behind the space above the return address.
// builds: freestanding
// only: x86_64 — no other convention is known to the compiler for aarch64
// calls: getpid getuid getgid exit_group
// run: all
#include "freestanding.h"

__attribute__((ms_abi)) NOINLINE long by_register(long number, long x) { return sys1(number, x); }
__attribute__((ms_abi)) NOINLINE long by_memory(long a, long b, long c, long d, long number) {
  return sys4(number, a, b, c, d);
}
__attribute__((ms_abi)) NOINLINE long through(long(__attribute__((ms_abi)) * f)(long, long), long x) {
  return f(NR_getgid, x);
}

void run(long *stack) {
  by_register(NR_getpid, stack[0]);
  by_memory(1, 2, 3, 4, NR_getuid);
  through(by_register, stack[0]);
  quit();
}
