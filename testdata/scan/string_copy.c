// A structure that rep movs copies: what the frame held there before is gone.
// builds: freestanding
// only: x86_64 — its assembly
// calls: getpid exit_group
// run: all
// gap: getpid — the words that rep movs copies
// not: unlink — what the copy overwrites
#include "freestanding.h"

static const long source[4] = {1, 2, NR_getpid, 4};

void run(long *stack) {
  volatile long target[4] = {NR_unlink, NR_unlink, NR_unlink, NR_unlink};
  (void)stack;
  volatile long *to = target;
  const long *from = source;
  unsigned long count = 4;
  __asm__ volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(count)::"memory");
  sys0(target[2]);
  quit();
}
