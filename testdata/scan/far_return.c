// A far return and an interrupt's return: control goes where the stack says.
// builds: freestanding
// only: x86_64 — its assembly
// calls: getpid getuid getgid exit_group
// run: all
#include "freestanding.h"

__asm__(
    ".text\n.type far, @function\nfar:\n  lea 1f(%rip), %rax\n  mov %cs, %edx\n  push %rdx\n  push %rax\n  lretq\n"
    "1: mov $39, %eax\n  syscall\n"
    "  mov %ss, %eax\n  mov %rsp, %rcx\n  push %rax\n  push %rcx\n  pushfq\n  mov %cs, %eax\n  push %rax\n"
    "  lea 2f(%rip), %rax\n  push %rax\n  iretq\n"
    "2: mov $102, %eax\n  syscall\n  ret\n.size far, . - far\n");
void far(void);

void run(long *stack) {
  (void)stack;
  far();
  sys0(NR_getgid);
  quit();
}
