// Numbers that a loop counts in steps, up and down.
// builds: freestanding
// calls: 102 104 106 108 110 111 exit_group
// run: all
// not: 103 105 107 109 — between the steps
#include "freestanding.h"

NOINLINE long make(long number) { return sys4(number, -1, -1, -1, -1); }

void run(long *stack) {
  (void)stack;
  for (int n = 102; n < 110; n += 2) make(n);
  for (int n = 111; n > 109; n--) make(n);
  quit();
}
