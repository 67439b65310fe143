// A jump to a masked number times twenty-four plus a base: rows of code whose length is no power
// of two.
// builds: freestanding
// only: x86_64 — its assembly
// calls: geteuid getegid getppid getpgrp exit_group
// run: all
#include "freestanding.h"

long tripled(long);

__asm__(".text\n.balign 8\n.type tripled, @function\ntripled: .cfi_startproc\n"
        "and $3, %edi\n shl $3, %edi\n lea (%rdi,%rdi,2), %ecx\n lea 1f(%rip), %rdx\n"
        "add %rcx, %rdx\n jmp *%rdx\n"
        ".balign 8\n1: mov $107, %eax\n syscall\n ret\n .skip 16, 0x90\n"
        "mov $108, %eax\n syscall\n ret\n .skip 16, 0x90\n"
        "mov $110, %eax\n syscall\n ret\n .skip 16, 0x90\n"
        "mov $111, %eax\n syscall\n ret\n"
        ".cfi_endproc\n.size tripled, .-tripled\n");

void run(long *stack) {
  (void)stack;
  for (long n = 0; n < 4; n++) tripled(n);
  quit();
}
