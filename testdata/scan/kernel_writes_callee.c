// The same, but a function in between hands the address to the kernel.
// builds: freestanding
// calls: read exit_group
// residuals: number
// run: never — what is read decides which call is made
#include "freestanding.h"

struct message {
  long length;
  int number;
};

NOINLINE long receive(struct message *m) { return sys3(NR_read, 0, (long)m, sizeof *m); }

void run(long *stack) {
  struct message m = {0, 1};
  (void)stack;
  receive(&m);
  sys0(m.number);
  quit();
}
