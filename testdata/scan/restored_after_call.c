// A callee that breaks the convention: it changes a register that callers expect to be kept.
// builds: freestanding
// only: x86_64 — its assembly
// calls: getpid getuid exit_group
// gap: getuid — what a callee leaves in a register that it should have kept
// run: all
// not: unlink — what the register held before the call
#include "freestanding.h"

__asm__(
    ".text\n.type rude, @function\nrude:\n  mov $102, %r12d\n  ret\n.size rude, . - rude\n"
    ".type outer, @function\nouter:\n  push %r12\n  mov $87, %r12d\n  call rude\n"
    "  mov %r12d, %eax\n  syscall\n  pop %r12\n  ret\n.size outer, . - outer\n");
long outer(void);

void run(long *stack) {
  (void)stack;
  sys0(NR_getpid);
  outer();
  quit();
}
