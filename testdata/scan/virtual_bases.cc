// Two bases: calls through the second go by way of a thunk that moves `this`.
// builds: g++ -O0 | g++ -O2 | g++ -Os -s | g++ -O2 -static-pie | g++ -O0 -static-pie -s
// calls: getpid getuid getgid exit_group
// run: all
// flags: -fno-rtti -fno-exceptions
#include "freestanding.h"

struct First {
  long number = NR_unlink;
  virtual long one() { return sys0(NR_getpid); }
};
struct Second {
  long other = NR_unlink;
  virtual long two() { return sys0(NR_getuid); }
};
struct Both : First, Second {
  long two() override { return sys0(NR_getgid) + number; }
};

NOINLINE long use(First *f) { return f->one(); }
NOINLINE long use(Second *s) { return s->two(); }

void run(long *stack) {
  Both both;
  Second second;
  (void)stack;
  use(static_cast<First *>(&both));
  use(static_cast<Second *>(&both));
  use(&second);
  quit();
}
