// Flags that are pushed and popped, and set by a callee.
// builds: freestanding
// only: x86_64 — its assembly
// calls: getpid getuid exit_group
// run: all
// extra: unlink — flags that come from elsewhere are not followed
#include "freestanding.h"

__asm__(
    ".text\n.type carry, @function\ncarry:\n  mov $2, %edx\n  cmp $3, %edx\n  ret\n.size carry, . - carry\n"
    ".type caller, @function\ncaller:\n  xor %edx, %edx\n  cmp $0, %edx\n  call carry\n  mov $102, %eax\n"
    "  jb 1f\n  mov $87, %eax\n1: syscall\n"
    "  xor %edx, %edx\n  pushf\n  inc %edx\n  popf\n  mov $39, %eax\n  je 2f\n  mov $87, %eax\n2: syscall\n"
    "  ret\n.size caller, . - caller\n");
long caller(void);

void run(long *stack) {
  (void)stack;
  caller();
  quit();
}
