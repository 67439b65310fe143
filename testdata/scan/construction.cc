// A virtual call during construction goes to the base's own function, afterwards to the derived one.
// builds: g++ -O0 | g++ -O2 | g++ -Os -s | g++ -O1 -fno-asynchronous-unwind-tables | g++ -O2 -static-pie | g++ -O0 -static-pie -s
// calls: getpid getuid getgid exit_group
// run: all
// flags: -fno-rtti -fno-exceptions
#include "freestanding.h"

NOINLINE void start(struct Base *base);

struct Base {
  Base() { start(this); }
  virtual long work(long x) { return sys1(NR_getpid, x); }
};
struct Derived : Base {
  Derived() { start(this); }
  long work(long x) override { return sys1(NR_getuid, x); }
};
struct Last : Derived {
  long work(long x) override { return sys1(NR_getgid, x); }
};

NOINLINE void start(Base *base) { base->work(1); }

void run(long *) {
  Last last;
  start(&last);
  quit();
}
