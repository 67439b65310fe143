// Control by push and ret: to a constant, and through a call whose return address is changed.
// builds: freestanding
// only: x86_64 — its assembly
// calls: getpid getuid getgid exit_group
// run: all
// extra: unlink — what stands after the call: that its return address is changed by a constant is not followed
#include "freestanding.h"

__asm__(
    ".text\n.type pushed, @function\npushed:\n  mov $39, %eax\n  syscall\n"
    "  lea there(%rip), %rax\n  push %rax\n  ret\n.size pushed, . - pushed\n"
    ".type there, @function\nthere:\n  mov $102, %eax\n  syscall\n  ret\n.size there, . - there\n"
    ".type skip, @function\nskip:\n  addq $9, (%rsp)\n  ret\n.size skip, . - skip\n"
    ".type skipping, @function\nskipping:\n  call skip\n  mov $87, %eax\n  syscall\n  nop\n  nop\n"
    "  mov $104, %eax\n  syscall\n  ret\n.size skipping, . - skipping\n");
long pushed(void);
long skipping(void);

void run(long *stack) {
  (void)stack;
  pushed();
  skipping();
  quit();
}
