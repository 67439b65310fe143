// Setting a bit by a number in a register reaches memory beyond the operand.
// builds: freestanding
// only: x86_64 — its assembly
// calls: getpid 47 exit_group
// run: all
// gap: 47 — a bit that lies beyond the operand
#include "freestanding.h"

void run(long *stack) {
  volatile long words[2] = {0, NR_getpid};
  long bit = 64 + 3;
  (void)stack;
  sys0(words[1]);
  __asm__ volatile("bts %1, %0" : "+m"(words[0]) : "r"(bit) : "memory", "cc");
  sys3(words[1], -1, 0, 0);
  quit();
}
