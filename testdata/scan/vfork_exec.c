// A child that execs: nothing after the exec is certain, and what runs then is not known.
// builds: freestanding
// only: x86_64 — its assembly
// calls: vfork execve exit wait4 exit_group
// residuals: exec
// run: all
#include "freestanding.h"

__asm__(
    ".text\n.type split, @function\nsplit:\n"
    "  pop %rdx\n  mov $58, %eax\n  syscall\n  push %rdx\n  ret\n.size split, . - split\n");
__attribute__((returns_twice)) long split(void);

static char *const arguments[] = {(char *)"nothing", 0};

void run(long *stack) {
  (void)stack;
  long child = split();
  if (child == 0) {
    sys3(NR_execve, (long)"/nonexistent/program", (long)arguments, 0);
    sys1(NR_exit, 127);
  }
  sys4(NR_wait4, child, 0, 0, 0);
  quit();
}
