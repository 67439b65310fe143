// Assembly functions that set the number and jump to a common end inside another one.
// builds: freestanding
// only: x86_64 — its assembly
// calls: getpid getuid getgid exit_group
// run: all
// not: unlink — of a function that nobody calls and that ends in the same place
#include "freestanding.h"

__asm__(
    ".text\n.type first, @function\nfirst:\n  mov $39, %eax\n"
    ".Lend: syscall\n  cmp $-4095, %rax\n  jae .Lfail\n  ret\n"
    ".Lfail: mov $-1, %rax\n  ret\n.size first, . - first\n"
    ".type second, @function\nsecond:\n  mov $102, %eax\n  jmp .Lend\n.size second, . - second\n"
    ".type never, @function\nnever:\n  mov $87, %eax\n  jmp .Lend\n.size never, . - never\n"
    ".type third, @function\nthird:\n  mov $104, %eax\n  test %edi, %edi\n  jne .Lend\n  ret\n"
    ".size third, . - third\n");
long first(void), second(void), third(long);

void run(long *stack) {
  first();
  second();
  third(stack[0]);
  quit();
}
