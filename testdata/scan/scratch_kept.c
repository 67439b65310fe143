// A callee in the same file that leaves a scratch register alone, on which its caller relies.
// builds: freestanding | gcc -O2 -fipa-ra -fno-inline
// only: x86_64 — its assembly
// calls: getpid getuid exit_group
// run: all
#include "freestanding.h"

__asm__(
    ".text\n.type quiet, @function\nquiet:\n  mov $39, %eax\n  syscall\n  ret\n.size quiet, . - quiet\n"
    ".type outer, @function\nouter:\n  mov $102, %r9d\n  call quiet\n  mov %r9d, %eax\n"
    "  syscall\n  ret\n.size outer, . - outer\n");
long outer(void);

void run(long *stack) {
  (void)stack;
  outer();
  quit();
}
