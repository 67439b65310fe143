// A store to an array of the frame at an index from the outside: any element may be it.
// builds: freestanding
// calls: getpid getuid exit_group
// run: some
// gap: getpid getuid — a store at a computed place of the frame
#include "freestanding.h"

void run(long *stack) {
  volatile nr_t numbers[4] = {NR_getpid, 0, 0, 0};
  numbers[(unsigned long)stack[0] & 3] = NR_getuid;
  sys0(numbers[0]);
  quit();
}
