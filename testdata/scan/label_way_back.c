// A function comes back to its caller only by a label that is jumped to from elsewhere, as what LLVM makes of
// `__builtin_setjmp` does.
// builds: freestanding
// only: x86_64 — assembly code
// calls: getpid getuid getgid exit_group
// run: all
#include "freestanding.h"

extern void guarded(void);
__asm__(
    ".text\n"
    ".type guarded, @function\n"
    "guarded:\n"
    "  push %rbp\n"
    "  lea 1f(%rip), %rax\n"
    "  lea buffer(%rip), %rcx\n"
    "  mov %rbp, (%rcx)\n"
    "  mov %rax, 8(%rcx)\n"
    "  mov %rsp, 16(%rcx)\n"
    "  jmp 2f\n"
    "1:\n"
    "  call behind\n"
    "  pop %rbp\n"
    "  ret\n"
    "2:\n"
    "  call work\n"
    ".size guarded, . - guarded\n"
    ".type work, @function\n"
    "work:\n"
    "  call make\n"
    "  lea buffer(%rip), %rcx\n"
    "  mov (%rcx), %rbp\n"
    "  mov 8(%rcx), %rax\n"
    "  mov 16(%rcx), %rsp\n"
    "  jmp *%rax\n"
    ".size work, . - work\n");
__attribute__((used)) void *buffer[5];
__attribute__((used)) NOINLINE void make(void) { sys0(NR_getpid); }
__attribute__((used)) NOINLINE void behind(void) { sys0(NR_getuid); }

void run(long *stack) {
  (void)stack;
  guarded();
  sys0(NR_getgid);
  quit();
}
