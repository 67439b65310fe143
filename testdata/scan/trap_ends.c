// What stands behind an instruction that always faults is not reached: no handler steps over it.
// builds: freestanding
// only: x86_64 — its assembly
// calls: getpid exit_group
// run: some
// not: unlink — behind the trap
#include "freestanding.h"

__asm__(
    ".text\n.type check, @function\ncheck:\n  mov $39, %eax\n  syscall\n  test %rdi, %rdi\n"
    "  jne 1f\n  ret\n1: ud2\n  mov $87, %eax\n  syscall\n  ret\n.size check, . - check\n");
long check(long);

void run(long *stack) {
  check(stack[0] - 1);
  quit();
}
