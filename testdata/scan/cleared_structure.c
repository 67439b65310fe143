// A structure that rep stos clears before one field is set.
// builds: freestanding
// only: x86_64 — its assembly
// calls: getpid exit_group
// run: all
// not: unlink — what the frame held before it was cleared
#include "freestanding.h"

void run(long *stack) {
  volatile long block[6] = {NR_unlink, NR_unlink, NR_unlink, NR_unlink, NR_unlink, NR_unlink};
  volatile long *to = block;
  unsigned long count = 6;
  (void)stack;
  __asm__ volatile("rep stosq" : "+D"(to), "+c"(count) : "a"(0L) : "memory");
  block[2] = NR_getpid;
  sys0(block[2]);
  quit();
}
