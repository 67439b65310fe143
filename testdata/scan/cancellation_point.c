// musl's way: a function pointer that is a plain call until threads exist, tail-called with the
// number first; an assembly routine with a label between which it may be cancelled.
// builds: freestanding
// only: x86_64 — its assembly
// calls: getpid write exit_group
// run: all
#include "freestanding.h"

__asm__(
    ".text\n.globl point\n.type point, @function\npoint:\n"
    "  mov %rdi, %r11\n  mov %rsi, %rax\n  mov %rdx, %rdi\n  mov %rcx, %rsi\n  mov %r8, %rdx\n"
    "  mov %r9, %r10\n  mov 8(%rsp), %r8\n  mov 16(%rsp), %r9\n  mov %r11, 8(%rsp)\n"
    "  syscall\n  ret\n.size point, . - point\n");
long point(volatile int *, nr_t, long, long, long, long, long, long);

static volatile int cancelled;

NOINLINE long plain(nr_t n, long a, long b, long c, long d, long e, long f) {
  return point(&cancelled, n, a, b, c, d, e, f);
}
static long (*maybe)(nr_t, long, long, long, long, long, long) = plain;

NOINLINE long cp(nr_t n, long a, long b, long c, long d, long e, long f) {
  return maybe(n, a, b, c, d, e, f);
}

void run(long *stack) {
  (void)stack;
  cp(NR_getpid, 0, 0, 0, 0, 0, 0);
  cp(NR_write, 1, (long)"", 0, 0, 0, 0);
  cp(NR_exit_group, 0, 0, 0, 0, 0, 0);
}
