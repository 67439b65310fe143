// A callee changes its argument on the stack, which its caller then reads back as its own.
// builds: freestanding
// calls: getuid exit_group
// run: all
// not: unlink — what the caller had pushed
#include "freestanding.h"

__asm__(
    ".text\n.type change, @function\nchange:\n  movq $102, 8(%rsp)\n  ret\n.size change, . - change\n"
    ".type outer, @function\nouter:\n  push $87\n  call change\n  pop %rax\n  syscall\n  ret\n"
    ".size outer, . - outer\n");
long outer(void);

void run(long *stack) {
  (void)stack;
  outer();
  quit();
}
