// Pointers to member functions, plain and virtual: a virtual one is an odd number.
// builds: g++ -O0 | g++ -O2 | g++ -Os -s | g++ -O1 -fno-asynchronous-unwind-tables | g++ -O2 -static-pie | g++ -O0 -static-pie -s
// calls: getpid getuid getgid exit_group
// run: all
// flags: -fno-rtti -fno-exceptions
#include "freestanding.h"

struct Base {
  long plain(long x) { return sys1(NR_getpid, x); }
  virtual long first(long x) { return sys1(NR_getgid, x); }
  virtual long second(long x) { return x; }
};
struct Derived : Base {
  long second(long x) override { return sys1(NR_getuid, x); }
};

NOINLINE long call(Base *base, long (Base::*member)(long), long x) { return (base->*member)(x); }

void run(long *stack) {
  Derived derived;
  call(&derived, &Base::plain, stack[0]);
  call(&derived, &Base::first, stack[0]);
  call(&derived, &Base::second, stack[0]);
  quit();
}
