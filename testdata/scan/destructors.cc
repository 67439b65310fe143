// Destructors: by scope, through a pointer to the base with what gives the memory back.
// builds: g++ -O0 | g++ -O2 | g++ -Os -s | g++ -O1 -fno-asynchronous-unwind-tables | g++ -O2 -static-pie | g++ -O0 -static-pie -s
// calls: getpid getuid getgid geteuid exit_group
// run: all
// flags: -fno-rtti -fno-exceptions
#include "freestanding.h"

static char space[64];
void *operator new(unsigned long) { return space; }
void operator delete(void *) noexcept { sys0(NR_geteuid); }
void operator delete(void *, unsigned long) noexcept { sys0(NR_geteuid); }

struct Base {
  virtual ~Base() { sys0(NR_getpid); }
};
struct Derived : Base {
  ~Derived() override { sys0(NR_getuid); }
};
struct Scoped {
  long data;
  ~Scoped() { sys1(NR_getgid, data); }
};

NOINLINE Base *make() { return new Derived; }
NOINLINE void drop(Base *base) { delete base; }

void run(long *stack) {
  {
    Scoped scoped{stack[0]};
    drop(make());
  }
  quit();
}
