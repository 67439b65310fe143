// A virtual base that two classes share: its place is found through the table of virtual functions.
// builds: g++ -O0 | g++ -O2 | g++ -Os -s | g++ -O1 -fno-asynchronous-unwind-tables | g++ -O2 -static-pie | g++ -O0 -static-pie -s
// calls: getpid getuid getgid geteuid exit_group
// run: all
// flags: -fno-rtti -fno-exceptions
#include "freestanding.h"

struct Top {
  long data = 1;
  virtual long top(long x) { return sys1(NR_getpid, x + data); }
};
struct Left : virtual Top {
  virtual long left(long x) { return sys1(NR_getuid, x); }
};
struct Right : virtual Top {
  long right_data = 2;
  virtual long right(long x) { return sys1(NR_getgid, x + right_data); }
};
struct Bottom : Left, Right {
  long top(long x) override { return sys1(NR_geteuid, x + data); }
};

NOINLINE long use_top(Top *t, long x) { return t->top(x); }
NOINLINE long use_left(Left *l, long x) { return l->left(x) + use_top(l, x); }
NOINLINE long use_right(Right *r, long x) { return r->right(x) + use_top(r, x); }

void run(long *stack) {
  Bottom bottom;
  Top top;
  use_left(&bottom, stack[0]);
  use_right(&bottom, stack[0]);
  use_top(&top, stack[0]);
  quit();
}
