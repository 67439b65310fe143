// Lambdas: converted to pointers, and passed by templates with what they capture.
// builds: g++ -O0 | g++ -O2 | g++ -Os -s | g++ -O1 -fno-asynchronous-unwind-tables | g++ -O2 -static-pie | g++ -O0 -static-pie -s
// calls: getpid getuid geteuid exit_group
// run: all
// not: unlink — a lambda that is made and never passed on
// flags: -fno-rtti -fno-exceptions
#include "freestanding.h"

using Function = long (*)(long);

NOINLINE long by_pointer(Function f, long x) { return f(x); }
template <typename F> NOINLINE long by_value(F f, long x) { return f(x); }
template <typename F> NOINLINE long by_reference(const F &f, long x) { return f(x); }

void run(long *stack) {
  long base = stack[0];
  auto never = [](long x) { return sys1(NR_unlink, x); };
  (void)never;
  by_pointer([](long x) { return sys1(NR_getpid, x); }, base);
  by_value([=](long x) { return sys2(NR_getuid, x, base); }, 1);
  by_reference([&](long x) { return base += sys1(NR_geteuid, x); }, 2);
  quit();
}
