// Exceptions as OCaml makes them: a handler's address and the one before it on the stack; who raises
// puts the stack back there and returns.
// builds: freestanding
// only: x86_64 — its assembly
// calls: getpid getuid getgid exit_group
// run: all
#include "freestanding.h"

__asm__(
    ".text\n.type try, @function\ntry:\n  push %r14\n  lea .Lcaught(%rip), %rax\n  push %rax\n  push %r14\n"
    "  mov %rsp, %r14\n  call *%rdi\n  pop %r14\n  add $8, %rsp\n  pop %r14\n  ret\n"
    ".Lcaught: mov $102, %eax\n  syscall\n  pop %r14\n  ret\n.size try, . - try\n"
    ".type raise, @function\nraise:\n  mov %r14, %rsp\n  pop %r14\n  ret\n.size raise, . - raise\n");
void try(void (*f)(void));
void raise(void);

static void work(void) {
  sys0(NR_getpid);
  raise();
}

void run(long *stack) {
  (void)stack;
  try(work);
  sys0(NR_getgid);
  quit();
}
