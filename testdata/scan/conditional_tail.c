// A conditional jump to another function: a tail call that compilers for size make.
// builds: freestanding
// only: x86_64 — its assembly
// calls: getpid getuid exit_group
// run: some
// not: unlink — of a function behind it that nobody calls
#include "freestanding.h"

__asm__(
    ".text\n.type one, @function\none:\n  test $2, %dil\n  jne two\n  mov $39, %eax\n  syscall\n  ret\n.size one, . - one\n"
    "  .p2align 4\n.type never, @function\nnever:\n  mov $87, %eax\n  syscall\n  ret\n.size never, . - never\n"
    "  .p2align 4\n.type two, @function\ntwo:\n  mov $102, %eax\n  syscall\n  ret\n.size two, . - two\n");
void one(long);

void run(long *stack) {
  one(stack[0]);
  quit();
}
