// Code that finds out where it is by a call to the next instruction, and calls relative to that.
// builds: freestanding
// only: x86_64 — its assembly
// calls: getpid getuid exit_group
// run: all
#include "freestanding.h"

__asm__(
    ".text\n.type far, @function\nfar:\n  mov $102, %eax\n  syscall\n  ret\n.size far, . - far\n"
    ".type here, @function\nhere:\n  call 1f\n1: pop %rdx\n  add $far - 1b, %rdx\n  call *%rdx\n"
    "  mov $39, %eax\n  syscall\n  ret\n.size here, . - here\n");
long here(void);

void run(long *stack) {
  (void)stack;
  here();
  quit();
}
