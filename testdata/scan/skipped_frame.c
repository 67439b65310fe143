// A callee gives up its caller's frame and returns to the one before.
// builds: freestanding
// only: x86_64 — its assembly
// calls: getpid getuid exit_group
// run: all
#include "freestanding.h"

__asm__(
    ".text\n.type middle, @function\nmiddle:\n  call leave_two\n1: jmp 1b\n.size middle, . - middle\n"
    ".type leave_two, @function\nleave_two:\n  mov $39, %eax\n  syscall\n  add $8, %rsp\n  ret\n"
    ".size leave_two, . - leave_two\n");
void middle(void);

void run(long *stack) {
  (void)stack;
  middle();
  sys0(NR_getuid);
  quit();
}
