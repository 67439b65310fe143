// leave takes the stack from rbp: a routine goes on in another frame, and returns there.
// builds: freestanding
// only: x86_64 — its assembly
// calls: getpid getuid exit_group
// run: all
#include "freestanding.h"

__asm__(
    ".text\n.type pivot, @function\npivot:\n  mov %rdi, %rbp\n  leave\n  ret\n.size pivot, . - pivot\n");
void pivot(long *frame);

static long space[64];

static void work(void) {
  sys0(NR_getuid);
  quit();
}

void run(long *stack) {
  (void)stack;
  space[61] = (long)work;
  sys0(NR_getpid);
  pivot(space + 60);
}
