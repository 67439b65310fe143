// Rows of code of one length, entered at an address that is computed from a masked number: no
// table says where they are.
// builds: freestanding
// calls: getpid gettid getuid getgid geteuid getegid getppid getpgrp exit_group
// run: all
#include "freestanding.h"

long shifted(long), tripled(long);

// Rows of 32 bytes.
__asm__(".text\n.type shifted, @function\nshifted: .cfi_startproc\n"
        "and $3, %edi\n shl $5, %edi\n lea 1f(%rip), %rax\n add %rdi, %rax\n jmp *%rax\n"
        ".balign 32\n1: mov $39, %eax\n syscall\n ret\n"
        ".balign 32\n mov $186, %eax\n syscall\n ret\n"
        ".balign 32\n mov $102, %eax\n syscall\n ret\n"
        ".balign 32\n mov $104, %eax\n syscall\n ret\n"
        ".cfi_endproc\n.size shifted, .-shifted\n");

// Rows of 24 bytes, and the base comes last.
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
  for (long n = 0; n < 4; n++) {
    shifted(n);
    tripled(n);
  }
  quit();
}
