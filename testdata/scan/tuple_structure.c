// What the call does is in a structure that is passed by value: its fields stay together.
// builds: freestanding
// calls: socket exit_group
// tuples: socket 1 0x80001 0; socket 2 2 17
// run: all
#include "freestanding.h"

struct kind {
  int family, type;
  long protocol;
};

NOINLINE long open_socket(struct kind k) { return sys3(NR_socket, k.family, k.type, k.protocol); }

void run(long *stack) {
  (void)stack;
  open_socket((struct kind){1, 0x80001, 0});
  open_socket((struct kind){2, 2, 17});
  sys1(NR_exit_group, 0);
}
