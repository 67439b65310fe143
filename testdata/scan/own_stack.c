// A coroutine: its function is entered by a return on a stack of its own, and comes back by the same way.
// builds: freestanding
// calls: getpid getuid getgid exit_group
// run: all
// not: unlink — a function that is never started
#include "freestanding.h"

#ifdef __aarch64__
#define SAVED 12
#define RETURN 1
__asm__(
    ".text\n.type change, %function\nchange:\n"
    "  stp x29, x30, [sp, #-96]!\n  stp x19, x20, [sp, #16]\n  stp x21, x22, [sp, #32]\n"
    "  stp x23, x24, [sp, #48]\n  stp x25, x26, [sp, #64]\n  stp x27, x28, [sp, #80]\n"
    "  mov x2, sp\n  str x2, [x0]\n  mov sp, x1\n"
    "  ldp x27, x28, [sp, #80]\n  ldp x25, x26, [sp, #64]\n  ldp x23, x24, [sp, #48]\n"
    "  ldp x21, x22, [sp, #32]\n  ldp x19, x20, [sp, #16]\n  ldp x29, x30, [sp], #96\n  ret\n"
    ".size change, . - change\n");
#else
#define SAVED 6
#define RETURN 6
__asm__(
    ".text\n.type change, @function\nchange:\n"
    "  push %rbx\n  push %rbp\n  push %r12\n  push %r13\n  push %r14\n  push %r15\n"
    "  mov %rsp, (%rdi)\n  mov %rsi, %rsp\n"
    "  pop %r15\n  pop %r14\n  pop %r13\n  pop %r12\n  pop %rbp\n  pop %rbx\n  ret\n"
    ".size change, . - change\n");
#endif
void change(long **from, long *to);

static long space[512] __attribute__((aligned(16)));
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
  inside = space + 510 - SAVED;
  inside[RETURN] = (long)work;
  change(&outside, inside);
  sys0(NR_getuid);
  change(&outside, inside);
}
