// A store through a pointer that may or may not point to the number.
// builds: freestanding
// calls: getpid getuid exit_group
// run: some
#include "freestanding.h"

void run(long *stack) {
  volatile nr_t number = NR_getpid, other = 0;
  volatile nr_t *p = stack[0] > 1 ? &number : &other;
  HIDE(p);
  *p = NR_getuid;
  sys0(number);
  quit();
}
