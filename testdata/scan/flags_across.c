// Flags that are set in one block and tested after a join, in another.
// builds: freestanding
// only: x86_64 — its assembly
// calls: getpid getuid exit_group
// run: all
#include "freestanding.h"

__asm__(
    ".text\n.type joined, @function\njoined:\n  test $1, %dil\n  je 1f\n  mov $5, %eax\n  cmp $5, %eax\n"
    "  jmp 2f\n1: mov $5, %eax\n  cmp $4, %eax\n2: mov $39, %eax\n  je 3f\n  mov $102, %eax\n3: syscall\n"
    "  ret\n.size joined, . - joined\n");
long joined(long);

void run(long *stack) {
  joined(stack[0]);
  joined(stack[0] + 1);
  quit();
}
