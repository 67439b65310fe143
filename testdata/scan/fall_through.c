// Control that falls from one assembly label into the next, and an entry in the middle.
// builds: freestanding
// only: x86_64 — its assembly
// calls: getpid getuid getgid exit_group
// run: all
#include "freestanding.h"

__asm__(
    ".text\n"
    ".type three, @function\nthree:\n  mov $39, %eax\n  syscall\n.size three, . - three\n"
    ".type two, @function\ntwo:\n  mov $102, %eax\n  syscall\n.size two, . - two\n"
    ".type one, @function\none:\n  mov $104, %eax\n  syscall\n  ret\n.size one, . - one\n");
long three(void);
long two(void);

void run(long *stack) {
  (void)stack;
  three();
  two();
  quit();
}
