// A coroutine: its function is entered by a return on a stack of its own, and comes back by the same way.
// builds: freestanding
// only: x86_64 — its assembly
// calls: getpid getuid getgid exit_group
// run: all
// not: unlink — a function that is never started
#include "freestanding.h"

__asm__(
    ".text\n.type change, @function\nchange:\n"
    "  push %rbx\n  push %rbp\n  push %r12\n  push %r13\n  push %r14\n  push %r15\n"
    "  mov %rsp, (%rdi)\n  mov %rsi, %rsp\n"
    "  pop %r15\n  pop %r14\n  pop %r13\n  pop %r12\n  pop %rbp\n  pop %rbx\n  ret\n"
    ".size change, . - change\n");
void change(long **from, long *to);

static long space[512];
static long *outside, *inside;

static void work(void) {
  sys0(NR_getpid);
  change(&inside, outside);
  sys0(NR_getgid);
  quit();
}
void KEEP(never)(void) { sys0(NR_unlink); }

void run(long *stack) {
  (void)stack;
  space[510] = (long)work;
  inside = space + 504;
  change(&outside, inside);
  sys0(NR_getuid);
  change(&outside, inside);
}
