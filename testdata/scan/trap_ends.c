// What stands behind an instruction that always faults is not reached: no handler steps over it.
// builds: freestanding
// calls: getpid exit_group
// run: some
// not: unlink — behind the trap
#include "freestanding.h"

#ifdef __aarch64__
__asm__(
    ".text\n.type check, %function\ncheck:\n  mov x3, x0\n  mov x8, #172\n  svc #0\n"
    "  cbnz x3, 1f\n  ret\n1: udf #0\n  mov x8, #35\n  svc #0\n  ret\n.size check, . - check\n");
#else
__asm__(
    ".text\n.type check, @function\ncheck:\n  mov $39, %eax\n  syscall\n  test %rdi, %rdi\n"
    "  jne 1f\n  ret\n1: ud2\n  mov $87, %eax\n  syscall\n  ret\n.size check, . - check\n");
#endif
long check(long);

void run(long *stack) {
  check(stack[0] - 1);
  quit();
}
