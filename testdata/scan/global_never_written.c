// A number in writable static memory that no code writes and whose address nobody takes.
// builds: freestanding
// calls: getpid exit_group
// run: all
#include "freestanding.h"

volatile int KEEP(number) = NR_getpid;

void run(long *stack) {
  (void)stack;
  sys0(number);
  quit();
}
