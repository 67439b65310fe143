// Virtual calls. A class counts when its table is reached, which its constructor does.
// builds: g++ -O0 | g++ -O2 | g++ -Os -s | g++ -O1 -fno-asynchronous-unwind-tables | g++ -O2 -static-pie | g++ -O0 -static-pie -s
// calls: getpid getuid exit_group
// run: all
// extra: unlink — of a class that is never constructed, whose table lies beside the others: without symbols nothing says where one ends
// flags: -fno-rtti -fno-exceptions
#include "freestanding.h"

struct Shape {
  virtual long area(long x) = 0;
};
struct Square : Shape {
  long area(long x) override { return sys0(NR_getpid) + x; }
};
struct Circle : Shape {
  long area(long x) override { return sys0(NR_getuid) - x; }
};
struct Never : Shape {
  long area(long x) override { return sys1(NR_unlink, x); }
};

EXTERN_C void __cxa_pure_virtual() { quit(); }
void operator delete(void *) noexcept {}
void operator delete(void *, unsigned long) noexcept {}

NOINLINE long use(Shape *shape, long x) { return shape->area(x); }
NOINLINE long dead(long x) {
  Never never;
  return use(&never, x);
}
long (*const KEEP(unused))(long) = dead;

void run(long *stack) {
  Square square;
  Circle circle;
  use(&square, stack[0]);
  use(&circle, stack[0]);
  quit();
}
