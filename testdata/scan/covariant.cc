// An override that returns a more derived class: a thunk that moves the result stands in the table.
// builds: g++ -O0 | g++ -O2 | g++ -Os -s | g++ -O1 -fno-asynchronous-unwind-tables | g++ -O2 -static-pie | g++ -O0 -static-pie -s
// calls: getpid getuid exit_group
// run: all
// flags: -fno-rtti -fno-exceptions
#include "freestanding.h"

struct Other {
  long data = 3;
  virtual long other(long x) { return x; }
};
struct Base {
  virtual Base *self(long x) { return sys1(NR_sync, x), this; }
  virtual long work(long x) { return x; }
};
struct Derived : Other, Base {
  Derived *self(long x) override { return sys1(NR_getpid, x), this; }
  long work(long x) override { return sys1(NR_getuid, x + data); }
};

NOINLINE long use(Base *base, long x) { return base->self(x)->work(x); }

void run(long *stack) {
  Derived derived;
  use(&derived, stack[0]);
  quit();
}
