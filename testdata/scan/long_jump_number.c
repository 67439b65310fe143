// A variable that changes between setjmp and longjmp: on the way back it has its new value.
// builds: freestanding
// calls: getpid getuid exit_group
// gap[aarch64]: getpid getuid — a frame slot that a later return of setjmp sees
// gap[x86_64]: getpid getuid exit_group — a frame slot that a later return of setjmp sees
// run: all
// gap[x86_64 llvm]: none
#include "freestanding.h"

#ifdef __aarch64__
__asm__(
    ".text\n.type mark, %function\nmark:\n"
    "  stp x19, x20, [x0]\n  stp x21, x22, [x0, 16]\n  stp x23, x24, [x0, 32]\n"
    "  stp x25, x26, [x0, 48]\n  stp x27, x28, [x0, 64]\n  str x29, [x0, 80]\n"
    "  mov x2, sp\n  str x2, [x0, 96]\n  mov x2, x30\n  str x2, [x0, 88]\n  mov w0, #0\n  ret\n"
    ".size mark, . - mark\n"
    ".type back, %function\nback:\n"
    "  ldp x19, x20, [x0]\n  ldp x21, x22, [x0, 16]\n  ldp x23, x24, [x0, 32]\n"
    "  ldp x25, x26, [x0, 48]\n  ldp x27, x28, [x0, 64]\n  ldr x29, [x0, 80]\n"
    "  ldr x2, [x0, 96]\n  mov sp, x2\n  ldr x2, [x0, 88]\n  mov w0, w1\n  br x2\n"
    ".size back, . - back\n");
#else
__asm__(
    ".text\n.type mark, @function\nmark:\n"
    "  mov %rbx, (%rdi)\n  mov %rbp, 8(%rdi)\n  mov %r12, 16(%rdi)\n  mov %r13, 24(%rdi)\n"
    "  mov %r14, 32(%rdi)\n  mov %r15, 40(%rdi)\n  lea 8(%rsp), %rdx\n  mov %rdx, 48(%rdi)\n"
    "  mov (%rsp), %rdx\n  mov %rdx, 56(%rdi)\n  xor %eax, %eax\n  ret\n"
    ".size mark, . - mark\n"
    ".type back, @function\nback:\n"
    "  mov (%rdi), %rbx\n  mov 8(%rdi), %rbp\n  mov 16(%rdi), %r12\n  mov 24(%rdi), %r13\n"
    "  mov 32(%rdi), %r14\n  mov 40(%rdi), %r15\n  mov 48(%rdi), %rsp\n  mov %esi, %eax\n"
    "  jmp *56(%rdi)\n.size back, . - back\n");
#endif
__attribute__((returns_twice)) int mark(long *where);
__attribute__((noreturn)) void back(long *where, int value);

static long place[13];

NOINLINE void work(void) { back(place, 1); }

void run(long *stack) {
  volatile nr_t number = NR_getpid;
  (void)stack;
  int again = mark(place);
  sys0(number);
  number = NR_getuid;
  if (!again) work();
  quit();
}
